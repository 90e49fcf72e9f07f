"""Many entries at once, as columns: for lists so long that an object per entry would be most of the work.

Theory of operation
-------------------
Nearly all rows of nearly all long lists say the same: one value of one algorithm, perhaps its quality, perhaps an id.
A reader that finds a stretch of such rows may hand on one :class:`EntryBlock` in their place, and whoever takes rows in
may store its columns without looking at the rows one by one. It is never more than a shorter way of saying the same:
:meth:`EntryBlock.entries` gives the entries that it stands for.

What this module deliberately does not do: a block checks nothing, no more than an :class:`Entry` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hashmatch.model.entries import Entry, EntryHash, Rejected

UNSTATED_QUALITY = 255
"""How ``EntryBlock.qualities`` says that the list gives none."""


@dataclass(frozen=True, slots=True)
class EntryBlock:
    """Entries of one value each, active, of one algorithm, that say nothing of themselves beyond id and quality.

    ``values`` holds the values end to end, all of one length; ``positions`` where a reader found each, ascending.
    ``entry_ids`` and ``qualities`` (0 to 254, or ``UNSTATED_QUALITY``) are empty where no row states one, else they
    have an item per row. An empty id means, as in an :class:`Entry`, that the catalog makes one.
    """

    algorithm: str
    values: bytes
    positions: Sequence[int]
    entry_ids: Sequence[str] = ()
    qualities: bytes = b""

    def __len__(self) -> int:
        return len(self.positions)

    def __repr__(self) -> str:
        return f"EntryBlock({self.algorithm!r}, {len(self)} entries)"

    @property
    def size_bytes(self) -> int:
        """Length of one value."""
        return len(self.values) // len(self.positions) if self.positions else 0

    def entry(self, index: int) -> Entry:
        """Return one of the entries."""
        size_bytes = self.size_bytes
        quality = self.qualities[index] if self.qualities else UNSTATED_QUALITY
        value = EntryHash(
            self.algorithm,
            self.values[index * size_bytes : (index + 1) * size_bytes],
            None if quality == UNSTATED_QUALITY else quality,
        )
        entry_id = self.entry_ids[index] if self.entry_ids else ""
        return Entry(entry_id, (value,), position=self.positions[index])

    def entries(self) -> Iterator[Entry]:
        """Yield all of the entries, in order."""
        return map(self.entry, range(len(self)))


Row = Entry | Rejected | EntryBlock
"""What an import is made of."""
