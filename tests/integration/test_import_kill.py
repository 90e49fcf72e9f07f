"""An import that is killed leaves nothing; readers and other writers never notice an import."""

from __future__ import annotations

import io
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
from tests.support.importing import ENTRIES, holdings, importer, write_listing

PATIENCE_S = 300


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    return write_listing(tmp_path / "list.csv")


def fresh(path: Path) -> Path:
    """Make a catalog with an empty set."""
    with SqliteCatalog.open(path) as catalog:
        catalog.create_set("known", HarmDomain.OTHER)
    return path


def killed(path: Path, process: subprocess.Popen[bytes], listing: Path) -> int:
    """Kill an import; return how many entries it left, which is none or all, and import again."""
    with process:
        process.kill()
        said, _ = process.communicate(timeout=PATIENCE_S)
    with SqliteCatalog.open(path) as catalog:
        catalog.verify()
        left = holdings(catalog)
        assert left in {(0, 0, 0), (ENTRIES, ENTRIES, ENTRIES)}
        assert catalog.get_set("known").version == (2 if left[0] else 1)
        if said:
            assert left[0] == ENTRIES, "what was acknowledged is there"
        with listing.open("rb") as stream:
            assert catalog.import_entries("known", delimited.read_rows(stream)).hash_set.entries == ENTRIES
    return left[0]


def kill_loop(tmp_path: Path, listing: Path, loops: int) -> None:
    """Kill imports at moments spread over their whole length."""
    with importer(fresh(tmp_path / "reference"), listing) as process:
        begin = time.monotonic()
        process.communicate(timeout=PATIENCE_S)
        whole_s = time.monotonic() - begin
    for loop in range(loops):
        path = fresh(tmp_path / f"c{loop}")
        process = importer(path, listing)
        time.sleep(whole_s * 1.1 * loop / max(loops - 1, 1))
        killed(path, process, listing)


@pytest.mark.parametrize("read", ["read", "read_rows"])
@pytest.mark.parametrize("halt_in", ["reading", "storing"])
def test_an_import_that_is_killed_midway_leaves_nothing(tmp_path: Path, listing: Path, halt_in: str, read: str) -> None:
    path = fresh(tmp_path / "c")
    assert killed(path, importer(path, listing, halt_in, read), listing) == 0


def test_an_import_that_is_killed_after_its_end_leaves_everything(tmp_path: Path, listing: Path) -> None:
    path = fresh(tmp_path / "c")
    process = importer(path, listing)
    assert process.wait(PATIENCE_S) == 0
    assert killed(path, process, listing) == ENTRIES


def test_kill_9_leaves_all_or_nothing(tmp_path: Path, listing: Path) -> None:
    kill_loop(tmp_path, listing, 4)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_kill_9_leaves_all_or_nothing_a_hundred_times(tmp_path: Path, listing: Path) -> None:
    kill_loop(tmp_path, listing, 100)


@pytest.mark.parametrize("halt_in", ["reading", "storing"])
def test_interrupting_leaves_nothing(tmp_path: Path, listing: Path, halt_in: str) -> None:
    path = fresh(tmp_path / "c")
    with importer(path, listing, halt_in) as process:
        process.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in process.communicate(timeout=PATIENCE_S)[1]
    with SqliteCatalog.open(path) as catalog:
        assert holdings(catalog) == (0, 0, 0)


def test_readers_see_before_or_after_and_never_wait(tmp_path: Path, listing: Path) -> None:
    with SqliteCatalog.open(fresh(tmp_path / "c")) as catalog:
        catalog.import_entries("known", [Entry("first", (EntryHash("md5", b"0123456789abcdef"),))])

        def described() -> tuple[int, int]:
            known = catalog.get_set("known")
            return known.version, known.entries

        with importer(tmp_path / "c", listing, "storing") as process:
            assert described() == (2, 1), "whoever waited for the writer would wait for ever"
            assert process.stdin is not None
            process.stdin.close()
            seen = {described()}
            while process.poll() is None:
                seen.add(described())
                time.sleep(0.002)
        assert process.returncode == 0
        assert seen <= {(2, 1), (3, ENTRIES + 1)}
        assert described() == (3, ENTRIES + 1)


def test_two_processes_import_into_one_set(tmp_path: Path, listing: Path) -> None:
    path = tmp_path / "c"
    other = tmp_path / "other.csv"
    other.write_text(re.sub(r",([em]\d+)\n", r",other-\1\n", listing.read_text()))
    with SqliteCatalog.open(fresh(path)) as catalog:
        for process in [importer(path, listing), importer(path, other)]:
            with process:
                assert process.communicate(timeout=PATIENCE_S)[0] == b"imported\n"
        described = catalog.get_set("known")
        assert (described.version, described.entries) == (3, 2 * ENTRIES)
        sequences = [change.sequence for change in catalog.changes(0)]
        assert sequences == sorted(set(sequences))
        catalog.verify()


def test_two_processes_may_make_the_same_catalog(tmp_path: Path) -> None:
    code = "import sys, pathlib, hashmatch.catalog.sqlite as s; s.SqliteCatalog.open(pathlib.Path(sys.argv[1]))"
    for round_number in range(3):
        path = tmp_path / f"c{round_number}"
        processes = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(3)]
        assert [process.wait(PATIENCE_S) for process in processes] == [0, 0, 0]
        with SqliteCatalog.open(path) as catalog:
            assert catalog.sets() == ()


def test_threads_read_while_one_imports(tmp_path: Path, listing: Path) -> None:
    data = listing.read_bytes()
    with SqliteCatalog.open(fresh(tmp_path / "c")) as catalog:
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
        assert seen <= {0, ENTRIES}


def test_memory_does_not_grow_with_the_import(tmp_path: Path) -> None:
    code = (
        "import sys, random; from pathlib import Path\n"
        "from hashmatch.catalog.sqlite import SqliteCatalog\n"
        "from hashmatch.model import Entry, EntryHash, HarmDomain\n"
        "rng = random.Random(1)\n"
        "with SqliteCatalog.open(Path(sys.argv[1])) as catalog:\n"
        "    catalog.create_set('known', HarmDomain.OTHER)\n"
        "    rows = (Entry('', (EntryHash('pdq', rng.randbytes(32)),)) for _ in range(int(sys.argv[2])))\n"
        "    catalog.import_entries('known', rows)\n"
        "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])\n"
    )
    peaks_kib = [
        int(subprocess.check_output([sys.executable, "-c", code, str(tmp_path / str(count)), str(count)]))
        for count in (5_000, 100_000)
    ]
    assert peaks_kib[1] - peaks_kib[0] < 30_000, f"{peaks_kib} KiB; 100,000 rows are 10 MB of values and ids alone"
