"""What a format could not carry: counted by kind, so that nothing is dropped without a word.

Theory of operation
-------------------
Our own formats carry an entry whole. The formats of others have no place for a label, a quality or a withdrawal. Their
writers tell a :class:`Losses` of every such thing, which keeps one line per kind: how often, and the first as an
example. A value, label or text that is left out is a *detail*; an entry that could not be written is an *entry*.

An entry that is withdrawn or disputed is left out of a format that cannot say so: written without that word, it would
match again wherever the file is read.

What this module deliberately does not do: it prints nothing, and it decides nothing about what is written.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass

from hashmatch.model import Entry, EntryStatus

_MADE_FROM_VALUE = re.compile(r"[\w.-]+:[0-9a-f]{16,}")
"""Ids that the catalog made of a value; values of a list do not belong in messages."""


@dataclass(slots=True)
class Loss:
    """One kind of thing that was left out: what, why, of how many entries, and the id of the first."""

    what: str
    reason: str
    count: int
    example: str
    whole: bool
    """Whether entries were left out, rather than a part of them."""

    def __str__(self) -> str:
        entries = "1 entry" if self.count == 1 else f"{self.count} entries"
        which = f"{entries} left out" if self.whole else f"{self.what} of {entries} left out"
        first = "" if _MADE_FROM_VALUE.fullmatch(self.example) else f" (the first is {self.example})"
        return f"{which}: {self.reason}{first}"


class Losses:
    """The losses of one file, by kind, in the order in which they were met."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str, bool], Loss] = {}

    def __iter__(self) -> Iterator[Loss]:
        return iter(self._kinds.values())

    def __repr__(self) -> str:
        return f"Losses({', '.join(f'{loss.what}: {loss.count}' for loss in self)})"

    @property
    def entries(self) -> int:
        """Entries that were not written."""
        return sum(loss.count for loss in self if loss.whole)

    def detail(self, entry: Entry, what: str, reason: str) -> None:
        """Note a part of an entry that is left out."""
        self._add(entry, what, reason, whole=False)

    def entry(self, entry: Entry, reason: str) -> None:
        """Note an entry that is left out."""
        self._add(entry, "entry", reason, whole=True)

    def unless_active(self, entry: Entry) -> bool:
        """Note a disputed or withdrawn entry as left out; return whether it is one."""
        if entry.status is EntryStatus.ACTIVE:
            return False
        self.entry(entry, f"the format cannot say that an entry is {entry.status}")
        return True

    def compare(self, entry: Entry, said: Entry, reason: str) -> None:
        """Note what of an entry is not in ``said``, which is how a reader of the file will understand what was written.

        When an entry was received is no part of this: it is received anew.
        """
        kept = {(item.algorithm, item.value) for item in said.hashes}
        bare = {(item.algorithm, item.value) for item in said.hashes if item.quality is None and not item.view}
        for name in sorted({item.algorithm for item in entry.hashes if (item.algorithm, item.value) not in kept}):
            self.detail(entry, f"{name} values", reason)
        origin, told = entry.provenance, said.provenance
        first = said.hashes[0] if said.hashes else None
        said_id = said.entry_id or (f"{first.algorithm}:{first.hex}" if first else "")
        lost = {
            "the id": entry.entry_id != said_id,
            "quality or view": any(
                item.quality is not None or item.view for item in entry.hashes if (item.algorithm, item.value) in bare
            ),
            "labels": any(label not in said.labels for label in entry.labels),
            "provenance": dataclasses.replace(origin, received_at=None) != dataclasses.replace(told, received_at=None),
            "the status's reason": entry.status_reason != said.status_reason,
            "opinions": any(opinion not in said.opinions for opinion in entry.opinions),
        }
        for what in (what for what, is_lost in lost.items() if is_lost):
            self.detail(entry, what, reason)

    def _add(self, entry: Entry, what: str, reason: str, *, whole: bool) -> None:
        kind = self._kinds.get((what, reason, whole))
        if kind is None:
            self._kinds[what, reason, whole] = Loss(what, reason, 1, entry.entry_id, whole)
        else:
            kind.count += 1
