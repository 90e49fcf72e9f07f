"""Mail through the outbox itself: the store, its leases, processes that end on the way, and a person who decides."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from email import message_from_bytes
from pathlib import Path

import pytest

from hashmatch.cases.store import CaseStore, NewCase
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.config import OutboxConfig, OutletConfig
from hashmatch.model.cases import Document, Environment
from hashmatch.model.deliveries import DeliveryState
from hashmatch.outbox.rows import Delivery, Order
from hashmatch.outbox.states import DeliveryEvent
from hashmatch.outbox.store import DeliveryStore
from hashmatch.outbox.worker import Worker
from hashmatch.service.outlets import lines
from tests.support import cases
from tests.support.cases import NOW
from tests.support.clock import LATE_S
from tests.support.receivers.smtp import MailServer

XARF = Document("xarf", "application/json", "xarf-7b0c2d7e-0000-4000-8000-000000000001.json", b"{}")


class Office:
    """One delivery by mail over a real store; each worker is a process that was just started."""

    def __init__(self, server: MailServer, catalog: SqliteCatalog) -> None:
        self.server = server
        self.store = DeliveryStore(catalog)
        self.now = NOW
        post = OutletConfig(
            kind="mail", environment="test", url=server.url, sender="reports@pictures.example", rate_per_minute=60_000
        )
        self.config = OutboxConfig(timeout_s=LATE_S, first_wait_s=1, longest_wait_s=1, outlets={"post": post})
        order = Order(
            case_id=cases.CASE_ID, outlet="post", environment=Environment.TEST, document=XARF, key="k",
            requested_by="anna", recipient="abuse@hoster.example",
        )  # fmt: skip
        self.delivery_id = self.store.queue(order, NOW).delivery_id

    def worker(self) -> Worker:
        """Return the worker of a process that was just started."""
        return Worker(self.store, self.config, lines(self.config, {}), now=lambda: self.now)

    async def pass_time(self, step: dt.timedelta = dt.timedelta(seconds=2)) -> Delivery:
        """Start again, let time pass and deliver what is due."""
        self.now += step
        worker = self.worker()
        await worker.drain()
        await worker.close()
        return self.store.get(self.delivery_id)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    with SqliteCatalog.open(tmp_path / "catalog") as catalog:
        CaseStore(catalog).add(NewCase(cases.case(), NOW + dt.timedelta(365), b"d" * 32), "anna")
        async with MailServer() as server:
            yield Office(server, catalog)


async def test_greylisted_and_then_delivered(office: Office) -> None:
    office.server.plan("RCPT", "450 4.7.1 Greylisted")
    postponed = await office.pass_time()
    assert (postponed.state, postponed.reason) == (DeliveryState.QUEUED, "127.0.0.1: RCPT: 450 4.7.1 Greylisted")
    delivered = await office.pass_time()
    assert (delivered.state, delivered.external_id) == (DeliveryState.DELIVERED, "4Zz1Yx2Wv3")
    assert len(office.server.taken) == 1


async def test_one_that_is_unsure_is_sent_again_by_a_person_and_by_nothing_else(office: Office) -> None:
    office.server.plan("answer", "drop")
    assert (await office.pass_time()).state is DeliveryState.UNSURE
    for _ in range(3):
        assert (await office.pass_time(dt.timedelta(days=2))).state is DeliveryState.UNSURE
    assert office.server.commands.count("connect") == 1
    office.store.change(office.delivery_id, DeliveryEvent.RETRY, actor="ben", reason="not there", now=office.now)
    assert (await office.pass_time()).state is DeliveryState.DELIVERED
    first, second = (message_from_bytes(taken.content)["Message-ID"] for taken in office.server.taken)
    assert first == second


async def test_a_process_that_is_killed_while_the_server_thinks_leaves_it_unsure(office: Office) -> None:
    office.server.plan("answer", "held")
    worker = office.worker()
    trying = asyncio.create_task(worker.drain())
    async with asyncio.timeout(300):
        while not office.server.taken:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    trying.cancel()
    await asyncio.gather(trying, return_exceptions=True)
    await worker.close()
    assert office.store.get(office.delivery_id).state is DeliveryState.SENDING
    unsure = await office.pass_time(dt.timedelta(days=1))
    assert (unsure.state, unsure.reason) == (
        DeliveryState.UNSURE,
        "an earlier try ended while the message was being sent; ask the recipient, then say retry",
    )
    assert (await office.pass_time(dt.timedelta(days=1))).state is DeliveryState.UNSURE
    assert len(office.server.taken) == 1


async def test_a_process_that_is_killed_before_the_message_leaves_it_to_the_next(office: Office) -> None:
    office.server.plan("RCPT", "held")
    worker = office.worker()
    trying = asyncio.create_task(worker.drain())
    async with asyncio.timeout(300):
        while "RCPT" not in office.server.commands:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    trying.cancel()
    await asyncio.gather(trying, return_exceptions=True)
    await worker.close()
    assert (await office.pass_time(dt.timedelta(days=1))).state is DeliveryState.DELIVERED
    assert len(office.server.taken) == 1
