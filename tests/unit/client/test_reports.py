"""Which calls about reports are made again, and how a file is cut."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from hashmatch.client import AsyncClient, RetryPolicy
from hashmatch.client.aio_reports import RELAY_MESSAGE_BYTES
from hashmatch.errors import ServiceUnavailable
from hashmatch.model.cases import Environment
from hashmatch.model.deliveries import DeliveryDecision
from hashmatch.report import casework
from hashmatch.v1 import report_pb2, report_pb2_grpc
from tests.support import cases
from tests.unit.report.test_casework import DELIVERY

CASE = casework.case_to_proto(cases.case())
SENT = casework.delivery_to_proto(DELIVERY)
TODAY = dt.date(2026, 11, 28)


class Reports(report_pb2_grpc.ReportServiceServicer):
    """Is away for the first call of each method, and answers the next ones."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.chunks: list[bytes] = []

    def __getattribute__(self, name: str) -> Any:
        if name not in ANSWERS:
            return super().__getattribute__(name)

        async def answer(request: Any, context: Any) -> Any:
            del request
            self.calls.append(name)
            if len(self.calls) == 1:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
            return ANSWERS[name]

        return answer

    async def RelayFile(self, request_iterator: Any, context: Any) -> report_pb2.RelayFileResponse:  # noqa: N802
        """Take a file."""
        del context
        async for request in request_iterator:
            self.chunks.append(request.chunk)
        return report_pb2.RelayFileResponse(delivery=SENT, file_id="1", size_bytes=sum(map(len, self.chunks)))


ANSWERS = {
    "CreateReport": CASE,
    "GetReport": report_pb2.GetReportResponse(case=CASE),
    "ListReports": report_pb2.ListReportsResponse(),
    "RenderReport": report_pb2.Document(),
    "SendReport": SENT,
    "DecideDelivery": SENT,
    "ConfirmMatch": report_pb2.FindingResponse(case=CASE),
    "RejectMatch": report_pb2.FindingResponse(case=CASE),
    "CloseReport": CASE,
    "ReopenReport": CASE,
    "RecordComplaint": CASE,
    "HoldMaterial": report_pb2.Hold(),
    "ReleaseMaterial": report_pb2.Hold(),
    "GetStatistics": report_pb2.GetStatisticsResponse(),
}


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Reports, AsyncClient]]:
    server = grpc.aio.server()
    reports = Reports()  # type: ignore[abstract]  # its methods are made as they are asked for
    report_pb2_grpc.add_ReportServiceServicer_to_server(reports, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with AsyncClient(f"127.0.0.1:{port}", retry=RetryPolicy(first_wait_s=0.01)) as client:
            yield reports, client
    finally:
        await server.stop(None)


async def listed(client: AsyncClient) -> None:
    assert [case async for case in client.list_reports()] == []


Call = Callable[[AsyncClient], Any]
REPEATED: dict[str, Call] = {
    "CreateReport": lambda c: c.create_report(b"r", cases.facts(), actor="anna", idempotency_key="k"),
    "GetReport": lambda c: c.get_report("c"),
    "ListReports": listed,
    "RenderReport": lambda c: c.render_report("c", "stix"),
    "SendReport": lambda c: c.send_report("c", "hook", Environment.TEST, actor="anna", idempotency_key="k"),
    "GetStatistics": lambda c: c.statistics(TODAY, TODAY),
}
ONCE: dict[str, Call] = {
    "CreateReport": lambda c: c.create_report(b"r", cases.facts(), actor="anna"),
    "SendReport": lambda c: c.send_report("c", "hook", Environment.TEST, actor="anna"),
    "DecideDelivery": lambda c: c.decide_delivery("d", DeliveryDecision.RETRY, actor="anna"),
    "ConfirmMatch": lambda c: c.confirm_match("c", actor="anna", reason="seen"),
    "RejectMatch": lambda c: c.reject_match("c", actor="anna", reason="seen"),
    "CloseReport": lambda c: c.close_report("c", actor="anna"),
    "ReopenReport": lambda c: c.reopen_report("c", actor="anna"),
    "RecordComplaint": lambda c: c.record_complaint("c", upheld=True, actor="anna", reason="another picture"),
    "HoldMaterial": lambda c: c.hold_material("c", "store://17", actor="anna"),
    "ReleaseMaterial": lambda c: c.release_material("c", "h", actor="anna", reason="done"),
}


def test_every_call_is_looked_at() -> None:
    methods = {method.name for method in report_pb2.DESCRIPTOR.services_by_name["ReportService"].methods}
    assert {*REPEATED, *ONCE, "RelayFile"} == methods


@pytest.mark.parametrize("name", REPEATED)
async def test_what_changes_nothing_or_has_a_key_is_made_again(name: str) -> None:
    async with serving() as (reports, client):
        await REPEATED[name](client)
        assert reports.calls == [name, name]


@pytest.mark.parametrize("name", ONCE)
async def test_what_could_happen_twice_is_made_once(name: str) -> None:
    async with serving() as (reports, client):
        with pytest.raises(ServiceUnavailable, match=r"no hashmatch service answers at .*: away"):
            await ONCE[name](client)
        assert reports.calls == [name]


async def test_a_file_is_cut_to_what_a_message_holds() -> None:
    file = bytes(range(256)) * (RELAY_MESSAGE_BYTES // 100)

    async def pieces() -> AsyncIterator[bytes]:
        yield file[:7]
        yield b""
        yield file[7:]

    async with serving() as (reports, client):
        relayed = await client.relay_file("d", pieces(), md5=b"m" * 16)
        assert (relayed.file_id, relayed.size_bytes, relayed.delivery) == ("1", len(file), DELIVERY)
        assert b"".join(reports.chunks) == file
        assert [len(chunk) for chunk in reports.chunks] == [
            *(0, 7),
            *(RELAY_MESSAGE_BYTES,) * (len(file) // RELAY_MESSAGE_BYTES),
            (len(file) - 7) % RELAY_MESSAGE_BYTES,
        ]
