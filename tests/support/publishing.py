"""A catalog, a publisher and an index on a directory of the test."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

from hashmatch.config import IndexConfig
from hashmatch.index.live import LiveIndex
from hashmatch.model import Change, Query
from hashmatch.publish import Publisher
from tests.support.feed import FakeFeed
from tests.support.index import entry, value

LONGEST_WAIT_S = 300
"""Ends a hang."""

CONFIG = IndexConfig(max_delta_entries=10, snapshots_kept=2)


def catalog(entries: int = 5) -> FakeFeed:
    feed = FakeFeed()
    feed.create_set("a")
    feed.put("a", [entry(f"e{i}", value("pdq", i), value("md5", i)) for i in range(entries)])
    return feed


@contextlib.contextmanager
def publishing(feed: FakeFeed, directory: Path, config: IndexConfig = CONFIG) -> Iterator[tuple[Publisher, LiveIndex]]:
    index = LiveIndex()
    publisher = Publisher(feed, index, directory, config)
    try:
        publisher.start()
        yield publisher, index
    finally:
        publisher.close()


def ids(index: LiveIndex, seed: int) -> list[str]:
    result = index.search([Query("md5", value("md5", seed).value, 0)], sets=None, max_hits=99)
    return [found.entry.entry_id for found in result.found]


def state(of: Publisher | LiveIndex) -> str:
    """Return the number of the snapshot being served, and of the last change."""
    status = of.status()
    return f"{status.snapshot}@{status.sequence}"


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LONGEST_WAIT_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def flip(path: Path, offset: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


class HeldFeed(FakeFeed):
    """Shows changes made during a read, and stops in the middle of the next full read until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.hold, self.reached, self.release = False, threading.Event(), threading.Event()

    def changes(self, since: int) -> Generator[Change, None, None]:
        """Look again after each sequence; pause after the first change of a read from the beginning."""
        is_held, at = self.hold and since == 0, since
        while rows := list(super().changes(at)):
            at = rows[0].sequence
            for change in [row for row in rows if row.sequence == at]:
                yield change
                if is_held:
                    is_held = False
                    self.reached.set()
                    assert self.release.wait(LONGEST_WAIT_S)
