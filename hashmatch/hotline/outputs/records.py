"""An item or a summary as JSON, whole: every hop with its headers, every hit, every source of a place.

Addresses are as they were received and fetched, because a machine reads them. Absent things are null rather than left
out, so that every record of a kind has the same keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from hashmatch.model.hotline import Fetched, Hop, Item, Place, Submission, Summary, TlsSeen
from hashmatch.report.json import moment_to_json, report_to_json

ITEM_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "row": "`image`",
        "number": "of the submission, from 1",
        "url": "where the image is; empty for one inside the page",
        "via": "where on the page it was found, such as `img`, `srcset`, `css`; `direct`: the reported address itself",
        "outcome": "how it ended; [the guide](../guide/hotline.md#outcomes) lists the outcomes",
        "detail": "one sentence for people about the outcome",
        "page_url": "document that refers to it; empty for a direct one",
        "fetched": "how it was fetched, see below; null: it was not",
        "size_bytes": "length of the image",
        "report": "the match report, with the keys of `detect --json`; null: it was not looked at",
        "place": "where it is hosted, see below; null: no address was reached",
        "evidence": "digest of its evidence record, hex; empty: none is kept",
        "submission": "`number`, `url` as it was received, and `extra`: what else the list said",
    }
)
"""Keys of the record of an image."""

SUMMARY_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "row": "`url`",
        "number": "of the submission, from 1",
        "url": "as it was fetched: repaired, canonical, ASCII; empty: it was refused",
        "outcome": "the gravest outcome of the page and its images; `aborted`: the job ended before",
        "detail": "one sentence for people about the outcome, and how many images there were of each",
        "fetched": "how the page was fetched, see below; null: it was not",
        "place": "where it is hosted, see below; null: no address was reached",
        "counts": "outcome to number of images",
        "checked_at": "when, RFC 3339 in UTC",
        "same_as": "number of an earlier submission of the same address, whose images are its own; null: there is none",
        "submission": "`number`, `url` as it was received, and `extra`: what else the list said",
    }
)
"""Keys of the record of a submission."""

FETCHED_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "outcome": "why there is no body; null: there was one",
        "detail": "one sentence for people about it",
        "content_type": "as the host declared it",
        "wire_bytes": "of the body as it was sent, which may be compressed",
        "ended_at": "when the last byte had come",
        "robots": "`allowed`, `disallowed`, `none`, `unknown`; empty: not asked",
        "hops": "one per request: `url`, `ip`, `port`, `names` on the way to the address, `status`, `headers` as "
        "received, `tls`, `downgraded` from https to http, `started_at`, `answered_at`",
    }
)
"""Keys of ``fetched``."""

PLACE_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ip": "the address that answered",
        "asn": "autonomous system that announces it; null: not known",
        "as_name": "its name",
        "network": "the network that it is in",
        "country": "ISO 3166 alpha-2, of the registration or announcement; empty: not known",
        "abuse": "whom to tell",
        "cdn": "content delivery network that hides where it is hosted; empty: none known",
        "sources": "fact to the database that says so, and its date",
    }
)
"""Keys of ``place``."""

JsonObject = dict[str, Any]


def item_record(submission: Submission, item: Item) -> JsonObject:
    """Return the record of an image."""
    return {
        "row": "image",
        "number": item.number,
        "url": item.url,
        "via": item.via.value,
        "outcome": item.outcome.value,
        "detail": item.detail,
        "page_url": item.page_url,
        "fetched": _fetched(item.fetched),
        "size_bytes": item.size_bytes,
        "report": None if item.report is None else report_to_json(item.report),
        "place": _place(item.place),
        "evidence": item.evidence,
        "submission": _submission(submission),
    }


def summary_record(submission: Submission, summary: Summary) -> JsonObject:
    """Return the record of a submission."""
    return {
        "row": "url",
        "number": submission.number,
        "url": summary.url,
        "outcome": summary.outcome.value,
        "detail": summary.detail,
        "fetched": _fetched(summary.fetched),
        "place": _place(summary.place),
        "counts": {outcome.value: count for outcome, count in sorted(summary.counts.items())},
        "checked_at": moment_to_json(summary.checked_at),
        "same_as": summary.same_as,
        "submission": _submission(submission),
    }


def _submission(submission: Submission) -> JsonObject:
    return {"number": submission.number, "url": submission.url, "extra": dict(submission.extra)}


def _fetched(fetched: Fetched | None) -> JsonObject | None:
    if fetched is None:
        return None
    return {
        "outcome": None if fetched.outcome is None else fetched.outcome.value,
        "detail": fetched.detail,
        "content_type": fetched.content_type,
        "wire_bytes": fetched.wire_bytes,
        "ended_at": moment_to_json(fetched.ended_at),
        "robots": fetched.robots,
        "hops": [_hop(hop) for hop in fetched.hops],
    }


def _hop(hop: Hop) -> JsonObject:
    return {
        "url": hop.url,
        "ip": hop.ip,
        "port": hop.port,
        "names": list(hop.names),
        "status": hop.status,
        "headers": [[name, value] for name, value in hop.headers],
        "tls": None if hop.tls is None else _tls(hop.tls),
        "downgraded": hop.downgraded,
        "started_at": moment_to_json(hop.started_at),
        "answered_at": moment_to_json(hop.answered_at),
    }


def _tls(tls: TlsSeen) -> JsonObject:
    return {
        "version": tls.version,
        "cipher": tls.cipher,
        "issuer": tls.issuer,
        "subject": tls.subject,
        "not_after": moment_to_json(tls.not_after),
        "chain_sha256": list(tls.chain_sha256),
        "problem": tls.problem,
    }


def _place(place: Place | None) -> JsonObject | None:
    if place is None:
        return None
    return {
        "ip": place.ip,
        "asn": place.asn,
        "as_name": place.as_name,
        "network": place.network,
        "country": place.country,
        "abuse": place.abuse,
        "cdn": place.cdn,
        "sources": dict(place.sources),
    }
