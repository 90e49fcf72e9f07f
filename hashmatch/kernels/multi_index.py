"""Exact search by Hamming distance through many small indexes: probe, filter, verify.

Theory of operation
-------------------
``chunks.py`` has sorted all rows once per chunk of 16 bits. A query looks into every bucket whose key differs from its
own in a few bits, compares the 16 bits beside it (a whole bucket is about one cache line and one instruction,
:func:`hashmatch.kernels._simd.near_lanes`), and only the few rows that pass are looked up and measured.

Why nothing is missed: let chunk i of the query and of a row differ in d_i bits, sum d_i <= r, and let thresholds t_i
have sum (t_i + 1) = r + 1. Then the numbers x_i = t_i + 1 - d_i have a sum of at least 1, and by the cycle lemma there
is a chunk i from which every partial sum x_i + ... + x_(i+l-1), taken cyclically, is at least 1. For l = 1 that is
d_i <= t_i: the key is probed. For l = 2 it is d_i + d_(i+1) <= t_i + t_(i+1) + 1: the filter lets it pass. A row may
satisfy this at several chunks; it is reported from the first only, so never twice. docs/explain/search.md has the proof
at length and the costs.

The search is a pipeline over (chunk, query) pairs: while one pair's buckets are compared, the next pair's lines are on
their way from memory, and the offsets of the one after that. A batch is longer, not different. A query whose buckets
turn out to hold too much, as on a list of near-duplicates, is given up and answered by :func:`scan`: no list makes a
search slower than a scan plus a constant factor.

The nearest ``max_hits`` rows of each query are kept in a heap of ``distance << 40 | row``: order and ties are decided
by row number, whatever order they were found in.

Arrays that belong together are passed as tuples, named here once:

======== ===========================================================================================================
queries  ``codes`` uint64 (q, words), not permuted; ``keys`` int64 (q, m) and ``words`` uint16 (q, m), from ``cut``
column   ``codes`` uint64 (n, words), not permuted; ``scatter`` uint64 (bytes, 256, words), from ``scatter_table``
tables   ``offsets`` uint32 (m, 2 ** key_bits + 1); ``filters`` uint16 and ``rows`` uint32, both (m, n + PAD)
probing  ``thresholds`` int64 (m,), -1 leaves a chunk out; ``masks`` uint32 (p,), XORed onto a key, in order of their
         number of bits; ``ends`` int64: ``masks[ends[e]:ends[e + 1]]`` have e bits
counting ``owners`` uint32 (n,), entry of each row; ``sets`` uint32 (entries,); ``dead`` uint32, ascending, entries that
         no longer count; ``allowed`` uint8 (sets,), 1 for sets that may be seen, or (0,) when all may
best     ``heaps`` int64 (q, max_hits); ``held`` int64 (q,), items in each; ``cut`` bool (q,), whether any had to be
         left out. The result; need not be cleared
scratch  ``buckets`` int64 (2, p, 2); ``passed`` int64, at least 4 * LANES; ``spent`` int64 (q,)
======== ===========================================================================================================

q < 2 ** 23, m <= 256, n < 2 ** 32. All but ``best`` and ``scratch`` may be read-only.

What this module deliberately does not do: it chooses no thresholds (``index/plan.py``), allocates nothing, and knows
rows, not entries.

Source: Qin, Xiao, "Pigeonring: a principle for faster thresholded similarity search", PVLDB 12(1), 2018, theorem 3;
cycle lemma: Dvoretzky, Motzkin, Duke Math. J. 14, 1947.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels import _simd
from hashmatch.kernels._jit import (
    boolean,
    group,
    int64,
    kernel,
    readonly,
    uint8,
    uint16,
    uint32,
    uint64,
    void,
    writable,
)

Words = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]
Ordinals = npt.NDArray[np.uint32]
Queries = tuple[Words, Numbers, npt.NDArray[np.uint16]]
Column = tuple[Words, Words]
Tables = tuple[Ordinals, npt.NDArray[np.uint16], Ordinals]
Probing = tuple[Numbers, Ordinals, Numbers]
Counting = tuple[Ordinals, Ordinals, Ordinals, npt.NDArray[np.uint8]]
Best = tuple[Numbers, Numbers, npt.NDArray[np.bool_]]
Scratch = tuple[Numbers, Numbers, Numbers]

ROW_BITS: Final = 40
"""Low bits of a heap item that hold the row; the distance stands above them."""
ROW_MASK: Final = (1 << ROW_BITS) - 1
SCAN_COST: Final = 1
ROW_COST: Final = 64
"""Cost of one compared filter and of one row looked up, in the unit of :func:`search`'s ``budget``."""

_CHUNK_BITS: Final = 16
_CHUNKS_PER_WORD: Final = 4
_PLACE_BITS: Final = 32
_CHUNK_MASK: Final = 0xFF
_PLACE_MASK: Final = (1 << _PLACE_BITS) - 1
_LANES: Final = _simd.LANES

_QUERIES = group(readonly(uint64, 2), readonly(int64, 2), readonly(uint16, 2))
_COLUMN = group(readonly(uint64, 2), readonly(uint64, 3))
_TABLES = group(readonly(uint32, 2), readonly(uint16, 2), readonly(uint32, 2))
_PROBING = group(readonly(int64), readonly(uint32), readonly(int64))
_COUNTING = group(readonly(uint32), readonly(uint32), readonly(uint32), readonly(uint8))
_BEST = group(writable(int64, 2), writable(int64), writable(boolean))
_SCRATCH = group(writable(int64, 3), writable(int64), writable(int64))


@kernel(int64, readonly(uint64, 2), int64, readonly(uint64, 2), int64)
def distance(queries: Words, query: int, codes: Words, row: int) -> int:
    """Count the bits in which a query and a row differ; both uint64, shape (·, words)."""
    total = 0
    for w in range(codes.shape[1]):
        total += _simd.population_count(queries[query, w] ^ codes[row, w])
    return total


@kernel(boolean, _COUNTING, int64)
def counts(counting: Counting, row: int) -> bool:
    """Whether a row may be reported; asked only of rows within reach."""
    owners, sets, dead, allowed = counting
    low, high = 0, dead.shape[0]
    while low < high:
        middle = (low + high) // 2
        if dead[middle] < owners[row]:
            low = middle + 1
        else:
            high = middle
    if low < dead.shape[0] and dead[low] == owners[row]:
        return False
    return allowed.shape[0] == 0 or bool(allowed[sets[owners[row]]] != 0)


@kernel(void, _BEST, int64, int64)
def offer(best: Best, query: int, item: int) -> None:
    """Put ``distance << ROW_BITS | row`` into a query's heap, which keeps the smallest; the largest is at index 0."""
    heaps, held, cut = best
    size = heaps.shape[1]
    if held[query] < size:
        child = held[query]
        held[query] += 1
        while child > 0 and heaps[query, (child - 1) // 2] < item:
            heaps[query, child] = heaps[query, (child - 1) // 2]
            child = (child - 1) // 2
        heaps[query, child] = item
        return
    cut[query] = True
    if item >= heaps[query, 0]:
        return
    parent = 0
    while 2 * parent + 1 < size:
        child = 2 * parent + 1
        if child + 1 < size and heaps[query, child + 1] > heaps[query, child]:
            child += 1
        if heaps[query, child] <= item:
            break
        heaps[query, parent] = heaps[query, child]
        parent = child
    heaps[query, parent] = item


@kernel(void, _QUERIES, int64, _COLUMN, int64, _COUNTING, _BEST)
def scan(queries: Queries, query: int, column: Column, radius: int, counting: Counting, best: Best) -> None:
    """Measure every row against one query."""
    _, held, cut = best
    held[query] = 0
    cut[query] = False
    for row in range(column[0].shape[0]):
        bits = distance(queries[0], query, column[0], row)
        if bits <= radius and counts(counting, row):
            offer(best, query, bits << ROW_BITS | row)


@kernel(boolean, readonly(uint64, 2), int64, _COLUMN, int64, readonly(int64), int64)
def first_found_at(codes: Words, query: int, column: Column, row: int, thresholds: Numbers, chunk: int) -> bool:
    """Whether ``chunk`` is the first at which the probe and the filter let this row pass.

    The two conditions of the search, on whole chunks: d_i <= t_i and d_i + d_(i+1) <= t_i + t_(i+1) + 1. The search
    sees fewer bits of the second chunk, so it passes more; a row within the radius passes the whole conditions at one
    chunk at least, and is reported from the first. ``codes`` are the queries', not permuted.
    """
    rows, scatter = column
    chunks, words = thresholds.shape[0], rows.shape[1]
    opening, before = 0, 0
    for word in range(words):
        difference = np.uint64(0)
        for byte in range(8 * words):
            value = (codes[query, byte // 8] ^ rows[row, byte // 8]) >> np.uint64(8 * (byte % 8)) & np.uint64(0xFF)
            difference |= scatter[byte, value, word]
        for quarter in range(_CHUNKS_PER_WORD):
            i = word * _CHUNKS_PER_WORD + quarter
            bits = _simd.population_count(difference & np.uint64(0xFFFF))
            difference >>= np.uint64(_CHUNK_BITS)
            if i == 0:
                opening = bits
            elif before <= thresholds[i - 1] and before + bits <= thresholds[i - 1] + thresholds[i] + 1:
                return i - 1 == chunk
            before = bits
    last = chunks - 1
    together = thresholds[last] + thresholds[0] + 1
    return chunk == last and bool(before <= thresholds[last]) and bool(before + opening <= together)


@kernel(void, _QUERIES, _COLUMN, readonly(uint32, 2), readonly(int64), int64, _COUNTING, writable(int64), int64, _BEST)
def verify(
    queries: Queries,
    column: Column,
    rows: Ordinals,
    thresholds: Numbers,
    radius: int,
    counting: Counting,
    passed: Numbers,
    count: int,
    best: Best,
) -> None:
    """Measure what passed the filters: ``count`` items of ``query << 40 | chunk << 32 | place``.

    Two passes, so that the codes of all of them are fetched at once: the second finds them in the cache.
    """
    codes = column[0]
    heaps, _, cut = best
    for n in range(count):
        place = passed[n] & _PLACE_MASK
        row = np.int64(rows[passed[n] >> _PLACE_BITS & _CHUNK_MASK, place])
        _simd.prefetch(codes, row * codes.shape[1])
        passed[n] += row - place
    for n in range(count):
        query, row = passed[n] >> ROW_BITS, passed[n] & _PLACE_MASK
        bits = distance(queries[0], query, codes, row)
        if bits > radius or (cut[query] and (bits << ROW_BITS | row) >= heaps[query, 0]):
            continue
        chunk = passed[n] >> _PLACE_BITS & _CHUNK_MASK
        if counts(counting, row) and first_found_at(queries[0], query, column, row, thresholds, chunk):
            offer(best, query, bits << ROW_BITS | row)


@kernel(void, _TABLES, _PROBING, int64, int64, int64)
def fetch_offsets(tables: Tables, probing: Probing, chunk: int, threshold: int, key: int) -> None:
    """Ask for the offsets of every bucket that will be looked into."""
    offsets, _, _ = tables
    _, masks, ends = probing
    for p in range(ends[threshold + 1]):
        _simd.prefetch(offsets, chunk * offsets.shape[1] + (key ^ np.int64(masks[p])))


@kernel(int64, _TABLES, _PROBING, int64, int64, int64, writable(int64, 3), int64, int64)
def open_buckets(
    tables: Tables,
    probing: Probing,
    chunk: int,
    threshold: int,
    key: int,
    buckets: Numbers,
    side: int,
    allowance: int,
) -> int:
    """Note where every bucket begins and ends, ask for its filters, and return what comparing them will cost.

    ``buckets[side]`` is written; once the cost is above ``allowance`` nothing more is fetched.
    """
    offsets, filters, _ = tables
    _, masks, ends = probing
    cost: int = 0
    for p in range(ends[threshold + 1]):
        bucket = key ^ np.int64(masks[p])
        begin, end = np.int64(offsets[chunk, bucket]), np.int64(offsets[chunk, bucket + 1])
        buckets[side, p, 0], buckets[side, p, 1] = begin, end
        cost += int(end - begin) * SCAN_COST
        place = begin
        while place < end + _LANES and cost <= allowance:
            _simd.prefetch(filters, chunk * filters.shape[1] + min(place, end))
            place += _LANES
    return cost


@kernel(int64, _QUERIES, _COLUMN, _TABLES, _PROBING, int64, _COUNTING, _BEST, _SCRATCH, int64, int64, int64)
def compare_buckets(
    queries: Queries,
    column: Column,
    tables: Tables,
    probing: Probing,
    radius: int,
    counting: Counting,
    best: Best,
    scratch: Scratch,
    chunk: int,
    query: int,
    waiting: int,
) -> int:
    """Compare the filters of one pair's buckets; what passes joins the ``waiting`` items of ``passed``.

    When ``passed`` is full its items are verified. Returns how many wait now.
    """
    words = queries[2]
    _, filters, rows = tables
    thresholds, _, ends = probing
    buckets, passed, spent = scratch
    pair = chunk * words.shape[0] + query
    together = thresholds[chunk] + thresholds[(chunk + 1) % thresholds.shape[0]] + 1
    for apart in range(min(thresholds[chunk], together) + 1):
        limit = np.uint16(together - apart)
        for p in range(ends[apart], ends[apart + 1]):
            place, end = buckets[pair & 1, p, 0], buckets[pair & 1, p, 1]
            while place < end:
                near = _simd.near_lanes(filters, chunk * filters.shape[1] + place, words[query, chunk], limit)
                if end - place < _LANES:
                    near &= np.uint32((1 << (end - place)) - 1)
                while near != 0:
                    found = place + _simd.lowest_lane(near)
                    near &= near - np.uint32(1)
                    _simd.prefetch(rows, chunk * rows.shape[1] + found)
                    passed[waiting] = query << ROW_BITS | chunk << _PLACE_BITS | found
                    waiting += 1
                    spent[query] += ROW_COST
                place += _LANES
                if waiting > passed.shape[0] - _LANES:
                    verify(queries, column, rows, thresholds, radius, counting, passed, waiting, best)
                    waiting = 0
    return waiting


@kernel(void, _QUERIES, _COLUMN, _TABLES, _PROBING, int64, int64, _COUNTING, _BEST, _SCRATCH)
def search(
    queries: Queries,
    column: Column,
    tables: Tables,
    probing: Probing,
    radius: int,
    budget: int,
    counting: Counting,
    best: Best,
    scratch: Scratch,
) -> None:
    """Find the nearest rows within ``radius`` of every query; the tuples are described at the head of this file.

    ``radius`` is in bits, inclusive, and sum (threshold + 1) = radius + 1. ``budget`` is what one query may spend
    before it is scanned instead.
    """
    codes, keys, _ = queries
    thresholds = probing[0]
    _, held, cut = best
    buckets, passed, spent = scratch
    count, waiting = codes.shape[0], 0
    for q in range(count):
        held[q], cut[q], spent[q] = 0, False, 0
    pairs = thresholds.shape[0] * count
    for pair in range(-2, pairs):
        chunk, q = (pair + 2) // count, (pair + 2) % count
        if pair + 2 < pairs and thresholds[chunk] >= 0 and spent[q] <= budget:
            fetch_offsets(tables, probing, chunk, thresholds[chunk], keys[q, chunk])
        chunk, q = (pair + 1) // count, (pair + 1) % count
        if 0 <= pair + 1 < pairs and thresholds[chunk] >= 0 and spent[q] <= budget:
            side, allowance = pair + 1 & 1, budget - spent[q]
            spent[q] += open_buckets(
                tables, probing, chunk, thresholds[chunk], keys[q, chunk], buckets, side, allowance
            )
        chunk, q = pair // count, pair % count
        if pair >= 0 and thresholds[chunk] >= 0 and spent[q] <= budget:
            waiting = compare_buckets(
                queries, column, tables, probing, radius, counting, best, scratch, chunk, q, waiting
            )
    verify(queries, column, tables[2], thresholds, radius, counting, passed, waiting, best)
    for q in range(count):
        if spent[q] > budget:
            scan(queries, q, column, radius, counting, best)
