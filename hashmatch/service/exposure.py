"""What a service shows of itself to those who watch it: traces that are sent, and the page of metrics.

Theory of operation
-------------------
:func:`watched` makes the watch that everything is counted in, with a tracer where one is configured. :func:`exposed`
offers the page where it is configured, and counts the catalog and the outbox every ``metrics.poll_s`` for it, so that
reading the page asks no database. A catalog that cannot be counted leaves the last numbers, and
``hashmatch_catalog_unreachable`` says so.

A process that takes over a seat from another shows its page once the other has let go of the port, which it does when
it begins to leave: until then the page is the other's. So only a service that is one process ends when its page cannot
be listened for.

What this module deliberately does not do: it measures nothing itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

import hashmatch
from hashmatch.addresses import parsed
from hashmatch.config import Config, MetricsConfig, TracingConfig
from hashmatch.errors import BadConfig, HashmatchError
from hashmatch.report.status import ServiceStatus
from hashmatch.service.checks import Check
from hashmatch.service.seating import ONLY, Seat
from hashmatch.service.watching import Watch
from hashmatch.telemetry import tracing
from hashmatch.telemetry.tally import Tally

if TYPE_CHECKING:
    from hashmatch.telemetry.page import Page

TAKE_OVER_S: Final = 0.25
"""Between two tries to listen for a page that another process has; well below any interval of Prometheus's."""

_log = logging.getLogger("hashmatch.service")


class Observed(Protocol):
    """What is shown; ``Runtime``."""

    def observed(self) -> ServiceStatus:
        """Return the status at once, from memory."""

    async def count(self) -> None:
        """Count anew what lies in databases."""

    def checks(self) -> Sequence[Check]:
        """Conditions of readiness."""


class Served(Protocol):
    """What serves calls; ``Endpoint``."""

    @property
    def active(self) -> int:
        """Calls being served."""


@contextlib.asynccontextmanager
async def watched(config: Config, process: int = 0) -> AsyncIterator[Watch]:
    """Make what calls and answers are counted and traced in; at the end, send the spans that are waiting.

    Raises
    ------
    BadConfig
        The page's or the collector's address cannot be used, or the extra `otel` is not installed.

    """
    if config.metrics.listen:
        from hashmatch.telemetry.page import judged  # not at the top: see `_page`

        judged(config.metrics, process)  # before the catalog is opened
    tally = Tally(config.metrics.max_sets, config.metrics.max_callers)
    if not config.tracing.endpoint:
        yield Watch(tally)
        return
    tracer, close = _tracer(config.tracing)
    try:
        yield Watch(tally, tracer)
    finally:
        await asyncio.to_thread(close)


@contextlib.asynccontextmanager
async def exposed(
    config: MetricsConfig, observed: Observed, served: Served, watch: Watch, seat: Seat = ONLY
) -> AsyncIterator[str]:
    """Offer the page, and yield its address; empty where none is wanted, or not listened for yet.

    Raises
    ------
    BadConfig
        It cannot be listened for.

    """
    if not config.listen:
        yield ""
        return

    page = _page(config, observed, served, watch, seat)
    tasks = [asyncio.create_task(_count(observed, config.poll_s))]
    try:
        if seat.of == 1:
            await page.start()
        else:
            tasks.append(asyncio.create_task(_take_over(page)))
        yield page.address
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await page.close()


def _page(config: MetricsConfig, observed: Observed, served: Served, watch: Watch, seat: Seat) -> Page:
    # Not at the top of the module: an HTTP server takes 80 ms to import, and a service without a page needs none.
    from hashmatch.telemetry.families import View
    from hashmatch.telemetry.page import Page

    def view() -> View:
        ready = {check.name: check.passes() for check in observed.checks()}
        return View(watch.tally.copy(), observed.observed(), served.active, ready)

    return Page(config, view, seat.number)


async def _take_over(page: Page) -> None:
    """Listen for the page as soon as nobody else does."""
    waited = False
    while not page.address:
        try:
            await page.start()
        except BadConfig as error:
            if not waited:
                _log.info("waiting for the page of metrics: %s", error.message)
            waited = True
            await asyncio.sleep(TAKE_OVER_S)


async def _count(observed: Observed, poll_s: float) -> None:
    """Count for ever; what cannot be counted is tried again."""
    trouble = ""
    while True:
        try:
            await observed.count()
            trouble = ""
        except HashmatchError as error:
            if error.reason() != trouble:
                trouble = error.reason()
                _log.warning("what the catalog holds cannot be counted: %s", trouble)
        await asyncio.sleep(poll_s)


def _tracer(config: TracingConfig) -> tuple[tracing.Tracer, Callable[[], None]]:
    field = "tracing.endpoint"
    parsed(field, config.endpoint)
    try:
        from hashmatch.telemetry.otel import OtelTracer
    except ImportError as error:
        raise BadConfig(
            f"{field}: opentelemetry is not installed; install hashmatch[otel] or leave it empty", field=field
        ) from error
    tracer = OtelTracer(config, hashmatch.__version__)
    return tracer, tracer.close
