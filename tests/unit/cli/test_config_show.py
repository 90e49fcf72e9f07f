"""Every setting is shown with its value and where that comes from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hashmatch.cli.config_show import FIELDS
from hashmatch.cli.main import main
from hashmatch.config import Config, rows


def test_every_setting_is_one_line_with_every_documented_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--json"]) == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["name"] for row in shown] == [row.name for row in rows(Config())]
    assert all(set(row) == set(FIELDS) for row in shown)
    assert all(row["origin"] == "default" and row["value"] == row["default"] for row in shown)


def test_a_value_tells_where_it_comes_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "hashmatch.toml"
    path.write_text('[server]\nlisten = "127.0.0.1:9"\nreflection = true\n', encoding="utf-8")
    monkeypatch.setenv("HASHMATCH_INDEX_MAX_HITS", "7")
    assert main(["config", "show", "--config", str(path)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = {line.split("\t")[0]: line.split("\t")[1:4] for line in captured.err.splitlines()}
    assert lines["name"] == ["value", "unit", "origin"]
    assert lines["server.listen"] == ["127.0.0.1:9", "", "file"]
    assert lines["server.reflection"] == ["true", "", "file"]
    assert lines["index.max_hits"] == ["7", "hits", "environment"]
    assert lines["decode.max_bytes"] == ["33_554_432", "bytes", "default"]
    assert lines["policy.algorithms.pdq.match_distance"] == ["31", "bits", "default"]
