"""Any sequence of imports leaves either catalog with what the dictionary of tests/oracle holds, blocks or not."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import itertools
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.catalog import applying, spool, staging
from hashmatch.catalog.postgres import PostgresCatalog
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.model import (
    UNSTATED_QUALITY,
    Change,
    Entry,
    EntryBlock,
    EntryHash,
    EntryStatus,
    HarmDomain,
    Label,
    Opinion,
    Provenance,
    Row,
    Stance,
)
from tests.oracle.catalog import NOW, DictCatalog
from tests.support.postgres import Server

AnyCatalog = SqliteCatalog | PostgresCatalog
IDS = ("", "a", "b", "c", "dd")
HASHES = st.builds(
    EntryHash,
    algorithm=st.sampled_from(["pdq", "pdq-nearest512"]),
    value=st.sampled_from([bytes([number]) * 32 for number in (1, 2, 3)]),
    quality=st.sampled_from([None, 50, 99]),
    view=st.sampled_from(["", "crop-left-3", "crop-centre-6"]),
)
OPINIONS = st.builds(
    Opinion,
    who=st.sampled_from(["o", "p"]),
    stance=st.sampled_from(Stance),
    reason=st.sampled_from(["", "why"]),
    at=st.sampled_from([None, *(dt.datetime(2001, month, 1, tzinfo=dt.UTC) for month in (1, 2))]),
    algorithm=st.sampled_from(["", "pdq"]),
)
ROWS = st.builds(
    Entry,
    entry_id=st.sampled_from(IDS),
    hashes=st.lists(HASHES, min_size=1, max_size=3).map(tuple),
    labels=st.sampled_from(
        [(), (Label("s", "", "x"),), (Label("t", "", "w"),), (Label("s", "1", "y"), Label("t", "", "z"))]
    ),
    provenance=st.builds(
        Provenance,
        source=st.sampled_from(["", "src"]),
        list_version=st.sampled_from(["", "1", "2"]),
        terms=st.sampled_from(["", "terms"]),
        jurisdiction=st.sampled_from(["", "DE"]),
    ),
    status=st.sampled_from([*EntryStatus, EntryStatus.ACTIVE, EntryStatus.ACTIVE]),
    status_reason=st.sampled_from(["", "why"]),
    opinions=st.one_of(st.just(()), st.lists(OPINIONS, max_size=3).map(tuple)),
)
TOMBSTONES = st.builds(
    Entry,
    entry_id=st.sampled_from(IDS[1:]),
    hashes=st.just(()),
    status=st.just(EntryStatus.WITHDRAWN),
    status_reason=st.sampled_from(["", "gone"]),
)
PLAIN = st.builds(
    Entry,
    entry_id=st.sampled_from([*IDS, "ø", "e e"]),
    hashes=st.builds(dataclasses.replace, HASHES, view=st.just("")).map(lambda item: (item,)),
)
IMPORTS = st.lists(st.lists(st.one_of(ROWS, ROWS, ROWS, TOMBSTONES), max_size=8), min_size=1, max_size=4)


def undated(entry: Entry) -> Entry:
    """Return the entry without the time of arrival, and opinions that were dated by the import as the oracle does."""
    opinions = [
        dataclasses.replace(item, at=NOW) if item.at and item.at.year > 2001 else item for item in entry.opinions
    ]
    provenance = dataclasses.replace(entry.provenance, received_at=None)
    return dataclasses.replace(entry, provenance=provenance, opinions=tuple(opinions))


@given(imports=IMPORTS, batch=st.sampled_from([1, 2, 3, 2_000]))
@settings(max_examples=100, deadline=None)
def test_imports_agree_with_the_oracle(imports: list[list[Entry]], batch: int) -> None:
    with tempfile.TemporaryDirectory() as folder, SqliteCatalog.open(Path(folder) / "c") as catalog:
        _agree(catalog, imports, batch)


@given(imports=IMPORTS, batch=st.sampled_from([1, 2, 3, 2_000]))
@settings(max_examples=15, deadline=None)
def test_imports_into_postgres_agree_with_the_oracle(postgres: Server, imports: list[list[Entry]], batch: int) -> None:
    with in_postgres(postgres) as catalog:
        _agree(catalog, imports, batch)


def _agree(catalog: AnyCatalog, imports: list[list[Entry]], batch: int) -> None:
    oracle = DictCatalog()
    with pytest.MonkeyPatch.context() as patch:
        for module in (staging, applying):
            patch.setattr(module, "BATCH_ROWS", batch)
        catalog.create_set("known", HarmDomain.OTHER)
        followed: dict[str, Entry] = {}
        since = 0
        for rows in imports:
            version = catalog.get_set("known").version
            result = catalog.import_entries("known", rows)
            counts = (result.added, result.updated, result.unchanged, result.rejected)
            assert counts == oracle.import_rows(rows)
            assert result.hash_set.version == version + bool(result.added or result.updated)
            with catalog.entries("known") as entries:
                found = {entry.entry_id: entry for entry in entries}
            assert {key: undated(entry) for key, entry in found.items()} == oracle.entries
            since = _follow(_changes(catalog, since), followed, since)
            assert followed == found
        gone = sum(entry.status is EntryStatus.WITHDRAWN for entry in oracle.entries.values())
        assert (result.hash_set.entries, result.hash_set.withdrawn) == (len(oracle.entries) - gone, gone)
        catalog.verify()


@contextlib.contextmanager
def in_postgres(server: Server) -> Iterator[PostgresCatalog]:
    """Open a catalog in an empty database."""
    name = server.take_database()
    with PostgresCatalog.open(server.config(name)) as catalog:
        yield catalog
    server.give_database_back(name)


def _changes(catalog: AnyCatalog, since: int) -> list[Change]:
    with catalog.changes(since) as changes:
        return list(changes)


def _follow(changes: list[Change], followed: dict[str, Entry], since: int) -> int:
    for change in changes:
        assert change.sequence > since
        since = change.sequence
        if change.entry:
            followed[change.entry.entry_id] = change.entry
    return since


def in_blocks(rows: list[Entry], rng: random.Random) -> Iterator[Row]:
    """Say the same in blocks and single rows, blocks first; positions keep the order."""
    single: list[Entry] = []
    blocked: list[Entry] = []
    for position, entry in enumerate(rows):
        plain = dataclasses.replace(entry, entry_id="", hashes=()) == Entry("", ())
        plain = plain and len(entry.hashes) == 1 and not entry.hashes[0].view
        (blocked if plain and rng.random() < 0.8 else single).append(dataclasses.replace(entry, position=position))
    blocked.sort(key=lambda entry: entry.hashes[0].algorithm)
    for algorithm, some in itertools.groupby(blocked, key=lambda entry: entry.hashes[0].algorithm):
        entries = list(some)
        for start in range(0, len(entries), 3):
            items = entries[start : start + 3]
            yield EntryBlock(
                algorithm,
                b"".join(entry.hashes[0].value for entry in items),
                [entry.position or 0 for entry in items],
                [entry.entry_id for entry in items],
                bytes(
                    UNSTATED_QUALITY if item.quality is None else item.quality for (item,) in (e.hashes for e in items)
                ),
            )
    yield from single


BLOCKS = given(
    imports=st.lists(st.lists(st.one_of(PLAIN, PLAIN, PLAIN, ROWS, TOMBSTONES), max_size=14), min_size=1, max_size=3),
    rng=st.randoms(use_true_random=False),
    part_rows=st.sampled_from([1, 2, 65_536]),
)


@BLOCKS
@settings(max_examples=50, deadline=None)
def test_blocks_say_what_their_entries_say(imports: list[list[Entry]], rng: random.Random, part_rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder, SqliteCatalog.open(Path(folder) / "d") as catalog:
        _say_the_same(catalog, imports, rng, part_rows)


@BLOCKS
@settings(max_examples=15, deadline=None)
def test_blocks_say_what_their_entries_say_in_postgres(
    postgres: Server, imports: list[list[Entry]], rng: random.Random, part_rows: int
) -> None:
    with in_postgres(postgres) as catalog:
        _say_the_same(catalog, imports, rng, part_rows)


def _say_the_same(other: AnyCatalog, imports: list[list[Entry]], rng: random.Random, part_rows: int) -> None:
    """Import blocks into a catalog, and the same entries one by one into another."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(spool, "PART_ROWS", part_rows)
        patch.setattr(spool, "SAMPLE_ROWS", 2)
        patch.setattr(spool, "LARGEST_PART", 2)
        with SqliteCatalog.open(Path(folder) / "c") as one:
            for catalog in (one, other):
                catalog.create_set("known", HarmDomain.OTHER)
            for rows in imports:
                expected = one.import_entries("known", rows)
                found = other.import_entries("known", in_blocks(rows, rng))
                assert (found.added, found.updated, found.unchanged) == (
                    expected.added,
                    expected.updated,
                    expected.unchanged,
                )
                assert sorted(found.rejections, key=repr) == sorted(expected.rejections, key=repr)
                with one.entries("known") as these, other.entries("known") as those:
                    assert list(map(undated, those)) == list(map(undated, these))
            other.verify()
            assert other.sequence() == one.sequence()
            assert len(_changes(other, 0)) == len(_changes(one, 0))
