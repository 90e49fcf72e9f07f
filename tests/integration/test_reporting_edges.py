"""ReportService as no client of ours calls it: empty, of a newer version, or far too large. Each has its own answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from hashmatch.cases.receipt import KEY_FILE, MAX_BYTES, issued, service_key
from hashmatch.v1 import report_pb2, report_pb2_grpc
from tests.support import cases
from tests.support.receivers.hooks import Hooks
from tests.support.reporting import configured, known, present, served_at

OCCURRED = "2026-11-27T10:00:00+01:00"
LONG = "x" * 1_000_000
SERVICE = report_pb2.DESCRIPTOR.services_by_name["ReportService"]
EMPTY: Mapping[str, tuple[str, str]] = {
    "CreateReport": ("INVALID_ARGUMENT", "facts.occurred_at"),
    "GetReport": ("NOT_FOUND", "case_id"),
    "ListReports": ("OK", ""),
    "RenderReport": ("NOT_FOUND", "case_id"),
    "SendReport": ("INVALID_ARGUMENT", "environment"),
    "DecideDelivery": ("INVALID_ARGUMENT", "decision"),
    "RelayFile": ("INVALID_ARGUMENT", "delivery_id"),
    "ConfirmMatch": ("INVALID_ARGUMENT", "actor"),
    "RejectMatch": ("INVALID_ARGUMENT", "actor"),
    "CloseReport": ("INVALID_ARGUMENT", "actor"),
    "ReopenReport": ("INVALID_ARGUMENT", "actor"),
    "RecordComplaint": ("INVALID_ARGUMENT", "actor"),
    "HoldMaterial": ("INVALID_ARGUMENT", "actor"),
    "ReleaseMaterial": ("INVALID_ARGUMENT", "actor"),
    "GetStatistics": ("INVALID_ARGUMENT", "first_day"),
}
"""Method to the status and the field that an empty request is answered by."""


HOSTILE: tuple[tuple[Mapping[str, Any], str], ...] = (
    ({"note": "x" * 600_000}, "facts"),
    ({"note": "x" * 20_001}, "note"),
    ({"member_states": ["NL"] * 1_001}, "member_states"),
    ({"prior_reports": [report_pb2.PriorReport(authority="police")]}, "facts.prior_reports[0].reference"),
    ({"source": 77}, "facts.source"),
    ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "facts.occurred_at"),
)
"""Facts, and the field that is refused of them."""


def odd(case_id: str, receipt: bytes, facts: report_pb2.Facts) -> list[tuple[str, Mapping[str, Any], str, str, str]]:
    """Return methods with what they are asked, and by which status, field and words that is answered."""
    send = {"case_id": case_id, "outlet": "hook", "format": "stix", "actor": "anna"}
    who = {"case_id": case_id, "actor": "anna"}
    return [
        ("SendReport", {**send, "environment": 77}, "INVALID_ARGUMENT", "environment", "77"),
        ("ListReports", {"state": 77}, "INVALID_ARGUMENT", "state", "77"),
        ("ListReports", {"domain": 77}, "INVALID_ARGUMENT", "domain", "77"),
        ("ListReports", {"after": "a\0"}, "NOT_FOUND", "case_id", "there is no case"),
        ("DecideDelivery", {"delivery_id": "x", "decision": 77}, "INVALID_ARGUMENT", "decision", "77"),
        (
            *("DecideDelivery", {"delivery_id": LONG, "decision": 1, "actor": "a"}),
            *("NOT_FOUND", "delivery_id", "there is no delivery"),
        ),
        ("GetReport", {"case_id": LONG}, "NOT_FOUND", "case_id", "there is no case"),
        ("GetReport", {"case_id": "\0"}, "NOT_FOUND", "case_id", "there is no case"),
        ("CloseReport", {**who, "reason": LONG}, "INVALID_ARGUMENT", "reason", "1000000 characters are too many"),
        ("CloseReport", {**who, "actor": LONG}, "INVALID_ARGUMENT", "actor", "1000000 characters are too many"),
        ("ConfirmMatch", who, "INVALID_ARGUMENT", "reason", "is required"),
        ("RecordComplaint", {**who, "reason": "\n"}, "INVALID_ARGUMENT", "reason", "is required"),
        ("HoldMaterial", {**who, "handle": LONG}, "INVALID_ARGUMENT", "handle", "1 to 2,000 printable"),
        ("HoldMaterial", {**who, "handle": "s", "days": 2**32 - 1}, "INVALID_ARGUMENT", "days", "is not within"),
        ("ReleaseMaterial", {**who, "hold_id": LONG}, "INVALID_ARGUMENT", "hold_id", "the case has no hold"),
        ("RenderReport", {"case_id": case_id, "format": LONG}, "INVALID_ARGUMENT", "format", "is unknown"),
        (
            *("RenderReport", {"case_id": case_id, "format": "letter", "recipient": LONG}),
            *("INVALID_ARGUMENT", "recipient", "1000000 characters are too many; at most 1000"),
        ),
        ("SendReport", {**send, "environment": 1, "outlet": LONG}, "INVALID_ARGUMENT", "outlet", "not configured"),
        ("GetStatistics", {"first_day": LONG, "last_day": "x"}, "INVALID_ARGUMENT", "first_day", "is no date"),
        ("GetStatistics", {"first_day": "2026-11-28"}, "INVALID_ARGUMENT", "last_day", "is no date"),
        (
            *("CreateReport", {"receipt": b"x" * (MAX_BYTES + 1), "facts": facts, "actor": "a"}),
            *("INVALID_ARGUMENT", "receipt", "bytes are too many; at most 1048576"),
        ),
        (
            *("CreateReport", {"receipt": receipt, "facts": facts, "actor": "a", "idempotency_key": LONG}),
            *("INVALID_ARGUMENT", "idempotency_key", "at most 200"),
        ),
    ]


async def answer(call: Any) -> tuple[str, str, str]:
    """Return status, field and message of a call."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        metadata = dict(error.trailing_metadata() or ())
        status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
        bad = error_details_pb2.BadRequest()
        for detail in status.details:
            detail.Unpack(bad)
        field = bad.field_violations[0].field if bad.field_violations else ""
        return error.code().name, field, error.details() or ""
    return "OK", "", ""


def request(method: str, **given: Any) -> Any:
    """Return a request of a method; of a stream, a stream of one."""
    kind = SERVICE.methods_by_name[method]
    message = getattr(report_pb2, kind.input_type.name)(**given)
    return iter([message]) if kind.client_streaming else message


async def test_what_no_client_of_ours_sends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    known(data)
    report = dataclasses.replace(cases.report(), created_at=present())
    receipt = issued(report, service_key(data / KEY_FILE))
    facts = report_pb2.Facts(
        occurred_at=OCCURRED, viewed_by_human=False, exif_viewed=False, locator=report_pb2.Locator(content_ref="p17")
    )
    async with (
        Hooks(present) as hooks,
        served_at(data, configured(hooks, monkeypatch)) as target,
        grpc.aio.insecure_channel(target) as channel,
    ):
        stub = report_pb2_grpc.ReportServiceStub(channel)

        async def told(method: str, **given: Any) -> tuple[str, str, str]:
            return await answer(getattr(stub, method)(request(method, **given)))

        found = {method.name: (await told(method.name))[:2] for method in SERVICE.methods}
        assert found == EMPTY
        case = await stub.CreateReport(report_pb2.CreateReportRequest(receipt=receipt, facts=facts, actor="anna"))
        for method, given, status, field, message in odd(case.case_id, receipt, facts):
            answered = await told(method, **given)
            assert (answered[:2], message in answered[2]) == ((status, field), True), (method, answered)
            assert len(answered[2]) < 2_000
        for change, field in HOSTILE:
            hostile = report_pb2.Facts(**{"occurred_at": OCCURRED, **change})
            hostile.viewed_by_human = hostile.exif_viewed = False
            hostile.locator.content_ref = "p17"
            assert (await told("CreateReport", receipt=receipt, facts=hostile, actor="a"))[:2] == (
                *("INVALID_ARGUMENT", field),
            )
        assert len((await stub.ListReports(report_pb2.ListReportsRequest(page_size=2**32 - 1))).cases) == 1
    assert hooks.requests == []
