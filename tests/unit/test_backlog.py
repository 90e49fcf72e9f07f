"""How long work will wait, and when it is refused at once."""

from __future__ import annotations

import pytest

from hashmatch.backlog import LEAST_HINT_S, MEMORY, Backlog
from hashmatch.errors import Overloaded


def backlog(servers: int = 2, longest_ms: int = 1_000) -> Backlog:
    """Return one of images."""
    return Backlog(servers, 10_001, longest_ms, "images")


def test_nothing_is_refused_before_anything_is_known() -> None:
    fresh = backlog()
    fresh.admit(10_000, 0.001)
    assert fresh.wait_s(10_000) == 0
    assert repr(fresh) == "<Backlog of images: nothing known yet, by 2 at a time>"


def test_the_wait_is_what_is_ahead_by_what_each_takes() -> None:
    known = backlog()
    known.note(0.1)
    assert [known.wait_s(ahead) for ahead in (0, 1, 9)] == pytest.approx([0.05, 0.1, 0.5])
    assert repr(known) == "<Backlog of images: 100.00 ms each, by 2 at a time>"


def test_a_wait_that_is_too_long_is_refused_with_the_time_to_come_back() -> None:
    known = backlog()
    known.note(0.1)
    known.admit(19)
    with pytest.raises(Overloaded) as refused:
        known.admit(23)
    assert refused.value.message == ("the wait behind 23 images is 1200 ms, and at most 1000 are waited")
    assert refused.value.retry_after_s == pytest.approx(0.2)


def test_a_deadline_that_cannot_be_met_is_refused_now() -> None:
    known = backlog()
    known.note(0.1)
    known.admit(1, 0.21)
    with pytest.raises(Overloaded) as refused:
        known.admit(1, 0.199)
    assert refused.value.message == "an answer behind 1 images takes 200 ms, and the caller's deadline is in 199"
    assert refused.value.retry_after_s == pytest.approx(0.1)


def test_too_many_are_refused_whatever_they_take() -> None:
    fresh = backlog()
    with pytest.raises(Overloaded) as refused:
        fresh.admit(10_001)
    assert refused.value.message == "all 2 are busy and 10001 images wait already"
    assert refused.value.retry_after_s == LEAST_HINT_S
    Backlog(2, None, 1_000, "lookups").admit(10_001)


def test_one_for_each_server_may_wait_however_long_that_is() -> None:
    slow = backlog(servers=2)
    slow.note(10.0)
    slow.admit(0)
    slow.admit(1)
    with pytest.raises(Overloaded, match=r"^the wait behind 2 images is 15000 ms, and at most 1000 are waited$"):
        slow.admit(2)


def test_no_hint_is_too_short() -> None:
    quick = backlog(longest_ms=1)
    quick.note(1e-3)
    with pytest.raises(Overloaded) as refused:
        quick.admit(2)
    assert refused.value.retry_after_s == LEAST_HINT_S


def test_the_mean_follows_and_forgets() -> None:
    known = backlog(servers=1)
    known.note(0.1)
    known.note(1.0)
    assert known.wait_s(0) == pytest.approx(0.1 + 0.9 / MEMORY)
    for _ in range(10 * MEMORY):
        known.note(0.2)
    assert known.wait_s(0) == pytest.approx(0.2, rel=1e-3)


def test_a_batch_counts_as_its_pieces() -> None:
    one, many = backlog(), backlog()
    for known in (one, many):
        known.note(0.1)
    for _ in range(8):
        one.note(0.3)
    many.note(8 * 0.3, pieces=8)
    assert one.wait_s(3) == pytest.approx(many.wait_s(3))
