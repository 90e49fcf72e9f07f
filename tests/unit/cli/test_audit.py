"""``hashmatch audit``: verify, heads to be kept elsewhere, and what is in a log."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hashmatch.cli.audit import FINDING_FIELDS, SHOW_FIELDS, SUMMARY_FIELDS
from hashmatch.cli.main import main
from hashmatch.signatures import SigningKey
from tests.support.auditing import opened
from tests.support.ledger import segment_files

Run = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``audit`` on a data directory with two logs; return code, JSON rows and what is said to people."""
    with opened(tmp_path) as first, opened(tmp_path) as second:
        first.post("set.created", {"caller": "ann", "set": "one"})
        first.post(
            "detect", {"caller": "forum", "request": first.pseudonyms.of_image(hashlib.sha256(b"bytes").digest())}
        )
        hit = {"entry": first.pseudonyms.of_entry("set-1", "e1")}
        second.post("detect", {"caller": "forum", "hits": [hit]})

    def run(*arguments: str) -> tuple[int, list[dict[str, Any]], str]:
        code = main(["--data", str(tmp_path), "--json", "audit", *arguments])
        captured = capsys.readouterr()
        return code, [json.loads(line) for line in captured.out.splitlines()], captured.err

    return run


def test_logs_that_are_whole_verify(run: Run, tmp_path: Path) -> None:
    code, rows, said = run("verify", "--key", str(tmp_path / "audit" / "signing.key.pub"))
    assert (code, said) == (0, "")
    assert [row.keys() for row in rows] == [SUMMARY_FIELDS.keys()] * 2
    assert [(row["log"], row["records"], row["unvouched"], row["findings"]) for row in rows] == [
        ("001", 3, 0, 0),
        ("002", 2, 0, 0),
    ]
    assert not any(row["own_keys_only"] for row in rows)


def test_without_a_key_it_is_said_whose_keys_were_believed(run: Run) -> None:
    code, rows, said = run("verify")
    assert (code, [row["own_keys_only"] for row in rows]) == (0, [True, True])
    assert said == "heads were held against the keys that the logs themselves name; --key names one that you trust\n"


def test_a_changed_log_ends_with_5_and_says_what_and_where(run: Run, tmp_path: Path) -> None:
    (path,) = segment_files(tmp_path / "audit" / "001")
    path.write_bytes(path.read_bytes().replace(b'"set":"one"', b'"set":"two"'))
    code, rows, _ = run("verify")
    assert code == 5
    finding = rows[0]
    assert finding.keys() == FINDING_FIELDS.keys()
    assert (finding["log"], finding["wrong"], finding["file"], finding["line"], finding["seq"]) == (
        "001", "broken_chain", path.name, 3, 2,
    )  # fmt: skip
    assert [row["findings"] for row in rows[1:]] == [1, 0]


def test_another_key_is_not_believed(run: Run, tmp_path: Path) -> None:
    other = tmp_path / "other.pub"
    other.write_text(SigningKey.generate().verify_key.to_pem(), encoding="ascii")
    code, rows, _ = run("verify", "--key", str(other))
    assert (code, [row["wrong"] for row in rows if "wrong" in row]) == (5, ["unknown_key", "unknown_key"])


def test_heads_that_were_kept_tell_of_what_was_cut_or_taken_away(run: Run, tmp_path: Path) -> None:
    code, heads, said = run("head")
    assert code == 0
    assert [head["payloadType"] for head in heads] == ["application/vnd.hashmatch.ledger-head.v1+json"] * 2
    assert said.startswith("001: record 2, 20")
    kept = tmp_path / "kept.jsonl"
    kept.write_text("".join(json.dumps(head, separators=(",", ":"), sort_keys=True) + "\n" for head in heads))
    assert run("verify", "--against", str(kept))[0] == 0
    log = tmp_path / "audit" / "001"
    (path,) = segment_files(log)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    (log / "heads.jsonl").unlink()
    assert run("verify")[0] == 0, "without a head nobody can tell"
    code, rows, _ = run("verify", "--against", str(kept))
    assert (code, [row["wrong"] for row in rows if "wrong" in row]) == (5, ["truncated"])
    shutil.rmtree(log)
    code, rows, _ = run("verify", "--against", str(kept))
    (absent,) = [row for row in rows if "wrong" in row]
    assert (code, absent["log"], absent["wrong"]) == (5, "", "foreign_head")
    assert absent["detail"].startswith("the log ")
    assert absent["detail"].endswith(" is not there")


def test_a_log_without_a_head_is_said_to_have_none(run: Run, tmp_path: Path) -> None:
    (tmp_path / "audit" / "001" / "heads.jsonl").unlink()
    code, heads, said = run("head")
    assert (code, len(heads)) == (0, 1)
    assert said.startswith("001: no head yet\n")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), ["ledger.segment", "set.created", "detect", "ledger.segment", "detect"]),
        (("--kind", "detect"), ["detect", "detect"]),
        (("--kind", "detect", "--kind", "set.created"), ["set.created", "detect", "detect"]),
        (("--caller", "ann"), ["set.created"]),
        (("--entry", "set-1", "e1"), ["detect"]),
        (("--entry", "set-1", "e2"), []),
        (("--since", "24h", "--caller", "ann"), ["set.created"]),
        (("--since", "2999-01-01"), []),
        (("--since", "1999-01-01T00:00+01:00", "--caller", "ann"), ["set.created"]),
    ],
)
def test_records_are_chosen_by_kind_time_caller_and_entry(
    run: Run, arguments: tuple[str, ...], expected: list[str]
) -> None:
    code, rows, _ = run("show", *arguments)
    assert code == 0
    assert [row["kind"] for row in rows] == expected
    assert all(row.keys() == SHOW_FIELDS.keys() for row in rows)


def test_a_picture_is_found_by_its_bytes(run: Run, tmp_path: Path) -> None:
    picture = tmp_path / "picture"
    picture.write_bytes(b"bytes")
    code, rows, _ = run("show", "--picture", str(picture))
    assert (code, [(row["log"], row["seq"], row["body"]["caller"]) for row in rows]) == (0, [("001", 2, "forum")])
    picture.write_bytes(b"other")
    assert run("show", "--picture", str(picture))[1] == []


def test_a_line_that_is_no_record_is_said_and_ends_with_5(run: Run, tmp_path: Path) -> None:
    (path,) = segment_files(tmp_path / "audit" / "001")
    path.write_bytes(path.read_bytes() + b"noise\n")
    code, rows, said = run("show", "--kind", "set.created")
    assert (code, len(rows)) == (5, 1)
    assert said == f"001: {path.name}, line 4: the line is no record: malformed\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "--since", "yesterday"), "since: 'yesterday'; expected 24h, 7d, 30m or 2026-11-28T08:00"),
        (("show", "--picture", "none"), "cannot read none: No such file or directory"),
        (("verify", "--directory", "none"), "cannot read the audit logs in none: No such file or directory"),
        (("verify", "--key", "none"), "cannot read the key none: No such file or directory"),
        (("verify", "--against", "none"), "cannot read none: No such file or directory"),
    ],
)
def test_what_is_not_right_is_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, rows, said = run(*arguments)
    assert (code, rows) == (2, [])
    assert json.loads(said.splitlines()[-1])["message"] == message


def test_people_see_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with opened(tmp_path) as log:
        log.post("detect", {"caller": "forum", "hits": [], "verdict": "no_match"})
    assert main(["--data", str(tmp_path), "audit", "show", "--kind", "detect"]) == 0
    _, row = capsys.readouterr().err.splitlines()
    at, *rest = row.split("\t")
    assert abs(dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(at)) < dt.timedelta(days=1)
    assert rest == ["001", "1", "detect", "forum", "hits=0 items verdict=no_match"]
    assert main(["--data", str(tmp_path), "--quiet", "audit", "verify"]) == 0
    assert capsys.readouterr().err.splitlines()[1].startswith("001\t1\tnothing\t1 files\t2 records, 1 heads, 0 records")
