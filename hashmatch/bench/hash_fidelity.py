"""How far a hash of a scaled JPEG is from the exact one, and whether a verdict ever depends on it.

Theory of operation
-------------------
Every photo of a folder becomes many JPEG files (:func:`variants`): resized to a shorter side of 512 pixels or more,
half of them cropped, some altered as people do it (``alterations.py``), in many qualities, subsamplings and codings.
Each is hashed exactly and for screening. Two things come of that: a histogram of the bits that lie between, per
algorithm, over all orientations and views; and verdicts. For those, both answers are given to the engine, once as it is
and once allowed to screen, over a list in which each photo stands several times: with the hashes of either dialect, and
with so many of their bits turned over that there are entries on both sides of every threshold. The two reports must say
the same. One that does not ends the run.

What this module deliberately does not do: it times nothing, and it uses no sandbox: only pictures of a folder that its
user names are decoded.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import multiprocessing
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hashmatch.bench.alterations import chosen, encoded
from hashmatch.bench.robustness import original, photos_below
from hashmatch.config import DecodeConfig, PolicyConfig
from hashmatch.errors import IntegrityError
from hashmatch.hashing import algorithms
from hashmatch.hashing.compute import hash_picture
from hashmatch.index.build import build
from hashmatch.index.live import LiveIndex
from hashmatch.index.segment import Segment
from hashmatch.matching.engine import Engine, Submission
from hashmatch.model import (
    Change,
    ComputedHash,
    Entry,
    EntryHash,
    Fidelity,
    HarmDomain,
    HashOptions,
    HashSet,
    MatchReport,
    Picture,
    Views,
)
from hashmatch.progress import SILENT, Progress

DIALECTS = ("pdq", "pdq-nearest512")
OPTIONS = HashOptions(frozenset(DIALECTS), views=Views.CHEAP)
LONGEST_PX = 4_096
SHORTEST_PX = 512
"""Nothing smaller is scaled."""
SCALE_SHARES = (0.66, 0.3, 0.04)
"""How often a half, a quarter and an eighth: the large ones take most of the time."""
CROPPED_SHARE, ALTERED_SHARE = 0.5, 0.3
TURNED_BITS = (0, 24, 31, 40, 52, 60)
"""Bits of an entry that are turned over: about the thresholds, and between them and what a scaled hash asks for."""
_SET = HashSet("bench", "bench", HarmDomain.OTHER, version=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """One file, hashed exactly and for screening."""

    exact: Picture
    screened: Picture

    @property
    def is_screened(self) -> bool:
        """Whether the second answer is another one than the first."""
        return self.screened.media is not None and self.screened.media.fidelity is Fidelity.SCREEN


@dataclass(slots=True)
class Difference:
    """How far approximate hashes were off. ``bits``: pictures by their worst hash; ``quality`` likewise, in percent."""

    bits: Counter[int] = field(default_factory=Counter)
    quality: Counter[int] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """Return counts, mean and most."""
        pictures = self.bits.total()
        return {
            "pictures": pictures,
            "mean_bits": round(sum(bits * count for bits, count in self.bits.items()) / max(1, pictures), 3),
            "most_bits": max(self.bits, default=0),
            "most_quality": max(self.quality, default=0),
            "histogram": {str(bits): self.bits[bits] for bits in sorted(self.bits)},
        }


def measure(
    directories: Sequence[Path], pictures: int, seed: int, jobs: int = 1, progress: Progress = SILENT
) -> dict[str, Any]:
    """Hash so many files both ways.

    Returns
    -------
    dict
        ``photos``, ``files``, ``screened``; ``differences`` per algorithm; ``verdicts``: how often each was given, with
        and without screening; ``second_looks``: share of screened files that were looked at again.

    Raises
    ------
    BadInput
        There is no picture.
    IntegrityError
        A report with screening was not the one without.

    """
    photos = photos_below(directories)
    each = -(-pictures // len(photos))
    differences = {name: Difference() for name in (*DIALECTS, algorithms.QUERY_ONLY[0].name)}
    looks, verdicts, files, screened = 0, Counter[str](), 0, 0
    progress.start("hashing exactly and scaled", len(photos), "photos")
    with _listed(photos, seed) as index, _pairs(photos, each, seed, jobs) as batches:
        for pairs in batches:
            for pair in pairs:
                files += 1
                report, asked = asyncio.run(_compare(pair, index))
                verdicts[report.verdict.value] += 1
                if pair.is_screened:
                    screened += 1
                    looks += asked - 1
                    _note(pair, differences)
            progress.advance(1)
    progress.finish()
    return {
        "photos": len(photos),
        "files": files,
        "screened": screened,
        "seed": seed,
        "differences": {name: row.as_json() for name, row in differences.items()},
        "verdicts": dict(verdicts),
        "second_looks": looks / max(1, screened),
    }


def variants(picture: Image.Image, count: int, rng: np.random.Generator) -> Iterator[bytes]:
    """Yield so many files of a photo, RGB: resized, some cropped, some altered."""
    table = chosen("all")
    for _ in range(count):
        part = _part(picture, rng)
        if rng.random() < ALTERED_SHARE:
            yield table[int(rng.integers(len(table)))](part, rng)
            continue
        yield encoded(
            part if rng.random() > 0.1 else part.convert("L"),  # noqa: PLR2004 - one in ten is grey
            "JPEG",
            quality=int(rng.integers(10, 101)),
            subsampling=int(rng.integers(3)),
            progressive=bool(rng.random() < 0.25),  # noqa: PLR2004 - a quarter
        )


def _part(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Cut out a part, and resize it so that it is halved once, twice or three times; enlarged only as far as needed."""
    shares = rng.uniform(0.5 if rng.random() < CROPPED_SHARE else 0.97, 1, 2)
    across, down = (max(2, int(share * side)) for share, side in zip(shares, picture.size, strict=True))
    left, top = int(rng.integers(picture.width - across + 1)), int(rng.integers(picture.height - down + 1))
    wanted = SHORTEST_PX * 2 ** float(rng.choice(3, p=SCALE_SHARES) + rng.random())
    factor = max(SHORTEST_PX / min(across, down), min(wanted / min(across, down), 1.25, LONGEST_PX / max(across, down)))
    width, height = (max(SHORTEST_PX, round(factor * side)) for side in (across, down))
    box = (left, top, left + across, top + down)
    return picture.resize((width, height), Image.Resampling.BICUBIC, box, reducing_gap=2)


def hashed(photo: tuple[str, Path], number: int, count: int, seed: int) -> list[Pair]:
    """Hash the variants of one photo both ways: the work of one worker. Nothing for a file that cannot be read."""
    try:
        picture = original(photo[1], LONGEST_PX)
    except OSError:
        return []
    decode = DecodeConfig(screen_side_px=SHORTEST_PX)
    screen = dataclasses.replace(OPTIONS, fidelity=Fidelity.SCREEN)
    files = variants(picture, count, np.random.default_rng([seed, number]))
    return [Pair(hash_picture(data, decode, OPTIONS), hash_picture(data, decode, screen)) for data in files]


@contextlib.contextmanager
def _pairs(photos: Sequence[tuple[str, Path]], each: int, seed: int, jobs: int) -> Iterator[Iterator[list[Pair]]]:
    """Results of :func:`hashed` for every photo, in order; from other processes unless ``jobs`` is 1."""
    numbers = range(len(photos))
    if jobs == 1:
        yield (hashed(photos[number], number, each, seed) for number in numbers)
        return
    fresh = multiprocessing.get_context("spawn")  # a fork would inherit FAISS's and Numba's threads
    with ProcessPoolExecutor(jobs, mp_context=fresh) as pool:
        yield pool.map(hashed, photos, numbers, [each] * len(photos), [seed] * len(photos))


def _note(pair: Pair, differences: Mapping[str, Difference]) -> None:
    """Count the worst hash of each algorithm."""
    worst: dict[str, tuple[int, int]] = {}
    for exact, near in zip(pair.exact.hashes, pair.screened.hashes, strict=True):
        bits, quality = worst.get(exact.algorithm, (0, 0))
        apart = (int.from_bytes(exact.value) ^ int.from_bytes(near.value)).bit_count()
        worst[exact.algorithm] = max(bits, apart), max(quality, abs((exact.quality or 0) - (near.quality or 0)))
    flat = min(item.quality or 0 for item in pair.exact.hashes) < PolicyConfig().min_image_quality
    for name, (bits, quality) in worst.items():
        differences[name].quality[quality] += 1
        if not flat:  # no hash of a flat picture decides anything, near or far
            differences[name].bits[bits] += 1


@contextlib.contextmanager
def _listed(photos: Sequence[tuple[str, Path]], seed: int) -> Iterator[LiveIndex]:
    """Serve a list in which every photo stands with entries at every distance of :data:`TURNED_BITS`."""
    rng = np.random.default_rng(seed)
    entries: list[Entry] = []
    for number, (_, path) in enumerate(photos):
        found = hash_picture(path.read_bytes(), DecodeConfig(), HashOptions(frozenset(DIALECTS), dihedral=False))
        for bits in TURNED_BITS:
            entries += [_entry(f"{number}-{item.algorithm}-{bits}", item, bits, rng) for item in found.hashes]
    with tempfile.TemporaryDirectory(prefix="hashmatch-bench-") as scratch:
        path = Path(scratch) / "bench.segment"
        feed = (Change(at + 1, _SET, entry) for at, entry in enumerate(entries))
        build(path, feed, algorithms.table(), generation=1, sequence=len(entries))
        index = LiveIndex()
        index.load(Segment.open(path))
        yield index


def _entry(entry_id: str, item: ComputedHash, bits: int, rng: np.random.Generator) -> Entry:
    turned = np.unpackbits(np.frombuffer(item.value, np.uint8))
    turned[rng.choice(turned.size, bits, replace=False)] ^= 1
    return Entry(entry_id, (EntryHash(item.algorithm, np.packbits(turned).tobytes()),))


@dataclass(slots=True)
class _Prepared:
    """A hasher that has both answers already, and counts how often it is asked."""

    pair: Pair
    asked: int = 0

    async def hash(self, image: bytes, options: HashOptions, *, deadline_s: float | None = None) -> Picture:
        """Return the answer of the fidelity that is asked for."""
        del image, deadline_s
        self.asked += 1
        return self.pair.screened if options.fidelity is Fidelity.SCREEN else self.pair.exact


async def _compare(pair: Pair, index: LiveIndex) -> tuple[MatchReport, int]:
    """Ask with and without screening; return the report and how often the hasher was asked for the second."""
    reports, asked = [], 0
    for fidelity in Fidelity:
        hasher = _Prepared(pair)
        engine = Engine(hasher, index, PolicyConfig(), max_hits=100, fidelity=fidelity)
        reports.append(await engine.detect(Submission(b"", request_id="bench")))
        asked = hasher.asked
    plain, screened = map(_said, reports)
    if plain != screened:
        raise IntegrityError(f"the report with screening is another one: {screened} instead of {plain}")
    return reports[0], asked


def _said(report: MatchReport) -> tuple[object, ...]:
    """Return what must be the same: all but the times, the quality, and the fidelity itself."""
    return report.verdict, report.rule, report.reason, report.hits, report.truncated
