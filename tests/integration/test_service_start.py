"""What a start loads, and when: the zygote is executed first, and loads while the rest is imported.

Theory of operation
-------------------
A start takes as long as what is imported one after the other. So these tests look at sets of modules, in a fresh
interpreter, and not at times: what is there when the zygote is executed, and what is there once the command serves.

What this module deliberately does not do: it measures nothing; docs/explain/serving.md has the numbers.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sys
from importlib import metadata
from pathlib import Path

import pytest

from hashmatch.catalog.opening import CATALOG
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.config import Config
from hashmatch.errors import BadConfig
from hashmatch.service.server import serve
from tests.support.fleet import command
from tests.support.sandbox import children, patient
from tests.support.service import loopback

WATCHED = """
import json, sys
loaded = []
sys.addaudithook(lambda event, _: loaded.append(sorted(sys.modules)) if event == "subprocess.Popen" else None)
from hashmatch.cli.main import main
code = main(sys.argv[1:])
loaded.append(sorted(sys.modules))
print(json.dumps(loaded))
sys.exit(code)
"""
"""Runs a command, and then prints what was loaded at each process that it executed, and at its end."""

SERVING = {
    "cryptography",
    "faiss",
    "google",
    "grpc",
    "grpc_health",
    "grpc_status",
    "lxml",
    "numba",
    "numpy",
    "rfc8785",
    "click",
}
DETECTING = SERVING - {"grpc", "grpc_health", "grpc_status"}
"""Dependencies that a service, and a command in process, cannot do without from the start on."""


def dependencies() -> set[str]:
    """Return the packages of all distributions that hashmatch requires whatever its extras."""
    needed = {
        re.split(r"[^\w.-]", line)[0].replace("_", "-").lower()
        for line in metadata.requires("hashmatch") or ()
        if "extra ==" not in line
    }
    names = metadata.packages_distributions().items()
    return {name for name, of in names if needed & {one.replace("_", "-").lower() for one in of}}


def tops(modules: list[str]) -> set[str]:
    """Return which of the dependencies are among ``modules``."""
    return {name.partition(".")[0] for name in modules} & dependencies()


async def started(*words: str, until: int | None = None) -> list[list[str]]:
    """Run a command in a fresh interpreter, with a signal after its first line; return what was loaded when."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WATCHED, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    if until is not None:
        await process.stdout.readline()
        process.send_signal(until)
    lines = (await process.stdout.read()).splitlines()
    await process.wait()
    loaded: list[list[str]] = json.loads(lines[-1])
    return loaded


def test_the_dependencies_are_known_by_the_names_they_are_imported_by() -> None:
    assert {"numba", "faiss", "PIL", "google", "prometheus_client", "aiohttp"} <= dependencies()
    assert not {"pytest", "mypy", "psycopg", "opentelemetry"} & dependencies()


async def test_a_service_executes_the_zygote_before_anything_slow_is_loaded(tmp_path: Path) -> None:
    words = ("serve", "--data", str(tmp_path), "--json", "--quiet", "--listen", "127.0.0.1:0", "--processes", "1")
    zygote, end = await started(*words, until=signal.SIGTERM)
    assert tops(zygote) == {"click"}
    assert "hashmatch.service.assembly" not in zygote
    assert tops(end) == SERVING


async def test_detecting_in_process_executes_the_zygote_before_the_index_is_loaded(tmp_path: Path) -> None:
    SqliteCatalog.open(tmp_path / CATALOG).close()
    (tmp_path / "upload").write_bytes(b"no image")
    zygote, end = await started("detect", str(tmp_path / "upload"), "--json", "--data", str(tmp_path))
    assert tops(zygote) == {"click", "numpy"}
    assert "hashmatch.index" not in zygote
    assert tops(end) == DETECTING


async def test_a_start_that_is_refused_leaves_no_zygote(tmp_path: Path) -> None:
    before = zygotes()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = Config(server=loopback(listen=f"127.0.0.1:{taken.getsockname()[1]}"), sandbox=patient())
        with pytest.raises(BadConfig, match="cannot listen on"):
            await serve(config, tmp_path, stop=asyncio.Event())
    assert zygotes() == before


def zygotes() -> set[int]:
    """Return the zygotes of this process, which may have children of other tests, such as PostgreSQL's."""
    return {pid for pid in children(os.getpid()) if "hashmatch.sandbox.zygote" in command(pid)}
