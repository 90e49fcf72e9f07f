"""What was found, as the documents under the Digital Services Act and Annex III tell it, and how JSON is written.

Theory of operation
-------------------
A match is told by its list, the list's version, the algorithm, the distance and what was undone before: enough to weigh
it and to ask whoever keeps the list. Of hashes only those of the file itself are told: digests that identify it
exactly. Values of a list are not, nor the ids of its entries, nor perceptual hashes, which lie near them.

Documents are bytes that depend on their contents only: keys in the order in which the projection writes them, two
spaces, UTF-8, one newline at the end.

What this module deliberately does not do: it judges nothing.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from hashmatch.model import Verdict
from hashmatch.model.cases import Case, CaseMatch, Problem

MAX_URL: Final = 2_083
"""Characters of an address: the longest that all of those who take reports accept."""

EXACT: Final = ("sha256", "sha1", "md5")
"""Algorithms that identify a file, the strongest first."""

_VERDICTS: Final[Mapping[Verdict, str]] = {
    Verdict.MATCH: "a match",
    Verdict.POSSIBLE_MATCH: "a possible match, which a person has to look at",
    Verdict.NO_MATCH: "too far for a match",
    Verdict.NOT_CHECKED: "not judged",
}


def to_bytes(document: Mapping[str, Any]) -> bytes:
    """Return a document as it is sent."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def stamp(at: dt.datetime) -> str:
    """Return a time with its zone, to the second, as in RFC 3339."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def without_empty(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document without the fields that say nothing: empty texts, lists and objects, and None."""
    return {name: value for name, value in document.items() if value is not None and value not in ("", [], {})}


def matches(case: Case) -> list[dict[str, Any]]:
    """Return the matches, the nearest first."""
    return [
        {
            "list": match.list_name,
            "list_version": match.list_version,
            "algorithm": match.algorithm,
            "distance": match.distance,
            "max_distance": match.max_distance,
            "transformation": match.transformation,
            "verdict": match.verdict.value,
        }
        for match in _nearest_first(case.matches)
    ]


def digests(case: Case) -> dict[str, str]:
    """Return the digests of the file itself, by algorithm."""
    values = {item.algorithm: item.hex for item in case.hashes}
    return {name: values[name] for name in EXACT if name in values}


def media(case: Case) -> dict[str, Any]:
    """Return what is known of the file, its digests included."""
    file = case.media
    return without_empty(
        {
            "kind": file.kind,
            "mime_type": file.mime,
            "size_bytes": file.size_bytes or None,
            "width_px": file.width_px or None,
            "height_px": file.height_px or None,
            "file_name": file.file_name,
            "uploaded_at": None if file.uploaded_at is None else stamp(file.uploaded_at),
            "created_with_ai": file.created_with_ai or None,
            "digests": digests(case),
        }
    )


def explanation(case: Case) -> str:
    """Return what was found and how, in sentences."""
    sentences = [_sentence(match) for match in _nearest_first(case.matches)]
    if sentences:
        sentences.insert(0, "The file was compared, by its hashes, with lists of known material.")
    seen = "A person has seen it." if case.viewed_by_human else "No person has seen it."
    return " ".join([*sentences, seen])


def url_problems(field: str, url: str, most: int = MAX_URL) -> Iterator[Problem]:
    """Yield what is wrong with an address of the web."""
    if len(url) > most:
        yield Problem(field, "length", f"{len(url)} characters are too many; at most {most}")
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound or not url.isprintable() or " " in url:
        yield Problem(field, "address", f"{url[:80]!r} is no address: expected https://host/path")


def required(texts: Iterable[tuple[str, str, str]]) -> Iterator[Problem]:
    """Yield texts that are missing, given field, text and why it is needed."""
    for field, text, why in texts:
        if not text.strip():
            yield Problem(field, "required", why)


def text_problems(case: Case) -> Iterator[Problem]:
    """Yield texts anywhere in the case that no document could hold: half a surrogate pair is no text in UTF-8."""
    for field, text in _texts("", case):
        try:
            text.encode()
        except UnicodeEncodeError:
            yield Problem(field, "characters", "holds half a surrogate pair, which is no text")


def _texts(field: str, value: object) -> Iterator[tuple[str, str]]:
    """Every text in a value of the model, with its dotted name."""
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _texts(f"{field}[{index}]", item)
    elif dataclasses.is_dataclass(value):
        for part in dataclasses.fields(value):
            yield from _texts(f"{field}.{part.name}".lstrip("."), getattr(value, part.name))


def _nearest_first(found: Iterable[CaseMatch]) -> list[CaseMatch]:
    return sorted(found, key=lambda match: (match.distance, match.list_name, match.algorithm, match.transformation))


def _sentence(match: CaseMatch) -> str:
    undone = "" if match.transformation in {"", "orig"} else f", after the transformation {match.transformation}"
    return (
        f"{match.algorithm} met an entry of the list {match.list_name!r}, version {match.list_version}, at distance "
        f"{match.distance} of at most {match.max_distance}{undone}: {_VERDICTS[match.verdict]}."
    )
