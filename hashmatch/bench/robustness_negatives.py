"""Hard negatives: pictures that look alike and are not the same, and must not match; and what all the views cost.

Theory of operation
-------------------
Negatives come in families: other photos of the same product (one directory each), and pages with the same layout and
other words (drawn on the spot). Every member is a query, re-encoded as a repost would be, against every *other* member
of its family; the nearest of its hashes decides, as it does for uploads.

The cost is measured apart from the trial, in one process on pictures of 1024x768, the levels taking turns.

What this module deliberately does not do: it compares no picture with itself; that is recall (``robustness.py``).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hashmatch.bench import codes
from hashmatch.bench.alterations import encoded, rng_for
from hashmatch.bench.answers import Numbers
from hashmatch.bench.column import Column
from hashmatch.bench.robustness import MAX_HITS, SUFFIXES, Listed, distances, original
from hashmatch.bench.robustness_goals import LAYOUT, PRODUCT
from hashmatch.bench.robustness_overlays import page
from hashmatch.bench.robustness_upload import LEAST_QUALITY, Seen, upload_hashes
from hashmatch.index.columns import Bytes
from hashmatch.kernels.pdq import pdq
from hashmatch.progress import SILENT, Progress

LAYOUTS = 8
PAGES = 12
ENTRIES = 1_000_000
COST_SIZE = (1024, 768)
COST_ROUNDS = 15
_CARTON = "Alpro-Vanilla-Soyghurt/Alpro-Vanilla-Soyghurt"
ONE_SCENE = frozenset({frozenset({f"{_CARTON}_007.jpg", f"{_CARTON}_012.jpg"})})
"""Pairs among the products that are no other photo of another thing: one carton in one hand before one shelf, moments
apart. Seen by a person. What lies between them is what lies between a listed picture and a copy of it that was cropped
and turned a little, so no distance tells the two cases apart. They count as matches; the page says which they are."""


@dataclass(frozen=True, slots=True)
class Family:
    """Pictures that look alike: what kind of likeness, and each picture with its name."""

    kind: str
    pictures: Sequence[tuple[str, Image.Image]]


@dataclass(slots=True)
class Count:
    """What the pairs of one kind came to at one level."""

    pairs: int = 0
    matches: int = 0
    matches_review: int = 0
    matches_one_scene: int = 0
    nearest: int | None = None
    nearest_pair: tuple[str, str] | None = None

    def add(self, seen: Seen, distance: Numbers, query: int, names: Sequence[str]) -> None:
        """Count one query; ``distance`` : int64, shape (hashes, members), also from itself, which does not count."""
        for at, nearest in enumerate(distance.min(axis=0).tolist()):
            if at == query:
                continue
            self.pairs += 1
            matches = bool((distance[:, at] <= seen.match).any())
            self.matches += matches
            self.matches_one_scene += matches and frozenset({names[query], names[at]}) in ONE_SCENE
            self.matches_review += bool((distance[:, at] <= seen.review).any())
            if self.nearest is None or nearest < self.nearest:
                self.nearest, self.nearest_pair = nearest, (names[query], names[at])


def products(where: Path, side_px: int) -> Iterator[Family]:
    """Photos of one thing per directory below ``where``. Raises what Pillow raises."""
    for directory in sorted(path for path in where.iterdir() if path.is_dir()):
        files = [path for path in sorted(directory.iterdir()) if path.suffix.lower() in SUFFIXES]
        pictures = [(f"{directory.name}/{path.name}", original(path, side_px)) for path in files]
        yield Family(PRODUCT, pictures)


def layouts(seed: int, count: int = LAYOUTS, pages: int = PAGES) -> Iterator[Family]:
    """Drawn pages: ``count`` layouts with ``pages`` different texts each."""
    for layout in range(count):
        named = [(f"layout {layout}, text {at}", rng_for(seed, f"layout {layout}", str(at))) for at in range(pages)]
        yield Family(LAYOUT, [(name, page(layout, rng)) for name, rng in named])


def judge(
    families: Sequence[Family], levels: Sequence[str], entries: int = ENTRIES, progress: Progress = SILENT
) -> dict[str, Any]:
    """Count the members that match another of their family; the review band is that of a list of ``entries``.

    Returns
    -------
    dict
        Kind to level to ``pairs`` (query and other), ``matches``, ``matches_review``, ``matches_one_scene`` (those of
        :data:`ONE_SCENE`), ``nearest`` distance (None without pairs) and ``nearest_pair``. Flat pictures, which no list
        would take, take no part.

    """
    counted: dict[str, dict[str, Count]] = {}
    progress.start("hard negatives", sum(len(family.pictures) for family in families), "pictures")
    for family in families:
        names, pictures, listed = _listed(family)
        for level in levels if len(names) > 1 else ():
            count = counted.setdefault(family.kind, {}).setdefault(level, Count())
            for at, picture in enumerate(pictures):
                seen = upload_hashes(encoded(picture, "JPEG", quality=80), level, entries)
                if len(seen.hashes):
                    count.add(seen, distances(seen.hashes, listed), at, names)
        progress.advance(len(family.pictures))
    progress.finish()
    return {kind: {level: asdict(count) for level, count in by.items()} for kind, by in counted.items()}


def _listed(family: Family) -> tuple[list[str], list[Image.Image], Bytes]:
    """Names, pictures and exact hashes of the members that a list would take."""
    hashed = [(name, picture, pdq(np.asarray(picture))) for name, picture in family.pictures]
    usable = [row for row in hashed if row[2].quality >= LEAST_QUALITY]
    values = np.array([found.hashes[0] for _, _, found in usable], dtype=np.uint8).reshape(-1, codes.SIZE_BYTES)
    return [row[0] for row in usable], [row[1] for row in usable], values


def cost(photos: Sequence[Path], levels: Sequence[str], entries: int, seed: int) -> dict[str, Any]:
    """Measure what one upload of 1024x768 pixels costs at every level, in milliseconds.

    Returns
    -------
    dict
        Level to ``hashes`` (mean), ``decode_ms``, ``hash_ms``, ``search_ms`` within the match distance and
        ``search_review_ms`` within the review distance against ``entries`` made-up codes: medians over the photos, of
        the fastest of several rounds each, since others only ever add.

    """
    column = Column(codes.uniform(entries, np.random.default_rng(seed)), MAX_HITS)
    listed = Listed(column, np.arange(0))
    samples: dict[str, list[tuple[float, ...]]] = {level: [] for level in levels}
    for path in photos:
        data = encoded(original(path, COST_SIZE[0]).resize(COST_SIZE), "JPEG", quality=90)
        rounds: dict[str, list[tuple[float, ...]]] = {level: [] for level in levels}
        for _ in range(COST_ROUNDS):
            for level in levels:
                rounds[level].append(_round(data, level, listed))
        for level in levels:
            samples[level].append(tuple(np.array(rounds[level]).min(axis=0).tolist()))
    keys = ("hashes", "decode_ms", "hash_ms", "search_ms", "search_review_ms")
    return {
        level: {key: round(statistics.median(row[at] for row in rows), 4) for at, key in enumerate(keys)}
        for level, rows in samples.items()
    }


def _round(data: bytes, level: str, listed: Listed) -> tuple[float, ...]:
    seen = upload_hashes(data, level, len(listed.column.codes))
    taken_ms = []
    for reach in (seen.match, seen.review):
        begin = time.perf_counter_ns()
        listed.search(seen.hashes, reach)
        taken_ms.append((time.perf_counter_ns() - begin) / 1e6)
    return len(seen.hashes), seen.decode_us / 1e3, seen.hash_us / 1e3, *taken_ms
