"""``hashmatch bench hash`` as people run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from hashmatch.bench.goals import TIMES
from hashmatch.cli.bench_hash import FIELDS

PATIENCE_S = 300


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with three short rounds."""
    command = [sys.executable, "-m", "hashmatch", "bench", "hash", "--rounds", "3", "--systems", "ours,pdqhash"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HASHMATCH_")}
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, env=environ, timeout=PATIENCE_S, check=False
    )


def test_json_is_a_row_for_each_case_and_source() -> None:
    done = bench("--sizes", "100x80,512x512", "--json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["case"], row["source"]) for row in rows] == [
        ("100x80", "pixels"), ("100x80", "jpeg"), ("512x512", "pixels"), ("512x512", "jpeg"),
    ]  # fmt: skip
    for row in rows:
        documented = " ".join([*FIELDS, *FIELDS.values()])
        assert [key for key in row if key not in documented] == []
        rates, peer = row["images_per_second"], "pdqhash_dihedral"
        assert row["ratio_vs"][peer] == pytest.approx(rates["ours"] / rates[peer])
        assert all(rate > 0 for rate in rates.values())
        assert row["same_bits"] == [name for name in row["us_per_image"] if name not in row["most_bits"]]
        assert list(row["most_bits"]) == (["ours_screen"] if row["source"] == "jpeg" else [])
    assert [len(row["goals"]) for row in rows] == [0, 0, 3, 1]
    assert rows[2]["goals"][0]["measured"] == rows[2]["ratio_vs"]["pdqhash_dihedral"]
    assert rows[2]["goals"][2] == {
        "what": "512x512, exact kernel by our own C", "goal": f"≤ 1.15{TIMES}", "measured": None, "met": None,
        "beside": {},
    }  # fmt: skip


def test_people_get_lines_stages_and_goals() -> None:
    done = bench("--sizes", "512x512")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].split("\t") == ["case", "from", "system", "us/image", "95 %", "by ours", "images/s", "bits"]
    assert any(line.startswith("512x512 from jpeg, us: gates ") for line in lines)
    assert any("guarded kernel against pdqhash.compute_dihedral" in line for line in lines)


def test_a_wrong_argument_is_said_at_once() -> None:
    done = bench("--sizes", "big")
    assert done.returncode == 2
    assert done.stderr == "error: a size is written like 1024x768, not 'big'\n"
