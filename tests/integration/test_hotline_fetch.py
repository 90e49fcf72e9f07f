"""The fetcher against a site that is everything a site should not be."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import zlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yarl

from hashmatch.hotline.web.connect import ATTEMPT
from hashmatch.model.hotline import Outcome
from tests.support.hotline import hostile
from tests.support.hotline.fetching import end, fetch, fetching
from tests.support.hotline.names import Trouble
from tests.support.hotline.site import Site

PNG = b"\x89PNG\r\n\x1a\n" + bytes(1_000)


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    async with Site() as running:
        yield running


# --- what is as it should be --------------------------------------------------------------------------------------


async def test_an_image(site: Site) -> None:
    site.put("http://a.test/x.png", PNG, content_type="image/png", headers=[("X-Twice", "1"), ("x-twice", "2")])
    site.dns.alias("a.test", "edge.cdn.test", "pop7.cdn.test")
    fetched = await fetch(site, "http://a.test/x.png")
    assert end(fetched) == (None, "")
    assert (fetched.body, fetched.content_type, fetched.wire_bytes) == (PNG, "image/png", len(PNG))
    (hop,) = fetched.hops
    assert (hop.ip, hop.port, hop.status) == ("127.0.0.1", site.http_port, 200)
    assert hop.names == ("edge.cdn.test", "pop7.cdn.test")
    assert hop.headers == (
        ("Content-Type", "image/png"), ("X-Twice", "1"), ("x-twice", "2"), ("Content-Length", str(len(PNG))),
    )  # fmt: skip
    assert hop.tls is None
    assert hop.started_at is not None
    assert hop.answered_at is not None
    assert fetched.ended_at is not None
    assert hop.started_at <= hop.answered_at <= fetched.ended_at
    assert fetched.robots == ""


async def test_what_is_sent_says_who_asks_and_nothing_else(site: Site) -> None:
    site.put("http://a.test/", "ok")
    async with fetching(site, user_agent="checker (+https://example.org/why)") as fetcher:
        await fetcher.fetch(site.url("http://a.test/"), max_bytes=10, referer="http://b.test/secret")
    (request,) = site.requests
    assert request.headers == {
        "host": f"a.test:{site.http_port}",
        "user-agent": "checker (+https://example.org/why)",
        "accept": "text/html,application/xhtml+xml,image/*,*/*;q=0.5",
        "accept-encoding": "gzip, deflate",
    }


async def test_the_page_is_named_where_that_is_wanted(site: Site) -> None:
    async with fetching(site, send_referer=True) as fetcher:
        await fetcher.fetch(site.url("http://a.test/"), max_bytes=10, referer="http://b.test/page")
    assert site.requests[0].headers["referer"] == "http://b.test/page"


async def test_cookies_are_not_kept_and_the_environment_is_not_asked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    site.put("http://a.test/", "ok", headers=[("Set-Cookie", "id=1; Path=/")])
    async with fetching(site) as fetcher:
        for _ in range(2):
            assert (await fetcher.fetch(site.url("http://a.test/"), max_bytes=10)).outcome is None
    assert [request.headers.get("cookie") for request in site.requests] == [None, None]


async def test_a_connection_is_used_again(site: Site) -> None:
    for number in range(5):
        site.put(f"http://a.test/{number}", "ok")
    async with fetching(site) as fetcher:
        answers = [await fetcher.fetch(site.url(f"http://a.test/{number}"), max_bytes=10) for number in range(5)]
    assert [answer.hops[0].ip for answer in answers] == ["127.0.0.1"] * 5
    assert site.connections == 1
    assert site.dns.asked["a.test"] == 2, "one question for each type of address"


async def test_https_is_recorded(site: Site) -> None:
    site.put("https://a.test/", "ok")
    fetched = await fetch(site, "https://a.test/")
    assert end(fetched) == (None, "")
    tls = fetched.hops[0].tls
    assert tls is not None
    leaf = site.authority.leaf("a.test")
    assert (tls.version, tls.issuer, tls.subject, tls.problem) == ("TLSv1.3", "CN=Test Authority", "CN=a.test", "")
    assert tls.chain_sha256 == (hashlib.sha256(leaf).hexdigest(),)
    assert tls.not_after is not None
    assert tls.cipher.startswith("TLS_")


CODED = {
    "gzip": ("gzip", gzip.compress(PNG)),
    "x-gzip": ("x-gzip", gzip.compress(PNG)),
    "members": ("gzip", gzip.compress(PNG[:500]) + gzip.compress(PNG[500:])),
    "rubbish-behind": ("gzip", gzip.compress(PNG) + b"rubbish behind it"),
    "zlib": ("deflate", zlib.compress(PNG)),
    "raw": ("deflate", zlib.compress(PNG)[2:-4]),
    "identity": ("identity", PNG),
}


@pytest.mark.parametrize("name", sorted(CODED))
async def test_what_was_asked_for_is_decoded(site: Site, name: str) -> None:
    coding, body = CODED[name]
    site.on("http://a.test/", hostile.coded(coding, body))
    fetched = await fetch(site, "http://a.test/")
    assert end(fetched) == (None, "")
    assert fetched.body == PNG
    assert fetched.wire_bytes == len(body)


async def test_chunks(site: Site) -> None:
    site.on("http://a.test/", hostile.raw(hostile.HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))
    assert (await fetch(site, "http://a.test/")).body == b"abc"


# --- redirects ----------------------------------------------------------------------------------------------------


async def test_redirects_are_followed_and_recorded(site: Site) -> None:
    site.redirect("http://a.test/", "https://b.test/x?y=1", status=301)
    site.redirect("https://b.test/x?y=1", "http://c.test/ünï")
    site.put("http://c.test/%C3%BCn%C3%AF", "ok")
    fetched = await fetch(site, "http://a.test/")
    assert end(fetched) == (None, "")
    assert [(hop.url, hop.status, hop.downgraded) for hop in fetched.hops] == [
        (site.url("http://a.test/"), 301, False),
        (site.url("https://b.test/x?y=1"), 302, False),
        (site.url("http://c.test/%C3%BCn%C3%AF"), 200, True),
    ]
    assert fetched.final_url == site.url("http://c.test/%C3%BCn%C3%AF")


async def test_endless_redirects(site: Site) -> None:
    site.on("http://a.test/*", hostile.endless_redirects)
    fetched = await fetch(site, "http://a.test/0", max_redirects=5)
    assert end(fetched) == (Outcome.TOO_MANY_REDIRECTS, "more than 5 redirects")
    assert len(site.requests) == 6


async def test_a_circle(site: Site) -> None:
    site.redirect("http://a.test/", "http://b.test/")
    site.redirect("http://b.test/", "http://a.test/#again")
    fetched = await fetch(site, "http://a.test/")
    assert end(fetched) == (Outcome.TOO_MANY_REDIRECTS, "redirects lead in a circle")
    assert len(site.requests) == 2


REDIRECTED = [
    ("http://169.254.169.254/latest/meta-data/", Outcome.REFUSED_ADDRESS,
     "its address is in 169.254.0.0/16 (link-local, where clouds keep machines' secrets)"),
    ("http://[::ffff:10.0.0.1]/", Outcome.REFUSED_ADDRESS,
     "its address is not in 2000::/3, the only part of IPv6 that is the internet"),
    ("http://0xa000001/", Outcome.REFUSED_ADDRESS, "its address is in 10.0.0.0/8 (private use)"),
    ("http://inner.test/", Outcome.REFUSED_ADDRESS, "its address is in 192.168.0.0/16 (private use)"),
    ("http://localhost/", Outcome.REFUSED_ADDRESS, "names under localhost are of inner networks"),
    ("http://a.localdomain/", Outcome.REFUSED_ADDRESS, "names under localdomain are of inner networks"),
    ("file:///etc/passwd", Outcome.REFUSED_URL,
     "redirected to what is not fetched: file is not fetched: only http and https are"),
    ("gopher://127.0.0.1:6379/_x", Outcome.REFUSED_URL,
     "redirected to what is not fetched: gopher is not fetched: only http and https are"),
    ("http://user@a.test/", Outcome.REFUSED_URL,
     "redirected to what is not fetched: it holds a user name or password"),
    ("http://[a.test]/", Outcome.REFUSED_URL,
     "redirected to what is not fetched: its host is in brackets and no IPv6 address"),
]  # fmt: skip


@pytest.mark.parametrize(("location", "outcome", "detail"), REDIRECTED, ids=[row[0] for row in REDIRECTED])
async def test_a_redirect_is_judged_as_any_address(site: Site, location: str, outcome: Outcome, detail: str) -> None:
    site.dns.say("inner.test", "192.168.0.1")
    site.put("http://a.test/", status=302, headers=[("Location", location)])
    fetched = await fetch(site, "http://a.test/", ports=(site.http_port, site.https_port, 80))
    assert end(fetched) == (outcome, detail)
    assert len(site.requests) == 1


async def test_a_redirect_to_another_port_is_refused(site: Site) -> None:
    site.put("http://a.test/", status=307, headers=[("Location", "http://a.test:22/")])
    fetched = await fetch(site, "http://a.test/")
    assert fetched.outcome is Outcome.REFUSED_URL
    assert fetched.detail.startswith("redirected to what is not fetched: port 22 is not fetched from")


# --- names and addresses ------------------------------------------------------------------------------------------


async def test_one_bad_answer_refuses_the_host(site: Site) -> None:
    site.dns.say("mixed.test", "127.0.0.1", "10.1.2.3")
    fetched = await fetch(site, "http://mixed.test/")
    assert end(fetched) == (Outcome.REFUSED_ADDRESS, "its address is in 10.0.0.0/8 (private use)")
    assert site.connections == 0


async def test_a_bad_answer_of_the_other_type_refuses_the_host(site: Site) -> None:
    site.dns.say("mixed.test", "127.0.0.1", "fd00::1")
    fetched = await fetch(site, "http://mixed.test/")
    assert fetched.outcome is Outcome.REFUSED_ADDRESS
    assert site.connections == 0


async def test_rebinding_meets_the_answer_that_was_checked(site: Site) -> None:
    """The record moves with every question: what was checked is what is connected to."""
    site.put("http://moves.test/", "ok")
    site.dns.turn("moves.test", ["127.0.0.1"], ["169.254.169.254"])
    async with fetching(site) as fetcher:
        first = await fetcher.fetch(site.url("http://moves.test/"), max_bytes=10)
    assert (first.outcome, first.hops[0].ip) == (None, "127.0.0.1")
    assert site.dns.asked["moves.test"] == 2, "one question for each type, none for the connection"
    second = await fetch(site, "http://moves.test/")
    assert second.outcome is Outcome.REFUSED_ADDRESS
    assert site.connections == 1


async def test_the_laboratory_is_the_only_reason_why_loopback_is_reached(site: Site) -> None:
    fetched = await fetch(site, "http://a.test/", allow_networks=())
    assert end(fetched) == (Outcome.REFUSED_ADDRESS, "its address is in 127.0.0.0/8 (loopback)")
    assert site.connections == 0


@pytest.mark.parametrize(
    ("trouble", "detail"),
    [
        (Trouble.NXDOMAIN, "the name does not exist"),
        (Trouble.SERVFAIL, "no name server could answer"),
        (Trouble.SILENT, "no name server answered within 0.4 s"),
        (Trouble.GARBAGE, "no name server answered within 0.4 s"),
    ],
)
async def test_names_that_have_no_answer(site: Site, trouble: Trouble, detail: str) -> None:
    site.dns.break_name("a.test", trouble)
    limit_s = 0.5 if trouble in {Trouble.SILENT, Trouble.GARBAGE} else 300.0  # whoever answers has time
    assert end(await fetch(site, "http://a.test/", connect_timeout_s=limit_s)) == (Outcome.DNS_FAIL, detail)


async def test_a_name_without_addresses(site: Site) -> None:
    site.dns.say("a.test")
    assert end(await fetch(site, "http://a.test/")) == (Outcome.DNS_FAIL, "the name has no address")


async def test_long_answers_come_over_tcp(site: Site) -> None:
    site.put("http://a.test/", "ok")
    site.dns.break_name("a.test", Trouble.TRUNCATED)
    assert (await fetch(site, "http://a.test/")).outcome is None
    assert site.dns.over_tcp["a.test"] == 2


async def test_nobody_listens(site: Site) -> None:
    site.dns.say("a.test", "127.0.0.2")
    fetched = await fetch(site, "http://a.test/")
    assert end(fetched) == (Outcome.UNREACHABLE, "no connection: Connection refused")
    assert fetched.hops[0].ip == "127.0.0.2"


async def test_the_next_address_is_tried(site: Site) -> None:
    site.put("http://a.test/", "ok")
    site.dns.say("a.test", "127.0.0.2", "127.0.0.1")
    fetched = await fetch(site, "http://a.test/")
    assert (fetched.outcome, fetched.hops[0].ip) == (None, "127.0.0.1")


async def test_an_address_of_ipv6_is_one(site: Site) -> None:
    fetched = await fetch(site, f"http://[0:0::1]:{site.http_port}/", allow_networks=("::1/128",))
    assert fetched.hops[0].url == f"http://[::1]:{site.http_port}/"
    assert fetched.hops[0].ip == "::1"
    assert fetched.outcome is Outcome.UNREACHABLE, "the site is not there, and that was found out by asking"


# --- certificates -------------------------------------------------------------------------------------------------

BAD_CERTIFICATES = [
    ("wrong-name.a.test", "it is of another name", "CN=other.test"),
    ("expired.a.test", "certificate has expired", "CN=expired.a.test"),
    ("self-signed.a.test", "self-signed certificate", "CN=self-signed.a.test"),
]


@pytest.mark.parametrize(("host", "problem", "subject"), BAD_CERTIFICATES)
async def test_a_bad_certificate_is_recorded_and_ends_it(site: Site, host: str, problem: str, subject: str) -> None:
    site.put(f"https://{host}/", "secret")
    fetched = await fetch(site, f"https://{host}/")
    assert end(fetched) == (Outcome.TLS_FAIL, f"the certificate does not verify: {problem}")
    tls = fetched.hops[0].tls
    assert tls is not None
    assert (tls.problem, tls.subject) == (problem, subject)
    assert len(tls.chain_sha256) == 1
    assert site.requests == [], "no request goes to a host that is not who it says"


@pytest.mark.parametrize(("host", "problem", "subject"), BAD_CERTIFICATES)
async def test_a_bad_certificate_is_recorded_and_read_on_where_asked(
    site: Site, host: str, problem: str, subject: str
) -> None:
    site.put(f"https://{host}/", "ok")
    async with fetching(site, allow_invalid_tls=True) as fetcher:
        for _ in range(2):  # the second over the same connection
            fetched = await fetcher.fetch(site.url(f"https://{host}/"), max_bytes=10)
            assert end(fetched) == (None, "")
            tls = fetched.hops[0].tls
            assert tls is not None
            assert (tls.problem, tls.subject) == (problem, subject)


async def test_no_tls_where_https_was_said(site: Site) -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        fetched = await fetch(site, f"https://a.test:{port}/", ports=(port,))
    assert fetched.outcome is Outcome.TLS_FAIL
    assert fetched.detail in {"no handshake: wrong version number", "no handshake: record layer failure"}


@pytest.mark.parametrize(("kept", "asked"), [(True, 3), (False, 1)])
async def test_a_kept_connection_that_its_host_was_just_closing_is_no_failure(
    site: Site, monkeypatch: pytest.MonkeyPatch, *, kept: bool, asked: int
) -> None:
    get, tries = aiohttp.ClientSession.get, list[str]()

    async def closed_twice(session: aiohttp.ClientSession, url: yarl.URL, **options: Any) -> aiohttp.ClientResponse:
        tries.append(url.path)
        if len(tries) < 3:
            ATTEMPT.get().kept = kept
            raise aiohttp.ServerDisconnectedError
        return await get(session, url, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "get", closed_twice)
    site.put("http://a.test/x.png", PNG, content_type="image/png")
    fetched = await fetch(site, "http://a.test/x.png")
    assert tries == ["/x.png"] * asked
    lost = (Outcome.UNREACHABLE, "the connection broke off before an answer")
    assert end(fetched) == ((None, "") if kept else lost)
