"""A bucket never admits more than its burst and what came since; a refusal says how long, exactly."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from hashmatch.errors import QuotaExceeded
from hashmatch.identity.quota import DAY_NS, Bucket, Meter, Window
from hashmatch.sections import QuotaConfig

SECOND_NS = 10**9
RATES = st.integers(1, 1 << 40)
BURSTS = st.integers(1, 1 << 40)
STEPS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 10), st.integers(0, 10**12)), st.one_of(st.integers(1, 4), st.integers(1, 1 << 41))
    ),
    max_size=60,
)
"""Nanoseconds that pass, and what is asked for then."""


@given(RATES, BURSTS, STEPS)
def test_no_stretch_of_time_admits_more_than_burst_and_rate(
    rate: int, burst: int, steps: list[tuple[int, int]]
) -> None:
    bucket, now = Bucket(rate, burst, 0), 0
    admitted: list[tuple[int, int]] = []
    for passed, amount in steps:
        now += passed
        if bucket.wait_ns(amount, now) == 0:
            bucket.take(amount, now)
            admitted.append((now, amount))
    for first, (begin, _) in enumerate(admitted):
        total = 0
        for moment, amount in admitted[first:]:
            total += amount
            assert total * SECOND_NS <= burst * SECOND_NS + rate * (moment - begin)


@given(RATES, BURSTS, STEPS)
def test_the_wait_is_the_shortest_that_helps(rate: int, burst: int, steps: list[tuple[int, int]]) -> None:
    bucket, now = Bucket(rate, burst, 0), 0
    for passed, amount in steps:
        now += passed
        wait = bucket.wait_ns(amount, now)
        assert (wait is None) == (amount > burst)
        if wait is None:
            continue
        assert bucket.wait_ns(amount, now + wait) == 0
        if wait:
            assert bucket.wait_ns(amount, now + wait - 1) != 0
        now += wait
        bucket.take(amount, now)


@given(RATES, BURSTS, st.integers(0, 10**15), st.integers(0, 10**15))
def test_a_clock_that_stands_or_goes_back_brings_nothing(rate: int, burst: int, at: int, before: int) -> None:
    bucket = Bucket(rate, burst, at)
    bucket.take(burst, at)
    assert bucket.wait_ns(1, min(at, before)) != 0


@given(st.integers(1, 100), st.lists(st.tuples(st.integers(0, DAY_NS), st.integers(1, 120)), max_size=40))
def test_a_day_admits_its_number_and_the_next_begins_anew(most: int, steps: list[tuple[int, int]]) -> None:
    window, now = Window(most), 0
    begun: int | None = None
    used = 0
    for passed, amount in steps:
        now += passed
        if begun is not None and now - begun >= DAY_NS:
            begun, used = None, 0
        wait = window.wait_ns(amount, now)
        if amount > most:
            assert wait is None
        elif used + amount <= most:
            assert wait == 0
            window.take(amount, now)
            begun, used = now if begun is None else begun, used + amount
        else:
            assert begun is not None
            assert wait == begun + DAY_NS - now


@given(
    st.builds(
        QuotaConfig,
        calls_per_s=st.integers(1, 50),
        calls_burst=st.integers(1, 50),
        bytes_per_s=st.integers(1, 5_000),
        bytes_burst=st.integers(1, 5_000),
        calls_per_day=st.integers(1, 60),
    ),
    st.lists(st.tuples(st.integers(0, SECOND_NS), st.integers(0, 6_000)), max_size=60),
)
def test_a_meter_takes_from_all_limits_or_from_none(quota: QuotaConfig, steps: list[tuple[int, int]]) -> None:
    meter, now, admitted, total = Meter(quota, 0), 0, 0, 0
    for passed, amount in steps:
        now += passed
        before = repr(meter)
        with contextlib.suppress(QuotaExceeded):
            meter.begin(now)
            admitted += 1
            before = repr(meter)
            if amount <= quota.bytes_burst:
                meter.charge(0, amount, now)
                total += amount
                continue
        assert repr(meter) == before
    assert admitted <= quota.calls_per_day
    assert admitted * SECOND_NS <= quota.calls_burst * SECOND_NS + quota.calls_per_s * now
    assert total * SECOND_NS <= quota.bytes_burst * SECOND_NS + quota.bytes_per_s * now
