"""A job from its first submission to its last, over a real job file and a fake web."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import io
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashmatch.errors import IndexNotLoaded, JobUnavailable
from hashmatch.hotline.checking.check import Checker
from hashmatch.hotline.checking.visit import Address
from hashmatch.hotline.jobs.job import JobFile
from hashmatch.hotline.jobs.job_states import Finished, Planned, State, Taken
from hashmatch.hotline.jobs.lists import read
from hashmatch.hotline.jobs.pipeline import run
from hashmatch.model.hotline import Outcome, Submission, Summary
from hashmatch.projections.places import host_of
from hashmatch.sections import HotlineConfig
from tests.support.hotline.fakes import AT, FakeDetects, FakeWeb, Watched, page, picture, ports
from tests.support.service import until


def planned(urls: Iterator[str] | list[str]) -> Iterator[Planned]:
    for number, url in enumerate(urls, 1):
        yield Planned(Submission(number, url), url, url, host_of(url))


def job_of(path: Path, urls: Iterator[str] | list[str], per_host: int = 2) -> JobFile:
    job = JobFile.create(path)
    job.load(planned(urls), lambda: "ab" * 32, "", AT)
    job.begin(per_host)
    return job


def checker(web: FakeWeb, detects: FakeDetects | None = None) -> Checker:
    def parse(text: str) -> Address:
        return Address(text, host_of(text))

    return Checker(HotlineConfig(), ports(web, detects), parse, detects_at_once=2, clock=lambda: AT)


SITES = [f"https://h{n % 9}.example/{n}" for n in range(60)]


async def test_every_submission_is_checked_kept_and_seen_once(tmp_path: Path) -> None:
    web = FakeWeb({url: page(f"{url}.png") for url in SITES} | {f"{url}.png": picture(url) for url in SITES})
    watched = Watched()
    with job_of(tmp_path / "job", SITES) as job:
        await run(job, checker(web), watched, window=10)
        assert job.results.states() == {State.DONE: len(SITES)}
        assert job.results.item_tally() == {Outcome.NO_MATCH: len(SITES)}
    assert sorted(watched.begun) == sorted(watched.done) == list(range(1, len(SITES) + 1))
    assert set(web.asked.values()) == {1}


async def test_an_empty_job_ends_at_once(tmp_path: Path) -> None:
    with job_of(tmp_path / "job", []) as job:
        await run(job, checker(FakeWeb({})), Watched(), window=10)


async def test_one_slow_host_does_not_hold_the_others(tmp_path: Path) -> None:
    slow = [f"https://slow.example/{n}" for n in range(200)]
    web = FakeWeb({url: picture(url) for url in (*slow, *SITES)})
    web.held = {url: asyncio.Event() for url in slow}
    watched = Watched()
    with job_of(tmp_path / "job", [*slow, *SITES]) as job:
        running = asyncio.create_task(run(job, checker(web), watched, window=10))
        await until(lambda: len(watched.done) == len(SITES))
        assert web.now_by_host["slow.example"] == 2
        for event in web.held.values():
            event.set()
        await running
        assert job.results.states() == {State.DONE: len(slow) + len(SITES)}


async def test_a_cancellation_keeps_what_is_done_and_lets_the_rest_wait(tmp_path: Path) -> None:
    held = SITES[40:]
    web = FakeWeb({url: picture(url) for url in SITES})
    web.held = {url: asyncio.Event() for url in held}
    watched = Watched()
    path = tmp_path / "job"
    with job_of(path, SITES, per_host=20) as job:
        running = asyncio.create_task(run(job, checker(web), watched, window=100))
        await until(lambda: len(watched.done) >= 18)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert job.results.states() == {State.DONE: len(watched.done), State.WAITING: len(SITES) - len(watched.done)}
    again = FakeWeb({url: picture(url) for url in SITES})
    with JobFile.open(path) as job:
        job.begin(2)
        await run(job, checker(again), watched, window=10)
        assert job.results.states() == {State.DONE: len(SITES)}
    assert Counter(watched.done) == Counter(range(1, len(SITES) + 1))
    assert sum(again.asked.values()) == len(SITES) - sum(url in again.files and not again.asked[url] for url in SITES)


async def test_a_cancellation_at_every_step_loses_and_repeats_nothing(tmp_path: Path) -> None:
    for steps in range(60):
        watched = Watched()
        web = FakeWeb(
            {url: page(f"{url}.png") for url in SITES[:6]} | {f"{url}.png": picture(url) for url in SITES[:6]}
        )
        with job_of(tmp_path / f"job{steps}", SITES[:6]) as job:
            running = asyncio.create_task(run(job, checker(web), watched, window=3))
            for _ in range(steps):
                await asyncio.sleep(0)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            states = job.results.states()
            assert State.FETCHING not in states
            assert states.get(State.DONE, 0) == len(watched.done) == sum(job.results.tally().values())
            job.begin(2)
            await run(job, checker(web), watched, window=3)
            assert Counter(watched.done) == Counter(range(1, 7))


async def test_what_ends_the_job_is_raised_and_what_was_done_is_kept(tmp_path: Path) -> None:
    web = FakeWeb({url: picture(url) for url in SITES})
    watched = Watched()
    with job_of(tmp_path / "job", SITES, per_host=9) as job:
        with pytest.raises(IndexNotLoaded):
            await run(job, checker(web, FakeDetects({SITES[30]: IndexNotLoaded()})), watched, window=5)
        states = job.results.states()
        assert states[State.DONE] == len(watched.done)
        assert states[State.DONE] + states[State.WAITING] == len(SITES)


async def test_a_job_that_cannot_be_written_ends_with_its_error() -> None:
    class Full:
        def advance(self, finished: object, want: int) -> list[Taken]:
            del want
            if finished:
                raise JobUnavailable("job: database or disk is full")
            return [Taken(Submission(1, ""), SITES[0])]

        def interrupt(self, finished: object = ()) -> None:
            del finished

    watched = Watched()
    with pytest.raises(JobUnavailable, match="disk is full"):
        await run(Full(), checker(FakeWeb({})), watched, window=1)
    assert watched.done == []


class Immediately:
    """Checks without anything to check."""

    async def check(self, taken: Taken) -> Finished:
        """Return a summary."""
        return Finished(Summary(taken.submission, Outcome.NO_MATCH, url=taken.address, checked_at=AT))


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.slow)])
async def test_memory_is_flat_whatever_the_number_of_urls(tmp_path: Path, count: int) -> None:
    text = "".join(f"https://h{n % 5_000}.example/{n}\n" for n in range(count)).encode()

    class Silent(Watched):
        """Notes nothing."""

        def began(self, taken: Taken) -> None:
            """Note nothing."""

        def kept(self, finished: Finished) -> None:
            """Count."""
            self.done = [finished.number + sum(self.done) * 0, (self.done or [0, 0])[-1] + 1]

    watched = Silent()
    stream = io.BytesIO(text)
    gc.collect()
    tracemalloc.start()
    try:
        with JobFile.create(tmp_path / "job") as job:
            rows = (row for row in read(stream).rows if isinstance(row, Submission))
            job.load(
                (Planned(row, row.url, row.url, host_of(row.url)) for row in rows),
                lambda: hashlib.sha256(text).hexdigest(),
                "",
                AT,
            )
            job.begin(2)
            await run(job, Immediately(), watched, window=64)
            told = sum(1 for kept in job.results.summaries() if kept.summary is not None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (watched.done[-1], told) == (count, count)
    assert peak < 8 << 20
