"""The slow, obvious twin of the tables of the multi-index search: single bits in a row, sorted by NumPy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint8]
Table = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint16], npt.NDArray[np.int64]]


def tables(codes: Bits, order: npt.NDArray[np.int64], key_bits: int) -> Iterator[Table]:
    """Offsets, filter words and rows of each chunk's table, without padding.

    Parameters
    ----------
    codes : uint8, shape (n, bytes)
    order : int64, shape (bits,)
        Which bit of a code comes first, second, ...
    key_bits : int
        How many of a chunk's 16 bits make the key.

    """
    bits = np.unpackbits(codes, axis=1, bitorder="little")[:, order]
    endless = np.hstack([bits, bits])
    for start in range(0, len(order), 16):
        keys = number(endless[:, start : start + key_bits])
        words = number(endless[:, start + key_bits : start + key_bits + 16])
        rows = np.argsort(keys, kind="stable")
        yield np.searchsorted(keys[rows], np.arange(2**key_bits + 1)), words[rows], rows


def number(bits: Bits) -> npt.NDArray[np.uint16]:
    """At most 16 bits of each row, the lowest first, as a number."""
    padded = np.pad(bits, ((0, 0), (0, 16 - bits.shape[1])))
    packed = np.packbits(padded, axis=1, bitorder="little")
    return np.ascontiguousarray(packed).view("<u2").reshape(len(bits))
