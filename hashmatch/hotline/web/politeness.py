"""How many fetches at a time, over all hosts and from each, and how soon after one another.

Theory of operation
-------------------
A fetch first waits for its host, then for its turn among all: one that waits for a slow host keeps no place from
others. State is held for hosts that are being fetched from or waited for, and for the length of the delay after, so a
million hosts leave nothing behind.

What this module deliberately does not do: it does not know what a host is: callers name it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Host:
    slots: asyncio.Semaphore
    users: int = 0
    next_start: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Politeness:
    """Slots over all hosts and of each host."""

    def __init__(
        self,
        at_once: int,
        at_once_per_host: int,
        delay_s: float,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._all = asyncio.Semaphore(at_once)
        self._at_once_per_host = at_once_per_host
        self._delay_s = delay_s
        self._sleep = sleep
        self._hosts: dict[str, _Host] = {}

    def __repr__(self) -> str:
        return f"<Politeness {len(self._hosts)} hosts>"

    @contextlib.asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """Wait until the host may be asked, and hold its slot."""
        host = self._hosts.setdefault(name, _Host(asyncio.Semaphore(self._at_once_per_host)))
        host.users += 1
        try:
            async with host.slots:
                await self._delay(host)
                async with self._all:
                    yield
        finally:
            host.users -= 1
            self._forget_later(name, host)

    async def _delay(self, host: _Host) -> None:
        if not self._delay_s:
            return
        loop = asyncio.get_running_loop()
        async with host.turn:
            await self._sleep(max(0.0, host.next_start - loop.time()))
            host.next_start = loop.time() + self._delay_s

    def _forget_later(self, name: str, host: _Host) -> None:
        loop = asyncio.get_running_loop()
        if host.users:
            return
        if host.next_start <= loop.time():
            if self._hosts.get(name) is host:
                del self._hosts[name]
            return
        loop.call_at(host.next_start, self._forget_later, name, host)
