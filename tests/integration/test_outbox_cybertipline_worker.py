"""A CyberTip through the outbox itself: the store, its leases, the worker, and a person who decides."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hashmatch.cases.store import CaseStore, NewCase
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.model.cases import Environment
from hashmatch.model.deliveries import DeliveryState
from hashmatch.outbox.cybertipline import CyberTipline
from hashmatch.outbox.parcels import FileOutlet, Relayed
from hashmatch.outbox.rows import Order
from hashmatch.outbox.states import DeliveryEvent
from hashmatch.outbox.store import DeliveryStore
from hashmatch.outbox.worker import Line, Worker
from hashmatch.projections import cybertip
from hashmatch.sections import OutboxConfig, OutletConfig
from tests.support import cases, tips
from tests.support.cases import NOW
from tests.support.clock import LATE_S
from tests.support.receivers.ispws import SECRETS, Ispws, served

MD5 = hashlib.md5(tips.FILE, usedforsecurity=False).digest()


async def chunks() -> AsyncIterator[bytes]:
    yield tips.FILE


class Office:
    """A worker with NCMEC as its only outlet, over a real store; one clock for all."""

    def __init__(self, service: Ispws, catalog: SqliteCatalog) -> None:
        self.service = service
        self.store = DeliveryStore(catalog)
        service.now = NOW
        config = OutletConfig(kind="cybertipline", environment="test", url=service.url, rate_per_minute=60_000)
        outbox = OutboxConfig(timeout_s=LATE_S, first_wait_s=1, longest_wait_s=1)
        outlet = CyberTipline("ncmec", config, outbox, SECRETS, now=service.clock)
        assert isinstance(outlet, FileOutlet)
        self.worker = Worker(self.store, outbox, {"ncmec": Line("ncmec", config, outlet)}, now=service.clock)

    def queue(self) -> str:
        """Queue a CyberTip with a file."""
        document = cybertip.render(tips.full(), tips.CONTEXT)
        order = Order(
            case_id=cases.CASE_ID, outlet="ncmec", environment=Environment.TEST, document=document, key="k",
            requested_by="anna", with_file=True,
        )  # fmt: skip
        return self.store.queue(order, NOW).delivery_id

    async def pass_time(self, step: dt.timedelta = dt.timedelta(seconds=2)) -> None:
        """Let time pass and deliver what is due."""
        self.service.now += step
        await self.worker.drain()


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    with SqliteCatalog.open(tmp_path / "catalog") as catalog:
        CaseStore(catalog).add(NewCase(cases.case(), NOW + dt.timedelta(365), b"d" * 32), "anna")
        async with served() as service:
            made = Office(service, catalog)
            yield made
            await made.worker.close()


async def test_a_report_waits_for_its_file_and_is_delivered(office: Office) -> None:
    delivery_id = office.queue()
    await office.pass_time()
    assert office.store.get(delivery_id).state is DeliveryState.WAITING
    _, relayed = await office.worker.relay(delivery_id, chunks(), MD5)
    assert isinstance(relayed, Relayed)
    await office.pass_time()
    delivered = office.store.get(delivery_id)
    assert (delivered.state, delivered.external_id) == (DeliveryState.DELIVERED, "4564654")
    assert office.service.calls == ["submit", "upload", "fileinfo", "finish"]


async def test_a_lost_finish_is_settled_by_a_persons_retry_and_by_nothing_else(office: Office) -> None:
    delivery_id = office.queue()
    office.service.plan("finish", "drop-after")
    await office.pass_time()
    await office.worker.relay(delivery_id, chunks(), MD5)
    await office.pass_time()
    assert office.store.get(delivery_id).state is DeliveryState.UNSURE
    await office.pass_time(dt.timedelta(days=2))
    assert office.service.calls.count("finish") == 1
    office.store.change(delivery_id, DeliveryEvent.RETRY, actor="ben", reason="asked NCMEC", now=office.service.now)
    await office.pass_time()
    delivered = office.store.get(delivery_id)
    assert (delivered.state, delivered.external_id) == (DeliveryState.DELIVERED, "4564654")
    assert delivered.reason == "report 4564654 at NCMEC: it was finished already"
    assert len(office.service.finished()) == 1


async def test_a_file_that_never_comes_ends_the_delivery_and_a_retry_opens_a_new_report(office: Office) -> None:
    delivery_id = office.queue()
    await office.pass_time()
    await office.pass_time(dt.timedelta(days=1))
    assert office.store.get(delivery_id).state is DeliveryState.DEAD
    office.store.change(delivery_id, DeliveryEvent.RETRY, actor="ben", reason="found it", now=office.service.now)
    await office.pass_time()
    await office.worker.relay(delivery_id, chunks(), MD5)
    await office.pass_time()
    delivered = office.store.get(delivery_id)
    assert (delivered.state, delivered.external_id) == (DeliveryState.DELIVERED, "4564655")
