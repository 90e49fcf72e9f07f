"""``hashmatch bench import`` from a shell, on a list of three thousand rows."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hashmatch.bench import imports
from hashmatch.cli import bench_import
from hashmatch.errors import BadInput, IntegrityError


def test_a_short_list_is_imported_checked_and_reported(tmp_path: Path) -> None:
    words = ("--entries", "3000", "--rounds", "1", "--results", str(tmp_path / "results"))
    done = subprocess.run(
        [sys.executable, "-m", "hashmatch", "--json", "bench", "import", *words], capture_output=True, check=True
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["form"], row["rows"]) for row in rows] == [("two", 3_000), ("four", 3_000)]
    assert all(row.keys() == bench_import.FIELDS.keys() for row in rows)
    assert all(row["rows_per_second"]["ours"] > 0 and row["peak_mb"]["ours"] > 0 for row in rows)
    there_is = shutil.which("sqlite3") is not None
    assert all(("sqlite3" in row["seconds"]) is there_is and bool(row["skipped"]) is not there_is for row in rows)
    assert "| four | 3,000 |" in (tmp_path / "results" / "IMPORT.md").read_text()
    assert json.loads((tmp_path / "results" / "import.json").read_text())[0]["form"] == "two"


def test_another_list_than_the_one_imported_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    written = imports.write_list

    def other(path: Path, form: str, rows: int, seed: int) -> imports.Listing:
        listing = written(path, form, rows, seed)
        text = path.read_text()
        path.write_text(text.replace(",51,", ",52,", 1))
        return listing

    monkeypatch.setattr(imports, "write_list", other)
    with pytest.raises(IntegrityError, match="100 entries were imported of 100, or not as they were written"):
        imports.measure("four", 100, 1, 1)


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "1,,2", "100000001"])
def test_entries_that_are_no_number_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="a whole number from 1 to 100000000"):
        bench_import.parse_entries(text)
