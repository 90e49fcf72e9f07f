"""What only the PostgreSQL catalog does: migrations, locks, lost connections, announcements, errors with remedies."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from hashmatch.catalog import postgres_schema
from hashmatch.catalog.postgres import PostgresCatalog
from hashmatch.catalog.postgres_connections import Connections
from hashmatch.catalog.postgres_listening import Listener
from hashmatch.config import CatalogConfig, load
from hashmatch.errors import BadConfig, CatalogCorrupt, CatalogUnavailable
from hashmatch.model import Entry, EntryStatus, HarmDomain
from tests.support.catalog import WHY, filled, md5, pdq
from tests.support.postgres import PASSWORD, PATIENCE_S, Server


@pytest.fixture
def catalog(database: CatalogConfig) -> Iterator[PostgresCatalog]:
    with PostgresCatalog.open(database) as opened:
        yield opened


def name_of(database: CatalogConfig) -> str:
    return database.url.rpartition("/")[2]


# --- migrations --------------------------------------------------------------------------------------------------


def test_migrations_lead_forward_on_data(database: CatalogConfig, postgres: Server) -> None:
    connections = Connections(database)
    with connections.working() as connection:
        postgres_schema.migrate(connection, "here", make=True, known=postgres_schema.migrations()[:1])
    with PostgresCatalog(Connections(database, postgres_schema.statements()["lock"])) as old:
        filled(old)
        old.withdraw("known", "e1", **WHY)
        before = list(old.entries("known")), old.history("known", "e1"), old.counts()
    with PostgresCatalog.open(database) as migrated:
        assert (list(migrated.entries("known")), migrated.history("known", "e1"), migrated.counts()) == before
        migrated.verify()
        with postgres.connect(name_of(database)) as listener:
            listener.execute("LISTEN hashmatch")
            migrated.dispute("known", "e2", **WHY)
            (said,) = listener.notifies(timeout=PATIENCE_S, stop_after=1)
            assert said.payload == str(migrated.sequence()), "what migration 2 is for"
    connections.close()


def test_many_that_start_at_once_migrate_once(database: CatalogConfig, postgres: Server) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            PostgresCatalog.open(database).close()
        except BaseException as error:  # noqa: BLE001  reported by the test
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with postgres.connect(name_of(database)) as connection:
        ran = connection.execute("SELECT version FROM hashmatch.schema_version ORDER BY version").fetchall()
    assert ran == [(number + 1,) for number in range(len(postgres_schema.migrations()))]


def test_a_migration_that_fails_leaves_nothing(database: CatalogConfig) -> None:
    connections = Connections(database)
    known = (postgres_schema.migrations()[0], "SELECT 1 / 0")
    with connections.working() as connection, pytest.raises(psycopg.errors.DivisionByZero):
        postgres_schema.migrate(connection, "here", make=True, known=known)
    connections.close()
    PostgresCatalog.open(database).close()


def test_what_a_newer_hashmatch_wrote_is_refused(
    catalog: PostgresCatalog, database: CatalogConfig, postgres: Server
) -> None:
    catalog.close()
    with postgres.connect(name_of(database)) as connection:
        connection.execute("INSERT INTO hashmatch.schema_version VALUES (99, now())")
    with pytest.raises(CatalogCorrupt, match="has catalog version 99; this hashmatch knows versions up to"):
        PostgresCatalog.open(database)


def test_a_schema_of_something_else_is_not_touched(database: CatalogConfig, postgres: Server) -> None:
    with postgres.connect(name_of(database)) as connection:
        connection.execute("CREATE SCHEMA hashmatch; CREATE TABLE hashmatch.something (x int)")
    with pytest.raises(CatalogCorrupt, match="holds tables of something else"):
        PostgresCatalog.open(database)


# --- what is kept, whoever writes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("DELETE FROM hashmatch.entry", "entries are withdrawn, never deleted"),
        ("TRUNCATE hashmatch.entry CASCADE", "entries are withdrawn, never deleted|events are never changed"),
        ("DELETE FROM hashmatch.event", "events are never changed or deleted"),
        ("UPDATE hashmatch.event SET actor = 'me'", "events are never changed or deleted"),
        ("DELETE FROM hashmatch.hash_set", "sets are never deleted and keep their key"),
        ("TRUNCATE hashmatch.hash_set CASCADE", "are (withdrawn, )?never (deleted|changed)"),
        ("UPDATE hashmatch.entry SET entry_key = entry_key + 9", "entries keep their key and their set"),
        ("UPDATE hashmatch.value SET entry_key = entry_key + 9", "values keep their entry"),
    ],
)
def test_nothing_is_deleted_even_by_hand(
    catalog: PostgresCatalog, database: CatalogConfig, postgres: Server, statement: str, why: str
) -> None:
    filled(catalog).withdraw("known", "e1", **WHY)
    with postgres.connect(name_of(database)) as connection, pytest.raises(psycopg.errors.RaiseException, match=why):
        connection.execute(statement.encode())


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        (
            "INSERT INTO hashmatch.value (entry_key, algorithm, value) VALUES (1, 'pdq', '1'), (99, 'pdq', '2')",
            "values of an entry that does not exist",
        ),
        (
            (
                "CREATE TEMP TABLE moved AS SELECT * FROM hashmatch.entry; UPDATE moved SET entry_key = entry_key + 9, "
                "sequence = sequence + 9, set_key = 99; INSERT INTO hashmatch.entry SELECT * FROM moved"
            ),
            "entries of a set that does not exist",
        ),
    ],
)
def test_nothing_refers_to_what_does_not_exist(
    catalog: PostgresCatalog, database: CatalogConfig, postgres: Server, statement: str, why: str
) -> None:
    filled(catalog)
    refused = pytest.raises(psycopg.errors.ForeignKeyViolation, match=why)
    with postgres.connect(name_of(database)) as connection, refused:
        connection.execute(statement.encode())
    catalog.verify()


def test_verifying_finds_what_does_not_add_up(
    catalog: PostgresCatalog, database: CatalogConfig, postgres: Server
) -> None:
    filled(catalog)
    catalog.verify()
    with postgres.connect(name_of(database)) as connection:
        connection.execute("UPDATE hashmatch.hash_set SET entries = 7")
    with pytest.raises(CatalogCorrupt, match="set 'known' claims 7 entries and 0 withdrawn, but holds 3 and 0"):
        catalog.verify()


# --- order of visibility -------------------------------------------------------------------------------------------


def test_a_change_that_commits_late_is_not_skipped(catalog: PostgresCatalog) -> None:
    """A writer that was given a number keeps all others out until its change can be seen."""
    filled(catalog)
    seen: list[int] = []
    stop = threading.Event()

    def follow() -> None:
        since = 0
        while not stop.is_set() or since < catalog.sequence():
            for change in catalog.changes(since):
                assert change.sequence > since
                since = change.sequence
                if change.entry:
                    seen.append(change.sequence)

    follower = threading.Thread(target=follow)
    follower.start()
    writers = [
        threading.Thread(
            target=lambda base=base: [
                catalog.import_entries("known", [Entry(f"{base}-{n}", (pdq(base * 1_000 + n + 10),))])
                for n in range(10)
            ]
        )
        for base in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    stop.set()
    follower.join()
    assert seen == list(range(2, 2 + 3 + 40)), "set 1, three entries, forty more: each once, none missing"


def test_a_write_that_waits_too_long_says_for_what(database: CatalogConfig, postgres: Server) -> None:
    hurried = dataclasses.replace(database, lock_timeout_s=1)
    with PostgresCatalog.open(hurried) as catalog, postgres.connect(name_of(database)) as other:
        catalog.create_set("known", HarmDomain.OTHER)
        other.execute("BEGIN; SELECT sequence FROM hashmatch.catalog FOR UPDATE")
        with pytest.raises(CatalogUnavailable, match="another process keeps the catalog locked; try again"):
            catalog.create_set("other", HarmDomain.OTHER)
        other.execute("ROLLBACK")
        catalog.create_set("other", HarmDomain.OTHER)


# --- the plain case inside the database ------------------------------------------------------------------------------


def test_entries_with_several_values_are_plain_too_and_repeated_values_are_not(catalog: PostgresCatalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    rows = [
        Entry("both", (pdq(1, 80), md5(1))),
        Entry("twice", (pdq(2, 60), pdq(2, 90))),
        Entry("gone", (pdq(3),), status=EntryStatus.WITHDRAWN, status_reason="a test"),
        Entry("one", (md5(4),)),
    ]
    result = catalog.import_entries("known", rows)
    assert (result.added, result.hash_set.entries, result.hash_set.withdrawn) == (4, 3, 1)
    found = {entry.entry_id: entry.hashes for entry in catalog.entries("known")}
    assert found == {"both": (md5(1), pdq(1, 80)), "gone": (pdq(3),), "one": (md5(4),), "twice": (pdq(2, 90),)}
    catalog.verify()


# --- connections ---------------------------------------------------------------------------------------------------


def test_connections_that_broke_are_replaced_without_an_error(
    catalog: PostgresCatalog, database: CatalogConfig, postgres: Server
) -> None:
    filled(catalog)
    with postgres.connect() as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 300000) FROM pg_stat_activity WHERE datname = %s", (name_of(database),)
        )
    assert catalog.get_set("known").entries == 3
    with postgres.connect() as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 300000) FROM pg_stat_activity WHERE datname = %s", (name_of(database),)
        )
    catalog.withdraw("known", "e1", **WHY)


def test_a_stream_whose_connection_breaks_says_so(
    catalog: PostgresCatalog, database: CatalogConfig, postgres: Server
) -> None:
    filled(catalog, 5_000)
    with catalog.entries("known") as entries:
        next(entries)
        with postgres.connect() as other:
            other.execute(
                "SELECT pg_terminate_backend(pid, 300000) FROM pg_stat_activity WHERE datname = %s",
                (name_of(database),),
            )
        with pytest.raises(CatalogUnavailable, match="check that PostgreSQL runs"):
            list(entries)
    assert sum(1 for _ in catalog.entries("known")) == 5_000


def test_so_many_connections_and_no_more(database: CatalogConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    few = dataclasses.replace(database, connections=4)
    with PostgresCatalog.open(few) as catalog:
        filled(catalog)
        streams = [catalog.entries("known") for _ in range(4)]
        with monkeypatch.context() as hurried:
            hurried.setattr(catalog._connections, "_config", dataclasses.replace(few, connect_timeout_s=1))
            with pytest.raises(CatalogUnavailable, match=r"all 4 connections .* raise catalog\.connections"):
                catalog.sets()
        streams.pop().close()
        assert len(catalog.sets()) == 1
        for stream in streams:
            stream.close()


def test_a_wrong_password_is_not_repeated(database: CatalogConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "quite-another-word")
    with pytest.raises(CatalogUnavailable, match="put the password into PGPASSWORD or into the file") as caught:
        PostgresCatalog.open(database)
    assert "quite-another-word" not in caught.value.message


def test_a_password_file_serves_as_well(
    database: CatalogConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pass").write_text(f"*:*:*:*:{PASSWORD}\n")
    (tmp_path / "pass").chmod(0o600)
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pass"))
    with PostgresCatalog.open(database) as catalog:
        assert catalog.sets() == ()


def test_a_database_that_is_not_there_is_named(database: CatalogConfig) -> None:
    missing = dataclasses.replace(database, url=database.url + "_missing")
    with pytest.raises(CatalogUnavailable, match=r"make the database \(createdb\), or correct catalog\.url"):
        PostgresCatalog.open(missing)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("mysql://h@127.0.0.1/x", "expected postgresql://user@host:port/database"),
        ("postgresql://h:secret-7@127.0.0.1/x", "leave the password out"),
        ("postgresql://h@127.0.0.1/x?password=secret-7", "leave the password out"),
        ("postgresql://[h", "not a URL"),
    ],
)
def test_an_address_that_is_none_or_holds_a_password_is_refused_unrepeated(url: str, complaint: str) -> None:
    with pytest.raises(BadConfig, match=complaint) as caught:
        load(None, {"HASHMATCH_CATALOG_URL": url})
    assert caught.value.field == "catalog.url"
    assert "secret-7" not in caught.value.message


# --- announcements -------------------------------------------------------------------------------------------------


def test_a_commit_wakes_and_a_broken_connection_heals(
    catalog: PostgresCatalog, database: CatalogConfig, postgres: Server
) -> None:
    woken = threading.Semaphore(0)

    def wakes() -> None:
        assert woken.acquire(timeout=PATIENCE_S)

    listener = catalog.watch(woken.release)
    try:
        wakes()
        assert listener.announced, "and whatever was announced before is asked for"
        catalog.create_set("known", HarmDomain.OTHER)
        wakes()
        with postgres.connect() as other:
            other.execute(
                "SELECT pg_terminate_backend(pid, 300000) FROM pg_stat_activity WHERE datname = %s",
                (name_of(database),),
            )
        wakes()
        assert listener.announced
        catalog.import_entries("known", [Entry("a", (pdq(1),))])
        wakes()
        assert repr(listener) == "<Listener: listening>"
    finally:
        listener.close()
    listener.close()
    assert not listener.announced


def test_a_listener_ends_while_nobody_answers() -> None:
    connections = Connections(CatalogConfig(url="postgresql://h@127.0.0.1:1/x"))
    listener = Listener(connections, lambda: None)
    listener.close()
    assert not listener.announced
