"""What is read from counters that grow: differences, restarts, quantiles."""

from __future__ import annotations

import bisect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.report.status import Latency
from hashmatch.telemetry.intervals import grown, passed, quantile_us, since
from hashmatch.telemetry.tally import BOUNDS_US, Histogram


def test_a_counter_that_shrank_began_anew() -> None:
    assert (since(3, 10), since(3, 3), since(10, 3)) == (7, 0, 3)
    assert grown({"a": 3, "gone": 1}, {"a": 5, "new": 2}) == {"a": 2, "new": 2}


def test_a_histogram_of_what_came_in_between() -> None:
    assert passed(Latency((1, 2), 10), Latency((1, 5), 40)) == Latency((0, 3), 30)
    assert passed(None, Latency((1, 5), 40)) == Latency((1, 5), 40)
    assert passed(Latency((2, 0), 10), Latency((1, 5), 40)) == Latency((1, 5), 40)


@pytest.mark.parametrize(
    ("counts", "q", "expected"),
    [
        ([0, 0, 0], 0.5, None),
        ([10, 0, 0], 0.5, 50.0),
        ([10, 0, 0], 1.0, 100.0),
        ([0, 10, 0], 0.5, 150.0),
        ([5, 5, 0], 0.5, 100.0),
        ([5, 5, 0], 0.75, 150.0),
        ([0, 0, 3], 0.5, 200.0),
        ([0, 4, 0], 0.0, 100.0),
    ],
)
def test_quantiles_by_hand(counts: list[int], q: float, expected: float | None) -> None:
    assert quantile_us((100, 200), counts, q) == expected


@given(st.lists(st.integers(0, 10_000_000), min_size=1, max_size=60), st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(took_us: list[int], q: float) -> None:
    histogram = Histogram()
    for one in took_us:
        histogram.observe(one)
    estimate = quantile_us(BOUNDS_US, histogram.counts, q)
    rank = max(1, -(-q * len(took_us) // 1))  # the ceiling
    true = sorted(took_us)[int(rank) - 1]
    at = bisect.bisect_left(BOUNDS_US, true)
    assert estimate is not None
    assert (BOUNDS_US[at - 1] if at else 0) <= estimate <= BOUNDS_US[at]
