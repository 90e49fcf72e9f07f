"""Figures with what they count, what was forgotten, and reasons: casework at its ends."""

from __future__ import annotations

import datetime as dt

import pytest

from hashmatch.cases.states import CaseEvent
from hashmatch.errors import BadInput, BadReport, CatalogCorrupt, CatalogUnavailable
from hashmatch.model import HarmDomain
from hashmatch.model.cases import NetworkEvent, Subject
from hashmatch.model.deliveries import DeliveryState
from hashmatch.model.figures import Counter
from hashmatch.outbox.states import DeliveryEvent
from hashmatch.outbox.store import Settled
from hashmatch.service.casework import Casework, Sending
from hashmatch.service.retention import Swept
from tests.support.cases import NOW
from tests.unit.service.test_casework import TEST, Desk, desk

__all__ = ["desk"]


def arrive(desk: Desk, work: Casework) -> None:
    """Take what is due at the webhook, and have it arrive."""
    for taken in work.outbox.take("hook", desk.now, dt.timedelta(minutes=5), 10):
        work.outbox.settle(taken, Settled(DeliveryEvent.ARRIVE, desk.now, "", "17"), "outbox", desk.now)


def figures(desk: Desk) -> dict[Counter, int]:
    """Return what was counted today, distances and durations left out."""
    rows = desk.work.counted(NOW.date(), NOW.date())
    return {row.counter: row.count for row in rows if not row.bucket}


def test_a_report_is_counted_when_it_arrived_and_a_word_to_the_store_is_none(desk: Desk) -> None:
    case = desk.open()
    desk.work.send(case.case_id, Sending(outlet="hook", environment=TEST, format="stix"), actor="anna")
    desk.work.hold(case.case_id, "store://17", actor="anna")
    arrive(desk, desk.work)
    assert {item.state for item in desk.work.outbox.of_case(case.case_id)} == {DeliveryState.DELIVERED}
    assert figures(desk)[Counter.REPORTED] == 1


def test_what_arrived_of_a_damaged_case_has_arrived_and_is_not_counted(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    case = desk.open()
    desk.work.send(case.case_id, Sending(outlet="hook", environment=TEST, format="stix"), actor="anna")
    with desk.catalog.changing() as session:
        session.connection.execute("UPDATE report_case SET record = '{'")  # type: ignore[attr-defined]  # SQLite's
    arrive(desk, desk.work)
    (item,) = desk.work.outbox.of_case(case.case_id)
    assert item.state is DeliveryState.DELIVERED
    assert Counter.REPORTED not in figures(desk)
    assert f"{item.delivery_id} is delivered and not counted: the case {case.case_id} cannot be read" in caplog.text
    with pytest.raises(CatalogCorrupt, match="its record is damaged"):
        desk.work.get(case.case_id)


def test_what_cannot_be_counted_did_not_happen(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure and what it counts are one transaction."""
    case = desk.open()

    def full(*_: object) -> None:
        raise CatalogUnavailable

    monkeypatch.setattr("hashmatch.cases.store.count_up", full)
    for act in (
        desk.open,
        lambda: desk.work.find(case.case_id, confirmed=True, actor="anna", reason="seen"),
        lambda: desk.work.complain(case.case_id, upheld=True, actor="anna", reason="seen"),
    ):
        with pytest.raises(CatalogUnavailable):
            act()
    assert [item.case_id for item in desk.work.page()] == [case.case_id]
    assert [event.what for event in desk.work.get(case.case_id).events] == ["opened"]


def test_a_held_report_that_nobody_releases_expires_and_is_a_figure(desk: Desk) -> None:
    case = desk.open()
    held = desk.work.send(case.case_id, Sending(outlet="careful", environment=TEST, format="stix"), actor="anna")
    desk.now = NOW + dt.timedelta(days=335) - dt.timedelta(seconds=1)
    assert desk.work.sweep() == Swept()
    desk.now += dt.timedelta(seconds=1)
    assert desk.work.sweep() == Swept(waiting=1), "30 days ahead"
    assert desk.work.undecided() == {held.delivery_id: NOW + dt.timedelta(days=365)}
    desk.now = NOW + dt.timedelta(days=365)
    assert desk.work.sweep() == Swept((case.case_id,), (held.delivery_id,), 0)
    day = desk.now.date()
    (row,) = desk.work.counted(day, day)
    assert (row.counter, row.domain, row.outlet, row.count) == (Counter.EXPIRED, HarmDomain.CSAM, "careful", 1)


def test_what_arrived_of_an_erased_case_is_not_counted(desk: Desk) -> None:
    case = desk.open()
    desk.work.send(case.case_id, Sending(outlet="hook", environment=TEST, format="stix"), actor="anna")
    (taken,) = desk.work.outbox.take("hook", NOW, dt.timedelta(minutes=5), 1)
    desk.work.outbox.settle(taken, Settled(DeliveryEvent.DOUBT, NOW, "no answer"), "outbox", NOW)
    desk.now = NOW + dt.timedelta(days=365)
    assert desk.work.sweep().erased == (case.case_id,)
    done = desk.work.decide(taken.delivery_id, DeliveryEvent.CONFIRM, actor="ben", reason="seen there")
    assert done.state is DeliveryState.DELIVERED
    assert desk.work.counted(desk.now.date(), desk.now.date()) == ()


@pytest.mark.parametrize("reason", ["x" * 1_001, "a\nb", "\ud800"])
def test_a_reason_is_a_line_of_text(desk: Desk, reason: str) -> None:
    case = desk.open()
    hold = desk.work.hold(case.case_id, "store://17", actor="anna")
    (delivery,) = desk.work.outbox.of_case(case.case_id)
    work, before = desk.work, desk.work.get(case.case_id)
    message = "1001 characters are too many; at most 1000" if len(reason) > 9 else "at most 1000 printable characters"
    for act in (
        lambda: work.change(case.case_id, CaseEvent.CLOSE, actor="anna", reason=reason),
        lambda: work.decide(delivery.delivery_id, DeliveryEvent.CANCEL, actor="anna", reason=reason),
        lambda: work.release(case.case_id, hold.hold_id, actor="anna", reason=reason),
        lambda: work.find(case.case_id, confirmed=True, actor="anna", reason=reason),
        lambda: work.complain(case.case_id, upheld=True, actor="anna", reason=reason),
    ):
        with pytest.raises(BadInput, match=f"^reason: {message}") as caught:
            act()
        assert caught.value.field == "reason"
    assert desk.work.get(case.case_id) == before


@pytest.mark.parametrize(
    ("recipient", "message"),
    [
        ("x" * 1_001, "recipient: 1001 characters are too many; at most 1000"),
        ("a\0b", "recipient: printable characters were expected"),
        ("\ud800", "recipient: printable characters were expected"),
    ],
)
def test_a_recipient_is_some_lines_of_text(desk: Desk, recipient: str, message: str) -> None:
    case = desk.open()
    sending = Sending(outlet="hook", environment=TEST, format="stix", recipient=recipient)
    for act in (
        lambda: desk.work.send(case.case_id, sending, actor="anna"),
        lambda: desk.work.render(case.case_id, "letter", recipient=recipient),
    ):
        with pytest.raises(BadInput) as caught:
            act()
        assert (caught.value.message, caught.value.field) == (message, "recipient")
    assert desk.work.render(case.case_id, "letter", recipient="Police\nExample Street 1").format == "letter"


def test_a_subject_of_one_rendering_is_held_to_the_same_limits(desk: Desk) -> None:
    case = desk.open()
    for subject, field in (
        (Subject(note="x" * 20_001), "subject.note"),
        (Subject(emails=("a@example.org",) * 1_001), "subject.emails"),
        (Subject(phones=("x" * 1_000,) * 999), "subject"),
        (Subject(network_events=(NetworkEvent("192.0.2.1", port=70_000),)), "subject.network_events[0].port"),
    ):
        with pytest.raises(BadReport) as caught:
            desk.work.render(case.case_id, "stix", subject=subject)
        assert caught.value.field == field
