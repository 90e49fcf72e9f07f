from __future__ import annotations

import builtins
import datetime as dt
import json
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from hashmatch.errors import BadConfig
from hashmatch.hotline.followup import takedown
from hashmatch.hotline.followup.survival import Lasted
from hashmatch.hotline.followup.takedown import Subject
from hashmatch.sheets import as_csv

NOON = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)


def at(hours: float) -> dt.datetime:
    return NOON + dt.timedelta(hours=hours)


def subject(host: str, gone: float | None, looked: float | None, country: str = "NL", **more: Any) -> Subject:
    given = {"notified_at": NOON, "gone_at": None if gone is None else at(gone)}
    return Subject(host=host, country=country, looked_at=None if looked is None else at(looked), **{**given, **more})


SUBJECTS = [
    subject("a.example.org", 2, 5),
    subject("a.example.org", 6, 30, returns=1),
    subject("a.example.org", None, 48),
    subject("a.example.org", -1, 48),
    subject("b.example.net", None, 10, country=""),
    subject("b.example.net", None, None, country=""),
    subject("b.example.net", None, 50, country="", notified_at=None),
]


@pytest.mark.parametrize(
    ("one", "lasted"),
    [
        (subject("h", 2, 5), Lasted(7_200.0, ended=True)),
        (subject("h", None, 5), Lasted(18_000.0, ended=False)),
        (subject("h", 0, 5), Lasted(0.0, ended=True)),
        (subject("h", -1, 5), None),
        (subject("h", None, 0), None),
        (subject("h", None, None), None),
        (subject("h", 2, 5, notified_at=None), None),
    ],
)
def test_what_counts(one: Subject, lasted: Lasted | None) -> None:
    assert one.lasted == lasted


def test_figures_by_all_by_host_and_by_country() -> None:
    rows = list(takedown.figures(SUBJECTS))
    assert [list(row) for row in rows] == [list(takedown.FIELDS)] * 5
    assert [(row["by"], row["key"]) for row in rows] == [
        ("all", ""),
        ("host", "a.example.org"),
        ("host", "b.example.net"),
        ("country", ""),
        ("country", "NL"),
    ]
    assert rows[1] == {
        "by": "host",
        "key": "a.example.org",
        "watched": 4,
        "notified": 3,
        "gone": 2,
        "still_there": 1,
        "gone_before": 1,
        "returned": 1,
        "median_h": 6.0,
        "p75_h": None,
        "p90_h": None,
        "gone_within_24h": 0.666667,
    }
    assert rows[2] == {
        "by": "host",
        "key": "b.example.net",
        "watched": 3,
        "notified": 1,
        "gone": 0,
        "still_there": 1,
        "gone_before": 0,
        "returned": 0,
        "median_h": None,
        "p75_h": None,
        "p90_h": None,
        "gone_within_24h": None,
    }


def test_within_a_day_is_known_when_everything_is_gone_or_was_watched_for_so_long() -> None:
    def within(*subjects: Subject) -> object:
        return next(takedown.figures(subjects))["gone_within_24h"]

    assert within(subject("h", 2, 3)) == 1.0
    assert within(subject("h", None, 24)) == 0.0
    assert within(subject("h", None, 23.9)) is None
    assert within(subject("h", 30, 31)) == 0.0


def test_the_curve_as_csv_and_json() -> None:
    rows = list(takedown.curve_rows(takedown.survival(SUBJECTS)))
    assert as_csv(takedown.CURVE_FIELDS, (row.values() for row in rows)).decode().splitlines() == [
        "time_h,at_risk,gone,censored,still_there,low,high",
        "2.0,4,1,0,0.75,0.127947,0.960549",
        "6.0,3,1,0,0.5,0.057847,0.844861",
        "10.0,2,0,1,0.5,0.057847,0.844861",
        "48.0,1,0,1,0.5,0.057847,0.844861",
    ]
    assert json.loads(takedown.as_json(rows)) == rows


@pytest.mark.parametrize("subjects", [[], SUBJECTS])
def test_the_plot_is_the_same_each_time(subjects: list[Subject]) -> None:
    steps = takedown.survival(subjects)
    svg = takedown.plot(steps)
    assert svg == takedown.plot(takedown.survival(list(reversed(subjects))))
    assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - our own
    assert (b"95 % band" in svg) == bool(subjects)
    assert (b"last look" in svg) == bool(subjects)
    png = takedown.plot(steps, kind="png")
    assert png == takedown.plot(steps, kind="png")
    assert png.startswith(b"\x89PNG\r\n\x1a\n")


def test_a_plot_without_matplotlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **more: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BadConfig, match=r"plots need matplotlib: pip install 'hashmatch\[plots\]'"):
        takedown.plot(())
