"""A change feed in memory: the catalog's side of ``publish.ChangeFeed``, as a dictionary.

Theory of operation
-------------------
The feed is by state, like the real one: per set and per entry only the latest change is kept, and every change moves
its subject to the end. Each call is one transaction with one sequence of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterable

from hashmatch.model import Change, Entry, EntryStatus, HarmDomain, HashSet, SetMode


class FakeFeed:
    """Sets and entries with the sequence of their latest change."""

    def __init__(self) -> None:
        self.sets: dict[str, tuple[int, HashSet]] = {}
        self.entries: dict[tuple[str, str], tuple[int, Entry]] = {}
        self._sequence = 0

    def sequence(self) -> int:
        """Position of the latest change."""
        return self._sequence

    def changes(self, since: int) -> Generator[Change, None, None]:
        """Latest states with a later sequence, ascending."""
        rows = [Change(at, row) for at, row in self.sets.values()]
        rows += [Change(at, self.sets[set_id][1], entry) for (set_id, _), (at, entry) in self.entries.items()]
        yield from sorted((row for row in rows if row.sequence > since), key=lambda row: row.sequence)

    def create_set(
        self, name: str, *, domain: HarmDomain = HarmDomain.CSAM, mode: SetMode = SetMode.ENFORCED
    ) -> HashSet:
        """Create an empty set; its id is made from its name."""
        self._sequence += 1
        row = HashSet(f"id-of-{name}", name, domain, mode=mode, version=1)
        self.sets[row.set_id] = (self._sequence, row)
        return row

    def set_mode(self, name: str, mode: SetMode) -> None:
        """Change whether hits in the set may change a verdict."""
        self._touch(name, mode=mode)

    def put(self, name: str, entries: Iterable[Entry]) -> None:
        """Add or replace ``entries`` in one transaction: one sequence and one set version for all of them."""
        row = self._touch(name)
        for entry in entries:
            self.entries[row.set_id, entry.entry_id] = (self._sequence, entry)

    def set_status(self, name: str, entry_id: str, status: EntryStatus) -> None:
        """Dispute, withdraw or reinstate an entry."""
        _, entry = self.entries[f"id-of-{name}", entry_id]
        self.put(name, [dataclasses.replace(entry, status=status)])

    def withdraw(self, name: str, entry_id: str) -> None:
        """Stop an entry from matching."""
        self.set_status(name, entry_id, EntryStatus.WITHDRAWN)

    def _touch(self, name: str, mode: SetMode | None = None) -> HashSet:
        self._sequence += 1
        _, row = self.sets[f"id-of-{name}"]
        row = dataclasses.replace(row, version=row.version + 1, mode=mode or row.mode)
        self.sets[row.set_id] = (self._sequence, row)
        return row
