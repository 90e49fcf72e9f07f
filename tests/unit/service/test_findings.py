"""Findings: whatever step a process is killed at, the opinions are given once, and by the last finding."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hashmatch.cases import owed
from hashmatch.cases.store import CaseStore
from hashmatch.catalog import deciding
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.errors import CaseConflict
from hashmatch.model import Stance
from hashmatch.model.cases import CaseState, Environment
from hashmatch.model.deliveries import DeliveryState
from hashmatch.model.figures import Counter
from hashmatch.outbox.states import DeliveryEvent
from hashmatch.outbox.store import DeliveryStore
from hashmatch.service.casework import Sending
from hashmatch.service.findings import Findings
from tests.support.cases import NOW
from tests.unit.service.test_casework import Desk


class KilledError(BaseException):
    """The process ends here: nothing of ours catches it."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.catalog.close()


def opinions(desk: Desk) -> list[tuple[str, Stance, str]]:
    entry = desk.catalog.get_entry("known", "a1")
    return [(opinion.who, opinion.stance, opinion.reason) for opinion in entry.opinions]


def rejected(desk: Desk) -> int:
    rows = desk.work.counted(NOW.date(), NOW.date())
    return sum(row.count for row in rows if row.counter is Counter.REJECTED)


STEPS: dict[str, tuple[object, str]] = {
    "before anything was cancelled": (Findings, "_take_back"),
    "while a delivery is cancelled": (DeliveryStore, "change"),
    "before the opinions": (SqliteCatalog, "altering"),
    "while the debt is read": (owed, "owed"),
    "at the opinion": (deciding, "vote"),
    "after the opinion": (owed, "paid"),
    "after everything but the subject": (CaseStore, "settle"),
}


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_the_opinion_is_given_once(desk: Desk, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    case = desk.open()
    queued = desk.work.send(
        case.case_id, Sending(outlet="careful", environment=Environment.TEST, format="stix"), actor="anna"
    )
    before = desk.catalog.sequence()

    def dies(*_: Any, **__: Any) -> None:
        raise KilledError

    with monkeypatch.context() as killing:
        killing.setattr(*STEPS[step], dies)
        with pytest.raises(KilledError):
            desk.work.find(case.case_id, confirmed=False, actor="ben", reason="a cat")
    assert desk.work.get(case.case_id).case.state is CaseState.REJECTED, "the finding stands from its first transaction"
    assert rejected(desk) == 1
    for _ in range(2):
        desk.work.sweep()
        assert opinions(desk) == [("Example Foundation", Stance.DISAGREE, "a cat")]
        assert desk.catalog.sequence() == before + 1, "given once"
    if desk.work.outbox.get(queued.delivery_id).state is DeliveryState.HELD:
        desk.work.decide(queued.delivery_id, DeliveryEvent.RELEASE, actor="ben")
    assert desk.work.outbox.take("careful", NOW, dt.timedelta(minutes=5), 1) == (), "nothing of it is sent"


def test_killed_in_the_first_transaction_nothing_happened(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    case = desk.open()

    def dies(*_: Any, **__: Any) -> None:
        raise KilledError

    with monkeypatch.context() as killing:
        killing.setattr(owed, "owe", dies)
        with pytest.raises(KilledError):
            desk.work.find(case.case_id, confirmed=False, actor="ben", reason="a cat")
    desk.work.sweep()
    assert (desk.work.get(case.case_id).case.state, rejected(desk), opinions(desk)) == (CaseState.OPEN, 0, [])


def test_a_late_payer_gives_the_opinion_of_the_last_finding(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep has seen that the case owes; before it pays, a person finds the match wrong after all."""
    case = desk.open()
    pay: Callable[[Findings, str], object] = Findings._pay
    with monkeypatch.context() as killing:
        killing.setattr(Findings, "_pay", lambda *_: (_ for _ in ()).throw(KilledError))
        with pytest.raises(KilledError):
            desk.work.find(case.case_id, confirmed=True, actor="anna", reason="seen")

    def late(self: Findings, case_id: str) -> object:
        monkeypatch.setattr(Findings, "_pay", pay)
        desk.work.find(case.case_id, confirmed=False, actor="ben", reason="a cat")
        return pay(self, case_id)

    monkeypatch.setattr(Findings, "_pay", late)
    desk.work.sweep()
    assert opinions(desk) == [("Example Foundation", Stance.DISAGREE, "a cat")]


def test_a_rejection_of_one_cancels_what_tells_others_and_leaves_those_open(desk: Desk) -> None:
    one, other = desk.open(), desk.open()
    sending = Sending(outlet="hook", environment=Environment.TEST, format="letter", held=True)
    queued = desk.work.send_several((one.case_id, other.case_id), sending, actor="anna")
    assert queued.state is DeliveryState.HELD
    desk.work.find(other.case_id, confirmed=False, actor="ben", reason="a cat")
    after = desk.work.outbox.get(queued.delivery_id)
    assert (after.state, after.reason) == (
        DeliveryState.CANCELLED,
        f"the match of case {other.case_id} was rejected; send the others anew",
    )
    assert desk.work.get(one.case_id).case.state is CaseState.OPEN
    with pytest.raises(CaseConflict, match=f"^case_id: the case is rejected: {other.case_id}; reopen it to send it$"):
        desk.work.send_several((one.case_id, other.case_id), sending, actor="anna")
    assert desk.work.send(one.case_id, sending, actor="anna").delivery_id != queued.delivery_id
