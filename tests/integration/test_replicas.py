"""Three services on one PostgreSQL: they find the same, whatever is killed or cut in between.

The three are started once, and each test leaves them running and in agreement. The third reaches PostgreSQL through a
way that can be cut (``tests/support/cut.py``) and is spoken to through a socket file, which no cut concerns.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hashmatch.catalog.postgres import PostgresCatalog
from hashmatch.client import Client, HashedImage, RetryPolicy
from hashmatch.config import CatalogConfig
from hashmatch.errors import CatalogUnavailable, HashmatchError
from hashmatch.model import Entry, EntryHash, HarmDomain, Verdict
from tests.support.catalog import pdq
from tests.support.cut import Link, link
from tests.support.postgres import Server

PATIENCE_S = 300
"""Ends a hang."""

NUMBERS = itertools.count(1)


def known(number: int) -> Entry:
    """Return an entry that is near no other."""
    return Entry(f"e{number}", (EntryHash("pdq", random.Random(number).randbytes(32), 90),))


def until(what: str, condition: Callable[..., object], *arguments: object) -> None:
    """Return once it holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition(*arguments):
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.002)


class Replica:
    """A service process."""

    def __init__(self, home: Path, url: str, prefix: tuple[str, ...] = (), listen: str = "127.0.0.1:0") -> None:
        self._command = [*prefix, sys.executable, "-m", "tests.support.serve_replica", str(home), url, listen]
        self.start()

    def start(self) -> None:
        """Begin to start it."""
        self._left = contextlib.ExitStack()
        self._process = self._left.enter_context(subprocess.Popen(self._command, stdout=subprocess.PIPE))

    def ready(self) -> None:
        """Wait until it serves."""
        assert self._process.stdout is not None
        target = self._process.stdout.readline().decode().strip()
        assert target, "it ended before it was ready"
        self.client = self._left.enter_context(Client(target, retry=RetryPolicy(attempts=1), timeout_s=PATIENCE_S))

    def finds(self, entry: Entry) -> bool:
        """Whether it matches."""
        (report,) = self.client.detect_hashes([HashedImage(entry.hashes)])
        return report.verdict is Verdict.MATCH

    def lacks(self, entry: Entry) -> bool:
        """Whether it does not match."""
        return not self.finds(entry)

    def announced(self) -> bool:
        """Whether changes are announced to it."""
        return self.client.status().follower.announced

    def in_trouble(self) -> bool:
        """Whether it says that it cannot follow the catalog."""
        return self.client.status().follower.error == "CATALOG_UNAVAILABLE"

    def following(self) -> bool:
        """Whether it says that it can."""
        return not self.client.status().follower.error

    def up_to_date(self) -> bool:
        """Whether it knows of nothing that it lacks, and of no trouble."""
        follower = self.client.status().follower
        return (follower.behind, follower.error) == (0, "")

    def lags_more_than(self, lag_ms: int) -> bool:
        """Whether what it serves may be older than that."""
        return self.client.status().follower.lag_ms > lag_ms

    def generation(self) -> str:
        """Return what a report names."""
        (report,) = self.client.detect_hashes([HashedImage(known(199).hashes)])
        return report.generation

    def kill(self) -> None:
        """Kill it, and all that it started dies with it; :meth:`end` is still to be called."""
        self._process.kill()

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Signal it, close what there is of a client, and wait for its end."""
        self._process.send_signal(how)
        self._left.close()


@pytest.fixture(scope="module")
def way(postgres: Server) -> Iterator[Link]:
    made = link(postgres.port)
    yield made
    made.close()


@pytest.fixture(scope="module")
def catalog(postgres: Server) -> Iterator[CatalogConfig]:
    name = postgres.take_database()
    with PostgresCatalog.open(postgres.config(name)) as made:
        made.create_set("known", HarmDomain.OTHER)
    yield postgres.config(name)
    postgres.give_database_back(name)


@pytest.fixture(scope="module")
def replicas(postgres: Server, way: Link, catalog: CatalogConfig) -> Iterator[tuple[Replica, Replica, Replica]]:
    name = catalog.url.rpartition("/")[2]
    with tempfile.TemporaryDirectory(prefix="hm-replicas-") as folder:
        home = Path(folder)
        through = postgres.url(name, host=way.host, port=way.port)
        three = (
            Replica(home / "a", catalog.url),
            Replica(home / "b", catalog.url),
            Replica(home / "c", through, way.prefix, f"unix:{home}/c.socket"),
        )
        with contextlib.ExitStack() as ending:
            for one in three:
                ending.callback(one.end, signal.SIGTERM)
            for one in three:
                one.ready()
            yield three


def agree(replicas: tuple[Replica, ...], *, on: tuple[Entry, ...] = ()) -> None:
    """Wait until all find these entries, serve one generation and know of nothing that they lack."""
    for entry, one in itertools.product(on, replicas):
        until(f"{entry.entry_id} is found", one.finds, entry)
    until("all serve one generation", lambda: len({one.generation() for one in replicas}) == 1)
    for one in replicas:
        until("changes are announced", one.announced)
        until("it is behind nobody, and in no trouble", one.up_to_date)


def test_an_entry_added_through_one_matches_on_all_within_a_second(replicas: tuple[Replica, ...]) -> None:
    agree(replicas)
    taken_s = list[float]()
    for adding in itertools.cycle(replicas):
        if len(taken_s) >= 5 and (min(taken_s) < 1 or sum(taken_s) > PATIENCE_S):
            break
        entry = known(next(NUMBERS))
        assert not any(one.finds(entry) for one in replicas)
        adding.client.import_entries("known", [entry])
        begin = time.monotonic()
        assert adding.finds(entry), "at once where it was added"
        for one in replicas:
            until("it matches", one.finds, entry)
        taken_s.append(time.monotonic() - begin)
    assert min(taken_s) < 1, "what is promised; three milliseconds on an idle machine, and at times on a busy one"
    agree(replicas)
    replicas[1].client.withdraw_entry("known", entry.entry_id, reason="a test", actor="tests")
    assert not replicas[1].finds(entry)
    for one in replicas:
        until("it matches no more", one.lacks, entry)


def test_a_replica_that_is_killed_comes_back_to_what_all_have(replicas: tuple[Replica, ...]) -> None:
    first, second, third = replicas
    while_dead = [known(next(NUMBERS)) for _ in range(3)]
    second.end(signal.SIGKILL)
    first.client.import_entries("known", while_dead[:2])
    third.client.import_entries("known", while_dead[2:])
    second.start()
    second.ready()
    agree(replicas, on=tuple(while_dead))


@pytest.mark.slow
def test_a_replica_killed_in_the_middle_of_an_import_leaves_nothing_of_it(
    replicas: tuple[Replica, ...], catalog: CatalogConfig
) -> None:
    second = replicas[1]

    def entries() -> Iterator[Entry]:
        for number in range(10_000):
            yield Entry(f"half-{number}", (pdq(number + (1 << 200)),))
        second.kill()  # in a thread of the client's, which therefore stays open

    with pytest.raises(HashmatchError):
        second.client.import_entries("known", entries())
    second.end()
    second.start()
    second.ready()
    agree(replicas)
    with PostgresCatalog.open(catalog) as opened:
        opened.verify()
        assert not [entry for entry in opened.entries("known") if entry.entry_id.startswith("half")]


@pytest.mark.parametrize("how", ["killed", "stopped at once"])
def test_postgresql_is_killed_and_nothing_acknowledged_is_lost(
    replicas: tuple[Replica, ...], postgres: Server, how: str
) -> None:
    before, during, after = (known(next(NUMBERS)) for _ in range(3))
    replicas[0].client.import_entries("known", [before])
    agree(replicas, on=(before,))
    if how == "killed":
        postgres.kill()
    else:
        postgres.stop(signal.SIGQUIT)
    for one in replicas:
        until("it says so", one.in_trouble)
    assert all(one.finds(before) for one in replicas), "searches need no database"
    with pytest.raises(CatalogUnavailable):
        replicas[0].client.import_entries("known", [during])
    postgres.start()
    for one in replicas:
        until("it is followed again", one.following)
    assert not replicas[0].finds(during), "what was refused was not done"
    replicas[2].client.import_entries("known", [after])
    agree(replicas, on=(before, after))


def test_a_cut_network_leaves_two_that_go_on_and_one_that_catches_up(replicas: tuple[Replica, ...], way: Link) -> None:
    first, second, third = replicas
    before, during = known(next(NUMBERS)), known(next(NUMBERS))
    first.client.import_entries("known", [before])
    agree(replicas, on=(before,))
    way.cut()
    first.client.import_entries("known", [during])
    agree((first, second), on=(during,))
    until("it notices", third.in_trouble)
    assert third.finds(before), "it serves what it has"
    assert not third.finds(during)
    lag_ms = third.client.status().follower.lag_ms
    until("and says how old that may be", third.lags_more_than, lag_ms)
    way.heal()
    agree(replicas, on=(before, during))
