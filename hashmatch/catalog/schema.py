"""SQL from files: named statements, and migrations that bring any older catalog to this version.

Theory of operation
-------------------
``sql/statements.sql`` and ``sql/reports.sql`` hold every statement as a block that begins with ``-- name: NAME``;
:func:`statements` reads them once. ``sql/NNNN-title.sql`` are the migrations; their numbers run from 1 without a gap,
and SQLite's ``user_version`` says how many of them a file has seen. :func:`migrate` runs the missing ones in one
transaction, under the write lock, so that two processes that open a new file at once do not both create it. Foreign
keys are not enforced meanwhile, since SQLite changes a table by dropping it; they are checked before the commit.

``application_id`` marks a file as a hashmatch catalog: a database of something else is refused before it is touched,
and so is a catalog that a newer hashmatch wrote.

What this module deliberately does not do: it never migrates backwards.
"""

from __future__ import annotations

import functools
import re
import sqlite3
import types
from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from hashmatch.errors import CatalogCorrupt

APPLICATION_ID = 0x68_6D_63_61
"""``hmca`` in ASCII; `file` and SQLite's own tools show it."""

STATEMENTS = ("statements.sql", "reports.sql")
"""Files of statements: of hash sets, and of cases and their deliveries."""

_FOLDER = resources.files(__package__) / "sql"
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_MIGRATION = re.compile(r"^(\d{4})-[\w-]+\.sql$")


@functools.cache
def statements() -> Mapping[str, str]:
    """Every statement of :data:`STATEMENTS` by its name, comments stripped."""
    files = [statements_in(_FOLDER / name) for name in STATEMENTS]
    return types.MappingProxyType({name: text for file in files for name, text in file.items()})


@functools.cache
def migrations() -> tuple[str, ...]:
    """Texts of the migrations, oldest first; ``migrations()[n]`` leads from version n to n + 1."""
    return migrations_in(_FOLDER)


def statements_in(file: Traversable) -> Mapping[str, str]:
    """Every statement of a file by its name, comments stripped."""
    parts = _NAME.split(file.read_text(encoding="utf-8"))
    bodies = zip(parts[1::2], parts[2::2], strict=True)
    return types.MappingProxyType({name: "\n".join(_code_lines(body)) for name, body in bodies})


def migrations_in(folder: Traversable) -> tuple[str, ...]:
    """Texts of the migrations in a folder, in the order of their numbers."""
    numbered = sorted((int(match[1]), item) for item in folder.iterdir() if (match := _MIGRATION.match(item.name)))
    return tuple(item.read_text(encoding="utf-8") for _, item in numbered)


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file to this version; a file that is there already costs two reads.

    Parameters
    ----------
    connection : sqlite3.Connection
        Outside any transaction.
    path : Path
        For messages only.

    Raises
    ------
    CatalogCorrupt
        The file is a database of something else, or a newer hashmatch wrote it.
    sqlite3.Error
        As SQLite says; the caller maps it.

    """
    if _seen(connection, path) == len(migrations()):
        return
    connection.execute("PRAGMA foreign_keys = OFF")  # has no effect inside a transaction
    try:
        _run_missing(connection, path)
    finally:
        connection.execute("PRAGMA foreign_keys = ON")


def _seen(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version as of one moment: another process may be making the file."""
    connection.execute("BEGIN")
    try:
        return _version(connection, path)
    finally:
        connection.rollback()


def _run_missing(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for text in migrations()[_version(connection, path) :]:
            for statement in split_script(text):
                connection.execute(statement)
        _check_references(connection, path)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations())}")
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def verify(connection: sqlite3.Connection, path: Path) -> None:
    """Read the whole file and check its structure, its references and its counts.

    Parameters
    ----------
    connection : sqlite3.Connection
        Inside a read transaction.
    path : Path
        For messages only.

    Raises
    ------
    CatalogCorrupt
        Something does not add up; the message says what.

    """
    said = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    if said != ["ok"]:
        raise CatalogCorrupt(f"{path} is damaged ({'; '.join(said)}): restore it from a backup")
    _check_references(connection, path)
    for name, live, withdrawn, rows_live, rows_withdrawn in connection.execute(statements()["recount"]):
        raise CatalogCorrupt(
            f"{path}: set {name!r} claims {live} entries and {withdrawn} withdrawn, but holds {rows_live} and "
            f"{rows_withdrawn}: restore it from a backup"
        )


def _check_references(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise CatalogCorrupt(f"{path} holds entries of sets that do not exist: restore it from a backup")


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Return how many migrations the file has seen; 0 for an empty file. Inside a transaction."""
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if application_id != APPLICATION_ID and not empty:
        raise CatalogCorrupt(f"{path} is an SQLite database, but not a hashmatch catalog; give another path")
    if version > len(migrations()):
        raise CatalogCorrupt(
            f"{path} has catalog version {version}; this hashmatch knows versions up to {len(migrations())}: "
            "upgrade hashmatch, or restore the backup made before the upgrade"
        )
    return version


def split_script(script: str) -> Iterator[str]:
    """Yield the statements of a script one by one: ``executescript`` would commit in between."""
    pending = ""
    for line in _code_lines(script):
        pending += line + "\n"
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""


def _code_lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("--"):
            yield line
