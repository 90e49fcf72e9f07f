"""The shared catalog: one PostgreSQL database, any number of services on any number of machines.

Theory of operation
-------------------
``relational`` has everything that a catalog does; here is how its sessions are had. Reads are one ``REPEATABLE READ``
snapshot, streams are server-side cursors in one, so that neither side holds more rows than a batch. A write begins with
locking the catalog's only row and keeps the lock to its commit: writers take turns, also across machines, and sequences
become visible in the order in which they were given out, so that no follower can miss a change that committed late.

Imports are taken in before they are written: blocks by a spool, a file without a name, single rows by ``COPY`` into
temporary tables of the import's own connection, which log nothing and lock nothing. Only then the write begins: plain
rows of blocks are copied straight into the tables (``postgres_columns``), plain single rows are merged inside the
database, all others by ``merge``, the same rules as for SQLite. A killed import leaves nothing.

A commit announces itself (``postgres_listening``); :meth:`PostgresCatalog.watch` hands the announcements on.

What this module deliberately does not do: it makes no database and no roles.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self

from psycopg import Cursor, ServerCursor

from hashmatch.catalog import postgres_columns, postgres_schema, staging
from hashmatch.catalog.postgres_connections import READ, Connection, Connections, mapped
from hashmatch.catalog.postgres_listening import Listener
from hashmatch.catalog.relational import RelationalCatalog
from hashmatch.catalog.session import Parameters, Place, Row, Session
from hashmatch.catalog.spool import Columns, Spool
from hashmatch.config import CatalogConfig

_STAGING = (*staging.TABLES, "create_fresh_order", "empty_staging")

_COPY = "COPY "
_ROWS_AT_ONCE = 1_000
"""Rows per round trip of a stream, as many as are decoded in one go."""


class PostgresSession:
    """A connection and PostgreSQL's words for the statements."""

    __slots__ = ("connection",)

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def __repr__(self) -> str:
        return f"PostgresSession({self.connection!r})"

    def run(self, statement: str, parameters: Parameters = (), /) -> Cursor[Row]:
        """Run a statement; its rows are held in memory."""
        return self.connection.execute(_text(statement), parameters or None, binary=True)

    def run_many(self, statement: str, rows: Iterable[Row], /) -> None:
        """Run a statement once per row, or have all rows copied in by it."""
        text = _text(statement)
        with self.connection.cursor() as cursor:
            if not text.startswith(_COPY):
                cursor.executemany(text, rows)
                return
            with cursor.copy(text) as copy:
                for row in rows:
                    copy.write_row(row)

    def insert_columns(self, columns: Columns, place: Place, /) -> None:
        """Make an entry of every row: two streams in the server's own format, made of whole columns."""
        for statement, pieces in (
            ("insert_spooled_entries", postgres_columns.of_entries(columns, place)),
            ("insert_spooled_values", postgres_columns.of_values(columns, place)),
        ):
            with self.connection.cursor() as cursor, cursor.copy(_text(statement)) as copy:
                for piece in pieces:
                    copy.write(piece)

    def stream(self, statement: str, parameters: Parameters = (), /) -> ServerCursor[Row]:
        """Run a statement whose rows stay with the server until they are asked for, also beyond a commit."""
        outside = self.connection.info.transaction_status == 0
        cursor = self.connection.cursor(f"of {statement}", withhold=outside)
        cursor.itersize = _ROWS_AT_ONCE
        return cursor.execute(_text(statement), parameters or None, binary=True)


def _text(statement: str) -> str:
    """Return a statement's SQL, which comes from a file of this package and from nowhere else."""
    return postgres_schema.statements()[statement]


class PostgresCatalog(RelationalCatalog):
    """A :class:`~hashmatch.catalog.store.Catalog` in one database. Made by :meth:`open`."""

    def __init__(self, connections: Connections, folder: Path | None = None) -> None:
        self._connections = connections
        self._folder = folder or Path(tempfile.gettempdir())

    @classmethod
    def open(cls, config: CatalogConfig, folder: Path | None = None, *, make: bool = True) -> Self:
        """Connect, and bring the tables to this version if need be.

        Parameters
        ----------
        config : CatalogConfig
            Its url names the database, which must exist.
        folder : Path or None
            Where imports keep their rows meanwhile, in files without a name; None for the temporary directory.
        make : bool
            Whether a database without a catalog gets one.

        Raises
        ------
        BadInput
            There is no catalog, and none is to be made.
        CatalogCorrupt
            The schema is of something else, or a newer hashmatch wrote it.
        CatalogUnavailable
            The database cannot be reached or used.

        """
        connections = Connections(config, postgres_schema.statements()["lock"])
        try:
            with connections.working() as connection:
                postgres_schema.migrate(connection, connections.where, make=make)
        except BaseException:
            connections.close()
            raise
        return cls(connections, folder)

    def __repr__(self) -> str:
        return f"PostgresCatalog({self._connections!r})"

    def close(self) -> None:
        """Let go of the database; streams already handed out may still be read. Safe to call twice."""
        self._connections.close()

    def sequence(self) -> int:
        """Return the number of the latest change: one statement, one round trip."""
        with self._connections.working() as connection:
            (sequence,) = PostgresSession(connection).run("sequence").fetchone() or (0,)
            return int(sequence)

    def watch(self, wake: Callable[[], None]) -> Listener:
        """Call ``wake`` from a thread of its own whenever a change was announced."""
        return Listener(self._connections, wake)

    def verify(self) -> None:
        """Read every row, and check references and counts.

        PostgreSQL checks its own structures (``pg_amcheck``, checksums of pages); this is what only hashmatch knows.

        Raises
        ------
        CatalogCorrupt
            Something does not add up; the message says what.

        """
        with self._connections.reading() as connection:
            postgres_schema.verify(connection, self._connections.where)

    # --- what RelationalCatalog asks for -------------------------------------------------------------------------

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Session]:
        with self._connections.reading() as connection:
            yield PostgresSession(connection)

    @contextlib.contextmanager
    def _writing(self, session: PostgresSession | None = None) -> Iterator[Session]:
        with self._connections.writing(None if session is None else session.connection) as connection:
            if session is not None:
                PostgresSession(connection).run("analyse_staged")
            yield PostgresSession(connection)

    @contextlib.contextmanager
    def changing(self) -> Iterator[Session]:
        """Hold a session inside a transaction that takes no lock on the catalog."""
        with self._connections.changing() as connection:
            yield PostgresSession(connection)

    @contextlib.contextmanager
    def _staging(self) -> Iterator[tuple[Session, Spool]]:
        with Spool(self._folder) as spool, self._connections.working() as connection:
            session = PostgresSession(connection)
            for statement in _STAGING:
                session.run(statement)
            try:
                yield session, spool
            finally:
                if not connection.closed:
                    session.run("empty_staging")

    def _filling(self, session: Any) -> contextlib.AbstractContextManager[object]:
        """Each batch is a transaction of its own: a slow sender must not keep one open."""
        return contextlib.nullcontext(session)

    def _take_reader(self) -> PostgresSession:
        return PostgresSession(self._connections.take(READ))

    def _give_back(self, session: PostgresSession) -> None:
        self._connections.give_back(session.connection)

    def _mapped(self) -> contextlib.AbstractContextManager[None]:
        return mapped(self._connections.where)
