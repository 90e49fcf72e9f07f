"""What the service tells of cases comes through as it was said, zeros included; what is not known is named."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from hashmatch.errors import BadInput
from hashmatch.model import HarmDomain, Rejected
from hashmatch.model.cases import Decision, Document, Environment, Keep, NetworkEvent, PriorReport, Subject
from hashmatch.model.deliveries import (
    CaseFile,
    DeliveryState,
    DeliveryStatus,
    Finding,
    Hold,
    Recorded,
    RelayedFile,
)
from hashmatch.model.figures import Counted, Counter
from hashmatch.report import casework as wire
from hashmatch.report.plain import from_plain
from hashmatch.v1 import report_pb2
from tests.support import cases
from tests.support.cases import NOW

SUBJECT = Subject(
    "user-17", emails=("user@example.org",), network_events=(NetworkEvent("192.0.2.7", "upload", NOW, 0),)
)
DELIVERY = DeliveryStatus(
    delivery_id="d1",
    case_id=cases.CASE_ID,
    outlet="hook",
    environment=Environment.TEST,
    format="stix",
    state=DeliveryState.UNSURE,
    due_at=NOW,
    sha256=b"\5" * 32,
    requested_by="anna",
    created_at=NOW,
    changed_at=NOW + dt.timedelta(seconds=3),
    attempt=2,
    recipient="desk@example.org",
    with_file=True,
    external_id="4711",
    reason="no answer",
    released_by="ben",
)


def test_a_case_comes_through_with_what_is_zero_in_it() -> None:
    near = cases.hit(distance=0, entry_id="")
    case = cases.case(near, decision=Decision(also_illegal=False))
    case = replace(case, prior_reports=(PriorReport("police.example", ""),))
    message = report_pb2.Case.FromString(wire.case_to_proto(case).SerializeToString())
    assert wire.case_from_proto(message) == case
    assert wire.case_from_proto(message).matches[0].distance == 0
    assert (
        wire.case_from_proto(wire.case_to_proto(replace(case, automated_detection=False))).automated_detection is False
    )


def test_whether_somebody_looked_is_never_made_up() -> None:
    message = wire.case_to_proto(cases.case())
    message.ClearField("viewed_by_human")
    with pytest.raises(BadInput, match=r"^case\.viewed_by_human: is required, and has no default$"):
        wire.case_from_proto(message)


def test_a_word_of_a_newer_service_is_named() -> None:
    message = wire.case_to_proto(cases.case())
    message.state = 99  # type: ignore[assignment]
    with pytest.raises(BadInput, match=r"^case\.state: expected one of open, closed, rejected, got 'number 99'$"):
        wire.case_from_proto(message)


def test_what_a_caller_forgot_is_not_zero() -> None:
    message = report_pb2.Facts(prior_reports=[report_pb2.PriorReport(authority="police.example")])
    message.occurred_at, message.viewed_by_human, message.exif_viewed = NOW.isoformat(), False, False
    with pytest.raises(BadInput, match=r"^facts\.prior_reports\[0\]\.reference: is required, and has no default$"):
        wire.facts_from_proto(message)
    assert from_plain(PriorReport, {"authority": "a"}, zeros=True) == PriorReport("a", "")


def test_facts_and_subjects_come_through() -> None:
    facts = cases.facts(subject=SUBJECT, keep_subject=Keep.DELIVERED, domain=HarmDomain.CSAM, publicly_available=False)
    assert wire.facts_from_proto(wire.facts_to_proto(facts)) == facts
    assert wire.subject_from_proto(wire.subject_to_proto(SUBJECT)) == SUBJECT


def test_everything_else_comes_through() -> None:
    hold = Hold("h1", cases.CASE_ID, "store://17", NOW + dt.timedelta(days=365), NOW)
    events = (Recorded(NOW, "anna", "opened", ""), Recorded(NOW, "ben", "release", "seen", "d1"))
    file = CaseFile(cases.case(), (DELIVERY,), events, (hold, replace(hold, released_at=NOW)))
    assert wire.file_from_proto(wire.file_to_proto(file)) == file
    finding = Finding(cases.case(), 0, (Rejected(0, "matches", "the set has no entry 'a1'"),))
    assert wire.finding_from_proto(wire.finding_to_proto(finding)) == finding
    relayed = RelayedFile(DELIVERY, "b0754af766b426f2928a02c651ed4b99", 1 << 40)
    assert wire.relayed_from_proto(wire.relayed_to_proto(relayed)) == relayed
    document = Document("cybertip", "text/xml", "tip.xml", b"<report/>", (("fileDetails", b"<fileDetails/>"),))
    assert wire.document_from_proto(wire.document_to_proto(document)) == document
    for row in (
        Counted(NOW.date(), Counter.CHECKED, count=0),
        Counted(NOW.date(), Counter.DISTANCE_CONFIRMED, "known", "pdq", HarmDomain.CSAM, bucket=12, count=1 << 40),
    ):
        assert wire.counted_from_proto(wire.counted_to_proto(row)) == row


@pytest.mark.parametrize("field", ["due_at", "created_at", "changed_at"])
def test_a_time_that_is_missing_is_named(field: str) -> None:
    message = wire.delivery_to_proto(DELIVERY)
    message.ClearField(field)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=rf"^{field}: a time is missing$"):
        wire.delivery_from_proto(message)


def test_a_counter_of_a_newer_service_is_named() -> None:
    with pytest.raises(BadInput, match=r"^rows: 'guessed' is not a valid Counter$"):
        wire.counted_from_proto(report_pb2.CountedRow(day="2026-11-28", counter="guessed"))
