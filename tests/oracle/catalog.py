"""The slow obvious catalog: one set in a dictionary, one row at a time.

What ``catalog.merge`` and the SQL around it must agree with (tests/property/test_catalog_merge.py). It keeps no history
and no provenance times, dates opinions that bring no date ``NOW``, and validates nothing.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable

from hashmatch.model import Entry, EntryHash, EntryStatus, Label, Opinion, Provenance

CAUTION = (EntryStatus.ACTIVE, EntryStatus.DISPUTED, EntryStatus.QUARANTINED, EntryStatus.WITHDRAWN)
NOW = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


class DictCatalog:
    """One set."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def import_rows(self, rows: Iterable[Entry]) -> tuple[int, int, int, int]:
        """Merge rows; return how many entries were added, updated, unchanged, and how many rows rejected."""
        before = dict(self.entries)
        accepted: set[str] = set()
        rejected = 0
        for row in rows:
            entry_id = row.entry_id or f"{row.hashes[0].algorithm}:{row.hashes[0].hex}"
            kept = self.entries.get(entry_id)
            if kept and kept.status is EntryStatus.WITHDRAWN and row.status is not EntryStatus.WITHDRAWN:
                rejected += 1
                continue
            accepted.add(entry_id)
            if kept is None and not row.hashes:
                continue
            self.entries[entry_id] = _merged(entry_id, kept, row)
        added = sum(entry_id in self.entries and entry_id not in before for entry_id in accepted)
        same = sum(before.get(entry_id) == self.entries.get(entry_id) for entry_id in accepted)
        return added, len(accepted) - added - same, same, rejected


def _merged(entry_id: str, kept: Entry | None, row: Entry) -> Entry:
    if kept is None:
        kept = dataclasses.replace(row, entry_id=entry_id, hashes=(), labels=(), opinions=())
    values = {(item.algorithm, item.value): (item.quality, item.view) for item in kept.hashes}
    for item in row.hashes:
        key = (item.algorithm, item.value)
        quality, view = values.get(key, (None, ""))
        values[key] = (quality if item.quality is None else item.quality, item.view or view)
    status, reason = kept.status, kept.status_reason
    if CAUTION.index(row.status) > CAUTION.index(status):
        status, reason = row.status, row.status_reason
    elif row.status is status and not reason:
        reason = row.status_reason
    return Entry(
        entry_id,
        tuple(EntryHash(*key, *values[key]) for key in sorted(values)),
        _labels(kept.labels, row.labels),
        Provenance(
            row.provenance.source or kept.provenance.source,
            row.provenance.list_version or kept.provenance.list_version,
            row.provenance.external_id or kept.provenance.external_id,
            None,
            row.provenance.terms or kept.provenance.terms,
            row.provenance.jurisdiction or kept.provenance.jurisdiction,
        ),
        status,
        reason,
        _opinions(kept.opinions, row.opinions),
    )


def _labels(kept: tuple[Label, ...], given: tuple[Label, ...]) -> tuple[Label, ...]:
    news = {item.scheme for item in given if _of(item.scheme, given) != _of(item.scheme, kept)}
    if not news:
        return kept
    schemes = list(dict.fromkeys(item.scheme for item in (*kept, *given)))
    return tuple(item for scheme in schemes for item in _of(scheme, given) or _of(scheme, kept))


def _of(scheme: str, labels: tuple[Label, ...]) -> list[Label]:
    return [item for item in labels if item.scheme == scheme]


def _opinions(kept: tuple[Opinion, ...], given: tuple[Opinion, ...]) -> tuple[Opinion, ...]:
    held = {(item.who, item.algorithm): item for item in kept}
    for item in given:
        now = dataclasses.replace(item, at=item.at or NOW)
        before = held.setdefault((item.who, item.algorithm), now)
        says_nothing_new = item.stance is before.stance and item.reason in {"", before.reason}
        if says_nothing_new:
            now = dataclasses.replace(now, reason=before.reason)
        if item.at is None and says_nothing_new:
            continue
        if before.at and now.at and now.at >= before.at:
            held[item.who, item.algorithm] = now
    return tuple(held[key] for key in sorted(held))
