"""The one place where a connection to a stranger's host is made.

Theory of operation
-------------------
aiohttp speaks HTTP and keeps connections; who it may speak to is decided here. :class:`Connector` makes every
connection itself: it resolves the host once (``resolve`` judges every answer), makes a socket for an address, judges
that very address again as the socket is made, and connects to the number. No name is handed to anything that could look
it up again. TLS then asks for the name. A connection that is used again is one that was made so.

Through a proxy of SOCKS5h it is the other way round: names are never resolved here, only addresses that are written as
such are judged, and the proxy is the only thing that is connected to. Each job has its own user name and password
there, which Tor takes as the wish for a circuit of its own; connections are not used twice.

An :class:`Attempt` is what the fetch wants to know of its current hop: the fetch puts it into :data:`ATTEMPT`, the
connector fills it in.

A certificate that does not verify ends the attempt. The same address is then asked once more, for the handshake only,
so that the record can say which certificate it was; where ``hotline.allow_invalid_tls`` is set, that second connection
is used.

What this module deliberately does not do: it does not know redirects, time limits of a whole fetch, or HTTP.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import hmac
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohappyeyeballs
import aiohttp
from aiohttp.client_proto import ResponseHandler
from python_socks import ProxyError, ProxyTimeoutError, ProxyType
from python_socks.async_.asyncio import Proxy

from hashmatch.hotline.web import addresses, tls
from hashmatch.hotline.web.addresses import Address, Network
from hashmatch.hotline.web.resolve import Resolved, Resolver
from hashmatch.hotline.web.stops import Stopped
from hashmatch.hotline.web.urls import Target
from hashmatch.model.hotline import Outcome, TlsSeen

_HAPPY_EYEBALLS_S = 0.25
_KEPT_S = 2.0
"""How long an idle connection is kept: enough for the images of a page, too short to pile up over 100,000 hosts."""


@dataclass(slots=True)
class Seen:
    """What is known of a connection."""

    ip: str = ""
    names: tuple[str, ...] = ()
    tls: TlsSeen | None = None


@dataclass(slots=True)
class Attempt:
    """One hop, as the connector has to know it."""

    target: Target
    job: str = ""
    seen: Seen = field(default_factory=Seen)
    connected: Callable[[], None] = lambda: None
    """Called when there is a connection and the request goes out."""
    kept: bool = False
    """Whether the connection had been used before: its host may have been closing it when the request went out."""


ATTEMPT: contextvars.ContextVar[Attempt] = contextvars.ContextVar("ATTEMPT")


@dataclass(frozen=True, slots=True)
class Socks:
    """The proxy, as an address; its name, where it has one, was resolved when the configuration was read."""

    ip: str
    port: int
    key: bytes = field(default_factory=lambda: os.urandom(32), repr=False)
    """Makes the credentials of a job, which mean nothing to anybody else."""

    def credentials(self, job: str) -> tuple[str, str]:
        """User name and password that keep this job's connections apart from others'."""
        digest = hmac.digest(self.key, job.encode("utf-8", "replace"), hashlib.sha256).hex()
        return digest[:32], digest[32:]


class _Handler(ResponseHandler):
    """aiohttp's end of a connection, with what was seen when it was made."""

    seen: Seen


class Connector(aiohttp.BaseConnector):
    """Makes connections to addresses that may be connected to, and to no others."""

    def __init__(
        self,
        resolver: Resolver,
        verifying: ssl.SSLContext,
        *,
        exempt: tuple[Network, ...],
        timeout_s: float,
        allow_invalid_tls: bool,
        socks: Socks | None = None,
    ) -> None:
        if socks is None:
            super().__init__(limit=0, keepalive_timeout=_KEPT_S)  # no limit: the fetcher has its own
        else:
            super().__init__(limit=0, force_close=True)
        self._resolver = resolver
        self._verifying = verifying
        self._looking = tls.looking()
        self._exempt = exempt
        self._timeout_s = timeout_s
        self._allow_invalid_tls = allow_invalid_tls
        self._socks = socks

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Any:
        """Return a kept connection or a new one; the attempt learns where it leads."""
        attempt = ATTEMPT.get()
        attempt.kept = True
        connection = await super().connect(req, traces, timeout)
        if isinstance(connection.protocol, _Handler):
            attempt.seen = connection.protocol.seen
        attempt.connected()
        return connection

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],  # noqa: ARG002 - aiohttp's signature
        timeout: aiohttp.ClientTimeout,  # noqa: ARG002, ASYNC109 - likewise
    ) -> ResponseHandler:
        attempt = ATTEMPT.get()
        attempt.kept = False
        target = attempt.target
        if (req.url.raw_host, req.url.port) != (target.host, target.port) or req.url.scheme != target.scheme:
            raise Stopped(Outcome.REFUSED_URL, "the client library reads another host out of this URL")
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._made(attempt)
        except TimeoutError:
            raise Stopped(Outcome.TIMEOUT, f"no connection within {self._timeout_s:g} s") from None

    async def _made(self, attempt: Attempt) -> ResponseHandler:
        try:
            return await self._handshaken(attempt, self._verifying)
        except ssl.SSLCertVerificationError as error:
            why = tls.problem(error)
        handler = await self._handshaken(attempt, self._looking, why)
        if not self._allow_invalid_tls:
            handler.close()
            raise Stopped(Outcome.TLS_FAIL, f"the certificate does not verify: {why}")
        return handler

    async def _handshaken(self, attempt: Attempt, context: ssl.SSLContext, why: str = "") -> ResponseHandler:
        """Connect, and shake hands where the scheme says so."""
        connection = await self._socket(attempt)
        encrypted = attempt.target.scheme == "https"
        arguments: dict[str, Any] = (
            {"ssl": context, "server_hostname": attempt.target.host, "ssl_handshake_timeout": 2 * self._timeout_s}
            if encrypted
            else {}
        )
        try:
            transport, handler = await self._loop.create_connection(self._handler, sock=connection, **arguments)
        except ssl.SSLCertVerificationError:
            raise
        except (OSError, ssl.SSLError) as error:
            connection.close()
            raise Stopped(Outcome.TLS_FAIL, f"no handshake: {_reason(error)}") from error
        except BaseException:
            connection.close()
            raise
        if encrypted:
            attempt.seen.tls = tls.seen(transport.get_extra_info("ssl_object"), why)
        handler.seen = attempt.seen
        return handler

    def _handler(self) -> _Handler:
        return _Handler(loop=self._loop)

    async def _socket(self, attempt: Attempt) -> socket.socket:
        if self._socks is not None:
            return await self._through_proxy(attempt, self._socks)
        resolved = await self._resolver.resolve(attempt.target.host)
        attempt.seen.names = resolved.names
        return await self._directly(attempt, resolved)

    async def _directly(self, attempt: Attempt, resolved: Resolved) -> socket.socket:
        port = attempt.target.port
        attempt.seen.ip = str(resolved.addresses[0])
        try:
            connection = await aiohappyeyeballs.start_connection(
                [_information(address, port) for address in resolved.addresses],
                happy_eyeballs_delay=_HAPPY_EYEBALLS_S,
                socket_factory=self._socket_for,
            )
        except OSError as error:
            raise Stopped(Outcome.UNREACHABLE, f"no connection: {_reason(error)}") from error
        attempt.seen.ip = connection.getpeername()[0]
        return connection

    def _socket_for(self, information: Any) -> socket.socket:
        """Make the socket of one address, and judge that address."""
        family, kind, protocol, _, where = information
        self._judge(ipaddress.ip_address(where[0]))
        return socket.socket(family, kind, protocol)

    def _judge(self, address: Address) -> None:
        refused = addresses.refusal(address, self._exempt)
        if refused:
            raise Stopped(Outcome.REFUSED_ADDRESS, f"its address is {refused}")

    async def _through_proxy(self, attempt: Attempt, socks: Socks) -> socket.socket:
        host = attempt.target.host
        literal = addresses.read(host)
        if literal is not None:
            self._judge(literal)
        refused = addresses.refusal_of_name(host) if literal is None else ""
        if refused:
            raise Stopped(Outcome.REFUSED_ADDRESS, refused)
        username, password = socks.credentials(attempt.job)
        proxy = Proxy(ProxyType.SOCKS5, socks.ip, socks.port, username, password, rdns=True)
        try:
            return await proxy.connect(host, attempt.target.port, timeout=self._timeout_s)
        except ProxyTimeoutError:
            raise Stopped(Outcome.TIMEOUT, f"no connection through the proxy within {self._timeout_s:g} s") from None
        except (ProxyError, OSError) as error:
            raise Stopped(Outcome.UNREACHABLE, f"no connection through the proxy: {_reason(error)}") from error


def _information(address: Address, port: int) -> Any:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - of the protocol
    where = (str(address), port) if family is socket.AF_INET else (str(address), port, 0, 0)
    return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where


def _reason(error: BaseException) -> str:
    """Name what went wrong without what the other side said."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or type(error).__name__).lower().replace("_", " ")
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return type(error).__name__
