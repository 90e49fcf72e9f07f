"""``hashset diff`` over sets and files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hashmatch.cli.diff import DIFFERENCE_FIELDS, SUMMARY_FIELDS
from hashmatch.cli.main import main


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run ``hashset`` in a fresh data directory; return code, JSON rows and lines for people."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, list[Any], str]:
        code = main(["--data", str(tmp_path / "data"), "--json", "hashset", *arguments])
        captured = capsys.readouterr()
        return code, [json.loads(line) for line in captured.out.splitlines()], captured.err

    return run


OLD = f"entry_id,md5,category\na,{'01' * 16},x\nb,{'02' * 16},x\nc,{'03' * 16},x\n"
NEW = f"entry_id,md5,category,status\nc,{'03' * 16},y,withdrawn\nd,{'04' * 16},x,\na,{'01' * 16},x,\n"


def test_a_set_and_a_file_are_told_apart_entry_by_entry(run: Callable[..., Any]) -> None:
    Path("old.csv").write_text(OLD, encoding="utf-8")
    Path("new.csv").write_text(NEW, encoding="utf-8")
    run("import", "known", "old.csv", "--create", "--domain", "other")
    code, rows, _ = run("diff", "known", "new.csv")
    *differences, summary = rows
    assert code == 1
    assert [(row["entry_id"], row["what"]) for row in differences] == [
        ("b", ["removed"]),
        ("c", ["status", "labels"]),
        ("d", ["added"]),
    ]
    assert all(set(row) == set(DIFFERENCE_FIELDS) for row in differences)
    assert (differences[0]["after"], differences[2]["before"]) == (None, None)
    assert summary == {"added": 1, "removed": 1, "changed": 1, "withdrawn": 1, "unchanged": 1}
    assert set(summary) == set(SUMMARY_FIELDS)


def test_the_same_is_no_difference_whatever_the_order_and_the_format(run: Callable[..., Any]) -> None:
    Path("old.csv").write_text(OLD, encoding="utf-8")
    run("import", "known", "old.csv", "--create", "--domain", "other")
    run("export", "known", "--output", "same.jsonl")
    for sides in (("known", "same.jsonl"), ("old.csv", "same.jsonl"), ("known", "known")):
        code, rows, _ = run("diff", *sides)
        assert (code, len(rows), rows[-1]["unchanged"]) == (0, 1, 3)


def test_rejected_rows_are_told_and_the_comparison_is_not_called_clean(run: Callable[..., Any]) -> None:
    Path("old.csv").write_text(OLD, encoding="utf-8")
    Path("bad.csv").write_text(OLD + "e,xyz,x\n", encoding="utf-8")
    code, rows, told = run("diff", "old.csv", "bad.csv")
    assert (code, rows[-1]["unchanged"]) == (3, 3)
    assert "bad.csv:5: rejected: md5: 'xyz' is not a md5 value" in told


def test_neither_a_file_nor_a_set_is_an_error_that_says_which(run: Callable[..., Any]) -> None:
    Path("old.csv").write_text(OLD, encoding="utf-8")
    run("import", "known", "old.csv", "--create", "--domain", "other")
    code, _, told = run("diff", "known", "none.csv")
    assert (code, "there is no file none.csv" in told) == (2, True)
    code, _, told = run("diff", "knwon", "old.csv")
    assert (code, "no hash set 'knwon'" in told) == (2, True)
