"""CSV: what spreadsheets, hotlines and forensic tools write, and what we write ourselves.

Theory of operation
-------------------
The header decides. Columns are found by name, in any order and spelling (``SHA-1``, ``sha1`` and ``Sha_1`` are one);
the delimiter is the one of comma, semicolon and tab under which the header has the most names that mean something. A
row is one entry's hash in the columns ``algorithm`` and ``value``, or one entry's hashes in columns named after
algorithms, or both. docs/reference/hashsets.md lists the columns.

A column of another name is not lost: its cells become labels of the scheme ``csv:<column>``. The exception is a column
named after a hash that is not installed (``sha512``, ``crc32``): list values must not ride along as labels into
reports and logs, so the column is refused, once, as a rejected row of the header's line.

One line is one row: no field of an entry may hold a line break, so a quote that is left open spoils its own row and not
the rest of the file. Lines without a quote, nearly all, are split without a parser; a file of nothing but algorithms,
values, qualities and ids can be read in blocks (``blocks``), some twenty times as fast.

A row without a value is a tombstone if it is withdrawn: it names the entry that it withdraws.

What this module deliberately does not do: it writes one form only, a row per hash; rows of one entry share its id. The
reasons and dates of opinions have no place in it; whoever writes is told.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from hashmatch.errors import BadFile
from hashmatch.exchange import rows
from hashmatch.exchange.blocks import BlockReader, Shape
from hashmatch.exchange.heads import Head
from hashmatch.exchange.lines import numbered_lines
from hashmatch.exchange.losses import Losses
from hashmatch.exchange.rows import BadCell
from hashmatch.hashing.algorithms import exact_names
from hashmatch.model import Algorithm, Entry, EntryHash, EntryStatus, HashSet, Label, Rejected, Row

COLUMNS = (
    "algorithm",
    "value",
    "quality",
    "entry_id",
    "labels",
    "source",
    "list_version",
    "external_id",
    "status",
    "status_reason",
    "received_at",
    "view",
    "terms",
    "jurisdiction",
    "opinions",
)
"""What is written, and what is understood besides columns named after algorithms."""

EXPECTED = "CSV in UTF-8 whose header names `algorithm` and `value`, or algorithms such as `md5` and `pdq`"

DELIMITERS = (",", ";", "\t")

LABEL_SCHEME = "csv:"
"""Labels made of a column's cells: this, and the column's name."""

_SHAPE = frozenset({"algorithm", "value", "quality", "entry_id"})
"""Columns of files that are read in blocks."""

_VALUE = re.compile(r"[0-9A-Fa-f]{16,}")
"""What cannot be the name of a column: the shortest value is 16 digits long."""

_FOLDED_COLUMNS = {rows.folded(name): name for name in COLUMNS}

_FOREIGN_HASHES = frozenset(
    {"sha224", "sha384", "sha512", "crc32", "ed2k"}
    | {"ssdeep", "tlsh", "tmk", "tmkpdqf", "vpdq", "netclean", "saferhash"}
)
"""Folded names of hashes in public list formats (reference formats §3); refused as columns where not installed."""


@dataclass(frozen=True, slots=True)
class _Header:
    """Where a file's columns are. ``at`` maps names of ``COLUMNS`` to indexes; the others are ``(index, what)``."""

    delimiter: str
    width: int
    at: Mapping[str, int]
    hashes: tuple[tuple[int, Algorithm], ...]
    others: tuple[tuple[int, str], ...]
    foreign: tuple[str, ...]


def read(stream: BinaryIO) -> Iterator[Entry | Rejected]:
    """Read a list; the header is read before this returns.

    Parameters
    ----------
    stream : BinaryIO
        Read once, line by line, from where it stands.

    Returns
    -------
    iterator of Entry or Rejected
        In file order; ``position`` is the line, from 1. An entry_id is empty where the file gives none.

    Raises
    ------
    BadFile
        The file is not CSV, has no header, or the header names no hash.

    """
    lines, number, header = _begun(stream)
    return itertools.chain(_foreign(number, header), _rows(lines, header))


def read_rows(stream: BinaryIO) -> Iterator[Row]:
    """Read a list as :func:`read` does, long stretches of plain rows as blocks; blocks precede the rows around them.

    Parameters
    ----------
    stream : BinaryIO
        Read once, in blocks of lines, from where it stands.

    Raises
    ------
    BadFile
        As :func:`read` says.

    """
    lines, number, header = _begun(stream)
    shape = _shape(header)
    if shape is None:
        return itertools.chain(_foreign(number, header), _rows(lines, header))
    installed = rows.algorithms_by_folded_name()
    parse = _RowParser(header)

    def resolve(name: str) -> Algorithm | None:
        try:
            return rows.parse_algorithm(name, installed)
        except BadCell:
            return None

    return BlockReader(shape, resolve, lambda at, line: _row(at, line, header, parse)).read(stream, number + 1)


def _begun(stream: BinaryIO) -> tuple[Iterator[tuple[int, str | Rejected]], int, _Header]:
    """Read as far as the header; return the lines behind it, the header's line number and the header."""
    lines = numbered_lines(stream, EXPECTED)
    for number, line in lines:
        if isinstance(line, Rejected):
            raise BadFile(f"line {number}: {line.reason}; expected {EXPECTED}", field="file")
        if line.strip():
            return lines, number, _header(line)
    raise BadFile(f"the file is empty; expected {EXPECTED}", field="file")


def _foreign(number: int, header: _Header) -> Iterator[Rejected]:
    for name in header.foreign:
        yield Rejected(number, name, "this kind of hash is not installed; the column was left out")


def _shape(header: _Header) -> Shape | None:
    """Return the columns of a file that has none but those of a plain row, else None."""
    if header.hashes or header.others or header.foreign or not header.at.keys() <= _SHAPE:
        return None
    return Shape(header.delimiter, header.width, **header.at)


def recognises(head: Head) -> bool:
    """Say whether a file begins with a header that has a name of ours, in any delimiter."""
    return any(_known_names(head.first_line, delimiter)[0] for delimiter in DELIMITERS)


def _header(line: str) -> _Header:
    delimiter = max(DELIMITERS, key=lambda candidate: _known_names(line, candidate))
    try:
        names = cells(line, delimiter)
    except BadCell as bad:
        raise BadFile(f"the header cannot be read: {bad.reason}", field="file") from bad
    if any(_VALUE.fullmatch(name) for name in names):
        raise BadFile(f"the first line holds values instead of column names; expected {EXPECTED}", field="file")
    installed = rows.algorithms_by_folded_name()
    at: dict[str, int] = {}
    hashes: dict[str, tuple[int, Algorithm]] = {}
    others: dict[str, tuple[int, str]] = {}
    foreign = []
    for index, name in enumerate(names):
        key = rows.folded(name)
        if key in at or key in hashes or name in others:
            raise BadFile(f"the header names {rows.shown(name)} twice; rename one of the columns", field=name)
        if key in _FOLDED_COLUMNS:
            at[key] = index
        elif key in installed:
            hashes[key] = (index, installed[key])
        elif key in _FOREIGN_HASHES:
            foreign.append(name)
        else:
            others[name] = (index, f"{LABEL_SCHEME}{name or index + 1}")
    by_name = {_FOLDED_COLUMNS[key]: index for key, index in at.items()}
    if not hashes and not {"algorithm", "value"} <= by_name.keys():
        raise BadFile(f"the header {rows.shown(line)} names no hash; expected {EXPECTED}", field="file")
    return _Header(delimiter, len(names), by_name, (*hashes.values(),), (*others.values(),), (*foreign,))


def _known_names(line: str, delimiter: str) -> tuple[int, int]:
    """Say how much a delimiter makes of the header: names that mean something, then names at all."""
    installed = rows.algorithms_by_folded_name()
    keys = [rows.folded(name.strip('"')) for name in line.split(delimiter)]
    return sum(key in _FOLDED_COLUMNS or key in installed for key in keys), len(keys)


def cells(line: str, delimiter: str) -> list[str]:
    """Return the cells of one line.

    Raises
    ------
    BadCell
        A quote is not where CSV has quotes.

    """
    if '"' not in line:
        return [cell.strip() for cell in line.split(delimiter)]
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, strict=True))]
    except csv.Error as error:
        raise BadCell("", f"{error}: a quoted cell must end on its own line, a quote inside it is doubled") from error


def _rows(lines: Iterable[tuple[int, str | Rejected]], header: _Header) -> Iterator[Entry | Rejected]:
    parse = _RowParser(header)
    for number, line in lines:
        yield from _row(number, line, header, parse)


def _row(number: int, line: str | Rejected, header: _Header, parse: _RowParser) -> Iterator[Entry | Rejected]:
    """Yield what one line holds: nothing where it is blank."""
    if isinstance(line, Rejected):
        yield line
    elif line and not line.isspace():
        try:
            split = cells(line, header.delimiter)
            if len(split) != header.width:
                yield Rejected(number, "", f"{len(split)} cells where the header has {header.width}")
            else:
                yield parse.entry(number, split)
        except BadCell as bad:
            yield Rejected(number, bad.field, bad.reason)


class _RowParser:
    """Cells of a row to an entry, for one header."""

    def __init__(self, header: _Header) -> None:
        self._header = header
        self._installed = rows.algorithms_by_folded_name()
        self._exact = frozenset(exact_names())
        self._algorithm = header.at.get("algorithm") if "value" in header.at else None
        self._value = header.at.get("value", 0)
        at = {name: index for name, index in header.at.items() if name not in {"algorithm", "value"}}
        self._quality = at.pop("quality", None)
        self._view = at.pop("view", None)
        self._entry_id = at.pop("entry_id", None)
        self._facts = at

    def entry(self, number: int, cells: list[str]) -> Entry:
        """Return the entry of one row; raises BadCell."""
        hashes = self._hashes(cells)
        if self._view is not None and cells[self._view]:
            hashes = rows.spread_view(hashes, cells[self._view], self._exact)
        entry_id = "" if self._entry_id is None else cells[self._entry_id]
        if not self._facts and not self._header.others:
            return Entry(entry_id, hashes, (), rows.UNSTATED, position=number)
        stated = {name: cells[index] for name, index in self._facts.items()}
        labels = rows.parse_labels(stated.get("labels", ""))
        if self._header.others:
            labels += self._other_labels(cells, labels)
        return Entry(
            entry_id,
            hashes,
            labels,
            rows.provenance(*(stated.get(name, "") for name in rows.PROVENANCE)),
            rows.parse_status(stated.get("status", "")),
            stated.get("status_reason", ""),
            rows.parse_opinions(stated.get("opinions", "")),
            number,
        )

    def _hashes(self, cells: list[str]) -> tuple[EntryHash, ...]:
        """Return the row's hashes; a tombstone has none."""
        quality = None if self._quality is None else rows.parse_quality(cells[self._quality])
        if self._header.hashes:
            values = self._values(cells)
            return () if not values and self._is_withdrawn(cells) else rows.spread_quality(values, quality)
        at = self._algorithm or 0
        if not cells[at] and not cells[self._value] and self._is_withdrawn(cells):
            return ()
        algorithm, value = self._long_value(cells)
        return (EntryHash(algorithm.name, value, quality),)

    def _is_withdrawn(self, cells: list[str]) -> bool:
        at = self._facts.get("status")
        return at is not None and rows.parse_status(cells[at]) is EntryStatus.WITHDRAWN

    def _long_value(self, cells: list[str]) -> tuple[Algorithm, bytes]:
        """Return what the columns ``algorithm`` and ``value`` say."""
        name, text = cells[self._algorithm or 0], cells[self._value]
        if not name:
            raise BadCell("algorithm", "missing; name the algorithm of the value")
        if not text:
            raise BadCell("value", f"missing; expected a {rows.shown(name)} value")
        algorithm = self._installed.get(name) or rows.parse_algorithm(name, self._installed)
        return algorithm, rows.parse_value(algorithm, text)

    def _values(self, cells: list[str]) -> list[tuple[Algorithm, bytes]]:
        """Return the values of columns named after algorithms, and of ``algorithm`` and ``value`` where present."""
        values = [
            (algorithm, rows.parse_value(algorithm, cells[index], algorithm.name))
            for index, algorithm in self._header.hashes
            if cells[index]
        ]
        if self._algorithm is not None and (cells[self._algorithm] or cells[self._value]):
            values.append(self._long_value(cells))
        return values

    def _other_labels(self, cells: list[str], stated: tuple[Label, ...]) -> tuple[Label, ...]:
        made = (Label(scheme, "", cells[index]) for index, scheme in self._header.others if cells[index])
        return tuple(label for label in made if label not in stated)


class _Encoder:
    """Lets ``csv.writer`` write to a binary stream."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write one row."""
        return self._stream.write(text.encode())


_NO_VALUE = EntryHash("", b"")
"""What stands in the row of a tombstone."""


def write(entries: Iterable[Entry], stream: BinaryIO, /, losses: Losses, hash_set: HashSet | None = None) -> int:
    """Write a list: a header, then one row per hash; return the number of entries."""
    del hash_set
    writer = csv.writer(_Encoder(stream), lineterminator="\n")
    writer.writerow(COLUMNS)
    written = 0
    for number, entry in enumerate(entries, 1):
        origin = entry.provenance
        facts = (
            entry.entry_id,
            rows.format_labels(entry.labels),
            origin.source,
            origin.list_version,
            origin.external_id,
            entry.status.value,
            entry.status_reason,
            rows.format_moment(origin.received_at),
        )
        more = (origin.terms, origin.jurisdiction, rows.format_opinions(entry.opinions))
        for item in entry.hashes or (_NO_VALUE,):
            quality = "" if item.quality is None else item.quality
            writer.writerow((item.algorithm, item.hex, quality, *facts, item.view, *more))
        if any(item.reason or item.at for item in entry.opinions):
            losses.detail(entry, "reasons and dates of opinions", "a cell holds who and the stance")
        written = number
    return written
