"""Which outcome outweighs which, and what the outcomes of a job amount to.

Theory of operation
-------------------
One table, :data:`GRAVITY`, gravest first. A match outweighs everything: whoever acts on it must not miss it because
another picture of the page timed out. Everything that could not be looked at outweighs ``no_match``: "could not look"
is never "nothing there". What does not exist (a picture that is gone, a page without pictures) hides nothing, so that
it comes last.

What this module deliberately does not do: it calls nothing harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from hashmatch.errors import ExitCode
from hashmatch.model.hotline import Outcome

GRAVITY: Final = (
    Outcome.MATCH,
    Outcome.POSSIBLE_MATCH,
    Outcome.LOGIN_REQUIRED,
    Outcome.CHALLENGE,
    Outcome.FORBIDDEN,
    Outcome.BLOCKED_451,
    Outcome.REFUSED_URL,
    Outcome.REFUSED_ADDRESS,
    Outcome.REFUSED_ROBOTS,
    Outcome.DNS_FAIL,
    Outcome.UNREACHABLE,
    Outcome.TLS_FAIL,
    Outcome.TIMEOUT,
    Outcome.TOO_SLOW,
    Outcome.HTTP_ERROR,
    Outcome.BAD_ANSWER,
    Outcome.TOO_MANY_REDIRECTS,
    Outcome.TOO_LARGE,
    Outcome.TOO_MANY,
    Outcome.PAGE_FAIL,
    Outcome.NOT_CHECKED,
    Outcome.UNSUPPORTED,
    Outcome.NOT_IMAGE,
    Outcome.FAILED,
    Outcome.ABORTED,
    Outcome.NO_MATCH,
    Outcome.GONE,
    Outcome.NO_IMAGES,
)
"""Every outcome, the gravest first."""

MATCHED: Final = frozenset({Outcome.MATCH, Outcome.POSSIBLE_MATCH})
"""Something known was found, surely or possibly."""

ANSWERED: Final = frozenset({Outcome.NO_MATCH, Outcome.GONE, Outcome.NO_IMAGES})
"""Looked, or there is nothing to look at."""

_RANK: Final[Mapping[Outcome, int]] = MappingProxyType({outcome: rank for rank, outcome in enumerate(GRAVITY)})


def gravest(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the gravest of some outcomes, of which there is at least one."""
    return min(outcomes, key=_RANK.__getitem__)


def counted(counts: Mapping[Outcome, int], one: str, many: str) -> str:
    """Return how many there were of what and of each outcome, gravest first: ``12 images: 9 no_match, 3 timeout``."""
    total = sum(counts.values())
    parts = ", ".join(f"{counts[outcome]:,} {outcome.value}" for outcome in GRAVITY if counts.get(outcome))
    return f"{total:,} {one if total == 1 else many}" + (f": {parts}" if parts else "")


def exit_code(outcomes: Iterable[Outcome]) -> ExitCode:
    """Return what the outcomes of all submissions amount to."""
    there = frozenset(outcomes)
    if there & MATCHED:
        return ExitCode.MATCHED
    return ExitCode.CLEAN if there <= ANSWERED else ExitCode.SKIPPED
