"""A segment: one immutable snapshot of all hash sets, mapped read-only from one file.

Theory of operation
-------------------
:meth:`Segment.open` maps the file, verifies the header and then every column against its checksum, and only then makes
arrays of them: whoever holds a :class:`Segment` holds verified data. The arrays are views of the mapping, and the
mapping lives as long as the last of them, so a file may be unlinked while it is being searched; the last reader frees
it. Entries are found by name through a column of 64-bit keys sorted once, when the segment was built.

Verifying reads the whole file, about 1 s per GB, and leaves it in the page cache: after that the Detect path touches no
disk.

What this module deliberately does not do: there is no method that changes anything, and no method that closes the
mapping under a reader.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hashmatch.errors import SegmentCorrupt
from hashmatch.index import layout
from hashmatch.index.columns import Ordinals, Texts, keys_of, text_keys
from hashmatch.index.layout import SetState, SpaceState, Table
from hashmatch.index.part import DigestRows, EntryTable, Part, PerceptualRows, SpaceRows
from hashmatch.index.search import digest_search, hamming_search
from hashmatch.index.tables import Tables

_Columns = Mapping[str, npt.NDArray[Any]]


class Segment:
    """A verified, mapped segment. Made by :meth:`open` only.

    Attributes
    ----------
    generation, sequence
        Number of the snapshot, and the position in the catalog's change feed that it contains.
    size_bytes
        Length of the file.
    sets
        Every set, by ordinal.
    part
        The columns.

    """

    __slots__ = ("_columns", "generation", "part", "path", "sequence", "sets", "size_bytes", "spaces")

    def __init__(self, path: Path, table: Table, columns: _Columns) -> None:
        self.path = path
        self.generation = table.generation
        self.sequence = table.sequence
        self.size_bytes = table.file_bytes
        self.sets: tuple[SetState, ...] = table.sets
        self.spaces: tuple[SpaceState, ...] = table.spaces
        self.part = Part(
            entries=EntryTable(
                sets=columns["entries/set"],
                statuses=columns["entries/status"],
                notes=columns["entries/note"],
                sequences=columns["entries/sequence"],
                ids=Texts(columns["entries/id_offsets"], columns["entries/id_text"]),
                note_texts=Texts(columns["notes/offsets"], columns["notes/text"]),
            ),
            spaces={space.name: _space_rows(space, columns) for space in table.spaces},
            algorithms=table.algorithms,
            views=table.views,
        )
        self._columns = columns

    def __repr__(self) -> str:
        entries = len(self.part.entries)
        return f"<Segment {self.generation} at sequence {self.sequence}: {entries} entries, {self.size_bytes} bytes>"

    @classmethod
    def open(cls, path: Path, *, verify: bool = True) -> Segment:
        """Map and verify a segment file.

        Parameters
        ----------
        path
            A file written by :func:`hashmatch.index.build.build`.
        verify
            False skips the columns' checksums, not the header's; for a file that this process has just verified.

        Raises
        ------
        SegmentCorrupt
            The message names the column that did not verify.
        OSError
            The file cannot be opened or mapped.

        """
        with path.open("rb") as file:
            if not file.seek(0, 2):
                raise SegmentCorrupt(f"{path.name}: header: the file is empty")
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        untrusted_file = memoryview(mapping)
        table = layout.unpack(untrusted_file, path.name)
        if verify:
            _verify(untrusted_file, table, path.name)
        columns = {
            column.name: np.ndarray(column.shape, dtype=column.dtype, buffer=mapping, offset=column.offset)
            for column in table.columns
        }
        return cls(path, table, columns)

    def find(self, sets: Ordinals, ids: Texts) -> Ordinals:
        """Ordinals of the entries with these names; names that the segment does not hold are left out.

        Parameters
        ----------
        sets : uint32, shape (m,)
            Ordinal of each name's set.
        ids
            m entry ids.

        """
        wanted = text_keys(ids, sets)
        keys, rows = self._columns["entries/name_keys"], self._columns["entries/name_rows"]
        first = np.searchsorted(keys, wanted, side="left")
        last = np.searchsorted(keys, wanted, side="right")
        entries = self.part.entries
        found = [
            row
            for name in np.flatnonzero(last > first)
            for row in rows[first[name] : last[name]]
            if entries.sets[row] == sets[name] and entries.ids[row] == ids[int(name)]
        ]
        return np.array(found, dtype=np.uint32)


def _verify(untrusted_file: memoryview, table: Table, name: str) -> None:
    for column in table.columns:
        running = layout.checksum()
        running.update(untrusted_file[column.offset : column.offset + layout.padded(column.size_bytes)])
        if running.hexdigest() != column.checksum:
            raise SegmentCorrupt(f"{name}: column {column.name}: checksum does not match")


def _space_rows(space: SpaceState, columns: _Columns) -> SpaceRows:
    at = f"space/{space.name}"
    codes = columns[f"{at}/codes"]
    of_rows = columns[f"{at}/owners"], columns[f"{at}/algorithms"], columns[f"{at}/views"]
    if space.kind.by_equality:
        digests = digest_search(codes, columns[f"{at}/keys"], keys_of(space.kind), is_sorted=True)
        return DigestRows(digests, *of_rows, space.most)
    tables = None
    if f"{at}/offsets" in columns:
        tables = Tables(columns[f"{at}/offsets"], columns[f"{at}/filters"], columns[f"{at}/rows"])
    return PerceptualRows(hamming_search(codes, tables), *of_rows, space.most)
