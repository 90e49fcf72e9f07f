"""Plots of statistics as SVG: the trend over years, distances of right and wrong matches, from checked to removed.

Theory of operation
-------------------
Each plot is a function of :class:`~hashmatch.model.figures.Counted` rows and returns the bytes of an SVG, the same
from the same rows (``drawing``).

What this module deliberately does not do: it computes no statistics and writes no file.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable
from typing import Final

from hashmatch.cases.statistics_tables import totals, yearly
from hashmatch.drawing import canvas, saved
from hashmatch.model.figures import Counted, Counter

_TREND: Final = (
    (Counter.MATCH, "match", "#c1272d", "o-"),
    (Counter.CONFIRMED, "confirmed", "#2e8b57", "s-"),
    (Counter.REJECTED, "rejected", "#888888", "x--"),
    (Counter.REPORTED, "reported", "#0071bc", "D-"),
    (Counter.REMOVED, "removed", "#7b3f9d", "^-"),
)
"""Counter, name, colour, and matplotlib's marker and line."""

_FUNNEL: Final = (
    ("checked", (Counter.CHECKED,)),
    ("match or possible match", (Counter.MATCH, Counter.POSSIBLE)),
    ("confirmed", (Counter.CONFIRMED,)),
    ("cases", (Counter.CASES,)),
    ("reports", (Counter.REPORTED,)),
    ("removed", (Counter.REMOVED,)),
)
"""Step to the counters that it sums."""


def trend(rows: Iterable[Counted]) -> bytes:
    """Draw counts over years.

    Raises
    ------
    BadConfig
        matplotlib is not installed.

    """
    table = yearly(rows)
    figure, axes, save = canvas(8, 5)
    years = [int(str(row[0])) for row in table.rows]
    for counter, name, colour, style in _TREND:
        place = table.columns.index(counter.value)
        axes.plot(years, [row[place] for row in table.rows], style, color=colour, label=name, markersize=5)
    axes.set_xticks(years)
    axes.set_xlabel("year")
    axes.set_ylabel("count")
    axes.set_ylim(bottom=0)
    return saved(figure, axes, save, legend=True)


def distances(rows: Iterable[Counted]) -> bytes:
    """Draw how far confirmed and rejected matches were from their entries.

    Raises
    ------
    BadConfig
        matplotlib is not installed.

    """
    kept = list(rows)
    figure, axes, save = canvas(8, 4)
    for counter, name, colour, shift in (
        (Counter.DISTANCE_CONFIRMED, "confirmed", "#2e8b57", -0.2),
        (Counter.DISTANCE_REJECTED, "rejected", "#888888", 0.2),
    ):
        found: Tally[int] = Tally()
        for row in kept:
            if row.counter is counter:
                found[row.bucket] += row.count
        at = sorted(found)
        axes.bar([bits + shift for bits in at], [found[bits] for bits in at], 0.4, color=colour, label=name)
    axes.set_xlabel("distance (bits)")
    axes.set_ylabel("matches")
    return saved(figure, axes, save, legend=True)


def funnel(rows: Iterable[Counted]) -> bytes:
    """Draw how many are left from step to step: from checked to removed.

    Raises
    ------
    BadConfig
        matplotlib is not installed.

    """
    sums = totals(rows)
    names = [name for name, _ in _FUNNEL]
    values = [sum(sums[counter] for counter in counters) for _, counters in _FUNNEL]
    figure, axes, save = canvas(8, 3.5)
    drawn = axes.barh(names, values, color="#0071bc")
    axes.bar_label(drawn, [f" {value:,}" for value in values])
    axes.invert_yaxis()
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(0, 10 * max(*values, 1))
    axes.set_xlabel("count")
    return saved(figure, axes, save, legend=False)
