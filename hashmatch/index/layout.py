"""The byte layout of a segment file: header and column table to bytes and back. No I/O.

Theory of operation
-------------------
::

    0   8 bytes   magic
    8   u32       version of this layout
    12  u32       length of the table in bytes
    16  32 bytes  BLAKE2b-256 of the header with these 32 bytes zero
    48  table     JSON: generation, sequence, sets, algorithms, views, spaces, and one row per column
        padding   zeros up to a multiple of 64
    …   columns   each starts at a multiple of 64 and is padded with zeros to the next

All numbers are little-endian. A column's checksum covers its padding and the header's checksum covers everything in
front of the first column, so there is no byte in the file that could change unnoticed. Alignment to 64 bytes puts every
column at the start of a cache line, which is what vectorised kernels like best.

What this module deliberately does not do: a checksum is not a signature. Whoever may write into the data directory may
also write a well-formed segment; keeping strangers out of there is the operator's file permissions.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from dataclasses import asdict, dataclass, replace
from typing import Any

from hashmatch.errors import SegmentCorrupt
from hashmatch.index.plan import is_indexed, table_shapes
from hashmatch.model import AlgorithmKind, HarmDomain, HashSet, SetMode

MAGIC = b"\x89HMSEG\r\n"
VERSION = 4
"""2 added the view of each value, 3 the sequence of each entry, 4 terms and opinions to what is noted of entries.

A snapshot of another version is built anew from the catalog, never converted.
"""
ALIGNMENT_BYTES = 64
CHECKSUM_BYTES = 32
MAX_TABLE_BYTES = 64 << 20
"""About 300,000 sets; anything longer is not a table."""

NO_CHECKSUM = "0" * (2 * CHECKSUM_BYTES)
"""Stands in a table whose columns are not written yet."""

_PREFIX = struct.Struct(f"<8sII{CHECKSUM_BYTES}s")
_ITEM_BYTES = {"|u1": 1, "<u2": 2, "<u4": 4, "<u8": 8}


def checksum() -> hashlib.blake2b:
    """Return a fresh running checksum."""
    return hashlib.blake2b(digest_size=CHECKSUM_BYTES)


def padded(size_bytes: int) -> int:
    """``size_bytes`` rounded up to the alignment."""
    return -(-size_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


@dataclass(frozen=True, slots=True)
class SetState:
    """What a hit must say about its set."""

    set_id: str
    name: str
    version: int
    domain: HarmDomain
    mode: SetMode

    @classmethod
    def of(cls, hash_set: HashSet) -> SetState:
        """Keep what the index needs of a catalog's set."""
        return cls(hash_set.set_id, hash_set.name, hash_set.version, hash_set.domain, hash_set.mode)


@dataclass(frozen=True, slots=True)
class SpaceState:
    """One comparison space of a segment: how its values compare, how long they are and how many there are.

    ``most`` is the largest number of values that one entry has.
    """

    name: str
    kind: AlgorithmKind
    size_bytes: int
    rows: int
    most: int


@dataclass(frozen=True, slots=True)
class Column:
    """One row of the column table. ``offset`` counts bytes from the start of the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int = 0
    checksum: str = NO_CHECKSUM

    @property
    def size_bytes(self) -> int:
        """Length without padding."""
        return _ITEM_BYTES[self.dtype] * math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Table:
    """Everything the header says."""

    generation: int
    sequence: int
    entries: int
    notes: int
    sets: tuple[SetState, ...]
    algorithms: tuple[str, ...]
    views: tuple[str, ...]
    spaces: tuple[SpaceState, ...]
    columns: tuple[Column, ...] = ()

    @property
    def file_bytes(self) -> int:
        """Length of the whole file."""
        last = self.columns[-1]
        return last.offset + padded(last.size_bytes)


def expected_columns(table: Table, id_bytes: int, note_bytes: int) -> tuple[Column, ...]:
    """Return the columns a table of these counts must have, in file order, without offsets.

    ``id_bytes`` and ``note_bytes`` are the lengths of the two text columns, the only ones that do not follow from the
    counts.
    """
    n = table.entries
    columns = [
        Column("entries/set", "<u4", (n,)),
        Column("entries/status", "|u1", (n,)),
        Column("entries/note", "<u4", (n,)),
        Column("entries/sequence", "<u8", (n,)),
        Column("entries/id_offsets", "<u8", (n + 1,)),
        Column("entries/id_text", "|u1", (id_bytes,)),
        Column("entries/name_keys", "<u8", (n,)),
        Column("entries/name_rows", "<u4", (n,)),
        Column("notes/offsets", "<u8", (table.notes + 1,)),
        Column("notes/text", "|u1", (note_bytes,)),
    ]
    for space in table.spaces:
        at = f"space/{space.name}"
        columns += [
            Column(f"{at}/codes", "|u1", (space.rows, space.size_bytes)),
            Column(f"{at}/owners", "<u4", (space.rows,)),
            Column(f"{at}/algorithms", "|u1", (space.rows,)),
            Column(f"{at}/views", "|u1", (space.rows,)),
        ]
        if space.kind.by_equality:
            columns.append(Column(f"{at}/keys", "<u8", (space.rows,)))
        elif is_indexed(space.rows, space.size_bytes):
            shapes = table_shapes(space.rows, space.size_bytes)
            columns += [
                Column(f"{at}/offsets", "<u4", shapes.offsets),
                Column(f"{at}/filters", "<u2", shapes.filters),
                Column(f"{at}/rows", "<u4", shapes.rows),
            ]
    return tuple(columns)


def place(table: Table, columns: tuple[Column, ...]) -> Table:
    """Give every column its offset behind the header.

    Offsets are written with a fixed width, so that the header's length does not depend on their values.
    """
    sized = replace(table, columns=columns)
    offset = len(pack(sized))
    placed = []
    for column in columns:
        placed.append(replace(column, offset=offset))
        offset += padded(column.size_bytes)
    return replace(table, columns=tuple(placed))


def pack(table: Table) -> bytes:
    """Return the header of a segment file, padded to the alignment."""
    plain = asdict(table)
    plain["columns"] = [{**column, "offset": f"{column['offset']:020d}"} for column in plain["columns"]]
    text = json.dumps(plain, separators=(",", ":")).encode()
    prefix = _PREFIX.pack(MAGIC, VERSION, len(text), bytes(CHECKSUM_BYTES))
    body = prefix + text
    body += bytes(padded(len(body)) - len(body))
    digest = checksum()
    digest.update(body)
    return _PREFIX.pack(MAGIC, VERSION, len(text), digest.digest()) + body[_PREFIX.size :]


def unpack(untrusted_file: memoryview, name: str) -> Table:
    """Read and verify the header of a segment file.

    Raises
    ------
    SegmentCorrupt
        Not a segment, another version, a header that does not verify, or a file of the wrong length. ``name`` stands
        in the message.

    """
    if len(untrusted_file) < _PREFIX.size:
        raise SegmentCorrupt(f"{name}: header: {len(untrusted_file)} bytes are too few for a segment")
    magic, version, table_bytes, digest = _PREFIX.unpack_from(untrusted_file)
    if magic != MAGIC:
        raise SegmentCorrupt(f"{name}: header: not a segment file")
    if version != VERSION:
        raise SegmentCorrupt(f"{name}: header: layout version {version}, this hashmatch reads version {VERSION}")
    end = padded(_PREFIX.size + table_bytes)
    if table_bytes > MAX_TABLE_BYTES or end > len(untrusted_file):
        raise SegmentCorrupt(f"{name}: header: a table of {table_bytes} bytes does not fit the file")
    running = checksum()
    running.update(_PREFIX.pack(magic, version, table_bytes, bytes(CHECKSUM_BYTES)))
    running.update(untrusted_file[_PREFIX.size : end])
    if running.digest() != digest:
        raise SegmentCorrupt(f"{name}: header: checksum does not match")
    try:
        table = _table(json.loads(bytes(untrusted_file[_PREFIX.size : _PREFIX.size + table_bytes])))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise SegmentCorrupt(f"{name}: header: the table cannot be read: {error!r}") from error
    _check(table, end, len(untrusted_file), name)
    return table


def _table(plain: dict[str, Any]) -> Table:
    return Table(
        generation=int(plain["generation"]),
        sequence=int(plain["sequence"]),
        entries=int(plain["entries"]),
        notes=int(plain["notes"]),
        sets=tuple(
            SetState(s["set_id"], s["name"], int(s["version"]), HarmDomain(s["domain"]), SetMode(s["mode"]))
            for s in plain["sets"]
        ),
        algorithms=tuple(map(str, plain["algorithms"])),
        views=tuple(map(str, plain["views"])),
        spaces=tuple(
            SpaceState(s["name"], AlgorithmKind(s["kind"]), int(s["size_bytes"]), int(s["rows"]), int(s["most"]))
            for s in plain["spaces"]
        ),
        columns=tuple(
            Column(c["name"], c["dtype"], tuple(map(int, c["shape"])), int(c["offset"]), c["checksum"])
            for c in plain["columns"]
        ),
    )


def _check(table: Table, header_bytes: int, file_bytes: int, name: str) -> None:
    """Hold the table against the layout that its own counts demand, and the file against the table."""
    lengths = {column.name: column.shape[0] for column in table.columns if column.shape}
    plain = expected_columns(table, lengths.get("entries/id_text", 0), lengths.get("notes/text", 0))
    demanded = place(table, plain).columns
    if demanded != tuple(replace(column, checksum=NO_CHECKSUM) for column in table.columns):
        raise SegmentCorrupt(f"{name}: header: the columns are not those of layout version {VERSION}")
    if table.columns[0].offset != header_bytes or table.file_bytes != file_bytes:
        raise SegmentCorrupt(f"{name}: the file has {file_bytes} bytes, its header says {table.file_bytes}")
