"""When screening pays: what an upload's first look saves in decoding, and what it costs in searching.

Theory of operation
-------------------
Generated pictures of each size are hashed as uploads, with both dialects and the cheap views, exactly and for
screening. What comes of one of them is asked of lists of made-up codes: within the distances of the policy, with its
review band and without, and within those distances widened as a screened hash needs it. Each time is the thread's CPU
time, the least of several rounds that take turns, since others only ever add; the mean over pictures.

What this module deliberately does not do: it says nothing of how often a first look does not settle a picture, which
depends on the list (``hash_fidelity``).
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hashmatch.bench import codes
from hashmatch.bench.column import Column
from hashmatch.bench.hash_fidelity import DIALECTS, OPTIONS
from hashmatch.bench.hash_pictures import generated
from hashmatch.config import DecodeConfig, PolicyConfig
from hashmatch.hashing.compute import hash_picture
from hashmatch.hashing.views import ALGORITHM as CANONICAL
from hashmatch.matching.policy import queries_for, without_review
from hashmatch.matching.screening import queries_for as wider_queries_for
from hashmatch.model import Fidelity, Query
from hashmatch.progress import SILENT, Progress

SIZES = ((1024, 768), (2048, 1536), (4000, 3000))
ENTRIES = (100_000, 1_000_000)
PICTURES = 4
ROUNDS = 9
MAX_HITS = 100
SCREEN_SIDE_PX = 512
"""The least that may be configured, so that all sizes are screened."""
EXACT, SCREEN = (fidelity.value for fidelity in (Fidelity.EXACT, Fidelity.SCREEN))
NARROW, WITH_REVIEW = "matches only", "with the review band"

Row = dict[str, Any]


def measure(seed: int, progress: Progress = SILENT) -> dict[str, list[Row]]:
    """Measure both halves.

    Returns
    -------
    dict
        ``hash``: rows of ``size``, ``exact_ms`` and ``screen_ms``; ``search``: rows of ``entries``, ``distance``,
        ``exact_ms`` and ``screen_ms``; per upload.

    """
    progress.start("weighing screening", len(SIZES) + len(ENTRIES), "rows")
    hashing = []
    for width, height in SIZES:
        hashing.append(_hashing(width, height, seed))
        progress.advance(1)
    searching = []
    for entries in ENTRIES:
        searching += _searching(entries, seed)
        progress.advance(1)
    progress.finish()
    return {"hash": hashing, "search": searching}


def _hashing(width: int, height: int, seed: int) -> Row:
    config = DecodeConfig(screen_side_px=SCREEN_SIDE_PX)
    screened = dataclasses.replace(OPTIONS, fidelity=Fidelity.SCREEN)
    files = [sample.jpeg for sample in generated(width, height, seed)[:PICTURES]]
    taken = [
        _least_ms(
            {
                EXACT: lambda file=file: hash_picture(file, config, OPTIONS),  # type: ignore[misc]
                SCREEN: lambda file=file: hash_picture(file, config, screened),  # type: ignore[misc]
            }
        )
        for file in files
    ]
    return {"size": f"{width}x{height}"} | _means(taken)


def _searching(entries: int, seed: int) -> list[Row]:
    column = Column(codes.uniform(entries, np.random.default_rng(seed)), MAX_HITS)
    values = dict.fromkeys((*DIALECTS, CANONICAL), entries)
    hashes = [
        hash_picture(sample.jpeg, DecodeConfig(), OPTIONS).hashes for sample in generated(640, 480, seed)[:PICTURES]
    ]
    rows = []
    for name, policy in ((NARROW, without_review(PolicyConfig())), (WITH_REVIEW, PolicyConfig())):
        taken = []
        for found in hashes:
            plain, wide = queries_for(found, policy, values), wider_queries_for(found, policy, values)
            taken.append(_least_ms({EXACT: _asking(column, plain), SCREEN: _asking(column, wide)}))
        rows.append({"entries": entries, "distance": name} | _means(taken))
    return rows


def _asking(column: Column, queries: Sequence[Query]) -> Callable[[], object]:
    """Ask everything of a picture, batch by batch of equal distances, as the index does."""
    reach = np.array([query.max_distance for query in queries])
    values = np.frombuffer(b"".join(query.value for query in queries), np.uint8).reshape(len(queries), codes.SIZE_BYTES)
    batches = [(values[reach == radius], int(radius)) for radius in np.unique(reach)]
    return lambda: [column.ask(batch, radius) for batch, radius in batches]


def _least_ms(ways: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Least CPU time of each way, which take turns."""
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, work in ways.items():
            begin = time.thread_time_ns()
            work()
            least[name] = min(least[name], (time.thread_time_ns() - begin) / 1e6)
    return least


def _means(taken: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {f"{name}_ms": round(statistics.fmean(row[name] for row in taken), 3) for name in (EXACT, SCREEN)}
