"""The worker: what becomes of a delivery whatever its outlet says, and whatever ends the process."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from hashmatch.cases.store import CaseStore, NewCase
from hashmatch.catalog.session import Tables
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.errors import BadInput, CaseConflict
from hashmatch.model.cases import Environment
from hashmatch.model.deliveries import DeliveryState
from hashmatch.outbox.parcels import (
    Again,
    AwaitingFile,
    Delivered,
    Outcome,
    Parcel,
    Refused,
    Relayed,
    Save,
    Unsure,
)
from hashmatch.outbox.rows import Delivery, Order
from hashmatch.outbox.states import DeliveryEvent
from hashmatch.outbox.store import DeliveryStore
from hashmatch.outbox.worker import Line, Pace, Worker
from hashmatch.sections import OutboxConfig, OutletConfig
from tests.support import cases
from tests.support.cases import NOW


class Scripted:
    """An outlet that answers what it is told to, one answer a try."""

    def __init__(self, *answers: Outcome) -> None:
        self.answers = list(answers)
        self.parcels: list[Parcel] = []
        self.closed = False

    async def deliver(self, parcel: Parcel, save: Save) -> Outcome:
        """Note the parcel and give the next answer."""
        self.parcels.append(parcel)
        await save({"seen": str(len(self.parcels))})
        return self.answers.pop(0)

    async def close(self) -> None:
        """Note it."""
        self.closed = True


class Relaying(Scripted):
    """One that takes files."""

    relayed = b""
    result: Relayed | Again | Refused = Relayed("f" * 32, b"m" * 16, 3)

    async def relay(
        self, parcel: Parcel, chunks: AsyncIterator[bytes], md5: bytes, save: Save
    ) -> Relayed | Again | Refused:
        """Take the bytes."""
        del md5
        self.relayed = b"".join([chunk async for chunk in chunks])
        await save(dict(parcel.progress) | {"file_id": "f" * 32})
        return self.result


class Bench:
    """A worker over a real store, with a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.catalog = SqliteCatalog.open(folder / "catalog")
        CaseStore(self.catalog).add(NewCase(cases.case(), NOW + dt.timedelta(365), b"d" * 32), "anna")
        self.store = DeliveryStore(self.catalog)
        self.now = NOW
        self.settled: list[Delivery] = []

    def worker(self, outlet: Scripted, *, tries: int = 3, **given: Any) -> Worker:
        """Make a worker whose jitter is always at its bound."""
        values: dict[str, Any] = {"kind": "webhook", "environment": "test", "rate_per_minute": 60_000}
        line = Line("hook", OutletConfig(**(values | given)), outlet)
        config = OutboxConfig(tries=tries, first_wait_s=10, longest_wait_s=100, poll_ms=10)
        return Worker(
            self.store,
            config,
            {"hook": line},
            on_settled=self.settled.append,
            now=lambda: self.now,
            uniform=lambda low, high: high - low,
        )

    def queue(self, key: str = "key", **given: Any) -> str:
        """Queue a document and return the delivery's id."""
        values: dict[str, Any] = {"outlet": "hook", "environment": Environment.TEST, "document": cases.document()}
        order = Order(case_id=cases.CASE_ID, key=key, requested_by="anna", **(values | given))
        return self.store.queue(order, self.now).delivery_id


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.catalog.close()


async def test_delivered(bench: Bench) -> None:
    outlet = Scripted(Delivered("17", "taken"))
    delivery_id = bench.queue()
    assert await bench.worker(outlet).drain() == 1
    done = bench.store.get(delivery_id)
    assert (done.state, done.external_id, done.reason) == (DeliveryState.DELIVERED, "17", "taken")
    (parcel,) = outlet.parcels
    assert (parcel.key, parcel.attempt, parcel.document) == ("key", 1, cases.document())
    assert bench.settled == [done]


async def test_waits_double_up_to_a_bound_and_then_it_is_dead(bench: Bench) -> None:
    outlet = Scripted(*[Again("HTTP 503")] * 6)
    delivery_id = bench.queue()
    worker = bench.worker(outlet, tries=6)
    waits = []
    for _ in range(5):
        assert await worker.drain() == 1
        due = bench.store.get(delivery_id).due_at
        waits.append((due - bench.now).total_seconds())
        bench.now = due
    assert waits == [10, 20, 40, 80, 100]
    assert await worker.drain() == 1
    dead = bench.store.get(delivery_id)
    assert (dead.state, dead.reason) == (DeliveryState.DEAD, "HTTP 503 (6 tries)")
    assert await worker.drain() == 0


async def test_a_receiver_that_asks_for_time_gets_it(bench: Bench) -> None:
    delivery_id = bench.queue()
    await bench.worker(Scripted(Again("HTTP 429", 3_600))).drain()
    assert bench.store.get(delivery_id).due_at == NOW + dt.timedelta(seconds=3_610)


@pytest.mark.parametrize(
    ("outcome", "state", "reason"),
    [
        (Refused("4100: incidentType"), DeliveryState.DEAD, "4100: incidentType"),
        (Unsure("finish was sent"), DeliveryState.UNSURE, "finish was sent"),
        (AwaitingFile(3_600), DeliveryState.WAITING, ""),
    ],
)
async def test_other_ends(bench: Bench, outcome: Outcome, state: DeliveryState, reason: str) -> None:
    delivery_id = bench.queue()
    worker = bench.worker(Scripted(outcome))
    await worker.drain()
    found = bench.store.get(delivery_id)
    assert (found.state, found.reason) == (state, reason)
    bench.now = NOW + dt.timedelta(days=1)
    assert await worker.drain() == 0, "nothing of this is sent again by itself"


async def test_what_is_unsure_is_settled_by_a_person(bench: Bench) -> None:
    delivery_id = bench.queue()
    await bench.worker(Scripted(Unsure("finish was sent"))).drain()
    found = bench.store.change(delivery_id, DeliveryEvent.CONFIRM, actor="ben", reason="asked NCMEC", now=NOW)
    assert found.state is DeliveryState.DELIVERED


async def test_a_killed_process_loses_and_doubles_nothing(bench: Bench) -> None:
    delivery_id = bench.queue()

    class Dying(Scripted):
        async def deliver(self, parcel: Parcel, save: Save) -> Outcome:
            del parcel
            await save({"report_id": "17"})
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await bench.worker(Dying()).drain()
    outlet = Scripted(Delivered())
    worker = bench.worker(outlet)
    assert await worker.drain() == 0, "the lease still runs"
    bench.now = NOW + dt.timedelta(seconds=OutboxConfig().lease_s)
    assert await worker.drain() == 1
    assert outlet.parcels[0].progress == {"report_id": "17"}
    assert bench.store.get(delivery_id).state is DeliveryState.DELIVERED


async def test_test_and_production_do_not_mix(bench: Bench) -> None:
    delivery_id = bench.queue(environment=Environment.PRODUCTION)
    outlet = Scripted(Delivered())
    await bench.worker(outlet, environment="test").drain()
    found = bench.store.get(delivery_id)
    assert (found.state, found.reason) == (DeliveryState.DEAD, "made for production, and the outlet hook is test now")
    assert outlet.parcels == []


async def test_a_dry_run_talks_to_nobody(bench: Bench) -> None:
    delivery_id = bench.queue()
    outlet = Scripted()
    await bench.worker(outlet, dry_run=True).drain()
    found = bench.store.get(delivery_id)
    assert (found.state, found.reason) == (DeliveryState.DELIVERED, "a dry run: nothing was sent")
    assert outlet.parcels == []


async def test_a_file_passes_through_and_the_report_goes_on(bench: Bench) -> None:
    outlet = Relaying(AwaitingFile(3_600), Delivered("17"))
    delivery_id = bench.queue(with_file=True)
    worker = bench.worker(outlet)
    await worker.drain()
    after, result = await worker.relay(delivery_id, _chunks(b"a", b"bc"), b"m" * 16)
    assert (outlet.relayed, after.state) == (b"abc", DeliveryState.QUEUED)
    assert isinstance(result, Relayed)
    await worker.drain()
    done = bench.store.get(delivery_id)
    assert (done.state, done.external_id) == (DeliveryState.DELIVERED, "17")
    assert outlet.parcels[-1].progress["file_id"] == "f" * 32


async def test_a_file_that_did_not_get_through_may_come_again(bench: Bench) -> None:
    outlet = Relaying(AwaitingFile(3_600))
    outlet.result = Again("the connection broke")
    delivery_id = bench.queue(with_file=True)
    worker = bench.worker(outlet)
    await worker.drain()
    after, _ = await worker.relay(delivery_id, _chunks(b"a"), b"m" * 16)
    assert (after.state, after.reason) == (DeliveryState.WAITING, "the connection broke")
    assert after.due_at == NOW + dt.timedelta(hours=1), "the receiver's clock goes on"


async def test_an_outlet_that_takes_no_file_says_so(bench: Bench) -> None:
    delivery_id = bench.queue(with_file=True)
    worker = bench.worker(Scripted(AwaitingFile(3_600)))
    await worker.drain()
    with pytest.raises(CaseConflict, match="the outlet 'hook' takes no file here"):
        await worker.relay(delivery_id, _chunks(b"a"), b"m" * 16)
    assert bench.store.get(delivery_id).state is DeliveryState.WAITING


async def test_it_delivers_by_itself_until_closed(bench: Bench) -> None:
    outlet = Scripted(Delivered())
    worker = bench.worker(outlet)
    await worker.start()
    delivery_id = bench.queue()
    worker.wake()
    async with asyncio.timeout(300):
        while bench.store.get(delivery_id).state is not DeliveryState.DELIVERED:  # noqa: ASYNC110  as others see it
            await asyncio.sleep(0.01)
    await worker.close()
    assert outlet.closed


def test_a_pace_is_held_over_any_minute() -> None:
    clock = [0.0]
    pace = Pace(3, clock=lambda: clock[0])
    assert (pace.room(), pace.pause_s()) == (3, 0)
    for _ in range(3):
        pace.begin()
    assert (pace.room(), pace.pause_s()) == (0, 60)
    clock[0] = 59.0
    assert (pace.room(), pace.pause_s()) == (0, 1)
    clock[0] = 60.0
    assert (pace.room(), pace.pause_s()) == (3, 0)


async def _chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


class Interrupted(Relaying):
    """One whose file never ends."""

    async def relay(
        self, parcel: Parcel, chunks: AsyncIterator[bytes], md5: bytes, save: Save
    ) -> Relayed | Again | Refused:
        """Wait for ever, or fail as the caller's stream does."""
        del parcel, md5, save
        async for _ in chunks:
            pass
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_caller_that_goes_away_may_come_again_at_once(bench: Bench) -> None:
    delivery_id = bench.queue(with_file=True)
    worker = bench.worker(Interrupted(AwaitingFile(3_600)))
    await worker.drain()
    relaying = asyncio.create_task(worker.relay(delivery_id, _chunks(b"a"), b"m" * 16))
    async with asyncio.timeout(300):
        while bench.store.get(delivery_id).state is not DeliveryState.SENDING:  # noqa: ASYNC110  as others see it
            await asyncio.sleep(0.01)
    relaying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await relaying
    found = bench.store.get(delivery_id)
    assert (found.state, found.reason) == (
        *(DeliveryState.WAITING, "the call ended before the file did; relay it again"),
    )
    assert found.due_at == NOW + dt.timedelta(hours=1)


async def test_a_stream_that_breaks_leaves_the_delivery_waiting(bench: Bench) -> None:
    delivery_id = bench.queue(with_file=True)
    worker = bench.worker(Interrupted(AwaitingFile(3_600)))
    await worker.drain()

    async def broken() -> AsyncIterator[bytes]:
        yield b"a"
        raise BadInput("delivery_id: only the first message names a delivery", field="delivery_id")

    with pytest.raises(BadInput):
        await worker.relay(delivery_id, broken(), b"m" * 16)
    assert bench.store.get(delivery_id).state is DeliveryState.WAITING


class Slow(DeliveryStore):
    """A store whose taking lasts until it is let go."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self.begun, self.go_on, self.ended = threading.Event(), threading.Event(), threading.Event()

    def take_for_file(self, delivery_id: str, now: dt.datetime, lease: dt.timedelta) -> Delivery:
        """Take, late."""
        self.begun.set()
        assert self.go_on.wait(300)
        try:
            return super().take_for_file(delivery_id, now, lease)
        finally:
            self.ended.set()


async def test_a_caller_that_goes_away_while_the_delivery_is_taken_may_come_again_at_once(bench: Bench) -> None:
    delivery_id = bench.queue(with_file=True)
    bench.store = store = Slow(bench.catalog)
    worker = bench.worker(Interrupted(AwaitingFile(3_600)))
    await worker.drain()
    relaying = asyncio.create_task(worker.relay(delivery_id, _chunks(b"a"), b"m" * 16))
    assert await asyncio.to_thread(store.begun.wait, 300)
    relaying.cancel()
    await asyncio.sleep(0)
    store.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await relaying
    assert await asyncio.to_thread(store.ended.wait, 300)
    assert store.get(delivery_id).state is DeliveryState.WAITING


async def test_a_defect_in_an_outlet_ends_nothing_else(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Scripted):
        async def deliver(self, parcel: Parcel, save: Save) -> Outcome:
            del save
            if parcel.key == "poison":
                raise ZeroDivisionError(parcel.document.body)
            return Delivered("17")

    poison, good = bench.queue("poison", document=cases.document(b"secret of the case")), bench.queue("good")
    assert await bench.worker(Broken()).drain() == 2
    found = bench.store.get(poison)
    assert (found.state, found.reason) == (
        DeliveryState.UNSURE,
        "the outlet failed with ZeroDivisionError, which is a defect; whether it arrived is unknown",
    )
    assert bench.store.get(good).state is DeliveryState.DELIVERED
    assert "secret" not in caplog.text


async def test_a_long_outbox_is_drained_to_its_end(bench: Bench) -> None:
    count = 1_200  # more batches of one than Python nests calls
    for number in range(count):
        bench.queue(f"key-{number}")
    outlet = Scripted(*[Delivered()] * count)
    assert await bench.worker(outlet, concurrency=1).drain() == count
    assert outlet.answers == []


async def test_an_idle_outbox_is_only_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.now = NOW + dt.timedelta(hours=1)
    bench.queue()
    bench.now = NOW
    monkeypatch.setattr(SqliteCatalog, "changing", None)
    assert await bench.worker(Scripted()).drain() == 0
