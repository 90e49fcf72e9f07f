"""The index as the service holds it: building and opening a segment, and how soon a change can be seen.

Theory of operation
-------------------
A segment is built from a change feed, opened with and without verification, and served. Then entries are added and
withdrawn one by one; what is timed is the change together with the search that sees it.

:func:`withdrawals` does the same with everything that a service does between being told and answering: the catalog's
transaction, on disk, then the publisher, then a search.

What this module deliberately does not do: no gRPC and no thread is part of it.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from hashmatch.bench.codes import uniform
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.config import IndexConfig
from hashmatch.errors import IntegrityError
from hashmatch.hashing import algorithms
from hashmatch.index.build import build
from hashmatch.index.columns import Bytes
from hashmatch.index.live import LiveIndex
from hashmatch.index.segment import Segment
from hashmatch.model import Change, Entry, EntryHash, EntryStatus, HarmDomain, HashSet, Query
from hashmatch.progress import SILENT, Progress
from hashmatch.publish import Publisher

CHANGES = 200
OPENINGS = 9
RADIUS = 31
_SET = HashSet("bench", "bench", HarmDomain.OTHER, version=1)


def measure(codes: Bytes, progress: Progress = SILENT) -> Mapping[str, object]:
    """Build, open, add and withdraw.

    Parameters
    ----------
    codes : uint8, shape (n, 32)
        The list.
    progress
        Told how many changes are made.

    Returns
    -------
    Mapping
        ``segment_build_s`` and ``segment_bytes_per_entry`` (ids and labels included), ``open_ms`` and
        ``open_verified_ms``, medians and 99th percentiles of ``add_visible_ms`` and ``withdraw_gone_ms``.

    Raises
    ------
    IntegrityError
        A change was not seen by the search after it.

    """
    with tempfile.TemporaryDirectory(prefix="hashmatch-bench-") as scratch:
        path = Path(scratch) / "bench.segment"
        begin = time.perf_counter()
        build(path, _feed(codes), algorithms.table(), generation=1, sequence=len(codes))
        build_s = time.perf_counter() - begin
        opened = [_seconds_to_open(path, verify=False) for _ in range(OPENINGS)]
        verified = [_seconds_to_open(path, verify=True) for _ in range(OPENINGS)]
        index = LiveIndex()
        index.load(Segment.open(path))
        added, gone = _changes(index, uniform(CHANGES, np.random.default_rng(9)), len(codes), progress)
        return {
            "entries": len(codes),
            "segment_build_s": build_s,
            "segment_bytes_per_entry": path.stat().st_size / len(codes),
            "open_ms": 1e3 * statistics.median(opened),
            "open_verified_ms": 1e3 * statistics.median(verified),
            "add_visible_ms": _summary(added),
            "withdraw_gone_ms": _summary(gone),
        }


def withdrawals(codes: Bytes, progress: Progress = SILENT) -> Mapping[str, object]:
    """Withdraw entries of a catalog one by one; time each until a search that began after it finds nothing.

    Parameters
    ----------
    codes : uint8, shape (n, 32)
        The list, of more than ``CHANGES`` codes.
    progress
        Told how many are withdrawn.

    Returns
    -------
    Mapping
        ``entries``, and median and 99th percentile of ``withdraw_gone_ms``: the catalog's transaction
        (``committed_ms``), and what comes after it (``after_commit_ms``).

    Raises
    ------
    IntegrityError
        A withdrawn entry was still found.

    """
    committed: list[float] = []
    gone: list[float] = []
    with tempfile.TemporaryDirectory(prefix="hashmatch-bench-") as scratch, contextlib.ExitStack() as closing:
        catalog = closing.enter_context(SqliteCatalog.open(Path(scratch) / "catalog.sqlite3"))
        catalog.create_set(_SET.name, _SET.domain)
        listed = (Entry(f"entry-{at}", (EntryHash("pdq", code.tobytes()),)) for at, code in enumerate(codes))
        catalog.import_entries(_SET.name, listed)
        index = LiveIndex()
        publisher = Publisher(catalog, index, Path(scratch) / "segments", IndexConfig())
        closing.callback(publisher.close)
        publisher.start()
        progress.start("withdrawing", CHANGES, "entries")
        for at in range(CHANGES):
            query = [Query("pdq", codes[at].tobytes(), 0)]
            begin = time.perf_counter()
            catalog.withdraw(_SET.name, f"entry-{at}", reason="measured", actor="bench")
            committed.append(time.perf_counter() - begin)
            publisher.sync()
            found = index.search(query, sets=None, max_hits=10).found
            gone.append(time.perf_counter() - begin)
            if found:
                raise IntegrityError(f"entry-{at} was found after it was withdrawn")
            progress.advance(1)
        progress.finish()
    after = [whole - part for whole, part in zip(gone, committed, strict=True)]
    return {
        "entries": len(codes),
        "committed_ms": _summary(committed),
        "after_commit_ms": _summary(after),
        "withdraw_gone_ms": _summary(gone),
    }


def _feed(codes: Bytes) -> Iterator[Change]:
    for at, code in enumerate(codes):
        yield Change(at + 1, _SET, Entry(f"entry-{at}", (EntryHash("pdq", code.tobytes()),)))


def _seconds_to_open(path: Path, *, verify: bool) -> float:
    begin = time.perf_counter()
    Segment.open(path, verify=verify)
    return time.perf_counter() - begin


def _changes(index: LiveIndex, codes: Bytes, sequence: int, progress: Progress) -> tuple[list[float], list[float]]:
    """Seconds until each addition and each withdrawal is seen."""
    added: list[float] = []
    gone: list[float] = []
    progress.start("adding and withdrawing", len(codes), "entries")
    for at, code in enumerate(codes):
        entry = Entry(f"added-{at}", (EntryHash("pdq", code.tobytes()),))
        query = [Query("pdq", code.tobytes(), RADIUS)]
        for state, seconds, hits in (
            (entry, added, 1),
            (replace(entry, status=EntryStatus.WITHDRAWN), gone, 0),
        ):
            sequence += 1
            begin = time.perf_counter()
            index.apply([Change(sequence, _SET, state)])
            found = index.search(query, sets=None, max_hits=10).found
            seconds.append(time.perf_counter() - begin)
            if len(found) != hits:
                raise IntegrityError(f"entry {entry.entry_id} was found {len(found)} times instead of {hits}")
        progress.advance(1)
    progress.finish()
    return added, gone


def _summary(seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"median": 1e3 * statistics.median(seconds), "p99": 1e3 * cuts[98]}
