from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

import pytest

from hashmatch.errors import (
    BadHash,
    HashmatchError,
    IndexNotLoaded,
    RollbackRefused,
    SegmentCorrupt,
    SetNotFound,
    UnknownAlgorithm,
)
from hashmatch.index import flat, live
from hashmatch.index import generation as generations
from hashmatch.index.live import TRANSITIONS, Event, IndexStatus, LiveIndex, State
from hashmatch.model import Algorithm, AlgorithmKind, Change, EntryHash, EntryStatus, Query, SearchResult, SetMode
from tests.support.feed import FakeFeed
from tests.support.index import TABLE, WIDE, answers, entry, segment_of, value


def query(algorithm: str, seed: int, max_distance: int = 0) -> Query:
    return Query(algorithm, value(algorithm, seed).value, max_distance)


def serving(feed: FakeFeed, tmp_path: Path) -> LiveIndex:
    index = LiveIndex(TABLE)
    index.load(segment_of(feed, tmp_path / "segment"))
    return index


def sync(index: LiveIndex, feed: FakeFeed) -> None:
    index.apply(feed.changes(index.sequence))


@pytest.fixture
def feed() -> FakeFeed:
    feed = FakeFeed()
    for name in ("a", "b"):
        feed.create_set(name)
    feed.put("a", [entry(f"e{i}", value("pdq", i), value("md5", i)) for i in range(4)])
    feed.put("b", [entry("x", value("pdq-nearest512", 1), value("phash", 1))])
    return feed


def found_ids(index: LiveIndex, *queries: Query, sets: frozenset[str] | None = None, max_hits: int = 99) -> list[str]:
    return [found.entry.entry_id for found in index.search(queries, sets=sets, max_hits=max_hits).found]


# --- life cycle --------------------------------------------------------------------------------------------------


def test_an_empty_index_says_so_and_never_no_match() -> None:
    index = LiveIndex(TABLE)
    asked = (
        lambda: index.search([], sets=None, max_hits=1),
        index.modes,
        lambda: index.newer("0"),
        index.algorithms,
        lambda: index.values(None),
    )
    for ask in asked:
        with pytest.raises(IndexNotLoaded, match="No index is loaded yet"):
            ask()
    assert index.status() == IndexStatus(State.EMPTY)
    assert (index.snapshot, index.sequence, index.held) == (0, 0, 0)
    assert repr(index) == "<LiveIndex empty>"


def test_values_are_counted_by_space_and_set_in_snapshot_and_delta(feed: FakeFeed, tmp_path: Path) -> None:
    index = serving(feed, tmp_path)
    assert {name: index.values(None)[name] for name in ("pdq", "pdq-nearest512", "md5", "phash")} == {
        "pdq": 5, "pdq-nearest512": 5, "md5": 4, "phash": 1,
    }  # fmt: skip
    assert [index.values(frozenset(names))["pdq"] for names in ((), ("a",), ("b",), ("a", "b"))] == [0, 4, 1, 5]
    feed.create_set("c")
    feed.put("c", [entry("y", value("pdq", 7), value("pdq", 8))])
    feed.put("a", [entry("e9", value("pdq", 9), value("phash", 2))])
    sync(index, feed)
    assert [index.values(frozenset({name}))["pdq"] for name in "abc"] == [5, 1, 2]
    assert (index.values(None)["pdq"], index.values(None)["phash"]) == (8, 2)


def test_withdrawn_values_are_counted_until_the_next_snapshot(feed: FakeFeed, tmp_path: Path) -> None:
    index = serving(feed, tmp_path)
    feed.withdraw("a", "e0")
    sync(index, feed)
    assert index.values(None)["pdq"] == 5
    index.load(segment_of(feed, tmp_path / "next", generation=2))
    assert index.values(None)["pdq"] == 4


def test_the_table_is_all_there_is(feed: FakeFeed, tmp_path: Path) -> None:
    """Every pair of state and event: either in the table, or refused without effect."""
    number = itertools.count(1)

    def fire(index: LiveIndex, event: Event) -> None:
        generation = next(number)
        match event:
            case Event.LOAD:
                index.load(segment_of(feed, tmp_path / str(generation), generation=generation))
            case Event.APPLY:
                index.apply(())
            case Event.COMPACT:
                index.begin_compaction()
            case Event.ABANDON:
                index.abandon_compaction()

    way_to = {State.EMPTY: [], State.SERVING: [Event.LOAD], State.COMPACTING: [Event.LOAD, Event.COMPACT]}
    for state, event in itertools.product(State, Event):
        index = LiveIndex(TABLE)
        for step in way_to[state]:
            fire(index, step)
        assert index.state is state
        if (state, event) in TRANSITIONS:
            fire(index, event)
            assert index.state is TRANSITIONS[state, event]
            continue
        refusal = IndexNotLoaded if state is State.EMPTY else HashmatchError
        with pytest.raises(refusal):
            fire(index, event)
        assert index.state is state


def test_the_documented_table_is_the_table() -> None:
    assert live.__doc__ is not None
    rows = [line.split()[:3] for line in live.__doc__.splitlines() if line.split()[1:2] and line.split()[1].isupper()]
    documented = {(State[s], Event[e]): State[n] for s, e, n in rows}
    assert documented == TRANSITIONS


def test_a_generation_is_named_after_its_position_in_the_feed_whatever_the_snapshot(
    feed: FakeFeed, tmp_path: Path
) -> None:
    index = serving(feed, tmp_path)
    assert index.search([], sets=None, max_hits=1).generation == "4"
    feed.put("a", [entry("new", value("pdq", 99))])
    feed.withdraw("a", "e0")
    sync(index, feed)
    assert index.search([], sets=None, max_hits=1).generation == "6"
    assert repr(index) == "<LiveIndex serving 6>"
    index.load(segment_of(feed, tmp_path / "next", generation=7))
    assert (index.snapshot, index.status().generation) == (7, "6")


def test_snapshots_that_are_not_newer_are_refused(feed: FakeFeed, tmp_path: Path) -> None:
    index = serving(feed, tmp_path)
    for generation in (0, 1):
        old = segment_of(feed, tmp_path / f"old-{generation}", generation=generation)
        with pytest.raises(RollbackRefused, match=f"snapshot {generation} is not newer than 1, being served"):
            index.load(old)


def test_a_snapshot_that_would_lose_changes_is_refused(feed: FakeFeed, tmp_path: Path) -> None:
    index = serving(feed, tmp_path)
    early = segment_of(feed, tmp_path / "early", generation=2)
    feed.withdraw("a", "e0")
    sync(index, feed)
    with pytest.raises(
        RollbackRefused, match="snapshot 2 with the changes after it reaches sequence 4, and sequence 5"
    ):
        index.load(early)
    assert index.status().generation == "5"
    index.load(early, feed.changes(early.sequence))
    assert found_ids(index, query("pdq", 0)) == []
    assert index.status().generation == "5"


def test_changes_that_go_back_are_refused_whole(feed: FakeFeed, tmp_path: Path) -> None:
    index = serving(feed, tmp_path)
    row = feed.sets["id-of-a"][1]
    newer = Change(9, row, entry("n", value("pdq", 77)))
    for second, held in ((Change(8, row), 9), (Change(2, row), 9)):
        with pytest.raises(RollbackRefused, match=f"at sequence {second.sequence} came after sequence {held} was"):
            index.apply([newer, second])
    assert found_ids(index, query("pdq", 77)) == []
    assert index.status().generation == "4"


@pytest.mark.parametrize(
    ("bad", "error"), [(EntryHash("pdq", b"short"), BadHash), (EntryHash("gone", b"x"), UnknownAlgorithm)]
)
def test_a_failed_apply_leaves_no_trace(
    feed: FakeFeed, tmp_path: Path, bad: EntryHash, error: type[HashmatchError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hashmatch.index.delta.BATCH_CHANGES", 2)
    index = serving(feed, tmp_path)
    before = index.status()
    feed.create_set("c")
    feed.withdraw("a", "e0")
    feed.put("a", [entry("good", value("pdq", 200))])
    feed.put("a", [entry("bad", bad)])
    with pytest.raises(error):
        sync(index, feed)
    assert index.status() == before
    feed.put("b", [entry("later", value("pdq", 300))])
    fine = [change for change in feed.changes(index.sequence) if change.entry is None or change.entry.entry_id != "bad"]
    index.apply(fine)
    assert found_ids(index, query("pdq", 0), query("pdq", 200), query("pdq", 300)) == ["good", "later"]
    assert index.modes().keys() == {"a", "b", "c"}


def test_a_segment_of_other_algorithms_is_refused(feed: FakeFeed, tmp_path: Path) -> None:
    feed.put("a", [entry("w", value("wide", 1))])
    segment = segment_of(feed, tmp_path / "segment")
    narrow = Algorithm("wide", AlgorithmKind.PERCEPTUAL, 64, "wide", "Another plug-in of that name", "tests")
    said = "segment: its 'wide' values are perceptual of 144 bytes, which is not what the installed algorithms make"
    for table in ({**TABLE, "wide": narrow}, {name: row for name, row in TABLE.items() if row is not WIDE}):
        with pytest.raises(SegmentCorrupt, match=said):
            LiveIndex(table).load(segment)


# --- searching ---------------------------------------------------------------------------------------------------


def test_dialects_find_each_other_and_say_who_they_are(feed: FakeFeed, tmp_path: Path) -> None:
    result = serving(feed, tmp_path).search([query("pdq-nearest512", 1, 1)], sets=None, max_hits=9)
    found = [(hit.distance, hit.algorithm, hit.entry.set_name, hit.entry.entry_id) for hit in result.found]
    nearest = [(0, "pdq", "a", "e1"), (0, "pdq-nearest512", "b", "x")]
    assert found == [*nearest, (1, "pdq", "a", "e0"), (1, "pdq", "a", "e3")]


def test_digests_have_no_neighbours(feed: FakeFeed, tmp_path: Path) -> None:
    index = serving(feed, tmp_path)
    assert found_ids(index, query("md5", 2, 128)) == ["e2"]
    assert found_ids(index, query("md5", 2, 0)) == ["e2"]
    assert found_ids(index, query("md5", 2, -1)) == []
    feed.put("b", [entry("late", value("md5", 2))])
    sync(index, feed)
    assert found_ids(index, query("md5", 2, 128)) == ["e2", "late"]


def test_a_space_without_values_finds_nothing(feed: FakeFeed, tmp_path: Path) -> None:
    index = serving(feed, tmp_path)
    assert found_ids(index, query("wide", 1, 1152), query("sha256", 1)) == []
    assert index.algorithms() == {"pdq", "pdq-nearest512", "md5", "phash"}


def test_bad_queries_are_refused(feed: FakeFeed, tmp_path: Path) -> None:
    index = serving(feed, tmp_path)
    with pytest.raises(UnknownAlgorithm, match="no algorithm 'neuralhash' is installed; there are pdq, "):
        index.search([Query("neuralhash", b"x", 0)], sets=None, max_hits=1)
    with pytest.raises(BadHash, match="a pdq value has 32 bytes, the query's has 2"):
        index.search([Query("pdq", b"xx", 0)], sets=None, max_hits=1)
    with pytest.raises(SetNotFound, match="no hash set named 'c' is being served"):
        index.search([query("pdq", 1)], sets=frozenset({"a", "c"}), max_hits=1)


def test_filtering_by_set_costs_no_recall(feed: FakeFeed, tmp_path: Path) -> None:
    """The filter comes before the cut: a crowd in another set cannot push a hit out."""
    feed.put("a", [entry(f"crowd{i}", value("pdq", 1)) for i in range(50)])
    index = serving(feed, tmp_path)
    result = index.search([query("pdq", 1, 5)], sets=frozenset({"b"}), max_hits=1)
    assert ([found.entry.entry_id for found in result.found], result.truncated) == (["x"], False)
    assert found_ids(index, query("pdq", 1, 5), sets=frozenset()) == []


def test_tombstones_cost_no_recall(feed: FakeFeed, tmp_path: Path) -> None:
    index = serving(feed, tmp_path)
    for i in range(3):
        feed.withdraw("a", f"e{i}")
    sync(index, feed)
    result = index.search([query("pdq", 0, 256)], sets=frozenset({"a"}), max_hits=1)
    assert ([found.entry.entry_id for found in result.found], result.truncated) == (["e3"], False)


def test_the_cut_is_per_query(feed: FakeFeed, tmp_path: Path) -> None:
    """Another query's crowd must not push out the only hit of this one."""
    index = serving(feed, tmp_path)
    result = index.search([query("pdq", 0, 9), query("phash", 1, 0), query("md5", 3)], sets=None, max_hits=2)
    assert result.truncated
    assert [(hit.query, hit.distance, hit.entry.entry_id) for hit in result.found] == [
        (0, 0, "e0"),
        (2, 0, "e3"),
        (1, 0, "x"),
        (0, 1, "e1"),
    ]


def test_an_entry_with_many_values_is_found_once_per_query(feed: FakeFeed, tmp_path: Path) -> None:
    many = [value("pdq", 0b1111), value("pdq", 0b0111), value("pdq-nearest512", 0b0011)]
    feed.put("b", [entry("many", *many)])
    index = serving(feed, tmp_path)
    result = index.search([query("pdq", 0b0111, 3), query("pdq", 0b0011, 3)], sets=frozenset({"b"}), max_hits=2)
    found = [(hit.query, hit.distance, hit.algorithm, hit.entry.entry_id) for hit in result.found]
    assert found == [
        (0, 0, "pdq", "many"),
        (1, 0, "pdq-nearest512", "many"),
        (1, 1, "pdq-nearest512", "x"),
        (0, 2, "pdq-nearest512", "x"),
    ]
    assert not result.truncated


def test_many_queries_are_searched_in_passes(feed: FakeFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = serving(feed, tmp_path)
    asked = [query("pdq", seed % 8, 2) for seed in range(130)]
    whole = answers(index.search(asked, sets=None, max_hits=9))
    monkeypatch.setattr(flat, "MAX_CANDIDATES", 15)
    assert answers(index.search(asked, sets=None, max_hits=9)) == whole
    monkeypatch.setattr(flat, "MAX_CANDIDATES", 1)
    assert answers(index.search(asked, sets=None, max_hits=9)) == whole
    assert {number for number, *_ in whole} == set(range(130))


# --- changes -----------------------------------------------------------------------------------------------------


def test_changes_are_in_force_at_once(feed: FakeFeed, tmp_path: Path) -> None:
    index = serving(feed, tmp_path)
    feed.put("a", [entry("e1", value("pdq", 0xFF00))])
    sync(index, feed)
    assert found_ids(index, query("pdq", 1), sets=frozenset({"a"})) == []
    assert found_ids(index, query("pdq", 0xFF00)) == ["e1"]
    feed.withdraw("a", "e1")
    sync(index, feed)
    assert found_ids(index, query("pdq", 0xFF00)) == []
    feed.set_status("a", "e1", EntryStatus.DISPUTED)
    feed.set_mode("a", SetMode.SHADOW)
    sync(index, feed)
    ref = index.search([query("pdq", 0xFF00)], sets=None, max_hits=1).found[0].entry
    assert (ref.status, ref.mode, ref.set_version) == (EntryStatus.DISPUTED, SetMode.SHADOW, 6)


def test_status_counts_what_can_match(feed: FakeFeed, tmp_path: Path) -> None:
    index = serving(feed, tmp_path)
    assert index.status().values == {"pdq": 4, "md5": 4, "pdq-nearest512": 1, "phash": 1}
    feed.withdraw("a", "e0")
    feed.put("a", [entry("e1", value("pdq", 8)), entry("new", value("sha1", 8))])
    sync(index, feed)
    feed.withdraw("a", "new")
    sync(index, feed)
    status = index.status()
    assert status.values == {"pdq": 3, "md5": 2, "pdq-nearest512": 1, "phash": 1}
    assert (status.state, status.snapshot, status.delta_entries, status.tombstones) == (State.SERVING, 1, 1, 3)
    assert status.segment_bytes == (tmp_path / "segment").stat().st_size
    assert index.held == 4


def test_a_pinned_generation_does_not_see_later_changes(feed: FakeFeed, tmp_path: Path) -> None:
    index = serving(feed, tmp_path)
    pinned = index._generation
    assert pinned is not None
    asked = [query("pdq", 1, 256), query("md5", 2)]
    before = generations.search(pinned, asked, TABLE, sets=None, max_hits=999)
    for round_ in range(100):
        feed.put("a", [entry(f"n{round_}", value("pdq", 1))])
        feed.withdraw("a", f"e{round_ % 4}")
        sync(index, feed)
    index.load(segment_of(feed, tmp_path / "next", generation=2))
    assert generations.search(pinned, asked, TABLE, sets=None, max_hits=999) == before


class Reader(threading.Thread):
    """Searches until told to stop, and keeps what it saw."""

    def __init__(self, index: LiveIndex, asked: Query, stop: threading.Event) -> None:
        super().__init__()
        self.index, self.asked, self.stop = index, asked, stop
        self.seen: list[SearchResult] = []

    def run(self) -> None:
        """Search; an exception ends the thread before it has seen the end."""
        while not self.stop.is_set():
            self.seen.append(self.index.search([self.asked], sets=None, max_hits=9))
        self.finished = True

    def see_this_generation(self) -> None:
        """Wait for two more searches: the second has begun since this was called."""
        count = len(self.seen)
        while len(self.seen) < count + 2 and self.is_alive():
            time.sleep(0.0005)


def test_readers_see_whole_generations_while_others_are_swapped_in(feed: FakeFeed, tmp_path: Path) -> None:
    """Each change moves one hash to another entry and set version; an answer must be that of the named generation."""
    index, stop = serving(feed, tmp_path), threading.Event()
    asked = query("pdq", 5)
    readers = [Reader(index, asked, stop) for _ in range(3)]
    for reader in readers:
        reader.start()
    truth: dict[str, SearchResult] = {}

    def record() -> None:
        truth[index.status().generation] = index.search([asked], sets=None, max_hits=9)

    record()
    for step in range(150):
        if step % 10 == 0:
            for reader in readers:
                reader.see_this_generation()
        feed.put("a", [entry(f"m{step}", value("pdq", 5))])
        sync(index, feed)
        record()
        if step:
            feed.withdraw("a", f"m{step - 1}")
            sync(index, feed)
            record()
        if step % 15 == 7:
            snapshot = index.snapshot + 1
            index.load(segment_of(feed, tmp_path / f"s{snapshot}", generation=snapshot))
            record()
    stop.set()
    for reader in readers:
        reader.join()
        assert reader.finished
    seen = [result for reader in readers for result in reader.seen]
    assert len({result.generation for result in seen}) > 10
    assert all(result == truth[result.generation] for result in seen)
