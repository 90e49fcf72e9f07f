"""From the catalog to the index: verified snapshots on disk, changes in memory, and never a step back.

Theory of operation
-------------------
The catalog is the truth; a snapshot is a segment file that contains it up to one position in its change feed, and both
numbers are in the name: ``segment-<generation>-<sequence>.hms``. :meth:`Publisher.start` serves the newest snapshot
that verifies, brought up to date from the feed, or builds one. :meth:`Publisher.sync` applies what the catalog has
committed since. When the changes held in memory pass ``index.max_delta_entries``, the next snapshot is built in a
background thread while searches and changes go on, and takes over with the changes that came meanwhile.

A build reads the feed from its beginning up to the sequence that was read *before*: an entry that changes during the
build is then either missing or in its old state, and in both cases among the changes that are applied on top. So no
change can be lost, whatever the feed's isolation.

Several processes may share the directory. One lock (``flock`` on a file, released by the kernel when its holder dies)
covers building; whoever gets it looks again first, and uses a snapshot that another process has built meanwhile. Files
are complete before they have their name, are never modified, and may be removed while mapped. Generation numbers are
one more than any in the directory, those of damaged files included, so they never repeat.

What this module deliberately does not do: it does not repair. A damaged snapshot is skipped with a warning; a catalog
that is behind its snapshots stops the start, because only a person knows which of the two is wrong.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hashmatch.config import IndexConfig
from hashmatch.durable import sync_directory
from hashmatch.errors import IndexNotLoaded, RollbackRefused, SegmentCorrupt, SnapshotFailed
from hashmatch.hashing import algorithms
from hashmatch.index.build import build, clean_stale
from hashmatch.index.live import IndexStatus, LiveIndex, State
from hashmatch.index.segment import Segment
from hashmatch.model import Change
from hashmatch.progress import SILENT, Progress

RETRY_S = 60.0
"""Pause after a build that failed: a full disk does not empty itself within a poll interval."""

LOCK_POLL_S = 0.05
"""How often a process that waits for another one's build looks again, and whether it is being closed."""

_NAME = re.compile(r"segment-(\d{10})-(\d{20})\.hms")
_LOCK = "lock"

_log = logging.getLogger("hashmatch.publish")


class Changes(Iterator[Change], Protocol):
    """Changes in ascending order of sequence; closing gives back what reading them occupies."""

    def close(self) -> None:
        """Stop reading. Safe to call twice."""


class ChangeFeed(Protocol):
    """What the publisher needs of a catalog."""

    def sequence(self) -> int:
        """Position of the latest change."""

    def changes(self, since: int) -> Changes:
        """Each set and entry that changed after ``since``, once, at its latest state."""


@dataclass(frozen=True, slots=True, order=True)
class SnapshotFile:
    """A segment file by its name."""

    generation: int
    sequence: int
    path: Path

    @classmethod
    def at(cls, directory: Path, generation: int, sequence: int) -> SnapshotFile:
        """Return the file that a snapshot of these numbers has."""
        return cls(generation, sequence, directory / f"segment-{generation:010d}-{sequence:020d}.hms")

    @classmethod
    def all_in(cls, directory: Path) -> list[SnapshotFile]:
        """Every snapshot in ``directory``, newest first, verified or not."""
        named = ((_NAME.fullmatch(path.name), path) for path in directory.iterdir())
        return sorted((cls(int(m[1]), int(m[2]), path) for m, path in named if m), reverse=True)

    def open(self) -> Segment:
        """Map and verify the file, and hold its header against its name.

        Raises
        ------
        SegmentCorrupt
            It does not verify, or it is not the snapshot that its name says.
        OSError
            It cannot be opened.

        """
        segment = Segment.open(self.path)
        if (segment.generation, segment.sequence) != (self.generation, self.sequence):
            raise SegmentCorrupt(
                f"{self.path.name}: header: holds snapshot {segment.generation} at sequence {segment.sequence}"
            )
        return segment


@dataclass(frozen=True, slots=True)
class Lag:
    """How far what is being served may be behind the catalog.

    ``behind`` counts the changes that the catalog had committed when it last answered and that are not served yet;
    ``ms`` is the time since the index was last known to hold everything. Of a catalog that does not answer only the
    second grows: what it does not say cannot be counted.
    """

    behind: int
    ms: float


class Publisher:
    """Keeps a :class:`LiveIndex` at the state of a catalog.

    All methods may be called from any thread.

    Parameters
    ----------
    feed
        The catalog.
    index
        Empty; nobody else may load into it or apply to it.
    directory
        Where snapshots are kept; made when it does not exist.
    config
        Limits.

    """

    def __init__(self, feed: ChangeFeed, index: LiveIndex, directory: Path, config: IndexConfig) -> None:
        self._feed = feed
        self._index = index
        self._directory = directory
        self._config = config
        self._syncing = threading.RLock()
        self._closing = threading.Event()
        self._damaged: set[Path] = set()
        self._submitting = threading.Lock()
        """Held to begin a compaction, or to begin the closing: no work is given to a thread that was shut down."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hashmatch-compaction")
        self._compaction: Future[None] | None = None
        self._not_before_s = 0.0
        self._seen = 0
        self._whole_s = time.monotonic()

    def __repr__(self) -> str:
        return f"<Publisher of {self._index!r} in {self._directory}>"

    def start(self, progress: Progress = SILENT) -> None:
        """Serve the catalog's state: from the newest snapshot that verifies, or from a new one. Safe to call twice.

        Raises
        ------
        RollbackRefused
            The newest snapshot contains changes that the catalog does not.
        SnapshotFailed
            There is no usable snapshot and none could be written.
        UnknownAlgorithm, BadHash
            The catalog holds values that cannot be indexed.
        CatalogUnavailable, CatalogCorrupt
            The catalog could not be read.

        """
        with self._syncing, self._storage():
            if self._index.snapshot:
                return
            self._directory.mkdir(parents=True, exist_ok=True)
            self._whole_s = time.monotonic()
            if not self._load_newer():
                self._publish(progress)
            with self._locked(wait=False) as free:
                if free:
                    self._clean()

    def sync(self) -> bool:
        """Apply what the catalog has committed; return whether there was anything.

        Starts a compaction when it is due, and does not wait for it.

        Raises
        ------
        IndexNotLoaded
            :meth:`start` has not succeeded.
        RollbackRefused
            The catalog is behind what is being served.
        UnknownAlgorithm, BadHash, CatalogUnavailable, CatalogCorrupt
            As for :meth:`start`; nothing was applied.

        """
        with self._syncing:
            self._check_started()
            asked_s = time.monotonic()
            self._seen = sequence = self._feed.sequence()
            self._refuse_rollback(sequence, self._index.sequence, "what is being served")
            applied = 0
            if sequence > self._index.sequence:
                with contextlib.closing(self._feed.changes(self._index.sequence)) as changes:
                    applied = self._index.apply(changes)
            self._whole_s = asked_s
            if self._index.held > self._config.max_delta_entries and time.monotonic() >= self._not_before_s:
                self._begin_compaction()
            return applied > 0

    def compact(self) -> None:
        """Build the next snapshot now, or wait for the one being built, and serve it.

        Raises
        ------
        IndexNotLoaded
            :meth:`start` has not succeeded.
        SnapshotFailed
            It could not be written, or the publisher was closed meanwhile; the current generation is still served.
        RollbackRefused, UnknownAlgorithm, BadHash, CatalogUnavailable, CatalogCorrupt
            As for :meth:`start`; the current generation is still served.

        """
        with self._syncing:
            self._check_started()
            compaction = self._begin_compaction()
        compaction.result()

    def status(self) -> IndexStatus:
        """Describe the index; never raises."""
        return self._index.status()

    def lag(self) -> Lag:
        """Say how far behind the index may be; never raises and asks nobody."""
        return Lag(max(0, self._seen - self._index.sequence), 1e3 * (time.monotonic() - self._whole_s))

    def close(self) -> None:
        """Stop a build that is running; the index keeps serving what it has. Safe to call twice."""
        with self._submitting:
            self._closing.set()
        self._thread.shutdown(wait=True)

    # --- one step each --------------------------------------------------------------------------------------------

    def _check_started(self) -> None:
        if not self._index.snapshot:
            raise IndexNotLoaded
        if self._closing.is_set():
            raise SnapshotFailed("the publisher is closed; nothing is published any more")

    def _begin_compaction(self) -> Future[None]:
        """Start a compaction unless one is running; return the one that runs."""
        if self._compaction is None or self._compaction.done():
            with self._submitting:
                self._check_started()
                self._index.begin_compaction()
                self._compaction = self._thread.submit(self._compact)
            self._compaction.add_done_callback(self._note_failure)
        return self._compaction

    def _compact(self) -> None:
        try:
            with self._storage():
                self._publish(SILENT)
        finally:
            if self._index.state is State.COMPACTING:
                self._index.abandon_compaction()

    def _note_failure(self, compaction: Future[None]) -> None:
        error = compaction.exception()
        if error is not None and not self._closing.is_set():
            self._not_before_s = time.monotonic() + RETRY_S
            _log.error("the next snapshot was not built, %s keeps serving: %s", self._index.status().generation, error)

    def _publish(self, progress: Progress) -> None:
        """Serve a snapshot newer than the current one: another process's, or one built here."""
        with self._locked():
            if self._load_newer():
                return
            self._clean()
            sequence = self._feed.sequence()
            self._refuse_rollback(sequence, self._index.sequence, "what is being served")
            taken = [file.generation for file in SnapshotFile.all_in(self._directory)]
            file = SnapshotFile.at(self._directory, 1 + max([self._index.snapshot, *taken]), sequence)
            with contextlib.closing(self._feed.changes(0)) as changes:
                build(
                    file.path,
                    self._until(sequence, changes),
                    algorithms.table(),
                    generation=file.generation,
                    sequence=sequence,
                    progress=progress,
                )
            self._load(file.open())
            self._prune()

    def _until(self, sequence: int, changes: Changes) -> Iterator[Change]:
        """Yield the changes up to ``sequence``; raise when the publisher is being closed."""
        for change in changes:
            if self._closing.is_set():
                raise SnapshotFailed("the publisher was closed before the snapshot was complete")
            if change.sequence > sequence:
                return
            yield change

    def _load_newer(self) -> bool:
        """Serve the newest snapshot that verifies and is newer than the current one; return whether there was one."""
        for file in SnapshotFile.all_in(self._directory):
            if file.generation <= self._index.snapshot:
                return False
            if file.path in self._damaged:
                continue
            try:
                segment = file.open()
                self._refuse_rollback(self._feed.sequence(), segment.sequence, f"the snapshot {file.path.name}")
                self._load(segment)
            except FileNotFoundError:
                continue  # pruned by another process since the directory was listed
            except SegmentCorrupt as error:
                self._damaged.add(file.path)
                _log.warning("skipped a damaged snapshot, it will be replaced: %s", error)
                continue
            return True
        return False

    def _load(self, segment: Segment) -> None:
        """Serve ``segment`` with the changes since. No sync may come between reading those and the swap."""
        with self._syncing, contextlib.closing(self._feed.changes(segment.sequence)) as changes:
            self._index.load(segment, changes)

    def _refuse_rollback(self, feed_sequence: int, sequence: int, what: str) -> None:
        if feed_sequence < sequence:
            raise RollbackRefused(
                f"the catalog ends at sequence {feed_sequence}, but {what} is at sequence {sequence}: the catalog was "
                f"replaced by an older one. Restore the newer catalog; or, if the older one is meant, stop every "
                f"hashmatch process that uses it and remove {self._directory}"
            )

    # --- the directory --------------------------------------------------------------------------------------------

    def _clean(self) -> None:
        """Remove what killed builders left; only under the lock."""
        for path in clean_stale(self._directory):
            _log.info("removed %s, left behind by a build that was killed", path.name)

    def _prune(self) -> None:
        """Remove damaged snapshots and those beyond ``index.snapshots_kept``; only under the lock."""
        usable = [file.path for file in SnapshotFile.all_in(self._directory) if file.path not in self._damaged]
        for path in [*usable[self._config.snapshots_kept :], *self._damaged]:
            path.unlink(missing_ok=True)
        self._damaged.clear()
        sync_directory(self._directory)

    @contextlib.contextmanager
    def _locked(self, *, wait: bool = True) -> Iterator[bool]:
        """Hold the directory's lock; yield whether it is held, always True with ``wait``."""
        with (self._directory / _LOCK).open("ab") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if wait and not self._closing.wait(LOCK_POLL_S):
                        continue
                    if wait:
                        raise SnapshotFailed("the publisher was closed while another process was building") from None
                    yield False
                else:
                    yield True
                return

    @contextlib.contextmanager
    def _storage(self) -> Iterator[None]:
        """Name the directory in what the operating system refuses."""
        try:
            yield
        except OSError as error:
            raise SnapshotFailed(
                f"{self._directory}: {error.strerror or error}; what was being served still is. "
                "Make the directory writable and give it room"
            ) from error
