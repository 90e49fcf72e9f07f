"""Measure several ways of doing one thing against each other, so that what disturbs one disturbs all.

Theory of operation
-------------------
The ways take turns: one round gives each a slice of the queries that is worth about ``round_s``, and rounds go through
them forwards and backwards in turn, so that a drift of the machine cancels. Every round takes the next slice, so that a
query's memory is not still warm from the round before. A round gives one sample, the mean time per query of its slice;
what is reported is the median of the samples and an interval for it from order statistics, which assumes nothing about
how times are distributed (and they are skewed: a machine only ever disturbs in one direction).

Beside the wall clock each round reads the thread's CPU clock. On a quiet machine they agree; :attr:`Timing.cpu_share`
says by how much they did not. Ways that run on one thread may be timed by the CPU clock (:attr:`Effort.by_cpu`), which
stands still while somebody else has the core.

What this module deliberately does not do: it discards no sample, and it prints nothing.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from hashmatch.progress import SILENT, Progress

CONFIDENCE = 0.95
"""Of the interval around a median."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure; the defaults take about a second per way and give an interval of ranks 8 to 18 of 25.

    ``by_cpu`` says that times are those of the thread, not of the wall.
    """

    rounds: int = 25
    round_s: float = 0.02
    by_cpu: bool = False


@dataclass(frozen=True, slots=True)
class Timing:
    """What one query takes, in microseconds.

    ``low_us`` and ``high_us`` bound the median with 95 % confidence. ``samples`` are the rounds, ``queries`` those
    answered in each. ``cpu_share`` is CPU time by wall time: 1 when nobody else wanted the core.
    """

    median_us: float
    low_us: float
    high_us: float
    samples: int
    queries: int
    cpu_share: float


@dataclass(frozen=True, slots=True)
class Way:
    """One way of answering queries.

    ``run(begin, end)`` answers the queries of that slice. Slices are multiples of ``step`` long.
    """

    name: str
    run: Callable[[int, int], object]
    step: int = 1


def median_interval(samples: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """Return the low end, the median and the high end.

    The ends are order statistics: the number of samples below the true median is binomial, whatever the distribution.
    With fewer than six samples no pair of them reaches 95 %; then these are the smallest and the largest.

    Source
    ------
    Hollander, Wolfe, Chicken, "Nonparametric Statistical Methods", 3rd edition, section 3.6.

    """
    ordered = sorted(samples)
    count = len(ordered)
    below, outside = 0, 0.0
    while below < (count - 1) // 2:
        outside += math.comb(count, below) / 2**count
        if 2 * outside > 1 - confidence:
            break
        below += 1
    rank = max(0, below - 1)
    return ordered[rank], statistics.median(ordered), ordered[count - 1 - rank]


def measure(
    ways: Sequence[Way], pool: int, effort: Effort | None = None, progress: Progress = SILENT
) -> Mapping[str, Timing]:
    """Time all ways on the same queries, interleaved.

    Parameters
    ----------
    ways
        Names must differ.
    pool
        How many queries there are; a slice that reaches the end is followed by the first.
    effort, progress
        How long to measure; who is told about rounds.

    """
    effort = effort or Effort()
    slices = {way.name: _slice(way, pool, effort.round_s) for way in ways}
    begins = dict.fromkeys(slices, 0)
    samples: dict[str, list[tuple[float, float]]] = {way.name: [] for way in ways}
    progress.start("measuring", effort.rounds, "rounds")
    with _no_collector():
        for number in range(effort.rounds):
            for way in ways if number % 2 == 0 else reversed(ways):
                size, begin = slices[way.name], begins[way.name]
                begins[way.name] = begin + size if begin + 2 * size <= pool else 0
                samples[way.name].append(_timed(way, begin, size))
            progress.advance(1)
    progress.finish()
    return {way.name: _timing(samples[way.name], slices[way.name], by_cpu=effort.by_cpu) for way in ways}


def _slice(way: Way, pool: int, round_s: float) -> int:
    """How many queries are worth about ``round_s``; answering them to find out is the warm-up."""
    size = min(way.step, pool)
    while True:
        way.run(0, size)
        taken_s = _timed(way, 0, size)[0] * size / 1e6
        if taken_s >= round_s / 2 or 2 * size > pool:
            break
        size *= 2
    wanted = int(size * round_s / taken_s)
    return max(min(way.step, pool), min(wanted, pool) // way.step * way.step)


def _timed(way: Way, begin: int, size: int) -> tuple[float, float]:
    """Return microseconds per query and the share of the CPU that the thread had."""
    cpu, wall = time.thread_time_ns(), time.perf_counter_ns()
    way.run(begin, begin + size)
    wall, cpu = time.perf_counter_ns() - wall, time.thread_time_ns() - cpu
    return wall / 1e3 / size, min(1.0, cpu / wall)


def _timing(samples: Sequence[tuple[float, float]], size: int, *, by_cpu: bool) -> Timing:
    low, middle, high = median_interval([took * share if by_cpu else took for took, share in samples])
    return Timing(middle, low, high, len(samples), size, statistics.median(sample[1] for sample in samples))


@contextmanager
def _no_collector() -> Iterator[None]:
    """Keep Python's garbage collector out of the rounds."""
    was = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
