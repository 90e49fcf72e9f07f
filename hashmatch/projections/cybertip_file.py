"""The file of a CyberTip: ``<fileDetails>`` as a draft without ids, and the manifest for those who file it themselves.

Theory of operation
-------------------
``reportId`` and ``fileId`` are NCMEC's and known only after ``/submit`` and ``/upload``, so the draft has both elements
empty, and :func:`with_ids` fills them in and nothing else. ``fileViewedByEsp`` and ``exifViewedByEsp`` are always
written, as the case says: whether a person has looked decides how law enforcement may open the file.

The manifest lists the calls in their order, for a platform whose own system talks to NCMEC.

What this module deliberately does not do: it holds no byte of the file, and it checks no rule (``cybertip_rules``).

Source: reference formats §2.1.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Final

from lxml import etree

from hashmatch.errors import BadReport
from hashmatch.model.cases import Case, CaseMatch, NetworkEvent
from hashmatch.projections.cybertip_rules import EVENTS, HASHES, Extras, is_report_id
from hashmatch.projections.cybertip_xml import ORDER, branch, disorder, flags, leaf, moment, name_of, parsed, written

REPORT_LIFE_S: Final = 86_400
"""An unfinished report is deleted so long after it was opened..."""
IDLE_LIFE_S: Final = 3_600
"""...or so long after the last file or file details, whichever is later."""

HOSTS: Final = {
    "production": "https://report.cybertip.org/ispws",
    "test": "https://exttest.cybertip.org/ispws",
}
_FILE_ID: Final = re.compile(r"[0-9a-fA-F]{32}")


def file_details(case: Case, extras: Extras) -> etree._Element:
    """Return the draft of one file."""
    media, locator = case.media, case.locator
    uploads = [] if case.subject is None else [e for e in case.subject.network_events if e.event == "upload"]
    return branch(
        "fileDetails",
        *_common(case, extras),
        leaf("originalFileName", media.file_name),
        leaf("uploadedToEspTimestamp", "" if media.uploaded_at is None else moment(media.uploaded_at)),
        leaf("locationOfFile", locator.urls[0] if locator.urls else ""),
        *(leaf("originalFileHash", one.hex, hashType=HASHES[one.algorithm][0]) for one in case.hashes
          if one.algorithm in HASHES),
        *(ip_capture(event) for event in uploads[:1]),
        *(_details(match) for match in case.matches),
        leaf("additionalInfo", _measured(case)),
    )  # fmt: skip


def batched_file_details(case: Case) -> etree._Element:
    """Return the draft of a batch's one file: no name, address, hash or details."""
    return branch("fileDetails", *_common(case, Extras()))


def _common(case: Case, extras: Extras) -> Iterator[etree._Element | None]:
    yield from (etree.Element("reportId"), etree.Element("fileId"))
    yield leaf("fileViewedByEsp", case.viewed_by_human)
    yield leaf("exifViewedByEsp", case.exif_viewed)
    if case.publicly_available is not None:
        yield leaf("publiclyAvailable", case.publicly_available)
    yield leaf("fileRelevance", "Supplemental Reported" if extras.supplemental else "Reported")
    yield flags(
        "fileAnnotations",
        {
            "potentialMeme": case.potential_meme,
            "viral": case.viral,
            "generativeAi": case.media.created_with_ai,
        },
    )
    yield leaf("industryClassification", case.classification)


def ip_capture(event: NetworkEvent) -> etree._Element:
    """Return an address and when it was seen. Only a proxy that is suspected is told of: no word is not "none"."""
    return branch(
        "ipCaptureEvent",
        leaf("ipAddress", event.ip),
        leaf("eventName", EVENTS[event.event] if event.event else ""),
        leaf("dateTime", "" if event.at is None else moment(event.at)),
        leaf("possibleProxy", True) if event.possible_proxy else None,  # noqa: FBT003
        None if event.port is None else leaf("port", event.port),
    )


def _details(match: CaseMatch) -> etree._Element:
    pairs = [
        ("match.list", match.list_name),
        ("match.list.id", match.list_id),
        ("match.list.version", str(match.list_version)),
        ("match.entry", match.entry_id),
        ("match.algorithm", match.algorithm),
        ("match.distance", str(match.distance)),
        ("match.distance.max", str(match.max_distance)),
        ("match.transformation", match.transformation),
        ("match.verdict", match.verdict.value),
        *(("match.label", f"{label.scheme}:{label.version}:{label.value}") for label in match.labels),
    ]
    return branch(
        "details",
        *(branch("nameValuePair", leaf("name", name), leaf("value", value)) for name, value in pairs if value),
        type="HASH",
    )


def _measured(case: Case) -> str:
    media = case.media
    told = (
        media.mime,
        f"{media.width_px} x {media.height_px} px" if media.width_px else "",
        f"{media.frames} frames" if media.frames > 1 else "",
        f"{media.size_bytes} bytes" if media.size_bytes else "",
    )
    return ", ".join(text for text in told if text)


def with_ids(part: bytes, report_id: str, file_id: str) -> bytes:
    """Fill NCMEC's two ids into a draft.

    Parameters
    ----------
    part : bytes
        The part ``fileDetails`` of a document, as it was rendered.
    report_id : str
        What ``/submit`` answered: a number.
    file_id : str
        What ``/upload`` answered: 32 hexadecimal digits.

    Raises
    ------
    BadReport
        An id is none, or the part is no draft: another element, in disorder, or filled in already.

    """
    if not is_report_id(report_id):
        raise BadReport(f"reportId: {report_id!r} is no number of a report", field="reportId")
    if not _FILE_ID.fullmatch(file_id):
        raise BadReport(f"fileId: {file_id!r} is not 32 hexadecimal digits", field="fileId")
    root = parsed(part, "fileDetails")
    if name_of(root) != "fileDetails":
        raise BadReport(f"fileDetails: is {name_of(root)}", field="fileDetails")
    if wrong := next(disorder(root), ""):
        raise BadReport(f"fileDetails: {wrong}", field="fileDetails")
    for name, value in zip(ORDER["fileDetails"], (report_id, file_id), strict=False):
        element = root.find(name)
        if element is None or element.text:
            raise BadReport(f"fileDetails: {name} is filled in already", field=name)
        element.text = value
    return written(root)


def manifest(cases: tuple[Case, ...], report_id: uuid.UUID, *, batched: bool) -> bytes:
    """Return what a platform needs that files the report itself: the calls in order, the file, the clocks."""
    case = cases[0]
    md5 = next((one.hex for one in case.hashes if one.algorithm == "md5"), "")
    sent = [] if batched else [one.algorithm for one in case.hashes if one.algorithm in HASHES]
    tree = {
        "format": "cybertip",
        "cases": [one.case_id for one in cases],
        "report": str(report_id),
        "batched": batched,
        "hosts": HOSTS,
        "calls": _calls(md5),
        "file": {
            "md5": md5,
            "mime": case.media.mime,
            "size_bytes": case.media.size_bytes,
            "hashes": {one.algorithm: one.hex for one in case.hashes},
            "hashes_sent": sent,
            "hashes_not_sent": [one.algorithm for one in case.hashes if one.algorithm not in sent],
            "viewed_by_human": case.viewed_by_human,
            "exif_viewed": case.exif_viewed,
        },
        "unfinished_is_deleted_after_s": {"opening": REPORT_LIFE_S, "last_file_or_details": IDLE_LIFE_S},
    }
    return (json.dumps(tree, indent=2, ensure_ascii=False) + "\n").encode()


def _calls(md5: str) -> list[dict[str, object]]:
    xml = "text/xml; charset=utf-8"
    return [
        {"call": "POST /submit", "content_type": xml, "body": "report", "gives": ["reportId"]},
        {"call": "POST /upload", "content_type": "multipart/form-data", "form": ["id", "file"],
         "gives": ["fileId", "hash"], "hash_must_be": md5, "optional": True},
        {"call": "POST /fileinfo", "content_type": xml, "body": "fileDetails", "fill_in": ["reportId", "fileId"],
         "only_after": "POST /upload", "at_most_once": True},
        {"call": "POST /finish", "content_type": "multipart/form-data", "form": ["id"], "irreversible": True,
         "gives": ["reportId", "files"]},
    ]  # fmt: skip
