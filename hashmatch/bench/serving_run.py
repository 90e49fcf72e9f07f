"""The service under load: what it answers, compared first; how many, how soon, and where the time goes.

Theory of operation
-------------------
A data directory is filled once. The service runs as people start it, and once more with the policy of
:data:`serving_parties.PLAIN`, which does no more than the peers do. Images, whose work is in the workers, are sent to
one process; hashes, whose work is in the process itself, to one per core. The ceiling is the same catalog, index,
workers and engine in this process, without gRPC; an echo server shows what gRPC alone costs with the same messages.
Closed loops find out how much each can do, in rounds that take turns, so that what disturbs the machine disturbs all.
Open loops (``arrivals``) then say how soon the service answers at 70 % of that, and what it refuses at 200 %.

The caller is this process and takes its part of the same cores, as little as it can (``wire``). The ceiling is scaled
to the cores that it leaves.

What this module deliberately does not do: it writes no file.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hashmatch.bench import goals, hash_pictures, machine, serving_parties
from hashmatch.bench.arrivals import OK, Rate, closed_loop, open_loop, poisson, summary
from hashmatch.bench.hash_run import goal_row
from hashmatch.bench.serving_goals import GOALS
from hashmatch.bench.serving_parties import CONNECTIONS
from hashmatch.config import Config
from hashmatch.errors import IntegrityError
from hashmatch.matching.engine import Engine, Submission
from hashmatch.progress import SILENT, Progress
from hashmatch.report.proto import report_to_proto
from hashmatch.v1 import detection_pb2, types_pb2

SIZE = (1_024, 768)
BATCH = 1_000
STEADY, OVERLOAD = 0.7, 2.0
KNOWN_EVERY = 12
"""Of so many pictures one is known: more than any platform sees. An answer that is a match takes a tenth longer."""
AT_A_TIME = 64
"""Callers that ask for one hash: 32 for each process on two cores."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to measure.

    ``entries`` in the list; ``processes`` that are asked for hashes, 0 for one per core; ``seconds`` of each
    measurement; ``rounds``; ``seed``.
    """

    entries: int = 1_000_000
    processes: int = 0
    seconds: float = 5.0
    rounds: int = 3
    seed: int = 1


@dataclass(slots=True)
class _Rates:
    """Rounds of one way of asking."""

    rounds: list[Rate] = field(default_factory=list)

    @property
    def per_s(self) -> float:
        """The median of the rounds."""
        return statistics.median(rate.per_s for rate in self.rounds)

    @property
    def caller_cores(self) -> float:
        """How many cores this process took meanwhile."""
        return statistics.median(rate.own_cpu_s / rate.seconds for rate in self.rounds)


def run(asked: Asked, progress: Progress = SILENT) -> dict[str, Any]:
    """Measure; JSON-able.

    Raises
    ------
    IntegrityError
        The service and the pipeline in process do not answer alike.
    ServiceUnavailable
        The service did not start.

    """
    samples = hash_pictures.generated(*SIZE, asked.seed)
    images = [sample.jpeg for sample in samples]
    noise = machine.noise()
    with tempfile.TemporaryDirectory(prefix="hashmatch-bench-") as name:
        where = Path(name)
        progress.start("measuring", 4 * asked.rounds + 5, "measurements")
        begin = time.perf_counter()
        known = [hashlib.sha256(image).hexdigest() for image in images[::KNOWN_EVERY]]
        serving_parties.prepare(where, asked.entries, known, asked.seed)
        importing_s = time.perf_counter() - begin
        progress.advance(1)
        results = asyncio.run(_measured(where, asked, images, progress))
        results["start"]["importing_s"] = importing_s
        progress.finish()
    described = {**machine.card(), "noise": {"load": noise.load, "spread": noise.spread, "quiet": noise.quiet}}
    checked = [goal_row(goal) for goal in goals.check(results, GOALS)]
    return {
        "entries": asked.entries, "processes": asked.processes or len(os.sched_getaffinity(0)),
        "seconds": asked.seconds, "rounds": asked.rounds,
        "image_bytes": round(statistics.mean(map(len, images))), **results, "goals": checked, "machine": described,
        "load_after": os.getloadavg()[0],
    }  # fmt: skip


async def _measured(where: Path, asked: Asked, images: Sequence[bytes], progress: Progress) -> dict[str, Any]:
    start = {"first_s": await _start(where, 1), "again_s": await _start(where, 1)}
    start["processes_s"] = await _start(where, asked.processes)
    progress.advance(1)
    async with (
        serving_parties.called(where, 1) as callers,
        serving_parties.called(where, 1, serving_parties.PLAIN) as plain,
        serving_parties.called(where, asked.processes) as hashes,
        serving_parties.called(where, asked.processes, serving_parties.PLAIN) as hashes_plain,
        serving_parties.echoing() as echoes,
        serving_parties.pipeline(where, Config()) as engine,
    ):
        await _check_alike(callers, engine, images)
        parties = _Parties(callers, plain, hashes, hashes_plain, echoes, engine)
        results = await _rates(asked, images, parties, progress)
        rate = results["images"]["service_per_s"]
        for name, share in (("steady", STEADY), ("overload", OVERLOAD)):
            results[name] = await _under_load(callers, images, share * rate, asked)
            progress.advance(1)
    return {"start": start, **results}


async def _start(where: Path, processes: int) -> float:
    begin = time.perf_counter()
    async with serving_parties.service(where, processes):
        return time.perf_counter() - begin


async def _check_alike(callers: serving_parties.Callers, engine: Engine, images: Sequence[bytes]) -> None:
    """Hold the answers of the service against those in process; raises IntegrityError."""
    for number, image in enumerate(images):
        served = await callers.report(image)
        here: Any = report_to_proto(await engine.detect(Submission(image)))
        for report in (served, here):
            for name in ("request_id", "created_at", "elapsed_us", "receipt"):
                report.ClearField(name)
        if served != here:
            raise IntegrityError(f"picture {number}: the service does not answer as the pipeline in process does")


@dataclass(frozen=True, slots=True)
class _Parties:
    """Who is asked."""

    callers: serving_parties.Callers
    plain: serving_parties.Callers
    hashes: serving_parties.Callers
    hashes_plain: serving_parties.Callers
    echoes: serving_parties.Callers
    engine: Engine

    def ways(self, images: Sequence[bytes], seed: int) -> Mapping[str, tuple[int, Callable[[int], Any]]]:
        """Return how many ask at a time in each way, and how."""
        one, many = ([serving_parties.looking_up(request) for request in _lookups(size, seed)] for size in (1, BATCH))
        asked = [serving_parties.asking(image) for image in images]
        nothing, cores = serving_parties.asking(b""), len(os.sched_getaffinity(0))

        async def here(number: int) -> str:
            await self.engine.detect(Submission(images[number % len(images)]))
            return OK

        return {
            "service": (4 * cores, lambda n: self.callers.detect(n, asked[n % len(asked)])),
            "pipeline": (4 * cores, here),
            "service_plain": (4 * cores, lambda n: self.plain.detect(n, asked[n % len(asked)])),
            "echo": (4 * cores, lambda n: self.echoes.echo(n, asked[n % len(asked)])),
            "echo_small": (AT_A_TIME, lambda n: self.echoes.echo(n, nothing)),
            "unary": (AT_A_TIME, lambda n: self.hashes.look_up(n, one[n % len(one)])),
            "unary_plain": (AT_A_TIME, lambda n: self.hashes_plain.look_up(n, one[n % len(one)])),
            "batched": (CONNECTIONS, lambda n: self.hashes.look_up(n, many[n % len(many)])),
            "batched_plain": (CONNECTIONS, lambda n: self.hashes_plain.look_up(n, many[n % len(many)])),
        }


async def _rates(asked: Asked, images: Sequence[bytes], parties: _Parties, progress: Progress) -> dict[str, Any]:
    """Measure how much each can do, in rounds that take turns."""
    ways, cores = parties.ways(images, asked.seed), len(os.sched_getaffinity(0))
    found = {name: _Rates() for name in ways}
    for number in range(asked.rounds):
        for name in list(ways)[:: 1 if number % 2 == 0 else -1]:
            count, call = ways[name]
            found[name].rounds.append(await closed_loop(count, asked.seconds, call))
        progress.advance(4)
    service, ceiling = found["service"], found["pipeline"]
    left = max(0.0, cores - service.caller_cores) / cores
    return {
        "images": {
            "service_per_s": service.per_s, "pipeline_per_s": ceiling.per_s, "caller_cores": service.caller_cores,
            "percent_of_pipeline": 100 * service.per_s / (ceiling.per_s * left) if left else None,
        },
        "images_plain": _figures(found["service_plain"]),
        "echo": _figures(found["echo"]),
        "echo_small": _figures(found["echo_small"]),
        "unary": _figures(found["unary"]),
        "unary_plain": _figures(found["unary_plain"]),
        "batched": _figures(found["batched"], BATCH),
        "batched_plain": _figures(found["batched_plain"], BATCH),
    }  # fmt: skip


def _figures(rates: _Rates, hashes: int = 0) -> dict[str, float]:
    """Put rates into figures; of calls with so many hashes, those too."""
    per_s = {"per_s": rates.per_s, "caller_cores": rates.caller_cores}
    return {**per_s, "hashes_per_s": hashes * rates.per_s} if hashes else per_s


async def _under_load(
    callers: serving_parties.Callers, images: Sequence[bytes], rate_per_s: float, asked: Asked
) -> dict[str, Any]:
    """Let calls arrive at a rate, and say what became of them and where the answered ones spent their time."""
    callers.answers.clear()
    callers.hints = 0
    due = poisson(rate_per_s, 2 * asked.seconds, asked.seed)
    bodies = [serving_parties.asking(image) for image in images]
    calls = await open_loop(due, lambda n: callers.detect(n, bodies[n % len(bodies)]))
    rows = callers.stages_us()
    names = sorted({name for row in rows for name in row})
    stages = {name: statistics.mean(row.get(name, 0) for row in rows) for name in names}
    return {"rate_per_s": rate_per_s, **summary(calls), "stages_us": stages, "refused_with_hint": callers.hints}


def _lookups(size: int, seed: int) -> list[detection_pb2.DetectHashesRequest]:
    """Make requests about hashes that no list has."""
    rng = np.random.default_rng(seed + size)
    return [
        detection_pb2.DetectHashesRequest(
            items=[
                detection_pb2.HashedItem(hashes=[types_pb2.Hash(algorithm="pdq", value=rng.bytes(32), quality=100)])
                for _ in range(size)
            ]
        )
        for _ in range(max(4, 256 // size))
    ]
