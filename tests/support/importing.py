"""An import in a process of its own, to be killed: a list to import, the process, and what it left.

Run as a module it imports ``LISTING`` into the set ``known`` of ``PLACE``, the path of a SQLite file or the address of
a PostgreSQL, and halts once, in the middle of reading or of storing (that is, of its transaction) if asked to, until
stdin has a line or ends. It prints ``importing``, the work that it halts in, and ``imported``.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

from hashmatch.catalog.postgres import PostgresCatalog
from hashmatch.catalog.relational import RelationalCatalog
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.exchange import delimited
from hashmatch.progress import SilentProgress
from hashmatch.sections import CatalogConfig
from tests.support.postgres import PATIENT

ROWS = 30_000
ENTRIES = ROWS - 500
"""Some entries have two rows, which meet in ``merge``."""


class Halting(SilentProgress):
    """Halts once in the work of that name."""

    def __init__(self, halt_in: str) -> None:
        self._halt_in = halt_in
        self._work = ""

    def start(self, description: str, total: int | None, unit: str = "items") -> None:
        """Remember the first word."""
        del total, unit
        self._work = description.partition(" ")[0]

    def advance(self, done: int) -> None:
        """Halt if it is time to."""
        del done
        if self._work == self._halt_in:
            self._halt_in = "none"
            _say(self._work)
            sys.stdin.readline()


def write_listing(path: Path) -> Path:
    """Write a list of ``ROWS`` rows that make ``ENTRIES`` entries."""
    rng = random.Random(7)
    lines = (f"pdq,{rng.randbytes(32).hex()},e{number}\n" for number in range(ROWS - 1_000))
    merged = (f"md5,{rng.randbytes(16).hex()},m{number % 500}\n" for number in range(1_000))
    path.write_text("algorithm,value,entry_id\n" + "".join([*lines, *merged]))
    return path


def importer(place: Path | str, listing: Path, halt_in: str = "", read: str = "read_rows") -> subprocess.Popen[bytes]:
    """Start an import, in blocks or row by row (``read``); return once it has begun or, where asked for, halted."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "tests.support.importing", str(place), str(listing), halt_in, read]
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdout is not None
    assert process.stdout.readline() == b"importing\n"
    if halt_in:
        assert process.stdout.readline() == f"{halt_in}\n".encode()
    return process


def holdings(catalog: RelationalCatalog) -> tuple[int, int, int]:
    """Return how many entries the set says it has, how many it has, and of how many the change feed tells."""
    described = catalog.get_set("known")
    changed = sum(change.entry is not None for change in catalog.changes(0))
    return described.entries, sum(1 for _ in catalog.entries("known")), changed


def _open(place: str) -> RelationalCatalog:
    if "://" in place:
        return PostgresCatalog.open(CatalogConfig(url=place, **PATIENT))
    return SqliteCatalog.open(Path(place))


def _say(word: str) -> None:
    print(word, flush=True)  # noqa: T201  the parent reads it


def main() -> None:
    """Import what the arguments name."""
    place, listing, halt_in, read = sys.argv[1:]
    with _open(place) as catalog, open(listing, "rb") as stream:  # noqa: PTH123
        _say("importing")
        catalog.import_entries("known", getattr(delimited, read)(stream), progress=Halting(halt_in))
        _say("imported")


if __name__ == "__main__":
    main()
