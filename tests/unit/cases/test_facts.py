"""From a receipt's report and the caller's facts to a case."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from typing import Any

import pytest

from hashmatch.cases.facts import CLASSIFICATIONS, compose
from hashmatch.errors import BadInput, BadReceipt, BadReport
from hashmatch.model import EntryStatus, HarmDomain, Verdict
from hashmatch.model.cases import Case, Decision, Facts, Keep, Locator, NetworkEvent, Subject, Visibility
from hashmatch.projections import formats, xarf
from hashmatch.projections.basis import Context
from hashmatch.report.plain import from_plain, to_plain
from hashmatch.sections import ReporterConfig
from tests.support import cases
from tests.support.cases import NOW


def test_a_case_holds_what_was_found_and_what_was_said() -> None:
    case = cases.case(cases.hit(status=EntryStatus.DISPUTED), urgent="live")
    assert [(item.algorithm, len(item.value)) for item in case.hashes] == [
        ("md5", 16),
        ("sha1", 20),
        ("sha256", 32),
        ("pdq", 32),
    ]
    (match,) = case.matches
    assert (match.list_name, match.list_version, match.entry_id, match.distance) == ("test-csam", 7, "a1b2c3", 12)
    assert match.disputed
    assert (case.media.mime, case.media.width_px, case.media.size_bytes) == ("image/jpeg", 1024, 12_345)
    assert (case.domain, case.observed_at, case.urgent) == (HarmDomain.CSAM, NOW - dt.timedelta(minutes=10), "live")
    assert case.viewed_by_human is False


def test_every_field_of_a_case_is_the_callers_or_the_services() -> None:
    ours = {
        "case_id",
        "created_at",
        "media",
        "hashes",
        "matches",
        "receipt_id",
        "generation",
        "automated_detection",
        "state",
    }
    theirs = {item.name for item in dataclasses.fields(Facts)} - {"file_name", "uploaded_at", "created_with_ai"}
    assert {item.name for item in dataclasses.fields(Case)} == ours | theirs


@pytest.mark.parametrize(
    ("given", "field", "told"),
    [
        (
            {"occurred_at": NOW + dt.timedelta(hours=1)},
            "occurred_at",
            "2026-11-28T10:30:00+00:00 is in the future (future)",
        ),
        ({"occurred_at": dt.datetime(1970, 1, 1, tzinfo=dt.UTC)}, "occurred_at", "is before 1990 (past)"),
        ({"exif_viewed": True}, "viewed_by_human", "whoever viewed the EXIF data viewed the file; set both (viewed)"),
        ({"locator": Locator()}, "locator", "give at least one URL, or a content_ref of your own (locator)"),
        ({"locator": Locator(urls=("u",) * 1_001)}, "locator.urls", "1001 are too many; at most 1000 (length)"),
        ({"classification": "C3"}, "classification", "'C3' is none of A1, A2, B1, B2, baseline (scheme)"),
        ({"keep_subject": Keep.CASE}, "keep_subject", "there is no subject to be kept (subject)"),
        ({"note": "x" * 20_001}, "note", "20001 characters are too many; at most 20000 (length)"),
    ],
)
def test_facts_that_no_report_could_carry(given: dict[str, Any], field: str, told: str) -> None:
    with pytest.raises(BadReport) as caught:
        cases.case(**given)
    assert caught.value.field == field
    assert told in caught.value.message


def test_a_case_cannot_claim_a_match_that_was_not_made() -> None:
    with pytest.raises(BadReceipt, match="the match report holds no match; there is nothing to report"):
        cases.case(cases.hit(verdict=Verdict.NO_MATCH))
    with pytest.raises(BadReceipt, match="in lists of wildlife, none of csam; a case cannot claim a match"):
        cases.case(cases.hit(HarmDomain.WILDLIFE), domain=HarmDomain.CSAM)


def test_matches_of_several_domains_need_a_word_and_only_that_domain_goes_along() -> None:
    hits = (cases.hit(HarmDomain.WILDLIFE), cases.hit(HarmDomain.CSAM))
    with pytest.raises(BadReport, match="in lists of csam, wildlife; say which the case is of"):
        cases.case(*hits)
    case = cases.case(*hits, domain=HarmDomain.WILDLIFE)
    assert [match.domain for match in case.matches] == [HarmDomain.WILDLIFE]


def test_a_report_without_any_hash_is_refused() -> None:
    bare = cases.report(digests=None, hashes=())
    with pytest.raises(BadReport, match="receipt: the match report holds no hash of the file"):
        compose("id", cases.facts(), bare, "receipt", NOW)


def test_facts_survive_json() -> None:
    subject = Subject("user-17", network_events=(NetworkEvent("192.0.2.7", "upload", NOW, 443),))
    decision = Decision(Visibility.REMOVED, facts="removed", ends_on=dt.date(2027, 1, 1))
    facts = cases.facts(subject=subject, decision=decision, publicly_available=True, territorial_scope=("NL",))
    assert from_plain(Facts, to_plain(facts)) == facts


PLAIN = {"occurred_at": "2026-11-28T09:00:00+01:00", "viewed_by_human": False, "exif_viewed": False}


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"viewed_by_human": ...}, "viewed_by_human", "viewed_by_human: is required, and has no default"),
        ({"exif_viewed": ...}, "exif_viewed", "exif_viewed: is required, and has no default"),
        ({"viewed_by_human": "no"}, "viewed_by_human", "viewed_by_human: expected true or false, got str"),
        (
            {"occurred_at": "2026-11-28T09:00:00"},
            "occurred_at",
            "occurred_at: '2026-11-28T09:00:00' has no zone; give an offset, such as Z or +01:00",
        ),
        (
            {"occurred_at": "yesterday"},
            "occurred_at",
            "occurred_at: 'yesterday' is no time; write 2026-11-28T09:30:00+01:00",
        ),
        ({"viewed": True}, "viewed", "viewed: no such field"),
        ({"source": "rumour"}, "source", "source: expected one of voluntary, article_16"),
        (
            {"decision": {"ends_on": "soon"}},
            "decision.ends_on",
            "decision.ends_on: 'soon' is no date; write 2026-11-28",
        ),
        ({"locator": {"urls": "https://x"}}, "locator.urls", "locator.urls: expected a list"),
        (
            {"subject": {"network_events": [{"ip": 5}]}},
            "subject.network_events[0].ip",
            "subject.network_events[0].ip: expected a text, got int",
        ),
        ({"prior_reports": [{"authority": "NCMEC"}]}, "prior_reports[0].reference", "is required, and has no default"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], field: str, message: str) -> None:
    plain = {key: value for key, value in (PLAIN | change).items() if value is not ...}
    with pytest.raises(BadInput) as caught:
        from_plain(Facts, plain)
    assert caught.value.field == field
    assert message in caught.value.message


def test_what_one_format_takes_and_another_does_not_is_a_fact() -> None:
    """XARF and hotlines know INTERPOL's baseline; NCMEC does not, and a CyberTip says so by its own rule."""
    assert cases.case(classification="baseline").classification == "baseline"
    assert set(CLASSIFICATIONS) == set(xarf.CLASSIFICATIONS)
    context = Context(ReporterConfig(email="desk@example.org"), NOW, uuid.UUID(int=1))
    with pytest.raises(BadReport, match="'baseline' is none of A1, A2, B1, B2") as caught:
        formats.render(cases.case(classification="baseline"), "cybertip", context)
    assert caught.value.field == "classification"
