"""An import that is killed leaves nothing; readers and other writers never notice an import."""

from __future__ import annotations

import io
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.exchange import delimited
from hashmatch.model import Entry, EntryHash, HarmDomain

ROWS = 30_000

IMPORT = """
import sys
from pathlib import Path
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.exchange import delimited

with SqliteCatalog.open(Path(sys.argv[1])) as catalog, open(sys.argv[2], "rb") as stream:
    print("importing", flush=True)
    catalog.import_entries("known", delimited.read(stream))
    print("imported", flush=True)
"""


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    rng = random.Random(7)
    path = tmp_path / "list.csv"
    lines = (f"pdq,{rng.randbytes(32).hex()},e{number}\n" for number in range(ROWS - 1_000))
    merged = (f"md5,{rng.randbytes(16).hex()},m{number % 500}\n" for number in range(1_000))
    path.write_text("algorithm,value,entry_id\n" + "".join([*lines, *merged]))
    return path


def importer(catalog: Path, listing: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", IMPORT, str(catalog), str(listing)], stdout=subprocess.PIPE)


def started(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == b"importing\n"


def holdings(catalog: SqliteCatalog) -> tuple[int, int, int]:
    described = catalog.get_set("known")
    changed = sum(change.entry is not None for change in catalog.changes(0))
    return described.entries, sum(1 for _ in catalog.entries("known")), changed


def kill_loop(tmp_path: Path, listing: Path, loops: int) -> set[int]:
    """Kill imports at moments spread over their whole length; return the counts found afterwards."""
    entries = ROWS - 500
    reference = tmp_path / "reference"
    with SqliteCatalog.open(reference) as catalog:
        catalog.create_set("known", HarmDomain.OTHER)
    process = importer(reference, listing)
    started(process)
    begin = time.monotonic()
    assert process.wait(60) == 0
    whole_s = time.monotonic() - begin
    assert process.stdout is not None
    process.stdout.close()
    found = set()
    for loop in range(loops):
        path = tmp_path / f"c{loop}"
        with SqliteCatalog.open(path) as catalog:
            catalog.create_set("known", HarmDomain.OTHER)
        process = importer(path, listing)
        started(process)
        time.sleep(whole_s * 1.1 * loop / max(loops - 1, 1))
        process.send_signal(signal.SIGKILL)
        said = process.communicate()[0]
        with SqliteCatalog.open(path) as catalog:
            catalog.verify()
            assert holdings(catalog) in {(0, 0, 0), (entries, entries, entries)}
            assert catalog.get_set("known").version == (2 if holdings(catalog)[0] else 1)
            if said:
                assert holdings(catalog)[0] == entries, "what was acknowledged is there"
            found.add(holdings(catalog)[0])
            with listing.open("rb") as stream:
                assert catalog.import_entries("known", delimited.read(stream)).hash_set.entries == entries
    return found


def test_kill_9_leaves_all_or_nothing(tmp_path: Path, listing: Path) -> None:
    assert 0 in kill_loop(tmp_path, listing, 6)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kill_9_leaves_all_or_nothing_a_hundred_times(tmp_path: Path, listing: Path) -> None:
    assert kill_loop(tmp_path, listing, 100) == {0, ROWS - 500}


def test_interrupting_leaves_nothing(tmp_path: Path, listing: Path) -> None:
    path = tmp_path / "c"
    with SqliteCatalog.open(path) as catalog:
        catalog.create_set("known", HarmDomain.OTHER)
    process = subprocess.Popen(
        [sys.executable, "-c", IMPORT, str(path), str(listing)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    started(process)
    process.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in process.communicate(timeout=30)[1]
    with SqliteCatalog.open(path) as catalog:
        assert holdings(catalog) == (0, 0, 0)


def test_readers_see_before_or_after_and_never_wait(tmp_path: Path, listing: Path) -> None:
    path = tmp_path / "c"
    with SqliteCatalog.open(path) as catalog:
        catalog.create_set("known", HarmDomain.OTHER)
        catalog.import_entries("known", [Entry("first", (EntryHash("md5", b"0123456789abcdef"),))])
        process = importer(path, listing)
        started(process)
        seen, slowest_s = set(), 0.0
        while process.poll() is None:
            begin = time.monotonic()
            described = catalog.get_set("known")
            slowest_s = max(slowest_s, time.monotonic() - begin)
            seen.add((described.version, described.entries))
            time.sleep(0.002)
        assert process.returncode == 0
        assert process.stdout is not None
        process.stdout.close()
        seen.add((catalog.get_set("known").version, catalog.get_set("known").entries))
        assert seen == {(2, 1), (3, ROWS - 500 + 1)}
        assert slowest_s < 2, "a reader waited for the writer"


def test_two_processes_import_into_one_set(tmp_path: Path, listing: Path) -> None:
    path = tmp_path / "c"
    other = tmp_path / "other.csv"
    other.write_text(re.sub(r",([em]\d+)\n", r",other-\1\n", listing.read_text()))
    with SqliteCatalog.open(path) as catalog:
        catalog.create_set("known", HarmDomain.OTHER)
        processes = [importer(path, listing), importer(path, other)]
        for process in processes:
            assert process.communicate(timeout=60)[0].endswith(b"imported\n")
        described = catalog.get_set("known")
        assert (described.version, described.entries) == (3, 2 * (ROWS - 500))
        sequences = [change.sequence for change in catalog.changes(0)]
        assert sequences == sorted(set(sequences))
        catalog.verify()


def test_two_processes_may_make_the_same_catalog(tmp_path: Path) -> None:
    code = "import sys, pathlib, hashmatch.catalog.sqlite as s; s.SqliteCatalog.open(pathlib.Path(sys.argv[1]))"
    for round_number in range(3):
        path = tmp_path / f"c{round_number}"
        processes = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(3)]
        assert [process.wait(60) for process in processes] == [0, 0, 0]
        with SqliteCatalog.open(path) as catalog:
            assert catalog.sets() == ()


def test_threads_read_while_one_imports(tmp_path: Path, listing: Path) -> None:
    data = listing.read_bytes()
    with SqliteCatalog.open(tmp_path / "c") as catalog:
        catalog.create_set("known", HarmDomain.OTHER)
        stop = threading.Event()
        seen: set[int] = set()
        errors: list[Exception] = []

        def follow() -> None:
            while not stop.is_set():
                try:
                    seen.add(sum(1 for _ in catalog.entries("known")))
                except Exception as error:  # noqa: BLE001 - whatever a thread meets must fail the test
                    errors.append(error)
                    return

        threads = [threading.Thread(target=follow) for _ in range(3)]
        for thread in threads:
            thread.start()
        catalog.import_entries("known", delimited.read(io.BytesIO(data)))
        stop.set()
        for thread in threads:
            thread.join()
        assert errors == []
        assert seen <= {0, ROWS - 500}


def test_memory_does_not_grow_with_the_import(tmp_path: Path) -> None:
    code = (
        "import sys, resource, random; from pathlib import Path\n"
        "from hashmatch.catalog.sqlite import SqliteCatalog\n"
        "from hashmatch.model import Entry, EntryHash, HarmDomain\n"
        "rng = random.Random(1)\n"
        "with SqliteCatalog.open(Path(sys.argv[1])) as catalog:\n"
        "    catalog.create_set('known', HarmDomain.OTHER)\n"
        "    rows = (Entry('', (EntryHash('pdq', rng.randbytes(32)),)) for _ in range(int(sys.argv[2])))\n"
        "    catalog.import_entries('known', rows)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    peaks_kib = [
        int(subprocess.check_output([sys.executable, "-c", code, str(tmp_path / str(count)), str(count)]))
        for count in (5_000, 100_000)
    ]
    assert peaks_kib[1] - peaks_kib[0] < 30_000, f"{peaks_kib} KiB; 100,000 rows are 10 MB of values and ids alone"
