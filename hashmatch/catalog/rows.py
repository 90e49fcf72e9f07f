"""Rows to the model's values and back.

Theory of operation
-------------------
Times are integer microseconds since 1970 UTC, labels a JSON array of ``[scheme, version, value]``. Entries come out of
the database as one row per value, all rows of an entry side by side; :func:`entries_of` folds them. Neighbouring
entries mostly share their labels and their time of arrival, so both conversions remember what they converted last.

What this module deliberately does not do: it runs no statement.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from hashmatch.catalog.store import Event
from hashmatch.errors import CatalogCorrupt
from hashmatch.model import Entry, EntryHash, EntryStatus, HarmDomain, HashSet, Label, Provenance, SetMode

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_ROWS_AT_ONCE = 1_000
"""Rows fetched from SQLite in one go; bounds memory, and spares a call per row."""


def now_us() -> int:
    """Microseconds since 1970 UTC, by the wall clock."""
    return to_us(dt.datetime.now(tz=dt.UTC))


def to_us(moment: dt.datetime) -> int:
    """Microseconds since 1970 UTC of a time with a zone."""
    return (moment - _EPOCH) // _MICROSECOND


@functools.lru_cache(maxsize=1_024)
def from_us(moment_us: int) -> dt.datetime:
    """Inverse of :func:`to_us`, in UTC."""
    return _EPOCH + moment_us * _MICROSECOND


@functools.lru_cache(maxsize=1_024)
def labels_to_text(labels: tuple[Label, ...]) -> str:
    """Labels as they are stored."""
    if not labels:
        return ""
    return json.dumps([[item.scheme, item.version, item.value] for item in labels], ensure_ascii=False)


@functools.lru_cache(maxsize=1_024)
def labels_from_text(text: str) -> tuple[Label, ...]:
    """Inverse of :func:`labels_to_text`.

    Raises
    ------
    ValueError
        The text is not what :func:`labels_to_text` writes.

    """
    if not text:
        return ()
    try:
        return tuple(Label(scheme, version, value) for scheme, version, value in json.loads(text))
    except TypeError as error:
        raise ValueError(f"not stored labels: {error}") from error


def set_of(row: tuple[Any, ...]) -> HashSet:
    """One row of ``sets`` or ``set_by_name``: set_key first, sequence last.

    Raises
    ------
    CatalogCorrupt
        The row holds a domain or mode that does not exist.

    """
    _, set_id, name, domain, owner, source, jurisdiction, terms, description, mode, version, live, withdrawn, at, _ = (
        row
    )
    try:
        return HashSet(
            set_id=set_id,
            name=name,
            domain=HarmDomain(domain),
            owner=owner,
            source=source,
            jurisdiction=jurisdiction,
            terms=terms,
            description=description,
            mode=SetMode(mode),
            version=version,
            entries=live,
            withdrawn=withdrawn,
            created_at=from_us(at),
        )
    except (ValueError, OverflowError) as error:
        raise CatalogCorrupt(f"the catalog's row of set {name!r} is damaged: {error}; restore a backup") from error


def event_of(row: tuple[Any, ...]) -> Event:
    """One row of ``events_of_entry`` or ``events_of_set``."""
    at_us, actor, reason, before, after, set_version = row
    return Event(from_us(at_us), actor, reason, before, after, set_version)


def entries_of(cursor: sqlite3.Cursor) -> Iterator[tuple[int, int, Entry]]:
    """Fold the rows of ``entries_of_set`` or ``entries_since`` into ``(sequence, set_key, entry)``.

    Raises
    ------
    CatalogCorrupt
        A row holds a status, labels or a time that hashmatch never writes.

    """
    rows = itertools.chain.from_iterable(iter(lambda: cursor.fetchmany(_ROWS_AT_ONCE), []))
    row = next(rows, None)
    while row is not None:
        first, sequence = row, row[8]
        hashes = []
        while row is not None and row[8] == sequence:
            hashes.append(EntryHash(*row[10:14]))
            row = next(rows, None)
        yield sequence, first[9], _entry(first, tuple(hashes))


def _entry(row: tuple[Any, ...], hashes: tuple[EntryHash, ...]) -> Entry:
    entry_id, status, status_reason, labels, source, list_version, external_id, received_at_us = row[:8]
    try:
        return Entry(
            entry_id,
            hashes,
            labels_from_text(labels),
            Provenance(source, list_version, external_id, from_us(received_at_us)),
            _STATUSES[status],
            status_reason,
        )
    except (ValueError, KeyError, OverflowError) as error:
        raise CatalogCorrupt(f"the catalog's row of an entry is damaged: {error!r}; restore a backup") from error


_STATUSES = {status.value: status for status in EntryStatus}
