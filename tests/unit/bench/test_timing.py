"""Medians, their intervals, and taking turns."""

from __future__ import annotations

import gc
import math
import random
import statistics

import pytest

from hashmatch.bench import timing as timing_module
from hashmatch.bench.timing import CONFIDENCE, Effort, Timing, Way, measure, median_interval

TINY = Effort(rounds=5, round_s=0.0005)


class Clock:
    """Wall clock and CPU clock that only move when they are told to."""

    def __init__(self) -> None:
        self.wall_ns = 0
        self.cpu_ns = 0

    def perf_counter_ns(self) -> int:
        """Wall clock."""
        return self.wall_ns

    def thread_time_ns(self) -> int:
        """CPU clock."""
        return self.cpu_ns

    def pass_us(self, wall_us: int, cpu_us: int = 0) -> None:
        """Let time pass."""
        self.wall_ns += 1_000 * wall_us
        self.cpu_ns += 1_000 * cpu_us


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timing_module, "time", clock)
    return clock


@pytest.mark.parametrize(("count", "rank"), [(6, 1), (9, 2), (15, 4), (25, 8), (50, 18), (100, 40)])
def test_the_ends_are_the_ranks_of_the_tables(count: int, rank: int) -> None:
    """Ranks of 95 % intervals for a median as Hollander, Wolfe and Chicken tabulate them."""
    samples = [float(at) for at in range(1, count + 1)]
    random.Random(count).shuffle(samples)
    assert median_interval(samples) == (rank, statistics.median(samples), count + 1 - rank)


@pytest.mark.parametrize("count", range(6, 60))
def test_the_interval_is_the_narrowest_that_holds_its_confidence(count: int) -> None:
    low, _, high = median_interval([float(at) for at in range(1, count + 1)])

    def missed(rank: int) -> float:
        return 2.0 * sum(math.comb(count, below) for below in range(rank)) / float(2**count)

    assert high == count + 1 - low
    assert missed(int(low)) <= 1 - CONFIDENCE < missed(int(low) + 1)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_few_samples_give_their_extremes(count: int) -> None:
    samples = [float(at) for at in range(count)]
    assert median_interval(samples) == (0.0, statistics.median(samples), count - 1.0)


def test_ways_take_turns_forwards_and_backwards_through_the_queries(clock: Clock) -> None:
    calls: list[tuple[str, int, int]] = []

    def way(name: str) -> Way:
        def run(begin: int, end: int) -> None:
            calls.append((name, begin, end))
            clock.pass_us(400)

        return Way(name, run)

    timings = measure([way("a"), way("b")], 8, Effort(rounds=4, round_s=0.0001))
    rounds = calls[-8:]
    assert [name for name, _, _ in rounds] == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert [begin for name, begin, _ in rounds if name == "a"] == [0, 1, 2, 3]
    assert all(timing.samples == 4 and timing.queries == 1 for timing in timings.values())
    assert all(timing.low_us == timing.high_us == 400 for timing in timings.values())


def test_slices_are_whole_batches_and_stay_inside_the_pool() -> None:
    slices: set[tuple[int, int]] = set()
    way = Way("batches", lambda begin, end: slices.add((begin, end)), step=8)
    assert measure([way], 100, TINY)["batches"].queries % 8 == 0
    assert all(0 <= begin < end <= 100 and (end - begin) % 8 == 0 for begin, end in slices)


def test_a_pool_smaller_than_a_batch_is_one_slice() -> None:
    slices: set[tuple[int, int]] = set()
    measure([Way("batches", lambda begin, end: slices.add((begin, end)), step=120)], 7, TINY)
    assert slices == {(0, 7)}


def test_cpu_share_tells_working_from_waiting(clock: Clock) -> None:
    ways = [
        Way("work", lambda _begin, _end: clock.pass_us(300, 300)),
        Way("wait", lambda _begin, _end: clock.pass_us(2_000, 500)),
        Way("clocks disagree", lambda _begin, _end: clock.pass_us(300, 301)),
    ]
    shares = {name: timing.cpu_share for name, timing in measure(ways, 4, TINY).items()}
    assert shares == {"work": 1.0, "wait": 0.25, "clocks disagree": 1.0}
    by_cpu = measure(ways, 4, Effort(rounds=5, round_s=0.0005, by_cpu=True))
    assert {name: timing.median_us * timing.queries for name, timing in by_cpu.items()} == {
        "work": 300,
        "wait": 500,
        "clocks disagree": 300,
    }


def test_the_real_clocks_are_read() -> None:
    timing = measure([Way("a", lambda _begin, _end: sum(range(20_000)))], 4, TINY)["a"]
    assert timing.low_us > 0
    assert 0 < timing.cpu_share <= 1


def test_the_collector_rests_while_timing_and_only_then() -> None:
    seen: list[bool] = []
    measure([Way("a", lambda _begin, _end: seen.append(gc.isenabled()))], 1, TINY)
    assert seen[-TINY.rounds :] == [False] * TINY.rounds
    assert gc.isenabled()


def test_timings_are_in_microseconds_per_query(clock: Clock) -> None:
    queries = iter([900, 1_000, 1_100] * 99)
    way = Way("a", lambda begin, end: clock.pass_us(next(queries) * (end - begin)))
    timing = measure([way], 2, Effort(5, 0.002))["a"]
    assert isinstance(timing, Timing)
    assert (timing.low_us, timing.median_us, timing.high_us, timing.queries) == (900, 1_000, 1_100, 2)
