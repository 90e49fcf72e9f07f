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

import grpc
import grpc.aio
from google.rpc import error_details_pb2, status_pb2

from hashmatch.bench import imports, serving_echo
from hashmatch.bench.arrivals import OK
from hashmatch.catalog.opening import open_catalog
from hashmatch.config import Config
from hashmatch.errors import ServiceUnavailable
from hashmatch.index.live import LiveIndex
from hashmatch.matching.engine import Engine
from hashmatch.publish import Publisher
from hashmatch.sandbox.pool import WorkerPool
from hashmatch.v1 import detection_pb2, detection_pb2_grpc

KNOWN = "known"
CONNECTIONS = 8
"""Of each caller: enough for both of two processes to get some."""
_OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 64 << 20))


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


def _says_when(error: grpc.aio.AioRpcError) -> bool:
    """Whether a refusal says when it is worth coming back."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            details = status_pb2.Status.FromString(value).details
            return any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in details)
    return False


class Callers:
    """Connections to one address, used in turns; keeps what answers say of their stages."""

    def __init__(self, target: str, connections: int) -> None:
        self._channels = [grpc.aio.insecure_channel(target, options=_OPTIONS) for _ in range(connections)]
        self._stubs: list[Any] = [detection_pb2_grpc.DetectionServiceStub(channel) for channel in self._channels]
        self._echoes: list[Any] = [
            channel.unary_unary(
                serving_echo.METHOD,
                request_serializer=detection_pb2.DetectRequest.SerializeToString,
                response_deserializer=detection_pb2.DetectResponse.FromString,
            )
            for channel in self._channels
        ]
        self.stages_us: list[dict[str, int]] = []
        self.hints = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for channel in self._channels:
            await channel.close()

    async def report(self, image: bytes) -> Any:
        """Return the report of one image."""
        return (await self._stubs[0].Detect(detection_pb2.DetectRequest(image=image))).report

    async def detect(self, number: int, image: bytes, timeout_s: float) -> str:
        """Ask about an image; return the outcome."""
        stub = self._stubs[number % len(self._stubs)]
        try:
            answer = await stub.Detect(detection_pb2.DetectRequest(image=image), timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            self.hints += _says_when(error)
            return str(error.code().name)
        self.stages_us.append(dict(answer.report.elapsed_us))
        return OK

    async def echo(self, number: int, image: bytes) -> str:
        """Send an image to the server that does nothing."""
        await self._echoes[number % len(self._echoes)](detection_pb2.DetectRequest(image=image))
        return OK

    async def look_up(self, number: int, request: detection_pb2.DetectHashesRequest) -> str:
        """Ask about hashes."""
        await self._stubs[number % len(self._stubs)].DetectHashes(request)
        return OK
