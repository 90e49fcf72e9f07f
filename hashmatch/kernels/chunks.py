"""How codes are cut into chunks for the multi-index search: what building and searching agree on.

Theory of operation
-------------------
A code's bits are put into a fixed order that scatters neighbours (:func:`permutation`) and cut into m chunks of 16. For
each chunk there is a table of all rows, sorted by the chunk's first ``key_bits`` bits: ``offsets`` says where a key's
bucket begins, ``filters`` holds of each row the 16 bits that follow the key, ``rows`` its number. ``multi_index.py``
searches the tables, ``tables.py`` builds them; docs/explain/search.md explains why these bits are enough to miss
nothing.

What this module deliberately does not do: it computes nothing per code, and it does not choose ``key_bits``
(``index/plan.py``).

Source: Norouzi, Punjani, Fleet, "Fast exact search in Hamming space with multi-index hashing", TPAMI 36(6), 2014.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels import _simd

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
