"""What a job found, read back from its file page by page, and added up by the database.

Theory of operation
-------------------
Rows are read :data:`ROWS_AT_ONCE` at a time, so results of any size are written at constant memory, also while the job
goes on. Figures are sums that SQL makes; only the largest hosts and countries leave the database.

What this module deliberately does not do: it writes nothing, and it knows no output format.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hashmatch.catalog.rows import from_us
from hashmatch.hotline.jobs.job_states import State
from hashmatch.hotline.jobs.job_storage import Storage
from hashmatch.model.hotline import Item, Outcome, Submission, Summary
from hashmatch.report.plain import from_plain

ROWS_AT_ONCE: Final = 200
"""Rows that are read at a time: results are never held whole."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A submission with what became of it, read back: ``summary`` is None while it is not done."""

    submission: Submission
    summary: Summary | None


@dataclass(frozen=True, slots=True)
class Ranked:
    """A host or a country with its items and how many of them matched."""

    name: str
    items: int
    matches: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Addresses checked in a stretch of time, and how many of them matched."""

    begins_at: dt.datetime
    checked: int
    matched: int


class Results:
    """What one job found so far."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __repr__(self) -> str:
        return f"Results({str(self._storage.path)!r})"

    @property
    def directory(self) -> Path:
        """Where the job file lies."""
        return self._storage.path.parent

    def states(self) -> Mapping[State, int]:
        """Return how many submissions stand where."""
        return {State(name): count for name, count in self._storage.rows("states")}

    def summaries(self) -> Iterator[Kept]:
        """Yield every submission in order, with what became of it."""
        after = 0
        while rows := self._storage.rows("summaries", (after, ROWS_AT_ONCE)):
            for number, url, extra, state, same_as, document in rows:
                submission = Submission(number, url, json.loads(extra))
                yield Kept(submission, self._summary(submission, State(state), same_as, document))
            after = rows[-1][0]

    def items(self) -> Iterator[tuple[Submission, Item]]:
        """Yield every item in order, with its submission."""
        number, position = 0, -1
        submission: Submission | None = None
        while rows := self._storage.rows("items", (number, position, ROWS_AT_ONCE)):
            for number, position, document in rows:  # noqa: B007  where the next page begins
                if submission is None or submission.number != number:
                    ((url, extra),) = self._storage.rows("extra_of", (number,))
                    submission = Submission(number, url, json.loads(extra))
                yield submission, from_plain(Item, json.loads(document))

    def items_of(self, number: int) -> tuple[Item, ...]:
        """Return the items of one submission."""
        return tuple(from_plain(Item, json.loads(row[0])) for row in self._storage.rows("items_of", (number,)))

    def tally(self) -> Mapping[Outcome, int]:
        """Return how often each outcome stands in the summaries."""
        return {Outcome(name): count for name, count in self._storage.rows("tally", ())}

    def item_tally(self) -> Mapping[Outcome, int]:
        """Return how often each outcome stands in the items."""
        return {Outcome(name): count for name, count in self._storage.rows("item_tally", ())}

    def hosts(self, most: int) -> tuple[Ranked, ...]:
        """Return hosts of items, those with most matches first."""
        return tuple(Ranked(*row) for row in self._storage.rows("top_hosts", (most,)))

    def countries(self, most: int) -> tuple[Ranked, ...]:
        """Return countries of items, likewise; the name of what is not known is empty."""
        return tuple(Ranked(*row) for row in self._storage.rows("countries", (most,)))

    def over_time(self, stretches: int) -> tuple[Stretch, ...]:
        """Return how many addresses were checked when, in so many stretches of equal length, empty ones left out."""
        ((first, last),) = self._storage.rows("span", ())
        if first is None:
            return ()
        length = max(1, -(-(last - first + 1) // stretches))
        rows = self._storage.rows("over_time", (first, length))
        return tuple(Stretch(from_us(first + int(at) * length), checked, matched) for at, checked, matched in rows)

    def _summary(
        self, submission: Submission, state: State, same_as: int | None, document: str | None
    ) -> Summary | None:
        if state is not State.DONE:
            return None
        if same_as is not None:
            ((document,),) = self._storage.rows("summary_of", (same_as,))
        summary = from_plain(Summary, json.loads(document or ""))
        return dataclasses.replace(summary, submission=submission, same_as=same_as)
