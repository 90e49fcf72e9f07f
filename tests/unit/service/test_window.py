"""Concurrent work over a stream: bounded, complete, and over when its consumer is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.service.window import each_in_window
from tests.support.service import collect, until


class Workshop:
    """Takes numbers, counts how many are in work, returns each after as many turns of the loop as the script says."""

    def __init__(self, turns: list[int]) -> None:
        self.turns = turns
        self.read = 0
        self.busy = 0
        self.most_busy = 0
        self.cancelled = 0

    async def source(self) -> AsyncIterator[int]:
        """Yield the positions of the script."""
        for number in range(len(self.turns)):
            self.read += 1
            yield number

    async def work(self, number: int) -> int:
        """Wait as scripted; for ever when the script says -1."""
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        try:
            if self.turns[number] < 0:
                await asyncio.Event().wait()
            for _ in range(self.turns[number]):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.busy -= 1
        return number


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_every_item_is_answered_once_and_never_more_than_the_window_is_in_work(turns: list[int], size: int) -> None:
    shop = Workshop(turns)

    async def run() -> list[int]:
        return await collect(each_in_window(shop.source(), shop.work, size))

    assert sorted(asyncio.run(run())) == list(range(len(turns)))
    assert shop.most_busy <= size


async def test_answers_come_in_the_order_of_completion() -> None:
    shop = Workshop([30, 1, 20])
    assert await collect(each_in_window(shop.source(), shop.work, 3)) == [1, 2, 0]


async def test_the_source_is_not_read_beyond_the_window() -> None:
    shop = Workshop([-1] * 100)
    answers = each_in_window(shop.source(), shop.work, 5)
    waiting = asyncio.ensure_future(anext(answers))
    await until(lambda: shop.busy == 5)
    await asyncio.sleep(0.02)
    assert shop.read <= 6
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (shop.busy, shop.cancelled) == (0, 5)


async def test_an_answer_that_is_not_taken_keeps_its_place_in_the_window() -> None:
    shop = Workshop([0] * 100)
    answers = each_in_window(shop.source(), shop.work, 4)
    await anext(answers)
    await asyncio.sleep(0.02)
    assert shop.read <= 5
    await answers.aclose()


async def test_closing_early_ends_all_work() -> None:
    shop = Workshop([0, -1, -1, -1])
    answers = each_in_window(shop.source(), shop.work, 4)
    assert await anext(answers) == 0
    await until(lambda: shop.busy)
    await answers.aclose()
    assert shop.busy == 0
    assert shop.cancelled >= 1


async def test_what_the_source_raises_ends_the_stream_and_the_work() -> None:
    shop = Workshop([-1])

    async def broken() -> AsyncIterator[int]:
        yield 0
        await until(lambda: shop.busy)
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        await collect(each_in_window(broken(), shop.work, 2))
    assert (shop.busy, shop.cancelled) == (0, 1)
