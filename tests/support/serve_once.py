"""A server process for tests: serves a data directory on a free port and prints the address when ready."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from hashmatch.config import Config
from hashmatch.service.server import serve
from tests.support.sandbox import patient
from tests.support.service import loopback

DRAIN_S = 600
"""Longer than any test waits: an end that comes sooner was not the drain's."""


def main() -> None:
    """Serve the directory named by the only argument until a signal comes."""
    config = Config(server=loopback(drain_s=DRAIN_S), sandbox=patient(workers=2))
    asyncio.run(serve(config, Path(sys.argv[1]), on_ready=lambda target: print(target, flush=True)))  # noqa: T201


if __name__ == "__main__":
    main()
