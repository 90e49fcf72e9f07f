"""What is searched: made-up lists of 256-bit codes, ordinary and hostile, and queries for them.

Theory of operation
-------------------
Everything follows from a seed. Half of the queries are entries with 0 to 40 bits changed, so that some have an answer
within the usual radius and some just miss; the other half are codes that are in no list, like nearly all uploads.

What this module deliberately does not do: it keeps no hash of anything real. The ``photos`` distribution is given the
hashes of benign pictures by its caller (``pictures.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from hashmatch.errors import BadInput
from hashmatch.index.columns import Bytes
from hashmatch.kernels import chunks

BITS = 256
SIZE_BYTES = BITS // 8
ROW_SHARE = 0.2
"""Share of a bit's variance that it has in common with its row of 16: such rows, taken as chunks, collide 1.4 times as
often as uniform ones, as was measured on the hashes of 19,563 photos (1.45)."""
PLANTED_BITS = 40
"""Bits changed at most in a planted query: somewhat more than the usual radius of 31."""
BALL_BITS = 12
"""Radius of the crowd in the ``ball`` list: any two of its entries are within 24 bits."""
CROWD = 100_000
PICTURE_BITS = 120
"""Bits changed at most in an entry derived from a picture: from a copy to a crop to another picture."""
VIEWS = 120

DISTRIBUTIONS: Mapping[str, str] = MappingProxyType(
    {
        "uniform": "independent fair bits",
        "correlated": "bits of a row of 16 share a fifth of their variance, like PDQ's",
        "photos": "hashes of real photos in eight orientations, each changed in 0 to 120 bits: runs of near-duplicates",
        "ball": "uniform, but 100,000 entries (or half) within 12 bits of one code",
        "shared": "all entries agree in 15 of the 16 chunks that the index cuts",
        "identical": "one code, over and over",
        "zero": "all bits zero",
    }
)
"""Name to what it is."""


def flipped(codes: Bytes, bits: np.ndarray, rng: np.random.Generator) -> Bytes:
    """Change exactly ``bits[i]`` bits of each code.

    Parameters
    ----------
    codes : uint8, shape (n, bytes)
    bits : int, shape (n,)
    rng
        Source of randomness.

    """
    width = 8 * codes.shape[1]
    changed = codes.copy()
    for begin in range(0, len(codes), 1 << 15):
        part = slice(begin, begin + (1 << 15))
        order = rng.random((len(codes[part]), width), dtype=np.float32).argsort(axis=1).argsort(axis=1)
        changed[part] ^= np.packbits(order < bits[part, None], axis=1)
    return changed


def uniform(entries: int, rng: np.random.Generator) -> Bytes:
    """Return ``entries`` codes of independent fair bits; uint8, shape (entries, 32)."""
    return rng.integers(0, 256, (entries, SIZE_BYTES), dtype=np.uint8)


def correlated(entries: int, rng: np.random.Generator) -> Bytes:
    """Return codes whose rows of 16 bits each lean to one side; uint8, shape (entries, 32)."""
    codes = np.empty((entries, SIZE_BYTES), dtype=np.uint8)
    for begin in range(0, entries, 1 << 16):
        count = min(1 << 16, entries - begin)
        lean = rng.standard_normal((count, 16, 1), dtype=np.float32) * ROW_SHARE**0.5
        own = rng.standard_normal((count, 16, 16), dtype=np.float32) * (1 - ROW_SHARE) ** 0.5
        codes[begin : begin + count] = np.packbits((lean + own > 0).reshape(count, BITS), axis=1)
    return codes


def entries_of(  # noqa: PLR0911 - one return per distribution
    distribution: str, entries: int, seed: int, pictures: Bytes | None = None
) -> Bytes:
    """Make a list.

    Parameters
    ----------
    distribution
        One of :data:`DISTRIBUTIONS`.
    entries, seed
        How many codes, and what they follow from.
    pictures : uint8, shape (m, 32)
        Hashes that ``photos`` is derived from.

    Returns
    -------
    uint8, shape (entries, 32)

    Raises
    ------
    BadInput
        ``distribution`` is none of them, or ``photos`` without pictures.

    """
    rng = np.random.default_rng(seed)
    match distribution:
        case "uniform":
            return uniform(entries, rng)
        case "correlated":
            return correlated(entries, rng)
        case "photos":
            if pictures is None or not len(pictures):
                raise BadInput(
                    "the distribution `photos` needs pictures: set HASHMATCH_EXTRA_DATA, or use `correlated`"
                )
            base = pictures[rng.integers(0, len(pictures), entries)]
            return flipped(base, rng.integers(0, PICTURE_BITS + 1, entries), rng)
        case "ball":
            codes = uniform(entries, rng)
            crowd = rng.permutation(entries)[: min(CROWD, entries // 2)]
            centre = np.repeat(uniform(1, rng), len(crowd), axis=0)
            codes[crowd] = flipped(centre, rng.integers(0, BALL_BITS + 1, len(crowd)), rng)
            return codes
        case "shared":
            return _shared(entries, rng)
        case "identical":
            return np.repeat(uniform(1, rng), entries, axis=0)
        case "zero":
            return np.zeros((entries, SIZE_BYTES), dtype=np.uint8)
    raise BadInput(f"{distribution!r} is no distribution: {', '.join(DISTRIBUTIONS)}")


def _shared(entries: int, rng: np.random.Generator) -> Bytes:
    """Codes that differ in the bits of the index's last chunk only."""
    places = chunks.permutation(BITS)[-chunks.CHUNK_BITS :]
    bits = np.repeat(rng.integers(0, 2, (1, BITS), dtype=np.uint8), entries, axis=0)
    bits[:, places] = rng.integers(0, 2, (entries, len(places)), dtype=np.uint8)
    return np.packbits(bits, axis=1, bitorder="little")


def queries_for(codes: Bytes, count: int, seed: int) -> Bytes:
    """Make queries: by turns an entry with 0 to 40 bits changed, and an unknown code.

    Parameters
    ----------
    codes : uint8, shape (n, 32), n > 0
    count, seed
        How many, and what they follow from.

    Returns
    -------
    uint8, shape (count, 32)

    """
    rng = np.random.default_rng([seed, 1])
    queries = uniform(count, rng)
    planted = codes[rng.integers(0, len(codes), (count + 1) // 2)]
    queries[::2] = flipped(planted, rng.integers(0, PLANTED_BITS + 1, len(planted)), rng)
    return queries


def views_for(codes: Bytes, batches: int, seed: int) -> Bytes:
    """Make queries as one image gives them: eight unrelated orientations, each in 15 views 0 to 40 bits apart.

    Returns
    -------
    uint8, shape (batches * 120, 32)

    """
    orientations = queries_for(codes, 8 * batches, seed)
    views = np.repeat(orientations, VIEWS // 8, axis=0)
    rng = np.random.default_rng([seed, 2])
    return flipped(views, rng.integers(0, PLANTED_BITS + 1, len(views)), rng)
