"""An item or a summary as the cells of a row, in the columns that hotlines hand to each other.

Theory of operation
-------------------
:data:`COLUMNS` are those of reference formats §4.2, in their order, between what a row is and what it says besides; so
rows of checks and rows made of cases (``projections.iccam``) can stand under one header. Rows of both kinds have the
same columns: ``row`` says ``image`` or ``url``. One list is named per image, that of the surest and nearest hit; JSON
Lines have all.

Addresses are de-fanged unless they are asked for as they are: ``hxxps://host[.]example/path``, which no program opens
by itself. What cannot be seen in a text is spelled out.

What this module deliberately does not do: it knows no format, and it never calls a picture harmless.

Source: reference formats §4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from hashmatch.model import MatchReport
from hashmatch.model.hotline import Fetched, Item, Outcome, Place, Submission, Summary
from hashmatch.projections import iccam
from hashmatch.projections.places import defanged, unlinked
from hashmatch.projections.wording import shown
from hashmatch.report.json import moment_to_json

_EXTRA: Final = ("received_at", "channel", "theme", "site_type", "priority", "remarks")

COLUMNS: Final = (
    "row", "number", *iccam.COLUMNS, "detail", "url_received", "same_as", "images", "matches", *_EXTRA,
)  # fmt: skip

NUMBERS: Final = frozenset(
    {"number", "http_status", "bytes", "width", "height", "frames", "pdq_quality", "list_version", "distance", "asn"}
    | {"redirects", "same_as", "images", "matches"}
)
"""Columns of whole numbers; the others are texts."""

CODES: Final[Mapping[Outcome, str]] = MappingProxyType(
    {outcome: outcome.name for outcome in Outcome} | {Outcome.POSSIBLE_MATCH: "NEAR"}
)
"""Outcome to the column ``outcome_code``."""

_MATCH: Final[Mapping[Outcome, str]] = MappingProxyType(
    {Outcome.MATCH: "yes", Outcome.POSSIBLE_MATCH: "near", Outcome.NO_MATCH: "no"}
)
"""Outcome to the column ``match``; any other: ``unknown``."""

Cell = str | int | None
Row = dict[str, Cell]
Shown = Callable[[str], str]
"""How an address is written."""


def as_it_is(url: str) -> str:
    """Return an address that programs may open."""
    return shown(url)


def harmless(url: str) -> str:
    """Return an address that no program opens by itself; one that was received so stays as it is."""
    if "[.]" in url:
        return shown(unlinked(url))
    if "://" not in url:
        host, slash, path = url.partition("/")
        return shown(host.replace(".", "[.]") + slash + path)
    return shown(defanged(url))


def item_row(submission: Submission, item: Item, address: Shown = harmless) -> Row:
    """Return the row of an image that was found, or tried; columns without a value are left out."""
    return _stated(
        {
            "row": "image",
            "number": item.number,
            **_reported(submission, address),
            "page_url": address(item.page_url),
            "item_url": address(item.url),
            "final_item_url": address(item.fetched.final_url) if item.fetched else "",
            "discovered_via": item.via.value,
            **_fetched(item.fetched),
            "bytes": item.size_bytes or None,
            **_looked(item.report),
            "match": _MATCH.get(item.outcome, "unknown"),
            **_known(item.report),
            **_placed(item.place),
            "outcome_code": CODES[item.outcome],
            "evidence_id": item.evidence,
            "detail": shown(item.detail),
        }
    )


def summary_row(submission: Submission, summary: Summary, address: Shown = harmless) -> Row:
    """Return the row of a submission; columns without a value are left out."""
    counts = summary.counts
    return _stated(
        {
            "row": "url",
            "number": submission.number,
            **_reported(submission, address),
            "page_url": address(summary.url),
            "final_page_url": address(summary.fetched.final_url) if summary.fetched else "",
            **_fetched(summary.fetched),
            "fetched_at": moment_to_json(summary.checked_at),
            "match": _MATCH.get(summary.outcome, "unknown"),
            **_placed(summary.place),
            "outcome_code": CODES[summary.outcome],
            "detail": shown(summary.detail),
            "same_as": summary.same_as,
            "images": sum(counts.values()),
            "matches": counts.get(Outcome.MATCH, 0) + counts.get(Outcome.POSSIBLE_MATCH, 0),
        }
    )


def _reported(submission: Submission, address: Shown) -> Row:
    extra = {name: shown(submission.extra.get(name, "")) for name in ("report_id", *_EXTRA)}
    return {"url_received": address(submission.url), **extra}


def _fetched(fetched: Fetched | None) -> Row:
    if fetched is None:
        return {}
    tls = next((hop.tls for hop in reversed(fetched.hops) if hop.tls is not None), None)
    return {
        "fetched_at": moment_to_json(fetched.ended_at),
        "http_status": fetched.hops[-1].status or None if fetched.hops else None,
        "content_type_declared": shown(fetched.content_type),
        "tls_issuer": "" if tls is None else shown(tls.issuer),
        "redirects": max(0, len(fetched.hops) - 1),
        "robots": fetched.robots,
    }


def _looked(report: MatchReport | None) -> Row:
    if report is None:
        return {}
    media, digests = report.media, report.digests
    pdq = next((item for item in report.hashes if item.algorithm == "pdq"), None)
    row: Row = {}
    if media is not None:
        row |= {"content_type_sniffed": f"image/{media.format.lower()}", "frames": media.frames}
        row |= {"width": media.width, "height": media.height}
    if digests is not None:
        row |= {"bytes": digests.size_bytes, "sha256": digests.sha256.hex(), "md5": digests.md5.hex()}
    if pdq is not None:
        row |= {"pdq": pdq.hex, "pdq_quality": pdq.quality}
    return row


def _known(report: MatchReport | None) -> Row:
    hit = None if report is None else report.strongest()
    if hit is None:
        return {}
    entry = hit.entry
    return {
        "list_id": shown(entry.set_name),
        "list_version": entry.set_version,
        "entry_id": shown(entry.entry_id),
        "distance": hit.distance,
        "harm_domain": entry.domain.value,
        "classification_scheme": "|".join(shown(label.scheme) for label in entry.labels),
        "classification_value": "|".join(shown(label.value) for label in entry.labels),
    }


def _placed(place: Place | None) -> Row:
    if place is None:
        return {}
    return {
        "ip": place.ip,
        "asn": place.asn,
        "as_org": shown(place.as_name),
        "country": place.country,
        "country_method": shown(place.sources.get("country", "")),
        "cdn": shown(place.cdn),
    }


def _stated(row: Row) -> Row:
    return {name: value for name, value in row.items() if value not in {"", None}}
