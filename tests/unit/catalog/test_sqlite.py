"""What is particular to the SQLite catalog: the file, its versions, its damage, its plans."""

from __future__ import annotations

import gc
import random
import sqlite3
import stat
import time
import types
from pathlib import Path

import pytest

from hashmatch.catalog import connections, schema
from hashmatch.catalog.schema import APPLICATION_ID, migrations, statements
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.errors import CatalogCorrupt, CatalogUnavailable
from hashmatch.model import Entry, EntryHash, HarmDomain


def filled(path: Path, count: int = 500) -> None:
    with SqliteCatalog.open(path) as catalog:
        catalog.create_set("known", HarmDomain.OTHER)
        rows = [Entry("", (EntryHash("pdq", n.to_bytes(32, "big")),)) for n in range(1, count + 1)]
        catalog.import_entries("known", rows)


def test_the_file_is_private_in_wal_mode_and_marked(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "catalog.sqlite3"
    filled(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    raw = sqlite3.connect(path)
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert raw.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert raw.execute("PRAGMA user_version").fetchone() == (len(migrations()),)
    raw.close()


def test_a_file_that_another_process_makes_at_this_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite has no patience where the log is asked for and somebody is about to write."""
    path, waits = tmp_path / "c", list[float]()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(CatalogUnavailable, match=r"another process keeps .* locked"):
        SqliteCatalog.open(path, busy_timeout_s=0)

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        other.rollback()

    monkeypatch.setattr(connections, "time", types.SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
    with SqliteCatalog.open(path) as catalog:
        assert catalog.sets() == ()
    assert len(waits) == 1
    other.close()


def test_every_connection_commits_to_the_disk(tmp_path: Path) -> None:
    with SqliteCatalog.open(tmp_path / "c") as catalog:
        connection = catalog._connections.connect()
        full = 2
        assert connection.execute("PRAGMA synchronous").fetchone() == (full,)
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
        connection.close()


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    filled(tmp_path / "c")
    with SqliteCatalog.open(tmp_path / "c") as catalog:
        assert catalog.get_set("known").entries == 500
        catalog.verify()


def test_a_catalog_of_a_newer_hashmatch_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "c"
    filled(path)
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(
        CatalogCorrupt, match=r"c has catalog version 99; this hashmatch knows versions up to \d+: upgrade"
    ):
        SqliteCatalog.open(path)
    raw = sqlite3.connect(path)
    assert raw.execute("SELECT count(*) FROM entry").fetchone() == (500,)
    raw.close()


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c"
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE bookmarks (url TEXT)")
    raw.close()
    with pytest.raises(CatalogCorrupt, match="c is an SQLite database, but not a hashmatch catalog; give another path"):
        SqliteCatalog.open(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_bytes(b"\x89PNG\r\n" * 200)
    with pytest.raises(CatalogCorrupt, match=r"c is damaged .*: restore it from a backup, or move it away and import"):
        SqliteCatalog.open(path)
    assert path.read_bytes() == b"\x89PNG\r\n" * 200


def test_a_damaged_page_is_reported_wherever_it_is_met(tmp_path: Path) -> None:
    path = tmp_path / "c"
    filled(path, 2_000)
    page = 4_096
    content = bytearray(path.read_bytes())
    reported = 0
    for number in range(1, len(content) // page):
        broken = content.copy()
        broken[number * page : number * page + 64] = random.Random(number).randbytes(64)
        path.write_bytes(broken)
        with pytest.raises(CatalogCorrupt, match=r"damaged|claims"), SqliteCatalog.open(path) as catalog:  # noqa: PT012
            catalog.verify()
            pytest.fail(f"page {number} is not missed by anyone")
        reported += 1
    assert reported > 50


def test_a_row_that_hashmatch_never_writes_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "c"
    filled(path, 1)
    for statement in (
        "UPDATE entry SET labels = '[7]'",
        "UPDATE entry SET labels = '{'",
        "UPDATE entry SET labels = '', opinions = '[7]'",
        """UPDATE entry SET opinions = '[["o", "up", "", 0, ""]]'""",
        "UPDATE entry SET opinions = '', received_at_us = 9223372036854775807",
    ):
        raw = sqlite3.connect(path)
        raw.execute(statement)
        raw.commit()
        raw.close()
        with SqliteCatalog.open(path) as catalog, pytest.raises(CatalogCorrupt, match="row of an entry is damaged"):
            list(catalog.entries("known"))
    raw = sqlite3.connect(path)
    raw.execute("UPDATE hash_set SET domain = 'cats'")
    raw.commit()
    raw.close()
    with SqliteCatalog.open(path) as catalog, pytest.raises(CatalogCorrupt, match="row of set 'known' is damaged"):
        catalog.sets()


def test_verify_counts_again(tmp_path: Path) -> None:
    path = tmp_path / "c"
    filled(path, 5)
    raw = sqlite3.connect(path)
    raw.execute("UPDATE hash_set SET entries = 4")
    raw.commit()
    raw.close()
    message = "set 'known' claims 4 entries and 0 withdrawn, but holds 5 and 0"
    with SqliteCatalog.open(path) as catalog, pytest.raises(CatalogCorrupt, match=message):
        catalog.verify()


def test_history_cannot_be_rewritten_even_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "c"
    filled(path, 5)
    with SqliteCatalog.open(path) as catalog:
        catalog.withdraw("known", next(catalog.entries("known")).entry_id, reason="r", actor="a")
    raw = sqlite3.connect(path)
    for statement, said in (
        ("DELETE FROM entry", "entries are withdrawn, never deleted"),
        ("DELETE FROM event", "events are never deleted"),
        ("UPDATE event SET actor = 'nobody'", "events are never changed"),
    ):
        with pytest.raises(sqlite3.IntegrityError, match=said):
            raw.execute(statement)
    raw.close()


def test_a_path_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(CatalogUnavailable, match=r"cannot open .*: Is a directory"):
        SqliteCatalog.open(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(CatalogUnavailable, match=r"cannot open .*: (File exists|Not a directory)"):
        SqliteCatalog.open(tmp_path / "file" / "c")


def test_a_catalog_that_another_process_keeps_locked_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "c"
    filled(path, 5)
    other = sqlite3.connect(path, isolation_level=None)
    with SqliteCatalog.open(path, busy_timeout_s=0.05) as catalog:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CatalogUnavailable, match=r"another process keeps .* locked; try again when its import has"):
            catalog.create_set("more", HarmDomain.OTHER)
        assert catalog.get_set("known").entries == 5, "reading goes on"
        other.execute("ROLLBACK")
        assert catalog.create_set("more", HarmDomain.OTHER).version == 1
    other.close()


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c"
    filled(path, 100)
    monkeypatch.setattr(connections, "_PRAGMAS", (*connections._PRAGMAS, "max_page_count = 60"))
    with SqliteCatalog.open(path) as catalog:
        rows = (Entry("", (EntryHash("md5", n.to_bytes(16, "big")),)) for n in range(5_000))
        with pytest.raises(CatalogUnavailable, match=r"c: database or disk is full; check free space and permissions"):
            catalog.import_entries("known", rows)
        assert (catalog.get_set("known").version, catalog.get_set("known").entries) == (2, 100)
        catalog.verify()


def test_a_dropped_stream_gives_its_connection_back(tmp_path: Path) -> None:
    path = tmp_path / "c"
    filled(path, 3_000)
    with SqliteCatalog.open(path) as catalog:
        stream = catalog.entries("known")
        next(stream)
        assert repr(stream) == "Stream(open)"
        del stream
        gc.collect()
        assert len(catalog._connections._idle) == 1
        with catalog.entries("known") as stream:
            next(stream)
        assert repr(stream) == "Stream(closed)"
        assert list(stream) == []
        catalog.create_set("more", HarmDomain.OTHER)
        assert [item.name for item in catalog.sets()] == ["known", "more"], "a reused connection sees the present"


def test_repr_shows_path_and_state(tmp_path: Path) -> None:
    catalog = SqliteCatalog.open(tmp_path / "c")
    assert repr(catalog) == f"SqliteCatalog(Connections('{tmp_path / 'c'}', 0 idle))"
    catalog.close()
    assert "closed" in repr(catalog)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("entries_of_set", (1,)), ("entries_since", (1,)), ("entry_by_key", (1,)), ("rest", ())],
)
def test_streaming_statements_sort_nothing(tmp_path: Path, name: str, parameters: tuple[int, ...]) -> None:
    filled(tmp_path / "c", 50)
    raw = sqlite3.connect(tmp_path / "c")
    for table in ("create_facts", "create_rest"):
        raw.execute(statements()[table])
    plan = [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statements()[name]}", parameters)]
    raw.close()
    assert len(plan) == 2
    assert not any("TEMP B-TREE" in step for step in plan), plan


def test_the_depths_of_the_outbox_are_counted_in_an_index_of_what_is_open(tmp_path: Path) -> None:
    SqliteCatalog.open(tmp_path / "c").close()
    raw = sqlite3.connect(tmp_path / "c")
    plan = [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statements()['outbox_depths']}")]
    raw.close()
    assert plan == ["SCAN delivery USING COVERING INDEX delivery_open"]


def test_every_statement_is_used_and_described() -> None:
    folder = Path(schema.__file__).parent
    users = [*folder.glob("*.py"), *(folder.parent / "cases").glob("*.py"), *(folder.parent / "outbox").glob("*.py")]
    code = "".join(path.read_text(encoding="utf-8") for path in users)
    text = "".join((folder / "sql" / name).read_text(encoding="utf-8") for name in schema.STATEMENTS)
    for name, statement in statements().items():
        assert f'"{name}"' in code, f"nobody runs {name}"
        assert statement.rstrip().endswith(";")
        assert f"-- name: {name}\n-- " in text, f"{name} has no description"


def test_migrations_are_numbered_without_a_gap() -> None:
    folder = Path(schema.__file__).parent / "sql"
    numbers = sorted(int(path.name[:4]) for path in folder.glob("[0-9]*.sql"))
    assert numbers == list(range(1, len(migrations()) + 1))


def test_a_catalog_from_before_views_is_brought_to_this_version(tmp_path: Path) -> None:
    path = tmp_path / "c"
    old = sqlite3.connect(path)
    old.executescript(migrations()[0])
    old.execute(
        "INSERT INTO hash_set VALUES (1, 'id', 'known', 'other', '', '', '', '', '', 'enforced', 2, 1, 0, 0, 1)"
    )
    old.execute("INSERT INTO entry VALUES (1, 1, 'a', 'active', '', '', '', '', '', 0, 2)")
    old.execute("INSERT INTO value VALUES (1, 'pdq', ?, 90)", (b"\x01" * 32,))
    old.execute("UPDATE catalog SET sequence = 2")
    old.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    old.execute("PRAGMA user_version = 1")
    old.commit()
    old.close()
    cropped = EntryHash("pdq", b"\x02" * 32, 80, "crop-left-3")
    with SqliteCatalog.open(path) as catalog:
        (entry,) = catalog.entries("known")
        assert entry.hashes == (EntryHash("pdq", b"\x01" * 32, 90, ""),)
        result = catalog.import_entries("known", [Entry("a", (cropped,)), Entry("b", (cropped,))])
        assert (result.added, result.updated) == (1, 1)
        catalog.verify()
    with SqliteCatalog.open(path) as catalog:
        one, two = catalog.entries("known")
        assert one.hashes == (EntryHash("pdq", b"\x01" * 32, 90, ""), cropped)
        assert two.hashes == (cropped,)


def test_a_failing_migration_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c"
    filled(path, 3)
    broken = (*migrations(), "CREATE TABLE extra (a INTEGER) STRICT;\nCREATE TABLE extra (a INTEGER) STRICT;\n")
    monkeypatch.setattr(schema, "migrations", lambda: broken)
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        SqliteCatalog.open(path)
    monkeypatch.undo()
    with SqliteCatalog.open(path) as catalog:
        catalog.verify()
        assert catalog.get_set("known").entries == 3
