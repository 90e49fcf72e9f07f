"""Draw a robustness run: recall by alteration and level, distances of own and foreign pictures.

What this module deliberately does not do: it computes nothing. matplotlib comes with the extra ``hashmatch[bench]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hashmatch.bench.plots import load_pyplot, saved
from hashmatch.bench.robustness_report import PLOTS

COLOURS = ("#0071bc", "#e08214", "#c1272d", "#2e8b57", "#7b3f9d")
"""Of the levels, in their order."""


def draw(results: Mapping[str, Any], where: Path) -> list[Path]:
    """Write both plots and return their paths.

    Raises
    ------
    BadInput
        matplotlib is not installed.

    """
    pyplot = load_pyplot()
    where.mkdir(parents=True, exist_ok=True)
    recall, distances = (where / name for name in PLOTS)
    return [_recall(pyplot, results, recall), _distances(pyplot, results, distances)]


def _recall(pyplot: Any, results: Mapping[str, Any], path: Path) -> Path:
    """Draw rings, a smaller one for each higher level, so that equal recalls can be told apart."""
    rows, levels = results["transforms"], list(results["foreign"])
    figure, axes = pyplot.subplots(figsize=(9, 0.19 * len(rows) + 1.5))
    names = list(rows)
    for at, (level, colour) in enumerate(zip(levels, COLOURS, strict=False)):
        found, review = (
            [100 * (row["levels"][level][key] or 0) for row in rows.values()] for key in ("recall", "recall_review")
        )
        axes.scatter(found, names, s=20 * (len(levels) - at), color=colour, label=level, zorder=2 + at)
        if level == levels[-1]:
            axes.scatter(review, names, s=50, marker="|", color=colour, label=f"{level}, review")
    axes.set_xlim(-2, 102)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel("found (% of the photos)")
    return saved(pyplot, figure, axes, path)


def _distances(pyplot: Any, results: Mapping[str, Any], path: Path) -> Path:
    """Draw how far foreign pairs are at every level, and how far own pictures are at the highest."""
    figure, axes = pyplot.subplots(figsize=(9, 4.5))
    for level, colour in zip(results["foreign"], COLOURS, strict=False):
        counts = results["foreign"][level]["histogram"]
        axes.plot([int(at) for at in counts], list(counts.values()), color=colour, label=f"{level}: other photos")
    own = [row["levels"][level]["mean_distance"] for row in rows_with(results, level)]
    axes.hist(own, bins=range(0, 136, 4), color=colour, alpha=0.4, label=f"{level}: own, mean per alteration")
    axes.set_yscale("log")
    axes.axvline(results["match_distance"], color="#222222", linestyle="--", label="match")
    axes.axvline(results["review_distance"], color="#222222", linestyle=":", label="review")
    axes.set_xlabel("distance (bits of 256)")
    axes.set_ylabel("pairs; alterations")
    return saved(pyplot, figure, axes, path)


def rows_with(results: Mapping[str, Any], level: str) -> list[Mapping[str, Any]]:
    """Return the alterations for which there is a distance at a level."""
    return [row for row in results["transforms"].values() if row["levels"][level]["mean_distance"] is not None]
