"""One file at a time: fetched, recognised by its bytes, and asked about.

Theory of operation
-------------------
A body lives from its arrival to the answer about it, inside one place of ``slots``: there are never more of them than
``hotline.concurrency``, whatever waits. What leaves this module are rows and the addresses that a page refers to.

What a host calls a file decides nothing; its first bytes do. Errors that concern one picture are outcomes; an index
that is not loaded or a server that is gone ends the job, because the next picture would fare no better.

What this module deliberately does not do: it decodes nothing, and follows no link.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from hashmatch.errors import DeadlineExceeded, Overloaded
from hashmatch.hotline.checking.slots import Slots
from hashmatch.hotline.ports import Detects, Fetches, Locates, Proves, Reads
from hashmatch.model import MatchReport
from hashmatch.model.hotline import Fetched, Item, Kind, Outcome, Page, Place, Via
from hashmatch.projections.places import host_of
from hashmatch.sections import HotlineConfig

NOT_ANSWERED: Final = (DeadlineExceeded, Overloaded)
"""Errors that concern one picture."""

UNOPENED: Final[Mapping[Kind, tuple[Outcome, str]]] = MappingProxyType(
    {
        Kind.PAGE: (Outcome.NOT_IMAGE, "a page where a picture was expected"),
        Kind.STYLESHEET: (Outcome.NOT_IMAGE, "a stylesheet"),
        Kind.ARCHIVE: (Outcome.UNSUPPORTED, "an archive; archives are not opened"),
        Kind.VIDEO: (Outcome.UNSUPPORTED, "a video or sound; only pictures are looked up"),
        Kind.DOCUMENT: (Outcome.UNSUPPORTED, "a document that may hold pictures; it is not opened"),
        Kind.OTHER: (Outcome.NOT_IMAGE, "neither a picture nor a page"),
    }
)
"""What is not a picture, to the outcome and the sentence for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Whom a check asks."""

    fetches: Fetches
    reads: Reads
    detects: Detects
    locates: Locates
    proves: Proves
    sniff: Callable[[bytes, str], Kind]
    """Bytes and declared type to what they are."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What one address brought: a row about it, and what a page or stylesheet refers to."""

    fetched: Fetched
    """Without its body."""
    outcome: Outcome | None
    """None: a document that was read."""
    detail: str = ""
    report: MatchReport | None = None
    size_bytes: int = 0
    place: Place | None = None
    page: Page | None = None

    def item(self, number: int, url: str, via: Via, page_url: str) -> Item:
        """Return the row of it."""
        return Item(
            number,
            url,
            via,
            self.outcome or Outcome.NOT_IMAGE,
            self.detail,
            page_url,
            self.fetched,
            self.size_bytes,
            self.report,
            self.place,
        )


class Looking:
    """Fetches files and asks about them, so many at a time."""

    def __init__(self, config: HotlineConfig, ports: Ports, *, detects_at_once: int) -> None:
        self._config = config
        self._ports = ports
        self._slots = Slots(config.concurrency, config.host_concurrency)
        self._detecting = asyncio.Semaphore(detects_at_once)

    def __repr__(self) -> str:
        return f"<Looking: {self._slots!r}>"

    async def image(self, url: str, referer: str) -> Looked:
        """Fetch what should be a picture, and ask about it."""
        async with self._slots.of(host_of(url)):
            fetched = await self._ports.fetches.fetch(url, max_bytes=self._config.max_image_bytes, referer=referer)
            return await self._seen(fetched)

    async def document(self, url: str, referer: str = "") -> Looked:
        """Fetch what may be a page, a stylesheet or a picture; read the first two, ask about the last."""
        config = self._config
        async with self._slots.of(host_of(url)):
            most = max(config.max_page_bytes, config.max_image_bytes)
            fetched = await self._ports.fetches.fetch(url, max_bytes=most, referer=referer)
            if fetched.outcome is None:
                kind = self._ports.sniff(fetched.body, fetched.content_type)
                if kind in {Kind.PAGE, Kind.STYLESHEET}:
                    return await self._read(fetched)
            return await self._seen(fetched)

    async def report(self, image: bytes) -> tuple[Outcome, str, MatchReport | None]:
        """Ask about a picture that is at hand; return the outcome, a sentence about it and the report."""
        if len(image) > self._config.max_image_bytes:
            detail = f"{len(image)} bytes, more than hotline.max_image_bytes allows ({self._config.max_image_bytes})"
            return Outcome.TOO_LARGE, detail, None
        async with self._detecting:
            try:
                report = await self._ports.detects.detect(image)
            except NOT_ANSWERED as error:
                return Outcome.NOT_CHECKED, f"{error.reason().lower()}: {error.message}", None
        reason = "" if report.reason is None else f"{report.reason.value}: {report.detail}".rstrip(": ")
        return Outcome(report.verdict.value), reason, report

    async def _seen(self, fetched: Fetched) -> Looked:
        """Ask about a picture that was fetched, or say why there is none."""
        if fetched.outcome is not None:
            return self._looked(fetched, fetched.outcome, fetched.detail)
        kind = self._ports.sniff(fetched.body, fetched.content_type)
        if kind is not Kind.IMAGE:
            return self._looked(fetched, *UNOPENED[kind])
        outcome, detail, report = await self.report(fetched.body)
        return dataclasses.replace(self._looked(fetched, outcome, detail), report=report)

    async def _read(self, fetched: Fetched) -> Looked:
        """Have a document read in its confined process."""
        size, most = len(fetched.body), self._config.max_page_bytes
        if size > most:
            detail = f"{size} bytes, more than hotline.max_page_bytes allows ({most})"
            return self._looked(fetched, Outcome.TOO_LARGE, detail)
        page = await self._ports.reads.read(fetched.body, url=fetched.final_url, content_type=fetched.content_type)
        if page is None:
            return self._looked(fetched, Outcome.PAGE_FAIL, "the page could not be read in its confined process")
        return dataclasses.replace(self._looked(fetched, None, ""), page=page)

    def _looked(self, fetched: Fetched, outcome: Outcome | None, detail: str) -> Looked:
        ip = next((hop.ip for hop in reversed(fetched.hops) if hop.ip), "")
        place = self._ports.locates.locate(ip) if ip else None
        kept = dataclasses.replace(fetched, body=b"")
        return Looked(kept, outcome, detail, size_bytes=len(fetched.body), place=place)


def now() -> dt.datetime:
    """Return the time, in UTC."""
    return dt.datetime.now(dt.UTC)
