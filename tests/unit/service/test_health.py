"""Readiness is composed of checks."""

from __future__ import annotations

import asyncio

import pytest
from grpc_health.v1 import health_pb2

from hashmatch.service.checks import Check
from hashmatch.service.health import ALWAYS, LIVENESS, READINESS, Health

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def told(health: Health, service: str) -> int:
    response = await health.servicer.Check(health_pb2.HealthCheckRequest(service=service), None)
    return int(response.status)


@pytest.mark.parametrize(
    ("index", "workers", "status", "summary"),
    [
        (True, True, SERVING, "ready"),
        (False, True, NOT_SERVING, "not ready: index"),
        (True, False, NOT_SERVING, "not ready: workers"),
        (False, False, NOT_SERVING, "not ready: index, workers"),
    ],
)
async def test_ready_means_that_every_check_passes(index: bool, workers: bool, status: int, summary: str) -> None:  # noqa: FBT001
    health = Health([Check("index", lambda: index), Check("workers", lambda: workers)])
    assert repr(health) == "<Health: not asked yet>"
    assert not health.ready
    await health.refresh()
    assert await told(health, READINESS) == status
    assert [await told(health, name) for name in (LIVENESS, *ALWAYS)] == [SERVING, SERVING, SERVING]
    assert repr(health) == f"<Health: {summary}>"
    assert health.ready == (status == SERVING)


async def test_a_drain_is_for_good() -> None:
    health = Health([Check("index", lambda: True)])
    await health.refresh()
    await health.drain()
    await health.refresh()
    assert [await told(health, name) for name in (LIVENESS, READINESS, *ALWAYS)] == [NOT_SERVING] * 4
    assert repr(health) == "<Health: draining>"
    assert not health.ready


async def test_a_check_that_is_broken_ends_the_following_rather_than_pass() -> None:
    def broken() -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(300):
            await Health([Check("broken", broken)]).follow(0.001)
