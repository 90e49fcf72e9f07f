"""The series of hashing: every case from pixels and from files, with the goals of each row.

What this module deliberately does not do: it prints nothing and writes no file; ``hashmatch bench hash`` and
``native_bench/hashing.py`` do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hashmatch.bench import goals, hash_goals, machine
from hashmatch.bench.goals import Checked
from hashmatch.bench.hash_compare import compare, systems_of
from hashmatch.bench.hash_pictures import Sample
from hashmatch.bench.hash_systems import FAMILIES, Source
from hashmatch.bench.timing import Effort
from hashmatch.progress import SILENT, Progress

Row = dict[str, Any]


def run(
    cases: Iterable[tuple[str, Sequence[Sample]]], families: Sequence[str] | None, effort: Effort,
    progress: Progress = SILENT,
) -> list[Row]:  # fmt: skip
    """Measure every case from both sources.

    Parameters
    ----------
    cases
        Name and pictures of each, made when its turn comes.
    families
        Names of ``hash_systems.FAMILIES``; None means all.
    effort
        How long to measure.
    progress
        Told of each way that is timed.

    Returns
    -------
    list of dict
        Rows as ``hashmatch bench hash --json`` prints them.

    Raises
    ------
    BadInput
        There is no family of that name.
    IntegrityError
        A system does not have the bits that it promises.

    """
    chosen, skipped = systems_of(FAMILIES if families is None else families)
    noise = machine.noise()
    described = {**machine.card(), "noise": {"load": noise.load, "spread": noise.spread, "quiet": noise.quiet}}
    results: dict[str, Row] = {}
    for case, samples in cases:
        for source in Source:
            outcome = compare(case, source, samples, chosen, effort, progress=progress)
            results[outcome.name] = outcome.as_json()
    for name, row in results.items():
        checked = goals.check(results, hash_goals.GOALS.get(name, ()))
        row |= {"goals": [goal_row(goal) for goal in checked], "skipped": skipped, "machine": described}
    return list(results.values())


def goal_row(checked: Checked) -> Row:
    """One goal as it stands in JSON."""
    return {
        "what": checked.goal.what,
        "goal": checked.goal.text(),
        "measured": checked.measured,
        "met": checked.met,
        "beside": dict(checked.beside),
    }


def bits(row: Row, system: str) -> str:
    """Say in words how a system's hashes compare with PDQ's."""
    if system in row["most_bits"]:
        return f"within {row['most_bits'][system]}"
    return "equal" if system in row["same_bits"] else "another hash"
