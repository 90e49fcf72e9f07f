"""How long the tables take to build: ours, the same algorithm in our own C, and what writing them takes by itself.

Theory of operation
-------------------
The three take turns, each into fresh memory, as a build does it: a page of memory that is touched for the first time
is cleared by the kernel, and that counts. Writing the tables and nothing else is what no way of building goes below.
The tables in C are compared with ours before anything is timed.

What this module deliberately does not do: it writes no segment; ``live.py`` measures that.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from hashmatch.bench import ceiling
from hashmatch.bench.column import Column
from hashmatch.bench.systems import Skipped
from hashmatch.errors import IntegrityError
from hashmatch.index.columns import Bytes
from hashmatch.index.tables import Tables, build_tables, empty_tables

ROUNDS = 5
_PARTS = ("offsets", "filters", "rows")


def compare(column: Column, rounds: int = ROUNDS) -> dict[str, object]:
    """Build the tables of a column again and again.

    Returns
    -------
    dict
        ``entries``; ``seconds`` by the wall clock and ``cpu_seconds`` of the thread, medians under ``ours``, ``c`` and
        ``writing``; ``skipped``, why there is no ``c``. No times for a list that has no tables.

    Raises
    ------
    IntegrityError
        The tables in C are not ours.

    """
    said: dict[str, object] = {"entries": len(column.codes)}
    if column.tables is None:
        return said
    ways: dict[str, Callable[[Bytes], Tables]] = {"ours": build_tables, "writing": _written}
    try:
        _check(column.tables, ceiling.build(column.codes))
        ways["c"] = ceiling.build
    except Skipped as reason:
        said["skipped"] = str(reason)
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            samples[name].append(_timed(way, column.codes))
    for at, kind in enumerate(("seconds", "cpu_seconds")):
        said[kind] = {name: statistics.median(sample[at] for sample in taken) for name, taken in samples.items()}
    return said


def _written(codes: Bytes) -> Tables:
    """Write as many bytes as the tables have, in order."""
    tables = empty_tables(codes, codes.shape[1] // 2)
    for part in _PARTS:
        getattr(tables, part).fill(1)
    return tables


def _timed(way: Callable[[Bytes], Tables], codes: Bytes) -> tuple[float, float]:
    """Return wall and CPU seconds; the tables are given back after the clock has stopped."""
    wall, cpu = time.perf_counter(), time.thread_time()
    tables = way(codes)
    took = time.perf_counter() - wall, time.thread_time() - cpu
    del tables
    return took


def _check(ours: Tables, others: Tables) -> None:
    for part in _PARTS:
        if not np.array_equal(getattr(ours, part), getattr(others, part)):
            raise IntegrityError(f"the {part} that the C ceiling built are not those of the kernels")
