"""Older catalog files, filled, are brought to this version with all that is in them."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
from pathlib import Path

import pytest

from hashmatch.catalog import schema
from hashmatch.catalog.schema import migrate, migrations
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.errors import CatalogCorrupt
from hashmatch.model import Entry, EntryHash, EntryStatus, Label, Opinion, Provenance, Stance

ENTRIES = 3_000
STATUSES = ("active", "disputed", "withdrawn")


def at_version(path: Path, version: int) -> sqlite3.Connection:
    """Make an empty catalog file as an older hashmatch made it; the caller fills, commits and closes it."""
    old = sqlite3.connect(path)
    for text in migrations()[:version]:
        old.executescript(text)
    old.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    old.execute(f"PRAGMA user_version = {version}")
    return old


def filled_version_2(path: Path) -> None:
    old = at_version(path, 2)
    live, gone = ENTRIES - ENTRIES // 3, ENTRIES // 3
    old.execute(
        "INSERT INTO hash_set VALUES (7, 'id-7', 'known', 'csam', 'o', 's', 'DE', 't', 'd', 'shadow', 4, ?, ?, 11, 1)",
        (live, gone),
    )
    labels = '[["ncmec", "2022", "A1"]]'
    old.executemany(
        "INSERT INTO entry VALUES (?, 7, ?, ?, 'why', ?, 'src', 'v1', ?, ?, ?)",
        [(n * 2 + 1, f"e{n:05}", STATUSES[n % 3], labels, f"x{n}", n, n + 2) for n in range(ENTRIES)],
    )
    values = [
        (n * 2 + 1, name, bytes([n % 251 + 1]) * 16 + bytes(16), 90, "") for n in range(ENTRIES) for name in ("pdq",)
    ]
    old.executemany("INSERT INTO value VALUES (?, ?, ?, ?, ?)", values)
    events = [(n, 7, n * 2 + 1, n, "ann", "why", "active", STATUSES[n % 3], 3) for n in range(1, ENTRIES)]
    old.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", events)
    old.execute("UPDATE catalog SET sequence = ?", (ENTRIES + 2,))
    old.commit()
    old.close()


def structure(path: Path) -> list[tuple[str, str, str]]:
    raw = sqlite3.connect(path)
    found = raw.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").fetchall()
    raw.close()
    return found


def test_a_filled_catalog_of_version_2_keeps_everything(tmp_path: Path) -> None:
    path = tmp_path / "c"
    filled_version_2(path)
    with SqliteCatalog.open(path) as catalog:
        catalog.verify()
        entries = list(catalog.entries("known"))
        assert len(entries) == ENTRIES
        for n, entry in enumerate(entries):
            received = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=n)
            assert entry == Entry(
                f"e{n:05}",
                (EntryHash("pdq", bytes([n % 251 + 1]) * 16 + bytes(16), 90),),
                (Label("ncmec", "2022", "A1"),),
                Provenance("src", "v1", f"x{n}", received),
                EntryStatus(STATUSES[n % 3]),
                "why",
            )
        (event,) = catalog.history("known", "e00007")
        assert (event.actor, event.before, event.after, event.who, event.said_at) == (
            "ann",
            "active",
            "disputed",
            "",
            None,
        )
        described = catalog.get_set("known")
        assert (described.version, described.list_version, described.received_at) == (4, "", None)
        assert catalog.sequence() == ENTRIES + 2
        assert sum(1 for _ in catalog.changes(1)) == ENTRIES


def test_a_migrated_catalog_has_the_structure_of_a_new_one_and_works_like_it(tmp_path: Path) -> None:
    filled_version_2(tmp_path / "old")
    SqliteCatalog.open(tmp_path / "new").close()
    with SqliteCatalog.open(tmp_path / "old") as catalog:
        assert structure(tmp_path / "old") == structure(tmp_path / "new")
        assert catalog._connections.connect().execute("PRAGMA foreign_keys").fetchone() == (1,)
        catalog.quarantine("known", "e00000", reason="r", actor="a")
        catalog.vote("known", "e00000", Opinion("o", Stance.AGREE, "r"), actor="a")
        assert catalog.import_entries("known", [Entry("new", (EntryHash("md5", b"\x01" * 16),))]).added == 1
        catalog.verify()
    raw = sqlite3.connect(tmp_path / "old")
    for statement, said in (
        ("DELETE FROM entry", "entries are withdrawn, never deleted"),
        ("DELETE FROM event", "events are never deleted"),
        ("UPDATE event SET who = 'nobody'", "events are never changed"),
        ("UPDATE entry SET status = 'gone'", "CHECK constraint failed"),
        ("UPDATE entry SET sequence = 5", "UNIQUE constraint failed"),
    ):
        with pytest.raises(sqlite3.IntegrityError, match=said):
            raw.execute(statement)
    raw.close()


def test_dangling_references_stop_a_migration_and_leave_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "c"
    filled_version_2(path)
    raw = sqlite3.connect(path)
    raw.execute("INSERT INTO value VALUES (2, 'pdq', x'01', 1, '')")
    raw.commit()
    raw.close()
    before = structure(path)
    with pytest.raises(CatalogCorrupt, match="holds entries of sets that do not exist: restore it from a backup"):
        SqliteCatalog.open(path)
    assert structure(path) == before
    raw = sqlite3.connect(path)
    assert raw.execute("PRAGMA user_version").fetchone() == (2,)
    raw.close()


def test_a_catalog_that_another_process_makes_meanwhile_is_looked_at_as_of_one_moment(tmp_path: Path) -> None:
    path, made = tmp_path / "c", list[str]()

    def look(statement: str) -> None:
        if "user_version" in statement and not made:
            made.append(statement)
            with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
                migrate(other, path)

    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.set_trace_callback(look)
        migrate(connection, path)
        assert made
        assert connection.execute("PRAGMA user_version").fetchone() == (len(migrations()),)
