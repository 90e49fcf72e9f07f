"""Any sequence of imports leaves the SQLite catalog with what the dictionary of tests/oracle holds."""

from __future__ import annotations

import dataclasses
import datetime as dt
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.catalog import applying, staging
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.model import (
    Change,
    Entry,
    EntryHash,
    EntryStatus,
    HarmDomain,
    Label,
    Opinion,
    Provenance,
    Stance,
)
from tests.oracle.catalog import NOW, DictCatalog

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
    oracle = DictCatalog()
    with pytest.MonkeyPatch.context() as patch:
        for module in (staging, applying):
            patch.setattr(module, "BATCH_ROWS", batch)
        with tempfile.TemporaryDirectory() as folder, SqliteCatalog.open(Path(folder) / "c") as catalog:
            catalog.create_set("known", HarmDomain.OTHER)
            followed: dict[str, Entry] = {}
            since = 0
            for rows in imports:
                version = catalog.get_set("known").version
                result = catalog.import_entries("known", rows)
                counts = (result.added, result.updated, result.unchanged, result.rejected)
                assert counts == oracle.import_rows(rows)
                assert result.hash_set.version == version + bool(result.added or result.updated)
                found = {entry.entry_id: entry for entry in catalog.entries("known")}
                assert {key: undated(entry) for key, entry in found.items()} == oracle.entries
                since = _follow(list(catalog.changes(since)), followed, since)
                assert followed == found
            gone = sum(entry.status is EntryStatus.WITHDRAWN for entry in oracle.entries.values())
            assert (result.hash_set.entries, result.hash_set.withdrawn) == (len(oracle.entries) - gone, gone)
            catalog.verify()


def _follow(changes: list[Change], followed: dict[str, Entry], since: int) -> int:
    for change in changes:
        assert change.sequence > since
        since = change.sequence
        if change.entry:
            followed[change.entry.entry_id] = change.entry
    return since
