"""One record of a ledger: its only text, and its digest.

Theory of operation
-------------------
A record is one line of RFC 8785 canonical JSON with five members: ``seq`` counts from 0 without a gap, ``previous`` is
the digest of the record before (64 zeros at the start of a ledger), ``at`` the time in UTC with microseconds, ``kind``
says what it records and ``body`` is the rest. A document has exactly one canonical text, so a line that reads the same
and is written otherwise is not this record.

The digest of a record is SHA-256 over the byte 0x00 and its line without the line feed: 0x00 marks a leaf, as in
RFC 6962, so that no digest made here can stand for one of a tree's nodes.

Canonical text is made by the standard library's encoder where that gives the same bytes as the general algorithm in a
fifth of the time: whole numbers, text, and member names in ASCII, whose order is the same by code points as by UTF-16
units. Everything else goes through ``rfc8785``. tests/property/test_ledger.py holds the two together.

What this module deliberately does not do: it does not know which record came before; ``chain`` does.

Source: RFC 8785 (JSON Canonicalization Scheme); RFC 6962, section 2.1 (prefixes).
"""

from __future__ import annotations

import datetime as dt
import enum
import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

import rfc8785

from hashmatch.errors import BadInput

MAX_LINE_BYTES: Final = 1 << 20
"""Longest line, in bytes; the evidence of a page with its headers has a hundredth of that."""

MAX_BODY_BYTES: Final = MAX_LINE_BYTES - 1_024
"""Longest body, in bytes: the rest of a line has 300."""

GENESIS: Final = "0" * 64
"""What the first record of a ledger has for ``previous``."""

RESERVED: Final = "ledger."
"""Kinds that only the ledger itself writes begin so."""

MAX_INTEGER: Final = (1 << 53) - 1
"""RFC 8785 knows numbers as doubles; larger integers would not survive."""

_LEAF: Final = b"\x00"
_MEMBERS: Final = frozenset({"seq", "previous", "at", "kind", "body"})
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_KIND: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_AS_THEY_ARE: Final = frozenset({str, bool, type(None)})
_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


class Flaw(enum.StrEnum):
    """Why a line is no record."""

    TOO_LONG = "too_long"
    MALFORMED = "malformed"
    NOT_CANONICAL = "not_canonical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record as it was read. ``at`` is RFC 3339 in UTC, which sorts as text."""

    seq: int
    previous: str
    at: str
    kind: str
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a record is in its ledger, once it is on the disk."""

    seq: int
    digest: str


def canonical(document: object) -> bytes:
    """Return the one JSON text of a document.

    Parameters
    ----------
    document : object
        Dictionaries with text keys, lists, tuples, text, numbers, booleans and None.

    Raises
    ------
    BadInput
        It has no such text: another type, a whole number beyond :data:`MAX_INTEGER`, one that is not finite, or text
        that is not Unicode.

    """
    try:
        if _plain(document):
            return _encode(document).encode()
        text = rfc8785.dumps(document)  # type: ignore[arg-type]
        return rfc8785.dumps(json.loads(text))  # the double 2**53 is written as an integer that may not be read
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise BadInput(f"a record cannot hold this: {error}", field="body") from error


def encode(record: Record) -> bytes:
    """Return the line of a record, without line feed: the inverse of :func:`decode`.

    Raises
    ------
    BadInput
        The body has no canonical text or is too long.

    """
    return line_of(canonical(record.body), seq=record.seq, previous=record.previous, at=record.at, kind=record.kind)


def body_text(body: Mapping[str, object]) -> bytes:
    """Return the canonical text of a body.

    Raises
    ------
    BadInput
        It has none, or is too long for a record.

    """
    text = canonical(body if isinstance(body, dict) else dict(body))
    if len(text) > MAX_BODY_BYTES:
        raise BadInput(f"a body of {len(text)} bytes is too long; at most {MAX_BODY_BYTES}", field="body")
    return text


def line_of(text: bytes, *, seq: int, previous: str, at: str, kind: str) -> bytes:
    """Return the line of a record whose body has the given text: its members in the order of their names.

    The other members have forms in which there is nothing to escape: :func:`time_text`, :func:`digest`,
    :func:`checked_kind` or a kind of the ledger's own.

    Raises
    ------
    BadInput
        The line is too long.

    """
    line = b'{"at":"%b","body":%b,"kind":"%b","previous":"%b","seq":%d}' % (
        at.encode(), text, kind.encode(), previous.encode(), seq
    )  # fmt: skip
    if len(line) > MAX_LINE_BYTES:
        raise BadInput(f"a record of {len(line)} bytes is too long; at most {MAX_LINE_BYTES}", field="body")
    return line


def decode(untrusted_line: bytes) -> Record | Flaw:
    """Return the record of a line without its line feed, or why there is none."""
    if len(untrusted_line) > MAX_LINE_BYTES:
        return Flaw.TOO_LONG
    try:
        document = json.loads(untrusted_line.decode("utf-8"), parse_constant=_refused)
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        return Flaw.MALFORMED
    record = _record(document)
    if record is None:
        return Flaw.MALFORMED
    try:
        return record if canonical(document) == untrusted_line else Flaw.NOT_CANONICAL
    except BadInput:
        return Flaw.NOT_CANONICAL


def digest(line: bytes) -> str:
    """Return the digest of a line, 64 hex digits."""
    return hashlib.sha256(_LEAF + line).hexdigest()


def time_text(ns: int) -> str:
    """Return a time, in nanoseconds since 1970, as records have it; cut to microseconds."""
    seconds, microseconds = divmod(ns // 1_000, 1_000_000)
    return f"{_second_text(seconds)}.{microseconds:06d}Z"


@functools.lru_cache(4)
def _second_text(seconds: int) -> str:
    return (_EPOCH + dt.timedelta(seconds=seconds)).isoformat(timespec="seconds")[:-6]


def checked_kind(kind: str) -> str:
    """Return the kind of a caller's record.

    Raises
    ------
    BadInput
        It is not of the form of a kind, or is the ledger's own.

    """
    if not _KIND.fullmatch(kind) or kind.startswith(RESERVED):
        raise BadInput(
            f"{kind!r} is no kind of record: expected lower-case letters, digits, '.', '_' and '-', at most 64, "
            f"not beginning with {RESERVED!r}",
            field="kind",
        )
    return kind


def _record(document: object) -> Record | None:
    """Return the record that a document is."""
    if not isinstance(document, dict) or document.keys() != _MEMBERS:
        return None
    seq, body = document["seq"], document["body"]
    fits = (
        type(seq) is int
        and 0 <= seq <= MAX_INTEGER
        and _is(_DIGEST, document["previous"])
        and _is(_TIME, document["at"])
        and _is(_KIND, document["kind"])
        and isinstance(body, dict)
    )
    return Record(**document) if fits else None


def _plain(value: object) -> bool:
    """Whether the standard encoder gives the canonical text of a value; asked of every value of every record."""
    if type(value) in _AS_THEY_ARE:
        return True
    if isinstance(value, int):
        return -MAX_INTEGER <= value <= MAX_INTEGER
    if isinstance(value, dict):
        return _all_plain(value.values()) and all(type(key) is str and key.isascii() for key in value)
    return isinstance(value, list | tuple) and _all_plain(value)


def _all_plain(values: Iterable[object]) -> bool:
    for value in values:  # noqa: SIM110  a third of the time of all() over a generator
        if type(value) is not str and not _plain(value):
            return False
    return True


def _is(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
