"""How much of what people do to pictures the hashes survive, and what finding it costs.

Theory of operation
-------------------
The list holds the exact hash of every original, and made-up codes up to a realistic length; for the level ``enrolled``
also the hashes of the originals' parts (``hashing.enrol``). Every original is altered in every way that was asked for,
encoded, and hashed as an upload is (``robustness_upload``), with the views of a level. An altered picture is *found*
when one of its hashes is as near to its own original as the policy wants of a match; anything else that near is a
*false match*. *Review* is the same for the policy's wider distance.

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image, ImageOps

from hashmatch.bench import codes
from hashmatch.bench.alterations import Alteration, chosen, rng_for
from hashmatch.bench.answers import Found, Numbers
from hashmatch.bench.column import Column
from hashmatch.bench.robustness_goals import ENROLLED
from hashmatch.bench.robustness_upload import (
    LEAST_QUALITY,
    MATCH_DISTANCE,
    REVIEW_DISTANCE,
    Seen,
    upload_hashes,
)
from hashmatch.errors import BadInput
from hashmatch.hashing.enrol import enrol_hashes
from hashmatch.index.columns import Bytes
from hashmatch.kernels.pdq import pdq
from hashmatch.model import Enrolment, Views
from hashmatch.progress import SILENT, Progress

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
MAX_HITS = 100
PAIRS_KEPT = 10
FULL = Views.FULL.value

NOTHING = np.zeros(0, dtype=np.int64)

Result = TypeVar("Result")


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
class Listed:
    """A list: the originals' values, some photos with several, then made-up codes.

    ``owners`` : int64, shape (values of originals,), the photo of each.
    """

    column: Column
    owners: Numbers

    @property
    def known(self) -> Bytes:
        """The originals' values."""
        return self.column.codes[: len(self.owners)]

    def search(self, hashes: Bytes, reach: Numbers) -> Found:
        """Ask for hashes, each as far as it reaches; rows of what is found are photos, and -1 for a made-up code."""
        found = [(NOTHING, NOTHING, NOTHING)]
        for radius in np.unique(reach[reach >= 0]).tolist():
            of_reach = np.flatnonzero(reach == radius)
            answer = self.column.found(self.column.ask(hashes[of_reach], radius), len(of_reach))
            rows = np.append(self.owners, -1)[np.minimum(answer.row, len(self.owners))]
            found.append((of_reach[answer.query], rows, np.asarray(answer.distance)))
        query, row, distance = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return Found(query, row, distance)


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
    seen: list[Seen] = []
    for alteration in _named(trial.alterations):
        data = alteration(picture, rng_for(trial.seed, alteration.name, name))
        by_level: dict[str, Seen] = {}
        for level in trial.levels:
            same = by_level.get(FULL) if level == ENROLLED else None  # hashed alike, and asked of another list
            by_level[level] = (
                upload_hashes(data, level, trial.entries, photo, alteration.name)
                if same is None
                else replace(same, level=level)
            )
        seen += by_level.values()
    return seen


def enrol(photo: int, trial: Trial) -> list[bytes]:
    """Hash the parts of one photo that its entry would hold: the work of one worker."""
    picture = np.asarray(original(trial.photos[photo][1], trial.side_px))
    return [row.value for row in enrol_hashes(picture, Enrolment.DENSE) if row.quality >= LEAST_QUALITY]


def run(trial: Trial, progress: Progress = SILENT) -> Outcome:
    """Run a trial.

    Raises
    ------
    BadInput
        No photo can be read, or all are too flat.

    """
    kept, listed, skipped = _list(trial, progress)
    trial = replace(trial, photos=kept)
    lists = {level: _plain_list(listed, trial) for level in trial.levels[:1]}
    plain = lists[trial.levels[0]]
    lists = {level: _enrolled_list(plain, trial, progress) if level == ENROLLED else plain for level in trial.levels}
    tallies = {(name, level): Tally() for name in trial.alterations for level in trial.levels}
    foreign = {level: Foreign() for level in trial.levels}
    names = [name for name, _ in kept]
    progress.start("altering photos", len(kept), "photos")
    with _in_processes(look, trial) as looks:
        for rows in looks:
            for seen in rows:
                where = lists[seen.level]
                _score(seen, where, names, tallies[seen.alteration, seen.level], foreign[seen.level])
            progress.advance(1)
    progress.finish()
    return Outcome(trial, len(kept), tallies, foreign, skipped)


def distances(hashes: Bytes, others: Bytes) -> Numbers:
    """Compare every one with every other: int64, shape (hashes, others)."""
    ours, theirs = (np.ascontiguousarray(rows).view(np.uint64).T for rows in (hashes, others))
    every = np.zeros((len(hashes), len(others)), dtype=np.int64)
    for our, their in zip(ours, theirs, strict=True):  # word by word: a third of the time of one large array
        every += np.bitwise_count(our[:, None] ^ their[None, :])
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


def _plain_list(listed: Bytes, trial: Trial) -> Listed:
    """Return the list of the originals and made-up codes; already searched once, so that it is compiled."""
    fill = max(0, trial.entries - len(listed))
    made_up = codes.uniform(fill, np.random.default_rng(trial.seed))
    column = Column(np.concatenate([listed, made_up]), MAX_HITS)
    for radius in (MATCH_DISTANCE, REVIEW_DISTANCE):
        column.ask(listed[:1], radius)
    return Listed(column, np.arange(len(listed)))


def _enrolled_list(plain: Listed, trial: Trial, progress: Progress) -> Listed:
    """Return the list in which every original also has the values of its parts."""
    values, owners = [plain.known], [plain.owners]
    progress.start("enrolling originals", len(trial.photos), "photos")
    with _in_processes(enrol, trial) as enrolled:
        for photo, rows in enumerate(enrolled):
            values.append(np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(-1, codes.SIZE_BYTES))
            owners.append(np.full(len(rows), photo))
            progress.advance(1)
    progress.finish()
    made_up = plain.column.codes[len(plain.owners) :]
    return Listed(Column(np.concatenate([*values, made_up]), MAX_HITS), np.concatenate(owners))


@contextlib.contextmanager
def _in_processes(work: Callable[[int, Trial], Result], trial: Trial) -> Iterator[Iterator[Result]]:
    """Results of some work on every photo, in order; from other processes unless ``jobs`` is 1."""
    every = range(len(trial.photos))
    if trial.jobs == 1:
        yield (work(photo, trial) for photo in every)
        return
    fresh = multiprocessing.get_context("spawn")  # a fork would inherit FAISS's and Numba's threads
    with ProcessPoolExecutor(trial.jobs, mp_context=fresh) as pool:
        yield pool.map(work, every, [trial] * len(every))


def _score(seen: Seen, listed: Listed, names: Sequence[str], tally: Tally, foreign: Foreign) -> None:
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
    review = listed.search(seen.hashes, seen.review)
    tally.search_us.append((time.perf_counter_ns() - begin) / 1e3)
    match = review.where(review.distance <= seen.match[review.query])
    tally.found += _has(match, seen.photo)
    tally.found_review += _has(review, seen.photo)
    foreign.false_matches += _others(match, seen.photo)
    foreign.false_review += _others(review, seen.photo)
    tally.own.append(int(distances(seen.hashes, listed.known[listed.owners == seen.photo]).min()))
    others = np.delete(distances(seen.hashes, listed.known[: len(names)]), seen.photo, axis=1)
    foreign.histogram += np.bincount(others.ravel(), minlength=codes.BITS + 1)
    if others.size:
        at = int(others.min(axis=0).argmin())
        other = names[at if at < seen.photo else at + 1]
        foreign.note(int(others[:, at].min()), names[seen.photo], seen.alteration, other)


def _has(found: Found, photo: int) -> bool:
    return bool((found.row == photo).any())


def _others(found: Found, photo: int) -> int:
    """How many others were found; made-up codes, of which two are never alike, count as one."""
    return len(np.unique(found.row[found.row != photo]))


def _median_ms(times_us: Sequence[float]) -> float | None:
    return round(statistics.median(times_us) / 1e3, 4) if times_us else None
