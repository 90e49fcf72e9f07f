"""The PostgreSQL catalog: imports beside raw COPY of the same rows, and how soon a change is seen by all who follow.

    HASHMATCH_CATALOG_URL=postgresql://... python native_bench/postgres.py --entries 200000 > postgres.json

The database must be an empty one: what is written stays in it. An import is of a CSV file, as its reader hands rows
on (blocks), and of the same rows one by one; time counts from the file's first byte to the commit. Raw COPY fills two
tables that are like the catalog's, with all indexes and constraints but without a look at references, from rows that
are formatted beforehand; once in COPY's text format, once in binary. Imports and COPY take turns. Each follower has its
own connections, listener and index, in this process, so they share its interpreter. What was stored and what is found
is compared before a time counts.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hashmatch.catalog import postgres_columns
from hashmatch.catalog.postgres import PostgresCatalog
from hashmatch.catalog.postgres_connections import Connections
from hashmatch.catalog.session import Place
from hashmatch.catalog.spool import Columns
from hashmatch.config import CatalogConfig, IndexConfig, load
from hashmatch.errors import IntegrityError
from hashmatch.exchange import delimited
from hashmatch.index.live import LiveIndex
from hashmatch.model import Entry, EntryHash, HarmDomain, Query, Row
from hashmatch.publish import Publisher

FOLLOWERS = 3
PATIENCE_S = 60
ENTRY_COLUMNS = (
    "entry_key, set_key, received_at_us, sequence, status, status_reason, labels, source, list_version, external_id, "
    "terms, jurisdiction, opinions, entry_id"
)
VALUE_COLUMNS = "entry_key, quality, algorithm, value, view"


def entries(count: int, seed: int) -> Iterator[Entry]:
    """Random PDQ values with an id and a quality."""
    rng = random.Random(seed)  # noqa: S311  reproducible data, no secret
    for number in range(count):
        yield Entry(f"e{number:09d}", (EntryHash("pdq", rng.randbytes(32), 80),))


def listed(path: Path, count: int) -> None:
    """Write the same entries as a CSV file."""
    with path.open("w") as file:
        file.write("algorithm,value,quality,entry_id\n")
        file.writelines(
            f"pdq,{entry.hashes[0].hex},{entry.hashes[0].quality},{entry.entry_id}\n" for entry in entries(count, 1)
        )


def import_seconds(catalog: PostgresCatalog, name: str, rows: Iterable[Row], count: int) -> float:
    """Import into a new set; raises IntegrityError when the set is not what was given."""
    catalog.create_set(name, HarmDomain.OTHER)
    begin = time.perf_counter()
    result = catalog.import_entries(name, rows)
    taken_s = time.perf_counter() - begin
    with catalog.entries(name) as stored:
        same = all(
            a.entry_id == b.entry_id and a.hashes == b.hashes for a, b in zip(stored, entries(count, 1), strict=True)
        )
    if result.added != count or not same:
        raise IntegrityError("the catalog does not hold what was imported")
    return taken_s


@dataclass(frozen=True, slots=True)
class Streams:
    """What COPY takes for the entries and for their values, and what is said of its format."""

    of_entries: Sequence[bytes]
    of_values: Sequence[bytes]
    options: str = ""


def streams(count: int) -> dict[str, Streams]:
    """Format the same rows in both formats."""
    rows = list(enumerate(entries(count, 1), 1))
    text = Streams(
        ["".join(f"{n}\t1\t0\t{n}\tactive\t\t\t\t\t\t\t\t\t{e.entry_id}\n" for n, e in rows).encode()],
        ["".join(f"{n}\t80\tpdq\t\\\\x{e.hashes[0].hex}\t\n" for n, e in rows).encode()],
    )
    columns = Columns(
        "pdq",
        [e.entry_id for _, e in rows],
        np.frombuffer(b"".join(e.hashes[0].value for _, e in rows), dtype=np.uint8).reshape(count, -1),
        np.full(count, 80, dtype=np.uint8),
        np.arange(count),
    )
    place = Place(1, 1, 1, 0)
    of_entries = list(postgres_columns.of_entries(columns, place))
    of_values = list(postgres_columns.of_values(columns, place))
    return {"text": text, "binary": Streams(of_entries, of_values, " (FORMAT binary)")}


def copy_seconds(config: CatalogConfig, copied: Streams, count: int) -> float:
    """Copy the same rows straight into tables of the same shape."""
    connections = Connections(config)
    with connections.working() as connection:
        connection.execute("DROP TABLE IF EXISTS bench_entry, bench_value")
        connection.execute("CREATE TABLE bench_entry (LIKE entry INCLUDING ALL)")
        connection.execute("CREATE TABLE bench_value (LIKE value INCLUDING ALL)")
        begin = time.perf_counter()
        with connection.transaction(), connection.cursor() as cursor:
            for table, pieces in (
                (f"bench_entry ({ENTRY_COLUMNS})", copied.of_entries),
                (f"bench_value ({VALUE_COLUMNS})", copied.of_values),
            ):
                with cursor.copy(f"COPY {table} FROM STDIN{copied.options}".encode()) as copy:
                    for piece in pieces:
                        copy.write(piece)
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
    parser.add_argument("--singly", type=int, default=1, help="rounds that also import the rows one by one")
    arguments = parser.parse_args()
    load_before = os.getloadavg()
    config, count = load(None).catalog, arguments.entries
    taken_s: dict[str, list[float]] = {name: [] for name in ("copy_text", "copy_binary", "import", "import_singly")}
    with tempfile.TemporaryDirectory(prefix="hashmatch-bench-") as folder:
        path, copied = Path(folder) / "list.csv", streams(count)
        listed(path, count)
        with PostgresCatalog.open(config) as catalog:
            for number in range(arguments.rounds):
                for name, some in copied.items():
                    taken_s[f"copy_{name}"].append(copy_seconds(config, some, count))
                with path.open("rb") as file:
                    rows = delimited.read_rows(file)
                    taken_s["import"].append(import_seconds(catalog, f"blocks{number}", rows, count))
                if number < arguments.singly:
                    taken_s["import_singly"].append(import_seconds(catalog, f"rows{number}", entries(count, 1), count))
            catalog.verify()
        seen = sorted(visible_ms(config, arguments.changes, Path(folder))) if arguments.changes else []
    rates = {name: [count / seconds for seconds in some] for name, some in taken_s.items()}
    median = {name: statistics.median(some) for name, some in rates.items() if some}
    record = {
        "entries": count,
        "rows_per_second": rates,
        "import_share_of_copy": median["import"] / median["copy_text"],
        "import_share_of_binary_copy": median["import"] / median["copy_binary"],
        "visible_on_all_ms": {"p50": seen[len(seen) // 2], "p99": seen[int(0.99 * (len(seen) - 1))]} if seen else None,
        "load_before": load_before,
        "goals": {"import_share_of_copy": 0.6, "visible_on_all_p99_ms": 50},
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
