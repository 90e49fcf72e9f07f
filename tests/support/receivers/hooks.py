"""A receiver of webhooks: verifies each, keeps what it has by delivery, and misbehaves as planned.

Theory of operation
-------------------
An aiohttp application on a free loopback port, with the present time of its own. A fault is planned for one of the next
requests; those of :data:`AFTERWARDS` happen once the webhook was taken, so that the sender does not learn that it was.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from hashmatch.errors import BadSignature
from hashmatch.webhooks import verify

SECRET: Final = "made-up-secret-of-forty-characters-0123"  # noqa: S105 - opens nothing
NOW: Final = dt.datetime(2026, 11, 28, 9, 30, tzinfo=dt.UTC)

ANSWERS: Final[Mapping[str, Callable[[], web.Response]]] = {
    "busy": lambda: web.Response(status=429, headers={"Retry-After": "7"}),
    "down": lambda: web.Response(status=503),
    "gone": lambda: web.Response(status=410),
    "unwanted": lambda: web.Response(status=422, text="no"),
    "moved": lambda: web.Response(status=308, headers={"Location": "http://127.0.0.2:1/elsewhere"}),
    "accepted-packed": lambda: web.Response(status=202, body=b"x", headers={"Content-Encoding": "gzip"}),
    "accepted-numbered": lambda: web.Response(status=201, headers={"Hashmatch-Id": "case 9/3"}),
    "accepted-overlong": lambda: web.Response(status=201, headers={"Hashmatch-Id": "9" * 201}),
}
"""Fault or peculiarity to the answer that it makes."""

AFTERWARDS: Final = frozenset({"lost", "accepted-packed", "accepted-numbered", "accepted-overlong"})
"""What happens when the webhook is taken already; ``lost`` closes the connection instead of answering."""


class Hooks:
    """Use as an async context manager; ``url`` is where it listens."""

    def __init__(self, now: Callable[[], dt.datetime] = lambda: NOW) -> None:
        self.url = ""
        self._now = now
        self.taken: dict[str, bytes] = {}
        self.requests: list[tuple[Mapping[str, str], bytes]] = []
        self.refused: list[str] = []
        self.faults: deque[str] = deque()
        self._runner: web.AppRunner | None = None

    def __repr__(self) -> str:
        return f"<Hooks {self.url}: {len(self.taken)} taken of {len(self.requests)}, faults {list(self.faults)}>"

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/hook"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append((dict(request.headers), body))
        fault = self.faults.popleft() if self.faults else ""
        if fault and fault not in AFTERWARDS:
            return ANSWERS[fault]()
        try:
            webhook = verify(request.headers, body, SECRET.encode(), self._now())
        except BadSignature as refused:
            self.refused.append(refused.message)
            return web.Response(status=401)
        if webhook.delivery in self.taken:
            return web.Response(status=409)
        self.taken[webhook.delivery] = body
        if fault == "lost":
            assert request.transport is not None
            request.transport.close()
        return ANSWERS[fault]() if fault in ANSWERS else web.Response(status=204)
