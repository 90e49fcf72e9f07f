"""Handlers of ReportService: translate, call, translate.

Everything that touches the database runs in a thread; a file that is relayed passes through chunk by chunk and is never
gathered.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any, Final, Protocol

from hashmatch.cases.states import CaseEvent
from hashmatch.errors import BadInput
from hashmatch.identity import Role, actor, caller
from hashmatch.model import HarmDomain
from hashmatch.model.cases import CaseState, Document, Environment
from hashmatch.model.deliveries import DeliveryDecision, RelayedFile
from hashmatch.outbox.parcels import Again, Refused, Relayed
from hashmatch.outbox.rows import Delivery
from hashmatch.outbox.states import DeliveryEvent
from hashmatch.report.casework import (
    case_to_proto,
    counted_to_proto,
    delivery_to_proto,
    document_to_proto,
    facts_from_proto,
    file_to_proto,
    finding_to_proto,
    hold_to_proto,
    relayed_to_proto,
    subject_from_proto,
)
from hashmatch.report.scalars import from_number
from hashmatch.service.casework import Casework, Sending
from hashmatch.service.purview import (
    own_case,
    own_delivery,
    own_figures,
    own_page,
    shown_case,
    shown_file,
    shown_finding,
)
from hashmatch.v1 import report_pb2, report_pb2_grpc, types_pb2

MD5_BYTES: Final = 16
PAGE: Final = 100


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
        facts = facts_from_proto(request.facts)
        case = await asyncio.to_thread(
            self._casework.open,
            request.receipt,
            facts,
            actor=actor(request.actor),
            idempotency_key=request.idempotency_key,
        )
        return case_to_proto(shown_case(case))

    async def GetReport(  # noqa: N802  gRPC's name
        self,
        request: report_pb2.GetReportRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.GetReportResponse:
        """Return one case with everything that belongs to it."""
        file = await asyncio.to_thread(self._casework.get, await self._own(request.case_id))
        return file_to_proto(shown_file(file))

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
        found = await asyncio.to_thread(
            own_page, self._casework, after=request.after, state=state, domain=domain, most=most
        )
        return report_pb2.ListReportsResponse(cases=[case_to_proto(shown_case(item)) for item in found])

    async def RenderReport(  # noqa: N802  gRPC's name
        self,
        request: report_pb2.RenderReportRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.Document:
        """Return a case, or several, in a format."""
        for case_id in (request.case_id, *request.further_case_ids):
            await self._own(case_id)
        if request.further_case_ids:
            return document_to_proto(await asyncio.to_thread(self._several, request))
        subject = None
        if request.HasField("subject"):
            subject = subject_from_proto(request.subject)
        document = await asyncio.to_thread(
            self._casework.render,
            await self._own(request.case_id),
            request.format,
            language=request.language or "en",
            recipient=request.recipient,
            audience=request.audience,
            subject=subject,
        )
        return document_to_proto(document)

    async def SendReport(  # noqa: N802  gRPC's name
        self,
        request: report_pb2.SendReportRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.Delivery:
        """Queue a case, or several in one document, for an outlet."""
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
            audience=request.audience,
            held=request.held,
        )
        case_ids = [await self._own(case_id) for case_id in (request.case_id, *request.further_case_ids)]
        queued = await asyncio.to_thread(self._casework.send_several, case_ids, sending, actor=actor(request.actor))
        self._relays.wake()
        return delivery_to_proto(queued)

    async def DecideDelivery(  # noqa: N802  gRPC's name
        self,
        request: report_pb2.DecideDeliveryRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.Delivery:
        """Do what a person decided about a delivery."""
        decision = from_number(
            report_pb2.DeliveryDecision, "DELIVERY_DECISION_", DeliveryDecision, request.decision, "decision"
        )
        if decision is DeliveryDecision.RELEASE:
            caller().check_roles(frozenset({Role.RELEASE}), "releasing a delivery")
        changed = await asyncio.to_thread(
            self._casework.decide,
            await own_delivery(self._casework, request.delivery_id),
            DeliveryEvent(decision),
            actor=actor(request.actor),
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
        await own_delivery(self._casework, first.delivery_id)
        delivery, result = await self._relays.relay(first.delivery_id, _chunks(first, requests), first.md5)
        file_id, size_bytes = (result.file_id, result.size_bytes) if isinstance(result, Relayed) else ("", 0)
        return relayed_to_proto(RelayedFile(delivery, file_id, size_bytes))

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

    async def RecordComplaint(  # noqa: N802  gRPC's name
        self,
        request: report_pb2.RecordComplaintRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.Case:
        """Count a complaint."""
        case = await asyncio.to_thread(
            self._casework.complain,
            await self._own(request.case_id),
            upheld=request.upheld,
            actor=actor(request.actor),
            reason=request.reason,
        )
        return case_to_proto(shown_case(case))

    async def HoldMaterial(  # noqa: N802  gRPC's name
        self,
        request: report_pb2.HoldMaterialRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.Hold:
        """Remember that the caller's store keeps something."""
        held = await asyncio.to_thread(
            self._casework.hold,
            await self._own(request.case_id),
            request.handle,
            actor=actor(request.actor),
            days=request.days or None,
        )
        self._relays.wake()
        return hold_to_proto(held)

    async def ReleaseMaterial(  # noqa: N802  gRPC's name
        self,
        request: report_pb2.ReleaseMaterialRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.Hold:
        """End a hold."""
        released = await asyncio.to_thread(
            self._casework.release,
            await self._own(request.case_id),
            request.hold_id,
            actor=actor(request.actor),
            reason=request.reason,
        )
        self._relays.wake()
        return hold_to_proto(released)

    async def GetStatistics(  # noqa: N802  gRPC's name
        self,
        request: report_pb2.GetStatisticsRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> report_pb2.GetStatisticsResponse:
        """Return the counters of some days."""
        days = (_day(request.first_day, "first_day"), _day(request.last_day, "last_day"))
        rows = await asyncio.to_thread(self._casework.counted, *days)
        return report_pb2.GetStatisticsResponse(rows=map(counted_to_proto, own_figures(rows)))

    async def _own(self, case_id: str) -> str:
        return await own_case(self._casework, case_id)

    def _several(self, request: report_pb2.RenderReportRequest) -> Document:
        if request.HasField("subject"):
            raise BadInput("subject: is of one case; render that one alone", field="subject")
        return self._casework.render_several(
            (request.case_id, *request.further_case_ids),
            request.format,
            language=request.language or "en",
            recipient=request.recipient,
            audience=request.audience,
        )

    async def _find(self, request: report_pb2.FindingRequest, *, confirmed: bool) -> report_pb2.FindingResponse:
        finding = await asyncio.to_thread(
            self._casework.find,
            await self._own(request.case_id),
            confirmed=confirmed,
            actor=actor(request.actor),
            reason=request.reason,
        )
        return finding_to_proto(shown_finding(finding))

    async def _change(self, request: report_pb2.ChangeReportRequest, event: CaseEvent) -> report_pb2.Case:
        case = await asyncio.to_thread(
            self._casework.change,
            await self._own(request.case_id),
            event,
            actor=actor(request.actor),
            reason=request.reason,
        )
        return case_to_proto(shown_case(case))


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
