"""SQLite connections: how they are opened, shared between threads, and what their errors mean.

Theory of operation
-------------------
The file is in write-ahead-log mode, so readers see the last committed state and never wait for the writer; there is one
writer at a time. ``synchronous = FULL``: a commit that returned survives a power cut.

Readers are taken from a small stock of idle connections and given back. Writing goes through one connection and one
lock: threads of this process queue on the lock, other processes on SQLite's busy timeout. Each connection is used by
one thread at a time, but not always by the same one, hence ``check_same_thread=False``.

Foreign exceptions are mapped here and nowhere else: damage becomes :class:`CatalogCorrupt`, everything that may pass
(busy, disk full, no permission) :class:`CatalogUnavailable`. What remains, a violated constraint say, is a bug and
travels on as it is.

What this module deliberately does not do: it knows no table.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hashmatch.errors import CatalogCorrupt, CatalogUnavailable, HashmatchError

BUSY_TIMEOUT_S = 60.0
"""How long a write waits for another process's write; one import of five million rows holds the lock for half of it."""

IDLE_READERS = 4
"""Reading connections kept open; more are opened when more threads read at once."""

OLDEST_SQLITE = (3, 37, 0)
"""First version with STRICT tables."""

_PRAGMAS = (
    "synchronous = FULL",
    "foreign_keys = ON",
    "trusted_schema = OFF",
    "temp_store = FILE",  # an import of any size must not fill the memory
    "journal_size_limit = 67108864",  # bytes that the log keeps on disk after a large import
)

PREPARED = ("foreign_keys = OFF", "ignore_check_constraints = ON")
"""For connections that write only what was checked before, many rows of it: an import makes the keys it refers to, and
``validate`` bounds the rest. Looking again costs a third of the storing; ``verify`` does look."""

_PAUSE_S = 0.005
"""Between two tries of what SQLite refuses without waiting."""

_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_PASSING = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_NOMEM,
    }
)


PRIMARY_CODE = 0xFF
"""Of an error code of SQLite: what kind it is, without the details."""

Translate = Callable[[sqlite3.DatabaseError, Path], HashmatchError | None]
"""An error of SQLite's over a file to one of hashmatch's; None where it is a defect."""


@contextlib.contextmanager
def mapped(path: Path, translate: Translate | None = None) -> Iterator[None]:
    """Turn SQLite's errors into hashmatch's, by default into those of a catalog.

    Raises
    ------
    CatalogCorrupt
        The file is damaged or no database.
    CatalogUnavailable
        Busy, disk full, read-only, or another failure of the file system.

    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        translated = (translate or _translate)(error, path)
        if translated is None:
            raise
        raise translated from error


def _translate(error: sqlite3.DatabaseError, path: Path) -> HashmatchError | None:
    code = getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE
    if code in _DAMAGE:
        return CatalogCorrupt(
            f"{path} is damaged ({error}): restore it from a backup, or move it away and import the lists again"
        )
    if code in _BUSY:
        return CatalogUnavailable(f"another process keeps {path} locked; try again when its import has finished")
    if code in _PASSING:
        return CatalogUnavailable(f"{path}: {error}; check free space and permissions there")
    return None


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, kind: str) -> Iterator[None]:
    """Run the block in a ``DEFERRED`` or ``IMMEDIATE`` transaction; whatever leaves it by an exception is undone."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise


class Connections:
    """Every connection of one process to one catalog file."""

    def __init__(self, path: Path, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.path = path
        self._busy_timeout_s = busy_timeout_s
        self._writing = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._idle_lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._closed = False

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self._idle)} idle"
        return f"Connections({str(self.path)!r}, {state})"

    def connect(self, pragmas: Sequence[str] = ()) -> sqlite3.Connection:
        """Open one more connection, for the caller to close; ``pragmas`` come on top of the usual ones.

        Raises
        ------
        CatalogCorrupt, CatalogUnavailable
            See :func:`mapped`; also when this catalog was closed.

        """
        if self._closed:
            raise CatalogUnavailable(f"the catalog {self.path} was closed")
        with mapped(self.path):
            connection = sqlite3.connect(
                self.path, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False
            )
            try:
                for pragma in (*_PRAGMAS, *pragmas):
                    connection.execute(f"PRAGMA {pragma}")
            except BaseException:
                connection.close()
                raise
        return connection

    def prepare(self) -> sqlite3.Connection:
        """Create the file if need be, readable by its owner only, and return the writing connection.

        Raises
        ------
        CatalogCorrupt, CatalogUnavailable
            See :func:`mapped`; also when SQLite is too old or the file system has no shared memory for the log.

        """
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            needed = ".".join(map(str, OLDEST_SQLITE))
            raise CatalogUnavailable(f"SQLite {sqlite3.sqlite_version} is too old; hashmatch needs {needed} or newer")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise CatalogUnavailable(f"cannot open {self.path}: {error.strerror}") from error
        connection = self.connect()
        try:
            with mapped(self.path):
                mode = self._logged(connection)
        except BaseException:
            connection.close()
            raise
        self._writer = connection
        if mode != "wal":
            raise CatalogUnavailable(
                f"{self.path} lies on a file system without shared memory (journal mode {mode!r}); "
                "put the data directory on a local disk"
            )
        return connection

    def _logged(self, connection: sqlite3.Connection) -> str:
        """Ask for the log and return the mode: of processes that do so at once SQLite refuses all but one unwaited."""
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & PRIMARY_CODE not in _BUSY or time.monotonic() >= deadline:
                    raise
            time.sleep(_PAUSE_S)

    @contextlib.contextmanager
    def writing(self, connection: sqlite3.Connection | None = None) -> Iterator[sqlite3.Connection]:
        """Hold the write lock and a transaction, on the writing connection or on the given one."""
        with self._writing:
            chosen = connection or self._writer
            if chosen is None or self._closed:
                raise CatalogUnavailable(f"the catalog {self.path} was closed")
            with mapped(self.path), transaction(chosen, "IMMEDIATE"):
                yield chosen

    def take_reader(self) -> sqlite3.Connection:
        """Return a connection inside a read transaction: everything read through it is of one moment."""
        with self._idle_lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self.connect()
        try:
            with mapped(self.path):
                connection.execute("PRAGMA query_only = ON")
                connection.execute("BEGIN DEFERRED")
        except BaseException:
            connection.close()
            raise
        return connection

    def give_back(self, connection: sqlite3.Connection) -> None:
        """End the read transaction and keep the connection for the next reader, or close it."""
        connection.rollback()
        with self._idle_lock:
            if not self._closed and len(self._idle) < IDLE_READERS:
                self._idle.append(connection)
                return
        connection.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read within one transaction."""
        connection = self.take_reader()
        try:
            with mapped(self.path):
                yield connection
        finally:
            self.give_back(connection)

    def close(self) -> None:
        """Close what is not in use; readers that are out close when they are given back. Safe to call twice."""
        with self._writing, self._idle_lock:
            self._closed = True
            for connection in self._idle:
                connection.close()
            self._idle.clear()
            if self._writer is not None:
                self._writer.close()
                self._writer = None
