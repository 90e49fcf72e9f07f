"""Draw a ``bench distances`` run: how near unrelated pictures come, and how wide the review band is therefore.

What this module deliberately does not do: it measures nothing. matplotlib comes with the extra ``hashmatch[bench]``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from hashmatch.bench.codes import BITS
from hashmatch.bench.distances import STEP
from hashmatch.bench.plots import load_pyplot, saved
from hashmatch.config import PolicyConfig
from hashmatch.matching.chance import Tail

PLOTS: Final = ("unrelated.svg", "edge.svg")
COLOURS: Final = {"picture": "#0071bc", "guess": "#e08214", "same_source": "#7b3f9d"}
NAMES: Final = {"picture": "the picture itself, its negative", "guess": "trimmed, turned, cells"}
LEVELS: Final = {"none": ":", "cheap": "--", "full": "-"}


def draw(said: Mapping[str, Any], where: Path) -> list[Path]:
    """Write both plots and return their paths.

    Raises
    ------
    BadInput
        matplotlib is not installed.

    """
    pyplot = load_pyplot()
    where.mkdir(parents=True, exist_ok=True)
    unrelated, edge = (where / name for name in PLOTS)
    return [_unrelated(pyplot, said, unrelated), _edge(pyplot, said, edge)]


def normal_within(distance: float, deviation: float) -> float:
    """Share within a distance, if distances were normal around the middle; they are even, so half a step is added."""
    return 0.5 * math.erfc((BITS / 2 - distance - STEP / 2) / (deviation * math.sqrt(2)))


def _unrelated(pyplot: Any, said: Mapping[str, Any], path: Path) -> Path:
    """Draw shares within a distance: measured, the bound, and a normal distribution of the same width."""
    figure, axes = pyplot.subplots(figsize=(9, 5))
    for name, tail in said["tails"].items():
        axes.plot(*_within(said["classes"][name]), color=COLOURS[name], label=f"{NAMES[name]}: measured")
        bound = Tail(**tail)
        reach = range(28, bound.threshold + 1)
        axes.plot(reach, [bound.within(at) for at in reach], color=COLOURS[name], linestyle="--", label="bound")
    axes.plot(*_within(said["same_source"]), color=COLOURS["same_source"], label="of one source: look-alikes too")
    deviation = said["classes"]["picture"]["deviation"]
    reach = range(28, 128)
    normal = [normal_within(at, deviation) for at in reach]
    axes.plot(reach, normal, color="#888888", linewidth=1, label="a normal distribution")
    policy = PolicyConfig().algorithms["pdq"]
    for at, style, what in (
        (policy.match_distance, "--", "match"),
        (policy.possible_distance_max, ":", "review, widest"),
    ):
        axes.axvline(at, color="#222222", linestyle=style, label=what)
    axes.set_yscale("log")
    axes.set_ylim(1e-20, 2)
    axes.set_xlabel("distance (bits of 256)")
    axes.set_ylabel("share of the pairs within it")
    return saved(pyplot, figure, axes, path)


def _within(row: Mapping[str, Any]) -> tuple[list[int], list[float]]:
    """Distances that were seen, up to the middle, and the share of the pairs within each."""
    seen = sorted(int(at) for at in row["histogram"] if int(at) <= BITS // 2)
    counts = np.cumsum([row["histogram"][str(at)] for at in seen])
    return seen, (counts / row["pairs"]).tolist()


def _edge(pyplot: Any, said: Mapping[str, Any], path: Path) -> Path:
    """Draw the edge of the review band against the length of the list."""
    figure, axes = pyplot.subplots(figsize=(9, 4.5))
    for name, levels in said["edges"].items():
        for level, row in levels.items():
            lengths = [int(length) for length in row]
            axes.plot(lengths, list(row.values()), LEVELS[level], color=COLOURS[name], label=f"{NAMES[name]}: {level}")
    policy = PolicyConfig().algorithms["pdq"]
    axes.axhspan(policy.match_distance, policy.possible_distance_max, color="#222222", alpha=0.08)
    axes.axhline(policy.possible_distance_max, color="#222222", linestyle=":", label="review, widest")
    axes.axhline(policy.match_distance, color="#222222", linestyle="--", label="match")
    axes.set_xscale("log")
    axes.set_xlabel(f"values in the list (at most {said['review_false_rate']:g} by chance per picture)")
    axes.set_ylabel("edge (bits of 256)")
    return saved(pyplot, figure, axes, path)
