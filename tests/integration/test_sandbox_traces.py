"""No byte of an image reaches a disk or a log, whatever happens to the worker; and the test would see it if one did."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashmatch.config import DecodeConfig
from hashmatch.model import HashOptions
from hashmatch.sandbox.pool import WorkerPool
from tests.support import images
from tests.support.sandbox import attack, attack_pool, patient, queued, worker_pids, zygote_pid

CANARY = b"canary-" + secrets.token_hex(8).encode()  # not in this file, or the search would find this file
MAX_DEPTH = 12
MAX_FILE_BYTES = 64 << 20


def written_since(mark: float, roots: list[Path], depth: int = 0) -> Iterator[Path]:
    """Yield regular files that changed after ``mark``."""
    for root in roots:
        try:
            entries = list(os.scandir(root))
        except OSError:
            continue
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                if depth < MAX_DEPTH:
                    yield from written_since(mark, [path], depth + 1)
            elif entry.is_file(follow_symlinks=False):
                with contextlib.suppress(FileNotFoundError):  # other processes come and go
                    if path.lstat().st_mtime >= mark:
                        yield path


def with_canary(mark: float, *more: Path) -> list[Path]:
    """Files in the places where temporary files and cores go that hold the canary."""
    roots = {Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), *more}  # noqa: S108
    found = []
    for path in written_since(mark, sorted(roots)):
        try:
            if path.stat().st_size <= MAX_FILE_BYTES and CANARY in path.read_bytes():
                found.append(path)
        except OSError:
            continue
    return found


def written_bytes(pid: int) -> int:
    fields = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines())
    return int(fields["write_bytes"])


def cores_at_the_root() -> set[Path]:
    """Core files in the zygote's working directory."""
    return set(Path("/").glob("core*"))


def canary_jpeg() -> bytes:
    return images.encoded(images.photo(5, (96, 80)), "JPEG", comment=CANARY)


@pytest.mark.skipif(os.geteuid() != 0, reason="the io counters of a worker that is not dumpable are for root only")
async def test_images_reach_no_disk_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    mark = time.time() - 1
    async with WorkerPool(DecodeConfig(), patient()) as pool:
        (worker,) = await worker_pids(pool)
        before = {pid: written_bytes(pid) for pid in (worker, zygote_pid(pool))}
        whole = canary_jpeg()
        assert CANARY in whole
        for data in (whole, whole[:-700], CANARY + whole, whole[:40] + CANARY):
            await pool.hash(data, HashOptions())
        assert {pid: written_bytes(pid) for pid in before} == before
    assert with_canary(mark) == []
    assert CANARY.decode() not in caplog.text


async def test_faults_leave_no_trace_either(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    mark = time.time() - 1
    cores = cores_at_the_root()
    async with attack_pool() as pool:
        for fault in ("segfault", "spin", "fork", "babble", "raise", "exit"):
            await worker_pids(pool)
            await attack(pool, fault, CANARY.decode(), deadline_s=0.1 if fault == "spin" else None)
        async with queued(pool, b"sleep 600 " + CANARY):
            pass
    await asyncio.sleep(0)
    assert "killed" in caplog.text
    assert CANARY.decode() not in caplog.text
    assert with_canary(mark) == []
    assert cores_at_the_root() == cores


async def test_positive_control_a_written_canary_is_found(tmp_path: Path) -> None:
    mark = time.time() - 1
    leak = tmp_path / "leak"
    async with attack_pool(unconfined=True) as pool:
        (worker,) = await worker_pids(pool)
        before = written_bytes(worker) if os.geteuid() == 0 else -1
        assert (await attack(pool, "leak", f"{leak} {CANARY.decode()}")).detail == "allowed"
        assert leak in with_canary(mark, tmp_path)
        if os.geteuid() == 0 and os.statvfs(tmp_path).f_blocks and not _in_memory(tmp_path):
            assert written_bytes(worker) > before
    async with attack_pool() as pool:
        assert (await attack(pool, "leak", f"{leak} {CANARY.decode()}")).detail == "EACCES"


def _in_memory(path: Path) -> bool:
    """Whether a path lies on a tmpfs, whose pages are not counted as written."""
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    covering = [(len(at), kind) for at, kind in mounts if path.is_relative_to(at)]
    return max(covering)[1] in {"tmpfs", "overlay"}
