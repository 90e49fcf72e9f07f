"""Run every search experiment and write ``RESULTS.md``, ``results/*.json`` and ``plots/*.svg``: ``make bench-search``.

    python native_bench/run.py                 everything, about ten minutes on two quiet cores
    python native_bench/run.py --small         half a minute, to see that it works; written to a directory of its own
    python native_bench/run.py --report        only write RESULTS.md and the plots again, from results/*.json

What this script deliberately does not do: it measures nothing itself; ``hashmatch.bench`` does.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before FAISS is imported: its threads would spin beside ours

from hashmatch.bench import goals, plots, report, suite
from hashmatch.errors import HashmatchError

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Run, write, and return 0; 1 when a goal is missed, so that a script can tell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="small lists, short rounds")
    parser.add_argument("--report", action="store_true", help="measure nothing, write the page and the plots again")
    parser.add_argument("--output", type=Path, default=None, help="directory to write to (default: this one)")
    options = parser.parse_args()
    where: Path = options.output or (HERE / "small" if options.small else HERE)
    try:
        results = _read(where) if options.report else _measure(where, suite.SMALL if options.small else suite.Scale())
        plots.draw(results, where / "plots")
    except HashmatchError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return int(error.exit_code)
    (where / "RESULTS.md").write_text(report.page(results), encoding="utf-8")
    checked = goals.check(results)
    for row in checked:
        state = {True: "met", False: "MISSED", None: "open"}[row.met]
        print(f"{state:7} {row.goal.what}: {report.figure(row.measured)}{row.goal.unit} ({row.goal.text()})")
    return int(any(row.met is False for row in checked))


def _measure(where: Path, scale: suite.Scale) -> Mapping[str, Mapping[str, Any]]:
    """Run the suite; each experiment's file is written as soon as it ends."""
    (where / "results").mkdir(parents=True, exist_ok=True)
    results: dict[str, Mapping[str, Any]] = {}
    begin = time.monotonic()
    for name, result in suite.run(scale):
        results[name] = result
        path = where / "results" / f"{name}.json"
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(f"{time.monotonic() - begin:6.0f} s  {name}", file=sys.stderr, flush=True)
    return results


def _read(where: Path) -> Mapping[str, Mapping[str, Any]]:
    """Results of an earlier run."""
    files = sorted((where / "results").glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}


if __name__ == "__main__":
    sys.exit(main())
