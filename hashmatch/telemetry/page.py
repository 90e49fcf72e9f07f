"""The page that Prometheus reads, over HTTP on an address of its own.

Theory of operation
-------------------
``GET /metrics`` takes a view on the event loop, from memory, and renders it in a thread: some milliseconds that calls
need not wait for. One view is rendered at a time. The page knows no callers and is not encrypted, so that it is offered
to this machine only, unless the configuration says otherwise. A page that cannot be listened for keeps the service from
starting: nobody should find out during an outage that nothing was being recorded.

Of several processes behind one port each has a page of its own, on the port in the configuration plus its number:
Prometheus adds them up, and one that hangs is seen to hang. A common page would need counters in files, which no answer
to an image waits for here.

What this module deliberately does not do: it counts nothing, and asks no database.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Final, Self

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hashmatch.addresses import is_this_machine
from hashmatch.config import MetricsConfig
from hashmatch.errors import BadConfig
from hashmatch.telemetry.families import View, metrics

PATH: Final = "/metrics"

_log = logging.getLogger("hashmatch.service")
_FIELD: Final = "metrics.listen"
_MAX_PORT: Final = 65_535


class Page:
    """Shows the metrics of this process. Use as an async context manager.

    Parameters
    ----------
    config : MetricsConfig
        With an address.
    view : callable
        Returns what is to be shown, at once.
    process : int
        Number of this process among those that serve one port.

    """

    def __init__(self, config: MetricsConfig, view: Callable[[], View], process: int = 0) -> None:
        self._config = config
        self._view = view
        self._process = process
        self._rendering = asyncio.Lock()
        self._runner: web.AppRunner | None = None
        self.address = ""
        """Where the page is, with the real port; empty before the start."""

    def __repr__(self) -> str:
        return f"<Page on {self.address or 'nothing yet'}>"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Begin to answer.

        Raises
        ------
        BadConfig
            The address cannot be used, or can be reached by others although nobody allowed that.

        """
        host, port = judged(self._config, self._process)
        app = web.Application()
        app.router.add_get(PATH, self._answer)
        runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            await runner.cleanup()
            raise BadConfig(
                f"{_FIELD}: cannot listen on {host}:{port}: {error.strerror}; is another process there?", field=_FIELD
            ) from error
        self._runner = runner
        _log.info("metrics on http://%s:%d%s", _bracketed(host), runner.addresses[0][1], PATH)
        self.address = f"{_bracketed(host)}:{runner.addresses[0][1]}"

    async def close(self) -> None:
        """Answer no more. Safe to call twice."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        async with self._rendering:
            view = self._view()
            text, kind = await asyncio.to_thread(rendered, view, request.headers.get("Accept", ""))
        return web.Response(body=text, headers={"Content-Type": kind})


def rendered(view: View, accept: str = "") -> tuple[bytes, str]:
    """Return the page in the form that is asked for, and its content type; blocks."""
    registry = CollectorRegistry()
    registry.register(_Fixed(metrics(view)))
    ProcessCollector(registry=registry)
    encode, kind = choose_encoder(accept)
    return encode(registry), kind


class _Fixed(Collector):
    """Metrics that are known already."""

    def __init__(self, found: Iterable[Metric]) -> None:
        self._found = found

    def describe(self) -> Iterable[Metric]:
        """Describe nothing: each registry is used once."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        return self._found


def judged(config: MetricsConfig, process: int = 0) -> tuple[str, int]:
    """Return host and port of the page of one process.

    Raises
    ------
    BadConfig
        Not an address, or one beyond this machine without ``metrics.allow_remote``.

    """
    shown_host, _, port_text = config.listen.rpartition(":")
    host = shown_host.removeprefix("[").removesuffix("]")
    if not host or not (port_text.isascii() and port_text.isdigit()) or int(port_text) > _MAX_PORT:
        raise BadConfig(
            f"{_FIELD}: {config.listen!r} is not an address; expected host:port or [ipv6]:port", field=_FIELD
        )
    port = int(port_text)
    if not is_this_machine(host) and not config.allow_remote:
        raise BadConfig(
            f"{_FIELD}: {config.listen} can be reached from other machines, and the page knows no callers; listen on "
            "127.0.0.1, or set metrics.allow_remote = true in a private network",
            field=_FIELD,
        )
    if port and port + process > _MAX_PORT:
        raise BadConfig(f"{_FIELD}: there is no port {port} + {process} for process {process}", field=_FIELD)
    return host, port + process if port else 0


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
