"""Streams that keep the digest of what passes through them, and rows that count only if the whole file was right.

Theory of operation
-------------------
A list is imported while it is read, in one transaction that is committed when its rows end. So the digest of a signed
list needs no pass of its own: :func:`complete_only` hands the rows on and, before it ends, reads what the reader left
over and compares. A wrong digest is an error instead of an end, and the transaction is undone.

What this module deliberately does not do: it does not know where the expected digest comes from.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from hashmatch.errors import ManifestRefused
from hashmatch.exchange.manifest import Content
from hashmatch.model import Row

_DRAIN_BYTES = 1 << 20


class Hashed(io.RawIOBase):
    """A stream that is read from or written to, and the SHA-256 and length of all that passed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        """Digest so far, 64 hex digits."""
        return self._digest.hexdigest()

    def readable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read what the stream has, at most a buffer full."""
        data = self._stream.read(len(buffer))
        self._take(data)
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        """Write all of it."""
        self._take(data)
        return self._stream.write(data)

    def _take(self, data: bytes) -> None:
        self._digest.update(data)
        self.size_bytes += len(data)


def complete_only(
    rows: Iterable[Row], stream: BinaryIO, hashed: Hashed, expected: Content, where: str
) -> Iterator[Row]:
    """Yield ``rows``, and end only if everything in ``stream`` was what the manifest says.

    Parameters
    ----------
    rows : iterable of Entry, Rejected or EntryBlock
        Read from ``stream``.
    stream : BinaryIO
        Buffered over ``hashed``; read to its end here.
    hashed : Hashed
        Below ``stream``.
    expected : Content
        Of a verified manifest.
    where : str
        Name of the file, for the message.

    Raises
    ------
    ManifestRefused
        Instead of ending: the file is not the one that was signed.

    """
    yield from rows
    while stream.read(_DRAIN_BYTES):
        pass
    if (hashed.sha256, hashed.size_bytes) != (expected.sha256, expected.size_bytes):
        raise ManifestRefused(
            f"{where} is not the list that was signed: it has {hashed.size_bytes} bytes with the SHA-256 "
            f"{hashed.sha256[:16]}..., the manifest says {expected.size_bytes} with {expected.sha256[:16]}...; "
            "nothing was imported"
        )
