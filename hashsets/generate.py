"""Write ``synthetic/``: a list with planted neighbours, and queries with every answer there is.

Theory of operation
-------------------
The values are random, so no picture belongs to them. For each perceptual algorithm a few *centres* are drawn; around
each, entries are planted at exact distances, their differing bits spread in three ways: at random, evenly over the
value (the hardest case for an index that looks for an equal piece), and in one burst (the hardest for one that looks at
prefixes). The queries are the centres and some strangers. Their answers are found by comparing with every entry, which
is slow and obviously right.

    python hashsets/generate.py           write the files
    python hashsets/generate.py --check   exit 1 if they are not what this script writes

What this script deliberately does not do: it uses no code of the index, whose tests it feeds.
"""  # noqa: INP001 - a script beside its data, no package

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hashmatch.hashing.algorithms import table
from hashmatch.model import Algorithm, AlgorithmKind

SEED = 20260131
HERE = Path(__file__).parent / "synthetic"

CENTRES = 4
STRANGERS = 3
FILLERS = 60
DISTANCES = {
    256: (0, 1, 2, 8, 16, 24, 30, 31, 32, 33, 40, 48, 63, 64, 65),
    64: (0, 1, 2, 3, 4, 5, 8, 10, 12, 15, 16, 17),
}
"""Bits of a value → distances planted: around the thresholds in use, and around the reach of the answers."""

SPREADS = ("random", "even", "burst")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list."""

    entry_id: str
    algorithm: str
    value: int
    bits: int
    quality: int | None = None
    status: str = "active"

    @property
    def hex(self) -> str:
        """The value as it is written."""
        return f"{self.value:0{self.bits // 4}x}"


def reach(algorithm: Algorithm) -> int:
    """Greatest distance of an answer, inclusive: a quarter of the bits; 0 for digests."""
    return algorithm.bits // 4 if algorithm.kind is AlgorithmKind.PERCEPTUAL else 0


def at_distance(rng: random.Random, value: int, bits: int, distance: int, spread: str) -> int:
    """Return ``value`` with exactly ``distance`` bits changed."""
    if spread == "random":
        places = rng.sample(range(bits), distance)
    elif spread == "even":
        start = rng.randrange(bits)
        places = [(start + index * bits // max(distance, 1)) % bits for index in range(distance)]
    else:
        start = rng.randrange(bits)
        places = [(start + index) % bits for index in range(distance)]
    for place in places:
        value ^= 1 << place
    return value


def built_in() -> list[Algorithm]:
    """Return the algorithms that every installation has, whatever plug-ins this one has."""
    names = ("pdq", "pdq-nearest512", "phash", "dhash", "ahash", "whash", "md5", "sha1", "sha256")
    return [table()[name] for name in names]


def planted(rng: random.Random) -> tuple[list[Row], list[tuple[Algorithm, int]]]:
    """Return the list's rows and the queries."""
    rows: list[Row] = []
    queries: list[tuple[Algorithm, int]] = []
    for algorithm in built_in():
        name, bits = algorithm.name, algorithm.bits

        def quality(algorithm: Algorithm = algorithm) -> int | None:
            return rng.choice([None, *range(50, 101)]) if algorithm.has_quality else None

        if algorithm.kind is AlgorithmKind.PERCEPTUAL:
            for centre_number in range(CENTRES):
                centre = rng.getrandbits(bits)
                queries.append((algorithm, centre))
                for distance in DISTANCES[bits]:
                    spread = SPREADS[(distance + centre_number) % len(SPREADS)]
                    value = at_distance(rng, centre, bits, distance, spread)
                    entry_id = f"{name}-{centre_number}-at-{distance:02}-{spread}"
                    rows.append(Row(entry_id, name, value, bits, quality()))
                near = at_distance(rng, centre, bits, 5, "random")
                rows.append(Row(f"{name}-{centre_number}-withdrawn", name, near, bits, quality(), "withdrawn"))
                rows.append(Row(f"{name}-{centre_number}-disputed", name, near, bits, quality(), "disputed"))
        fillers = [Row(f"{name}-filler-{i:02}", name, rng.getrandbits(bits), bits, quality()) for i in range(FILLERS)]
        rows += fillers
        queries += [(algorithm, fillers[0].value), (algorithm, fillers[-1].value)]
        queries += [(algorithm, rng.getrandbits(bits)) for _ in range(STRANGERS)]
    return [*rows, *several_hashes(rng)], queries


def several_hashes(rng: random.Random) -> Iterator[Row]:
    """Yield entries with one value of each algorithm."""
    for number in range(10):
        for algorithm in built_in():
            value = rng.getrandbits(algorithm.bits)
            yield Row(f"whole-{number}", algorithm.name, value, algorithm.bits, 100 if algorithm.has_quality else None)


def answer(algorithm: Algorithm, value: int, rows: list[Row]) -> list[dict[str, object]]:
    """Return every entry within reach, nearest first: withdrawn ones never match."""
    space = {name for name, other in table().items() if other.space == algorithm.space}
    found = [
        (distance, row.entry_id, row.algorithm)
        for row in rows
        if row.algorithm in space and row.status != "withdrawn"
        and (distance := (row.value ^ value).bit_count()) <= reach(algorithm)
    ]  # fmt: skip
    return [
        {"entry_id": entry_id, "algorithm": name, "distance": distance} for distance, entry_id, name in sorted(found)
    ]


def files() -> dict[str, str]:
    """Return file name → text of everything that this script writes."""
    rng = random.Random(SEED)  # noqa: S311 - reproducible, not secret
    rows, queries = planted(rng)
    listing = io.StringIO()
    writer = csv.writer(listing, lineterminator="\n")
    writer.writerow(("algorithm", "value", "quality", "entry_id", "source", "status", "status_reason"))
    for row in rows:
        quality = "" if row.quality is None else row.quality
        reason = "" if row.status == "active" else "planted to be so"
        writer.writerow((row.algorithm, row.hex, quality, row.entry_id, "hashmatch synthetic", row.status, reason))
    asked = "".join(
        json.dumps(
            {
                "algorithm": algorithm.name,
                "value": f"{value:0{algorithm.bits // 4}x}",
                "max_distance": reach(algorithm),
                "expected": answer(algorithm, value, rows),
            }
        )
        + "\n"
        for algorithm, value in queries
    )
    return {"planted.csv": listing.getvalue(), "planted.queries.jsonl": asked}


def main() -> int:
    """Write or check the files."""
    parser = argparse.ArgumentParser(description="Write the synthetic hash sets.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file differs")
    check = parser.parse_args().check
    stale = []
    for name, text in files().items():
        path = HERE / name
        if check:
            stale += [] if path.is_file() and path.read_text(encoding="utf-8") == text else [name]
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if stale:
        sys.stderr.write(f"not what generate.py writes: {', '.join(stale)}; run it without --check\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
