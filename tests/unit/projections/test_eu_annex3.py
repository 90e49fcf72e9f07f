"""The report of Annex III: its rules, its fields, and what a signature is over."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hashmatch.errors import BadReport
from hashmatch.model.cases import (
    Account,
    Case,
    Locator,
    NetworkEvent,
    PriorReport,
    ServiceKind,
    Source,
    Subject,
    Visibility,
)
from hashmatch.projections import dsa_notice, eu_annex3
from hashmatch.projections.findings import to_bytes
from hashmatch.sections import ReporterConfig
from tests.support.union_cases import CONTEXT, CSAM, DECISION, REPORTER, SUBJECT

RULES: dict[str, tuple[Case, ReporterConfig, str]] = {
    "hotline": (
        CSAM,
        replace(REPORTER, hotline=True),
        "reporter.hotline: the report is the provider's; a hotline gives notice (Article 12)",
    ),
    "nobody": (CSAM, replace(REPORTER, name=""), "reporter.name: Annex III names the provider (required)"),
    "no contact": (
        CSAM,
        replace(REPORTER, contact_point=""),
        "reporter.contact_point: Annex III names the provider's point of contact (required)",
    ),
    "other service": (
        replace(CSAM, service_kind=ServiceKind.OTHER),
        REPORTER,
        "service_kind: 'other': Annex III knows hosting and interpersonal communications (Annex III, 7)",
    ),
    "nothing says so": (
        replace(CSAM, matches=()),
        REPORTER,
        (
            "viewed_by_human: there is no match and nobody has looked: nothing says that it is material of abuse "
            "(Annex III, 2)"
        ),
    ),
    "no content": (
        replace(CSAM, locator=Locator(), item_id=""),
        REPORTER,
        "locator: say which content it is: an address, a reference or an item of yours (Annex III, 3)",
    ),
    "no address": (
        replace(CSAM, locator=Locator(("example.org",))),
        REPORTER,
        "locator.urls[0]: 'example.org' is no address: expected https://host/path (address)",
    ),
    "unknown country": (
        replace(CSAM, prior_reports=(PriorReport("Politie", "1"),)),
        REPORTER,
        (
            "prior_reports[0].country: say the country of 'Politie': Annex III asks for authorities of third countries "
            "(Annex III, 9)"
        ),
    ),
    "no IP": (
        replace(CSAM, subject=Subject(network_events=(NetworkEvent("300.0.2.1"),))),
        REPORTER,
        "subject.network_events[0].ip: is no IP address (address)",
    ),
    "no port": (
        replace(CSAM, subject=Subject(network_events=(NetworkEvent("192.0.2.1", port=65_536),))),
        REPORTER,
        "subject.network_events[0].port: 65536 is no port: expected 1 to 65535 (port)",
    ),
    "long note": (
        replace(CSAM, note="x" * 5_001),
        REPORTER,
        "note: 5001 characters are too many; at most 5000 (length)",
    ),
}


def report(case: Case) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(eu_annex3.render(case, CONTEXT).body)["report"]
    return found


@pytest.mark.parametrize("name", RULES)
def test_every_rule_is_told(name: str) -> None:
    case, reporter, message = RULES[name]
    with pytest.raises(BadReport) as caught:
        eu_annex3.render(case, replace(CONTEXT, reporter=reporter))
    assert caught.value.message == f"report of Annex III: {message}"
    assert caught.value.field == message.partition(": ")[0]


def test_the_document_says_that_it_follows_a_proposal() -> None:
    tree = json.loads(eu_annex3.render(CSAM, CONTEXT).body)
    assert list(tree) == ["schema", "status", "report_id", "report", "signature"]
    assert tree["status"] == "proposal COM(2022) 209, not in force"
    assert tree["signature"] is None


@pytest.mark.parametrize(
    ("source", "manner"),
    [
        (Source.VOLUNTARY, "own_motion"),
        (Source.ARTICLE_16, "other"),
        (Source.TRUSTED_FLAGGER, "hotline_or_trusted_flagger"),
        (Source.NOTICE, "other"),
        (Source.ORDER, "public_authority"),
    ],
)
def test_how_the_provider_became_aware(source: Source, manner: str) -> None:
    found = report(replace(CSAM, source=source, source_identity="An office"))["awareness"]
    assert found["manner"] == manner
    assert (
        ": An office. The file was compared, by its hashes, with lists of known material. pdq met" in found["details"]
    )


def test_only_authorities_of_third_countries_count() -> None:
    assert report(CSAM)["third_country_report"] == {"reported": True, "authority": "NCMEC", "reference": "4564654"}
    dutch = replace(CSAM, prior_reports=(PriorReport("Politie", "1", "NL"),))
    assert report(dutch)["third_country_report"] == {"reported": False}
    british = replace(CSAM, prior_reports=(PriorReport("NCA", "1", "gb"), PriorReport("ncmec", "2")))
    assert report(british)["third_country_report"]["authority"] == "NCA; ncmec"


def test_new_material_is_what_met_no_list_and_was_seen() -> None:
    assert report(CSAM)["abuse_type"] == ["known_csam"]
    assert report(replace(CSAM, matches=(), viewed_by_human=True))["abuse_type"] == ["new_csam"]


@pytest.mark.parametrize("visibility", [None, *Visibility])
def test_content_is_gone_where_it_was_removed_or_disabled(visibility: Visibility | None) -> None:
    gone = report(replace(CSAM, decision=replace(DECISION, visibility=visibility)))["content_removed"]
    assert gone is (visibility in {Visibility.REMOVED, Visibility.DISABLED})


def test_the_decision_about_the_user() -> None:
    assert report(replace(CSAM, decision=None))["user_decision"] == {"taken": False}
    suspended = replace(CSAM, decision=replace(DECISION, account=Account.SUSPENDED))
    assert report(suspended)["user_decision"] == {"taken": True, "decision": "account suspended"}


def test_the_location_is_that_of_the_latest_upload_and_no_event_is_lost() -> None:
    early, late = (NetworkEvent(f"192.0.2.{n}", "upload", dt.datetime(2026, 11, n, tzinfo=dt.UTC)) for n in (1, 2))
    case = replace(CSAM, subject=replace(SUBJECT, network_events=(late, early, NetworkEvent("192.0.2.9"))))
    found = report(case)
    assert found["location"] == {"ip": "192.0.2.2", "timestamp": "2026-11-02T00:00:00Z"}
    assert found["users"][0]["other"] == (
        "Sunset Fan; upload 192.0.2.1 2026-11-01T00:00:00Z; seen at 192.0.2.9; Account opened in October."
    )


def test_a_case_without_subject_names_nobody() -> None:
    found = report(replace(CSAM, subject=None))
    assert (found["location"], found["users"], found["victims"]) == ({}, [], [])


# --- signatures --------------------------------------------------------------------------------------------------

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def signature(body: bytes) -> eu_annex3.Signature:
    return eu_annex3.Signature("Ed25519", "key-1", KEY.sign(body).hex())


def test_what_is_signed_is_canonical_and_the_same_before_and_after() -> None:
    document = eu_annex3.render(CSAM, CONTEXT)
    payload = eu_annex3.signed_bytes(document)
    tree = json.loads(document.body)
    del tree["signature"]
    assert payload == json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    signed = eu_annex3.with_signature(document, signature(payload))
    assert eu_annex3.signed_bytes(signed) == payload
    found: Mapping[str, str] = json.loads(signed.body)["signature"]
    assert list(found) == ["algorithm", "key_id", "value"]
    KEY.public_key().verify(bytes.fromhex(found["value"]), payload)


def test_what_is_signed_does_not_depend_on_how_the_document_is_written_down() -> None:
    document = eu_annex3.render(CSAM, CONTEXT)
    tree = json.loads(document.body)
    turned = replace(document, body=json.dumps(dict(reversed(tree.items())), ensure_ascii=True).encode())
    assert eu_annex3.signed_bytes(turned) == eu_annex3.signed_bytes(document)
    other = replace(document, body=to_bytes(tree | {"report_id": "another"}))
    assert eu_annex3.signed_bytes(other) != eu_annex3.signed_bytes(document)


def test_an_empty_signature_and_another_document_are_refused() -> None:
    document = eu_annex3.render(CSAM, CONTEXT)
    with pytest.raises(BadReport, match=r"^signature: algorithm, key_id and value are needed$"):
        eu_annex3.with_signature(document, eu_annex3.Signature("Ed25519", "key-1", ""))
    with pytest.raises(BadReport, match=r"^a document of format dsa16 is no report of Annex III$"):
        eu_annex3.signed_bytes(dsa_notice.render(CSAM, CONTEXT))


def test_a_time_stamp_is_kept() -> None:
    document = eu_annex3.render(CSAM, CONTEXT)
    signed = eu_annex3.with_signature(document, eu_annex3.Signature("Ed25519", "key-1", "00", "token"))
    assert json.loads(signed.body)["signature"]["timestamp"] == "token"
