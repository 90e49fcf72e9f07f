"""What every simulated exchange has in common: a clock of its own, credentials, a log of requests, and faults.

Theory of operation
-------------------
An exchange is an aiohttp application on a free loopback port. It keeps its own clock, which only tests move, and puts
it into every answer's ``Date``. A fault is planned for one of the next requests; what it does to the answer is written
down in :data:`FAULTS`. Faults never change the exchange's contents, so :meth:`Exchange.truth` is what a set must equal
in the end, whatever happened on the way.
"""

from __future__ import annotations

import contextlib
import email.utils
import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web

from hashmatch.model import EntryStatus

BEGINNING: Final = 1_735_689_600
"""2025-01-01 in seconds since 1970: when simulated time begins."""

DAY_S: Final = 86_400

Truth = dict[str, tuple[EntryStatus, frozenset[tuple[str, str]]]]
"""Entry id to its status and its values; of a withdrawn entry the values do not matter."""


def _busy(exchange: Exchange, answer: web.Response) -> web.Response:
    del answer
    return web.Response(status=429, headers={"Retry-After": "7", "Date": exchange.date()})


def _busy_until(exchange: Exchange, answer: web.Response) -> web.Response:
    del answer
    until = email.utils.formatdate(exchange.now + 11, usegmt=True)
    return web.Response(status=503, headers={"Retry-After": until, "Date": exchange.date()})


def _error(exchange: Exchange, answer: web.Response) -> web.Response:
    del answer
    return web.Response(status=500, text="<html>oops</html>", headers={"Date": exchange.date()})


def _cut(exchange: Exchange, answer: web.Response) -> web.Response:
    """Return a body that ends early, with a Content-Length that says it is all."""
    body = bytes(answer.body or b"")  # type: ignore[arg-type]
    at = exchange.random.randrange(len(body)) if body else 0
    return _like(answer, body[:at])


def _garbage(exchange: Exchange, answer: web.Response) -> web.Response:
    del exchange
    return _like(answer, b"<html><body>Down for maintenance</body></html>")


def _empty(exchange: Exchange, answer: web.Response) -> web.Response:
    del exchange
    return _like(answer, b"")


def _dropped(exchange: Exchange, answer: web.Response) -> web.Response:
    """Close the connection before the body is complete."""
    del exchange
    answer.headers["X-Drop"] = "1"
    return answer


def _cut_late(exchange: Exchange, answer: web.Response) -> web.Response:
    """Return a body of which the last tenth is missing."""
    del exchange
    body = bytes(answer.body or b"")  # type: ignore[arg-type]
    return _like(answer, body[: len(body) * 9 // 10])


def _elsewhere(exchange: Exchange, answer: web.Response) -> web.Response:
    del answer
    other = exchange.url.replace("127.0.0.1", "127.0.0.2")
    return web.Response(status=302, headers={"Location": other, "Date": exchange.date()})


def _nearby(exchange: Exchange, answer: web.Response) -> web.Response:
    """Redirect to the same address once more, where the real answer waits."""
    del answer
    path = exchange.requests[-1].partition(" ")[2]
    return web.Response(status=307, headers={"Location": path, "Date": exchange.date()})


def _compressed(exchange: Exchange, answer: web.Response) -> web.Response:
    del exchange
    answer.headers["Content-Encoding"] = "gzip"
    return answer


def _endless(exchange: Exchange, answer: web.Response) -> web.Response:
    del exchange
    return _like(answer, b" " * (2 << 20))


def _forget(exchange: Exchange, answer: web.Response) -> web.Response:
    exchange.forget_tokens()
    return answer


def _like(answer: web.Response, body: bytes) -> web.Response:
    return web.Response(status=200, body=body, headers={"Date": answer.headers["Date"]})


FAULTS: Final[Mapping[str, Callable[[Exchange, web.Response], web.Response]]] = {
    "busy": _busy,
    "busy-until": _busy_until,
    "error": _error,
    "cut": _cut,
    "garbage": _garbage,
    "empty": _empty,
    "dropped": _dropped,
}
"""What may happen to an answer that is otherwise right, and passes."""

RARE_FAULTS: Final[Mapping[str, Callable[[Exchange, web.Response], web.Response]]] = {
    "cut-late": _cut_late,
    "elsewhere": _elsewhere,
    "nearby": _nearby,
    "compressed": _compressed,
    "endless": _endless,
    "forget": _forget,
}
"""What a single test plans."""


class Exchange(ABC):
    """One simulated exchange; ``url`` once it is served."""

    prefix = ""
    """Path of the API on its host."""

    def __init__(self) -> None:
        self.now = BEGINNING
        self.skew_s = 0
        """How far the clock of the front end is off that of the database."""
        self.url = ""
        self.requests: list[str] = []
        self.faults: deque[str] = deque()
        self.random = random.Random(1)
        self.page_size = 3

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} at {self.url}: {len(self.requests)} requests, {len(self.faults)} faults to come>"
        )

    def date(self) -> str:
        """Return what the front end thinks that the time is."""
        return email.utils.formatdate(self.now + self.skew_s, usegmt=True)

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """Return the API."""

    @abstractmethod
    def refusal(self, request: web.Request) -> web.Response | None:
        """Return the answer to wrong credentials, None for right ones."""

    @abstractmethod
    def truth(self) -> Truth:
        """Return what a set that follows this exchange must equal."""

    # What happens at the exchange; ``number`` names one of its entries, which need not exist.

    @abstractmethod
    def put(self, number: int) -> None:
        """Add an entry, change it, or bring it back."""

    @abstractmethod
    def delete(self, number: int) -> None:
        """Take an entry back, if there is one."""

    @abstractmethod
    def say(self, number: int, *, good: bool) -> None:
        """Have a member say something about an entry, if there is one."""

    def forget_tokens(self) -> None:
        """Let all tokens of pages expire, where there are any."""
        raise NotImplementedError

    def pass_time(self, seconds: int) -> None:
        """Move the clock."""
        self.now += seconds

    @web.middleware
    async def _answer(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        refusal = self.refusal(request)
        answer = refusal or await handler(request)
        assert isinstance(answer, web.Response)
        answer.headers["Date"] = self.date()
        if refusal is None and self.faults and (fault := self.faults.popleft()):
            answer = {**FAULTS, **RARE_FAULTS}[fault](self, answer)
        if answer.headers.pop("X-Drop", None) is None:
            return answer
        stream = web.StreamResponse(headers={"Content-Length": "100000", "Date": self.date()})
        await stream.prepare(request)
        await stream.write(bytes(answer.body or b"")[:50])  # type: ignore[arg-type]
        assert request.transport is not None
        request.transport.close()
        return stream


@contextlib.asynccontextmanager
async def served(exchange: Exchange, port: int = 0) -> AsyncIterator[Exchange]:
    """Serve an exchange on loopback until the block ends."""
    application = web.Application(middlewares=[exchange._answer])
    application.add_routes(exchange.routes())
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        exchange.url = f"http://127.0.0.1:{runner.addresses[0][1]}{exchange.prefix}"
        yield exchange
    finally:
        await runner.cleanup()
