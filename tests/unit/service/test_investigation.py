"""URLs checked for a caller: in the caller's sets, no further ahead than is read, and ended by what ends everything."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from dataclasses import dataclass, field, replace

import pytest

from hashmatch.config import Config
from hashmatch.errors import IndexNotLoaded
from hashmatch.hotline.checking.looking import Ports
from hashmatch.hotline.ports import Detects
from hashmatch.identity import Caller, Role, acting
from hashmatch.identity.callers import Proof
from hashmatch.matching.engine import Engine
from hashmatch.matching.engine import Submission as Upload
from hashmatch.model import MatchReport
from hashmatch.model.hotline import Item, Outcome, Submission, Summary
from hashmatch.sections import HotlineConfig
from hashmatch.service.investigation import Investigation
from tests.support.hotline.fakes import FakeWeb, page, picture, ports, report
from tests.support.service import collect, until

HOTLINE = Caller("desk", frozenset({Role.HOTLINE}), frozenset({"ours"}), Proof.KEY)


@dataclass
class FakeProcesses:
    """Gives the fake web, and the detector that it is given."""

    web: FakeWeb
    strict: list[bool] = field(default_factory=list)
    jobs: set[str] = field(default_factory=set)

    def ports(self, detects: Detects, job: str, *, respect_robots: bool = False) -> Ports:
        """Return whom one call asks."""
        self.strict.append(respect_robots)
        self.jobs.add(job)
        return replace(ports(self.web), detects=detects)


class FakeDetector(Engine):
    """Notes what it was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.sets: list[frozenset[str] | None] = []

    async def detect(self, submission: Upload) -> MatchReport:
        """Answer, or raise."""
        self.sets.append(submission.sets)
        if self.error is not None:
            raise self.error
        return report()

    def served_sets(self) -> Collection[str]:
        """Return three."""
        return ("ours", "theirs", "others")


def investigation(web: FakeWeb, detector: FakeDetector | None = None, *, concurrency: int = 4) -> Investigation:
    config = Config(hotline=HotlineConfig(concurrency=concurrency, host_concurrency=2))
    return Investigation(config, FakeProcesses(web), detector or FakeDetector(), images_at_once=2)


def sites(count: int) -> tuple[FakeWeb, list[Submission]]:
    """Return a web of one picture per host, and the list of it."""
    urls = [f"https://h{n}.example/" for n in range(count)]
    return FakeWeb({url: picture(url) for url in urls}), [Submission(n, url) for n, url in enumerate(urls, 1)]


async def test_pictures_are_looked_up_in_the_callers_sets() -> None:
    web, urls = sites(1)
    detector = FakeDetector()
    with acting(HOTLINE):
        await collect(investigation(web, detector).check(urls, respect_robots=False))
    await collect(investigation(web, detector).check(urls, respect_robots=False))
    assert detector.sets == [frozenset({"ours"}), None]


async def test_every_call_is_a_job_of_its_own_and_as_strict_as_it_asks() -> None:
    web, urls = sites(1)
    processes = FakeProcesses(web)
    asked = Investigation(Config(), processes, FakeDetector(), images_at_once=1)
    for strict in (False, True):
        await collect(asked.check(urls, respect_robots=strict))
    assert (processes.strict, len(processes.jobs)) == ([False, True], 2)


async def test_summaries_follow_their_items_and_repeated_addresses_are_told_of_the_first() -> None:
    web = FakeWeb({"https://a.example/": page("https://a.example/1"), "https://a.example/1": picture("x")})
    urls = [
        Submission(5, "https://a.example/"),
        Submission(6, "mailto:x@example.org"),
        Submission(7, "hxxps://A[.]example"),
    ]
    answers = await collect(investigation(web).check(urls, respect_robots=False))
    assert [(type(answer), answer.outcome) for answer in answers] == [
        (Summary, Outcome.REFUSED_URL),
        (Item, Outcome.NO_MATCH),
        (Summary, Outcome.NO_MATCH),
        (Summary, Outcome.NO_MATCH),
    ]
    last = answers[-1]
    assert isinstance(last, Summary)
    assert (last.submission, last.same_as) == (urls[2], 5)
    assert web.asked["https://a.example/"] == 1


async def test_nothing_is_fetched_further_ahead_than_the_caller_reads() -> None:
    """Each worker has one in hand, and the queue holds as many."""
    web, urls = sites(40)
    async with contextlib.aclosing(investigation(web).check(urls, respect_robots=False)) as answers:
        await anext(answers)
        await until(lambda: len(web.asked) >= 9)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(web.asked) == 9, "one read, four in the queue, four that wait to put theirs"
        assert len(await collect(answers)) == 79


async def test_an_index_that_is_not_loaded_ends_the_call() -> None:
    web, urls = sites(20)
    with pytest.raises(IndexNotLoaded):
        await collect(investigation(web, FakeDetector(IndexNotLoaded())).check(urls, respect_robots=False))
    assert sum(web.now_by_host.values()) == 0, "nothing goes on behind it"


async def test_leaving_ends_what_is_under_way() -> None:
    web, urls = sites(5)
    web.held["https://h1.example/"] = asyncio.Event()
    answers = investigation(web).check(urls, respect_robots=False)
    await anext(answers)
    assert web.now_by_host["h1.example"] == 1
    await answers.aclose()
    assert sum(web.now_by_host.values()) == 0
