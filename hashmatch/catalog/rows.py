"""Rows to the model's values and back.

Theory of operation
-------------------
Times are integer microseconds since 1970 UTC, labels a JSON array of ``[scheme, version, value]``, opinions one of
``[who, stance, reason, time, algorithm]``. Entries come out of the database as one row per value, all rows of an entry
side by side; :func:`entries_of` folds them. Neighbouring entries mostly share their labels and their time of arrival,
so the conversions remember what they converted last.

What this module deliberately does not do: it runs no statement.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import json
from collections.abc import Iterator
from typing import Any

from hashmatch.catalog.session import Rows
from hashmatch.errors import CatalogCorrupt
from hashmatch.model import (
    Entry,
    EntryHash,
    EntryStatus,
    Event,
    HarmDomain,
    HashSet,
    Label,
    Opinion,
    Provenance,
    SetMode,
    Stance,
)

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_ROWS_AT_ONCE = 1_000
"""Rows fetched in one go; bounds memory, and spares a call per row."""


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


def opinions_to_text(opinions: tuple[Opinion, ...]) -> str:
    """Opinions as they are stored."""
    if not opinions:
        return ""
    rows = [
        [item.who, item.stance.value, item.reason, None if item.at is None else to_us(item.at), item.algorithm]
        for item in opinions
    ]
    return json.dumps(rows, ensure_ascii=False)


@functools.lru_cache(maxsize=64)
def opinions_from_text(text: str) -> tuple[Opinion, ...]:
    """Inverse of :func:`opinions_to_text`.

    Raises
    ------
    ValueError
        The text is not what :func:`opinions_to_text` writes.

    """
    if not text:
        return ()
    try:
        return tuple(
            Opinion(who, Stance(stance), reason, None if at_us is None else from_us(at_us), algorithm)
            for who, stance, reason, at_us, algorithm in json.loads(text)
        )
    except (TypeError, OverflowError) as error:
        raise ValueError(f"not stored opinions: {error}") from error


def set_of(row: tuple[Any, ...]) -> HashSet:
    """One row of ``sets`` or ``set_by_name``: set_key first, sequence last.

    Raises
    ------
    CatalogCorrupt
        The row holds a domain or mode that does not exist.

    """
    set_id, name, domain, owner, source, jurisdiction, terms, description, mode, *numbers = row[1:-1]
    version, live, withdrawn, created_at_us, list_version, received_at_us = numbers
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
            created_at=from_us(created_at_us),
            list_version=list_version,
            received_at=None if received_at_us is None else from_us(received_at_us),
        )
    except (ValueError, OverflowError) as error:
        raise CatalogCorrupt(f"the catalog's row of set {name!r} is damaged: {error}; restore a backup") from error


def event_of(row: tuple[Any, ...]) -> Event:
    """One row of ``events_of_entry`` or ``events_of_set``."""
    at_us, actor, reason, before, after, set_version, who, algorithm, said_at_us = row
    said_at = None if said_at_us is None else from_us(said_at_us)
    return Event(from_us(at_us), actor, reason, before, after, set_version, who, algorithm, said_at)


def event_row(set_key: int, entry_key: int | None, event: Event) -> tuple[Any, ...]:
    """Inverse of :func:`event_of`, with the keys that ``insert_event`` asks for."""
    said_at_us = None if event.said_at is None else to_us(event.said_at)
    decided = (to_us(event.at), event.actor, event.reason, event.before, event.after, event.set_version)
    return (set_key, entry_key, *decided, event.who, event.algorithm, said_at_us)


def entries_of(cursor: Rows) -> Iterator[tuple[int, int, Entry]]:
    """Fold the rows of ``entries_of_set``, ``entries_since`` or ``entry_by_key`` into ``(sequence, set_key, entry)``.

    Raises
    ------
    CatalogCorrupt
        A row holds a status, labels, opinions or a time that hashmatch never writes.

    """
    rows = itertools.chain.from_iterable(iter(lambda: cursor.fetchmany(_ROWS_AT_ONCE), []))
    row = next(rows, None)
    while row is not None:
        first, sequence = row, row[11]
        hashes = []
        while row is not None and row[11] == sequence:
            hashes.append(EntryHash(*row[13:17]))
            row = next(rows, None)
        yield sequence, first[12], _entry(first, tuple(hashes))


def _entry(row: tuple[Any, ...], hashes: tuple[EntryHash, ...]) -> Entry:
    entry_id, status, status_reason, labels, source, list_version, external_id, *rest = row[:11]
    terms, jurisdiction, opinions, received_at_us = rest
    try:
        return Entry(
            entry_id,
            hashes,
            labels_from_text(labels),
            Provenance(source, list_version, external_id, from_us(received_at_us), terms, jurisdiction),
            _STATUSES[status],
            status_reason,
            opinions_from_text(opinions) if opinions else (),
        )
    except (ValueError, KeyError, OverflowError) as error:
        raise CatalogCorrupt(f"the catalog's row of an entry is damaged: {error!r}; restore a backup") from error


_STATUSES = {status.value: status for status in EntryStatus}
