from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import re
import threading
from collections.abc import Generator
from pathlib import Path

import pytest

from hashmatch.errors import BadHash, IndexNotLoaded, RollbackRefused, SegmentCorrupt, SnapshotFailed
from hashmatch.index import layout
from hashmatch.index.live import LiveIndex, State
from hashmatch.model import Change, Entry, EntryHash, Query
from hashmatch.publish import Publisher, SnapshotFile
from tests.support.feed import FakeFeed
from tests.support.index import entry, value
from tests.support.publishing import (
    CONFIG,
    LONGEST_WAIT_S,
    HeldFeed,
    catalog,
    eventually,
    flip,
    ids,
    names,
    publishing,
    state,
)

# --- start -------------------------------------------------------------------------------------------------------


def test_the_first_start_builds_and_the_next_one_loads(tmp_path: Path) -> None:
    feed, directory = catalog(), tmp_path / "segments"
    with publishing(feed, directory) as (publisher, index):
        assert state(publisher) == "1@2"
        assert publisher.status().values == {"pdq": 5, "md5": 5}
        assert ids(index, 3) == ["e3"]
        publisher.start()
        assert state(publisher) == "1@2"
        assert repr(publisher) == f"<Publisher of <LiveIndex serving 2> in {directory}>"
    assert names(directory) == ["lock", "segment-0000000001-00000000000000000002.hms"]
    feed.withdraw("a", "e3")
    with publishing(feed, directory) as (publisher, index):
        assert state(publisher) == "1@3"
        assert ids(index, 3) == []
    assert names(directory) == ["lock", "segment-0000000001-00000000000000000002.hms"]


def test_an_empty_catalog_is_served_as_such(tmp_path: Path) -> None:
    with publishing(FakeFeed(), tmp_path) as (_, index):
        assert ids(index, 1) == []
        assert state(index) == "1@0"


def test_a_damaged_snapshot_is_skipped_and_the_one_before_serves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    feed = catalog()
    with publishing(feed, tmp_path) as (publisher, _):
        feed.withdraw("a", "e0")
        publisher.sync()
        publisher.compact()
    newest = SnapshotFile.all_in(tmp_path)[0]
    flip(newest.path)
    with caplog.at_level(logging.WARNING, logger="hashmatch.publish"), publishing(feed, tmp_path) as (publisher, index):
        assert state(publisher) == "1@3"
        assert (ids(index, 0), ids(index, 1)) == ([], ["e1"])
        publisher.compact()
        assert state(publisher) == "3@3"
    assert "skipped a damaged snapshot, it will be replaced: segment-0000000002" in caplog.text
    assert newest.path.name not in names(tmp_path)
    assert [file.generation for file in SnapshotFile.all_in(tmp_path)] == [3, 1]


def test_with_nothing_but_damage_the_catalog_is_built_again(tmp_path: Path) -> None:
    feed = catalog()
    with publishing(feed, tmp_path):
        pass
    (only,) = SnapshotFile.all_in(tmp_path)
    flip(only.path, 40)
    with publishing(feed, tmp_path) as (publisher, index):
        assert state(publisher) == "2@2"
        assert ids(index, 4) == ["e4"]


def test_a_snapshot_of_an_older_layout_is_built_again_and_not_misread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    feed = catalog()
    feed.put("a", [entry("cropped", value("pdq", 1 << 200, "crop-left-3"))])
    monkeypatch.setattr(layout, "VERSION", 1)
    with publishing(feed, tmp_path):
        pass
    monkeypatch.undo()
    with caplog.at_level(logging.WARNING, logger="hashmatch.publish"), publishing(feed, tmp_path) as (publisher, index):
        assert state(publisher) == "2@3"
        query = Query("pdq", value("pdq", 1 << 200).value, 0)
        (found,) = index.search([query], sets=None, max_hits=5).found
        assert (found.entry.entry_id, found.view) == ("cropped", "crop-left-3")
    assert f"layout version 1, this hashmatch reads version {layout.VERSION}" in caplog.text


def test_a_file_that_is_not_the_snapshot_of_its_name_is_damage(tmp_path: Path) -> None:
    feed = catalog()
    with publishing(feed, tmp_path):
        pass
    (only,) = SnapshotFile.all_in(tmp_path)
    renamed = SnapshotFile.at(tmp_path, 9, only.sequence)
    only.path.rename(renamed.path)
    with pytest.raises(SegmentCorrupt, match=r"segment-0000000009-\d+\.hms: header: holds snapshot 1 at sequence 2"):
        renamed.open()
    with publishing(feed, tmp_path) as (publisher, _):
        assert state(publisher) == "10@2"


def test_an_older_catalog_is_refused_with_what_to_do(tmp_path: Path) -> None:
    feed = catalog()
    feed.withdraw("a", "e0")
    with publishing(feed, tmp_path) as (_, index):
        assert ids(index, 0) == []
    said = (
        "the catalog ends at sequence 2, but the snapshot segment-0000000001-00000000000000000003.hms is at sequence 3"
        ": the catalog was replaced by an older one. Restore the newer catalog; or, if the older one is meant, stop "
        f"every hashmatch process that uses it and remove {tmp_path}"
    )
    older = catalog()
    index = LiveIndex()
    publisher = Publisher(older, index, tmp_path, CONFIG)
    with pytest.raises(RollbackRefused, match=re.escape(said)):
        publisher.start()
    publisher.close()
    assert index.state is State.EMPTY


def test_stale_files_are_removed_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "segment-0000000007-00000000000000000001.hms.tmp").write_bytes(b"half")
    (tmp_path / "spool-abc.tmp").write_bytes(b"half")
    with publishing(catalog(), tmp_path):
        assert names(tmp_path) == ["lock", "segment-0000000001-00000000000000000002.hms"]


def test_a_stale_file_is_not_in_the_way_of_the_next_build(tmp_path: Path) -> None:
    with publishing(catalog(), tmp_path) as (publisher, _):
        (tmp_path / "segment-0000000002-00000000000000000002.hms.tmp").write_bytes(b"another process was killed here")
        publisher.compact()
        assert state(publisher) == "2@2"
        assert [name for name in names(tmp_path) if name.endswith(".tmp")] == []


def test_another_builders_files_are_left_alone(tmp_path: Path) -> None:
    feed = catalog()
    with publishing(feed, tmp_path):
        pass
    building = tmp_path / "segment-0000000002-00000000000000000002.hms.tmp"
    building.write_bytes(b"half")
    with (tmp_path / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with publishing(feed, tmp_path) as (publisher, _):
            assert state(publisher) == "1@2"
            assert building.exists()


def test_values_that_cannot_be_indexed_stop_the_start(tmp_path: Path) -> None:
    feed = catalog()
    feed.put("a", [Entry("bad", (EntryHash("pdq", b"short"),))])
    publisher = Publisher(feed, LiveIndex(), tmp_path, CONFIG)
    with pytest.raises(BadHash, match="a pdq value of 5 bytes, expected 32"):
        publisher.start()
    publisher.close()
    assert names(tmp_path) == ["lock"]


# --- sync and compaction -----------------------------------------------------------------------------------------


def test_sync_applies_what_was_committed_and_says_whether_there_was_anything(tmp_path: Path) -> None:
    feed = catalog()
    with publishing(feed, tmp_path) as (publisher, index):
        assert publisher.sync() is False
        feed.put("a", [entry("new", value("md5", 99))])
        assert ids(index, 99) == []
        assert publisher.sync() is True
        assert ids(index, 99) == ["new"]
        assert publisher.sync() is False


def test_nothing_is_synced_before_the_start_or_after_the_end(tmp_path: Path) -> None:
    publisher = Publisher(catalog(), LiveIndex(), tmp_path, CONFIG)
    with pytest.raises(IndexNotLoaded):
        publisher.sync()
    with pytest.raises(IndexNotLoaded):
        publisher.compact()
    publisher.start()
    publisher.close()
    publisher.close()
    with pytest.raises(SnapshotFailed, match="the publisher is closed"):
        publisher.sync()


def test_a_catalog_that_goes_back_while_serving_is_refused(tmp_path: Path) -> None:
    feed = catalog()
    with publishing(feed, tmp_path) as (publisher, index):
        feed._sequence = 1
        with pytest.raises(RollbackRefused, match="ends at sequence 1, but what is being served is at sequence 2"):
            publisher.sync()
        with pytest.raises(RollbackRefused, match="ends at sequence 1, but what is being served is at sequence 2"):
            publisher.compact()
        assert index.state is State.SERVING
        assert ids(index, 1) == ["e1"]


def test_a_large_delta_is_compacted_by_itself(tmp_path: Path) -> None:
    feed = catalog()
    with publishing(feed, tmp_path) as (publisher, index):
        feed.put("a", [entry(f"n{i}", value("md5", 100 + i)) for i in range(10)])
        publisher.sync()
        assert publisher.status().snapshot == 1
        feed.put("a", [entry("n10", value("md5", 110))])
        publisher.sync()
        eventually(lambda: index.snapshot == 2 and index.state is State.SERVING, "compaction did not finish")
        assert state(publisher) == "2@4"
        assert (index.held, ids(index, 110), ids(index, 0)) == (0, ["n10"], ["e0"])


def test_only_the_newest_snapshots_are_kept(tmp_path: Path) -> None:
    feed = catalog()
    with publishing(feed, tmp_path) as (publisher, index):
        for round_ in range(4):
            feed.put("a", [entry(f"n{round_}", value("md5", 100 + round_))])
            publisher.sync()
            publisher.compact()
            assert index.snapshot == round_ + 2
    assert [file.generation for file in SnapshotFile.all_in(tmp_path)] == [5, 4]


def test_withdrawals_during_a_build_survive_the_swap(tmp_path: Path) -> None:
    feed = HeldFeed()
    feed.create_set("a")
    feed.put("a", [entry(f"e{i}", value("md5", i)) for i in range(5)])
    with publishing(feed, tmp_path) as (publisher, index):
        feed.hold = True
        compacting = threading.Thread(target=publisher.compact)
        compacting.start()
        assert feed.reached.wait(LONGEST_WAIT_S)
        assert publisher.status().state is State.COMPACTING
        feed.withdraw("a", "e3")
        assert publisher.sync() is True
        assert ids(index, 3) == []
        feed.withdraw("a", "e4")
        feed.put("a", [entry("n", value("md5", 50))])
        feed.release.set()
        compacting.join()
        assert state(publisher) == "2@5"
        assert [ids(index, seed) for seed in (2, 3, 4, 50)] == [["e2"], [], [], ["n"]]
    built = SnapshotFile.all_in(tmp_path)[0].open()
    assert built.sequence == 2
    assert len(built.part.entries) == 5, "nothing beyond its sequence is in a snapshot"
    with publishing(feed, tmp_path) as (publisher, index):
        assert state(publisher) == "2@5"
        assert [ids(index, seed) for seed in (2, 3, 4, 50)] == [["e2"], [], [], ["n"]]


class RacingFeed(FakeFeed):
    """Lets a withdrawal be committed and synced between reading the changes since a snapshot and loading it."""

    def __init__(self) -> None:
        super().__init__()
        self.publisher: Publisher | None = None
        self.syncing: threading.Thread | None = None

    def changes(self, since: int) -> Generator[Change, None, None]:
        """Read when called, as the embedded catalog does; then, once, commit and sync."""
        rows = list(super().changes(since))
        if since and self.publisher is not None and self.syncing is None:
            self.withdraw("a", "e1")
            self.syncing = threading.Thread(target=self.publisher.sync)
            self.syncing.start()
            self.syncing.join(0.1)
        return (row for row in rows)


def test_a_sync_does_not_come_between_reading_the_changes_and_the_swap(tmp_path: Path) -> None:
    """It would make the new generation look older than the one being served, and the build would be thrown away."""
    feed = RacingFeed()
    feed.create_set("a")
    feed.put("a", [entry(f"e{i}", value("md5", i)) for i in range(3)])
    with publishing(feed, tmp_path) as (publisher, index):
        feed.publisher = publisher
        publisher.compact()
        assert feed.syncing is not None
        feed.syncing.join()
        assert state(publisher) == "2@3"
        assert ids(index, 1) == []


def test_closing_ends_a_build(tmp_path: Path) -> None:
    feed = HeldFeed()
    feed.create_set("a")
    feed.put("a", [entry(f"e{i}", value("md5", i)) for i in range(5)])
    with publishing(feed, tmp_path) as (publisher, index):
        feed.hold = True
        feed.put("a", [entry(f"n{i}", value("md5", i)) for i in range(20)])
        publisher.sync()
        assert feed.reached.wait(LONGEST_WAIT_S)
        closing = threading.Thread(target=publisher.close)
        closing.start()
        eventually(publisher._closing.is_set, "close did not begin")
        feed.release.set()
        closing.join()
        assert index.status().state is State.SERVING
        assert ids(index, 19) == ["n19"]
    assert [file.generation for file in SnapshotFile.all_in(tmp_path)] == [1]
    assert [name for name in names(tmp_path) if name.endswith(".tmp")] == []


def test_closing_does_not_come_between_the_beginning_of_a_build_and_its_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The build would be refused by a pool of threads that was shut down, and the index compact for ever."""
    with publishing(catalog(), tmp_path) as (publisher, index):
        begin = index.begin_compaction
        closing = threading.Thread(target=publisher.close)

        def begin_and_close() -> None:
            begin()
            closing.start()
            closing.join(0.1)

        monkeypatch.setattr(index, "begin_compaction", begin_and_close)
        with contextlib.suppress(SnapshotFailed):
            publisher.compact()
        closing.join()
        assert index.state is State.SERVING


# --- a failing disk ----------------------------------------------------------------------------------------------


def test_a_full_disk_keeps_the_current_generation_and_is_not_tried_at_every_poll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    feed = catalog()
    attempts = []

    def full(_handle: int) -> None:
        attempts.append(1)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with publishing(feed, tmp_path) as (publisher, index):
        monkeypatch.setattr(os, "fsync", full)
        feed.put("a", [entry(f"n{i}", value("md5", 100 + i)) for i in range(20)])
        publisher.sync()
        eventually(lambda: "the next snapshot was not built, 3 keeps serving" in caplog.text, "no error was logged")
        assert "No space left on device; what was being served still is" in caplog.text
        for _ in range(5):
            feed.withdraw("a", "e1")
            publisher.sync()
        assert len(attempts) == 1
        assert (index.state, ids(index, 105), ids(index, 1)) == (State.SERVING, ["n5"], [])
        with pytest.raises(SnapshotFailed, match="No space left on device"):
            publisher.compact()
        monkeypatch.undo()
        publisher.compact()
        assert state(publisher) == "2@8"
    assert [name for name in names(tmp_path) if name.endswith(".tmp")] == []


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    publisher = Publisher(catalog(), LiveIndex(), tmp_path / "file" / "segments", CONFIG)
    with pytest.raises(SnapshotFailed, match="file/segments: Not a directory; what was being served still is"):
        publisher.start()
    publisher.close()
