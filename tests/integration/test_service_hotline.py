"""Reported URLs over gRPC: checked whole before anything is fetched, told as they become known, ended with the call."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, Sequence

import pytest

from hashmatch.client.aio import AsyncClient
from hashmatch.client.sync import Client
from hashmatch.errors import BadInput, NotOffered, Overloaded
from hashmatch.model.hotline import Fetched, Hop, Item, Outcome, Submission, Summary, Via
from hashmatch.sections import HotlineConfig
from tests.support.service import Scene, collect, serving, until

AT = dt.datetime(2026, 11, 28, 9, tzinfo=dt.UTC)


class FakeChecks:
    """Answers for each submission with one item and a summary; goes on only while it is allowed to."""

    def __init__(self) -> None:
        self.seen: list[Submission] = []
        self.strict: list[bool] = []
        self.go = asyncio.Event()
        self.go.set()
        self.ended = 0

    async def check(
        self, submissions: Sequence[Submission], *, respect_robots: bool
    ) -> AsyncGenerator[Item | Summary, None]:
        """Yield two answers for each."""
        self.strict.append(respect_robots)
        try:
            for submission in submissions:
                self.seen.append(submission)
                hop = Hop(submission.url, "192.0.2.7", 443, status=200, headers=(("Server", "x"),), started_at=AT)
                fetched = Fetched((hop,), content_type="image/png", ended_at=AT)
                yield Item(submission.number, submission.url, Via.DIRECT, Outcome.NO_MATCH, fetched=fetched)
                await self.go.wait()
                yield Summary(submission, Outcome.NO_MATCH, counts={Outcome.NO_MATCH: 1}, checked_at=AT)
        finally:
            self.ended += 1


def scene(checks: FakeChecks, *, max_urls: int = 10, max_calls: int = 4) -> Scene:
    return Scene(checks=checks, hotline=HotlineConfig(max_urls=max_urls, max_calls=max_calls))


async def test_every_address_gets_its_items_and_one_summary() -> None:
    checks = FakeChecks()
    urls = [Submission(7, "https://a.example/1", {"report_id": "R1"}), Submission(0, "hxxps://b[.]example/")]
    async with serving(scene(checks)) as here, AsyncClient(here.target) as client:
        answers = await collect(client.check_urls(urls, respect_robots=True))
    assert checks.seen == [urls[0], Submission(2, urls[1].url)], "a number of 0 is the position"
    assert checks.strict == [True]
    assert [(type(answer), answer.outcome) for answer in answers] == [
        (Item, Outcome.NO_MATCH),
        (Summary, Outcome.NO_MATCH),
    ] * 2
    first, summary = answers[:2]
    assert isinstance(first, Item)
    assert first.fetched is not None
    assert first.fetched.hops[0].ip == "192.0.2.7"
    assert summary == Summary(urls[0], Outcome.NO_MATCH, counts={Outcome.NO_MATCH: 1}, checked_at=AT)


async def test_the_synchronous_client_asks_the_same() -> None:
    async with serving(scene(FakeChecks())) as here:

        def ask() -> int:
            with Client(here.target) as client:
                return sum(
                    isinstance(answer, Summary)
                    for answer in client.check_urls([Submission(0, "a"), Submission(0, "b")])
                )

        assert await asyncio.to_thread(ask) == 2


@pytest.mark.parametrize(
    ("urls", "message"),
    [
        ([], "urls: there is nothing to check"),
        ([Submission(0, "a")] * 4, "urls: 4 are more than the 3 of one call (hotline.max_urls); send several"),
        ([Submission(1, "a"), Submission(1, "b")], "urls[1].number: 1 is that of urls[0] too"),
        ([Submission(2, "a"), Submission(0, "b")], "urls[1].number: 2 is that of urls[0] too"),
        ([Submission(1, "x" * 8_193)], "urls[0].url: 8193 characters are more than the 8192 of an address"),
        ([Submission(1, "a", {str(n): "" for n in range(33)})], "urls[0].extra: 33 are more than 32 columns"),
        ([Submission(1, "a", {"remarks": "x" * 2_001})], "urls[0].extra: a column has more than 2000 characters"),
    ],
)
async def test_a_request_that_is_not_in_order_fetches_nothing(urls: list[Submission], message: str) -> None:
    checks = FakeChecks()
    async with serving(scene(checks, max_urls=3)) as here, AsyncClient(here.target) as client:
        with pytest.raises(BadInput) as caught:
            await collect(client.check_urls(urls))
    assert caught.value.message == message
    assert caught.value.field == message.partition(":")[0].removesuffix(".number")
    assert checks.seen == []


async def test_a_caller_who_leaves_ends_the_check() -> None:
    checks = FakeChecks()
    checks.go.clear()
    async with serving(scene(checks)) as here, AsyncClient(here.target) as client:
        answers = client.check_urls([Submission(1, "a"), Submission(2, "b")])
        assert isinstance(await anext(answers), Item)
        await answers.aclose()
        await until(lambda: checks.ended)
    assert [submission.number for submission in checks.seen] == [1]


async def test_one_call_too_many_is_told_when_to_come_again() -> None:
    checks = FakeChecks()
    checks.go.clear()
    async with serving(scene(checks, max_calls=1)) as here, AsyncClient(here.target) as client:
        first = client.check_urls([Submission(1, "a")])
        await anext(first)
        with pytest.raises(Overloaded) as caught:
            await collect(client.check_urls([Submission(1, "b")]))
        assert caught.value.message == "1 checks are running, as many as hotline.max_calls allows; try again later"
        assert caught.value.retry_after_s == 30.0
        checks.go.set()
        assert [type(answer) for answer in await collect(first)] == [Summary]
        assert len(await collect(client.check_urls([Submission(1, "b")]))) == 2, "the place is free again"


async def test_a_service_that_does_not_offer_it_says_so() -> None:
    async with serving() as here, AsyncClient(here.target) as client:
        with pytest.raises(NotOffered, match=r"^this service checks no URLs: hotline\.serve is off$"):
            await collect(client.check_urls([Submission(1, "a")]))
