"""How much of what people do to pictures the hashes survive, and what finding it costs.

Theory of operation
-------------------
The list holds the exact hash of every original, and made-up codes up to a realistic length. Every original is altered
in every way that was asked for, encoded, and hashed as an upload is: ``hash_picture`` with the views of a level. All
its hashes that the policy lets decide are searched at once. An altered picture is *found* when one of them is within
the policy's match distance of its own original, which is narrower for some kinds of views; anything else within that
distance is a *false match*. *Review* is the same for the policy's wider distance.

Recall and false matches come from the index's own answer. Distances come from comparing everything with every original:
the nearest to the own one, and a histogram of all the others.

Photos are reduced to ``side_px`` first, so that a folder of camera originals takes no longer than one of thumbnails;
the reduced picture *is* the original here. Work is spread over processes by photo, and everything that is left to
chance follows from the seed, the alteration and the photo's name.

What this module deliberately does not do: it decodes in its own worker processes, unconfined. It is for pictures that
the user already has on disk and trusts; a stranger's bytes belong into the sandbox.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from hashmatch.bench import codes
from hashmatch.bench.alterations import Alteration, chosen, rng_for
from hashmatch.bench.answers import Found, Numbers
from hashmatch.bench.column import Column
from hashmatch.config import DecodeConfig, PolicyConfig
from hashmatch.errors import BadInput
from hashmatch.hashing.compute import hash_picture
from hashmatch.index.columns import Bytes
from hashmatch.kernels.pdq import pdq
from hashmatch.matching.policy import queries_for
from hashmatch.model import HashOptions, Views
from hashmatch.progress import SILENT, Progress

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
MAX_HITS = 100
PAIRS_KEPT = 10
POLICY = PolicyConfig()
MATCH_ONLY = replace(
    POLICY,
    algorithms={name: replace(row, possible_distance=row.match_distance) for name, row in POLICY.algorithms.items()},
    view_limits={kind: replace(row, possible_distance=row.match_distance) for kind, row in POLICY.view_limits.items()},
)
"""The policy without its review band: what it asks for is what it would call a match."""
MATCH_DISTANCE = POLICY.algorithms["pdq"].match_distance
REVIEW_DISTANCE = POLICY.algorithms["pdq"].possible_distance
LEAST_QUALITY = POLICY.min_image_quality

PLAIN = "plain"
LEVELS: Mapping[str, HashOptions] = MappingProxyType(
    {PLAIN: HashOptions(frozenset({"pdq"}), dihedral=False)}
    | {level.value: HashOptions(frozenset({"pdq", "pdq-nearest512"}), views=level) for level in Views}
)
"""Name of a level to what is computed of an upload: one hash, as other tools do; or both dialects in eight orientations
and the views of that level."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What to run.

    ``photos`` : name and path of each. ``alterations``, ``levels`` : names. ``side_px`` : longest side of an original.
    ``entries`` : length of the list, filled up with made-up codes. ``jobs`` : processes.
    """

    photos: Sequence[tuple[str, Path]]
    alterations: Sequence[str]
    levels: Sequence[str]
    seed: int = 1
    side_px: int = 640
    entries: int = 1_000_000
    jobs: int = 1


@dataclass(frozen=True, slots=True)
class Seen:
    """What one altered photo is asked for with at one level.

    ``hashes`` : uint8, shape (q, 32), those that the policy lets decide. ``match``, ``review`` : int64, shape (q,), how
    far each of them reaches, in bits, inclusive.
    """

    photo: int
    alteration: str
    level: str
    hashes: Bytes
    match: Numbers
    review: Numbers
    decode_us: int
    hash_us: int
    refused: bool


@dataclass(slots=True)
class Tally:
    """What was seen of one alteration at one level. Lists have one item per photo."""

    found: int = 0
    found_review: int = 0
    refused: int = 0
    own: list[int] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)
    decode_us: list[int] = field(default_factory=list)
    hash_us: list[int] = field(default_factory=list)
    search_us: list[float] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Shares, medians and counts; distances are None when there was nothing to compare."""
        count = len(self.hashes)
        return {
            "n": count,
            "recall": self.found / count if count else None,
            "recall_review": self.found_review / count if count else None,
            "refused": self.refused,
            "mean_distance": round(statistics.fmean(self.own), 2) if self.own else None,
            "median_distance": statistics.median(self.own) if self.own else None,
            "hashes_per_query": round(statistics.fmean(self.hashes), 2) if count else None,
            "decode_ms": _median_ms(self.decode_us),
            "hash_ms": _median_ms(self.hash_us),
            "search_ms": _median_ms(self.search_us),
        }


@dataclass(slots=True)
class Foreign:
    """What one level's queries were to pictures that are not theirs.

    ``histogram`` : int64, shape (257,), pairs of a query hash and another photo by their distance. ``nearest`` : the
    nearest pairs of altered photo and other photo as (distance, photo, alteration, other), nearest first.
    """

    queries: int = 0
    hashes: int = 0
    false_matches: int = 0
    false_review: int = 0
    histogram: Numbers = field(default_factory=lambda: np.zeros(codes.BITS + 1, dtype=np.int64))
    nearest: list[tuple[int, str, str, str]] = field(default_factory=list)

    def note(self, distance: int, photo: str, alteration: str, other: str) -> None:
        """Remember a pair, if it is among the nearest."""
        self.nearest = sorted([*self.nearest, (distance, photo, alteration, other)])[:PAIRS_KEPT]

    def as_json(self) -> dict[str, Any]:
        """JSON-able; the histogram without its empty cells."""
        return {
            "queries": self.queries,
            "query_hashes": self.hashes,
            "comparisons": int(self.histogram.sum()),
            "false_matches": self.false_matches,
            "false_matches_review": self.false_review,
            "nearest_foreign": self.nearest[0][0] if self.nearest else None,
            "nearest_pairs": [list(pair) for pair in self.nearest],
            "histogram": {str(at): int(self.histogram[at]) for at in np.flatnonzero(self.histogram)},
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that was seen, by alteration and level and by level; ``skipped`` photos have their reason."""

    trial: Trial
    photos: int
    tallies: Mapping[tuple[str, str], Tally]
    foreign: Mapping[str, Foreign]
    skipped: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """Return what ``bench robustness --json`` prints of it."""
        trial = self.trial
        groups = {row.name: row.group for row in _named(trial.alterations)}
        return {
            "photos": self.photos,
            "seed": trial.seed,
            "side_px": trial.side_px,
            "entries": max(trial.entries, self.photos),
            "match_distance": MATCH_DISTANCE,
            "review_distance": REVIEW_DISTANCE,
            "transforms": {
                name: {"group": groups[name]}
                | {"levels": {level: self.tallies[name, level].as_json() for level in trial.levels}}
                for name in trial.alterations
            },
            "foreign": {level: self.foreign[level].as_json() for level in trial.levels},
            "skipped": dict(self.skipped),
        }


def photos_below(directories: Sequence[Path], limit: int | None = None) -> list[tuple[str, Path]]:
    """Return name and path of the pictures below ``directories``, taken from each in turn until there are ``limit``.

    Raises
    ------
    BadInput
        There is no picture.

    """
    stacks = [
        [(f"{where.name}/{path.relative_to(where)}", path) for path in sorted(where.rglob("*"))]
        for where in directories
    ]
    pictures = [[row for row in stack if row[1].suffix.lower() in SUFFIXES] for stack in stacks]
    longest = max(map(len, pictures), default=0)
    dealt = [stack[at] for at in range(longest) for stack in pictures if at < len(stack)]
    if not dealt:
        named = ", ".join(map(str, directories))
        raise BadInput(f"no picture ({', '.join(sorted(SUFFIXES))}) lies below {named}", field="photos")
    return dealt[:limit]


def original(path: Path, side_px: int) -> Image.Image:
    """Read a photo as it is compared: upright, RGB, at most ``side_px`` long. Raises what Pillow raises."""
    with Image.open(path) as opened:
        opened.draft("RGB", (2 * side_px, 2 * side_px))
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    picture.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    return picture


def look(photo: int, trial: Trial) -> list[Seen]:
    """Alter one photo in every way and hash what comes out at every level: the work of one worker."""
    name, path = trial.photos[photo]
    picture = original(path, trial.side_px)
    seen = []
    for alteration in _named(trial.alterations):
        data = alteration(picture, rng_for(trial.seed, alteration.name, name))
        seen += [upload_hashes(data, level, photo, alteration.name) for level in trial.levels]
    return seen


def upload_hashes(data: bytes, level: str, photo: int = 0, alteration: str = "") -> Seen:
    """Hash a file as an upload, and ask the policy how far each hash reaches."""
    answer = hash_picture(data, DecodeConfig(), LEVELS[level])
    review, match = queries_for(answer.hashes, POLICY), queries_for(answer.hashes, MATCH_ONLY)
    values = b"".join(query.value for query in review)
    return Seen(
        photo=photo,
        alteration=alteration,
        level=level,
        hashes=np.frombuffer(values, dtype=np.uint8).reshape(len(review), codes.SIZE_BYTES),
        match=np.array([query.max_distance for query in match], dtype=np.int64),
        review=np.array([query.max_distance for query in review], dtype=np.int64),
        decode_us=answer.decode_us,
        hash_us=answer.hash_us,
        refused=answer.refusal is not None,
    )


def run(trial: Trial, progress: Progress = SILENT) -> Outcome:
    """Run a trial.

    Raises
    ------
    BadInput
        No photo can be read, or all are too flat.

    """
    kept, listed, skipped = _list(trial, progress)
    trial = replace(trial, photos=kept)
    column = _column(listed, trial)
    tallies = {(name, level): Tally() for name in trial.alterations for level in trial.levels}
    foreign = {level: Foreign() for level in trial.levels}
    names = [name for name, _ in kept]
    progress.start("altering photos", len(kept), "photos")
    with _looking(trial) as looks:
        for rows in looks:
            for seen in rows:
                _score(seen, column, names, tallies[seen.alteration, seen.level], foreign[seen.level])
            progress.advance(1)
    progress.finish()
    return Outcome(trial, len(kept), tallies, foreign, skipped)


def distances(hashes: Bytes, others: Bytes) -> Numbers:
    """Compare every one with every other: int64, shape (hashes, others)."""
    ours, theirs = (np.ascontiguousarray(rows).view(np.uint64) for rows in (hashes, others))
    every: Numbers = np.bitwise_count(ours[:, None, :] ^ theirs[None, :, :]).sum(axis=2, dtype=np.int64)
    return every


def _named(names: Sequence[str]) -> tuple[Alteration, ...]:
    return chosen(",".join(names))


def _list(trial: Trial, progress: Progress) -> tuple[list[tuple[str, Path]], Bytes, dict[str, str]]:
    """Photos that can be listed, their exact hashes, and the others with the reason."""
    kept, values, skipped = [], [], {}
    progress.start("hashing originals", len(trial.photos), "photos")
    for name, path in trial.photos:
        try:
            found = pdq(np.asarray(original(path, trial.side_px)))
        except (OSError, ValueError) as error:
            skipped[name] = f"cannot be read ({type(error).__name__})"
        else:
            if found.quality < LEAST_QUALITY:
                skipped[name] = f"too flat for a list (quality {found.quality})"
            else:
                kept.append((name, path))
                values.append(found.hashes[0])
        progress.advance(1)
    progress.finish()
    if not kept:
        raise BadInput(f"none of the {len(trial.photos)} photos can be listed: {skipped}", field="photos")
    return kept, np.array(values), skipped


def _column(listed: Bytes, trial: Trial) -> Column:
    """Return the index over the originals, then made-up codes; already searched once, so that it is compiled."""
    fill = max(0, trial.entries - len(listed))
    made_up = codes.uniform(fill, np.random.default_rng(trial.seed))
    column = Column(np.concatenate([listed, made_up]), MAX_HITS)
    column.ask(listed[:1], MATCH_DISTANCE)
    column.ask(listed[:1], REVIEW_DISTANCE)
    return column


@contextlib.contextmanager
def _looking(trial: Trial) -> Iterator[Iterator[list[Seen]]]:
    """Results of :func:`look` for every photo, in order; from other processes unless ``jobs`` is 1."""
    every = range(len(trial.photos))
    if trial.jobs == 1:
        yield (look(photo, trial) for photo in every)
        return
    fresh = multiprocessing.get_context("spawn")  # a fork would inherit FAISS's and Numba's threads
    with ProcessPoolExecutor(trial.jobs, mp_context=fresh) as pool:
        yield pool.map(look, every, [trial] * len(every))


def _score(seen: Seen, column: Column, names: Sequence[str], tally: Tally, foreign: Foreign) -> None:
    """Search for one altered photo and count what comes back."""
    tally.hashes.append(len(seen.hashes))
    tally.decode_us.append(seen.decode_us)
    tally.hash_us.append(seen.hash_us)
    tally.refused += seen.refused
    foreign.queries += 1
    foreign.hashes += len(seen.hashes)
    if not len(seen.hashes):
        return
    begin = time.perf_counter_ns()
    answer = column.ask(seen.hashes, REVIEW_DISTANCE)
    tally.search_us.append((time.perf_counter_ns() - begin) / 1e3)
    found = column.found(answer, len(seen.hashes))
    review, match = (found.where(found.distance <= reach[found.query]) for reach in (seen.review, seen.match))
    tally.found += _has(match, seen.photo)
    tally.found_review += _has(review, seen.photo)
    foreign.false_matches += _others(match, seen.photo)
    foreign.false_review += _others(review, seen.photo)
    every = distances(seen.hashes, column.codes[: len(names)])
    tally.own.append(int(every[:, seen.photo].min()))
    others = np.delete(every, seen.photo, axis=1)
    foreign.histogram += np.bincount(others.ravel(), minlength=codes.BITS + 1)
    if others.size:
        at = int(others.min(axis=0).argmin())
        other = names[at if at < seen.photo else at + 1]
        foreign.note(int(others[:, at].min()), names[seen.photo], seen.alteration, other)


def _has(found: Found, row: int) -> bool:
    return bool((found.row == row).any())


def _others(found: Found, row: int) -> int:
    """How many other entries were found."""
    return len(np.unique(found.row[found.row != row]))


def _median_ms(times_us: Sequence[float]) -> float | None:
    return round(statistics.median(times_us) / 1e3, 4) if times_us else None
