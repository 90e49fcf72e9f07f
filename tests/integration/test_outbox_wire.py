"""The wall around HTTP of the outlets, against a server that does what servers do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from hashmatch.outbox.wire import Lost, Reply, Wire
from hashmatch.sections import OutboxConfig
from tests.support.clock import LATE_S, leap

CONFIG = OutboxConfig(timeout_s=LATE_S, connect_timeout_s=LATE_S, max_answer_bytes=1 << 10)


async def _redirect(request: web.Request) -> web.Response:
    return web.Response(status=307, headers={"Location": f"{request.url.origin()}/answer"})


async def _answer(request: web.Request) -> web.Response:
    told = f"{request.method} {request.path} {await request.text()}"
    return web.Response(text=told, headers={"Set-Cookie": "a=b", "X-Asked": str(request.headers.get("Cookie"))})


async def _large(request: web.Request) -> web.Response:
    return web.Response(status=201, text="x" * int(request.query.get("bytes", "1025")))


async def _packed(request: web.Request) -> web.Response:
    del request
    return web.Response(status=200, body=b"x", headers={"Content-Encoding": "gzip"})


async def _busy(request: web.Request) -> web.Response:
    del request
    return web.Response(status=503, headers={"Retry-After": "7"})


async def _slow(request: web.Request) -> web.Response:
    del request
    leap(LATE_S)
    await asyncio.Event().wait()
    raise AssertionError


async def _drop(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    application = web.Application()
    for name, handler in {
        "redirect": _redirect, "answer": _answer, "large": _large, "packed": _packed, "busy": _busy, "slow": _slow,
        "drop": _drop,
    }.items():  # fmt: skip
        application.router.add_route("*", f"/base/{name}", handler)
    application.router.add_route("*", "/base", _answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    opened = Wire(urlsplit(f"http://127.0.0.1:{runner.addresses[0][1]}/base/"), CONFIG, {"X-Key": "k"})
    yield opened
    await opened.close()
    await runner.cleanup()


async def test_an_answer_is_status_headers_and_body(wire: Wire) -> None:
    assert repr(wire) == "<Wire 127.0.0.1: closed>"
    reply = await wire.ask("POST", "answer", body=b"hello", headers={"Content-Type": "text/plain"})
    assert isinstance(reply, Reply)
    assert (reply.status, reply.body, reply.retry_after_s) == (200, b"POST /base/answer hello", None)
    assert reply.headers["set-cookie"] == "a=b"
    assert repr(wire) == "<Wire 127.0.0.1: open>"


async def test_cookies_are_forgotten_and_an_empty_path_is_the_base_itself(wire: Wire) -> None:
    for _ in range(2):
        reply = await wire.ask("GET", "")
        assert isinstance(reply, Reply)
        assert (reply.body, reply.headers["X-Asked"]) == (b"GET /base ", "None")


async def test_a_redirect_is_an_answer_and_not_followed(wire: Wire) -> None:
    reply = await wire.ask("POST", "redirect", body=b"x")
    assert isinstance(reply, Reply)
    assert reply.status == 307


async def test_what_the_receiver_asks_for_is_told(wire: Wire) -> None:
    reply = await wire.ask("GET", "busy")
    assert isinstance(reply, Reply)
    assert (reply.status, reply.retry_after_s) == (503, 7.0)


@pytest.mark.parametrize(
    ("path", "reason", "status"),
    [
        ("large", "GET /base/large: an answer larger than outbox.max_answer_bytes (1024)", 201),
        ("packed", "GET /base/packed: encoded as 'gzip', unasked", 200),
        ("slow", "GET /base/slow: no answer in time", 0),
        ("drop", "GET /base/drop: the connection failed (ServerDisconnectedError)", 0),
    ],
)
async def test_what_is_lost_may_have_arrived(wire: Wire, path: str, reason: str, status: int) -> None:
    assert await wire.ask("GET", path) == Lost(f"127.0.0.1: {reason}", sent=True, status=status)


async def test_an_answer_of_the_most_bytes_is_taken(wire: Wire) -> None:
    reply = await wire.ask("GET", "large?bytes=1024")
    assert isinstance(reply, Reply)
    assert len(reply.body) == 1024


async def test_without_a_connection_nothing_was_sent(unused_tcp_port: int) -> None:
    wire = Wire(urlsplit(f"http://127.0.0.1:{unused_tcp_port}"), CONFIG, {})
    lost = await wire.ask("POST", "x", body=b"x")
    assert lost == Lost("127.0.0.1: no connection (ClientConnectorError)", sent=False)
    assert lost.again().reason == lost.reason
    await wire.close()


async def test_a_body_may_be_fed_slower_than_the_time_of_other_requests(wire: Wire) -> None:
    async def fed() -> AsyncIterator[bytes]:
        for _ in range(3):
            leap(LATE_S / 2)
            yield b"abc"

    with aiohttp.MultipartWriter("form-data") as form:
        form.append(fed(), {"Content-Type": "application/octet-stream"}).set_content_disposition("form-data", name="f")
    reply = await wire.ask("POST", "answer", body=form, stream_s=2 * LATE_S)
    assert isinstance(reply, Reply)
    assert b"abcabcabc" in reply.body
