"""A machine that lets the service down: a full disk, an fsync that fails, a damaged file, a clock that is set."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hashmatch.client import AsyncClient
from hashmatch.errors import HashmatchError
from tests.chaos.history import History, Oracle
from tests.chaos.load import ONCE, Callers, begun, calling, hashed, known
from tests.chaos.serving import Served, Setup, kill, served, until
from tests.chaos.sizes import Sizes

HOUR_NS = 3_600 * 10**9
DISK_MIB = 24


@contextlib.contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    """Mount a small disk; skips where that is not allowed."""
    path.mkdir()
    mount, umount = shutil.which("mount") or "", shutil.which("umount") or ""
    if not mount or not umount:
        pytest.skip("mount is not installed")
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "none", str(path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield path
    finally:
        subprocess.run([umount, "-l", str(path)], check=True)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4_096))


@contextlib.contextmanager
def failing_fsync(pid: int) -> Iterator[None]:
    """Make every fsync of a process fail with EIO; skips where strace is missing or may not trace."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    calls = "fsync,fdatasync"
    command = [strace, "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO"]
    process = subprocess.Popen([*command, "-p", str(pid)], stderr=subprocess.PIPE)
    try:
        with contextlib.suppress(AssertionError):
            until(lambda: _traced(pid) or process.poll() is not None, 30)
        if not _traced(pid):
            pytest.skip("this process may not be traced here")
        yield
    finally:
        process.terminate()
        process.communicate()
    until(lambda: not _traced(pid))


def _traced(pid: int) -> bool:
    threads = []
    for path in Path(f"/proc/{pid}/task").glob("*/status"):
        with contextlib.suppress(OSError):  # the thread has ended
            threads.append(path.read_text(encoding="ascii"))
    return all("TracerPid:\t0" not in status for status in threads)


async def changes(client: AsyncClient, oracle: Oracle, entries: dict[str, bytes], count: int) -> list[str]:
    """Try to add entries one by one; those that were acknowledged go into ``entries``; return how the others ended."""
    failed = []
    for number in range(count):
        name = f"e{len(entries) + number}-{time.monotonic_ns()}"
        after = {**entries, name: os.urandom(32)}
        try:
            await known(client, oracle, {name: after[name]}, holding=after)
        except HashmatchError as error:
            failed.append(type(error).__name__)
        else:
            entries.clear()
            entries.update(after)
    return failed


def temporary(folder: Path) -> list[str]:
    """Names of the files that somebody forgot."""
    return [path.name for path in folder.rglob("*") if ".tmp" in path.name or path.name.startswith("tmp")]


async def asked_while(
    service: Served,
    oracle: Oracle,
    entries: dict[str, bytes],
    trouble: Callable[[], contextlib.AbstractContextManager[None]],
) -> tuple[History, list[str], list[str]]:
    """Ask and change while there is trouble, and change again after it; return what came of both."""
    history, asked = History(), [*list(entries.values())[:2], os.urandom(32)]
    async with AsyncClient(service.target, retry=ONCE) as client:

        def ask(callers: Callers, _: int) -> asyncio.Future[None]:
            return asyncio.ensure_future(callers.hashes(client, asked))

        async with calling(history, 2, ask):
            with trouble():
                during = await changes(client, oracle, entries, 3)
            after = await changes(client, oracle, entries, 3)
    return history, during, after


async def test_on_a_full_disk_the_old_generation_serves(tmp_path: Path, noted: Callable[..., None]) -> None:
    oracle, entries = Oracle(), {"e0": os.urandom(32), "e1": os.urandom(32)}
    with small_disk(tmp_path / "disk") as disk, served(tmp_path / "run", Setup(), disk / "data") as service:

        @contextlib.contextmanager
        def full() -> Iterator[None]:
            fill(disk / "filler")
            yield
            (disk / "filler").unlink()

        async with AsyncClient(service.target) as client:
            await begun(client, oracle, entries)
        history, during, after = await asked_while(service, oracle, entries, full)
        left = temporary(disk)
    wrong = history.wrong(oracle)
    noted(
        "disk_full", calls=len(history.calls), not_ok=dict(history.not_ok()), wrong=len(wrong), changes_refused=during,
        changes_refused_after=after, temporary_files=len(left),
    )  # fmt: skip
    assert wrong == []
    assert not history.not_ok()
    assert set(during) == {"CatalogUnavailable"}
    assert after == []
    assert left == []


async def test_where_fsync_fails_nothing_acknowledged_is_lost_also_with_a_damaged_segment(
    tmp_path: Path, noted: Callable[..., None]
) -> None:
    oracle, entries = Oracle(), {"e0": os.urandom(32), "e1": os.urandom(32)}
    setup = Setup(index="max_delta_entries = 2")
    with served(tmp_path, setup) as service:
        async with AsyncClient(service.target) as client:
            await begun(client, oracle, entries)
        history, during, after = await asked_while(service, oracle, entries, lambda: failing_fsync(service.pid))
        kill(service.pid)
        service.process.wait()
    segments = sorted((service.data_dir / "segments").glob("*.hms"))
    for path in segments[-1:]:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    with served(tmp_path, setup) as again:
        async with AsyncClient(again.target) as client:
            await client.wait_ready(300)
            reports = await client.detect_hashes([hashed(one) for one in entries.values()])
            lost = [name for name, report in zip(entries, reports, strict=True) if not report.hits]
            recovered = await changes(client, oracle, entries, 1)
    wrong = history.wrong(oracle)
    left = len(temporary(tmp_path))
    noted(
        "fsync", calls=len(history.calls), not_ok=dict(history.not_ok()), wrong=len(wrong), changes_refused=during,
        changes_refused_after=after, acknowledged=len(entries), lost=len(lost), temporary_files=left,
    )  # fmt: skip
    noted("corrupt", segments=len(segments), served_again=True, lost=len(lost))
    assert wrong == []
    assert not history.not_ok()
    assert after == []
    assert lost == []
    assert recovered == []


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """Compile the clock; skips where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    library = tmp_path / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return library


async def test_a_clock_that_is_set_changes_no_deadline_and_no_order(
    tmp_path: Path, sizes: Sizes, clock: Path, noted: Callable[..., None]
) -> None:
    moved = tmp_path / "moved"
    moved.write_bytes(bytes(8))
    oracle, history = Oracle(), History()
    setup = Setup(environment={"LD_PRELOAD": str(clock), "CHAOS_CLOCK": str(moved)})
    with served(tmp_path / "run", setup) as service:
        async with AsyncClient(service.target, retry=ONCE) as client:
            await begun(client, oracle, {"e0": bytes(range(32))})

            def ask(callers: Callers, _: int) -> asyncio.Future[None]:
                return asyncio.ensure_future(callers.hashes(client, [bytes(range(32)), bytes(32)]))

            async with calling(history, 2, ask):
                for jump in range(sizes.jumps):
                    _set(moved, (HOUR_NS, -HOUR_NS, 0)[jump % 3])
                    answered = len(history.calls)
                    while len(history.calls) < answered + 6:  # noqa: ASYNC110  three answers, so one was asked since
                        await asyncio.sleep(0.001)
                    await client.detect(b"no picture", timeout_s=300)
        audit = service.data_dir / "audit"
    stamps = [call.report.created_at.timestamp() for call in history.ok() if call.report]
    verified = subprocess.run(  # noqa: ASYNC221  nothing else runs any more
        [sys.executable, "-m", "hashmatch", "audit", "verify", "--directory", str(audit)],
        capture_output=True,
        check=False,
    )
    wrong = history.wrong(oracle)
    noted(
        "clock", jumps=sizes.jumps, calls=len(history.calls), not_ok=dict(history.not_ok()), wrong=len(wrong),
        stamps_span_s=round(max(stamps) - min(stamps)), audit_exit_code=verified.returncode,
    )  # fmt: skip
    assert max(stamps) - min(stamps) > 7_000, "the clock was moved"
    assert wrong == []
    assert not history.not_ok()
    assert verified.returncode == 0, verified.stderr.decode()


def _set(moved: Path, by_ns: int) -> None:
    """Move the clock of whoever has mapped the file: in place, eight bytes at once."""
    with moved.open("r+b", buffering=0) as file:
        file.write(by_ns.to_bytes(8, sys.byteorder, signed=True))
