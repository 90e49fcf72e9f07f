"""``serve``: a runtime behind a gRPC endpoint, from start to drained end.

Theory of operation
-------------------
One process, one event loop; ``service.supervisor`` runs several of them. The zygote is executed first: what it loads
and what this process loads take a second each, and go on side by side. The address is bound next; calls are accepted
once the runtime serves. The end has two speeds. The first SIGTERM or SIGINT drains: new
calls are refused, accepted ones finish or are cancelled after ``server.drain_s``. A second signal cancels them at once.
One process of several can also be told to leave first (``Endpoint.leave``), so that no call is refused at all.

gRPC's own tracing can print payloads, so a server does not start while GRPC_TRACE is set.

What this module deliberately does not do: it handles no request and makes no decision about one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hashmatch.config import Config
from hashmatch.errors import BadConfig
from hashmatch.loading import loading
from hashmatch.sandbox.pool import WorkerPool
from hashmatch.service.seating import ONLY, Seat

if TYPE_CHECKING:
    from hashmatch.report.status import ServiceStatus
    from hashmatch.service.assembly import Assembled

_log = logging.getLogger("hashmatch.service")


@dataclass(frozen=True, slots=True)
class Post:
    """The place of one process among several, and what it is ordered. ``reloaded``: it took over from another."""

    seat: Seat
    reloaded: bool = False
    leave: asyncio.Event = field(default_factory=asyncio.Event)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)


async def serve(
    config: Config,
    data_dir: Path,
    *,
    on_ready: Callable[[str], None] | None = None,
    on_serving: Callable[[str, ServiceStatus], None] | None = None,
    on_metrics: Callable[[str], None] | None = None,
    stop: asyncio.Event | None = None,
    post: Post | None = None,
) -> None:
    """Serve until told to stop, then drain.

    Parameters
    ----------
    config : Config
        Limits and addresses.
    data_dir : Path
        Catalog and segments; made when missing.
    on_ready : callable, optional
        Called once with the address as clients take it, with the real port.
    on_serving : callable, optional
        Called once after that, with the service's status as well: whoever started it may have no key to ask with.
    on_metrics : callable, optional
        Called once before these with the address of the page of metrics, empty where there is none.
    stop : asyncio.Event, optional
        Set by the caller to stop. Without it SIGTERM and SIGINT stop, which needs the main thread.
    post : Post, optional
        The place among several processes, and what is ordered there besides signals; the only one by default.

    Raises
    ------
    BadConfig
        An address cannot be used, GRPC_TRACE is set, or an extra is configured that is not installed.
    SandboxUnavailable
        ``hotline.serve`` is on, and what fetches or reads could not be confined.
    HashmatchError
        The runtime could not start; see ``Runtime.start``.

    """
    _refuse_tracing(os.environ)
    post = post or Post(ONLY, stop=stop or asyncio.Event())
    async with _assembled(config, data_dir, post) as service:
        with _stopped_by_signals(post) if stop is None else contextlib.nullcontext():
            async with service.page as page:
                await service.endpoint.start(service.runtime.checks())
                _log.info("serving on %s", service.target)
                if on_metrics is not None:
                    on_metrics(page)
                if on_ready is not None:
                    on_ready(service.target)
                if on_serving is not None:
                    on_serving(service.target, await service.runtime.status())
                await service.endpoint.run(post.stop, post.leave)
            await service.endpoint.leave(post.stop)
            await service.endpoint.drain(post.hurry)


@contextlib.asynccontextmanager
async def _assembled(config: Config, data_dir: Path, post: Post) -> AsyncIterator[Assembled]:
    """Send the zygote on its way, load what answers meanwhile, and put it together."""
    pool = WorkerPool(config.decode, config.sandbox)
    async with pool.launched():
        with loading():  # not at the top of the module: it takes as long as the zygote, so both go on at once
            from hashmatch.service.assembly import assembled
        async with assembled(config, data_dir, pool, post.seat, reloaded=post.reloaded) as service:
            yield service


def _refuse_tracing(environ: Mapping[str, str]) -> None:
    if environ.get("GRPC_TRACE"):
        raise BadConfig(
            f"GRPC_TRACE is set to {environ['GRPC_TRACE']!r}; gRPC's tracing can print what callers send: unset it",
            field="GRPC_TRACE",
        )


@contextlib.contextmanager
def _stopped_by_signals(post: Post) -> Iterator[None]:
    """Let the first SIGTERM or SIGINT stop, and the second hurry."""

    def received(number: signal.Signals) -> None:
        _log.info("%s received", number.name)
        (post.hurry if post.stop.is_set() else post.stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, received, number)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
