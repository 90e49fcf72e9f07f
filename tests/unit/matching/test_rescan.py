"""Rescans over a real index, against a look at everything one entry at a time."""

from __future__ import annotations

import datetime as dt
import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.config import PolicyConfig
from hashmatch.errors import BadInput, IndexNotLoaded, SetNotFound
from hashmatch.index.live import LiveIndex
from hashmatch.matching.engine import Engine
from hashmatch.matching.given import HashedItem
from hashmatch.model import EntryHash, EntryStatus, Query, RescanAnswer, SetMode, Verdict
from tests.oracle.search import distance
from tests.support.feed import FakeFeed
from tests.support.index import TABLE, entry, segment_of, value
from tests.support.ports import FakeHasher

NOON = dt.datetime(2026, 11, 27, 12, tzinfo=dt.UTC)


class Scene:
    """A feed, an index that follows it, and an engine."""

    def __init__(self, folder: Path, *, max_hits: int = 10) -> None:
        self.folder = folder
        self.feed = FakeFeed()
        for name, mode in (("a", SetMode.ENFORCED), ("trial", SetMode.SHADOW), ("reviewed", SetMode.ALLOW)):
            self.feed.create_set(name, mode=mode)
        self.index = LiveIndex(TABLE)
        self.snapshots = itertools.count(1)
        self.compact()
        self.engine = Engine(FakeHasher(), self.index, PolicyConfig(), max_hits=max_hits, now=lambda: NOON)

    def compact(self) -> None:
        """Serve the feed from a new snapshot."""
        number = next(self.snapshots)
        self.index.load(segment_of(self.feed, self.folder / f"segment-{number}", generation=number))

    def sync(self) -> str:
        """Apply the feed; return the generation."""
        self.index.apply(list(self.feed.changes(self.index.sequence)))
        return str(self.index.sequence)

    def rescan(self, since: str, *hashes: EntryHash, sets: frozenset[str] | None = None) -> RescanAnswer:
        """Look up one item for each hash, with its number as its id."""
        items = [HashedItem((item,), str(number)) for number, item in enumerate(hashes)]
        return self.engine.rescan(since, sets).answer(items)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def met(answer: RescanAnswer) -> dict[str, list[str]]:
    """Return the entries of each report, by request id."""
    return {report.request_id: [hit.entry.entry_id for hit in report.hits] for report in answer.reports}


MD5 = value("md5", 1)
PDQ = value("pdq", 1)


def test_what_is_new_is_met_and_what_is_old_is_not(scene: Scene) -> None:
    scene.feed.put("a", [entry("old", MD5)])
    since = scene.sync()
    scene.feed.put("a", [entry("new", value("md5", 2)), entry("near", value("pdq", 1 << 200))])
    now = scene.sync()
    asked = (MD5, value("md5", 2), value("pdq", (1 << 200) + 3), value("md5", 9))
    answer = scene.rescan(since, *asked)
    assert met(answer) == {"1": ["new"], "2": ["near"]}
    assert (answer.generation, answer.everything, answer.checked, answer.rejected) == (now, False, 4, ())
    assert [(report.verdict, report.created_at) for report in answer.reports] == [(Verdict.MATCH, NOON)] * 2
    assert scene.rescan(now, *asked).reports == ()
    assert met(scene.rescan("0", *asked)) == {"0": ["old"], "1": ["new"], "2": ["near"]}


def test_it_is_the_same_after_a_compaction(scene: Scene) -> None:
    scene.feed.put("a", [entry("old", MD5)])
    since = scene.sync()
    scene.compact()
    scene.feed.put("a", [entry("new", MD5)])
    scene.sync()
    before = scene.rescan(since, MD5)
    scene.compact()
    assert scene.rescan(since, MD5) == before
    assert met(before) == {"0": ["new"]}


def test_a_reinstated_and_a_changed_entry_are_new_and_a_withdrawn_one_is_gone(scene: Scene) -> None:
    scene.feed.put("a", [entry("e", MD5)])
    scene.sync()
    scene.feed.set_status("a", "e", EntryStatus.WITHDRAWN)
    since = scene.sync()
    rescan = scene.engine.rescan(since)
    assert rescan.answer([HashedItem((MD5,))]).reports == ()
    for status, rule in ((EntryStatus.ACTIVE, "digest_equal"), (EntryStatus.DISPUTED, "entry_disputed")):
        scene.feed.set_status("a", "e", status)
        scene.sync()
        (report,) = rescan.answer([HashedItem((MD5,))]).reports
        assert report.rule == rule
    scene.feed.set_status("a", "e", EntryStatus.WITHDRAWN)
    scene.sync()
    assert rescan.answer([HashedItem((MD5,))]).reports == (), "in the middle of a rescan, too"
    assert repr(rescan) == "<Rescan of <Newer than 5>: 4 items>"


@pytest.mark.parametrize("since", ["99", "12.305"])
def test_of_a_generation_that_is_not_known_everything_is_new_and_it_says_so(scene: Scene, since: str) -> None:
    scene.feed.put("a", [entry("old", MD5)])
    scene.sync()
    answer = scene.rescan(since, MD5)
    assert (met(answer), answer.everything) == ({"0": ["old"]}, True)


@pytest.mark.parametrize("since", ["", "x", "-1", "1.2.3", "9" * 30, "\N{ARABIC-INDIC DIGIT ONE}"])
def test_what_is_no_generation_is_refused(scene: Scene, since: str) -> None:
    with pytest.raises(BadInput, match="since: not the name of a generation, as a report gives it") as caught:
        scene.rescan(since, MD5)
    assert caught.value.field == "since"


def test_no_index_is_an_error_and_an_unknown_set_too(scene: Scene) -> None:
    with pytest.raises(SetNotFound):
        scene.rescan("0", MD5, sets=frozenset({"b"}))
    empty = Engine(FakeHasher(), LiveIndex(), PolicyConfig(), max_hits=1)
    with pytest.raises(IndexNotLoaded):
        empty.rescan("0")


def test_an_item_that_is_not_valid_is_a_result_and_the_others_are_looked_at(scene: Scene) -> None:
    scene.feed.put("a", [entry("e", MD5)])
    scene.sync()
    rescan = scene.engine.rescan("0")
    bad = HashedItem((EntryHash("md5", b"short"),))
    assert rescan.answer([]).checked == 0
    for round_ in range(2):
        answer = rescan.answer([HashedItem((MD5,)), bad, HashedItem((EntryHash("nonesuch", b""),))])
        assert (answer.checked, len(answer.reports)) == (1, 1)
        assert [(item.position, item.field) for item in answer.rejected] == [
            (3 * round_ + 1, "item.hashes[0].value"),
            (3 * round_ + 2, "item.hashes[0].algorithm"),
        ]


def test_allow_sets_speak_whenever_they_were_told_and_are_not_met_themselves(scene: Scene) -> None:
    scene.feed.put("reviewed", [entry("ok", PDQ)])
    since = scene.sync()
    scene.feed.put("a", [entry("far", value("pdq", 1 + (0xFFFF << 100)))])
    scene.feed.put("reviewed", [entry("another", value("md5", 5))])
    scene.sync()
    (report,) = scene.rescan(since, PDQ, value("md5", 5)).reports
    assert (report.verdict, report.rule) == (Verdict.NO_MATCH, "suppressed_by_allow_set")
    assert [hit.entry.entry_id for hit in report.hits] == ["ok", "far"]
    assert scene.rescan(since, PDQ, sets=frozenset({"a"})).reports[0].verdict is Verdict.MATCH


def test_a_crowd_of_old_and_of_shadowed_entries_hides_no_new_one(tmp_path: Path) -> None:
    scene = Scene(tmp_path, max_hits=3)
    scene.feed.put("a", [entry(f"old-{n}", PDQ) for n in range(20)])
    since = scene.sync()
    scene.compact()
    scene.feed.put("trial", [entry(f"shadow-{n}", PDQ) for n in range(20)])
    scene.feed.put("a", [entry("new", value("pdq", 1 + (0xFF << 100)))])
    scene.sync()
    (report,) = scene.rescan(since, PDQ).reports
    assert (report.verdict, report.hits[0].entry.entry_id, report.truncated) == (Verdict.MATCH, "new", True)


SEEDS = st.integers(0, 7)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(("a", "trial")), SEEDS, st.sampled_from(("pdq", "md5", "photodna"))),
        st.tuples(st.just("status"), SEEDS, st.sampled_from(EntryStatus)),
        st.just(("compact",)),
    ),
    max_size=12,
)


@given(steps=STEPS, cut=st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_a_rescan_meets_exactly_what_changed_since(steps: list[tuple[str, ...]], cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(Path(folder), max_hits=99)
        since = "0"
        for number, step in enumerate(steps):
            match step:
                case ("put", name, seed, algorithm):
                    scene.feed.put(name, [entry(f"e{seed}", value(algorithm, int(seed) + 1))])
                case ("status", seed, status):
                    held = [key for key in scene.feed.entries if key[1] == f"e{seed}"]
                    for set_id, entry_id in held:
                        scene.feed.set_status(set_id.removeprefix("id-of-"), entry_id, EntryStatus(status))
                case _:
                    scene.sync()
                    scene.compact()
            generation = scene.sync()
            if number < cut:
                since = generation
        asked = [value(name, seed + 1) for name in ("pdq", "md5", "photodna") for seed in range(8)]
        expected = {
            (number, set_id, entry_id)
            for (set_id, entry_id), (at, known) in scene.feed.entries.items()
            for number, one in enumerate(asked)
            if at > int(since) and known.status is not EntryStatus.WITHDRAWN and _reaches(one, known.hashes[0])
        }
        found = {
            (int(report.request_id), hit.entry.set_id, hit.entry.entry_id)
            for report in scene.rescan(since, *asked).reports
            for hit in report.hits
        }
        assert found == expected


def _reaches(asked: EntryHash, known: EntryHash) -> bool:
    if asked.algorithm != known.algorithm:
        return False
    return asked == known or (asked.algorithm == "pdq" and distance(asked.value, known.value) <= 31)


def test_a_newer_view_answers_from_the_generation_of_the_moment(scene: Scene) -> None:
    newer = scene.index.newer("0")
    query = [Query("md5", MD5.value, 0)]
    assert newer.search(query, sets=None, max_hits=1).found == ()
    scene.feed.put("a", [entry("e", MD5)])
    scene.sync()
    assert [found.entry.entry_id for found in newer.search(query, sets=None, max_hits=1).found] == ["e"]
    assert newer.search(query, sets=frozenset({"trial"}), max_hits=1).found == ()
