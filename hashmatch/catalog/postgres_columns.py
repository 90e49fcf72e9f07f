"""Columns of an import as the bytes that PostgreSQL's COPY takes: its binary format, many rows at once.

Theory of operation
-------------------
A stream is a signature, the rows, and a mark of the end. A row is the number of its fields, then each field as its
length and its bytes, numbers in network order; the length -1 stands for NULL. Where all rows have fields of the same
lengths they are one array of records, written as it lies in memory. Only ids differ in length, so ``entry_id`` is the
last field of an entry, and joined on.

Both statements name their columns in the order in which they are written here.

What this module deliberately does not do: it checks nothing; staging has.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from hashmatch.catalog.session import Place
from hashmatch.catalog.spool import Columns
from hashmatch.model import UNSTATED_QUALITY, EntryStatus

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
_END = struct.pack("!h", -1)
_NULL = -1
_ENTRY_FIELDS, _VALUE_FIELDS = 14, 5

_Records: TypeAlias = npt.NDArray[np.void]
_Field: TypeAlias = tuple[str, Any]


def of_entries(columns: Columns, place: Place) -> Iterator[bytes]:
    """Yield the stream for ``insert_spooled_entries``: an active entry that says nothing of itself, for every row."""
    numbers = (*_field("entry_key", ">i8"), *_field("set_key", ">i8"), *_field("received_at_us", ">i8"))
    status = EntryStatus.ACTIVE.value.encode()
    unsaid = _text(status) + 8 * _text(b"")
    shape = [("fields", ">i2"), *numbers, *_field("sequence", ">i8"), ("unsaid", f"V{len(unsaid)}"), ("length", ">i4")]
    heads = _records(shape, len(columns), _ENTRY_FIELDS)
    heads["entry_key"] = np.arange(place.entry_key, place.entry_key + len(columns))
    heads["set_key"] = place.set_key
    heads["received_at_us"] = place.now_us
    heads["sequence"] = np.arange(place.sequence, place.sequence + len(columns))
    heads["unsaid"] = np.void(unsaid)
    ids = list(map(str.encode, columns.ids()))
    heads["length"] = np.fromiter(map(len, ids), dtype=np.int32, count=len(columns))
    yield _SIGNATURE
    yield b"".join(itertools.chain.from_iterable(zip(_bytes(heads), ids, strict=True)))
    yield _END


def of_values(columns: Columns, place: Place) -> Iterator[bytes]:
    """Yield the stream for ``insert_spooled_values``: rows with a quality, then rows without."""
    keys = np.arange(place.entry_key, place.entry_key + len(columns))
    stated = columns.qualities != UNSTATED_QUALITY
    yield _SIGNATURE
    for has in (True, False):
        rows = np.flatnonzero(stated == has)
        if len(rows):
            quality = _field("quality", ">i4") if has else (("no_quality", ">i4"),)
            records = _values(columns, rows, quality)
            records["entry_key"] = keys[rows]
            if has:
                records["quality"] = columns.qualities[rows]
            else:
                records["no_quality"] = _NULL
            yield records.tobytes()
    yield _END


def _values(columns: Columns, rows: npt.NDArray[np.int64], quality: tuple[_Field, ...]) -> _Records:
    """Return records whose key and quality are still to be filled in."""
    algorithm = _text(columns.algorithm.encode())
    size = columns.values.shape[1]
    key, value = _field("entry_key", ">i8"), _field("value", f"V{size}")
    shape = [("fields", ">i2"), *key, *quality, ("algorithm", f"V{len(algorithm)}"), *value, ("no_view", ">i4")]
    records = _records(shape, len(rows), _VALUE_FIELDS)
    records["algorithm"] = np.void(algorithm)
    records["value"] = np.ascontiguousarray(columns.values[rows]).view(f"V{size}").ravel()
    return records


def _field(name: str, kind: str) -> tuple[_Field, _Field]:
    """Name a field's length and the field; ``_records`` fills in the length."""
    return (f"{name} length", ">i4"), (name, kind)


def _records(shape: list[_Field], count: int, fields: int) -> _Records:
    records: _Records = np.zeros(count, dtype=np.dtype(shape))
    records["fields"] = fields
    for name, _ in shape:
        if name.endswith(" length"):
            records[name] = records.dtype[name.removesuffix(" length")].itemsize
    return records


def _text(data: bytes) -> bytes:
    return struct.pack("!i", len(data)) + data


def _bytes(records: _Records) -> list[bytes]:
    """Return each record as bytes."""
    found: list[bytes] = records.view(f"V{records.dtype.itemsize}").tolist()
    return found
