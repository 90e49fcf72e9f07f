"""What a check of URLs is put together from: who fetches, reads, locates and keeps evidence, each in its own process.

What this module deliberately does not do: it checks nothing, and knows no option.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hashmatch import __version__
from hashmatch.cli.detecting import Detector
from hashmatch.errors import BadConfig
from hashmatch.model.hotline import Fetched, Item, Kind, Submission

if TYPE_CHECKING:
    from hashmatch.config import Config
    from hashmatch.hotline.evidence import Context, Evidence
    from hashmatch.hotline.fetching import Fetching
    from hashmatch.hotline.looking import Ports

MISSING = "checking URLs needs libraries that are not installed: pip install 'hashmatch[hotline]'"


class NoEvidence:
    """Keeps none."""

    async def record(self, item: Item, submission: Submission) -> str:
        """Return no digest."""
        del item, submission
        return ""


@dataclass(frozen=True, slots=True)
class EvidenceWanted:
    """Where evidence is kept, and the key that signs it."""

    directory: Path
    key: Path


@dataclass(frozen=True, slots=True)
class _OfOneJob:
    """Fetches for one job, which shares no connection through a proxy with others."""

    fetching: Fetching
    job: str

    async def fetch(self, url: str, *, max_bytes: int, referer: str = "") -> Fetched:
        """Fetch an address."""
        return await self.fetching.fetch(url, max_bytes=max_bytes, referer=referer, job=self.job)


@asynccontextmanager
async def opened_ports(
    config: Config, detector: Detector, job: str, evidence: EvidenceWanted | None
) -> AsyncIterator[Ports]:
    """Start the confined processes, and open what a check asks, for the length of the block.

    Raises
    ------
    BadConfig
        The extra ``hotline`` is not installed, or a database cannot be read.
    SandboxUnavailable
        A process could not be confined.
    LedgerUnavailable, LedgerCorrupt
        Evidence cannot be kept.

    """
    try:
        from hashmatch.hotline.fetching import Fetching
        from hashmatch.hotline.looking import Ports
        from hashmatch.hotline.places import Places
        from hashmatch.hotline.reading import Reading
        from hashmatch.hotline.sniff import sniff
    except ImportError as error:
        raise BadConfig(MISSING) from error

    def kind_of(body: bytes, content_type: str) -> Kind:
        return sniff(body, content_type).kind

    places = Places(config.hotline)
    async with contextlib.AsyncExitStack() as stack:
        degraded = config.sandbox.allow_degraded
        fetching = await stack.enter_async_context(Fetching(config.hotline, allow_degraded=degraded))
        reading = await stack.enter_async_context(Reading(config.hotline, config.sandbox))
        yield Ports(
            fetches=_OfOneJob(fetching, job),
            reads=reading,
            detects=detector,
            locates=places,
            proves=NoEvidence() if evidence is None else stack.enter_context(opened_evidence(config, evidence, job)),
            sniff=kind_of,
        )


def evidence_context(config: Config, job: str) -> Context:
    """Return what all evidence of a job says alike."""
    from hashmatch.hotline.evidence import Context, config_digest

    hotline = config.hotline
    return Context(
        job=job,
        version=__version__,
        operator=hotline.operator,
        legal_basis=hotline.legal_basis,
        user_agent=hotline.user_agent or f"hashmatch/{__version__}",
        send_referer=hotline.send_referer,
        route="socks5h" if hotline.proxy else "direct",
        config_sha256=config_digest(hotline, config.policy),
    )


def opened_evidence(config: Config, wanted: EvidenceWanted, job: str) -> Evidence:
    """Open the ledger that a job's evidence goes to; raises BadInput, LedgerUnavailable, LedgerCorrupt."""
    from hashmatch.hotline.evidence import Evidence, evidence_key

    return Evidence.open(wanted.directory, evidence_key(wanted.key), evidence_context(config, job))
