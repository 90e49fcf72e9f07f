"""What every half of the asynchronous client asks of the other: the services, and how one call is made.

What this module deliberately does not do: it makes no call; ``aio`` does.
"""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from hashmatch.client.transport import AsyncServices

_Response = TypeVar("_Response")


class AsyncCalls(abc.ABC):
    """How the calls of a service are made."""

    _target: str
    _calls: int

    @property
    @abc.abstractmethod
    def _services(self) -> AsyncServices:
        """What can be called."""

    @abc.abstractmethod
    async def _once(
        self, method: Callable[..., Awaitable[_Response]], request: Any, timeout_s: float | None
    ) -> _Response:
        """Call, and never again."""

    @abc.abstractmethod
    async def _repeatable(
        self, method: Callable[..., Awaitable[_Response]], request: Any, timeout_s: float | None
    ) -> _Response:
        """Call, and again while the policy says so and the deadline allows."""

    async def _keyed(
        self, method: Callable[..., Awaitable[_Response]], request: Any, timeout_s: float | None
    ) -> _Response:
        """Call, and again like :meth:`_repeatable` where an idempotency key keeps it from happening twice."""
        if request.idempotency_key:
            return await self._repeatable(method, request, timeout_s)
        return await self._once(method, request, timeout_s)
