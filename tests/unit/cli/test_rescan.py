"""Kept hashes against a catalog that has grown: what is printed, and where to go on."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.catalog.opening import CATALOG
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.cli.main import main
from hashmatch.cli.rescan import REJECTED_FIELDS, SUMMARY_FIELDS
from hashmatch.errors import BadFile
from hashmatch.exchange.kept import MAX_HASHES, Kept, read
from hashmatch.model import Entry, EntryHash, HarmDomain, Rejected

OLD, NEW, UNKNOWN = (bytes([number]) * 16 for number in (1, 2, 3))


def line(path: str, value: bytes, **more: object) -> str:
    """Return a line as ``hashmatch hash --json`` prints it, as far as it matters here."""
    return json.dumps({"path": path, "algorithm": "md5", "value": value.hex(), "bits": 128, "frame": None, **more})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a data directory with an old and a new entry; the file ``since`` holds the generation between them."""
    with SqliteCatalog.open(tmp_path / CATALOG) as catalog:
        catalog.create_set("known", HarmDomain.OTHER)
        catalog.import_entries("known", [Entry("old", (EntryHash("md5", OLD),))])
        (tmp_path / "since").write_text(str(catalog.sequence()))
        catalog.import_entries("known", [Entry("new", (EntryHash("md5", NEW),))])
    kept = [line("a.jpg", OLD), line("b.jpg", UNKNOWN), line("b.jpg", NEW), '{"path": "c.jpg", "error": "corrupt"}']
    (tmp_path / "kept.jsonl").write_text("\n".join([*kept, line("d.jpg", UNKNOWN)]) + "\n")
    return tmp_path


def run(data: Path, capsys: pytest.CaptureFixture[str], *arguments: str, code: int) -> tuple[list[dict[str, Any]], str]:
    """Return the lines of ``rescan --json`` and what was said on stderr."""
    assert main(["--data", str(data), "rescan", str(data / "kept.jsonl"), "--json", *arguments]) == code
    captured = capsys.readouterr()
    return [json.loads(row) for row in captured.out.splitlines()], captured.err


@pytest.mark.parametrize("batch", ["1", "5000"])
def test_what_meets_a_new_entry_is_printed_and_then_where_to_go_on(
    data: Path, capsys: pytest.CaptureFixture[str], batch: str
) -> None:
    since = (data / "since").read_text()
    rows, said = run(data, capsys, "--since", since, "--batch", batch, code=1)
    (met,) = [row for row in rows if "verdict" in row]
    assert (met["path"], met["line"], met["verdict"], met["hits"][0]["entry_id"]) == ("b.jpg", 2, "match", "new")
    (rejected,) = [row for row in rows if "reason" in row and "verdict" not in row]
    assert rejected == {"line": 4, "field": "error", "reason": "the file was not hashed: 'corrupt'"}
    assert rejected.keys() == REJECTED_FIELDS.keys()
    assert rows[-1].keys() == SUMMARY_FIELDS.keys()
    assert (rows[-1]["checked"], rows[-1]["met"], rows[-1]["rejected"], rows[-1]["everything"]) == (3, 1, 1, False)
    next_time = rows[-1]["generation"]
    assert said.endswith(
        f"3 pictures looked at, 1 meet new entries, 1 lines could not be used; next time: --since {next_time}\n"
    )
    rows, _ = run(data, capsys, "--since", next_time, code=3)
    assert [row.get("met") for row in rows] == [None, 0]


def test_nothing_known_of_the_generation_is_everything_and_said(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, said = run(data, capsys, "--since", "12.305", code=1)
    assert [row["path"] for row in rows if "verdict" in row] == ["a.jpg", "b.jpg"]
    assert rows[-1]["everything"] is True
    assert said.startswith("nothing is known of that generation: all entries counted as new\n")


def test_bad_input_is_two(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "since: not the name of a generation" in run(data, capsys, "--since", "yesterday", code=2)[1]
    assert "no hash set named 'x'" in run(data, capsys, "--since", "0", "--set", "x", code=2)[1]
    assert main(["--data", str(tmp_path / "none"), "rescan", str(data / "kept.jsonl"), "--since", "0"]) == 2


# --- the reader --------------------------------------------------------------------------------------------------


def kept(*lines: str) -> list[Kept | Rejected]:
    return list(read(io.BytesIO("\n".join(lines).encode())))


def test_neighbouring_lines_of_a_path_are_one_picture() -> None:
    rows = kept(line("a", OLD), line("a", NEW), "", line("b", OLD, quality=77), line("a", OLD))
    assert [(row.path, row.line, len(row.hashes)) for row in rows if isinstance(row, Kept)] == [
        ("a", 1, 2),
        ("b", 4, 1),
        ("a", 5, 1),
    ]
    assert isinstance(rows[1], Kept)
    assert rows[1].hashes == (EntryHash("md5", OLD, 77),)


def test_a_picture_without_end_is_cut_into_several() -> None:
    rows = kept(*[line("a", OLD)] * (2 * MAX_HASHES + 1))
    assert [len(row.hashes) for row in rows if isinstance(row, Kept)] == [MAX_HASHES, MAX_HASHES, 1]


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        ("{", "", "not JSON; expected JSON Lines in UTF-8, as `hashmatch hash --json` prints them"),
        ("[1]", "", "not a JSON object; expected JSON Lines"),
        ("[" * 50_000, "", "not JSON"),
        ('{"algorithm": "md5", "value": "00"}', "path", "missing, or not a text"),
        ('{"path": 3}', "path", "3 is not a text"),
        ('{"path": "a", "algorithm": "md6", "value": "00"}', "algorithm", "'md6' is not installed"),
        ('{"path": "a", "algorithm": "md5", "value": "00"}', "value", "'00' is not a md5 value"),
        (line("a", OLD, quality=101), "quality", "101 is not a quality"),
        (line("a", OLD, quality=True), "quality", "True is not a quality"),
    ],
)
def test_a_line_that_cannot_be_used_is_a_result(text: str, field: str, reason: str) -> None:
    before, wrong, after = kept(line("a", OLD), text, line("a", NEW))
    assert isinstance(before, Kept)
    assert isinstance(after, Kept)
    assert isinstance(wrong, Rejected)
    assert (wrong.position, wrong.field) == (2, field)
    assert reason in wrong.reason


@given(st.lists(st.binary(max_size=60) | st.just(line("a", OLD).encode()), max_size=6).map(b"\n".join))
def test_any_bytes_give_pictures_rejections_or_bad_file(data: bytes) -> None:
    try:
        rows = list(read(io.BytesIO(data)))
    except BadFile:
        return
    assert all(row.reason if isinstance(row, Rejected) else row.hashes for row in rows)
