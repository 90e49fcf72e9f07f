"""The database of a job: opened by one process at a time, its statements by name, its errors in our words.

Theory of operation
-------------------
SQLite in WAL mode with ``synchronous = FULL``: a commit that returned survives a power cut. ``locking_mode =
EXCLUSIVE`` keeps every other process out for as long as the file is open, and the kernel ends that with the process,
however it ends. There is one connection, which one thread at a time uses.

What this module deliberately does not do: it decides nothing.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

from hashmatch.catalog.connections import OLDEST_SQLITE, PRIMARY_CODE, mapped, transaction
from hashmatch.catalog.schema import migrations_in, split_script, statements_in
from hashmatch.errors import HashmatchError, JobCorrupt, JobRefused, JobUnavailable

APPLICATION_ID: Final = 0x68_6D_75_72
"""``hmur`` in ASCII."""

_FOLDER: Final = resources.files(__package__) / "sql"
_PRAGMAS: Final = ("locking_mode = EXCLUSIVE", "synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF")
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class Storage:
    """An open job file. Every method may be called from any thread."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Storage({str(self.path)!r})"

    def close(self) -> None:
        """Let others have the file. Safe to call twice."""
        with self._lock:
            self._connection.close()

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a statement; inside :meth:`changing` only."""
        return self._connection.execute(_statements()[statement], parameters)

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return everything that a statement finds."""
        with self._lock, mapped(self.path, _translate):
            return self.run(statement, parameters).fetchall()

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Run the block in one transaction, durable when it ends; raises JobUnavailable, JobCorrupt."""
        with self._lock, mapped(self.path, _translate), transaction(self._connection, "IMMEDIATE"):
            yield


def make(path: Path) -> None:
    """Make an empty file, readable by its owner only; raises JobRefused where the name is taken, JobUnavailable."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        raise JobRefused(f"{path} exists; --resume goes on with it, or give another name", field="job") from None
    except OSError as error:
        raise JobUnavailable(f"cannot make {path}: {error.strerror}", field="job") from error


def open_storage(path: Path) -> Storage:
    """Open a job file and keep every other process out of it; raises JobRefused, JobUnavailable, JobCorrupt."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        needed = ".".join(map(str, OLDEST_SQLITE))
        raise JobUnavailable(f"SQLite {sqlite3.sqlite_version} is too old; hashmatch needs {needed} or newer")
    if not path.is_file():
        raise JobRefused(f"there is no job file {path}", field="job")
    with mapped(path, _translate):
        connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            _check_kind(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
            _migrate(connection)
        except BaseException:
            connection.close()
            raise
    return Storage(path, connection)


@functools.cache
def _statements() -> Mapping[str, str]:
    return {**statements_in(_FOLDER / "statements.sql"), **statements_in(_FOLDER / "watch.sql")}


@functools.cache
def _migrations() -> tuple[str, ...]:
    return migrations_in(_FOLDER)


def _check_kind(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a database of something else, and one that a newer hashmatch made."""
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if not empty and application_id != APPLICATION_ID:
        raise JobRefused(f"{path} is an SQLite database, but no job file", field="job")
    if version > len(_migrations()):
        raise JobRefused(
            f"{path} is a job file of version {version}; this hashmatch knows versions up to {len(_migrations())}: "
            "upgrade hashmatch, or begin a new job",
            field="job",
        )


def _migrate(connection: sqlite3.Connection) -> None:
    with transaction(connection, "IMMEDIATE"):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for text in _migrations()[version:]:
            for statement in split_script(text):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(_migrations())}")


def _translate(error: sqlite3.DatabaseError, path: Path) -> HashmatchError | None:
    code = getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE
    if code in _BUSY:
        return JobRefused(f"another process works on {path}", field="job")
    if code == sqlite3.SQLITE_NOTADB:
        return JobRefused(f"{path} is no job file", field="job")
    if code == sqlite3.SQLITE_CORRUPT:
        return JobCorrupt(f"{path} is damaged ({error}); begin a new job")
    if code == sqlite3.SQLITE_CONSTRAINT:
        return None
    return JobUnavailable(f"{path}: {error}; check free space and permissions there", field="job")
