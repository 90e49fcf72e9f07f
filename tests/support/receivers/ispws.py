"""NCMEC's reporting service, as far as a provider reports to it.

Theory of operation
-------------------
An aiohttp application on a free loopback port, with a clock of its own that only tests move. A report goes from open to
finished, retracted or expired; XML is held to order tables of its own and, where the directory in HASHMATCH_EXTRA_DATA
has it, to NCMEC's schema. A fault is planned for one of the next calls of a name; ``before`` and ``after`` say whether
the call takes effect all the same.

What this module deliberately does not do: it keeps no byte of a file, only its digest and size.

Source: reference formats §2.1.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from lxml import etree

from tests.support import tips
from tests.support.clock import LATE_S, leap
from tests.support.receivers.ispws_order import batched_file_faults, faults

USERNAME, PASSWORD = "provider", "secret word"
SECRETS = {"username": USERNAME, "password": PASSWORD}
BEGINNING = dt.datetime(2025, 1, 2, 9, 0, tzinfo=dt.UTC)
DESCRIPTIONS = {
    0: "Success", 1000: "Server error", 1100: "Save failed", 1110: "Upload failed", 1111: "File upload failed",
    1210: "Resource not found", 1300: "Update failed", 2000: "Authentication required", 3000: "Not authorized",
    3100: "Not authorized to submit", 3300: "Not authorized to update", 4000: "Invalid request",
    4100: "Validation failed", 4110: "Malformed XML", 4200: "Malformed file", 5001: "Report does not exist",
    5002: "File does not exist", 5101: "Report already retracted", 5102: "Report already finished",
}  # fmt: skip


@dataclass
class Upload:
    """One file of a report."""

    md5_hex: str
    size_bytes: int
    details: bytes = b""


@dataclass
class Report:
    """One report."""

    number: str
    xml: bytes
    opened_at: dt.datetime
    active_at: dt.datetime
    state: str = "open"
    files: dict[str, Upload] = field(default_factory=dict)

    @property
    def batched(self) -> bool:
        """Whether it is of several accounts."""
        return b"<batchedReport" in self.xml


class Ispws:
    """The service; ``url`` once it is served."""

    def __init__(self) -> None:
        self.now = BEGINNING
        self.url = ""
        self.reports: dict[str, Report] = {}
        self.calls: list[str] = []
        self.faults: dict[str, deque[str]] = {}
        self.held = asyncio.Event()
        """Ends the silence of a slow answer."""
        self.seen_bytes = 0
        """Bytes of a file that came in so far."""

    def __repr__(self) -> str:
        states = [report.state for report in self.reports.values()]
        return f"<Ispws at {self.url}: {', '.join(states) or 'no reports'}>"

    def clock(self) -> dt.datetime:
        """Return the time, for clients that share it."""
        return self.now

    def plan(self, call: str, *names: str) -> None:
        """Plan faults for the next calls of a name; an empty name is a call without one."""
        self.faults.setdefault(call, deque()).extend(names)

    def finished(self) -> list[Report]:
        """Return the reports that count."""
        return [report for report in self.reports.values() if report.state == "finished"]

    def routes(self) -> list[web.RouteDef]:
        """Return the API."""
        return [
            web.get("/ispws/status", self.status),
            web.post("/ispws/submit", self.submit),
            web.post("/ispws/upload", self.upload),
            web.post("/ispws/fileinfo", self.fileinfo),
            web.post("/ispws/finish", self.finish),
            web.post("/ispws/retract", self.retract),
        ]

    @web.middleware
    async def answer(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Check who asks, let the call take effect or not, and answer or not."""
        call = request.path.rpartition("/")[2]
        self.calls.append(call)
        right = "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
        if request.headers.get("Authorization") != right:
            return web.Response(status=401)
        planned = self.faults.get(call)
        fault = planned.popleft() if planned else ""
        kind, _, when = fault.partition("-")
        if when != "before":
            answer = await handler(request)
        else:
            await request.read()
            answer = response(0)
        if kind == "drop":
            assert request.transport is not None
            request.transport.close()
        elif kind == "slow":
            leap(LATE_S)
            await self.held.wait()
        elif kind.isdecimal():
            answer = web.Response(status=int(kind)) if len(kind) == 3 else response(int(kind))
        elif kind == "garbage":
            answer = web.Response(text="<html>Down for maintenance</html>")
        elif kind == "huge":
            answer = web.Response(text="x" * (2 << 20))
        elif kind == "hash":
            answer = response(0, reportId="1", fileId="0" * 32, hash="0" * 32)
        elif kind == "redirect":
            answer = web.Response(status=302, headers={"Location": "http://127.0.0.1:9/"})
        answer.headers["Request-ID"] = f"req-{len(self.calls)}"
        return answer

    async def status(self, request: web.Request) -> web.Response:
        """Say who is asking."""
        del request
        return response(0, f"Remote User : {USERNAME}, Remote Ip : 127.0.0.1")

    async def submit(self, request: web.Request) -> web.Response:
        """Open a report."""
        body = await request.read()
        if (wrong := self._wrong(body, "report")) is not None:
            return wrong
        number = str(4_564_654 + len(self.reports))
        self.reports[number] = Report(number, body, self.now, self.now)
        return response(0, reportId=number)

    async def upload(self, request: web.Request) -> web.Response:
        """Take a file, without keeping it."""
        number, digest, size = "", hashlib.md5(usedforsecurity=False), 0
        async for part in await request.multipart():
            assert isinstance(part, aiohttp.BodyPartReader)
            if part.name == "id":
                number = await part.text()
            while part.name == "file" and (chunk := await part.read_chunk()):
                digest.update(chunk)
                size += len(chunk)
                self.seen_bytes = size
        report = self._report(number)
        if isinstance(report, web.Response):
            return report
        if report.batched and report.files:
            return response(4000, "A batched report has one file")
        name = hashlib.md5(f"{number}/{len(report.files)}".encode(), usedforsecurity=False).hexdigest()
        report.files[name] = Upload(digest.hexdigest(), size)
        report.active_at = self.now
        return response(0, reportId=number, fileId=name, hash=digest.hexdigest())

    async def fileinfo(self, request: web.Request) -> web.Response:
        """Take the details of a file, once."""
        body = await request.read()
        if (wrong := self._wrong(body, "fileDetails")) is not None:
            return wrong
        root = etree.fromstring(body)
        report = self._report(root.findtext("reportId", ""))
        if isinstance(report, web.Response):
            return report
        upload = report.files.get(root.findtext("fileId", ""))
        if upload is None:
            return response(5002)
        if upload.details:
            return response(4000, "File details were given before")
        if report.batched and (fault := next(batched_file_faults(root), "")):
            return response(4100, fault)
        upload.details, report.active_at = body, self.now
        return response(0, reportId=report.number)

    async def finish(self, request: web.Request) -> web.Response:
        """End a report."""
        report = self._report(await self._id(request))
        if isinstance(report, web.Response):
            return report
        report.state = "finished"
        names = "".join(f"<fileId>{name}</fileId>" for name in report.files)
        inside = f"<responseCode>0</responseCode><reportId>{report.number}</reportId><files>{names}</files>"
        return xml(200, f"<reportDoneResponse>{inside}</reportDoneResponse>")

    async def retract(self, request: web.Request) -> web.Response:
        """Take a report back."""
        report = self._report(await self._id(request))
        if isinstance(report, web.Response):
            return report
        report.state = "retracted"
        return response(0, reportId=report.number)

    async def _id(self, request: web.Request) -> str:
        return str((await request.post()).get("id", ""))

    def _report(self, number: str) -> Report | web.Response:
        """Return an open report, or why there is none."""
        report = self.reports.get(number)
        if report is None:
            return response(5001)
        day, hour = report.opened_at + dt.timedelta(hours=24), report.active_at + dt.timedelta(hours=1)
        if report.state == "open" and self.now >= max(day, hour):
            report.state = "expired"
        match report.state:
            case "expired":
                return response(5001)
            case "retracted":
                return response(5101)
            case "finished":
                return response(5102)
        return report

    def _wrong(self, body: bytes, name: str) -> web.Response | None:
        try:
            root = etree.fromstring(body)
        except etree.XMLSyntaxError:
            return response(4110)
        fault = f"{root.tag!r}" if root.tag != name else next(faults(root, tips.schema()), "")
        return response(4100, f"Validation failed: {fault}") if fault else None


def response(code: int, description: str = "", **more: str) -> web.Response:
    """Return a ``reportResponse``."""
    status = {0: 200, 1: 500}.get(code // 1000 if code else 0, 400)
    told = description or DESCRIPTIONS.get(code, "")
    inside = f"<responseCode>{code}</responseCode><responseDescription>{told}</responseDescription>"
    inside += "".join(f"<{key}>{value}</{key}>" for key, value in more.items())
    return xml(status, f"<reportResponse>{inside}</reportResponse>")


def xml(status: int, text: str) -> web.Response:
    """Return an answer in XML."""
    body = f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n{text}'.encode()
    return web.Response(status=status, body=body, content_type="text/xml", charset="utf-8")


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[Ispws]:
    """Serve the service on loopback until the block ends."""
    service = Ispws()
    application = web.Application(middlewares=[service.answer], client_max_size=1 << 22)
    application.add_routes(service.routes())
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        service.url = f"http://127.0.0.1:{runner.addresses[0][1]}/ispws"
        yield service
    finally:
        service.held.set()
        await runner.cleanup()
