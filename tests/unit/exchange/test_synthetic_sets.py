"""hashsets/synthetic is what its script writes, imports whole, and its answers are right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.exchange import delimited
from hashmatch.hashing.algorithms import table
from hashmatch.model import EntryStatus, HarmDomain

HASHSETS = Path(__file__).parents[3] / "hashsets"
PLANTED = HASHSETS / "synthetic" / "planted.csv"
QUERIES = HASHSETS / "synthetic" / "planted.queries.jsonl"


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str, int]]:
    """``(entry_id, algorithm, value)`` of everything that can match."""
    with SqliteCatalog.open(tmp_path_factory.mktemp("c") / "c") as catalog:
        catalog.create_set("planted", HarmDomain.OTHER)
        with PLANTED.open("rb") as stream:
            result = catalog.import_entries("planted", delimited.read(stream))
        assert (result.rejections, result.hash_set.withdrawn) == ((), 24)
        assert result.hash_set.entries > 850
        return [
            (entry.entry_id, item.algorithm, int.from_bytes(item.value, "big"))
            for entry in catalog.entries("planted")
            if entry.status is not EntryStatus.WITHDRAWN
            for item in entry.hashes
        ]


def test_the_files_are_what_the_script_writes() -> None:
    script = HASHSETS / "generate.py"
    assert subprocess.run([sys.executable, script, "--check"], check=False, cwd=HASHSETS.parent).returncode == 0


def test_every_answer_is_there_and_no_other(values: list[tuple[str, str, int]]) -> None:
    answers = 0
    for line in QUERIES.read_text(encoding="utf-8").splitlines():
        query = json.loads(line)
        asked = int(query["value"], 16)
        space = table()[query["algorithm"]].space
        found = {
            (entry_id, name, (value ^ asked).bit_count())
            for entry_id, name, value in values
            if table()[name].space == space and (value ^ asked).bit_count() <= query["max_distance"]
        }
        expected = {(item["entry_id"], item["algorithm"], item["distance"]) for item in query["expected"]}
        assert found == expected
        assert [item["distance"] for item in query["expected"]] == sorted(item[2] for item in found)
        answers += len(found)
    assert answers > 300


def test_entries_are_planted_at_the_distances_that_decide() -> None:
    distances = {
        item["distance"]
        for line in QUERIES.read_text(encoding="utf-8").splitlines()
        for item in json.loads(line)["expected"]
        if item["algorithm"] == "pdq"
    }
    assert {0, 30, 31, 32, 40, 63, 64} <= distances
