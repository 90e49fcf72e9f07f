"""Importing a long list: rows per second and peak memory of the command people type, beside SQLite's own import.

Theory of operation
-------------------
A list of random PDQ values is written as CSV, in two forms: ``two``, algorithm and value, where ids are made of the
values and come in no order; and ``four``, with a quality and an id that counts up. Each way of importing is a process
of its own, started on the same file with an empty database: ours is ``hashmatch hashset import``, interpreter start
included; the ceiling is ``sqlite3 .import`` of the same columns into one table without an index, with the same
journal and durability. The kernel says what a process used: CPU time and the most memory it had.

Before a time counts, what was imported is compared with what was written: the number of entries, and the sum of a
digest of each row, id, value and quality, which does not depend on the order.

What this module deliberately does not do: it compares no database servers, and measures no search.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hashmatch.bench import machine
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.errors import BadInput, IntegrityError
from hashmatch.progress import SILENT, Progress

FORMS: Mapping[str, str] = {"two": "algorithm,value", "four": "algorithm,value,quality,entry_id"}
"""Forms of the list by name: their columns."""

GOAL_ROWS_PER_SECOND = 150_000
GOAL_PEAK_MB = 200
"""What imports are held to: whatever the length of the list."""

SET = "bench"
_ROWS_AT_ONCE = 50_000
_QUALITIES = range(50, 101)
_MASK = (1 << 128) - 1


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process took."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Listing:
    """A list on disk: its form, how many rows, and the sum of their digests."""

    path: Path
    form: str
    rows: int
    digest: int


def measure(form: str, rows: int, rounds: int, seed: int, progress: Progress = SILENT) -> dict[str, Any]:
    """Import a list again and again, ours and the ceiling in turns.

    Parameters
    ----------
    form
        Of ``FORMS``.
    rows
        Entries of the list.
    rounds
        Imports of each kind.
    seed
        What the values follow from.
    progress
        Told how many imports are done.

    Returns
    -------
    dict
        See ``cli.bench_import.FIELDS``.

    Raises
    ------
    IntegrityError
        What was imported is not what was written.
    BadInput
        An import failed; the message has its last words.

    """
    noise = machine.noise()
    with tempfile.TemporaryDirectory(prefix="hashmatch-bench-") as folder:
        listing = write_list(Path(folder) / "list.csv", form, rows, seed)
        ways = {"ours": _ours, "sqlite3": _ceiling} if _sqlite3() else {"ours": _ours}
        taken: dict[str, list[Usage]] = {name: [] for name in ways}
        progress.start(f"importing {rows} rows", rounds * len(ways), "imports")
        for number in range(rounds):
            for name, way in ways.items():
                place = Path(folder) / f"{name}{number}"
                place.mkdir()
                taken[name].append(way(listing, place, check=number == 0))
                shutil.rmtree(place)
                progress.advance(1)
        progress.finish()
    return _record(listing, taken, noise)


def write_list(path: Path, form: str, rows: int, seed: int) -> Listing:
    """Write a list of random values; the same seed gives the same list."""
    rng = np.random.default_rng(seed)
    digest = 0
    with path.open("w", encoding="ascii") as file:
        file.write(FORMS[form] + "\n")
        for start in range(0, rows, _ROWS_AT_ONCE):
            count = min(_ROWS_AT_ONCE, rows - start)
            digits = rng.bytes(32 * count).hex()
            values = [digits[64 * at : 64 * at + 64] for at in range(count)]
            for number, value in enumerate(values, start):
                quality = _QUALITIES[number % len(_QUALITIES)] if form == "four" else None
                entry_id = f"entry-{number:010}" if form == "four" else f"pdq:{value}"
                file.write(f"pdq,{value},{quality},{entry_id}\n" if form == "four" else f"pdq,{value}\n")
                digest += _row_digest(entry_id, value, quality)
    return Listing(path, form, rows, digest & _MASK)


def _row_digest(entry_id: str, value: str, quality: int | None) -> int:
    row = hashlib.blake2b(f"{entry_id},{value},{quality}".encode(), digest_size=16)
    return int.from_bytes(row.digest(), "little")


def _ours(listing: Listing, place: Path, *, check: bool) -> Usage:
    words = (sys.executable, "-m", "hashmatch", "--data", str(place), "--json", "hashset", "import", SET)
    used = _run((*words, str(listing.path), "--create", "--domain", "other"))
    if check:
        with SqliteCatalog.open(place / "catalog.sqlite3") as catalog:
            found, digest = 0, 0
            with catalog.entries(SET) as entries:
                for entry in entries:
                    (value,) = entry.hashes
                    found += 1
                    digest += _row_digest(entry.entry_id, value.hex, value.quality)
        if (found, digest & _MASK) != (listing.rows, listing.digest):
            raise IntegrityError(f"{found} entries were imported of {listing.rows}, or not as they were written")
    return used


def _ceiling(listing: Listing, place: Path, *, check: bool) -> Usage:
    file = str(place / "plain.sqlite3")
    columns = FORMS[listing.form].replace("quality", "quality INTEGER")
    prepare = f"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE plain ({columns});"
    used = _run((_sqlite3(), file, "-cmd", prepare, f".import --csv --skip 1 {listing.path} plain"))
    if check:
        count = (_sqlite3(), file, "SELECT count(*) FROM plain")
        said = subprocess.run(count, capture_output=True, check=True)
        if int(said.stdout) != listing.rows:
            raise IntegrityError(f"sqlite3 imported {said.stdout.decode().strip()} rows of {listing.rows}")
    return used


def _sqlite3() -> str:
    """Path of SQLite's command line; empty when there is none."""
    return shutil.which("sqlite3") or ""


def _run(words: Sequence[str]) -> Usage:
    """Run a process to its end and return what it took."""
    with tempfile.TemporaryFile() as said:
        begin = time.perf_counter()
        process = subprocess.Popen(words, stdout=said, stderr=said, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            words_said = said.read()[-500:].decode(errors="replace").strip()
            raise BadInput(f"{words[0]} failed with {process.returncode}: {words_said}", field="import")
    return Usage(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _record(listing: Listing, taken: Mapping[str, Sequence[Usage]], noise: machine.Noise) -> dict[str, Any]:
    seconds = {name: statistics.median(used.seconds for used in some) for name, some in taken.items()}
    peak = {name: max(used.peak_mb for used in some) for name, some in taken.items()}
    rate = listing.rows / seconds["ours"]
    return {
        "form": listing.form,
        "rows": listing.rows,
        "seconds": seconds,
        "cpu_seconds": {name: statistics.median(used.cpu_seconds for used in some) for name, some in taken.items()},
        "rows_per_second": {name: listing.rows / took for name, took in seconds.items()},
        "peak_mb": peak,
        "ratio_to_ceiling": seconds["sqlite3"] / seconds["ours"] if "sqlite3" in seconds else None,
        "goals": [
            _goal("rows per second", GOAL_ROWS_PER_SECOND, rate, met=rate >= GOAL_ROWS_PER_SECOND),
            _goal("peak memory, MB", GOAL_PEAK_MB, peak["ours"], met=peak["ours"] <= GOAL_PEAK_MB),
        ],
        "skipped": {} if "sqlite3" in seconds else {"sqlite3": "there is no command of that name"},
        "machine": dict(machine.card()) | {"noise": {"quiet": noise.quiet, "spread": noise.spread, "load": noise.load}},
    }


def _goal(what: str, goal: float, measured: float, *, met: bool) -> dict[str, Any]:
    return {"what": what, "goal": goal, "measured": measured, "met": met}


def page(records: Sequence[Mapping[str, Any]]) -> str:
    """Return the results as a page in Markdown."""
    return "\n".join([*_lines(records), ""])


def _lines(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "# Importing into SQLite"
    yield ""
    yield "Written by `make bench-import`. Ours is the whole command, `hashmatch hashset import`; the ceiling is"
    yield "`sqlite3 .import` of the same columns into one table without an index, equally durable."
    yield ""
    yield "| form | rows | ours, rows/s | CPU s | peak MB | sqlite3, rows/s | CPU s | ours by ceiling | noise |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for record in records:
        rate, cpu = record["rows_per_second"], record["cpu_seconds"]
        ratio = "" if record["ratio_to_ceiling"] is None else f"{record['ratio_to_ceiling']:.2f}"
        yield (
            f"| {record['form']} | {record['rows']:,} | {rate['ours']:,.0f} | {cpu['ours']:.1f} | "
            f"{record['peak_mb']['ours']:.0f} | {rate.get('sqlite3', 0):,.0f} | {cpu.get('sqlite3', 0):.1f} | "
            f"{ratio} | "
            f"{record['machine']['noise']['spread']:.2f}, load {record['machine']['noise']['load']:.1f} |"
        )
    yield ""
    for record in records:
        for goal in record["goals"]:
            met = "met" if goal["met"] else "missed"
            yield (
                f"* {record['form']}, {record['rows']:,} rows: {goal['what']}: goal {goal['goal']:,}, "
                f"measured {goal['measured']:,.0f}: {met}"
            )


def to_text(records: Sequence[Mapping[str, Any]]) -> str:
    """Return the results as they are kept beside the page."""
    return json.dumps(list(records), indent=1) + "\n"
