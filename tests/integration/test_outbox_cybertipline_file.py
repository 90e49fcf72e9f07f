"""The file of a CyberTip on its way to a service like NCMEC's, and the clocks of reports that wait for one."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import types
from collections.abc import AsyncIterator

import pytest

from hashmatch.errors import CaseConflict
from hashmatch.outbox.cybertip_steps import ABANDONED, REPORT_ID
from hashmatch.outbox.parcels import Again, AwaitingFile, Delivered, Progress, Refused, Relayed
from hashmatch.sections import OutboxConfig
from tests.support import tips
from tests.support.clock import LATE_S
from tests.support.receivers.desk import DAY, FIRST, MD5, SECOND, Desk, check_told_once, chunks
from tests.support.receivers.ispws import Ispws, served


@pytest.fixture
async def service() -> AsyncIterator[Ispws]:
    async with served() as running:
        yield running


# --- the file ----------------------------------------------------------------------------------------------------


async def test_another_file_than_the_one_reported_is_broken_off(service: Ispws) -> None:
    desk = Desk(service)
    await desk.deliver()
    other = hashlib.md5(b"other", usedforsecurity=False).hexdigest()
    assert await desk.relay(b"other") == Refused(
        f"the file has the MD5 {other}, not {MD5.hex()}; it was not sent to its end"
    )
    assert service.reports[FIRST].files == {}
    assert isinstance(await desk.relay(), Relayed)
    assert isinstance(await desk.deliver(), Delivered)
    check_told_once(service)


async def test_a_file_that_ncmec_received_otherwise_is_relayed_into_a_new_report(service: Ispws) -> None:
    desk = Desk(service)
    await desk.deliver()
    service.plan("upload", "hash-after")
    assert await desk.relay() == Again(f"NCMEC received {'0' * 32} in place of {MD5.hex()}; relay it again")
    assert service.reports[FIRST].state == "retracted"
    assert isinstance(await desk.to_the_end(), Delivered)
    check_told_once(service)


async def test_what_goes_wrong_at_the_callers_end_passes_through_and_the_report_starts_over(service: Ispws) -> None:
    desk = Desk(service)
    await desk.deliver()

    async def breaking() -> AsyncIterator[bytes]:
        yield tips.FILE[:10]
        raise OSError("the caller is gone")

    with pytest.raises(OSError, match="the caller is gone"):
        await desk.relay(source=breaking())
    assert service.reports[FIRST].files == {}
    assert isinstance(await desk.to_the_end(), Delivered)
    assert desk.progress[ABANDONED] == FIRST
    check_told_once(service)


async def test_a_file_goes_through_as_a_stream_and_renews_its_lease(
    service: Ispws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second piece is offered only once the service has the first; a minute passes for each."""
    desk = Desk(service, config=OutboxConfig(timeout_s=LATE_S, lease_s=90))
    await desk.deliver()
    pieces = [bytes([n]) * 70_000 for n in range(4)]
    ticks = iter(range(0, 10_000, 60))
    clock = types.SimpleNamespace(monotonic=lambda: next(ticks))
    monkeypatch.setattr("hashmatch.outbox.cybertipline.time", clock)

    async def slowly() -> AsyncIterator[bytes]:
        for n, piece in enumerate(pieces):
            while service.seen_bytes < 60_000 * n:  # noqa: ASYNC110  the service is another task, without an event
                await asyncio.sleep(0.01)
            yield piece

    before = desk.saves
    data = b"".join(pieces)
    md5 = hashlib.md5(data, usedforsecurity=False).digest()
    assert isinstance(await desk.relay(source=slowly(), md5=md5), Relayed)
    assert desk.saves - before == 2 + len(pieces)


async def test_a_lease_that_was_lost_ends_the_relay(service: Ispws) -> None:
    desk = Desk(service, config=OutboxConfig(timeout_s=LATE_S, lease_s=5))
    await desk.deliver()

    async def lost(progress: Progress) -> None:
        if desk.saves > 1:
            raise CaseConflict("delivery_id: another process has d-1")
        await desk.save(progress)

    outlet = desk.outlet()
    outlet._renew_s = 0
    with pytest.raises(CaseConflict, match="another process has d-1"):
        await outlet.relay(desk.parcel(), chunks(tips.FILE), MD5, lost)
    await outlet.close()
    assert service.reports[FIRST].files == {}


async def test_a_file_is_taken_only_by_a_report_that_waits_for_one(service: Ispws) -> None:
    desk = Desk(service)
    await desk.deliver()
    await desk.relay()
    assert await desk.relay() == Refused(f"report {FIRST} waits for no file")
    assert service.calls.count("upload") == 1


# --- the clocks --------------------------------------------------------------------------------------------------


async def test_a_report_lives_for_a_day_and_then_a_new_one_is_opened(service: Ispws) -> None:
    desk = Desk(service)
    await desk.deliver()
    service.now += DAY - dt.timedelta(seconds=1)
    assert await desk.deliver() == AwaitingFile(1.0)
    service.now += dt.timedelta(seconds=1)
    assert await desk.deliver() == AwaitingFile(86_400.0)
    assert desk.progress[REPORT_ID] == SECOND
    assert service.reports[FIRST].state == "expired"


async def test_a_file_gives_a_report_another_hour(service: Ispws) -> None:
    desk = Desk(service)
    await desk.deliver()
    service.now += DAY - dt.timedelta(minutes=1)
    assert isinstance(await desk.relay(), Relayed)
    service.now += dt.timedelta(minutes=59)
    service.plan("fileinfo", "", "1000-before")
    assert await desk.deliver() == Delivered(FIRST, f"report {FIRST} at NCMEC: finished, 1 files")
    check_told_once(service)


async def test_a_file_that_comes_too_late_goes_into_a_new_report(service: Ispws) -> None:
    desk = Desk(service)
    await desk.deliver()
    service.now += DAY
    assert isinstance(await desk.relay(), Relayed)
    assert desk.progress[REPORT_ID] == SECOND
    assert isinstance(await desk.deliver(), Delivered)
    check_told_once(service)


async def test_a_report_that_expired_after_its_file_is_told_anew_with_it(service: Ispws) -> None:
    desk = Desk(service)
    await desk.deliver()
    await desk.relay()
    service.now += 2 * DAY
    assert await desk.deliver() == AwaitingFile(86_400.0)
    assert isinstance(await desk.to_the_end(), Delivered)
    check_told_once(service)


async def test_a_report_that_ncmec_deleted_before_its_time_is_told_anew(service: Ispws) -> None:
    desk = Desk(service)
    await desk.deliver()
    service.reports[FIRST].state = "expired"
    assert await desk.relay() == Again(
        "NCMEC answers /upload with 5001, the report does not exist: Report does not exist; a new one is opened"
    )
    assert isinstance(await desk.to_the_end(), Delivered)
    check_told_once(service)
