"""The check behind HotlineService: one pair of confined processes for all calls, a bounded number of checks for each.

Theory of operation
-------------------
A call's addresses are read and sorted by host (``hotline.turns``); as many workers as ``hotline.concurrency`` take one
at a time, check it, and put what they found into a queue of that many places. A caller who reads slowly fills the
queue, and then nothing further is fetched for it. Addresses that were submitted twice are checked once; the second
gets a summary that names the first.

What this module deliberately does not do: it writes no job file and keeps no evidence. A caller that wants either has
everything that goes into them.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hashmatch.config import Config
from hashmatch.identity import caller
from hashmatch.matching.engine import Submission as Upload
from hashmatch.model import MatchReport
from hashmatch.model.hotline import Item, Submission, Summary
from hashmatch.sandbox.pool import worker_count

if TYPE_CHECKING:
    from hashmatch.hotline.checking.check import Checker
    from hashmatch.hotline.checking.looking import Ports
    from hashmatch.hotline.jobs.job_states import Finished, Planned
    from hashmatch.hotline.jobs.turns import Turns
    from hashmatch.hotline.ports import Detects
    from hashmatch.service.flooding import Detector


class Processes(Protocol):
    """Who fetches and reads for all calls; ``hotline.opening.Processes``."""

    def ports(self, detects: Detects, job: str, *, respect_robots: bool = False) -> Ports:
        """Return whom one call asks."""


@dataclass(frozen=True, slots=True)
class _Detects:
    """Asks the detector of this service about images."""

    detector: Detector
    sets: frozenset[str] | None

    async def detect(self, image: bytes) -> MatchReport:
        """Return the report of one image."""
        return await self.detector.detect(Upload(image, sets=self.sets))


class Investigation:
    """Checks addresses for the callers of one service."""

    def __init__(self, config: Config, processes: Processes, detector: Detector, *, images_at_once: int) -> None:
        self._config = config
        self._processes = processes
        self._detector = detector
        self._images_at_once = images_at_once

    def __repr__(self) -> str:
        return f"<Investigation by {self._processes!r}>"

    async def check(
        self, submissions: Sequence[Submission], *, respect_robots: bool
    ) -> AsyncGenerator[Item | Summary, None]:
        """Yield items, and one summary for each submission after its items; closing it ends the check.

        Pictures are looked up in the sets that are the caller's.

        Raises
        ------
        BadInput
            Onion services and others are mixed.
        HashmatchError
            What ends every check: an index that is not loaded, a process that cannot be started again.

        """
        from hashmatch.hotline.checking.check import Checker
        from hashmatch.hotline.checking.visit import parse_by
        from hashmatch.hotline.jobs.plan import planned
        from hashmatch.hotline.web import urls

        hotline = self._config.hotline
        rules = urls.Rules.of(hotline)
        lines = list(planned(submissions, rules, dt.datetime.now(dt.UTC)))
        for line in lines:
            if line.summary is not None:
                yield line.summary
        firsts, repeated = _sorted(line for line in lines if line.summary is None)
        sets = caller().narrowed(None, self._detector.served_sets)
        ports = self._processes.ports(_Detects(self._detector, sets), uuid.uuid4().hex, respect_robots=respect_robots)
        checker = Checker(hotline, ports, parse_by(rules), detects_at_once=self._images_at_once)
        async with contextlib.aclosing(
            _checked(checker, firsts, workers=hotline.concurrency, per_host=2 * hotline.host_concurrency)
        ) as everything:
            async for finished in everything:
                for item in finished.items:
                    yield item
                yield finished.summary
                for again in repeated.get(finished.number, ()):
                    yield dataclasses.replace(finished.summary, submission=again, same_as=finished.number)


def _sorted(lines: Iterable[Planned]) -> tuple[list[Planned], Mapping[int, list[Submission]]]:
    """Return the first line of each address, and by its number what was submitted of that address again."""
    firsts: dict[str, Planned] = {}
    repeated: dict[int, list[Submission]] = {}
    for line in lines:
        first = firsts.setdefault(line.key, line)
        if first is not line:
            repeated.setdefault(first.submission.number, []).append(line.submission)
    return list(firsts.values()), repeated


async def _checked(
    checker: Checker, lines: Sequence[Planned], *, workers: int, per_host: int
) -> AsyncGenerator[Finished, None]:
    """Yield what became of each line, in the order of completion; ``workers`` of them at a time."""
    from hashmatch.hotline.jobs.turns import Turns

    crew = _Crew(checker, Turns(lines, per_host), asyncio.Queue(workers))
    tasks = {asyncio.create_task(crew.work()) for _ in range(min(workers, len(lines)))}
    try:
        for _ in lines:
            yield await _next(crew.found, tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _next(found: asyncio.Queue[Finished], tasks: set[asyncio.Task[None]]) -> Finished:
    """Return what is found next; raises what ended a worker."""
    getting = asyncio.create_task(found.get())
    try:
        while not getting.done():
            await asyncio.wait({getting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in tasks if task.done()]:
                tasks.remove(task)
                task.result()
    finally:
        getting.cancel()
    return getting.result()


@dataclass(slots=True)
class _Crew:
    """What the workers of one call share."""

    checker: Checker
    turns: Turns
    found: asyncio.Queue[Finished]
    freed: asyncio.Condition = dataclasses.field(default_factory=asyncio.Condition)

    async def work(self) -> None:
        """Check one line after the other until none waits."""
        from hashmatch.hotline.jobs.job_states import Taken

        while (line := await self._take()) is not None:
            finished = await self.checker.check(Taken(line.submission, line.address))
            async with self.freed:
                self.turns.ended(line.host)
                self.freed.notify_all()
            await self.found.put(finished)

    async def _take(self) -> Planned | None:
        async with self.freed:
            while self.turns:
                if (line := self.turns.take()) is not None:
                    return line
                await self.freed.wait()
        return None


@asynccontextmanager
async def opened_investigation(config: Config, detector: Detector) -> AsyncIterator[Investigation | None]:
    """Start what checks addresses for the length of the block, where ``hotline.serve`` asks for it.

    Raises
    ------
    BadConfig
        The extra ``hotline`` is not installed, or a database cannot be read.
    SandboxUnavailable
        A process could not be confined.

    """
    if not config.hotline.serve:
        yield None
        return
    from hashmatch.hotline.checking.opening import opened_processes

    async with opened_processes(config) as processes:
        yield Investigation(config, processes, detector, images_at_once=worker_count(config.sandbox))
