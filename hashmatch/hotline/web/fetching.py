"""Fetching in a process of its own, which may use the network and nothing else.

Theory of operation
-------------------
This module is both ends. :class:`Fetching` starts ``python -m hashmatch.hotline.web.fetching`` through ``child`` and
hands addresses over; the process reads certificates and name servers, locks itself up (``sandbox.networked``) and runs
a :class:`~hashmatch.hotline.web.fetch.Fetcher`. Bodies come back through the socket pair, are handed on, and are
written nowhere.

How long a fetch takes is the fetcher's business; how long it waits for a busy host before is nobody's. So what is
watched from outside is whether the process still answers at all: one that does not is killed. Fetches that were under
way when it died are tried once more, one at a time, so that an answer that kills the process takes no other with it;
one that kills it again is ``aborted``, and says so. ::

    async with Fetching(config.hotline, allow_degraded=config.sandbox.allow_degraded) as fetching:
        fetched = await fetching.fetch("http://example.org/", max_bytes=1 << 20)

What this module deliberately does not do: it judges nothing that the fetcher decides, but it takes nothing that it says
for granted.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from hashmatch.config import HotlineConfig
from hashmatch.errors import BadConfig, BadFrame, SandboxUnavailable
from hashmatch.hotline.confined import inside
from hashmatch.hotline.confined.child import Child, Ended, Launch
from hashmatch.hotline.confined.framing import Header, Limits
from hashmatch.hotline.web.fetched_json import from_header, to_header
from hashmatch.model.hotline import Fetched, Outcome
from hashmatch.sandbox.networked import Reach
from hashmatch.sandbox.posture import Posture

if TYPE_CHECKING:
    from hashmatch.hotline.web.fetch import Fetcher

_BASE_MEMORY_BYTES = 1 << 30
_BODIES_PER_FETCH = 3
"""Collected, as one piece, and on its way out."""
_AT_ONCE = 100_000
"""Fetches that the process holds; all but ``hotline.concurrency`` of them wait there for their hosts."""
_ASKED_EVERY_S = 5.0
_ANSWERS_WITHIN_S = 30.0
"""The event loop of the process stands still for a few milliseconds at most; this is for a machine that swaps."""
_HEADER_BYTES_PER_HOP = 64 << 10
_ESCAPED = 6
"""Bytes of JSON that one byte of a header becomes at most."""
_IDLE_CONNECTIONS = 4_096
_LIBRARIES = ("dns", "protego", "python_socks")


def require_libraries() -> None:
    """Insist on what the extra brings.

    Raises
    ------
    BadConfig
        It is not installed.

    """
    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise BadConfig(f"checking URLs needs {', '.join(missing)}: pip install 'hashmatch[hotline]'")


class Fetching:
    """Fetches in a confined process; implements :class:`hashmatch.hotline.ports.Fetches`."""

    def __init__(self, config: HotlineConfig, *, allow_degraded: bool = False, unconfined: bool = False) -> None:
        """Prepare; nothing is started yet.

        Parameters
        ----------
        config : HotlineConfig
            Every limit.
        allow_degraded : bool, optional
            ``sandbox.allow_degraded``: fetch although part of the lockdown does not hold.
        unconfined : bool, optional
            The negative control of tests.

        Raises
        ------
        BadConfig
            The extra is not installed.

        """
        require_libraries()
        largest = max(config.max_image_bytes, config.max_page_bytes)
        hops = config.max_redirects + 1
        self._child = Child(
            Launch(
                "hashmatch.hotline.web.fetching",
                settings=dataclasses.asdict(config),
                memory_bytes=_BASE_MEMORY_BYTES + config.concurrency * largest * _BODIES_PER_FETCH,
                at_once=_AT_ONCE,
                limits=Limits(hops * (_HEADER_BYTES_PER_HOP + _ESCAPED * config.max_header_bytes), largest),
                start_timeout_s=config.start_timeout_s,
                allow_degraded=allow_degraded,
                unconfined=unconfined,
            )
        )
        self._largest = largest
        self._suspects = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Fetching {self._child!r}>"

    async def __aenter__(self) -> Self:
        await self._child.start()
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        await self._child.close()

    @property
    def posture(self) -> Posture:
        """What confines the process."""
        return self._child.posture

    @property
    def pid(self) -> int:
        """Process id of the fetcher, 0 when there is none."""
        return self._child.pid

    async def fetch(
        self, url: str, *, max_bytes: int, referer: str = "", job: str = "", respect_robots: bool = False
    ) -> Fetched:
        """Fetch an address. Whatever goes wrong out there is an outcome.

        Parameters
        ----------
        url : str
            As ``urls`` made it.
        max_bytes : int
            Longest body taken, decompressed; no more than the largest of the configuration.
        referer : str, optional
            Sent only with ``hotline.send_referer``.
        job : str, optional
            Through a proxy, jobs use connections of their own.
        respect_robots : bool, optional
            Follow robots.txt also where ``hotline.respect_robots`` is off.

        Raises
        ------
        SandboxUnavailable
            The process died and could not be started again.

        """
        question = {
            "url": url,
            "max_bytes": min(max_bytes, self._largest),
            "referer": referer,
            "job": job,
            "respect_robots": respect_robots,
        }
        answer = await self._ask(question)
        if isinstance(answer, Ended):
            async with self._suspects:
                answer = await self._ask(question)
        if isinstance(answer, Ended):
            return Fetched((), Outcome.ABORTED, f"the fetching process ended twice on it: {answer.why}")
        return answer

    async def _ask(self, question: Header) -> Fetched | Ended:
        answer = await self._child.ask(question, timeout_s=None)
        if isinstance(answer, Ended):
            return answer
        try:
            return from_header(answer.header, answer.body)
        except BadFrame as error:
            return Ended(error.message)

    async def _watch(self) -> None:
        """Kill the process when its event loop stands still."""
        while True:
            await asyncio.sleep(_ASKED_EVERY_S)
            if self._child.pid:
                with contextlib.suppress(SandboxUnavailable):  # whoever asks next hears of it
                    await self._child.ask({"still": "there"}, timeout_s=_ANSWERS_WITHIN_S)


@dataclass(frozen=True, slots=True)
class _Work:
    """The inside: a fetcher and what it may reach."""

    fetcher: Fetcher
    reach: Reach

    async def answer(self, header: Header, body: bytes) -> inside.Answer:  # noqa: ARG002 - questions have no body
        """Fetch what is asked for."""
        if "still" in header:
            return {}, b""
        fetched = await self.fetcher.fetch(
            str(header["url"]),
            max_bytes=int(header["max_bytes"]),
            referer=str(header["referer"]),
            job=str(header["job"]),
            respect_robots=bool(header["respect_robots"]),
        )
        return to_header(fetched), fetched.body

    async def close(self) -> None:
        """Close every connection."""
        await self.fetcher.close()


async def prepare(settings: Mapping[str, Any]) -> _Work:
    """Load and read whatever needs files.

    Raises
    ------
    BadConfig
        Name servers, certificates or the proxy cannot be had.

    """
    from hashmatch.hotline.web import warm
    from hashmatch.hotline.web.fetch import Fetcher, Means

    lists = {name: tuple(value) for name, value in settings.items() if isinstance(value, list)}
    config = HotlineConfig(**{**settings, **lists})
    means = Means.gather(config)
    await warm.load()
    descriptors = _IDLE_CONNECTIONS + 4 * config.concurrency
    reach = Reach(means.ports(config), datagrams=means.socks is None, descriptors=descriptors)
    return _Work(Fetcher(config, means), reach)


if __name__ == "__main__":
    sys.exit(inside.serve_network(prepare))
