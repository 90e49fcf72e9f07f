"""Small algorithm tables, entries and indexes for tests of the index."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hashmatch.hashing import algorithms
from hashmatch.index.build import build
from hashmatch.index.segment import Segment
from hashmatch.model import Algorithm, AlgorithmKind, Entry, EntryHash, EntryStatus, Label, SearchResult
from tests.oracle.search import Answer
from tests.support.feed import FakeFeed

WIDE = Algorithm("wide", AlgorithmKind.PERCEPTUAL, 1152, "wide", "A plug-in's 1,152 bits", "tests")
TABLE: Mapping[str, Algorithm] = {**algorithms.table(), "wide": WIDE}


def value(algorithm: str, seed: int, view: str = "") -> EntryHash:
    """Return a value made of ``seed``: seeds that differ in few bits make values that do."""
    size = TABLE[algorithm].size_bytes
    return EntryHash(algorithm, seed.to_bytes(size, "big"), view=view)


def entry(
    entry_id: str, *hashes: EntryHash, labels: tuple[Label, ...] = (), status: EntryStatus = EntryStatus.ACTIVE
) -> Entry:
    """Return an entry of these values."""
    return Entry(entry_id, hashes, labels, status=status)


def segment_of(
    feed: FakeFeed, path: Path, *, generation: int = 1, table: Mapping[str, Algorithm] = TABLE, verify: bool = True
) -> Segment:
    """Build and open a segment of the feed's present state."""
    build(path, feed.changes(0), table, generation=generation, sequence=feed.sequence())
    return Segment.open(path, verify=verify)


def answers(result: SearchResult) -> list[Answer]:
    """Return a search result in the naive twin's terms."""
    return [
        (
            found.query,
            found.distance,
            found.algorithm,
            found.entry.set_name,
            found.entry.entry_id,
            found.entry.status,
            found.entry.set_version,
            found.entry.mode.value,
            found.view,
        )
        for found in result.found
    ]
