"""Pictures that no list has, by the hundred thousand: whatever is found for one of them is a false match.

Theory of operation
-------------------
No false match in ten thousand pictures says little, and altering a photograph with care takes longer than hashing it.
So strangers are made cheaply, in grey and small: parts of photographs, turned, stretched, in other light, put on pages,
side by side, askew; and drawn ones, pages, clouds, shapes (:data:`KINDS`). Each is encoded, hashed as an upload with
all views and searched for in a list of exact hashes and made-up codes. A photograph that a stranger was
made of is not held against it; everything else that is found is false.

Work comes in chunks of :data:`CHUNK` strangers. What a chunk comes to follows from its number and the seed, so it may
be made in any process, and a file with a line for each lets a run that was stopped go on where it was.

What this module deliberately does not do: it measures no recall and no time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from hashmatch.bench import codes
from hashmatch.bench.alterations import encoded
from hashmatch.bench.column import Column
from hashmatch.bench.robustness import MAX_HITS, distances, original
from hashmatch.bench.robustness_overlays import font, words
from hashmatch.bench.robustness_upload import LEAST_QUALITY, asked_hashes
from hashmatch.errors import BadInput
from hashmatch.index.columns import Bytes
from hashmatch.kernels.pdq import pdq
from hashmatch.progress import SILENT, Progress
from hashmatch.transformations import TRANSFORMATIONS

CHUNK = 500
SIDE_PX = 256
"""Longest side of a stranger: views are computed from not much more, and half the time is saved."""
LEVEL = "full"

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Known:
    """The photographs: their names, their exact hashes, and grey copies of at most :data:`SIDE_PX`.

    ``hashes`` : uint8, shape (n, 32).
    """

    names: Sequence[str]
    hashes: Bytes
    pictures: Sequence[Image.Image]


@dataclass(frozen=True, slots=True)
class Plan:
    """How many strangers, in a list of how many entries, from which seed."""

    queries: int
    entries: int
    seed: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """What some strangers came to.

    ``false`` and ``nearest`` are (distance, kind, number of the stranger, photograph or empty for a made-up code);
    ``histogram`` counts pairs of a query hash and another photograph by distance; ``kinds`` counts strangers.
    """

    number: int
    hashes: int
    false: list[tuple[int, str, int, str]]
    nearest: tuple[int, str, int, str]
    histogram: dict[str, int]
    kinds: dict[str, int]


def part(known: Known, rng: Rng, own: set[int]) -> Image.Image:
    """Cut a part of at least half of each side out of a photograph, mirror or turn it and change its light."""
    at = int(rng.integers(len(known.pictures)))
    own.add(at)
    picture = known.pictures[at]
    width, height = picture.size
    across, down = rng.uniform(0.5, 1, 2)
    left, top = rng.uniform(0, 1 - across) * width, rng.uniform(0, 1 - down) * height
    picture = picture.crop((int(left), int(top), int(left + across * width), int(top + down * height)))
    turns = list(Image.Transpose)
    if rng.random() < 1 / 2:
        picture = picture.transpose(turns[int(rng.integers(len(turns)))])
    gain, lift, gamma = rng.uniform(0.6, 1.5), rng.uniform(-40, 40), rng.uniform(0.6, 1.6)
    return picture.point([min(255, max(0, round(255 * (v / 255) ** gamma * gain + lift))) for v in range(256)])


def page(known: Known, rng: Rng, own: set[int]) -> Image.Image:
    """Put a part of a photograph somewhere on a page of one shade."""
    shown = part(known, rng, own)
    size = [round(side * rng.uniform(1.05, 1.8)) for side in shown.size]
    canvas = Image.new("L", (size[0], size[1]), int(rng.integers(256)))
    left, top = (int(rng.uniform(0, room - side)) for room, side in zip(size, shown.size, strict=True))
    canvas.paste(shown, (left, top))
    return canvas


def collage(known: Known, rng: Rng, own: set[int]) -> Image.Image:
    """Put parts of two or four photographs side by side."""
    across, down = [(2, 1), (1, 2), (2, 2)][int(rng.integers(3))]
    canvas = Image.new("L", (SIDE_PX, SIDE_PX * 3 // 4), int(rng.integers(256)))
    width, height, gap = canvas.width // across, canvas.height // down, int(rng.integers(0, 6))
    for cell in range(across * down):
        shown = part(known, rng, own).resize((width - gap, height - gap))
        canvas.paste(shown, (cell % across * width, cell // across * height))
    return canvas


def askew(known: Known, rng: Rng, own: set[int]) -> Image.Image:
    """Turn a part of a photograph by some degrees, with corners of one shade."""
    turned = part(known, rng, own)
    return turned.rotate(rng.uniform(-20, 20), expand=bool(rng.random() < 1 / 2), fillcolor=int(rng.integers(256)))


def clouds(_known: Known, rng: Rng, _own: set[int]) -> Image.Image:
    """Add octaves of noise, each weaker than the one before it."""
    size = (SIDE_PX, int(rng.integers(SIDE_PX // 2, SIDE_PX)))
    fall, values = rng.uniform(1.5, 3), np.zeros((size[1], size[0]))
    for octave in range(1, 7):
        cells = Image.fromarray(rng.integers(0, 256, (2**octave + 1,) * 2, dtype=np.uint8))
        values += np.asarray(cells.resize(size, Image.Resampling.BICUBIC), dtype=np.float64) / fall**octave
    values *= 255 / values.max()
    return Image.fromarray(values.astype(np.uint8))


def shapes(_known: Known, rng: Rng, _own: set[int]) -> Image.Image:
    """Draw some ellipses and rectangles."""
    canvas = Image.new("L", (SIDE_PX, int(rng.integers(SIDE_PX // 2, SIDE_PX))), int(rng.integers(256)))
    draw = ImageDraw.Draw(canvas)
    for _ in range(int(rng.integers(3, 25))):
        (x, y), (across, down) = rng.uniform(0, canvas.size), rng.uniform(4, canvas.width / 3, 2)
        shape = draw.ellipse if rng.random() < 1 / 2 else draw.rectangle
        shape((x - across, y - down, x + across, y + down), fill=int(rng.integers(256)))
    return canvas


def text(_known: Known, rng: Rng, _own: set[int]) -> Image.Image:
    """Write lines of words between a headline and some boxes."""
    canvas = Image.new("L", (int(rng.integers(180, SIDE_PX)), SIDE_PX), int(rng.integers(180, 256)))
    draw, y = ImageDraw.Draw(canvas), 10.0
    while y < canvas.height:
        size = int(rng.integers(8, 26))
        if rng.random() < 1 / 6:
            draw.rectangle((8, y, canvas.width * rng.uniform(0.3, 1), y + 3 * size), fill=int(rng.integers(200)))
            y += 2 * size
        draw.text((8, y), words(rng, int(rng.integers(1, 9))), fill=int(rng.integers(100)), font=font(size))
        y += 1.4 * size
    return canvas


KINDS: Mapping[str, Callable[[Known, Rng, set[int]], Image.Image]] = {
    made.__name__: made for made in (part, page, collage, askew, clouds, shapes, text)
}
"""Ways to make a stranger; ``own`` receives the photographs that it is made of."""


def stranger(known: Known, seed: int, number: int) -> tuple[str, set[int], bytes]:
    """Make one stranger: its kind, the photographs that it is made of, and its file."""
    rng = np.random.default_rng((seed, number))
    kind, own = list(KINDS)[number % len(KINDS)], set[int]()
    return kind, own, encoded(KINDS[kind](known, rng, own), "JPEG", quality=85)


def seconds_each(known: Known, seed: int) -> float:
    """Time how long making and hashing a stranger takes, on one of each kind; each was made once before."""
    for _ in range(2):
        begin = time.perf_counter()
        for number in range(len(KINDS)):
            asked_hashes(stranger(known, seed, number)[2], LEVEL)
        took_s = time.perf_counter() - begin
    return took_s / len(KINDS)


def known(photos: Sequence[tuple[str, Path]], side_px: int, progress: Progress = SILENT) -> Known:
    """Read the photographs; those that no list would have are left out.

    Raises
    ------
    BadInput
        Not one of them can be listed.

    """
    names, values, pictures = [], [], []
    progress.start("reading photos", len(photos), "photos")
    for name, path in photos:
        progress.advance(1)
        try:
            picture = original(path, side_px)
        except (OSError, ValueError):
            continue
        found = pdq(np.asarray(picture))
        if found.quality >= LEAST_QUALITY:
            small = picture.convert("L")
            small.thumbnail((SIDE_PX, SIDE_PX))
            names.append(name)
            values.append(found.hashes[0])
            pictures.append(small)
    progress.finish()
    if not names:
        raise BadInput(f"none of the {len(photos)} photos can be listed", field="photos")
    return Known(names, np.array(values), pictures)


@dataclass(frozen=True, slots=True)
class Judge:
    """Makes strangers and searches for them: what one process needs."""

    known: Known
    plan: Plan
    column: Column

    def chunk(self, number: int) -> Chunk:
        """Make and judge one chunk."""
        kinds, histogram = Counter[str](), np.zeros(codes.BITS + 1, np.int64)
        false, nearest, hashes = [], (codes.BITS, "", 0, ""), 0
        for query in range(number * CHUNK, min((number + 1) * CHUNK, self.plan.queries)):
            kind, own, data = stranger(self.known, self.plan.seed, query)
            asked, reach = asked_hashes(data, LEVEL)
            kinds[kind] += 1
            hashes += len(asked)
            if not len(asked):
                continue
            found = self.column.found(self.column.ask(asked, int(reach.max())), len(asked))
            found = found.where((found.distance <= reach[found.query]) & ~np.isin(found.row, list(own)))
            false += [
                (int(distance), kind, query, self._named(int(row)))
                for row, distance in zip(found.row, found.distance, strict=True)
            ]
            others = np.array([row for row in range(len(self.known.names)) if row not in own])
            every = distances(asked, np.ascontiguousarray(self.known.hashes[others]))
            histogram += np.bincount(every.ravel(), minlength=codes.BITS + 1)
            at = int(every.min(axis=0).argmin())
            nearest = min(nearest, (int(every[:, at].min()), kind, query, self.known.names[others[at]]))
        counted = {str(at): int(histogram[at]) for at in np.flatnonzero(histogram)}
        return Chunk(number, hashes, false, nearest, counted, dict(kinds))

    def _named(self, row: int) -> str:
        return self.known.names[row] if row < len(self.known.names) else ""


_judges: list[Judge] = []
"""The judge of a worker process."""


def _prepare(known: Known, plan: Plan) -> None:
    """Build the list, once in each process."""
    made_up = codes.uniform(max(0, plan.entries - len(known.names)), np.random.default_rng(plan.seed))
    _judges[:] = [Judge(known, plan, Column(np.concatenate([known.hashes, made_up]), MAX_HITS))]


def _judged(number: int) -> Chunk:
    return _judges[0].chunk(number)


def run(
    photographs: Known, plan: Plan, *, jobs: int = 1, file: Path | None = None, progress: Progress = SILENT
) -> dict[str, Any]:
    """Judge strangers; chunks that ``file`` already has are taken from it, and new ones are added to it.

    Returns
    -------
    dict
        ``queries``, ``query_hashes``, ``comparisons`` with other photographs, ``entries``, ``false_matches`` and the
        first ten of them, ``nearest_foreign`` and the ten nearest as (distance, kind, number, photograph), ``kinds``
        and the ``histogram`` of the distances.

    Raises
    ------
    BadInput
        ``file`` cannot be written, or is of another run.

    """
    head = {"run": _fingerprint(photographs, plan), "queries": plan.queries}
    chunks = _read(file, head) if file is not None else {}
    missing = [number for number in range(-(-plan.queries // CHUNK)) if number not in chunks]
    progress.start("strangers", plan.queries, "pictures")
    progress.advance(min(len(chunks) * CHUNK, plan.queries))
    for chunk in _made(photographs, plan, missing, jobs):
        chunks[chunk.number] = chunk
        if file is not None:
            with file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(dataclasses.asdict(chunk)) + "\n")
        progress.advance(min(CHUNK, plan.queries - chunk.number * CHUNK))
    progress.finish()
    return _summed(list(chunks.values()), plan, len(photographs.names))


def _made(photographs: Known, plan: Plan, missing: Sequence[int], jobs: int) -> Iterator[Chunk]:
    if jobs == 1 or not missing:
        _prepare(photographs, plan)
        yield from map(_judged, missing)
        return
    fresh = multiprocessing.get_context("spawn")  # a fork would inherit FAISS's and Numba's threads
    with ProcessPoolExecutor(jobs, mp_context=fresh, initializer=_prepare, initargs=(photographs, plan)) as pool:
        yield from pool.map(_judged, missing)


def _summed(chunks: Sequence[Chunk], plan: Plan, photos: int) -> dict[str, Any]:
    histogram, kinds = Counter[str](), Counter[str]()
    for chunk in chunks:
        histogram.update(chunk.histogram)
        kinds.update(chunk.kinds)
    false = sorted(tuple(row) for chunk in chunks for row in chunk.false)
    nearest = sorted(tuple(chunk.nearest) for chunk in chunks)
    return {
        "queries": sum(kinds.values()),
        "query_hashes": sum(chunk.hashes for chunk in chunks),
        "comparisons": sum(histogram.values()),
        "entries": max(plan.entries, photos),
        "photos": photos,
        "false_matches": len({query for _, _, query, _ in false}),
        "false": [list(row) for row in false[:10]],
        "nearest_foreign": nearest[0][0] if nearest else None,
        "nearest": [list(row) for row in nearest[:10]],
        "kinds": dict(kinds),
        "histogram": dict(sorted(histogram.items(), key=lambda item: int(item[0]))),
    }


def _fingerprint(photographs: Known, plan: Plan) -> str:
    """Sum up what results follow from: a file with another sum is of another run."""
    what = repr((plan.entries, plan.seed, CHUNK, SIDE_PX, tuple(KINDS), TRANSFORMATIONS)).encode()
    return hashlib.sha256(what + photographs.hashes.tobytes()).hexdigest()[:16]


def _read(file: Path, head: Mapping[str, Any]) -> dict[int, Chunk]:
    """Read the chunks of a file, or begin it.

    Raises
    ------
    BadInput
        It cannot be written, or is of another run.

    """
    try:
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        whole = text[: text.rfind("\n") + 1] or json.dumps(head) + "\n"  # a run that was killed may leave half a line
        if whole != text:
            file.write_text(whole, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot use {file}: {error.strerror}", field="strangers_file") from error
    first, *lines = whole.splitlines()
    if first != json.dumps(head):
        raise BadInput(
            f"{file} is of another run, with other photos, views or numbers: remove it", field="strangers_file"
        )
    rows = [json.loads(line) for line in lines]
    return {row["number"]: Chunk(**row) for row in rows}
