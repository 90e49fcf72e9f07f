"""Fetching through the real confined process: what comes back, what ends it, and where it cannot go."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from hashmatch.errors import BadConfig, SandboxUnavailable
from hashmatch.hotline.confined import child
from hashmatch.hotline.web import fetching
from hashmatch.hotline.web.fetch import Means
from hashmatch.hotline.web.fetching import Fetching
from hashmatch.model.hotline import Outcome
from hashmatch.sandbox import interpreter
from tests.support.clock import LATE_S, leap
from tests.support.hotline import hostile
from tests.support.hotline.fetching import end
from tests.support.hotline.names import Trouble
from tests.support.hotline.site import Request, Site
from tests.support.hotline.socks import SocksProxy

PNG = b"\x89PNG\r\n\x1a\n" + bytes(3_000_000)
MEGABYTE = 1 << 20


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    async with Site() as running:
        yield running


def of_process(pid: int) -> tuple[str, set[str]]:
    """Bytes that a process caused to be written to a disk, and the kinds of what it has open."""
    counts = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines())
    links = (str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir())
    return counts["write_bytes"], {link.partition(":")[0] for link in links}


async def test_a_process_that_does_not_get_ready_in_time_is_given_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = list[subprocess.Popen[bytes]]()
    start = interpreter.start

    def stopped(module: str, arguments: Sequence[str], descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
        started.append(start(module, arguments, descriptors))
        started[0].send_signal(signal.SIGSTOP)
        return started[0]

    monkeypatch.setattr(interpreter, "start", stopped)
    with pytest.raises(SandboxUnavailable, match=r"^hashmatch\.hotline\.web\.fetching was not ready after 1\.5 s$"):
        async with Fetching(site.config(start_timeout_s=1.5)):
            pass
    assert started[0].returncode == -signal.SIGKILL


async def test_bodies_come_back_whole(site: Site) -> None:
    site.put("https://a.test/x.png", PNG, content_type="image/png")
    site.redirect("http://a.test/", "https://a.test/x.png")
    site.put("http://a.test/robots.txt", "User-agent: *\nDisallow: /")
    site.dns.alias("a.test", "edge.cdn.test")
    async with Fetching(site.config(ask_robots=True)) as fetches:
        assert fetches.posture.confined, fetches.posture.explain_missing()
        fetched = await fetches.fetch(site.url("http://a.test/"), max_bytes=4 * MEGABYTE)
        assert end(fetched) == (None, "")
        assert fetched.body == PNG
        assert [hop.status for hop in fetched.hops] == [302, 200]
        assert fetched.hops[1].names == ("edge.cdn.test",)
        assert fetched.hops[1].tls is not None
        assert fetched.hops[1].tls.subject == "CN=a.test"
        assert fetched.robots == "disallowed"
        assert repr(fetches) == "<Fetching <Child hashmatch.hotline.web.fetching running, started 1 times>>"


async def test_everything_that_goes_wrong_goes_wrong_alike_inside(site: Site) -> None:
    """What libraries load late would fail only here: each kind of failure once, in one process that must live."""
    site.on("http://a.test/bomb", hostile.gzip_bomb)
    site.on("http://a.test/raw", hostile.raw(b"SSH-2.0\r\n\r\n"))
    site.on("http://a.test/half", hostile.lying_length(100, b"x"))
    site.on("http://a.test/chunks", hostile.raw(hostile.HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"))
    site.on("http://a.test/headers", hostile.endless_headers)
    site.on("http://a.test/gzip", hostile.coded("gzip", b"none"))
    site.on("http://a.test/br", hostile.coded("br", b"none"))
    site.put("http://a.test/wait", status=429, headers=[
        ("Retry-After", "Wed, 21 Oct 2026 07:29:00 GMT"), ("Date", "Wed, 21 Oct 2026 07:28:00 GMT"),
        ("Set-Cookie", "a=b; Max-Age=1"), ("Content-Type", "text/html; charset=klingon"), ("Location", "\x80//"),
    ])  # fmt: skip
    site.dns.say("inner.test", "10.0.0.1", "fd00::1")
    site.dns.say("nobody.test", "127.0.0.2")
    site.dns.break_name("none.test", Trouble.NXDOMAIN)
    site.dns.break_name("failing.test", Trouble.SERVFAIL)
    site.dns.break_name("long.test", Trouble.TRUNCATED)
    wanted = {
        "http://a.test/bomb": Outcome.TOO_LARGE,
        "http://a.test/raw": Outcome.BAD_ANSWER,
        "http://a.test/half": Outcome.UNREACHABLE,
        "http://a.test/chunks": Outcome.BAD_ANSWER,
        "http://a.test/headers": Outcome.BAD_ANSWER,
        "http://a.test/gzip": Outcome.BAD_ANSWER,
        "http://a.test/br": Outcome.BAD_ANSWER,
        "http://a.test/wait": Outcome.HTTP_ERROR,
        "http://inner.test/": Outcome.REFUSED_ADDRESS,
        "http://nobody.test/": Outcome.UNREACHABLE,
        "http://none.test/": Outcome.DNS_FAIL,
        "http://failing.test/": Outcome.DNS_FAIL,
        "http://long.test/": Outcome.GONE,
        "https://expired.a.test/": Outcome.TLS_FAIL,
        "https://wrong-name.a.test/": Outcome.TLS_FAIL,
        "https://self-signed.a.test/": Outcome.TLS_FAIL,
        f"http://127.0.0.1:{site.http_port}/": Outcome.GONE,
        f"http://[::1]:{site.http_port}/": Outcome.REFUSED_ADDRESS,
        f"http://169.254.169.254:{site.http_port}/": Outcome.REFUSED_ADDRESS,
        "http://a.test:22/": Outcome.REFUSED_URL,
    }
    async with Fetching(site.config()) as fetches:
        answers = await asyncio.gather(*(fetches.fetch(site.url(url), max_bytes=MEGABYTE) for url in wanted))
        assert dict(zip(wanted, (answer.outcome for answer in answers), strict=True)) == wanted
        assert repr(fetches).endswith("started 1 times>>")


async def outcomes(fetches: Fetching, *urls: str) -> list[Outcome | None]:
    """Fetch what only time ends, in a process that must live."""
    answers = await asyncio.gather(*(fetches.fetch(url, max_bytes=MEGABYTE) for url in urls))
    assert repr(fetches).endswith("started 1 times>>")
    return [answer.outcome for answer in answers]


async def test_who_never_answers_is_given_up_alike_inside(site: Site) -> None:
    """By themselves: in the time of these a busy machine may not get to the others."""
    site.on("http://a.test/silent", hostile.silent)
    site.on("http://a.test/slow", hostile.slow_head)
    site.dns.break_name("garbage.test", Trouble.GARBAGE)
    async with Fetching(site.config(first_byte_timeout_s=1.0)) as fetches:
        urls = (site.url("http://a.test/silent"), site.url("http://a.test/slow"))
        assert await outcomes(fetches, *urls) == [Outcome.TIMEOUT] * 2
    # No route leads anywhere from many test machines, and to nowhere from others.
    unrouted = f"http://[2606:4700::1111]:{site.http_port}/"
    async with Fetching(site.config(connect_timeout_s=1.0)) as fetches:
        garbage, nowhere = await outcomes(fetches, site.url("http://garbage.test/"), unrouted)
    assert garbage is Outcome.DNS_FAIL
    assert nowhere in {Outcome.UNREACHABLE, Outcome.TIMEOUT}


async def test_the_kernel_holds_it_to_its_ports(site: Site) -> None:
    """The process itself tried, before it took work: the posture would say so."""
    async with Fetching(site.config()) as fetches:
        held = {row.name: row.active for row in fetches.posture.protections}
    assert held == dict.fromkeys(
        ("parent-death", "not-dumpable", "no-new-privs", "landlock", "limits", "seccomp", "self-test"), True
    )


async def test_an_unconfined_one_says_so(site: Site) -> None:
    async with Fetching(site.config(), unconfined=True) as fetches:
        assert not fetches.posture.confined
        assert "the process could open a file" in fetches.posture.explain_missing()


async def test_a_lockdown_that_does_not_hold_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)  # so that the process finds that its parent is another one
    with pytest.raises(SandboxUnavailable, match=r"hashmatch\.hotline\.web\.fetching is not confined: parent-death"):
        async with Fetching(site.config()):
            pytest.fail("it must not start")
    async with Fetching(site.config(), allow_degraded=True) as fetches:
        assert (await fetches.fetch(site.url("http://a.test/"), max_bytes=9)).outcome is Outcome.GONE


async def test_no_file_is_open_or_written_in_the_process(site: Site) -> None:
    site.put("http://a.test/", PNG)
    async with Fetching(site.config()) as fetches:
        await fetches.fetch(site.url("http://a.test/"), max_bytes=4 * MEGABYTE)
        written, kinds = of_process(fetches.pid)
    assert written == "0"
    assert kinds <= {"/dev/null", "socket", "anon_inode"}


async def test_who_was_under_way_when_it_died_is_tried_again(site: Site) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def held(request: Request, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await release.wait()
        await hostile.raw(hostile.HEAD + b"Content-Length: 2\r\n\r\nok")(request, writer)

    for number in range(4):
        site.on(f"http://h{number}.test/", held)
    async with Fetching(site.config()) as fetches:
        under_way = [
            asyncio.create_task(fetches.fetch(site.url(f"http://h{number}.test/"), max_bytes=9)) for number in range(4)
        ]
        await arrived.wait()
        os.kill(fetches.pid, signal.SIGKILL)
        release.set()
        answers = await asyncio.gather(*under_way)
        assert [(answer.outcome, answer.body) for answer in answers] == [(None, b"ok")] * 4
        assert repr(fetches).endswith("started 2 times>>")


async def test_what_kills_it_twice_is_aborted_and_says_so(site: Site) -> None:
    async with Fetching(site.config()) as fetches:

        async def kill(request: Request, writer: asyncio.StreamWriter) -> None:
            os.kill(fetches.pid, signal.SIGKILL)
            await hostile.silent(request, writer)

        site.on("http://bad.test/", kill)
        site.put("http://good.test/", "ok")
        fetched = await fetches.fetch(site.url("http://bad.test/"), max_bytes=9)
        assert end(fetched) == (Outcome.ABORTED, "the fetching process ended twice on it: killed by SIGKILL")
        assert (await fetches.fetch(site.url("http://good.test/"), max_bytes=9)).body == b"ok"


async def test_giving_up_ends_the_fetch_inside(site: Site) -> None:
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def held(request: Request, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        try:
            await hostile.slow_body(request, writer)
        finally:
            closed.set()

    site.on("http://a.test/", held)
    async with Fetching(site.config()) as fetches:
        giving_up = asyncio.create_task(fetches.fetch(site.url("http://a.test/"), max_bytes=9))
        await arrived.wait()
        giving_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await giving_up
        async with asyncio.timeout(300):
            await closed.wait()


async def test_a_process_that_stands_still_is_ended(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_ASKED_EVERY_S", 0.05)
    monkeypatch.setattr(fetching, "_ANSWERS_WITHIN_S", LATE_S)
    arrived = asyncio.Event()

    async def held(_: Request, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await writer.wait_closed()

    site.on("http://a.test/", held)
    async with Fetching(site.config()) as fetches:
        waiting = asyncio.create_task(fetches.fetch(site.url("http://a.test/"), max_bytes=9))
        await arrived.wait()
        site.put("http://a.test/", "ok")
        os.kill(fetches.pid, signal.SIGSTOP)
        await asyncio.sleep(0.2)  # the loop wakes whoever asks before this
        leap(LATE_S)
        async with asyncio.timeout(300):
            assert (await waiting).body == b"ok"


# --- through a proxy ----------------------------------------------------------------------------------------------

ONION = "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwx.onion"


async def test_through_a_proxy_names_are_not_resolved_here_and_jobs_are_kept_apart(site: Site) -> None:
    site.put(f"http://{ONION}/", "ok")
    site.put("http://a.test/", "clear")
    places = {ONION: site.http_port, "a.test": site.http_port}
    async with SocksProxy(places) as proxy:
        config = site.config(proxy=f"socks5h://127.0.0.1:{proxy.port}", nameservers=())
        async with Fetching(config) as fetches:
            assert fetches.posture.confined, fetches.posture.explain_missing()
            for job in ("1", "1", "2"):
                fetched = await fetches.fetch(f"http://{ONION}:{site.http_port}/", max_bytes=9, job=job)
                assert (fetched.outcome, fetched.body, fetched.hops[0].ip) == (None, b"ok", "")
            assert (await fetches.fetch(site.url("http://a.test/"), max_bytes=9, job="2")).body == b"clear"
            gone = await fetches.fetch(site.url("http://nowhere.test/"), max_bytes=9)
    assert gone.outcome is Outcome.UNREACHABLE
    assert gone.detail.startswith("no connection through the proxy: ")
    assert proxy.asked[:4] == [(ONION, site.http_port)] * 3 + [("a.test", site.http_port)]
    first, again, second, clear, _ = proxy.credentials
    assert first == again
    assert second == clear
    assert first != second
    assert not site.dns.asked


async def test_the_proxy_is_asked_for_no_inner_network(site: Site) -> None:
    async with SocksProxy({}) as proxy:
        config = site.config(proxy=f"socks5h://127.0.0.1:{proxy.port}", allow_networks=())
        async with Fetching(config) as fetches:
            for host in ("127.0.0.1", "[::1]", "169.254.169.254", "0x7f.1", "localhost", "printer", "a.localhost"):
                fetched = await fetches.fetch(f"http://{host}:{site.http_port}/", max_bytes=9)
                assert fetched.outcome is Outcome.REFUSED_ADDRESS, host
    assert proxy.asked == []


async def test_a_proxy_that_is_not_there(site: Site) -> None:
    async with SocksProxy({}) as proxy:
        port = proxy.port
    async with Fetching(site.config(proxy=f"socks5h://127.0.0.1:{port}")) as fetches:
        fetched = await fetches.fetch(site.url("http://a.test/"), max_bytes=9)
    assert fetched.outcome is Outcome.UNREACHABLE


NO_PROXY = "hotline.proxy: expected socks5h://host:port"
NO_SERVER = "hotline.nameservers: {!r} is no address of a name server: expected 192.0.2.1 or 192.0.2.1#5353"
NOT_ASKED = "hotline.respect_robots: what is not asked cannot be followed: hotline.ask_robots is false"
NO_BUNDLE = "cannot read the certificates of /nowhere/at/all.pem: No such file or directory"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"proxy": "http://127.0.0.1:1"}, NO_PROXY),
        ({"proxy": "socks5h://127.0.0.1"}, NO_PROXY),
        ({"proxy": "socks5h://u:p@127.0.0.1:1"}, NO_PROXY),
        ({"nameservers": ("ns.example",)}, NO_SERVER.format("ns.example")),
        ({"nameservers": ("192.0.2.1#0",)}, NO_SERVER.format("192.0.2.1#0")),
        ({"ca_bundle": "/nowhere/at/all.pem"}, NO_BUNDLE),
        ({"ports": (80, 65_536)}, "hotline.ports: 65536 is no TCP port"),
        ({"ports": ()}, "hotline.ports: none is no TCP port"),
        ({"respect_robots": True}, NOT_ASKED),
    ],
)
async def test_what_cannot_be_had_is_said(site: Site, changes: dict[str, object], message: str) -> None:
    config = site.config(**changes)
    with pytest.raises(BadConfig) as caught:
        Means.gather(config)
    assert caught.value.message == message
    with pytest.raises(SandboxUnavailable, match=re.escape(message)):
        async with Fetching(config):
            pytest.fail("it must not start")


async def test_without_the_extra_it_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_LIBRARIES", ("dns", "not_installed_anywhere"))
    with pytest.raises(BadConfig) as caught:
        Fetching(site.config())
    assert caught.value.message == "checking URLs needs not_installed_anywhere: pip install 'hashmatch[hotline]'"


def test_asking_for_the_inside_needs_no_library_of_the_network() -> None:
    """The process outside does not load what the inside is made of."""
    assert child.__name__ in sys.modules
    heavy = "{'aiohttp', 'dns', 'python_socks'}"
    code = f"import sys, hashmatch.hotline.web.fetching; print(*sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout == "\n"
