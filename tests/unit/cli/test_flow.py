"""Several items in flight, results in order, nothing left running."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os

import pytest

from hashmatch.cli.flow import FINISHED_AHEAD, in_order, workers_of
from hashmatch.config import SandboxConfig


async def test_results_come_in_the_order_of_the_items_whatever_finishes_first() -> None:
    async def work(item: int) -> int:
        await asyncio.sleep((5 - item) / 1_000)
        return item * item

    assert [pair async for pair in in_order(range(5), work, at_once=5)] == [(0, 0), (1, 1), (2, 4), (3, 9), (4, 16)]


async def test_no_more_than_at_once_are_worked_on() -> None:
    running = most = 0

    async def work(item: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(3):
            await asyncio.sleep(0)  # let the others begin
        running -= 1
        return item

    assert len([pair async for pair in in_order(range(20), work, at_once=3)]) == 20
    assert most == 3


async def test_a_slow_item_does_not_stop_the_ones_behind_it() -> None:
    release = asyncio.Event()
    finished: list[int] = []

    async def work(item: int) -> int:
        if item == 0:
            await release.wait()
        finished.append(item)
        if item == 9:
            release.set()
        return item

    assert [item async for item, _ in in_order(range(10), work, at_once=2)] == list(range(10))
    assert finished[:9] == list(range(1, 10))


async def test_items_are_read_no_further_than_the_window() -> None:
    numbers = itertools.count()

    async def work(item: int) -> int:
        return item

    async with contextlib.aclosing(in_order(numbers, work, at_once=2)) as results:
        assert await anext(results) == (0, 0)
    assert next(numbers) == 2 * FINISHED_AHEAD


async def test_an_error_ends_the_iteration_and_what_is_in_flight() -> None:
    cancelled: list[int] = []

    async def work(item: int) -> int:
        if item == 1:
            raise ValueError("item 1")
        try:
            await asyncio.sleep(0 if item == 0 else 600)
        except asyncio.CancelledError:
            cancelled.append(item)
            raise
        return item

    results = in_order(range(4), work, at_once=4)
    assert await anext(results) == (0, 0)
    with pytest.raises(ValueError, match="item 1"):
        await anext(results)
    assert cancelled == [2, 3]


async def test_leaving_early_waits_until_nothing_runs_any_more() -> None:
    running = 0

    async def work(item: int) -> int:
        nonlocal running
        running += 1
        try:
            await asyncio.sleep(0 if item == 0 else 600)
        finally:
            running -= 1
        return item

    async with contextlib.aclosing(in_order(range(4), work, at_once=4)) as results:
        await anext(results)
        assert running == 3
    assert running == 0


def test_workers_are_those_of_the_configuration_or_one_for_each_core() -> None:
    assert workers_of(SandboxConfig(workers=7)) == 7
    assert workers_of(SandboxConfig()) == len(os.sched_getaffinity(0))
