"""One delivery to NCMEC as the outbox keeps it, without an outbox: each call is a process that was just started."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from hashmatch.model.cases import Document, Environment
from hashmatch.outbox.cybertipline import CyberTipline
from hashmatch.outbox.parcels import Again, AwaitingFile, Outcome, Parcel, Progress, Refused, Relayed
from hashmatch.projections import cybertip
from hashmatch.sections import OutboxConfig, OutletConfig
from tests.support import tips
from tests.support.clock import LATE_S
from tests.support.receivers.ispws import SECRETS, Ispws

FIRST, SECOND = "4564654", "4564655"
MD5 = hashlib.md5(tips.FILE, usedforsecurity=False).digest()
DAY = dt.timedelta(days=1)


@dataclass
class Desk:
    """A delivery as the outbox keeps it: what was saved, the number of the try, and where it may be killed."""

    service: Ispws
    config: OutboxConfig = field(default_factory=lambda: OutboxConfig(timeout_s=LATE_S))
    document: Document = field(default_factory=lambda: cybertip.render(tips.full(), tips.CONTEXT))
    with_file: bool = True
    secrets: dict[str, str] = field(default_factory=lambda: dict(SECRETS))
    progress: Progress = field(default_factory=dict)
    attempt: int = 0
    saves: int = 0
    killed_at: int = 0
    """Number of the save that does not come back, because the process is killed just before or after it."""
    written: bool = True
    """Whether that save is on disk."""

    def parcel(self) -> Parcel:
        """Return the delivery as it stands."""
        return Parcel(
            "d-1", "c-1", "k-1", Environment.TEST, self.document, max(self.attempt, 1), self.progress,
            with_file=self.with_file,
        )  # fmt: skip

    def outlet(self) -> CyberTipline:
        """Return the outlet as a process that was just started has it."""
        config = OutletConfig(kind="cybertipline", environment="test", url=self.service.url)
        return CyberTipline("ncmec", config, self.config, self.secrets, now=self.service.clock)

    async def save(self, progress: Progress) -> None:
        """Keep a progress, unless the process is killed."""
        self.saves += 1
        if self.saves == self.killed_at:
            if self.written:
                self.progress = dict(progress)
            raise Killed
        self.progress = dict(progress)

    async def deliver(self) -> Outcome:
        """Try once more, as another process."""
        self.attempt += 1
        outlet = self.outlet()
        try:
            return await outlet.deliver(self.parcel(), self.save)
        finally:
            await outlet.close()

    async def relay(
        self, data: bytes = tips.FILE, md5: bytes = MD5, source: AsyncIterator[bytes] | None = None
    ) -> Relayed | Again | Refused:
        """Relay the file."""
        outlet = self.outlet()
        try:
            return await outlet.relay(self.parcel(), source or chunks(data), md5, self.save)
        finally:
            await outlet.close()

    async def to_the_end(self) -> Outcome:
        """Do what the outbox and the caller do, until there is nothing left to do."""
        for _ in range(20):
            try:
                outcome = await self.deliver()
                if isinstance(outcome, AwaitingFile):
                    await self.relay()
                elif not isinstance(outcome, Again):
                    return outcome
            except Killed:
                self.killed_at = 0
        raise AssertionError(outcome)


class Killed(Exception):
    """The process is gone."""


async def chunks(data: bytes) -> AsyncIterator[bytes]:
    yield b""
    for start in range(0, len(data), 7):
        yield data[start : start + 7]


def check_told_once(service: Ispws) -> None:
    """Exactly one report is finished, with one file and its details."""
    (report,) = service.finished()
    (upload,) = report.files.values()
    assert (upload.md5_hex, upload.size_bytes) == (MD5.hex(), len(tips.FILE))
    assert f"<reportId>{report.number}</reportId>".encode() in upload.details
