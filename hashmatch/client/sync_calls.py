"""What every half of the synchronous client asks of it: generated from aio_calls.py by `make client`; do not edit.

What this module deliberately does not do: it makes no call; ``sync`` does.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, TypeVar

from hashmatch.client.transport import Services

_Response = TypeVar("_Response")


class Calls(abc.ABC):
    """How the calls of a service are made."""

    _target: str
    _calls: int

    @property
    @abc.abstractmethod
    def _services(self) -> Services:
        """What can be called."""

    @abc.abstractmethod
    def _once(self, method: Callable[..., _Response], request: Any, timeout_s: float | None) -> _Response:
        """Call, and never again."""

    @abc.abstractmethod
    def _repeatable(self, method: Callable[..., _Response], request: Any, timeout_s: float | None) -> _Response:
        """Call, and again while the policy says so and the deadline allows."""

    def _keyed(self, method: Callable[..., _Response], request: Any, timeout_s: float | None) -> _Response:
        """Call, and again like :meth:`_repeatable` where an idempotency key keeps it from happening twice."""
        if request.idempotency_key:
            return self._repeatable(method, request, timeout_s)
        return self._once(method, request, timeout_s)
