"""Protocol buffers to and from the model's types, in both directions, for the service and the SDK alike.

Every ``X_to_proto`` has an ``X_from_proto`` and the round trip is the identity (tests/property/test_report_proto.py).
``scalars`` has enumerations and times, ``opinions`` what people said of an entry.

What this module deliberately does not do: it checks no semantics (that a set exists, that a hash has the right length);
those who use the values do.
"""

from __future__ import annotations

import datetime as dt

from hashmatch.model import (
    Digests,
    Entry,
    EntryHash,
    EntryRef,
    EntryStatus,
    Fidelity,
    HarmDomain,
    HashSet,
    Hit,
    ImportResult,
    Label,
    MatchReport,
    MediaInfo,
    Provenance,
    Refusal,
    Rejected,
    SetMode,
    Verdict,
)
from hashmatch.report.opinions import opinion_from_proto, opinion_to_proto
from hashmatch.report.scalars import from_number, moment, timestamp, to_number
from hashmatch.v1 import hashset_pb2, types_pb2

# --- scalars -----------------------------------------------------------------------------------------------------


def domain_from_proto(number: int, field: str = "harm_domain") -> HarmDomain:
    """Harm domain of a wire number; raises BadInput naming ``field``."""
    return from_number(types_pb2.HarmDomain, "HARM_DOMAIN_", HarmDomain, number, field)


def mode_from_proto(number: int, field: str = "mode") -> SetMode:
    """Set mode of a wire number, ``enforced`` when unspecified; raises BadInput naming ``field``."""
    if number == types_pb2.SET_MODE_UNSPECIFIED:
        return SetMode.ENFORCED
    return from_number(types_pb2.SetMode, "SET_MODE_", SetMode, number, field)


# --- hashes, labels, entries -------------------------------------------------------------------------------------


def hash_to_proto(item: EntryHash) -> types_pb2.Hash:
    """One value of an entry."""
    return types_pb2.Hash(algorithm=item.algorithm, value=item.value, quality=item.quality, view=item.view)


def hash_from_proto(message: types_pb2.Hash) -> EntryHash:
    """Inverse of :func:`hash_to_proto`."""
    quality = message.quality if message.HasField("quality") else None
    return EntryHash(message.algorithm, message.value, quality, message.view)


def _label_to_proto(label: Label) -> types_pb2.Label:
    return types_pb2.Label(scheme=label.scheme, version=label.version, value=label.value)


def _label_from_proto(message: types_pb2.Label) -> Label:
    return Label(message.scheme, message.version, message.value)


def entry_to_proto(entry: Entry) -> hashset_pb2.Entry:
    """One entry with all its hashes."""
    source = entry.provenance
    return hashset_pb2.Entry(
        entry_id=entry.entry_id,
        hashes=[hash_to_proto(item) for item in entry.hashes],
        labels=[_label_to_proto(label) for label in entry.labels],
        provenance=hashset_pb2.Provenance(
            source=source.source,
            list_version=source.list_version,
            external_id=source.external_id,
            received_at=timestamp(source.received_at),
            terms=source.terms,
            jurisdiction=source.jurisdiction,
        ),
        status=to_number(types_pb2.EntryStatus, "ENTRY_STATUS_", entry.status),
        status_reason=entry.status_reason,
        opinions=[opinion_to_proto(item) for item in entry.opinions],
    )


def entry_from_proto(message: hashset_pb2.Entry) -> Entry:
    """Inverse of :func:`entry_to_proto`; an unspecified status is active.

    Raises
    ------
    BadInput
        A status or stance that does not exist, or a time outside the calendar.

    """
    status = EntryStatus.ACTIVE
    if message.status != types_pb2.ENTRY_STATUS_UNSPECIFIED:
        status = from_number(types_pb2.EntryStatus, "ENTRY_STATUS_", EntryStatus, message.status, "status")
    source = message.provenance
    return Entry(
        entry_id=message.entry_id,
        hashes=tuple(hash_from_proto(item) for item in message.hashes),
        labels=tuple(_label_from_proto(label) for label in message.labels),
        provenance=Provenance(
            source.source,
            source.list_version,
            source.external_id,
            moment(source, "received_at"),
            source.terms,
            source.jurisdiction,
        ),
        status=status,
        status_reason=message.status_reason,
        opinions=tuple(opinion_from_proto(item) for item in message.opinions),
    )


def hash_set_to_proto(item: HashSet) -> hashset_pb2.HashSet:
    """One set as the catalog describes it."""
    return hashset_pb2.HashSet(
        set_id=item.set_id,
        name=item.name,
        harm_domain=to_number(types_pb2.HarmDomain, "HARM_DOMAIN_", item.domain),
        owner=item.owner,
        source=item.source,
        jurisdiction=item.jurisdiction,
        terms=item.terms,
        description=item.description,
        mode=to_number(types_pb2.SetMode, "SET_MODE_", item.mode),
        version=item.version,
        entries=item.entries,
        withdrawn=item.withdrawn,
        created_at=timestamp(item.created_at),
        list_version=item.list_version,
        received_at=timestamp(item.received_at),
    )


def hash_set_from_proto(message: hashset_pb2.HashSet) -> HashSet:
    """Inverse of :func:`hash_set_to_proto`; raises BadInput on an unknown domain or mode."""
    return HashSet(
        set_id=message.set_id,
        name=message.name,
        domain=domain_from_proto(message.harm_domain),
        owner=message.owner,
        source=message.source,
        jurisdiction=message.jurisdiction,
        terms=message.terms,
        description=message.description,
        mode=mode_from_proto(message.mode),
        version=message.version,
        entries=message.entries,
        withdrawn=message.withdrawn,
        created_at=moment(message, "created_at"),
        list_version=message.list_version,
        received_at=moment(message, "received_at"),
    )


def import_result_to_proto(result: ImportResult) -> hashset_pb2.ImportEntriesResponse:
    """Return what one import did."""
    return hashset_pb2.ImportEntriesResponse(
        hash_set=hash_set_to_proto(result.hash_set),
        added=result.added,
        updated=result.updated,
        unchanged=result.unchanged,
        rejected=result.rejected,
        rejections=[
            hashset_pb2.RejectedEntry(position=item.position, field=item.field, reason=item.reason)
            for item in result.rejections
        ],
    )


def import_result_from_proto(message: hashset_pb2.ImportEntriesResponse) -> ImportResult:
    """Inverse of :func:`import_result_to_proto`."""
    return ImportResult(
        hash_set=hash_set_from_proto(message.hash_set),
        added=message.added,
        updated=message.updated,
        unchanged=message.unchanged,
        rejected=message.rejected,
        rejections=tuple(Rejected(item.position, item.field, item.reason) for item in message.rejections),
    )


# --- the match report --------------------------------------------------------------------------------------------


def _hit_to_proto(hit: Hit) -> types_pb2.Hit:
    entry = hit.entry
    return types_pb2.Hit(
        verdict=to_number(types_pb2.Verdict, "VERDICT_", hit.verdict),
        rule=hit.rule,
        set_id=entry.set_id,
        set_name=entry.set_name,
        set_version=entry.set_version,
        set_mode=to_number(types_pb2.SetMode, "SET_MODE_", entry.mode),
        harm_domain=to_number(types_pb2.HarmDomain, "HARM_DOMAIN_", entry.domain),
        entry_id=entry.entry_id,
        entry_status=to_number(types_pb2.EntryStatus, "ENTRY_STATUS_", entry.status),
        labels=[_label_to_proto(label) for label in entry.labels],
        terms=entry.terms,
        agree=entry.agree,
        disagree=entry.disagree,
        algorithm=hit.algorithm,
        query_algorithm=hit.query_algorithm,
        distance=hit.distance,
        max_distance=hit.max_distance,
        transformation=hit.transformation,
        frame=hit.frame,
        view=hit.view,
        chance=hit.chance,
        allowed_by=hit.allowed_by,
    )


def _hit_from_proto(message: types_pb2.Hit) -> Hit:
    entry = EntryRef(
        set_id=message.set_id,
        set_name=message.set_name,
        set_version=message.set_version,
        domain=domain_from_proto(message.harm_domain, "hits.harm_domain"),
        mode=mode_from_proto(message.set_mode, "hits.set_mode"),
        entry_id=message.entry_id,
        status=from_number(
            types_pb2.EntryStatus, "ENTRY_STATUS_", EntryStatus, message.entry_status, "hits.entry_status"
        ),
        labels=tuple(_label_from_proto(label) for label in message.labels),
        terms=message.terms,
        agree=message.agree,
        disagree=message.disagree,
    )
    return Hit(
        verdict=from_number(types_pb2.Verdict, "VERDICT_", Verdict, message.verdict, "hits.verdict"),
        rule=message.rule,
        entry=entry,
        algorithm=message.algorithm,
        query_algorithm=message.query_algorithm,
        distance=message.distance,
        max_distance=message.max_distance,
        transformation=message.transformation,
        frame=message.frame,
        view=message.view,
        chance=message.chance if message.HasField("chance") else None,
        allowed_by=message.allowed_by,
    )


def _digests_to_proto(digests: Digests) -> types_pb2.Digests:
    return types_pb2.Digests(md5=digests.md5, sha1=digests.sha1, sha256=digests.sha256, size_bytes=digests.size_bytes)


def _media_to_proto(media: MediaInfo) -> types_pb2.Media:
    return types_pb2.Media(
        format=media.format,
        width_px=media.width,
        height_px=media.height,
        frames=media.frames,
        frames_hashed=media.frames_hashed,
        degraded=media.degraded,
        fidelity=to_number(types_pb2.Fidelity, "FIDELITY_", media.fidelity),
    )


def _media_from_proto(message: types_pb2.Media) -> MediaInfo:
    fidelity = Fidelity.EXACT
    if message.fidelity != types_pb2.FIDELITY_UNSPECIFIED:
        fidelity = from_number(types_pb2.Fidelity, "FIDELITY_", Fidelity, message.fidelity, "media.fidelity")
    return MediaInfo(
        format=message.format,
        width=message.width_px,
        height=message.height_px,
        frames=message.frames,
        frames_hashed=message.frames_hashed,
        degraded=message.degraded,
        fidelity=fidelity,
    )


def report_to_proto(report: MatchReport) -> types_pb2.MatchReport:
    """Return the whole report as it goes over the wire."""
    reason = types_pb2.REASON_UNSPECIFIED
    if report.reason is not None:
        reason = to_number(types_pb2.Reason, "REASON_", report.reason)
    return types_pb2.MatchReport(
        request_id=report.request_id,
        verdict=to_number(types_pb2.Verdict, "VERDICT_", report.verdict),
        rule=report.rule,
        generation=report.generation,
        created_at=timestamp(report.created_at),
        reason=reason,
        detail=report.detail,
        hits=[_hit_to_proto(hit) for hit in report.hits],
        truncated=report.truncated,
        digests=None if report.digests is None else _digests_to_proto(report.digests),
        media=None if report.media is None else _media_to_proto(report.media),
        quality=report.quality,
        elapsed_us=dict(report.elapsed_us),
        hashes=[hash_to_proto(item) for item in report.hashes],
        receipt=report.receipt,
        reduced=report.reduced,
    )


def report_from_proto(message: types_pb2.MatchReport) -> MatchReport:
    """Inverse of :func:`report_to_proto`.

    Raises
    ------
    BadInput
        The service speaks a newer protocol: a verdict, reason, domain, mode or status is unknown here.

    """
    reason = None
    if message.reason != types_pb2.REASON_UNSPECIFIED:
        reason = from_number(types_pb2.Reason, "REASON_", Refusal, message.reason, "reason")
    digests = message.digests
    return MatchReport(
        request_id=message.request_id,
        verdict=from_number(types_pb2.Verdict, "VERDICT_", Verdict, message.verdict, "verdict"),
        rule=message.rule,
        generation=message.generation,
        created_at=message.created_at.ToDatetime(tzinfo=dt.UTC),
        reason=reason,
        detail=message.detail,
        hits=tuple(_hit_from_proto(hit) for hit in message.hits),
        truncated=message.truncated,
        digests=Digests(digests.md5, digests.sha1, digests.sha256, digests.size_bytes)
        if message.HasField("digests")
        else None,
        media=_media_from_proto(message.media) if message.HasField("media") else None,
        quality=message.quality if message.HasField("quality") else None,
        elapsed_us=dict(message.elapsed_us),
        hashes=tuple(hash_from_proto(item) for item in message.hashes),
        receipt=message.receipt,
        reduced=message.reduced,
    )
