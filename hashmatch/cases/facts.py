"""What only the caller knows, and how it becomes a case together with what the service found."""

from __future__ import annotations

import datetime as dt
import enum
import json
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Final

from hashmatch.errors import BadReceipt, BadReport
from hashmatch.model import MATCHED, HarmDomain, Hit, MatchReport
from hashmatch.model.cases import Case, CaseHash, CaseMatch, CaseMedia, Facts, Keep, Problem, Subject
from hashmatch.projections.basis import refuse, time_problems
from hashmatch.report.plain import to_plain

EARLIEST: Final = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)
"""Nothing that is reported here happened before there was a Web."""

CLASSIFICATIONS: Final = ("A1", "A2", "B1", "B2", "baseline")
"""NCMEC's scheme, and INTERPOL's baseline, which XARF and hotlines know; a format that has it not refuses it."""
MAX_TEXT: Final = 20_000
"""Characters of any one text; formats have narrower limits of their own."""
MAX_ITEMS: Final = 1_000
"""Of any list, addresses among them: one picture on a thousand pages is the worst that hotlines report."""
MAX_BYTES: Final = 512 << 10
"""Of facts as JSON: every list at a length that was ever seen, and texts of pages; a case usually has 2 kB."""
MAX_PORT: Final = 65_535

MIME: Final[Mapping[str, str]] = types.MappingProxyType(
    {
        "JPEG": "image/jpeg",
        "PNG": "image/png",
        "GIF": "image/gif",
        "WEBP": "image/webp",
        "BMP": "image/bmp",
        "TIFF": "image/tiff",
        "AVIF": "image/avif",
        "ICO": "image/vnd.microsoft.icon",
    }
)
"""Decoded format to media type."""


def compose(case_id: str, facts: Facts, report: MatchReport, receipt_id: str, now: dt.datetime) -> Case:
    """Make a case of what the service found and what the caller says.

    Parameters
    ----------
    case_id : str
        Its id.
    facts : Facts
        The caller's half.
    report : MatchReport
        From a receipt that was verified.
    receipt_id : str
        Names that receipt.
    now : datetime
        UTC.

    Raises
    ------
    BadReceipt
        The report has no match in the case's domain.
    BadReport
        A fact breaks a rule; the message names all such, ``field`` the first.

    """
    matches = tuple(_match(hit) for hit in report.hits if hit.verdict in MATCHED)
    domain = _domain(facts, matches)
    refuse(tuple(problems(facts, report, now)), "the case cannot be opened")
    return Case(
        case_id=case_id,
        domain=domain,
        observed_at=facts.observed_at or report.created_at,
        created_at=now,
        media=_media(facts, report),
        hashes=_hashes(report),
        matches=tuple(match for match in matches if match.domain is domain),
        receipt_id=receipt_id,
        generation=report.generation,
        **{name: getattr(facts, name) for name in _AS_SAID},
    )


_AS_SAID: Final = {one.name for one in fields(Facts)} & {one.name for one in fields(Case)} - {"domain", "observed_at"}
"""Fields that a case takes over from the facts as they are."""


def problems(facts: Facts, report: MatchReport, now: dt.datetime) -> Iterator[Problem]:
    """Yield what no report of any format could carry."""
    yield from _time_problems(facts, now)
    if facts.exif_viewed and not facts.viewed_by_human:
        yield Problem("viewed_by_human", "viewed", "whoever viewed the EXIF data viewed the file; set both")
    if not facts.locator.urls and not facts.locator.content_ref:
        yield Problem("locator", "locator", "give at least one URL, or a content_ref of your own")
    if facts.classification and facts.classification not in CLASSIFICATIONS:
        told = f"{facts.classification[:20]!r} is none of {', '.join(CLASSIFICATIONS)}"
        yield Problem("classification", "scheme", told)
    if facts.keep_subject is not Keep.CALL and facts.subject is None:
        yield Problem("keep_subject", "subject", "there is no subject to be kept")
    if report.digests is None and not report.hashes:
        yield Problem("receipt", "hashes", "the match report holds no hash of the file")
    yield from size_problems(facts)


def size_problems(said: Facts | Subject, where: str = "") -> Iterator[Problem]:
    """Yield what is over a limit of what is kept, or empty though it must not be: the same however it came here."""
    size = len(json.dumps(to_plain(said)))
    if size > MAX_BYTES:
        yield Problem(where or "facts", "size", f"{size} bytes of JSON are too many; at most {MAX_BYTES}")
        return
    yield from _part_problems(said, where)


def _part_problems(value: object, where: str) -> Iterator[Problem]:
    match value:
        case enum.Enum():
            return
        case str() if len(value) > MAX_TEXT:
            yield Problem(where, "length", f"{len(value)} characters are too many; at most {MAX_TEXT}")
        case tuple() if len(value) > MAX_ITEMS:
            yield Problem(where, "length", f"{len(value)} are too many; at most {MAX_ITEMS}")
        case tuple():
            for number, item in enumerate(value):
                yield from _part_problems(item, f"{where}[{number}]")
        case _ if is_dataclass(value):
            for item in fields(value):
                name = f"{where}.{item.name}" if where else item.name
                inner = getattr(value, item.name)
                if inner == "" and item.default is MISSING:
                    yield Problem(name, "required", "is required, and must not be empty")
                if item.name == "port" and inner is not None and not 0 < inner <= MAX_PORT:
                    yield Problem(name, "port", f"{inner} is not within 1 and {MAX_PORT}")
                yield from _part_problems(inner, name)


def _time_problems(facts: Facts, now: dt.datetime) -> Iterator[Problem]:
    decision = facts.decision
    times = {
        "occurred_at": facts.occurred_at,
        "observed_at": facts.observed_at,
        "uploaded_at": facts.uploaded_at,
        "decision.decided_at": None if decision is None else decision.decided_at,
        "decision.account_at": None if decision is None else decision.account_at,
    }
    for name, at in times.items():
        yield from time_problems(((name, at),), now)
        if at is not None and at < EARLIEST:
            yield Problem(name, "past", f"{at.isoformat()} is before {EARLIEST.year}")


def _domain(facts: Facts, matches: tuple[CaseMatch, ...]) -> HarmDomain:
    found = {match.domain for match in matches}
    if not found:
        raise BadReceipt("receipt: the match report holds no match; there is nothing to report", field="receipt")
    names = ", ".join(sorted(domain.value for domain in found))
    if facts.domain is None:
        if len(found) > 1:
            raise BadReport(f"domain: the matches are in lists of {names}; say which the case is of", field="domain")
        return next(iter(found))
    if facts.domain not in found:
        raise BadReceipt(
            f"domain: the matches are in lists of {names}, none of {facts.domain.value}; a case cannot claim a match "
            "that was not made",
            field="domain",
        )
    return facts.domain


def _match(hit: Hit) -> CaseMatch:
    entry = hit.entry
    return CaseMatch(
        list_name=entry.set_name,
        list_id=entry.set_id,
        list_version=entry.set_version,
        entry_id=entry.entry_id,
        domain=entry.domain,
        algorithm=hit.algorithm,
        distance=hit.distance,
        max_distance=hit.max_distance,
        transformation=hit.transformation,
        verdict=hit.verdict,
        labels=entry.labels,
        agree=entry.agree,
        disagree=entry.disagree,
        disputed=entry.status.value == "disputed",
        terms=entry.terms,
    )


def _media(facts: Facts, report: MatchReport) -> CaseMedia:
    media, digests = report.media, report.digests
    return CaseMedia(
        mime="" if media is None else MIME.get(media.format, ""),
        size_bytes=0 if digests is None else digests.size_bytes,
        width_px=0 if media is None else media.width,
        height_px=0 if media is None else media.height,
        frames=0 if media is None else media.frames,
        file_name=facts.file_name,
        uploaded_at=facts.uploaded_at,
        created_with_ai=facts.created_with_ai,
    )


def _hashes(report: MatchReport) -> tuple[CaseHash, ...]:
    digests = () if report.digests is None else report.digests.items()
    perceptual = tuple(CaseHash(item.algorithm, item.value, item.quality) for item in report.hashes)
    return (*(CaseHash(name, value) for name, value in digests), *perceptual)
