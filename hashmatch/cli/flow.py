"""Bounded concurrency that keeps the order: several items in flight, results as if one after the other.

What this module deliberately does not do: it maps no error. What ``work`` raises ends the iteration.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import TypeVar

from hashmatch.config import SandboxConfig

T = TypeVar("T")
R = TypeVar("R")

FINISHED_AHEAD = 16
"""Results per worker that may wait for a slow one before them; results are small, so this costs nothing."""


def workers_of(sandbox: SandboxConfig) -> int:
    """Return how many confined workers a pool will have.

    As many images are handed to it at once: one more would wait in the pool's queue, where an image in front that runs
    into its deadline would cost the one behind it its turn.
    """
    from hashmatch.sandbox.pool import worker_count

    return worker_count(sandbox)


async def in_order(
    items: Iterable[T], work: Callable[[T], Awaitable[R]], *, at_once: int
) -> AsyncGenerator[tuple[T, R], None]:
    """Yield ``(item, await work(item))`` in the order of ``items``, working on at most ``at_once`` of them.

    A slow item does not stop the others until ``at_once * FINISHED_AHEAD`` wait behind it. ``items`` is read no further
    than that, so a directory of millions is never held in memory. Whatever ends the iteration - an error of ``work``,
    the caller's, a cancellation - the items in flight are cancelled and waited for; wrap the call in
    ``contextlib.aclosing``.
    """
    free = asyncio.Semaphore(at_once)

    async def one(item: T) -> R:
        async with free:
            return await work(item)

    flying: deque[tuple[T, asyncio.Task[R]]] = deque()
    try:
        for item in items:
            flying.append((item, asyncio.create_task(one(item))))
            if len(flying) >= at_once * FINISHED_AHEAD:
                head, task = flying.popleft()
                yield head, await task
        while flying:
            head, task = flying.popleft()
            yield head, await task
    finally:
        for _, task in flying:
            task.cancel()
        await asyncio.gather(*(task for _, task in flying), return_exceptions=True)
