"""A web in dictionaries, and fakes of everyone whom a check asks."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from hashmatch.errors import HashmatchError
from hashmatch.hotline.checking.looking import Ports
from hashmatch.hotline.jobs.job_states import Finished, Taken
from hashmatch.model import Digests, MatchReport, Verdict
from hashmatch.model.hotline import Fetched, Hop, Item, Kind, Link, Outcome, Page, Place, Submission, Via
from hashmatch.projections.places import host_of

AT = dt.datetime(2026, 11, 28, 9, 30, tzinfo=dt.UTC)
PNG = b"\x89PNG\r\n\x1a\n"
"""What every picture of the fake web begins with; nothing that is written may hold it."""


def picture(word: str) -> bytes:
    """Return a picture that a fake detector knows by its word."""
    return PNG + word.encode()


def page(*images: str, documents: tuple[Link, ...] = (), left_out: int = 0, **more: bool) -> Page:
    """Return a page with pictures."""
    return Page(tuple(Link(url, Via.IMG) for url in images), documents, left_out, **more)  # type: ignore[arg-type]


def report(verdict: Verdict = Verdict.NO_MATCH) -> MatchReport:
    """Return a report without hits."""
    digests = Digests(b"m" * 16, b"1" * 20, b"2" * 32, 7)
    return MatchReport("r", verdict, "nothing_within_reach", "3.0", AT, digests=digests)


@dataclass
class FakeWeb:
    """Fetches: bytes, a page, an outcome or an error by address; counts, and holds back what ``held`` names."""

    files: Mapping[str, object]
    redirects: Mapping[str, str] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    now_by_host: Counter[str] = field(default_factory=Counter)
    most_by_host: Counter[str] = field(default_factory=Counter)

    async def fetch(self, url: str, *, max_bytes: int, referer: str = "") -> Fetched:
        """Return what there is at an address; nothing there is a 404."""
        del referer
        host = host_of(url)
        self.asked[url] += 1
        self.now_by_host[host] += 1
        self.most_by_host[host] = max(self.most_by_host[host], self.now_by_host[host])
        try:
            if url in self.held:
                await self.held[url].wait()
            else:
                await asyncio.sleep(0)
        finally:
            self.now_by_host[host] -= 1
        return self._answer(url, max_bytes)

    def _answer(self, url: str, max_bytes: int) -> Fetched:
        final = self.redirects.get(url, url)
        hops = tuple(
            Hop(at, "192.0.2.1", 443, status=200, started_at=AT) for at in ((url, final) if final != url else (url,))
        )
        match self.files.get(final, Outcome.GONE):
            case HashmatchError() as error:
                raise error
            case Outcome() as outcome:
                return Fetched(hops, outcome, f"scripted {outcome.value}")
            case bytes() as body if len(body) > max_bytes:
                return Fetched(hops, Outcome.TOO_LARGE, f"more than {max_bytes} bytes")
            case bytes() as body:
                return Fetched(hops, content_type="image/png", body=body, wire_bytes=len(body), ended_at=AT)
            case Page():
                return Fetched(hops, content_type="text/html", body=b"<html>" + final.encode(), ended_at=AT)
            case other:
                raise TypeError(f"the fake web cannot serve {other!r}")

    async def read(self, body: bytes, *, url: str, content_type: str) -> Page | None:
        """Return the page of an address; one that is called ``broken`` kills its reader."""
        del content_type
        assert body == b"<html>" + url.encode()
        found = self.files[url]
        assert isinstance(found, Page)
        return None if "broken" in url else found


def sniff(body: bytes, content_type: str) -> Kind:
    """Tell pictures from pages."""
    del content_type
    kinds = {PNG: Kind.IMAGE, b"<html>": Kind.PAGE, b"PK\x03\x04": Kind.ARCHIVE}
    return next((kind for magic, kind in kinds.items() if body.startswith(magic)), Kind.OTHER)


@dataclass
class FakeDetects:
    """Answers by the word of a picture."""

    answers: Mapping[str, MatchReport | HashmatchError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    now: int = 0
    most: int = 0

    async def detect(self, image: bytes) -> MatchReport:
        """Return or raise what the script says; no match where it says nothing."""
        word = image.removeprefix(PNG).decode()
        self.asked.append(word)
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        answer = self.answers.get(word, report())
        if isinstance(answer, HashmatchError):
            raise answer
        return answer


class FakeLocates:
    """Everything is in one network."""

    def locate(self, ip: str) -> Place:
        """Return it."""
        return Place(ip, 64500, "Example Network", "192.0.2.0/24", "NL", sources={"country": "table 2026-11"})


@dataclass
class FakeProves:
    """Keeps what was recorded."""

    recorded: list[Item] = field(default_factory=list)

    async def record(self, item: Item, submission: Submission) -> str:
        """Return a digest that is a number."""
        assert item.number == submission.number
        self.recorded.append(item)
        return f"{len(self.recorded):064x}"


def ports(web: FakeWeb, detects: FakeDetects | None = None, proves: FakeProves | None = None) -> Ports:
    """Return everyone whom a check asks."""
    return Ports(
        fetches=web,
        reads=web,
        detects=detects or FakeDetects(),
        locates=FakeLocates(),
        proves=proves or FakeProves(),
        sniff=sniff,
    )


@dataclass
class Watched:
    """Notes what began and what was kept."""

    begun: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)

    def began(self, taken: Taken) -> None:
        """Note it."""
        self.begun.append(taken.submission.number)

    def kept(self, finished: Finished) -> None:
        """Note it."""
        self.done.append(finished.number)
