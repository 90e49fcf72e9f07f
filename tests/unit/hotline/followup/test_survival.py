from __future__ import annotations

import random

import pytest

from hashmatch.hotline.followup.survival import Lasted, curve, quantile_s
from tests.oracle import survival as oracle

REMISSION = [
    *[(weeks, True) for weeks in (6, 6, 6, 7, 10, 13, 16, 22, 23)],
    *[(weeks, False) for weeks in (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35)],
]
"""Weeks of remission with 6-mercaptopurine, E. A. Gehan, Biometrika 52 (1965), 203-223; the field's own example."""

PUBLISHED = [
    (6, 0.8571, 0.0764, 0.6197, 0.9516),
    (7, 0.8067, 0.0869, 0.5631, 0.9228),
    (10, 0.7529, 0.0963, 0.5032, 0.8894),
    (13, 0.6902, 0.1068, 0.4316, 0.8491),
    (16, 0.6275, 0.1141, 0.3675, 0.8049),
    (22, 0.5378, 0.1282, 0.2678, 0.7468),
    (23, 0.4482, 0.1346, 0.1881, 0.6801),
]
"""Time, estimate, standard error, and the band on the scale of log(-log S)."""


def estimate(data: list[tuple[int, bool]]) -> dict[float, tuple[float, float, float | None, float | None]]:
    return {
        step.time_s: (step.survival, step.variance, step.low, step.high)
        for step in curve(Lasted(float(time), ended) for time, ended in data)
    }


@pytest.mark.parametrize(("time", "survival", "error", "low", "high"), PUBLISHED)
def test_the_textbook(time: int, survival: float, error: float, low: float, high: float) -> None:
    found = estimate(REMISSION)[time]
    assert (found[0], found[1] ** 0.5, found[2], found[3]) == pytest.approx((survival, error, low, high), abs=6e-5)


def test_the_textbook_median() -> None:
    steps = curve(Lasted(float(time), ended) for time, ended in REMISSION)
    assert quantile_s(steps, 0.5) == 23
    assert quantile_s(steps, 0.25) == 13
    assert quantile_s(steps, 0.9) is None
    assert [(step.at_risk, step.ended, step.censored) for step in steps[:3]] == [(21, 3, 1), (17, 1, 0), (16, 0, 1)]
    assert steps[-1].at_risk == 1


@pytest.mark.parametrize("seed", range(40))
def test_the_estimate_is_the_twin_s(seed: int) -> None:
    rng = random.Random(seed)
    data = [(rng.randrange(1, 15), rng.random() < rng.choice([0.3, 0.9])) for _ in range(rng.randrange(1, 30))]
    for time, (survival, variance, low, high) in estimate(data).items():
        assert survival == pytest.approx(float(oracle.survival(data, time)), abs=1e-12)
        assert variance == pytest.approx(float(oracle.variance(data, time)), abs=1e-12)
        inside = 1e-9 < survival < 1 - 1e-9
        assert (low is None, high is None) == (not inside, not inside)
        assert low is None or high is None or 0 <= low < survival < high <= 1


def test_without_censoring_it_is_the_share_that_lasts() -> None:
    steps = curve(Lasted(float(n), ended=True) for n in (4, 1, 3, 2))
    assert [step.survival for step in steps] == pytest.approx([0.75, 0.5, 0.25, 0.0])
    assert [step.variance for step in steps] == pytest.approx([0.75 * 0.25 / 4, 0.25 / 4, 0.75 * 0.25 / 4, 0.0])
    assert [quantile_s(steps, share) for share in (0.25, 0.5, 0.75, 1.0)] == [1, 2, 3, 4]


def test_nothing_gives_no_curve() -> None:
    assert curve([]) == ()
    assert quantile_s((), 0.5) is None
