"""Draw a run's results: time against the list's length and against the radius, recall against time.

What this module deliberately does not do: it computes nothing. matplotlib comes with the extra ``hashmatch[bench]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hashmatch.bench.goals import Results
from hashmatch.bench.report import PLOTS
from hashmatch.errors import BadInput

STYLES: Mapping[str, tuple[str, str, str]] = {
    "ours": ("hashmatch", "#c1272d", "o-"),
    "ours_loop": ("hashmatch, compiled loop", "#e06c6f", "o:"),
    "ours_batch120": ("hashmatch, batches of 120", "#e9a3a5", "o--"),
    "c_probe_loop": ("its twin in C", "#222222", "x:"),
    "c_scan": ("popcount scan in C", "#888888", "x--"),
    "faiss_flat": ("FAISS flat", "#0071bc", "s-"),
    "faiss_multihash": ("FAISS MultiHash (the peer's)", "#2e8b57", "D-"),
    "faiss_hash": ("FAISS Hash", "#b8860b", "v-"),
    "faiss_hnsw": ("FAISS HNSW", "#7b3f9d", "^-"),
    "faiss_ivf": ("FAISS IVF", "#d2691e", "<-"),
    "usearch_exact": ("USearch exact", "#5f9ea0", "p-"),
    "usearch_hnsw": ("USearch HNSW", "#4b0082", "P-"),
}
"""System to its name on a plot, colour, and matplotlib's marker and line."""
LABEL_US = "time per query (µs)"
_ANCHORS = {"upper left": 1.0, "center left": 0.5}
"""Height beside the plot at which the legend's corner or middle is."""


def draw(results: Results, where: Path) -> list[Path]:
    """Write the plots of what ``results`` have and return their paths.

    Raises
    ------
    BadInput
        matplotlib is not installed.

    """
    pyplot = load_pyplot()
    where.mkdir(parents=True, exist_ok=True)
    entries_plot, radius_plot, recall_plot = (where / name for name in PLOTS)
    drawn = []
    sizes = [row for _, row in sorted((r["entries"], r) for n, r in results.items() if n.startswith("size_"))]
    if sizes:
        drawn.append(_lines(pyplot, sizes, "entries", "entries in the list", entries_plot, log_x=True))
    if radii := results.get("radii", {}).get("radii"):
        drawn.append(_lines(pyplot, radii, "radius", "radius (bits, inclusive)", radius_plot, log_x=False))
    if points := results.get("tradeoff", {}).get("points"):
        drawn.append(_recall(pyplot, points, recall_plot))
    return drawn


def bars(row: Mapping[str, Any], where: Path) -> Path:
    """Draw one comparison, as ``Outcome.as_json`` has it, into ``systems.svg``.

    Raises
    ------
    BadInput
        matplotlib is not installed.

    """
    pyplot = load_pyplot()
    where.mkdir(parents=True, exist_ok=True)
    times = dict(sorted(row["us_per_query"].items(), key=lambda item: -item[1]))
    figure, axes = pyplot.subplots(figsize=(8, 0.4 * len(times) + 1.5))
    drawn = axes.barh(list(times), times.values(), color=[STYLES.get(name, ("", "#999999", ""))[1] for name in times])
    axes.bar_label(drawn, [f" {took:.3g} µs, recall {row['recall'][name]:.2f}" for name, took in times.items()])
    axes.set_xscale("log")
    axes.set_xlim(right=10 * max(times.values()))
    axes.set_xlabel(LABEL_US)
    axes.set_title(f"{row['entries']:,} entries, {row['distribution']}, radius {row['radius']}")
    path = where / "systems.svg"
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
    return path


def load_pyplot() -> Any:
    """Return matplotlib.pyplot, set up so that equal data give equal files.

    Raises
    ------
    BadInput
        matplotlib is not installed.

    """
    try:
        import matplotlib as mpl
    except ImportError:
        raise BadInput("plots need matplotlib: pip install 'hashmatch[bench]'", field="plot") from None
    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "hashmatch", "svg.fonttype": "none", "font.size": 10})
    from matplotlib import pyplot as plt

    return plt


def _lines(pyplot: Any, rows: Sequence[Mapping[str, Any]], key: str, label: str, path: Path, *, log_x: bool) -> Path:
    """Time of every system over one column of ``rows``."""
    figure, axes = pyplot.subplots(figsize=(8, 5))
    for name, (title, colour, style) in STYLES.items():
        points = [(row[key], row["us_per_query"][name]) for row in rows if name in row["us_per_query"]]
        if points:
            axes.plot(*zip(*points, strict=True), style, color=colour, label=title, markersize=5)
    axes.set_yscale("log")
    if log_x:
        axes.set_xscale("log")
    axes.set_xlabel(label)
    axes.set_ylabel(LABEL_US)
    first = rows[0]
    axes.set_title(f"radius {first['radius']}" if log_x else f"{first['entries']:,} entries")
    return saved(pyplot, figure, axes, path, legend="center left")


def _recall(pyplot: Any, points: Sequence[Mapping[str, Any]], path: Path) -> Path:
    figure, axes = pyplot.subplots(figsize=(8, 5))
    for name, (title, colour, style) in STYLES.items():
        curve = [(point["us_per_query"], point["recall"]) for point in points if point["system"] == name]
        if curve:
            axes.plot(*zip(*curve, strict=True), style, color=colour, label=title, markersize=6)
    axes.set_xscale("log")
    axes.set_xlabel(LABEL_US)
    axes.set_ylabel("recall (share of entries within the radius that are found)")
    axes.set_ylim(0, 1.03)
    return saved(pyplot, figure, axes, path, legend="center left")


def saved(pyplot: Any, figure: Any, axes: Any, path: Path, *, legend: str = "upper left") -> Path:
    """Finish a plot with a grid and a legend on its right, write it without a date, and return its path."""
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(loc=legend, bbox_to_anchor=(1.01, _ANCHORS[legend]), frameon=False)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
    return path
