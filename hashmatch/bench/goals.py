"""What was promised of the search, and whether a run keeps it. Pure.

Theory of operation
-------------------
A :class:`Goal` reads one figure out of a run's results and compares it with a bound. A figure that the run does not
have (no C compiler, a smaller scale) leaves the goal open, never met. Beside each goal stands what bears on it: the
same search in a compiled loop, its twin in C, and what the memory would need for the same reads, so that a goal that
is missed is missed beside the bound.

What this module deliberately does not do: it measures nothing and rounds nothing in anybody's favour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Results = Mapping[str, Mapping[str, Any]]
"""Name of an experiment to its result, as ``suite.run`` yields them."""

TIMES = "\N{MULTIPLICATION SIGN}"
MILLION = 1_000_000
K100, M1, M10 = "size_100000", "size_1000000", "size_10000000"


@dataclass(frozen=True, slots=True)
class Goal:
    """``figure`` of a run's results is to be at least, or at most, ``bound``."""

    what: str
    bound: float
    unit: str
    figure: Callable[[Results], float | None]
    at_least: bool = False
    beside: Callable[[Results], Mapping[str, float | None]] = lambda _results: {}

    def text(self) -> str:
        """Return the bound as people write it."""
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}{self.unit}"


@dataclass(frozen=True, slots=True)
class Checked:
    """A goal and what a run made of it; ``met`` is None when the run does not have the figure."""

    goal: Goal
    measured: float | None
    met: bool | None
    beside: Mapping[str, float]


def at(*path: str) -> Callable[[Results], float | None]:
    """Read a figure by its path."""

    def read(results: Results) -> float | None:
        found: Any = results
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        return None if found is None else float(found)

    return read


def scaled(figure: Callable[[Results], float | None], factor: float) -> Callable[[Results], float | None]:
    """Multiply a figure, if there is one."""

    def read(results: Results) -> float | None:
        found = figure(results)
        return None if found is None else found * factor

    return read


def quotient(
    above: Callable[[Results], float | None], below: Callable[[Results], float | None]
) -> Callable[[Results], float | None]:
    """Divide one figure by another, if there are both."""

    def read(results: Results) -> float | None:
        one, other = above(results), below(results)
        return one / other if one is not None and other else None

    return read


def whole(experiment: str, figure: Callable[[Results], float | None]) -> Callable[[Results], float | None]:
    """Read a figure only if the experiment had a million entries."""
    return lambda results: figure(results) if results.get(experiment, {}).get("entries") == MILLION else None


def at_radius(radius: int, *path: str) -> Callable[[Results], float | None]:
    """Read a figure of one radius of the radius experiment."""

    def read(results: Results) -> float | None:
        for row in results.get("radii", {}).get("radii", ()):
            if row["radius"] == radius and row["entries"] == MILLION:
                return at(*path)(row)
        return None

    return read


def on_two_cores(system: str) -> Callable[[Results], float | None]:
    """Read the throughput of two threads by that of one."""

    def read(results: Results) -> float | None:
        rates = results.get("threads", {}).get("queries_per_s", {}).get(system, ())
        return rates[1] / rates[0] if len(rates) > 1 else None

    return whole("threads", read)


def us(experiment: str, system: str) -> Callable[[Results], float | None]:
    """Microseconds per query of a system."""
    return at(experiment, "us_per_query", system)


def of(experiment: str) -> Callable[[Results], Mapping[str, float | None]]:
    """Read what stands beside a goal on single queries: µs per query in other ways."""
    named = {"compiled loop": us(experiment, "ours_loop"), "C loop": us(experiment, "c_probe_loop")}
    named["memory bound"] = at(experiment, "bounds", "probe_us")
    return lambda results: {name: figure(results) for name, figure in named.items()}


def building(entries: int) -> Callable[[Results], Mapping[str, float | None]]:
    """Read what stands beside the goal on building: medians in seconds."""
    named = {"median": "ours", "our C": "c", "writing the tables alone": "writing"}
    return lambda results: {name: at(f"build_{entries}", "seconds", way)(results) for name, way in named.items()}


def ratio(experiment: str, system: str, bound: float, what: str) -> Goal:
    """So many times faster than a system, one query per call."""
    in_loop = quotient(us(experiment, system), us(experiment, "ours_loop"))
    return Goal(
        what, bound, TIMES, at(experiment, "ratio_vs", system), at_least=True,
        beside=lambda results: {"in a compiled loop": in_loop(results)},
    )  # fmt: skip


GOALS: tuple[Goal, ...] = (
    ratio(M1, "faiss_flat", 100, "1 M entries, one query, against FAISS flat"),
    ratio(M1, "faiss_multihash", 135, "1 M entries, one query, against the peer's MultiHash"),
    Goal("1 M entries, one query", 10, " µs", us(M1, "ours"), beside=of(M1)),
    ratio(M10, "faiss_flat", 190, "10 M entries, one query, against FAISS flat"),
    Goal("10 M entries, one query", 60, " µs", us(M10, "ours"), beside=of(M10)),
    ratio(K100, "faiss_flat", 30, "100 k entries, one query, against FAISS flat"),
    Goal("100 k entries, one query", 3.5, " µs", us(K100, "ours"), beside=of(K100)),
    Goal("8 orientations as one batch, 10 M", 0.4, " ms", scaled(us(M10, "ours_batch8"), 8e-3)),
    Goal("120 views of one image as one batch, 1 M", 0.9, " ms",
         whole("views", scaled(us("views", "ours_batch120"), 0.12))),
    Goal("radius 45, 1 M, against FAISS flat", 8, TIMES, at_radius(45, "ratio_vs", "faiss_flat"), at_least=True),
    Goal("radius 60, 1 M, against FAISS flat", 2, TIMES, at_radius(60, "ratio_vs", "faiss_flat"), at_least=True),
    Goal("Numba against our C, loops over single queries, 1 M", 1.15, TIMES,
         quotient(us(M1, "ours_loop"), us(M1, "c_probe_loop"))),
    Goal("Numba against our C, 100 k", 1.15, TIMES, quotient(us(K100, "ours_loop"), us(K100, "c_probe_loop"))),
    Goal("Numba against our C, 10 M", 1.15, TIMES, quotient(us(M10, "ours_loop"), us(M10, "c_probe_loop"))),
    Goal("memory at 1 M", 150, " bytes per entry", at(M1, "bytes_per_entry", "ours")),
    Goal("memory at 10 M", 150, " bytes per entry", at(M10, "bytes_per_entry", "ours")),
    Goal("build the tables of 1 M", 0.6, " s", at(M1, "build_s", "ours"), beside=building(MILLION)),
    Goal("build the tables of 10 M", 8, " s", at(M10, "build_s", "ours"), beside=building(10 * MILLION)),
    Goal("open a segment of 1 M", 20, " ms", whole("live", at("live", "open_ms")),
         beside=lambda results: {"with every checksum, ms": at("live", "open_verified_ms")(results)}),
    Goal("added entry seen, 99th percentile", 10, " ms", whole("live", at("live", "add_visible_ms", "p99"))),
    Goal("withdrawn entry gone, 99th percentile", 10, " ms", whole("live", at("live", "withdraw_gone_ms", "p99"))),
    Goal("two threads, each an image's views per call", 1.9, TIMES, on_two_cores("ours_batch120"), at_least=True,
         beside=lambda results: {"a query per call": on_two_cores("ours")(results)}),
)  # fmt: skip
"""The goals of the search, in the order of reports."""


def check(results: Results, promised: Sequence[Goal] = GOALS) -> list[Checked]:
    """Hold a run against every goal."""
    checked = []
    for goal in promised:
        measured = goal.figure(results)
        met = None if measured is None else (measured >= goal.bound if goal.at_least else measured <= goal.bound)
        beside = {name: figure for name, figure in goal.beside(results).items() if figure is not None}
        checked.append(Checked(goal, measured, met, beside))
    return checked
