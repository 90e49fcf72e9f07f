"""Cancellations that wait until gRPC has given up what it holds."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine
from typing import Any

import pytest

from hashmatch.service.holding import HeldTask, held, held_on, hold, release


def task_of(work: Coroutine[Any, Any, Any]) -> HeldTask[Any]:
    """Run a coroutine as gRPC's are."""
    return HeldTask(work, loop=asyncio.get_running_loop())


async def test_a_held_task_ends_what_it_waits_for_and_is_cancelled_then() -> None:
    core, came = asyncio.Event(), list[str]()

    async def call() -> None:
        await held(core.wait())
        came.append("after")

    task = task_of(call())
    await asyncio.sleep(0)
    assert task.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    assert not task.done()
    core.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not came


async def test_a_task_that_is_not_held_is_cancelled_at_once() -> None:
    core = asyncio.Event()

    async def call() -> None:
        hold()
        release()
        await core.wait()

    task = task_of(call())
    await asyncio.sleep(0)
    assert task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not core.is_set()


async def test_what_was_not_cancelled_meanwhile_goes_on_and_what_fails_says_so() -> None:
    async def fails() -> None:
        raise ValueError("of the core")

    async def call() -> int:
        with pytest.raises(ValueError, match="of the core"):
            await held(fails())
        return await held(asyncio.sleep(0, 7))

    task = task_of(call())
    assert await task == 7
    assert not task.cancel()
    assert await asyncio.create_task(call()) == 7, "other tasks are left alone"


def test_the_end_of_the_loop_is_not_held_up() -> None:
    tasks: list[HeldTask[Any]] = []

    async def main() -> None:
        tasks.append(task_of(held(asyncio.Event().wait())))
        await asyncio.sleep(0)

    asyncio.run(main())
    assert tasks[0].cancelled()


async def test_only_compiled_coroutines_become_such_tasks_and_another_factory_is_kept() -> None:
    loop, made = asyncio.get_running_loop(), list[str]()

    def another(
        loop: asyncio.AbstractEventLoop, work: types.CoroutineType[Any, Any, Any], **about: Any
    ) -> asyncio.Task[Any]:
        made.append(work.cr_code.co_name)
        return asyncio.Task(work, loop=loop, **about)

    async def ours() -> int:
        return 1

    @types.coroutine
    def not_ours() -> Any:
        """Return what is no coroutine of an ``async def``, as compiled ones are not."""
        yield
        return 2

    loop.set_task_factory(another)  # type: ignore[arg-type]
    try:
        held_on(loop)
        first, second = asyncio.create_task(ours(), name="first"), asyncio.create_task(not_ours())
        assert (type(first), type(second)) == (asyncio.Task, HeldTask)
        assert (await first, await second) == (1, 2)
    finally:
        loop.set_task_factory(None)
    assert made == ["ours"]
    assert first.get_name() == "first"
