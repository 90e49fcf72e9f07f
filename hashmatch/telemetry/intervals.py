"""What happened between two looks at counters that only grow; pure.

Theory of operation
-------------------
Counters of one process never shrink. Where one is smaller than before, another process answered, and everything that it
has counted is new. A quantile is read from a histogram as Prometheus does: the bucket in which it lies, and a straight
line through that bucket. What lies over the last bound is told as that bound.

What this module deliberately does not do: it knows no clock; whoever looked knows when.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from hashmatch.report.status import Latency

_K = TypeVar("_K", bound=Hashable)


def grown(before: Mapping[_K, int], now: Mapping[_K, int]) -> dict[_K, int]:
    """Return by how much each counter grew."""
    return {key: since(before.get(key, 0), count) for key, count in now.items()}


def since(before: int, now: int) -> int:
    """Return by how much one counter grew; one that shrank began anew."""
    return now - before if now >= before else now


def passed(before: Latency | None, now: Latency) -> Latency:
    """Return the histogram of what came in between."""
    if before is None or any(b > n for b, n in zip(before.counts, now.counts, strict=True)):
        return now
    return Latency(
        tuple(n - b for b, n in zip(before.counts, now.counts, strict=True)), max(0, now.sum_us - before.sum_us)
    )


def quantile_us(bounds_us: Sequence[int], counts: Sequence[int], q: float) -> float | None:
    """Estimate a quantile from a histogram.

    Parameters
    ----------
    bounds_us : sequence of int
        Inclusive upper bounds of the buckets, ascending, microseconds.
    counts : sequence of int
        How much fell into each, and how much over the last bound: one more than there are bounds.
    q : float
        0 to 1.

    Returns
    -------
    float or None
        Microseconds; None where nothing was counted.

    """
    rank = q * sum(counts)
    if not rank and not any(counts):
        return None
    below, lower = 0, 0
    for bound, count in zip(bounds_us, counts[:-1], strict=True):
        if count and below + count >= rank:
            return lower + (bound - lower) * max(0.0, rank - below) / count
        below, lower = below + count, bound
    return float(bounds_us[-1])
