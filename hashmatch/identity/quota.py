"""How much a caller may ask for: token buckets and day windows, in whole numbers, on a clock that never jumps.

Theory of operation
-------------------
A bucket holds ``burst`` tokens and gains ``per_s`` of them each second. It counts in billionths of a token, of which a
nanosecond brings ``per_s``, so nothing is ever rounded: over any time *t* no more than ``burst + per_s * t`` is
admitted (tests/property/test_quota.py). A day is a window of 86,400 s that begins with the first call in it. Both live
in one process: several processes behind one address each count for themselves, and a restart begins anew.

A :class:`Meter` is what one caller has: it takes from all of its limits or from none, and names the one that refused.

What this module deliberately does not do: it reads no clock and waits for nothing. Time is passed in, in nanoseconds
of a monotonic clock.

Source: J. Turner, "New directions in communications (or which way to the information age?)", IEEE Communications
Magazine 24(10), 1986 (the leaky bucket as a meter).
"""

from __future__ import annotations

from typing import Final, Protocol

from hashmatch.errors import BadInput, QuotaExceeded
from hashmatch.sections import QuotaConfig

_SECOND_NS: Final = 10**9
DAY_NS: Final = 86_400 * _SECOND_NS


class Limit(Protocol):
    """One limit on one kind of thing."""

    def wait_ns(self, amount: int, now_ns: int) -> int | None:
        """Return how long to wait until ``amount`` may be had: 0 for now, None for never."""

    def take(self, amount: int, now_ns: int) -> None:
        """Take what :meth:`wait_ns` allows now."""


class Bucket:
    """Tokens that come back with time; see the module's theory of operation."""

    def __init__(self, per_s: int, burst: int, now_ns: int) -> None:
        self._per_s = per_s
        self._full = burst * _SECOND_NS
        self._level = self._full
        self._at_ns = now_ns

    def __repr__(self) -> str:
        return f"<Bucket: {self._level // _SECOND_NS} of {self._full // _SECOND_NS}, {self._per_s} per s>"

    def wait_ns(self, amount: int, now_ns: int) -> int | None:
        """Return how long to wait until there are ``amount`` tokens: 0 for now, None for never."""
        wanted = amount * _SECOND_NS
        if wanted > self._full:
            return None
        return max(0, -(-(wanted - self._filled(now_ns)) // self._per_s))

    def take(self, amount: int, now_ns: int) -> None:
        """Take ``amount`` tokens."""
        self._level = self._filled(now_ns) - amount * _SECOND_NS
        self._at_ns = max(self._at_ns, now_ns)

    def _filled(self, now_ns: int) -> int:
        return min(self._full, self._level + self._per_s * max(0, now_ns - self._at_ns))


class Window:
    """So many in a stretch of time that begins with the first of them."""

    def __init__(self, most: int, length_ns: int = DAY_NS) -> None:
        self._most = most
        self._length_ns = length_ns
        self._begun_ns: int | None = None
        self._used = 0

    def __repr__(self) -> str:
        return f"<Window: {self._used} of {self._most}>"

    def wait_ns(self, amount: int, now_ns: int) -> int | None:
        """Return how long to wait until ``amount`` fits: 0 for now, None for never."""
        if amount > self._most:
            return None
        if self._begun_ns is None or now_ns - self._begun_ns >= self._length_ns or self._used + amount <= self._most:
            return 0
        return self._begun_ns + self._length_ns - now_ns

    def take(self, amount: int, now_ns: int) -> None:
        """Count ``amount``."""
        if self._begun_ns is None or now_ns - self._begun_ns >= self._length_ns:
            self._begun_ns, self._used = now_ns, 0
        self._used += amount


class Meter:
    """The limits of one caller; a quota of 0 is none."""

    def __init__(self, quota: QuotaConfig, now_ns: int) -> None:
        self.quota = quota
        self._calls = _limits(
            now_ns,
            ("calls_per_s", quota.calls_per_s, quota.calls_burst),
            ("calls_per_day", quota.calls_per_day, None),
        )
        self._bytes = _limits(
            now_ns,
            ("bytes_per_s", quota.bytes_per_s, quota.bytes_burst),
            ("bytes_per_day", quota.bytes_per_day, None),
        )

    def __repr__(self) -> str:
        return f"<Meter: {dict(self._calls) | dict(self._bytes)}>"

    def begin(self, now_ns: int) -> None:
        """Admit one call of which nothing has been read; raises QuotaExceeded.

        A caller who has no byte left is refused now, before the body is read.
        """
        self._check(self._bytes, 1, now_ns)
        self._check(self._calls, 1, now_ns)
        _take(self._calls, 1, now_ns)

    def charge(self, calls: int, size: int, now_ns: int) -> None:
        """Take ``size`` bytes and ``calls`` more calls, or nothing.

        Raises
        ------
        QuotaExceeded
            Not now; it says when.
        BadInput
            Never: the message is larger than what may be had at once.

        """
        self._check(self._bytes, size, now_ns)
        self._check(self._calls, calls, now_ns)
        _take(self._bytes, size, now_ns)
        _take(self._calls, calls, now_ns)

    @staticmethod
    def _check(limits: tuple[tuple[str, Limit], ...], amount: int, now_ns: int) -> None:
        waits = [(limit.wait_ns(amount, now_ns), name) for name, limit in limits]
        for wait, name in waits:
            if wait is None:
                raise BadInput(
                    f"the message has {amount} bytes, more than this caller's quota ({name}) ever allows at once"
                )
        longest, name = max(((wait or 0, name) for wait, name in waits), default=(0, ""))
        if longest:
            raise QuotaExceeded(
                f"the quota of this caller is used up ({name}); try again in {longest / _SECOND_NS:.3g} s",
                retry_after_s=longest / _SECOND_NS,
            )


def _limits(now_ns: int, *rows: tuple[str, int, int | None]) -> tuple[tuple[str, Limit], ...]:
    return tuple(
        (name, Window(amount) if burst is None else Bucket(amount, burst, now_ns))
        for name, amount, burst in rows
        if amount
    )


def _take(limits: tuple[tuple[str, Limit], ...], amount: int, now_ns: int) -> None:
    for _, limit in limits:
        limit.take(amount, now_ns)
