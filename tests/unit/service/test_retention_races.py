"""Two things at one moment: a rejection and a worker, and a sweep that dies between two of its steps."""

from __future__ import annotations

import datetime as dt
import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from hashmatch.cases.store import CaseStore
from hashmatch.errors import CaseConflict
from hashmatch.model.cases import CaseState
from hashmatch.model.deliveries import DeliveryState, Hold
from hashmatch.outbox.rows import Delivery
from hashmatch.outbox.states import DeliveryEvent
from hashmatch.outbox.store import DeliveryStore, Settled
from hashmatch.service.casework import Sending
from tests.support.cases import NOW
from tests.unit.service.test_casework import TEST, Desk, desk

__all__ = ["desk"]

LEASE = dt.timedelta(minutes=5)
REASON = "the match was rejected"


class Killed(BaseException):
    """The process ends here."""


def queued(desk: Desk) -> tuple[str, str]:
    """Queue a report; return the ids of its case and of the delivery."""
    case = desk.open()
    sending = Sending(outlet="hook", environment=TEST, format="stix")
    return case.case_id, desk.work.send(case.case_id, sending, actor="anna").delivery_id


def test_a_worker_that_takes_while_a_match_is_rejected(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rejection has read what is pending; before it cancels that, a worker takes it."""
    case_id, delivery_id = queued(desk)
    taken: list[Delivery] = []
    listed = DeliveryStore.of_case

    def then_taken(store: DeliveryStore, wanted: str) -> tuple[Delivery, ...]:
        found = listed(store, wanted)
        if not taken:
            # As though the worker had begun before the case was rejected: the store's own check comes too early.
            with monkeypatch.context() as early:
                early.setattr(DeliveryStore, "_withdraw", lambda *_: None)
                taken.extend(store.take("hook", NOW, LEASE, 1))
        return found

    monkeypatch.setattr(DeliveryStore, "of_case", then_taken)
    finding = desk.work.find(case_id, confirmed=False, actor="ben", reason="a cat")
    assert finding.case.state is CaseState.REJECTED
    assert [one.delivery_id for one in taken] == [delivery_id]
    outbox = desk.work.outbox
    assert outbox.get(delivery_id).state is DeliveryState.SENDING, "nobody can call back what is on the wire"
    outbox.settle(taken[0], Settled(DeliveryEvent.POSTPONE, NOW, "HTTP 503"), "outbox", NOW)
    assert outbox.take("hook", NOW, LEASE, 1) == ()
    assert (outbox.get(delivery_id).state, outbox.get(delivery_id).reason) == (DeliveryState.CANCELLED, REASON)


@pytest.mark.parametrize("round_", range(10))
def test_whoever_comes_first_nothing_is_sent_after_a_rejection(desk: Desk, round_: int) -> None:
    """Threads, as fast as they are: what is taken before is settled, what is not is never taken again."""
    case_id, delivery_id = queued(desk)
    outbox = desk.work.outbox

    def work(_: int) -> tuple[Delivery, ...]:
        return outbox.take("hook", NOW, LEASE, 1)

    with ThreadPoolExecutor(4) as pool:
        early = [pool.submit(work, 0) for _ in range(round_ % 2)]
        rejecting = pool.submit(desk.work.find, case_id, confirmed=False, actor="ben", reason="a cat")
        taking = [*early, *(pool.submit(work, number) for number in range(3))]
        rejecting.result()
    batches = list(itertools.chain.from_iterable(one.result() for one in taking))
    assert len(batches) <= 1
    state = outbox.get(delivery_id).state
    assert state is (DeliveryState.SENDING if batches else DeliveryState.CANCELLED)
    assert outbox.take("hook", NOW + 2 * LEASE, LEASE, 1) == ()
    found = outbox.get(delivery_id)
    expected = DeliveryState.UNSURE if batches else DeliveryState.CANCELLED
    assert (found.state, found.reason.startswith(REASON)) == (expected, True)


def test_a_sweep_killed_between_telling_the_store_and_ending_the_hold(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = desk.open()
    hold = desk.work.hold(case.case_id, "store://17", actor="anna")
    desk.now = hold.deadline

    def dies(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as killed:
        killed.setattr(CaseStore, "release_hold", dies)
        with pytest.raises(Killed):
            desk.work.sweep()
    (running,) = desk.work.get(case.case_id).holds
    assert running.released_at is None
    assert len(desk.work.outbox.of_case(case.case_id)) == 2, "told to keep, and already told to let go"
    desk.now += dt.timedelta(hours=1)
    assert desk.work.sweep().erased == ()
    (ended,) = desk.work.get(case.case_id).holds
    assert ended.released_at == desk.now
    told = desk.work.outbox.of_case(case.case_id)
    assert [b'"action": "release"' in item.parcel.document.body for item in told] == [False, True], "once"


def test_a_hold_that_two_sweeps_end_is_ended_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    case = desk.open()
    hold = desk.work.hold(case.case_id, "store://17", actor="anna")
    desk.now = hold.deadline
    release, others = CaseStore.release_hold, 0

    def raced(store: CaseStore, ending: Hold, *, actor: str, reason: str, now: dt.datetime) -> None:
        nonlocal others
        others += 1
        release(store, ending, actor="another", reason=reason, now=now)
        release(store, ending, actor=actor, reason=reason, now=now)

    monkeypatch.setattr(CaseStore, "release_hold", raced)
    desk.work.sweep()
    assert others == 1
    ended = [event.actor for event in desk.work.get(case.case_id).events if event.what == "hold released"]
    assert ended == ["another"]
    with pytest.raises(CaseConflict, match="has ended already"):
        release(CaseStore(desk.catalog), hold, actor="anna", reason="", now=desk.now)
