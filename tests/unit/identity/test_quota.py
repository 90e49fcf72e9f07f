"""Meters: what is refused, in which words, and when it is worth coming back."""

from __future__ import annotations

import pytest

from hashmatch.errors import BadInput, QuotaExceeded
from hashmatch.identity.quota import DAY_NS, Meter
from hashmatch.sections import QuotaConfig

SECOND_NS = 10**9


def test_without_a_quota_everything_is_admitted() -> None:
    meter = Meter(QuotaConfig(), 0)
    for _ in range(1_000):
        meter.begin(0)
        meter.charge(1, 1 << 40, 0)
    assert repr(meter) == "<Meter: {}>"


def test_calls_are_refused_beyond_the_burst_and_admitted_again_when_it_says() -> None:
    meter = Meter(QuotaConfig(calls_per_s=4, calls_burst=2), 0)
    meter.begin(0)
    meter.begin(0)
    with pytest.raises(QuotaExceeded) as raised:
        meter.begin(0)
    assert raised.value.message == "the quota of this caller is used up (calls_per_s); try again in 0.25 s"
    assert raised.value.retry_after_s == 0.25
    meter.begin(SECOND_NS // 4)


def test_who_has_no_byte_left_is_refused_before_anything_is_read() -> None:
    meter = Meter(QuotaConfig(bytes_per_s=10, bytes_burst=100), 0)
    meter.begin(0)
    meter.charge(0, 100, 0)
    with pytest.raises(QuotaExceeded, match=r"\(bytes_per_s\); try again in 0.1 s"):
        meter.begin(0)


def test_a_message_that_never_fits_is_no_matter_of_waiting() -> None:
    meter = Meter(QuotaConfig(bytes_per_s=10, bytes_burst=100), 0)
    with pytest.raises(BadInput) as raised:
        meter.charge(0, 101, 0)
    assert raised.value.message == (
        "the message has 101 bytes, more than this caller's quota (bytes_per_s) ever allows at once"
    )


def test_a_day_is_refused_until_it_has_passed() -> None:
    meter = Meter(QuotaConfig(calls_per_day=1), 0)
    meter.begin(SECOND_NS)
    with pytest.raises(QuotaExceeded, match=r"\(calls_per_day\)") as raised:
        meter.begin(2 * SECOND_NS)
    assert raised.value.retry_after_s == 86_399
    meter.begin(DAY_NS + SECOND_NS)


def test_the_longest_wait_of_all_limits_is_the_one_that_is_named() -> None:
    meter = Meter(QuotaConfig(calls_per_s=1, calls_burst=1, calls_per_day=1), 0)
    meter.begin(0)
    with pytest.raises(QuotaExceeded, match="calls_per_day"):
        meter.begin(0)
