"""From a change to the moment other processes find it: followers of one SQLite catalog, each a process of its own.

Theory of operation
-------------------
A follower does what a service does between a commit and its next answer: it is woken by the catalog's watch, or polls,
brings its index up to date and searches. It is told on a pipe which value to look for, and whether to wait until that
is found or until it is gone; it says first what it finds now, and then, when the search says otherwise, at what moment
that was. Processes of one machine share the monotonic clock, so moments of two of them may be compared. Nobody searches
meanwhile: a search in a loop would take the processor from those that are measured. Changes come at random moments; one
after the other they would come right after a look, which is the worst moment of all.

Before a time counts, one entry is added and withdrawn, and every follower must lack it, find it and lack it again. Each
timed change is checked as well: the follower must not have found the value before, and must find the entry that was
added and no other. In the end every follower must have arrived at the catalog's sequence.

What this module deliberately does not do: no gRPC is part of it, and no other database;
``native_bench/postgres.py`` times followers of PostgreSQL, as threads of one process.
"""

from __future__ import annotations

import contextlib
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from hashmatch.bench import machine
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.catalog.watch import LOOK_S
from hashmatch.config import IndexConfig
from hashmatch.errors import IntegrityError
from hashmatch.index.live import LiveIndex
from hashmatch.model import Entry, EntryHash, HarmDomain, Query
from hashmatch.progress import SILENT, Progress
from hashmatch.publish import Publisher

CATALOG = "catalog.sqlite3"
SET = "visible"
PATIENCE_S = 60.0
"""Ends a hang: a change that is not seen by then never will be."""

_NOTHING = "-"


def measure(changes: int, followers: int, entries: int, seed: int, progress: Progress = SILENT) -> Mapping[str, Any]:
    """Add entries one by one; time each until every follower finds it.

    Parameters
    ----------
    changes
        Entries added and timed.
    followers
        Processes beside this one.
    entries
        What the set holds before.
    seed
        What the values follow from.
    progress
        Told how many are added.

    Returns
    -------
    Mapping
        ``followers``, ``entries``, ``changes``, and median and 99th percentile of ``visible_on_all_ms``, from the
        return of the import to the last follower's search that finds the entry, and of ``import_ms``, the import
        itself; with the noise and the machine.

    Raises
    ------
    IntegrityError
        A follower found what it should not, never found what it should, or ended.

    """
    noise = machine.noise()
    rng = random.Random(seed)  # noqa: S311  reproducible data, no secret
    imported: list[float] = []
    visible: list[float] = []
    with tempfile.TemporaryDirectory(prefix="hashmatch-bench-") as name, contextlib.ExitStack() as closing:
        folder = Path(name)
        catalog = closing.enter_context(SqliteCatalog.open(folder / CATALOG))
        catalog.create_set(SET, HarmDomain.OTHER)
        catalog.import_entries(SET, (_entry(f"before-{number}", rng) for number in range(entries)))
        others = [closing.enter_context(Follower(folder)) for _ in range(followers)]
        _rehearse(catalog, others, _entry("rehearsed", rng))
        progress.start(f"adding beside {followers}", changes, "entries")
        for number in range(changes):
            time.sleep(rng.uniform(0, 2 * LOOK_S))
            begin, end, seen = _added(catalog, others, _entry(f"added-{number}", rng))
            imported.append(end - begin)
            visible.append(max(seen) - end)
            progress.advance(1)
        progress.finish()
        for other in others:
            other.arrived(catalog.sequence())
    return {
        "followers": followers,
        "entries": entries,
        "changes": changes,
        "visible_on_all_ms": _summary(visible),
        "import_ms": _summary(imported),
        "machine": dict(machine.card()) | {"noise": {"quiet": noise.quiet, "spread": noise.spread, "load": noise.load}},
    }


class Follower:
    """A process that follows the catalog in a folder. A context manager: leaving it ends the process.

    Parameters
    ----------
    folder
        Has the catalog; snapshots go there too.
    patience_s
        How long the process waits for a change.

    """

    def __init__(self, folder: Path, patience_s: float = PATIENCE_S) -> None:
        words = (sys.executable, "-m", "hashmatch.bench.visible", str(folder), str(patience_s))
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __repr__(self) -> str:
        return f"<Follower: process {self._process.pid}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, value: bytes, entry_id: str, *, before: str) -> None:
        """Have it wait until it finds ``entry_id`` by the value, empty for nothing; it must find ``before`` now.

        Raises
        ------
        IntegrityError
            It finds something else, or has ended.

        """
        if self._said(f"{value.hex()} {entry_id or _NOTHING}") != (before or _NOTHING):
            raise IntegrityError(f"{self!r} did not find {before or 'nothing'!r} before the change")

    def seen_at(self) -> float:
        """Return when it found what it was asked to wait for, in seconds of the monotonic clock.

        Raises
        ------
        IntegrityError
            It never did, or found something else.

        """
        return float(self._said())

    def arrived(self, sequence: int) -> None:
        """Compare where it is with where the catalog is.

        Raises
        ------
        IntegrityError
            They differ.

        """
        found = int(self._said("sequence"))
        if found != sequence:
            raise IntegrityError(f"{self!r} is at {found}, the catalog at {sequence}")

    def _said(self, line: str = "") -> str:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise IntegrityError(f"{self!r} has no pipes")
        if line:
            with contextlib.suppress(BrokenPipeError):  # it has ended, which the next line says
                stdin.write(f"{line}\n")
                stdin.flush()
        answer = stdout.readline().strip()
        if not answer:
            raise IntegrityError(f"{self!r} ended, or never saw the change that it waited for")
        return answer


def _entry(entry_id: str, rng: random.Random) -> Entry:
    return Entry(entry_id, (EntryHash("pdq", rng.randbytes(32)),))


def _added(catalog: SqliteCatalog, others: list[Follower], entry: Entry) -> tuple[float, float, list[float]]:
    """Add an entry; return when that began and ended, and when each of the others found it."""
    for other in others:
        other.ask(entry.hashes[0].value, entry.entry_id, before="")
    begin = time.monotonic()
    catalog.import_entries(SET, [entry])
    end = time.monotonic()
    return begin, end, [other.seen_at() for other in others]


def _rehearse(catalog: SqliteCatalog, others: list[Follower], entry: Entry) -> None:
    """Add and withdraw one entry, which all must see."""
    _added(catalog, others, entry)
    for other in others:
        other.ask(entry.hashes[0].value, "", before=entry.entry_id)
    catalog.withdraw(SET, entry.entry_id, reason="rehearsed", actor="bench")
    for other in others:
        other.seen_at()


def _summary(seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"median": 1e3 * statistics.median(seconds), "p99": 1e3 * cuts[98]}


# --- the other process ---------------------------------------------------------------------------------------------


def _follow(folder: Path, patience_s: float) -> Iterator[str]:
    """Answer the lines of stdin: what is found now, and the moment when that is what was waited for."""
    index, woken, config = LiveIndex(), threading.Event(), IndexConfig()
    with SqliteCatalog.open(folder / CATALOG) as catalog, contextlib.ExitStack() as closing:
        publisher = Publisher(catalog, index, folder / "segments", config)
        closing.callback(publisher.close)
        publisher.start()
        closing.callback(catalog.watch(woken.set).close)
        for line in sys.stdin:
            if line == "sequence\n":
                yield str(index.status().sequence)
                continue
            digits, wanted = line.split()
            query = [Query("pdq", bytes.fromhex(digits), 0)]
            found = _found(index, query)
            yield found
            deadline = time.monotonic() + patience_s
            while found != wanted:
                woken.wait(config.poll_ms / 1e3)
                woken.clear()
                publisher.sync()
                found = _found(index, query)
                if time.monotonic() > deadline:
                    return
            yield str(time.monotonic())


def _found(index: LiveIndex, query: list[Query]) -> str:
    return ",".join(hit.entry.entry_id for hit in index.search(query, sets=None, max_hits=2).found) or _NOTHING


def _main() -> None:
    for answer in _follow(Path(sys.argv[1]), float(sys.argv[2])):
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
