"""The one wall around HTTP: one request out, one bounded answer in, or the reason why there is none.

Theory of operation
-------------------
* TLS is verified; proxies, cookies and ``.netrc`` of the environment are not used.
* No redirect is followed: a report goes where the configuration says and nowhere else. Its status is the answer.
* A body is counted while it is read, uncompressed (no other encoding is asked for or taken), and cut off at
  ``outbox.max_answer_bytes``.
* Each request has a connection of its own: one that the receiver let go of while it was idle looks, when it is used
  again, just like one that broke after the request arrived.
* Nothing is tried again here. What did not work is a :class:`Lost`, which says whether the request may have reached the
  receiver: what was never sent can be sent again without doubling anything.

What this module deliberately does not do: it judges no status, and no message of it holds a query, a body or a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Final, TypeAlias
from urllib.parse import SplitResult

import aiohttp
from yarl import URL

from hashmatch.outbox.parcels import Again
from hashmatch.patience import epoch, retry_after_s
from hashmatch.sections import OutboxConfig

_CHUNK_BYTES: Final = 1 << 16

Body: TypeAlias = bytes | aiohttp.MultipartWriter
"""What a request may carry; a writer streams."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whatever its status; ``headers`` ignore case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after_s(self) -> float | None:
        """What the receiver asks for, in seconds from now; None where it asks for nothing."""
        return retry_after_s(self.headers.get("Retry-After"), epoch(self.headers.get("Date")))


@dataclass(frozen=True, slots=True)
class Lost:
    """There is no answer to be had. ``sent``: the request, or a part of it, may have reached the receiver.

    ``status`` is that of an answer whose body could not be read, 0 where none came.
    """

    reason: str
    sent: bool
    status: int = 0

    def again(self) -> Again:
        """Return this as an outcome, for requests that may be repeated."""
        return Again(self.reason)


class Wire:
    """One receiver over HTTP.

    Parameters
    ----------
    base : SplitResult
        Its address, judged (``hashmatch.addresses``); paths are joined to it.
    config : OutboxConfig
        Bounds of time and size.
    headers : mapping
        What every request carries, such as ``Authorization``.

    """

    def __init__(self, base: SplitResult, config: OutboxConfig, headers: Mapping[str, str]) -> None:
        self._base = URL(base.geturl().rstrip("/") + "/")
        self._config = config
        self._headers = {
            "Accept-Encoding": "identity",
            "User-Agent": f"hashmatch/{metadata.version('hashmatch')}",
            **headers,
        }
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"<Wire {self._base.host}: {'open' if self._session else 'closed'}>"

    @property
    def host(self) -> str:
        """Host of the receiver, for messages."""
        return self._base.host or ""

    async def ask(
        self, method: str, path: str, *, body: Body = b"", headers: Mapping[str, str] | None = None, stream_s: float = 0
    ) -> Reply | Lost:
        """Send a request and read its answer.

        Parameters
        ----------
        method, path : str
            ``path`` is joined to the base; an empty one is the base itself, without a slash at its end.
        body : bytes or MultipartWriter
            A writer says its own ``Content-Type``; for bytes it belongs into ``headers``.
        headers : mapping, optional
            Of this request only.
        stream_s : float, optional
            For a body that somebody feeds at his own speed: the request may take so many seconds in place of
            ``outbox.timeout_s``, which then bounds the silence once the body is sent.

        Notes
        -----
        Where feeding a streaming body fails, the answer is a :class:`Lost` like that of a broken connection: whoever
        feeds it has to remember his own failures.

        """
        url = self._base.join(URL(path)) if path else self._base.with_path(self._base.path.rstrip("/"))
        status = 0
        try:
            async with self._opened().request(
                method, url, data=body or None, headers=headers, allow_redirects=False, timeout=self._patience(stream_s)
            ) as response:
                status = response.status
                return await self._read(response, f"{method} {url.path}")
        except (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError):
            return Lost(f"{self.host}: the certificate does not verify", sent=False)
        except aiohttp.ConnectionTimeoutError:
            return Lost(f"{self.host}: no connection in time", sent=False)
        except aiohttp.ClientConnectorError as error:
            return Lost(f"{self.host}: no connection ({type(error).__name__})", sent=False)
        except TimeoutError:
            return Lost(f"{self.host}: {method} {url.path}: no answer in time", sent=True, status=status)
        except (aiohttp.ClientError, OSError) as error:
            told = f"{self.host}: {method} {url.path}: the connection failed ({type(error).__name__})"
            return Lost(told, sent=True, status=status)

    async def close(self) -> None:
        """Let go of connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                auto_decompress=False,
                connector=aiohttp.TCPConnector(force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=self._headers,
                trust_env=False,
            )
        return self._session

    def _patience(self, stream_s: float) -> aiohttp.ClientTimeout:
        config = self._config
        if stream_s:
            return aiohttp.ClientTimeout(stream_s, sock_connect=config.connect_timeout_s, sock_read=config.timeout_s)
        return aiohttp.ClientTimeout(config.timeout_s, sock_connect=config.connect_timeout_s)

    async def _read(self, response: aiohttp.ClientResponse, told: str) -> Reply | Lost:
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            return Lost(
                f"{self.host}: {told}: encoded as {encoding[:20]!r}, unasked", sent=True, status=response.status
            )
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > (most := self._config.max_answer_bytes):
                reason = f"{self.host}: {told}: an answer larger than outbox.max_answer_bytes ({most})"
                return Lost(reason, sent=True, status=response.status)
        return Reply(response.status, response.headers, bytes(body))
