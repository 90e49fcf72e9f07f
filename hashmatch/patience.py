"""How long to wait before asking again, and when to give up: a pure decision.

Theory of operation
-------------------
Waits double and are drawn at random below their bound ("full jitter"). What the server asks for with ``Retry-After`` is
a lower bound; a server that asks for more than ``longest_retry_after_s`` is left alone until the next run. A date in
``Retry-After`` is measured against the same answer's ``Date``, so the clock of this machine does not matter.

What this module deliberately does not do: it neither sleeps nor asks.

Source: RFC 9110 §10.2.3; M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

import email.utils
import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how patiently. ``tries`` counts the first one."""

    tries: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    longest_retry_after_s: float = 300.0

    def wait_s(
        self,
        attempt: int,
        retry_after_s: float | None,
        *,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> float | None:
        """Seconds to wait after a failed attempt, None to give up.

        Parameters
        ----------
        attempt : int
            Number of the attempt that failed, from 1.
        retry_after_s : float or None
            What the server asked for.
        uniform : callable
            Source of jitter.

        """
        if attempt >= self.tries or (retry_after_s or 0) > self.longest_retry_after_s:
            return None
        bound = min(self.longest_wait_s, self.first_wait_s * 2 ** (attempt - 1))
        return (retry_after_s or 0) + uniform(0, bound)


def epoch(date: str | None) -> int | None:
    """Return the seconds since 1970 of an HTTP date; None for anything else."""
    if not date:
        return None
    try:
        return int(email.utils.parsedate_to_datetime(date).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None


def retry_after_s(text: str | None, served_at: int | None) -> float | None:
    """Return what a ``Retry-After`` asks for, in seconds from the answer's own date; None where it says nothing."""
    if not text:
        return None
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    until = epoch(text)
    return None if until is None or served_at is None else float(max(0, until - served_at))
