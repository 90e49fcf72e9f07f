"""Workers that die, hang or are given up on: no answer is wrong, the pool recovers, and nothing is left behind."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import hashlib
import os
import random
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from hashmatch.config import DecodeConfig, SandboxConfig
from hashmatch.errors import Overloaded, SandboxUnavailable, UnknownAlgorithm
from hashmatch.model import HashOptions, Picture, Refusal
from hashmatch.sandbox.pool import WorkerPool
from hashmatch.sandbox.spawner import Launch, Worker
from tests.support.sandbox import (
    ANY,
    alive,
    attack,
    attack_pool,
    children,
    descriptors,
    frozen,
    queued,
    worker_pids,
    zygote_pid,
)


def is_right(picture: Picture, image: bytes) -> bool:
    """Whether the stand-in's answer is the one for this image."""
    return [computed.value for computed in picture.hashes] == [hashlib.sha256(image).digest()]


async def until(condition: object, seconds: float = 300) -> None:
    """Wait until ``condition()`` holds; the limit only ends a hang."""
    assert callable(condition)
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - processes give no event
            await asyncio.sleep(0.002)


@pytest.mark.parametrize(("fault", "name"), [("segfault", "SIGSEGV"), ("abort", "SIGSYS"), ("fork", "SIGSYS")])
async def test_an_image_that_kills_two_workers_is_refused_with_the_signal(fault: str, name: str) -> None:
    async with attack_pool() as pool:
        before = await worker_pids(pool)
        picture = await attack(pool, fault)
        assert picture.refusal is Refusal.CRASHED
        assert picture.detail == f"2 workers died on this image, the last killed by {name}"
        assert is_right(await pool.hash(b"next", ANY), b"next")
        assert pool.status().restarts == 2
        assert pool.status().images == 2
        assert set(before).isdisjoint(await worker_pids(pool))


async def test_an_image_whose_worker_was_killed_by_something_else_is_tried_again() -> None:
    async with attack_pool() as pool:
        (victim,) = await worker_pids(pool)
        with frozen(victim):
            async with queued(pool, b"sleep 0.1") as (task,):
                os.kill(victim, signal.SIGKILL)
                picture = await task
        assert (picture.refusal, picture.detail) == (Refusal.CORRUPT, "allowed"), "the second worker finished its nap"
        assert pool.status().restarts == 1


async def test_a_worker_that_exits_is_replaced() -> None:
    async with attack_pool() as pool:
        picture = await attack(pool, "exit")
        assert picture.detail == "2 workers died on this image, the last exited"


async def test_an_idle_worker_that_dies_is_replaced_before_anyone_asks() -> None:
    async with attack_pool(workers=2) as pool:
        before = await worker_pids(pool)
        os.kill(before[0], signal.SIGKILL)
        await until(lambda: pool.status().restarts == 1)
        after = await worker_pids(pool)
        assert set(before) & set(after) == {before[1]}


async def test_a_hang_holds_up_nobody_else() -> None:
    async with attack_pool(workers=2) as pool, queued(pool, b"spin ") as (hang,):
        assert is_right(await pool.hash(b"other", ANY), b"other")
        assert not hang.done()


async def hung(pool: WorkerPool, deadline_s: float | None = None) -> float:
    """Have a worker hang until the pool ends it; return how many seconds that took."""
    started = time.monotonic()
    picture = await attack(pool, "spin", deadline_s=deadline_s)
    elapsed_s = time.monotonic() - started
    assert picture.refusal is Refusal.TIMEOUT
    told = re.fullmatch(r"the worker was killed after (\d+) ms", picture.detail)
    assert told
    assert int(told[1]) <= 1_000 * elapsed_s + 1
    assert pool.status().restarts == 1
    return elapsed_s


async def test_a_hang_ends_at_the_deadline() -> None:
    async with attack_pool(deadline_ms=150) as pool:
        assert await hung(pool) >= 0.15


async def test_the_callers_deadline_counts_when_it_is_shorter() -> None:
    async with attack_pool(deadline_ms=600_000) as pool, asyncio.timeout(300):
        assert await hung(pool, deadline_s=0.15) >= 0.15


async def test_a_full_queue_is_said_at_once() -> None:
    async with attack_pool(queue=1) as pool:
        async with queued(pool, b"sleep 600"):
            pool.check_room()  # one may wait
        await worker_pids(pool)
        async with queued(pool, b"sleep 600", b"waiting"):
            assert (pool.status().busy, pool.status().queued) == (1, 1)
            with pytest.raises(Overloaded, match=r"^all 1 are busy and 1 images wait already$"):
                await pool.hash(b"too many", ANY)
            with pytest.raises(Overloaded, match=r"^all 1 are busy and 1 images wait already$"):
                pool.check_room()
        await worker_pids(pool)
        pool.check_room()
        assert is_right(await pool.hash(b"after", ANY), b"after")


async def test_a_queue_that_takes_too_long_is_said_at_once() -> None:
    async with attack_pool(queue_ms=1) as pool:
        await attack(pool, "sleep", "0.2")
        async with queued(pool, b"sleep 600", b"waiting"):
            with pytest.raises(
                Overloaded, match=r"^the wait behind 1 images is \d+ ms, and at most 1 are waited$"
            ) as refused:
                await pool.hash(b"too many", ANY)
        assert refused.value.retry_after_s > 0.15
        await worker_pids(pool)
        assert is_right(await pool.hash(b"after", ANY), b"after")


async def test_a_deadline_that_cannot_be_met_is_said_at_once() -> None:
    async with attack_pool() as pool:
        await attack(pool, "sleep", "0.2")
        async with queued(pool, b"sleep 600"):
            with pytest.raises(Overloaded, match=r"^an answer behind 0 images takes \d+ ms, and the caller"):
                await pool.hash(b"too late", ANY, deadline_s=0.3)
            assert pool.status().queued == 0


async def test_waiting_ends_at_the_callers_deadline() -> None:
    async with attack_pool() as pool, queued(pool, b"sleep 600"):
        with pytest.raises(Overloaded, match=r"^no worker became free before the deadline$"):
            await pool.hash(b"waiting", ANY, deadline_s=0.05)
        assert pool.status().queued == 0
        with pytest.raises(Overloaded, match=r"^no worker became free before the deadline$"):
            await pool.hash(b"too late", ANY, deadline_s=-1.0)


async def test_waiting_is_reported() -> None:
    async with attack_pool() as pool:
        begun = time.monotonic()
        (worker,) = await worker_pids(pool)
        with frozen(worker):
            async with queued(pool, b"first", b"waiting") as (_, waiting):
                handed_in = time.monotonic()
                await asyncio.sleep(0.05)
                released = time.monotonic()
                os.kill(worker, signal.SIGCONT)
                picture = await waiting
        assert is_right(picture, b"waiting")
        assert released - handed_in <= (picture.queue_us + 1) / 1e6
        assert picture.queue_us / 1e6 <= time.monotonic() - begun


async def test_a_cancelled_caller_kills_the_worker() -> None:
    async with attack_pool() as pool:
        before = await worker_pids(pool)
        async with queued(pool, b"spin "):
            pass
        assert set(before).isdisjoint(await worker_pids(pool))
        assert is_right(await pool.hash(b"next", ANY), b"next")
        await until(lambda: not alive(before[0]))


async def test_a_worker_handed_to_a_cancelled_caller_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async with attack_pool() as pool:
        (pid,) = await worker_pids(pool)
        give_back = pool._give_back
        with frozen(pid):
            async with queued(pool, b"first", b"given up") as (first, given_up):

                def give_back_and_cancel(worker: Worker) -> None:
                    give_back(worker)
                    given_up.cancel()

                monkeypatch.setattr(pool, "_give_back", give_back_and_cancel)
                os.kill(pid, signal.SIGCONT)
                assert is_right(await first, b"first")
                with pytest.raises(asyncio.CancelledError):
                    await given_up
        assert pool.status().busy == 0
        assert is_right(await pool.hash(b"next", ANY), b"next")
        assert await worker_pids(pool) == [pid]


async def test_workers_are_recycled_without_counting_as_faults() -> None:
    async with attack_pool(recycle_after=3) as pool:
        first = await worker_pids(pool)
        for number in range(7):
            image = b"image %d" % number
            assert is_right(await pool.hash(image, ANY), image)
        assert set(first).isdisjoint(await worker_pids(pool))
        assert pool.status().restarts == 0


async def test_picture_memory_is_overwritten_after_each_image() -> None:
    async with attack_pool() as pool:
        await worker_pids(pool)
        (worker,) = pool._workers
        image = b"x" * 5_000
        assert is_right(await pool.hash(image, ANY), image)
        assert worker._memory._mapping[: len(image)] == bytes(len(image))


async def test_a_dead_zygote_is_replaced_and_health_says_so_meanwhile() -> None:
    async with attack_pool(workers=2) as pool:
        before = await worker_pids(pool)
        assert pool.healthy
        os.kill(zygote_pid(pool), signal.SIGKILL)
        await until(lambda: not pool.healthy)
        assert is_right(await pool.hash(b"patient", ANY), b"patient")
        after = await worker_pids(pool)
        assert pool.healthy
        assert set(before).isdisjoint(after)
        await until(lambda: not any(alive(pid) for pid in before))  # workers die with their zygote


async def test_a_zygote_that_dies_with_images_in_flight_loses_none() -> None:
    async with attack_pool(workers=2) as pool:
        with frozen(*await worker_pids(pool)):
            async with queued(pool, b"sleep 0.1", b"sleep 0.1", b"waiting") as tasks:
                os.kill(zygote_pid(pool), signal.SIGKILL)
                pictures = await asyncio.gather(*tasks)
        assert [picture.detail for picture in pictures] == ["allowed", "allowed", ""]


async def test_while_no_zygote_comes_up_callers_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with attack_pool() as pool:
        monkeypatch.setattr(pool, "_launch", Launch("tests.support.there_is_no_such_module"))
        os.kill(zygote_pid(pool), signal.SIGKILL)
        await until(lambda: not pool.healthy and not pool.status().workers)
        with pytest.raises(
            SandboxUnavailable, match=r"^the sandbox is being restarted and no worker came back in time$"
        ):
            await pool.hash(b"image", ANY, deadline_s=0.2)
        monkeypatch.undo()
        await until(lambda: pool.healthy)
        assert is_right(await pool.hash(b"image", ANY), b"image")


async def test_closing_ends_calls_processes_and_descriptors() -> None:
    gc.collect()
    before = descriptors()
    pool = attack_pool(workers=2)
    await pool.start()
    family = {zygote_pid(pool)} | children(zygote_pid(pool))
    assert len(family) == 3
    async with queued(pool, b"spin ", b"spin ", b"waiting") as tasks:
        await pool.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(result) for result in results] == ["the sandbox is not running"] * 3
    assert not any(alive(pid) for pid in family)
    assert descriptors() <= before
    await pool.close()


async def test_faults_leave_no_descriptor_and_no_process() -> None:
    async with attack_pool(workers=2, recycle_after=5) as pool:
        await worker_pids(pool)
        before = len(descriptors())
        for fault in ("segfault", "spin", "fork", "babble", "ok", "raise", "exit") * 3:
            await worker_pids(pool)
            await attack(pool, fault, deadline_s=0.05 if fault == "spin" else None)
        pids = await worker_pids(pool)
        await until(lambda: children(zygote_pid(pool)) == set(pids))
        await until(lambda: len(descriptors()) <= before)


START_AND_WAIT = """
import asyncio
from tests.support.sandbox import attack_pool, worker_pids, zygote_pid
async def main():
    async with attack_pool(workers=2) as pool:
        print(zygote_pid(pool), *await worker_pids(pool), flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


async def test_everything_dies_with_the_process_that_started_it() -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", START_AND_WAIT, stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert server.stdout is not None
    family = [int(word) for word in (await server.stdout.readline()).split()]
    assert len(family) == 3
    assert all(alive(pid) for pid in family)
    server.kill()
    await server.communicate()
    await until(lambda: not any(alive(pid) for pid in family))


async def test_zygote_is_a_fresh_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    import grpc  # noqa: F401 - what the pool's process has loaded, the zygote must not have

    monkeypatch.setenv("HASHMATCH_SECRET_OF_THE_PARENT", "hush")
    async with attack_pool() as pool:
        zygote = Path(f"/proc/{zygote_pid(pool)}")
        environment = (zygote / "environ").read_bytes()
        assert b"hush" not in environment
        assert b"OMP_NUM_THREADS=1" in environment
        libraries = (zygote / "maps").read_text(encoding="utf-8")
        assert "libc.so" in libraries
        assert "grpc" not in libraries
        assert "faiss" not in libraries


async def test_a_zygote_that_cannot_start_says_why() -> None:
    pool = WorkerPool(DecodeConfig(), SandboxConfig(), _launch=Launch("tests.support.there_is_no_such_module"))
    with pytest.raises(SandboxUnavailable) as caught:
        await pool.start()
    assert caught.value.message == (
        "the zygote could not start: ModuleNotFoundError: No module named 'tests.support.there_is_no_such_module'"
    )


async def test_a_file_over_the_limit_takes_no_worker() -> None:
    async with attack_pool() as pool:
        picture = await pool.hash(bytes((1 << 20) + 1), ANY)
        assert picture == Picture(refusal=Refusal.TOO_LARGE, detail="1048577 bytes; at most 1048576 are decoded")
        assert is_right(await pool.hash(bytes(1 << 20), ANY), bytes(1 << 20))


async def test_unknown_algorithms_are_the_callers_mistake() -> None:
    async with attack_pool() as pool:
        with pytest.raises(UnknownAlgorithm, match="nonesuch"):
            await pool.hash(b"image", HashOptions(algorithms=frozenset({"nonesuch"})))
        with pytest.raises(UnknownAlgorithm, match=r"^md5: none is computed from a picture$"):
            await pool.hash(b"image", HashOptions(algorithms=frozenset({"md5"})))
        both = dataclasses.replace(ANY, algorithms=frozenset({"md5", "pdq"}))
        assert is_right(await pool.hash(b"image", both), b"image")


async def test_two_hundred_images_under_random_kills_are_never_wrong() -> None:
    rng = random.Random(7)
    async with attack_pool(workers=2, queue=300) as pool:
        images = [b"image %d " % number + rng.randbytes(2_000) for number in range(200)]
        tasks = [asyncio.create_task(pool.hash(image, ANY)) for image in images]
        kills = 0

        def kill_one() -> None:
            nonlocal kills
            if pool._workers:
                rng.choice(sorted(pool._workers, key=lambda worker: worker.pid)).kill()
                kills += 1

        loop = asyncio.get_running_loop()
        for number, task in enumerate(tasks):
            if number % 8 == 0:  # at once, while the worker that answered is there
                task.add_done_callback(lambda _: kill_one())
            elif number % 4 == 0:
                wait_s = rng.choice([0, 0.001, 0.002])
                task.add_done_callback(lambda _, wait_s=wait_s: loop.call_later(wait_s, kill_one))  # type: ignore[misc]
        pictures = await asyncio.gather(*tasks)
        answered = [is_right(p, i) for p, i in zip(pictures, images, strict=True) if p.refusal is None]
        refused = [p.detail for p in pictures if p.refusal is not None]
        assert kills >= 25
        assert all(answered)
        assert len(answered) + len(refused) == 200
        assert set(refused) <= {"4 workers died on this image, the last killed by SIGKILL"}
        assert await worker_pids(pool)


async def test_bytes_that_killed_twice_cost_nobody_another_worker() -> None:
    async with attack_pool(workers=2) as pool:
        await worker_pids(pool)
        assert (await attack(pool, "segfault")).detail == "2 workers died on this image, the last killed by SIGSEGV"
        family = await worker_pids(pool)
        restarts = pool.status().restarts
        for _ in range(50):
            refused = await attack(pool, "segfault")
            assert refused.refusal is Refusal.CRASHED
            assert re.fullmatch(r"workers died on this image, and it is not tried again for \d+ s", refused.detail)
            assert is_right(await pool.hash(b"other", ANY), b"other")
        assert await worker_pids(pool) == family
        assert (await attack(pool, "segfault", "another")).detail.startswith("2 workers died on this image")
        status = pool.status()
        assert (status.restarts, status.quarantined, status.quarantine_refusals) == (restarts + 2, 2, 50)


async def test_many_who_send_the_same_poison_at_once_cost_a_few_workers() -> None:
    async with attack_pool(workers=2, queue=100) as pool:
        await worker_pids(pool)
        async with queued(pool, *[b"segfault "] * 60, b"other") as tasks:
            *poisoned, other = await asyncio.gather(*tasks)
        assert {picture.refusal for picture in poisoned} == {Refusal.CRASHED}
        assert is_right(other, b"other")
        assert pool.status().restarts <= 4, "two that had a worker at once, and as many that were tried again"


async def test_images_whose_workers_are_killed_from_outside_are_tried_again_later() -> None:
    async with attack_pool() as pool:
        for _ in range(2):
            (victim,) = await worker_pids(pool)
            with frozen(victim):
                async with queued(pool, b"sleep 0.1") as (task,):
                    os.kill(victim, signal.SIGKILL)
                    assert (await task).detail == "allowed"
        assert pool.status().quarantined == 0
