"""The changes of one set, picked out of the catalog's feed in batches, for whoever keeps a copy of the set.

Theory of operation
-------------------
The catalog's feed is by state and of all its sets, ascending by sequence, as of one moment. :class:`SetFeed` passes on
the entries of one set. A batch names the sequence up to which its reader knows everything: for the last one that of the
feed's end, for those before it the one before their last entry's, because changes of one transaction may share a
sequence. Whoever goes on from there gets that entry twice, which changes nothing.

What this module deliberately does not do: it opens no feed, and waits for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hashmatch.model import Change, Entry, HashSet, Rejected, SetChanges

BATCH_ENTRIES: Final = 1_000
"""Entries in one message."""


class SetFeed:
    """Batches of the changes of one set after ``since``."""

    def __init__(self, changes: Iterator[Change], hash_set: HashSet, since: int) -> None:
        self._changes = changes
        self._hash_set = hash_set
        self._known = since
        self._from_beginning = since == 0

    def __repr__(self) -> str:
        return f"<SetFeed of {self._hash_set.name} at {self._known}>"

    def take(self) -> SetChanges:
        """Return the next batch; the last one is ``complete``. Raises what the catalog raises."""
        rows: list[Entry | Rejected] = []
        for change in self._changes:
            if change.hash_set.set_id == self._hash_set.set_id:
                self._hash_set = change.hash_set
                if change.entry is not None:
                    rows.append(change.entry)
            if len(rows) == BATCH_ENTRIES:
                self._known = max(self._known, change.sequence - 1)
                return self._batch(rows, complete=False)
            self._known = max(self._known, change.sequence)
        return self._batch(rows, complete=True)

    def _batch(self, rows: list[Entry | Rejected], *, complete: bool) -> SetChanges:
        return SetChanges(self._hash_set, tuple(rows), self._known, complete, self._from_beginning)
