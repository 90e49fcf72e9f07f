"""What every catalog's database keeps of deliveries."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hashmatch.cases.counters import CounterStore, count_up
from hashmatch.cases.states import CaseEvent
from hashmatch.cases.store import CaseStore, NewCase
from hashmatch.catalog.relational import RelationalCatalog
from hashmatch.catalog.session import Session
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.errors import CaseConflict, CaseNotFound
from hashmatch.model import HarmDomain
from hashmatch.model.cases import Environment
from hashmatch.model.deliveries import DeliveryState
from hashmatch.model.figures import Counted, Counter
from hashmatch.outbox.rows import Delivery, Order
from hashmatch.outbox.states import TABLE, DeliveryEvent, moved
from hashmatch.outbox.store import DeliveryStore, Settled
from tests.support import cases
from tests.support.cases import NOW

LEASE = dt.timedelta(minutes=5)
LATER = NOW + dt.timedelta(hours=1)


@pytest.fixture
def store(catalog: RelationalCatalog) -> DeliveryStore:
    CaseStore(catalog).add(NewCase(cases.case(), NOW + dt.timedelta(365), b"d" * 32), "anna")
    return DeliveryStore(catalog)


def order(key: str = "key", **given: Any) -> Order:
    values: dict[str, Any] = {"outlet": "ncmec", "environment": Environment.TEST, "document": cases.document()}
    return Order(case_id=cases.CASE_ID, key=key, requested_by="anna", **(values | given))


def test_a_document_comes_back_byte_by_byte(store: DeliveryStore) -> None:
    document = cases.document(bytes(range(256)), parts=(("fileDetails", b"\xff\x00"),))
    queued = store.queue(order(document=document, recipient="desk@example.org", with_file=True), NOW)
    assert queued.document == document
    assert (queued.state, queued.recipient, queued.with_file) == (DeliveryState.QUEUED, "desk@example.org", True)
    assert store.of_case(cases.CASE_ID) == (queued,)
    assert store.in_state(DeliveryState.QUEUED) == (queued,)


def test_queued_twice_is_queued_once(store: DeliveryStore) -> None:
    first = store.queue(order(), NOW)
    assert store.queue(order(document=cases.document(b"rendered a moment later")), LATER) == first
    with pytest.raises(CaseConflict, match="was queued under this key for something else"):
        store.queue(order(document=cases.document(format="xarf")), LATER)
    assert len(store.of_case(cases.CASE_ID)) == 1


def test_what_is_due_is_taken_by_one_process_only(store: DeliveryStore) -> None:
    for number in range(40):
        store.queue(order(f"key-{number}"), NOW)
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(lambda _: store.take("ncmec", LATER, LEASE, 5), range(12)))
    ids = [one.delivery_id for batch in batches for one in batch]
    assert len(ids) == len(set(ids)) == 40
    assert store.take("another", LATER, LEASE, 5) == ()


def test_nothing_is_taken_before_it_is_due(store: DeliveryStore) -> None:
    store.queue(order(), LATER)
    assert store.next_due("ncmec") == LATER
    assert store.take("ncmec", NOW, LEASE, 5) == ()
    assert len(store.take("ncmec", LATER, LEASE, 5)) == 1


def test_progress_survives_the_process_and_the_lease_fences(store: DeliveryStore) -> None:
    store.queue(order(), NOW)
    (dead,) = store.take("ncmec", NOW, LEASE, 5)
    store.save(dead, {"report_id": "17"}, NOW, LEASE)
    assert store.take("ncmec", NOW + LEASE - dt.timedelta(seconds=1), LEASE, 5) == ()
    (taken,) = store.take("ncmec", NOW + LEASE, LEASE, 5)
    assert (taken.progress, taken.attempt) == ({"report_id": "17"}, 2)
    with pytest.raises(CaseConflict, match="another process has"):
        store.save(dead, {}, LATER, LEASE)
    with pytest.raises(CaseConflict, match="another process has"):
        store.settle(dead, Settled(DeliveryEvent.ARRIVE, LATER), "outbox", LATER)
    done = store.settle(taken, Settled(DeliveryEvent.ARRIVE, LATER, "", "17"), "outbox", LATER)
    assert (done.state, done.external_id) == (DeliveryState.DELIVERED, "17")


def test_two_persons(store: DeliveryStore) -> None:
    held = store.queue(order(held=True), NOW)
    assert store.take("ncmec", LATER, LEASE, 5) == ()
    with pytest.raises(CaseConflict, match="anna asked for this delivery; another person must release it"):
        store.change(held.delivery_id, DeliveryEvent.RELEASE, actor="anna", reason="", now=NOW)
    released = store.change(held.delivery_id, DeliveryEvent.RELEASE, actor="ben", reason="seen", now=NOW)
    assert (released.state, released.released_by) == (DeliveryState.QUEUED, "ben")
    assert len(store.take("ncmec", LATER, LEASE, 5)) == 1


def test_a_dead_letter_is_sent_again_when_a_person_says_so(store: DeliveryStore) -> None:
    store.queue(order(), NOW)
    (taken,) = store.take("ncmec", NOW, LEASE, 5)
    dead = store.settle(taken, Settled(DeliveryEvent.GIVE_UP, NOW, "4100: no incidentType"), "outbox", NOW)
    assert (dead.state, dead.reason) == (DeliveryState.DEAD, "4100: no incidentType")
    assert store.take("ncmec", LATER, LEASE, 5) == ()
    again = store.change(dead.delivery_id, DeliveryEvent.RETRY, actor="ben", reason="fixed", now=LATER)
    assert (again.state, again.attempt) == (DeliveryState.QUEUED, 0)


def test_a_file_is_awaited_taken_and_expires(store: DeliveryStore) -> None:
    queued = store.queue(order(with_file=True), NOW)
    (taken,) = store.take("ncmec", NOW, LEASE, 5)
    store.settle(taken, Settled(DeliveryEvent.AWAIT_FILE, LATER), "outbox", NOW)
    assert store.take("ncmec", LATER, LEASE, 5) == ()
    relaying = store.take_for_file(queued.delivery_id, NOW, LEASE)
    with pytest.raises(CaseConflict, match="that is sending cannot be changed by take"):
        store.take_for_file(queued.delivery_id, NOW, LEASE)
    store.settle(relaying, Settled(DeliveryEvent.AWAIT_FILE, LATER, "the connection broke"), "outbox", NOW)
    assert store.expire("ncmec", NOW, "outbox") == ()
    assert store.expire("ncmec", LATER, "outbox") == (queued.delivery_id,)
    assert store.get(queued.delivery_id).state is DeliveryState.DEAD


def test_unknown_deliveries(store: DeliveryStore) -> None:
    with pytest.raises(CaseNotFound, match="there is no delivery 'nobody'"):
        store.get("nobody")


@pytest.mark.parametrize("state", list(DeliveryState))
@pytest.mark.parametrize("event", list(DeliveryEvent))
def test_what_is_not_in_the_table_cannot_happen(state: DeliveryState, event: DeliveryEvent) -> None:
    if (state, event) in TABLE:
        assert moved(state, event) is TABLE[state, event]
    else:
        with pytest.raises(CaseConflict, match=f"that is {state.value} cannot be changed by {event.value}"):
            moved(state, event)


def test_one_key_at_once_is_one_delivery(store: DeliveryStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: store.queue(order(), NOW).delivery_id, range(24)))
    assert len(made) == 1
    assert len(store.of_case(cases.CASE_ID)) == 1


@pytest.mark.parametrize("name", ["Anna", " anna", "an na", "\uff41nna"])
def test_a_second_person_is_not_the_first_one_in_other_letters(store: DeliveryStore, name: str) -> None:
    held = store.queue(order(held=True), NOW)
    with pytest.raises(CaseConflict, match="another person must release it"):
        store.change(held.delivery_id, DeliveryEvent.RELEASE, actor=name, reason="", now=NOW)


def test_nothing_is_sent_of_a_match_that_was_rejected(catalog: RelationalCatalog, store: DeliveryStore) -> None:
    sending = store.queue(order("first"), NOW)
    store.take("ncmec", NOW, LEASE, 5)
    queued = store.queue(order("second"), NOW)
    CaseStore(catalog).change(cases.CASE_ID, CaseEvent.REJECT, actor="ben", reason="a cat", now=NOW)
    assert store.take("ncmec", LATER, LEASE, 5) == ()
    assert store.get(queued.delivery_id).state is DeliveryState.CANCELLED
    found = store.get(sending.delivery_id)
    assert (found.state, found.reason) == (
        *(DeliveryState.UNSURE, "the match was rejected while it was being sent; look whether it arrived"),
    )


def test_what_a_receiver_says_is_kept_legible(store: DeliveryStore) -> None:
    store.queue(order(), NOW)
    (taken,) = store.take("ncmec", NOW, LEASE, 5)
    settled = store.settle(taken, Settled(DeliveryEvent.GIVE_UP, NOW, "no\x00\nthanks" + "x" * 3_000), "outbox", NOW)
    assert settled.reason.startswith("no  thanksxx")
    assert len(settled.reason) == 2_000


@pytest.mark.parametrize("actor", ["anna", "Anna", " anna ", "\uff41nna", "an na"])
def test_the_same_person_in_another_spelling_releases_nothing(store: DeliveryStore, actor: str) -> None:
    held = store.queue(order(held=True), NOW)
    with pytest.raises(CaseConflict, match="another person must release it"):
        store.change(held.delivery_id, DeliveryEvent.RELEASE, actor=actor, reason="", now=NOW)
    assert store.get(held.delivery_id).state is DeliveryState.HELD


def test_what_is_postponed_after_a_rejection_is_taken_back(catalog: RelationalCatalog, store: DeliveryStore) -> None:
    postponed, lost = store.queue(order("a"), NOW).delivery_id, store.queue(order("b"), NOW).delivery_id
    hold = store.queue(order("c", document=cases.document(format="hold")), LATER).delivery_id
    for one in store.take("ncmec", NOW, LEASE, 2):
        if one.delivery_id == postponed:
            store.settle(one, Settled(DeliveryEvent.POSTPONE, NOW, "HTTP 503"), "outbox", NOW)
    CaseStore(catalog).change(cases.CASE_ID, CaseEvent.REJECT, actor="ben", reason="no", now=NOW)
    assert [one.delivery_id for one in store.take("ncmec", LATER, LEASE, 5)] == [hold]
    found = {one.delivery_id: (one.state, one.reason) for one in store.of_case(cases.CASE_ID)}
    assert found[postponed] == (DeliveryState.CANCELLED, "the match was rejected")
    reason = "the match was rejected while it was being sent; look whether it arrived"
    assert found[lost] == (DeliveryState.UNSURE, reason)


def test_what_a_receiver_says_is_bounded_and_printable(store: DeliveryStore) -> None:
    store.queue(order(), NOW)
    (taken,) = store.take("ncmec", NOW, LEASE, 1)
    done = store.settle(taken, Settled(DeliveryEvent.GIVE_UP, NOW, "a\0b\n" + "x" * 5_000), "outbox", NOW)
    assert done.reason == "a b " + "x" * 1_996


DAMAGED = {
    "no JSON": ("document", "{", "document (JSONDecodeError)"),
    "other JSON": ("document", '{"format": "cybertip"}', "document (KeyError)"),
    "another document": ("document", None, "document (not what its SHA-256 is of)"),
    "no base64": (
        *("document", '{"format":"a","media_type":"b","file_name":"c","parts":[],"body":"*"}', "document (Error)"),
    ),
    "a number for a name": (
        *("document", '{"format":7,"media_type":"b","file_name":"c","parts":[],"body":""}', "document (TypeError)"),
    ),
    "progress": ("progress", "[1]", "progress (TypeError)"),
    "progress nested deeply": ("progress", "[" * 100_000, "progress (RecursionError)"),
    "environment": ("environment", "staging", "environment (ValueError)"),
    "time": ("created_at_us", 2**62, "created_at_us (OverflowError)"),
}


def damage(catalog: RelationalCatalog, delivery_id: str, column: str, value: object) -> None:
    """Write what no hashmatch writes, past the checks of the table."""
    update = "UPDATE delivery SET {} = {} WHERE delivery_id = {}".format  # columns of the table above
    with catalog.changing() as session:
        connection: Any = session.connection  # type: ignore[attr-defined]
        if isinstance(catalog, SqliteCatalog):
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute(update(column, "?", "?"), (value, delivery_id))
            connection.execute("PRAGMA ignore_check_constraints = OFF")
        else:
            connection.execute("ALTER TABLE delivery DROP CONSTRAINT IF EXISTS delivery_environment_check")
            connection.execute(update(column, "%s", "%s"), (value, delivery_id))


@pytest.mark.parametrize("kind", sorted(DAMAGED))
def test_a_damaged_delivery_is_dead_and_the_others_are_taken(
    catalog: RelationalCatalog, store: DeliveryStore, kind: str
) -> None:
    column, value, defect = DAMAGED[kind]
    bad = store.queue(order("bad"), NOW).delivery_id
    good = store.queue(order("good", document=cases.document(b"another")), NOW).delivery_id
    if value is None:
        with catalog.reading() as session:
            value = session.run("delivery_by_id", (good,)).fetchone()[12]
    damage(catalog, bad, column, value)
    taken = {one.delivery_id: one for one in store.take("ncmec", LATER, LEASE, 5)}
    reason = f"damaged in the database, and so not sent: {defect}"
    assert (taken[bad].state, taken[bad].reason) == (DeliveryState.DEAD, reason)
    assert taken[good].state is DeliveryState.SENDING
    assert {one.delivery_id for one in store.of_case(cases.CASE_ID)} == {bad, good}, "it is shown as well"
    assert store.in_state(DeliveryState.DEAD) == (store.get(bad),)
    last = CaseStore(catalog).events(cases.CASE_ID)[-1]
    assert (last.actor, last.what, last.reason, last.delivery_id) == ("outbox", "give_up", reason, bad)
    with pytest.raises(CaseConflict, match="damaged in the database, and so not sent"):
        store.change(bad, DeliveryEvent.RETRY, actor="ben", reason="", now=LATER)


def test_what_is_damaged_takes_no_file(catalog: RelationalCatalog, store: DeliveryStore) -> None:
    queued = store.queue(order(with_file=True), NOW)
    (taken,) = store.take("ncmec", NOW, LEASE, 5)
    store.settle(taken, Settled(DeliveryEvent.AWAIT_FILE, LATER), "outbox", NOW)
    damage(catalog, queued.delivery_id, "progress", "7")
    with pytest.raises(CaseConflict, match=r"damaged in the database, and so not sent: progress \(TypeError\)"):
        store.take_for_file(queued.delivery_id, NOW, LEASE)
    assert store.expire("ncmec", LATER, "outbox") == (queued.delivery_id,)


def test_what_arrives_is_counted_in_the_same_transaction(catalog: RelationalCatalog, store: DeliveryStore) -> None:
    """A process may end at any moment: either both are there, or neither."""
    counting = CounterStore(catalog)
    row = Counted(NOW.date(), Counter.REPORTED, domain=HarmDomain.CSAM, outlet="ncmec")

    def count(session: Session, delivery: Delivery, event: DeliveryEvent) -> None:
        assert (delivery.state, event) == (DeliveryState.DELIVERED, DeliveryEvent.ARRIVE)
        count_up(session, [row])
        if fails:
            raise ProcessLookupError

    outbox = DeliveryStore(catalog, count)
    outbox.queue(order(), NOW)
    (taken,) = outbox.take("ncmec", NOW, LEASE, 5)
    fails = True
    with pytest.raises(ProcessLookupError):
        outbox.settle(taken, Settled(DeliveryEvent.ARRIVE, NOW), "outbox", NOW)
    assert store.get(taken.delivery_id).state is DeliveryState.SENDING
    assert counting.between(NOW.date(), NOW.date()) == ()
    fails = False
    outbox.settle(taken, Settled(DeliveryEvent.ARRIVE, NOW), "outbox", NOW)
    assert counting.between(NOW.date(), NOW.date()) == (row,)


def test_what_a_person_found_to_have_arrived_is_noted(catalog: RelationalCatalog) -> None:
    noted: list[tuple[DeliveryState, DeliveryEvent]] = []
    CaseStore(catalog).add(NewCase(cases.case(), NOW + dt.timedelta(365), b"d" * 32), "anna")
    outbox = DeliveryStore(catalog, lambda _, delivery, event: noted.append((delivery.state, event)))
    outbox.queue(order(), NOW)
    (taken,) = outbox.take("ncmec", NOW, LEASE, 5)
    outbox.settle(taken, Settled(DeliveryEvent.DOUBT, NOW, "no answer"), "outbox", NOW)
    outbox.change(taken.delivery_id, DeliveryEvent.CONFIRM, actor="ben", reason="seen there", now=LATER)
    assert noted == [(DeliveryState.UNSURE, DeliveryEvent.DOUBT), (DeliveryState.DELIVERED, DeliveryEvent.CONFIRM)]
