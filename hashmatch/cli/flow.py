"""Bounded concurrency that keeps the order: several items in flight, results as if one after the other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def in_order(
    items: Iterable[T], work: Callable[[T], Awaitable[R]], *, window: int
) -> AsyncGenerator[tuple[T, R], None]:
    """Yield ``(item, await work(item))`` in the order of ``items`` with at most ``window`` of them in flight.

    ``items`` is read no further than the window, so a directory of millions is never held in memory. Whatever ends the
    iteration - an error of ``work``, the caller's, a cancellation - the items in flight are cancelled and waited for;
    wrap the call in ``contextlib.aclosing``.
    """

    async def one(item: T) -> R:
        return await work(item)

    flying: deque[tuple[T, asyncio.Task[R]]] = deque()
    try:
        for item in items:
            flying.append((item, asyncio.create_task(one(item))))
            if len(flying) >= window:
                head, task = flying.popleft()
                yield head, await task
        while flying:
            head, task = flying.popleft()
            yield head, await task
    finally:
        for _, task in flying:
            task.cancel()
        await asyncio.gather(*(task for _, task in flying), return_exceptions=True)
