"""CSV read in blocks: long stretches of rows that say no more than algorithm, value, quality and id become columns.

Theory of operation
-------------------
The file is cut into blocks of whole lines. In one pass over a block's bytes every byte is classed: delimiter, end of a
line, plain, or odd (quotes, spaces, control characters, everything beyond ASCII). A line without an odd byte and with
the right number of delimiters has its cells between them, just as they are; those lines are taken apart all at once
with arrays, values by one call of ``unhexlify``. Lines of one algorithm leave as one :class:`EntryBlock`.

A line that is unusual in any way (odd bytes, a missing cell, a value in base64, an algorithm nobody knows, a quality
that is none) is read by ``delimited``'s own row reader, which says what is wrong with it or finds that nothing is. So
there is one meaning of a row, and this module only knows a shorter way to the commonest ones; that both ways agree on
every file is tested (``tests/property/test_blocks.py``). Rows leave in another order than they stand in the file, but
never far: blocks first, then the single rows of the same few MiB; positions say where each stood.

What this module deliberately does not do: it has no opinion about values. What may enter is the catalog's business.
"""

from __future__ import annotations

import binascii
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from hashmatch.exchange.lines import text_of, whole_lines
from hashmatch.model import UNSTATED_QUALITY, Algorithm, Entry, EntryBlock, Rejected, Row

MAX_CELL_BYTES = 256
"""Ids that are longer are read row by row: the catalog refuses them, and says so."""

MAX_ALGORITHMS = 8
"""Spellings of algorithms per block of lines; rows of a ninth are read one by one."""

MIN_LINES = 64
"""Fewer plain lines than this are not worth a block."""

_PLAIN, _DELIMITER, _NEWLINE, _ODD = range(4)
_MAX_QUALITY_DIGITS = 3
_NOT_HEX = 255

_Positions = npt.NDArray[np.int64]
_Bytes = npt.NDArray[np.uint8]
_Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Shape:
    """Where the columns of a file are that consists of nothing but these; None for those that it lacks."""

    delimiter: str
    width: int
    algorithm: int
    value: int
    quality: int | None = None
    entry_id: int | None = None


ReadRow = Callable[[int, str | Rejected], Iterator[Entry | Rejected]]
"""Number of a line and its text to the row it holds, if it holds one."""


class BlockReader:
    """Reads the rows of one file, which stands behind its header.

    Parameters
    ----------
    shape
        The columns.
    resolve
        The algorithm of a cell's text, None where there is none of that name.
    read_row
        Reads a line that is unusual.

    """

    def __init__(self, shape: Shape, resolve: Callable[[str], Algorithm | None], read_row: ReadRow) -> None:
        self._shape = shape
        self._resolve = resolve
        self._read_row = read_row
        self._classes = _classes(shape.delimiter)

    def __repr__(self) -> str:
        return f"BlockReader({self._shape!r})"

    def read(self, stream: BinaryIO, first_number: int) -> Iterator[Row]:
        """Yield the rows of a stream that stands before line ``first_number``."""
        number = first_number
        for data in whole_lines(stream):
            lines = _Lines.of(data, self._classes, self._shape.width)
            taken = np.zeros(len(lines), dtype=np.bool_)
            if np.count_nonzero(lines.plain) >= MIN_LINES:
                for rows, block in self._blocks(lines, number):
                    taken[rows] = True
                    yield block
            for index in np.flatnonzero(~taken).tolist():
                yield from self._read_row(number + index, text_of(number + index, lines.raw(index)))
            number += len(lines)

    def _blocks(self, lines: _Lines, number: int) -> Iterator[tuple[_Positions, EntryBlock]]:
        """Yield blocks, each with the indexes of its lines; lines that are in none are to be read one by one."""
        rows = np.flatnonzero(lines.plain)
        starts, ends = lines.cells(rows, self._shape.width)
        open_rows = np.ones(len(rows), dtype=np.bool_)
        for _ in range(MAX_ALGORITHMS):
            first = int(np.argmax(open_rows))
            if not open_rows[first]:
                return
            name, same = lines.equal_cells(starts[:, self._shape.algorithm], ends[:, self._shape.algorithm], first)
            same &= open_rows
            open_rows &= ~same
            algorithm = self._resolve(name) if name else None
            if algorithm is not None:
                mine = np.flatnonzero(same)
                block = self._block(lines, _Cells(rows[mine], starts[mine], ends[mine]), algorithm, number)
                if block is not None:
                    yield block

    def _block(
        self, lines: _Lines, cells: _Cells, algorithm: Algorithm, number: int
    ) -> tuple[_Positions, EntryBlock] | None:
        shape = self._shape
        values, good = lines.hex_cells(*cells.column(shape.value), algorithm.size_bytes)
        qualities = None
        if shape.quality is not None:
            qualities, fine = lines.quality_cells(*cells.column(shape.quality))
            good &= fine
        if shape.entry_id is not None:
            starts, ends = cells.column(shape.entry_id)
            good &= ends - starts <= MAX_CELL_BYTES
        if not good.all():
            cells, values = cells.only(good), values[good]
            qualities = None if qualities is None else qualities[good]
        if not len(cells.rows):
            return None
        stated = qualities is not None and bool((qualities != UNSTATED_QUALITY).any())
        block = EntryBlock(
            algorithm.name,
            values.tobytes(),
            array("q", (cells.rows + number).astype(np.int64).tobytes()),
            () if shape.entry_id is None else lines.texts(*cells.column(shape.entry_id)),
            qualities.tobytes() if qualities is not None and stated else b"",
        )
        return cells.rows, block


@dataclass(frozen=True, slots=True)
class _Cells:
    """Cells of some lines: ``rows`` are the lines' indexes, ``starts`` and ``ends`` have a column per cell."""

    rows: _Positions
    starts: _Positions
    ends: _Positions

    def column(self, index: int) -> tuple[_Positions, _Positions]:
        return self.starts[:, index], self.ends[:, index]

    def only(self, good: _Flags) -> _Cells:
        return _Cells(self.rows[good], self.starts[good], self.ends[good])


@dataclass(frozen=True, slots=True)
class _Lines:
    """One block of whole lines: ``begins`` and ``ends`` of each without its line end, and which are plain."""

    data: bytes
    buffer: _Bytes
    begins: _Positions
    ends: _Positions
    delimiters: _Positions
    firsts: _Positions
    plain: _Flags

    def __len__(self) -> int:
        return len(self.ends)

    @classmethod
    def of(cls, data: bytes, classes: bytes, width: int) -> _Lines:
        buffer = np.frombuffer(data, dtype=np.uint8)
        kinds = np.frombuffer(data.translate(classes), dtype=np.uint8)
        newlines = np.flatnonzero(kinds == _NEWLINE)
        closed = data.endswith(b"\n")
        bounds = newlines if closed else np.append(newlines, len(data))
        begins = np.concatenate([np.zeros(1, dtype=np.int64), bounds[:-1] + 1])
        returns = np.zeros(len(bounds), dtype=np.int64)
        filled = bounds > begins
        returns[filled] = buffer[bounds[filled] - 1] == ord("\r")
        odd = np.flatnonzero(kinds == _ODD)
        odd_per_line = np.bincount(np.searchsorted(bounds, odd), minlength=len(bounds))
        delimiters = np.flatnonzero(kinds == _DELIMITER)
        firsts = np.searchsorted(delimiters, begins)
        counts = np.diff(firsts, append=len(delimiters))
        plain = (counts == width - 1) & (odd_per_line == returns)
        return cls(data, buffer, begins, bounds - returns, delimiters, firsts, plain)

    def raw(self, index: int) -> bytes:
        """Bytes of a line with its line end."""
        end = int(self.begins[index + 1]) if index + 1 < len(self) else len(self.data)
        return self.data[int(self.begins[index]) : end]

    def cells(self, rows: _Positions, width: int) -> tuple[_Positions, _Positions]:
        """Begins and ends of the cells of plain lines, each of shape (lines, width)."""
        starts = np.empty((len(rows), width), dtype=np.int64)
        ends = np.empty((len(rows), width), dtype=np.int64)
        starts[:, 0], ends[:, -1] = self.begins[rows], self.ends[rows]
        between = self.delimiters[self.firsts[rows][:, None] + np.arange(width - 1)]
        starts[:, 1:], ends[:, :-1] = between + 1, between
        return starts, ends

    def equal_cells(self, starts: _Positions, ends: _Positions, example: int) -> tuple[str, _Flags]:
        """Text of one cell, and which cells hold the same; longer ones than ``MAX_CELL_BYTES`` equal nothing."""
        text = self.data[int(starts[example]) : int(ends[example])]
        same = ends - starts == len(text)
        if len(text) > MAX_CELL_BYTES:
            return "", same
        for offset, byte in enumerate(text):
            same[same] = self.buffer[starts[same] + offset] == byte
        return text.decode(), same

    def hex_cells(self, starts: _Positions, ends: _Positions, size_bytes: int) -> tuple[_Bytes, _Flags]:
        """Values of cells of hex digits, shape (cells, size_bytes), and which cells are such; the others are 0."""
        good = ends - starts == 2 * size_bytes
        values: _Bytes = np.zeros((len(starts), size_bytes), dtype=np.uint8)
        if not good.any():
            return values, good
        digits = np.lib.stride_tricks.sliding_window_view(self.buffer, 2 * size_bytes)[starts[good]]
        try:
            found = binascii.unhexlify(digits.tobytes())
        except binascii.Error:
            fine = (_HEX[digits] != _NOT_HEX).all(axis=1)
            good[good] = fine
            found = binascii.unhexlify(digits[fine].tobytes())
        values[good] = np.frombuffer(found, dtype=np.uint8).reshape(-1, size_bytes)
        return values, good

    def quality_cells(self, starts: _Positions, ends: _Positions) -> tuple[_Bytes, _Flags]:
        """Qualities of cells of at most three digits, blank ones unstated, and which cells are such."""
        lengths = ends - starts
        good = lengths <= _MAX_QUALITY_DIGITS
        numbers = np.zeros(len(starts), dtype=np.int64)
        for digit in range(_MAX_QUALITY_DIGITS):
            has = lengths > digit
            found = self.buffer[starts[has] + digit].astype(np.int64) - ord("0")
            good[has] &= (found >= 0) & (found <= 9)  # noqa: PLR2004
            numbers[has] = numbers[has] * 10 + found
        good &= numbers < UNSTATED_QUALITY
        numbers[(lengths == 0) | ~good] = UNSTATED_QUALITY
        return numbers.astype(np.uint8), good

    def texts(self, starts: _Positions, ends: _Positions) -> list[str]:
        """Cells as texts; plain lines are ASCII, so a byte is a character."""
        text = self.data.decode("latin-1")
        return list(map(text.__getitem__, map(slice, starts.tolist(), ends.tolist())))


def _classes(delimiter: str) -> bytes:
    """Class of each byte."""
    kinds = [_ODD] * 256
    for byte in range(ord("!"), ord("~") + 1):
        kinds[byte] = _PLAIN
    kinds[ord('"')] = _ODD
    kinds[ord("\n")] = _NEWLINE
    kinds[ord(delimiter)] = _DELIMITER
    return bytes(kinds)


def _hex_digits() -> _Bytes:
    """Value of each byte as a hex digit."""
    table: _Bytes = np.full(256, _NOT_HEX, dtype=np.uint8)
    for digit in "0123456789abcdefABCDEF":
        table[ord(digit)] = int(digit, 16)
    return table


_HEX = _hex_digits()
