"""Holding CyberTips to a schema: with one of our own, since NCMEC's is not to be had without credentials."""

from __future__ import annotations

from pathlib import Path

import pytest

from hashmatch.errors import BadConfig, BadReport
from hashmatch.projections import cybertip
from hashmatch.projections.cybertip_schema import validate, validate_document
from tests.support import tips

SCHEMA = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <xs:element name="report"><xs:complexType><xs:sequence>
    <xs:any processContents="skip" minOccurs="3" maxOccurs="{most}"/>
  </xs:sequence></xs:complexType></xs:element>
  <xs:element name="fileDetails"><xs:complexType><xs:sequence>
    <xs:element name="reportId" type="xs:long"/><xs:any processContents="skip" maxOccurs="unbounded"/>
  </xs:sequence></xs:complexType></xs:element>
</xs:schema>"""


INCLUDING = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
<xs:include schemaLocation="http://127.0.0.1:9/x.xsd"/></xs:schema>"""


def schema(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "tip.xsd"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_document_that_is_valid_passes_with_its_draft(tmp_path: Path) -> None:
    validate_document(cybertip.render(tips.least(), tips.CONTEXT), schema(tmp_path, SCHEMA.format(most=9)))


def test_line_and_reason_are_told(tmp_path: Path) -> None:
    document = cybertip.render(tips.full(), tips.CONTEXT)
    with pytest.raises(BadReport) as caught:
        validate(document.body, schema(tmp_path, SCHEMA.format(most=4)))
    line = document.body[: document.body.index(b"  <additionalInfo>Case c-1")].count(b"\n") + 1
    assert caught.value.message.startswith(f"line {line}: Element 'additionalInfo': This element is not expected.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no XML", "no XML"),
        ("<x/>", "is no schema"),
        ('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]><x>&e;</x>', "a document type is not allowed"),
        (
            INCLUDING,
            "refers to another file (xs:include); nothing is fetched",
        ),
    ],
)
def test_a_file_that_is_no_schema_is_the_operators_to_mend(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadConfig) as caught:
        validate(b"<report/>", schema(tmp_path, text))
    assert message in caught.value.message
    assert caught.value.field == "reporter.cybertip_xsd"


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(BadConfig, match=r"cannot read /nowhere/tip\.xsd: No such file or directory"):
        validate(b"<report/>", "/nowhere/tip.xsd")


@pytest.mark.skipif(tips.schema() is None, reason="NCMEC's schema is not here")
@pytest.mark.parametrize(
    "body",
    [
        "<report><reporter><reportingPerson/></reporter></report>",
        "<report><incidentSummary><incidentDateTime>2025-01-01T00:00:00Z</incidentDateTime></incidentSummary></report>",
    ],
)
def test_ncmecs_schema_refuses(body: str) -> None:
    path = tips.schema()
    assert path is not None
    with pytest.raises(BadReport, match=r"^line 1: "):
        validate(body.encode(), path)
