"""Who is asked: the service as people start it, the same pipeline in this process, and a gRPC server that does nothing.

What this module deliberately does not do: it times nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

from hashmatch.bench import imports, serving_echo
from hashmatch.bench.arrivals import OK
from hashmatch.bench.frames import body_of, says_when, status_of, trailers_of
from hashmatch.bench.wire import Answer, Wire
from hashmatch.catalog.opening import open_catalog
from hashmatch.config import Config
from hashmatch.errors import ServiceUnavailable
from hashmatch.index.live import LiveIndex
from hashmatch.matching.engine import Engine
from hashmatch.publish import Publisher
from hashmatch.sandbox.pool import WorkerPool
from hashmatch.v1 import detection_pb2

KNOWN = "known"
CONNECTIONS = 8
"""Of each caller: enough for both of two processes to get some."""
DEADLINE_S = 30
"""How long the service is told that callers wait."""
DETECT, DETECT_HASHES = (f"/hashmatch.v1.DetectionService/{name}" for name in ("Detect", "DetectHashes"))


def hashmatch(*words: str) -> list[str]:
    """Return a command line."""
    return [sys.executable, "-m", "hashmatch", *words]


def prepare(where: Path, entries: int, known_sha256: list[str], seed: int) -> None:
    """Fill a data directory: a list of random PDQ values, and one of files that are asked about."""
    listing = imports.write_list(where / "list.csv", "two", entries, seed)
    known = where / "known.csv"
    known.write_text("algorithm,value\n" + "".join(f"sha256,{value}\n" for value in known_sha256), encoding="utf-8")
    for name, path in ((imports.SET, listing.path), (KNOWN, known)):
        words = ("--data", str(where), "--quiet", "hashset", "import", name, str(path), "--domain", "other", "--create")
        subprocess.run(hashmatch(*words), check=True)
        path.unlink()


PLAIN = """\
[policy]
views = "none"
[policy.algorithms.pdq]
possible_distance = 31
"""
"""A policy that does what the peers do: one hash of a picture, held against the list within the match distance."""


@contextlib.asynccontextmanager
async def service(where: Path, processes: int, config: str = "") -> AsyncIterator[str]:
    """Run ``hashmatch serve`` with the text of a configuration; yields the address.

    Raises
    ------
    ServiceUnavailable
        It did not start; its own words are on stderr.

    """
    command = hashmatch(
        "serve", "--data", str(where), "--json", "--quiet", "--listen", "127.0.0.1:0", "--processes", str(processes)
    )
    if config:
        path = where / "bench.toml"
        path.write_text(config, encoding="utf-8")
        command += ["--config", str(path)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None  # noqa: S101  a pipe was asked for
    try:
        line = await process.stdout.readline()
        if not line:
            raise ServiceUnavailable("the service that was to be measured did not start")
        yield str(json.loads(line)["address"])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def echo() -> AsyncIterator[str]:
    """Run the server that does nothing; yields the address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", serving_echo.__name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None  # noqa: S101  pipes were asked for
    assert process.stdout is not None  # noqa: S101
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.stdin.close()
        await process.wait()


@contextlib.asynccontextmanager
async def called(where: Path, processes: int, config: str = "") -> AsyncIterator[Callers]:
    """Run ``hashmatch serve`` as :func:`service` does; yields callers of it."""
    async with service(where, processes, config) as target, Callers(target, CONNECTIONS) as callers:
        yield callers


@contextlib.asynccontextmanager
async def echoing() -> AsyncIterator[Callers]:
    """Run the server that does nothing; yields callers of it."""
    async with echo() as target, Callers(target, CONNECTIONS) as callers:
        yield callers


@contextlib.asynccontextmanager
async def pipeline(where: Path, config: Config) -> AsyncIterator[Engine]:
    """Open catalog, index and workers in this process; yields the engine over them."""
    index = LiveIndex()
    catalog = await asyncio.to_thread(open_catalog, config.catalog, where)
    publisher = Publisher(catalog, index, where / "segments", config.index)
    try:
        await asyncio.to_thread(publisher.start)
        async with WorkerPool(config.decode, config.sandbox) as pool:
            yield Engine(pool, index, config.policy, max_hits=config.index.max_hits)
    finally:
        await asyncio.to_thread(publisher.close)
        catalog.close()


def asking(image: bytes) -> bytes:
    """Return what is sent to ask about an image."""
    return body_of(detection_pb2.DetectRequest(image=image).SerializeToString())


def looking_up(request: detection_pb2.DetectHashesRequest) -> bytes:
    """Return what is sent to ask about hashes."""
    return body_of(request.SerializeToString())


class Callers:
    """Connections to one address, used in turns; keeps what it was answered about images."""

    def __init__(self, target: str, connections: int) -> None:
        self._images, self._hashes, self._nothing = (
            Wire(target, method, connections, DEADLINE_S) for method in (DETECT, DETECT_HASHES, serving_echo.METHOD)
        )
        self.answers: list[bytes] = []
        """Serialized answers about images."""
        self.hints = 0
        """Failed calls of which the service said when to come back."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for wire in (self._images, self._hashes, self._nothing):
            await wire.close()

    async def report(self, image: bytes) -> Any:
        """Return the report of one image. Raises ServiceUnavailable if there is none."""
        answer = await self._images.call(0, asking(image))
        if answer.message is None:
            raise ServiceUnavailable(f"an image was not answered: {trailers_of(answer.trailers)}")
        return detection_pb2.DetectResponse.FromString(answer.message).report

    async def detect(self, number: int, body: bytes) -> str:
        """Ask about an image, of which this is :func:`asking`; return the outcome."""
        answer = await self._images.call(number, body)
        if answer.message is not None:
            self.answers.append(answer.message)
        return self._outcome(answer)

    async def look_up(self, number: int, body: bytes) -> str:
        """Ask about hashes, of which this is :func:`looking_up`; return the outcome."""
        return self._outcome(await self._hashes.call(number, body))

    async def echo(self, number: int, body: bytes) -> str:
        """Send what :func:`asking` about an image is to the server that does nothing; return the outcome."""
        return self._outcome(await self._nothing.call(number, body))

    def _outcome(self, answer: Answer) -> str:
        if answer.message is not None:
            return OK
        trailers = trailers_of(answer.trailers)
        self.hints += says_when(trailers)
        return str(status_of(trailers).name)

    def stages_us(self) -> list[dict[str, int]]:
        """Return where the time of answered images went."""
        reports = (detection_pb2.DetectResponse.FromString(answer).report for answer in self.answers)
        return [dict(report.elapsed_us) for report in reports]
