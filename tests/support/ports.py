"""Fakes of the engine's two ports: a hasher that answers from a script, an index over a plain list."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from hashmatch.errors import IndexNotLoaded
from hashmatch.hashing import algorithms
from hashmatch.model import (
    ComputedHash,
    EntryRef,
    EntryStatus,
    Found,
    HarmDomain,
    HashOptions,
    MediaInfo,
    Picture,
    Query,
    SearchResult,
    SetMode,
)

PDQ_ZERO = bytes(32)


def flipped(value: bytes, bits: int) -> bytes:
    """Return ``value`` with its first ``bits`` bits turned over."""
    return (int.from_bytes(value) ^ ((1 << bits) - 1)).to_bytes(len(value))


def entry_ref(
    entry_id: str = "e1",
    *,
    set_name: str = "hotline",
    mode: SetMode = SetMode.ENFORCED,
    status: EntryStatus = EntryStatus.ACTIVE,
) -> EntryRef:
    """Return an entry as the index would describe it."""
    return EntryRef(f"id-of-{set_name}", set_name, 3, HarmDomain.OTHER, mode, entry_id, status, ())


def picture(value: bytes = PDQ_ZERO, *, quality: int = 100, side_px: int = 640, degraded: bool = False) -> Picture:
    """Return a hashed picture with one PDQ value."""
    media = MediaInfo("JPEG", side_px, side_px, degraded=degraded)
    return Picture(media, (ComputedHash("pdq", value, quality),), queue_us=1, decode_us=2, hash_us=3)


@dataclass
class FakeHasher:
    """Answers every image with the same picture; remembers what it was asked for.

    The answer comes after ``delay_s``, and where there is ``held`` not before that is set.
    """

    answer: Picture = field(default_factory=picture)
    delay_s: float = 0.0
    held: asyncio.Event | None = None
    error: Exception | None = None
    options: list[HashOptions] = field(default_factory=list)
    cancelled: int = 0
    running: int = 0
    most_running: int = 0

    async def hash(self, image: bytes, options: HashOptions, *, deadline_s: float | None = None) -> Picture:
        """Return the scripted picture."""
        assert isinstance(image, bytes)
        assert deadline_s is None or deadline_s > 0
        self.options.append(options)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if self.held is not None:
                await self.held.wait()
            await asyncio.sleep(self.delay_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        if self.error is not None:
            raise self.error
        return self.answer


@dataclass
class FakeIndex:
    """Compares every query with every row, one at a time."""

    rows: list[tuple[str, bytes, EntryRef]] = field(default_factory=list)
    loaded: bool = True
    names: frozenset[str] = frozenset({"hotline"})

    def search(self, queries: Sequence[Query], *, sets: frozenset[str] | None, max_hits: int) -> SearchResult:
        """Return what is within reach, nearest first, so many of each query."""
        if not self.loaded:
            raise IndexNotLoaded
        found, truncated = list[Found](), False
        for number, query in enumerate(queries):
            near = []
            space = algorithms.algorithm(query.algorithm).space
            for algorithm, value, entry in self.rows:
                if algorithms.algorithm(algorithm).space != space or (sets is not None and entry.set_name not in sets):
                    continue
                distance = (int.from_bytes(query.value) ^ int.from_bytes(value)).bit_count()
                if distance <= query.max_distance:
                    near.append(Found(number, distance, algorithm, entry))
            near.sort(key=lambda item: item.distance)
            found += near[:max_hits]
            truncated |= len(near) > max_hits
        found.sort(key=lambda item: (item.distance, item.entry.set_name, item.entry.entry_id, item.query))
        return SearchResult("7.1", tuple(found), truncated)

    def newer(self, since: str) -> FakeNewer:
        """Return the rows behind the first so many; more than there are is a generation that is not known."""
        position = int(since)
        known = position <= len(self.rows)
        return FakeNewer(self.rows[position:] if known else self.rows, names=self.names, everything=not known)

    def modes(self) -> dict[str, SetMode]:
        """Modes of the sets."""
        return dict.fromkeys(self.names, SetMode.ENFORCED) | {entry.set_name: entry.mode for _, _, entry in self.rows}

    def values(self, sets: frozenset[str] | None) -> dict[str, int]:
        """Count the rows in these sets that share a space with each algorithm."""
        rows = [
            algorithms.algorithm(name).space for name, _, entry in self.rows if sets is None or entry.set_name in sets
        ]
        return {name: rows.count(row.space) for name, row in algorithms.searchable().items()}

    def algorithms(self) -> frozenset[str]:
        """Names of the algorithms that share a space with a row."""
        spaces = {algorithms.algorithm(name).space for name, _, _ in self.rows}
        return frozenset(name for name, row in algorithms.searchable().items() if row.space in spaces)


@dataclass
class FakeNewer(FakeIndex):
    """The rows of an index that are new."""

    everything: bool = False
