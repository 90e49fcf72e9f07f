"""Blocks of an import on their way into the catalog: columns in a file without a name, given back in order of ids.

Theory of operation
-------------------
An index is written several times as fast in the order of its keys as all over, and rows that speak of one entry must
meet. So blocks are sorted, without ever being in memory together: each block is a *run*, sorted by itself and written
down with every 256th of its ids kept. When all are there, ids from these samples cut the whole into *parts* of about
65,536 rows; a part takes from each run what lies between two cuts, and is sorted in memory, where runs that are sorted
already make short work. All rows of one entry are in one part.

Ids are ASCII here, so that texts sort as SQLite sorts them, by bytes. Ids that are made of the values are no texts at
all while they are here: within one algorithm they are in the order of the values. Memory is one part and the samples,
some 0.5 bytes per row; a part that an entry with very many rows makes too large is handed out in pieces, and says so.

What this module deliberately does not do: it knows no database, and checks nothing.
"""

from __future__ import annotations

import bisect
import contextlib
import itertools
import json
import operator
import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
import numpy.typing as npt

from hashmatch.errors import CatalogUnavailable
from hashmatch.model import UNSTATED_QUALITY

PART_ROWS = 65_536
"""Rows sorted and stored at once: a statement's own cost vanishes, and Ctrl-C waits a third of a second."""

LARGEST_PART = 4
"""So many times ``PART_ROWS`` are still held at once; beyond that one entry must have most of the rows."""

SAMPLE_ROWS = 256
"""Of so many ids of a run one is kept in memory."""

_Bytes = npt.NDArray[np.uint8]
_Positions = npt.NDArray[np.int64]
_Offsets = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows of one algorithm.

    ``entry_ids`` : n texts, ASCII without line breaks, none of them empty; none at all where every id is made of the
    row's value.
    ``values`` : uint8, shape (n, bytes).
    ``qualities`` : uint8, shape (n,), ``UNSTATED_QUALITY`` where there is none.
    ``positions`` : int64, shape (n,).
    """

    algorithm: str
    entry_ids: Sequence[str]
    values: _Bytes
    qualities: _Bytes
    positions: _Positions

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"Columns({self.algorithm!r}, {len(self)} rows)"

    def ids(self) -> Sequence[str]:
        """Return the id of every row."""
        return self.entry_ids or made_ids(self.algorithm, self.values)

    def ids_as_json(self) -> str:
        """Return the ids as a JSON array."""
        if self.entry_ids or not len(self):
            return _as_json(self.entry_ids)
        opened = json.dumps(f"{self.algorithm}:")[:-1]
        digits = self.values.tobytes().hex(" ", self.values.shape[1])
        return "".join(("[", opened, digits.replace(" ", f'",{opened}'), '"]'))

    def repeated(self) -> set[str]:
        """Return the ids that several rows have; the rows are in order."""
        if self.entry_ids:
            following = itertools.islice(self.entry_ids, 1, None)
            return set(itertools.compress(self.entry_ids, map(operator.eq, self.entry_ids, following)))
        same = (self.values[1:] == self.values[:-1]).all(axis=1)
        return set(made_ids(self.algorithm, self.values[1:][same]))

    def take(self, rows: Sequence[int] | _Positions) -> Columns:
        """Return some of the rows, in the given order."""
        at = np.asarray(rows, dtype=np.int64)
        return Columns(
            self.algorithm,
            list(map(self.entry_ids.__getitem__, at.tolist())) if self.entry_ids else (),
            self.values[at],
            self.qualities[at],
            self.positions[at],
        )

    def in_order(self) -> Columns:
        """Return the rows sorted by entry id, rows of one id as they stand."""
        ids = self.entry_ids
        if not ids:
            return self.take(_order(self.values))
        if all(map(operator.le, ids, itertools.islice(ids, 1, None))):
            return self
        return self.take(sorted(range(len(self)), key=ids.__getitem__))

    def split(self, entry_ids: Collection[str]) -> tuple[Columns, Columns]:
        """Return the rows of all other ids, and the rows of these."""
        others: list[int] = []
        these: list[int] = []
        for row, entry_id in enumerate(self.ids()):
            (these if entry_id in entry_ids else others).append(row)
        return self.take(others), self.take(these)

    def rows(self) -> Iterator[tuple[str, int, str, bytes, int | None]]:
        """Yield id, position, algorithm, value and quality of each row."""
        qualities = (None if quality == UNSTATED_QUALITY else quality for quality in self.qualities.tolist())
        values = map(bytes, self.values)
        for entry_id, position, value, quality in zip(
            self.ids(), self.positions.tolist(), values, qualities, strict=True
        ):
            yield entry_id, position, self.algorithm, value, quality

    @classmethod
    def joined(cls, some: Sequence[Columns]) -> Columns:
        """Lay rows of one algorithm end to end."""
        if len(some) == 1:
            return some[0]
        given = any(columns.entry_ids for columns in some)
        return cls(
            some[0].algorithm,
            [entry_id for columns in some for entry_id in columns.ids()] if given else (),
            np.concatenate([columns.values for columns in some]),
            np.concatenate([columns.qualities for columns in some]),
            np.concatenate([columns.positions for columns in some]),
        )


def made_ids(algorithm: str, values: _Bytes) -> list[str]:
    """Return the ids that entries have whose lists give them none."""
    if not len(values):
        return []
    return [f"{algorithm}:{digits}" for digits in values.tobytes().hex(" ", values.shape[1]).split(" ")]


def _order(values: _Bytes) -> _Positions:
    """Return the places of values in ascending order of their bytes, of equal ones as they stand."""
    heads = np.zeros((len(values), 8), dtype=np.uint8)
    heads[:, : values.shape[1]] = values[:, :8]
    numbers = heads.view(">u8").ravel().astype(np.uint64)
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    if (ordered[1:] == ordered[:-1]).any():
        return np.lexsort(values.T[::-1])
    return order


def _as_json(texts: Sequence[str]) -> str:
    """Return texts as a JSON array, joined where none of them needs an escape."""
    joined = '","'.join(texts)
    if joined.isprintable() and "\\" not in joined and joined.count('"') == 2 * (len(texts) - 1):
        return f'["{joined}"]'
    return json.dumps(texts)


@dataclass(frozen=True, slots=True)
class Part:
    """Rows whose ids lie between two cuts: by algorithm, each sorted by id unless ``crowded``.

    A crowded part is a piece of one that is too large; other pieces hold rows of the same entries.
    """

    columns: Sequence[Columns]
    crowded: bool = False


@dataclass(frozen=True, slots=True)
class _Run:
    """Where a run lies in the file: ``offsets`` of its ids, then the ids themselves, values, qualities, positions.

    Where ids are made of values there are neither offsets nor ids, and ``text_bytes`` is 0.
    """

    algorithm: str
    size_bytes: int
    rows: int
    at: int
    text_bytes: int
    samples: Sequence[str]

    @property
    def text_at(self) -> int:
        return self.at + (8 * (self.rows + 1) if self.text_bytes else 0)

    @property
    def values_at(self) -> int:
        return self.text_at + self.text_bytes

    @property
    def qualities_at(self) -> int:
        return self.values_at + self.rows * self.size_bytes

    @property
    def positions_at(self) -> int:
        return self.qualities_at + self.rows


class Spool:
    """Takes rows in as they come and gives them back by id. A context manager.

    Parameters
    ----------
    directory
        Where the file lies; it has no name there, so a killed process leaves nothing behind.

    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: IO[bytes] | None = None
        self._end = 0
        self._runs: list[_Run] = []
        self._rows = 0

    def __repr__(self) -> str:
        return f"<Spool of {self._rows} rows in {len(self._runs)} runs>"

    def __len__(self) -> int:
        return self._rows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the room on disk back. Safe to call twice."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def add(self, columns: Columns) -> None:
        """Take in a block.

        Raises
        ------
        CatalogUnavailable
            There is no room for it.

        """
        if not len(columns):
            return
        run = columns.in_order()
        offsets, text = _texts(run.entry_ids)
        parts = (offsets, text, run.values.tobytes(), run.qualities.tobytes(), run.positions.tobytes())
        at, data = self._end, b"".join(parts)
        with self._room():
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._directory, prefix="import-", buffering=0)  # noqa: SIM115  # closed by ``close``
            done = 0
            while done < len(data):
                done += os.pwrite(self._file.fileno(), memoryview(data)[done:], at + done)
        samples = run.entry_ids[::SAMPLE_ROWS] or made_ids(run.algorithm, run.values[::SAMPLE_ROWS])
        self._runs.append(_Run(run.algorithm, run.values.shape[1], len(run), at, len(text), samples))
        self._end += len(data)
        self._rows += len(run)

    def parts(self) -> Iterator[Part]:
        """Yield all rows in parts, parts in ascending order of their ids.

        Raises
        ------
        CatalogUnavailable
            The file cannot be read.

        """
        starts = [0] * len(self._runs)
        for cut in [*self._cuts(), None]:
            ends = [run.rows if cut is None else self._find(run, cut) for run in self._runs]
            pieces = [
                (run, start, end) for run, start, end in zip(self._runs, starts, ends, strict=True) if start < end
            ]
            starts = ends
            if sum(end - start for _, start, end in pieces) <= LARGEST_PART * PART_ROWS:
                if pieces:
                    yield self._part(pieces)
            else:
                for piece in pieces:
                    yield Part([self._read(*piece)], crowded=True)

    def _cuts(self) -> list[str]:
        """Ids that cut the rows into parts of about ``PART_ROWS``."""
        samples = sorted(sample for run in self._runs for sample in run.samples)
        parts = -(-self._rows // PART_ROWS)
        return sorted({samples[len(samples) * part // parts] for part in range(1, parts)})

    def _find(self, run: _Run, cut: str) -> int:
        """Rows of a run whose id is less than ``cut``."""
        after = bisect.bisect_left(run.samples, cut)
        start = max(after - 1, 0) * SAMPLE_ROWS
        end = min(after * SAMPLE_ROWS, run.rows)
        return start + bisect.bisect_left(self._ids(run, start, end), cut)

    def _part(self, pieces: Sequence[tuple[_Run, int, int]]) -> Part:
        by_algorithm: dict[str, list[Columns]] = {}
        for piece in pieces:
            by_algorithm.setdefault(piece[0].algorithm, []).append(self._read(*piece))
        return Part([Columns.joined(some).in_order() for some in by_algorithm.values()])

    def _read(self, run: _Run, start: int, end: int) -> Columns:
        rows = end - start
        return Columns(
            run.algorithm,
            self._ids(run, start, end) if run.text_bytes else (),
            self._values(run, start, end),
            np.frombuffer(self._bytes(run.qualities_at + start, rows), dtype=np.uint8),
            np.frombuffer(self._bytes(run.positions_at + 8 * start, 8 * rows), dtype=np.int64),
        )

    def _values(self, run: _Run, start: int, end: int) -> _Bytes:
        data = self._bytes(run.values_at + start * run.size_bytes, (end - start) * run.size_bytes)
        return np.frombuffer(data, dtype=np.uint8).reshape(-1, run.size_bytes)

    def _ids(self, run: _Run, start: int, end: int) -> list[str]:
        if not run.text_bytes:
            return made_ids(run.algorithm, self._values(run, start, end))
        offsets: _Offsets = np.frombuffer(self._bytes(run.at + 8 * start, 8 * (end - start + 1)), dtype=np.uint64)
        first, last = int(offsets[0]), int(offsets[-1])
        return self._bytes(run.text_at + first, last - first).decode().split("\n")[:-1]

    def _bytes(self, at: int, size: int) -> bytes:
        with self._room():
            found = b"" if self._file is None else os.pread(self._file.fileno(), size, at)
        if len(found) != size:
            raise CatalogUnavailable(f"{self._directory}: the import's temporary file was cut short")
        return found

    @contextlib.contextmanager
    def _room(self) -> Iterator[None]:
        """Say where there is no room."""
        try:
            yield
        except OSError as error:
            raise CatalogUnavailable(
                f"{self._directory}: {error.strerror}; an import needs about as much room there as its list has"
            ) from error


def _texts(texts: Sequence[str]) -> tuple[bytes, bytes]:
    """Return where each of some texts begins and the last ends, and the texts; nothing where there are none."""
    if not texts:
        return b"", b""
    offsets = np.zeros(len(texts) + 1, dtype=np.uint64)
    np.cumsum(np.fromiter(map(len, texts), dtype=np.uint64, count=len(texts)) + 1, out=offsets[1:])
    return offsets.tobytes(), "\n".join([*texts, ""]).encode()
