"""Clocks that tests move: patience ends because a test says so, and not because a machine was slow, or fast."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import types
from collections.abc import Iterator

import pytest

LATE_S = 200
"""How long a slow stand-in lets pass: as long as those have patience who speak to it."""


@contextlib.contextmanager
def ticking_clock(step_s: float) -> Iterator[None]:
    """Have both clients read a clock that advances by ``step_s`` whenever it is read."""
    looks = itertools.count()
    clock = types.SimpleNamespace(monotonic=lambda: step_s * next(looks))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hashmatch.client.aio.time", clock)
        patch.setattr("hashmatch.client.sync.time", clock)
        yield


def leap(seconds: float) -> None:
    """Let so many seconds pass at once for the running loop: every timer that would end within them is due.

    A stand-in that is to be too slow calls this at the moment from which it says nothing more. The other side, in the
    same loop, may then be given more patience than any machine needs, and nobody waits.
    """
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds  # type: ignore[method-assign]


async def rounds(count: int) -> None:
    """Let the running loop go round so many times: whatever is ready runs, in this process and as far as that takes."""
    for _ in range(count):
        await asyncio.sleep(0)
