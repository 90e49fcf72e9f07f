"""FAISS's binary indexes: the flat scan that is everybody's truth, the peer's production index, approximate ones.

Theory of operation
-------------------
All on one thread. FAISS's range is strict, so the radius passed on is one more. ``multihash`` is what Hasher-Matcher-
Actioner serves PDQ from: 16 tables of 16 bits, and as many flips as the radius asks for, so that it is exact. ``hash``
is the same with one table. HNSW and IVF answer with the nearest few and may miss some.

What this module deliberately does not do: no FAISS index is saved or mapped (docs/explain/search.md says why not).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import faiss
import numpy as np

from hashmatch.bench.answers import Found
from hashmatch.bench.machine import grown_bytes, resident_bytes
from hashmatch.bench.systems import Skipped, System, Task
from hashmatch.index.columns import Bytes

NEAREST = 16
"""Neighbours that the approximate systems are asked for."""
HASH_BITS = 16
HASH_FLIPS = 2
HNSW_LINKS = 16
HNSW_EFFORT = 64
TRAINED_ON = 40
TRAINED_TIMES = 5
"""Entries per list and rounds of training for IVF; FAISS warns below 39."""
KNOBS: Mapping[str, tuple[str, tuple[int, ...]]] = MappingProxyType(
    {
        "faiss_hash": ("nflip", (0, 1, 2, 3, 4)),
        "faiss_hnsw": ("efSearch", (16, 32, 64, 128, 256, 512)),
        "faiss_ivf": ("nprobe", (1, 4, 16, 32, 64, 128)),
    }
)
"""What trades recall for time: FAISS's name for it, and the settings of the curve."""
MULTIHASH_ENTRIES = 2_000_000
HNSW_ENTRIES = 200_000
IVF_ENTRIES = 2_000_000
"""Lists longer than these take minutes to build and are skipped unless somebody insists."""


def ranges(index: Any, queries: Bytes, radius: int) -> object:
    """Search every index of FAISS that knows ranges."""
    return index.range_search(queries, radius + 1)


def nearest(index: Any, queries: Bytes, radius: int) -> object:
    """Ask for the nearest few, whatever the radius."""
    del radius
    return index.search(queries, NEAREST)


def range_found(result: Any, queries: int) -> Found:
    """Pairs of ``range_search``'s answer."""
    limits, distances, rows = result
    return Found(np.repeat(np.arange(queries), np.diff(limits.astype(np.int64))), rows, distances.astype(np.int64))


def nearest_found(result: Any, queries: int) -> Found:
    """Pairs of ``search``'s answer, placeholders left out."""
    distances, rows = result
    found = Found(np.repeat(np.arange(queries), rows.shape[1]), rows.ravel(), distances.ravel().astype(np.int64))
    return found.within(8 * 256)


def flat(task: Task) -> list[System]:
    """Compare with every code."""
    index, build_s, size = _built(faiss.IndexBinaryFlat(256), task)
    return [System("faiss_flat", partial(ranges, index), range_found, build_s=build_s, size_bytes=size)]


def multihash(task: Task) -> list[System]:
    """Look up 16 tables of 16 bits, each with ``radius // 16`` flips: the peer's production index."""
    _reasonable(task, MULTIHASH_ENTRIES)
    index, build_s, size = _built(faiss.IndexBinaryMultiHash(256, 16, HASH_BITS), task)

    def ask(queries: Bytes, radius: int) -> object:
        index.nflip = radius // 16
        return ranges(index, queries, radius)

    return [System("faiss_multihash", ask, range_found, build_s=build_s, size_bytes=size)]


def one_hash(task: Task) -> list[System]:
    """Look up one table of 16 bits, with two flips."""
    index, build_s, size = _built(faiss.IndexBinaryHash(256, HASH_BITS), task)

    def tune(flips: int) -> None:
        index.nflip = flips

    tune(HASH_FLIPS)
    ask = partial(ranges, index)
    return [System("faiss_hash", ask, range_found, exact=False, build_s=build_s, size_bytes=size, tune=tune)]


def hnsw(task: Task) -> list[System]:
    """Walk a navigable small-world graph with 16 links per entry."""
    _reasonable(task, HNSW_ENTRIES)
    index, build_s, size = _built(faiss.IndexBinaryHNSW(256, HNSW_LINKS), task)

    def tune(effort: int) -> None:
        index.hnsw.efSearch = effort

    tune(HNSW_EFFORT)
    ask = partial(nearest, index)
    return [System("faiss_hnsw", ask, nearest_found, exact=False, build_s=build_s, size_bytes=size, tune=tune)]


def ivf(task: Task) -> list[System]:
    """Search the lists around the centres nearest to the query, one in sixteen of them."""
    _reasonable(task, IVF_ENTRIES)
    lists = int(task.entries**0.5)
    if task.entries < TRAINED_ON * lists:
        raise Skipped(f"{lists} lists need {TRAINED_ON * lists} entries to be trained on")
    quantizer = faiss.IndexBinaryFlat(256)
    index = faiss.IndexBinaryIVF(quantizer, 256, lists)
    index.cp.max_points_per_centroid, index.cp.niter = TRAINED_ON, TRAINED_TIMES
    index, build_s, size = _built(index, task)

    def tune(probed: int) -> None:
        index.nprobe = min(probed, quantizer.ntotal)

    tune(max(1, lists // 16))
    ask = partial(nearest, index)
    return [System("faiss_ivf", ask, nearest_found, exact=False, build_s=build_s, size_bytes=size, tune=tune)]


def _built(index: Any, task: Task) -> tuple[Any, float, int | None]:
    """Train and fill an index; return it with the seconds and the bytes that this took."""
    before, begin = resident_bytes(), time.perf_counter()
    if not index.is_trained:
        index.train(task.codes)
    index.add(task.codes)
    return index, time.perf_counter() - begin, grown_bytes(before, task.codes.nbytes)


def _reasonable(task: Task, entries: int) -> None:
    if task.entries > entries and not task.insist:
        raise Skipped(f"building it for {task.entries:,} entries takes minutes; name it in --systems to insist")
