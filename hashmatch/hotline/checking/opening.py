"""What a check of URLs is put together from: who fetches, reads and locates, each in its own process, for any job.

What this module deliberately does not do: it checks nothing, and keeps no evidence.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hashmatch.errors import BadConfig
from hashmatch.hotline.ports import Detects, Proves
from hashmatch.model.hotline import Fetched, Item, Kind, Submission

if TYPE_CHECKING:
    from hashmatch.config import Config
    from hashmatch.hotline.checking.looking import Ports
    from hashmatch.hotline.hosting.places import Places
    from hashmatch.hotline.pages.reading import Reading
    from hashmatch.hotline.web.fetching import Fetching

MISSING = "checking URLs needs libraries that are not installed: pip install 'hashmatch[hotline]'"


class NoEvidence:
    """Keeps none."""

    async def record(self, item: Item, submission: Submission) -> str:
        """Return no digest."""
        del item, submission
        return ""


@dataclass(frozen=True, slots=True)
class _OfOneJob:
    """Fetches for one job, which shares no connection through a proxy with others."""

    fetching: Fetching
    job: str
    respect_robots: bool

    async def fetch(self, url: str, *, max_bytes: int, referer: str = "") -> Fetched:
        """Fetch an address."""
        return await self.fetching.fetch(
            url, max_bytes=max_bytes, referer=referer, job=self.job, respect_robots=self.respect_robots
        )


@dataclass(frozen=True, slots=True)
class Processes:
    """The confined processes of a check, which several jobs may share."""

    fetching: Fetching
    reading: Reading
    places: Places

    def ports(self, detects: Detects, job: str, *, proves: Proves | None = None, respect_robots: bool = False) -> Ports:
        """Return whom one job asks. ``respect_robots`` makes it stricter than the configuration."""
        from hashmatch.hotline.checking.looking import Ports
        from hashmatch.hotline.pages.sniff import sniff

        def kind_of(body: bytes, content_type: str) -> Kind:
            return sniff(body, content_type).kind

        return Ports(
            fetches=_OfOneJob(self.fetching, job, respect_robots),
            reads=self.reading,
            detects=detects,
            locates=self.places,
            proves=NoEvidence() if proves is None else proves,
            sniff=kind_of,
        )


@asynccontextmanager
async def opened_processes(config: Config) -> AsyncIterator[Processes]:
    """Start the confined processes for the length of the block.

    Raises
    ------
    BadConfig
        The extra ``hotline`` is not installed, or a database cannot be read.
    SandboxUnavailable
        A process could not be confined.

    """
    try:
        from hashmatch.hotline.hosting.places import Places
        from hashmatch.hotline.pages.reading import Reading
        from hashmatch.hotline.web.fetching import Fetching
    except ImportError as error:
        raise BadConfig(MISSING) from error
    places = await asyncio.to_thread(Places, config.hotline)
    async with (
        Fetching(config.hotline, allow_degraded=config.sandbox.allow_degraded) as fetching,
        Reading(config.hotline, config.sandbox) as reading,
    ):
        yield Processes(fetching, reading, places)
