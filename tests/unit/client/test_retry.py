"""When to try again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.client.retry import RetryPolicy
from hashmatch.errors import HashmatchError, IndexNotLoaded, Overloaded, ServiceUnavailable, Status
from tests.unit.test_errors import every_class

POLICY = RetryPolicy(attempts=4, first_wait_s=0.1, longest_wait_s=0.3)


def longest(low: float, high: float) -> float:
    assert low == 0
    return high


@pytest.mark.parametrize("cls", every_class(), ids=lambda cls: cls.__name__)
def test_only_what_may_pass_is_tried_again(cls: type[HashmatchError]) -> None:
    again = cls.status is Status.UNAVAILABLE or issubclass(cls, Overloaded)
    assert (POLICY.wait_s(cls(), 1, 60.0) is not None) is again


def test_waits_double_up_to_their_longest() -> None:
    waits = [POLICY.wait_s(ServiceUnavailable(), attempt, 60.0, uniform=longest) for attempt in (1, 2, 3, 4)]
    assert waits == [0.1, 0.2, 0.3, None]


def test_a_services_hint_is_the_least_wait() -> None:
    assert POLICY.wait_s(Overloaded(retry_after_s=1.5), 1, 60.0, uniform=lambda low, _: low) == 1.5
    assert POLICY.wait_s(Overloaded(retry_after_s=1.5), 1, 60.0, uniform=longest) == 1.6


def test_a_wait_that_does_not_fit_into_the_deadline_is_not_begun() -> None:
    assert POLICY.wait_s(IndexNotLoaded(), 1, 0.1, uniform=longest) is None
    assert POLICY.wait_s(IndexNotLoaded(), 1, 0.11, uniform=longest) == 0.1
    assert POLICY.wait_s(Overloaded(retry_after_s=5), 1, 4.9) is None


def test_one_attempt_means_never_again() -> None:
    assert RetryPolicy(attempts=1).wait_s(ServiceUnavailable(), 1, 60.0) is None


@given(st.integers(1, 50), st.floats(0.001, 100.0))
def test_a_wait_is_never_longer_than_what_remains(attempt: int, remaining_s: float) -> None:
    wait_s = RetryPolicy(attempts=60).wait_s(ServiceUnavailable(), attempt, remaining_s)
    assert wait_s is None or 0 <= wait_s < remaining_s
