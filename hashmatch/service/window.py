"""Concurrent work over a stream, with a bound on how much of the stream is held at once.

Theory of operation
-------------------
One task reads the source; every item read becomes a task of its own; answers are handed out as they finish. The source
is read only while fewer than ``size`` items are unanswered, and an answer counts as outstanding until the consumer has
taken it. So a caller that sends faster than the work is done, or that does not read its answers, is held back by the
transport's flow control, and never by memory here.

What this module deliberately does not do: it knows no gRPC and handles no error. What ``work`` raises ends the stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


async def each_in_window(
    source: AsyncIterator[_Item], work: Callable[[_Item], Awaitable[_Answer]], size: int
) -> AsyncGenerator[_Answer, None]:
    """Answers of ``work`` in the order in which they finish; at most ``size`` items are in flight.

    Closing or cancelling the iteration cancels every task and waits until it has ended.
    """

    async def read() -> tuple[_Item] | None:
        async for item in source:
            return (item,)
        return None

    async def answer(item: _Item) -> _Answer:
        return await work(item)

    reading: asyncio.Task[tuple[_Item] | None] | None = asyncio.create_task(read())
    answering: set[asyncio.Task[_Answer]] = set()
    try:
        while reading is not None or answering:
            awaited: set[asyncio.Task[_Answer] | asyncio.Task[tuple[_Item] | None]] = {*answering}
            if reading is not None and len(answering) < size:
                awaited.add(reading)
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            if reading in awaited and reading.done():
                item = reading.result()
                reading = None
                if item is not None:
                    answering.add(asyncio.create_task(answer(*item)))
                    reading = asyncio.create_task(read())
            for finished in [task for task in answering if task.done()]:
                yield finished.result()
                answering.remove(finished)
    finally:
        unfinished = [task for task in (reading, *answering) if task is not None]
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
