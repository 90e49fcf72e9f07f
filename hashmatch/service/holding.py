"""Cancellations that wait, so that no call is torn away from gRPC while gRPC still holds something of it.

Theory of operation
-------------------
When a caller goes, gRPC's Python cancels the task of the call, wherever that task waits. Where it waits for gRPC's own
core, as it does until a message has come, what was made ready for the core is never given back: 80 bytes for each
operation, because grpcio (1.85, ``execute_batch``) frees operations after they were awaited and not when the await is
cancelled. That is some 35 MB in a million cancelled calls. The core ends by itself whatever waits for a call that is
over, so it is enough to wait for that: between :func:`hold` and :func:`release` a cancellation is noted, and raised by
the release.

Only tasks that a :class:`HeldTask` runs can be held, and :func:`held_on` has an event loop make those for gRPC's own
coroutines alone, which are known by being compiled. Who cancels from outside of a running event loop, as
``asyncio.run`` does with whatever is left in the end, is not held up.

What this module deliberately does not do: what a call waits for in our own code is cancelled at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from types import CoroutineType
from typing import Any, TypeVar

_T = TypeVar("_T")


class HeldTask(asyncio.Task[_T]):
    """A task whose cancellation can be put off."""

    held = False
    noted = False

    def cancel(self, msg: object = None) -> bool:
        """Cancel the task, or note that it was to be cancelled while it is held."""
        if not self.held or asyncio._get_running_loop() is None:  # noqa: SLF001  the one that raises is slower than the call
            return super().cancel(msg)
        self.noted = True
        return not self.done()


def held_on(loop: asyncio.AbstractEventLoop) -> None:
    """Let the tasks that an event loop makes of compiled coroutines be such that can be held."""
    before = loop.get_task_factory()

    def make(
        loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, _T] | Generator[Any, None, _T], **about: Any
    ) -> asyncio.Future[_T]:
        if isinstance(work, CoroutineType):
            return before(loop, work, **about) if before is not None else asyncio.Task(work, loop=loop, **about)
        return HeldTask(work, loop=loop, **about)

    loop.set_task_factory(make)


def hold() -> None:
    """Put the cancellation of the current task off, where that can be."""
    task = asyncio.current_task()
    if isinstance(task, HeldTask):
        task.held = True


def release() -> None:
    """Let the current task be cancelled again. Raises CancelledError if it was to be meanwhile."""
    task = asyncio.current_task()
    if isinstance(task, HeldTask):
        task.held = False
        if task.noted:
            raise asyncio.CancelledError


async def held(work: Awaitable[_T]) -> _T:
    """Wait for something of gRPC's with the current task held. Raises CancelledError after it, not meanwhile."""
    hold()
    try:
        return await work
    finally:
        release()
