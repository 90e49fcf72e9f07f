"""The spool gives back what was put in, in parts in the order of ids, whatever does not fit into one of them."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import numpy as np
import pytest

from hashmatch.catalog import spool as spools
from hashmatch.catalog.spool import Columns, Spool, made_ids
from hashmatch.errors import CatalogUnavailable
from hashmatch.model import UNSTATED_QUALITY


def block(ids: list[str], first: int, algorithm: str = "pdq", size: int = 32) -> Columns:
    """Rows whose every column follows from their position."""
    positions = np.arange(first, first + len(ids), dtype=np.int64)
    values = np.repeat((positions % 251).astype(np.uint8)[:, None], size, axis=1)
    qualities = np.where(positions % 2 == 0, UNSTATED_QUALITY, positions % 101).astype(np.uint8)
    return Columns(algorithm, ids, values, qualities, positions)


def test_rows_come_back_in_the_order_of_their_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools, "PART_ROWS", 100)
    monkeypatch.setattr(spools, "SAMPLE_ROWS", 7)
    rng = random.Random(11)
    ids = [f"entry-{rng.randrange(700)}" for _ in range(2_000)]
    expected = []
    with Spool(tmp_path) as spool:
        for first in range(0, 2_000, 250):
            algorithm, size = ("md5", 16) if first % 500 else ("pdq", 32)
            columns = block(ids[first : first + 250], first, algorithm, size)
            spool.add(columns)
            expected += list(columns.rows())
        assert repr(spool) == "<Spool of 2000 rows in 8 runs>"
        parts = list(spool.parts())
    assert len(parts) > 10
    found = []
    highest = ""
    for part in parts:
        assert not part.crowded
        for columns in part.columns:
            assert list(columns.entry_ids) == sorted(columns.entry_ids)
        of_part = [row for columns in part.columns for row in columns.rows()]
        assert min(of_part)[0] > highest
        highest = max(of_part)[0]
        found += of_part
    assert sorted(found, key=lambda row: row[1]) == expected


@pytest.mark.parametrize("given", ["none", "some", "all"])
def test_ids_made_of_values_are_in_the_order_of_their_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setattr(spools, "PART_ROWS", 100)
    monkeypatch.setattr(spools, "SAMPLE_ROWS", 7)
    rng = np.random.default_rng(12)
    expected: list[tuple[str, int, str, bytes, int | None]] = []
    with Spool(tmp_path) as spool:
        for first in range(0, 2_000, 250):
            values = rng.integers(0, 256, (250, 32), dtype=np.uint8)
            if first % 500 == 0:
                values[:, 2:30] = 0  # the first bytes do not decide, and some values are equal
                values[:, [0, 31]] %= 8
            made = Columns("pdq", (), values, np.full(250, 60, dtype=np.uint8), np.arange(first, first + 250))
            texts = given == "all" or (given == "some" and first % 750 == 0)
            spool.add(Columns("pdq", made.ids(), made.values, made.qualities, made.positions) if texts else made)
            expected += made.rows()
        parts = [columns for part in spool.parts() for columns in part.columns]
    assert len(parts) > 10
    found = [row for columns in parts for row in columns.rows()]
    assert found == sorted(expected, key=lambda row: row[:2])
    for columns in parts:
        ids = columns.ids()
        assert columns.repeated() == {entry_id for entry_id in ids if ids.count(entry_id) > 1}
        assert json.loads(columns.ids_as_json()) == list(ids)


@pytest.mark.parametrize(
    "ids", [[], ["a"], ["a", "b/c d", "~"], ['say "so"', "b"], ["a\\b", "c"], ["a\tb", '"', '","']]
)
def test_ids_are_written_as_json_whatever_is_in_them(ids: list[str]) -> None:
    assert json.loads(block(ids, 0).ids_as_json()) == ids


def test_made_ids_are_those_of_entries_without_an_id() -> None:
    values = np.array([[0, 171], [255, 16]], dtype=np.uint8)
    assert made_ids("alg", values) == ["alg:00ab", "alg:ff10"]
    assert made_ids("alg", values[:0]) == []


def test_an_entry_with_most_of_the_rows_is_handed_out_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools, "PART_ROWS", 10)
    with Spool(tmp_path) as spool:
        for first in range(0, 200, 20):
            spool.add(block(["same"] * 19 + [f"other-{first}"], first))
        parts = list(spool.parts())
    crowded = [part for part in parts if part.crowded]
    assert crowded
    assert sum(len(columns) for part in parts for columns in part.columns) == 200
    assert {entry_id for part in crowded for columns in part.columns for entry_id in columns.entry_ids} >= {"same"}


def test_an_empty_spool_makes_no_file_and_no_part(tmp_path: Path) -> None:
    with Spool(tmp_path / "missing") as spool:
        spool.add(block([], 0))
        assert list(spool.parts()) == []


def test_no_room_is_said_with_the_place(tmp_path: Path) -> None:
    with Spool(tmp_path / "missing") as spool, pytest.raises(CatalogUnavailable, match="missing: No such file"):
        spool.add(block(["a"], 0))


def test_a_file_that_was_cut_short_is_not_read_as_if_it_were_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Spool(tmp_path) as spool:
        spool.add(block(["a", "b"], 0))
        monkeypatch.setattr(os, "pread", lambda *_: b"")
        with pytest.raises(CatalogUnavailable, match="was cut short"):
            list(spool.parts())


def test_rows_are_split_by_id() -> None:
    others, these = block(["a", "b", "a", "c"], 0).split({"a"})
    assert (list(others.entry_ids), list(these.entry_ids)) == (["b", "c"], ["a", "a"])
    assert these.positions.tolist() == [0, 2]
    assert repr(these) == "Columns('pdq', 2 rows)"
