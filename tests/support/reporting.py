"""A real service with a list and an outlet, for reports over the wire."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hashmatch.catalog.opening import CATALOG
from hashmatch.catalog.relational import RelationalCatalog
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.config import CasesConfig, Config, OutboxConfig, OutletConfig, ReporterConfig
from hashmatch.model import Digests, Entry, HarmDomain
from hashmatch.model.deliveries import DeliveryState
from hashmatch.outbox.store import DeliveryStore
from hashmatch.service.server import serve
from tests.support.cases import CASE_ID
from tests.support.catalog import pdq
from tests.support.receivers.hooks import SECRET, Hooks
from tests.support.receivers.ispws import PASSWORD, USERNAME, Ispws
from tests.support.sandbox import patient
from tests.support.service import loopback


def present() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def undelivered_until(catalog: RelationalCatalog) -> dt.datetime | None:
    """Return when the last delivery of the case that has not arrived may be taken; None once all have arrived."""
    left = [one for one in DeliveryStore(catalog).of_case(CASE_ID) if one.state is not DeliveryState.DELIVERED]
    return max((one.due_at for one in left), default=None)


@contextlib.asynccontextmanager
async def served_at(data_dir: Path, config: Config) -> AsyncIterator[str]:
    """Serve, and give the address."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    running = asyncio.create_task(serve(config, data_dir, on_ready=ready.set_result, stop=stop))
    started: set[asyncio.Future[Any]] = {running, ready}
    await asyncio.wait(started, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    try:
        yield await ready
    finally:
        stop.set()
        await running


def configured(hooks: Hooks, monkeypatch: pytest.MonkeyPatch, **outlet: Any) -> Config:
    """Return the configuration of a service with one webhook."""
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    hook = OutletConfig(kind="webhook", environment="test", url=hooks.url, credentials="env:HOOK", **outlet)
    return Config(
        server=loopback(),
        sandbox=patient(allow_degraded=True),
        reporter=ReporterConfig(name="Example", email="desk@example.org", domain="example.org"),
        cases=CasesConfig(flush_s=1),
        outbox=OutboxConfig(outlets={"hook": hook}, poll_ms=20, first_wait_s=0.05, lease_s=5),
    )


def relaying(ispws: Ispws, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Return the configuration of a service that reports to a simulated CyberTipline."""
    monkeypatch.setenv("TIP_USERNAME", USERNAME)
    monkeypatch.setenv("TIP_PASSWORD", PASSWORD)
    ispws.now = present()
    tip = OutletConfig(kind="cybertipline", environment="test", url=ispws.url, credentials="env:TIP")
    return Config(
        server=loopback(),
        sandbox=patient(allow_degraded=True),
        reporter=ReporterConfig(name="Example", first_name="An", last_name="Example", email="desk@example.org"),
        outbox=OutboxConfig(outlets={"ncmec": tip}, poll_ms=20, first_wait_s=0.05),
    )


def known(data_dir: Path) -> None:
    """Make a catalog with one set of one entry."""
    data_dir.mkdir(exist_ok=True)
    with SqliteCatalog.open(data_dir / CATALOG) as catalog:
        catalog.create_set("known", HarmDomain.CSAM)
        catalog.import_entries("known", [Entry("a1", (pdq(2**255 + 1, 100),))])


def digests(file: bytes) -> Digests:
    """Return the digests of a file."""
    return Digests(hashlib.md5(file).digest(), hashlib.sha1(file).digest(), hashlib.sha256(file).digest(), len(file))  # noqa: S324
