"""The page, the plots and the goal of ``hashmatch bench urlcheck``. Pure but for the plots.

What this module deliberately does not do: it measures nothing. matplotlib comes with the extra ``hashmatch[bench]``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hashmatch.bench.goals import Goal, at, check
from hashmatch.bench.plots import load_pyplot

PAGE, RECORD, SPEED_PLOT, MEMORY_PLOT = "HOTLINE.md", "hotline.json", "hotline_speed.svg", "hotline_memory.svg"
WISHED_PAGES_PER_S = 200
FLAT_MB_PER_10000 = 1.0
"""A page's address and key alone, kept for each, would be more."""

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "plain": "aiohttp and selectolax, nothing looked up",
        "sha256": "the same, and SHA-256 of each picture",
        "fetcher": "our confined fetcher and selectolax, nothing looked up",
        "urlcheck_none": "`hashmatch urlcheck`, `policy.views = none`",
        "urlcheck": "`hashmatch urlcheck`",
    }
)
"""Way to what it is."""

PARTS = ("coordinator", "fetching", "reading pages", "hashing images", "site")
COLOURS = ("#c1272d", "#0071bc", "#b8860b", "#2e8b57", "#888888")


def _per_second(what: str) -> Any:
    """Read how many pages per second a part of the work leaves room for, with the cores to itself."""
    return at("urlcheck", "allows_pages_per_s", what)


GOALS: tuple[Goal, ...] = (
    Goal(
        "pages of 10 pictures per second, the whole command", WISHED_PAGES_PER_S, "", at("urlcheck", "pages_per_s"),
        at_least=True,
        beside=lambda results: {
            "all cores, if they did nothing but hash": _per_second("hashing images")(results),
            "all cores, if they had nothing else to do": _per_second("all")(results),
            "the coordinator's one thread": _per_second("coordinator")(results),
            "aiohttp and selectolax, looking nothing up": at("plain", "pages_per_s")(results),
        },
    ),
    Goal("most growth of a process, MB in 10,000 addresses", FLAT_MB_PER_10000, "", at("memory", "most_mb_per_10000")),
)  # fmt: skip
"""What a run is held to."""


def way_record(rounds: Sequence[Mapping[str, Any]], pages: int, images: int, cores: int) -> dict[str, Any]:
    """Return the row of one way: medians over its rounds.

    ``allows_pages_per_s`` is what the CPU time of a part would leave room for: of the coordinator on one core, since it
    is one thread but for its searches, of all else on ``cores``.
    """
    seconds = _median([row["seconds"] for row in rounds])
    ms = {part: _median([row["cpu_s"].get(part, 0.0) for row in rounds]) / pages * 1e3 for part in PARTS}
    used = {part: took for part, took in ms.items() if took}
    return {
        "pages": pages,
        "pages_per_s": pages / seconds,
        "images_per_s": pages * images / seconds,
        "seconds": [row["seconds"] for row in rounds],
        "whole_s": _median([row["whole_s"] for row in rounds]),
        "cpu_ms_per_page": used,
        "allows_pages_per_s": {
            **{part: (1 if part == "coordinator" else cores) * 1e3 / took for part, took in used.items()},
            "all": cores * 1e3 / sum(used.values()),
        },
        "cores_used": sum(used.values()) * pages / seconds / 1e3,
    }


def _median(figures: Sequence[float]) -> float:
    ordered = sorted(figures)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def goals(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what was wished and what a run made of it."""
    results = {**record["ways"], "memory": record["memory"] or {}}
    return [
        {"what": one.goal.what, "goal": one.goal.text(), "measured": one.measured, "met": one.met, "beside": one.beside}
        for one in check(results, GOALS)
    ]


def told(goal: Mapping[str, Any]) -> str:
    """Return a goal in one line, with what bears on it."""
    said = {True: "met", False: "missed", None: "open"}[goal["met"]]
    measured = "not measured" if goal["measured"] is None else f"measured {round(goal['measured'], 2):.4g}"
    beside = "; ".join(f"{name}: {figure:.0f}" for name, figure in goal["beside"].items())
    return f"{goal['what']}: {goal['goal']}, {measured}: {said}" + (f" ({beside})" if beside else "")


def page(record: Mapping[str, Any]) -> str:
    """Return the results as a page in Markdown."""
    return "\n".join([*_speed(record), *_memory(record), *_machine(record), ""])


def _speed(record: Mapping[str, Any]) -> Iterator[str]:
    web = record["web"]
    yield "# Checking reported URLs: speed and memory"
    yield ""
    yield "Written by `make bench-urlcheck`; nobody edits it. A site on loopback, in a process of its own on the same"
    yield f"cores, has {web['hosts']} virtual hosts with {web['pages']} pages each, and {web['images']} distinct"
    yield f"pictures of 8 kB on every page. All ways keep to {record['concurrency']} fetches at a time and"
    yield f"{record['host_concurrency']} from one host, and take turns, {record['rounds']} rounds each. Before a time"
    yield "counts, each way has asked for the same addresses, each once, got the bytes that were served, and ours has"
    yield "found the planted pictures and no others."
    yield ""
    yield "Times run from the first request to the last page; starting (`whole` has it) and writing results are extra."
    yield ""
    yield "| way | pages/s | images/s | CPU ms per page | cores used | whole, s |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for name, row in record["ways"].items():
        yield (
            f"| {NAMES[name]} | {row['pages_per_s']:.1f} | {row['images_per_s']:,.0f} | "
            f"{sum(row['cpu_ms_per_page'].values()):.1f} | {row['cores_used']:.2f} | {row['whole_s']:.1f} |"
        )
    yield ""
    yield f"![CPU time per page, by process](plots/{SPEED_PLOT})"
    yield ""
    yield "## Where the time goes"
    yield ""
    yield "CPU milliseconds per page of ten pictures, by process."
    yield ""
    yield f"| way | {' | '.join(PARTS)} |"
    yield f"| --- |{' ---: |' * len(PARTS)}"
    for name, row in record["ways"].items():
        cells = (f"{row['cpu_ms_per_page'][part]:.2f}" if part in row["cpu_ms_per_page"] else "" for part in PARTS)
        yield f"| {NAMES[name]} | {' | '.join(cells)} |"
    yield ""
    for goal in record["goals"]:
        yield f"* {told(goal)}"
    yield ""
    yield "What a bound says: how many pages per second that part would do if it had the cores to itself. A crawler"
    yield "that looks nothing up decodes no picture, judges no address and keeps nothing; the difference is what these"
    yield "cost."


def _memory(record: Mapping[str, Any]) -> Iterator[str]:
    memory = record["memory"]
    if not memory:
        return
    yield ""
    yield "## Memory"
    yield ""
    yield f"A list of {memory['listed']:,} addresses of small pages; {memory['checked']:,} were checked in"
    yield f"{memory['seconds']:,.0f} s; resident memory by process, in MB (of several, the sum)."
    yield ""
    yield "| process | at first | half way | at last | growth in 10,000 addresses, second half |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for part, held in memory["mb"].items():
        grown = memory["mb_per_10000"][part]
        yield f"| {part} | {held['first']:.1f} | {held['middle']:.1f} | {held['last']:.1f} | {grown:+.2f} |"
    yield ""
    yield f"![Resident memory by process over the list](plots/{MEMORY_PLOT})"


def _machine(record: Mapping[str, Any]) -> Iterator[str]:
    machine = record["machine"]
    yield ""
    yield "## Machine"
    yield ""
    yield f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}."
    for when, noise in machine["noise"].items():
        quiet = "quiet" if noise["quiet"] else "not quiet: others had the cores, so look at CPU time rather than rates"
        yield f"Noise {when}: spread {noise['spread']:.2f}, load {noise['load']:.1f} ({quiet})."


def draw(record: Mapping[str, Any], where: Path) -> list[Path]:
    """Write the plots and return their paths; raises BadInput without matplotlib."""
    pyplot = load_pyplot()
    where.mkdir(parents=True, exist_ok=True)
    drawn = [_draw_speed(pyplot, record["ways"], where / SPEED_PLOT)]
    if record["memory"]:
        drawn.append(_draw_memory(pyplot, record["memory"], where / MEMORY_PLOT))
    return drawn


def _draw_speed(pyplot: Any, ways: Mapping[str, Any], path: Path) -> Path:
    figure, axes = pyplot.subplots(figsize=(8, 3), layout="constrained")
    names = [*ways][::-1]
    begins = dict.fromkeys(names, 0.0)
    for part, colour in zip(PARTS, COLOURS, strict=True):
        took = [ways[name]["cpu_ms_per_page"].get(part, 0.0) for name in names]
        axes.barh(names, took, left=[begins[name] for name in names], color=colour, label=part)
        for name, ms in zip(names, took, strict=True):
            begins[name] += ms
    for name in names:
        axes.text(begins[name], name, f" {ways[name]['pages_per_s']:.0f} pages/s", va="center")
    axes.set_xlim(right=1.25 * max(begins.values()))
    axes.set_xlabel("CPU milliseconds per page of ten pictures")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path


def _draw_memory(pyplot: Any, memory: Mapping[str, Any], path: Path) -> Path:
    figure, axes = pyplot.subplots(figsize=(8, 3.5), layout="constrained")
    curve = dict(memory["curve"])
    checked = curve.pop("checked")
    for part, colour in zip(PARTS, COLOURS, strict=True):
        if part in curve:
            axes.plot(checked, curve[part], color=colour, label=part)
    axes.set_xlabel("addresses checked")
    axes.set_ylabel("resident memory (MB)")
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path
