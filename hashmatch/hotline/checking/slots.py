"""Places for fetches: so many at a time overall, and so many of one host.

Theory of operation
-------------------
Whoever wants to fetch waits for a place of its host first and for one of all places then. So a host that answers slowly
holds as many places as one host may have, however many of its pictures are waiting, and the others are free for others.
A host is forgotten with its last visitor.

What this module deliberately does not do: it keeps no distance in time between two fetches; the fetcher does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Host:
    places: asyncio.Semaphore
    visitors: int = field(default=0)


class Slots:
    """Places, overall and by host."""

    def __init__(self, overall: int, per_host: int) -> None:
        self._overall = asyncio.Semaphore(overall)
        self._per_host = per_host
        self._hosts: dict[str, _Host] = {}

    def __repr__(self) -> str:
        return f"<Slots: {len(self._hosts)} hosts, {sum(host.visitors for host in self._hosts.values())} visitors>"

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        """Hold a place at a host, and one of all, for the length of the block."""
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = _Host(asyncio.Semaphore(self._per_host))
        host.visitors += 1
        try:
            async with host.places, self._overall:
                yield
        finally:
            host.visitors -= 1
            if not host.visitors:
                del self._hosts[name]
