"""A server process for tests: serves a data directory on a free port and prints the address when ready."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from hashmatch.config import Config, SandboxConfig, ServerConfig
from hashmatch.service.server import serve


def main() -> None:
    """Serve the directory named by the only argument until a signal comes."""
    config = Config(server=ServerConfig(listen="127.0.0.1:0"), sandbox=SandboxConfig(workers=2))
    asyncio.run(serve(config, Path(sys.argv[1]), on_ready=lambda target: print(target, flush=True)))  # noqa: T201


if __name__ == "__main__":
    main()
