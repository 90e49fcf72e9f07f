"""How near unrelated pictures come to each other: the measurement behind ``matching/chance.py``.

Theory of operation
-------------------
Each directory of photos is a *source*; photos of different sources are taken for unrelated. Every photo is listed with
its exact hash, and asked for, in several alterations, with all hashes that ``views = full`` makes of an upload. Each of
these is compared with every listed photo: a histogram of distances per kind of view and one per band of quality, for
pairs of unrelated photos, and one for pairs of one source, which may be look-alikes.

:func:`fit` makes of the lower tail what ``chance.py`` holds: an upper bound for distances that nothing came within. A
photo's hashes are much alike, so what limits the certainty is how many pairs of *photos* a tail is made of.

The same run tells what a wider review band finds: the share of the altered photos that reach their original.

What this module deliberately does not do: it decodes in its own worker processes, unconfined, like ``robustness.py``;
it is for pictures that the user already has on disk and trusts.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hashmatch.bench.alterations import chosen, rng_for
from hashmatch.bench.answers import Numbers
from hashmatch.bench.codes import BITS
from hashmatch.bench.robustness import distances, original, photos_below
from hashmatch.bench.robustness_upload import LEVELS
from hashmatch.config import DecodeConfig, PolicyConfig
from hashmatch.errors import BadInput
from hashmatch.hashing.compute import hash_picture
from hashmatch.index.columns import Bytes
from hashmatch.kernels.pdq import pdq
from hashmatch.matching.chance import PICTURES, Tail
from hashmatch.matching.policy import queries_for
from hashmatch.model import ComputedHash, Views
from hashmatch.progress import SILENT, Progress
from hashmatch.transformations import KINDS, kind_of

ALTERATIONS: Final = (
    "jpeg_90", "crop_2%", "crop_5%", "crop_25%", "border_any", "letterbox_any", "caption_any", "meme_large", "text_any",
    "phone_any", "collage_4", "vignette", "blur_1.5%",
)  # fmt: skip
"""What makes the hashes of one photo differ from each other, and some of them flat."""

BANDS: Final = (0, 25, 50, 70, 90)
"""Least quality of each band."""
LEAST_SOURCES: Final = 2
LEAST_QUALITY: Final = PolicyConfig().min_image_quality
BODY: Final = 100
"""Bits, within which bands of quality are compared: far below the middle, and seen often enough in every band."""
PHOTO_PAIRS: Final = 100
"""Pairs of photos that a tail is fitted to: a standard error of a tenth."""
WHOLE: Final = "whole"
"""What is said of the picture itself where kinds of views have their names."""
CLASSES: Final = ("picture", "guess")
"""Kinds of views that share a bound."""
EDGES: Final = (31, 35, 40, 45, 50, 55, 60)
"""Edges of the review band for which recall is counted."""
STEP: Final = 2
"""Hashes with 128 bits set differ in an even number."""
CONFIDENCE: Final = 1.645
"""Standard errors that leave 5 % beyond, one-sided."""

_Pairs = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Study:
    """What to compare: ``photos`` : source, and name and path of each photo; ``side_px`` : longest side."""

    photos: Sequence[tuple[str, str, Path]]
    alterations: Sequence[str] = ALTERATIONS
    seed: int = 1
    side_px: int = 640
    jobs: int = 1


@dataclass(frozen=True, slots=True)
class Look:
    """One photo: its listed hash with its quality, and the hashes of each alteration."""

    listed: bytes
    quality: int
    altered: Mapping[str, tuple[ComputedHash, ...]]


class Distances:
    """Histogram of one class of pairs, and how near each pair of photos came in it.

    Attributes
    ----------
    histogram : int64, shape (257,)
        Pairs of hashes by distance.
    nearest : int16, shape (photos, photos)
        Least distance from an alteration of the one photo to the other.

    """

    __slots__ = ("histogram", "nearest")

    def __init__(self, photos: int) -> None:
        self.histogram: Numbers = np.zeros(BITS + 1, dtype=np.int64)
        self.nearest: _Pairs = np.full((photos, photos), BITS + 1, dtype=np.int16)

    def add(self, photo: int, others: npt.NDArray[np.intp], distance: Numbers) -> None:
        """Count what ``photo`` came to; ``distance`` : int64, shape (hashes, others)."""
        self.histogram += np.bincount(distance.ravel(), minlength=BITS + 1)
        near = distance.min(axis=0).astype(np.int16)
        self.nearest[photo, others] = np.minimum(self.nearest[photo, others], near)

    def photo_pairs(self, distance: int) -> int:
        """How many pairs of photos came within ``distance`` bits."""
        within = self.nearest <= distance
        return int(np.triu(within | within.T).sum())

    def as_json(self) -> dict[str, Any]:
        """Summary and histogram; distances are None when nothing was compared."""
        pairs, values = int(self.histogram.sum()), np.arange(BITS + 1)
        mean = float(self.histogram @ values / pairs) if pairs else None
        deviation = None if mean is None else math.sqrt(float(self.histogram @ (values - mean) ** 2) / pairs)
        return {
            "pairs": pairs,
            "mean": None if mean is None else round(mean, 3),
            "deviation": None if deviation is None else round(deviation, 3),
            "nearest": int(np.flatnonzero(self.histogram)[0]) if pairs else None,
            "photo_pairs": {str(at): self.photo_pairs(at) for at in range(60, BODY + 1, STEP)},
            "histogram": {str(at): int(self.histogram[at]) for at in np.flatnonzero(self.histogram)},
        }


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything that was counted.

    ``kinds`` : kind of view, empty for the picture itself, to unrelated pairs whose hashes may decide; ``classes``
    : the same of the kinds that share a bound. ``bands`` : least quality to unrelated pairs of hashes of that quality.
    ``same_source`` : pairs of photos of one source, of the picture itself. ``recall`` : alteration to edge to the share
    of the photos found.
    """

    sources: Mapping[str, int]
    classes: Mapping[str, Distances]
    kinds: Mapping[str, Distances]
    bands: Mapping[int, Distances]
    same_source: Distances
    recall: Mapping[str, Mapping[int, float]]
    skipped: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """Return what ``bench distances --json`` prints of it."""
        record: dict[str, Any] = {
            "sources": dict(self.sources),
            "classes": {name: row.as_json() for name, row in self.classes.items()},
            "kinds": {kind or WHOLE: row.as_json() for kind, row in self.kinds.items()},
            "bands": {str(least): row.as_json() for least, row in self.bands.items()},
            "same_source": self.same_source.as_json(),
            "recall": {name: {str(edge): share for edge, share in row.items()} for name, row in self.recall.items()},
            "skipped": dict(self.skipped),
        }
        return record


def sources_below(directories: Sequence[Path], limit: int | None) -> list[tuple[str, str, Path]]:
    """Return source, name and path of the photos below ``directories``, at most ``limit`` of each.

    Raises
    ------
    BadInput
        There are fewer than two directories, or no photo in one.

    """
    if len(directories) < LEAST_SOURCES:
        raise BadInput(
            "photos of one directory are taken for related; name at least two directories with --photos", field="photos"
        )
    return [(where.name, name, path) for where in directories for name, path in photos_below([where], limit)]


def look(photo: int, study: Study) -> Look:
    """List one photo, alter it in every way, and hash what comes out: the work of one worker."""
    _, name, path = study.photos[photo]
    picture = original(path, study.side_px)
    listed = pdq(np.asarray(picture))
    altered = {}
    for alteration in chosen(",".join(study.alterations)):
        data = alteration(picture, rng_for(study.seed, alteration.name, name))
        altered[alteration.name] = hash_picture(data, DecodeConfig(), LEVELS[Views.FULL]).hashes
    return Look(listed.hashes[0].tobytes(), listed.quality, altered)


def measure(study: Study, progress: Progress = SILENT) -> Measured:
    """Compare everything with everything.

    Raises
    ------
    BadInput
        Fewer than two sources have a photo that a list would take.

    """
    looks: list[Look] = []
    progress.start("altering photos", len(study.photos), "photos")
    with _looking(study) as every:
        for one in every:
            looks.append(one)
            progress.advance(1)
    progress.finish()
    kept = [at for at, one in enumerate(looks) if one.quality >= LEAST_QUALITY]
    flat = [at for at, one in enumerate(looks) if one.quality < LEAST_QUALITY]
    names = [study.photos[at][0] for at in kept]
    sources = {name: names.count(name) for name in dict.fromkeys(names)}
    if len(sources) < LEAST_SOURCES:
        raise BadInput(f"only {len(sources)} of the directories has photos that a list would take", field="photos")
    listed = [looks[at] for at in kept]
    tables = _Tables.of(len(listed))
    progress.start("comparing", len(listed), "photos")
    for at, one in enumerate(listed):
        tables.add(at, one, listed, np.array(names))
        progress.advance(1)
    progress.finish()
    return Measured(
        sources=sources,
        classes=tables.classes,
        kinds=tables.kinds,
        bands=tables.bands,
        same_source=tables.same_source,
        recall={name: recall_of(listed, name) for name in study.alterations},
        skipped={study.photos[at][1]: f"too flat for a list (quality {looks[at].quality})" for at in flat},
    )


def recall_of(looks: Sequence[Look], alteration: str) -> dict[int, float]:
    """Share of the photos whose alteration reaches them, per edge of the review band."""
    found = dict.fromkeys(EDGES, 0)
    for edge, policy in ((edge, with_edge(edge)) for edge in EDGES):
        for one in looks:
            own, asked = int.from_bytes(one.listed), queries_for(one.altered[alteration], policy)
            found[edge] += any((own ^ int.from_bytes(row.value)).bit_count() <= row.max_distance for row in asked)
    return {edge: round(count / len(looks), 4) for edge, count in found.items()}


def with_edge(edge: int) -> PolicyConfig:
    """Return the policy as if ``edge`` had come out for every algorithm that reaches furthest."""
    policy = PolicyConfig()
    widest = max(row.possible_distance_max for row in policy.algorithms.values())
    rows = {
        name: replace(
            row,
            possible_distance=edge if row.possible_distance_max == widest else min(edge, row.possible_distance_max),
            possible_distance_max=-1,
        )
        for name, row in policy.algorithms.items()
        if row.possible_distance_max >= 0
    }
    return replace(policy, algorithms={**policy.algorithms, **rows})


def fit(row: Mapping[str, Any], least_pairs: int = PHOTO_PAIRS) -> Tail:
    """Fit a bound to the lower tail of measured distances.

    The threshold is the least distance that ``least_pairs`` pairs of photos came within. Below it the excesses are
    taken for geometric, whose mean is estimated by theirs; but the line never passes below a share that was measured.

    Parameters
    ----------
    row
        As :meth:`Distances.as_json` returns it.
    least_pairs
        Pairs of photos.

    Raises
    ------
    BadInput
        Too few pairs of photos came within ``BODY`` bits.

    """
    counted = {int(at): count for at, count in row["photo_pairs"].items()}
    threshold = next((at for at, count in sorted(counted.items()) if count >= least_pairs), None)
    if threshold is None:
        raise BadInput(
            f"only {counted[BODY]} pairs of photos came within {BODY} bits; a tail is fitted to {least_pairs}",
            field="photos",
        )
    within = {int(at): count for at, count in row["histogram"].items() if int(at) <= threshold}
    count = sum(within.values())
    excess = sum(number * (threshold - at) / STEP for at, number in within.items()) / count
    slack = 1 + CONFIDENCE / math.sqrt(counted[threshold])
    decades_per_bit = -math.log10(excess * slack / (1 + excess * slack)) / STEP
    below = 0
    for at in sorted(within)[:-1]:
        below += within[at]
        decades_per_bit = min(decades_per_bit, math.log10(count * slack / below) / (threshold - at))
    return Tail(threshold, count / row["pairs"] * slack, decades_per_bit)


def factors(bands: Mapping[str, Mapping[str, Any]]) -> dict[int, float]:
    """Return how many times likelier than on average hashes of each band of quality are within ``BODY`` bits, at most.

    The average is that of the bands that may decide. Bands that were hardly met are left out, and a worse one is never
    taken for safer.
    """
    within = {
        int(least): (sum(count for at, count in row["histogram"].items() if int(at) <= BODY), row["pairs"])
        for least, row in bands.items()
    }
    deciding = [counts for least, counts in within.items() if least >= LEAST_QUALITY]
    average = sum(count for count, _ in deciding) / sum(pairs for _, pairs in deciding)
    found, worst = {}, 1.0
    for least, (count, pairs) in sorted(within.items(), reverse=True):
        photo_pairs = bands[str(least)]["photo_pairs"][str(BODY)]
        if photo_pairs >= PHOTO_PAIRS:
            slack = 1 + CONFIDENCE / math.sqrt(photo_pairs)
            found[least] = worst = max(worst, round(count / pairs * slack / average, 3))
    return found


@dataclass(frozen=True, slots=True)
class _Tables:
    """Where comparisons are counted, by what they are of."""

    classes: Mapping[str, Distances]
    kinds: Mapping[str, Distances]
    bands: Mapping[int, Distances]
    same_source: Distances

    @classmethod
    def of(cls, photos: int) -> _Tables:
        return cls(
            {name: Distances(photos) for name in CLASSES},
            {kind: Distances(photos) for kind in ("", *KINDS)},
            {least: Distances(photos) for least in BANDS},
            Distances(photos),
        )

    def add(self, photo: int, one: Look, listed: Sequence[Look], sources: npt.NDArray[np.str_]) -> None:
        """Compare the alterations of one photo with all listed hashes."""
        codes = _codes([row.listed for row in listed])
        unrelated = np.flatnonzero(sources != sources[photo])
        related = np.flatnonzero((sources == sources[photo]) & (np.arange(len(listed)) != photo))
        for hashes in one.altered.values():
            if not hashes:
                continue
            every = distances(_codes([row.value for row in hashes]), codes)
            kinds = np.array([kind_of(row.transformation) for row in hashes])
            quality = np.array([row.quality or 0 for row in hashes])
            deciding = quality >= LEAST_QUALITY
            bounds = np.array([CLASSES[kind not in PICTURES] for kind in kinds])
            groups = [(table, deciding & (kinds == kind), unrelated) for kind, table in self.kinds.items()]
            groups += [(table, deciding & (bounds == name), unrelated) for name, table in self.classes.items()]
            groups += [
                (table, np.digitize(quality, BANDS[1:]) == band, unrelated)
                for band, table in enumerate(self.bands.values())
            ]
            groups += [(self.same_source, deciding & (kinds == ""), related)]
            for table, rows, others in groups:
                if rows.any() and len(others):
                    table.add(photo, others, every[np.ix_(np.flatnonzero(rows), others)])


def _codes(values: Sequence[bytes]) -> Bytes:
    return np.frombuffer(b"".join(values), dtype=np.uint8).reshape(len(values), -1)


@contextlib.contextmanager
def _looking(study: Study) -> Iterator[Iterator[Look]]:
    """Results of :func:`look` for every photo, in order; from other processes unless ``jobs`` is 1."""
    every = range(len(study.photos))
    if study.jobs == 1:
        yield (look(photo, study) for photo in every)
        return
    fresh = multiprocessing.get_context("spawn")  # a fork would inherit FAISS's and Numba's threads
    with ProcessPoolExecutor(study.jobs, mp_context=fresh) as pool:
        yield pool.map(look, every, [study] * len(every))
