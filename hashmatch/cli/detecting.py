"""Who answers for images: the engine over the embedded catalog in this process, or a server.

Theory of operation
-------------------
Both offer the same thing, :class:`Detector`, opened for as long as a command runs; so what a command does with the
reports is written once. Opening in process needs a catalog that is there: searching an empty one would answer "nothing
matched" to everything.

What this module deliberately does not do: it reads no file and prints nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hashmatch.cli.connection import Server
from hashmatch.cli.flow import workers_of
from hashmatch.errors import PermissionDenied
from hashmatch.model import MatchReport

if TYPE_CHECKING:
    from hashmatch.client.aio import AsyncClient
    from hashmatch.config import Config
    from hashmatch.progress import Progress
    from hashmatch.service.runtime import Runtime

CALLS_AT_ONCE = 8
"""Files that are sent to a server at a time: enough to keep its workers busy, too few to fill its queue."""


class Detector(Protocol):
    """Answers for images."""

    async def detect(self, image: bytes) -> MatchReport:
        """Return the report of one image."""

    async def entries(self) -> int | None:
        """Return how many entries there are to be found, over all sets; None where that may not be asked."""


def opening_of(
    server: Server | None, config: Config, data_dir: Path, sets: frozenset[str] | None, progress: Progress
) -> tuple[AbstractAsyncContextManager[Detector], int]:
    """Return what opens a detector, and how many images it is asked about at a time.

    Raises
    ------
    CatalogUnavailable, CatalogCorrupt
        Nobody else is asked, and there is no catalog here.

    """
    if server is not None:
        return _at_server(server, sets), CALLS_AT_ONCE
    from hashmatch.catalog.opening import open_catalog

    open_catalog(config.catalog, data_dir, make=False).close()
    return _in_process(config, data_dir, sets, progress), workers_of(config.sandbox)


@dataclass(frozen=True, slots=True)
class _Local:
    """The engine and the catalog of this process."""

    runtime: Runtime
    sets: frozenset[str] | None

    async def detect(self, image: bytes) -> MatchReport:
        """Ask the engine."""
        from hashmatch.matching.engine import Submission

        return await self.runtime.detector.detect(Submission(image, sets=self.sets))

    async def entries(self) -> int:
        """Ask the catalog."""
        return (await self.runtime.status()).entries


@asynccontextmanager
async def _in_process(
    config: Config, data_dir: Path, sets: frozenset[str] | None, progress: Progress
) -> AsyncIterator[Detector]:
    """Catalog, index and confined workers in this process, for as long as the command runs."""
    from hashmatch.loading import loading
    from hashmatch.sandbox.pool import WorkerPool

    pool = WorkerPool(config.decode, config.sandbox)
    async with pool.launched():
        with loading():  # only now: it takes as long as the zygote, so both go on at once
            from hashmatch.service.runtime import Runtime
        async with Runtime(config, data_dir, pool=pool, progress=progress) as runtime:
            yield _Local(runtime, sets)


@dataclass(frozen=True, slots=True)
class _Remote:
    """A server somewhere else."""

    client: AsyncClient
    sets: frozenset[str] | None

    async def detect(self, image: bytes) -> MatchReport:
        """Ask the server."""
        return await self.client.detect(image, sets=self.sets)

    async def entries(self) -> int | None:
        """Ask the server."""
        try:
            return (await self.client.status()).entries
        except PermissionDenied:  # the caller may detect, and that is enough here
            return None


@asynccontextmanager
async def _at_server(server: Server, sets: frozenset[str] | None) -> AsyncIterator[Detector]:
    """Connect to a server for as long as the command runs."""
    from hashmatch.client.aio import AsyncClient

    async with AsyncClient(server.address, access=server.access) as client:
        yield _Remote(client, sets)
