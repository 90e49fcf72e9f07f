"""Tables of statistics: per month, per year, and how any table is written.

Theory of operation
-------------------
Tables are functions of :class:`~hashmatch.model.figures.Counted` rows, in any order and as many per key as there
are. A :class:`Table` has fixed columns and is written as CSV or JSON, byte for byte the same from the same rows.

The ratio of false positives is that of rejected among the matches that a person looked at, with Wilson's interval of
95 %: it says how little a ratio out of a few looks means, and stays within 0 and 1. Where nobody looked it is empty and
not zero. Medians are of histograms; their error is bounded in ``model.figures``.

What this module deliberately does not do: it reads no database and no clock, and it rounds nothing before the end.

Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), 209-212.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import types
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from hashmatch import sheets
from hashmatch.model.figures import DURATIONS, Counted, Counter, middle_s

Cell: TypeAlias = str | int | float | None

Z_95: Final = 1.959963984540054
"""Quantile of the normal distribution for 95 %, two-sided."""

RATIO_DIGITS: Final = 6
SECONDS_DIGITS: Final = 1

RATIO_COLUMNS: Final = ("false_positive_ratio", "false_positive_low", "false_positive_high")

_COUNTS: Final = (
    *(Counter.CHECKED, Counter.NOT_CHECKED, Counter.MATCH, Counter.POSSIBLE, Counter.CONFIRMED, Counter.REJECTED),
    *(Counter.DISPUTED, Counter.CASES, Counter.REPORTED, Counter.EXPIRED, Counter.REMOVED),
)
_MEDIANS: Final = (Counter.TIME_TO_REPORT, Counter.TIME_TO_TAKEDOWN)

COLUMNS: Final = (
    "period",
    *(counter.value for counter in _COUNTS),
    *RATIO_COLUMNS,
    *(f"median_{counter.value}_s" for counter in _MEDIANS),
)
"""Of the tables per month and per year."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under fixed columns. An empty cell (None) means not known, never zero. ``notes`` say what is to be known."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()


def as_csv(table: Table) -> bytes:
    """Return a table as CSV; notes have no place in it."""
    return sheets.as_csv(table.columns, table.rows)


def as_json(table: Table) -> bytes:
    """Return a table as JSON: its name, columns, rows as objects, and notes."""
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    whole = {"table": table.name, "columns": table.columns, "rows": rows, "notes": table.notes}
    return json.dumps(whole, ensure_ascii=False, indent=1).encode() + b"\n"


def monthly(rows: Iterable[Counted]) -> Table:
    """Return one row per month, from the first month that has anything to the last."""
    return _by_period("monthly", rows, lambda day: (day.year, day.month), _months)


def yearly(rows: Iterable[Counted]) -> Table:
    """Return one row per year, likewise."""
    return _by_period("yearly", rows, lambda day: (day.year, 0), lambda first, last: iter(_years(first, last)))


KEYS: Final[Mapping[str, Callable[[Counted], str]]] = types.MappingProxyType(
    {
        "set": lambda row: row.set_name,
        "algorithm": lambda row: row.algorithm,
        "domain": lambda row: "" if row.domain is None else row.domain.value,
        "outlet": lambda row: row.outlet,
    }
)
"""What a table may be broken down by."""


def broken_down(make: Callable[[Iterable[Counted]], Table], rows: Iterable[Counted], key: str) -> Table:
    """Return a table by period once per value of a key, in the order of the values; what has none of it comes first.

    Parameters
    ----------
    make : callable
        :func:`monthly` or :func:`yearly`.
    rows : iterable of Counted
        Counters.
    key : str
        One of :data:`KEYS`.

    """
    groups: dict[str, list[Counted]] = {}
    for row in rows:
        groups.setdefault(KEYS[key](row), []).append(row)
    made = [(value, make(groups[value])) for value in sorted(groups)]
    first, *others = COLUMNS
    return Table(
        f"{make([]).name} by {key}",
        (first, key, *others),
        tuple((period, value, *cells) for value, table in made for period, *cells in table.rows),
        (f"a row without {key} holds what is not counted by it",),
    )


Period: TypeAlias = tuple[int, int]
"""Year, and month from 1; 0 for the whole year."""


def _by_period(
    name: str,
    rows: Iterable[Counted],
    period_of: Callable[[dt.date], Period],
    between: Callable[[Period, Period], Iterator[Period]],
) -> Table:
    periods: dict[Period, list[Counted]] = {}
    for row in rows:
        periods.setdefault(period_of(row.day), []).append(row)
    if not periods:
        return Table(name, COLUMNS, ())
    every = between(min(periods), max(periods))
    return Table(name, COLUMNS, tuple(_row(period, periods.get(period, [])) for period in every))


def _row(period: Period, rows: list[Counted]) -> tuple[Cell, ...]:
    sums = totals(rows)
    year, month = period
    return (
        f"{year:04}-{month:02}" if month else f"{year:04}",
        *(sums[counter] for counter in _COUNTS),
        *ratio(sums),
        *(median_s(rows, counter) for counter in _MEDIANS),
    )


def _months(first: Period, last: Period) -> Iterator[Period]:
    for number in range(first[0] * 12 + first[1] - 1, last[0] * 12 + last[1]):
        yield number // 12, number % 12 + 1


def _years(first: Period, last: Period) -> list[Period]:
    return [(year, 0) for year in range(first[0], last[0] + 1)]


def totals(rows: Iterable[Counted]) -> Mapping[Counter, int]:
    """Return the sum of each counter; one that is not there has none."""
    sums: Tally[Counter] = Tally()
    for row in rows:
        sums[row.counter] += row.count
    return sums


def ratio(sums: Mapping[Counter, int]) -> tuple[Cell, Cell, Cell]:
    """Return the ratio of false positives and its interval; empty where nobody looked at a match."""
    rejected, looked_at = sums[Counter.REJECTED], sums[Counter.CONFIRMED] + sums[Counter.REJECTED]
    if not looked_at:
        return None, None, None
    low, high = wilson(rejected, looked_at)
    return round(rejected / looked_at, RATIO_DIGITS), round(low, RATIO_DIGITS), round(high, RATIO_DIGITS)


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """Return Wilson's interval of 95 % of a share.

    Parameters
    ----------
    hits, trials : int
        ``0 <= hits <= trials`` and ``trials >= 1``.

    """
    share, square = hits / trials, Z_95**2
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    half = Z_95 / (1 + square / trials) * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    return 0.0 if hits == 0 else middle - half, 1.0 if hits == trials else middle + half


def median_s(rows: Iterable[Counted], counter: Counter) -> float | None:
    """Return the lower median of a histogram of durations, seconds; None where it is empty."""
    assert counter in DURATIONS, counter  # noqa: S101 - the callers name it
    buckets: Tally[int] = Tally()
    for row in rows:
        if row.counter is counter:
            buckets[row.bucket] += row.count
    left = (buckets.total() + 1) // 2
    for bucket, count in sorted(buckets.items()):
        left -= count
        if left <= 0 < count:
            return round(middle_s(bucket), SECONDS_DIGITS)
    return None
