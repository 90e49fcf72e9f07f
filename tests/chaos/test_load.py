"""Workers that die, pictures that kill, and lists that change, under load: no answer is wrong."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

from hashmatch.client import AsyncClient
from hashmatch.errors import HashmatchError
from hashmatch.model import MatchReport, Refusal
from tests.chaos.history import History, Oracle, quantile_ms
from tests.chaos.load import ONCE, Callers, begun, calling, hashed, known, photos
from tests.chaos.serving import Served, Setup, kill, served
from tests.chaos.sizes import Sizes

PER_S = 5.0
CALLERS = 8
LEAST_OK = 0.999


async def kill_workers(service: Served, count: int, history: History) -> None:
    """Kill so many workers, chosen at random, a few in a second, and on a busy machine at longer intervals.

    Between two of them as many calls are answered as are under way: no picture is there for the four that would end it.
    """
    rng, killed = random.Random(1), 0
    while killed < count:
        answered = len(history.calls)
        await asyncio.sleep(1 / PER_S)
        while len(history.calls) < answered + 2 * CALLERS:  # noqa: ASYNC110  the callers tell nobody
            await asyncio.sleep(0.001)
        if workers := service.workers():
            killed += kill(rng.choice(workers))


async def test_workers_that_are_killed_cost_no_answer(tmp_path: Path, sizes: Sizes, noted: Callable[..., None]) -> None:
    pictures, oracle, history, undisturbed = photos(20), Oracle(), History(), History()
    with served(tmp_path) as service:
        async with AsyncClient(service.target, retry=ONCE) as client:
            await begun(client, oracle, {f"e{n}": photo.value for n, photo in enumerate(pictures[::2])})

            def ask(callers: Callers, number: int) -> asyncio.Future[None]:
                return asyncio.ensure_future(callers.images(client, pictures, number))

            async with calling(undisturbed, CALLERS, ask):
                await asyncio.sleep(sizes.quiet_s)
            async with calling(history, CALLERS, ask):
                await kill_workers(service, sizes.kills, history)
            status = await client.status()
    wrong = history.wrong(oracle) + undisturbed.wrong(oracle)
    share = len(history.ok()) / len(history.calls)
    noted(
        "kills", killed=sizes.kills, calls=len(history.calls), ok=len(history.ok()), not_ok=dict(history.not_ok()),
        wrong=len(wrong), restarts=status.workers.restarts, p99_ms=round(quantile_ms(history.ok(), 0.99), 1),
        p99_undisturbed_ms=round(quantile_ms(undisturbed.ok(), 0.99), 1),
    )  # fmt: skip
    assert wrong == []
    assert not undisturbed.not_ok()
    assert share >= LEAST_OK, history.not_ok()
    assert {bool(call.report and call.report.hits) for call in history.ok()} == {True, False}


async def test_a_picture_that_kills_is_put_away_and_others_do_not_notice(
    tmp_path: Path, noted: Callable[..., None]
) -> None:
    poison, repeats = b"segfault ", 200
    with served(tmp_path, Setup(module="tests.chaos.serve_poisonable")) as service:
        async with AsyncClient(service.target, retry=ONCE) as client:
            await client.wait_ready(300)
            first = await client.detect(poison)
            restarts = (await client.status()).workers.restarts
            within = asyncio.Semaphore(32)

            async def ask(image: bytes) -> MatchReport:
                async with within:
                    return await client.detect(image, timeout_s=300)

            asked = [ask(poison if n % 2 else b"fine %d" % n) for n in range(2 * repeats)]
            reports = await asyncio.gather(*asked)
            status = await client.status()
    fine, poisoned = reports[::2], reports[1::2]
    told = {report.detail.rpartition(" for ")[0] for report in poisoned}
    noted(
        "poison", sent=repeats, others=len(fine), others_ok=sum(r.reason is Refusal.TOO_SMALL for r in fine),
        workers_lost_first=restarts, workers_lost_later=status.workers.restarts - restarts,
        refused=status.workers.quarantine_refusals,
    )  # fmt: skip
    assert (first.reason, first.detail) == (
        Refusal.CRASHED,
        "2 workers died on this image, the last killed by SIGSEGV",
    )
    assert {report.reason for report in fine} == {Refusal.TOO_SMALL}, "the stand-in's pictures have eight pixels"
    assert {report.reason for report in poisoned} == {Refusal.CRASHED}
    assert told == {"workers died on this image, and it is not tried again"}
    assert (status.workers.restarts, status.workers.quarantined) == (restarts, 1)
    assert status.workers.quarantine_refusals == repeats


async def seen(history: History, generation: str) -> None:
    """Return once a caller was answered from a generation."""
    async with asyncio.timeout(300):
        while generation not in {call.report and call.report.generation for call in history.calls[-100:]}:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_lists_that_change_under_load_give_no_answer_of_another_generation(
    tmp_path: Path, sizes: Sizes, noted: Callable[..., None]
) -> None:
    rng, oracle, history, quiet = random.Random(2), Oracle(), History(), History()
    one, other = rng.randbytes(32), rng.randbytes(32)
    failed: list[HashmatchError] = []
    with served(tmp_path, Setup(index=f"max_delta_entries = {sizes.compact_every}")) as service:
        async with AsyncClient(service.target, retry=ONCE) as client, AsyncClient(service.target) as writer:
            await begun(writer, oracle, {"e0": one})

            def ask(callers: Callers, _: int) -> asyncio.Future[None]:
                return asyncio.ensure_future(callers.hashes(client, [one, other]))

            async with calling(quiet, 4, ask):
                await asyncio.sleep(sizes.quiet_s)
            async with calling(history, 4, ask):
                before = {"e0": one}
                for number in range(1, sizes.reloads + 1):
                    after = {f"e{number}": (one, other)[number % 2]}
                    try:
                        await seen(history, await known(writer, oracle, after, instead_of=before))
                    except HashmatchError as error:
                        failed.append(error)
                    before = after
            (last,) = await client.detect_hashes([hashed(one)])
            snapshots = max(int(path.name.split("-")[1]) for path in (service.data_dir / "segments").glob("*.hms"))
    wrong, named = history.wrong(oracle), {c.report.generation for c in history.ok() if c.report}
    noted(
        "reloads", reloads=sizes.reloads, failed=len(failed), calls=len(history.calls), not_ok=dict(history.not_ok()),
        wrong=len(wrong), generations_named=len(named), snapshots=snapshots,
        p99_ms=round(quantile_ms(history.ok(), 0.99), 1), p99_quiet_ms=round(quantile_ms(quiet.ok(), 0.99), 1),
    )  # fmt: skip
    assert failed == []
    assert wrong == []
    assert not history.not_ok()
    assert len(oracle.generations) == sizes.reloads + 1
    assert len(named) >= sizes.reloads
    assert last.generation in oracle.generations
