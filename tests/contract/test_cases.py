"""What every catalog's database keeps of cases, holds and counters."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from hashmatch.cases.counters import CounterStore
from hashmatch.cases.states import CaseEvent
from hashmatch.cases.store import CaseStore, NewCase
from hashmatch.catalog.relational import RelationalCatalog
from hashmatch.errors import CaseConflict, CaseNotFound
from hashmatch.model import HarmDomain
from hashmatch.model.cases import Case, CaseState, Environment, Keep, Subject
from hashmatch.model.deliveries import DeliveryState, Hold
from hashmatch.model.figures import Counted, Counter
from hashmatch.outbox.rows import Order
from hashmatch.outbox.states import DeliveryEvent
from hashmatch.outbox.store import DeliveryStore, Settled
from tests.support import cases
from tests.support.cases import NOW

YEAR = dt.timedelta(days=365)
SUBJECT = Subject(account_id="user-17", emails=("somebody@example.org",))


def new(case: Case, key: str = "", digest: bytes = b"d" * 32) -> NewCase:
    return NewCase(case, NOW + YEAR, digest, key)


def test_a_case_comes_back_as_it_was_given(catalog: RelationalCatalog) -> None:
    store = CaseStore(catalog)
    case = cases.case(subject=SUBJECT, keep_subject=Keep.CASE, territorial_scope=("NL", "GR"), urgent="live abuse")
    assert store.add(new(case), "anna") == case
    assert store.get(case.case_id) == case
    (opened,) = store.events(case.case_id)
    assert (opened.at, opened.actor, opened.what) == (NOW, "anna", "opened")


def test_a_subject_of_the_call_is_not_kept(catalog: RelationalCatalog) -> None:
    store = CaseStore(catalog)
    case = cases.case(subject=SUBJECT)
    assert store.add(new(case), "anna").subject is None
    with catalog.reading() as session:
        row = session.run("case_by_id", (case.case_id,)).fetchone()
    assert "user-17" not in str(row)
    assert "somebody@example.org" not in str(row)


def test_the_same_request_makes_one_case_and_another_one_is_refused(catalog: RelationalCatalog) -> None:
    store = CaseStore(catalog)
    first = store.add(new(cases.case(), "key-1"), "anna")
    again = store.add(new(cases.case(case_id="another"), "key-1"), "anna")
    assert again == first
    with pytest.raises(CaseConflict, match="'key-1' was used for another request"):
        store.add(new(cases.case(case_id="another"), "key-1", b"e" * 32), "anna")
    assert [case.case_id for case in store.page()] == [first.case_id]
    assert store.add(new(cases.case(case_id="third")), "anna").case_id == "third"


def test_pages_are_in_order_and_filtered(catalog: RelationalCatalog) -> None:
    store = CaseStore(catalog)
    for number in range(5):
        domain = HarmDomain.CSAM if number % 2 else HarmDomain.WILDLIFE
        case = replace(cases.case(cases.hit(domain), case_id=f"case-{number}"), created_at=NOW + dt.timedelta(number))
        store.add(new(case), "anna")
    store.change("case-3", CaseEvent.CLOSE, actor="anna", reason="done", now=NOW)
    assert [case.case_id for case in store.page(most=2)] == ["case-0", "case-1"]
    assert [case.case_id for case in store.page(after="case-1", most=2)] == ["case-2", "case-3"]
    assert [case.case_id for case in store.page(domain=HarmDomain.WILDLIFE)] == ["case-0", "case-2", "case-4"]
    assert [case.case_id for case in store.page(state=CaseState.CLOSED)] == ["case-3"]
    with pytest.raises(CaseNotFound, match="there is no case 'nobody'"):
        store.page(after="nobody")


def test_a_case_moves_as_the_table_says(catalog: RelationalCatalog) -> None:
    store = CaseStore(catalog)
    store.add(new(cases.case()), "anna")
    assert (
        store.change(cases.CASE_ID, CaseEvent.REJECT, actor="ben", reason="a cat", now=NOW).state is CaseState.REJECTED
    )
    with pytest.raises(CaseConflict, match="that is rejected cannot be changed by close; possible is reopen"):
        store.change(cases.CASE_ID, CaseEvent.CLOSE, actor="ben", reason="", now=NOW)
    assert [(event.actor, event.what, event.reason) for event in store.events(cases.CASE_ID)] == [
        ("anna", "opened", ""),
        ("ben", "reject", "a cat"),
    ]


def test_a_subject_is_forgotten_when_everything_is_delivered(catalog: RelationalCatalog) -> None:
    store, outbox = CaseStore(catalog), DeliveryStore(catalog)
    store.add(new(cases.case(subject=SUBJECT, keep_subject=Keep.DELIVERED)), "anna")
    delivery = outbox.queue(_order("key"), NOW)
    store.settle(cases.CASE_ID, NOW)
    assert store.get(cases.CASE_ID).subject == SUBJECT
    outbox.change(delivery.delivery_id, DeliveryEvent.CANCEL, actor="anna", reason="no", now=NOW)
    store.settle(cases.CASE_ID, NOW)
    assert store.get(cases.CASE_ID).subject is None
    assert store.events(cases.CASE_ID)[-1].what == "subject erased"


def test_a_dead_letter_keeps_the_subject_and_what_arrived_is_forgotten_with_it(catalog: RelationalCatalog) -> None:
    store, outbox = CaseStore(catalog), DeliveryStore(catalog)
    store.add(new(cases.case(subject=SUBJECT, keep_subject=Keep.DELIVERED)), "anna")
    assert store.told() == (), "nothing was to be reported yet"
    store.settle(cases.CASE_ID, NOW)
    assert store.get(cases.CASE_ID).subject == SUBJECT
    outbox.queue(_order("key"), NOW)
    (taken,) = outbox.take("ncmec", NOW, YEAR, 1)
    outbox.settle(taken, Settled(DeliveryEvent.GIVE_UP, NOW, "4100"), "outbox", NOW)
    store.settle(cases.CASE_ID, NOW)
    assert store.get(cases.CASE_ID).subject == SUBJECT, "it may be sent again"
    outbox.change(taken.delivery_id, DeliveryEvent.RETRY, actor="ben", reason="", now=NOW)
    (taken,) = outbox.take("ncmec", NOW, YEAR, 1)
    outbox.settle(taken, Settled(DeliveryEvent.ARRIVE, NOW), "outbox", NOW)
    assert store.told() == (cases.CASE_ID,)
    store.settle(cases.CASE_ID, NOW)
    assert store.get(cases.CASE_ID).subject is None
    assert outbox.get(taken.delivery_id).document is None, "it may name the subject, too"
    assert store.told() == ()


def test_an_expired_case_is_erased_once_nothing_holds_it(catalog: RelationalCatalog) -> None:
    store, outbox = CaseStore(catalog), DeliveryStore(catalog)
    store.add(new(cases.case(subject=SUBJECT, keep_subject=Keep.CASE), "key-1"), "anna")
    delivery = outbox.queue(_order("key"), NOW)
    hold = store.add_hold(Hold("hold-1", cases.CASE_ID, "store://17", NOW + YEAR, NOW), "anna")
    late = NOW + 2 * YEAR
    assert store.erase_expired(late) == ()
    outbox.change(delivery.delivery_id, DeliveryEvent.CANCEL, actor="anna", reason="no", now=NOW)
    assert store.erase_expired(late) == ()
    assert store.holds_due(late) == (hold,)
    store.release_hold(hold, actor="anna", reason="deadline", now=late)
    assert store.erase_expired(NOW) == ()
    assert store.erase_expired(late) == (cases.CASE_ID,)
    assert store.erase_expired(late) == ()
    with pytest.raises(CaseConflict, match="was erased when its retention time had passed"):
        store.get(cases.CASE_ID)
    assert store.page() == ()
    assert outbox.get(delivery.delivery_id).document is None
    assert outbox.get(delivery.delivery_id).sha256 == delivery.sha256
    assert store.events(cases.CASE_ID)[-1].what == "erased"
    with pytest.raises(CaseConflict, match="was erased when its retention time had passed"):
        outbox.queue(_order("later"), late)
    with pytest.raises(CaseConflict, match="was erased when its retention time had passed"):
        store.add_hold(replace(hold, hold_id="hold-2"), "anna")
    with catalog.reading() as session:
        row = session.run("case_by_id", (cases.CASE_ID,)).fetchone()
    assert "user-17" not in str(row)


def test_a_hold_ends_once(catalog: RelationalCatalog) -> None:
    store = CaseStore(catalog)
    store.add(new(cases.case()), "anna")
    hold = store.add_hold(Hold("hold-1", cases.CASE_ID, "store://17", NOW + YEAR, NOW), "anna")
    store.release_hold(hold, actor="ben", reason="police has it", now=NOW)
    assert store.holds(cases.CASE_ID) == (replace(hold, released_at=NOW),)
    with pytest.raises(CaseConflict, match="the hold hold-1 has ended already"):
        store.release_hold(hold, actor="ben", reason="", now=NOW)
    with pytest.raises(CaseNotFound, match="there is no case 'nobody'"):
        store.add_hold(replace(hold, hold_id="hold-2", case_id="nobody"), "anna")


def test_counters_add_up_whoever_counts(catalog: RelationalCatalog) -> None:
    one, other = CounterStore(catalog), CounterStore(catalog)
    day = NOW.date()
    row = Counted(day, Counter.MATCH, "known", "pdq", HarmDomain.CSAM, count=3)
    one.add([row, Counted(day, Counter.CHECKED, count=10)])
    other.add([row])
    assert one.between(day, day) == (Counted(day, Counter.CHECKED, count=10), replace(row, count=6))
    assert one.between(day + dt.timedelta(1), day + dt.timedelta(2)) == ()


def _order(key: str) -> Order:
    return Order(
        case_id=cases.CASE_ID,
        outlet="ncmec",
        environment=Environment.TEST,
        document=cases.document(),
        key=key,
        requested_by="anna",
    )


def test_one_key_at_once_is_one_case(catalog: RelationalCatalog) -> None:
    store = CaseStore(catalog)

    def add(number: int) -> str:
        return store.add(new(cases.case(case_id=f"case-{number}"), "key"), "anna").case_id

    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(add, range(24)))
    assert len(made) == 1
    assert [case.case_id for case in store.page()] == list(made)
    assert [event.what for event in store.events(made.pop())] == ["opened"]


def test_one_hold_asked_for_at_once_is_one_hold(catalog: RelationalCatalog) -> None:
    store = CaseStore(catalog)
    store.add(new(cases.case()), "anna")
    hold = Hold("hold-1", cases.CASE_ID, "store://17", NOW + YEAR, NOW)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: store.add_hold(hold, "anna"), range(16))) == {hold}
    assert [event.what for event in store.events(cases.CASE_ID)] == ["opened", "hold"]


def test_a_subject_waits_for_its_first_report_and_for_dead_letters(catalog: RelationalCatalog) -> None:
    store, outbox = CaseStore(catalog), DeliveryStore(catalog)
    store.add(new(cases.case(subject=SUBJECT, keep_subject=Keep.DELIVERED)), "anna")
    store.settle(cases.CASE_ID, NOW)
    assert store.get(cases.CASE_ID).subject == SUBJECT, "nothing was to be reported yet"
    delivery = outbox.queue(_order("key"), NOW)
    (taken,) = outbox.take(delivery.outlet, NOW, dt.timedelta(minutes=5), 1)
    outbox.settle(taken, Settled(DeliveryEvent.GIVE_UP, NOW, "HTTP 401"), "outbox", NOW)
    store.settle(cases.CASE_ID, NOW)
    assert store.get(cases.CASE_ID).subject == SUBJECT, "a dead letter may be sent again"
    assert store.told() == ()
    outbox.change(delivery.delivery_id, DeliveryEvent.RETRY, actor="anna", reason="", now=NOW)
    (taken,) = outbox.take(delivery.outlet, NOW, dt.timedelta(minutes=5), 1)
    outbox.settle(taken, Settled(DeliveryEvent.ARRIVE, NOW), "outbox", NOW)
    assert store.told() == (cases.CASE_ID,)
    store.settle(cases.CASE_ID, NOW)
    assert store.get(cases.CASE_ID).subject is None
    assert outbox.get(delivery.delivery_id).document is None, "what was sent held the subject as well"
    assert store.told() == ()


def test_nothing_is_done_to_an_erased_case(catalog: RelationalCatalog) -> None:
    store, outbox = CaseStore(catalog), DeliveryStore(catalog)
    store.add(new(cases.case()), "anna")
    delivery = outbox.queue(_order("key"), NOW)
    (taken,) = outbox.take(delivery.outlet, NOW, dt.timedelta(minutes=5), 1)
    outbox.settle(taken, Settled(DeliveryEvent.GIVE_UP, NOW, "no"), "outbox", NOW)
    assert store.erase_expired(NOW + 2 * YEAR) == (cases.CASE_ID,)
    with pytest.raises(CaseConflict, match="was erased when its retention time had passed"):
        outbox.change(delivery.delivery_id, DeliveryEvent.RETRY, actor="anna", reason="", now=NOW)
    with pytest.raises(CaseConflict, match="was erased when its retention time had passed"):
        outbox.queue(_order("another"), NOW)
    with pytest.raises(CaseConflict, match="was erased when its retention time had passed"):
        store.add_hold(Hold("hold-1", cases.CASE_ID, "store://17", NOW + YEAR, NOW), "anna")
    assert outbox.get(delivery.delivery_id).state is DeliveryState.DEAD


def test_findings_at_once_lose_no_update(catalog: RelationalCatalog) -> None:
    store = CaseStore(catalog)
    store.add(new(cases.case()), "anna")

    def reject(_: int) -> str:
        try:
            return store.change(cases.CASE_ID, CaseEvent.REJECT, actor="anna", reason="no", now=NOW).state.value
        except CaseConflict:
            return "refused"

    with ThreadPoolExecutor(8) as pool:
        results = sorted(pool.map(reject, range(16)))
    assert results == ["refused"] * 15 + ["rejected"]
    assert [event.what for event in store.events(cases.CASE_ID)] == ["opened", "reject"]


def test_a_text_with_nul_comes_back(catalog: RelationalCatalog) -> None:
    store = CaseStore(catalog)
    assert store.add(new(cases.case(note="a\0b \N{SNOWMAN}")), "anna").note == "a\0b \N{SNOWMAN}"


def _expiring(catalog: RelationalCatalog) -> tuple[CaseStore, DeliveryStore, dict[DeliveryState, str]]:
    """Return a case with a delivery in each state that is not final."""
    store, outbox = CaseStore(catalog), DeliveryStore(catalog)
    store.add(new(cases.case(subject=SUBJECT, keep_subject=Keep.CASE)), "anna")
    held = replace(_order("held"), held=True)
    ids = {DeliveryState.HELD: outbox.queue(held, NOW).delivery_id}
    for state, event in (
        (DeliveryState.DEAD, DeliveryEvent.GIVE_UP),
        (DeliveryState.UNSURE, DeliveryEvent.DOUBT),
        (DeliveryState.WAITING, DeliveryEvent.AWAIT_FILE),
        (DeliveryState.SENDING, None),
    ):
        ids[state] = outbox.queue(replace(_order(state.value), with_file=True), NOW).delivery_id
        (taken,) = outbox.take("ncmec", NOW, dt.timedelta(minutes=5), 1)
        if event is not None:
            outbox.settle(taken, Settled(event, NOW, "no answer"), "outbox", NOW)
    ids[DeliveryState.QUEUED] = outbox.queue(_order("queued"), NOW).delivery_id
    return store, outbox, ids


def test_nothing_that_was_forgotten_keeps_a_case_for_ever(catalog: RelationalCatalog) -> None:
    store, outbox, ids = _expiring(catalog)
    week = dt.timedelta(days=7)
    assert outbox.expire_undecided(NOW + YEAR - dt.timedelta(seconds=1), week, "retention") == ()
    assert store.erase_expired(NOW + YEAR) == (), "one is held, and others are under way"
    expired = outbox.expire_undecided(NOW + YEAR, week, "retention")
    assert {one.delivery_id for one in expired} == set(ids.values()) - {
        *(ids[DeliveryState.DEAD], ids[DeliveryState.UNSURE]),
    }
    after = {state: outbox.get(delivery_id) for state, delivery_id in ids.items()}
    assert {state: one.state for state, one in after.items()} == {
        DeliveryState.HELD: DeliveryState.CANCELLED,
        DeliveryState.QUEUED: DeliveryState.CANCELLED,
        DeliveryState.WAITING: DeliveryState.DEAD,
        DeliveryState.SENDING: DeliveryState.UNSURE,
        DeliveryState.DEAD: DeliveryState.DEAD,
        DeliveryState.UNSURE: DeliveryState.UNSURE,
    }
    assert after[DeliveryState.HELD].reason == (
        "expired: nobody decided until the retention time of its case had passed"
    )
    assert after[DeliveryState.UNSURE].reason == "no answer"
    event = next(one for one in store.events(cases.CASE_ID) if one.what == "expire")
    assert (event.actor, event.reason.partition(":")[0]) == ("retention", "expired")
    assert store.erase_expired(NOW + YEAR) == (cases.CASE_ID,)
    assert {outbox.get(one).document for one in ids.values()} == {None}
    with catalog.reading() as session:
        assert "user-17" not in str(session.run("case_by_id", (cases.CASE_ID,)).fetchone())


def test_what_a_worker_is_still_at_does_not_expire(catalog: RelationalCatalog) -> None:
    store, outbox, ids = _expiring(catalog)
    late = NOW + YEAR
    outbox.change(ids[DeliveryState.QUEUED], DeliveryEvent.CANCEL, actor="anna", reason="", now=NOW)
    outbox.change(ids[DeliveryState.DEAD], DeliveryEvent.RETRY, actor="anna", reason="", now=late)
    expired = outbox.expire_undecided(late + dt.timedelta(days=6), dt.timedelta(days=7), "retention")
    assert ids[DeliveryState.DEAD] not in {one.delivery_id for one in expired}
    assert store.erase_expired(late + dt.timedelta(days=6)) == (), "it is on its way"
    expired = outbox.expire_undecided(late + dt.timedelta(days=7), dt.timedelta(days=7), "retention")
    assert [one.delivery_id for one in expired] == [ids[DeliveryState.DEAD]]


def test_what_is_unsure_may_be_decided_after_its_case_was_erased(catalog: RelationalCatalog) -> None:
    store, outbox, ids = _expiring(catalog)
    outbox.expire_undecided(NOW + YEAR, dt.timedelta(days=7), "retention")
    store.erase_expired(NOW + YEAR)
    unsure, lost = ids[DeliveryState.UNSURE], ids[DeliveryState.SENDING]
    with pytest.raises(CaseConflict, match="was erased when its retention time had passed"):
        outbox.change(unsure, DeliveryEvent.RETRY, actor="ben", reason="", now=NOW + YEAR)
    done = outbox.change(unsure, DeliveryEvent.CONFIRM, actor="ben", reason="NCMEC has it", now=NOW + YEAR)
    assert done.state is DeliveryState.DELIVERED
    done = outbox.change(lost, DeliveryEvent.CANCEL, actor="ben", reason="NCMEC has it not", now=NOW + YEAR)
    assert (done.state, done.reason) == (DeliveryState.CANCELLED, "NCMEC has it not")


def test_what_people_have_to_decide_is_known_ahead(catalog: RelationalCatalog) -> None:
    _, outbox, ids = _expiring(catalog)
    assert outbox.undecided(NOW + YEAR - dt.timedelta(seconds=1)) == {}
    assert outbox.undecided(NOW + YEAR) == {
        ids[DeliveryState.HELD]: NOW + YEAR,
        ids[DeliveryState.UNSURE]: NOW + YEAR,
    }


def test_deliveries_for_an_outlet_that_is_gone_are_seen_and_taken_back(catalog: RelationalCatalog) -> None:
    _, outbox, ids = _expiring(catalog)
    assert outbox.unknown_outlets(["ncmec"]) == {}
    assert outbox.unknown_outlets(["another"]) == {"ncmec": 4}
    later = NOW + dt.timedelta(minutes=6)
    for state in (DeliveryState.HELD, DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.WAITING):
        done = outbox.change(ids[state], DeliveryEvent.CANCEL, actor="ben", reason="the outlet is gone", now=later)
        assert done.state is DeliveryState.CANCELLED
    assert outbox.unknown_outlets([]) == {}


@pytest.mark.parametrize("name", ["", "\0", "\ud800", "x" * 65, "x" * 1_000_000, "\u00e9", "a\nb"])
def test_what_is_no_id_is_not_there(catalog: RelationalCatalog, name: str) -> None:
    store, outbox = CaseStore(catalog), DeliveryStore(catalog)
    store.add(new(cases.case()), "anna")
    for act in (
        lambda: store.get(name),
        lambda: store.events(name),
        lambda: store.change(name, CaseEvent.CLOSE, actor="anna", reason="", now=NOW),
        lambda: store.settle(name, NOW),
        lambda: outbox.queue(replace(_order("key"), case_id=name), NOW),
        lambda: outbox.get(name),
        lambda: outbox.take_for_file(name, NOW, YEAR),
        lambda: outbox.change(name, DeliveryEvent.CANCEL, actor="anna", reason="", now=NOW),
    ):
        with pytest.raises(CaseNotFound, match=r"there is no (case|delivery) ") as caught:
            act()
        assert len(caught.value.message.encode()) < 400
