"""Ledgers to test with: quick ones, files that fail when told to, and what a verification finds."""

from __future__ import annotations

import dataclasses
import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hashmatch.ledger import Finding, Options, Summary, Writer, verified
from hashmatch.ledger.files import Files
from hashmatch.signatures import SigningKey, VerifyKey

KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER_KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
ABOUT = {"tool": "hashmatch", "version": "1.2.3"}
SMALL = Options(rotate_bytes=750, head_every_records=1_000, head_every_s=3_600, fsync_ms=0, retry_ms=10, max_queued=8)
"""Segments of four records of :func:`write_ledger`, no head but at the end, and little room."""

ROOMY = dataclasses.replace(SMALL, rotate_bytes=1 << 20)
"""One segment."""

START_NS = 1_795_852_800_000_000_000
"""28 November 2026, 08:00 UTC."""


class Ticks:
    """A clock that goes on by a millisecond whenever it is read, and jumps when told to."""

    def __init__(self) -> None:
        self.ns = START_NS

    def __call__(self) -> int:
        """Return the time, nanoseconds since 1970."""
        self.ns += 1_000_000
        return self.ns


class FailingFiles(Files):
    """Files whose operations fail while ``failing`` names them; ``tried`` tells of each failure and each sync."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.failing: dict[str, int] = {}
        self.failures = self.syncs = 0
        self.tried = threading.Condition()

    def write(self, descriptor: int, data: bytes, offset: int) -> None:
        """Write all, or half of it and fail."""
        if "write" in self.failing:
            super().write(descriptor, data[: len(data) // 2], offset)
        self._fail("write")
        super().write(descriptor, data, offset)

    def sync(self, descriptor: int) -> None:
        """Sync, or fail."""
        self._fail("sync")
        super().sync(descriptor)
        with self.tried:
            self.syncs += 1
            self.tried.notify_all()

    def wait_for_failures(self, count: int) -> None:
        """Return once so many operations have failed."""
        with self.tried:
            assert self.tried.wait_for(lambda: self.failures >= count, 300)

    def mend(self) -> None:
        """Fail no more, and return once something was synced again."""
        with self.tried:
            self.failing.clear()
            before = self.syncs
            assert self.tried.wait_for(lambda: self.syncs > before, 300)

    def _fail(self, operation: str) -> None:
        if (code := self.failing.get(operation)) is not None:
            with self.tried:
                self.failures += 1
                self.tried.notify_all()
            raise OSError(code, os.strerror(code))


def failing_files(made: list[FailingFiles]) -> Callable[[Path], FailingFiles]:
    """Return a factory that keeps what it makes."""

    def make(directory: Path) -> FailingFiles:
        made.append(FailingFiles(directory))
        return made[-1]

    return make


FAULTS: Sequence[tuple[str, int]] = (
    ("sync", errno.EIO),
    ("write", errno.EIO),
    ("write", errno.ENOSPC),
)


def write_ledger(
    directory: Path, count: int, *, options: Options = SMALL, first: int = 0, key: SigningKey = KEY
) -> None:
    """Begin a ledger, or go on with it, and append so many records of kind ``note``, with a head at the end."""
    clock = Ticks()
    clock.ns += first * 3_600_000_000_000
    with Writer.open(directory, key, about=ABOUT, options=options, clock=clock) as ledger:
        for number in range(first, first + count):
            ledger.append("note", {"number": number})


def found(
    directory: Path, *, keys: Sequence[VerifyKey] = (KEY.verify_key,), against: Sequence[Path] = ()
) -> tuple[Summary, list[Finding]]:
    """Verify a ledger."""
    summary, findings = verified(directory, keys=keys, against=against)
    return summary, list(findings)


def wrongs(directory: Path, *, against: Sequence[Path] = ()) -> list[str]:
    """Return what is wrong with a ledger, in order."""
    return [str(finding.wrong) for finding in found(directory, against=against)[1]]


def segment_files(directory: Path) -> list[Path]:
    """Return the segments of a ledger."""
    return sorted(directory.glob("0*.jsonl"))


def raw_lines(directory: Path) -> Iterator[bytes]:
    """Yield every line of every segment, with its line feed."""
    for path in segment_files(directory):
        yield from path.read_bytes().splitlines(keepends=True)
