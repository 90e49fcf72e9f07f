"""Evidence read again: verified, looked up by digest, held against a job, and handed out.

Theory of operation
-------------------
Evidence is a ledger, in its directory or exported as one file of JSON Lines, line by line the same bytes; either is
verified by the ledger's own rules (``ledger.chain``). The digest of a record is SHA-256 over the byte 0x00 and its
line, so a record is found by reading through, and nothing that could disagree with the ledger is kept beside it.

A job's rows name the digests of their records. :func:`compared` finds rows whose record is not there, and rows that say
something else than their record does: each is a :class:`Mismatch`.

What this module deliberately does not do: it writes nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hashmatch.errors import BadInput
from hashmatch.hotline.proof.evidence import KIND
from hashmatch.ledger import Finding, Record, Summary, verified
from hashmatch.ledger.chain import SEGMENT, Line, verify
from hashmatch.ledger.files import segments
from hashmatch.ledger.records import MAX_LINE_BYTES, Flaw, decode, digest
from hashmatch.model.hotline import Item
from hashmatch.signatures import VerifyKey

LEAST_PREFIX: Final = 8
"""Hex digits of a digest that name a record."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A record of evidence with its digest and its line, which is canonical JSON without line feed."""

    digest: str
    record: Record
    line: bytes


class Disagreement(enum.StrEnum):
    """How a row of a job and the evidence disagree."""

    NO_RECORD = "no_record"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A row of a job that its evidence does not bear out. ``position`` counts rows of a submission from 0."""

    kind: Disagreement
    number: int
    position: int
    digest: str
    detail: str


def checked(
    place: Path, *, keys: Sequence[VerifyKey] = (), against: Sequence[Path] = ()
) -> tuple[Summary, Iterator[Finding]]:
    """Verify evidence; the summary is complete when the findings have been taken.

    Parameters
    ----------
    place : Path
        Directory of the ledger, or a file that was exported.
    keys : sequence of VerifyKey
        Whose heads are believed; without any, those that the evidence names itself.
    against : sequence of Path
        Files of heads that were kept elsewhere.

    Raises
    ------
    BadInput
        Something cannot be read.

    """
    if place.is_dir():
        return verified(place, keys=keys, against=against)
    summary = Summary()
    heads = [_lines(path) for path in against]
    return summary, verify(_opening(_lines(place)), heads, summary, keys)


def read(place: Path) -> Iterator[Kept]:
    """Yield the records of evidence, in order, not verified; what is no record is passed over, as ``checked`` names it.

    Raises
    ------
    BadInput
        Something cannot be read.

    """
    for line in lines(place):
        kept = _kept(line)
        if kept is not None:
            yield kept


def lines(place: Path) -> Iterator[bytes]:
    """Yield every line that ends, of a directory's segments or of an exported file, without its line feed."""
    try:
        files = [path for _, path in segments(place)] if place.is_dir() else [place]
    except OSError as error:
        raise BadInput(f"cannot read the evidence {place}: {error.strerror}", field="evidence") from error
    for path in files:
        for line in _lines(path):
            if not line.torn:
                yield line.data


def found(place: Path, name: str) -> Kept:
    """Return the record of a digest, or of the beginning of one.

    Raises
    ------
    BadInput
        No record has it, or several have; or it is too short.

    """
    prefix = name.lower()
    if len(prefix) < LEAST_PREFIX or not set(prefix) <= set("0123456789abcdef"):
        raise BadInput(f"{name[:80]!r} names no record: expected {LEAST_PREFIX} to 64 hex digits", field="digest")
    having = [kept for line in lines(place) if digest(line).startswith(prefix) and (kept := _kept(line)) is not None]
    if len(having) != 1:
        count = "no record" if not having else f"{len(having)} records"
        raise BadInput(f"{count} in {place} begins with {prefix}", field="digest")
    return having[0]


def _kept(line: bytes) -> Kept | None:
    untrusted = decode(line)
    return None if isinstance(untrusted, Flaw) or untrusted.kind != KIND else Kept(digest(line), untrusted, line)


def compared(place: Path, rows: Iterable[tuple[int, Item]]) -> Iterator[Mismatch]:
    """Hold rows of a job, each with its position in its submission, against their records.

    Held in memory is what the rows say in short, not the evidence.
    """
    expected: dict[str, list[tuple[int, int, Mapping[str, object]]]] = {}
    for position, item in rows:
        if item.evidence:
            expected.setdefault(item.evidence, []).append((item.number, position, told(item)))
    for kept in read(place):
        for number, position, says in expected.pop(kept.digest, ()):
            for name, value in says.items():
                recorded = _at(kept.record.body, name)
                if recorded != value:
                    detail = f"{name} is {value!r} in the job and {recorded!r} in the evidence"
                    yield Mismatch(Disagreement.DIFFERS, number, position, kept.digest, detail)
    for missing, those in expected.items():
        for number, position, _ in those:
            yield Mismatch(Disagreement.NO_RECORD, number, position, missing, "the evidence has no such record")


def told(item: Item) -> dict[str, object]:
    """Return what a row says that its record must say, too, by the dotted name of the record's member."""
    digests = item.report.digests if item.report else None
    return {
        "reported.number": item.number,
        "request.url": item.url,
        "request.page_url": item.page_url,
        "response.outcome": item.outcome.value,
        "body.sha256": digests.sha256.hex() if digests else None,
        "decision.verdict": item.report.verdict.value if item.report else None,
    }


def _at(body: Mapping[str, object], dotted: str) -> object:
    value: object = body
    for name in dotted.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _opening(given: Iterable[Line]) -> Iterator[Line]:
    """Let each line that opens a segment open one: in one file, nothing but the record says so."""
    for line in given:
        untrusted = decode(line.data)
        opens = -1 if isinstance(untrusted, Flaw) or untrusted.kind != SEGMENT else untrusted.seq
        yield Line(line.where, line.number, line.data, torn=line.torn, opens=opens)


def _lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a file; one that is longer than any record is cut there and no record."""
    try:
        with path.open("rb") as stream:
            number, whole = 0, True
            while raw := stream.readline(MAX_LINE_BYTES + 2):
                ends = raw.endswith(b"\n")
                if whole:
                    number += 1
                    yield Line(path.name, number, raw.removesuffix(b"\n"), torn=not ends and len(raw) <= MAX_LINE_BYTES)
                whole = ends
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", field="evidence") from error
