"""A case as a STIX 2.1 bundle (format ``stix``): for those who take sightings into a threat intelligence platform.

Theory of operation
-------------------
The reporter is an ``identity``; the picture a ``file`` with its digests and, in a property extension, its perceptual
hashes; ``observed-data`` says when the file was seen. Both are there only where a digest is: STIX has no file without.
The ``indicator`` has a pattern over the digests, which is all that a pattern can compare, and what the picture is held
to be; and one ``sighting`` per match says how near it came to which entry of which list. A case without a match has one
sighting all the same. Everything is marked TLP:AMBER+STRICT.

Ids are made from the id of the report (UUIDv5); the file's from its contents, as STIX §2.9 says.

What this module deliberately does not do: it says nothing of a person, an account, an address or a file name, and not
where the picture is. No perceptual hash is among ``hashes``: strict parsers refuse a name out of their vocabulary.

Source: STIX 2.1 §2.9, §4.7, §4.14, §5.1, §6.7, §7.3; reference formats §3.9.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from hashmatch.model.cases import Case, CaseHash, CaseMatch, Document, Problem
from hashmatch.projections import shared_rules
from hashmatch.projections.basis import Context, refuse
from hashmatch.projections.domains import check_allowed
from hashmatch.sections import ReporterConfig
from hashmatch.sharing import (
    MATCH_EXTENSION,
    PATTERN_NAMES,
    TLP_AMBER_STRICT,
    stix_extension,
    stix_id,
    stix_identity,
    stix_moment,
    stix_pattern,
)

MEDIA_TYPE: Final = "application/stix+json;version=2.1"

_OBSERVABLES: Final = uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")
"""Of ids of observables that are made from their contents (STIX 2.1 §2.9)."""

_HASH_FOR_ID: Final = ("md5", "sha1", "sha256")
"""STIX 2.1 §2.9: of several hashes the first of these goes into the id."""

_MARKING: Final = {
    "type": "marking-definition",
    "spec_version": "2.1",
    "id": TLP_AMBER_STRICT,
    "created": "2022-10-01T00:00:00.000Z",
    "name": "TLP:AMBER+STRICT",
    "extensions": {
        "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d": {
            "extension_type": "property-extension",
            "tlp_2_0": "amber+strict",
        }
    },
}
"""As OASIS publishes it for TLP 2.0."""


def problems(case: Case, reporter: ReporterConfig, now: dt.datetime) -> tuple[Problem, ...]:
    """Return every rule of the format that a case breaks."""
    return tuple(shared_rules.problems(case, reporter, now))


def render(case: Case, context: Context) -> Document:
    """Return the bundle.

    Raises
    ------
    OutletForbidden
        The domain of the case may not be told in this format.
    BadReport
        The case breaks rules of the format; the message has all of them.

    """
    check_allowed(case, "stix")
    refuse(problems(case, context.reporter, context.now), "STIX bundle")
    report_id = str(context.report_id)
    bundle = {
        "type": "bundle",
        "id": stix_id("bundle", f"report {report_id}"),
        "objects": list(_objects(case, context, report_id)),
    }
    body = json.dumps(bundle, ensure_ascii=False, indent=1).encode() + b"\n"
    return Document("stix", MEDIA_TYPE, f"stix-{report_id}.json", body)


def _objects(case: Case, context: Context, report_id: str) -> Iterator[dict[str, Any]]:
    marked = {"object_marking_refs": [TLP_AMBER_STRICT]}
    identity = stix_identity(context.reporter.name)
    by, written = identity["id"], stix_moment(context.now)
    dated = {"spec_version": "2.1", "created": written, "modified": written, "created_by_ref": by}
    seen = stix_moment(case.observed_at)
    yield _MARKING
    yield {**identity, **marked}
    yield {**stix_extension(MATCH_EXTENSION, by), **marked}
    observed = list(_observed(case, dated, report_id))
    yield from ({**item, **marked} for item in observed)
    refers = {"observed_data_refs": [observed[-1]["id"]]} if observed else {}
    indicator = {
        "type": "indicator",
        "id": stix_id("indicator", f"report {report_id}"),
        **dated,
        **_indicator(case),
        "valid_from": seen,
        **marked,
    }
    yield indicator
    for place, match in enumerate(case.matches or (None,)):
        yield {
            "type": "sighting",
            "id": stix_id("sighting", f"report {report_id} {place}"),
            **dated,
            "first_seen": seen,
            "last_seen": seen,
            "count": 1,
            "sighting_of_ref": indicator["id"],
            **refers,
            "where_sighted_refs": [by],
            **marked,
            **({} if match is None else {"extensions": _extension(_met(match))}),
        }


def _observed(case: Case, dated: Mapping[str, str], report_id: str) -> Iterator[dict[str, Any]]:
    """Yield the file and that it was seen; nothing of a file without a digest, which STIX does not allow (§6.7)."""
    digests = {item.algorithm: item.hex for item in case.hashes if item.algorithm in PATTERN_NAMES}
    if not digests:
        return
    file = _file(case, digests)
    seen = stix_moment(case.observed_at)
    yield file
    yield {
        "type": "observed-data",
        "id": stix_id("observed-data", f"report {report_id}"),
        **dated,
        "first_observed": seen,
        "last_observed": seen,
        "number_observed": 1,
        "object_refs": [file["id"]],
    }


def _file(case: Case, digests: Mapping[str, str]) -> dict[str, Any]:
    """Return the observable; its id is the same wherever somebody observes these hashes."""
    perceptual = _perceptual(case.hashes)
    facts = {"extensions": _extension({"perceptual_hashes": perceptual})} if perceptual else {}
    first = next(name for name in _HASH_FOR_ID if name in digests)
    # RFC 8785 is this, as long as there are neither fractions nor characters beyond ASCII in it.
    canonical = json.dumps(
        {**facts, "hashes": {PATTERN_NAMES[first]: digests[first]}}, sort_keys=True, separators=(",", ":")
    )
    return {
        "type": "file",
        "spec_version": "2.1",
        "id": f"file--{uuid.uuid5(_OBSERVABLES, canonical)}",
        "hashes": {PATTERN_NAMES[name]: text for name, text in digests.items()},
        **({"size": case.media.size_bytes} if case.media.size_bytes else {}),
        **({"mime_type": case.media.mime} if case.media.mime else {}),
        **facts,
    }


def _perceptual(hashes: Sequence[CaseHash]) -> list[dict[str, Any]]:
    return [
        {
            "algorithm": item.algorithm,
            "encoding": "hex",
            "value": item.hex,
            **({} if item.quality is None else {"quality": item.quality}),
        }
        for item in hashes
        if item.algorithm not in PATTERN_NAMES
    ]


def _indicator(case: Case) -> dict[str, Any]:
    labels = dict.fromkeys(label for match in case.matches for label in match.labels)
    classification = [
        {"scheme": label.scheme, **({"version": label.version} if label.version else {}), "value": label.value}
        for label in labels
    ]
    if case.classification:
        classification.append({"scheme": "reporter", "value": case.classification})
    perceptual = _perceptual(case.hashes)
    return {
        "name": f"Hash match, {case.domain.value}",
        "indicator_types": ["unknown"],
        "labels": [f"harm-domain:{case.domain.value}"],
        **stix_pattern([(item.algorithm, item.hex) for item in case.hashes]),
        "extensions": _extension(
            {
                "harm_domain": case.domain.value,
                "viewed_by_human": case.viewed_by_human,
                **({"classification": classification} if classification else {}),
                **({"perceptual_hashes": perceptual} if perceptual else {}),
            }
        ),
    }


def _met(match: CaseMatch) -> dict[str, Any]:
    return {
        "verdict": match.verdict.value,
        "list_id": match.list_id,
        "list_version": match.list_version,
        "entry_id": match.entry_id,
        "algorithm": match.algorithm,
        "distance": match.distance,
        "threshold": match.max_distance,
        "transformation": match.transformation,
        "disputed": match.disputed,
    }


def _extension(facts: dict[str, Any]) -> dict[str, Any]:
    return {MATCH_EXTENSION: {"extension_type": "property-extension", **facts}}
