"""The attack table, through the real entry point, with its negative control.

A check of a sandbox that never fails proves nothing: a pool whose workers were never locked up would pass it. So each
attack runs twice, against the pool as it is shipped and against one whose workers were told to lock up nothing, and it
has to succeed there.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from hashmatch.errors import SandboxUnavailable
from hashmatch.model import Picture, Refusal
from hashmatch.sandbox.pool import WorkerPool
from tests.support.sandbox import ANY, attack, attack_pool, worker_pids


@dataclass(frozen=True)
class Attack:
    """What one attack meets; ``unconfined`` is a pattern, since kernels and containers differ in what they allow."""

    name: str
    confined: str
    unconfined: str = "allowed"
    argument: str = ""

    def __str__(self) -> str:
        return self.name


REACHES_THE_KERNEL = "allowed|EPERM|EINVAL|EFAULT|E2BIG|EBADF|ENOSYS|EACCES"

TABLE = [
    Attack("open-read", "EACCES", argument="/etc/passwd"),
    Attack("open-write", "EACCES", argument="{tmp}/written"),
    Attack("listdir", "EACCES", argument="/"),
    Attack("stat", "EACCES", argument="/etc/passwd"),
    Attack("own-memory-file", "EACCES"),
    Attack("write-picture-memory", "EACCES", unconfined="EACCES"),  # the seal on the memory, not the lockdown
    Attack("socket", "SIGSYS"),
    Attack("connect", "SIGSYS", argument="{port}"),
    Attack("execve", "SIGSYS", unconfined="exited"),
    Attack("fork", "SIGSYS"),
    Attack("mmap-exec", "SIGSYS"),
    Attack("ptrace", "SIGSYS"),
    Attack("memfd", "SIGSYS"),
    Attack("unlink", "SIGSYS", argument="{tmp}/victim"),
    Attack("kill-parent", "SIGSYS"),
    Attack("kill-group", "SIGSYS"),
    Attack("process-vm-readv", "SIGSYS", unconfined=REACHES_THE_KERNEL),
    Attack("io-uring", "SIGSYS", unconfined=REACHES_THE_KERNEL),
    Attack("bpf", "SIGSYS", unconfined=REACHES_THE_KERNEL),
    Attack("unshare", "SIGSYS", unconfined=REACHES_THE_KERNEL),
    Attack("allocate", "more memory than a worker may have"),
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def confined() -> AsyncIterator[WorkerPool]:
    async with attack_pool() as pool:
        yield pool


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def unconfined() -> AsyncIterator[WorkerPool]:
    async with attack_pool(unconfined=True) as pool:
        yield pool


async def outcome(pool: WorkerPool, row: Attack, tmp_path: Path) -> Picture:
    (tmp_path / "victim").touch()
    with socket.create_server(("127.0.0.1", 0)) as server:
        argument = row.argument.format(tmp=tmp_path, port=server.getsockname()[1])
        return await attack(pool, row.name, argument)


def about(pid: int, name: str) -> str:
    """Read what the kernel tells anyone of a process."""
    return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("row", TABLE, ids=str)
async def test_attack_is_stopped(confined: WorkerPool, tmp_path: Path, row: Attack) -> None:
    picture = await outcome(confined, row, tmp_path)
    assert re.search(rf"\b{row.confined}\b", picture.detail), picture.detail
    assert (tmp_path / "victim").exists()
    assert not (tmp_path / "written").exists()
    assert (await confined.hash(b"next", ANY)).refusal is None, "the pool serves the next image"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("row", TABLE, ids=str)
async def test_attack_succeeds_where_nothing_is_locked(unconfined: WorkerPool, tmp_path: Path, row: Attack) -> None:
    picture = await outcome(unconfined, row, tmp_path)
    assert re.search(rf"\b({row.unconfined})\b", picture.detail), picture.detail
    assert (tmp_path / "written").exists() == (row.name == "open-write")
    assert (tmp_path / "victim").exists() == (row.name != "unlink")


@pytest.mark.asyncio(loop_scope="module")
async def test_each_pool_says_what_it_is(confined: WorkerPool, unconfined: WorkerPool) -> None:
    await worker_pids(confined)
    honest = confined.status().posture
    assert honest is not None
    assert honest.confined
    assert repr(confined).startswith("<WorkerPool healthy, confined: 1/1 workers, 0 busy, 0 queued")
    open_door = unconfined.status().posture
    assert open_door is not None
    assert not open_door.confined
    assert {p.name for p in open_door.missing()} == {p.name for p in honest.protections if p.required}
    assert repr(unconfined).startswith("<WorkerPool healthy, NOT CONFINED: ")


@pytest.mark.asyncio(loop_scope="module")
async def test_the_kernel_confirms_the_posture(confined: WorkerPool) -> None:
    (pid,) = await worker_pids(confined)
    status = about(pid, "status")
    assert re.search(r"^NoNewPrivs:\s1$", status, re.MULTILINE)
    assert re.search(r"^Seccomp:\s2$", status, re.MULTILINE)
    assert re.search(r"^Threads:\s1$", status, re.MULTILINE)
    limits = about(pid, "limits")
    for name in ("Max core file size", "Max file size", "Max processes", "Max open files"):
        assert re.search(rf"^{name}\s+0\s+0\s", limits, re.MULTILINE), limits


async def test_a_pool_without_confinement_refuses_to_start() -> None:
    pool = attack_pool(unconfined=True, allow_degraded=False)
    with pytest.raises(SandboxUnavailable) as caught:
        await pool.start()
    text = caught.value.message
    assert text.startswith("workers cannot be confined here: parent-death is not in force (left out); not-dumpable")
    assert "seccomp is not in force (left out): use a kernel with CONFIG_SECCOMP_FILTER" in text
    assert "self-test is not in force (a worker that created a socket survived)" in text
    assert text.endswith("or set sandbox.allow_degraded = true to decode strangers' images with less protection")
    assert repr(pool) == "<WorkerPool stopped>"
    with pytest.raises(SandboxUnavailable, match="the sandbox is not running"):
        await pool.hash(b"image", ANY)


async def test_a_worker_that_allocates_too_much_serves_the_next_image() -> None:
    async with attack_pool() as pool:
        before = await worker_pids(pool)
        assert (await attack(pool, "allocate")).refusal is Refusal.BOMB
        assert (await pool.hash(b"next", ANY)).refusal is None
        assert await worker_pids(pool) == before


async def test_the_text_of_an_exception_stays_in_the_worker() -> None:
    async with attack_pool() as pool:
        picture = await attack(pool, "raise")
        assert picture.refusal is Refusal.CRASHED
        assert picture.detail == "unexpected RuntimeError in the worker"


async def test_a_worker_that_answers_nonsense_is_killed() -> None:
    async with attack_pool() as pool:
        before = await worker_pids(pool)
        picture = await attack(pool, "babble")
        assert picture.refusal is Refusal.CRASHED
        assert picture.detail.startswith("the worker's reply is not valid: message begins b'\\xff\\xff\\xff\\xff'")
        await asyncio.sleep(0)
        assert await worker_pids(pool) != before
