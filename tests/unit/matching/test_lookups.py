"""Lookups take turns, and those that would wait too long are refused."""

from __future__ import annotations

import asyncio
import functools
import threading

import pytest

from hashmatch.errors import Overloaded
from hashmatch.matching.lookups import Lookups


async def test_lookups_are_answered_in_order_and_no_more_than_so_many_at_a_time() -> None:
    lookups = Lookups(500, threads=1)
    running, most, order = 0, 0, []

    def look(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        order.append(number)
        running -= 1
        return number

    answers = await asyncio.gather(*(lookups.run(functools.partial(look, n), 1) for n in range(20)))
    assert (answers, order, most) == (list(range(20)), list(range(20)), 1)


async def test_a_queue_that_takes_too_long_is_refused_and_the_next_one_is_not() -> None:
    lookups = Lookups(100, threads=1)
    lookups._backlog.note(0.01)
    held = threading.Event()
    first = asyncio.create_task(lookups.run(held.wait, 0))
    waiting = [asyncio.create_task(lookups.run(lambda: None, 5)) for _ in range(2)]
    await asyncio.sleep(0)  # each runs until it waits
    assert repr(lookups).startswith("<Lookups: 10 wait, ")
    with pytest.raises(Overloaded, match=r"^the wait behind 10 lookups is 110 ms, and at most 100 are waited"):
        await lookups.run(lambda: None, 1)
    held.set()
    await asyncio.gather(first, *waiting)
    assert await lookups.run(lambda: 7, 1) == 7


async def test_a_lookup_that_fails_or_is_cancelled_gives_its_turn_back() -> None:
    lookups = Lookups(100, threads=1)
    with pytest.raises(ZeroDivisionError):
        await lookups.run(lambda: 1 // 0, 1)
    held = threading.Event()
    first = asyncio.create_task(lookups.run(held.wait, 1))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(lookups.run(lambda: None, 1))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    held.set()
    await first
    assert await lookups.run(lambda: 7, 1) == 7
    assert repr(lookups).startswith("<Lookups: 0 wait, ")
