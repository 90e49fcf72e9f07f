"""What a job is made of: the states of a submission as a table, and what goes into a job file and comes out of it.

Theory of operation
-------------------
==========  ============  ==========  ================================================================================
state       event         next
==========  ============  ==========  ================================================================================
waiting     take          fetching
fetching    finish        done        its items and its summary are in the same transaction
fetching    interrupt     waiting     the process ended, or stopped: nothing of it was kept
==========  ============  ==========  ================================================================================

What this module deliberately does not do: no I/O.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from hashmatch.model.hotline import Item, Submission, Summary


class State(enum.StrEnum):
    """Where a submission stands."""

    WAITING = "waiting"
    FETCHING = "fetching"
    DONE = "done"


class Event(enum.StrEnum):
    """What happens to a submission."""

    TAKE = "take"
    FINISH = "finish"
    INTERRUPT = "interrupt"


MOVES: Final[Mapping[tuple[State, Event], State]] = MappingProxyType(
    {
        (State.WAITING, Event.TAKE): State.FETCHING,
        (State.FETCHING, Event.FINISH): State.DONE,
        (State.FETCHING, Event.INTERRUPT): State.WAITING,
    }
)
"""State and event to the next state; what is not here does not happen."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A line of the list, as it goes into the job. ``summary`` is of one that there is nothing to fetch of."""

    submission: Submission
    address: str = ""
    """What is fetched, canonical."""
    key: str = ""
    """What submissions of the same address have in common."""
    host: str = ""
    summary: Summary | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """What a job is about. ``route`` is the proxy it goes through: one job never goes two ways."""

    list_sha256: str
    listed: int
    route: str
    created_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Taken:
    """A submission to check now, and the address to fetch."""

    submission: Submission
    address: str


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a submission: everything there is about it, kept in one transaction."""

    summary: Summary
    items: tuple[Item, ...] = ()

    @property
    def number(self) -> int:
        """Of the submission."""
        return self.summary.submission.number
