"""What a host's robots.txt says of a URL: recorded, and followed only where that is asked for.

Theory of operation
-------------------
One file per origin is fetched, as anything else is, and kept for a while, in bounds. A host without one allows
everything; one whose file could not be read is ``unknown``. With ``hotline.respect_robots``, an unknown one is taken as
RFC 9309 says: a server's error disallows everything, a client's error (and a host that has no such file) nothing.

What this module deliberately does not do: it ignores ``crawl-delay``, which the standard does not have;
``hotline.host_delay_ms`` is the operator's word.

Source
------
RFC 9309, §2.3.1 (what a failure means) and §2.5 (500 kibibytes must be read, more need not).
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from protego import Protego

from hashmatch.hotline.web.urls import Rules, Target, join
from hashmatch.model.hotline import Fetched, Outcome

MAX_BYTES = 500 << 10
_KEPT_HOSTS = 2_048
_KEPT_S = 3_600.0
_MAX_LINES = 5_000
_MAX_WILDCARDS = 500
_MAX_MATCHED = 2_000
"""Lines, lines with a wildcard, and characters of a URL that are looked at. Matching takes time for each, in which all
other fetches wait: 0.4 s for a hostile file without these limits, 10 ms with them."""
_SERVER_ERRORS = range(500, 600)


class Robots(enum.StrEnum):
    """What a host says of a URL; ``model.hotline.Fetched.robots`` has these words."""

    ALLOWED = "allowed"
    DISALLOWED = "disallowed"
    NONE = "none"
    UNKNOWN = "unknown"
    UNREACHABLE = "unreachable"
    """A server's error, which RFC 9309 takes as a no; recorded as ``unknown``."""

    @property
    def recorded(self) -> str:
        """The word for the record."""
        return Robots.UNKNOWN.value if self is Robots.UNREACHABLE else self.value

    @property
    def forbids(self) -> bool:
        """Whether one who follows robots.txt must not fetch."""
        return self in {Robots.DISALLOWED, Robots.UNREACHABLE}


_File = Protego | Robots


class RobotsFiles:
    """The files of the hosts that were asked lately."""

    def __init__(
        self,
        fetch: Callable[[Target, str], Awaitable[Fetched]],
        user_agent: str,
        rules: Rules,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._user_agent = user_agent
        self._rules = rules
        self._clock = clock
        self._files: OrderedDict[tuple[str, str], tuple[float, asyncio.Task[_File]]] = OrderedDict()

    async def ask(self, target: Target, job: str) -> Robots:
        """Say what the host of ``target`` allows; each job asks for itself, so that no circuit learns of another."""
        answer = await asyncio.shield(self._file(target, job))
        if isinstance(answer, Robots):
            return answer
        return Robots.ALLOWED if answer.can_fetch(target.url[:_MAX_MATCHED], self._user_agent) else Robots.DISALLOWED

    def _file(self, target: Target, job: str) -> asyncio.Task[_File]:
        origin = (job, target.url.removesuffix(target.path))
        known = self._files.get(origin)
        if known is not None and known[0] > self._clock():
            return known[1]
        task = asyncio.create_task(self._read(target, job))
        self._files[origin] = (self._clock() + _KEPT_S, task)
        self._files.move_to_end(origin)
        while len(self._files) > _KEPT_HOSTS:
            self._files.popitem(last=False)
        return task

    async def _read(self, target: Target, job: str) -> _File:
        place = join(target, "/robots.txt", self._rules)
        if not isinstance(place, Target):
            return Robots.UNKNOWN
        fetched = await self._fetch(place, job)
        if fetched.outcome is None:
            return Protego.parse(_bounded(fetched.body[:MAX_BYTES].decode("utf-8", "replace")))
        status = fetched.hops[-1].status if fetched.hops else 0
        if fetched.outcome is Outcome.GONE:
            return Robots.NONE
        return Robots.UNREACHABLE if status in _SERVER_ERRORS or not status else Robots.UNKNOWN


def _bounded(text: str) -> str:
    """Leave out what is beyond the limits."""
    lines = text.splitlines()[:_MAX_LINES]
    wild = [position for position, line in enumerate(lines) if line.count("*") > line.lower().count("user-agent")]
    for position in wild[_MAX_WILDCARDS:]:
        lines[position] = ""
    return "\n".join(lines)
