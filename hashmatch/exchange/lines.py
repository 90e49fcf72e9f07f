"""Lines of a file that nobody has vouched for: bounded, numbered, decoded one by one.

Theory of operation
-------------------
Both formats are made of lines, and a line is the unit of damage: one that is too long, is not UTF-8 or holds a NUL byte
is refused with its number, and the next one is read as if nothing had happened. Memory use is bounded by the longest
line allowed, whatever the file.

What this module deliberately does not do: it guesses no encoding. A guess that is wrong once in a thousand files
changes labels and ids without anyone noticing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from hashmatch.errors import BadFile
from hashmatch.model import Rejected

MAX_LINE_BYTES = 1 << 20
"""An entry of 256 values with 64 labels, all of the greatest length, fits four times."""

BLOCK_BYTES = 4 << 20
"""Whole lines handed on at once: so many that a call of numpy costs nothing per line, some 50 MB with its arrays."""

BOM = b"\xef\xbb\xbf"

_MAGIC = (
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"RIFF", "a RIFF file"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet; save the sheet as CSV (UTF-8)"),
    (b"SQLite format 3", "an SQLite database"),
    (b"%PDF", "a PDF document"),
    (b"\xff\xfe", "UTF-16 text; save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text; save it as UTF-8"),
)


def numbered_lines(stream: BinaryIO, expected: str) -> Iterator[tuple[int, str | Rejected]]:
    """Return ``(number from 1, text)`` without line ends, or a refusal in place of the text.

    A UTF-8 byte order mark at the very start is dropped.

    Parameters
    ----------
    stream : BinaryIO
        Read from where it stands; its first line is read before this returns.
    expected : str
        What the file should be, for the message.

    Raises
    ------
    BadFile
        The first line says that the file is something else.

    """
    first = stream.readline(MAX_LINE_BYTES + 1).removeprefix(BOM)
    refuse_foreign(first, expected)
    return _numbered(first, stream)


def _numbered(first: bytes, stream: BinaryIO) -> Iterator[tuple[int, str | Rejected]]:
    number, raw = 1, first
    while raw:
        yield number, text_of(number, raw)
        while len(raw) > MAX_LINE_BYTES and not raw.endswith(b"\n"):
            raw = stream.readline(MAX_LINE_BYTES + 1)
        raw = stream.readline(MAX_LINE_BYTES + 1)
        number += 1


def whole_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Return the rest of a stream in blocks of whole lines, none of them empty; only the last may lack its line end.

    Of a line that is too long no more is kept than shows that it is.

    Parameters
    ----------
    stream : BinaryIO
        Read to its end, ``BLOCK_BYTES`` at a time.

    """
    kept = b""
    while data := stream.read(BLOCK_BYTES):
        data = kept + data
        end = data.rfind(b"\n") + 1
        if end:
            yield data[:end]
        kept = data[end:][: MAX_LINE_BYTES + 1]
    if kept:
        yield kept


def text_of(number: int, raw: bytes) -> str | Rejected:
    """Return the text of a line without its end, or why it is refused.

    Parameters
    ----------
    number : int
        The line's, for the refusal.
    raw : bytes
        The line with its end, if it has one; of a line that is too long the first ``MAX_LINE_BYTES + 1`` bytes will do.

    """
    if len(raw) > MAX_LINE_BYTES:
        return Rejected(number, "", f"longer than {MAX_LINE_BYTES} bytes; no entry is that long")
    if b"\0" in raw:
        return Rejected(number, "", f"NUL byte at {raw.index(0)}; expected plain UTF-8 text")
    try:
        return raw.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        return Rejected(
            number, "", f"byte {raw[error.start]:#04x} at {error.start} is not UTF-8; save the file as UTF-8"
        )


def foreign_kind(head: bytes) -> str:
    """Return what a file is that is no text, for a message; empty where its beginning does not say so."""
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")


def refuse_foreign(head: bytes, expected: str) -> None:
    """Refuse a file whose beginning says that it is no text.

    Raises
    ------
    BadFile
        Names what it seems to be and what was expected.

    """
    if kind := foreign_kind(head):
        raise BadFile(f"the file is {kind}; expected {expected}", field="file")
    if b"\0" in head:
        raise BadFile(f"the file is binary (NUL byte at {head.index(0)}); expected {expected}", field="file")
