"""From a match over gRPC to a report that arrived, and through the death of the process that sends it."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import datetime as dt
import hashlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from hashmatch.cases.receipt import KEY_FILE, issued, service_key
from hashmatch.cases.store import CaseStore, NewCase
from hashmatch.catalog.opening import CATALOG
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.config import Config
from hashmatch.model.cases import Environment
from hashmatch.outbox.rows import Order
from hashmatch.outbox.store import DeliveryStore
from hashmatch.v1 import detection_pb2, detection_pb2_grpc, report_pb2, report_pb2_grpc, types_pb2
from tests.support import cases
from tests.support.catalog import pdq
from tests.support.receivers.hooks import SECRET, Hooks
from tests.support.receivers.ispws import served
from tests.support.reporting import configured, digests, known, present, relaying, served_at, undelivered_until
from tests.support.service import until

OCCURRED = "2026-11-27T10:00:00+01:00"


@contextlib.asynccontextmanager
async def service(data_dir: Path, config: Config) -> AsyncIterator[grpc.aio.Channel]:
    async with served_at(data_dir, config) as target, grpc.aio.insecure_channel(target) as channel:
        yield channel


async def test_from_a_match_to_a_report_that_arrived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known(tmp_path / "data")
    begun = present().date()
    async with Hooks(present) as hooks, service(tmp_path / "data", configured(hooks, monkeypatch)) as channel:
        hooks.faults.extend(["down", "lost"])
        detection = detection_pb2_grpc.DetectionServiceStub(channel)
        reports = report_pb2_grpc.ReportServiceStub(channel)
        given = types_pb2.Hash(algorithm="pdq", value=pdq(2**255 + 1).value, quality=100)
        asked = detection_pb2.DetectHashesRequest(items=[detection_pb2.HashedItem(hashes=[given])])
        (match,) = (await detection.DetectHashes(asked)).reports
        assert match.receipt
        assert [item.value for item in match.hashes] == [given.value]
        facts = report_pb2.Facts(
            occurred_at=OCCURRED,
            viewed_by_human=False,
            exif_viewed=False,
            locator=report_pb2.Locator(content_ref="p17"),
        )
        request = report_pb2.CreateReportRequest(receipt=match.receipt, facts=facts, idempotency_key="k", actor="anna")
        case = await reports.CreateReport(request)
        assert (case.domain, case.occurred_at) == (types_pb2.HARM_DOMAIN_CSAM, OCCURRED)
        assert (await reports.CreateReport(request)).case_id == case.case_id
        queued = await reports.SendReport(
            report_pb2.SendReportRequest(
                case_id=case.case_id,
                outlet="hook",
                environment=report_pb2.ENVIRONMENT_TEST,
                format="stix",
                actor="anna",
            )
        )
        await until(lambda: len(hooks.requests) >= 3)
        await _stands(reports, case.case_id, report_pb2.DELIVERY_STATE_DELIVERED)
        found = await reports.GetReport(report_pb2.GetReportRequest(case_id=case.case_id))
        assert len(hooks.taken) == 1, "an answer that was lost makes no second report"
        assert found.deliveries[0].delivery_id == queued.delivery_id
        assert [event.what for event in found.events][:2] == ["opened", "queued"]
        rendered = await reports.RenderReport(
            report_pb2.RenderReportRequest(
                case_id=case.case_id, format="stix", subject=report_pb2.Subject(screen_name="somebody")
            )
        )
        assert json.loads(rendered.body)["type"] == "bundle"
        finding = await reports.ConfirmMatch(
            report_pb2.FindingRequest(case_id=case.case_id, actor="anna", reason="seen")
        )
        assert finding.voted == 1
        await _counted(reports, begun, checked=1, match=1, cases=1, confirmed=1, reported=1)
    with SqliteCatalog.open(tmp_path / "data" / CATALOG) as catalog:
        (opinion,) = catalog.get_entry("known", "a1").opinions
    assert (opinion.who, opinion.stance.value) == ("example.org", "agree")


async def _counted(reports: Any, begun: dt.date, **wanted: int) -> None:
    """Return once the counters since a day are as wanted; midnight may come at any time."""
    async with asyncio.timeout(300):
        while True:
            days = {"first_day": begun.isoformat(), "last_day": present().date().isoformat()}
            rows = await reports.GetStatistics(report_pb2.GetStatisticsRequest(**days))
            counted = collections.Counter[str]()
            for row in rows.rows:
                counted[row.counter] += row.count
            if all(counted[name] == count for name, count in wanted.items()):
                return
            await asyncio.sleep(0.02)


async def refused(call: Any, field: str, message: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert message in (caught.value.details() or "")
    assert f"{field}:" in (caught.value.details() or "")


async def test_what_is_wrong_is_named_and_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known(tmp_path / "data")
    async with Hooks(present) as hooks, service(tmp_path / "data", configured(hooks, monkeypatch)) as channel:
        reports = report_pb2_grpc.ReportServiceStub(channel)
        receipt = issued(
            dataclasses.replace(cases.report(), created_at=present()), service_key(tmp_path / "data" / KEY_FILE)
        )
        good = report_pb2.Facts(
            occurred_at=OCCURRED,
            viewed_by_human=False,
            exif_viewed=False,
            locator=report_pb2.Locator(content_ref="p17"),
        )

        def create(**change: Any) -> Any:
            facts = report_pb2.Facts()
            facts.CopyFrom(good)
            name: Any
            for name, value in change.items():
                facts.ClearField(name) if value is None else setattr(facts, name, value)
            return reports.CreateReport(report_pb2.CreateReportRequest(receipt=receipt, facts=facts, actor="anna"))

        await refused(create(viewed_by_human=None), "facts.viewed_by_human", "is required, and has no default")
        await refused(create(exif_viewed=None), "facts.exif_viewed", "is required, and has no default")
        await refused(create(occurred_at="2026-11-27T10:00:00"), "facts.occurred_at", "has no zone; give an offset")
        await refused(create(occurred_at="2999-01-01T00:00:00Z"), "occurred_at", "is in the future (future)")
        await refused(create(source=77), "facts.source", "expected one of voluntary, article_16")
        await refused(create(domain=types_pb2.HARM_DOMAIN_WILDLIFE), "domain", "a case cannot claim a match")
        changed = receipt[:-1] + bytes([receipt[-1] ^ 1])
        forged = report_pb2.CreateReportRequest(receipt=changed, facts=good, actor="anna")
        await refused(reports.CreateReport(forged), "receipt", "the signature does not fit")
        await refused(
            reports.RelayFile(iter([report_pb2.RelayFileRequest(delivery_id="x", md5=b"short")])), "md5", "16 bytes"
        )
        listed = await reports.ListReports(report_pb2.ListReportsRequest())
        assert list(listed.cases) == []
    assert hooks.requests == []


async def test_killed_again_and_again_every_report_arrives_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that delivers is killed at random moments; the next one goes on where it was."""
    count, data_dir = 6, tmp_path / "data"
    known(data_dir)
    with SqliteCatalog.open(data_dir / CATALOG) as catalog:
        CaseStore(catalog).add(NewCase(cases.case(), present() + dt.timedelta(365), b"d" * 32), "anna")
        for number in range(count):
            order = Order(
                case_id=cases.CASE_ID,
                outlet="hook",
                environment=Environment.TEST,
                document=cases.document(f"report {number}".encode()),
                key=f"key-{number}",
                requested_by="anna",
            )
            DeliveryStore(catalog).queue(order, present())
    async with Hooks(present) as hooks:
        monkeypatch.setenv("HOOK_SECRET", SECRET)
        config = tmp_path / "hashmatch.toml"
        config.write_text(
            f'[outbox]\nlease_s = 5\nfirst_wait_s = 0\n[outbox.outlets.hook]\nkind = "webhook"\nenvironment = "test"\n'
            f'url = "{hooks.url}"\ncredentials = "env:HOOK"\nconcurrency = 1\n',
            encoding="utf-8",
        )
        arguments = (sys.executable, "-m", "hashmatch", "--config", str(config), "--data", str(data_dir))
        for round_ in range(4):
            process = await asyncio.create_subprocess_exec(
                *arguments,
                "report",
                "deliver",
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "HOOK_SECRET": SECRET},
            )
            before = len(hooks.requests)
            with contextlib.suppress(TimeoutError):
                await until(lambda: len(hooks.requests) > before + 1 or process.returncode is not None)  # noqa: B023
            await asyncio.sleep(0.003 * round_)
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            await process.communicate()
        async with asyncio.timeout(300):
            while (due_at := _undelivered_until(data_dir)) is not None:
                await asyncio.sleep((due_at - present()).total_seconds())  # leases of the dead have to end
                process = await asyncio.create_subprocess_exec(
                    *arguments, "report", "deliver", stderr=asyncio.subprocess.PIPE
                )
                await process.communicate()
    assert sorted(hooks.taken.values()) == sorted(f"report {number}".encode() for number in range(count))
    assert hooks.refused == []


def _undelivered_until(data_dir: Path) -> dt.datetime | None:
    with SqliteCatalog.open(data_dir / CATALOG) as catalog:
        return undelivered_until(catalog)


async def test_a_file_is_relayed_to_the_cybertipline_and_nothing_of_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = tmp_path / "data"
    known(data_dir)
    file = b"\xff\xd8\xff\xe0 made up, no picture " * 40_000
    async with served() as ispws:
        async with service(data_dir, relaying(ispws, monkeypatch)) as channel:
            reports = report_pb2_grpc.ReportServiceStub(channel)
            made = dataclasses.replace(cases.report(), created_at=present())
            made = dataclasses.replace(made, digests=digests(file))
            facts = report_pb2.Facts(
                occurred_at=OCCURRED,
                viewed_by_human=False,
                exif_viewed=False,
                locator=report_pb2.Locator(urls=["https://pictures.example.org/p/17"]),
            )
            receipt = issued(made, service_key(data_dir / KEY_FILE))
            case = await reports.CreateReport(
                report_pb2.CreateReportRequest(receipt=receipt, facts=facts, actor="anna")
            )
            delivery = await reports.SendReport(
                report_pb2.SendReportRequest(
                    case_id=case.case_id,
                    outlet="ncmec",
                    environment=report_pb2.ENVIRONMENT_TEST,
                    with_file=True,
                    actor="anna",
                )
            )
            await _stands(reports, case.case_id, report_pb2.DELIVERY_STATE_WAITING)
            other = hashlib.md5(b"another").digest()  # noqa: S324
            await refused(reports.RelayFile(_file(delivery.delivery_id, b"", other)), "md5", "is another file")
            wrong = await reports.RelayFile(_file(delivery.delivery_id, file[:-1] + b"!", hashlib.md5(file).digest()))  # noqa: S324
            assert (wrong.file_id, wrong.delivery.state) == ("", report_pb2.DELIVERY_STATE_WAITING)
            assert wrong.delivery.reason
            await asyncio.sleep(0.1)
            await _stands(reports, case.case_id, report_pb2.DELIVERY_STATE_WAITING)
            relayed = await reports.RelayFile(_file(delivery.delivery_id, file, hashlib.md5(file).digest()))  # noqa: S324
            assert (len(relayed.file_id), relayed.size_bytes) == (32, len(file))
            await _stands(reports, case.case_id, report_pb2.DELIVERY_STATE_DELIVERED)
        (finished,) = ispws.finished()
        assert b"<fileViewedByEsp>false</fileViewedByEsp>" in next(iter(finished.files.values())).details
    kept = b"".join(path.read_bytes() for path in data_dir.rglob("*") if path.is_file())
    assert b"made up, no picture" not in kept


async def _file(delivery_id: str, file: bytes, md5: bytes) -> AsyncIterator[report_pb2.RelayFileRequest]:
    yield report_pb2.RelayFileRequest(delivery_id=delivery_id, md5=md5)
    for begin in range(0, len(file), 1 << 16):
        yield report_pb2.RelayFileRequest(chunk=file[begin : begin + (1 << 16)])


async def _stands(reports: Any, case_id: str, state: int) -> None:
    """Return once the only delivery of a case stands there."""
    async with asyncio.timeout(300):
        while True:
            found = await reports.GetReport(report_pb2.GetReportRequest(case_id=case_id))
            if found.deliveries[0].state == state:
                return
            assert found.deliveries[0].state != report_pb2.DELIVERY_STATE_DEAD, found.deliveries[0].reason
            await asyncio.sleep(0.02)
