"""Columns: arrays that grow without disturbing their readers, and texts stored end to end.

Theory of operation
-------------------
A growing column owns a buffer with room to spare. Appending writes behind the last row and :meth:`Growing.view` hands
out a read-only view of the rows so far. A view never changes: later rows lie beyond its end, and when the buffer is
full the rows move to one twice as large while old views keep the old one alive. So a generation of the index is a set
of views, making one costs no copy, and n appends cost O(n) altogether. One thread appends; any number read.

Texts (entry ids, label lists) are one blob of UTF-8 and ``n + 1`` offsets. They are found again through 64-bit keys
(:func:`text_keys`) computed for a whole batch at once; equal keys are only candidates, the text decides.

What this module deliberately does not do: it deletes nothing. What no longer counts is listed as a tombstone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hashmatch.model import AlgorithmKind

Bytes = npt.NDArray[np.uint8]
Ordinals = npt.NDArray[np.uint32]
Keys = npt.NDArray[np.uint64]
Array = npt.NDArray[np.unsignedinteger]
KeysOf = Callable[[Bytes], Keys]

_FIRST_ROWS = 64
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15 | 1)


class Growing:
    """An append-only column.

    Parameters
    ----------
    dtype
        Of one item.
    width
        Items per row; None for a column of one dimension.

    """

    __slots__ = ("_buffer", "_rows")

    def __init__(self, dtype: str, width: int | None = None) -> None:
        shape = (_FIRST_ROWS,) if width is None else (_FIRST_ROWS, width)
        self._buffer: Array = np.empty(shape, dtype=dtype)
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def append(self, rows: npt.NDArray[np.unsignedinteger]) -> None:
        """Add ``rows``, shape (m,) or (m, width), of a type that fits the column's."""
        end = self._rows + len(rows)
        if end > len(self._buffer):
            larger = np.empty((max(end, 2 * len(self._buffer)), *self._buffer.shape[1:]), dtype=self._buffer.dtype)
            larger[: self._rows] = self._buffer[: self._rows]
            self._buffer = larger
        self._buffer[self._rows : end] = rows
        self._rows = end

    def view(self) -> Array:
        """Return the rows so far, read-only; unaffected by later appends."""
        view = self._buffer[: self._rows]
        view.flags.writeable = False
        return view


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts end to end.

    ``offsets`` : uint64, shape (n + 1,); text i is ``blob[offsets[i]:offsets[i + 1]]``, UTF-8.
    ``blob`` : uint8, shape (offsets[n],).
    """

    offsets: Keys
    blob: Bytes

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, ordinal: int) -> str:
        return self.blob[int(self.offsets[ordinal]) : int(self.offsets[ordinal + 1])].tobytes().decode()

    @classmethod
    def of(cls, texts: Sequence[str]) -> Texts:
        """Lay ``texts`` end to end."""
        joined = "".join(texts)
        blob = joined.encode()
        lengths = np.fromiter(map(len, texts), dtype=np.uint64, count=len(texts))
        if len(blob) != len(joined):
            lengths = np.fromiter((len(text.encode()) for text in texts), dtype=np.uint64, count=len(texts))
        offsets = np.zeros(len(texts) + 1, dtype=np.uint64)
        np.cumsum(lengths, out=offsets[1:])
        return cls(offsets, np.frombuffer(blob, dtype=np.uint8))


class GrowingTexts:
    """Append-only texts."""

    __slots__ = ("_blob", "_offsets")

    def __init__(self) -> None:
        self._offsets = Growing("<u8")
        self._offsets.append(np.zeros(1, dtype=np.uint64))
        self._blob = Growing("|u1")

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def append(self, texts: Texts) -> None:
        """Add ``texts`` behind the last one."""
        self._offsets.append(texts.offsets[1:] + np.uint64(len(self._blob)))
        self._blob.append(texts.blob)

    def view(self) -> Texts:
        """Return the texts so far; unaffected by later appends."""
        return Texts(self._offsets.view(), self._blob.view())


def text_keys(texts: Texts, salts: Ordinals) -> Keys:
    """Return one 64-bit key per text, equal for equal (text, salt), rarely equal otherwise.

    A polynomial over the bytes modulo 2^64, then a bit mixer. It is no protection against somebody who wants
    collisions: they would only make looking up their own entries slower.

    Parameters
    ----------
    texts
        n texts.
    salts : uint32, shape (n,)
        Mixed into the key; here the ordinal of the entry's set.

    Source
    ------
    The mixer is SplitMix64's finaliser: Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
    OOPSLA 2014, figure 14 (variant 13 of Stafford).

    """
    starts, ends = texts.offsets[:-1], texts.offsets[1:]
    lengths = ends - starts
    if not len(lengths):
        return np.empty(0, dtype=np.uint64)
    longest = int(lengths.max(initial=0))
    powers = np.ones(longest + 1, dtype=np.uint64)
    powers[1:] = _MULTIPLIER
    np.cumprod(powers, out=powers)
    places = np.arange(len(texts.blob), dtype=np.uint64) - np.repeat(starts, lengths.astype(np.int64))
    sums = np.zeros(len(texts.blob) + 1, dtype=np.uint64)
    np.cumsum((texts.blob + np.uint64(1)) * powers[places], out=sums[1:])
    keys: Keys = sums[ends] - sums[starts] + lengths + (salts.astype(np.uint64) << np.uint64(32))
    return _mixed(keys)


def _mixed(keys: Keys) -> Keys:
    """Spread ``keys`` over all 64 bits, in place."""
    keys ^= keys >> np.uint64(30)
    keys *= np.uint64(0xBF58476D1CE4E5B9)
    keys ^= keys >> np.uint64(27)
    keys *= np.uint64(0x94D049BB133111EB)
    keys ^= keys >> np.uint64(31)
    return keys


def leading_keys(codes: Bytes) -> Keys:
    """Return the first 8 bytes of each code as a number that sorts like the bytes; shorter codes are zero-padded.

    Parameters
    ----------
    codes : uint8, shape (n, bytes), read-only ok

    Returns
    -------
    uint64, shape (n,)

    """
    head: Bytes = np.zeros((len(codes), 8), dtype=np.uint8)
    width = min(8, codes.shape[1])
    head[:, :width] = codes[:, :width]
    keys: Keys = head.view(">u8")[:, 0].astype(np.uint64)
    return keys


def whole_keys(codes: Bytes) -> Keys:
    """Return one 64-bit key per code, made of all its bytes: equal for equal codes, rarely equal otherwise.

    A polynomial over its 64-bit words modulo 2^64, then the mixer of :func:`text_keys`; what is said there of
    collisions holds here.

    Parameters
    ----------
    codes : uint8, shape (n, bytes), read-only ok

    Returns
    -------
    uint64, shape (n,)

    """
    words = -(-codes.shape[1] // 8)
    padded: Bytes = np.zeros((len(codes), 8 * words), dtype=np.uint8)
    padded[:, : codes.shape[1]] = codes
    keys: Keys = np.zeros(len(codes), dtype=np.uint64)
    for column in padded.view("<u8").T:
        keys *= _MULTIPLIER
        keys += column
    return _mixed(keys)


def keys_of(kind: AlgorithmKind) -> KeysOf:
    """Return what makes the keys of values of this kind, which are compared by equality."""
    return whole_keys if kind is AlgorithmKind.OPAQUE else leading_keys
