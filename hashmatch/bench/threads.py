"""Throughput on one to all cores, for systems that release the GIL.

Theory of operation
-------------------
Each thread answers its own share of the queries, one by one, over and over until time is up; what counts is how many
answers all of them gave. That is how a server uses the index: a query never fans out, requests run side by side.

What this module deliberately does not do: no OpenMP. FAISS is called the same way, one thread per call.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Mapping, Sequence

import faiss

from hashmatch.bench.systems import System
from hashmatch.index.columns import Bytes
from hashmatch.progress import SILENT, Progress

ROUND_S = 0.2
ROUNDS = 7


def scaling(
    systems: Sequence[System], queries: Bytes, radius: int, cores: int, progress: Progress = SILENT
) -> Mapping[str, list[float]]:
    """Return each system's queries per second on 1, 2, … ``cores`` threads; the counts take turns, medians are kept."""
    rates: dict[tuple[str, int], list[float]] = {}
    progress.start("threads", ROUNDS, "rounds")
    for _ in range(ROUNDS):
        for system in systems:
            for count in range(1, cores + 1):
                rates.setdefault((system.name, count), []).append(_rate(system, queries, radius, count))
        progress.advance(1)
    progress.finish()
    return {
        system.name: [statistics.median(rates[system.name, count]) for count in range(1, cores + 1)]
        for system in systems
    }


def _rate(system: System, queries: Bytes, radius: int, count: int) -> float:
    """Answers per second of ``count`` threads together."""
    step = system.batch or 256
    share = len(queries) // count // step * step
    answered = [0] * count
    ready = threading.Barrier(count + 1)
    ends = [0.0]

    def work(number: int) -> None:
        faiss.omp_set_num_threads(1)
        at = begin = number * share
        ready.wait()
        while not answered[number] or time.perf_counter() < ends[0]:
            system.ask(queries[at : at + step], radius)
            answered[number] += step
            at = at + step if at + 2 * step <= begin + share else begin

    workers = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for worker in workers:
        worker.start()
    ends[0] = time.perf_counter() + ROUND_S
    begin = time.perf_counter()
    ready.wait()
    for worker in workers:
        worker.join()
    return sum(answered) / (time.perf_counter() - begin)
