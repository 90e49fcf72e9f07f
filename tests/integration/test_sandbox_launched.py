"""A zygote that is executed ahead of the pool's start: it is the one that is used, or it is gone."""

from __future__ import annotations

import gc
import hashlib
import os
import signal
from pathlib import Path

import pytest

from hashmatch.errors import SandboxUnavailable
from tests.support.sandbox import ANY, alive, attack, attack_pool, descriptors, worker_pids, zygote_pid


async def test_a_launched_zygote_is_the_one_that_is_started() -> None:
    pool = attack_pool()
    async with pool.launched():
        launched = zygote_pid(pool)
        assert not pool.healthy
        with pytest.raises(SandboxUnavailable, match="the sandbox is not running"):
            await pool.hash(b"image", ANY)
        await pool.start()
        assert zygote_pid(pool) == launched
        assert pool.healthy
        picture = await pool.hash(b"image", ANY)
        assert [computed.value for computed in picture.hashes] == [hashlib.sha256(b"image").digest()]
    assert not alive(launched)


async def test_a_launched_zygote_that_nobody_starts_ends_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    gc.collect()  # what other tests left behind is closed, and complains, now
    caplog.clear()
    pool = attack_pool()
    before = descriptors()
    async with pool.launched():
        launched = zygote_pid(pool)
        assert alive(launched)
    assert not alive(launched)
    assert descriptors() <= before
    gc.collect()  # a future that nobody asked would complain now
    assert caplog.records == []


async def test_a_launched_zygote_that_is_gone_when_it_is_started_is_said() -> None:
    pool = attack_pool()
    async with pool.launched():
        os.kill(zygote_pid(pool), signal.SIGKILL)
        with pytest.raises(SandboxUnavailable) as caught:
            await pool.start()
    assert caught.value.message == "the zygote ended while it was being asked for something"


@pytest.mark.parametrize("levels", [0, 3])
async def test_workers_stand_back_behind_whoever_answers(levels: int) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    expected = min(own + levels, 19)
    async with attack_pool(nice=levels) as pool:
        first = await worker_pids(pool)
        await attack(pool, "exit")
        replaced = await worker_pids(pool)
        assert replaced != first
        assert [os.getpriority(os.PRIO_PROCESS, pid) for pid in (zygote_pid(pool), *replaced)] == [expected] * 2
        group = group_of(zygote_pid(pool))
        assert not group or group.endswith(f" nice {levels}\n")
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


def group_of(pid: int) -> str:
    """Return how the kernel shares processors out to the session of a process; empty where it does not."""
    path = Path(f"/proc/{pid}/autogroup")
    return path.read_text() if path.exists() else ""
