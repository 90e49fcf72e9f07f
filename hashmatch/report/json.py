"""The match report as plain JSON values, for ``--json`` and for people who read a report whole.

Hash values and digests are lower-case hex, times are RFC 3339 in UTC, absent things are null rather than left out, so
that every report has the same keys.
"""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

from hashmatch.model import Entry, HashSet, Hit, MatchReport

JsonObject = dict[str, Any]


def moment_to_json(moment: dt.datetime | None) -> str | None:
    """RFC 3339 in UTC with milliseconds, e.g. ``2026-11-21T19:03:26.000Z``."""
    if moment is None:
        return None
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def hit_to_json(hit: Hit) -> JsonObject:
    """One hit; the keys are documented in docs/reference/cli.md."""
    entry = hit.entry
    return {
        "verdict": hit.verdict.value,
        "rule": hit.rule,
        "set": entry.set_name,
        "set_id": entry.set_id,
        "set_version": entry.set_version,
        "set_mode": entry.mode.value,
        "harm_domain": entry.domain.value,
        "entry_id": entry.entry_id,
        "entry_status": entry.status.value,
        "labels": [{"scheme": x.scheme, "version": x.version, "value": x.value} for x in entry.labels],
        "terms": entry.terms,
        "agree": entry.agree,
        "disagree": entry.disagree,
        "algorithm": hit.algorithm,
        "query_algorithm": hit.query_algorithm,
        "distance": hit.distance,
        "max_distance": hit.max_distance,
        "transformation": hit.transformation,
        "frame": hit.frame,
        "view": hit.view,
        "chance": hit.chance,
        "allowed_by": hit.allowed_by,
    }


def report_to_json(report: MatchReport) -> JsonObject:
    """Return the whole report."""
    digests, media = report.digests, report.media
    return {
        "request_id": report.request_id,
        "verdict": report.verdict.value,
        "reason": None if report.reason is None else report.reason.value,
        "detail": report.detail,
        "rule": report.rule,
        "generation": report.generation,
        "created_at": moment_to_json(report.created_at),
        "hits": [hit_to_json(hit) for hit in report.hits],
        "truncated": report.truncated,
        "quality": report.quality,
        "digests": None if digests is None else {name: value.hex() for name, value in digests.items()},
        "size_bytes": None if digests is None else digests.size_bytes,
        "media": None
        if media is None
        else {
            "format": media.format,
            "width": media.width,
            "height": media.height,
            "frames": media.frames,
            "frames_hashed": media.frames_hashed,
            "degraded": media.degraded,
            "fidelity": media.fidelity.value,
        },
        "elapsed_us": dict(report.elapsed_us),
        "hashes": [{"algorithm": x.algorithm, "value": x.hex, "quality": x.quality} for x in report.hashes],
        "receipt": base64.b64encode(report.receipt).decode() or None,
    }


def hash_set_to_json(item: HashSet) -> JsonObject:
    """One set as ``hashset list`` and ``hashset show`` print it."""
    return {
        "name": item.name,
        "set_id": item.set_id,
        "harm_domain": item.domain.value,
        "owner": item.owner,
        "source": item.source,
        "jurisdiction": item.jurisdiction,
        "terms": item.terms,
        "description": item.description,
        "mode": item.mode.value,
        "version": item.version,
        "entries": item.entries,
        "withdrawn": item.withdrawn,
        "created_at": moment_to_json(item.created_at),
        "list_version": item.list_version,
        "received_at": moment_to_json(item.received_at),
    }


def entry_to_json(entry: Entry) -> JsonObject:
    """One entry as ``hashset show --entries`` prints it."""
    source = entry.provenance
    return {
        "entry_id": entry.entry_id,
        "status": entry.status.value,
        "status_reason": entry.status_reason,
        "hashes": [
            {"algorithm": x.algorithm, "value": x.hex, "quality": x.quality, "view": x.view} for x in entry.hashes
        ],
        "labels": [{"scheme": x.scheme, "version": x.version, "value": x.value} for x in entry.labels],
        "source": source.source,
        "list_version": source.list_version,
        "external_id": source.external_id,
        "terms": source.terms,
        "jurisdiction": source.jurisdiction,
        "received_at": moment_to_json(source.received_at),
        "opinions": [
            {
                "who": x.who,
                "stance": x.stance.value,
                "reason": x.reason,
                "at": moment_to_json(x.at),
                "algorithm": x.algorithm,
            }
            for x in entry.opinions
        ],
    }
