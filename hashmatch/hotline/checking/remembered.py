"""What became of addresses of pictures, remembered within one job: what a thousand pages show is fetched once.

Theory of operation
-------------------
The first to ask for an address finds out; who asks meanwhile waits for that, and who asks later is told. When the first
is cancelled, one of those who wait takes over. Of the answers, which are rows and never bytes, the last used so many
are kept.

What this module deliberately does not do: it remembers nothing beyond the process, and no failure by exception.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """Answers by address, at most so many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[str, T] = OrderedDict()
        self._asking: dict[str, asyncio.Event] = {}

    def __repr__(self) -> str:
        return f"<Remembered: {len(self._known)} of {self._most}, {len(self._asking)} being asked>"

    async def once(self, address: str, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what is known of an address, or ask."""
        while (asking := self._asking.get(address)) is not None:
            await asking.wait()
        if address in self._known:
            self._known.move_to_end(address)
            return self._known[address]
        self._asking[address] = done = asyncio.Event()
        try:
            answer = self._known[address] = await ask()
        finally:
            del self._asking[address]
            done.set()
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return answer
