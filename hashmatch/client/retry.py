"""When to try again: a pure decision.

Theory of operation
-------------------
A call is repeated when nothing can have happened twice (the caller says whether it is idempotent), when repeating can
help (the service was not there, or it was overloaded and said when to come back), and when the wait still fits into the
caller's deadline. Waits grow by doubling and are drawn at random below their bound ("full jitter"), so that clients
that failed together do not come back together. A service's own hint is a lower bound for the wait.

What this module deliberately does not do: it neither sleeps nor calls.

Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015; gRPC proposal A6 for the hint.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from hashmatch.errors import HashmatchError, Overloaded, Status


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently. ``attempts`` counts the first call; 1 means: never again."""

    attempts: int = 4
    first_wait_s: float = 0.1
    longest_wait_s: float = 2.0

    def wait_s(
        self,
        error: HashmatchError,
        attempt: int,
        remaining_s: float,
        *,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> float | None:
        """Seconds to wait before trying again, None to give up.

        Parameters
        ----------
        error : HashmatchError
            What the attempt ended with.
        attempt : int
            Its number, from 1.
        remaining_s : float
            Until the caller's deadline.
        uniform : callable
            Source of jitter.

        """
        if attempt >= self.attempts:
            return None
        bound = min(self.longest_wait_s, self.first_wait_s * 2 ** (attempt - 1))
        if isinstance(error, Overloaded):
            wait = error.retry_after_s + uniform(0, bound)
        elif error.status is Status.UNAVAILABLE:
            wait = uniform(0, bound)
        else:
            return None
        return wait if wait < remaining_s else None
