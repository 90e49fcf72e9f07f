"""Texts to the parts of an entry and back: what CSV and JSON Lines have in common.

Theory of operation
-------------------
Each ``parse_*`` takes a text from a cell or a string from JSON and returns the value or raises :class:`BadCell` with
the field and what would be right; the readers turn that into a rejected row. What is bounded elsewhere (lengths,
control characters, values that match everything) is not checked here: the catalog holds every way in to the same rules.

Labels are written ``scheme/version=value``, several joined by ``;``, the version left out with its slash when it is
empty. ``%``, ``/``, ``=``, ``;`` inside a part, and a space at its edge, are percent-encoded (RFC 3986), so every label
can be written and reads back the same. Opinions are written likewise, ``who/algorithm=stance``; why and since when
have no place in such a text.

What this module deliberately does not do: it reads no file.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import unquote

from hashmatch.errors import BadHash, BadInput
from hashmatch.exchange.values import in_other_notation
from hashmatch.hashing.algorithms import table
from hashmatch.model import Algorithm, EntryHash, EntryStatus, Label, Opinion, Provenance, Stance

LABELS_EXPECTED = "expected scheme=value or scheme/version=value, several joined by ;"
OPINIONS_EXPECTED = "expected who=agree, who=disagree or who/algorithm=agree, several joined by ;"

SHOWN_CHARS = 60
"""How much of a stranger's text a message repeats."""

_RESERVED = re.compile(r"[%/=;]|^\s|\s$")
_ENCODED = re.compile(r"%(?![0-9A-Fa-f]{2})")
_OTHER_NAMES = {"photodnahash": "photodna"}
"""Folded names under which lists hold values of an algorithm, besides its own."""
_STATUSES: Mapping[str, EntryStatus] = {status.value: status for status in EntryStatus}
_STANCES: Mapping[str, Stance] = {stance.value: stance for stance in Stance}


class BadCell(Exception):
    """One part of a row cannot be read; carries the field and the reason. Never leaves ``exchange``."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


def shown(text: object) -> str:
    """Return a stranger's text for a message: quoted, on one line, cut after 60 characters."""
    quoted = ascii(text)
    return quoted if len(quoted) <= SHOWN_CHARS else f"{quoted[:SHOWN_CHARS]}..."


def folded(name: str) -> str:
    """Return a column or algorithm name without case, dashes, underscores and spaces: ``SHA-1`` is ``sha1``."""
    return re.sub(r"[-_\s]", "", name).lower()


def algorithms_by_folded_name() -> dict[str, Algorithm]:
    """Return the algorithm table by folded names."""
    by_name = {folded(name): algorithm for name, algorithm in table().items()}
    return {**{other: by_name[name] for other, name in _OTHER_NAMES.items()}, **by_name}


def parse_algorithm(text: str, known: Mapping[str, Algorithm]) -> Algorithm:
    """Return the algorithm of a name in any spelling.

    Raises
    ------
    BadCell
        None of that name is installed.

    """
    algorithm = known.get(folded(text))
    if algorithm is None:
        raise BadCell("algorithm", f"{shown(text)} is not installed; known are {', '.join(sorted(table()))}")
    return algorithm


def parse_value(algorithm: Algorithm, text: str, field: str = "value") -> bytes:
    """Return the value of a text in hex, base64 or, of SHA-1, base32; its length says which (``exchange/values.py``).

    Raises
    ------
    BadCell
        The text is not a value of the algorithm.

    """
    try:
        return algorithm.parse(text)
    except BadHash as error:
        value = in_other_notation(algorithm, text)
        if value is None:
            raise BadCell(field, f"{error.message}, or base64") from error
        return value


@functools.lru_cache(maxsize=256)
def parse_quality(text: str) -> int | None:
    """Return a quality, None for a blank text.

    Raises
    ------
    BadCell
        Not a whole number of at most three digits.

    """
    if not text:
        return None
    if len(text) > len("100") or not (text.isascii() and text.isdecimal()):
        raise BadCell("quality", f"{shown(text)} is not a quality: expected a whole number from 0 to 100")
    return int(text)


def parse_status(text: str) -> EntryStatus:
    """Return a status; blank is active.

    Raises
    ------
    BadCell
        No such status.

    """
    if not text:
        return EntryStatus.ACTIVE
    status = _STATUSES.get(text.lower())
    if status is None:
        raise BadCell("status", f"{shown(text)} is no status: expected {', '.join(_STATUSES)}")
    return status


def parse_moment(text: str, field: str = "received_at") -> dt.datetime | None:
    """Return a time in UTC, None for a blank text.

    Raises
    ------
    BadCell
        Not ISO 8601, or without a time zone.

    """
    if not text:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(dt.UTC)
    except (ValueError, OverflowError) as error:
        reason = f"{shown(text)} is not a time: expected ISO 8601 with a zone, e.g. 2026-01-31T12:00:00Z"
        raise BadCell(field, reason) from error
    raise BadCell(field, f"{shown(text)} has no time zone; append Z for UTC")


def format_moment(moment: dt.datetime | None) -> str:
    """Inverse of :func:`parse_moment`."""
    return "" if moment is None else moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


@functools.lru_cache(maxsize=1_024)
def parse_labels(text: str) -> tuple[Label, ...]:
    """Return the labels of a text.

    Raises
    ------
    BadCell
        A label has no ``=``, no scheme or no value, or a percent sign that encodes nothing.

    """
    return tuple(Label(*_parts(part, "labels", "label", LABELS_EXPECTED)) for part in _items(text))


def stated_labels(texts: Iterable[str]) -> tuple[Label, ...]:
    """Return the labels that a person stated, for all rows alike.

    Raises
    ------
    BadInput
        As :func:`parse_labels` says.

    """
    try:
        return tuple(label for text in texts for label in parse_labels(text))
    except BadCell as bad:
        raise BadInput(bad.reason, field=bad.field) from bad


def _items(text: str) -> Iterator[str]:
    return (part.strip() for part in text.split(";") if part.strip())


def _parts(text: str, field: str, what: str, expected: str) -> tuple[str, str, str]:
    """Return what stands before the slash, between it and the equals sign, and after that."""
    left, equals, value = text.partition("=")
    name, _, detail = left.partition("/")
    if not equals or not name or not value or "=" in value or "/" in detail or _ENCODED.search(text):
        raise BadCell(field, f"{shown(text)} is no {what}: {expected}; inside a part write % / = ; as %25 ...")
    try:
        return unquote(name, errors="strict"), unquote(detail, errors="strict"), unquote(value, errors="strict")
    except UnicodeDecodeError as error:
        raise BadCell(field, f"{shown(text)}: the percent-encoded bytes are not UTF-8") from error


def format_labels(labels: Iterable[Label]) -> str:
    """Inverse of :func:`parse_labels`."""
    return ";".join(_format_parts(label.scheme, label.version, label.value) for label in labels)


@functools.lru_cache(maxsize=256)
def parse_opinions(text: str) -> tuple[Opinion, ...]:
    """Return the opinions of a text, without reasons and dates.

    Raises
    ------
    BadCell
        An opinion has no ``=``, no party or no stance that there is, or a percent sign that encodes nothing.

    """
    parts = (_parts(part, "opinions", "opinion", OPINIONS_EXPECTED) for part in _items(text))
    return tuple(Opinion(who, parse_stance(stance), algorithm=algorithm) for who, algorithm, stance in parts)


def parse_stance(text: str, field: str = "opinions") -> Stance:
    """Return a stance.

    Raises
    ------
    BadCell
        No such stance.

    """
    stance = _STANCES.get(text.lower())
    if stance is None:
        raise BadCell(field, f"{shown(text)} is no stance: expected {', '.join(_STANCES)}")
    return stance


def format_opinions(opinions: Iterable[Opinion]) -> str:
    """Inverse of :func:`parse_opinions`; reasons and dates are left out."""
    return ";".join(_format_parts(item.who, item.algorithm, item.stance.value) for item in opinions)


def _format_parts(name: str, detail: str, value: str) -> str:
    return f"{_encoded(name)}{'/' if detail else ''}{_encoded(detail)}={_encoded(value)}"


def _encoded(part: str) -> str:
    return _RESERVED.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), part)


def spread_quality(values: Sequence[tuple[Algorithm, bytes]], quality: int | None) -> tuple[EntryHash, ...]:
    """Return a row's hashes with the row's one quality given to whom it belongs.

    A single hash takes it; of several, those whose algorithm has a quality do.

    Raises
    ------
    BadCell
        No hash, or a quality that belongs to none of them.

    """
    if not values:
        raise BadCell("value", "the row holds no hash")
    if len(values) == 1 or quality is None:
        return tuple(EntryHash(algorithm.name, value, quality) for algorithm, value in values)
    if not any(algorithm.has_quality for algorithm, _ in values):
        raise BadCell("quality", "none of the row's algorithms has a quality; leave the cell blank")
    return tuple(
        EntryHash(algorithm.name, value, quality if algorithm.has_quality else None) for algorithm, value in values
    )


def spread_view(hashes: Sequence[EntryHash], view: str, exact: frozenset[str]) -> tuple[EntryHash, ...]:
    """Return a row's hashes with the row's one view given to those computed from pixels.

    Raises
    ------
    BadCell
        None of them is: a value that is compared by equality is of the whole file.

    """
    if all(item.algorithm in exact for item in hashes):
        raise BadCell("view", "none of the row's hashes is computed from pixels; leave the cell blank")
    return tuple(item if item.algorithm in exact else dataclasses.replace(item, view=view) for item in hashes)


@functools.lru_cache(maxsize=1_024)
def provenance(*texts: str) -> Provenance:
    """Return where a row comes from, its texts in the order of ``PROVENANCE``; neighbouring rows get the same object.

    Raises
    ------
    BadCell
        ``received_at`` is not a time.

    """
    source, list_version, external_id, received_at, terms, jurisdiction = texts
    return Provenance(source, list_version, external_id, parse_moment(received_at), terms, jurisdiction)


PROVENANCE = ("source", "list_version", "external_id", "received_at", "terms", "jurisdiction")
"""Arguments of :func:`provenance`, by the names that they have in files."""

UNSTATED = Provenance()
"""Where rows come from that do not say so."""
