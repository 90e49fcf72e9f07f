"""What outweighs what, and what all of it amounts to."""

from __future__ import annotations

import pytest

from hashmatch.errors import ExitCode
from hashmatch.hotline.jobs.gravity import ANSWERED, GRAVITY, MATCHED, counted, exit_code, gravest
from hashmatch.model.hotline import Outcome


def test_every_outcome_has_its_gravity() -> None:
    assert sorted(GRAVITY) == sorted(Outcome)
    assert gravest([Outcome.NO_MATCH, Outcome.TIMEOUT, Outcome.GONE]) is Outcome.TIMEOUT
    could_not = set(Outcome) - MATCHED - ANSWERED
    assert max(map(GRAVITY.index, could_not)) < GRAVITY.index(Outcome.NO_MATCH)
    assert max(map(GRAVITY.index, MATCHED)) < min(map(GRAVITY.index, could_not))


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_its_exit_code(outcome: Outcome) -> None:
    expected = ExitCode.MATCHED if outcome in MATCHED else ExitCode.CLEAN if outcome in ANSWERED else ExitCode.SKIPPED
    assert exit_code([outcome, Outcome.NO_MATCH]) is expected
    assert exit_code([outcome, Outcome.POSSIBLE_MATCH]) is ExitCode.MATCHED
    assert exit_code([]) is ExitCode.CLEAN


def test_counts_are_told_gravest_first() -> None:
    counts = {Outcome.NO_MATCH: 1_234, Outcome.MATCH: 1, Outcome.GONE: 0}
    assert counted(counts, "image", "images") == "1,235 images: 1 match, 1,234 no_match"
    assert counted({Outcome.GONE: 1}, "address", "addresses") == "1 address: 1 gone"
    assert counted({}, "image", "images") == "0 images"
