"""Every experiment of native_bench/RESULTS.md, one after the other.

Theory of operation
-------------------
A :class:`Scale` says how large and how long; :func:`run` yields ``(name, result)`` as each experiment ends, so that a
run that is interrupted has lost one experiment. Lists are made once per size and everything that needs a million
entries shares that list, its tables and its peers' indexes.

What this module deliberately does not do: it writes no file and judges nothing; see ``goals.py`` and ``report.py``.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hashmatch.bench import building, ceiling, codes, faiss_systems, live, machine, pictures, threads
from hashmatch.bench.registry import FAMILIES
from hashmatch.bench.search import Bench, Comparison, compare
from hashmatch.bench.systems import Skipped, System
from hashmatch.bench.timing import Effort
from hashmatch.errors import SandboxUnavailable
from hashmatch.index.columns import Bytes
from hashmatch.progress import SILENT, Progress

Result = Mapping[str, Any]

RADIUS = 31
RADII = (0, 8, 15, 16, 24, 31, 32, 40, 45, 47, 48, 56, 60, 64)
MULTIHASH_RADIUS = 47
"""Beyond this MultiHash flips three bits in each of 16 tables and takes a tenth of a second per query."""
LARGE = 5_000_000
"""Lists longer than this are compared with what builds in seconds only."""
LARGE_FAMILIES = ("ours", "faiss_flat", "c_probe", "c_scan")
RADIUS_FAMILIES = ("ours", "faiss_flat", "faiss_multihash", "c_probe")
CROWDED = ("shared", "identical", "zero")
WITHDRAWN_FROM = 100_000
"""Length of the list of which entries are withdrawn: no step of that depends on it, and a catalog has to be filled."""
VIEW_BATCHES = 68


@dataclass(frozen=True, slots=True)
class Scale:
    """How much to measure; the defaults take ten minutes on two quiet cores.

    ``main`` is the size that radii, distributions, threads and views are measured at; ``tradeoff`` that of the
    approximate indexes' curves; ``crowded`` that of the lists on which every query has everything within reach.
    """

    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000, 10_000_000)
    main: int = 1_000_000
    tradeoff: int = 100_000
    crowded: int = 100_000
    edges: tuple[int, ...] = (1, 2_047, 2_048, 2_049, 65_535, 65_536, 65_537)
    radii: tuple[int, ...] = RADII
    effort: Effort = dataclasses.field(default_factory=Effort)
    checked: int = 1_000
    seed: int = 1


SMALL = Scale(
    sizes=(2_000, 10_000), main=10_000, tradeoff=10_000, crowded=2_500, edges=(1, 2_047, 2_048), radii=(15, 31, 60),
    effort=Effort(rounds=7, round_s=0.002), checked=64,
)  # fmt: skip
"""For trying the suite out: half a minute, and figures that mean nothing."""


def run(scale: Scale, progress: Progress = SILENT) -> Iterator[tuple[str, Result]]:
    """Yield every experiment's name and result.

    Raises
    ------
    IntegrityError
        An exact system was wrong.
    BadInput
        The largest list does not fit into memory.

    """
    yield "machine", {"card": machine.card(), "noise_before": _noise(), "instructions": _instructions()}
    for entries in sorted({*scale.sizes, scale.main}):
        families = LARGE_FAMILIES if entries > LARGE else tuple(FAMILIES)
        comparison = Comparison(entries, RADIUS, seed=scale.seed, checked=_checked(scale, entries), families=families)
        bench = Bench(comparison, progress=progress)
        yield f"size_{entries}", bench.run(RADIUS, scale.effort).as_json()
        yield f"build_{entries}", building.compare(bench.column)
        if entries == scale.main:
            yield "radii", {"radii": list(_radii(bench, scale))}
            yield "views", _views(bench, scale)
            yield "threads", _threads(bench, progress)
            yield "live", live.measure(bench.codes, progress)
            yield "withdrawals", live.withdrawals(bench.codes[:WITHDRAWN_FROM], progress)
        del bench
    yield "distributions", {"lists": list(_distributions(scale, progress))}
    yield "hostile", {"lists": list(_hostile(scale, progress))}
    yield "tradeoff", {"points": list(_tradeoff(scale, progress))}
    yield "noise", {"noise_after": _noise()}


def _checked(scale: Scale, entries: int) -> int:
    """Ask the truth for fewer queries where a flat scan takes 12 ms."""
    return scale.checked if entries <= LARGE else max(1, scale.checked // 4)


def _noise() -> dict[str, object]:
    said = machine.noise()
    return {"load": said.load, "spread": said.spread, "quiet": said.quiet}


def _instructions() -> str | None:
    try:
        return ceiling.instructions()
    except Skipped:
        return None


def _radii(bench: Bench, scale: Scale) -> Iterator[dict[str, object]]:
    names = {"ours", "ours_loop", "faiss_flat", "faiss_multihash", "c_probe_loop"}
    effort = dataclasses.replace(scale.effort, rounds=max(3, scale.effort.rounds // 2))
    for radius in scale.radii:
        left_out = {"faiss_multihash"} if radius > MULTIHASH_RADIUS else set()
        yield bench.run(radius, effort, names - left_out).as_json()


def _views(bench: Bench, scale: Scale) -> dict[str, object]:
    """All views of one image in one call, and what they cost one by one."""
    pool = codes.views_for(bench.codes, VIEW_BATCHES, scale.seed)
    names = ("ours", "ours_batch120", "c_probe_batch120", "faiss_flat")
    return bench.run(RADIUS, scale.effort, names, pool).as_json()


def _threads(bench: Bench, progress: Progress) -> dict[str, object]:
    cores = len(os.sched_getaffinity(0))
    names = {"ours", "ours_loop", "ours_batch8", "ours_batch120", "faiss_flat"}
    systems = [system for system in bench.systems if system.name in names]
    rates = threads.scaling(systems, bench.queries, RADIUS, cores, progress)
    return {"entries": len(bench.codes), "queries_per_s": rates}


def _distributions(scale: Scale, progress: Progress) -> Iterator[dict[str, object]]:
    for distribution in ("uniform", "correlated", "photos"):
        found: Bytes | None = None
        if distribution == "photos":
            where = pictures.directory()
            if where is None:
                yield {"distribution": distribution, "skipped": f"{pictures.VARIABLE} names no photos"}
                continue
            try:
                found = pictures.hashes(where, progress)
            except SandboxUnavailable as error:
                yield {"distribution": distribution, "skipped": error.message}
                continue
        comparison = Comparison(scale.main, RADIUS, distribution, scale.seed, scale.checked, families=RADIUS_FAMILIES)
        outcome = compare(comparison, scale.effort, pictures=found, progress=progress).as_json()
        yield outcome | {"pictures": None if found is None else len(found)}


def _hostile(scale: Scale, progress: Progress) -> Iterator[dict[str, object]]:
    """Search lists that crowd into few buckets, and sizes at which something might be off by one."""
    lists = [("ball", scale.main), *((name, scale.crowded) for name in CROWDED)]
    lists += [("uniform", entries) for entries in scale.edges] + [
        ("identical", entries) for entries in scale.edges[:-1]
    ]
    for distribution, entries in lists:
        comparison = Comparison(
            entries, RADIUS, distribution, scale.seed, min(scale.checked, 256), families=("ours", "faiss_flat")
        )
        effort = dataclasses.replace(scale.effort, rounds=max(7, scale.effort.rounds // 3))
        yield compare(comparison, effort, progress=progress).as_json()


def _tradeoff(scale: Scale, progress: Progress) -> Iterator[dict[str, object]]:
    """Recall against time, for every setting of the approximate indexes."""
    comparison = Comparison(
        scale.tradeoff, RADIUS, seed=scale.seed, checked=scale.checked,
        families=("ours", "faiss_flat", "faiss_multihash", "faiss_hash", "faiss_hnsw", "faiss_ivf"),
    )  # fmt: skip
    bench = Bench(comparison, progress=progress)
    for setting, systems in _settings(bench):
        said = bench.run(RADIUS, scale.effort, {system.name for system in systems}).as_json()
        times, recalls = said["us_per_query"], said["recall"]
        assert isinstance(times, dict)  # noqa: S101 - as_json made it
        assert isinstance(recalls, dict)  # noqa: S101
        for name, took in times.items():
            yield {"system": name, "setting": setting, "us_per_query": took, "recall": recalls[name]}


def _settings(bench: Bench) -> Iterator[tuple[str, list[System]]]:
    by_name = {system.name: system for system in bench.systems}
    exact = [by_name[name] for name in ("ours", "faiss_flat", "faiss_multihash") if name in by_name]
    yield "exact", exact
    for name, (knob, settings) in faiss_systems.KNOBS.items():
        tune = by_name[name].tune if name in by_name else None
        if tune is not None:
            for setting in settings:
                tune(setting)
                yield f"{knob} {setting}", [by_name[name]]
