"""PostgreSQL connections: how they are opened, shared between threads, and what their errors mean.

Theory of operation
-------------------
A stock of at most ``catalog.connections`` connections per process: one is taken, used by one thread, given back. A
connection that broke while it lay there (PostgreSQL was restarted, a network was cut) is noticed by the statement that
begins a transaction, thrown away, and the next one tried, a new one last: whoever asks after an outage is answered, and
nothing is ever repeated that might have been done. Whoever asks during it is told within ``catalog.connect_timeout_s``.

Silence is an error too. A cut network says nothing, so TCP is told to give up a peer that has not answered for
``catalog.silence_s``; without, a reader would wait for hours.

A write holds the lock of the catalog's only row from its first statement to its commit (statement ``lock``); others
wait for it up to ``catalog.lock_timeout_s``. When the connection breaks during the commit itself nobody can say whether
it took place; the message says so, and what to do.

Foreign exceptions are mapped here and nowhere else: damage becomes :class:`CatalogCorrupt`, everything that may pass or
that an administrator can change :class:`CatalogUnavailable`. What remains, a violated constraint say, is a bug and
travels on as it is. Messages name the host and the database; a password is never among what they are made of.

What this module deliberately does not do: it knows no table but that of the lock, and it repeats no write.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from hashmatch.errors import CatalogCorrupt, CatalogUnavailable, HashmatchError
from hashmatch.sections import CatalogConfig

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

SCHEMA = "hashmatch"
"""Everything that belongs to the catalog lies in this schema, so that a database may be shared."""

READ = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
"""One moment for everything that is read until the end."""

_DAMAGE = (errors.DataCorrupted, errors.IndexCorrupted)
_ADVICE: Mapping[type[psycopg.Error], str] = MappingProxyType(
    {
        errors.LockNotAvailable: "another process keeps the catalog locked; try again when its import has finished",
        errors.InvalidPassword: "put the password into PGPASSWORD or into the file that PGPASSFILE names",
        errors.InvalidAuthorizationSpecification: "give the role in catalog.url the right to log in (pg_hba.conf)",
        errors.InvalidCatalogName: "make the database (createdb), or correct catalog.url",
        errors.InsufficientPrivilege: "make the role the owner of the database and of what hashmatch made in it",
        errors.ReadOnlySqlTransaction: "catalog.url names a standby; name the server that takes writes",
        errors.TooManyConnections: "raise max_connections there, or lower catalog.connections on each service",
        errors.DiskFull: "give the server room",
    }
)
_PASSING = (
    psycopg.OperationalError,
    errors.LockNotAvailable,
    errors.ReadOnlySqlTransaction,
    errors.InsufficientPrivilege,
    errors.InvalidAuthorizationSpecification,
)
"""Operational errors are those of connections, resources and shutdowns (SQLSTATE 08, 53, 57, 58, 40, 55)."""


@contextlib.contextmanager
def mapped(where: str) -> Iterator[None]:
    """Turn psycopg's errors into hashmatch's.

    Raises
    ------
    CatalogCorrupt
        PostgreSQL says that its data is damaged.
    CatalogUnavailable
        Not reachable, refused, locked, out of a resource, or about to shut down.

    """
    try:
        yield
    except psycopg.Error as error:
        translated = _translate(error, where)
        if translated is None:
            raise
        raise translated from error


def _translate(error: psycopg.Error, where: str) -> HashmatchError | None:
    said = " ".join(str(error).split())
    if isinstance(error, _DAMAGE):
        return CatalogCorrupt(f"the catalog at {where} is damaged ({said}): restore it from a backup")
    for kind, advice in _ADVICE.items():
        if isinstance(error, kind):
            return CatalogUnavailable(f"{where}: {said}; {advice}")
    if isinstance(error, _PASSING):
        advice = next((hint for text, hint in _SPOKEN.items() if text in said), _CHECK)
        return CatalogUnavailable(f"{where}: {said}; {advice}")
    return None


_CHECK = "check that PostgreSQL runs and is reachable from here (catalog.url); nothing that was acknowledged is lost"
_SPOKEN: Mapping[str, str] = MappingProxyType(
    {
        "no password supplied": _ADVICE[errors.InvalidPassword],
        "password authentication failed": _ADVICE[errors.InvalidPassword],
        "does not exist": _ADVICE[errors.InvalidCatalogName],
        "too many clients": _ADVICE[errors.TooManyConnections],
    }
)
"""What a refused connection is told in words only: libpq hands on no SQLSTATE before the connection stands."""


class Connections:
    """Every connection of one process to one catalog."""

    def __init__(self, config: CatalogConfig, lock_statement: str = "SELECT 1") -> None:
        self._config = config
        self._lock_statement = lock_statement
        self._idle: list[Connection] = []
        self._out = 0
        self._changed = threading.Condition()
        self._closed = False
        known = conninfo_to_dict(config.url)
        self.where = (
            f"PostgreSQL {known.get('host', 'on this machine')}:{known.get('port', 5432)}/{known.get('dbname')}"
        )

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self._idle)} idle, {self._out} in use"
        return f"Connections({self.where}, {state})"

    def connect(self) -> Connection:
        """Open one more connection, outside the stock and outside any transaction, for the caller to close.

        Raises
        ------
        CatalogUnavailable
            See :func:`mapped`; also when this catalog was closed.

        """
        self._refuse_closed()
        silence_s = self._config.silence_s
        with mapped(self.where):
            connection = psycopg.connect(
                make_conninfo(
                    self._config.url,
                    connect_timeout=self._config.connect_timeout_s,
                    client_encoding="utf8",
                    application_name="hashmatch",
                    keepalives_idle=max(1, silence_s // 3),
                    keepalives_interval=max(1, silence_s // 3),
                    keepalives_count=2,
                    tcp_user_timeout=1_000 * silence_s,
                ),
                autocommit=True,
            )
            try:
                connection.execute(self._settings())
            except BaseException:
                connection.close()
                raise
        return connection

    def _settings(self) -> sql.Composed:
        """Return what is set once per connection, as one message."""
        values = {
            "search_path": SCHEMA,
            "lock_timeout": f"{self._config.lock_timeout_s}s",
            "statement_timeout": "0",
            "idle_in_transaction_session_timeout": "0",
            "default_transaction_isolation": "read committed",
            "client_min_messages": "warning",
        }
        return sql.SQL("; ").join(
            sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(value)) for name, value in values.items()
        )

    def take(self, begin: str) -> Connection:
        """Return a connection on which ``begin`` was just executed.

        Raises
        ------
        CatalogUnavailable
            See :func:`mapped`; also when all connections stay in use for ``catalog.connect_timeout_s``.

        """
        self._reserve()
        try:
            with mapped(self.where):
                while (connection := self._from_stock()) is not None:
                    try:
                        connection.execute(begin)
                    except psycopg.OperationalError:
                        broken = connection.closed
                        connection.close()
                        if not broken:
                            raise
                    else:
                        return connection
                connection = self.connect()
                try:
                    connection.execute(begin)
                except BaseException:
                    connection.close()
                    raise
                return connection
        except BaseException:
            self._release()
            raise

    def give_back(self, connection: Connection) -> None:
        """End what was begun by a rollback, and keep the connection for the next one, or close it if it broke."""
        try:
            if connection.info.transaction_status is not TransactionStatus.IDLE:
                connection.execute("ROLLBACK")
        except psycopg.Error:
            connection.close()
        with self._changed:
            self._out -= 1
            self._changed.notify()
            if not connection.closed and not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read one moment."""
        connection = self.take(READ)
        try:
            with mapped(self.where):
                yield connection
        finally:
            self.give_back(connection)

    @contextlib.contextmanager
    def working(self) -> Iterator[Connection]:
        """Hold a connection outside any transaction: each statement stands for itself."""
        connection = self.take("")
        try:
            with mapped(self.where):
                yield connection
        finally:
            self.give_back(connection)

    @contextlib.contextmanager
    def writing(self, connection: Connection | None = None) -> Iterator[Connection]:
        """Hold the write lock and a transaction, on the given connection or on one of the stock."""
        begin = f"BEGIN; {self._lock_statement}"
        if connection is not None:
            self._refuse_closed()
            with mapped(self.where), self._committed(connection):
                connection.execute(begin)
                yield connection
            return
        taken = self.take(begin)
        try:
            with mapped(self.where), self._committed(taken):
                yield taken
        finally:
            self.give_back(taken)

    @contextlib.contextmanager
    def changing(self) -> Iterator[Connection]:
        """Hold a transaction without the write lock, for tables that no follower follows."""
        taken = self.take("BEGIN")
        try:
            with mapped(self.where), self._committed(taken):
                yield taken
        finally:
            self.give_back(taken)

    @contextlib.contextmanager
    def _committed(self, connection: Connection) -> Iterator[None]:
        try:
            yield
        except BaseException:
            with contextlib.suppress(psycopg.Error):
                connection.execute("ROLLBACK")
            raise
        try:
            connection.execute("COMMIT")
        except psycopg.OperationalError as error:
            if connection.closed:
                raise CatalogUnavailable(
                    f"{self.where}: the connection broke during the commit, so the change may have been made or not; "
                    "look, or repeat it: imports and decisions do no harm when they are repeated"
                ) from error
            raise

    def close(self) -> None:
        """Close what is not in use; connections that are out close when they are given back. Safe to call twice."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        for connection in idle:
            connection.close()

    def _reserve(self) -> None:
        deadline = time.monotonic() + self._config.connect_timeout_s
        with self._changed:
            self._refuse_closed()
            while self._out >= self._config.connections:
                if not self._changed.wait(deadline - time.monotonic()):
                    raise CatalogUnavailable(
                        f"{self.where}: all {self._config.connections} connections of this process are in use; "
                        "raise catalog.connections, or import and export less at once"
                    )
                self._refuse_closed()
            self._out += 1

    def _release(self) -> None:
        with self._changed:
            self._out -= 1
            self._changed.notify()

    def _from_stock(self) -> Connection | None:
        with self._changed:
            return self._idle.pop() if self._idle else None

    def _refuse_closed(self) -> None:
        if self._closed:
            raise CatalogUnavailable(f"the catalog {self.where} was closed")
