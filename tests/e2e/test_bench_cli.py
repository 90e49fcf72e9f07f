"""``hashmatch bench search`` as people run it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hashmatch.cli.bench import SEARCH_FIELDS

PATIENCE_S = 300


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command on a list of 2,500 with three short rounds."""
    command = [sys.executable, "-m", "hashmatch", "bench", "search", "--entries", "2500", "--rounds", "3"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HASHMATCH_")}
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, env=environ, timeout=PATIENCE_S, check=False
    )


def test_json_is_one_object_with_time_recall_and_ratio_per_system() -> None:
    done = bench("--radius", "30", "--queries", "200", "--systems", "ours,faiss_flat,faiss_hash", "--json")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    said = json.loads(line)
    assert (said["entries"], said["radius"]) == (2500, 30)
    assert set(said["us_per_query"]) == set(said["recall"]) == set(said["ratio_vs"]) > {"ours", "faiss_flat"}
    assert said["recall"]["ours"] == said["recall"]["faiss_flat"] == 1
    assert said["recall"]["faiss_hash"] < 1
    took = said["us_per_query"]
    assert said["ratio_vs"]["faiss_flat"] == pytest.approx(took["faiss_flat"] / took["ours"])
    assert said["machine"]["cores"] >= 1


def test_every_key_of_the_object_is_documented() -> None:
    said = json.loads(bench("--queries", "30", "--systems", "ours,faiss_flat", "--json").stdout)
    documented = " ".join([*SEARCH_FIELDS, *SEARCH_FIELDS.values()])
    assert [key for key in said if key not in documented] == []
    assert [key for key in SEARCH_FIELDS if key not in said] == []


def test_people_get_a_row_per_system_and_the_reasons_for_what_is_missing() -> None:
    done = bench("--queries", "30", "--systems", "ours,faiss_flat,faiss_ivf,c_probe", "--radius", "120")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].split("\t") == ["system", "us/query", "95 %", "by ours", "recall", "bytes/entry", "build s"]
    assert [line.split("\t")[0] for line in lines[1:5]] == ["ours", "ours_batch8", "ours_batch16", "ours_batch120"]
    assert any(line.startswith("skipped c_probe: ") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--systems", "ours,theirs"], "error: no such system: theirs; there are ours, faiss_flat, faiss_multihash"),
        (["--distribution", "normal"], "error: 'normal' is no distribution: uniform, correlated, photos"),
        (["--distribution", "photos"], "error: set HASHMATCH_EXTRA_DATA to a directory with photos/"),
        (["--entries", "2147483648"], "error: 2,147,483,648 entries need about 859.0 GB, "),
    ],
    ids=["system", "distribution", "photos", "memory"],
)
def test_what_cannot_be_measured_is_refused_in_a_line(arguments: list[str], message: str) -> None:
    done = bench(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed")
def test_a_plot_is_written_where_it_was_asked_for(tmp_path: Path) -> None:
    done = bench("--queries", "30", "--systems", "ours,faiss_flat", "--plot", str(tmp_path / "plots"), "--quiet")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "plots" / "systems.svg").read_text(encoding="utf-8").startswith("<?xml")
