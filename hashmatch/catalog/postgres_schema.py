"""The tables in PostgreSQL: statements by name, migrations, and the check of everything.

Theory of operation
-------------------
Statements are those of ``sql/statements.sql``, as far as both SQLite and PostgreSQL understand them, and in place of
the others those of ``sql/postgres/statements.sql``. Placeholders are turned into psycopg's.

``sql/postgres/NNNN-title.sql`` are the migrations; the table ``schema_version`` has a row for each that ran.
:func:`migrate` runs the missing ones in one transaction, under an advisory lock, so that of two services that start at
once only one does it and the other waits. PostgreSQL changes tables inside transactions, so a migration that fails
leaves everything as it was.

What this module deliberately does not do: it never migrates backwards, and it makes no database.
"""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Mapping
from importlib import resources

from psycopg import sql

from hashmatch.catalog.postgres_connections import SCHEMA, Connection
from hashmatch.catalog.schema import migrations_in, statements_in
from hashmatch.catalog.schema import statements as shared_statements
from hashmatch.errors import BadInput, CatalogCorrupt, CatalogUnavailable

MIGRATION_LOCK = 0x68_6D_63_61
"""Key of the advisory lock: ``hmca``, as SQLite's ``application_id``."""

OLDEST_SERVER = 13_00_00
"""First version with incremental sorting, which the change feed is read by; older ones are no longer maintained."""

_PLACEHOLDER = re.compile(r"(?<![:\w]):(\w+)|\?")


@functools.cache
def statements() -> Mapping[str, str]:
    """Every statement by its name, as psycopg takes it."""
    own = statements_in(resources.files(__package__) / "sql" / "postgres" / "statements.sql")
    return types.MappingProxyType({name: _translated(text) for name, text in {**shared_statements(), **own}.items()})


@functools.cache
def migrations() -> tuple[str, ...]:
    """Texts of the migrations, oldest first; ``migrations()[n]`` leads from version n to n + 1."""
    return migrations_in(resources.files(__package__) / "sql" / "postgres")


def migrate(connection: Connection, where: str, *, make: bool, known: tuple[str, ...] | None = None) -> None:
    """Bring the database to this version; one that is there already costs two reads.

    Parameters
    ----------
    connection
        Outside any transaction.
    where : str
        For messages only.
    make : bool
        Whether a database without a catalog gets one.
    known : tuple of str, optional
        The migrations; None for all there are.

    Raises
    ------
    BadInput
        There is no catalog, and none is to be made.
    CatalogCorrupt
        The schema is of something else, or a newer hashmatch wrote it.
    CatalogUnavailable
        The server is too old, or the database does not hold Unicode.
    psycopg.Error
        As PostgreSQL says; the caller maps it.

    """
    known = migrations() if known is None else known
    _check_server(connection, where)
    if (version := _version(connection, where)) == len(known):
        return
    if not version and not make:
        raise BadInput(
            f"{where} holds no catalog; `hashmatch hashset create NAME --domain DOMAIN` makes one, catalog.url names "
            "another database",
            field="catalog.url",
        )
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SCHEMA)))
        for number, text in enumerate(known[_version(connection, where) :], _version(connection, where) + 1):
            connection.execute(text.encode())
            if number == 1:
                connection.execute(
                    "CREATE TABLE schema_version (version integer PRIMARY KEY, ran_at timestamptz NOT NULL)"
                )
            connection.execute("INSERT INTO schema_version VALUES (%s, now())", (number,))


def verify(connection: Connection, where: str) -> None:
    """Read every row, and check references and counts; takes about as long as counting all rows three times.

    Raises
    ------
    CatalogCorrupt
        Something does not add up; the message says what.

    """
    for what, count in connection.execute(statements()["orphans"].encode()):
        if count:
            raise CatalogCorrupt(f"{where} holds {count} {what} of what does not exist: restore it from a backup")
    for name, live, withdrawn, rows_live, rows_withdrawn in connection.execute(statements()["recount"].encode()):
        raise CatalogCorrupt(
            f"{where}: set {name!r} claims {live} entries and {withdrawn} withdrawn, but holds {rows_live} and "
            f"{rows_withdrawn}: restore it from a backup"
        )


def _translated(text: str) -> str:
    """Return a statement with psycopg's placeholders."""
    return _PLACEHOLDER.sub(lambda found: f"%({found[1]})s" if found[1] else "%s", text)


def _check_server(connection: Connection, where: str) -> None:
    version = connection.info.server_version
    if version < OLDEST_SERVER:
        raise CatalogUnavailable(
            f"{where} runs version {version // 10_000}; hashmatch needs {OLDEST_SERVER // 10_000} or newer"
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise CatalogUnavailable(f"{where} stores text as {encoding}; make the database with ENCODING 'UTF8'")


def _version(connection: Connection, where: str) -> int:
    """Return how many migrations the database has seen; 0 for one without a catalog."""
    if not _is_ours(connection, where):
        return 0
    row = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()
    version = int(row[0]) if row else 0
    if version > len(migrations()):
        raise CatalogCorrupt(
            f"{where} has catalog version {version}; this hashmatch knows versions up to {len(migrations())}: "
            "upgrade hashmatch, or restore the backup made before the upgrade"
        )
    return version


def _is_ours(connection: Connection, where: str) -> bool:
    """Whether there is a catalog, at one moment: another process may be making it. Raises CatalogCorrupt."""
    row = connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE c.relname = 'schema_version') "
        "FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = %s",
        (SCHEMA,),
    ).fetchone()
    tables, ours = row or (0, 0)
    if tables and not ours:
        raise CatalogCorrupt(
            f"the schema {SCHEMA!r} of {where} holds tables of something else; name another database in catalog.url"
        )
    return bool(ours)
