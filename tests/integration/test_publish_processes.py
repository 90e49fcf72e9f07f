"""Publishing beside other processes, and in spite of kill -9."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hashmatch.errors import SnapshotFailed
from hashmatch.index.live import State
from hashmatch.publish import SnapshotFile
from tests.support.index import entry, value
from tests.support.publishing import LONGEST_WAIT_S, HeldFeed, catalog, eventually, ids, names, publishing


def test_two_publishers_never_build_the_same_twice(tmp_path: Path) -> None:
    """The second one waits for the first, then uses its snapshot."""
    feed = HeldFeed()
    feed.create_set("a")
    feed.put("a", [entry(f"e{i}", value("md5", i)) for i in range(5)])
    with publishing(feed, tmp_path) as (first, one), publishing(feed, tmp_path) as (second, two):
        assert (one.snapshot, two.snapshot) == (1, 1)
        feed.hold = True
        threads = [threading.Thread(target=publisher.compact) for publisher in (first, second)]
        for thread in threads:
            thread.start()
        assert feed.reached.wait(LONGEST_WAIT_S)
        feed.release.set()
        for thread in threads:
            thread.join()
        assert (one.snapshot, two.snapshot) == (2, 2)
    assert [file.generation for file in SnapshotFile.all_in(tmp_path)] == [2, 1]


def test_closing_does_not_wait_for_another_processes_build(tmp_path: Path) -> None:
    with publishing(catalog(), tmp_path) as (publisher, index):
        with (tmp_path / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            failures: list[BaseException] = []

            def compact() -> None:
                try:
                    publisher.compact()
                except SnapshotFailed as error:
                    failures.append(error)

            waiting = threading.Thread(target=compact)
            waiting.start()
            eventually(lambda: index.state is State.COMPACTING, "compaction did not begin")
            publisher.close()
            waiting.join()
        assert [str(error) for error in failures] == ["the publisher was closed while another process was building"]
        assert index.state is State.SERVING


def _publish_often(directory: Path, rounds: int, made: multiprocessing.SimpleQueue[list[int]]) -> None:
    feed = catalog()
    seen = []
    with publishing(feed, directory) as (publisher, index):
        seen.append(index.status().snapshot)
        for _ in range(rounds):
            publisher.compact()
            seen.append(index.status().snapshot)
    made.put(seen)


def test_processes_share_a_directory(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    made: multiprocessing.SimpleQueue[list[int]] = context.SimpleQueue()
    processes = [context.Process(target=_publish_often, args=(tmp_path, 5, made)) for _ in range(2)]
    for process in processes:
        process.start()
    histories = [made.get() for _ in processes]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    for history in histories:
        assert history == sorted(set(history))
    assert SnapshotFile.all_in(tmp_path)[0].generation == max(max(history) for history in histories)
    for file in SnapshotFile.all_in(tmp_path):
        assert file.open().generation == file.generation


# --- kill -9 -----------------------------------------------------------------------------------------------------

BUILDER = """
import os, sys
from pathlib import Path
from tests.integration.test_publish import CONFIG, catalog
from hashmatch.index.live import LiveIndex
from hashmatch.publish import Publisher

feed = catalog(300)
for _ in sys.stdin:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        continue
    publisher = Publisher(feed, LiveIndex(), Path(sys.argv[1]), CONFIG)
    publisher.start()
    print(os.getpid(), flush=True)
    while True:
        publisher.compact()
"""
"""Forks a builder for each line it reads, so that numpy and faiss are imported once for all of them."""


def kill_builders(directory: Path, times: int) -> None:
    """Kill builders at many moments of a build: each time there is a verified snapshot, in the end nothing stale.

    Every third time a snapshot is waited for, so that builds get far enough on any machine.
    """
    generations = [0]
    command = [sys.executable, "-c", BUILDER, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for step in range(times):
            process.stdin.write(b"build\n")
            builder = int(process.stdout.readline())
            if step % 3 == 0:
                eventually(lambda: SnapshotFile.all_in(directory)[0].generation > generations[-1], "nothing was built")
            time.sleep(0.004 * (step % 30))
            os.kill(builder, signal.SIGKILL)
            newest = SnapshotFile.all_in(directory)[0].open()
            assert len(newest.part.entries) == 300
            generations.append(newest.generation)
    assert generations == sorted(generations)
    assert generations[-1] >= times // 3
    with publishing(catalog(300), directory) as (_, index):
        assert ids(index, 299) == ["e299"]
    assert [name for name in names(directory) if name.endswith(".tmp")] == []


def test_a_killed_builder_leaves_something_to_load(tmp_path: Path) -> None:
    kill_builders(tmp_path, 30)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_a_builder_killed_a_thousand_times_leaves_something_to_load(tmp_path: Path) -> None:
    kill_builders(tmp_path, 1_000)
