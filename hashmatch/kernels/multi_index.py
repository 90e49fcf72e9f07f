"""Exact search by Hamming distance through many small indexes: probe, filter, verify.

Theory of operation
-------------------
``tables.py`` has sorted all rows once per chunk of 16 bits. A query looks into every bucket whose key differs from its
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

A kernel reads its arrays from two blocks of addresses (``_block.py``). ``call`` holds the column, the plan for one
radius and room to work:

============== =====================================================================================================
``codes``      uint64 (n, words), not permuted; ``scatter`` uint64 (bytes, 256, words), from ``scatter_table``
``offsets``    uint32 (m, 2 ** key_bits + 1); ``filters`` uint16 and ``rows`` uint32, both (m, n + PAD)
``thresholds`` int64 (m,), -1 leaves a chunk out; sum (threshold + 1) = radius + 1
``masks``      uint32 (p,), XORed onto a key, in order of their number of bits; ``ends`` int64:
               ``masks[ends[e]:ends[e + 1]]`` have e bits
``limits``     int64 (3,): the radius in bits, inclusive; what a query may spend before it is scanned instead; key_bits
``asked``      uint64 (capacity, words), the queries; ``permuted`` uint64 (words,), one of them reordered
``keys``       uint16 (capacity, m), their keys; ``halves``, the same, the 16 bits that follow each key
``heaps``      int64 (capacity, max_hits); ``held`` int64 (capacity,), items in each; ``cut`` int64 (capacity,), 1 when
               any was left out
``buckets``    uint64 (2 * p,), begin of each bucket and, in the upper half, its end; of two pairs
``passed``     int64, at least 4 * LANES; ``spent`` int64 (capacity + 1,)
``found``      int64 (3, capacity * max_hits): query, row and distance of the result
============== =====================================================================================================

``counting`` says which rows count: ``owners`` uint32 (n,), entry of each row; ``sets`` uint32 (entries,), set of each
entry; ``dead`` uint32, ascending, entries that no longer count; ``allowed`` uint8 (sets,), 1 for sets that may be seen,
or (0,) when all may.

capacity < 2 ** 23 queries, m <= 256, n < 2 ** 32. Indexes that are never negative are unsigned: Numba then leaves out
the arithmetic that makes ``a[-1]`` work.

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
from hashmatch.kernels._block import BLOCK, Layout, reader
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

CALL: Final[Layout] = {
    "codes": readonly(uint64, 2), "scatter": readonly(uint64, 3),
    "offsets": readonly(uint32, 2), "filters": readonly(uint16, 2), "rows": readonly(uint32, 2),
    "thresholds": readonly(int64), "masks": readonly(uint32), "ends": readonly(int64), "limits": readonly(int64),
    "asked": writable(uint64, 2), "permuted": writable(uint64), "keys": writable(uint16, 2),
    "halves": writable(uint16, 2), "heaps": writable(int64, 2), "held": writable(int64), "cut": writable(int64),
    "buckets": writable(uint64), "passed": writable(int64), "spent": writable(int64), "found": writable(int64, 2),
}  # fmt: skip
COUNTING: Final[Layout] = {
    "owners": readonly(uint32), "sets": readonly(uint32), "dead": readonly(uint32), "allowed": readonly(uint8)
}  # fmt: skip
ROW_BITS: Final = 40
"""Low bits of a heap item that hold the row; the distance stands above them."""
ROW_MASK: Final = (1 << ROW_BITS) - 1
SCAN_COST: Final = 1
ROW_COST: Final = 64
"""Cost of one compared filter and of one row looked up, in the unit of the ``limits``."""

_CHUNK_BITS: Final = 16
_CHUNKS_PER_WORD: Final = 4
_WORD_BYTES: Final = 8
_PDQ_WORDS: Final = 4
_PLACE_BITS: Final = 32
_CHUNK_MASK: Final = 0xFF
_PLACE_MASK: Final = (1 << _PLACE_BITS) - 1
_LOW: Final = np.uint64(_PLACE_MASK)
_HIGH: Final = np.uint64(_PLACE_BITS)
_ONE: Final = np.uint64(1)
_LANES: Final = np.uint64(_simd.LANES)
_HALF: Final = np.uint64(0xFFFF)

search_kernel = functools.partial(kernel, counted=False)
"""Nothing here is counted: arrays read from a block belong to nobody."""

_codes, _scatter, _offsets, _filters, _rows = (
    reader(CALL, name) for name in ("codes", "scatter", "offsets", "filters", "rows")
)
_thresholds, _masks, _ends, _limits = (reader(CALL, name) for name in ("thresholds", "masks", "ends", "limits"))
_asked, _permuted, _keys, _halves = (reader(CALL, name) for name in ("asked", "permuted", "keys", "halves"))
_heaps, _held, _cut, _found = (reader(CALL, name) for name in ("heaps", "held", "cut", "found"))
_buckets, _passed, _spent = (reader(CALL, name) for name in ("buckets", "passed", "spent"))
_owners, _sets, _dead, _allowed = (reader(COUNTING, name) for name in COUNTING)


@search_kernel(void, readonly(uint8, 2), BLOCK)
def prepare(queries: npt.NDArray[np.uint8], call: Words) -> None:
    """Copy the queries, reorder their bits and cut them: ``asked``, ``keys`` and ``halves``.

    ``queries`` : uint8, shape (at most capacity, bytes), read-only ok.
    """
    asked, scatter, permuted, keys, halves = _asked(call), _scatter(call), _permuted(call), _keys(call), _halves(call)
    words, key_bits = asked.shape[1], np.uint64(_limits(call)[2])
    for q in range(queries.shape[0]):
        for w in range(words):
            asked[q, w] = _simd.word_at(queries, (q * words + w) * _WORD_BYTES)
            permuted[w] = 0
        for w in range(words):
            for byte in range(_WORD_BYTES):
                value = asked[q, w] >> np.uint64(8 * byte) & np.uint64(0xFF)
                for target in range(words):
                    permuted[target] |= scatter[_WORD_BYTES * w + byte, value, target]
        for chunk in range(keys.shape[1]):
            word, quarter = chunk // _CHUNKS_PER_WORD, chunk % _CHUNKS_PER_WORD
            bits = permuted[word] >> np.uint64(_CHUNK_BITS * quarter)
            if quarter == _CHUNKS_PER_WORD - 1:  # elsewhere the next 16 bits are in the same word
                bits |= permuted[(word + 1) % words] << np.uint64(_CHUNK_BITS)
            keys[q, chunk] = np.uint16(bits & ((_ONE << key_bits) - _ONE))
            halves[q, chunk] = np.uint16(bits >> key_bits & _HALF)


@search_kernel(int64, readonly(uint64, 2), int64, readonly(uint64, 2), int64)
def distance(queries: Words, query: int, codes: Words, row: int) -> int:
    """Count the bits in which a query and a row differ; both uint64, shape (·, words)."""
    q, r = np.uint64(query), np.uint64(row)
    if codes.shape[1] == _PDQ_WORDS:  # known to the compiler, so without a loop
        return (
            _simd.population_count(queries[q, 0] ^ codes[r, 0])
            + _simd.population_count(queries[q, 1] ^ codes[r, 1])
            + _simd.population_count(queries[q, 2] ^ codes[r, 2])
            + _simd.population_count(queries[q, 3] ^ codes[r, 3])
        )
    total = 0
    for w in range(codes.shape[1]):
        total += _simd.population_count(queries[q, w] ^ codes[r, w])
    return total


@search_kernel(boolean, BLOCK, int64)
def counts(counting: Words, row: int) -> bool:
    """Whether a row may be reported; asked only of rows within reach."""
    dead, allowed = _dead(counting), _allowed(counting)
    if dead.shape[0] == 0 and allowed.shape[0] == 0:
        return True
    owner = _owners(counting)[row]
    low, high = 0, dead.shape[0]
    while low < high:
        middle = (low + high) // 2
        if dead[middle] < owner:
            low = middle + 1
        else:
            high = middle
    if low < dead.shape[0] and dead[low] == owner:
        return False
    return allowed.shape[0] == 0 or bool(allowed[_sets(counting)[owner]] != 0)


@search_kernel(void, BLOCK, int64, int64)
def offer(call: Words, query: int, item: int) -> None:
    """Put ``distance << ROW_BITS | row`` into a query's heap, which keeps the smallest; the largest is at index 0."""
    heaps, held, cut = _heaps(call), _held(call), _cut(call)
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


@search_kernel(void, BLOCK, BLOCK, int64)
def scan(call: Words, counting: Words, query: int) -> None:
    """Measure every row against one query."""
    asked, codes, heaps, held, cut = _asked(call), _codes(call), _heaps(call), _held(call), _cut(call)
    radius = _limits(call)[0]
    held[query] = 0
    cut[query] = 0
    for row in range(codes.shape[0]):
        bits = distance(asked, query, codes, row)
        item = bits << ROW_BITS | row
        if bits <= radius and (cut[query] == 0 or item < heaps[query, 0]) and counts(counting, row):
            offer(call, query, item)


@search_kernel(boolean, BLOCK, int64, int64, int64)
def first_found_at(call: Words, query: int, row: int, chunk: int) -> bool:
    """Whether ``chunk`` is the first at which the probe and the filter let this row pass.

    The two conditions of the search, on whole chunks: d_i <= t_i and d_i + d_(i+1) <= t_i + t_(i+1) + 1. The search
    sees fewer bits of the second chunk, so it passes more; a row within the radius passes the whole conditions at one
    chunk at least, and is reported from the first.
    """
    asked, codes, scatter, thresholds = _asked(call), _codes(call), _scatter(call), _thresholds(call)
    chunks, words = thresholds.shape[0], codes.shape[1]
    opening, before = 0, 0
    for word in range(words):
        difference = np.uint64(0)
        for byte in range(_WORD_BYTES * words):
            apart = asked[query, byte // _WORD_BYTES] ^ codes[row, byte // _WORD_BYTES]
            value = apart >> np.uint64(8 * (byte % _WORD_BYTES)) & np.uint64(0xFF)
            difference |= scatter[byte, value, word]
        for quarter in range(_CHUNKS_PER_WORD):
            i = word * _CHUNKS_PER_WORD + quarter
            bits = _simd.population_count(difference & _HALF)
            difference >>= np.uint64(_CHUNK_BITS)
            if i == 0:
                opening = bits
            elif before <= thresholds[i - 1] and before + bits <= thresholds[i - 1] + thresholds[i] + 1:
                return i - 1 == chunk
            before = bits
    last = chunks - 1
    together = thresholds[last] + thresholds[0] + 1
    return chunk == last and bool(before <= thresholds[last]) and bool(before + opening <= together)


@search_kernel(void, BLOCK, BLOCK, int64)
def verify(call: Words, counting: Words, count: int) -> None:
    """Measure what passed the filters: the first ``count`` of ``passed``, ``query << 40 | chunk << 32 | place``.

    Two passes, so that the codes of all of them are fetched at once: the second finds them in the cache.
    """
    asked, codes, rows, passed = _asked(call), _codes(call), _rows(call), _passed(call)
    heaps, cut, radius = _heaps(call), _cut(call), _limits(call)[0]
    for n in range(count):
        place = passed[n] & _PLACE_MASK
        row = np.int64(rows[passed[n] >> _PLACE_BITS & _CHUNK_MASK, place])
        _simd.prefetch(codes, row * codes.shape[1])
        passed[n] += row - place
    for n in range(count):
        query, row = passed[n] >> ROW_BITS, passed[n] & _PLACE_MASK
        bits = distance(asked, query, codes, row)
        if bits > radius or (cut[query] != 0 and (bits << ROW_BITS | row) >= heaps[query, 0]):
            continue
        if counts(counting, row) and first_found_at(call, query, row, passed[n] >> _PLACE_BITS & _CHUNK_MASK):
            offer(call, query, bits << ROW_BITS | row)


@search_kernel(void, BLOCK, int64, int64)
def fetch_offsets(call: Words, chunk: int, query: int) -> None:
    """Ask for the offsets of every bucket that will be looked into."""
    offsets, masks = _offsets(call), _masks(call)
    key, first = np.uint32(_keys(call)[query, chunk]), chunk * offsets.shape[1]
    for p in range(_ends(call)[_thresholds(call)[chunk] + 1]):
        _simd.prefetch(offsets, first + np.int64(key ^ masks[p]))


@search_kernel(int64, BLOCK, int64, int64, uint64)
def open_buckets(call: Words, chunk: int, query: int, at: np.uint64) -> int:
    """Write to ``buckets[at:]`` where each begins and ends, ask for its filters; return how many rows they all hold."""
    offsets, filters, masks, buckets = _offsets(call), _filters(call), _masks(call), _buckets(call)
    key, origin, first = np.uint32(_keys(call)[query, chunk]), chunk * offsets.shape[1], chunk * filters.shape[1]
    total = np.uint64(0)
    for p in range(_ends(call)[_thresholds(call)[chunk] + 1]):
        bucket = _simd.word_at(offsets, origin + np.int64(key ^ masks[p]))
        begin, end = bucket & _LOW, bucket >> _HIGH
        buckets[at + _ONE * np.uint64(p)] = bucket
        total += end - begin
        # Most buckets are one line or two; asking for both costs less than a branch that cannot be predicted.
        _simd.prefetch(filters, first + np.int64(begin))
        _simd.prefetch(filters, first + np.int64(begin + _LANES - _ONE))
        for inner in range(begin + _LANES + _LANES, end + _LANES, _LANES):
            _simd.prefetch(filters, first + np.int64(inner))
    return int(np.int64(total))


@search_kernel(int64, BLOCK, int64, int64, uint64, int64)
def compare_buckets(call: Words, chunk: int, query: int, at: np.uint64, waiting: int) -> int:
    """Compare the filters of one pair's buckets; what passes joins the ``waiting`` items of ``passed``.

    Returns how many wait now. Starts with bucket ``spent[-1]``, and leaves there -1, or where to go on when ``passed``
    is full.
    """
    filters, rows, thresholds, ends = _filters(call), _rows(call), _thresholds(call), _ends(call)
    buckets, passed, spent = _buckets(call), _passed(call), _spent(call)
    last, began, room = spent.shape[0] - 1, waiting, passed.shape[0] - _simd.LANES
    word, start = _halves(call)[query, chunk], spent[last]
    first, origin = chunk * filters.shape[1], query << ROW_BITS | chunk << _PLACE_BITS
    together = thresholds[chunk] + thresholds[(chunk + 1) % thresholds.shape[0]] + 1
    for apart in range(min(thresholds[chunk], together) + 1):
        limit = np.uint16(together - apart)
        for p in range(max(ends[apart], start), ends[apart + 1]):
            bucket = buckets[at + _ONE * np.uint64(p)]
            place, end = bucket & _LOW, bucket >> _HIGH
            while True:
                if waiting > room:
                    buckets[at + _ONE * np.uint64(p)] = end << _HIGH | place
                    spent[last] = p
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
    spent[last] = -1
    spent[query] += (waiting - began) * ROW_COST
    return waiting


@search_kernel(group(int64, int64), int64, int64, int64)
def following(chunk: int, query: int, count: int) -> tuple[int, int]:
    """Return the pair behind (chunk, query), query by query within a chunk; cheaper than dividing one number."""
    return (chunk + 1, 0) if query + 1 == count else (chunk, query + 1)


@search_kernel(int64, BLOCK, int64)
def collect(call: Words, count: int) -> int:
    """Write to ``found`` what the heaps of ``count`` queries hold, nearest first; return how much. Sorts the heaps."""
    heaps, held, found = _heaps(call), _held(call), _found(call)
    total = 0
    for q in range(count):
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


@search_kernel(int64, readonly(uint8, 2), BLOCK, BLOCK)
def search(queries: npt.NDArray[np.uint8], call: Words, counting: Words) -> int:  # noqa: C901  three positions
    """Find the nearest rows within the radius of every query; the blocks are described at the head of this file.

    ``queries`` : uint8, shape (at most capacity, bytes), C order, read-only ok. Returns how much of ``found`` was
    written: query by query, nearest first. The last item of ``spent`` is left 1 when any query had to leave something
    out, else 0.
    """
    thresholds, held, cut, spent = _thresholds(call), _held(call), _cut(call), _spent(call)
    count, chunks, last, budget = queries.shape[0], thresholds.shape[0], spent.shape[0] - 1, _limits(call)[1]
    side, room, waiting = np.uint64(_masks(call).shape[0]), _passed(call).shape[0] - _simd.LANES, 0
    prepare(queries, call)
    for q in range(count):
        held[q], cut[q], spent[q] = 0, 0, 0
    # Three positions in the same sequence of pairs, one step apart: offsets asked for, buckets opened, compared.
    far_chunk, far_query, near_chunk, near_query, chunk, query = 0, 0, 0, 0, 0, 0
    for step in range(chunks * count + 2):
        if far_chunk < chunks:
            if thresholds[far_chunk] >= 0 and spent[far_query] <= budget:
                fetch_offsets(call, far_chunk, far_query)
            far_chunk, far_query = following(far_chunk, far_query, count)
        if step >= 1 and near_chunk < chunks:
            if thresholds[near_chunk] >= 0 and spent[near_query] <= budget:
                spent[near_query] += open_buckets(call, near_chunk, near_query, np.uint64(step & 1) * side) * SCAN_COST
            near_chunk, near_query = following(near_chunk, near_query, count)
        if step >= 2:  # noqa: PLR2004  two steps behind the first position
            spent[last] = 0 if thresholds[chunk] >= 0 and spent[query] <= budget else -1
            while spent[last] >= 0 and spent[query] <= budget:
                if waiting > room:
                    verify(call, counting, waiting)
                    waiting = 0
                waiting = compare_buckets(call, chunk, query, np.uint64(step - 1 & 1) * side, waiting)
            chunk, query = following(chunk, query, count)
    verify(call, counting, waiting)
    spent[last] = 0
    for q in range(count):
        if spent[q] > budget:
            scan(call, counting, q)
        spent[last] |= cut[q]
    return collect(call, count)
