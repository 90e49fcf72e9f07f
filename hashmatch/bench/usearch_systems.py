"""USearch, where it is installed: its exact search, and its HNSW graph.

What this module deliberately does not do: no tuning. Both are called as USearch's documentation says, on one thread.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from hashmatch.bench.answers import Found
from hashmatch.bench.faiss_systems import NEAREST
from hashmatch.bench.machine import grown_bytes, resident_bytes
from hashmatch.bench.systems import Skipped, System, Task
from hashmatch.index.columns import Bytes

EXACT_ENTRIES = 2_000_000
"""Longer lists take over a second per query and are skipped unless somebody insists."""
HNSW_ENTRIES = 50_000
"""Longer lists take minutes to build and are skipped unless somebody insists."""


def matches_found(matches: Any, queries: int) -> Found:
    """Pairs of USearch's ``Matches`` or ``BatchMatches``, placeholders left out."""
    if hasattr(matches, "counts"):
        held = np.arange(matches.keys.shape[1]) < np.asarray(matches.counts)[:, None]
    else:
        held = np.ones((queries, len(matches.keys)), dtype=np.bool_)
    keys = np.asarray(matches.keys).reshape(held.shape)[held].astype(np.int64)
    return Found(np.nonzero(held)[0], keys, np.asarray(matches.distances).reshape(held.shape)[held].astype(np.int64))


def exact(task: Task) -> list[System]:
    """Compare with every code, USearch's way: the nearest few."""
    library = _library()
    if task.entries > EXACT_ENTRIES and not task.insist:
        raise Skipped(f"it takes over a second per query at {task.entries:,} entries; name it in --systems to insist")
    codes, metric = task.codes, library.MetricKind.Hamming

    def ask(queries: Bytes, radius: int) -> object:
        del radius
        return library.search(codes, queries, NEAREST, metric, exact=True, threads=1)

    # Only the nearest few, so a crowd within the radius costs it recall like the approximate ones.
    return [System("usearch_exact", ask, matches_found, exact=False, build_s=0.0, size_bytes=codes.nbytes)]


def hnsw(task: Task) -> list[System]:
    """Walk USearch's graph with its own defaults."""
    library = _library()
    if task.entries > HNSW_ENTRIES and not task.insist:
        raise Skipped(f"building it for {task.entries:,} entries takes minutes; name it in --systems to insist")
    before, begin = resident_bytes(), time.perf_counter()
    index = library.Index(ndim=256, metric=library.MetricKind.Hamming, dtype=library.ScalarKind.B1)
    index.add(np.arange(task.entries), task.codes, threads=1)
    build_s, size = time.perf_counter() - begin, grown_bytes(before, task.codes.nbytes)

    def ask(queries: Bytes, radius: int) -> object:
        del radius
        return index.search(queries, NEAREST, threads=1)

    return [System("usearch_hnsw", ask, matches_found, exact=False, build_s=build_s, size_bytes=size)]


def _library() -> Any:
    try:
        from usearch import index
    except ImportError:
        raise Skipped("usearch is not installed: pip install 'hashmatch[bench]'") from None
    return index
