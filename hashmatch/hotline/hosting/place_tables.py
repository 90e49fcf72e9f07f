"""Ranges of addresses and what is said of them, for a look-up by the narrowest range (arrays in, arrays out).

Theory of operation
-------------------
Every address is a number of 128 bits, IPv4 as its mapped IPv6 (RFC 4291, 2.5.5.2), kept as two columns of 64. Ranges
that lie inside others are cut out of them once, while loading, so that the segments are disjoint and a look-up is a
binary search. Ranges that overlap without one being inside the other are no table, and refused by their line.

A row takes 40 bytes, and a piece of a cut one 36 more; what is said is kept once, however many rows say it. A million
rows as iptoasn writes them, of 140,000 networks' names, took 3.3 s of one core to load, 170 MB at the peak and 8 us per
look-up.

What this module deliberately does not do: it opens no file and knows no format.
"""

from __future__ import annotations

import bisect
import ipaddress
import socket
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from hashmatch.errors import BadFile

MAX_ROWS = 8_000_000
"""The whole table of routes, IPv4 and IPv6, has 1.3 million."""
MAPPED_PREFIX = bytes(10) + b"\xff\xff"
_MAPPED = int.from_bytes(MAPPED_PREFIX, "big")
_LOW = (1 << 64) - 1

Said = TypeVar("Said")


@dataclass(frozen=True, slots=True)
class Found(Generic[Said]):
    """What is said of an address, and the range that it is said of."""

    said: Said
    network: str
    """A prefix, or ``first-last`` where it is none."""


def packed(text: str) -> bytes | None:
    """Return an address as 16 bytes, which are in the order of addresses; None for a text that is none."""
    try:
        if ":" in text:
            return socket.inet_pton(socket.AF_INET6, text)
        return MAPPED_PREFIX + socket.inet_pton(socket.AF_INET, text)
    except (OSError, ValueError):
        return None


@dataclass(slots=True)
class Builder(Generic[Said]):
    """Takes ranges in, in any order."""

    _ends: bytearray = field(default_factory=bytearray)
    _which: array[int] = field(default_factory=lambda: array("I"))
    _lines: array[int] = field(default_factory=lambda: array("I"))
    _positions: dict[Said, int] = field(default_factory=dict)

    def add(self, first: bytes, last: bytes, said: Said, line: int) -> None:
        """Take in one range, both ends included, as :func:`packed` makes them.

        Raises
        ------
        BadFile
            It ends before it begins, or there are too many.

        """
        if last < first:
            raise BadFile(f"line {line}: the range ends before it begins")
        if len(self._which) >= MAX_ROWS:
            raise BadFile(f"line {line}: more than {MAX_ROWS} ranges")
        self._ends += first
        self._ends += last
        self._which.append(self._positions.setdefault(said, len(self._positions)))
        self._lines.append(line)

    def table(self) -> Table[Said]:
        """Return the ranges for look-ups.

        Raises
        ------
        BadFile
            Two ranges overlap and neither lies in the other, or one is there twice and other things are said of it.

        """
        ends = np.frombuffer(self._ends, ">u8").reshape(-1, 4)
        columns = [ends[:, column].astype(np.uint64) for column in range(4)]
        first_high, first_low, last_high, last_low = columns
        # Sorted by their beginning, and the wider before what lies in it.
        order = np.lexsort((~last_low, ~last_high, first_low, first_high))
        columns = [column[order] for column in columns]
        which = np.frombuffer(self._which, np.uint32)[order]
        lines = np.frombuffer(self._lines, np.uint32)[order]
        rows = _Rows(columns, which, lines)
        segments = None if rows.are_disjoint() else _cut(rows)
        return Table(rows, tuple(self._positions), segments)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Sorted ranges.

    Attributes
    ----------
    columns : uint64, four of shape (n,)
        High and low half of the first address, and of the last.
    which : uint32, shape (n,)
        Position of what is said.
    lines : uint32, shape (n,)

    """

    columns: list[NDArray[np.uint64]]
    which: NDArray[np.uint32]
    lines: NDArray[np.uint32]

    def ends(self, row: int) -> tuple[int, int]:
        """First and last address of a row."""
        a, b, c, d = (int(column[row]) for column in self.columns)
        return a << 64 | b, c << 64 | d

    def all(self) -> Iterator[tuple[int, int]]:
        """Yield all of them, a thousand at a time out of the arrays: a list of all would be a copy in objects."""
        for start in range(0, len(self.which), 1_000):
            lists = (column[start : start + 1_000].tolist() for column in self.columns)
            for a, b, c, d in zip(*lists, strict=True):
                yield a << 64 | b, c << 64 | d

    def repeats(self, row: int, outer: int) -> bool:
        """Tell whether a row says what the one around it says, of the same range.

        Raises
        ------
        BadFile
            It reaches out of the other, or says something else of the same range.

        """
        inner_ends, outer_ends = self.ends(row), self.ends(outer)
        if inner_ends[1] > outer_ends[1]:
            raise BadFile(f"line {self.lines[row]}: the range overlaps that of line {self.lines[outer]}")
        if inner_ends == outer_ends and self.which[row] != self.which[outer]:
            raise BadFile(f"line {self.lines[row]}: says something else of the range of line {self.lines[outer]}")
        return inner_ends == outer_ends

    def are_disjoint(self) -> bool:
        """Tell whether each range ends before the next begins."""
        first_high, first_low, last_high, last_low = self.columns
        before = (last_high[:-1] < first_high[1:]) | (
            (last_high[:-1] == first_high[1:]) & (last_low[:-1] < first_low[1:])
        )
        return bool(before.all())


@dataclass(frozen=True, slots=True)
class _Segments:
    """Disjoint pieces of rows: columns as of :class:`_Rows`, and the row of each."""

    columns: list[NDArray[np.uint64]]
    rows: NDArray[np.uint32]


def _cut(rows: _Rows) -> _Segments:
    """Cut ranges out of those that they lie in."""
    columns = tuple(array("Q") for _ in range(4))
    owners = array("I")
    for first, last, row in _pieces(rows):
        if first <= last:
            for column, value in zip(columns, (first >> 64, first & _LOW, last >> 64, last & _LOW), strict=True):
                column.append(value)
            owners.append(row)
    return _Segments([np.frombuffer(column, np.uint64) for column in columns], np.frombuffer(owners, np.uint32))


def _pieces(rows: _Rows) -> Iterator[tuple[int, int, int]]:
    """Yield first and last address and row of each piece, in their order; a piece may be empty."""
    around: list[tuple[int, int, int]] = []  # first, last, row: each lies in the one before
    position = 0
    for row, (first, last) in enumerate(rows.all()):
        while around and around[-1][1] < first:
            _, end, owner = around.pop()
            yield position, end, owner
            position = max(position, end + 1)
        if around:
            if rows.repeats(row, around[-1][2]):
                continue
            yield position, first - 1, around[-1][2]
        around.append((first, last, row))
        position = first
    while around:
        _, end, owner = around.pop()
        yield position, end, owner
        position = max(position, end + 1)


class Table(Generic[Said]):
    """Ranges of addresses and what is said of them; made by :meth:`Builder.table`."""

    def __init__(self, rows: _Rows, said: tuple[Said, ...], segments: _Segments | None) -> None:
        self._rows = rows
        self._said = said
        self._segments = segments
        columns = rows.columns if segments is None else segments.columns
        self._views = [column.data for column in columns]  # bisect takes a number out of them faster than numpy

    def __repr__(self) -> str:
        return f"<Table {len(self)} ranges, {len(self._said)} different things said>"

    def __len__(self) -> int:
        return len(self._rows.which)

    @property
    def size_bytes(self) -> int:
        """Of the arrays."""
        size = sum(column.nbytes for column in self._rows.columns) + self._rows.which.nbytes + self._rows.lines.nbytes
        if self._segments is not None:
            size += sum(column.nbytes for column in self._segments.columns) + self._segments.rows.nbytes
        return size

    def find(self, address: bytes) -> Found[Said] | None:
        """Return what is said of the narrowest range that an address is in; None when it is in none.

        Parameters
        ----------
        address : bytes
            As :func:`packed` makes it.

        """
        high, low = int.from_bytes(address[:8], "big"), int.from_bytes(address[8:], "big")
        first_high, first_low, last_high, last_low = self._views
        start, stop = bisect.bisect_left(first_high, high), bisect.bisect_right(first_high, high)
        at = bisect.bisect_right(first_low, low, start, stop) - 1
        if at < 0 or (high, low) > (last_high[at], last_low[at]):
            return None
        row = at if self._segments is None else int(self._segments.rows[at])
        return Found(self._said[int(self._rows.which[row])], network(*self._rows.ends(row)))


def network(first: int, last: int) -> str:
    """Write a range as people do."""
    size = last - first + 1
    both_mapped = first >> 32 == _MAPPED == last >> 32
    texts = [
        str(ipaddress.IPv4Address(end & 0xFFFFFFFF) if both_mapped else ipaddress.IPv6Address(end))
        for end in (first, last)
    ]
    if size & (size - 1) == 0 and first % size == 0:
        return f"{texts[0]}/{(32 if both_mapped else 128) - size.bit_length() + 1}"
    return "-".join(texts)
