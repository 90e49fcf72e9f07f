"""A catalog in a relational database, whichever: everything but how a connection is had.

Theory of operation
-------------------
Every change runs in one write transaction, under a lock that keeps other writers out until it ends; the transaction
also raises the catalog's sequence and the set's version, and what a method returned is durable. Streams (``entries``,
``changes``) own a connection in a read transaction: they show one moment, however long they take, and neither wait for
writers nor hold them up. Names are checked when a stream is asked for, not when it is first read.

Every method may be called from any thread; the service does so through ``asyncio.to_thread``.

What this module deliberately does not do: it knows no SQL and no library; ``sqlite`` and ``postgres`` do.
"""

from __future__ import annotations

import contextlib
import heapq
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from hashmatch.catalog import applying, deciding, lookups, staging
from hashmatch.catalog.deciding import Stated, Target
from hashmatch.catalog.lookups import entry_row, next_sequence, set_row
from hashmatch.catalog.rows import entries_of, now_us, set_of
from hashmatch.catalog.session import Session
from hashmatch.catalog.spool import Spool
from hashmatch.catalog.store import IMPORT_ACTOR, CatalogCounts, Unannounced, Watch
from hashmatch.catalog.stream import Stream
from hashmatch.catalog.validate import check_bookmark, check_set, check_stated
from hashmatch.errors import SetExists
from hashmatch.model import Change, Entry, Event, HarmDomain, HashSet, ImportResult, Opinion, Rejected, Row, SetMode
from hashmatch.progress import SILENT, Progress


class RelationalCatalog(ABC):
    """A :class:`~hashmatch.catalog.store.Catalog` over sessions. A context manager."""

    # --- what a backend adds -------------------------------------------------------------------------------------

    @abstractmethod
    def _reading(self) -> contextlib.AbstractContextManager[Session]:
        """Hold a session inside a read transaction; errors of the library are mapped."""

    @abstractmethod
    def _writing(self, session: Any = None) -> contextlib.AbstractContextManager[Session]:
        """Hold the write lock and a transaction, on the given session or on another one; errors are mapped."""

    @abstractmethod
    def _staging(self) -> contextlib.AbstractContextManager[tuple[Session, Spool]]:
        """Hold a session with empty staging tables, outside any transaction, and a spool; errors are mapped."""

    @abstractmethod
    def _filling(self, session: Any) -> contextlib.AbstractContextManager[object]:
        """Surround the filling of the staging tables."""

    @abstractmethod
    def _take_reader(self) -> Session:
        """Return a session inside a read transaction, for a stream."""

    @abstractmethod
    def _give_back(self, session: Any) -> None:
        """Take the session of a stream back."""

    @abstractmethod
    def _mapped(self) -> contextlib.AbstractContextManager[object]:
        """Map what the library raises while a stream is read."""

    @abstractmethod
    def verify(self) -> None:
        """Read everything, and check structure, references and counts; raises CatalogCorrupt."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the database; streams already handed out may still be read. Safe to call twice."""

    @abstractmethod
    def changing(self) -> contextlib.AbstractContextManager[Session]:
        """Hold a session inside a transaction over tables beside the hash sets; in PostgreSQL they wait for no import.

        What was done is durable when the block ends, and undone where it raises.

        Raises
        ------
        CatalogCorrupt, CatalogUnavailable
            The database is damaged, or could not be written.

        """

    def altering(self) -> contextlib.AbstractContextManager[Session]:
        """Hold a session inside a transaction that may also change hash sets and waits for imports; raises the same."""
        return self._writing()

    def reading(self) -> contextlib.AbstractContextManager[Session]:
        """Hold a session that reads one moment; raises CatalogCorrupt, CatalogUnavailable."""
        return self._reading()

    def watch(self, wake: Callable[[], None]) -> Watch:  # noqa: ARG002  a backend that announces calls it
        """Call ``wake`` from some thread whenever something was committed, if the backend can."""
        return Unannounced()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

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
        with self._writing() as session:
            if session.run("set_by_name", (name,)).fetchone() is not None:
                raise SetExists(
                    f"a hash set {name!r} exists already; import into it, or choose another name", field="name"
                )
            numbers = (now_us(), next_sequence(session))
            texts = (name, domain.value, owner, source, jurisdiction, terms, description, mode.value)
            session.run("insert_set", (str(uuid.uuid4()), *texts, *numbers))
            return set_of(set_row(session, name))

    def sets(self) -> tuple[HashSet, ...]:
        """Every set, in name order."""
        with self._reading() as session:
            return tuple(set_of(row) for row in session.run("sets"))

    def get_set(self, name: str) -> HashSet:
        """One set.

        Raises
        ------
        SetNotFound
            None of that name; the message suggests near names.

        """
        with self._reading() as session:
            return set_of(set_row(session, name))

    def set_mode(self, name: str, mode: SetMode, *, reason: str, actor: str) -> HashSet:
        """Let hits of a set change verdicts, only be reported, or suppress others.

        Raises
        ------
        SetNotFound
            None of that name.
        BadInput
            No reason or no actor, or from ``enforced`` to ``allow`` or back in one step.

        """
        check_stated(reason=reason, actor=actor)
        with self._writing() as session:
            return deciding.change_mode(session, name, mode, Stated(reason, actor))

    def counts(self) -> CatalogCounts:
        """Count what the whole catalog holds."""
        with self._reading() as session:
            hash_sets, entries, withdrawn = session.run("counts").fetchone()
            return CatalogCounts(hash_sets, entries, withdrawn, lookups.sequence(session))

    # --- entries -------------------------------------------------------------------------------------------------

    def import_entries(
        self,
        name: str,
        rows: Iterable[Row],
        *,
        progress: Progress = SILENT,
        on_rejected: Callable[[Rejected], None] | None = None,
        actor: str = IMPORT_ACTOR,
    ) -> ImportResult:
        """Merge entries into a set: all or, when anything raises, nothing.

        ``rows`` is read to its end before the write lock is taken, at constant memory whatever its length; rows of one
        entry_id become one entry in the order of their positions (``merge`` has the rules). An import that changes
        nothing leaves the version alone.

        Parameters
        ----------
        name : str
            The set.
        rows : iterable of Entry, Rejected or EntryBlock
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
        with self._staging() as (session, spool):
            with _watched(progress, f"reading rows for {name}", None, "rows"), self._filling(session):
                staged = staging.stage(session, spool, rows, rejections, progress)
            with _watched(progress, f"storing {name}", len(staged), "values"), self._writing(session):
                tally, hash_set = applying.into_set(session, name, actor, staged, progress)
            for rejected in applying.refused(session):
                rejections.add(rejected)
        return ImportResult(
            hash_set, tally.added, tally.updated, tally.unchanged, rejections.count, tuple(rejections.kept)
        )  # fmt: skip

    def entries(self, name: str) -> Stream[Entry]:
        """Every entry of a set, withdrawn ones included, in entry_id order, as of one version.

        Raises
        ------
        SetNotFound
            At once, not at the first entry.

        """
        session = self._take_reader()
        try:
            with self._mapped():
                set_key = set_row(session, name)[0]
        except BaseException:
            self._give_back(session)
            raise
        rows = self._read(session, "entries_of_set", set_key)
        return Stream((entry for _, _, entry in rows), self._release(session, rows))

    def get_entry(self, name: str, entry_id: str) -> Entry:
        """One entry, withdrawn or not, with the opinions that hold.

        Raises
        ------
        SetNotFound, EntryNotFound
            No such set or entry; the message suggests near names.

        """
        with self._reading() as session:
            entry_key = entry_row(session, set_row(session, name)[0], name, entry_id).entry_key
            ((_, _, entry),) = entries_of(session.run("entry_by_key", (entry_key,)))
            return entry

    def _read(self, session: Session, statement: str, key: int) -> Generator[tuple[int, int, Entry], None, None]:
        with self._mapped(), contextlib.closing(session.stream(statement, (key,))) as rows:
            yield from entries_of(rows)

    def _release(self, session: Session, rows: Generator[Any, None, None]) -> Callable[[], None]:
        """Return what a stream does at its end: an open cursor would keep the session on the old moment."""

        def release() -> None:
            rows.close()
            self._give_back(session)

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

    def quarantine(self, name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        """Let an entry be reported without changing a verdict.

        Raises
        ------
        SetNotFound, EntryNotFound
            No such set or entry; the message suggests near names.
        BadInput
            No reason or no actor, or the entry is withdrawn.

        """
        return self._decide("quarantine", name, entry_id, reason, actor)

    def reinstate(self, name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        """Undo a dispute, a quarantine or a withdrawal.

        Raises
        ------
        SetNotFound, EntryNotFound
            No such set or entry; the message suggests near names.
        BadInput
            No reason or no actor.

        """
        return self._decide("reinstate", name, entry_id, reason, actor)

    def vote(self, name: str, entry_id: str, opinion: Opinion, *, actor: str) -> HashSet:
        """Record what a party thinks of an entry; it takes the place of what it thought before, and moves nothing.

        Parameters
        ----------
        name, entry_id : str
            The entry, whatever its status.
        opinion : Opinion
            Needs a reason; dated now when it brings no date.
        actor : str
            Who records it.

        Raises
        ------
        SetNotFound, EntryNotFound
            No such set or entry; the message suggests near names.
        BadInput
            It does not say who or why, is of a hash that the entry does not have, or is older than what the same party
            said before; or the entry has as many opinions as an entry may have.

        """
        check_stated(actor=actor)
        with self._writing() as session:
            return deciding.vote(session, Target(name, entry_id), opinion, actor)

    def _decide(self, decision: str, name: str, entry_id: str, reason: str, actor: str) -> HashSet:
        check_stated(reason=reason, actor=actor)
        with self._writing() as session:
            return deciding.decide(session, decision, Target(name, entry_id), Stated(reason, actor))

    def history(self, name: str, entry_id: str | None = None) -> tuple[Event, ...]:
        """Events of one entry, or of the set itself, oldest first.

        Raises
        ------
        SetNotFound, EntryNotFound
            No such set or entry; the message suggests near names.

        """
        with self._reading() as session:
            return deciding.history(session, name, entry_id)

    # --- bookmarks -----------------------------------------------------------------------------------------------

    def bookmark(self, kind: str, name: str) -> str:
        """Return one text; empty when there is none."""
        with self._reading() as session:
            row = session.run("bookmark", (kind, name)).fetchone()
            return row[0] if row else ""

    def bookmarks(self, kind: str) -> Mapping[str, str]:
        """Every text of one kind, by name, in name order."""
        with self._reading() as session:
            return dict(session.run("bookmarks", (kind,)))

    def set_bookmark(self, kind: str, name: str, text: str) -> None:
        """Keep a text in place of the one before; an empty one forgets it.

        Raises
        ------
        BadInput
            No kind or no name, or a text that is too long.

        """
        check_bookmark(kind, name, text)
        with self._writing() as session:
            if text:
                session.run("upsert_bookmark", (kind, name, text))
            else:
                session.run("delete_bookmark", (kind, name))

    # --- the change feed -----------------------------------------------------------------------------------------

    def sequence(self) -> int:
        """Return the number of the latest change."""
        with self._reading() as session:
            return lookups.sequence(session)

    def changes(self, since: int) -> Stream[Change]:
        """Latest state of all sets and entries that changed after ``since``, oldest change first, as of one moment."""
        session = self._take_reader()
        try:
            with self._mapped():
                set_rows = list(session.run("sets"))
            sets = {row[0]: set_of(row) for row in set_rows}
        except BaseException:
            self._give_back(session)
            raise
        of_sets = (
            Change(row[-1], sets[row[0]]) for row in sorted(set_rows, key=lambda row: row[-1]) if row[-1] > since
        )
        rows = self._read(session, "entries_since", since)
        of_entries = (Change(sequence, sets[set_key], entry) for sequence, set_key, entry in rows)
        values = heapq.merge(of_sets, of_entries, key=lambda change: change.sequence)
        return Stream(values, self._release(session, rows))


@contextlib.contextmanager
def _watched(progress: Progress, description: str, total: int | None, unit: str) -> Iterator[None]:
    progress.start(description, total, unit)
    try:
        yield
    finally:
        progress.finish()
