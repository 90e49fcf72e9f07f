"""What a check of URLs on the command line asks: the confined processes, and who keeps evidence.

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
from hashmatch.hotline.checking.opening import opened_processes

if TYPE_CHECKING:
    from hashmatch.config import Config
    from hashmatch.hotline.checking.looking import Ports
    from hashmatch.hotline.proof.evidence import Context, Evidence


@dataclass(frozen=True, slots=True)
class EvidenceWanted:
    """Where evidence is kept, and the key that signs it."""

    directory: Path
    key: Path


@asynccontextmanager
async def opened_ports(
    config: Config, detector: Detector, job: str, evidence: EvidenceWanted | None
) -> AsyncIterator[Ports]:
    """Start the confined processes, and open what one job asks, for the length of the block.

    Raises
    ------
    BadConfig
        The extra ``hotline`` is not installed, or a database cannot be read.
    SandboxUnavailable
        A process could not be confined.
    LedgerUnavailable, LedgerCorrupt
        Evidence cannot be kept.

    """
    async with opened_processes(config) as processes:
        with contextlib.ExitStack() as stack:
            proves = None if evidence is None else stack.enter_context(opened_evidence(config, evidence, job))
            yield processes.ports(detector, job, proves=proves)


def evidence_context(config: Config, job: str) -> Context:
    """Return what all evidence of a job says alike."""
    from hashmatch.hotline.proof.evidence import Context, config_digest

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
    from hashmatch.hotline.proof.evidence import Evidence, evidence_key

    return Evidence.open(wanted.directory, evidence_key(wanted.key), evidence_context(config, job))
