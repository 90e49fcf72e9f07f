"""Messages over a stream of bytes: a bounded JSON header and a bounded body, without I/O.

Theory of operation
-------------------
A frame is a fixed head (magic, kind, number of the request, two lengths), a header that is a JSON object, and a body
that is bytes and is never looked at. :class:`Reader` is fed what arrives, in whatever pieces, and gives back whole
frames. Both lengths are checked against the limits before anything is collected, so a process that lies about them
makes its reader raise, not grow.

What this module deliberately does not do: no I/O, and it gives headers no meaning.
"""

from __future__ import annotations

import enum
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hashmatch.errors import BadFrame

_MAGIC = b"HMhl"
_HEAD = struct.Struct("<4sBQIQ")

Header = Mapping[str, Any]


class Kind(enum.IntEnum):
    """What a frame is."""

    SETTINGS = 1
    """To the child, once: what it must know of the configuration."""
    HELLO = 2
    """From the child, once: what became of its lockdown."""
    REQUEST = 3
    ANSWER = 4
    FAILED = 5
    """From the child: it raised; the header names the exception's type, since its text may quote a stranger."""
    CANCEL = 6
    """To the child: nobody waits for this answer any more."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The longest frame that is accepted."""

    header_bytes: int = 1 << 20
    body_bytes: int = 64 << 20


@dataclass(frozen=True, slots=True)
class Frame:
    """One message. ``number`` pairs an answer with its request; 0 for SETTINGS and HELLO."""

    kind: Kind
    number: int = 0
    header: Header = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)

    def encode(self) -> tuple[bytes, bytes]:
        """Head with header, and the body, which is not copied."""
        text = json.dumps(self.header, ensure_ascii=True, separators=(",", ":")).encode()
        return _HEAD.pack(_MAGIC, self.kind, self.number, len(text), len(self.body)) + text, self.body


class Reader:
    """Turns pieces of a stream into frames."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._untrusted_data = bytearray()

    def __repr__(self) -> str:
        return f"<Reader {len(self._untrusted_data)} bytes waiting>"

    def feed(self, untrusted_piece: bytes) -> Iterator[Frame]:
        """Take in what arrived and yield each frame that is whole.

        Raises
        ------
        BadFrame
            It is none of ours, or longer than the limits; nothing after it can be read.

        """
        self._untrusted_data += untrusted_piece
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        data = self._untrusted_data
        if len(data) < _HEAD.size:
            return None
        magic, kind, number, header_bytes, body_bytes = _HEAD.unpack_from(data)
        if magic != _MAGIC or kind not in set(Kind):
            raise BadFrame(f"frame begins {magic!r} kind {kind}")
        if header_bytes > self._limits.header_bytes or body_bytes > self._limits.body_bytes:
            raise BadFrame(
                f"frame with a header of {header_bytes} and a body of {body_bytes} bytes, "
                f"at most {self._limits.header_bytes} and {self._limits.body_bytes}"
            )
        start_of_body = _HEAD.size + header_bytes
        end = start_of_body + body_bytes
        if len(data) < end:
            return None
        with memoryview(data) as view:
            text, body = bytes(view[_HEAD.size : start_of_body]), bytes(view[start_of_body:end])
        del data[:end]
        return Frame(Kind(kind), number, _parsed(text), body)


def _parsed(untrusted_text: bytes) -> Header:
    try:
        header = json.loads(untrusted_text)
    except (ValueError, RecursionError) as error:
        raise BadFrame("the header of a frame is not JSON") from error
    if not isinstance(header, dict):
        raise BadFrame(f"the header of a frame is {type(header).__name__}, expected an object")
    return header
