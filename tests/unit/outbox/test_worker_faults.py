"""The worker with outlets that have defects, with processes that die, and with settings that change meanwhile."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from hashmatch.errors import CaseConflict
from hashmatch.model.deliveries import DeliveryState
from hashmatch.outbox.parcels import AwaitingFile, Delivered, Outcome, Parcel, Save
from hashmatch.outbox.states import DeliveryEvent
from hashmatch.outbox.worker import MOST_LOST, Line, Worker
from hashmatch.sections import OutboxConfig, OutletConfig
from tests.support import cases
from tests.support.cases import NOW
from tests.support.service import until
from tests.unit.outbox.test_worker import Bench, Relaying, Scripted


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.catalog.close()


class Defective(Scripted):
    """One that trips over one document."""

    def __init__(self, poison: bytes, error: Exception) -> None:
        super().__init__()
        self.poison = poison
        self.error = error

    async def deliver(self, parcel: Parcel, save: Save) -> Outcome:
        """Raise, or deliver."""
        await save({})
        if parcel.document.body == self.poison:
            raise self.error
        return Delivered(parcel.document.body.decode())


@pytest.mark.parametrize("error", [KeyError("user-17"), TimeoutError("user-17"), OSError("user-17")], ids=repr)
async def test_a_defect_of_an_outlet_is_unsure_and_stops_nobody(
    bench: Bench, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    poisoned = bench.queue("a", document=cases.document(b"poison"))
    others = [bench.queue(f"b{number}") for number in range(3)]
    worker = bench.worker(Defective(b"poison", error), concurrency=2)
    with caplog.at_level(logging.ERROR):
        await worker.start()
        await until(lambda: len(bench.settled) == len(others) + 1)
        await worker.close()
    found = bench.store.get(poisoned)
    kind = type(error).__name__
    reason = f"the outlet failed with {kind}, which is a defect; whether it arrived is unknown"
    assert (found.state, found.reason) == (DeliveryState.UNSURE, reason)
    assert {bench.store.get(one).state for one in others} == {DeliveryState.DELIVERED}
    assert f"hook: {poisoned} failed with {kind}" in caplog.text
    assert "user-17" not in caplog.text


async def test_a_delivery_that_ends_every_process_is_unsure_in_the_end(bench: Bench) -> None:
    delivery_id = bench.queue()
    for _ in range(3 + MOST_LOST):
        assert len(bench.store.take("hook", bench.now, dt.timedelta(seconds=1), 1)) == 1
        bench.now += dt.timedelta(seconds=1)
    outlet = Scripted()
    await bench.worker(outlet, tries=3).drain()
    found = bench.store.get(delivery_id)
    assert (found.state, found.reason) == (
        DeliveryState.UNSURE,
        "taken 14 times, and nobody lived to say what came of it; look whether it arrived",
    )
    assert outlet.parcels == []


async def test_a_try_that_outlives_its_lease_is_postponed_and_dead_in_the_end(bench: Bench) -> None:
    class Endless(Scripted):
        async def deliver(self, parcel: Parcel, save: Save) -> Outcome:
            del parcel, save
            await asyncio.Event().wait()
            raise AssertionError

    delivery_id = bench.queue()
    config = OutletConfig(kind="webhook", environment="test")
    outbox = OutboxConfig(tries=1, lease_s=1)
    worker = Worker(bench.store, outbox, {"hook": Line("hook", config, Endless())}, now=lambda: bench.now)
    await worker.drain()
    found = bench.store.get(delivery_id)
    assert (found.state, found.reason) == (DeliveryState.DEAD, "no answer within the lease of 1 s (1 tries)")


async def test_a_rate_takes_nothing_that_it_cannot_begin(bench: Bench) -> None:
    for number in range(5):
        bench.queue(f"key-{number}")
    worker = bench.worker(Scripted(*[Delivered()] * 5), rate_per_minute=2, concurrency=5)
    draining = asyncio.create_task(worker.drain())
    await until(lambda: len(bench.settled) == 2)
    await asyncio.sleep(0.1)
    states = sorted(one.state.value for one in bench.store.of_case(cases.CASE_ID))
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)
    assert states == ["delivered", "delivered", "queued", "queued", "queued"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"environment": "production"}, "made for test, and the outlet hook is production now"),
        ({"dry_run": True}, "the outlet hook is in a dry run; no file is sent"),
    ],
)
async def test_a_file_follows_the_outlet_into_no_other_world(
    bench: Bench, changed: dict[str, Any], message: str
) -> None:
    outlet = Relaying(AwaitingFile(3_600))
    delivery_id = bench.queue(with_file=True)
    await bench.worker(outlet).drain()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"never read"

    with pytest.raises(CaseConflict, match=message):
        await bench.worker(outlet, **changed).relay(delivery_id, chunks(), b"m" * 16)
    assert outlet.relayed == b""
    assert bench.store.get(delivery_id).state is DeliveryState.WAITING


def test_what_a_vanished_outlet_was_sending_can_be_taken_back(bench: Bench) -> None:
    delivery_id = bench.queue()
    bench.store.take("hook", NOW, dt.timedelta(minutes=5), 1)
    with pytest.raises(CaseConflict, match="that is sending cannot be changed by cancel"):
        bench.store.change(delivery_id, DeliveryEvent.CANCEL, actor="anna", reason="gone", now=NOW)
    late = NOW + dt.timedelta(minutes=5)
    done = bench.store.change(delivery_id, DeliveryEvent.CANCEL, actor="anna", reason="no such outlet", now=late)
    assert (done.state, done.reason) == (DeliveryState.CANCELLED, "no such outlet")


async def test_a_damaged_delivery_stops_nobody(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bad, good = bench.queue("bad"), bench.queue("good")
    with bench.catalog.changing() as session:
        session.connection.execute(  # type: ignore[attr-defined]  # SQLite's
            "UPDATE delivery SET document = ? WHERE delivery_id = ?", ("{of a person", bad)
        )
    outlet = Scripted(Delivered())
    worker = bench.worker(outlet, concurrency=1)
    with caplog.at_level(logging.ERROR):
        assert await worker.drain() == 2
    reason = "damaged in the database, and so not sent: document (JSONDecodeError)"
    assert (bench.store.get(bad).state, bench.store.get(bad).reason) == (DeliveryState.DEAD, reason)
    assert bench.store.get(good).state is DeliveryState.DELIVERED
    assert f"hook: {bad} is given up: {reason}" in caplog.text
    assert "of a person" not in caplog.text
    assert {one.delivery_id for one in bench.settled} == {bad, good}
