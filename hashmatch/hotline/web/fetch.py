"""One address fetched from a stranger's host, redirects included, every limit enforced while reading.

Theory of operation
-------------------
A :class:`Fetcher` puts together what the other modules decide: ``urls`` reads the address, ``connect`` makes the
connection (and judges where it leads), aiohttp speaks HTTP, ``answers`` says what the head of an answer means,
``coding`` and ``pace`` watch the body come in, ``politeness`` says when. Redirects are followed here, one request at a
time, and each is judged as the first was.

Time is limited four times: for a connection, from the request to the answer's head, for the rate of the body, and for
the whole, which stands still only while the fetch waits for its turn. A head that trickles in is ended by the second, a
body that does by the third, anything else by the last.

Whatever a host does is an outcome. Bodies of answers that are not 200 are not read.

What this module deliberately does not do: it keeps no cookie, takes no proxy from the environment, runs no script,
stores nothing, and asks nobody but the host, the name servers, and the host's robots.txt.

Source
------
RFC 9110, RFC 9112; reference formats §4.3; docs/adr/0022-fetching.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import importlib.metadata
import socket
import urllib.parse
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Self

import aiohttp
import yarl

from hashmatch.config import HotlineConfig
from hashmatch.errors import BadConfig
from hashmatch.hotline.web import addresses, answers, coding, resolve, tls, urls
from hashmatch.hotline.web.asking import headers_of
from hashmatch.hotline.web.connect import ATTEMPT, Attempt, Connector, Socks
from hashmatch.hotline.web.pace import Pace
from hashmatch.hotline.web.politeness import Politeness
from hashmatch.hotline.web.robots import MAX_BYTES as MAX_ROBOTS_BYTES
from hashmatch.hotline.web.robots import Robots, RobotsFiles
from hashmatch.hotline.web.stops import Stopped
from hashmatch.hotline.web.urls import Refused, Target
from hashmatch.model.hotline import Fetched, Hop, Outcome

_PORTS = 1 << 16
_MAX_HEADERS = 256
_WINDOW_S = 10.0
_ROBOTS_PATIENCE_S = 5.0
"""How long a fetch that is done waits for what robots.txt says; then it is unknown."""
_SLACK_BYTES = 64 << 10
"""By how much a compressed body may be longer than what it becomes."""
_SHARE_OF_NAMES = 0.8
"""Of the time for a connection: so that a name server that is silent is told from a host that is."""
_BADLY_FRAMED = "not HTTP as it must be, or headers beyond the limit"
_MAX_TYPE = 200
_TRAILER_BYTES = 4


@dataclass(frozen=True, slots=True)
class Means:
    """What is read from files and asked of the system before the process is confined."""

    nameservers: tuple[resolve.Nameserver, ...]
    roots: str = field(repr=False)
    socks: Socks | None = None

    @classmethod
    def gather(cls, config: HotlineConfig) -> Self:
        """Read name servers, certificates of authorities, and where the proxy is.

        Raises
        ------
        BadConfig
            One of them cannot be had, or settings contradict each other.

        """
        _check(config)
        socks = _socks(config.proxy)
        servers = resolve.nameservers(config.nameservers) if socks is None else ()
        return cls(servers, tls.roots(config.ca_bundle), socks)

    def ports(self, config: HotlineConfig) -> tuple[int, ...]:
        """TCP ports that are connected to: the proxy's, or the hosts' and the name servers'."""
        if self.socks is not None:
            return (self.socks.port,)
        return tuple(sorted({*config.ports, *(server.port for server in self.nameservers)}))


def _check(config: HotlineConfig) -> None:
    wrong = [port for port in config.ports if not 0 < port < _PORTS]
    if wrong or not config.ports:
        raise BadConfig(f"hotline.ports: {wrong[0] if wrong else 'none'} is no TCP port", field="hotline.ports")
    if config.respect_robots and not config.ask_robots:
        raise BadConfig(
            "hotline.respect_robots: what is not asked cannot be followed: hotline.ask_robots is false",
            field="hotline.respect_robots",
        )


def _socks(proxy: str) -> Socks | None:
    if not proxy:
        return None
    where = "hotline.proxy"
    try:
        parts = urllib.parse.urlsplit(proxy)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadConfig(f"{where}: {error}", field=where) from error
    if parts.scheme != "socks5h" or not host or not port or parts.path.strip("/") or parts.username is not None:
        raise BadConfig(f"{where}: expected socks5h://host:port", field=where)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise BadConfig(f"{where}: {host} has no address: {error.strerror}", field=where) from error
    return Socks(str(found[0][4][0]), port)


@dataclass(frozen=True, slots=True)
class _Errand:
    """What is wanted."""

    max_bytes: int
    referer: str = ""
    job: str = ""
    ask_robots: bool | None = None
    """None: what is wanted is robots.txt itself."""
    respect_robots: bool = False


@dataclass(frozen=True, slots=True)
class _Kit:
    """What every fetch uses."""

    config: HotlineConfig
    rules: urls.Rules
    session: aiohttp.ClientSession
    politeness: Politeness
    robots: RobotsFiles
    robots_politeness: Politeness
    """A queue of their own: behind those who wait for them, files would come too late to be recorded."""
    user_agent: str
    window_s: float


class Fetcher:
    """Fetches; implements :class:`hashmatch.hotline.ports.Fetches`. Made and closed inside of one event loop."""

    def __init__(self, config: HotlineConfig, means: Means, *, window_s: float = _WINDOW_S) -> None:
        """Be ready.

        Parameters
        ----------
        config : HotlineConfig
            Every limit.
        means : Means
            What was read before.
        window_s : float, optional
            Over which the rate of a body is judged.

        Raises
        ------
        BadConfig
            ``hotline.allow_networks`` or the certificates are not valid.

        """
        exempt = addresses.exempted(config.allow_networks)
        connector = Connector(
            resolve.Resolver(means.nameservers, _SHARE_OF_NAMES * config.connect_timeout_s, exempt),
            tls.verifying(means.roots),
            exempt=exempt,
            timeout_s=config.connect_timeout_s,
            allow_invalid_tls=config.allow_invalid_tls,
            socks=means.socks,
        )
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
            max_line_size=config.max_header_bytes,
            max_field_size=config.max_header_bytes,
            max_headers=_MAX_HEADERS,
        )
        user_agent = config.user_agent or f"hashmatch/{importlib.metadata.version('hashmatch')}"
        rules = urls.Rules.of(config)
        self._kit = _Kit(
            config,
            rules,
            session,
            Politeness(config.concurrency, config.host_concurrency, config.host_delay_ms / 1000),
            RobotsFiles(self._fetch_robots, user_agent, rules),
            Politeness(config.concurrency, 1, 0),
            user_agent,
            window_s,
        )

    def __repr__(self) -> str:
        return f"<Fetcher {self._kit.user_agent}, {self._kit.politeness!r}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._kit.session.close()

    async def fetch(
        self, url: str, *, max_bytes: int, referer: str = "", job: str = "", respect_robots: bool = False
    ) -> Fetched:
        """Fetch an address. Whatever goes wrong out there is an outcome.

        Parameters
        ----------
        url : str
            As ``urls`` made it; it is read again, and refused if it is not to be fetched.
        max_bytes : int
            Longest body taken, decompressed.
        referer : str, optional
            Sent only with ``hotline.send_referer``.
        job : str, optional
            Through a proxy, jobs use connections of their own.
        respect_robots : bool, optional
            Follow robots.txt also where ``hotline.respect_robots`` is off.

        """
        target = urls.read(url, self._kit.rules)
        if isinstance(target, Refused):
            return Fetched((), Outcome.REFUSED_URL, target.reason, ended_at=_now())
        config = self._kit.config
        respect = respect_robots or config.respect_robots
        errand = _Errand(max_bytes, referer if config.send_referer else "", job, config.ask_robots or respect, respect)
        return await self._journey(target, errand)

    async def _fetch_robots(self, target: Target, job: str) -> Fetched:
        return await self._journey(target, _Errand(MAX_ROBOTS_BYTES, job=job))

    async def _journey(self, target: Target, errand: _Errand) -> Fetched:
        journey = _Journey(self._kit, errand)
        try:
            body = await journey.travel(target)
            fetched = journey.ended(None, "", body)
        except Stopped as stop:
            fetched = journey.ended(stop.outcome, stop.detail)
        except TimeoutError:
            fetched = journey.ended(Outcome.TIMEOUT, f"not done within {self._kit.config.total_timeout_s:g} s")
        return await journey.with_robots(fetched)


class _Journey:
    """One fetch, from its first request to its body."""

    def __init__(self, kit: _Kit, errand: _Errand) -> None:
        self._kit = kit
        self._config = kit.config
        self._errand = errand
        self._left_s = self._config.total_timeout_s
        self._hops: list[Hop] = []
        self._content_type = ""
        self._wire_bytes = 0
        self._asking: list[asyncio.Task[Robots]] = []

    async def travel(self, first: Target) -> bytes:
        """Follow redirects to a body.

        Raises
        ------
        Stopped
            There is none.
        TimeoutError
            The time for the whole is over.

        """
        target, visited = first, {first.url}
        while True:
            next_target, body = await self._hop(target, first)
            if next_target is None:
                return body
            if next_target.url in visited:
                raise Stopped(Outcome.TOO_MANY_REDIRECTS, "redirects lead in a circle")
            if len(self._hops) > self._config.max_redirects:
                raise Stopped(Outcome.TOO_MANY_REDIRECTS, f"more than {self._config.max_redirects} redirects")
            visited.add(next_target.url)
            target = next_target

    def ended(self, outcome: Outcome | None, detail: str, body: bytes = b"") -> Fetched:
        """Put together what became of it."""
        return Fetched(tuple(self._hops), outcome, detail, self._content_type, body, self._wire_bytes, _now(), "")

    async def with_robots(self, fetched: Fetched) -> Fetched:
        """Add what robots.txt says, if the host has said so by now: of any hop the worst, else of the last."""
        if not self._asking:
            return fetched
        done, _ = await asyncio.wait(self._asking, timeout=_ROBOTS_PATIENCE_S)
        said = [task.result().recorded if task in done else Robots.UNKNOWN.value for task in self._asking]
        recorded = Robots.DISALLOWED.value if Robots.DISALLOWED.value in said else said[-1]
        return replace(fetched, robots=recorded)

    async def _mind_robots(self, target: Target) -> None:
        if not self._errand.ask_robots:
            return
        asking = asyncio.create_task(self._kit.robots.ask(target, self._errand.job))
        self._asking.append(asking)
        if self._errand.respect_robots and (await asking).forbids:
            raise Stopped(Outcome.REFUSED_ROBOTS, "the host's robots.txt forbids it")

    @contextlib.asynccontextmanager
    async def _turn(self, target: Target) -> AsyncIterator[None]:
        """Wait for the host's turn, which costs no time of the fetch's own; then time runs."""
        loop = asyncio.get_running_loop()
        kit = self._kit
        politeness = kit.politeness if self._errand.ask_robots is not None else kit.robots_politeness
        async with politeness.turn(f"{target.host}:{target.port}"):
            await self._mind_robots(target)
            begun = loop.time()
            try:
                async with asyncio.timeout(self._left_s):
                    yield
            finally:
                self._left_s -= loop.time() - begun

    async def _hop(self, target: Target, first: Target) -> tuple[Target | None, bytes]:
        """Make one request; return where it leads, or what it brought."""
        attempt = Attempt(target, self._errand.job)
        token = ATTEMPT.set(attempt)
        downgraded = bool(self._hops) and self._hops[-1].url.startswith("https:") and target.scheme == "http"
        hop = Hop(target.url, port=target.port, downgraded=downgraded)
        try:
            async with self._turn(target):
                hop = replace(hop, started_at=_now())
                try:
                    response = await self._request(attempt)
                    headers = _headers(response)
                    hop = replace(hop, status=response.status, headers=headers, answered_at=_now())
                finally:
                    seen = attempt.seen
                    self._hops.append(replace(hop, ip=seen.ip, names=seen.names, tls=seen.tls))
                try:
                    return await self._arrived(response, target, first)
                finally:
                    response.release()
        finally:
            ATTEMPT.reset(token)

    async def _request(self, attempt: Attempt) -> aiohttp.ClientResponse:
        loop = asyncio.get_running_loop()
        limit_s = self._config.first_byte_timeout_s
        headers = headers_of(self._kit.user_agent, self._errand.referer)
        url = yarl.URL(attempt.target.url, encoded=True)
        try:
            async with asyncio.timeout(None) as clock:
                attempt.connected = lambda: clock.reschedule(loop.time() + limit_s)
                while True:
                    try:
                        return await self._kit.session.get(url, headers=headers, allow_redirects=False)
                    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                        if not attempt.kept:  # or else its host was just closing it: then there is another or a new one
                            raise
        except TimeoutError:
            raise Stopped(Outcome.TIMEOUT, f"no whole head of an answer within {limit_s:g} s") from None
        except aiohttp.ClientResponseError as error:
            raise Stopped(Outcome.BAD_ANSWER, _BADLY_FRAMED) from error
        except aiohttp.InvalidURL as error:
            raise Stopped(Outcome.REFUSED_URL, "the client library takes it for no URL") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Stopped(Outcome.UNREACHABLE, "the connection broke off before an answer") from error

    async def _arrived(
        self, response: aiohttp.ClientResponse, target: Target, first: Target
    ) -> tuple[Target | None, bytes]:
        """Judge the head of an answer, and read the body where it is what was asked for."""
        headers = self._hops[-1].headers
        if sum(len(name) + len(text) + _TRAILER_BYTES for name, text in headers) > self._config.max_header_bytes:
            raise Stopped(Outcome.BAD_ANSWER, f"headers of more than {self._config.max_header_bytes} bytes")
        self._content_type = answers.value(headers, "content-type")[:_MAX_TYPE]
        location = answers.value(headers, "location")
        if response.status in answers.REDIRECTS and location:
            next_target = urls.join(target, _as_written(location), self._kit.rules)
            if isinstance(next_target, Refused):
                raise Stopped(Outcome.REFUSED_URL, f"redirected to what is not fetched: {next_target.reason}")
            return next_target, b""
        judged = answers.classify(response.status, headers)
        if judged is not None:
            raise Stopped(*judged)
        if target is not first and answers.is_login(target.path) and not answers.is_login(first.path):
            raise Stopped(Outcome.LOGIN_REQUIRED, "redirected to a page to log in")
        return None, await self._body(response, headers)

    async def _body(self, response: aiohttp.ClientResponse, headers: answers.Headers) -> bytes:
        max_bytes = self._errand.max_bytes
        decoder = coding.Decoder(answers.values(headers, "content-encoding"), max_bytes)
        if (response.content_length or 0) > max_bytes + _SLACK_BYTES:  # a lie is refused as well as the truth
            raise Stopped(Outcome.TOO_LARGE, f"announced as {response.content_length} bytes, at most {max_bytes}")
        body = bytearray()
        pace = Pace(self._config.min_bytes_per_s, self._kit.window_s, asyncio.get_running_loop().time())
        try:
            while untrusted_piece := await self._piece(response, pace):
                self._wire_bytes += len(untrusted_piece)
                if self._wire_bytes > max_bytes + _SLACK_BYTES:
                    raise Stopped(Outcome.TOO_LARGE, f"longer than {max_bytes} bytes")
                body += decoder.feed(untrusted_piece)
        except aiohttp.ClientPayloadError as error:
            if isinstance(error.__cause__, aiohttp.http_exceptions.TransferEncodingError):
                raise Stopped(Outcome.BAD_ANSWER, _BADLY_FRAMED) from error
            raise Stopped(Outcome.UNREACHABLE, "the connection broke off within the body") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Stopped(Outcome.UNREACHABLE, "the connection broke off within the body") from error
        decoder.finish()
        return bytes(body)

    async def _piece(self, response: aiohttp.ClientResponse, pace: Pace) -> bytes:
        """Return what came next of the body, nothing at its end, unless it comes too slowly."""
        loop = asyncio.get_running_loop()
        while True:
            piece = None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(pace.ends_at):
                    piece = await response.content.readany()
            pace.came(len(piece or b""))
            if piece != b"" and pace.too_slow(loop.time()):
                slowest = f"less than {self._config.min_bytes_per_s} bytes/s over {self._kit.window_s:g} s"
                raise Stopped(Outcome.TOO_SLOW, slowest)
            if piece is not None:
                return piece


def _headers(response: aiohttp.ClientResponse) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1"), text.decode("latin-1")) for name, text in response.raw_headers)


def _as_written(location: str) -> str:
    """Take a Location as UTF-8, as browsers do, where it is."""
    try:
        return location.encode("latin-1").decode()
    except UnicodeDecodeError:
        return location


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
