"""The files of a ledger: names, appending, and finding the end; all of a ledger's I/O for writing.

Theory of operation
-------------------
A ledger is a directory::

    00000000000000000000.jsonl     a segment, named by the number of its first record
    heads.jsonl                    signed heads, appended
    lock                           held by whoever writes

:class:`Files` does what ``writer`` decides. An append is one write at a known offset, synced before it counts; one that
fails is taken back by cutting the file at that offset. After a failed fsync the bytes are *written* anew and not only
synced anew: the kernel has marked the old pages clean, and would sync nothing.

:func:`found_end` looks where a ledger ends. It holds the last segment to its chain by the fixed end that canonical
lines have (``"previous":"…","seq":N}``), at a tenth of the price of parsing them.

What this module deliberately does not do: it does not verify; a damaged ledger is refused here and explained by
``reader``.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from hashmatch.durable import sync_directory
from hashmatch.errors import LedgerCorrupt, LedgerInUse, LedgerUnavailable
from hashmatch.ledger import heads as signed_heads
from hashmatch.ledger.chain import SEGMENT
from hashmatch.ledger.composing import End, Piece
from hashmatch.ledger.records import MAX_LINE_BYTES, Flaw, Record, decode, digest

HEADS: Final = "heads.jsonl"
LOCK: Final = "lock"
LOCK_TRIES: Final = 5
LOCK_POLL_S: Final = 0.01
"""Who reads looks for a moment whether somebody writes, and must not be taken for a writer."""

_SEGMENT_NAME: Final = re.compile(r"(\d{20})\.jsonl")
_LINE_END: Final = re.compile(rb',"previous":"([0-9a-f]{64})","seq":(0|[1-9]\d{0,15})\}')
_LINE_END_BYTES: Final = len(',"previous":"","seq":}') + 64 + 16


@dataclass(frozen=True, slots=True)
class Cut:
    """A torn line that was taken off the end of a file."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Found:
    """Where a ledger ends, its last head's number, and what was cut off its last segment."""

    end: End
    head_seq: int
    cut: Cut | None


def segment_name(first_seq: int) -> str:
    """Return the name of a segment's file."""
    return f"{first_seq:020d}.jsonl"


def segments(directory: Path) -> list[tuple[int, Path]]:
    """Return the first number and the file of every segment, in order."""
    named = ((_SEGMENT_NAME.fullmatch(path.name), path) for path in directory.iterdir())
    return sorted((int(match[1]), path) for match, path in named if match)


@contextlib.contextmanager
def storage(directory: Path) -> Iterator[None]:
    """Name the directory in what the operating system refuses. Raises LedgerUnavailable."""
    try:
        yield
    except OSError as error:
        raise LedgerUnavailable(f"{directory}: {error.strerror or error}") from error


class Files:
    """The open files of a ledger that is being written; holds its lock until closed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock = _locked(directory)
        self._segment: tuple[int, int] | None = None
        """Number and descriptor of the segment that is open."""

    def __repr__(self) -> str:
        return f"<Files of {self.directory}>"

    def append(self, piece: Piece, offset: int) -> None:
        """Write a piece at an offset and sync it. Raises OSError; then call :meth:`take_back`."""
        descriptor = self._opened(piece)
        self.write(descriptor, piece.data, offset)
        self.sync(descriptor)
        if piece.new:
            self.sync_directory()

    def take_back(self, end: End) -> None:
        """Make the files what they were when the ledger ended at ``end``. Raises OSError."""
        self._close_segment()
        for first, path in segments(self.directory):
            if first > end.segment:
                path.unlink()
        if end.segment >= 0:
            os.truncate(self.directory / segment_name(end.segment), end.segment_bytes)

    def append_head(self, line: bytes) -> None:
        """Append a head and sync it; one that fails is taken back. Raises OSError."""
        descriptor = os.open(self.directory / HEADS, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            offset = os.lseek(descriptor, 0, os.SEEK_END)
            try:
                self.write(descriptor, line + b"\n", offset)
                self.sync(descriptor)
            except OSError:
                os.ftruncate(descriptor, offset)
                raise
        finally:
            os.close(descriptor)
        if offset == 0:
            self.sync_directory()

    def remove(self, paths: Sequence[Path]) -> None:
        """Delete segments, in this order. Raises OSError."""
        for path in paths:
            path.unlink(missing_ok=True)
        self.sync_directory()

    def close(self) -> None:
        """Close everything and give the lock back. Safe to call twice."""
        self._close_segment()
        self._lock.close()

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        """Write all of ``data``. Raises OSError."""
        view = memoryview(data)
        while view:
            written = os.pwrite(descriptor, view, offset)
            view, offset = view[written:], offset + written

    def sync(self, descriptor: int) -> None:
        """Have a file's bytes on the disk. Raises OSError."""
        os.fdatasync(descriptor)

    def sync_directory(self) -> None:
        """Have the names on the disk. Raises OSError."""
        sync_directory(self.directory)

    def _opened(self, piece: Piece) -> int:
        if self._segment is None or self._segment[0] != piece.segment:
            self._close_segment()
            flags = os.O_WRONLY | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if piece.new else 0)
            descriptor = os.open(self.directory / segment_name(piece.segment), flags, 0o600)
            self._segment = piece.segment, descriptor
        return self._segment[1]

    def _close_segment(self) -> None:
        if self._segment is not None:
            os.close(self._segment[1])
            self._segment = None


def found_end(directory: Path) -> Found | None:
    """Return where a ledger ends, cutting a torn line off its end; None where there is no record.

    Only for the holder of the lock.

    Raises
    ------
    LedgerCorrupt
        Its last segment is damaged elsewhere than in a line that does not end, or it ends before its last head.
    OSError
        It cannot be read or cut.

    """
    cut: Cut | None = None
    _cut_torn(directory / HEADS)
    head_seq = _last_head(directory / HEADS)
    while named := segments(directory):
        first, path = named[-1]
        torn = _cut_torn(path)
        cut = cut or torn
        if path.stat().st_size:
            end = _end_of(first, path)
            _refuse_cut(directory, head_seq, end.seq)
            return Found(end, head_seq, cut)
        path.unlink()  # its first line was torn: there was nothing in it
    _refuse_cut(directory, head_seq, -1)
    return None


def _refuse_cut(directory: Path, head_seq: int, seq: int) -> None:
    """Refuse to go on with a ledger that ends before one of its heads: that would hide the cut."""
    if head_seq > seq:
        raise LedgerCorrupt(
            f"{directory}: the ledger ends at record {seq}, and a signed head is of record {head_seq}; verify the "
            "ledger, keep it, and begin another"
        )


def _end_of(first: int, path: Path) -> End:
    """Hold a segment to its chain."""
    with path.open("rb") as stream:
        header, line, at, expected = b"", b"", 0, first
        while raw := stream.readline(MAX_LINE_BYTES + 1):
            previous, line = line, raw[:-1]
            match = _LINE_END.fullmatch(line, max(0, line.rfind(b',"previous":', -_LINE_END_BYTES)))
            follows = match is not None and int(match[2]) == expected
            if match is None or not follows or (previous and match[1].decode() != digest(previous)):
                raise _corrupt(path, at)
            header = header or line
            at, expected = at + len(raw), expected + 1
    opening, last = decode(header), decode(line)
    if isinstance(opening, Flaw) or opening.kind != SEGMENT:
        raise _corrupt(path, 0)
    if isinstance(last, Flaw):
        raise _corrupt(path, at - len(line) - 1)
    return _end(opening, last, line, first, at)


def _end(opening: Record, last: Record, line: bytes, first: int, size: int) -> End:
    return End(
        ledger=str(opening.body.get("ledger", "")),
        seq=last.seq,
        digest=digest(line),
        at=last.at,
        segment=first,
        segment_bytes=size,
    )


def _corrupt(path: Path, offset: int) -> LedgerCorrupt:
    return LedgerCorrupt(
        f"{path}: the record at byte {offset} does not follow from the one before; verify the ledger, keep it, "
        "and begin another"
    )


def _cut_torn(path: Path) -> Cut | None:
    """Cut off what follows the last line feed of a file."""
    if not path.exists():
        return None
    with path.open("r+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        keep = _past_last_line(stream, size)
        if keep == size:
            return None
        stream.seek(keep)
        torn = hashlib.sha256()
        while part := stream.read(1 << 16):
            torn.update(part)
        stream.truncate(keep)
        os.fsync(stream.fileno())
    return Cut(size - keep, torn.hexdigest())


def _past_last_line(stream: BinaryIO, size: int) -> int:
    """Return the offset after the last line feed."""
    end, block = size, 1 << 16
    while end > 0:
        begin = max(0, end - block)
        stream.seek(begin)
        at = stream.read(end - begin).rfind(b"\n")
        if at >= 0:
            return begin + at + 1
        end = begin
    return 0


def _last_head(path: Path) -> int:
    """Return the number in the last head of a file, -1 where there is none that can be read."""
    if not path.exists():
        return -1
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        begin = max(0, size - 2 * signed_heads.MAX_HEAD_BYTES)
        stream.seek(begin)
        lines = stream.read(size - begin).splitlines()
    head = signed_heads.read(lines[-1]) if lines else None
    return -1 if head is None else head.head.seq


def _locked(directory: Path) -> BinaryIO:
    """Hold the lock of a ledger. Raises LedgerInUse where somebody else does, OSError."""
    file = (directory / LOCK).open("ab")
    try:
        for tries_left in reversed(range(LOCK_TRIES)):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not tries_left:
                    raise
                time.sleep(LOCK_POLL_S)
            else:
                break
    except BlockingIOError:
        file.close()
        raise LedgerInUse(f"{directory}: another process writes this ledger") from None
    except OSError:
        file.close()
        raise
    return file
