"""Draw ``bench hash``: images per second of every system, a panel per case and source.

What this module deliberately does not do: it computes nothing. matplotlib comes with the extra ``hashmatch[bench]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hashmatch.bench.plots import load_pyplot

FILE = "hashing.svg"
OURS, CEILING, SAME, OTHER = "#c1272d", "#222222", "#0071bc", "#bbbbbb"
"""Colours: ours, our C, peers with the same bits, other hashes."""


def draw(rows: Sequence[Mapping[str, Any]], where: Path) -> Path:
    """Write ``hashing.svg`` from the rows of ``hash_compare.Outcome.as_json`` and return its path.

    Raises
    ------
    BadInput
        matplotlib is not installed.

    """
    pyplot = load_pyplot()
    where.mkdir(parents=True, exist_ok=True)
    heights = [len(row["images_per_second"]) for row in rows]
    figure, panels = pyplot.subplots(
        len(rows), 1, figsize=(8, 0.3 * sum(heights) + 0.9 * len(rows)), height_ratios=heights, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for row, axes in zip(rows, panels[:, 0], strict=True):
        rates = dict(sorted(row["images_per_second"].items(), key=lambda item: item[1]))
        drawn = axes.barh(list(rates), rates.values(), color=[_colour(name, row["same_bits"]) for name in rates])
        axes.bar_label(drawn, [f" {rate:,.0f}" for rate in rates.values()])
        axes.set_xscale("log")
        axes.set_xlim(right=4 * max(rates.values()))
        axes.set_title(f"{row['case']}, from {row['source']}", loc="left", fontsize=10)
    panels[-1, 0].set_xlabel("images per second on one core (grey: another hash, not PDQ)")
    path = where / FILE
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path


def _colour(name: str, same_bits: Sequence[str]) -> str:
    if name.startswith("ours"):
        return OURS
    if name.startswith("c_"):
        return CEILING
    return SAME if name in same_bits else OTHER
