"""The whole service: confined workers, catalog, index and gRPC, in this process and as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hashmatch.catalog.opening import CATALOG
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.client import AsyncClient, HashedImage, RetryPolicy
from hashmatch.config import Config, DecodeConfig, FloodConfig, IndexConfig, OutboxConfig, OutletConfig
from hashmatch.errors import BadConfig, HashmatchError
from hashmatch.hashing.digests import digest
from hashmatch.matching.engine import Submission
from hashmatch.model import Entry, EntryHash, HarmDomain, MatchReport, Refusal, Verdict
from hashmatch.service.runtime import Runtime, prepare_directory
from hashmatch.service.server import serve
from tests.support.canary import call_everything, leaks
from tests.support.sandbox import patient
from tests.support.serve_once import DRAIN_S
from tests.support.service import collect, loopback

CONFIG = Config(
    server=loopback(),
    sandbox=patient(),
    index=IndexConfig(poll_ms=20),
)
WEEK_S = 604_800
"""The longest window of the flood guard: hardly any test is under way when it ends."""
NO_IMAGE = b"no image"
KNOWN = Entry("e1", (EntryHash("sha256", digest(NO_IMAGE).sha256),))


def mode_of(path: Path) -> int:
    """Permission bits."""
    return path.stat().st_mode & 0o777


def files_with(content: bytes, directory: Path) -> list[str]:
    """Names of the files below ``directory`` that hold ``content``."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    return [path.name for path in files if content in path.read_bytes()]


def descendants(pid: int) -> set[int]:
    """Return the processes that descend from ``pid``: zygote and workers."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def signal_all(pids: set[int], number: signal.Signals) -> None:
    """Send a signal to each."""
    for pid in pids:
        os.kill(pid, number)


@contextlib.asynccontextmanager
async def service(data_dir: Path, config: Config = CONFIG) -> AsyncIterator[AsyncClient]:
    """Serve ``data_dir`` in this process; yields a client of it."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    running = asyncio.create_task(serve(config, data_dir, on_ready=ready.set_result, stop=stop))
    started: set[asyncio.Future[Any]] = {running, ready}
    await asyncio.wait(started, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    async with AsyncClient(await ready) as client:
        try:
            yield client
        finally:
            stop.set()
            await running


async def test_from_an_empty_directory_to_a_match_a_withdrawal_and_a_restart(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with service(data_dir) as client:
        await client.wait_ready()
        before = await client.detect(NO_IMAGE)
        await client.create_hash_set("known", HarmDomain.OTHER)
        result = await client.import_entries("known", [KNOWN, Entry("", (EntryHash("pdq", b"short"),))])
        matched = await client.detect(NO_IMAGE, sets=["known"])
        status = await client.status()
        assert [entry.entry_id for entry in await collect(client.export_entries("known"))] == ["e1"]
    assert (before.verdict, before.reason) == (Verdict.NOT_CHECKED, Refusal.UNSUPPORTED_FORMAT)
    assert (result.added, result.rejected, result.rejections[0].position) == (1, 1, 1)
    assert (matched.verdict, matched.hits[0].entry.entry_id) == (Verdict.MATCH, "e1")
    assert (status.index.state, status.hash_sets, status.entries) == ("serving", 1, 1)
    assert (status.workers.workers, status.workers.images) == (1, 2)
    assert mode_of(data_dir) == 0o700
    on_socket = dataclasses.replace(
        CONFIG, server=loopback(listen=f"unix:{tmp_path}/socket"), decode=DecodeConfig(max_bytes=100)
    )
    async with service(data_dir, on_socket) as client:
        assert (await client.detect(bytes(101))).reason is Refusal.TOO_LARGE
        assert f"unix:{tmp_path}/socket" in repr(client)
        assert (await client.detect(NO_IMAGE)).verdict is Verdict.MATCH
        await client.withdraw_entry("known", "e1", reason="a test", actor="tests")
        assert (await client.detect(NO_IMAGE)).verdict is Verdict.NOT_CHECKED


async def test_what_another_process_imports_shows_up(tmp_path: Path) -> None:
    async with service(tmp_path) as client:
        before = await client.detect(NO_IMAGE)
        with SqliteCatalog.open(tmp_path / CATALOG) as other:
            other.create_set("known", HarmDomain.OTHER)
            other.import_entries("known", [KNOWN])
        reports: list[MatchReport] = []
        async with asyncio.timeout(300):
            while not reports or reports[-1].verdict is not Verdict.MATCH:
                reports.append(await client.detect(NO_IMAGE))
    assert before.verdict is Verdict.NOT_CHECKED
    assert reports[-1].generation != before.generation


async def test_the_real_service_logs_nothing_that_callers_send(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with service(tmp_path) as client:
        ended = await call_everything(client)
    text = "\n".join(f"{record.name} {record.getMessage()} {record.exc_text}" for record in caplog.records)
    assert {"OK", "BadInput", "SetNotFound", "BadHash", "UnknownAlgorithm", "EntryNotFound"} <= set(ended)
    assert "serving on 127.0.0.1:" in text
    assert leaks(text) == []


async def test_nothing_that_callers_send_as_an_image_is_written_to_disk(tmp_path: Path) -> None:
    canary = b"canary-on-disk-5d1c"
    async with service(tmp_path) as client:
        for _ in range(3):
            await client.detect(canary * 1_000)
        await collect(client.detect_stream([("a", canary * 1_000)]))
        assert files_with(canary, tmp_path) == []
    assert files_with(b"SQLite format 3", tmp_path) == [CATALOG]


async def test_a_service_whose_index_cannot_start_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise HashmatchError("refused in a test")

    monkeypatch.setattr("hashmatch.publish.Publisher.start", refused)
    with pytest.raises(HashmatchError, match="refused in a test"):
        async with service(tmp_path):
            pytest.fail("it started")
    with SqliteCatalog.open(tmp_path / CATALOG) as catalog:
        assert catalog.sets() == ()


async def test_a_runtime_answers_in_process_and_can_be_closed_twice(tmp_path: Path) -> None:
    runtime = Runtime(CONFIG, tmp_path)
    await runtime.start()
    try:
        report = await runtime.engine.detect(Submission(b""))
        assert report.reason is Refusal.EMPTY
        assert [check.name for check in runtime.checks() if check.passes()] == ["index", "workers", "follower"]
        assert repr(runtime).startswith(f"<Runtime on {tmp_path}: <LiveIndex serving")
    finally:
        await runtime.close()
    await runtime.close()
    assert [check.name for check in runtime.checks() if check.passes()] == ["index"]


@pytest.mark.parametrize("where", ["file/data", "/proc/hashmatch"])
def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / where
    with pytest.raises(BadConfig) as caught:
        prepare_directory(path)
    assert caught.value.field == "data"
    assert caught.value.message.startswith(f"data directory {path}: ")
    assert caught.value.message.endswith("; choose another with --data or HASHMATCH_DATA")


def test_a_data_directory_that_cannot_be_written_to_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(BadConfig, match=f"data directory {tmp_path}: not writable for this user"):
        prepare_directory(tmp_path)


# --- as a process ------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def process(data_dir: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run the service as a process; yields it and its address."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.serve_once", str(data_dir), stdout=asyncio.subprocess.PIPE
    )
    assert running.stdout is not None
    try:
        async with asyncio.timeout(300):
            target = (await running.stdout.readline()).decode().strip()
        assert target, "the service ended before it was ready"
        yield running, target
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


async def until_pending(client: AsyncClient, images: int) -> None:
    """Return once so many images are with the workers or wait for one."""
    while (workers := (await client.status()).workers).busy + workers.queued < images:  # noqa: ASYNC110  no event comes
        await asyncio.sleep(0.01)


async def test_after_sigterm_every_accepted_call_is_answered(tmp_path: Path) -> None:
    stopped = asyncio.Event()

    async def items() -> AsyncIterator[tuple[str, bytes]]:
        yield "0", NO_IMAGE
        await stopped.wait()
        for number in range(1, 6):
            yield str(number), NO_IMAGE

    async with process(tmp_path) as (running, target), AsyncClient(target, retry=RetryPolicy(attempts=1)) as client:
        await client.wait_ready()
        stream = client.detect_stream(items())
        first = await anext(stream)
        sandbox = descendants(running.pid)
        signal_all(sandbox, signal.SIGSTOP)
        stopped.set()
        rest = asyncio.create_task(collect(stream))
        asking = [asyncio.create_task(client.detect(NO_IMAGE, timeout_s=300)) for _ in range(10)]
        async with asyncio.timeout(300):
            await until_pending(client, 15)
        running.send_signal(signal.SIGTERM)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await running.wait()
        assert not any(task.done() for task in (rest, *asking))
        signal_all(sandbox, signal.SIGCONT)
        answers = [first, *await rest]
        reports = await asyncio.gather(*asking)
        async with asyncio.timeout(300):
            assert await running.wait() == 0
    assert sorted(answer.item_id for answer in answers) == ["0", "1", "2", "3", "4", "5"]
    assert all(answer.report is not None for answer in answers)
    assert {report.reason for report in reports} == {Refusal.UNSUPPORTED_FORMAT}


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    async with process(tmp_path) as (running, target), AsyncClient(target) as client:
        await client.wait_ready()
        held = asyncio.Event()

        async def never_ending() -> AsyncIterator[tuple[str, bytes]]:
            yield "first", b""
            await held.wait()

        stream = client.detect_stream(never_ending())
        await anext(stream)
        running.send_signal(signal.SIGTERM)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await running.wait()
        running.send_signal(signal.SIGINT)
        async with asyncio.timeout(DRAIN_S / 6):
            assert await running.wait() == 0
        held.set()
        with pytest.raises(HashmatchError):
            await collect(stream)


async def test_an_entry_that_floods_is_quarantined_and_reinstated_for_good(tmp_path: Path) -> None:
    """From reports to the catalog, the index, the status and back, with nothing in between that is not the real one."""
    asked = [HashedImage((EntryHash("md5", b"\x07" * 16),))]
    config = dataclasses.replace(CONFIG, flood=FloodConfig(min_matches=4, factor=3.0, window_s=WEEK_S))
    async with service(tmp_path, config) as client:

        async def rule() -> str:
            return (await client.detect_hashes(asked))[0].rule

        async def becomes(wanted: str) -> None:
            async with asyncio.timeout(300):
                while await rule() != wanted:  # noqa: ASYNC110  what is waited for is in another thread
                    await asyncio.sleep(0.01)

        await client.create_hash_set("known", HarmDomain.OTHER)
        await client.import_entries("known", [Entry("e", (EntryHash("md5", b"\x07" * 16),))])
        before = (await client.status()).index.generation
        assert [await rule() for _ in range(5)] == ["digest_equal"] * 5
        await becomes("entry_quarantined")
        (listed,) = (await client.status()).quarantined
        assert (listed.set_name, listed.entry_id) == ("known", "e")
        assert listed.reason.startswith(f"5 matches within {WEEK_S} s; 0.0 in such a time before, the limit is 4")
        with SqliteCatalog.open(tmp_path / CATALOG) as catalog:
            event = catalog.history("known", "e")[-1]
            assert (event.actor, event.after, event.reason) == ("flood-guard", "quarantined", listed.reason)
            catalog.reinstate("known", "e", reason="a known picture", actor="ann")
        await becomes("digest_equal")
        assert (await client.status()).quarantined == ()
        assert [await rule() for _ in range(5)] == ["digest_equal"] * 5
        (_, answer) = await collect(client.rescan([asked], since=before))
        assert [report.verdict for report in answer.reports] == [Verdict.MATCH], "what was let pass is found"


async def test_who_only_detects_needs_no_outlets(tmp_path: Path) -> None:
    missing = OutletConfig(kind="cybertipline", environment="test", url="http://127.0.0.1:1", credentials="env:NOBODY")
    config = dataclasses.replace(CONFIG, outbox=OutboxConfig(outlets={"ncmec": missing}))
    async with Runtime(config, tmp_path) as runtime:
        assert (await runtime.detector.detect(Submission(b""))).reason is Refusal.EMPTY
    with pytest.raises(BadConfig, match=r"^outbox\.outlets\.ncmec\.credentials: not set: NOBODY_USERNAME"):
        async with Runtime(config, tmp_path, deliver=True):
            pytest.fail("it started")
