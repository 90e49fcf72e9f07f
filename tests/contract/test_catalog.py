"""What every catalog does with sets and imports, whatever it is made of; backends: tests/support/catalog.py."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
from collections.abc import Callable, Iterator

import pytest

from hashmatch.catalog.store import Catalog
from hashmatch.errors import BadInput, SetExists, SetNotFound
from hashmatch.model import (
    REJECTIONS_KEPT,
    Entry,
    EntryStatus,
    HarmDomain,
    Label,
    Provenance,
    Rejected,
    SetMode,
)
from tests.support.catalog import WHY, Watcher, filled, md5, only, pdq

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


def test_a_set_does_not_turn_around_in_one_step(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    allow = catalog.create_set("reviewed", HarmDomain.OTHER, mode=SetMode.ALLOW)
    assert catalog.get_set("reviewed") == allow
    with pytest.raises(
        BadInput, match="'known' is enforced; allow in one step would turn every verdict around"
    ) as caught:
        catalog.set_mode("known", SetMode.ALLOW, **WHY)
    assert caught.value.field == "mode"
    with pytest.raises(BadInput, match="'reviewed' is allow; enforced in one step"):
        catalog.set_mode("reviewed", SetMode.ENFORCED, **WHY)
    assert (catalog.get_set("known").version, catalog.get_set("reviewed")) == (1, allow), "nothing was changed"
    for mode in (SetMode.SHADOW, SetMode.ALLOW, SetMode.SHADOW, SetMode.ENFORCED):
        assert catalog.set_mode("known", mode, **WHY).mode is mode
    assert catalog.set_mode("reviewed", SetMode.ALLOW, **WHY) == allow, "what holds already changes nothing"


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
        thread.join(timeout=300)
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
    watcher = Watcher()
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
