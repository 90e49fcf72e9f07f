"""Handlers of ReportService: translate, call, translate.

Everything that touches the database runs in a thread; a file that is relayed passes through chunk by chunk and is never
gathered.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

from hashmatch.cases import plain
from hashmatch.cases.facts import Facts
from hashmatch.cases.states import CaseEvent
from hashmatch.cases.store import Hold
from hashmatch.errors import BadInput
from hashmatch.model import HarmDomain
from hashmatch.model.cases import Case, CaseState, Document, Environment, Subject
from hashmatch.outbox.parcels import Again, Refused, Relayed
from hashmatch.outbox.states import DeliveryEvent
from hashmatch.outbox.store import Delivery
from hashmatch.report.scalars import from_number, timestamp, to_number
from hashmatch.service.casework import Casework, Finding, Sending
from hashmatch.service.plain_wire import fill, to_plain
from hashmatch.v1 import report_pb2, report_pb2_grpc, types_pb2

MD5_BYTES: Final = 16
PAGE: Final = 100

_DECISIONS: Final[Mapping[int, DeliveryEvent]] = MappingProxyType(
    {
        report_pb2.DELIVERY_DECISION_RELEASE: DeliveryEvent.RELEASE,
        report_pb2.DELIVERY_DECISION_RETRY: DeliveryEvent.RETRY,
        report_pb2.DELIVERY_DECISION_CANCEL: DeliveryEvent.CANCEL,
        report_pb2.DELIVERY_DECISION_CONFIRM: DeliveryEvent.CONFIRM,
    }
)


class Relays(Protocol):
    """Passes files through; ``outbox.worker.Worker`` does."""

    def wake(self) -> None:
        """Look at the outbox at once."""

    async def relay(
        self, delivery_id: str, chunks: AsyncIterator[bytes], md5: bytes
    ) -> tuple[Delivery, Relayed | Again | Refused]:
        """Pass the file of a waiting delivery through; raises CaseNotFound, CaseConflict."""


class ReportHandlers(report_pb2_grpc.ReportServiceServicer):
    """Cases and what becomes of them."""

    def __init__(self, casework: Casework, relays: Relays) -> None:
        self._casework = casework
        self._relays = relays

    async def CreateReport(  # noqa: N802  gRPC's name
        self,
        request: report_pb2.CreateReportRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.Case:
        """Open a case."""
        facts = plain.from_plain(Facts, to_plain(request.facts), "facts")
        case = await asyncio.to_thread(
            self._casework.open,
            request.receipt,
            facts,
            actor=request.actor,
            idempotency_key=request.idempotency_key,
        )
        return case_to_proto(case)

    async def GetReport(  # noqa: N802  gRPC's name
        self,
        request: report_pb2.GetReportRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.GetReportResponse:
        """Return one case with everything that belongs to it."""
        file = await asyncio.to_thread(self._casework.get, request.case_id)
        return report_pb2.GetReportResponse(
            case=case_to_proto(file.case),
            deliveries=[delivery_to_proto(item) for item in file.deliveries],
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
            holds=[_hold_to_proto(item) for item in file.holds],
        )

    async def ListReports(  # noqa: N802  gRPC's name
        self,
        request: report_pb2.ListReportsRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.ListReportsResponse:
        """Return a page of cases."""
        state = domain = None
        if request.state:
            state = from_number(report_pb2.CaseState, "CASE_STATE_", CaseState, request.state, "state")
        if request.domain:
            domain = from_number(types_pb2.HarmDomain, "HARM_DOMAIN_", HarmDomain, request.domain, "domain")
        most = request.page_size or PAGE
        found = await asyncio.to_thread(self._casework.page, after=request.after, state=state, domain=domain, most=most)
        return report_pb2.ListReportsResponse(cases=[case_to_proto(item) for item in found])

    async def RenderReport(  # noqa: N802  gRPC's name
        self,
        request: report_pb2.RenderReportRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.Document:
        """Return a case in a format."""
        subject = None
        if request.HasField("subject"):
            subject = plain.from_plain(Subject, to_plain(request.subject), "subject")
        document = await asyncio.to_thread(
            self._casework.render,
            request.case_id,
            request.format,
            language=request.language or "en",
            recipient=request.recipient,
            subject=subject,
        )
        return _document_to_proto(document)

    async def SendReport(  # noqa: N802  gRPC's name
        self,
        request: report_pb2.SendReportRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.Delivery:
        """Queue a case for an outlet."""
        sending = Sending(
            outlet=request.outlet,
            environment=from_number(
                report_pb2.Environment, "ENVIRONMENT_", Environment, request.environment, "environment"
            ),
            format=request.format,
            language=request.language or "en",
            recipient=request.recipient,
            with_file=request.with_file,
            idempotency_key=request.idempotency_key,
        )
        queued = await asyncio.to_thread(self._casework.send, request.case_id, sending, actor=request.actor)
        self._relays.wake()
        return delivery_to_proto(queued)

    async def DecideDelivery(  # noqa: N802  gRPC's name
        self,
        request: report_pb2.DecideDeliveryRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.Delivery:
        """Do what a person decided about a delivery."""
        if request.decision not in _DECISIONS:
            raise BadInput("decision: expected release, retry, cancel or confirm", field="decision")
        changed = await asyncio.to_thread(
            self._casework.decide,
            request.delivery_id,
            _DECISIONS[request.decision],
            actor=request.actor,
            reason=request.reason,
        )
        self._relays.wake()
        return delivery_to_proto(changed)

    async def RelayFile(  # noqa: N802  gRPC's name
        self,
        request_iterator: Any,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.RelayFileResponse:
        """Pass a file through."""
        requests = aiter(request_iterator)
        first = await anext(requests, None)
        if first is None or not first.delivery_id:
            raise BadInput("delivery_id: the first message of a file names its delivery", field="delivery_id")
        if len(first.md5) != MD5_BYTES:
            raise BadInput(f"md5: expected {MD5_BYTES} bytes on the first message, got {len(first.md5)}", field="md5")
        delivery, result = await self._relays.relay(first.delivery_id, _chunks(first, requests), first.md5)
        file_id, size_bytes = (result.file_id, result.size_bytes) if isinstance(result, Relayed) else ("", 0)
        return report_pb2.RelayFileResponse(
            delivery=delivery_to_proto(delivery), file_id=file_id, size_bytes=size_bytes
        )

    async def ConfirmMatch(  # noqa: N802  gRPC's name
        self,
        request: report_pb2.FindingRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.FindingResponse:
        """Record that a match was right."""
        return await self._find(request, confirmed=True)

    async def RejectMatch(  # noqa: N802  gRPC's name
        self,
        request: report_pb2.FindingRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.FindingResponse:
        """Record that a match was wrong."""
        return await self._find(request, confirmed=False)

    async def CloseReport(  # noqa: N802  gRPC's name
        self,
        request: report_pb2.ChangeReportRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.Case:
        """Close a case."""
        return await self._change(request, CaseEvent.CLOSE)

    async def ReopenReport(  # noqa: N802  gRPC's name
        self,
        request: report_pb2.ChangeReportRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.Case:
        """Open a case again."""
        return await self._change(request, CaseEvent.REOPEN)

    async def HoldMaterial(  # noqa: N802  gRPC's name
        self,
        request: report_pb2.HoldMaterialRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.Hold:
        """Remember that the caller's store keeps something."""
        held = await asyncio.to_thread(
            self._casework.hold, request.case_id, request.handle, actor=request.actor, days=request.days or None
        )
        self._relays.wake()
        return _hold_to_proto(held)

    async def ReleaseMaterial(  # noqa: N802  gRPC's name
        self,
        request: report_pb2.ReleaseMaterialRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.Hold:
        """End a hold."""
        released = await asyncio.to_thread(
            self._casework.release, request.case_id, request.hold_id, actor=request.actor, reason=request.reason
        )
        self._relays.wake()
        return _hold_to_proto(released)

    async def GetStatistics(  # noqa: N802  gRPC's name
        self,
        request: report_pb2.GetStatisticsRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.GetStatisticsResponse:
        """Return the counters of some days."""
        days = (_day(request.first_day, "first_day"), _day(request.last_day, "last_day"))
        rows = await asyncio.to_thread(self._casework.counted, *days)
        return report_pb2.GetStatisticsResponse(
            rows=[
                report_pb2.CountedRow(
                    day=row.day.isoformat(),
                    counter=row.counter.value,
                    set_name=row.set_name,
                    algorithm=row.algorithm,
                    domain="" if row.domain is None else row.domain.value,
                    outlet=row.outlet,
                    bucket=row.bucket,
                    count=row.count,
                )
                for row in rows
            ]
        )

    async def _find(self, request: report_pb2.FindingRequest, *, confirmed: bool) -> report_pb2.FindingResponse:
        finding: Finding = await asyncio.to_thread(
            self._casework.find, request.case_id, confirmed=confirmed, actor=request.actor, reason=request.reason
        )
        return report_pb2.FindingResponse(
            case=case_to_proto(finding.case),
            voted=finding.voted,
            skipped=[report_pb2.SkippedMatch(position=one.position, reason=one.reason) for one in finding.skipped],
        )

    async def _change(self, request: report_pb2.ChangeReportRequest, event: CaseEvent) -> report_pb2.Case:
        case = await asyncio.to_thread(
            self._casework.change, request.case_id, event, actor=request.actor, reason=request.reason
        )
        return case_to_proto(case)


def case_to_proto(case: Case) -> report_pb2.Case:
    """Return a case as it goes over the wire."""
    return fill(report_pb2.Case(), plain.to_plain(case, defaults=True))


def delivery_to_proto(item: Delivery) -> report_pb2.Delivery:
    """Return a delivery without its document."""
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
    )


def _document_to_proto(document: Document) -> report_pb2.Document:
    return report_pb2.Document(
        format=document.format,
        media_type=document.media_type,
        file_name=document.file_name,
        body=document.body,
        parts=[report_pb2.DocumentPart(name=name, body=body) for name, body in document.parts],
    )


def _hold_to_proto(item: Hold) -> report_pb2.Hold:
    return report_pb2.Hold(
        hold_id=item.hold_id,
        case_id=item.case_id,
        handle=item.handle,
        deadline=timestamp(item.deadline),
        created_at=timestamp(item.created_at),
        released_at=timestamp(item.released_at),
    )


async def _chunks(first: report_pb2.RelayFileRequest, requests: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    if first.chunk:
        yield first.chunk
    async for request in requests:
        if request.delivery_id or request.md5:
            raise BadInput("delivery_id: only the first message names a delivery and a digest", field="delivery_id")
        if request.chunk:
            yield request.chunk


def _day(text: str, field: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{field}: {text[:20]!r} is no date; write 2026-11-28", field=field) from None
