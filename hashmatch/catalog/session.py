"""What the code between the rules and the databases is written against: named statements, on one connection.

Theory of operation
-------------------
A session is a connection that knows its backend's statements by name (``sql/``). ``deciding``, ``lookups``, ``staging``
and ``applying`` run statements through it and never see a library, so that each backend differs in its SQL and in how a
connection is had, and in nothing that decides.

Columns of an import are the exception: each backend unpacks them in the way that is quickest there.

What this module deliberately does not do: it begins and ends no transaction.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from hashmatch.catalog.spool import Columns

Row: TypeAlias = tuple[Any, ...]
Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows become entries: the set, key and sequence of the first, on which the others count, and the time."""

    set_key: int
    entry_key: int
    sequence: int
    now_us: int


class Rows(Protocol):
    """What a statement gives: a cursor of the database's library."""

    @property
    def rowcount(self) -> int:
        """How many rows the statement wrote."""

    def fetchone(self) -> Any:
        """Return the next row, or None."""

    def fetchmany(self, size: int, /) -> list[Any]:
        """At most so many more rows; none at the end."""

    def __iter__(self) -> Iterator[Any]:
        """Return the rows not yet fetched."""

    def close(self) -> None:
        """Stop reading. Safe to call twice."""


class Session(Protocol):
    """One connection, used by one thread at a time."""

    def run(self, statement: str, parameters: Parameters = (), /) -> Rows:
        """Run a statement; its rows may all be held in memory."""

    def run_many(self, statement: str, rows: Iterable[Row], /) -> None:
        """Run a statement once per row."""

    def insert_columns(self, columns: Columns, place: Place, /) -> None:
        """Make an active entry of every row, one value each; the set must have none of them."""

    def stream(self, statement: str, parameters: Parameters = (), /) -> Rows:
        """Run a statement whose rows are fetched as they are asked for, however many there are."""


class Tables(Protocol):
    """A database as those see it who keep tables of their own beside the hash sets."""

    def reading(self) -> contextlib.AbstractContextManager[Session]:
        """Hold a session that reads one moment; raises CatalogUnavailable, CatalogCorrupt."""

    def changing(self) -> contextlib.AbstractContextManager[Session]:
        """Hold a session inside a transaction that is durable when the block ends; raises the same."""
