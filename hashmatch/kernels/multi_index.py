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
asked    ``codes`` uint64 (q, words), not permuted; ``keys`` uint16 and ``words`` uint16, both (m, q), from ``prepare``
column   ``codes`` uint64 (n, words), not permuted; ``scatter`` uint64 (bytes, 256, words), from ``scatter_table``
tables   ``offsets`` uint32 (m, 2 ** key_bits + 1); ``filters`` uint16 and ``rows`` uint32, both (m, n + PAD)
probing  ``thresholds`` int64 (m,), -1 leaves a chunk out; ``masks`` uint32 (p,), XORed onto a key, in order of their
         number of bits; ``ends`` int64: ``masks[ends[e]:ends[e + 1]]`` have e bits
counting ``owners`` uint32 (n,), entry of each row; ``sets`` uint32 (entries,); ``dead`` uint32, ascending, entries that
         no longer count; ``allowed`` uint8 (sets,), 1 for sets that may be seen, or (0,) when all may
best     ``heaps`` int64 (q, max_hits); ``held`` int64 (q,), items in each; ``cut`` int64 (q,), 1 when any was left out
scratch  ``buckets`` uint64 (4 * p,); ``passed`` int64, at least 4 * LANES; ``spent`` int64 (q + 1,)
found    int64 (3, q * max_hits): query, row and distance of the result
======== ===========================================================================================================

q < 2 ** 23, m <= 256, n < 2 ** 32. Indexes that are never negative are unsigned: Numba then leaves out the arithmetic
that makes ``a[-1]`` work.

What this module deliberately does not do: it chooses no thresholds (``index/plan.py``), allocates nothing, and knows
rows, not entries.

Source: Qin, Xiao, "Pigeonring: a principle for faster thresholded similarity search", PVLDB 12(1), 2018, theorem 3;
cycle lemma: Dvoretzky, Motzkin, Duke Math. J. 14, 1947.
"""

from __future__ import annotations

import functools
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
Halves = npt.NDArray[np.uint16]
Ordinals = npt.NDArray[np.uint32]
Asked = tuple[Words, Halves, Halves]
Column = tuple[Words, Words]
Tables = tuple[Ordinals, Halves, Ordinals]
Probing = tuple[Numbers, Ordinals, Numbers]
Counting = tuple[Ordinals, Ordinals, Ordinals, npt.NDArray[np.uint8]]
Best = tuple[Numbers, Numbers, Numbers]
Scratch = tuple[Words, Numbers, Numbers]

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
_ONE: Final = np.uint64(1)
_LANES: Final = np.uint64(_simd.LANES)

search_kernel = functools.partial(kernel, counted=False)
"""They hand seven tuples of arrays to each other."""

_ASKED = group(readonly(uint64, 2), readonly(uint16, 2), readonly(uint16, 2))
_COLUMN = group(readonly(uint64, 2), readonly(uint64, 3))
_TABLES = group(readonly(uint32, 2), readonly(uint16, 2), readonly(uint32, 2))
_PROBING = group(readonly(int64), readonly(uint32), readonly(int64))
_COUNTING = group(readonly(uint32), readonly(uint32), readonly(uint32), readonly(uint8))
_BEST = group(writable(int64, 2), writable(int64), writable(int64))
_SCRATCH = group(writable(uint64), writable(int64), writable(int64))


@search_kernel(int64, readonly(uint64, 2), int64, readonly(uint64, 2), int64)
def distance(queries: Words, query: int, codes: Words, row: int) -> int:
    """Count the bits in which a query and a row differ; both uint64, shape (·, words)."""
    total = 0
    for w in range(codes.shape[1]):
        total += _simd.population_count(queries[np.uint64(query), w] ^ codes[np.uint64(row), w])
    return total


@search_kernel(boolean, _COUNTING, int64)
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


@search_kernel(void, _BEST, int64, int64)
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
    cut[query] = 1
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


@search_kernel(void, _ASKED, int64, _COLUMN, int64, _COUNTING, _BEST)
def scan(asked: Asked, query: int, column: Column, radius: int, counting: Counting, best: Best) -> None:
    """Measure every row against one query."""
    _, held, cut = best
    held[query] = 0
    cut[query] = 0
    for row in range(column[0].shape[0]):
        bits = distance(asked[0], query, column[0], row)
        if bits <= radius and counts(counting, row):
            offer(best, query, bits << ROW_BITS | row)


@search_kernel(boolean, readonly(uint64, 2), int64, _COLUMN, int64, readonly(int64), int64)
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


@search_kernel(
    void, _ASKED, _COLUMN, readonly(uint32, 2), readonly(int64), int64, _COUNTING, writable(int64), int64, _BEST
)
def verify(
    asked: Asked,
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
        bits = distance(asked[0], query, codes, row)
        if bits > radius or (cut[query] != 0 and (bits << ROW_BITS | row) >= heaps[query, 0]):
            continue
        chunk = passed[n] >> _PLACE_BITS & _CHUNK_MASK
        if counts(counting, row) and first_found_at(asked[0], query, column, row, thresholds, chunk):
            offer(best, query, bits << ROW_BITS | row)


@search_kernel(void, _ASKED, _TABLES, _PROBING, int64, int64)
def fetch_offsets(asked: Asked, tables: Tables, probing: Probing, chunk: int, query: int) -> None:
    """Ask for the offsets of every bucket that will be looked into."""
    offsets, _, _ = tables
    thresholds, masks, ends = probing
    key, first = np.uint32(asked[1][chunk, query]), chunk * offsets.shape[1]
    for p in range(ends[thresholds[chunk] + 1]):
        _simd.prefetch(offsets, first + np.int64(key ^ masks[p]))


@search_kernel(int64, _ASKED, _TABLES, _PROBING, int64, int64, writable(uint64), uint64)
def open_buckets(
    asked: Asked, tables: Tables, probing: Probing, chunk: int, query: int, buckets: Words, at: np.uint64
) -> int:
    """Note where every bucket begins and ends, ask for its filters, and return how many rows they hold.

    ``buckets[at + 2 * p]`` and the item behind it are written.
    """
    offsets, filters, _ = tables
    thresholds, masks, ends = probing
    key, line = np.uint32(asked[1][chunk, query]), np.uint64(chunk)
    first = chunk * filters.shape[1]
    total = np.uint64(0)
    for p in range(ends[thresholds[chunk] + 1]):
        bucket = np.uint64(key ^ masks[p])
        begin, end = np.uint64(offsets[line, bucket]), np.uint64(offsets[line, bucket + _ONE])
        place = at + _ONE * np.uint64(2 * p)
        buckets[place], buckets[place + _ONE] = begin, end
        total += end - begin
        # Most buckets are one line or two; asking for both ends costs less than a branch that cannot be predicted.
        _simd.prefetch(filters, first + np.int64(begin))
        _simd.prefetch(filters, first + np.int64(end))
        if end - begin > _LANES + _LANES:
            for inner in range(begin + _LANES, end, _LANES):
                _simd.prefetch(filters, first + np.int64(inner))
    return int(np.int64(total))


@search_kernel(int64, _ASKED, _TABLES, _PROBING, _SCRATCH, int64, int64, uint64, int64)
def compare_buckets(
    asked: Asked,
    tables: Tables,
    probing: Probing,
    scratch: Scratch,
    chunk: int,
    query: int,
    at: np.uint64,
    waiting: int,
) -> int:
    """Compare the filters of one pair's buckets; what passes joins the ``waiting`` items of ``passed``.

    Returns how many wait now. Starts with bucket ``spent[q]``, the item behind the queries', and leaves there -1, or
    where to go on when ``passed`` is full. (It calls nothing itself: handing arrays on would cost more than comparing.)
    """
    _, filters, rows = tables
    thresholds, _, ends = probing
    buckets, passed, spent = scratch
    count, began = asked[0].shape[0], waiting
    word, room = asked[2][chunk, query], passed.shape[0] - _simd.LANES
    first, origin = chunk * filters.shape[1], query << ROW_BITS | chunk << _PLACE_BITS
    together = thresholds[chunk] + thresholds[(chunk + 1) % thresholds.shape[0]] + 1
    for apart in range(min(thresholds[chunk], together) + 1):
        limit = np.uint16(together - apart)
        for p in range(max(ends[apart], spent[count]), ends[apart + 1]):
            place, end = buckets[at + np.uint64(2 * p)], buckets[at + np.uint64(2 * p + 1)]
            while True:
                if waiting > room:
                    buckets[at + np.uint64(2 * p)] = place
                    spent[count] = p
                    spent[query] += (waiting - began) * ROW_COST
                    return waiting
                near = _simd.near_lanes(filters, first + np.int64(place), word, limit)
                near &= np.uint32((_ONE << min(end - place, _LANES)) - _ONE)
                while near != 0:
                    found = np.int64(place) + _simd.lowest_lane(near)
                    near &= near - np.uint32(1)
                    _simd.prefetch(rows, chunk * rows.shape[1] + found)
                    passed[np.uint64(waiting)] = origin | found
                    waiting += 1
                place += _LANES
                if place >= end:
                    break
    spent[count] = -1
    spent[query] += (waiting - began) * ROW_COST
    return waiting


@search_kernel(group(int64, int64), int64, int64, int64)
def following(chunk: int, query: int, count: int) -> tuple[int, int]:
    """Return the pair behind (chunk, query), query by query within a chunk; cheaper than dividing one number."""
    return (chunk + 1, 0) if query + 1 == count else (chunk, query + 1)


@search_kernel(int64, _BEST, writable(int64, 2))
def collect(best: Best, found: Numbers) -> int:
    """Write what the heaps hold, query by query, nearest first; return how much.

    ``found`` : int64, shape (3, at least the sum of ``held``): query, row, distance. The heaps end up sorted.
    """
    heaps, held, _ = best
    total = 0
    for q in range(heaps.shape[0]):
        for last in range(held[q] - 1, -1, -1):
            item, heaps[q, 0] = heaps[q, 0], heaps[q, last]
            parent, moved = 0, heaps[q, 0]
            while 2 * parent + 1 < last:
                child = 2 * parent + 1
                if child + 1 < last and heaps[q, child + 1] > heaps[q, child]:
                    child += 1
                if heaps[q, child] <= moved:
                    break
                heaps[q, parent] = heaps[q, child]
                parent = child
            heaps[q, parent] = moved
            heaps[q, last] = item
        for n in range(held[q]):
            found[0, total] = q
            found[1, total] = heaps[q, n] & ROW_MASK
            found[2, total] = heaps[q, n] >> ROW_BITS
            total += 1
    return total


@search_kernel(int64, _ASKED, _COLUMN, _TABLES, _PROBING, int64, int64, _COUNTING, _BEST, _SCRATCH, writable(int64, 2))
def search(  # noqa: C901  one pipeline with three positions
    asked: Asked,
    column: Column,
    tables: Tables,
    probing: Probing,
    radius: int,
    budget: int,
    counting: Counting,
    best: Best,
    scratch: Scratch,
    found: Numbers,
) -> int:
    """Find the nearest rows within ``radius`` of every query; the arrays are described at the head of this file.

    ``radius`` is in bits, inclusive, and sum (threshold + 1) = radius + 1. ``budget`` is what one query may spend
    before it is scanned instead. Returns how much of ``found`` was written: query by query, nearest first. The item of
    ``spent`` behind the queries' is left 1 when any query had to leave something out, else 0.
    """
    thresholds, masks, _ = probing
    _, held, cut_short = best
    buckets, passed, spent = scratch
    count, chunks, waiting = asked[0].shape[0], thresholds.shape[0], 0
    side = np.uint64(2 * masks.shape[0])
    for q in range(count):
        held[q], cut_short[q], spent[q] = 0, 0, 0
    # Three positions in the same sequence of pairs, one step apart: offsets asked for, buckets opened, compared.
    far_chunk, far_query, near_chunk, near_query, chunk, query = 0, 0, 0, 0, 0, 0
    for step in range(chunks * count + 2):
        if far_chunk < chunks:
            if thresholds[far_chunk] >= 0 and spent[far_query] <= budget:
                fetch_offsets(asked, tables, probing, far_chunk, far_query)
            far_chunk, far_query = following(far_chunk, far_query, count)
        if step >= 1 and near_chunk < chunks:
            if thresholds[near_chunk] >= 0 and spent[near_query] <= budget:
                at = np.uint64(step & 1) * side
                rows = open_buckets(asked, tables, probing, near_chunk, near_query, buckets, at)
                spent[near_query] += rows * SCAN_COST
            near_chunk, near_query = following(near_chunk, near_query, count)
        if step >= 2:  # noqa: PLR2004  two steps behind the first position
            if thresholds[chunk] >= 0 and spent[query] <= budget:
                at = np.uint64(step - 1 & 1) * side
                spent[count] = 0
                while spent[count] >= 0:
                    if waiting > passed.shape[0] - _simd.LANES:
                        verify(asked, column, tables[2], thresholds, radius, counting, passed, waiting, best)
                        waiting = 0
                    waiting = compare_buckets(asked, tables, probing, scratch, chunk, query, at, waiting)
            chunk, query = following(chunk, query, count)
    verify(asked, column, tables[2], thresholds, radius, counting, passed, waiting, best)
    spent[count] = 0
    for q in range(count):
        if spent[q] > budget:
            scan(asked, q, column, radius, counting, best)
        spent[count] |= cut_short[q]
    return collect(best, found)
