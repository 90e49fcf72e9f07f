"""Work done side by side, of which nothing is left when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def abreast(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Return the results in order; the first error, or a cancellation, ends all of them and is raised as it is."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
