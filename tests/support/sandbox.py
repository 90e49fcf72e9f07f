"""Pools for tests: the real pool, zygote and worker, with the attacking hash function in the place of the real one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from hashmatch.config import DecodeConfig, SandboxConfig
from hashmatch.model import HashOptions, Picture
from hashmatch.sandbox.pool import WorkerPool
from hashmatch.sandbox.spawner import Launch

ATTACKS = "tests.support.sandbox_attacks"
ANY = HashOptions(algorithms=frozenset({"pdq"}))


def patient(**settings: Any) -> SandboxConfig:
    """Return settings under which only a hang, and not a slow machine, is a timeout."""
    return SandboxConfig(
        **{"workers": 1, "deadline_ms": 120_000, "start_timeout_ms": 600_000, "queue_ms": 600_000, **settings}
    )


def attack_pool(*, unconfined: bool = False, allow_degraded: bool | None = None, **settings: int) -> WorkerPool:
    """Make a pool of one worker that runs attacks; ``settings`` are those of :class:`SandboxConfig`."""
    degraded = unconfined if allow_degraded is None else allow_degraded
    config = patient(**settings, allow_degraded=degraded)
    return WorkerPool(DecodeConfig(max_bytes=1 << 20), config, _launch=Launch(ATTACKS, unconfined))


async def attack(pool: WorkerPool, name: str, argument: str = "", *, deadline_s: float | None = None) -> Picture:
    """Hand in an "image" that is an attack."""
    return await pool.hash(f"{name} {argument}".encode(), ANY, deadline_s=deadline_s)


async def worker_pids(pool: WorkerPool) -> list[int]:
    """Wait until the pool is at full strength; return the process ids of its workers."""
    async with asyncio.timeout(300):
        while len(pool._workers) < pool._target:  # noqa: ASYNC110 - see below
            await asyncio.sleep(0.002)  # the pool tells nobody, and should not, just for a test
    return sorted(worker.pid for worker in pool._workers)


def zygote_pid(pool: WorkerPool) -> int:
    """Process id of the pool's zygote."""
    assert pool._spawner is not None
    return pool._spawner.pid


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def children(pid: int) -> set[int]:
    """Every living descendant of a process."""
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                if int(fields[1]) == pid and fields[0] != "Z":
                    found |= {int(entry.name)} | children(int(entry.name))
    return found


def descriptors() -> set[str]:
    """Which descriptors this process has open, and on what."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that lists the directory
            found.add(f"{entry.name}: {entry.readlink()}")
    return found


@contextlib.contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Stop processes until the block ends: whatever they are asked, they have not answered yet."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextlib.asynccontextmanager
async def queued(pool: WorkerPool, *images: bytes) -> AsyncIterator[list[asyncio.Task[Picture]]]:
    """Hand in images and let them reach their workers or the queue; cancel what is left at the end."""
    tasks = [asyncio.create_task(pool.hash(image, ANY)) for image in images]
    await asyncio.sleep(0)  # each runs until it waits: for a worker, or for a worker's answer
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
