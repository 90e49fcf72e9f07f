"""Many items at once are answered as each is alone, and what stands for one item is never said of another."""

from __future__ import annotations

import dataclasses
import datetime as dt
import random

import pytest

from hashmatch.config import PolicyConfig
from hashmatch.errors import IndexNotLoaded
from hashmatch.matching import together
from hashmatch.matching.given import HashedItem
from hashmatch.matching.together import Together
from hashmatch.model import EntryHash, EntryStatus, MatchReport, SetMode, Verdict
from tests.support.ports import PDQ_ZERO, FakeIndex, entry_ref, flipped

NOON = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
ROWS = [
    ("pdq", PDQ_ZERO, entry_ref("zero")),
    ("pdq", flipped(PDQ_ZERO, 3), entry_ref("three", set_name="trial", mode=SetMode.SHADOW)),
    ("pdq", flipped(PDQ_ZERO, 200), entry_ref("far", status=EntryStatus.DISPUTED)),
    ("pdq", flipped(PDQ_ZERO, 100), entry_ref("allowed", set_name="reviewed", mode=SetMode.ALLOW)),
    ("sha256", bytes(32), entry_ref("file")),
]
BITS = (0, 1, 3, 20, 40, 60, 99, 100, 110, 140, 170, 199, 201, 230)


def answering(index: FakeIndex, max_hits: int = 10) -> Together:
    return Together(index, PolicyConfig(), max_hits=max_hits, now=lambda: NOON)


def made(rng: random.Random) -> HashedItem:
    """Make an item of none to three hashes, near something or not."""
    kinds = {
        "pdq": lambda: EntryHash("pdq", flipped(PDQ_ZERO, rng.choice(BITS)), rng.choice((None, 10, 60, 100))),
        "pdq-nearest512": lambda: EntryHash("pdq-nearest512", flipped(PDQ_ZERO, rng.choice(BITS)), 80),
        "sha256": lambda: EntryHash("sha256", rng.choice((bytes(32), b"1" * 32))),
        "ahash": lambda: EntryHash("ahash", bytes(8)),
    }
    chosen = [kinds[rng.choice(sorted(kinds))]() for _ in range(rng.randrange(4))]
    return HashedItem(tuple(chosen), f"item-{rng.random()}")


def said(report: MatchReport) -> MatchReport:
    """Return a report without its times."""
    return dataclasses.replace(report, elapsed_us={})


@pytest.mark.parametrize("sets", [None, frozenset({"hotline"}), frozenset({"trial", "reviewed"}), frozenset[str]()])
@pytest.mark.parametrize("max_hits", [1, 2, 10])
def test_items_are_answered_together_as_each_is_alone(sets: frozenset[str] | None, max_hits: int) -> None:
    rng = random.Random(max_hits)
    items = [made(rng) for _ in range(200)]
    all_at_once = answering(FakeIndex(ROWS), max_hits).answer(items, sets)
    each_alone = [answering(FakeIndex(ROWS), max_hits).answer([item], sets)[0] for item in items]
    assert [said(report) for report in all_at_once] == [said(report) for report in each_alone]
    assert [report.request_id for report in all_at_once] == [item.request_id for item in items]
    if sets is None:
        assert {report.verdict for report in all_at_once} == set(Verdict)


def test_only_who_met_more_than_is_kept_is_told_so_and_none_is_crowded_out() -> None:
    shadow = [("pdq", PDQ_ZERO, entry_ref(f"s{n}", set_name="trial", mode=SetMode.SHADOW)) for n in range(50)]
    rows = [*shadow, ("pdq", flipped(PDQ_ZERO, 20), entry_ref("real")), ("sha256", bytes(32), entry_ref("file"))]
    items = [
        HashedItem((EntryHash("pdq", flipped(PDQ_ZERO, 128)),)),
        HashedItem((EntryHash("pdq", PDQ_ZERO),)),
        HashedItem((EntryHash("sha256", bytes(32)),)),
    ]
    reports = answering(FakeIndex(rows), 2).answer(items, None)
    assert [(r.verdict, [h.entry.entry_id for h in r.hits][:1], r.truncated) for r in reports] == [
        (Verdict.NO_MATCH, [], False),
        (Verdict.MATCH, ["real"], True),
        (Verdict.MATCH, ["file"], False),
    ]


def test_each_has_an_equal_share_of_the_time() -> None:
    reports = answering(FakeIndex(ROWS)).answer([made(random.Random(1)) for _ in range(50)], None)
    assert {tuple(sorted(report.elapsed_us)) for report in reports} == {("policy", "search", "total")}
    assert len({id(report.elapsed_us) for report in reports}) == 1


def test_who_makes_up_shapes_gets_no_memory_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "_SHAPES_KEPT", 4)
    asking = answering(FakeIndex(ROWS))
    items = [HashedItem((EntryHash("pdq", PDQ_ZERO, quality),)) for quality in range(100)]
    reports = asking.answer(items, None)
    assert [report.quality for report in reports] == list(range(100))
    assert len(asking._shapes(tuple(FakeIndex(ROWS).values(None).items()))) <= 4


def test_when_a_list_grows_what_hashes_reach_is_worked_out_anew() -> None:
    index = FakeIndex([("pdq", flipped(PDQ_ZERO, 12), entry_ref())])
    asking, item = answering(index), HashedItem((EntryHash("pdq", PDQ_ZERO, 100),))
    before = asking.answer([item], None)[0].hits[0].chance
    index.rows += [("pdq", flipped(PDQ_ZERO, 200), entry_ref(f"e{number}")) for number in range(9)]
    after = asking.answer([item], None)[0].hits[0].chance
    assert before is not None
    assert after == pytest.approx(10 * before)


def test_without_items_or_without_an_index() -> None:
    assert answering(FakeIndex(ROWS)).answer([], None) == []
    with pytest.raises(IndexNotLoaded):
        answering(FakeIndex(loaded=False)).answer([HashedItem(())], None)
