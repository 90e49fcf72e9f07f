"""A service of several processes as people start it, and callers who never stop asking."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from hashmatch.v1 import detection_pb2, detection_pb2_grpc, status_pb2, status_pb2_grpc, types_pb2
from tests.support.sandbox import alive, children

CONFIG = """
[server]
listen = "{listen}"
processes = {processes}
move_s = {move_s}
drain_s = 600
handshake_timeout_ms = 120000
[sandbox]
workers = 2
deadline_ms = 120000
queue_ms = 600000
start_timeout_ms = 600000
{more}
"""


@dataclass
class Fleet:
    """What a test sees of it."""

    process: asyncio.subprocess.Process
    config: Path
    target: str = ""
    said: dict[str, Any] = field(default_factory=dict)
    """The line with which it said that it serves."""
    log: list[str] = field(default_factory=list)

    def send(self, number: signal.Signals) -> None:
        """Signal the supervisor."""
        self.process.send_signal(number)

    def members(self) -> set[int]:
        """Return the processes that serve, or are about to."""
        return {pid for pid in children(self.process.pid) if "hashmatch.service.member" in command(pid)}

    def workers(self) -> set[int]:
        """Return the zygotes and the confined workers."""
        return children(self.process.pid) - self.members()

    async def logs(self, words: str, times: int = 1) -> None:
        """Return once ``words`` stood in so many lines of the log."""
        async with asyncio.timeout(300):
            while sum(words in line for line in self.log) < times:  # noqa: ASYNC110  another process writes them
                await asyncio.sleep(0.01)


def command(pid: int) -> str:
    """Return the command line of a process, empty if it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def write(config: Path, **settings: Any) -> None:
    """Write a configuration whose patience is greater than any machine's load."""
    config.write_text(CONFIG.format(**{"listen": "127.0.0.1:0", "processes": 2, "move_s": 600, "more": "", **settings}))


async def launched(config: Path, data_dir: Path) -> asyncio.subprocess.Process:
    """Start ``hashmatch serve``."""
    arguments = ["serve", "--config", str(config), "--data", str(data_dir), "--json", "--log-level", "info"]
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hashmatch", *arguments, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env=os.environ | {"HASHMATCH_CONFIG": ""},
    )  # fmt: skip


@contextlib.asynccontextmanager
async def fleet(where: Path, **settings: Any) -> AsyncIterator[Fleet]:
    """Serve ``where`` until the block ends; settings are those of :data:`CONFIG`."""
    config = where / "hashmatch.toml"
    write(config, **settings)
    process = await launched(config, where / "data")
    assert process.stdout is not None
    assert process.stderr is not None
    running = Fleet(process, config)
    reading = asyncio.create_task(_read(process.stderr, running.log))
    try:
        line = await process.stdout.readline()
        assert line, "\n".join(running.log)
        running.said = json.loads(line)
        running.target = running.said["address"]
        yield running
    finally:
        left = children(process.pid)
        if process.returncode is None:
            process.kill()
        await process.wait()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(300):
            while any(alive(pid) for pid in left):  # noqa: ASYNC110  they are not our children
                await asyncio.sleep(0.01)
        await reading


async def _read(stream: asyncio.StreamReader, into: list[str]) -> None:
    """Keep what is logged, as it comes."""
    while line := await stream.readline():
        into.append(line.decode(errors="replace").rstrip())


REQUEST = detection_pb2.DetectHashesRequest(
    items=[detection_pb2.HashedItem(hashes=[types_pb2.Hash(algorithm="sha256", value=bytes(32))])]
)


@dataclass
class Callers:
    """Each with a connection of its own, asking again as soon as it is answered."""

    target: str
    patient: bool = False
    """Wait for a connection that is being made anew: then only calls that a process had taken can fail."""
    answered: Counter[int] = field(default_factory=Counter)
    failed: dict[int, list[str]] = field(default_factory=dict)
    served_by: dict[int, str] = field(default_factory=dict)

    async def call(self, number: int, channel: grpc.aio.Channel) -> None:
        """Ask for ever."""
        stub: Any = detection_pb2_grpc.DetectionServiceStub(channel)
        while True:
            try:
                await stub.DetectHashes(REQUEST, timeout=300, wait_for_ready=self.patient)
            except grpc.aio.AioRpcError as error:
                self.failed.setdefault(number, []).append(f"{error.code().name}: {error.details()}")
                await asyncio.sleep(0.01)
            else:
                self.answered[number] += 1

    async def answers(self, more: int) -> None:
        """Return once every caller was answered so many times more."""
        before = dict(self.answered)
        async with asyncio.timeout(300):
            while any(self.answered[number] < count + more for number, count in before.items()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def fall_silent(self) -> None:
        """Return once one of the two processes has answered nobody while the other answered all of its callers often.

        A caller that is answered asks again at once, so whoever was not has asked by then.
        """
        async with asyncio.timeout(300):
            while True:
                before = dict(self.answered)
                await asyncio.sleep(0.1)
                while not self._answered_often(before):  # noqa: ASYNC110  the callers tell nobody
                    await asyncio.sleep(0.01)
                silent = {self.served_by[number] for number, count in before.items() if self.answered[number] == count}
                heard = {self.served_by[number] for number, count in before.items() if self.answered[number] > count}
                if silent and not silent & heard:
                    return

    def _answered_often(self, before: dict[int, int]) -> bool:
        """Whether all callers of one of the processes were answered ten times since."""
        least: dict[str, int] = {}
        for number, count in before.items():
            more = self.answered[number] - count
            least[self.served_by[number]] = min(more, least.get(self.served_by[number], more))
        return max(least.values()) >= 10


@contextlib.asynccontextmanager
async def channels(target: str, count: int) -> AsyncIterator[list[grpc.aio.Channel]]:
    """Open connections that are not shared."""
    async with contextlib.AsyncExitStack() as opened:
        made = [
            grpc.aio.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) for _ in range(count)
        ]
        yield [await opened.enter_async_context(channel) for channel in made]


@contextlib.asynccontextmanager
async def calling(target: str, count: int = 6, *, patient: bool = False) -> AsyncIterator[Callers]:
    """Keep callers calling until the block ends; each has been answered before it begins."""
    callers = Callers(target, patient, Counter(dict.fromkeys(range(count), 0)))
    async with channels(target, count) as opened:
        for number, channel in enumerate(opened):
            callers.served_by[number] = await started_at(channel)
        tasks = [asyncio.create_task(callers.call(number, channel)) for number, channel in enumerate(opened)]
        try:
            await callers.answers(1)
            yield callers
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def started_at(channel: grpc.aio.Channel) -> str:
    """Return since when the process at the other end is there, which tells processes apart."""
    stub: Any = status_pb2_grpc.StatusServiceStub(channel)
    answer = await stub.GetStatus(status_pb2.GetStatusRequest(), timeout=300)
    return str(answer.started_at.ToJsonString())
