"""A test site on loopback: any number of virtual hosts on one HTTP and one HTTPS port, and a name server for them.

How to use it
-------------
::

    async with Site() as site:
        site.put("http://shop.test/", "<img src=/a.png>")
        site.put("http://shop.test/a.png", PNG, content_type="image/png")
        site.on("http://slow.test/", hostile.slow_head)  # a handler of raw bytes, see ``hostile``
        site.dns.say("inner.test", "10.0.0.1")  # see ``names``
        config = site.config(total_timeout_s=5.0)  # a HotlineConfig that reaches it
        url = site.url("http://shop.test/")  # the same with the port in it
        site.requests  # what was asked, in order
        site.paths("shop.test")  # paths only

Addresses are written without a port and mean either port; a path that ends in ``*`` means everything below it. Hosts
under ``test`` resolve to 127.0.0.1 by themselves. HTTPS hosts get a certificate of ``site.authority`` for their name,
unless their first label says otherwise: ``wrong-name.x.test``, ``expired.x.test``, ``self-signed.x.test``. Unknown
paths are 404; ``robots.txt`` too, unless it is put.

The server is our own few lines over asyncio's streams, because a well-behaved library would not send what ``hostile``
sends. It serves in the event loop of the test, so the confined fetcher, another process, can reach it, and a fetcher in
the same loop too.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from hashmatch.config import HotlineConfig
from tests.support.clock import rounds
from tests.support.hotline.certificates import Authority
from tests.support.hotline.names import NameServer

Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    scheme: str
    host: str
    path: str
    headers: dict[str, str]
    raw: bytes = field(repr=False)


Handler = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]
"""Writes whatever it likes; the connection is closed afterwards."""


@dataclass(frozen=True)
class Answer:
    """An answer as it should be; the connection is kept."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()

    def encode(self) -> bytes:
        """Bytes of the whole."""
        lines = [f"HTTP/1.1 {self.status} Whatever", *(f"{name}: {text}" for name, text in self.headers)]
        lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


class Site:
    """Hosts, files and handlers."""

    def __init__(self) -> None:
        self.dns = NameServer()
        self.authority = Authority()
        self.requests: list[Request] = []
        self.connections = 0
        self.http_port = 0
        self.https_port = 0
        self._things: dict[tuple[str, str], Answer | Handler] = {}
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._exit = contextlib.AsyncExitStack()
        self._bundle = ""

    def put(
        self,
        url: str,
        body: str | bytes = b"",
        *,
        content_type: str = "text/html",
        status: int = 200,
        headers: Headers = (),
    ) -> None:
        """Serve a body."""
        data = body.encode() if isinstance(body, str) else body
        kind = (("Content-Type", content_type),) if content_type else ()
        self._things[_place(url)] = Answer(data, status, (*kind, *headers))

    def redirect(self, url: str, location: str, *, status: int = 302) -> None:
        """Serve a redirect; a location of the site gets its port."""
        self.put(url, status=status, headers=[("Location", self.url(location))])

    def on(self, url: str, handler: Handler) -> None:
        """Serve whatever a handler writes."""
        self._things[_place(url)] = handler

    def url(self, url: str) -> str:
        """Put the port of its scheme into an address of the site; others stay as they are."""
        with contextlib.suppress(ValueError):
            return self._with_port(url)
        return url

    def _with_port(self, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not (parts.hostname or "").endswith("test") or parts.port:
            return url
        port = self.https_port if parts.scheme == "https" else self.http_port
        return parts._replace(netloc=f"{parts.netloc}:{port}").geturl()

    def config(self, **changes: Any) -> HotlineConfig:
        """Return a configuration that reaches the site and nothing else."""
        settings: dict[str, Any] = {
            "ports": (self.http_port, self.https_port),
            "allow_networks": ("127.0.0.0/8",),
            "nameservers": (self.dns.configured,),
            "ca_bundle": self._bundle,
            "ask_robots": False,
            "connect_timeout_s": 300.0,
            "first_byte_timeout_s": 300.0,
            "total_timeout_s": 600.0,
        }
        return HotlineConfig(**(settings | changes))

    def paths(self, host: str) -> list[str]:
        """Paths that a host was asked for, in order."""
        return [request.path for request in self.requests if request.host == host]

    async def __aenter__(self) -> Self:
        await self._exit.enter_async_context(self.dns)
        self._bundle = self.authority.file(self._exit.enter_context(tempfile.TemporaryDirectory()))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.sni_callback = self._choose
        for scheme, context in (("http", None), ("https", tls)):
            server = await asyncio.start_server(self._serve(scheme), "127.0.0.1", 0, ssl=context)
            self._servers.append(server)
            port = server.sockets[0].getsockname()[1]
            if scheme == "http":
                self.http_port = port
            else:
                self.https_port = port
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()
        await rounds(20)  # a connection that came just now has a task that has not begun
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._exit.aclose()

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = self.authority.context(name or "nameless.test")

    def _serve(self, scheme: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            self.connections += 1
            try:
                with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError, ssl.SSLError):
                    while await self._one(scheme, reader, writer):
                        pass
            except asyncio.CancelledError:
                pass  # the site closes
            finally:
                self._tasks.discard(task)
                writer.close()

        return serve

    async def _one(self, scheme: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection is kept."""
        raw = await reader.readuntil(b"\r\n\r\n")
        first, *lines = raw.decode("latin-1").split("\r\n")[:-2]
        headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
        host = headers.get("host", "").rpartition(":")[0] or headers.get("host", "")
        request = Request(scheme, host, first.split(" ")[1], headers, raw)
        self.requests.append(request)
        thing = self._find(host, request.path)
        if isinstance(thing, Answer):
            writer.write(thing.encode())
            await writer.drain()
            return True
        await thing(request, writer)
        return False

    def _find(self, host: str, path: str) -> Answer | Handler:
        exact = self._things.get((host, path))
        if exact is not None:
            return exact
        for (thing_host, thing_path), thing in self._things.items():
            if thing_host == host and thing_path.endswith("*") and path.startswith(thing_path[:-1]):
                return thing
        return Answer(b"there is nothing here", 404, (("Content-Type", "text/plain"),))


def _place(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.hostname or "", (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
