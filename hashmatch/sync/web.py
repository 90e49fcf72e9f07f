"""The one wall around HTTP: one request out, one bounded answer in, or one of hashmatch's errors.

Theory of operation
-------------------
* TLS is verified; proxies, cookies and ``.netrc`` of the environment are not used.
* A redirect is followed to the same scheme, host and port only, three times at most: credentials go where the
  configuration says and nowhere else.
* A body is counted while it is read, uncompressed (no other encoding is asked for or taken), and cut off at
  ``max_page_bytes``.
* 429, 5xx, timeouts and broken connections are tried again as ``patience`` says; a request that changes something
  (POST, PUT) is repeated likewise, because those that are sent here are idempotent.
* A refused token of a source that has logins is renewed once.

What goes into messages and logs is the method, the path and the status: a query may hold a token, a body a list.

What this module deliberately does not do: it reads no page, and it decides nothing about ranges.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from importlib import metadata
from types import TracebackType
from typing import Final, Self
from urllib.parse import SplitResult

import aiohttp
from yarl import URL

from hashmatch.errors import SourceRefused, SourceUnavailable
from hashmatch.patience import Patience, epoch, retry_after_s
from hashmatch.sections import SyncConfig
from hashmatch.sync.access import Access
from hashmatch.sync.walks import Answer, Request

MAX_REDIRECTS: Final = 3
_CHUNK_BYTES: Final = 1 << 16
_OK: Final = frozenset({200, 201, 202, 204})
_REFUSED: Final = frozenset({401, 403})
_PASSED_ON: Final = frozenset({400, 404, 410})
"""Statuses that the caller may have an answer to: an expired token, an entry that is not there."""

log = logging.getLogger(__name__)


class Web:
    """One source over HTTP. Use as an async context manager."""

    def __init__(
        self,
        base: SplitResult,
        access: Access,
        config: SyncConfig,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._base = URL(base.geturl().rstrip("/") + "/")
        self._access = access
        self._config = config
        self._patience = Patience(
            config.tries, config.first_wait_s, config.longest_wait_s, config.longest_retry_after_s
        )
        self._sleep = sleep
        self._session: aiohttp.ClientSession | None = None
        self.retries = 0

    def __repr__(self) -> str:
        return f"<Web {self._base.host}: {self._access!r}, {self.retries} retries>"

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity", "User-Agent": f"hashmatch/{metadata.version('hashmatch')}"},
            timeout=aiohttp.ClientTimeout(total=self._config.timeout_s, sock_connect=self._config.connect_timeout_s),
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, request: Request) -> Answer:
        """Send a request, logging in first where the source wants that.

        Returns
        -------
        Answer
            With a status of 2xx, or 400, 404 or 410.

        Raises
        ------
        SourceRefused
            The credentials were refused, or the answer is one that asking again does not change.
        SourceUnavailable
            The source did not answer as often as it was asked.

        """
        for last in (False, True):
            if (login := self._access.login()) is not None:
                self._access.logged_in(await self._patiently(login))
            try:
                return await self._patiently(request)
            except SourceRefused:
                if last or not self._access.renew():
                    raise
        raise AssertionError  # the loop returns or raises

    async def _patiently(self, request: Request) -> Answer:
        attempt = 1
        while True:
            try:
                return await self._once(request)
            except _Again as again:
                wait_s = self._patience.wait_s(attempt, again.retry_after_s)
                if wait_s is None:
                    asked = f"; it asks to be left alone for {again.retry_after_s:g} s" if again.retry_after_s else ""
                    raise SourceUnavailable(
                        f"{self._base.host}: {request.method} {request.path}: {again} ({attempt} tries){asked}"
                    ) from again.__cause__
                log.info("%s: %s %s: %s; again in %.1f s", self._base.host, request.method, request.path, again, wait_s)
            await self._sleep(wait_s)
            attempt += 1
            self.retries += 1

    async def _once(self, request: Request) -> Answer:
        url = self._base.join(URL(request.path)).with_query(request.query or None)
        for _ in range(MAX_REDIRECTS + 1):
            answer, location = await self._exchange(request, url)
            if location is None:
                return self._judged(request, answer)
            target = url.join(URL(location))
            if target.origin() != url.origin():
                raise SourceRefused(f"{self._base.host}: {request.path} redirects to {target.host}; not followed")
            url = target
        raise SourceRefused(f"{self._base.host}: {request.path} redirects more than {MAX_REDIRECTS} times")

    async def _exchange(self, request: Request, url: URL) -> tuple[_Raw, str | None]:
        """One request, one answer; the address to go on to when it is a redirect."""
        assert self._session is not None, "use inside `async with`"  # noqa: S101
        headers = dict(self._access.headers(request.path))
        if request.body:
            headers["Content-Type"] = request.content_type
        try:
            async with self._session.request(
                request.method, url, data=request.body or None, headers=headers, allow_redirects=False
            ) as response:
                body = await self._body(request, response)
                location = response.headers.get("Location") if 300 <= response.status < 400 else None  # noqa: PLR2004
                return _Raw(response.status, response.headers, body), location
        except (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError) as error:
            raise SourceRefused(f"{self._base.host}: the certificate does not verify") from error
        except TimeoutError as error:
            raise _Again("no answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _Again(f"the connection failed ({type(error).__name__})") from error

    async def _body(self, request: Request, response: aiohttp.ClientResponse) -> bytes:
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            raise SourceRefused(f"{self._base.host}: {request.path} is encoded as {encoding[:20]!r}, unasked")
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._config.max_page_bytes:
                raise SourceRefused(
                    f"{self._base.host}: {request.path} is larger than sync.max_page_bytes "
                    f"({self._config.max_page_bytes})"
                )
        return bytes(body)

    def _judged(self, request: Request, raw: _Raw) -> Answer:
        served_at = epoch(raw.headers.get("Date"))
        if raw.status in _OK or raw.status in _PASSED_ON:
            return Answer(raw.body, raw.status, served_at)
        if raw.status in _REFUSED:
            raise SourceRefused(
                f"{self._base.host}: {request.method} {request.path}: the credentials were refused (HTTP {raw.status})"
            )
        if raw.status == 429 or raw.status >= 500:  # noqa: PLR2004
            again = _Again(f"HTTP {raw.status}")
            again.retry_after_s = retry_after_s(raw.headers.get("Retry-After"), served_at)
            raise again
        raise SourceRefused(f"{self._base.host}: {request.method} {request.path}: HTTP {raw.status}")


class _Raw:
    """Status, headers and body of an answer."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class _Again(Exception):
    """It did not work, and may the next time. Never leaves this module."""

    retry_after_s: float | None = None
