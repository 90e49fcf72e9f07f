"""The embedded catalog: one SQLite file, any number of threads and processes.

Theory of operation
-------------------
``relational`` has everything that a catalog does; here is how its sessions are had. A write is one ``BEGIN IMMEDIATE``
transaction, and what it committed is on disk (``connections`` says how). An import stages its rows on a connection of
its own, whose temporary tables vanish with it.

What this module deliberately does not do: it says of no commit what it changed. Followers ask
:meth:`SqliteCatalog.changes`, when :meth:`SqliteCatalog.watch` wakes them.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Self

from hashmatch.catalog import schema, staging
from hashmatch.catalog.connections import BUSY_TIMEOUT_S, PREPARED, Connections, mapped, transaction
from hashmatch.catalog.relational import RelationalCatalog
from hashmatch.catalog.schema import migrate
from hashmatch.catalog.session import Parameters, Place, Row, Session
from hashmatch.catalog.spool import Columns, Spool
from hashmatch.catalog.store import Watch
from hashmatch.catalog.watch import CommitWatch
from hashmatch.model import UNSTATED_QUALITY

_QUALITIES = [str(quality) for quality in range(UNSTATED_QUALITY)] + ["null"]
"""Qualities of columns as JSON."""


class SqliteSession:
    """A connection and the statements of ``sql/statements.sql``."""

    __slots__ = ("_sql", "connection")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._sql = schema.statements()

    def __repr__(self) -> str:
        return f"SqliteSession({self.connection!r})"

    def run(self, statement: str, parameters: Parameters = (), /) -> sqlite3.Cursor:
        """Run a statement."""
        return self.connection.execute(self._sql[statement], parameters)

    def run_many(self, statement: str, rows: Iterable[Row], /) -> None:
        """Run a statement once per row."""
        self.connection.executemany(self._sql[statement], rows)

    def insert_columns(self, columns: Columns, place: Place, /) -> None:
        """Make an entry of every row: SQLite unpacks the columns, in a third of the time that single rows take."""
        at = {"entry_key": place.entry_key, "sequence": place.sequence}
        self.run(
            "insert_spooled_entries",
            at | {"set_key": place.set_key, "now_us": place.now_us, "entry_ids": columns.ids_as_json()},
        )
        self.run(
            "insert_spooled_values",
            at
            | {
                "algorithm": columns.algorithm,
                "values": columns.values.tobytes(),
                "size": columns.values.shape[1],
                "qualities": f"[{','.join(map(_QUALITIES.__getitem__, columns.qualities.tolist()))}]",
            },
        )

    def stream(self, statement: str, parameters: Parameters = (), /) -> sqlite3.Cursor:
        """Run a statement; SQLite fetches rows as they are asked for in any case."""
        return self.connection.execute(self._sql[statement], parameters)


class SqliteCatalog(RelationalCatalog):
    """A :class:`~hashmatch.catalog.store.Catalog` in one file.

    Made by :meth:`open`; a context manager.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

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

    def close(self) -> None:
        """Let go of the file; streams already handed out may still be read. Safe to call twice."""
        self._connections.close()

    # --- what RelationalCatalog asks for -------------------------------------------------------------------------

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Session]:
        with self._connections.reading() as connection:
            yield SqliteSession(connection)

    @contextlib.contextmanager
    def _writing(self, session: SqliteSession | None = None) -> Iterator[Session]:
        with self._connections.writing(None if session is None else session.connection) as connection:
            yield SqliteSession(connection)

    def changing(self) -> contextlib.AbstractContextManager[Session]:
        """Hold a session inside a transaction; one file has one writer, so a long import is waited for."""
        return self._writing()

    @contextlib.contextmanager
    def _staging(self) -> Iterator[tuple[Session, Spool]]:
        path = self._connections.path
        connecting = contextlib.closing(self._connections.connect(PREPARED))
        with connecting as connection, Spool(path.parent) as spool, self._mapped():
            session = SqliteSession(connection)
            for table in staging.TABLES:
                session.run(table)
            yield session, spool

    def _filling(self, session: SqliteSession) -> contextlib.AbstractContextManager[None]:
        return transaction(session.connection, "DEFERRED")

    def _take_reader(self) -> SqliteSession:
        return SqliteSession(self._connections.take_reader())

    def _give_back(self, session: SqliteSession) -> None:
        self._connections.give_back(session.connection)

    def _mapped(self) -> contextlib.AbstractContextManager[None]:
        return mapped(self._connections.path)

    # --- integrity -----------------------------------------------------------------------------------------------

    def watch(self, wake: Callable[[], None]) -> Watch:
        """Call ``wake`` from a thread of its own at each commit, whoever makes it.

        Raises
        ------
        CatalogCorrupt, CatalogUnavailable
            The file cannot be opened.

        """
        return CommitWatch(self._connections, wake)

    def verify(self) -> None:
        """Read the whole file and check its structure, its references and its counts; takes about 1 s per 300 MB.

        Raises
        ------
        CatalogCorrupt
            Something does not add up; the message says what.

        """
        with self._connections.reading() as connection:
            schema.verify(connection, self._connections.path)
