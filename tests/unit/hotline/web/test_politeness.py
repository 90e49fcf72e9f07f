from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.hotline.web.pace import Pace
from hashmatch.hotline.web.politeness import Politeness


async def test_slots_over_all_and_of_each_host() -> None:
    politeness = Politeness(3, 2, 0)
    running: list[str] = []
    most = {"a": 0, "b": 0, "all": 0}
    turns = asyncio.Semaphore(0)

    async def visit(host: str) -> None:
        async with politeness.turn(host):
            running.append(host)
            most[host] = max(most[host], running.count(host))
            most["all"] = max(most["all"], len(running))
            await turns.acquire()
            running.remove(host)

    visits = [asyncio.create_task(visit(host)) for host in "aaaabbbb"]
    while not all(visit.done() for visit in visits):
        await asyncio.sleep(0)
        turns.release()
    assert most == {"a": 2, "b": 2, "all": 3}
    assert repr(politeness) == "<Politeness 0 hosts>"


async def test_who_waits_for_a_busy_host_keeps_no_place_from_others() -> None:
    politeness = Politeness(2, 1, 0)
    async with politeness.turn("busy"):
        waiting = asyncio.create_task(contextlib.AsyncExitStack().enter_async_context(politeness.turn("busy")))
        await asyncio.sleep(0)
        async with politeness.turn("free"):
            assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert repr(politeness) == "<Politeness 0 hosts>", "giving up leaves nothing behind"


async def test_visits_begin_no_sooner_after_one_another_than_they_should(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    loop = asyncio.get_running_loop()
    began = loop.time()
    monkeypatch.setattr(loop, "time", lambda: began)  # none passes but what is waited
    politeness = Politeness(9, 9, 60.0, sleep=sleep)
    for host in "aabba":
        async with politeness.turn(host):
            pass
    assert [round(wait) for wait in waits] == [0, 60, 0, 60, 60]
    assert repr(politeness) == "<Politeness 2 hosts>", "remembered for as long as the delay"


async def test_a_delay_that_is_over_is_forgotten() -> None:
    politeness = Politeness(9, 9, 0.001)
    async with politeness.turn("a"):
        pass
    async with asyncio.timeout(300):
        while repr(politeness) != "<Politeness 0 hosts>":  # noqa: ASYNC110 - the timer that forgets sets no event
            await asyncio.sleep(0.001)


def test_a_window_that_is_full_enough_is_fast_enough() -> None:
    pace = Pace(100, 10.0, begun_at=5.0)
    assert pace.ends_at == 15.0
    pace.came(1_000)
    assert not pace.too_slow(14.9)
    assert not pace.too_slow(15.0)
    assert pace.ends_at == 25.0


def test_a_burst_buys_no_pause() -> None:
    pace = Pace(100, 10.0, begun_at=0.0)
    pace.came(1_000_000)
    assert not pace.too_slow(10.0)
    pace.came(999)
    assert pace.too_slow(20.0)


def test_no_rate_asks_for_nothing() -> None:
    assert not Pace(0, 10.0, begun_at=0.0).too_slow(1_000.0)


@given(st.lists(st.tuples(st.floats(0.01, 5), st.integers(0, 3_000)), max_size=40))
def test_windows_are_judged_one_by_one(steps: list[tuple[float, int]]) -> None:
    """The naive twin keeps every arrival and sums each window anew."""
    pace, now, arrivals, slow = Pace(100, 10.0, begun_at=0.0), 0.0, [], False
    for wait, length in steps:
        now += wait
        slow = slow or pace.too_slow(now)
        if slow:
            break
        pace.came(length)
        arrivals.append((now, length))
    windows = [sum(n for at, n in arrivals if begin <= at < begin + 10) for begin in range(0, int(now // 10) * 10, 10)]
    assert slow == any(total < 1_000 for total in windows)
