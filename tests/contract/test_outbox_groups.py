"""What every catalog's database keeps of deliveries that tell several cases, and of findings that owe opinions."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from hashmatch.cases import owed
from hashmatch.cases.owed import Said
from hashmatch.cases.states import CaseEvent
from hashmatch.cases.store import CaseStore, NewCase
from hashmatch.catalog import postgres_schema, schema
from hashmatch.catalog.postgres import PostgresCatalog
from hashmatch.catalog.relational import RelationalCatalog
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.errors import CaseConflict, CaseNotFound
from hashmatch.model.cases import Environment, Keep, Subject
from hashmatch.model.deliveries import DeliveryState
from hashmatch.outbox.rows import Order
from hashmatch.outbox.states import DeliveryEvent
from hashmatch.outbox.store import DeliveryStore, Settled
from tests.support import cases
from tests.support.cases import NOW
from tests.support.catalog import BACKENDS

LEASE = dt.timedelta(minutes=5)
DAY = dt.timedelta(days=1)
STRANDED = dt.timedelta(days=7)
IDS = ("case-c", "case-a", "case-b")
"""Not in the order of their names: the order is that of the document."""


class Group:
    """Three cases, which end after one, two and three days in the order of their ids, and what tells them."""

    def __init__(self, catalog: RelationalCatalog) -> None:
        self.catalog = catalog
        self.cases = CaseStore(catalog)
        self.outbox = DeliveryStore(catalog)
        for days, case_id in enumerate(IDS, 1):
            made = cases.case(case_id=case_id, subject=Subject(account_id=case_id), keep_subject=Keep.DELIVERED)
            self.cases.add(NewCase(made, NOW + days * DAY, b"d" * 32), "anna")

    def order(self, key: str = "key", case_ids: tuple[str, ...] = IDS, **given: Any) -> Order:
        """Return what is to be delivered of some of them."""
        values: dict[str, Any] = {"outlet": "mail", "environment": Environment.TEST, "document": cases.document()}
        return Order(
            case_id=case_ids[0], further_case_ids=case_ids[1:], key=key, requested_by="anna", **(values | given)
        )

    def history(self, case_id: str) -> list[tuple[str, str]]:
        """Return what happened to a case, and to which delivery."""
        return [(event.what, event.delivery_id) for event in self.cases.events(case_id)]


@pytest.fixture
def group(catalog: RelationalCatalog) -> Group:
    return Group(catalog)


def test_a_delivery_stands_with_each_case_in_the_order_of_its_document(group: Group) -> None:
    queued = group.outbox.queue(group.order(), NOW)
    assert (queued.case_id, queued.further_case_ids, queued.case_ids) == ("case-c", ("case-a", "case-b"), IDS)
    single = group.outbox.queue(group.order("single", ("case-a",)), NOW + LEASE)
    assert single.further_case_ids == ()
    assert [group.outbox.of_case(case_id) for case_id in IDS] == [(queued,), (queued, single), (queued,)]
    assert group.outbox.in_state(DeliveryState.QUEUED) == (queued, single)
    assert group.history("case-b") == [("opened", ""), ("queued", queued.delivery_id)]


def test_a_case_that_is_not_there_queues_nothing(group: Group) -> None:
    with pytest.raises(CaseNotFound, match="there is no case 'case-x'"):
        group.outbox.queue(group.order(case_ids=("case-a", "case-x")), NOW)
    assert group.outbox.of_case("case-a") == ()
    assert group.history("case-a") == [("opened", "")]


def test_a_key_belongs_to_its_cases(group: Group) -> None:
    first = group.outbox.queue(group.order(), NOW)
    assert group.outbox.queue(group.order(), NOW + LEASE) == first
    for others in (("case-c", "case-a"), ("case-c", "case-b", "case-a"), ("case-c",)):
        with pytest.raises(CaseConflict, match="was queued under this key for something else"):
            group.outbox.queue(group.order(case_ids=others), NOW)


def test_a_rejection_of_any_takes_it_back_whole(group: Group) -> None:
    queued = group.outbox.queue(group.order(), NOW)
    group.cases.change("case-b", CaseEvent.REJECT, actor="ben", reason="a cat", now=NOW)
    assert group.outbox.take("mail", NOW, LEASE, 5) == ()
    after = group.outbox.get(queued.delivery_id)
    assert (after.state, after.reason) == (DeliveryState.CANCELLED, "the match was rejected")
    assert [group.history(case_id)[-1] for case_id in IDS] == [("cancel", queued.delivery_id)] * 3


def test_it_is_erased_with_the_first_case_that_is(group: Group) -> None:
    queued = group.outbox.queue(group.order(recipient="abuse@host.example"), NOW)
    (taken,) = group.outbox.take("mail", NOW, LEASE, 5)
    assert group.cases.erase_expired(NOW + 3 * DAY) == (), "it is under way for each of them"
    group.outbox.settle(taken, Settled(DeliveryEvent.ARRIVE, NOW), "outbox", NOW)
    assert group.cases.erase_expired(NOW + DAY) == ("case-c",)
    after = group.outbox.get(queued.delivery_id)
    assert (after.document, after.recipient, after.sha256) == (None, "", queued.sha256)
    assert group.cases.get("case-a").case_id == "case-a"
    assert group.outbox.of_case("case-a") == (after,)


def test_what_nobody_released_ends_with_the_first_case(group: Group) -> None:
    held = group.outbox.queue(group.order(held=True), NOW)
    assert group.outbox.undecided(NOW + 2 * DAY) == {held.delivery_id: NOW + DAY}, "once, and for the first of them"
    (ended,) = group.outbox.expire_undecided(NOW + DAY, STRANDED, "retention")
    assert (ended.delivery_id, ended.state) == (held.delivery_id, DeliveryState.CANCELLED)
    assert [group.history(case_id)[-1] for case_id in IDS] == [("expire", held.delivery_id)] * 3
    assert group.cases.erase_expired(NOW + DAY) == ("case-c",)


def test_subjects_of_all_are_kept_until_it_is_delivered(group: Group) -> None:
    group.outbox.queue(group.order(), NOW)
    (taken,) = group.outbox.take("mail", NOW, LEASE, 5)
    for case_id in IDS:
        group.cases.settle(case_id, NOW)
        assert group.cases.get(case_id).subject == Subject(account_id=case_id)
    group.outbox.settle(taken, Settled(DeliveryEvent.ARRIVE, NOW), "outbox", NOW)
    assert group.cases.told() == tuple(sorted(IDS))
    for case_id in IDS:
        group.cases.settle(case_id, NOW)
        assert group.cases.get(case_id).subject is None


def test_of_one_released_after_a_case_is_erased_nothing_is_sent(group: Group) -> None:
    queued = group.outbox.queue(group.order(), NOW)
    (taken,) = group.outbox.take("mail", NOW, LEASE, 5)
    group.outbox.settle(taken, Settled(DeliveryEvent.GIVE_UP, NOW, "no"), "outbox", NOW)
    assert group.cases.erase_expired(NOW + DAY) == ("case-c",)
    with pytest.raises(CaseConflict, match="the case case-c was erased"):
        group.outbox.change(queued.delivery_id, DeliveryEvent.RETRY, actor="ben", reason="", now=NOW + DAY)


# --- what a finding owes -----------------------------------------------------------------------------------------


def test_a_case_owes_the_opinions_of_its_last_finding(group: Group) -> None:
    first, last = Said(confirmed=True, actor="anna", reason="seen"), Said(confirmed=False, actor="ben", reason="a cat")
    with group.catalog.changing() as session:
        owed.owe(session, "case-a", first)
        owed.owe(session, "case-b", first)
        owed.owe(session, "case-a", last)
    with group.catalog.altering() as session:
        assert owed.owing(session) == ("case-a", "case-b")
        assert owed.owed(session, "case-a") == last
        owed.paid(session, "case-a")
        assert (owed.owed(session, "case-a"), owed.owed(session, "case-c")) == (None, None)
    with group.catalog.reading() as session:
        assert owed.owing(session) == ("case-b",)


def test_a_case_that_owes_opinions_is_not_erased(group: Group) -> None:
    with group.catalog.changing() as session:
        owed.owe(session, "case-c", Said(confirmed=True, actor="anna", reason="seen"))
    assert group.cases.erase_expired(NOW + DAY) == ()
    with group.catalog.altering() as session:
        owed.paid(session, "case-c")
    assert group.cases.erase_expired(NOW + DAY) == ("case-c",)


# --- a database from before --------------------------------------------------------------------------------------

BEFORE = 4
"""The version in which a delivery told one case."""
_INSERT = (
    "INSERT INTO delivery (delivery_id, case_id, outlet, environment, format, state, attempt, due_at_us, taken_by,"
    " dedup_key, recipient, with_file, document, sha256, progress, external_id, reason, requested_by, released_by,"
    " created_at_us, changed_at_us) SELECT 'd-' || case_id, case_id, 'mail', 'test', 'letter', 'dead', 1, 7, '',"
    " 'k-' || case_id, 'abuse@host.example', 0, '', request_sha256, '{}', '', 'no', 'anna', '', 8, 9 FROM report_case"
)


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_deliveries_from_before_tell_the_case_that_they_are_of(
    backend: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = {"sqlite": schema, "postgres": postgres_schema}[backend]
    every = module.migrations()
    assert "delivery_case" in every[BEFORE]
    assert not any("delivery_case" in text for text in every[:BEFORE])
    monkeypatch.setattr(module, "migrations", lambda: every[:BEFORE])
    with BACKENDS[backend](request, tmp_path) as old:
        assert isinstance(old, SqliteCatalog | PostgresCatalog)
        for case_id in IDS:
            CaseStore(old).add(NewCase(cases.case(case_id=case_id), NOW + DAY, b"d" * 32), "anna")
        with old.changing() as session:
            connection: Any = session
            connection.connection.execute(_INSERT)
    monkeypatch.undo()
    with BACKENDS[backend](request, tmp_path) as new:
        assert isinstance(new, SqliteCatalog | PostgresCatalog)
        new.verify()
        store = DeliveryStore(new)
        for case_id in IDS:
            (found,) = store.of_case(case_id)
            assert (found.delivery_id, found.case_ids, found.state) == (f"d-{case_id}", (case_id,), DeliveryState.DEAD)
        assert set(CaseStore(new).erase_expired(NOW + DAY)) == set(IDS)
        assert all(store.get(f"d-{case_id}").recipient == "" for case_id in IDS)
