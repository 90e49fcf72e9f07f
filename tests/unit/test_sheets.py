"""Tables that a spreadsheet opens and does not evaluate."""

from __future__ import annotations

import csv
import io

import pytest

from hashmatch.sheets import as_csv, cell


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_no_text_is_a_formula(start: str) -> None:
    assert cell(f"{start}cmd|'/c calc'!A1") == f"'{start}cmd|'/c calc'!A1"


@pytest.mark.parametrize(
    ("value", "text"),
    [("", ""), ("a=1", "a=1"), ("'=1", "'=1"), (None, ""), (0, "0"), (-1, "-1"), (-0.5, "-0.5"), (1e-7, "1e-07")],
)
def test_other_texts_and_numbers_stay_as_they_are(value: object, text: str) -> None:
    assert cell(value) == text


def test_a_table_is_what_rfc_4180_says() -> None:
    written = as_csv(("name", "n"), [('a "b", c', 1), ("two\nlines", None), ("=1+1", -1)])
    assert written == b'name,n\r\n"a ""b"", c",1\r\n"two\nlines",\r\n\'=1+1,-1\r\n'
    assert list(csv.reader(io.StringIO(written.decode(), newline="")))[1:] == [
        ['a "b", c', "1"],
        ["two\nlines", ""],
        ["'=1+1", "-1"],
    ]
    assert as_csv(("name", "n"), []) == b"name,n\r\n"
