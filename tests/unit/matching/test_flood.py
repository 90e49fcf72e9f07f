"""The flood guard: what it takes, what it remembers, and what it does not hold against anybody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.config import FloodConfig
from hashmatch.matching.flood import Flood, Flooding, Key
from hashmatch.model import Hit, SetMode, Verdict
from tests.support.ports import entry_ref

CONFIG = FloodConfig(window_s=60, min_matches=10, factor=5.0, history_windows=4, max_entries=10)


def hit(entry_id: str = "e", verdict: Verdict = Verdict.MATCH, rule: str = "digest_equal") -> Hit:
    mode = SetMode.ALLOW if rule == "entry_allowed" else SetMode.ENFORCED
    return Hit(verdict, rule, entry_ref(entry_id, mode=mode), "md5", "md5", 0, 0, "bytes")


def matched(flooding: Flooding, times: int, now_s: float, entry_id: str = "e") -> list[Flood]:
    return [flood for _ in range(times) for flood in flooding.observe([hit(entry_id)], now_s)]


def test_a_new_entry_may_match_so_often_and_once_more_is_told_once() -> None:
    flooding = Flooding(CONFIG)
    assert matched(flooding, 10, 0) == []
    (flood,) = matched(flooding, 100, 59)
    assert (flood.key, flood.matches, flood.level, flood.limit) == (Key("hotline", "e"), 11, 0.0, 10.0)
    assert flood.reason == "11 matches within 60 s; 0.0 in such a time before, the limit is 10"


def test_matches_of_other_windows_and_other_entries_do_not_add_up() -> None:
    flooding = Flooding(CONFIG)
    assert [matched(flooding, 10, window * 60, name) for window in range(4) for name in "ab"] == [[]] * 8


def test_an_entry_that_always_matched_may_match_more() -> None:
    flooding = Flooding(CONFIG)
    for window in range(40):
        assert matched(flooding, 8, window * 60) == []
    assert matched(flooding, 39, 40 * 60) == []
    (flood,) = matched(flooding, 2, 40 * 60)
    assert (flood.matches, round(flood.limit)) == (40, 40)


def test_a_history_fades_when_nothing_is_matched() -> None:
    flooding = Flooding(CONFIG)
    for window in range(40):
        matched(flooding, 8, window * 60)
    (flood,) = matched(flooding, 11, 1_000 * 60)
    assert (flood.matches, flood.limit) == (11, 10.0)


def test_who_was_reinstated_is_left_alone_unless_it_gets_much_worse() -> None:
    flooding = Flooding(CONFIG)
    assert len(matched(flooding, 40, 0)) == 1, "told once in a window, whatever comes"
    assert matched(flooding, 150, 60) == [], "the next window's limit is five times the forty of the flood"
    assert [flood.matches for flood in matched(flooding, 400, 120)] == [338]


def test_a_clock_that_goes_back_closes_no_window() -> None:
    flooding = Flooding(CONFIG)
    assert matched(flooding, 6, 600) == []
    assert len(matched(flooding, 6, 60)) == 1


@pytest.mark.parametrize(
    ("verdict", "rule", "counted"),
    [
        (Verdict.MATCH, "within_match_distance", True),
        (Verdict.POSSIBLE_MATCH, "entry_disputed", True),
        (Verdict.NO_MATCH, "entry_allowed", True),
        (Verdict.NO_MATCH, "suppressed_by_allow_set", False),
        (Verdict.NO_MATCH, "allowed_without_effect", False),
        (Verdict.NO_MATCH, "set_in_shadow", False),
        (Verdict.NO_MATCH, "entry_quarantined", False),
    ],
)
def test_what_decides_is_counted_and_what_takes_weight_from_it(verdict: Verdict, rule: str, *, counted: bool) -> None:
    flooding = Flooding(CONFIG)
    floods = [flooding.observe([hit("e", verdict, rule)], 0) for _ in range(11)]
    assert bool(floods[-1]) is counted


def test_memory_is_bounded_and_a_flood_is_never_what_is_forgotten() -> None:
    flooding = Flooding(CONFIG)
    floods = []
    for number in range(100):
        floods += flooding.observe([hit("flood"), hit(f"once-{number}")], 0)
        assert repr(flooding) == f"<Flooding: {min(number + 2, 10)} entries>"
    assert [flood.key.entry_id for flood in floods] == ["flood"]


def test_a_history_goes_on_after_a_restart() -> None:
    flooding = Flooding(CONFIG)
    for window in range(40):
        matched(flooding, 8, window * 60, "busy")
        matched(flooding, 1, window * 60, "quiet")
    history = flooding.history(40 * 60)
    assert {key.entry_id: round(level, 2) for key, level in history.items()} == {"busy": 8.0}, "others change no limit"
    again = Flooding(CONFIG, history, now_s=40 * 60)
    assert matched(again, 39, 40 * 60, "busy") == []
    assert len(matched(again, 2, 40 * 60, "busy")) == 1
    assert len(matched(again, 11, 40 * 60, "quiet")) == 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 30)), max_size=40))
def test_no_entry_is_told_before_its_least_limit_nor_twice_in_a_window(steps: list[tuple[int, int]]) -> None:
    flooding, window, seen, told = Flooding(CONFIG), 0, 0, 0
    for ahead, times in steps:
        if ahead:
            window, seen, told = window + ahead, 0, 0
        for _ in range(times):
            seen += 1
            floods = matched(flooding, 1, window * 60)
            told += len(floods)
            assert told <= 1
            assert all(flood.matches == seen > CONFIG.min_matches for flood in floods)
