"""A fetcher in this process, against a site of the test."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from hashmatch.hotline.web.fetch import Fetcher, Means
from hashmatch.model.hotline import Fetched, Outcome
from tests.support.hotline.site import Site

MEGABYTE = 1 << 20


@contextlib.asynccontextmanager
async def fetching(site: Site, *, window_s: float = 300.0, **changes: Any) -> AsyncIterator[Fetcher]:
    """Run a fetcher that reaches the site; ``changes`` are settings."""
    config = site.config(**changes)
    async with Fetcher(config, Means.gather(config), window_s=window_s) as fetcher:
        yield fetcher


async def fetch(site: Site, url: str, *, max_bytes: int = MEGABYTE, window_s: float = 300.0, **changes: Any) -> Fetched:
    """Fetch one address of the site with a fetcher of its own."""
    async with fetching(site, window_s=window_s, **changes) as fetcher:
        return await fetcher.fetch(site.url(url), max_bytes=max_bytes)


def end(fetched: Fetched) -> tuple[Outcome | None, str]:
    """Return what became of it, as tests compare it."""
    return fetched.outcome, fetched.detail
