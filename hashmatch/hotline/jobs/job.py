"""The job file: a list of addresses, what became of each, and what remains to be done, whatever ends the process.

Theory of operation
-------------------
The list is read into the file in one transaction, so that it is there whole or not at all; afterwards a submission
moves by the table in ``job_states``. What is done is never done again; what was not committed never happened, here.
:meth:`JobFile.advance` is one transaction that keeps what was finished and hands out what is next, so a batch costs one
sync of the disk. What is next is chosen by host: each gets its turn, and none more than so many submissions at a time,
so that a slow host with a thousand lines in front holds up nobody.

An address that was submitted before waits for the first one's result and shares it.

What this module deliberately does not do: it fetches nothing, repairs no address, and takes no byte of an answer's body
(:func:`without_body`). It keeps URLs: the file is readable by its owner only.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from hashmatch.catalog.rows import from_us, to_us
from hashmatch.errors import JobCorrupt
from hashmatch.hotline.jobs.job_states import MOVES, Event, Finished, Origin, Planned, State, Taken
from hashmatch.hotline.jobs.job_storage import Storage, make, open_storage
from hashmatch.hotline.jobs.results import Results
from hashmatch.model.hotline import Fetched, Item, Submission, Summary
from hashmatch.projections.places import host_of
from hashmatch.report.plain import to_plain


class JobFile:
    """One job, open. Every method may be called from any thread; use as a context manager."""

    def __init__(self, storage: Storage) -> None:
        self.path = storage.path
        self.results = Results(storage)
        """What it found so far."""
        self.storage = storage
        """Its database, for what keeps something of its own in it."""
        self._turn = 1 << 32  # beyond every host's first

    def __repr__(self) -> str:
        return f"JobFile({str(self.path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @classmethod
    def create(cls, path: Path) -> JobFile:
        """Make a job file; raises JobRefused where the name is taken, JobUnavailable where it cannot be made."""
        make(path)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> JobFile:
        """Open a job file and keep every other process out of it; raises JobRefused, JobUnavailable, JobCorrupt."""
        return cls(open_storage(path))

    def close(self) -> None:
        """Let others have the file. Safe to call twice."""
        self.storage.close()

    def remove(self) -> None:
        """Close the file and delete it: its list could not be read."""
        self.close()
        for path in (self.path, *(self.path.with_name(f"{self.path.name}-{part}") for part in ("wal", "shm"))):
            path.unlink(missing_ok=True)

    def origin(self) -> Origin | None:
        """Return what the job is about; None while its list has not been read to its end."""
        for sha256, listed, route, created_at_us in self.storage.rows("job"):
            return Origin(sha256, listed, route, from_us(created_at_us))
        return None

    def load(self, rows: Iterable[Planned], digest: Callable[[], str], route: str, now: dt.datetime) -> Origin:
        """Read the list into the job, all of it or nothing.

        Parameters
        ----------
        rows : iterable of Planned
            Read once, numbers rising; never held.
        digest : callable
            Asked after the last row: SHA-256 of the list, in hex.
        route : str
            The proxy that everything goes through, empty for none.
        now : datetime
            When the job was made.

        """
        listed = 0
        with self.storage.changing():
            for row in rows:
                listed += 1
                self._insert(row)
            self.storage.run("mark_same")
            origin = Origin(digest(), listed, route, now)
            self.storage.run("insert_job", (origin.list_sha256, listed, route, to_us(now)))
        return origin

    def begin(self, per_host: int) -> None:
        """Make ready to hand out: what was being fetched when a process ended waits again."""
        with self.storage.changing():
            self._interrupt()
            self.storage.run("count_waiting", (per_host,))

    def advance(self, finished: Sequence[Finished], want: int) -> list[Taken]:
        """Keep what was finished and hand out at most so many more, in one transaction that is durable on return."""
        taken: list[Taken] = []
        with self.storage.changing():
            for one in finished:
                self._finish(one)
            while len(taken) < want and (found := self._take(want - len(taken))):
                taken += found
        return taken

    def interrupt(self, finished: Sequence[Finished] = ()) -> None:
        """Keep what was finished after all; whatever else was handed out waits again."""
        with self.storage.changing():
            for one in finished:
                self._finish(one)
            self._interrupt()

    # --- inside --------------------------------------------------------------------------------------------------

    def _insert(self, row: Planned) -> None:
        submission = row.submission
        if row.host:
            self.storage.run("insert_host", (row.host,))
        state = State.WAITING if row.summary is None else State.DONE
        extra = json.dumps(dict(submission.extra), sort_keys=True)
        head = (submission.number, submission.url, extra, row.address, row.key)
        self.storage.run("insert_submission", (*head, row.host or None, state.value))
        if row.summary is not None:
            self._insert_summary(row.summary)

    def _take(self, most: int) -> list[Taken]:
        """Take one submission of each host whose turn it is."""
        taken = []
        for (host,) in self.storage.run("open_hosts", (most,)).fetchall():
            number, url, extra, address = self.storage.run("next_of_host", (host,)).fetchone()
            self._move(number, State.WAITING, Event.TAKE)
            self._turn += 1
            self.storage.run("host_begins", (self._turn, host))
            taken.append(Taken(Submission(number, url, json.loads(extra)), address))
        return taken

    def _finish(self, one: Finished) -> None:
        self._move(one.number, State.FETCHING, Event.FINISH)
        self.storage.run("move_same", (State.DONE.value, one.number))
        self.storage.run("host_ends", (one.number,))
        for position, item in enumerate(one.items):
            kept = dataclasses.replace(item, fetched=without_body(item.fetched))
            head = (one.number, position, kept.outcome.value, host_of(kept.url), _country(kept))
            self.storage.run("insert_item", (*head, _text(kept)))
        self._insert_summary(one.summary)

    def _insert_summary(self, summary: Summary) -> None:
        kept = dataclasses.replace(summary, fetched=without_body(summary.fetched))
        at = None if kept.checked_at is None else to_us(kept.checked_at)
        head = (kept.submission.number, kept.outcome.value, host_of(kept.url), _country(kept))
        self.storage.run("insert_summary", (*head, at, _text(kept)))

    def _interrupt(self) -> None:
        after = MOVES[State.FETCHING, Event.INTERRUPT]
        self.storage.run("move_all", (after.value, State.FETCHING.value))

    def _move(self, number: int, before: State, event: Event) -> None:
        if self.storage.run("move", (MOVES[before, event].value, number, before.value)).rowcount != 1:
            raise JobCorrupt(f"{self.path}: submission {number} is not {before.value}, so {event.value} cannot be")


def without_body(fetched: Fetched | None) -> Fetched | None:
    """Return what is kept of an answer: everything but what it brought."""
    return None if fetched is None else dataclasses.replace(fetched, body=b"")


def _country(row: Item | Summary) -> str:
    return "" if row.place is None else row.place.country


def _text(row: Item | Summary) -> str:
    return json.dumps(to_plain(row), separators=(",", ":"))
