"""Lists that are compressed with gzip, unpacked while they are read.

Theory of operation
-------------------
:func:`unpacked` looks at the first two bytes and either returns the stream or wraps it. What is unpacked goes through
the same bounds as any other file, a line or record at a time, so a file that unpacks to terabytes costs time and never
memory; Ctrl-C ends it, and nothing was imported.

What this module deliberately does not do: it opens no archive. A ZIP file may hold several lists, and which one is
meant is a person's to say.
"""

from __future__ import annotations

import gzip
import io
import zlib
from typing import BinaryIO, cast

from hashmatch.errors import BadFile

MAGIC = b"\x1f\x8b"

_BUFFER_BYTES = 1 << 20


class _Unpacking(io.RawIOBase):
    """A gzip stream whose damage is the file's fault."""

    def __init__(self, packed: BinaryIO) -> None:
        self._unpacked = gzip.GzipFile(fileobj=packed, mode="rb")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            data = self._unpacked.read1(len(buffer))
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise BadFile(
                f"the compressed file is damaged or breaks off ({error}); nothing was imported, fetch it again",
                field="file",
            ) from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._unpacked.close()
        super().close()


def unpacked(stream: io.BufferedReader) -> io.BufferedReader:
    """Return the stream as it is, or unpacked if it is compressed with gzip; read one or the other, not both.

    Parameters
    ----------
    stream : io.BufferedReader
        From where it stands; it is looked at without being read.

    Raises
    ------
    BadFile
        Not here, but by the stream that is returned, when what is compressed is damaged.

    """
    if not stream.peek(len(MAGIC)).startswith(MAGIC):
        return stream
    return io.BufferedReader(cast("io.RawIOBase", _Unpacking(stream)), _BUFFER_BYTES)
