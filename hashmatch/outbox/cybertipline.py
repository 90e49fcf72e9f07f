"""NCMEC's CyberTipline as an outlet: a report is opened, its file relayed, described, and the whole finished.

Theory of operation
-------------------
``cybertip_steps`` says what comes next, ``ispws`` what an answer means, and this module does it: it saves the progress,
asks, and saves again. A finish that was sent and not answered is never repeated by itself.

The file goes through as a stream. Its digest is compared with the one that the caller was to send, before the last byte
leaves, and with the one that NCMEC says it received; where either differs, the report is left and a new one opened.
While it flows, the lease of the delivery is renewed.

The outlet belongs to one environment: NCMEC's production host to production only, its test host and this machine to
test only.

What this module deliberately does not do: it renders nothing and keeps no byte of a file.

Source: reference formats §2.1.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import time
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

import aiohttp

from hashmatch import addresses
from hashmatch.errors import BadConfig, BadReport
from hashmatch.model.cases import Environment, OutletKind
from hashmatch.outbox import cybertip_steps as steps
from hashmatch.outbox.cybertip_steps import Step
from hashmatch.outbox.ispws import Judged, NotTaken, Taken, Unknown, Why, judged, request_id
from hashmatch.outbox.parcels import (
    Again,
    AwaitingFile,
    Delivered,
    Outcome,
    Parcel,
    Progress,
    Refused,
    Relayed,
    Save,
    Unsure,
)
from hashmatch.outbox.secrets import basic
from hashmatch.outbox.wire import Body, Wire
from hashmatch.projections.cybertip_file import with_ids
from hashmatch.projections.cybertip_rules import is_report_id
from hashmatch.sections import OutboxConfig, OutletConfig

HOSTS: Final[Mapping[str, str]] = types.MappingProxyType(
    {"report.cybertip.org": addresses.PRODUCTION, "exttest.cybertip.org": addresses.TEST}
)
_XML: Final = {"Content-Type": "text/xml; charset=utf-8"}
_LEAST_STREAM_S: Final = 60.0


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class CyberTipline:
    """The CyberTipline, in one environment.

    Parameters
    ----------
    name : str
        Of the outlet, for messages.
    config : OutletConfig
        Its url and environment.
    outbox : OutboxConfig
        Bounds of time and size.
    secrets : mapping
        ``username`` and ``password``.
    now : callable, optional
        The clock that NCMEC's deadlines are measured by.

    Raises
    ------
    BadConfig
        The url is none, is not of the environment, or would be reached without TLS.

    """

    def __init__(
        self,
        name: str,
        config: OutletConfig,
        outbox: OutboxConfig,
        secrets: Mapping[str, str],
        *,
        now: Callable[[], dt.datetime] = _now,
    ) -> None:
        setting = f"outbox.outlets.{name}"
        if config.kind != OutletKind.CYBERTIPLINE or config.environment not in set(Environment):
            raise BadConfig(
                f"{setting}: expected kind cybertipline and environment test or production, not {config.kind!r} and "
                f"{config.environment!r}",
                field=f"{setting}.environment",
            )
        parts = addresses.parsed(f"{setting}.url", config.url)
        addresses.check_environment(f"{setting}.url", parts, config.environment, HOSTS)
        self._environment = Environment(config.environment)
        self._renew_s = outbox.lease_s / 3
        self._wire = Wire(parts, outbox, {"Authorization": basic(secrets)})
        self._now = now

    def __repr__(self) -> str:
        return f"<CyberTipline {self._environment.value}: {self._wire!r}>"

    async def close(self) -> None:
        """Let go of connections."""
        await self._wire.close()

    async def deliver(self, parcel: Parcel, save: Save) -> Outcome:
        """Go on with a report from ``parcel.progress``: to its end, or until it waits for its file."""
        if (unfit := self._unfit(parcel)) is not None:
            return unfit
        tip = _Tip(self._wire, self._now, parcel, save)
        while True:
            outcome = await _TAKE[tip.next()](tip)
            if outcome is not None:
                return outcome

    async def relay(
        self, parcel: Parcel, chunks: AsyncIterator[bytes], md5: bytes, save: Save
    ) -> Relayed | Again | Refused:
        """Send the file of a report as a stream, opening a new report first where the one before is past its time.

        Parameters
        ----------
        parcel : Parcel
            A delivery that waits for its file.
        chunks : async iterator of bytes
            The file. What it raises passes through.
        md5 : bytes
            The digest that the file must have.
        save : Save
            Makes progress durable; also renews the lease while the file flows.

        """
        if (unfit := self._unfit(parcel)) is not None:
            return unfit
        tip = _Tip(self._wire, self._now, parcel, save)
        while (step := tip.next()) in {Step.OPEN, Step.START_OVER}:
            outcome = await (tip.open() if step is Step.OPEN else tip.start_over())
            if isinstance(outcome, (Again, Refused)):
                return outcome
        if step is not Step.AWAIT_FILE:
            return Refused(f"report {tip.report_id} waits for no file")
        return await tip.upload(_Feed(chunks, md5, tip, self._renew_s))

    async def retract(self, parcel: Parcel, save: Save) -> Again | Refused | None:
        """Take an open report back; None when NCMEC has none of this delivery any more.

        A report whose finish was sent cannot be taken back.
        """
        progress = parcel.progress
        if steps.REPORT_ID not in progress:
            return None
        if steps.FINISH_SENT in progress:
            return Refused(f"report {progress[steps.REPORT_ID]} was sent to be finished: it cannot be retracted")
        tip = _Tip(self._wire, self._now, parcel, save)
        got = await tip.ask("retract", _form(id=tip.report_id))
        match got:
            case Taken() | NotTaken(why=Why.GONE | Why.RETRACTED):
                await tip.keep(steps.left(tip.progress))
                return None
            case NotTaken():
                return got.outcome()
            case Unknown(reason=reason, after_s=after_s):
                return Again(reason, after_s)

    def _unfit(self, parcel: Parcel) -> Refused | None:
        if parcel.document.format != "cybertip" or "fileDetails" not in dict(parcel.document.parts):
            return Refused(f"a CyberTip is expected, not {parcel.document.format}")
        return None


class _Tip:
    """One try of one report: progress that is saved as it changes."""

    def __init__(self, wire: Wire, now: Callable[[], dt.datetime], parcel: Parcel, save: Save) -> None:
        self._wire = wire
        self._now = now
        self._parcel = parcel
        self._save = save
        self.progress: Progress = dict(parcel.progress)

    @property
    def report_id(self) -> str:
        """NCMEC's number of the open report."""
        return self.progress[steps.REPORT_ID]

    def next(self) -> Step:
        """Return what comes next."""
        return steps.next_step(
            self.progress, with_file=self._parcel.with_file, attempt=self._parcel.attempt, now=self._now()
        )

    async def keep(self, progress: Progress) -> None:
        """Make a progress durable before anything else happens."""
        self.progress = progress
        await self._save(progress)

    async def ask(
        self, call: str, body: Body, headers: Mapping[str, str] | None = None, *, stream_s: float = 0
    ) -> Judged:
        """Make a call; the number that NCMEC gave it is kept with what is saved next."""
        got = await self._wire.ask("POST", call, body=body, headers=headers, stream_s=stream_s)
        if number := request_id(got):
            self.progress = {**self.progress, f"{steps.REQUEST_IDS}{call}": number}
        return judged(got, f"/{call}")

    async def open(self) -> Again | Refused | None:
        """Open a report. One that was opened and whose answer was lost is deleted by NCMEC, because nobody ends it."""
        at = self._now()
        got = await self.ask("submit", self._parcel.document.body, _XML)
        match got:
            case Taken(answer=answer) if is_report_id(answer.report_id):
                await self.keep(steps.opened(self.progress, answer.report_id, at))
                return None
            case Taken():
                outcome: Again | Refused = Again("NCMEC opened a report and gave no number of it")
            case NotTaken():
                outcome = got.outcome()
            case Unknown(reason=reason, after_s=after_s):
                outcome = Again(reason, after_s)
        await self.keep(self.progress)
        return outcome

    async def start_over(self) -> None:
        """Leave a report that cannot be trusted or is past its time. What is not retracted, NCMEC deletes itself."""
        report_id = self.report_id
        await self.keep(steps.left(self.progress))
        await self.ask("retract", _form(id=report_id))

    async def await_file(self) -> AwaitingFile:
        """Say until when the file may come."""
        return AwaitingFile((steps.deadline(self.progress) - self._now()).total_seconds())

    async def upload(self, feed: _Feed) -> Relayed | Again | Refused:
        """Send the file."""
        await self.keep(steps.begun(self.progress, steps.UPLOAD_BEGUN, self._now().isoformat()))
        form = _form(id=self.report_id)
        part = form.append(feed.flow(), {"Content-Type": "application/octet-stream"})
        part.set_content_disposition("form-data", name="file", filename="file")
        seconds = (steps.deadline(self.progress) - self._now()).total_seconds()
        got = await self.ask("upload", form, stream_s=max(seconds, _LEAST_STREAM_S))
        if feed.failure is not None:
            raise feed.failure
        if feed.wrong:
            await self.start_over()
            return Refused(
                f"the file has the MD5 {feed.md5_hex}, not {feed.expected.hex()}; it was not sent to its end"
            )
        match got:
            case Taken(answer=answer) if len(answer.file_id) == 32 and answer.md5_hex == feed.md5_hex:  # noqa: PLR2004
                await self.keep(steps.done(self.progress, steps.UPLOAD_BEGUN, steps.FILE_ID, answer.file_id))
                return Relayed(answer.file_id, feed.expected, feed.size_bytes)
            case Taken(answer=answer):
                await self.start_over()
                return Again(
                    f"NCMEC received {answer.md5_hex or 'something'} in place of {feed.md5_hex}; relay it again"
                )
        return await self._not_done(got, steps.UPLOAD_BEGUN)

    async def describe(self) -> Again | Refused | None:
        """Send the details of the file."""
        try:
            body = with_ids(
                dict(self._parcel.document.parts)["fileDetails"], self.report_id, self.progress[steps.FILE_ID]
            )
        except BadReport as error:
            return Refused(error.message)
        await self.keep(steps.begun(self.progress, steps.FILEINFO_BEGUN, self._now().isoformat()))
        got = await self.ask("fileinfo", body, _XML)
        if isinstance(got, Taken):
            await self.keep(steps.done(self.progress, steps.FILEINFO_BEGUN, steps.FILEINFO_DONE, "yes"))
            return None
        return await self._not_done(got, steps.FILEINFO_BEGUN)

    async def _not_done(self, got: Judged, key: str) -> Again | Refused:
        """Deal with a step that went wrong: as if it was never begun, or with a report that starts over."""
        match got:
            case NotTaken(why=Why.GONE, reason=reason):
                await self.start_over()
                return Again(f"{reason}; a new one is opened")
            case NotTaken():
                await self.keep(steps.undone(self.progress, key))
                return got.outcome()
            case Unknown(reason=reason, after_s=after_s):
                await self.start_over()
                return Again(f"{reason}; the report is left, and a new one opened", after_s)
            case Taken():
                raise AssertionError  # whoever asks has dealt with what was done

    async def finish(self) -> Outcome:
        """End the report, which cannot be undone."""
        await self.keep(steps.begun(self.progress, steps.FINISH_SENT, str(self._parcel.attempt)))
        got = await self.ask("finish", _form(id=self.report_id))
        match got:
            case Taken(answer=answer):
                return self._delivered(f"finished, {len(answer.files)} files")
            case NotTaken(why=Why.FINISHED):
                return self._delivered("it was finished already")
            case NotTaken(why=Why.GONE, reason=reason):
                await self.keep(steps.left(self.progress))
                return Again(f"{reason}; a new one is opened")
            case NotTaken(why=Why.BUSY, code=code, reason=reason) if code:
                return self._unsure(reason)
            case NotTaken():
                await self.keep(steps.undone(self.progress, steps.FINISH_SENT))
                return got.outcome()
            case Unknown(reason=reason):
                await self.keep(self.progress)
                return self._unsure(reason)

    async def ask_a_person(self) -> Unsure:
        """Say that the process ended between the finish and its answer."""
        return self._unsure("the process ended before there was an answer")

    def _delivered(self, told: str) -> Delivered:
        return Delivered(self.report_id, f"report {self.report_id} at NCMEC: {told}")

    def _unsure(self, reason: str) -> Unsure:
        return Unsure(
            f"report {self.report_id} was sent to be finished, and whether it is nobody knows: {reason}. Ask NCMEC's "
            "support, then confirm, or retry: the finish is sent once more, which does no harm where it had arrived"
        )


class _Feed:
    """A file on its way through: counted, digested, and cut off before its end where it is not the one expected."""

    def __init__(self, chunks: AsyncIterator[bytes], expected: bytes, tip: _Tip, renew_s: float) -> None:
        self._chunks = chunks
        self._tip = tip
        self._renew_s = renew_s
        self._digest = hashlib.md5(usedforsecurity=False)
        self.expected = expected
        self.size_bytes = 0
        self.wrong = False
        self.failure: Exception | None = None

    @property
    def md5_hex(self) -> str:
        """Digest of what went through."""
        return self._digest.hexdigest()

    async def flow(self) -> AsyncIterator[bytes]:
        """Pass the file on. What goes wrong here is kept: the HTTP client turns it into a broken connection."""
        renewed = time.monotonic()
        try:
            async for chunk in self._chunks:
                self._digest.update(chunk)
                self.size_bytes += len(chunk)
                if time.monotonic() - renewed >= self._renew_s:
                    await self._tip.keep(self._tip.progress)
                    renewed = time.monotonic()
                if chunk:
                    yield chunk
        except Exception as error:
            self.failure = error
            raise
        if self._digest.digest() != self.expected:
            self.wrong = True
            raise _WrongFileError


class _WrongFileError(Exception):
    """Breaks the connection off, so that the last boundary of the form is never sent."""


_TAKE: Final[Mapping[Step, Callable[[_Tip], Awaitable[Outcome | None]]]] = types.MappingProxyType(
    {
        Step.OPEN: _Tip.open,
        Step.START_OVER: _Tip.start_over,
        Step.AWAIT_FILE: _Tip.await_file,
        Step.DESCRIBE: _Tip.describe,
        Step.FINISH: _Tip.finish,
        Step.ASK_A_PERSON: _Tip.ask_a_person,
    }
)
"""How a step is taken; None goes on to the next."""


def _form(**fields: str) -> aiohttp.MultipartWriter:
    form = aiohttp.MultipartWriter("form-data")
    for name, value in fields.items():
        form.append(value).set_content_disposition("form-data", name=name)
    return form
