"""One import: rows of any number, at constant memory, in one short transaction.

Theory of operation
-------------------
Two stages, so that a slow sender never holds the catalog's write lock:

1. :func:`stage` reads the rows as they come, checks each, and writes the good ones to a temporary table, one row per
   value. SQLite keeps that table in an unlinked file of its own; a killed process leaves nothing behind.
2. :func:`apply`, inside the write transaction, reads the staged rows sorted by entry id (SQLite's sorter works on
   disk), looks up which of the entries the set has, merges (``merge``), and writes in batches. Because the ids come
   sorted, the index of ids is written in order rather than all over.

Each entry is counted once, however many rows speak of it; a rejected row is counted as a row. Rows that are refused
because of what the catalog holds are put aside and reported after the lock is given back, since reporting runs the
caller's code.

What this module deliberately does not do: it opens no connection and begins no transaction.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hashmatch.catalog.merge import ACTIVE, WITHDRAWN, Facts, Merged
from hashmatch.catalog.rows import from_us, labels_to_text, now_us, to_us
from hashmatch.catalog.schema import statements
from hashmatch.catalog.validate import MAX_HASHES, MAX_ID_CHARS, EntryRules
from hashmatch.model import REJECTIONS_KEPT, Entry, Rejected
from hashmatch.progress import Progress

BATCH_ROWS = 2_000
"""Rows between two reports of progress, and values written by one call; more is no faster."""

_Row = tuple[Any, ...]


@dataclass(slots=True)
class Rejections:
    """Counts rejected rows, keeps the first, hands on all."""

    on_rejected: Callable[[Rejected], None] | None
    count: int = 0
    kept: list[Rejected] = field(default_factory=list)

    def add(self, rejected: Rejected) -> None:
        """Take in one."""
        self.count += 1
        if len(self.kept) < REJECTIONS_KEPT:
            self.kept.append(rejected)
        if self.on_rejected is not None:
            self.on_rejected(rejected)


@dataclass(slots=True)
class Tally:
    """What applying the staged rows did; ``live`` and ``withdrawn`` are differences to the set's counts."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    live: int = 0
    withdrawn: int = 0
    sequence: int = 0


def stage(
    connection: sqlite3.Connection, rows: Iterable[Entry | Rejected], rejections: Rejections, progress: Progress
) -> int:
    """Check the rows and put the good ones into the temporary table.

    Parameters
    ----------
    connection : sqlite3.Connection
        The import's own: the temporary tables live as long as it does.
    rows : iterable of Entry or Rejected
        Read once, in batches of ``BATCH_ROWS``.
    rejections : Rejections
        Takes every row that is refused here or was refused by the reader.
    progress : Progress
        Advanced once per batch, in rows.

    Returns
    -------
    int
        Values staged.

    """
    connection.execute(statements()["create_staged"])
    connection.execute(statements()["create_refused"])
    insert = statements()["insert_staged"]
    rules = EntryRules()
    numbered = enumerate(rows)
    staged = 0
    connection.execute("BEGIN DEFERRED")
    while batch := list(itertools.islice(numbered, BATCH_ROWS)):
        good: list[_Row] = []
        for index, row in batch:
            outcome = _staged_rows(rules, index, row)
            if isinstance(outcome, Rejected):
                rejections.add(outcome)
            else:
                good += outcome
        connection.executemany(insert, good)
        staged += len(good)
        progress.advance(len(batch))
    connection.execute("COMMIT")
    return staged


def _staged_rows(rules: EntryRules, index: int, row: Entry | Rejected) -> list[_Row] | Rejected:
    """Rows of ``insert_staged`` for one entry, or why there are none."""
    if isinstance(row, Rejected):
        return row
    position = index if row.position is None else row.position
    if problem := rules.problem(row):
        return Rejected(position, *problem)
    entry_id = row.entry_id or f"{row.hashes[0].algorithm}:{row.hashes[0].hex}"
    if len(entry_id) > MAX_ID_CHARS:
        return Rejected(position, "entry_id", f"the value is too long to make an id of ({len(entry_id)}); give an id")
    origin = row.provenance
    facts = (
        entry_id,
        position,
        row.status.value,
        row.status_reason,
        labels_to_text(row.labels),
        origin.source,
        origin.list_version,
        origin.external_id,
        None if origin.received_at is None else to_us(origin.received_at),
    )
    return [(*facts, item.algorithm, item.value, item.quality) for item in row.hashes]


def apply(connection: sqlite3.Connection, set_key: int, set_version: int, actor: str, progress: Progress) -> Tally:
    """Merge the staged rows into a set.

    Parameters
    ----------
    connection : sqlite3.Connection
        The one that staged, now inside the write transaction.
    set_key : int
        The set's key.
    set_version : int
        The version that the set will have when this is committed.
    actor : str
        Named in the events of entries that arrive disputed or withdrawn.
    progress : Progress
        Advanced once per batch, in values.

    """
    application = _Application(connection, set_key, set_version, actor)
    staged = connection.execute(statements()["staged"])
    merged: Merged | None = None
    while chunk := staged.fetchmany(BATCH_ROWS):
        known = application.known({row[0] for row in chunk})
        for entry_id, rows in itertools.groupby(chunk, key=_entry_id):
            if merged is None or merged.entry_id != entry_id:
                if merged is not None:
                    application.finish(merged)
                merged = known.get(entry_id) or Merged(entry_id)
            application.take(merged, rows)
        application.flush()
        progress.advance(len(chunk))
    if merged is not None:
        application.finish(merged)
    application.flush()
    return application.tally


def refused(connection: sqlite3.Connection) -> Iterator[Rejected]:
    """Yield the rows that :func:`apply` refused, in the order they came."""
    return itertools.starmap(Rejected, connection.execute(statements()["refused"]))


def _entry_id(row: _Row) -> str:
    entry_id: str = row[0]
    return entry_id


class _Application:
    """The writing side of :func:`apply`: collects rows for the statements and runs them in batches."""

    def __init__(self, connection: sqlite3.Connection, set_key: int, set_version: int, actor: str) -> None:
        self._connection = connection
        self._sql = statements()
        self._set_key = set_key
        self._set_version = set_version
        self._actor = actor
        self._now_us = now_us()
        self._next_key: int = connection.execute(self._sql["last_entry_key"]).fetchone()[0] + 1
        self.tally = Tally(sequence=connection.execute(self._sql["sequence"]).fetchone()[0])
        self._inserts: list[_Row] = []
        self._updates: list[_Row] = []
        self._values: list[_Row] = []
        self._events: list[_Row] = []
        self._refused: list[_Row] = []
        self._last_refused = -1

    def known(self, entry_ids: set[str]) -> dict[str, Merged]:
        """Return those of the entries that the set has, with their values."""
        rows = self._connection.execute(
            self._sql["known_entries"], {"set_key": self._set_key, "entry_ids": json.dumps(list(entry_ids))}
        )
        by_key = {key: Merged(entry_id, key, Facts(*facts)) for entry_id, key, *facts in rows}
        if by_key:
            for key, algorithm, value, quality in self._connection.execute(
                self._sql["known_values"], {"entry_keys": json.dumps(list(by_key))}
            ):
                by_key[key].values[algorithm, value] = quality
        return {merged.entry_id: merged for merged in by_key.values()}

    def take(self, merged: Merged, rows: Iterable[_Row]) -> None:
        """Merge rows about one entry, or put them aside with the reason."""
        for row in rows:
            facts = Facts(*row[2:9])
            if merged.contradicts(facts):
                self._refuse(row, "status", self._withdrawal(merged))
            elif len(merged.values) >= MAX_HASHES and row[9:11] not in merged.values:
                self._refuse(row, "value", f"the entry has {MAX_HASHES} values already, and that is the limit")
            else:
                merged.state(facts)
                merged.add(*row[9:12])

    def finish(self, merged: Merged) -> None:
        """All rows of an entry were seen: count it and write what changed."""
        facts, before, tally = merged.facts, merged.before, self.tally
        if facts is None or not merged.accepted:
            return
        if not merged.changed:
            tally.unchanged += 1
            return
        tally.sequence += 1
        key = merged.entry_key
        if key is None:
            key, self._next_key = self._next_key, self._next_key + 1
            received_at_us = self._now_us if facts.received_at_us is None else facts.received_at_us
            self._inserts.append((key, self._set_key, merged.entry_id, *facts[:6], received_at_us, tally.sequence))
            tally.added += 1
        else:
            self._updates.append((*facts, tally.sequence, key))
            tally.updated += 1
        self._values += [(key, algorithm, value, quality) for (algorithm, value), quality in merged.fresh.items()]
        self._count(before, facts)
        if facts.status != (before.status if before else ACTIVE):
            self._events.append(
                (
                    self._set_key,
                    key,
                    self._now_us,
                    self._actor,
                    facts.status_reason,
                    before.status if before else "",
                    facts.status,
                    self._set_version,
                )
            )

    def flush(self) -> None:
        """Run the statements for what was collected."""
        for name, rows in (
            ("insert_entry", self._inserts),
            ("update_entry", self._updates),
            ("upsert_value", self._values),
            ("insert_event", self._events),
            ("insert_refused", self._refused),
        ):
            self._write(name, rows)
            rows.clear()

    def _write(self, name: str, rows: Sequence[_Row]) -> None:
        if rows:
            self._connection.executemany(self._sql[name], rows)

    def _count(self, before: Facts | None, after: Facts) -> None:
        gone = int(after.status == WITHDRAWN)
        was_gone = 0 if before is None else int(before.status == WITHDRAWN)
        was_live = 0 if before is None else 1 - was_gone
        self.tally.withdrawn += gone - was_gone
        self.tally.live += (1 - gone) - was_live

    def _refuse(self, row: _Row, field_name: str, reason: str) -> None:
        position = row[1]
        if position != self._last_refused:  # a row with several values is staged several times, and refused once
            self._refused.append((position, field_name, reason))
            self._last_refused = position

    def _withdrawal(self, merged: Merged) -> str:
        """Say when, by whom and why an entry was withdrawn."""
        reason = (merged.facts.status_reason if merged.facts else "") or "no reason was given"
        if merged.before is None or merged.before.status != WITHDRAWN:
            return f"an earlier row of this import withdrew the entry: {reason}"
        found = self._connection.execute(self._sql["last_withdrawal"], (self._set_key, merged.entry_key)).fetchone()
        when, who = (from_us(found[0]).date().isoformat(), found[1]) if found else ("an unknown day", "somebody")
        return f"the entry was withdrawn on {when} by {who}: {reason}; reinstate it first if that was wrong"
