"""How to ask a multi-index: thresholds per chunk, probes per key, and whether a plain scan is cheaper. Pure.

Theory of operation
-------------------
The tables are cut once, into chunks of 16 bits, and answer every radius; what changes with the radius is how far from
the query's key one has to look. The thresholds t_i of the m chunks must satisfy sum (t_i + 1) = r + 1, so they are
r - m + 1 shared out evenly, and -1 leaves a chunk out: at r = 31 and m = 16 every chunk is probed within one bit, at
r = 0 a single chunk is looked up exactly (docs/explain/search.md).

:func:`cost_ns` estimates what a query would take, from four constants measured by ``hashmatch bench search``;
:func:`plan` refuses when a scan of all rows is estimated cheaper, :func:`probing` does not ask.

What this module deliberately does not do: it sees no data. A list whose codes crowd into few buckets is recognised
during the search, by the kernel's budget.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels.chunks import CHUNK_BITS, PAD
from hashmatch.kernels.multi_index import ROW_COST

PROBE_NS: Final = 6.0
"""Looking up one bucket: two reads of ``offsets``, one line of ``filters``, mostly from the shared cache."""
FILTER_NS: Final = 0.12
"""Comparing one row's filter: 32 in a few instructions, the line already fetched."""
ROW_NS: Final = 12.0
"""Looking up and measuring one row that passed."""
SCAN_NS: Final = 0.25
"""Measuring one 64-bit word of one row in a plain scan."""
MAX_PROBES: Final = 1 << 16
"""Probes of one chunk beyond which nothing is planned; the scan is cheaper long before."""
ROWS_PER_BUCKET: Final = 16
"""Aim of :func:`key_bits_for`: half a cache line of filters, so that a bucket is mostly one line and one compare."""
LEAST_ROWS: Final = 2_048
"""Below this a scan takes about two microseconds, which no index beats by enough to be worth its memory."""
WORD_BYTES: Final = 8
BUDGET_SCANS: Final = 1
"""How many plain scans a query may cost before it is answered by one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What :func:`hashmatch.kernels.multi_index.search` needs to know of a radius.

    ``thresholds`` : int64, shape (m,). ``masks`` : uint32, shape (p,). ``ends`` : int64, shape (e,), as in
    the kernel, e = largest threshold + 2. ``budget`` in the kernel's unit.
    """

    radius: int
    thresholds: npt.NDArray[np.int64]
    masks: npt.NDArray[np.uint32]
    ends: npt.NDArray[np.int64]
    budget: int


def key_bits_for(rows: int) -> int:
    """Bits of a chunk that choose the bucket, 1..16, for at most ``ROWS_PER_BUCKET`` rows in each, on average."""
    return min(CHUNK_BITS, max(1, (rows // ROWS_PER_BUCKET - 1).bit_length()))


@dataclass(frozen=True, slots=True)
class TableShapes:
    """Shapes of the three tables of a column; see :class:`hashmatch.index.tables.Tables`."""

    offsets: tuple[int, int]
    filters: tuple[int, int]
    rows: tuple[int, int]


def is_indexed(rows: int, size_bytes: int) -> bool:
    """Whether tables for such a column make sense: whole 64-bit words, and enough rows."""
    return size_bytes % WORD_BYTES == 0 and rows >= LEAST_ROWS


def table_shapes(rows: int, size_bytes: int) -> TableShapes:
    """Return the shapes of the tables of a column of ``rows`` codes of ``size_bytes`` bytes."""
    chunks = 8 * size_bytes // CHUNK_BITS
    return TableShapes((chunks, 2 ** key_bits_for(rows) + 1), (chunks, rows + PAD), (chunks, rows + PAD))


def thresholds_for(chunks: int, radius: int) -> npt.NDArray[np.int64]:
    """Share ``radius - chunks + 1`` evenly over the chunks; -1 leaves a chunk out.

    The larger ones lie as far apart as they can: what passes the filter of a chunk depends on the threshold of the next
    one too, and where two large ones follow each other three times as many rows do.
    """
    base, rest = divmod(radius - chunks + 1, chunks)
    return base + np.diff(np.arange(chunks + 1, dtype=np.int64) * rest // chunks)


def probe_count(key_bits: int, threshold: int) -> int:
    """How many keys lie within ``threshold`` bits of a key."""
    return sum(math.comb(key_bits, apart) for apart in range(threshold + 1))


def cost_ns(bits: int, key_bits: int, rows: int, radius: int) -> tuple[float, float]:
    """Estimate one query through the tables and by a plain scan, in nanoseconds, for evenly spread codes."""
    thresholds = thresholds_for(bits // CHUNK_BITS, radius)
    probed, passing = 0, 0.0
    for threshold, following in zip(thresholds, np.roll(thresholds, -1), strict=True):
        for apart in range(int(threshold) + 1):
            keys = math.comb(key_bits, apart)
            probed += keys
            limit = int(threshold) + int(following) + 1 - apart
            passing += keys * probe_count(CHUNK_BITS, min(limit, CHUNK_BITS)) / 2**CHUNK_BITS
    per_bucket = rows / 2**key_bits
    through_tables = probed * (PROBE_NS + per_bucket * FILTER_NS) + passing * per_bucket * ROW_NS
    return through_tables, rows * bits / 64 * SCAN_NS


@functools.lru_cache(maxsize=256)
def plan(bits: int, key_bits: int, rows: int, radius: int) -> Plan | None:
    """Return the plan for a radius, or None when a plain scan is estimated cheaper.

    Parameters
    ----------
    bits : int
        Length of a code, a multiple of 64.
    key_bits : int
        As the tables were built.
    rows : int
        Codes in the column.
    radius : int
        Inclusive, 0 or more.

    """
    through_tables, by_scan = cost_ns(bits, key_bits, rows, radius)
    if through_tables > by_scan:
        return None
    return probing(bits, key_bits, radius, budget=max(ROW_COST, int(BUDGET_SCANS * by_scan / ROW_NS * ROW_COST)))


def probing(bits: int, key_bits: int, radius: int, *, budget: int) -> Plan | None:
    """Return the plan for a radius whatever it costs, or None when a chunk has more than ``MAX_PROBES`` probes."""
    thresholds = thresholds_for(bits // CHUNK_BITS, radius)
    largest = int(thresholds.max())
    if probe_count(key_bits, largest) > MAX_PROBES:
        return None
    masks = [
        sum(1 << bit for bit in chosen)
        for apart in range(largest + 1)
        for chosen in itertools.combinations(range(key_bits), apart)
    ]
    ends = [0, *(probe_count(key_bits, apart) for apart in range(largest + 1))]
    return Plan(radius, thresholds, np.array(masks, dtype=np.uint32), np.array(ends, dtype=np.int64), budget)
