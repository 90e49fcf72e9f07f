"""A replica for tests: serves a data directory and a shared catalog, and prints its address when ready."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from hashmatch.config import CatalogConfig, Config, IndexConfig
from hashmatch.service.server import serve
from tests.support.sandbox import patient
from tests.support.service import loopback

CATALOG = {"connect_timeout_s": 10, "silence_s": 3}
"""A cut network is noticed within seconds, so that a test of one need not take a minute; the kernel keeps the silence,
but PostgreSQL on a busy machine may take seconds to let somebody in."""


def main() -> None:
    """Serve the directory, the catalog and the address of the arguments until a signal comes."""
    data_dir, url, listen = sys.argv[1:]
    config = Config(
        server=loopback(listen=listen),
        sandbox=patient(workers=1),
        index=IndexConfig(poll_ms=200),
        catalog=CatalogConfig(url=url, **CATALOG),
    )
    asyncio.run(serve(config, Path(data_dir), on_ready=lambda target: print(target, flush=True)))  # noqa: T201


if __name__ == "__main__":
    main()
