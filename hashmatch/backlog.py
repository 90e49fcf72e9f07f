"""How long a piece of work will wait, and whether it should: a queue that is bounded by time and not only by count.

Theory of operation
-------------------
What waits is served in order by ``servers``, each piece in about the mean time of those before it, so a piece with
``ahead`` others before it waits for ``(ahead + 1) * mean / servers`` seconds until one of them is free. The mean fades
over :data:`MEMORY` pieces; before the first one nothing is known, and nothing refused. A piece that would wait for
longer than ``longest_ms``, or would not be done by its caller's deadline, is refused at once with the time after which
it is worth coming back; but one for each server may always wait, whatever pieces take, or servers would idle
between them. Refusing costs microseconds, and what is done too late costs as much as what is not.

What this module deliberately does not do: it holds no queue and reads no clock. Whoever has an idle server does not
ask: a wrong estimate can never keep it idle.

Source: J. Little, "A Proof for the Queuing Formula L = λW", Operations Research 9(3), 1961.
"""

from __future__ import annotations

import math
from typing import Final

from hashmatch.errors import Overloaded

MEMORY: Final = 16
"""Pieces over which the mean fades: a second of images, and long enough that one large picture is no new regime."""
LEAST_HINT_S: Final = 0.05
"""Whoever came back sooner would find the same queue."""


class Mean:
    """What a piece takes, as the mean of those before it."""

    def __init__(self) -> None:
        self._each_s: float | None = None

    def __repr__(self) -> str:
        return "nothing known yet" if self._each_s is None else f"{1e3 * self._each_s:.2f} ms each"

    @property
    def each_s(self) -> float | None:
        """Seconds that a piece takes; None where nothing is known yet."""
        return self._each_s

    def note(self, took_s: float, pieces: int = 1) -> None:
        """Learn what some pieces took together, in seconds."""
        each_s = took_s / pieces
        if self._each_s is None:
            self._each_s = each_s
        else:
            self._each_s += (each_s - self._each_s) * (1 - (1 - 1 / MEMORY) ** pieces)

    def takes_s(self, pieces: int) -> float:
        """Seconds that some pieces take; infinite where nothing is known yet."""
        return math.inf if self._each_s is None else pieces * self._each_s


class Backlog:
    """Estimates waits; see the module's theory of operation.

    Parameters
    ----------
    servers : int
        How many pieces are worked on at a time.
    most : int or None
        How many may wait; None for any number.
    longest_ms : float
        Longest wait that is begun, in milliseconds; may be infinite.
    what : str
        The pieces, in the plural, for messages.

    """

    def __init__(self, servers: int, most: int | None, longest_ms: float, what: str) -> None:
        self._servers = servers
        self._longest_s = longest_ms / 1e3
        self._what = what
        self._most = most
        self._mean = Mean()

    def __repr__(self) -> str:
        return f"<Backlog of {self._what}: {self._mean!r}, by {self._servers} at a time>"

    def note(self, took_s: float, pieces: int = 1) -> None:
        """Learn what some pieces took together, in seconds of one server."""
        self._mean.note(took_s, pieces)

    def wait_s(self, ahead: int) -> float:
        """Seconds until a server is free for a piece with ``ahead`` others before it; 0 where nothing is known."""
        each_s = self._mean.each_s
        return 0.0 if each_s is None else (ahead + 1) * each_s / self._servers

    def hint_s(self, ahead: int) -> float:
        """Seconds until it is worth coming back."""
        return max(LEAST_HINT_S, self.wait_s(ahead))

    def admit(self, ahead: int, remaining_s: float = math.inf) -> None:
        """Let a piece wait behind ``ahead`` others, for a caller who has ``remaining_s`` seconds.

        Raises
        ------
        Overloaded
            Too many wait already, or it would wait for too long, or not be done in time.

        """
        if self._most is not None and ahead >= self._most:
            raise Overloaded(
                f"all {self._servers} are busy and {ahead} {self._what} wait already", retry_after_s=self.hint_s(ahead)
            )
        each_s = self._mean.each_s
        if each_s is None:
            return
        wait_s = self.wait_s(ahead)
        if ahead >= self._servers and wait_s > self._longest_s:
            raise Overloaded(
                f"the wait behind {ahead} {self._what} is {1e3 * wait_s:.0f} ms, and at most "
                f"{1e3 * self._longest_s:.0f} are waited",
                retry_after_s=max(LEAST_HINT_S, wait_s - self._longest_s),
            )
        if wait_s + each_s > remaining_s:
            raise Overloaded(
                f"an answer behind {ahead} {self._what} takes {1e3 * (wait_s + each_s):.0f} ms, and the "
                f"caller's deadline is in {1e3 * remaining_s:.0f}",
                retry_after_s=self.hint_s(ahead),
            )
