"""Write a segment file from a stream of changes.

Theory of operation
-------------------
The stream is read once, in batches; each batch is encoded and appended to one unnamed temporary file per column. At the
end the sorted columns (digests by key, entry names by key) are put in order and everything is copied, checksummed on
the way, into ``<name>.tmp``, which is synced, renamed, and the directory synced. Killed at any moment, the process
leaves either no file of that name or a whole one; :func:`clean_stale` removes what a killed builder left behind.

Memory: one batch of ``BATCH_CHANGES`` changes as Python objects, the distinct notes, and then, one after another,
24 bytes per entry while sorting names, 24 per row of a digest space, and for the tables of a perceptual space its codes
once more and 18 bytes per row (50 for PDQ). Nothing else grows with the stream.

The stream must tell each entry once, at its latest state, as ``changes(0)`` of a catalog does.

What this module deliberately does not do: it does not choose names, number generations or keep two processes apart;
that is ``publish.py``.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from hashmatch.durable import sync_directory
from hashmatch.index import layout
from hashmatch.index.columns import Array, Ordinals, Texts, keys_of, text_keys
from hashmatch.index.encode import BATCH_CHANGES, Batch, Encoder
from hashmatch.index.layout import Column, SpaceState, Table
from hashmatch.index.plan import is_indexed
from hashmatch.index.tables import chunk_tables
from hashmatch.model import Algorithm, Change
from hashmatch.progress import SILENT, Progress

TEMPORARY_SUFFIX = ".tmp"
_COPY_BYTES = 4 << 20
_GATHER_ROWS = 1 << 18

_Blocks = Iterator[Array]


class _Spool:
    """One column on its way to disk: appended to in order, read back whole or in blocks.

    The file has no name, so a killed process leaves nothing behind.
    """

    def __init__(self, directory: Path, files: contextlib.ExitStack, dtype: str) -> None:
        file = tempfile.TemporaryFile(dir=directory, prefix="spool-", suffix=TEMPORARY_SUFFIX)  # noqa: SIM115  # closed by ``files``
        self._file: IO[bytes] = files.enter_context(file)
        self._dtype = np.dtype(dtype)
        self.items = 0

    def append(self, array: npt.NDArray[np.unsignedinteger]) -> None:
        self._file.write(np.ascontiguousarray(array, dtype=self._dtype).data)
        self.items += array.size

    def mapped(self) -> Array:
        """Return all items, as a read-only mapping of the temporary file."""
        self._file.flush()
        if not self.items:
            return np.empty(0, dtype=self._dtype)
        return np.memmap(self._file, dtype=self._dtype, mode="r", shape=(self.items,))

    def blocks(self) -> _Blocks:
        items = self.mapped()
        step = _COPY_BYTES // self._dtype.itemsize
        for start in range(0, len(items), step):
            yield items[start : start + step]


@dataclass(slots=True)
class _SpaceSpools:
    codes: _Spool
    owners: _Spool
    algorithms: _Spool
    views: _Spool
    keys: _Spool | None
    most: int = 0


class _Columns:
    """All columns of the segment being built."""

    def __init__(self, directory: Path, files: contextlib.ExitStack, algorithms: Mapping[str, Algorithm]) -> None:
        self._spool: Callable[[str], _Spool] = lambda dtype: _Spool(directory, files, dtype)
        self._algorithms = {row.space: row for row in algorithms.values()}
        self.entries = 0
        self.id_bytes = 0
        self._sets, self._statuses, self._notes = self._spool("<u4"), self._spool("|u1"), self._spool("<u4")
        self._sequences = self._spool("<u8")
        self._id_offsets, self._id_text = self._spool("<u8"), self._spool("|u1")
        self._name_keys = self._spool("<u8")
        self._id_offsets.append(np.zeros(1, dtype=np.uint64))
        self._spaces: dict[str, _SpaceSpools] = {}

    def append(self, batch: Batch) -> None:
        self._sets.append(batch.sets)
        self._statuses.append(batch.statuses)
        self._notes.append(batch.notes)
        self._sequences.append(batch.sequences)
        self._id_offsets.append(batch.ids.offsets[1:] + np.uint64(self.id_bytes))
        self._id_text.append(batch.ids.blob)
        self._name_keys.append(text_keys(batch.ids, batch.sets))
        for space, rows in batch.spaces.items():
            spools = self._spaces.get(space) or self._new_space(space)
            spools.codes.append(rows.codes)
            spools.owners.append(rows.owners + np.uint32(self.entries))
            spools.algorithms.append(rows.algorithms)
            spools.views.append(rows.views)
            spools.most = max(spools.most, rows.most)
            if spools.keys is not None:
                spools.keys.append(keys_of(self._algorithms[space].kind)(rows.codes))
        self.entries += len(batch)
        self.id_bytes += len(batch.ids.blob)

    def _new_space(self, space: str) -> _SpaceSpools:
        keys = self._spool("<u8") if self._algorithms[space].kind.by_equality else None
        codes, owners, algorithms, views = map(self._spool, ("|u1", "<u4", "|u1", "|u1"))
        spools = _SpaceSpools(codes, owners, algorithms, views, keys)
        self._spaces[space] = spools
        return spools

    def space_states(self) -> tuple[SpaceState, ...]:
        return tuple(
            SpaceState(space, row.kind, row.size_bytes, self._spaces[space].owners.items, self._spaces[space].most)
            for space, row in sorted(self._algorithms.items())
            if space in self._spaces
        )

    def contents(self, notes: Texts) -> Iterator[tuple[str, _Blocks]]:
        """Names and contents of the columns, in the order of ``layout.expected_columns``."""
        yield "entries/set", self._sets.blocks()
        yield "entries/status", self._statuses.blocks()
        yield "entries/note", self._notes.blocks()
        yield "entries/sequence", self._sequences.blocks()
        yield "entries/id_offsets", self._id_offsets.blocks()
        yield "entries/id_text", self._id_text.blocks()
        yield from self._name_contents()
        yield "notes/offsets", iter((notes.offsets,))
        yield "notes/text", iter((notes.blob,))
        for state in self.space_states():
            yield from self._space_contents(state)

    def _name_contents(self) -> Iterator[tuple[str, _Blocks]]:
        keys = self._name_keys.mapped()
        order = np.argsort(keys, kind="stable").astype(np.uint32)
        yield "entries/name_keys", _gather(keys, order)
        yield "entries/name_rows", iter((order,))

    def _space_contents(self, state: SpaceState) -> Iterator[tuple[str, _Blocks]]:
        spools, at = self._spaces[state.name], f"space/{state.name}"
        if spools.keys is None:
            yield f"{at}/codes", spools.codes.blocks()
            yield f"{at}/owners", spools.owners.blocks()
            yield f"{at}/algorithms", spools.algorithms.blocks()
            yield f"{at}/views", spools.views.blocks()
            if is_indexed(state.rows, state.size_bytes):
                yield from self._table_contents(state)
            return
        keys = spools.keys.mapped()
        order = np.argsort(keys, kind="stable").astype(np.uint32)
        yield f"{at}/codes", _gather(spools.codes.mapped().reshape(-1, state.size_bytes), order)
        yield f"{at}/owners", _gather(spools.owners.mapped(), order)
        yield f"{at}/algorithms", _gather(spools.algorithms.mapped(), order)
        yield f"{at}/views", _gather(spools.views.mapped(), order)
        yield f"{at}/keys", _gather(keys, order)

    def _table_contents(self, state: SpaceState) -> Iterator[tuple[str, _Blocks]]:
        """Build one table after the other; held are the codes in columns and room to sort, 40 bytes per PDQ row."""
        offsets, filters, rows = self._spool("<u4"), self._spool("<u2"), self._spool("<u4")
        codes = self._spaces[state.name].codes.mapped().reshape(-1, state.size_bytes)
        for table in chunk_tables(codes):
            offsets.append(table.offsets)
            filters.append(table.filters)
            rows.append(table.rows)
        at = f"space/{state.name}"
        yield f"{at}/offsets", offsets.blocks()
        yield f"{at}/filters", filters.blocks()
        yield f"{at}/rows", rows.blocks()


def build(
    path: Path,
    changes: Iterable[Change],
    algorithms: Mapping[str, Algorithm],
    *,
    generation: int,
    sequence: int,
    progress: Progress = SILENT,
) -> None:
    """Write the segment ``path``; an existing file of that name is replaced whole or not at all.

    Parameters
    ----------
    path
        The file to be; its directory exists.
    changes
        Each entry once, at its latest state. Withdrawn entries are left out.
    algorithms
        The algorithm table.
    generation, sequence
        Number of the snapshot, and the position in the change feed that ``changes`` ends at.
    progress
        Advanced once per batch.

    Raises
    ------
    UnknownAlgorithm, BadHash
        See :meth:`Encoder.encode`.
    OSError
        The file could not be written; the temporary file is removed.

    """
    encoder = Encoder(algorithms)
    with contextlib.ExitStack() as files:
        columns = _Columns(path.parent, files, algorithms)
        progress.start("building the index", None, "entries")
        source = iter(changes)
        while batch := list(itertools.islice(source, BATCH_CHANGES)):
            encoder.observe(batch)
            columns.append(encoder.encode(batch))
            progress.advance(len(batch))
        notes = Texts.of(encoder.note_texts)
        table = Table(
            generation=generation,
            sequence=sequence,
            entries=columns.entries,
            notes=len(notes),
            sets=encoder.sets.states(),
            algorithms=encoder.algorithms,
            views=encoder.views,
            spaces=columns.space_states(),
        )
        table = layout.place(table, layout.expected_columns(table, columns.id_bytes, len(notes.blob)))
        _publish(path, table, columns.contents(notes))
    progress.finish()


def clean_stale(directory: Path) -> list[Path]:
    """Remove what killed builders left in ``directory``; no builder may be running there. Returns what was removed."""
    stale = sorted(directory.glob(f"*{TEMPORARY_SUFFIX}"))
    for path in stale:
        path.unlink(missing_ok=True)
    return stale


def _publish(path: Path, table: Table, contents: Iterator[tuple[str, _Blocks]]) -> None:
    """Write, sync, rename, sync the directory."""
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    try:
        with temporary.open("xb") as file:
            _write(file, table, contents)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def _write(file: IO[bytes], table: Table, contents: Iterator[tuple[str, _Blocks]]) -> None:
    """Write the columns behind a gap, then the header, which needs their checksums, into the gap."""
    file.seek(table.columns[0].offset)
    finished = []
    for column, (name, blocks) in zip(table.columns, contents, strict=True):
        if column.name != name:
            raise AssertionError(f"column {name} where {column.name} belongs")
        finished.append(_write_column(file, column, blocks))
    file.seek(0)
    file.write(layout.pack(replace(table, columns=tuple(finished))))


def _write_column(file: IO[bytes], column: Column, blocks: _Blocks) -> Column:
    running = layout.checksum()
    for block in blocks:
        data = np.ascontiguousarray(block, dtype=column.dtype).data
        file.write(data)
        running.update(data)
    padding = bytes(layout.padded(column.size_bytes) - column.size_bytes)
    file.write(padding)
    running.update(padding)
    return replace(column, checksum=running.hexdigest())


def _gather(column: Array, order: Ordinals) -> _Blocks:
    """``column`` in the given order, in blocks."""
    for start in range(0, len(order), _GATHER_ROWS):
        yield column[order[start : start + _GATHER_ROWS]]
