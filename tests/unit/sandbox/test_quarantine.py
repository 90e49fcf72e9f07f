"""Which bytes are put away for killing workers: weights, terms, probation, bounds; against a clock of numbers."""

from __future__ import annotations

import signal

import pytest

from hashmatch.model import Refusal
from hashmatch.sandbox.quarantine import ANYBODYS, LIMIT, LONGEST_S, OWN_FAULT, Quarantine, weight_of

POISON = b"poison"
TERM_S = 600.0


def put_away(quarantine: Quarantine, image: bytes, now: float) -> None:
    for _ in range(LIMIT // OWN_FAULT):
        quarantine.died(image, OWN_FAULT, now)


@pytest.mark.parametrize(
    ("number", "weight"),
    [
        (signal.SIGSEGV, OWN_FAULT),
        (signal.SIGSYS, OWN_FAULT),
        (signal.SIGABRT, OWN_FAULT),
        (0, OWN_FAULT),
        (signal.SIGKILL, ANYBODYS),
        (None, ANYBODYS),
    ],
)
def test_a_death_weighs_by_whose_fault_it_can_be(number: int | None, weight: int) -> None:
    assert weight_of(number) == weight


@pytest.mark.parametrize(("weight", "deaths"), [(OWN_FAULT, 2), (ANYBODYS, 4)])
def test_bytes_are_put_away_with_the_death_that_reaches_the_limit(weight: int, deaths: int) -> None:
    quarantine = Quarantine(10, TERM_S)
    for _ in range(deaths):
        assert quarantine.refusal(POISON, 0.0) is None
        quarantine.died(POISON, weight, 0.0)
    refused = quarantine.refusal(POISON, 0.5)
    assert refused is not None
    assert refused.refusal is Refusal.CRASHED
    assert refused.detail == "workers died on this image, and it is not tried again for 600 s"
    assert (quarantine.held(0.5), quarantine.refused) == (1, 1)
    assert repr(quarantine) == "<Quarantine: 1 of 10 remembered, 1 refused>"


def test_other_bytes_are_tried_also_those_of_the_same_length() -> None:
    quarantine = Quarantine(10, TERM_S)
    put_away(quarantine, POISON, 0.0)
    assert quarantine.refusal(b"poisom", 1.0) is None
    assert quarantine.refusal(b"other", 1.0) is None
    assert quarantine.refused == 0


def test_it_ends_and_the_next_one_is_twice_as_long_up_to_a_day() -> None:
    quarantine = Quarantine(10, TERM_S)
    now, terms = 0.0, []
    for _ in range(10):
        put_away(quarantine, POISON, now)
        begun = now
        while quarantine.refusal(POISON, now) is not None:
            now += TERM_S
        terms.append(now - begun)
    assert terms == [min(TERM_S * 2**n, LONGEST_S) for n in range(10)]


def test_on_probation_one_death_is_not_yet_enough() -> None:
    quarantine = Quarantine(10, TERM_S)
    put_away(quarantine, POISON, 0.0)
    quarantine.died(POISON, OWN_FAULT, TERM_S)
    assert quarantine.refusal(POISON, TERM_S) is None
    quarantine.died(POISON, OWN_FAULT, TERM_S)
    assert quarantine.refusal(POISON, TERM_S) is not None


@pytest.mark.parametrize(("deaths", "after_s"), [(1, TERM_S), (2, 2 * TERM_S)])
def test_everything_is_forgotten_in_the_end(deaths: int, after_s: float) -> None:
    quarantine = Quarantine(10, TERM_S)
    for _ in range(deaths):
        quarantine.died(POISON, OWN_FAULT, 0.0)
    quarantine.held(after_s - 1)
    assert "1 of 10 remembered" in repr(quarantine)
    assert quarantine.held(after_s) == 0
    assert "0 of 10 remembered" in repr(quarantine)


def test_of_too_many_the_one_that_killed_longest_ago_is_forgotten() -> None:
    quarantine = Quarantine(3, TERM_S)
    images = [b"%d" % number for number in range(5)]
    for image in images:
        put_away(quarantine, image, 0.0)
    assert [quarantine.refusal(image, 1.0) is not None for image in images] == [False, False, True, True, True]
    assert quarantine.held(1.0) == 3


def test_none_are_remembered_where_it_is_off() -> None:
    quarantine = Quarantine(0, TERM_S)
    put_away(quarantine, POISON, 0.0)
    assert quarantine.refusal(POISON, 0.0) is None
    assert quarantine.held(0.0) == 0


def test_late_deaths_of_what_is_away_already_do_not_lengthen_it() -> None:
    quarantine = Quarantine(10, TERM_S)
    for _ in range(3):
        put_away(quarantine, POISON, 10.0)
    assert quarantine.refusal(POISON, 10.0 + TERM_S) is None


def test_nothing_of_the_image_is_kept() -> None:
    quarantine = Quarantine(10, TERM_S)
    put_away(quarantine, POISON * 100, 0.0)
    (known,) = quarantine._records
    assert known.length == 600
    assert len(known.digest) == 16
    other = Quarantine(10, TERM_S)
    put_away(other, POISON * 100, 0.0)
    assert list(other._records) != [known], "the digest is under a key of its own"


def test_an_answer_strikes_off_what_may_have_been_anybodys_and_nothing_else() -> None:
    quarantine = Quarantine(10, TERM_S)
    for _ in range(20):
        quarantine.died(POISON, ANYBODYS, 0.0)
        quarantine.survived(POISON)
    assert quarantine.refusal(POISON, 0.0) is None
    quarantine.died(POISON, OWN_FAULT, 0.0)
    quarantine.survived(POISON)
    quarantine.died(POISON, OWN_FAULT, 0.0)
    assert quarantine.refusal(POISON, 0.0) is not None
    quarantine.survived(b"never seen")
