"""The PostgreSQL catalog: imports beside raw COPY of the same rows, and how soon a change is seen by all who follow.

    HASHMATCH_CATALOG_URL=postgresql://... python native_bench/postgres.py --entries 200000 > postgres.json

The database must be an empty one: what is written stays in it. Raw COPY fills two tables that are like the catalog's,
with all indexes and constraints but no foreign keys, from rows that are formatted beforehand. Each follower has its
own connections, listener and index, in this process, so they share its interpreter. What was stored and what is found
is compared before a time counts.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from hashmatch.catalog.postgres import PostgresCatalog
from hashmatch.catalog.postgres_connections import Connections
from hashmatch.config import CatalogConfig, IndexConfig, load
from hashmatch.errors import IntegrityError
from hashmatch.index.live import LiveIndex
from hashmatch.model import Entry, EntryHash, HarmDomain, Query
from hashmatch.publish import Publisher

FOLLOWERS = 3
PATIENCE_S = 60


def entries(count: int, seed: int) -> Iterator[Entry]:
    """Random PDQ values with an id and a quality."""
    rng = random.Random(seed)  # noqa: S311  reproducible data, no secret
    for number in range(count):
        yield Entry(f"e{number:09d}", (EntryHash("pdq", rng.randbytes(32), 80),))


def import_seconds(catalog: PostgresCatalog, name: str, count: int) -> float:
    """Import into a new set; raises IntegrityError when the set is not what was given."""
    catalog.create_set(name, HarmDomain.OTHER)
    begin = time.perf_counter()
    result = catalog.import_entries(name, entries(count, 1))
    taken_s = time.perf_counter() - begin
    with catalog.entries(name) as stored:
        same = all(
            a.entry_id == b.entry_id and a.hashes == b.hashes for a, b in zip(stored, entries(count, 1), strict=True)
        )
    if result.added != count or not same:
        raise IntegrityError("the catalog does not hold what was imported")
    return taken_s


def copy_seconds(config: CatalogConfig, count: int) -> float:
    """Copy the same rows straight into tables of the same shape."""
    connections = Connections(config)
    with connections.working() as connection:
        connection.execute("DROP TABLE IF EXISTS bench_entry, bench_value")
        connection.execute("CREATE TABLE bench_entry (LIKE entry INCLUDING ALL)")
        connection.execute("CREATE TABLE bench_value (LIKE value INCLUDING ALL)")
        listed = list(enumerate(entries(count, 1)))
        of_entries = "".join(f"{n}\t1\t0\t{n}\t{e.entry_id}\tactive\t\t\t\t\t\t\t\t\n" for n, e in listed).encode()
        of_values = "".join(f"{n}\t80\tpdq\t\\\\x{e.hashes[0].hex}\t\n" for n, e in listed).encode()
        begin = time.perf_counter()
        with connection.transaction(), connection.cursor() as cursor:
            with cursor.copy("COPY bench_entry FROM STDIN") as copy:
                copy.write(of_entries)
            with cursor.copy("COPY bench_value FROM STDIN") as copy:
                copy.write(of_values)
        taken_s = time.perf_counter() - begin
        row = connection.execute("SELECT count(*) FROM bench_entry JOIN bench_value USING (entry_key)").fetchone()
        if row != (count,):
            raise IntegrityError("COPY did not store every row")
        connection.execute("DROP TABLE bench_entry, bench_value")
    connections.close()
    return taken_s


class Follower:
    """An index that follows the catalog as a service does."""

    def __init__(self, config: CatalogConfig, folder: Path) -> None:
        self._catalog = PostgresCatalog.open(config)
        self.index = LiveIndex()
        self._publisher = Publisher(self._catalog, self.index, folder, IndexConfig())
        self._publisher.start()
        self._woken, self._ending = threading.Event(), False
        self._watch = self._catalog.watch(self._woken.set)
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def _follow(self) -> None:
        while not self._ending:
            self._woken.wait(0.25)
            self._woken.clear()
            self._publisher.sync()

    def close(self) -> None:
        """End it."""
        self._ending = True
        self._woken.set()
        self._thread.join()
        self._watch.close()
        self._publisher.close()
        self._catalog.close()


def visible_ms(config: CatalogConfig, changes: int, folder: Path) -> list[float]:
    """Time from the return of an import of one entry until every follower finds it."""
    followers = [Follower(config, folder / str(number)) for number in range(FOLLOWERS)]
    taken = []
    with PostgresCatalog.open(config) as catalog:
        catalog.create_set("visible", HarmDomain.OTHER)
        for number, entry in enumerate(entries(changes, 2)):
            query = [Query("pdq", entry.hashes[0].value, 0)]
            catalog.import_entries("visible", [Entry(f"v{number}", entry.hashes)])
            begin = time.perf_counter()
            for follower in followers:
                while not follower.index.search(query, sets=None, max_hits=1).found:
                    if time.perf_counter() - begin > PATIENCE_S:
                        raise IntegrityError("a follower never found what was added")
                    time.sleep(0.0002)
            taken.append(1e3 * (time.perf_counter() - begin))
    for follower in followers:
        follower.close()
    return taken


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=200_000)
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    config = load(None).catalog
    ours, raw = [], []
    with PostgresCatalog.open(config) as catalog:
        for number in range(arguments.rounds):
            raw.append(arguments.entries / copy_seconds(config, arguments.entries))
            ours.append(arguments.entries / import_seconds(catalog, f"bench{number}", arguments.entries))
        catalog.verify()
    with tempfile.TemporaryDirectory(prefix="hashmatch-bench-") as folder:
        seen = sorted(visible_ms(config, arguments.changes, Path(folder)))
    share = statistics.median(ours) / statistics.median(raw)
    record = {
        "entries": arguments.entries,
        "import_rows_per_second": ours,
        "copy_rows_per_second": raw,
        "import_share_of_copy": share,
        "visible_on_all_ms": {"p50": seen[len(seen) // 2], "p99": seen[int(0.99 * (len(seen) - 1))]},
        "goals": {"import_share_of_copy": 0.6, "visible_on_all_p99_ms": 50},
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
