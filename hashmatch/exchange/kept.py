"""Hashes that somebody kept, as ``hashmatch hash --json`` prints them: to be looked up again, not to be listed.

Theory of operation
-------------------
One JSON object per line, with ``path``, ``algorithm``, ``value`` and perhaps ``quality``; other keys describe the
picture and are passed over. Neighbouring lines of one path are one picture, up to a bound, beyond which the rest is
another one of that path. A line that cannot be used is a rejected row.

What this module deliberately does not do: it knows no entries and no lists.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from hashmatch.exchange import rows
from hashmatch.exchange.lines import numbered_lines
from hashmatch.exchange.rows import BadCell
from hashmatch.model import MAX_QUALITY, EntryHash, Rejected

EXPECTED: Final = "JSON Lines in UTF-8, as `hashmatch hash --json` prints them"

MAX_HASHES: Final = 256
"""Hashes of one picture: 32 frames of six algorithms and three digests are 195."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The hashes of one picture; ``line`` is the first of its lines, from 1."""

    path: str
    line: int
    hashes: tuple[EntryHash, ...]


def read(stream: BinaryIO) -> Iterator[Kept | Rejected]:
    """Read kept hashes, line by line, in order.

    Raises
    ------
    BadFile
        The file is something else altogether.

    """
    for (path, *_), some in itertools.groupby(_parsed(stream), key=_same_picture):
        if path is None:
            yield from (row for _, _, row in some if isinstance(row, Rejected))
            continue
        while chunk := [(line, row) for _, line, row in itertools.islice(some, MAX_HASHES)]:
            yield Kept(path, chunk[0][0], tuple(row for _, row in chunk if isinstance(row, EntryHash)))


_Row = tuple[str | None, int, EntryHash | Rejected]


def _same_picture(row: _Row) -> tuple[str | None, int | None]:
    """Return the path; rejected rows are by themselves."""
    path, line, _ = row
    return path, line if path is None else None


def _parsed(stream: BinaryIO) -> Iterator[_Row]:
    known = rows.algorithms_by_folded_name()
    for number, line in numbered_lines(stream, EXPECTED):
        if isinstance(line, Rejected):
            yield None, number, line
        elif line.strip():
            try:
                found = _object(line)
                path = _text(found, "path")
                algorithm = rows.parse_algorithm(_text(found, "algorithm"), known)
                value = rows.parse_value(algorithm, _text(found, "value"))
                yield path, number, EntryHash(algorithm.name, value, _quality(found.get("quality")))
            except BadCell as bad:
                yield None, number, Rejected(number, bad.field, bad.reason)


def _object(line: str) -> dict[str, object]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadCell("", f"not JSON; expected {EXPECTED}") from error
    if not isinstance(found, dict):
        raise BadCell("", f"not a JSON object; expected {EXPECTED}")
    if "error" in found:
        raise BadCell("error", f"the file was not hashed: {rows.shown(found['error'])}")
    return found


def _text(found: dict[str, object], key: str) -> str:
    text = found.get(key)
    if not isinstance(text, str):
        raise BadCell(key, "missing, or not a text" if text is None else f"{rows.shown(text)} is not a text")
    return text


def _quality(found: object) -> int | None:
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= MAX_QUALITY:
        raise BadCell("quality", f"{rows.shown(found)} is not a quality: expected a whole number from 0 to 100")
    return found
