"""What a batch of entries becomes: the lines that are appended, and where; no I/O.

Theory of operation
-------------------
:func:`composed` takes where a ledger ends and what waits, and returns pieces to be appended and where the ledger then
ends. If a piece cannot be written, nothing has happened yet: the same entries are composed again from the old end.

Times are those at which entries were made. Their order is the order of entries, whatever the clock does: where it goes
back, a record says so before the first entry with the earlier time.

A segment that is full ends before the next entry, and the one after it begins with a record of everything that a reader
of only that file needs: the ledger's id, the digest of the record before (as ``previous``), who writes, and with which
key.

What this module deliberately does not do: it knows no disk, clock or key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from hashmatch.ledger.chain import CLOCK, LOST, OPENED, REPAIRED, SEGMENT
from hashmatch.ledger.records import GENESIS, Stored, body_text, digest, line_of, time_text

Body = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Where a ledger ends. ``segment`` is the number of its last segment's first record, -1 where there is none."""

    ledger: str
    seq: int = -1
    digest: str = GENESIS
    at: str = ""
    segment: int = -1
    segment_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be recorded. ``ns`` is its time, nanoseconds since 1970.

    ``body`` is the text of the body, or makes the body when it is written.
    """

    ns: int
    kind: str
    body: bytes | Callable[[], Body]


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes to be appended to the segment that is named by ``segment``; ``new`` where that does not exist yet."""

    segment: int
    new: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class Composed:
    """What to append, where the ledger then ends, and where each entry then is."""

    pieces: tuple[Piece, ...]
    end: End
    stored: tuple[Stored, ...]


def composed(end: End, entries: Sequence[Entry], about: Body, rotate_bytes: int) -> Composed:
    """Put entries at the end of a ledger.

    Parameters
    ----------
    end : End
        Where it ends now.
    entries : sequence of Entry
        What is to be recorded, in order.
    about : mapping
        What the header of a new segment says beside the ledger's id.
    rotate_bytes : int
        No entry begins in a segment that has so many bytes.

    Raises
    ------
    BadInput
        A body has no canonical text or is too long.

    """
    composer = _Composer(end, about, rotate_bytes)
    stored = tuple(map(composer.add, entries))
    composer.finish()
    return Composed(tuple(composer.pieces), composer.end, stored)


def opened(end: End, about: Body, ns: int) -> Entry:
    """Return the record of a writer that goes on with a ledger."""
    return Entry(ns, OPENED, body_text({"ledger": end.ledger, **about}))


def repaired(cut_bytes: int, sha256: str, ns: int) -> Entry:
    """Return the record of a torn line that was cut off."""
    return Entry(ns, REPAIRED, body_text({"cut_bytes": cut_bytes, "sha256": sha256}))


@dataclass(slots=True)
class Occurrences:
    """How often something happened, and from when to when; nanoseconds since 1970."""

    count: int = 0
    since_ns: int = 0
    until_ns: int = 0

    def append(self, ns: int) -> None:
        """Count one."""
        self.since_ns = self.since_ns if self.count else ns
        self.until_ns = ns
        self.count += 1

    def words(self) -> Body:
        """Return it as it stands in a body."""
        return {"count": self.count, "since": time_text(self.since_ns), "until": time_text(self.until_ns)}


class Losses(Occurrences):
    """Entries that found no room and were not yet told of in the ledger."""

    def said(self, ns: int) -> Entry:
        """Return the record of them, and begin to count anew."""
        entry = Entry(ns, LOST, body_text(self.words()))
        self.count = 0
        return entry


class _Composer:
    """Lines of one batch."""

    def __init__(self, end: End, about: Body, rotate_bytes: int) -> None:
        self.pieces: list[Piece] = []
        self.end = end
        self._about = about
        self._rotate_bytes = rotate_bytes
        self._lines: list[bytes] = []
        self._new = False

    def add(self, entry: Entry) -> Stored:
        """Append an entry, and before it what has to be said first."""
        at = time_text(entry.ns)
        if self.end.segment < 0 or self.end.segment_bytes >= self._rotate_bytes:
            self._begin_segment(at)
        elif at < self.end.at:
            self._say_clock(at)
        text = body_text(entry.body()) if callable(entry.body) else entry.body
        return self._append(at, entry.kind, text)

    def finish(self) -> None:
        """End the piece at hand."""
        if self._lines:
            self.pieces.append(Piece(self.end.segment, self._new, b"".join(self._lines)))
        self._lines, self._new = [], False

    def _begin_segment(self, at: str) -> None:
        self.finish()
        before = self.end.at
        self.end = replace(self.end, segment=self.end.seq + 1, segment_bytes=0)
        self._new = True
        self._append(max(at, before), SEGMENT, body_text({"ledger": self.end.ledger, **self._about}))
        if at < before:
            self._say_clock(at)

    def _say_clock(self, at: str) -> None:
        self._append(at, CLOCK, body_text({"before": self.end.at, "after": at}))

    def _append(self, at: str, kind: str, text: bytes) -> Stored:
        end = self.end
        line = line_of(text, seq=end.seq + 1, previous=end.digest, at=at, kind=kind)
        stored = Stored(end.seq + 1, digest(line))
        self._lines.append(line + b"\n")
        self.end = End(  # by name: `replace` takes as long as the line
            ledger=end.ledger,
            seq=stored.seq,
            digest=stored.digest,
            at=at,
            segment=end.segment,
            segment_bytes=end.segment_bytes + len(line) + 1,
        )
        return stored
