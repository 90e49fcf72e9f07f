"""What becomes of answers that are none, of hosts that are hostile, and of robots.txt."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from hashmatch.model.hotline import Fetched, Outcome
from tests.support.clock import LATE_S, leap
from tests.support.hotline import hostile
from tests.support.hotline.fetching import end, fetch, fetching
from tests.support.hotline.site import Handler, Request, Site

PNG = b"\x89PNG\r\n\x1a\n" + bytes(1_000)


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    async with Site() as running:
        yield running


# --- answers that are none ----------------------------------------------------------------------------------------

STATUSES = [
    (404, (), Outcome.GONE, "404: not found"),
    (410, (), Outcome.GONE, "410: gone for good"),
    (451, (), Outcome.BLOCKED_451, "451: unavailable for legal reasons"),
    (401, (), Outcome.LOGIN_REQUIRED, "401: it wants credentials"),
    (403, (), Outcome.FORBIDDEN, "403: the host refuses without a reason"),
    (403, (("WWW-Authenticate", "Basic"),), Outcome.LOGIN_REQUIRED, "403: it wants credentials"),
    (403, (("CF-Mitigated", "challenge"),), Outcome.CHALLENGE, "403 with a challenge for people"),
    (200, (("cf-mitigated", "challenge"),), Outcome.CHALLENGE, "200 with a challenge for people"),
    (202, (("x-amzn-waf-action", "captcha"),), Outcome.CHALLENGE, "202 with a challenge for people"),
    (429, (("Retry-After", "120"),), Outcome.HTTP_ERROR, "status 429, to be asked again after 120 s"),
    (503, (), Outcome.HTTP_ERROR, "status 503"),
    (204, (), Outcome.HTTP_ERROR, "status 204"),
    (206, (), Outcome.HTTP_ERROR, "status 206"),
    (302, (), Outcome.HTTP_ERROR, "302 that leads nowhere"),
]


@pytest.mark.parametrize(("status", "headers", "outcome", "detail"), STATUSES)
async def test_status(
    site: Site, status: int, headers: tuple[tuple[str, str], ...], outcome: Outcome, detail: str
) -> None:
    site.put("http://a.test/", "" if status == 204 else "not to be read", status=status, headers=headers)
    fetched = await fetch(site, "http://a.test/")
    assert end(fetched) == (outcome, detail)
    assert fetched.body == b""
    assert fetched.hops[0].status == status


async def test_a_redirect_to_log_in(site: Site) -> None:
    site.redirect("http://a.test/album", "http://a.test/accounts/login?next=/album")
    site.put("http://a.test/accounts/login?next=/album", "<form>")
    fetched = await fetch(site, "http://a.test/album")
    assert end(fetched) == (Outcome.LOGIN_REQUIRED, "redirected to a page to log in")


def late(handler: Handler) -> Handler:
    """Let time pass once the request is there: all that a host may take until its answer."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        leap(LATE_S)
        await handler(request, writer)

    return answer


BAD_ANSWER = (Outcome.BAD_ANSWER, "not HTTP as it must be, or headers beyond the limit")
NOT_ASKED = (Outcome.BAD_ANSWER, "the body has a coding that was not asked for")
BROKE_OFF = (Outcome.UNREACHABLE, "the connection broke off within the body")
HOSTILE: list[tuple[str, Handler, tuple[Outcome, str]]] = [
    ("not-http", hostile.raw(b"SSH-2.0-OpenSSH_9.9\r\n"), BAD_ANSWER),
    ("nothing", hostile.raw(b""), (Outcome.UNREACHABLE, "the connection broke off before an answer")),
    ("half-a-head", hostile.raw(b"HTTP/1.1 200 OK\r\nContent-"),
     (Outcome.UNREACHABLE, "the connection broke off before an answer")),
    ("endless-headers", hostile.endless_headers, BAD_ANSWER),
    ("one-long-header", hostile.one_long_header, BAD_ANSWER),
    ("two-lengths", hostile.raw(hostile.HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), BAD_ANSWER),
    ("smuggling", hostile.raw(hostile.HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
     BAD_ANSWER),
    ("silent", late(hostile.silent), (Outcome.TIMEOUT, "no whole head of an answer within 200 s")),
    ("slow-head", late(hostile.slow_head), (Outcome.TIMEOUT, "no whole head of an answer within 200 s")),
    ("slow-body", hostile.slow_body, (Outcome.TOO_SLOW, "less than 1024 bytes/s over 0.5 s")),
    ("endless-body", hostile.endless_body, (Outcome.TOO_LARGE, "longer than 1048576 bytes")),
    ("gzip-bomb", hostile.gzip_bomb, (Outcome.TOO_LARGE, "longer than 1048576 bytes")),
    ("gzip-of-nothing", hostile.gzip_of_nothing, (Outcome.TOO_LARGE, "longer than 1048576 bytes")),
    ("announced-too-large", hostile.lying_length(2 << 20, b"x"),
     (Outcome.TOO_LARGE, "announced as 2097152 bytes, at most 1048576")),
    ("longer-than-announced", hostile.lying_length(3, b"abcdefgh"), BAD_ANSWER),
    ("announced-too-long", hostile.lying_length(100, b"x"), BROKE_OFF),
    ("bad-chunks", hostile.raw(hostile.HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n"), BAD_ANSWER),
    ("brotli", hostile.coded("br", b"whatever"), NOT_ASKED),
    ("zstd", hostile.coded("zstd", b"whatever"), NOT_ASKED),
    ("twice", hostile.coded("gzip, gzip", b"whatever"), NOT_ASKED),
    ("two-codings", hostile.raw(hostile.HEAD + b"Content-Encoding: identity\r\nContent-Encoding: br\r\n\r\nx"),
     NOT_ASKED),
    ("no-gzip", hostile.coded("gzip", b"plain text"), (Outcome.BAD_ANSWER, "the compressed body is damaged")),
    ("half-gzip", hostile.coded("gzip", gzip.compress(PNG)[:-9]),
     (Outcome.BAD_ANSWER, "the compressed body breaks off")),
]  # fmt: skip


@pytest.mark.parametrize(("handler", "wanted"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
async def test_hostile(site: Site, handler: Handler, wanted: tuple[Outcome, str]) -> None:
    site.on("http://a.test/", handler)
    window_s = 0.5 if handler is hostile.slow_body else 300.0  # the others end by themselves
    fetched = await fetch(site, "http://a.test/", first_byte_timeout_s=LATE_S, window_s=window_s)
    assert end(fetched) == wanted
    assert fetched.body == b""


async def test_headers_beyond_the_limit_in_sum(site: Site) -> None:
    site.put("http://a.test/", "ok", headers=[(f"X-{number}", "a" * 900) for number in range(10)])
    fetched = await fetch(site, "http://a.test/", max_header_bytes=4_096)
    assert end(fetched) == (Outcome.BAD_ANSWER, "headers of more than 4096 bytes")


async def test_the_whole_has_a_limit_that_redirects_share(site: Site) -> None:
    site.on("http://a.test/*", slow_redirects)
    fetched = await fetch(site, "http://a.test/0", total_timeout_s=0.5, max_redirects=20)
    assert end(fetched) == (Outcome.TIMEOUT, "not done within 0.5 s")


async def slow_redirects(request: Any, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.1)
    await hostile.endless_redirects(request, writer)


@pytest.mark.parametrize("url", ["http://a.test:22/", "ftp://a.test/", "http://u:p@a.test/", "", "http://[a.test]/"])
async def test_what_is_no_url_is_refused_here_too(site: Site, url: str) -> None:
    fetched = await fetch(site, url)
    assert fetched.outcome is Outcome.REFUSED_URL
    assert fetched.hops == ()
    assert site.connections == 0


# --- politeness and robots ----------------------------------------------------------------------------------------


async def test_a_host_is_not_asked_more_than_it_should_be_at_a_time(site: Site) -> None:
    running, most = 0, 0
    release = asyncio.Event()

    async def held(request: Any, writer: asyncio.StreamWriter) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            release.set()
        await release.wait()
        await hostile.raw(hostile.HEAD + b"Content-Length: 0\r\n\r\n")(request, writer)
        running -= 1

    site.on("http://a.test/*", held)
    async with fetching(site, host_concurrency=2) as fetcher:
        fetches = (fetcher.fetch(site.url(f"http://a.test/{number}"), max_bytes=10) for number in range(8))
        answers = await asyncio.gather(*fetches)
        assert {answer.outcome for answer in answers} == {None}
        assert most == 2
        assert repr(fetcher).endswith("<Politeness 0 hosts>>")


ROBOTS = "User-agent: *\nDisallow: /private\n"


@pytest.mark.parametrize(
    ("path", "respect", "recorded", "outcome"),
    [
        ("/public", False, "allowed", None),
        ("/private/x", False, "disallowed", None),
        ("/public", True, "allowed", None),
        ("/private/x", True, "disallowed", Outcome.REFUSED_ROBOTS),
    ],
)
async def test_robots(site: Site, path: str, *, respect: bool, recorded: str, outcome: Outcome | None) -> None:
    site.put("http://a.test/robots.txt", ROBOTS, content_type="text/plain")
    site.put(f"http://a.test{path}", "ok")
    async with fetching(site, ask_robots=True, respect_robots=respect) as fetcher:
        for _ in range(2):
            fetched = await fetcher.fetch(site.url(f"http://a.test{path}"), max_bytes=10)
            assert (fetched.robots, fetched.outcome) == (recorded, outcome)
    assert site.paths("a.test").count("/robots.txt") == 1, "once per host"


@pytest.mark.parametrize(
    ("status", "recorded", "outcome"),
    [(404, "none", None), (403, "unknown", None), (500, "unknown", Outcome.REFUSED_ROBOTS)],
)
async def test_robots_that_cannot_be_read(site: Site, status: int, recorded: str, outcome: Outcome | None) -> None:
    site.put("http://a.test/robots.txt", status=status)
    site.put("http://a.test/", "ok")
    fetched = await fetch(site, "http://a.test/", ask_robots=True, respect_robots=True)
    assert (fetched.robots, fetched.outcome) == (recorded, outcome)


def test_fetched_says_nothing_of_its_body() -> None:
    assert b"secret" not in repr(dataclasses.replace(Fetched(()), body=b"secret")).encode()
