"""The embedded catalog: one SQLite file, any number of threads and processes.

Theory of operation
-------------------
Every change runs in one ``BEGIN IMMEDIATE`` transaction that also raises the catalog's sequence and the set's version;
what a method returned is on disk (``connections`` says how). Streams (``entries``, ``changes``) own a connection in a
read transaction: they show one moment, however long they take, and neither wait for writers nor hold them up. Names are
checked when a stream is asked for, not when it is first read.

Every method may be called from any thread; the service does so through ``asyncio.to_thread``.

What this module deliberately does not do: it notices no change by itself. Followers ask :meth:`SqliteCatalog.sequence`.
"""

from __future__ import annotations

import contextlib
import heapq
import sqlite3
import uuid
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hashmatch.catalog import applying, staging
from hashmatch.catalog.connections import BUSY_TIMEOUT_S, Connections, mapped
from hashmatch.catalog.rows import entries_of, event_of, now_us, set_of
from hashmatch.catalog.schema import migrate, statements
from hashmatch.catalog.store import IMPORT_ACTOR, TRANSITIONS, CatalogCounts, Event
from hashmatch.catalog.stream import Stream
from hashmatch.catalog.validate import check_set, check_stated
from hashmatch.catalog.wording import shown, suggestion
from hashmatch.errors import BadInput, CatalogCorrupt, EntryNotFound, SetExists, SetNotFound
from hashmatch.model import Change, Entry, EntryStatus, HarmDomain, HashSet, ImportResult, Rejected, SetMode
from hashmatch.progress import SILENT, Progress


class SqliteCatalog:
    """A :class:`~hashmatch.catalog.store.Catalog` in one file.

    Made by :meth:`open`; a context manager.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._sql = statements()

    @classmethod
    def open(cls, path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Self:
        """Open the catalog at ``path``, making it or bringing it to this version if need be.

        Parameters
        ----------
        path : Path
            The database file; its directory is made, the file is readable by its owner only.
        busy_timeout_s : float
            How long a write waits for the write of another process.

        Raises
        ------
        CatalogCorrupt
            The file is damaged, is something else, or was written by a newer hashmatch.
        CatalogUnavailable
            The file cannot be opened or written.

        """
        connections = Connections(path, busy_timeout_s)
        try:
            with mapped(path):
                migrate(connections.prepare(), path)
        except BaseException:
            connections.close()
            raise
        return cls(connections)

    def __repr__(self) -> str:
        return f"SqliteCatalog({self._connections!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; streams already handed out may still be read. Safe to call twice."""
        self._connections.close()

    # --- sets ----------------------------------------------------------------------------------------------------

    def create_set(
        self,
        name: str,
        domain: HarmDomain,
        *,
        owner: str = "",
        source: str = "",
        jurisdiction: str = "",
        terms: str = "",
        description: str = "",
        mode: SetMode = SetMode.ENFORCED,
    ) -> HashSet:
        """Make an empty set at version 1.

        Raises
        ------
        BadInput
            The name is no name, or a text is too long or holds control characters.
        SetExists
            There is a set of that name.

        """
        check_set(
            name, owner=owner, source=source, jurisdiction=jurisdiction, terms=terms, description=description
        )  # fmt: skip
        with self._connections.writing() as connection:
            if connection.execute(self._sql["set_by_name"], (name,)).fetchone() is not None:
                raise SetExists(
                    f"a hash set {name!r} exists already; import into it, or choose another name", field="name"
                )
            sequence, created_at_us = self._next_sequence(connection), now_us()
            texts = (name, domain.value, owner, source, jurisdiction, terms, description, mode.value)
            connection.execute(self._sql["insert_set"], (str(uuid.uuid4()), *texts, created_at_us, sequence))
            return set_of(self._row_of(connection, name))

    def sets(self) -> tuple[HashSet, ...]:
        """Every set, in name order."""
        with self._connections.reading() as connection:
            return tuple(set_of(row) for row in connection.execute(self._sql["sets"]))

    def get_set(self, name: str) -> HashSet:
        """One set.

        Raises
        ------
        SetNotFound
            None of that name; the message suggests near names.

        """
        with self._connections.reading() as connection:
            return set_of(self._row_of(connection, name))

    def set_mode(self, name: str, mode: SetMode, *, reason: str, actor: str) -> HashSet:
        """Let hits of a set change verdicts (``enforced``) or only be reported (``shadow``).

        Raises
        ------
        SetNotFound
            None of that name.
        BadInput
            No reason or no actor.

        """
        check_stated(reason=reason, actor=actor)
        with self._connections.writing() as connection:
            row = self._row_of(connection, name)
            set_key, before = row[0], set_of(row)
            if before.mode is mode:
                return before
            connection.execute(self._sql["update_set_mode"], (mode.value, self._next_sequence(connection), set_key))
            after = set_of(self._row_of(connection, name))
            self._record(connection, (set_key, None), (actor, reason), (before.mode, mode), after.version)
            return after

    def counts(self) -> CatalogCounts:
        """Count what the whole catalog holds."""
        with self._connections.reading() as connection:
            hash_sets, entries, withdrawn = connection.execute(self._sql["counts"]).fetchone()
            return CatalogCounts(hash_sets, entries, withdrawn, self._sequence(connection))

    # --- entries -------------------------------------------------------------------------------------------------

    def import_entries(
        self,
        name: str,
        rows: Iterable[Entry | Rejected],
        *,
        progress: Progress = SILENT,
        on_rejected: Callable[[Rejected], None] | None = None,
        actor: str = IMPORT_ACTOR,
    ) -> ImportResult:
        """Merge entries into a set: all or, when anything raises, nothing.

        ``rows`` is read to its end before the write lock is taken, at constant memory whatever its length; rows of one
        entry_id become one entry (``merge`` has the rules). An import that changes nothing leaves the version alone.

        Parameters
        ----------
        name : str
            The set.
        rows : iterable of Entry or Rejected
            What a reader of ``exchange`` yields, or entries from the wire.
        progress : Progress
            Watches two pieces of work, reading and storing.
        on_rejected : callable, optional
            Gets every rejected row, those that contradict a withdrawal after the commit; the result keeps the first.
        actor : str
            Who imports; named in the history of entries that arrive disputed or withdrawn.

        Raises
        ------
        SetNotFound
            Before the first row is read.
        BadInput
            No actor.
        CatalogCorrupt, CatalogUnavailable
            The database failed; nothing was imported.

        """
        check_stated(actor=actor)
        self.get_set(name)
        rejections = staging.Rejections(on_rejected)
        with contextlib.closing(self._connections.connect()) as connection, mapped(self._connections.path):
            progress.start(f"reading rows for {name}", None, "rows")
            try:
                staged = staging.stage(connection, rows, rejections, progress)
            finally:
                progress.finish()
            progress.start(f"storing {name}", staged, "values")
            try:
                with self._connections.writing(connection):
                    tally, hash_set = self._apply(connection, name, actor, staged, progress)
            finally:
                progress.finish()
            for rejected in applying.refused(connection):
                rejections.add(rejected)
        return ImportResult(
            hash_set, tally.added, tally.updated, tally.unchanged, rejections.count, tuple(rejections.kept)
        )  # fmt: skip

    def _apply(
        self, connection: sqlite3.Connection, name: str, actor: str, staged: int, progress: Progress
    ) -> tuple[applying.Tally, HashSet]:
        row = self._row_of(connection, name)
        set_key, before = row[0], set_of(row)
        tally = applying.apply(connection, applying.Destination(set_key, before.version + 1, actor), staged, progress)
        if tally.added or tally.updated:
            connection.execute(self._sql["update_set_counts"], (tally.live, tally.withdrawn, set_key))
            connection.execute(self._sql["set_sequence"], (tally.sequence,))
        return tally, set_of(self._row_of(connection, name))

    def entries(self, name: str) -> Stream[Entry]:
        """Every entry of a set, withdrawn ones included, in entry_id order, as of one version.

        Raises
        ------
        SetNotFound
            At once, not at the first entry.

        """
        connection = self._connections.take_reader()
        try:
            with mapped(self._connections.path):
                set_key = self._row_of(connection, name)[0]
        except BaseException:
            self._connections.give_back(connection)
            raise
        rows = self._read(connection, "entries_of_set", set_key)
        return Stream((entry for _, _, entry in rows), self._release(connection, rows))

    def _read(
        self, connection: sqlite3.Connection, statement: str, key: int
    ) -> Generator[tuple[int, int, Entry], None, None]:
        with mapped(self._connections.path), contextlib.closing(connection.cursor()) as cursor:
            yield from entries_of(cursor.execute(self._sql[statement], (key,)))

    def _release(self, connection: sqlite3.Connection, rows: Generator[Any, None, None]) -> Callable[[], None]:
        """Return what a stream does at its end: an open cursor would keep the connection on the old moment."""

        def release() -> None:
            rows.close()
            self._connections.give_back(connection)

        return release

    # --- opinions ------------------------------------------------------------------------------------------------

    def withdraw(self, name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        """Stop an entry from matching; it stays in the catalog with the reason.

        Raises
        ------
        SetNotFound, EntryNotFound
            No such set or entry; the message suggests near names.
        BadInput
            No reason or no actor.

        """
        return self._decide("withdraw", name, entry_id, reason, actor)

    def dispute(self, name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        """Let an entry match for review only.

        Raises
        ------
        SetNotFound, EntryNotFound
            No such set or entry; the message suggests near names.
        BadInput
            No reason or no actor, or the entry is withdrawn.

        """
        return self._decide("dispute", name, entry_id, reason, actor)

    def reinstate(self, name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        """Undo a dispute or a withdrawal.

        Raises
        ------
        SetNotFound, EntryNotFound
            No such set or entry; the message suggests near names.
        BadInput
            No reason or no actor.

        """
        return self._decide("reinstate", name, entry_id, reason, actor)

    def _decide(self, decision: str, name: str, entry_id: str, reason: str, actor: str) -> HashSet:
        check_stated(reason=reason, actor=actor)
        allowed, after = TRANSITIONS[decision]
        with self._connections.writing() as connection:
            set_row = self._row_of(connection, name)
            set_key = set_row[0]
            entry_key, status, status_reason = self._entry_row(connection, set_key, name, entry_id)
            before = EntryStatus(status)
            if before is after:
                return set_of(set_row)
            if before not in allowed:
                raise BadInput(
                    f"cannot {decision} {shown(entry_id)} of {name!r}: it is {before} ({status_reason}); "
                    "reinstate it first",
                    field="entry_id",
                )
            sequence = self._next_sequence(connection)
            connection.execute(self._sql["update_status"], (after.value, reason, sequence, entry_key))
            gone = int(after is EntryStatus.WITHDRAWN) - int(before is EntryStatus.WITHDRAWN)
            connection.execute(self._sql["update_set_counts"], (-gone, gone, set_key))
            hash_set = set_of(self._row_of(connection, name))
            self._record(connection, (set_key, entry_key), (actor, reason), (before, after), hash_set.version)
            return hash_set

    def history(self, name: str, entry_id: str | None = None) -> tuple[Event, ...]:
        """Events of one entry, or of the set itself, oldest first.

        Raises
        ------
        SetNotFound, EntryNotFound
            No such set or entry; the message suggests near names.

        """
        with self._connections.reading() as connection:
            set_key = self._row_of(connection, name)[0]
            if entry_id is None:
                rows = connection.execute(self._sql["events_of_set"], (set_key,))
            else:
                entry_key = self._entry_row(connection, set_key, name, entry_id)[0]
                rows = connection.execute(self._sql["events_of_entry"], (set_key, entry_key))
            return tuple(event_of(row) for row in rows)

    # --- the change feed -----------------------------------------------------------------------------------------

    def sequence(self) -> int:
        """Return the number of the latest change."""
        with self._connections.reading() as connection:
            return self._sequence(connection)

    def changes(self, since: int) -> Stream[Change]:
        """Latest state of all sets and entries that changed after ``since``, oldest change first, as of one moment."""
        connection = self._connections.take_reader()
        try:
            with mapped(self._connections.path):
                set_rows = connection.execute(self._sql["sets"]).fetchall()
            sets = {row[0]: set_of(row) for row in set_rows}
        except BaseException:
            self._connections.give_back(connection)
            raise
        of_sets = (
            Change(row[-1], sets[row[0]]) for row in sorted(set_rows, key=lambda row: row[-1]) if row[-1] > since
        )
        rows = self._read(connection, "entries_since", since)
        of_entries = (Change(sequence, sets[set_key], entry) for sequence, set_key, entry in rows)
        values = heapq.merge(of_sets, of_entries, key=lambda change: change.sequence)
        return Stream(values, self._release(connection, rows))

    # --- integrity -----------------------------------------------------------------------------------------------

    def verify(self) -> None:
        """Read the whole file and check its structure, its references and its counts; takes about 1 s per 300 MB.

        Raises
        ------
        CatalogCorrupt
            Something does not add up; the message says what.

        """
        path = self._connections.path
        with self._connections.reading() as connection:
            said = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
            if said != ["ok"]:
                raise CatalogCorrupt(f"{path} is damaged ({'; '.join(said)}): restore it from a backup")
            if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
                raise CatalogCorrupt(f"{path} holds entries of sets that do not exist: restore it from a backup")
            for name, live, withdrawn, rows_live, rows_withdrawn in connection.execute(self._sql["recount"]):
                raise CatalogCorrupt(
                    f"{path}: set {name!r} claims {live} entries and {withdrawn} withdrawn, but holds {rows_live} and "
                    f"{rows_withdrawn}: restore it from a backup"
                )

    # --- within a transaction ------------------------------------------------------------------------------------

    def _sequence(self, connection: sqlite3.Connection) -> int:
        found: int = connection.execute(self._sql["sequence"]).fetchone()[0]
        return found

    def _next_sequence(self, connection: sqlite3.Connection) -> int:
        following = self._sequence(connection) + 1
        connection.execute(self._sql["set_sequence"], (following,))
        return following

    def _row_of(self, connection: sqlite3.Connection, name: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] | None = connection.execute(self._sql["set_by_name"], (name,)).fetchone()
        if row is None:
            names = [other[2] for other in connection.execute(self._sql["sets"])]
            raise SetNotFound(
                f"no hash set {shown(name)}{suggestion(name, names)}; `hashmatch hashset list` shows all", field="name"
            )
        return row

    def _entry_row(
        self, connection: sqlite3.Connection, set_key: int, name: str, entry_id: str
    ) -> tuple[int, str, str]:
        row: tuple[int, str, str] | None = connection.execute(self._sql["entry_by_id"], (set_key, entry_id)).fetchone()
        if row is None:
            near = connection.execute(self._sql["entry_ids_near"], {"set_key": set_key, "entry_id": entry_id})
            also = suggestion(entry_id, (other for (other,) in near))
            raise EntryNotFound(f"hash set {name!r} has no entry {shown(entry_id)}{also}", field="entry_id")
        return row

    def _record(
        self,
        connection: sqlite3.Connection,
        keys: tuple[int, int | None],
        who_why: tuple[str, str],
        change: tuple[str, str],
        set_version: int,
    ) -> None:
        row = (*keys, now_us(), *who_why, *map(str, change), set_version)
        connection.execute(self._sql["insert_event"], row)
