"""Lookups of given hashes in threads: as many at a time as there are cores, and no queue that nobody would wait for.

Theory of operation
-------------------
A search runs with the GIL released, so it runs in a thread, and other calls go on meanwhile. Calls take turns in the
order in which they came. Each is worth as many pieces of work as it has items, so that a large batch counts as much as
the small ones that it holds up; ``backlog`` says when the queue is too long.

What this module deliberately does not do: it knows no index and no hash.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import TypeVar

from hashmatch.backlog import Backlog

_T = TypeVar("_T")


class Lookups:
    """Runs functions in threads, in order. Used on one event loop."""

    def __init__(self, queue_ms: int, threads: int | None = None) -> None:
        self._threads = threads or len(os.sched_getaffinity(0))
        self._free = asyncio.Semaphore(self._threads)
        self._backlog = Backlog(self._threads, None, queue_ms, "lookups")
        self._waiting = 0

    def __repr__(self) -> str:
        return f"<Lookups: {self._waiting} wait, {self._backlog!r}>"

    async def run(self, look: Callable[[], _T], items: int) -> _T:
        """Return what ``look`` does for so many items.

        Raises
        ------
        Overloaded
            It would have to wait for longer than ``queue_ms``.

        """
        if self._free.locked():
            self._backlog.admit(self._waiting)
        self._waiting += items
        try:
            await self._free.acquire()
        finally:
            self._waiting -= items
        try:
            answer, took_s = await asyncio.to_thread(_timed, look)
        finally:
            self._free.release()
        if items:
            self._backlog.note(took_s, items)
        return answer


def _timed(look: Callable[[], _T]) -> tuple[_T, float]:
    begin = time.perf_counter()
    answer = look()
    return answer, time.perf_counter() - begin
