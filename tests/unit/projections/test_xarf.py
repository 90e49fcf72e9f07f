"""XARF: its schemas, every rule with its message, and what a report says."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource

from hashmatch.errors import BadReport
from hashmatch.model import HarmDomain
from hashmatch.model.cases import Account, Case, CaseMedia, Decision, Locator, PriorReport, Source, Visibility
from hashmatch.projections import xarf
from hashmatch.sections import ReporterConfig
from tests.support.notice_cases import (
    CONTEXT,
    CSAM,
    CSEM,
    GOLDEN,
    HOTLINE,
    ORDER,
    VECTORS,
    on,
)
from tests.support.union_cases import DECISION, MATCH, NOW
from tests.support.xarf_schema import VALIDATOR

NAMES = [name for name in GOLDEN if name.startswith("xarf/")]


def report(case: Case = CSAM, reporter: ReporterConfig = HOTLINE) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(xarf.render(case, replace(CONTEXT, reporter=reporter)).body)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_our_schema_takes_the_reports_and_can_refuse(name: str) -> None:
    tree = json.loads((VECTORS / name).read_bytes())
    VALIDATOR.validate(tree)
    for field in ("report_id", "reporter", "detection_method"):
        assert not VALIDATOR.is_valid({key: value for key, value in tree.items() if key != field})
    assert not VALIDATOR.is_valid(tree | {"evidence": [{"content_type": "image/jpeg", "payload": ""}]})


@pytest.mark.skipif("HASHMATCH_EXTRA_DATA" not in os.environ, reason="HASHMATCH_EXTRA_DATA is not set")
@pytest.mark.parametrize("name", NAMES)
def test_the_schema_of_xarf_takes_the_reports(name: str) -> None:
    folder = Path(os.environ["HASHMATCH_EXTRA_DATA"]) / "reference" / "schemas" / "xarf"
    trees = [json.loads(path.read_bytes()) for path in (folder / "xarf-core.json", *(folder / "types").glob("*.json"))]
    registry: Registry[Any] = Registry().with_resources([(tree["$id"], Resource.from_contents(tree)) for tree in trees])
    tree = json.loads((VECTORS / name).read_bytes())
    (schema,) = [found for found in trees if found["$id"].endswith(f"/content-{tree['type']}.json")]
    validator = jsonschema.Draft202012Validator(schema, registry=registry)
    validator.validate(tree)
    assert not validator.is_valid({key: value for key, value in tree.items() if key != "sender"})


# --- rules ----------------------------------------------------------------------------------------------------------

WHO = "a recipient has to know who reports; set it in [reporter] (required)"
LONG = tuple(f"https://img.example.org/{'é' * 60_000}{n}" for n in range(16))
XARF_RULES: dict[str, tuple[Case, ReporterConfig, str]] = {
    "no address": (
        on(),
        HOTLINE,
        "locator.urls: a notice to a hosting provider is about an address, and there is none (required)",
    ),
    "two hosts": (
        on("https://a.example/1", "https://b.example/1", "https://A.example./2"),
        HOTLINE,
        "locator.urls: addresses on 2 hosts (a.example, b.example); make a notice for each (one host)",
    ),
    "too long": (
        on(*LONG),
        HOTLINE,
        "locator.urls: further addresses take 5400396 bytes; at most 5242880 (evidence)",
    ),
    "nobody": (CSAM, replace(HOTLINE, name=""), f"reporter.name: {WHO}"),
    "no e-mail": (CSAM, replace(HOTLINE, email=""), f"reporter.email: {WHO}"),
    "no domain": (CSAM, replace(HOTLINE, domain=""), f"reporter.domain: {WHO}"),
    "a long name": (
        CSAM,
        replace(HOTLINE, name="x" * 201),
        "reporter.name: 201 characters are too many; at most 200 (length)",
    ),
    "two e-mails": (
        CSAM,
        replace(HOTLINE, email="a@hotline.example, b@hotline.example"),
        "reporter.email: expected one address, such as notices@hotline.example (e-mail)",
    ),
    "an address as domain": (
        CSAM,
        replace(HOTLINE, domain="https://hotline.example"),
        "reporter.domain: expected a DNS name, such as hotline.example (hostname)",
    ),
    "no classification": (
        replace(CSAM, classification=""),
        HOTLINE,
        "classification: it is not given; csam wants the reporter's own, one of baseline, A1, A2, B1, B2 (required)",
    ),
    "another classification": (
        replace(CSAM, classification="C"),
        HOTLINE,
        "classification: 'C' is none; csam wants the reporter's own, one of baseline, A1, A2, B1, B2 (required)",
    ),
    "another kind of media": (
        replace(CSAM, media=CaseMedia(kind="hologram")),
        HOTLINE,
        "media.kind: 'hologram' is none of image, video, audio, text, mixed (media_type)",
    ),
    "no list": (
        replace(CSAM, matches=()),
        HOTLINE,
        "matches: the method is hash_match, and no list is named that knows the file (required)",
    ),
    "nobody looked": (
        replace(CSEM, viewed_by_human=False),
        HOTLINE,
        (
            "viewed_by_human: csem has no word for a hash match alone: a person has to look, or a notice or an order "
            "is the source (detection_method)"
        ),
    ),
    "not public": (
        replace(CSEM, publicly_available=None),
        HOTLINE,
        (
            "publicly_available: csem wants the kind of exploitation; a file shows distribution only where everybody "
            "can fetch it (exploitation_type)"
        ),
    ),
    "later than now": (
        replace(CSAM, occurred_at=NOW + dt.timedelta(minutes=6)),
        HOTLINE,
        "occurred_at: 2026-11-28T09:36:00+00:00 is in the future (future)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", XARF_RULES)
def test_every_rule_of_xarf_is_told(name: str) -> None:
    case, reporter, message = XARF_RULES[name]
    with pytest.raises(BadReport) as refused:
        report(case, reporter)
    assert refused.value.message == f"XARF v4: {message}"
    assert refused.value.field == message.partition(": ")[0]


# --- what it says ---------------------------------------------------------------------------------------------------


def test_the_id_has_the_bits_of_the_report_and_version_4() -> None:
    assert report()["report_id"] == "2f1c8d0e-6b3a-4d47-9e25-7a4b8c9d0e1f"
    assert uuid.UUID(report()["report_id"]).version == 4
    assert xarf.render(CSAM, CONTEXT).file_name == "xarf-2f1c8d0e-6b3a-4d47-9e25-7a4b8c9d0e1f.json"


def test_further_addresses_are_text_whose_hash_and_size_hold() -> None:
    (evidence,) = report()["evidence"]
    assert base64.b64decode(evidence["payload"]) == b"https://img.example.org/a/17.jpg?big=1\n"
    assert evidence["size"] == 39
    assert "evidence" not in report(on("https://img.example.org/1"))


@pytest.mark.parametrize(
    ("url", "ip", "domain", "source"),
    [
        ("https://IMG.example.org:8443/1", "", "img.example.org", "img.example.org"),
        ("https://img.example.org./1", "192.0.2.80", "img.example.org", "192.0.2.80"),
        ("https://xn--bcher-kva.example/1", "", None, "xn--bcher-kva.example"),
        ("https://192.0.2.7/1", "", None, "192.0.2.7"),
        ("https://[2001:db8::7]:443/1", "", None, "2001:db8::7"),
    ],
)
def test_the_source_is_the_host_or_its_address(url: str, ip: str, domain: str | None, source: str) -> None:
    found = report(replace(CSAM, locator=Locator((url,), ip=ip)))
    assert (found.get("domain"), found["source_identifier"]) == (domain, source)


@pytest.mark.parametrize(
    ("changed", "hotline", "method"),
    [
        ({"viewed_by_human": True}, True, "manual"),
        ({}, True, "automated_crawler"),
        ({}, False, None),
        ({"automated_detection": False, "source": Source.TRUSTED_FLAGGER}, True, "user_report"),
        ({"automated_detection": False, "source": Source.ORDER}, True, None),
    ],
)
def test_how_it_was_verified_is_said_where_somebody_said_it(
    changed: dict[str, Any],
    hotline: bool,  # noqa: FBT001
    method: str | None,
) -> None:
    found = report(replace(CSAM, **changed), replace(HOTLINE, hotline=hotline))
    assert found.get("verification_method") == method


@pytest.mark.parametrize(
    ("source", "method"),
    [
        (Source.ARTICLE_16, "user_report"),
        (Source.TRUSTED_FLAGGER, "user_report"),
        (Source.NOTICE, "user_report"),
        (Source.ORDER, "law_enforcement_referral"),
    ],
)
def test_csem_is_detected_as_whoever_told_it_is_called(source: Source, method: str) -> None:
    assert report(replace(ORDER, source=source))["detection_method"] == method


@pytest.mark.parametrize(
    ("decision", "removed", "suspended"),
    [
        (None, None, None),
        (Decision(), None, None),
        (DECISION, True, True),
        (Decision(visibility=Visibility.DEMOTED), False, None),
        (Decision(account=Account.SUSPENDED), None, True),
    ],
)
def test_measures_are_told_where_they_were_taken(
    decision: Decision | None,
    removed: bool | None,  # noqa: FBT001
    suspended: bool | None,  # noqa: FBT001
) -> None:
    found = report(replace(CSAM, decision=decision))
    assert (found.get("content_removed"), found.get("account_suspended")) == (removed, suspended)


def test_the_last_report_to_ncmec_is_named() -> None:
    priors = (PriorReport("NCMEC", "1"), PriorReport("ncmec ", "2"), PriorReport("Politie", "3"))
    assert report(replace(CSAM, prior_reports=priors))["ncmec_report_id"] == "2"


def test_tags_name_the_lists_of_the_domain_folded_once_and_twenty_of_them() -> None:
    foreign = replace(MATCH, domain=HarmDomain.CSE_EXPLOITATIVE, list_name="foreign")
    named = [replace(MATCH, list_name=name) for name in ("A List!", "a list", "???", "été")]
    assert report(replace(CSAM, matches=(foreign, *named)))["tags"] == ["list:a-list", "list:t"]
    many = tuple(replace(MATCH, list_name=f"l{n}") for n in range(30))
    assert len(report(replace(CSAM, matches=many))["tags"]) == 20


def test_people_read_a_summary_in_which_no_address_works() -> None:
    ((name, body),) = xarf.render(CSAM, CONTEXT).parts
    assert name == "text"
    assert body.decode() == (
        "Example Hotline reports content on your network.\n"
        "This is an XARF v4 report of type content/csam; the JSON is for machines.\n"
        "\n"
        "Report: 2f1c8d0e-6b3a-4d47-9e25-7a4b8c9d0e1f\n"
        "Seen:   2026-11-28T07:00:00.250Z\n"
        "Where (read hxxp as http and [.] as a dot):\n"
        "  hxxps://img[.]example[.]org/17.jpg\n"
        "  hxxps://img[.]example[.]org/a/17.jpg?big=1\n"
        "\n"
        "No image is attached. Do not open the address to check it.\n"
        "The hashes in the JSON identify the file on your systems.\n"
        "\n"
        "Contact: notices@hotline.example\n"
    )
    assert "hashes" not in dict(xarf.render(CSEM, CONTEXT).parts)["text"].decode()
