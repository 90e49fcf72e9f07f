"""Lists as hotlines have them: recognised by content, every row a result, in constant memory."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.errors import BadFile
from hashmatch.hotline.jobs.lists import (
    ALIASES,
    MAX_LINE_CHARS,
    MAX_QUOTED_LINES,
    MAX_URL_CHARS,
    Listing,
    Unusable,
    folded,
    read,
)
from hashmatch.model.hotline import Submission

A, B, C = "https://example.org/a", "hxxps://example[.]net/b", "http://example.com/c?x=1,2"


def listing(text: str | bytes, encoding: str = "utf-8") -> Listing:
    return read(io.BytesIO(text if isinstance(text, bytes) else text.encode(encoding)))


def rows(text: str | bytes, encoding: str = "utf-8") -> list[Submission | Unusable]:
    return list(listing(text, encoding).rows)


def urls(text: str | bytes, encoding: str = "utf-8") -> list[str]:
    return [row.submission.url if isinstance(row, Unusable) else row.url for row in rows(text, encoding)]


def reasons(text: str | bytes) -> list[str]:
    return [row.reason for row in rows(text) if isinstance(row, Unusable)]


# --- forms -------------------------------------------------------------------------------------------------------


def test_plain_lines_have_comments_and_blank_lines() -> None:
    assert rows(f"# reported on Friday\n\n{A}\n  {B}  \n# more\n{C}") == [
        Submission(1, A),
        Submission(2, B),
        Submission(3, C),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_is_read_by_its_header(delimiter: str, end: str) -> None:
    lines = (delimiter.join(cells) for cells in (("Report-ID", "URL", "who"), ("7", A, "Jo"), ("8", f'"{C}"', "")))
    found = listing(end.join(lines))
    assert (found.form, found.left_out) == ("csv", ("who",))
    assert list(found.rows) == [Submission(1, A, {"report_id": "7"}), Submission(2, C, {"report_id": "8"})]


@pytest.mark.parametrize(("column", "alias"), [(name, alias) for name in ALIASES for alias in sorted(ALIASES[name])])
def test_every_alias_names_its_column_in_csv_and_json(column: str, alias: str) -> None:
    extra = {} if column == "url" else {column: "x"}
    head, cells = (alias, A) if column == "url" else (f"url,{alias.upper()}", f"{A},x")
    assert rows(f"{head}\n{cells}\n") == [Submission(1, A, extra)]
    document = {alias: A} if column == "url" else {"url": A, alias: "x"}
    assert rows(json.dumps(document)) == [Submission(1, A, extra)]


def test_no_alias_means_two_things() -> None:
    every = [alias for names in ALIASES.values() for alias in names]
    assert len(every) == len(set(every))
    assert all(folded(alias) == alias for alias in every)


def test_json_lines_are_read_by_their_keys() -> None:
    text = '{"url": "%s", "reportId": 7, "theme": null, "more": {"a": 1}}\n\n{"Link": "%s", "priority": true}\n'
    assert rows(text % (A, B)) == [Submission(1, A, {"report_id": "7"}), Submission(2, B)]
    assert listing(text % (A, B)).form == "jsonl"


@pytest.mark.parametrize(
    ("encoding", "mark"), [("utf-8", ""), ("utf-8-sig", ""), ("utf-16-le", "\ufeff"), ("utf-16-be", "\ufeff")]
)
def test_encodings_are_told_by_their_mark(encoding: str, mark: str) -> None:
    assert urls(f"{mark}url;remarks\nhttps://example.org/ä;Größe\n", encoding) == ["https://example.org/ä"]


def test_a_quoted_cell_goes_on_over_lines() -> None:
    text = f'url,remarks\n{A},"seen ""twice"",\nthen gone"\n{B},"x"\n'
    assert rows(text) == [Submission(1, A, {"remarks": 'seen "twice",\nthen gone'}), Submission(2, B, {"remarks": "x"})]


def test_an_empty_list_has_no_rows() -> None:
    assert rows("") == rows("\n\n# nothing\n") == []


# --- rows that are none ------------------------------------------------------------------------------------------


def test_a_quote_that_stays_open_spoils_its_own_line_only() -> None:
    text = f'url,remarks\n{A},"open\n{B},fine\n{C.replace(",", ";")},"also ""fine"""\n'
    assert urls(text) == ["", B, C.replace(",", ";")]
    assert reasons(text) == ["line 2: unexpected end of data: a quote inside a cell is doubled, and a quoted cell ends"]


def test_rows_without_an_address_are_results() -> None:
    assert reasons(f"url,id\n,7\n{A},8,,\n{B},9,10\n") == [
        "line 2: no address",
        "line 4: 3 cells where the header has 2; quote cells that hold ','",
    ]
    text = f'{{"url": "{A}"}}\n{{"id": 7}}\n[1]\n{{"url"\n{{"url": ["{A}"]}}\n' + "[" * 50_000 + "\n"
    assert reasons(text) == [
        "line 2: no address",
        "line 3: no JSON object; expected one JSON object with a key `url` per line",
        "line 4: no JSON; expected one JSON object with a key `url` per line",
        "line 5: no address",
        "line 6: no JSON; expected one JSON object with a key `url` per line",
    ]


def test_of_an_address_that_is_a_picture_only_its_type_is_kept() -> None:
    text = f"{A}\ndata:image/png;base64,iVBORw0KGgo=\n DATA:,x\n"
    assert urls(text) == [A, "data:image/png", "DATA:"]
    assert reasons(text)[0] == "line 2: a data: URL is a file, no address"
    assert urls('url\n"data:image/png;base64,iVBORw0KGgo="\n') == ["data:image/png"]


def test_what_is_too_long_is_refused_and_the_next_line_read() -> None:
    long = "https://example.org/" + "a" * MAX_URL_CHARS
    text = f"{A}\n{long}\n" + "b" * (3 * MAX_LINE_CHARS) + f"\n{B}"
    assert urls(text) == [A, long[:2_000], "", B]
    assert reasons(text) == [
        f"line 2: {len(long)} characters; an address has at most {MAX_URL_CHARS}",
        f"line 3: longer than {MAX_LINE_CHARS} characters; no row is that long",
    ]
    assert urls(f"{A}\n" + "b" * (3 * MAX_LINE_CHARS)) == [A, ""]


def test_half_a_character_in_json_does_not_stay_one() -> None:
    assert urls(f'{{"url": "{A}\\ud800"}}') == [A + "\\ud800"]


# --- lists that are none -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x89PNG\r\n\x1a\n", "the list is a PNG picture; expected CSV, JSON Lines or one address per line"),
        (
            b"PK\x03\x04",
            (
                "the list is a ZIP archive or a spreadsheet; save the sheet as CSV (UTF-8); expected CSV, JSON "
                "Lines or one address per line"
            ),
        ),
        (b"\xff\xfe\0\0h\0\0\0", "the list is UTF-32; save it as UTF-8"),
        (
            "http://x".encode("utf-16-le"),
            ("the list holds NUL bytes: it is no text, or UTF-16 without its mark; save it as UTF-8"),
        ),
        (b'[\n  {"url": "x"}\n]', "line 1 begins a JSON document; expected one JSON object with a key `url` per line"),
        (b'\n{\n"url": "x"}', "line 2 begins a JSON document; expected one JSON object with a key `url` per line"),
        (
            b"report_id;date\n7;x",
            ("the header names no column `url` (or `link`, `address`, `uri`); it has `report_id`, `date`"),
        ),
    ],
)
def test_what_is_no_list_is_refused_with_what_it_is(data: bytes, message: str) -> None:
    with pytest.raises(BadFile) as caught:
        rows(data)
    assert caught.value.message == message


def test_another_encoding_is_named_with_its_line() -> None:
    with pytest.raises(BadFile) as caught:
        rows(f"url,remarks\n{A},x\n".encode() + "https://example.org/,café\n".encode("cp1252"))
    assert caught.value.message == "line 3: byte 0xe9 is not UTF-8; save the list as UTF-8"


# --- every list --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "jsonl", "lines"])
def test_memory_does_not_grow_with_the_list(form: str) -> None:
    made: Callable[[int], str] = {
        "csv": lambda n: f'https://example.org/{n},"a, ""b"""\n',
        "jsonl": lambda n: json.dumps({"url": f"https://example.org/{n}"}) + "\n",
        "lines": lambda n: f"https://example.org/{n}\n",
    }[form]
    count = 150_000
    head = [b"url,remarks\n"] if form == "csv" else []
    stream = io.BytesIO(b"".join([*head, *(made(n).encode() for n in range(count))]))
    tracemalloc.start()
    try:
        found = sum(1 for row in read(stream).rows if isinstance(row, Submission))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == count
    assert peak < 4 << 20


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40), max_size=20))
def test_every_line_is_a_row_a_comment_or_blank(lines: list[str]) -> None:
    text = "\n".join([A, *(line.replace("\n", "").replace("\r", "") for line in lines)])
    said = [line for line in text.split("\n") if line.strip() and not line.lstrip().startswith("#")]
    assert len(rows(text)) == len(said)
    assert [row.submission.number if isinstance(row, Unusable) else row.number for row in rows(text)] == [
        number for number, _ in enumerate(said, 1)
    ]


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = rows(data)
    except BadFile:
        return
    assert all(isinstance(row, Submission | Unusable) for row in found)


REMARKS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=30)


@given(st.lists(REMARKS, min_size=1, max_size=20))
def test_whatever_a_spreadsheet_writes_into_a_cell_is_read(remarks: list[str]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerows([("url", "remarks"), *((f"https://example.org/{n}", cell) for n, cell in enumerate(remarks, 1))])
    assert rows(text.getvalue()) == [
        Submission(n, f"https://example.org/{n}", {"remarks": cell.strip()} if cell.strip() else {})
        for n, cell in enumerate(remarks, 1)
    ]


@given(st.lists(st.text('ab", ', max_size=12), min_size=1, max_size=12))
def test_a_line_without_quotes_is_a_row_whatever_stands_before_it(cells: list[str]) -> None:
    before = "".join(f"https://example.org/x,{cell}\n" for cell in cells if cell.count('"') % 2)
    fine = [f"https://example.org/{n}" for n in range(200)]
    assert set(fine[MAX_QUOTED_LINES:]) <= set(urls("url,remarks\n" + before + "\n".join(fine)))
