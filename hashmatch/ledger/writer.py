"""Appending to a ledger: one thread, group commit, signed heads, and what happens when the disk refuses.

Theory of operation
-------------------
:meth:`Writer.post` puts an entry into a bounded queue and returns; :meth:`Writer.submit` gives a future that is done
when the entry is on the disk; :meth:`Writer.append` waits for that. One thread takes what waits, composes lines, and
appends and syncs them as one piece. Entries that nobody waits for linger up to ``fsync_ms``, so that many share one
sync; an entry that somebody waits for lets nothing linger, and what comes during its sync shares the next.

When a write or sync fails, the piece is taken back, so that the files are what they were, and tried again every
``retry_ms``. Whoever waits is told at once, and nothing that was waited for is tried again; what was posted stays. When
the queue is full, posting raises, and the ledger itself records how many entries found no room as soon as it can write.
So nothing is missing that is not counted. An entry whose future is done survives ``kill -9`` and a power cut, as far as
the disk keeps its word.

A head is signed every ``head_every_records`` records, ``head_every_s`` after the first record without one, on demand,
and at the end.

What this module deliberately does not do: it does not verify what is already there beyond its last segment; and it
orders nothing by the wall clock, whose jumps are recorded and change nothing.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from hashmatch.errors import LedgerUnavailable
from hashmatch.ledger import composing, removal
from hashmatch.ledger.chain import REMOVED
from hashmatch.ledger.composing import Body, End, Entry
from hashmatch.ledger.files import Cut, Files, found_end, storage
from hashmatch.ledger.heads import Head, signed
from hashmatch.ledger.options import DEFAULTS, Options, State
from hashmatch.ledger.records import Stored, body_text, checked_kind, time_text
from hashmatch.signatures import SigningKey

MAX_BATCH: Final = 4_096
"""Entries of one sync, about 2 MB."""

_log = logging.getLogger("hashmatch.ledger")


@dataclass(slots=True)
class _Waiting:
    entry: Entry
    done: Future[Stored] | None = None


class Writer:
    """The one writer of a ledger. Use as a context manager; every method may be called from any thread."""

    def __init__(
        self,
        files: Files,
        key: SigningKey,
        *,
        end: End,
        head_seq: int,
        about: Body,
        options: Options,
        clock: Callable[[], int],
    ) -> None:
        self._files = files
        self._end = end
        self._head_seq = head_seq
        self._key = key
        self._about = about
        self._options = options
        self._clock = clock
        self._changed = threading.Condition(threading.Lock())
        self._queue: deque[_Waiting] = deque()
        self._batch: list[_Waiting] = []
        self._waited_for = 0
        self._asleep = False
        self._closing = False
        self._accepted = self._written = 0
        """Entries taken in, and those of them that are on the disk."""
        self._heads_wanted: list[tuple[int, Future[bytes]]] = []
        """How many entries must be on the disk first, and who waits for the head."""
        self._head_due = float("inf")
        self._lost = 0
        self._losses = composing.Losses()
        self._trouble = ""
        self._thread = threading.Thread(target=self._run, name="hashmatch-ledger", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        state = self.state()
        trouble = f", {state.trouble}" if state.trouble else ""
        return f"<Writer of {self._files.directory}: record {state.seq}, {state.queued} waiting{trouble}>"

    @classmethod
    def open(
        cls,
        directory: Path,
        key: SigningKey,
        *,
        about: Mapping[str, object],
        options: Options = DEFAULTS,
        files: Callable[[Path], Files] = Files,
        clock: Callable[[], int] = time.time_ns,
    ) -> Self:
        """Open a ledger for writing, beginning it where there is none.

        Parameters
        ----------
        directory : Path
            Of this ledger alone; made when missing.
        key : SigningKey
            Signs the heads.
        about : mapping
            Who writes: tool, version, posture. Stands in every segment's header beside the ledger's id and the key.
        options : Options
            Limits.
        files : callable
            What opens the files, for tests of disks that fail.
        clock : callable
            Returns nanoseconds since 1970.

        Raises
        ------
        LedgerInUse
            Another process writes it.
        LedgerUnavailable
            The disk refuses.
        LedgerCorrupt
            It is damaged elsewhere than in a torn last line; nothing was written to it.
        BadInput
            ``about`` cannot be recorded.

        """
        opening = {**about, "key": key.verify_key.raw.hex(), "key_id": key.verify_key.key_id}
        with storage(directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            opened = files(directory)
            try:
                found = found_end(directory)
                end = found.end if found else End(ledger=secrets.token_hex(16))
                first = _first_entries(end, found.cut if found else None, opening, clock())
                composed = composing.composed(end, first, opening, options.rotate_bytes)
                for piece in composed.pieces:
                    opened.append(piece, 0 if piece.new else end.segment_bytes)
            except BaseException:
                opened.close()
                raise
        head_seq = found.head_seq if found else -1
        return cls(opened, key, end=composed.end, head_seq=head_seq, about=opening, options=options, clock=clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- callers --------------------------------------------------------------------------------------------------

    def post(self, kind: str, body: Body | Callable[[], Body]) -> None:
        """Record something soon, without waiting.

        Parameters
        ----------
        kind : str
            What it is.
        body : mapping or callable
            JSON; or what makes it, called in the ledger's thread whenever it is tried to write it: it must return the
            same each time, and neither fail nor block.

        Raises
        ------
        LedgerUnavailable
            The queue is full, because nothing can be written, or the ledger is closed. The loss is counted.
        BadInput
            That is no kind, or the body cannot be recorded.

        """
        self._put(checked_kind(kind), body if callable(body) else body_text(body), None)

    def submit(self, kind: str, body: Body) -> Future[Stored]:
        """Record something; the future is done when it is on the disk, or fails with LedgerUnavailable.

        Raises
        ------
        LedgerUnavailable
            As for :meth:`post`.
        BadInput
            That is no kind, or the body cannot be recorded.

        """
        text = body_text(body)
        done: Future[Stored] = Future()
        done.set_running_or_notify_cancel()  # whoever stops waiting must not stop the thread
        self._put(checked_kind(kind), text, done)
        return done

    def append(self, kind: str, body: Body) -> Stored:
        """Record something and wait until it is on the disk. Raises LedgerUnavailable, BadInput."""
        return self.submit(kind, body).result()

    def head(self) -> bytes:
        """Sign a head of everything recorded before this call and return its line. Raises LedgerUnavailable."""
        wanted: Future[bytes] = Future()
        wanted.set_running_or_notify_cancel()
        with self._changed:
            self._check_open()
            self._heads_wanted.append((self._accepted, wanted))
            self._changed.notify_all()
        return wanted.result()

    def remove_older(self, before: str, rule: str) -> int:
        """Take segments out that were written before a time, as records have it, and return how many records those had.

        A record says so, and a head vouches for it, before a file is deleted; see ``removal``. Blocks.

        Raises
        ------
        LedgerUnavailable
            The disk refuses. What the record named may still be there, and goes the next time.
        LedgerCorrupt
            What would go is damaged, or the ledger begins later than anything says; nothing was done.
        BadInput
            A file cannot be read.

        """
        due = removal.due(self._files.directory, before)
        if due is None:
            return 0
        done: Future[Stored] = Future()
        done.set_running_or_notify_cancel()
        self._put(REMOVED, body_text(due.words(rule)), done)
        done.result()
        self.head()
        with storage(self._files.directory):
            self._files.remove(due.paths)
        return due.last - due.begin + 1

    def state(self) -> State:
        """Return how the ledger does; never blocks for the disk."""
        with self._changed:
            return State(
                ledger=self._end.ledger,
                seq=self._end.seq,
                head_seq=self._head_seq,
                queued=len(self._queue) + len(self._batch),
                lost=self._lost,
                trouble=self._trouble,
            )

    @property
    def trouble(self) -> str:
        """Why nothing can be written, empty while it can."""
        return self._trouble

    def close(self) -> None:
        """Write what waits, sign a head and give the ledger back. Safe to call twice.

        Raises
        ------
        LedgerUnavailable
            What waited could not be written; the message says how much that is.

        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        with self._changed:
            left, trouble = len(self._queue) + len(self._batch), self._trouble
            self._queue.clear()
            self._batch.clear()
        if left or trouble:
            raise LedgerUnavailable(f"the ledger ends without its last {left} entries and without a head: {trouble}")

    def _put(self, kind: str, body: bytes | Callable[[], Body], done: Future[Stored] | None) -> None:
        with self._changed:
            self._check_open()
            ns = self._clock()  # under the lock: the order of times is that of entries
            waiting = len(self._queue) + len(self._batch)
            if waiting >= self._options.max_queued:
                self._losses.append(ns)
                self._lost += 1
                raise LedgerUnavailable(
                    f"{waiting} entries wait to be recorded, and there is no room for more"
                    + (f": {self._trouble}" if self._trouble else "")
                )
            self._queue.append(_Waiting(Entry(ns, kind, body), done))
            self._accepted += 1
            self._waited_for += done is not None
            if self._asleep or done is not None:
                self._changed.notify_all()

    def _check_open(self) -> None:
        if self._closing:
            raise LedgerUnavailable(f"{self._files.directory}: the ledger is closed")

    # --- the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._next():
                if not self._attempt() and self._closing:
                    return
        finally:
            self._end_thread()

    def _next(self) -> bool:
        """Wait until there is something to do and take it; False when everything is done."""
        with self._changed:
            while not (self._work() or self._closing):
                self._asleep = True
                self._changed.wait(min(self._head_due - time.monotonic(), threading.TIMEOUT_MAX))
                self._asleep = False
            pause_ms = self._options.retry_ms if self._trouble else self._options.fsync_ms
            self._changed.wait_for(self._hurried, pause_ms / 1e3)
            while self._queue and len(self._batch) < MAX_BATCH:
                waiting = self._queue.popleft()
                self._waited_for -= waiting.done is not None
                self._batch.append(waiting)
            if self._losses.count and not self._trouble:
                ns = self._batch[-1].entry.ns if self._batch else self._clock()
                self._batch.append(_Waiting(self._losses.said(ns)))
                self._accepted += 1
            return not self._closing or bool(self._batch) or self._head_seq != self._end.seq

    def _work(self) -> bool:
        return bool(
            self._queue
            or self._batch
            or self._heads_wanted
            or self._losses.count
            or self._trouble
            or time.monotonic() >= self._head_due
        )

    def _hurried(self) -> bool:
        return bool(self._waited_for or self._heads_wanted or self._closing)

    def _attempt(self) -> bool:
        """Write the batch, then a head if one is due; return whether the disk took both."""
        try:
            if self._trouble:
                self._files.take_back(self._end)
            if self._batch:
                self._commit()
            if self._head_is_due():
                self._sign()
        except OSError as error:
            self._failed(error)
            return False
        return True

    def _commit(self) -> None:
        """Append the batch. Raises OSError."""
        entries = [waiting.entry for waiting in self._batch]
        result = composing.composed(self._end, entries, self._about, self._options.rotate_bytes)
        for piece in result.pieces:
            self._files.append(piece, 0 if piece.new else self._end.segment_bytes)
        with self._changed:
            self._recovered()
            batch, self._batch = self._batch, []
            self._end = result.end
            self._written += len(batch)
            self._head_due = min(self._head_due, time.monotonic() + self._options.head_every_s)
        for waiting, stored in zip(batch, result.stored, strict=True):
            if waiting.done is not None:
                waiting.done.set_result(stored)

    def _head_is_due(self) -> bool:
        """Also in trouble: what shows that the disk takes something again must be a write."""
        unsigned = self._end.seq - self._head_seq
        if self._end.seq < 0:
            return False
        wanted = bool(self._trouble) or any(self._written >= upto for upto, _ in self._heads_wanted)
        late = unsigned > 0 and (time.monotonic() >= self._head_due or (self._closing and not self._queue))
        return wanted or late or unsigned >= self._options.head_every_records

    def _sign(self) -> None:
        """Append a head. Raises OSError."""
        head = Head(
            ledger=self._end.ledger,
            seq=self._end.seq,
            digest=self._end.digest,
            at=time_text(self._clock()),
            key_id=self._key.verify_key.key_id,
        )
        line = signed(head, self._key)
        self._files.append_head(line)
        with self._changed:
            self._recovered()
            self._head_seq, self._head_due = head.seq, float("inf")
            served = [wanted for upto, wanted in self._heads_wanted if upto <= self._written]
            self._heads_wanted = [each for each in self._heads_wanted if each[0] > self._written]
        for wanted in served:
            wanted.set_result(line)

    def _recovered(self) -> None:
        """Say that the disk has taken something."""
        if self._trouble:
            _log.warning("%s: written again", self._files.directory)
            self._trouble = ""

    def _failed(self, error: OSError) -> None:
        """Take back what was half done, tell those who wait, keep the rest."""
        trouble = error.strerror or str(error)
        if trouble != self._trouble:
            _log.error("%s cannot be written, and is tried again: %s", self._files.directory, trouble)
        with contextlib.suppress(OSError):  # tried again before the next write
            self._files.take_back(self._end)
        with self._changed:
            self._trouble = trouble
            told = [waiting.done for waiting in self._batch if waiting.done is not None]
            self._batch = [waiting for waiting in self._batch if waiting.done is None]
            self._accepted -= len(told)
            heads = [wanted for _, wanted in self._heads_wanted]
            self._heads_wanted = []
        waiters: list[Future[Stored] | Future[bytes]] = [*told, *heads]
        for future in waiters:
            future.set_exception(LedgerUnavailable(f"{self._files.directory} cannot be written: {trouble}"))

    def _end_thread(self) -> None:
        with self._changed:
            self._trouble = self._trouble or ("" if self._closing else "its thread ended, which is a defect")
            self._closing = True
            told = [waiting.done for waiting in (*self._batch, *self._queue) if waiting.done is not None]
            heads = [wanted for _, wanted in self._heads_wanted]
            self._heads_wanted = []
        waiters: list[Future[Stored] | Future[bytes]] = [*told, *heads]
        for future in waiters:
            future.set_exception(LedgerUnavailable(f"{self._files.directory}: the ledger is closed"))
        self._files.close()


def _first_entries(end: End, cut: Cut | None, about: Body, ns: int) -> list[Entry]:
    """Return what a writer that opens a ledger records. Without a segment, its header says it all."""
    entries = [composing.opened(end, about, ns)] if end.segment >= 0 else []
    return entries if cut is None else [composing.repaired(cut.size_bytes, cut.sha256, ns), *entries]
