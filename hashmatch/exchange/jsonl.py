"""JSON Lines: one object per line, an entry or a hash.

Theory of operation
-------------------
Two shapes are read, told apart by the key ``hashes``:

* an entry, which is what we write:
  ``{"entry_id": "a", "hashes": [{"algorithm": "pdq", "value": "f8f8...", "quality": 100}], "source": "x"}``;
* a flat row, one hash: ``{"algorithm": "pdq", "value": "f8f8...", "quality": 100, "entry_id": "a"}``, which is also
  what ``hashmatch hash --json`` prints. The keys in which that describes the picture are ignored, by name.

A row of either shape that is withdrawn may have no hash, and names the entry that it withdraws.

Rows of one file, next to each other, become one entry: rows without an entry_id that agree in ``path`` are given the
SHA-256 among them as their id, and the catalog joins what has one id. Without a SHA-256 each row stays an entry of its
own, since a perceptual value is no identity: flat pictures share theirs.

Keys have the names of the CSV columns. A key that is in neither list is refused with its name: a misspelt ``quality``
must not silently become "no quality". A line that cannot be read is a rejected row, and the next one is read.

What this module deliberately does not do: it reads no JSON document that spans lines.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from hashmatch.errors import BadFile
from hashmatch.exchange import rows
from hashmatch.exchange.heads import Head
from hashmatch.exchange.lines import numbered_lines
from hashmatch.exchange.rows import BadCell
from hashmatch.model import Algorithm, Entry, EntryHash, EntryStatus, Label, Opinion, Rejected

EXPECTED = "JSON Lines in UTF-8: one JSON object per line"

ENTRY_KEYS = frozenset(
    {
        "entry_id",
        "hashes",
        "labels",
        "source",
        "list_version",
        "external_id",
        "received_at",
        "terms",
        "jurisdiction",
        "status",
        "status_reason",
        "opinions",
    }
)
HASH_KEYS = frozenset({"algorithm", "value", "quality", "view"})
FLAT_KEYS = (ENTRY_KEYS - {"hashes"}) | HASH_KEYS
LABEL_KEYS = frozenset({"scheme", "version", "value"})
OPINION_KEYS = frozenset({"who", "stance", "reason", "at", "algorithm"})

TELLING_KEYS = frozenset({"algorithm", "hashes", "entry_id", "error", "path"})
"""One of these is in every line that can be read."""

IGNORED_KEYS = frozenset(
    {"path", "bits", "width", "height", "format", "frames", "frames_hashed", "frame", "degraded", "dihedral"}
)
"""How ``hashmatch hash --json`` describes the picture; no part of a list."""


IDENTIFYING_ALGORITHM = "sha256"
"""The digest that names a file."""

MAX_ROWS_PER_FILE = 1_000
"""Rows held back to find their SHA-256; eight frames of six algorithms and three digests are 51."""


def recognises(head: Head) -> bool:
    """Say whether a file begins with an object that has a key of ours which others do not use."""
    return not head.members.keys().isdisjoint(TELLING_KEYS)


def read(stream: BinaryIO) -> Iterator[Entry | Rejected]:
    """Read a list; its first line with anything on it is read before this returns.

    Parameters
    ----------
    stream : BinaryIO
        Read once, line by line, from where it stands. An empty stream is an empty list.

    Returns
    -------
    iterator of Entry or Rejected
        In file order; ``position`` is the line, from 1. An entry_id is empty where the file gives none.

    Raises
    ------
    BadFile
        The first line is not even the beginning of a JSON object.

    """
    lines = numbered_lines(stream, EXPECTED)
    for number, line in lines:
        if isinstance(line, Rejected) or line.lstrip().startswith("{"):
            return _rows(itertools.chain([(number, line)], lines))
        if line.strip():
            raise BadFile(f"line {number} begins {rows.shown(line[:40])}; expected {EXPECTED}", field="file")
    return iter(())


def _rows(lines: Iterable[tuple[int, str | Rejected]]) -> Iterator[Entry | Rejected]:
    for path, rows_of_file in itertools.groupby(_located(lines), key=operator.itemgetter(0)):
        if path is None:
            yield from (row for _, row in rows_of_file)
        while path is not None and (some := [row for _, row in itertools.islice(rows_of_file, MAX_ROWS_PER_FILE)]):
            yield from _joined(some)


def _located(lines: Iterable[tuple[int, str | Rejected]]) -> Iterator[tuple[str | None, Entry | Rejected]]:
    """Read each line; with the file that it speaks of, if it names one and no entry."""
    installed = rows.algorithms_by_folded_name()
    for number, line in lines:
        if isinstance(line, Rejected):
            yield None, line
        elif line and not line.isspace():
            path = None
            try:
                found = _object(line)
                if isinstance(found.get("path"), str) and not found.get("entry_id"):
                    path = found["path"]
                yield path, entry_of(number, found, installed)
            except BadCell as bad:
                yield path, Rejected(number, bad.field, bad.reason)


def _joined(some: Sequence[Entry | Rejected]) -> Iterator[Entry | Rejected]:
    """Give rows of one file the id of their SHA-256, if there is exactly one."""
    digests = {
        item.hex
        for row in some
        if isinstance(row, Entry)
        for item in row.hashes
        if item.algorithm == IDENTIFYING_ALGORITHM
    }
    entry_id = f"{IDENTIFYING_ALGORITHM}:{digests.pop()}" if len(digests) == 1 else ""
    for row in some:
        yield dataclasses.replace(row, entry_id=entry_id) if isinstance(row, Entry) else row


def _object(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise BadCell("", f"not a JSON object: {error.msg} at character {error.pos + 1}") from error
    except (ValueError, RecursionError) as error:  # a number of more digits than Python converts; [[[[[[...
        raise BadCell("", f"not a JSON object that an entry could be: {error}") from error
    if not isinstance(found, dict):
        raise BadCell("", f"not a JSON object: {rows.shown(line)}")
    return found


def entry_of(number: int, found: dict[str, Any], installed: Mapping[str, Algorithm]) -> Entry:
    """Return the entry of a line's object; other formats of JSON carry such objects, too.

    Raises
    ------
    BadCell
        It is none.

    """
    if "error" in found:
        detail = found.get("detail") or "no detail"
        raise BadCell("error", f"there is no hash of this file: {rows.shown(found['error'])}, {rows.shown(detail)}")
    if "hashes" in found:
        _only(found, ENTRY_KEYS, "")
        hashes = _hashes(found["hashes"], installed)
    else:
        _only(found, FLAT_KEYS | IGNORED_KEYS, "")
        hashes = () if _is_tombstone(found) else (_hash(found, installed, ""),)
    return Entry(
        _text(found, "entry_id"),
        hashes,
        _labels(found.get("labels")),
        rows.provenance(*(_text(found, name) for name in rows.PROVENANCE)),
        rows.parse_status(_text(found, "status")),
        _text(found, "status_reason"),
        _opinions(found.get("opinions")),
        number,
    )


def _is_tombstone(found: dict[str, Any]) -> bool:
    """Whether a flat row withdraws an entry without giving a hash of it."""
    return found.keys().isdisjoint(HASH_KEYS) and rows.parse_status(_text(found, "status")) is EntryStatus.WITHDRAWN


def _only(found: dict[str, Any], allowed: frozenset[str], where: str) -> None:
    if unknown := found.keys() - allowed:
        name = min(unknown)
        raise BadCell(f"{where}{name}"[:80], f"unknown key {rows.shown(name)}; known are {', '.join(sorted(allowed))}")


def _text(found: dict[str, Any], key: str, where: str = "") -> str:
    value = found.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadCell(f"{where}{key}", f"{rows.shown(value)} is no text: expected a JSON string")
    return value.strip()


def _hashes(found: object, installed: Mapping[str, Algorithm]) -> tuple[EntryHash, ...]:
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise BadCell("hashes", f"{rows.shown(found)}: expected an array of objects")
    for item in found:
        _only(item, HASH_KEYS, "hashes.")
    return tuple(_hash(item, installed, "hashes.") for item in found)


def _hash(found: dict[str, Any], installed: Mapping[str, Algorithm], where: str) -> EntryHash:
    name, text, quality = _text(found, "algorithm", where), _text(found, "value", where), found.get("quality")
    if not name or not text:
        missing = "value" if name else "algorithm"
        raise BadCell(f"{where}{missing}", "missing; a hash needs an algorithm and a value")
    if quality is not None and (not isinstance(quality, int) or isinstance(quality, bool)):
        raise BadCell(f"{where}quality", f"{rows.shown(quality)} is not a quality: expected a number from 0 to 100")
    algorithm = rows.parse_algorithm(name, installed)
    value = rows.parse_value(algorithm, text, f"{where}value")
    return EntryHash(algorithm.name, value, quality, _text(found, "view", where))


def _labels(found: object) -> tuple[Label, ...]:
    if found is None:
        return ()
    if isinstance(found, str):
        return rows.parse_labels(found)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise BadCell("labels", f"{rows.shown(found)}: expected an array of objects, or a text: {rows.LABELS_EXPECTED}")
    for item in found:
        _only(item, LABEL_KEYS, "labels.")
    return tuple(Label(*(_text(item, key, "labels.") for key in ("scheme", "version", "value"))) for item in found)


def _opinions(found: object) -> tuple[Opinion, ...]:
    if found is None:
        return ()
    if isinstance(found, str):
        return rows.parse_opinions(found)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        expected = f"expected an array of objects, or a text: {rows.OPINIONS_EXPECTED}"
        raise BadCell("opinions", f"{rows.shown(found)}: {expected}")
    return tuple(map(_opinion, found))


def _opinion(found: dict[str, Any]) -> Opinion:
    _only(found, OPINION_KEYS, "opinions.")
    who, stance, reason, at, algorithm = (
        _text(found, key, "opinions.") for key in ("who", "stance", "reason", "at", "algorithm")
    )
    moment = rows.parse_moment(at, "opinions.at")
    return Opinion(who, rows.parse_stance(stance, "opinions.stance"), reason, moment, algorithm)


def write(entries: Iterable[Entry], stream: BinaryIO) -> int:
    """Write a list, one entry per line, keys without a value left out; return the number of entries."""
    written = 0
    for number, entry in enumerate(entries, 1):
        stream.write(json.dumps(object_of(entry), ensure_ascii=False).encode() + b"\n")
        written = number
    return written


def object_of(entry: Entry) -> dict[str, Any]:
    """Inverse of :func:`entry_of`."""
    origin = entry.provenance
    facts = {
        "labels": [{"scheme": label.scheme, "version": label.version, "value": label.value} for label in entry.labels],
        "source": origin.source,
        "list_version": origin.list_version,
        "external_id": origin.external_id,
        "received_at": rows.format_moment(origin.received_at),
        "terms": origin.terms,
        "jurisdiction": origin.jurisdiction,
        "status_reason": entry.status_reason,
        "opinions": [_opinion_line(item) for item in entry.opinions],
    }
    return {
        "entry_id": entry.entry_id,
        "hashes": [_hash_line(item) for item in entry.hashes],
        "status": entry.status.value,
        **{key: value for key, value in facts.items() if value},
    }


def _hash_line(item: EntryHash) -> dict[str, Any]:
    stated = {} if item.quality is None else {"quality": item.quality}
    return {"algorithm": item.algorithm, "value": item.hex, **stated, **({"view": item.view} if item.view else {})}


def _opinion_line(item: Opinion) -> dict[str, str]:
    stated = {"reason": item.reason, "at": rows.format_moment(item.at), "algorithm": item.algorithm}
    return {"who": item.who, "stance": item.stance.value, **{key: value for key, value in stated.items() if value}}
