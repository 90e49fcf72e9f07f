"""The families that can be compared, by name, in the order of reports."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hashmatch.bench import ceiling, faiss_systems, usearch_systems
from hashmatch.bench.column import heaps_found
from hashmatch.bench.systems import ALL_AT_ONCE, Family, System, Task

BATCHES = (8, 16, 120)
"""Queries per call: an image's orientations, with a second dialect, and all its views."""


def ours(task: Task) -> list[System]:
    """hashmatch: a call per query, a compiled loop over single queries, and batches."""
    column = task.column
    size = column.memory()["all"]
    ways = [System("ours", column.ask, column.found, limited=True, build_s=column.build_s, size_bytes=size)]
    if column.plan(task.radius) is not None:
        ways.append(System("ours_loop", column.ask_each, heaps_found, batch=ALL_AT_ONCE, limited=True))
    ways += [System(f"ours_batch{size}", column.ask, column.found, batch=size, limited=True) for size in BATCHES]
    return ways


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "ours": ours,
        "faiss_flat": faiss_systems.flat,
        "faiss_multihash": faiss_systems.multihash,
        "faiss_hash": faiss_systems.one_hash,
        "faiss_hnsw": faiss_systems.hnsw,
        "faiss_ivf": faiss_systems.ivf,
        "usearch_exact": usearch_systems.exact,
        "usearch_hnsw": usearch_systems.hnsw,
        "c_probe": ceiling.probe,
        "c_scan": ceiling.scan,
    }
)
"""Name to what prepares it; the first line of its docstring says what it does."""
