"""Counters, tables and plots of statistics."""

from __future__ import annotations

import builtins
import dataclasses
import datetime as dt
import json
import math
import random
from collections.abc import Callable, Iterable
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.cases import statistics_mandated as mandated
from hashmatch.cases import statistics_plots as plots
from hashmatch.cases import statistics_tables as tables
from hashmatch.errors import BadConfig, BadInput
from hashmatch.model import HarmDomain
from hashmatch.model.figures import (
    BUCKETS_PER_DOUBLING,
    DISTANCES,
    DURATIONS,
    MAX_BUCKET,
    Counted,
    Counter,
    bucket_of,
    middle_s,
)
from tests.support.counted import VECTORS, YEAR, golden, made_up

DAY = dt.date(2026, 3, 31)
PERSONAL = [
    "jane.doe@example.org", "https://example.org/u/jane", "+31 20 123 4567", "2001:db8::1", "Jane Doe", "@jane",
    "jane\n", "é", "x" * 129,
]  # fmt: skip


def cells(table: tables.Table, row: int = 0) -> dict[str, tables.Cell]:
    return dict(zip(table.columns, table.rows[row], strict=True))


@pytest.mark.parametrize("field", ["set_name", "algorithm", "outlet"])
@pytest.mark.parametrize("text", PERSONAL)
def test_the_key_takes_names_and_nothing_else(field: str, text: str) -> None:
    words: dict[str, Any] = {field: text}
    with pytest.raises(BadInput) as refused:
        Counted(DAY, Counter.MATCH, **words)
    assert refused.value.message == f"{field}: a name of at most 128 letters, digits, and . _ - was expected"
    assert refused.value.field == field
    assert text not in refused.value.message


def test_the_key_has_no_field_for_anything_personal() -> None:
    fields = [field.name for field in dataclasses.fields(Counted)]
    assert fields == ["day", "counter", "set_name", "algorithm", "domain", "outlet", "bucket", "count"]


@pytest.mark.parametrize(
    ("counter", "bucket", "message"),
    [
        (Counter.MATCH, 1, "bucket: 1 is not within 0 and 0 of match"),
        (Counter.TIME_TO_REPORT, 257, "bucket: 257 is not within 0 and 256 of time_to_report"),
        (Counter.DISTANCE_REJECTED, -1, "bucket: -1 is not within 0 and 256 of distance_rejected"),
    ],
)
def test_a_bucket_is_of_a_histogram(counter: Counter, bucket: int, message: str) -> None:
    with pytest.raises(BadInput) as refused:
        Counted(DAY, counter, bucket=bucket)
    assert (refused.value.message, refused.value.field) == (message, "bucket")


def test_a_count_is_not_negative() -> None:
    with pytest.raises(BadInput, match=r"^count: -1 is negative$"):
        Counted(DAY, Counter.MATCH, count=-1)


@given(st.floats(1.0, 2.0**31))
def test_the_middle_of_a_bucket_is_off_by_at_most_4_4_percent(seconds: float) -> None:
    bucket = bucket_of(dt.timedelta(seconds=seconds))
    assert 0 <= bucket <= MAX_BUCKET
    worst = 2 ** (1 / 16)
    assert seconds / worst * (1 - 1e-6) <= middle_s(bucket) <= seconds * worst * (1 + 1e-6)
    assert worst - 1 < 0.0443


@pytest.mark.parametrize(
    ("duration", "bucket"),
    [
        (dt.timedelta(seconds=-5), 0),
        (dt.timedelta(0), 0),
        (dt.timedelta(seconds=1), 0),
        (dt.timedelta(seconds=2), BUCKETS_PER_DOUBLING),
        (dt.timedelta(seconds=1024), 10 * BUCKETS_PER_DOUBLING),
        (dt.timedelta(days=999_999), MAX_BUCKET),
    ],
)
def test_edges_of_buckets(duration: dt.timedelta, bucket: int) -> None:
    assert bucket_of(duration) == bucket


@pytest.mark.parametrize("name", sorted(path.name for path in VECTORS.iterdir()))
def test_tables_are_the_golden_ones(name: str) -> None:
    assert golden(made_up())[name] == (VECTORS / name).read_bytes()


def test_every_table_has_a_golden_one() -> None:
    assert {path.name for path in VECTORS.iterdir()} == set(golden([]))


@given(st.integers(), st.integers(0, 5))
def test_neither_order_nor_splitting_changes_a_table(order: int, seed: int) -> None:
    rows = made_up(seed)
    split = [
        dataclasses.replace(row, count=part) for row in rows for part in (row.count // 2, row.count - row.count // 2)
    ]
    random.Random(order).shuffle(split)
    assert golden(split) == golden(rows)


def test_months_without_anything_are_there_and_zero() -> None:
    rows = [Counted(dt.date(2025, 11, 30), Counter.CHECKED, count=2), Counted(dt.date(2026, 2, 1), Counter.CHECKED)]
    table = tables.monthly(rows)
    assert [row[:2] for row in table.rows] == [("2025-11", 2), ("2025-12", 0), ("2026-01", 0), ("2026-02", 1)]
    assert [row[:2] for row in tables.yearly(rows).rows] == [("2025", 2), ("2026", 1)]
    assert tables.monthly([]).rows == ()


def test_a_ratio_needs_somebody_who_looked() -> None:
    assert cells(tables.yearly([Counted(DAY, Counter.MATCH)]))["false_positive_ratio"] is None
    row = cells(tables.yearly([Counted(DAY, Counter.CONFIRMED, count=9), Counted(DAY, Counter.REJECTED)]))
    assert [row[name] for name in tables.RATIO_COLUMNS] == [0.1, 0.017876, 0.404150]


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(0, 10, 0.0, 0.277533), (10, 10, 0.722467, 1.0), (1, 10, 0.017876, 0.404150), (50, 100, 0.403832, 0.596168)],
)
def test_wilsons_interval(hits: int, trials: int, low: float, high: float) -> None:
    assert [round(end, 6) for end in tables.wilson(hits, trials)] == [low, high]


@given(st.integers(1, 10_000), st.data())
def test_wilsons_interval_solves_its_equation(trials: int, data: st.DataObject) -> None:
    """Its ends are the shares p from which the share that was seen is 1.96 standard errors of p away."""
    hits = data.draw(st.integers(0, trials))
    share = hits / trials
    low, high = tables.wilson(hits, trials)
    assert 0 <= low <= share <= high <= 1
    for end in {low, high} - {0.0, 1.0}:
        assert math.isclose(abs(share - end), tables.Z_95 * math.sqrt(end * (1 - end) / trials), rel_tol=1e-6)


@given(st.lists(st.integers(0, MAX_BUCKET), max_size=30))
def test_the_median_is_that_of_all_durations_listed(buckets: list[int]) -> None:
    rows = [Counted(DAY, Counter.TIME_TO_REPORT, bucket=bucket) for bucket in buckets]
    other = Counted(DAY, Counter.TIME_TO_TAKEDOWN, bucket=3)
    listed = sorted(buckets)
    expected = round(middle_s(listed[(len(listed) - 1) // 2]), 1) if listed else None
    assert tables.median_s([*rows, other], Counter.TIME_TO_REPORT) == expected


def test_csv_and_json_hold_the_same() -> None:
    table = tables.Table("t", ("a", "b"), (("x,y", None), ("z", 0.5)), ("note",))
    assert tables.as_csv(table) == b'a,b\r\n"x,y",\r\nz,0.5\r\n'
    assert json.loads(tables.as_json(table)) == {
        "table": "t",
        "columns": ["a", "b"],
        "rows": [{"a": "x,y", "b": None}, {"a": "z", "b": 0.5}],
        "notes": ["note"],
    }


def test_the_interim_report_keeps_child_abuse_apart_and_says_nothing_of_solicitation() -> None:
    rows = [
        Counted(DAY, Counter.CASES, domain=HarmDomain.CSAM, count=3),
        Counted(DAY, Counter.CASES, domain=HarmDomain.WILDLIFE, count=5),
        Counted(DAY, Counter.CONFIRMED, "b", "pdq", HarmDomain.WILDLIFE, count=7),
        Counted(DAY, Counter.REJECTED, "z", "md5", HarmDomain.CSAM),
    ]
    table = mandated.interim(rows, *YEAR)
    item_4 = [row[4:6] for row in table.rows if row[0] == 4]
    assert item_4 == [("csam", 3), ("solicitation", None)]
    item_6 = [row[1:] for row in table.rows if row[0] == 6 and row[1] in {"confirmed", "false_positive_ratio"}]
    assert item_6 == [
        ("confirmed", "md5", "z", "csam", 0, None, None),
        ("false_positive_ratio", "md5", "z", "csam", 1.0, 0.206549, 1.0),
        ("confirmed", "pdq", "b", "wildlife", 7, None, None),
        ("false_positive_ratio", "pdq", "b", "wildlife", 0.0, 0.0, 0.35433),
    ]


def test_days_outside_are_not_counted_and_both_ends_are() -> None:
    first, last = YEAR
    days = [first - dt.timedelta(days=1), first, last, last + dt.timedelta(days=1)]
    rows = [Counted(day, Counter.CHECKED) for day in days]
    assert mandated.interim(rows, first, last).rows[0][5] == 2


def test_the_dsa_report_sums_its_domains() -> None:
    table = mandated.dsa(made_up(), *YEAR)
    *parts, total = table.rows
    for place, name in enumerate(table.columns[2:-3], 2):
        assert sum(int(str(row[place])) for row in parts) == total[place], name


def test_reports_to_others_are_not_ncmecs() -> None:
    rows = [
        Counted(DAY, Counter.REPORTED, domain=HarmDomain.CSAM, outlet="ncmec", count=2),
        Counted(DAY, Counter.REPORTED_URGENT, domain=HarmDomain.CSAM, outlet="ncmec"),
        Counted(DAY, Counter.FILES, domain=HarmDomain.THB, outlet="ncmec", count=4),
        Counted(DAY, Counter.REPORTED, domain=HarmDomain.CSAM, outlet="desk", count=9),
    ]
    table = mandated.ncmec(rows, *YEAR, {"ncmec"})
    assert table.rows == (
        ("Child Pornography (possession, manufacture, and distribution)", "csam", 2, 1, 0),
        ("Child Sex Trafficking", "thb", 0, 0, 4),
        ("total", "", 2, 1, 4),
    )


DRAWN = [plots.trend, plots.distances, plots.funnel]


@pytest.mark.parametrize("draw", DRAWN)
@pytest.mark.parametrize("seed", [None, 17])
def test_a_plot_is_the_same_svg_each_time(draw: Callable[[Iterable[Counted]], bytes], seed: int | None) -> None:
    rows = [] if seed is None else made_up(seed)
    svg = draw(rows)
    assert svg == draw(list(reversed(rows)))
    assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - our own
    assert b"dc:date" not in svg


def test_the_funnel_says_its_numbers() -> None:
    svg = plots.funnel([Counted(DAY, Counter.CHECKED, count=12_345), Counted(DAY, Counter.POSSIBLE, count=6)]).decode()
    assert " 12,345<" in svg
    assert " 6<" in svg


def test_plots_show_what_is_counted() -> None:
    rows = made_up()
    assert plots.trend(rows) != plots.trend(rows[: len(rows) // 2])
    near = [Counted(DAY, Counter.DISTANCE_CONFIRMED, "a", "pdq", HarmDomain.CSAM, bucket=2)]
    far = [dataclasses.replace(near[0], bucket=30)]
    assert plots.distances(near) != plots.distances(far)
    assert plots.distances(near) != plots.distances([dataclasses.replace(near[0], counter=Counter.DISTANCE_REJECTED)])


@pytest.mark.parametrize("draw", DRAWN)
def test_plots_without_matplotlib_say_what_to_install(
    draw: Callable[[Iterable[Counted]], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **more: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BadConfig) as refused:
        draw([])
    assert refused.value.message == "plots need matplotlib: pip install 'hashmatch[plots]'"
    assert refused.value.field == "plot"


def test_histograms_are_durations_or_distances() -> None:
    assert not DURATIONS & DISTANCES


@pytest.mark.parametrize("key", list(tables.KEYS))
@pytest.mark.parametrize("make", [tables.monthly, tables.yearly])
def test_what_is_broken_down_adds_up(make: Callable[[Iterable[Counted]], tables.Table], key: str) -> None:
    whole, parts = make(made_up()), tables.broken_down(make, made_up(), key)
    assert parts.columns[:2] == ("period", key)
    assert parts.name == f"{whole.name} by {key}"
    values = [row[1] for row in parts.rows]
    assert values == sorted(values, key=str)
    for counter in (Counter.CHECKED, Counter.MATCH, Counter.CONFIRMED, Counter.REJECTED, Counter.REPORTED):
        place = whole.columns.index(counter.value)
        total = sum(int(str(row[place])) for row in whole.rows)
        assert sum(int(str(row[place + 1])) for row in parts.rows) == total > 0, counter
