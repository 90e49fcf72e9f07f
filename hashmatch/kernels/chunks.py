"""The tables of the multi-index search: all rows, sorted once per chunk of 16 bits.

Theory of operation
-------------------
A code's bits are put into a fixed order that scatters neighbours (:func:`permutation`) and cut into m chunks of 16. For
each chunk there is a table of all rows, sorted by the chunk's first ``key_bits`` bits: ``offsets`` says where a key's
bucket begins, ``filters`` holds of each row the 16 bits that follow the key, ``rows`` its number. ``multi_index.py``
searches the tables, ``tables.py`` builds them; docs/explain/search.md explains why these bits are enough to miss
nothing.

What this module deliberately does not do: it does not choose ``key_bits`` (``index/plan.py``), and it does not search.

Source: Norouzi, Punjani, Fleet, "Fast exact search in Hamming space with multi-index hashing", TPAMI 36(6), 2014.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels import _simd
from hashmatch.kernels._jit import int64, kernel, readonly, uint8, uint16, uint64, void, writable

Words = npt.NDArray[np.uint64]
Halves = npt.NDArray[np.uint16]

CHUNK_BITS: Final = 16
FILTER_BITS: Final = 16
PAD: Final = _simd.LANES
"""Items behind the last row of ``filters`` and ``rows``, so that a whole compare never leaves the array."""
_WORD_BITS: Final = 64


def permutation(bits: int) -> npt.NDArray[np.int64]:
    """Return the order in which the bits of a code are cut into chunks; int64, shape (bits,).

    A step of about 0.382 of the length, the golden section, that shares no factor with it: bits of one chunk come from
    rows and columns far apart, so that the correlation inside PDQ's rows does not fill a few buckets.
    """
    step = round(bits * (3 - math.sqrt(5)) / 2)
    while math.gcd(step, bits) != 1:
        step += 1
    return np.arange(bits, dtype=np.int64) * step % bits


def scatter_table(bits: int) -> npt.NDArray[np.uint64]:
    """Where the bits of each byte of a code go.

    Returns
    -------
    uint64, shape (bits / 8, 256, bits / 64)
        The permuted code is the OR of ``table[i, code[i]]`` over its bytes.

    """
    target = np.empty(bits, dtype=np.int64)
    target[permutation(bits)] = np.arange(bits)
    table = np.zeros((bits // 8, 256, bits // _WORD_BITS), dtype=np.uint64)
    values = np.arange(256)
    for byte in range(bits // 8):
        for bit in range(8):
            word, place = divmod(int(target[8 * byte + bit]), _WORD_BITS)
            table[byte, (values >> bit) & 1 == 1, word] |= np.uint64(1) << np.uint64(place)
    return table


@kernel(void, readonly(uint8, 2), readonly(uint64, 3), writable(uint64, 2))
def permute(codes: npt.NDArray[np.uint8], table: Words, permuted: Words) -> None:
    """Reorder the bits of every code.

    Parameters
    ----------
    codes : uint8, shape (n, bytes), C order, read-only ok
    table : uint64, shape (bytes, 256, words)
        From :func:`scatter_table`.
    permuted : uint64, shape (n, words), written

    """
    size, words = codes.shape[1], permuted.shape[1]
    for i in range(codes.shape[0]):
        for w in range(words):
            permuted[i, w] = 0
        for byte in range(size):
            for w in range(words):
                permuted[i, w] |= table[byte, codes[i, byte], w]


@kernel(void, readonly(uint64, 2), int64, int64, writable(uint16))
def bits_at(permuted: Words, start: int, count: int, found: Halves) -> None:
    """``count`` bits (1..16) of every permuted code from position ``start``, wrapping round at its end.

    ``permuted`` : uint64, shape (n, words), read-only ok; ``found`` : uint16, shape (n,), written.
    """
    words = permuted.shape[1]
    word, shift = np.uint64(start // _WORD_BITS % words), np.uint64(start % _WORD_BITS)
    following = np.uint64((start // _WORD_BITS + 1) % words)
    mask = (np.uint64(1) << np.uint64(count)) - np.uint64(1)
    if start % _WORD_BITS + count <= _WORD_BITS:
        for row in range(permuted.shape[0]):
            found[row] = np.uint16(permuted[row, word] >> shift & mask)
    else:
        rest = np.uint64(_WORD_BITS) - shift
        for row in range(permuted.shape[0]):
            found[row] = np.uint16((permuted[row, word] >> shift | permuted[row, following] << rest) & mask)


@kernel(void, readonly(uint64, 2), int64, int64, writable(uint16), writable(uint16))
def cut(permuted: Words, chunk: int, key_bits: int, keys: Halves, words: Halves) -> None:
    """Key and filter word of one chunk of every code.

    Parameters
    ----------
    permuted : uint64, shape (n, words), read-only ok
        From :func:`permute`.
    chunk, key_bits
        Which chunk, and how many of its bits make the key.
    keys, words : uint16, shape (n,), written
        The key, and the 16 bits behind it.

    """
    start = chunk * CHUNK_BITS
    bits_at(permuted, start, key_bits, keys)
    bits_at(permuted, start + key_bits, FILTER_BITS, words)


@kernel(
    void, readonly(uint8, 2), readonly(uint64, 3), int64, writable(uint64, 2), writable(uint16, 2), writable(uint16, 2)
)
def prepare(
    codes: npt.NDArray[np.uint8], table: Words, key_bits: int, permuted: Words, keys: Halves, words: Halves
) -> None:
    """Reorder and cut queries: :func:`permute`, then :func:`cut` for every chunk.

    ``permuted`` : uint64, shape (q, words); ``keys``, ``words`` : uint16, shape (m, q); all written.
    """
    permute(codes, table, permuted)
    for chunk in range(keys.shape[0]):
        cut(permuted, chunk, key_bits, keys[chunk], words[chunk])
