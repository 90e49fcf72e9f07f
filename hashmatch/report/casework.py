"""Cases and what becomes of them to and from protocol buffers; there and back is the identity, as in ``proto``.

Theory of operation
-------------------
A case, its facts and its subject are translated by their descriptors (``plain_wire``, ``plain``); the rest is short
enough to be written out. Protocol buffers do not carry what is zero or empty, so what a service says is read with
zeros where nothing stands; what a caller says is not, because there a field that was forgotten must be named.

What this module deliberately does not do: it checks no rule between fields.
"""

from __future__ import annotations

import datetime as dt

from hashmatch.errors import BadInput
from hashmatch.model import HarmDomain, Rejected
from hashmatch.model.cases import Case, Document, Environment, Facts, Subject
from hashmatch.model.deliveries import (
    CaseFile,
    DeliveryState,
    DeliveryStatus,
    Finding,
    Hold,
    Recorded,
    RelayedFile,
)
from hashmatch.model.figures import Counted, Counter
from hashmatch.report import plain
from hashmatch.report.plain_wire import fill, to_plain
from hashmatch.report.scalars import from_number, moment, required_moment, timestamp, to_number
from hashmatch.v1 import report_pb2


def case_to_proto(case: Case) -> report_pb2.Case:
    """Return a case as it goes over the wire."""
    return fill(report_pb2.Case(), plain.to_plain(case, defaults=True))


def case_from_proto(message: report_pb2.Case) -> Case:
    """Inverse of :func:`case_to_proto`; raises BadInput where a newer service says what is not known here."""
    said = to_plain(message)
    said["automated_detection"] = message.automated_detection  # the one field that is true where nothing is said
    return plain.from_plain(Case, said, "case", zeros=True)


def facts_to_proto(facts: Facts) -> report_pb2.Facts:
    """Return facts as they go over the wire; what has its default is left out."""
    return fill(report_pb2.Facts(), plain.to_plain(facts))


def facts_from_proto(message: report_pb2.Facts) -> Facts:
    """Inverse of :func:`facts_to_proto`.

    Raises
    ------
    BadInput
        A field is missing or of another kind; ``field`` names it.

    """
    return plain.from_plain(Facts, to_plain(message), "facts")


def subject_to_proto(subject: Subject) -> report_pb2.Subject:
    """Return whom a report is about."""
    return fill(report_pb2.Subject(), plain.to_plain(subject))


def subject_from_proto(message: report_pb2.Subject) -> Subject:
    """Inverse of :func:`subject_to_proto`; raises BadInput, naming the field."""
    return plain.from_plain(Subject, to_plain(message), "subject")


def delivery_to_proto(item: DeliveryStatus) -> report_pb2.Delivery:
    """Return where a delivery stands, without its document."""
    return report_pb2.Delivery(
        delivery_id=item.delivery_id,
        case_id=item.case_id,
        outlet=item.outlet,
        environment=to_number(report_pb2.Environment, "ENVIRONMENT_", item.environment),
        format=item.format,
        state=to_number(report_pb2.DeliveryState, "DELIVERY_STATE_", item.state),
        due_at=timestamp(item.due_at),
        attempt=item.attempt,
        recipient=item.recipient,
        with_file=item.with_file,
        external_id=item.external_id,
        reason=item.reason,
        requested_by=item.requested_by,
        released_by=item.released_by,
        created_at=timestamp(item.created_at),
        changed_at=timestamp(item.changed_at),
        sha256=item.sha256,
        further_case_ids=item.further_case_ids,
    )


def delivery_from_proto(message: report_pb2.Delivery) -> DeliveryStatus:
    """Inverse of :func:`delivery_to_proto`; raises BadInput on an unknown state or environment, or a missing time."""
    return DeliveryStatus(
        delivery_id=message.delivery_id,
        case_id=message.case_id,
        outlet=message.outlet,
        environment=from_number(
            report_pb2.Environment, "ENVIRONMENT_", Environment, message.environment, "delivery.environment"
        ),
        format=message.format,
        state=from_number(report_pb2.DeliveryState, "DELIVERY_STATE_", DeliveryState, message.state, "delivery.state"),
        due_at=required_moment(message, "due_at"),
        sha256=message.sha256,
        requested_by=message.requested_by,
        created_at=required_moment(message, "created_at"),
        changed_at=required_moment(message, "changed_at"),
        attempt=message.attempt,
        recipient=message.recipient,
        with_file=message.with_file,
        external_id=message.external_id,
        reason=message.reason,
        released_by=message.released_by,
        further_case_ids=tuple(message.further_case_ids),
    )


def hold_to_proto(item: Hold) -> report_pb2.Hold:
    """Return a hold as it goes over the wire."""
    return report_pb2.Hold(
        hold_id=item.hold_id,
        case_id=item.case_id,
        handle=item.handle,
        deadline=timestamp(item.deadline),
        created_at=timestamp(item.created_at),
        released_at=timestamp(item.released_at),
    )


def hold_from_proto(message: report_pb2.Hold) -> Hold:
    """Inverse of :func:`hold_to_proto`; raises BadInput on a missing time."""
    return Hold(
        message.hold_id,
        message.case_id,
        message.handle,
        required_moment(message, "deadline"),
        required_moment(message, "created_at"),
        moment(message, "released_at"),
    )


def file_to_proto(file: CaseFile) -> report_pb2.GetReportResponse:
    """Return a case with everything that belongs to it."""
    return report_pb2.GetReportResponse(
        case=case_to_proto(file.case),
        deliveries=map(delivery_to_proto, file.deliveries),
        events=[
            report_pb2.CaseEvent(
                at=timestamp(item.at),
                actor=item.actor,
                what=item.what,
                reason=item.reason,
                delivery_id=item.delivery_id,
            )
            for item in file.events
        ],
        holds=map(hold_to_proto, file.holds),
    )


def file_from_proto(message: report_pb2.GetReportResponse) -> CaseFile:
    """Inverse of :func:`file_to_proto`; raises BadInput as those of its parts."""
    return CaseFile(
        case_from_proto(message.case),
        tuple(map(delivery_from_proto, message.deliveries)),
        tuple(
            Recorded(required_moment(item, "at"), item.actor, item.what, item.reason, item.delivery_id)
            for item in message.events
        ),
        tuple(map(hold_from_proto, message.holds)),
    )


def document_to_proto(document: Document) -> report_pb2.Document:
    """Return a report in one format."""
    return report_pb2.Document(
        format=document.format,
        media_type=document.media_type,
        file_name=document.file_name,
        body=document.body,
        parts=[report_pb2.DocumentPart(name=name, body=body) for name, body in document.parts],
    )


def document_from_proto(message: report_pb2.Document) -> Document:
    """Inverse of :func:`document_to_proto`."""
    parts = tuple((part.name, part.body) for part in message.parts)
    return Document(message.format, message.media_type, message.file_name, message.body, parts)


def finding_to_proto(finding: Finding) -> report_pb2.FindingResponse:
    """Return what a person's finding did."""
    return report_pb2.FindingResponse(
        case=case_to_proto(finding.case),
        voted=finding.voted,
        skipped=[report_pb2.SkippedMatch(position=one.position, reason=one.reason) for one in finding.skipped],
    )


def finding_from_proto(message: report_pb2.FindingResponse) -> Finding:
    """Inverse of :func:`finding_to_proto`; raises BadInput as :func:`case_from_proto`."""
    skipped = tuple(Rejected(one.position, "matches", one.reason) for one in message.skipped)
    return Finding(case_from_proto(message.case), message.voted, skipped)


def relayed_to_proto(relayed: RelayedFile) -> report_pb2.RelayFileResponse:
    """Return what came of passing a file through."""
    return report_pb2.RelayFileResponse(
        delivery=delivery_to_proto(relayed.delivery), file_id=relayed.file_id, size_bytes=relayed.size_bytes
    )


def relayed_from_proto(message: report_pb2.RelayFileResponse) -> RelayedFile:
    """Inverse of :func:`relayed_to_proto`; raises BadInput as :func:`delivery_from_proto`."""
    return RelayedFile(delivery_from_proto(message.delivery), message.file_id, message.size_bytes)


def counted_to_proto(row: Counted) -> report_pb2.CountedRow:
    """Return how often something happened on one day."""
    return report_pb2.CountedRow(
        day=row.day.isoformat(),
        counter=row.counter.value,
        set_name=row.set_name,
        algorithm=row.algorithm,
        domain="" if row.domain is None else row.domain.value,
        outlet=row.outlet,
        bucket=row.bucket,
        count=row.count,
    )


def counted_from_proto(message: report_pb2.CountedRow) -> Counted:
    """Inverse of :func:`counted_to_proto`; raises BadInput where a newer service counts what is not known here."""
    try:
        day, counter = dt.date.fromisoformat(message.day), Counter(message.counter)
        domain = HarmDomain(message.domain) if message.domain else None
    except ValueError as error:
        raise BadInput(f"rows: {error}", field="rows") from error
    return Counted(
        day, counter, message.set_name, message.algorithm, domain, message.outlet, message.bucket, message.count
    )
