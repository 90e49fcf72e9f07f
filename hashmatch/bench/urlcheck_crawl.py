"""What the URL checker is measured against: ``python -m hashmatch.bench.urlcheck_crawl WAY SETTINGS``, each a process.

Theory of operation
-------------------
``plain`` is what anybody writes with aiohttp and selectolax: a session with as many connections in all and to one
host as the checker has fetches, a resolver that knows the answer, pages and then their pictures, and nothing done
with these.
``sha256`` digests each picture, too. ``fetcher`` fetches with our confined process instead, and judges, resolves and
limits as that does; pages are parsed here.

Every line on standard output is a page: its address and its pictures with their lengths (and digests, where they are
made). The last has the time when everything was done.

What this module deliberately does not do: no way but ``fetcher`` is fit to be pointed at a stranger's host.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from selectolax.lexbor import LexborHTMLParser

from hashmatch.config import HotlineConfig
from hashmatch.errors import IntegrityError
from hashmatch.hotline.web.fetching import Fetching

Fetch = Callable[[str], Awaitable[bytes]]
Digest = Callable[[bytes], str]


class _Loopback(AbstractResolver):
    """Knows the answer."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = ResolveResult(
            hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
        )
        return [found]

    async def close(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def _aiohttp(config: HotlineConfig) -> Any:
    connector = aiohttp.TCPConnector(
        limit=config.concurrency, limit_per_host=config.host_concurrency, resolver=_Loopback()
    )
    async with aiohttp.ClientSession(connector=connector) as session:

        async def fetch(url: str) -> bytes:
            async with session.get(url) as response:
                response.raise_for_status()
                return await response.read()

        yield fetch


@asynccontextmanager
async def _ours(config: HotlineConfig) -> Any:
    async with Fetching(config) as fetching:

        async def fetch(url: str) -> bytes:
            fetched = await fetching.fetch(url, max_bytes=config.max_image_bytes)
            if fetched.outcome is not None:
                raise IntegrityError(f"the site of the benchmark answered {fetched.outcome}: {fetched.detail}")
            return fetched.body

        yield fetch


def _no_digest(_: bytes) -> str:
    return ""


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


WAYS: dict[str, tuple[Callable[[HotlineConfig], AbstractAsyncContextManager[Fetch]], Digest]] = {
    "plain": (_aiohttp, _no_digest),
    "sha256": (_aiohttp, _sha256),
    "fetcher": (_ours, _no_digest),
}
"""Name to what fetches, and what is made of a picture."""


async def crawl(fetch: Fetch, digest: Digest, urls: Iterator[str], pages_at_once: int) -> None:
    """Fetch pages and their pictures, so many pages at a time, and write a line for each."""

    async def picture(url: str) -> tuple[str, int, str]:
        data = await fetch(url)
        return url, len(data), digest(data)

    async def work() -> None:
        for url in urls:
            tree = LexborHTMLParser(await fetch(url))
            found = [urljoin(url, node.attributes["src"] or "") for node in tree.css("img[src]")]
            images = await asyncio.gather(*map(picture, found))
            sys.stdout.write(json.dumps({"url": url, "images": images}) + "\n")

    await asyncio.gather(*(work() for _ in range(pages_at_once)))
    sys.stdout.write(json.dumps({"ended": time.time()}) + "\n")


async def run(way: str, settings: dict[str, Any], urls: list[str]) -> None:
    """Crawl in one way."""
    lists = {name: tuple(value) for name, value in settings.items() if isinstance(value, list)}
    config = HotlineConfig(**{**settings, **lists})
    opening, digest = WAYS[way]
    async with opening(config) as fetch:
        await crawl(fetch, digest, iter(urls), 2 * config.concurrency)


if __name__ == "__main__":
    _, wanted, given, listed = sys.argv
    asyncio.run(run(wanted, json.loads(given), Path(listed).read_text(encoding="utf-8").split()))
