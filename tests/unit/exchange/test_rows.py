from __future__ import annotations

import datetime as dt

import pytest

from hashmatch.exchange import rows
from hashmatch.exchange.rows import BadCell
from hashmatch.model import EntryStatus, Label


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("", ()),
        (" ; ;", ()),
        ("a=b", (Label("a", "", "b"),)),
        ("a/1=b; c=d/e", (Label("a", "1", "b"), Label("c", "", "d/e"))),
        ("a%2F/1%3D=b%3B%25", (Label("a/", "1=", "b;%"),)),
        ("a=%20b", (Label("a", "", " b"),)),
        ("a=%C3%A4", (Label("a", "", "ä"),)),
        ("a/=b", (Label("a", "", "b"),)),
    ],
)
def test_labels(text: str, labels: tuple[Label, ...]) -> None:
    assert rows.parse_labels(text) == labels


@pytest.mark.parametrize("text", ["a", "=b", "a=", "a=b=c", "a/b/c=d", "a=100%", "a=%zz"])
def test_what_is_no_label(text: str) -> None:
    with pytest.raises(
        BadCell, match="is no label: expected scheme=value or scheme/version=value, several joined by ;"
    ):
        rows.parse_labels(text)


def test_percent_bytes_that_are_no_text() -> None:
    with pytest.raises(BadCell, match="the percent-encoded bytes are not UTF-8"):
        rows.parse_labels("a=%ff")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("", None),
        ("2026-01-31T12:00:00Z", dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)),
        ("2026-01-31T12:00:00.25+02:00", dt.datetime(2026, 1, 31, 10, 0, 0, 250_000, tzinfo=dt.UTC)),
    ],
)
def test_moments(text: str, moment: dt.datetime | None) -> None:
    assert rows.parse_moment(text) == moment
    assert rows.parse_moment(rows.format_moment(moment)) == moment


@pytest.mark.parametrize("text", ["31.01.2026", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "x" * 5_000])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(BadCell, match="is not a time: expected ISO 8601 with a zone"):
        rows.parse_moment(text)


@pytest.mark.parametrize("text", ["1.5", "-1", "1000", "²", "٣", " 5"])
def test_what_is_no_quality(text: str) -> None:
    with pytest.raises(BadCell, match="is not a quality: expected a whole number from 0 to 100"):
        rows.parse_quality(text)


def test_statuses_in_any_case() -> None:
    assert [rows.parse_status(text) for text in ("", "Active", "WITHDRAWN")] == [
        EntryStatus.ACTIVE,
        EntryStatus.ACTIVE,
        EntryStatus.WITHDRAWN,
    ]


def test_a_strangers_text_is_shown_quoted_and_cut() -> None:
    assert rows.shown("a\x1b[2J\u202eb") == r"'a\x1b[2J\u202eb'"
    assert rows.shown("x" * 100) == "'" + "x" * 59 + "..."


def test_folding() -> None:
    assert {rows.folded(name) for name in ("SHA-1", "sha1", "Sha_1", "sha 1")} == {"sha1"}


@pytest.mark.parametrize(
    "text", ["=agree", "o", "o=", "o=maybe", "o/md5/x=agree", "o=agree=agree", "100%=agree", "%ff=agree"]
)
def test_what_is_no_opinion(text: str) -> None:
    with pytest.raises(BadCell) as caught:
        rows.parse_opinions(text)
    assert caught.value.field == "opinions"
