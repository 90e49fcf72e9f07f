"""What every catalog does, whatever it is made of. A backend joins by a line in ``BACKENDS``."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.catalog.store import Catalog
from hashmatch.errors import BadInput, EntryNotFound, SetExists, SetNotFound
from hashmatch.model import (
    REJECTIONS_KEPT,
    Change,
    Entry,
    EntryHash,
    EntryStatus,
    HarmDomain,
    Label,
    Provenance,
    Rejected,
    SetMode,
)

BACKENDS: dict[str, Callable[[Path], Catalog]] = {"sqlite": lambda folder: SqliteCatalog.open(folder / "catalog")}
WHY = {"reason": "a mistake", "actor": "ann"}


@pytest.fixture(params=BACKENDS)
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    opened = BACKENDS[request.param](tmp_path)
    yield opened
    opened.close()


def pdq(number: int, quality: int | None = None) -> EntryHash:
    return EntryHash("pdq", number.to_bytes(32, "big"), quality)


def md5(number: int) -> EntryHash:
    return EntryHash("md5", number.to_bytes(16, "big"))


def filled(catalog: Catalog, count: int = 3) -> Catalog:
    catalog.create_set("known", HarmDomain.OTHER)
    catalog.import_entries("known", [Entry(f"e{number}", (pdq(number + 1),)) for number in range(count)])
    return catalog


def only(catalog: Catalog, name: str = "known") -> Entry:
    (entry,) = catalog.entries(name)
    return entry


class _Watcher:
    def __init__(self) -> None:
        self.said: list[tuple[str, object]] = []

    def start(self, description: str, total: int | None, unit: str = "items") -> None:
        self.said.append((f"{description} ({unit})", total))

    def advance(self, done: int) -> None:
        self.said.append(("advance", done))

    def finish(self) -> None:
        self.said.append(("finish", None))


# --- sets --------------------------------------------------------------------------------------------------------


def test_a_new_set_has_an_identity_and_is_empty(catalog: Catalog) -> None:
    before = dt.datetime.now(tz=dt.UTC)
    made = catalog.create_set(
        "known", HarmDomain.WILDLIFE, owner="o", source="s", jurisdiction="DE", terms="t", description="d",
        mode=SetMode.SHADOW,
    )  # fmt: skip
    assert (made.name, made.domain, made.owner, made.source) == ("known", HarmDomain.WILDLIFE, "o", "s")
    assert (made.jurisdiction, made.terms, made.description, made.mode) == ("DE", "t", "d", SetMode.SHADOW)
    assert (made.version, made.entries, made.withdrawn) == (1, 0, 0)
    assert made.created_at is not None
    assert before <= made.created_at <= dt.datetime.now(tz=dt.UTC)
    assert catalog.get_set("known") == made
    assert catalog.create_set("other", HarmDomain.OTHER).set_id != made.set_id


def test_sets_come_in_name_order(catalog: Catalog) -> None:
    for name in ("b", "a", "c"):
        catalog.create_set(name, HarmDomain.OTHER)
    assert [item.name for item in catalog.sets()] == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["", "Known", "a b", "x" * 65, "a/b", "ä", "a\n"])
def test_a_bad_name_is_refused_with_what_a_name_is(catalog: Catalog, name: str) -> None:
    with pytest.raises(BadInput, match="is no name for a set: 1 to 64 lower-case letters, digits") as caught:
        catalog.create_set(name, HarmDomain.OTHER)
    assert caught.value.field == "name"


def test_a_text_with_a_line_break_is_refused(catalog: Catalog) -> None:
    with pytest.raises(BadInput, match=r"^owner: control character U\+000A at 1; remove it$"):
        catalog.create_set("known", HarmDomain.OTHER, owner="a\nb")


def test_a_name_is_taken_once(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    with pytest.raises(SetExists, match="a hash set 'known' exists already"):
        catalog.create_set("known", HarmDomain.CSAM)


def test_every_method_that_names_a_set_says_which_one_is_missing_and_which_is_near(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    calls: list[Callable[[], object]] = [
        lambda: catalog.get_set("knwon"),
        lambda: catalog.entries("knwon"),
        lambda: catalog.history("knwon"),
        lambda: catalog.import_entries("knwon", iter(())),
        lambda: catalog.set_mode("knwon", SetMode.SHADOW, **WHY),
        lambda: catalog.withdraw("knwon", "e", **WHY),
        lambda: catalog.dispute("knwon", "e", **WHY),
        lambda: catalog.reinstate("knwon", "e", **WHY),
    ]
    for call in calls:
        with pytest.raises(SetNotFound, match="no hash set 'knwon'; did you mean 'known'"):
            call()


def test_the_mode_is_changed_for_a_reason(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    changed = catalog.set_mode("known", SetMode.SHADOW, **WHY)
    assert (changed.mode, changed.version) == (SetMode.SHADOW, 2)
    (event,) = catalog.history("known")
    assert (event.before, event.after, event.reason, event.actor, event.set_version) == (
        "enforced",
        "shadow",
        "a mistake",
        "ann",
        2,
    )
    assert catalog.set_mode("known", SetMode.SHADOW, **WHY).version == 2, "what holds already changes nothing"


def test_counts_run_over_all_sets(catalog: Catalog) -> None:
    filled(catalog).create_set("other", HarmDomain.OTHER)
    catalog.import_entries("other", [Entry("x", (pdq(1),))])
    catalog.withdraw("known", "e0", **WHY)
    counts = catalog.counts()
    assert (counts.hash_sets, counts.entries, counts.withdrawn) == (2, 3, 1)
    assert counts.sequence == catalog.sequence()


# --- imports -----------------------------------------------------------------------------------------------------


def test_an_import_keeps_everything_that_was_said(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    received = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
    entry = Entry(
        "one",
        (md5(7), pdq(9, 80)),
        (Label("ncmec", "2022", "A1"), Label("iwf", "", "B")),
        Provenance("hotline", "2026-01", "x-1", received),
        EntryStatus.DISPUTED,
        "the uploader objects",
    )
    result = catalog.import_entries("known", [entry])
    assert (result.added, result.updated, result.unchanged, result.rejected) == (1, 0, 0, 0)
    assert (result.hash_set.version, result.hash_set.entries) == (2, 1)
    assert only(catalog) == entry


def test_an_entry_without_id_is_named_after_its_first_hash_and_dated(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    before = dt.datetime.now(tz=dt.UTC)
    catalog.import_entries("known", [Entry("", (pdq(9), md5(7)))])
    entry = only(catalog)
    assert entry.entry_id == f"pdq:{9:064x}"
    assert entry.provenance.received_at is not None
    assert before <= entry.provenance.received_at <= dt.datetime.now(tz=dt.UTC)


def test_the_same_import_twice_changes_nothing(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    rows = [Entry("", (pdq(number + 1, 90),)) for number in range(50)] + [Entry("many", (md5(1), pdq(99)))]
    first = catalog.import_entries("known", rows)
    sequence, entries = catalog.sequence(), list(catalog.entries("known"))
    again = catalog.import_entries("known", rows)
    assert (first.added, again.added, again.updated, again.unchanged) == (51, 0, 0, 51)
    assert again.hash_set == first.hash_set
    assert catalog.sequence() == sequence
    assert list(catalog.entries("known")) == entries


def test_rows_of_one_id_become_one_entry(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    rows = [Entry("a", (pdq(1),)), Entry("b", (pdq(2),)), Entry("a", (md5(3),)), Entry("a", (pdq(1, 70),))]
    result = catalog.import_entries("known", rows)
    assert result.added == 2
    assert {entry.entry_id: entry.hashes for entry in catalog.entries("known")} == {
        "a": (md5(3), pdq(1, 70)),
        "b": (pdq(2),),
    }


def test_merging_adds_and_updates_and_takes_nothing_away(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    catalog.import_entries("known", [Entry("a", (pdq(1, 60),), (Label("s", "", "old"),), Provenance("src", "1", "x"))])
    result = catalog.import_entries(
        "known", [Entry("a", (md5(2), pdq(1, 90)), (Label("s", "", "new"),), Provenance("", "2"))]
    )
    assert (result.added, result.updated) == (0, 1)
    entry = only(catalog)
    assert entry.hashes == (md5(2), pdq(1, 90))
    assert entry.labels == (Label("s", "", "new"),)
    origin = entry.provenance
    assert (origin.source, origin.list_version, origin.external_id) == ("src", "2", "x")
    catalog.import_entries("known", [Entry("a", (pdq(1),))])
    assert only(catalog) == entry, "what a row leaves blank stays"


def test_rejected_rows_of_the_reader_pass_through_with_their_place(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    seen: list[Rejected] = []
    rows: list[Entry | Rejected] = [
        Rejected(2, "value", "no hex"),
        Entry("a", (pdq(1),)),
        Entry("b", (pdq(0),)),
        Entry("c", (pdq(0),), position=77),
    ]
    result = catalog.import_entries("known", rows, on_rejected=seen.append)
    assert (result.added, result.rejected) == (1, 3)
    assert [item.position for item in result.rejections] == [2, 2, 77]
    assert seen == list(result.rejections)


def test_only_the_first_rejections_are_kept_but_all_are_told(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    seen: list[Rejected] = []
    rows = (Rejected(number, "value", "bad") for number in range(REJECTIONS_KEPT + 5))
    result = catalog.import_entries("known", rows, on_rejected=seen.append)
    assert (result.rejected, len(result.rejections), len(seen)) == (REJECTIONS_KEPT + 5, REJECTIONS_KEPT, 1_005)
    assert result.hash_set.version == 1, "an import of nothing is no change"


def test_an_import_that_fails_midway_leaves_nothing(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    sequence = catalog.sequence()

    def rows() -> Iterator[Entry]:
        for number in range(5_000):
            yield Entry("", (pdq(number + 1),))
        msg = "the sender went away"
        raise ConnectionError(msg)

    for failure in (rows(), itertools.chain([Entry("a", (pdq(1),))], _interrupt())):
        with pytest.raises((ConnectionError, KeyboardInterrupt)):
            catalog.import_entries("known", failure)
        assert list(catalog.entries("known")) == []
        assert (catalog.sequence(), catalog.get_set("known").version) == (sequence, 1)
    assert catalog.import_entries("known", [Entry("a", (pdq(1),))]).added == 1, "and the catalog can be written again"


def _interrupt() -> Iterator[Entry]:
    raise KeyboardInterrupt
    yield


def test_nothing_of_an_import_is_visible_before_its_end(catalog: Catalog) -> None:
    filled(catalog)
    seen: list[tuple[int, int]] = []

    def rows() -> Iterator[Entry]:
        for number in range(6_000):
            if number % 1_500 == 0:
                seen.append((catalog.get_set("known").entries, sum(1 for _ in catalog.entries("known"))))
            yield Entry("", (pdq(number + 100),))

    catalog.import_entries("known", rows())
    assert set(seen) == {(3, 3)}
    assert catalog.get_set("known").entries == 6_003


def test_a_slow_sender_keeps_nobody_from_withdrawing(catalog: Catalog) -> None:
    filled(catalog)

    def rows() -> Iterator[Entry]:
        yield Entry("new", (pdq(100),))
        thread = threading.Thread(target=lambda: catalog.withdraw("known", "e0", **WHY))
        thread.start()
        thread.join(timeout=20)
        assert not thread.is_alive()
        yield Entry("e0", (pdq(1),))

    result = catalog.import_entries("known", rows())
    assert (result.added, result.rejected) == (1, 1), "and the withdrawal holds against the import that it overtook"
    assert "withdrawn on" in result.rejections[0].reason


def test_an_entry_takes_so_many_values_and_no_more(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    result = catalog.import_entries("known", [Entry("a", (md5(number),)) for number in range(300)])
    assert (result.added, result.rejected, len(only(catalog).hashes)) == (1, 44, 256)
    assert result.rejections[0] == Rejected(256, "value", "the entry has 256 values already, and that is the limit")
    assert catalog.import_entries("known", [Entry("a", (md5(5),))]).unchanged == 1, "values it has are no new ones"


def test_an_import_needs_a_name_behind_it(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    with pytest.raises(BadInput, match=r"^actor: required; it is kept for as long as the catalog exists$"):
        catalog.import_entries("known", [], actor="")


def test_progress_is_told_per_batch(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    watcher = _Watcher()
    rows = [Entry("", (pdq(number + 1),)) for number in range(5_000)] + [Entry("two", (md5(1), md5(2)))]
    catalog.import_entries("known", rows, progress=watcher)
    pieces = [item for item in watcher.said if item[0] != "advance"]
    assert pieces == [
        ("reading rows for known (rows)", None),
        ("finish", None),
        ("storing known (values)", 5_002),
        ("finish", None),
    ]
    done = [int(str(amount)) for what, amount in watcher.said if what == "advance"]
    assert sum(done) == 5_001 + 5_002
    assert len(done) < 20


def test_several_threads_import_at_once(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)

    def work(base: int) -> None:
        catalog.import_entries("known", [Entry(f"{base}-{n}", (pdq(base * 10_000 + n + 1),)) for n in range(700)])

    threads = [threading.Thread(target=work, args=(base,)) for base in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    described = catalog.get_set("known")
    assert (described.entries, described.version) == (4_200, 7)
    sequences = [change.sequence for change in catalog.changes(0)]
    assert sequences == sorted(set(sequences))
    assert len(sequences) == 4_201


# --- opinions ----------------------------------------------------------------------------------------------------


def test_a_withdrawal_is_kept_with_who_and_why(catalog: Catalog) -> None:
    filled(catalog)
    described = catalog.withdraw("known", "e1", reason="listed by mistake", actor="ann@example")
    assert (described.version, described.entries, described.withdrawn) == (3, 2, 1)
    entry = next(entry for entry in catalog.entries("known") if entry.entry_id == "e1")
    assert (entry.status, entry.status_reason) == (EntryStatus.WITHDRAWN, "listed by mistake")
    (event,) = catalog.history("known", "e1")
    assert (event.before, event.after, event.actor) == ("active", "withdrawn", "ann@example")
    assert event.at.tzinfo is not None


def test_the_way_back_is_recorded_too(catalog: Catalog) -> None:
    filled(catalog)
    catalog.dispute("known", "e1", reason="one", actor="ann")
    catalog.withdraw("known", "e1", reason="two", actor="bob")
    described = catalog.reinstate("known", "e1", reason="three", actor="eve")
    assert (described.entries, described.withdrawn) == (3, 0)
    assert [(event.before, event.after, event.reason) for event in catalog.history("known", "e1")] == [
        ("active", "disputed", "one"),
        ("disputed", "withdrawn", "two"),
        ("withdrawn", "active", "three"),
    ]


def test_a_decision_taken_twice_counts_once(catalog: Catalog) -> None:
    filled(catalog)
    first = catalog.withdraw("known", "e1", **WHY)
    assert catalog.withdraw("known", "e1", reason="again", actor="bob") == first
    assert len(catalog.history("known", "e1")) == 1


def test_a_withdrawn_entry_cannot_be_disputed(catalog: Catalog) -> None:
    filled(catalog).withdraw("known", "e1", **WHY)
    with pytest.raises(BadInput, match=r"cannot dispute 'e1' of 'known': it is withdrawn \(a mistake\); reinstate it"):
        catalog.dispute("known", "e1", **WHY)


@pytest.mark.parametrize(
    ("reason", "actor", "field"), [("", "ann", "reason"), ("x", "", "actor"), ("a\0", "b", "reason")]
)
def test_a_decision_needs_a_reason_and_a_name(catalog: Catalog, reason: str, actor: str, field: str) -> None:
    filled(catalog)
    with pytest.raises(BadInput, match=f"^{field}: ") as caught:
        catalog.withdraw("known", "e1", reason=reason, actor=actor)
    assert caught.value.field == field
    assert catalog.history("known", "e1") == ()


def test_an_entry_that_is_not_there_is_named_and_a_near_one_suggested(catalog: Catalog) -> None:
    filled(catalog)
    with pytest.raises(EntryNotFound, match="hash set 'known' has no entry 'e11'; did you mean 'e1'"):
        catalog.withdraw("known", "e11", **WHY)


def test_ids_made_of_hashes_are_not_suggested(catalog: Catalog) -> None:
    filled(catalog, 0)
    catalog.import_entries("known", [Entry("", (pdq(5),))])
    with pytest.raises(EntryNotFound) as caught:
        catalog.withdraw("known", f"pdq:{5:064x}"[:-1], **WHY)
    assert "did you mean" not in caught.value.message


def test_a_withdrawal_sticks_against_imports(catalog: Catalog) -> None:
    filled(catalog).withdraw("known", "e1", reason="listed by mistake", actor="ann")
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    result = catalog.import_entries("known", [Entry("e1", (pdq(2), md5(1)), position=12), Entry("e2", (pdq(3),))])
    assert (result.rejected, result.unchanged, result.updated) == (1, 1, 0)
    assert result.rejections == (
        Rejected(
            12,
            "status",
            f"the entry was withdrawn on {today} by ann: listed by mistake; reinstate it first if that was wrong",
        ),
    )
    row = Entry("e1", (pdq(2),), status=EntryStatus.WITHDRAWN, status_reason="x")
    assert catalog.import_entries("known", [row]).unchanged == 1


def test_an_import_can_withdraw_and_dispute(catalog: Catalog) -> None:
    filled(catalog)
    rows = [
        Entry("e0", (pdq(1),), status=EntryStatus.DISPUTED, status_reason="objection"),
        Entry("e1", (pdq(2),), status=EntryStatus.WITHDRAWN, status_reason="mistake"),
        Entry("e9", (pdq(9),), status=EntryStatus.WITHDRAWN),
    ]
    result = catalog.import_entries("known", rows, actor="sync")
    assert (result.added, result.updated, result.hash_set.entries, result.hash_set.withdrawn) == (1, 2, 2, 2)
    events = [catalog.history("known", entry_id)[0] for entry_id in ("e0", "e1", "e9")]
    assert [(event.before, event.after, event.reason, event.actor) for event in events] == [
        ("active", "disputed", "objection", "sync"),
        ("active", "withdrawn", "mistake", "sync"),
        ("", "withdrawn", "", "sync"),
    ]
    assert {event.set_version for event in events} == {result.hash_set.version}
    again = catalog.import_entries("known", [Entry("e9", (pdq(9),))])
    assert "by sync: no reason was given" in again.rejections[0].reason


def test_an_active_row_does_not_settle_a_dispute(catalog: Catalog) -> None:
    filled(catalog).dispute("known", "e1", **WHY)
    assert catalog.import_entries("known", [Entry("e1", (pdq(2),))]).unchanged == 1
    assert [entry.status for entry in catalog.entries("known")][1] is EntryStatus.DISPUTED


# --- the change feed ---------------------------------------------------------------------------------------------


def test_the_feed_gives_the_latest_state_once_in_ascending_order(catalog: Catalog) -> None:
    filled(catalog)
    catalog.withdraw("known", "e0", **WHY)
    catalog.import_entries("known", [Entry("e1", (md5(1),))])
    changes = list(catalog.changes(0))
    described = catalog.get_set("known")
    assert [(change.entry and change.entry.entry_id) for change in changes] == [None, "e2", "e0", "e1"]
    assert all(change.hash_set == described for change in changes)
    assert [change.sequence for change in changes] == sorted({change.sequence for change in changes})
    assert changes[-1].sequence == catalog.sequence()
    by_id = {entry.entry_id: entry for entry in catalog.entries("known")}
    assert {change.entry.entry_id: change.entry for change in changes if change.entry} == by_id


def test_the_feed_goes_on_from_any_sequence(catalog: Catalog) -> None:
    filled(catalog, 20)
    everything = list(catalog.changes(0))
    for change in everything:
        assert list(catalog.changes(change.sequence)) == [c for c in everything if c.sequence > change.sequence]
    assert list(catalog.changes(catalog.sequence() + 5)) == []


def test_a_change_of_mode_is_a_change_without_entry(catalog: Catalog) -> None:
    filled(catalog)
    since = catalog.sequence()
    described = catalog.set_mode("known", SetMode.SHADOW, **WHY)
    assert list(catalog.changes(since)) == [Change(catalog.sequence(), described, None)]


def test_a_follower_that_applies_the_feed_has_the_catalog(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    followed: dict[str, Entry] = {}
    since = 0
    for step in range(6):
        rows = [Entry(f"e{n}", (pdq(step * 50 + n + 1),)) for n in range(step, step + 30, 3)]
        catalog.import_entries("known", rows)
        if step % 2:
            catalog.dispute("known", f"e{step}", **WHY)
        for change in catalog.changes(since):
            since = change.sequence
            if change.entry:
                followed[change.entry.entry_id] = change.entry
        assert followed == {entry.entry_id: entry for entry in catalog.entries("known")}


def test_streams_show_one_moment(catalog: Catalog) -> None:
    filled(catalog, 3_000)
    entries, changes = catalog.entries("known"), catalog.changes(0)
    first = next(entries), next(changes)
    catalog.withdraw("known", "e2999", **WHY)
    catalog.import_entries("known", [Entry("later", (pdq(99_999),))])
    rest = [first[0], *entries]
    assert len(rest) == 3_000
    assert {entry.status for entry in rest} == {EntryStatus.ACTIVE}
    followed = [first[1], *changes]
    assert len(followed) == 3_001
    assert {change.hash_set.version for change in followed} == {2}


def test_entries_come_in_order_of_their_ids(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    ids = ["é", "a", "B", "10", "9", "𝄞", "z/1", "日本"]
    catalog.import_entries("known", [Entry(entry_id, (pdq(n + 1),)) for n, entry_id in enumerate(ids)])
    assert [entry.entry_id for entry in catalog.entries("known")] == sorted(ids)


def test_sets_do_not_see_each_other(catalog: Catalog) -> None:
    filled(catalog).create_set("other", HarmDomain.OTHER)
    catalog.import_entries("other", [Entry("e0", (md5(1),))])
    assert only(catalog, "other").hashes == (md5(1),)
    catalog.withdraw("other", "e0", **WHY)
    assert catalog.get_set("known").withdrawn == 0
    assert catalog.history("known", "e0") == ()


def test_everything_is_refused_after_closing_but_streams_may_be_read(catalog: Catalog) -> None:
    entries = filled(catalog).entries("known")
    catalog.close()
    catalog.close()
    assert sum(1 for _ in entries) == 3
    for call in (catalog.sets, catalog.sequence, lambda: catalog.withdraw("known", "e0", **WHY)):
        with pytest.raises(Exception, match="was closed") as caught:
            call()
        assert type(caught.value).__name__ == "CatalogUnavailable"


def test_an_entry_may_hold_values_of_every_algorithm(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    sizes = {"ahash": 8, "dhash": 8, "md5": 16, "pdq": 32, "pdq-nearest512": 32, "phash": 8, "sha1": 20, "sha256": 32}
    entry = Entry("a", tuple(EntryHash(name, bytes([7]) * size) for name, size in sorted(sizes.items())))
    catalog.import_entries("known", [entry])
    assert dataclasses.replace(only(catalog), provenance=Provenance()) == entry
