"""A service of several processes: killed, replaced and stopped under load, with real processes and sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
import pytest

from hashmatch.audit.log import ledgers
from hashmatch.errors import ExitCode
from hashmatch.v1 import detection_pb2, detection_pb2_grpc, status_pb2, status_pb2_grpc
from tests.support.fleet import Fleet, calling, channels, fleet, launched, write
from tests.support.images import encoded, photo
from tests.support.ledger import segment_files
from tests.support.reserved import reserved_port
from tests.support.sandbox import frozen
from tests.support.service import until

CALLERS = 6


async def test_a_process_that_is_killed_loses_the_calls_in_its_hands_and_no_other(tmp_path: Path) -> None:
    async with fleet(tmp_path) as running, calling(running.target, 20, patient=True) as callers:
        assert len(set(callers.served_by.values())) == 2
        victim = min(running.members())
        with frozen(victim):
            await callers.fall_silent()  # each call of the victim's is on its way to it, or with it
            os.kill(victim, signal.SIGKILL)
        await running.logs("a process ended that was not told to")
        await running.logs("serving on", times=4)  # three processes and the service
        await callers.answers(20)
        assert len(running.members()) == 2
    (lost_by,) = {callers.served_by[number] for number in callers.failed}
    assert sorted(callers.failed) == sorted(number for number, by in callers.served_by.items() if by == lost_by)
    assert [len(errors) for errors in callers.failed.values()] == [1] * len(callers.failed)
    assert {error.partition(":")[0] for errors in callers.failed.values() for error in errors} == {"UNAVAILABLE"}


async def test_a_hangup_replaces_every_process_and_refuses_nothing(tmp_path: Path) -> None:
    async with fleet(tmp_path, move_s=1) as running, calling(running.target, CALLERS) as callers:
        before = running.members()
        write(running.config, move_s=1, listen="127.0.0.1:0", more="[policy]\nmin_side_px = 77\n")
        running.send(signal.SIGHUP)
        await running.logs("all 2 processes serve the configuration that was read again")
        await callers.answers(20)
        after = running.members()
        assert len(after) == 2
        assert not before & after
        await until(lambda: reloaded(tmp_path / "data") >= 2)  # records are on the disk soon, and the end is a kill
    assert callers.failed == {}
    assert reloaded(tmp_path / "data") == 2


@pytest.fixture
def two_ports() -> Iterator[tuple[int, int]]:
    """Reserve a port that nobody else gets to listen on, and the one after it."""
    while True:
        with contextlib.ExitStack() as held:
            port: int = held.enter_context(reserved_port()).getsockname()[1]
            try:
                held.enter_context(reserved_port(port + 1))
            except (OSError, OverflowError):  # that one is somebody's, or there is none
                continue
            yield port, port + 1
            return


def reloaded(data_dir: Path) -> int:
    """Return how often the audit says that a process took over with another configuration."""
    files = [path for ledger in ledgers(data_dir / "audit") for path in segment_files(ledger)]
    return sum(path.read_bytes().count(b'"policy.reloaded"') for path in files)


def listener(port: int, among: set[int]) -> int:
    """Return which of some processes listens on a port of loopback; 0 for none."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    sockets = {f"socket:[{row[9]}]" for row in rows if row[1] == f"0100007F:{port:04X}" and row[3] == "0A"}
    for pid in among:
        with contextlib.suppress(OSError):
            if sockets & {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}:
                return pid
    return 0


async def shown_by(running: Fleet, ports: Sequence[int]) -> list[int]:
    """Return the processes whose pages of metrics can be read on some ports; 0 where nobody shows one."""
    found = []
    async with aiohttp.ClientSession() as client:
        for port in ports:
            try:
                async with client.get(f"http://127.0.0.1:{port}/metrics") as answer:
                    assert "hashmatch_requests_in_flight" in await answer.text()
            except aiohttp.ClientError:  # it ends, perhaps in the middle of its page
                found.append(0)
            else:
                found.append(listener(port, running.members()))
    return found


async def test_each_process_has_a_page_of_metrics_that_its_successor_takes_over(
    tmp_path: Path, two_ports: tuple[int, int]
) -> None:
    ports = two_ports
    page = f'[metrics]\nlisten = "127.0.0.1:{ports[0]}"\n'
    async with fleet(tmp_path, move_s=1, more=page) as running:
        assert running.said["metrics"] == f"127.0.0.1:{ports[0]}"

        async def shown_without(gone: set[int]) -> list[int]:
            async with asyncio.timeout(300):
                while {0, *gone} & set(now := await shown_by(running, ports)):  # noqa: ASYNC110  another process
                    await asyncio.sleep(0.01)
            return now

        before = await shown_without(set())
        assert set(before) == running.members()
        running.send(signal.SIGHUP)
        await running.logs("all 2 processes serve the configuration that was read again")
        after = await shown_without(set(before))
        assert set(after) <= running.members()
        os.kill(after[1], signal.SIGKILL)
        now = await shown_without({after[1]})
        assert now[0] == after[0], "the page of the other one stays where it is"


async def test_a_configuration_that_does_not_load_or_cannot_be_served_changes_nothing(tmp_path: Path) -> None:
    async with fleet(tmp_path) as running, calling(running.target, 2) as callers:
        before = running.members()
        good = running.config.read_text()
        for text, why in (
            ("[server]\nlisten = 7\n", "server.listen: expected str, got 7"),
            (good.replace("processes = 2", "processes = 3"), "server.processes: 3 instead of 2 takes a restart"),
            (
                good + '[catalog]\nurl = "postgresql://user:word@db.example.org/x"\n',
                "catalog.url: leave the password out",
            ),
        ):
            running.config.write_text(text)
            running.send(signal.SIGHUP)
            await running.logs(f"the configuration was not read again, and the one before still holds: {why}")
        write(running.config, more=f'[cases]\nreceipt_key = "{tmp_path}/nowhere"\n')
        running.send(signal.SIGHUP)
        await running.logs("the new configuration cannot be served, and the one before still is: ")
        await callers.answers(5)
        assert running.members() == before
        assert callers.failed == {}
        os.kill(max(before), signal.SIGKILL)  # who comes back has the configuration that works
        await running.logs("serving on", times=4)
        await callers.answers(5)
        assert len(running.members()) == 2


async def images_in_hand(running: Fleet, opened: list[grpc.aio.Channel], calls: list[asyncio.Task[Any]]) -> None:
    """Return once every one of the calls is with a worker or waits for one."""

    async def in_hand() -> int:
        found: dict[str, int] = {}
        for channel in opened:
            stub: Any = status_pb2_grpc.StatusServiceStub(channel)
            answer = await stub.GetStatus(status_pb2.GetStatusRequest(), timeout=300)
            found[answer.started_at.ToJsonString()] = answer.workers.busy + answer.workers.queued
        return sum(found.values())

    async with asyncio.timeout(300):
        while await in_hand() < len(calls):  # noqa: ASYNC110  the service tells nobody
            await asyncio.sleep(0.01)
    assert len(running.members()) == 2


async def detect(channel: grpc.aio.Channel) -> detection_pb2.DetectResponse:
    """Ask about a picture."""
    stub: Any = detection_pb2_grpc.DetectionServiceStub(channel)
    request = detection_pb2.DetectRequest(image=encoded(photo(), "JPEG"))
    answer: detection_pb2.DetectResponse = await stub.Detect(request, timeout=300)
    return answer


async def test_a_stop_answers_every_accepted_call(tmp_path: Path) -> None:
    async with fleet(tmp_path) as running, channels(running.target, 8) as opened:
        with frozen(*running.workers()):
            calls = [asyncio.create_task(detect(channel)) for channel in opened]
            await images_in_hand(running, opened, calls)
            running.send(signal.SIGTERM)
            await running.logs("draining ", times=2)
        answers = await asyncio.gather(*calls)
        assert await running.process.wait() == ExitCode.CLEAN
    assert [answer.report.generation for answer in answers] == ["0"] * 8


async def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    async with fleet(tmp_path) as running, channels(running.target, 4) as opened:
        with frozen(*running.workers()):
            calls = [asyncio.create_task(detect(channel)) for channel in opened]
            await images_in_hand(running, opened, calls)
            running.send(signal.SIGINT)
            await running.logs("draining ", times=2)
            began = time.monotonic()
            running.send(signal.SIGTERM)
            ended = await asyncio.gather(*calls, return_exceptions=True)
            assert await running.process.wait() == ExitCode.CLEAN
            assert time.monotonic() - began < 300  # the drain of this service takes 600 s
    assert {type(outcome) for outcome in ended} == {grpc.aio.AioRpcError}


async def test_when_the_supervisor_is_killed_its_processes_end(tmp_path: Path) -> None:
    async with fleet(tmp_path) as running:
        left = running.members()
        running.process.kill()
        await running.process.wait()
        await until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in left), 300)


async def test_a_port_that_somebody_else_has_is_refused(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        write(tmp_path / "hashmatch.toml", listen=address)
        process = await launched(tmp_path / "hashmatch.toml", tmp_path / "data")
        out, said = await process.communicate()
    assert process.returncode == ExitCode.BAD_INPUT
    assert out == b""
    assert f"server.listen: cannot listen on {address}; is another server running there" in said.decode()


async def test_a_service_whose_processes_cannot_start_says_why(tmp_path: Path) -> None:
    write(tmp_path / "hashmatch.toml", more=f'[cases]\nreceipt_key = "{tmp_path}/nowhere"\n')
    process = await launched(tmp_path / "hashmatch.toml", tmp_path / "data")
    _, said = await process.communicate()
    assert process.returncode == ExitCode.BAD_INPUT
    assert f"{tmp_path}/nowhere" in said.decode()
