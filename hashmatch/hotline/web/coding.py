"""Bodies as they were sent to bodies as they are: gzip and deflate, with a cap while reading.

Theory of operation
-------------------
A :class:`Decoder` is fed pieces and gives back what they become, never more than the room that is left and one byte,
by which the caller sees that it is too much. A bomb is therefore noticed at the limit, whatever it would have become.
Only what was asked for is taken: br, zstd or two codings on top of each other are no answer.

What this module deliberately does not do: it does not mend. A stream that breaks off or is damaged is a body that is
not whole.

Source
------
RFC 9110 §8.4, RFC 1952 (gzip; several members are one body), RFC 1950 and 1951 (``deflate`` is zlib; some servers send
it without its head, which browsers take too).
"""

from __future__ import annotations

import zlib

from hashmatch.hotline.web.stops import Stopped
from hashmatch.model.hotline import Outcome

ACCEPTED = "gzip, deflate"

_GZIP = 16 + zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"
_ZLIB_HEAD_BYTES = 2
_NAMES = {"": "", "identity": "", "gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}


class Decoder:
    """Undoes the coding of one body."""

    def __init__(self, coding: str, max_bytes: int) -> None:
        """Begin.

        Parameters
        ----------
        coding : str
            The header ``Content-Encoding``, or nothing.
        max_bytes : int
            Longest body.

        Raises
        ------
        Stopped
            It is none that was asked for.

        """
        name = _NAMES.get(coding.strip().lower())
        if name is None:
            raise Stopped(Outcome.BAD_ANSWER, "the body has a coding that was not asked for")
        self._name = name
        self._room = max_bytes
        self._max_bytes = max_bytes
        self._head = b""
        self._stream = zlib.decompressobj(_GZIP) if name == "gzip" else None
        self._begun = False
        self._ended = False

    def __repr__(self) -> str:
        return f"<Decoder {self._name or 'identity'}, room for {self._room} bytes>"

    def feed(self, untrusted_piece: bytes) -> bytes:
        """Return what a piece becomes.

        Raises
        ------
        Stopped
            The body is longer than it may be, or damaged.

        """
        self._begun = self._begun or bool(untrusted_piece)
        if not self._name:
            return self._taken(untrusted_piece)
        if self._stream is None:
            self._head += untrusted_piece
            if len(self._head) < _ZLIB_HEAD_BYTES:
                return b""
            untrusted_piece, self._head = self._head, b""
            self._stream = zlib.decompressobj(zlib.MAX_WBITS if _has_zlib_head(untrusted_piece) else _RAW)
        return self._inflated(self._stream, untrusted_piece)

    def finish(self) -> None:
        """Say that nothing more comes.

        Raises
        ------
        Stopped
            The stream had not ended.

        """
        if self._name and self._begun and not self._ended:
            raise Stopped(Outcome.BAD_ANSWER, "the compressed body breaks off")

    def _inflated(self, stream: zlib._Decompress, untrusted_piece: bytes) -> bytes:
        out = bytearray()
        while untrusted_piece and not (self._ended and not untrusted_piece.startswith(_GZIP_MAGIC)):
            if self._ended:  # the next member of a gzip file; anything else behind its end is ignored
                stream = self._stream = zlib.decompressobj(_GZIP)
                self._ended = False
            try:
                out += self._taken(stream.decompress(untrusted_piece, self._room + 1))
            except zlib.error as error:
                raise Stopped(Outcome.BAD_ANSWER, "the compressed body is damaged") from error
            self._ended = stream.eof
            untrusted_piece = stream.unused_data if stream.eof else stream.unconsumed_tail
        return bytes(out)

    def _taken(self, piece: bytes) -> bytes:
        self._room -= len(piece)
        if self._room < 0:
            raise Stopped(Outcome.TOO_LARGE, f"longer than {self._max_bytes} bytes")
        return piece


def _has_zlib_head(data: bytes) -> bool:
    return data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2]) % 31 == 0
