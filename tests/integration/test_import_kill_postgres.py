"""An import into PostgreSQL that is killed leaves the set whole or as it was, and can be repeated.

The server learns of the death of its client only when it next reads from it: until then the import's own connection
lives on, with its lock and its temporary tables, and a commit that was under way still takes place. So the set is
looked at twice: at once, when it must be one or the other already, and again when that connection is gone.
"""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import pytest

from hashmatch.catalog.postgres import PostgresCatalog
from hashmatch.config import CatalogConfig
from hashmatch.exchange import delimited
from hashmatch.model import HarmDomain
from tests.support.importing import ENTRIES, holdings, importer, write_listing
from tests.support.postgres import Server

PATIENCE_S = 300
KILLS = 3


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_listing(tmp_path_factory.mktemp("listing") / "list.csv")


def empty_set(postgres: Server, config: CatalogConfig) -> None:
    """Make the catalog anew, with an empty set."""
    with postgres.connect(database_of(config)) as connection:
        connection.execute("DROP SCHEMA IF EXISTS hashmatch CASCADE")
    with PostgresCatalog.open(config) as catalog:
        catalog.create_set("known", HarmDomain.OTHER)


def database_of(config: CatalogConfig) -> str:
    return config.url.rpartition("/")[2]


def await_end(postgres: Server, config: CatalogConfig) -> None:
    """Return when nobody is connected to the database any more, and nothing temporary is left in it."""
    deadline = time.monotonic() + PATIENCE_S
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    temporary = "SELECT count(*) FROM pg_class WHERE relpersistence = 't'"
    with postgres.connect(database_of(config)) as connection:
        for what in (others + " AND backend_type = 'client backend'", temporary):
            while connection.execute(what).fetchone() != (0,):
                assert time.monotonic() < deadline, f"never none: {what}"
                time.sleep(0.005)


def killed(postgres: Server, config: CatalogConfig, process: subprocess.Popen[bytes], listing: Path) -> int:
    """Kill an import; return how many entries it left, which is none or all, and import again."""
    with process:
        process.kill()
        said, _ = process.communicate(timeout=PATIENCE_S)
    with PostgresCatalog.open(config) as catalog:
        known = catalog.get_set("known")
        assert (known.version, known.entries) in {(1, 0), (2, ENTRIES)}
    await_end(postgres, config)
    with PostgresCatalog.open(config) as catalog:
        catalog.verify()
        left = holdings(catalog)
        assert left in {(0, 0, 0), (ENTRIES, ENTRIES, ENTRIES)}
        assert left[0] >= known.entries, "what was seen once stays"
        assert catalog.get_set("known").version == (2 if left[0] else 1)
        if said:
            assert left[0] == ENTRIES, "what was acknowledged is there"
        with listing.open("rb") as stream:
            again = catalog.import_entries("known", delimited.read_rows(stream))
        assert (again.added, again.hash_set.entries) == (ENTRIES - left[0], ENTRIES)
        assert holdings(catalog) == (ENTRIES, ENTRIES, ENTRIES)
        catalog.verify()
    return left[0]


@pytest.mark.parametrize(("halt_in", "read"), [("reading", "read_rows"), ("storing", "read_rows"), ("storing", "read")])
def test_an_import_that_is_killed_midway_leaves_nothing(
    postgres: Server, database: CatalogConfig, listing: Path, halt_in: str, read: str
) -> None:
    empty_set(postgres, database)
    process = importer(database.url, listing, halt_in, read)
    assert killed(postgres, database, process, listing) == 0


def test_kill_9_at_random_moments_leaves_all_or_nothing(
    postgres: Server, database: CatalogConfig, listing: Path
) -> None:
    """The first is killed after its end, so that what is acknowledged is seen to stay whatever the others hit."""
    empty_set(postgres, database)
    process = importer(database.url, listing)
    begin = time.monotonic()
    assert process.wait(PATIENCE_S) == 0
    whole_s = time.monotonic() - begin
    assert killed(postgres, database, process, listing) == ENTRIES
    rng = random.Random(9)
    for _ in range(KILLS):
        empty_set(postgres, database)
        process = importer(database.url, listing)
        time.sleep(rng.uniform(0, whole_s))
        assert killed(postgres, database, process, listing) in {0, ENTRIES}
