"""Open-loop load: calls that begin when they are due, whatever became of those before, and are timed from then.

Theory of operation
-------------------
Arrivals are a Poisson process, drawn beforehand from a seed, so every system gets the same. A call begins at its moment
even if a thousand are unanswered, and its latency counts from that moment, not from when this process got around to
sending it: a server that stalls is charged for every call that came meanwhile ("coordinated omission"). By how much the
sender itself was late is reported as well, since on a machine that both share it is part of every figure.

What this module deliberately does not do: it knows no protocol and starts no process.

Source: G. Tene, "How NOT to Measure Latency", 2013; F. Schroeder, A. Wierman, M. Harchol-Balter, "Open Versus Closed: A
Cautionary Tale", NSDI 2006.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

OK = "ok"
"""The outcome of a call that was answered; others are named by their status."""
QUANTILES: Mapping[str, float] = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}

Call = Callable[[int], Awaitable[str]]
"""Makes one call, given its number, and returns its outcome."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One call: seconds from when it was due to its answer, by how much it was begun late, and what became of it."""

    latency_s: float
    late_s: float
    outcome: str


def poisson(rate_per_s: float, seconds: float, seed: int) -> list[float]:
    """Draw moments of arrival, in seconds from the beginning, ascending."""
    rng = np.random.default_rng(seed)
    count = max(1, int(rate_per_s * seconds))
    return list(np.cumsum(rng.exponential(1 / rate_per_s, count)))


async def open_loop(due_s: Sequence[float], call: Call) -> list[Timed]:
    """Begin each call when it is due; return all when the last has ended."""
    loop = asyncio.get_running_loop()
    begin = loop.time() + 0.05
    tasks = []
    for number, moment in enumerate(due_s):
        wait_s = begin + moment - loop.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        tasks.append(asyncio.create_task(_timed(begin + moment, number, call)))
    return list(await asyncio.gather(*tasks))


async def _timed(due: float, number: int, call: Call) -> Timed:
    loop = asyncio.get_running_loop()
    late_s = loop.time() - due
    outcome = await call(number)
    return Timed(loop.time() - due, late_s, outcome)


@dataclass(frozen=True, slots=True)
class Rate:
    """What a closed loop of so many callers got: answers per second, and the CPU seconds that this process took."""

    per_s: float
    seconds: float
    own_cpu_s: float


async def closed_loop(callers: int, seconds: float, call: Call) -> Rate:
    """Let callers ask again as soon as they are answered, for so many seconds, and each once however late it begins.

    Raises
    ------
    RuntimeError
        A call was refused.

    """
    end = time.perf_counter() + seconds
    begin, cpu, answered = time.perf_counter(), time.process_time(), 0

    async def ask(first: int) -> None:
        nonlocal answered
        number = first
        while number == first or time.perf_counter() < end:
            outcome = await call(number)
            if outcome != OK:
                raise RuntimeError(f"a call of a closed loop ended with {outcome}")
            answered += 1
            number += callers

    await asyncio.gather(*(ask(first) for first in range(callers)))
    took = time.perf_counter() - begin
    return Rate(answered / took, took, time.process_time() - cpu)


def summary(calls: Sequence[Timed]) -> dict[str, object]:
    """Put calls into figures, latencies in milliseconds, by outcome; JSON-able."""
    by_outcome: dict[str, object] = {}
    for outcome in sorted({call.outcome for call in calls}):
        latencies = [1e3 * call.latency_s for call in calls if call.outcome == outcome]
        by_outcome[outcome] = {
            "calls": len(latencies),
            **{name: float(np.quantile(latencies, share)) for name, share in QUANTILES.items()},
        }
    late_ms = float(np.quantile([1e3 * call.late_s for call in calls], 0.99))
    return {"calls": len(calls), "sender_late_p99_ms": late_ms, "outcomes": by_outcome}
