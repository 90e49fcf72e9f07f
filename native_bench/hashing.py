"""Run every hashing experiment and write ``HASHING.md``, ``results/hashing.json`` and a plot: ``make bench-hash``.

    python native_bench/hashing.py                        times beside the peers', ten minutes
    python native_bench/hashing.py --fidelity 10000       instead: how far screening is off, an hour of CPU time at most
    python native_bench/hashing.py --pays                 instead: what screening saves and costs, a minute
    python native_bench/hashing.py --report               only write the page and the plot again, from results/*.json

Photos are those of ``--photos``, else those below ``photos/`` of ``HASHMATCH_EXTRA_DATA``; without any, only generated
pictures are timed and ``--fidelity`` says so.

What this script deliberately does not do: it measures nothing itself; ``hashmatch.bench`` does.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before FAISS is imported: its threads would spin beside ours

from hashmatch.bench import hash_fidelity, hash_pays, hash_pictures, hash_plots, hash_report, hash_run, pictures
from hashmatch.bench.hash_pictures import Sample
from hashmatch.bench.timing import Effort
from hashmatch.errors import BadInput, HashmatchError

HERE = Path(__file__).resolve().parent
SIZES = ((512, 512), (1024, 768), (4000, 3000))
TIMES, FIDELITY, PAYS = "hashing.json", "hashing_fidelity.json", "hashing_pays.json"


def main() -> int:
    """Run, write, and return 0; 1 when a goal is missed, so that a script can tell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--photos", type=Path, action="append", help="directory of photos; may be repeated")
    parser.add_argument("--fidelity", type=int, metavar="FILES", help="measure so many files, and no times")
    parser.add_argument("--pays", action="store_true", help="measure when screening pays, and nothing else")
    parser.add_argument("--report", action="store_true", help="measure nothing, write the page and the plot again")
    parser.add_argument("--rounds", type=int, default=15, help="samples per system (default: 15)")
    parser.add_argument("--seed", type=int, default=1, help="what pictures follow from (default: 1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes for --fidelity")
    parser.add_argument("--output", type=Path, default=HERE, help="directory to write to (default: this one)")
    options = parser.parse_args()
    results: Path = options.output / "results"
    results.mkdir(parents=True, exist_ok=True)
    photos = options.photos or _photos()
    try:
        if options.fidelity:
            if not photos:
                raise BadInput("there are no photos: name some with --photos", field="photos")
            found = hash_fidelity.measure(photos, options.fidelity, options.seed, options.jobs)
            _write(results / FIDELITY, found)
        elif options.pays:
            _write(results / PAYS, hash_pays.measure(options.seed))
        elif not options.report:
            _write(
                results / TIMES,
                hash_run.run(_cases(photos, options.seed), None, Effort(rounds=options.rounds, by_cpu=True)),
            )
        rows: Sequence[Mapping[str, Any]] = _read(results / TIMES) or ()
        if rows:
            hash_plots.draw(rows, options.output / "plots")
            page = hash_report.page(rows, _read(results / FIDELITY), _read(results / PAYS))
            (options.output / "HASHING.md").write_text(page, encoding="utf-8")
    except HashmatchError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return int(error.exit_code)
    goals = [goal for row in rows for goal in row["goals"]]
    for goal in goals:
        state = {True: "met", False: "MISSED", None: "open"}[goal["met"]]
        measured = "not measured" if goal["measured"] is None else f"{goal['measured']:.2f}"
        beside = "".join(f", {name} {value:.0f}" for name, value in goal["beside"].items())
        print(f"{state:7} {goal['what']}: {measured} ({goal['goal']}{beside})")
    return int(any(goal["met"] is False for goal in goals))


def _cases(photos: Sequence[Path], seed: int) -> Iterator[tuple[str, list[Sample]]]:
    for width, height in SIZES:
        yield f"{width}x{height}", hash_pictures.generated(width, height, seed)
    if photos:
        yield "photos", hash_pictures.from_folder(photos[0])


def _photos() -> list[Path]:
    """Folders of distinct photos that lie at hand; the others are copies and products."""
    where = pictures.directory()
    named = [where / name for name in ("camera_photos", "kodak", "cc0_landscapes", "public_domain")] if where else []
    return [path for path in named if path.is_dir()]


def _write(path: Path, result: object) -> None:
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _read(path: Path) -> Any:
    """Results of an earlier run; None where there are none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
