"""One comparison: one list, one radius, all systems, recall first and then time.

Theory of operation
-------------------
:func:`compare` prepares the systems, asks each the first queries and holds the answers against the flat scan's: an
exact system that is not exact is an error and nothing is timed, an approximate one gets its recall. Then all are timed
in one process, taking turns (``timing.py``), on one thread. Slow systems are asked fewer queries for their recall, but
never fewer than two dozen.

What this module deliberately does not do: it prints nothing, and it chooses no lists: ``codes.py`` and ``suite.py`` do.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import faiss
import numpy as np

from hashmatch.bench import answers, ceiling, codes
from hashmatch.bench.answers import Found
from hashmatch.bench.column import Column
from hashmatch.bench.faiss_systems import range_found, ranges
from hashmatch.bench.machine import available_bytes
from hashmatch.bench.registry import FAMILIES
from hashmatch.bench.systems import ALL_AT_ONCE, Skipped, System, Task
from hashmatch.bench.timing import Effort, Timing, Way, measure
from hashmatch.errors import BadInput, IntegrityError
from hashmatch.index.columns import Bytes
from hashmatch.progress import SILENT, Progress

POOL = 8_160
"""Queries that are timed, in turn: a multiple of every batch; what they touch exceeds the second-level cache."""
CHECK_S = 4.0
"""A system answers queries for about so long to have its recall measured."""
LEAST_CHECKED = 24
BYTES_PER_ENTRY = 400
"""What a comparison needs per entry: the list, its permuted copy, our tables, FAISS's copy."""
MAX_HITS = 100


@dataclass(frozen=True, slots=True)
class Comparison:
    """What to compare on."""

    entries: int
    radius: int = 31
    distribution: str = "uniform"
    seed: int = 1
    checked: int = 1_000
    max_hits: int = MAX_HITS
    families: tuple[str, ...] = tuple(FAMILIES)
    insist: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a comparison measured; names are those of systems."""

    comparison: Comparison
    timings: Mapping[str, Timing]
    recalls: Mapping[str, float]
    checked: Mapping[str, int]
    sizes: Mapping[str, int]
    builds_s: Mapping[str, float]
    memory: Mapping[str, int]
    bounds: Mapping[str, float]
    skipped: Mapping[str, str]
    hits_per_query: float

    def as_json(self) -> dict[str, object]:
        """Everything, as ``hashmatch bench search --json`` prints it."""
        entries = self.comparison.entries
        times = {name: timing.median_us for name, timing in self.timings.items()}
        own = times.get("ours")
        return {
            "entries": entries,
            "radius": self.comparison.radius,
            "bits": codes.BITS,
            "distribution": self.comparison.distribution,
            "distribution_is": codes.DISTRIBUTIONS[self.comparison.distribution],
            "seed": self.comparison.seed,
            "max_hits": self.comparison.max_hits,
            "hits_per_query": self.hits_per_query,
            "us_per_query": times,
            "interval_us": {name: [timing.low_us, timing.high_us] for name, timing in self.timings.items()},
            "recall": dict(self.recalls),
            "recall_queries": dict(self.checked),
            "ratio_vs": {name: took / own for name, took in times.items()} if own else {},
            "bytes_per_entry": {name: size / entries for name, size in self.sizes.items()},
            "build_s": dict(self.builds_s),
            "memory": {name: size / entries for name, size in self.memory.items()},
            "bounds": dict(self.bounds),
            "cpu_share": {name: timing.cpu_share for name, timing in self.timings.items()},
            "samples": {name: timing.samples for name, timing in self.timings.items()},
            "skipped": dict(self.skipped),
        }


class Bench:
    """One list with everything that was built over it, compared at one radius after the other.

    Parameters
    ----------
    comparison
        The list, and which families to build.
    pictures : uint8, shape (m, 32)
        For the distribution ``photos``.
    progress
        Told what is being built.

    Raises
    ------
    BadInput
        An unknown family or distribution, or not enough memory.

    """

    def __init__(self, comparison: Comparison, *, pictures: Bytes | None = None, progress: Progress = SILENT) -> None:
        _check(comparison)
        self.comparison = comparison
        self._progress = progress
        self.codes = codes.entries_of(comparison.distribution, comparison.entries, comparison.seed, pictures)
        self.queries = codes.queries_for(self.codes, max(POOL, comparison.checked), comparison.seed)
        self.column = Column(self.codes, comparison.max_hits)
        self.skipped: dict[str, str] = {}
        faiss.omp_set_num_threads(1)
        self._truth = faiss.IndexBinaryFlat(codes.BITS)
        self._truth.add(self.codes)
        self.systems = self._built()

    def __repr__(self) -> str:
        return f"<Bench {self.comparison.entries} {self.comparison.distribution}: {len(self.systems)} systems>"

    def _built(self) -> list[System]:
        task = Task(self.column, self.comparison.radius, self.comparison.insist)
        systems: list[System] = []
        self._progress.start("building", len(self.comparison.families), "systems")
        for name in self.comparison.families:
            try:
                systems += FAMILIES[name](task)
            except Skipped as reason:
                self.skipped[name] = str(reason)
            self._progress.advance(1)
        self._progress.finish()
        return systems

    def truth(self, queries: Bytes, radius: int) -> Found:
        """Every pair within the radius, by a flat scan."""
        return range_found(ranges(self._truth, queries, radius), len(queries))

    def run(
        self, radius: int, effort: Effort, names: Iterable[str] | None = None, pool: Bytes | None = None
    ) -> Outcome:
        """Check and time the systems at one radius.

        Parameters
        ----------
        radius, effort
            Inclusive, in bits; and how long to measure.
        names
            Only these systems.
        pool : uint8, shape (q, 32)
            Other queries than the list's own.

        Raises
        ------
        IntegrityError
            An exact system gave a wrong answer.

        """
        wanted = None if names is None else set(names)
        systems = [system for system in self.systems if wanted is None or system.name in wanted]
        if self.column.plan(radius) is None:
            systems = [system for system in systems if not system.name.startswith(("c_probe", "ours_loop"))]
        pool = self.queries if pool is None else pool
        queries = pool[: self.comparison.checked]
        truth = self.truth(queries, radius)
        recalls, checked = {}, {}
        for system in systems:
            recalls[system.name], checked[system.name] = self._recall(system, queries, radius, truth)
        ways = [_way(system, pool, radius) for system in systems]
        return Outcome(
            comparison=dataclasses.replace(self.comparison, radius=radius),
            timings=measure(ways, len(pool), effort, self._progress),
            recalls=recalls,
            checked=checked,
            sizes={system.name: system.size_bytes for system in systems if system.size_bytes is not None},
            builds_s={system.name: system.build_s for system in systems if system.build_s is not None},
            memory=self.column.memory(),
            bounds=self._bounds(radius),
            skipped=self.skipped,
            hits_per_query=len(truth) / len(queries),
        )

    def _recall(self, system: System, queries: Bytes, radius: int, truth: Found) -> tuple[float, int]:
        """Return the recall and on how many queries."""
        few = min(LEAST_CHECKED, len(queries))
        system.ask(queries[:1], radius)
        begin = time.perf_counter()
        system.ask(queries[:few], radius)
        per_query_s = (time.perf_counter() - begin) / few
        count = min(len(queries), max(few, int(CHECK_S / per_query_s)))
        part = truth.where(truth.query < count)
        found = _asked(system, queries[:count], radius).within(radius)
        if not system.exact:
            return answers.recall(part, found), count
        limit = self.comparison.max_hits if system.limited else None
        wrong = answers.difference(part, found, limit, count)
        if wrong is not None:
            raise IntegrityError(f"{system.name} at radius {radius} over {self.comparison.entries:,} entries: {wrong}")
        return 1.0, count

    def _bounds(self, radius: int) -> Mapping[str, float]:
        try:
            return ceiling.memory_bounds(Task(self.column, radius))
        except Skipped as reason:
            self.skipped.setdefault("bounds", str(reason))
            return {}


def compare(
    comparison: Comparison,
    effort: Effort | None = None,
    *,
    pictures: Bytes | None = None,
    progress: Progress = SILENT,
) -> Outcome:
    """Build, check and time. Raises as :class:`Bench` and :meth:`Bench.run` do."""
    return Bench(comparison, pictures=pictures, progress=progress).run(comparison.radius, effort or Effort())


def _asked(system: System, queries: Bytes, radius: int) -> Found:
    """Ask in the system's own batches and put the pairs together."""
    size = system.batch or len(queries)
    parts: list[Found] = []
    for begin in range(0, len(queries), size):
        batch = queries[begin : begin + size]
        part = system.found(system.ask(batch, radius), len(batch))
        parts.append(dataclasses.replace(part, query=part.query + begin))
    return Found(
        np.concatenate([part.query for part in parts]),
        np.concatenate([part.row for part in parts]),
        np.concatenate([part.distance for part in parts]),
        any(part.cut for part in parts),
    )


def _way(system: System, queries: Bytes, radius: int) -> Way:
    """How a slice of the queries is timed."""
    ask = system.ask
    if system.batch == ALL_AT_ONCE:
        return Way(system.name, lambda begin, end: ask(queries[begin:end], radius))
    return Way(system.name, _batches(ask, queries, radius, system.batch), system.batch)


def _batches(
    ask: Callable[[Bytes, int], object], queries: Bytes, radius: int, size: int
) -> Callable[[int, int], object]:
    """Ask call by call; the arrays are cut beforehand, as a caller has them who gets one query at a time."""
    batches = [queries[at : at + size] for at in range(0, len(queries), size)]

    def run(begin: int, end: int) -> None:
        for batch in batches[begin // size : -(-end // size)]:
            ask(batch, radius)

    return run


def _check(comparison: Comparison) -> None:
    unknown: Sequence[str] = [name for name in comparison.families if name not in FAMILIES]
    if unknown:
        raise BadInput(f"no such system: {', '.join(unknown)}; there are {', '.join(FAMILIES)}", field="systems")
    needed, there = comparison.entries * BYTES_PER_ENTRY, available_bytes()
    if needed > there:
        raise BadInput(
            f"{comparison.entries:,} entries need about {needed / 1e9:.1f} GB, {there / 1e9:.1f} GB are available",
            field="entries",
        )
