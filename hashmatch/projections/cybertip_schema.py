"""Checking a CyberTip against NCMEC's own schema, where the operator has it.

Theory of operation
-------------------
NCMEC serves its schema to those who have credentials (``GET /xsd``), so it does not come with hashmatch; the setting
``reporter.cybertip_xsd`` names a copy. Nothing is fetched: entities are not resolved, and a schema that refers to other
files is refused.

What this module deliberately does not do: it is not needed for a right report. ``cybertip_xml`` has the order and
``cybertip_rules`` the rules, the schema's and those that it leaves out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lxml import etree

from hashmatch.errors import BadConfig, BadReport
from hashmatch.model.cases import Document
from hashmatch.projections.cybertip_file import with_ids
from hashmatch.projections.cybertip_xml import parsed

FORMAT: Final = "cybertip"
FIELD: Final = "reporter.cybertip_xsd"
_XS: Final = "{http://www.w3.org/2001/XMLSchema}"
_REFERENCES: Final = tuple(f"{_XS}{name}" for name in ("include", "import", "redefine", "override"))
_REPORT_ID, _FILE_ID = "1", "0" * 32


def validate(xml: bytes, xsd_path: str | Path) -> None:
    """Hold a document to a schema.

    Raises
    ------
    BadConfig
        The path leads to no schema, or to one that refers to others.
    BadReport
        The document is not valid; the message has the first line at fault and the reason.

    """
    schema = _schema(Path(xsd_path))
    if not schema.validate(parsed(xml, "report")):
        first = schema.error_log[0]
        raise BadReport(f"line {first.line}: {first.message}", field="xml")


def validate_document(document: Document, xsd_path: str | Path) -> None:
    """Hold a rendered CyberTip to a schema: the report, and the draft of the file with ids made up.

    Raises
    ------
    BadConfig, BadReport
        As :func:`validate` says.

    """
    validate(document.body, xsd_path)
    validate(with_ids(dict(document.parts)["fileDetails"], _REPORT_ID, _FILE_ID), xsd_path)


def _schema(path: Path) -> etree.XMLSchema:
    try:
        root = parsed(path.read_bytes(), str(path))
    except OSError as error:
        raise BadConfig(f"{FIELD}: cannot read {path}: {error.strerror}", field=FIELD) from error
    except BadReport as error:
        raise BadConfig(f"{FIELD}: {error.message}", field=FIELD) from error
    if (reference := next(root.iter(*_REFERENCES), None)) is not None:
        told = etree.QName(reference).localname
        raise BadConfig(f"{FIELD}: {path} refers to another file (xs:{told}); nothing is fetched", field=FIELD)
    try:
        return etree.XMLSchema(root)
    except etree.XMLSchemaParseError as error:
        raise BadConfig(f"{FIELD}: {path} is no schema: {error}", field=FIELD) from error
