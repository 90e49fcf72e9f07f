"""How soon a change of a SQLite catalog is found by other processes (``hashmatch/bench/visible.py`` says how).

python native_bench/visible.py                                   # one follower, then three; 1,000 changes each
python native_bench/visible.py --json > native_bench/results/visible_sqlite.json
"""

from __future__ import annotations

import argparse
import json

from hashmatch.bench import visible

GOAL_P99_MS = 50
"""The same as beside PostgreSQL (``postgres.py``)."""


def main() -> None:
    """Measure and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=1_000, help="entries added and timed; 200 or more for a p99")
    parser.add_argument("--followers", default="1,3", metavar="N,...", help="processes beside the one that adds")
    parser.add_argument("--entries", type=int, default=10_000, help="what the set holds before")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    arguments = parser.parse_args()
    counts = [int(word) for word in arguments.followers.split(",")]
    series = [visible.measure(arguments.changes, count, arguments.entries, arguments.seed) for count in counts]
    if arguments.json:
        print(json.dumps({"goals": {"visible_on_all_p99_ms": GOAL_P99_MS}, "series": series}, indent=1))
        return
    print("followers  changes  visible p50 ms  p99 ms  import p50 ms  p99 ms  quiet")
    for one in series:
        seen, own, quiet = one["visible_on_all_ms"], one["import_ms"], one["machine"]["noise"]["quiet"]
        print(
            f"{one['followers']:9}  {one['changes']:7}  {seen['median']:14.1f}  {seen['p99']:6.1f}  "
            f"{own['median']:13.1f}  {own['p99']:6.1f}  {'yes' if quiet else 'no'}"
        )


if __name__ == "__main__":
    main()
