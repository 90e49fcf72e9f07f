"""Health as composed checks, served by the standard protocol (grpc.health.v1).

Theory of operation
-------------------
A :class:`~hashmatch.service.checks.Check` is a name and a question that is answered at once, from memory. Liveness
(service name ``""``) asks nothing: a process that answers is alive, and restarting it would not help an index that is
still loading. Readiness (``hashmatch.v1.DetectionService``) holds while every check passes, so that a balancer takes a
replica without an index or without workers out of rotation. :meth:`Health.follow` asks again every ``poll_s`` and
publishes changes.

Once :meth:`Health.drain` was called everything is NOT_SERVING for good: balancers stop sending while accepted calls
finish.

What this module deliberately does not do: it repairs nothing, and no check does I/O.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from grpc_health.v1 import health, health_pb2

from hashmatch.service.checks import Check

LIVENESS: Final = ""
READINESS: Final = "hashmatch.v1.DetectionService"
ALWAYS: Final = ("hashmatch.v1.HashSetService", "hashmatch.v1.StatusService")
"""Served from the catalog alone, whatever becomes of the index and the workers."""

_log = logging.getLogger("hashmatch.service")


class Health:
    """Publishes what the checks say."""

    def __init__(self, checks: Sequence[Check]) -> None:
        self._checks = tuple(checks)
        self._failing: tuple[str, ...] | None = None
        self._draining = False
        self.servicer = health.aio.HealthServicer()
        """To be added to the server."""

    def __repr__(self) -> str:
        state = "draining" if self._draining else "not asked yet" if self._failing is None else self._summary()
        return f"<Health: {state}>"

    @property
    def ready(self) -> bool:
        """Whether every check passed when last asked."""
        return self._failing == () and not self._draining

    async def refresh(self) -> None:
        """Ask every check now and publish the answer."""
        failing = tuple(check.name for check in self._checks if not check.passes())
        if failing == self._failing or self._draining:
            return
        self._failing = failing
        _log.info("readiness: %s", self._summary())
        serving = health_pb2.HealthCheckResponse.SERVING
        for name in (LIVENESS, *ALWAYS):
            await self.servicer.set(name, serving)
        await self.servicer.set(READINESS, health_pb2.HealthCheckResponse.NOT_SERVING if failing else serving)

    async def follow(self, poll_s: float) -> None:
        """Refresh for ever."""
        while True:
            await self.refresh()
            await asyncio.sleep(poll_s)

    async def drain(self) -> None:
        """Say NOT_SERVING for everything from now on."""
        self._draining = True
        await self.servicer.enter_graceful_shutdown()

    def _summary(self) -> str:
        return f"not ready: {', '.join(self._failing)}" if self._failing else "ready"
