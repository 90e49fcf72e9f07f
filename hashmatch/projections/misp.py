"""A case as a MISP event (format ``misp``): for police, CSIRTs and the sharing groups that they run.

Theory of operation
-------------------
The event holds the standard object ``file`` with the digests, size and type of what was found, one object
``perceptual-hash`` per other hash with the threshold that it was held against, and the standard object ``report``,
which refers to these and says in plain words what they met. Templates, tags and the two switches that keep values out
of detection and correlation are those of hash sets (``sharing``). Each value carries a sighting, at the time when it
was observed.

Event and objects have ids made from the id of the report, so that one that is sent twice is updated and not doubled.
``copine-scale`` is tagged only where a list or the reporter says so in that scheme; no other scheme is converted.

What this module deliberately does not do: it says nothing of a person, an account, an address or a file name, and not
where the picture is: events are copied from one MISP to the next, and whoever reads this one has no need to look.

Source: reference formats §3.9; MISP objects ``file`` version 25 and ``report`` version 8.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Final

from hashmatch.model.cases import Case, CaseHash, CaseMatch, Document, Problem
from hashmatch.projections import shared_rules
from hashmatch.projections.basis import Context, refuse
from hashmatch.projections.domains import check_allowed
from hashmatch.sections import ReporterConfig
from hashmatch.sharing import (
    DOMAIN_TAGS,
    FILE,
    MISP_NAMESPACE,
    PATTERN_NAMES,
    PERCEPTUAL,
    REPORT,
    TAGS,
    misp_attribute,
    misp_object,
    misp_references,
)

_COPINE: Final = re.compile(r"(?:level-)?(10|[1-9])", re.ASCII)
_UNDEFINED, _COMPLETED, _OWN_ORGANISATION = "4", "2", "0"
"""MISP's codes of threat level, analysis and distribution; the recipient decides how far an event goes."""


def problems(case: Case, reporter: ReporterConfig, now: dt.datetime) -> tuple[Problem, ...]:
    """Return every rule of the format that a case breaks."""
    return tuple(shared_rules.problems(case, reporter, now))


def render(case: Case, context: Context) -> Document:
    """Return the event.

    Raises
    ------
    OutletForbidden
        The domain of the case may not be told in this format.
    BadReport
        The case breaks rules of the format; the message has all of them.

    """
    check_allowed(case, "misp")
    refuse(problems(case, context.reporter, context.now), "MISP event")
    report_id = str(context.report_id)
    about = [
        *_file(case, report_id),
        *(_perceptual(case, item, report_id) for item in case.hashes if not _digest(item)),
    ]
    report = misp_object(REPORT, report_id, _report(case, context), deleted=False)
    report["ObjectReference"] = misp_references(report, about)
    organisation = context.reporter.name
    event = {
        "uuid": report_id,
        "info": f"hash match, {case.domain.value}",
        "date": case.observed_at.astimezone(dt.UTC).date().isoformat(),
        "timestamp": str(int(context.now.timestamp())),
        "threat_level_id": _UNDEFINED,
        "analysis": _COMPLETED,
        "distribution": _OWN_ORGANISATION,
        "published": False,
        "Orgc": {"name": organisation, "uuid": str(uuid.uuid5(MISP_NAMESPACE, f"organisation {organisation}"))},
        "Tag": [{"name": name} for name in tags(case)],
        "Attribute": [],
        "Object": [report, *about],
    }
    body = json.dumps({"Event": event}, ensure_ascii=False, indent=1).encode() + b"\n"
    return Document("misp", "application/json", f"misp-{report_id}.json", body)


def tags(case: Case) -> tuple[str, ...]:
    """Return the tags of a case's event, in a fixed order."""
    labels = [label for match in case.matches for label in match.labels]
    labels += () if case.decision is None else case.decision.labels
    levels = {
        int(found[1])
        for label in labels
        if label.scheme.casefold() in {"copine", "copine-scale"} and (found := _COPINE.fullmatch(label.value.strip()))
    }
    return (*TAGS, *DOMAIN_TAGS.get(case.domain, ()), *(f"copine-scale:level-{level}" for level in sorted(levels)))


def _digest(item: CaseHash) -> bool:
    return item.algorithm in PATTERN_NAMES


def _file(case: Case, report_id: str) -> Iterator[dict[str, Any]]:
    """Yield the object of the file's bytes, where there is anything to say of them."""
    media = case.media
    made = [
        _sighted(case, misp_attribute(item.algorithm, item.algorithm, item.hex, "Payload delivery"))
        for item in case.hashes
        if _digest(item)
    ]
    if media.size_bytes:
        made.append(misp_attribute("size-in-bytes", "size-in-bytes", str(media.size_bytes)))
    if media.mime:
        made.append(misp_attribute("mimetype", "mime-type", media.mime, "Payload delivery"))
    if made:
        yield misp_object(FILE, report_id, made, deleted=False)


def _perceptual(case: Case, item: CaseHash, report_id: str) -> dict[str, Any]:
    thresholds = [match.max_distance for match in case.matches if match.algorithm == item.algorithm]
    made = [
        misp_attribute("algorithm", "text", item.algorithm),
        _sighted(case, misp_attribute("value", "text", item.hex)),
        misp_attribute("encoding", "text", "hex"),
    ]
    if item.quality is not None:
        made.append(misp_attribute("quality", "counter", str(item.quality)))
    if thresholds:
        made.append(misp_attribute("distance-threshold", "counter", str(max(thresholds))))
    return misp_object(PERCEPTUAL, f"{report_id} {item.algorithm} {item.hex}", made, deleted=False)


def _sighted(case: Case, attribute: dict[str, Any]) -> dict[str, Any]:
    """Say of a value that it was seen, once."""
    sighting = {"type": "0", "date_sighting": str(int(case.observed_at.timestamp())), "source": "hashmatch"}
    return {**attribute, "Sighting": [sighting]}


def _report(case: Case, context: Context) -> Sequence[dict[str, Any]]:
    texts = {
        "case-number": case.case_id,
        "title": f"Hash match, {case.domain.value}",
        "summary": "\n".join(_told(case, context)),
    }
    return [misp_attribute(relation, "text", text) for relation, text in texts.items()]


def _told(case: Case, context: Context) -> Iterator[str]:
    """Yield what is known, a sentence a line."""
    reporter = context.reporter
    yield f"Reported by {reporter.name}, observed {case.observed_at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC."
    if platform := case.platform or reporter.platform:
        yield f"Platform: {platform}."
    seen = "has" if case.viewed_by_human else "has not"
    yield f"Found {'by machine' if case.automated_detection else 'by a person'}; a person {seen} looked at it."
    if case.classification:
        yield f"The reporter's classification: {case.classification}."
    for match in case.matches:
        yield _met(match)


def _met(match: CaseMatch) -> str:
    labels = ", ".join(
        f"{label.scheme}{f'/{label.version}' if label.version else ''}={label.value}" for label in match.labels
    )
    return (
        f"{match.verdict.value}: {match.algorithm} at {match.distance} of at most {match.max_distance} bits from entry "
        f"{match.entry_id} of {match.list_name}, version {match.list_version}{f' ({labels})' if labels else ''}"
        f"{', disputed' if match.disputed else ''}."
    )
