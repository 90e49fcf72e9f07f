"""What ``hashmatch bench distances`` prints: the measurement, the bounds that follow from it, and where they lead.

Theory of operation
-------------------
:func:`record` puts together what was counted, the fitted bounds, the edges of the review band that follow from them for
lists of several lengths, and what searching up to such an edge costs. The bounds are the constants of
``matching/chance.py``: a test fits them anew from the committed record.

What this module deliberately does not do: it compares no pictures (``distances.py``).
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from hashmatch.bench import codes, distances_plots, machine
from hashmatch.bench.alterations import chosen
from hashmatch.bench.column import Column
from hashmatch.bench.distances import (
    ALTERATIONS,
    BANDS,
    CLASSES,
    EDGES,
    Measured,
    Study,
    factors,
    fit,
    measure,
    sources_below,
)
from hashmatch.bench.systems import Skipped
from hashmatch.config import PolicyConfig
from hashmatch.errors import BadInput
from hashmatch.matching.chance import Tail
from hashmatch.progress import SILENT, Progress

LENGTHS: Final = tuple(10**power for power in range(4, 9))
"""Lists for which the edge is told, in values."""
ASKED: Final = {"none": 16, "cheap": 32, "full": 165}
"""Level of views to about how many hashes it asks: docs/explain/views.md."""
QUERIES: Final = 16
ROUNDS: Final = 5
MAX_HITS: Final = 100


@dataclass(frozen=True, slots=True)
class Request:
    """What to run, as asked for on the command line; None for the default."""

    photos: tuple[Path, ...]
    limit: int | None = None
    transforms: str | None = None
    side_px: int = 640
    entries: int = 1_000_000
    jobs: int | None = None
    seed: int = 1


def run(request: Request, progress: Progress = SILENT) -> dict[str, Any]:
    """Run everything and return what ``bench distances --json`` prints.

    Raises
    ------
    BadInput
        An option names nothing that exists, or fewer than two directories have photos that a list would take.

    """
    try:
        alterations = ALTERATIONS if request.transforms is None else [row.name for row in chosen(request.transforms)]
    except Skipped as reason:
        raise BadInput(str(reason), field="transforms") from None
    study = Study(
        photos=sources_below(request.photos, request.limit),
        alterations=alterations,
        seed=request.seed,
        side_px=request.side_px,
        jobs=request.jobs or len(os.sched_getaffinity(0)),
    )
    return record(study, measure(study, progress), request.entries)


def write(said: Mapping[str, Any], *, plot: Path | None, path: Path | None) -> None:
    """Write the plots into ``plot`` and the record to ``path``; each unless None.

    Raises
    ------
    BadInput
        matplotlib is not installed, or the file cannot be written.

    """
    if plot is not None:
        distances_plots.draw(said, plot)
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise BadInput(f"cannot write {path}: {error.strerror}", field="results") from error


def record(study: Study, measured: Measured, entries: int) -> dict[str, Any]:
    """Return everything as one object of JSON; ``entries`` is the length of the list that searches are timed on."""
    rate = PolicyConfig().review_false_rate
    said: dict[str, Any] = {"seed": study.seed, "side_px": study.side_px, "alterations": list(study.alterations)}
    said |= measured.as_json()
    tails, skipped = {}, dict(measured.skipped)
    for name in CLASSES:
        try:
            tails[name] = fit(said["classes"][name])
        except BadInput as error:
            skipped[name] = error.message
    said["tails"] = {name: dataclasses.asdict(tail) for name, tail in tails.items()}
    said["quality"] = {str(least): times for least, times in factors(said["bands"]).items()}
    said["review_false_rate"] = rate
    said["edges"] = {name: edges(tail, rate) for name, tail in tails.items()}
    said["search"] = {"entries": entries, "us_per_query": search_us(entries, study.seed)}
    return said | {"skipped": skipped, "machine": machine.card()}


def edges(tail: Tail, rate: float) -> dict[str, dict[str, int]]:
    """Return level to list length to the widest distance that keeps to ``rate``, in bits, before any limit."""
    return {
        level: {str(length): math.floor(tail.reach(rate / (length * hashes))) for length in LENGTHS}
        for level, hashes in ASKED.items()
    }


def search_us(entries: int, seed: int) -> dict[str, float]:
    """Return microseconds of processor time per query up to each edge, in a list of made-up codes; the best of five."""
    rng = np.random.default_rng(seed)
    column, queries = Column(codes.uniform(entries, rng), MAX_HITS), codes.uniform(QUERIES, rng)
    taken: dict[str, float] = {}
    for edge in EDGES:
        column.ask(queries, edge)
        rounds = []
        for _ in range(ROUNDS):
            begin = time.process_time_ns()
            column.ask(queries, edge)
            rounds.append(time.process_time_ns() - begin)
        taken[str(edge)] = round(min(rounds) / 1e3 / QUERIES, 2)
    return taken


def rows(said: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return the table for people: kind, pairs, mean, deviation, nearest; then the bands of quality."""
    named = [(kind, row) for kind, row in said["kinds"].items()]
    named += [(f"quality {least} to {most}", said["bands"][str(least)]) for least, most in _spans()]
    return [
        (name, f"{row['pairs']:,}", f"{row['mean']:.2f}", f"{row['deviation']:.2f}", str(row["nearest"]))
        for name, row in named
        if row["pairs"]
    ]


def remarks(said: Mapping[str, Any]) -> list[str]:
    """Sentences about the bounds."""
    lines = [
        f"{name}: at most {tail['share']:.3g} of the pairs within {tail['threshold']} bits, and at least "
        f"{tail['decades_per_bit']:.3f} decades less for every bit below"
        for name, tail in said["tails"].items()
    ]
    return lines + [f"skipped {name}: {reason}" for name, reason in said["skipped"].items()]


def _spans() -> list[tuple[int, int]]:
    return list(zip(BANDS, [least - 1 for least in BANDS[1:]] + [100], strict=True))
