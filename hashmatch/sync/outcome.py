"""What every run has in common, whatever kind its source is: its terms, how it ends, and what is kept of it.

What this module deliberately does not do: it asks nothing of any source.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Final, Protocol

from hashmatch.errors import HashmatchError
from hashmatch.model import Rejected
from hashmatch.progress import SILENT, Progress
from hashmatch.sections import SyncConfig
from hashmatch.sync.intake import Counts, Destination, Intake, Store
from hashmatch.sync.sources import Source
from hashmatch.sync.walks import loaded

CHECKPOINTS: Final = "sync"
"""Kind of the bookmarks that hold checkpoints, by source."""

STATES: Final = "sync-state"
"""Kind of the bookmarks that say how the last run went, by source."""

TROUBLES_KEPT: Final = 100


class Bookmarks(Protocol):
    """Small texts that outlive the process."""

    def bookmark(self, kind: str, name: str) -> str:
        """Return a text; empty when there is none."""

    def set_bookmark(self, kind: str, name: str, text: str) -> None:
        """Keep a text."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that kept a range from being complete."""

    page: str
    reason: str


@dataclass(slots=True)
class Outcome:
    """How a run over one source went."""

    source: str
    set_name: str
    full: bool = False
    """Whether everything was asked for, rather than what changed."""
    complete: bool = False
    counts: Counts = field(default_factory=Counts)
    troubles: list[Trouble] = field(default_factory=list)
    error: HashmatchError | None = None

    def trouble(self, page: str, reason: str) -> None:
        """Note that the range is not complete."""
        if len(self.troubles) < TROUBLES_KEPT:
            self.troubles.append(Trouble(page, reason))

    def why(self) -> str:
        """Return what kept the run from being complete; empty if nothing did."""
        if self.error is not None:
            return self.error.message
        return f"{self.troubles[0].page}: {self.troubles[0].reason}" if self.troubles else ""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a run is to go about it. ``store`` None is a dry run: everything is fetched, and nothing kept."""

    config: SyncConfig
    marks: Bookmarks
    store: Store | None
    full: bool = False
    progress: Progress = SILENT
    on_rejected: Callable[[Rejected], None] = lambda _: None

    def intake(self, source: Source) -> Intake:
        """Return the way into the source's set."""
        own = frozenset({source.config.own_name} - {""})
        kind = source.kind
        to = Destination(source.config.set, source.actor, own, disputes=kind.disputes, moments=kind.begin is not None)
        return Intake(self.store, to, self.on_rejected)

    async def checkpoint(self, source: Source) -> str:
        """Return where the last complete run over a source ended; empty if there was none."""
        return await asyncio.to_thread(self.marks.bookmark, CHECKPOINTS, source.name)

    async def keep(self, source: Source, checkpoint: str) -> None:
        """Keep where a run ended."""
        if self.store is not None:
            await asyncio.to_thread(self.marks.set_bookmark, CHECKPOINTS, source.name, checkpoint)


async def guarded(source: Source, terms: Terms, body: Callable[[Outcome], Awaitable[None]]) -> Outcome:
    """Run ``body``; what it raises is in the outcome, and how it went is kept."""
    outcome = Outcome(source.name, source.config.set)
    terms.progress.start(source.name, None, "rows")
    try:
        await body(outcome)
    except HashmatchError as error:
        outcome.error = error
        outcome.complete = False
    finally:
        terms.progress.finish()
    if terms.store is not None:
        await asyncio.to_thread(_keep_state, terms.marks, outcome)
    return outcome


async def withdraw_vanished(source: Source, intake: Intake, outcome: Outcome) -> None:
    """Withdraw what a full run did not see, unless it is so much that it must be an accident."""
    gone, live = await asyncio.to_thread(intake.vanished)
    if len(gone) * 100 > live * source.config.max_vanished_percent:
        outcome.trouble(
            "everything",
            f"{len(gone)} of {live} entries are no longer in the list, more than "
            f"sync.sources.{source.name}.max_vanished_percent ({source.config.max_vanished_percent}); none was "
            "withdrawn. If they have really gone, raise it for one run",
        )
    else:
        await asyncio.to_thread(intake.withdraw, gone)


def _keep_state(marks: Bookmarks, outcome: Outcome) -> None:
    before = loaded(marks.bookmark(STATES, outcome.source))
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    state: Mapping[str, object] = {
        "last_run": now,
        "last_complete": now if outcome.complete else before.get("last_complete", ""),
        "complete": outcome.complete,
        "full": outcome.full,
        "error": outcome.why(),
        **asdict(outcome.counts),
    }
    marks.set_bookmark(STATES, outcome.source, json.dumps(state, sort_keys=True))
