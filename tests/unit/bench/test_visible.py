"""``native_bench/visible.py``: other processes find each change, and one that does not ends the run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hashmatch.bench.visible import CATALOG, SET, Follower, measure
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.errors import IntegrityError
from hashmatch.model import Entry, EntryHash, HarmDomain

VALUE = bytes(range(32))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with SqliteCatalog.open(tmp_path / CATALOG) as catalog:
        catalog.create_set(SET, HarmDomain.OTHER)
        catalog.import_entries(SET, [Entry("known", (EntryHash("pdq", VALUE),))])
    return tmp_path


def test_every_change_is_timed_on_all_followers() -> None:
    found = measure(changes=3, followers=2, entries=5, seed=1)
    assert (found["changes"], found["followers"], found["entries"]) == (3, 2, 5)
    for name in ("visible_on_all_ms", "import_ms"):
        assert found[name]["median"] <= found[name]["p99"]
    assert found["import_ms"]["median"] > 0


def test_a_follower_that_never_sees_the_change_ends_the_run(folder: Path) -> None:
    with Follower(folder, patience_s=0.01) as follower:
        follower.ask(VALUE, "another", before="known")
        with pytest.raises(IntegrityError, match="ended, or never saw the change that it waited for"):
            follower.seen_at()


def test_a_follower_that_finds_something_before_the_change_ends_the_run(folder: Path) -> None:
    with Follower(folder) as follower, pytest.raises(IntegrityError, match="did not find 'nothing' before the change"):
        follower.ask(VALUE, "", before="")


def test_a_follower_that_is_not_where_the_catalog_is_ends_the_run(folder: Path) -> None:
    with SqliteCatalog.open(folder / CATALOG) as catalog:
        sequence = catalog.sequence()
    with Follower(folder) as follower:
        follower.arrived(sequence)
        with pytest.raises(IntegrityError, match=rf"is at {sequence}, the catalog at {sequence + 1}"):
            follower.arrived(sequence + 1)


def test_a_follower_shows_its_process(folder: Path) -> None:
    with Follower(folder) as follower:
        assert re.fullmatch(r"<Follower: process \d+>", repr(follower))
