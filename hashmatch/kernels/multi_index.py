"""Exact search by Hamming distance through many small indexes: build, probe, verify.

Theory of operation
-------------------
A code's bits, in a fixed order that scatters neighbours (:func:`permutation`), are cut into m chunks of 16. For each
chunk there is a table of all rows, sorted by the chunk's first ``key_bits`` bits: ``offsets`` says where a key's bucket
begins, ``filters`` holds of each row the 16 bits that follow the key, ``rows`` its number. A query looks into every
bucket whose key differs in a few bits, compares the 16 bits beside it (a whole bucket is about one cache line and one
instruction, :func:`hashmatch.kernels._simd.near_lanes`), and only the few rows that pass are looked up and measured.

Why nothing is missed: let chunk i of the query and of a row differ in d_i bits, sum d_i <= r, and let thresholds t_i
have sum (t_i + 1) = r + 1. Then the numbers x_i = t_i + 1 - d_i have a sum of at least 1, and by the cycle lemma there
is a chunk i from which every partial sum x_i + ... + x_(i+l-1), taken cyclically, is at least 1. For l = 1 that is
d_i <= t_i: the key is probed. For l = 2 it is d_i + d_(i+1) <= t_i + t_(i+1) + 1: the filter lets it pass. A row may
satisfy this at several chunks; it is reported from the first only, so never twice. docs/explain/search.md has the proof
at length and the costs.

The search is a pipeline over (chunk, query) pairs: while one pair's buckets are compared, the next pair's lines are on
their way from memory, and the keys of the one after that. A batch is longer, not different. A query whose buckets turn
out to hold too much, as on a list of near-duplicates, is given up and answered by the flat scan: no list makes a search
slower than a scan plus a constant factor.

The nearest ``max_hits`` rows of each query are kept in a heap of ``distance << 40 | row``: order and ties are decided
by row number, whatever order they were found in.

What this module deliberately does not do: it chooses no thresholds (``index/plan.py``), allocates nothing, and knows
rows, not entries.

Source: Norouzi, Punjani, Fleet, "Fast exact search in Hamming space with multi-index hashing", TPAMI 36(6), 2014; Qin,
Xiao, "Pigeonring: a principle for faster thresholded similarity search", PVLDB 12(1), 2018, theorem 3; cycle lemma:
Dvoretzky, Motzkin, Duke Math. J. 14, 1947.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels import _simd
from hashmatch.kernels._jit import boolean, int64, kernel, readonly, uint8, uint16, uint32, uint64, void, writable

Words = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]

CHUNK_BITS: Final = 16
FILTER_BITS: Final = 16
PAD: Final = _simd.LANES
"""Items behind the last row of ``filters`` and ``rows``, so that a whole compare never leaves the array."""
ROW_BITS: Final = 40
"""Low bits of a heap key that hold the row; the distance stands above them."""
ROW_MASK: Final = (1 << ROW_BITS) - 1
_WORD_BITS: Final = 64
_CHUNKS_PER_WORD: Final = _WORD_BITS // CHUNK_BITS

SCAN_COST: Final = 1
ROW_COST: Final = 64
"""Cost of one compared filter and of one row looked up, in the unit of :func:`search`'s ``budget``."""


def permutation(bits: int) -> Numbers:
    """Return the order in which the bits of a code are cut into chunks; int64, shape (bits,).

    A step of about 0.382 of the length, the golden section, that shares no factor with it: bits of one chunk come from
    rows and columns far apart, so that the correlation inside PDQ's rows does not fill a few buckets.
    """
    step = round(bits * (3 - math.sqrt(5)) / 2)
    while math.gcd(step, bits) != 1:
        step += 1
    return np.arange(bits, dtype=np.int64) * step % bits


def scatter_table(bits: int) -> Words:
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


@kernel(int64, readonly(uint64, 2), int64, int64, int64)
def bits_at(permuted: Words, row: int, start: int, count: int) -> int:
    """``count`` bits (1..32) of a permuted code from position ``start``, wrapping round at its end."""
    words = permuted.shape[1]
    word, shift = start // _WORD_BITS % words, start % _WORD_BITS
    bits = permuted[row, word] >> np.uint64(shift)
    if shift + count > _WORD_BITS:
        bits |= permuted[row, (word + 1) % words] << np.uint64(_WORD_BITS - shift)
    return int(np.int64(bits & ((np.uint64(1) << np.uint64(count)) - np.uint64(1))))


@kernel(void, readonly(uint64, 2), int64, int64, writable(uint32), writable(uint16), writable(uint32))
def build_chunk(
    permuted: Words,
    chunk: int,
    key_bits: int,
    offsets: npt.NDArray[np.uint32],
    filters: npt.NDArray[np.uint16],
    rows: npt.NDArray[np.uint32],
) -> None:
    """Build the table of one chunk: a counting sort of all rows by key, equal keys in row order.

    Parameters
    ----------
    permuted : uint64, shape (n, words), read-only ok
    chunk, key_bits
        Which chunk, and how many of its bits choose the bucket (1..16).
    offsets : uint32, shape (2 ** key_bits + 1,), written
    filters : uint16, shape (n + PAD,), written
    rows : uint32, shape (n + PAD,), written

    """
    n, start = permuted.shape[0], chunk * CHUNK_BITS
    buckets = offsets.shape[0] - 1
    for b in range(buckets + 1):
        offsets[b] = 0
    for row in range(n):
        offsets[bits_at(permuted, row, start, key_bits) + 1] += np.uint32(1)
    for b in range(buckets):
        offsets[b + 1] += offsets[b]
    for row in range(n):
        key = bits_at(permuted, row, start, key_bits)
        place = offsets[key]
        offsets[key] = place + np.uint32(1)
        filters[place] = np.uint16(bits_at(permuted, row, start + key_bits, FILTER_BITS))
        rows[place] = np.uint32(row)
    for b in range(buckets, 0, -1):
        offsets[b] = offsets[b - 1]
    offsets[0] = 0
    for place in range(n, filters.shape[0]):
        filters[place] = 0
        rows[place] = 0


@kernel(int64, readonly(uint64, 2), int64, readonly(uint64, 2), int64)
def distance(queries: Words, query: int, codes: Words, row: int) -> int:
    """Count the bits in which a query and a row differ; both uint64, shape (·, words)."""
    total = 0
    for w in range(codes.shape[1]):
        total += _simd.population_count(queries[query, w] ^ codes[row, w])
    return total


@kernel(void, writable(int64, 2), writable(int64), writable(boolean), int64, int64)
def offer(heaps: Numbers, held: Numbers, cut: npt.NDArray[np.bool_], query: int, item: int) -> None:
    """Put ``distance << ROW_BITS | row`` into a query's heap, which keeps the smallest; the largest stands at index 0.

    Parameters
    ----------
    heaps : int64, shape (queries, max_hits), written
    held : int64, shape (queries,), written
        Items in each heap.
    cut : bool, shape (queries,), written
        Set when an item had to be left out.
    query, item
        Which heap, and what to put in.

    """
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


@kernel(boolean, readonly(uint32), readonly(uint32), readonly(uint32), readonly(uint8), int64)
def counts(
    owners: npt.NDArray[np.uint32],
    sets: npt.NDArray[np.uint32],
    dead: npt.NDArray[np.uint32],
    allowed: npt.NDArray[np.uint8],
    row: int,
) -> bool:
    """Whether a row may be reported; asked only of rows within reach.

    Parameters
    ----------
    owners : uint32, shape (n,), read-only ok
        Entry of each row.
    sets : uint32, shape (entries,), read-only ok
        Set of each entry.
    dead : uint32, shape (tombstones,), ascending, read-only ok
        Entries that no longer count.
    allowed : uint8, shape (sets,) or (0,), read-only ok
        1 for sets that the caller may see; empty when all are.
    row
        The row.

    """
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


_FILTER_ARRAYS = (readonly(uint32), readonly(uint32), readonly(uint32), readonly(uint8))
_RESULT_ARRAYS = (writable(int64, 2), writable(int64), writable(boolean))


@kernel(void, readonly(uint64, 2), int64, readonly(uint64, 2), int64, *_FILTER_ARRAYS, *_RESULT_ARRAYS)
def scan(
    queries: Words,
    query: int,
    codes: Words,
    radius: int,
    owners: npt.NDArray[np.uint32],
    sets: npt.NDArray[np.uint32],
    dead: npt.NDArray[np.uint32],
    allowed: npt.NDArray[np.uint8],
    heaps: Numbers,
    held: Numbers,
    cut: npt.NDArray[np.bool_],
) -> None:
    """Measure every row against one query; parameters as for :func:`search`."""
    held[query] = 0
    cut[query] = False
    for row in range(codes.shape[0]):
        bits = distance(queries, query, codes, row)
        if bits <= radius and counts(owners, sets, dead, allowed, row):
            offer(heaps, held, cut, query, bits << ROW_BITS | row)


@kernel(boolean, readonly(uint64, 2), int64, readonly(uint64, 2), int64, readonly(uint64, 3), readonly(int64), int64)
def first_found_at(
    queries: Words, query: int, codes: Words, row: int, table: Words, thresholds: Numbers, chunk: int
) -> bool:
    """Whether ``chunk`` is the first at which the probe and the filter let this row pass.

    The two conditions of the search, on whole chunks: d_i <= t_i and d_i + d_(i+1) <= t_i + t_(i+1) + 1. The search
    sees ``key_bits`` of the second chunk only, so it passes more; a row within the radius passes the whole conditions
    at one chunk at least, and is reported from the first.

    Parameters
    ----------
    queries, codes : uint64, shape (·, words), read-only ok
        Not permuted.
    table : uint64, shape (bytes, 256, words)
        From :func:`scatter_table`.
    thresholds : int64, shape (m,)
    query, row, chunk
        Which ones.

    """
    chunks, words = thresholds.shape[0], codes.shape[1]
    opening, before = 0, 0
    for word in range(words):
        difference = np.uint64(0)
        for byte in range(8 * words):
            value = (queries[query, byte // 8] ^ codes[row, byte // 8]) >> np.uint64(8 * (byte % 8)) & np.uint64(0xFF)
            difference |= table[byte, value, word]
        for quarter in range(_CHUNKS_PER_WORD):
            i = word * _CHUNKS_PER_WORD + quarter
            bits = _simd.population_count(difference & np.uint64(0xFFFF))
            difference >>= np.uint64(CHUNK_BITS)
            if i == 0:
                opening = bits
            elif before <= thresholds[i - 1] and before + bits <= thresholds[i - 1] + thresholds[i] + 1:
                return i - 1 == chunk
            before = bits
    last = chunks - 1
    together = thresholds[last] + thresholds[0] + 1
    return chunk == last and bool(before <= thresholds[last]) and bool(before + opening <= together)


@kernel(
    void,
    readonly(uint64, 2),
    readonly(uint64, 2),
    readonly(uint64, 3),
    readonly(int64),
    int64,
    writable(int64),
    int64,
    *_FILTER_ARRAYS,
    *_RESULT_ARRAYS,
    readonly(uint32, 2),
)
def verify(
    queries: Words,
    codes: Words,
    table: Words,
    thresholds: Numbers,
    radius: int,
    passed: Numbers,
    count: int,
    owners: npt.NDArray[np.uint32],
    sets: npt.NDArray[np.uint32],
    dead: npt.NDArray[np.uint32],
    allowed: npt.NDArray[np.uint8],
    heaps: Numbers,
    held: Numbers,
    cut: npt.NDArray[np.bool_],
    rows: npt.NDArray[np.uint32],
) -> None:
    """Measure what passed the filters; ``passed`` holds ``count`` items of query, chunk and place, see :func:`search`.

    Two passes, so that the codes of all of them are fetched at once: the second finds them in the cache.
    """
    words = codes.shape[1]
    for n in range(count):
        chunk, place = passed[n] >> 32 & 0xFF, passed[n] & 0xFFFFFFFF
        row = np.int64(rows[chunk, place])
        _simd.prefetch(codes, row * words)
        passed[n] += row - place
    for n in range(count):
        query, chunk, row = passed[n] >> 40, passed[n] >> 32 & 0xFF, passed[n] & 0xFFFFFFFF
        bits = distance(queries, query, codes, row)
        if bits > radius or (
            held[query] == heaps.shape[1] and (bits << ROW_BITS | row) >= heaps[query, 0] and cut[query]
        ):
            continue
        if counts(owners, sets, dead, allowed, row) and first_found_at(
            queries, query, codes, row, table, thresholds, chunk
        ):
            offer(heaps, held, cut, query, bits << ROW_BITS | row)


@kernel(
    void,
    readonly(uint64, 2),
    readonly(uint64, 2),
    readonly(uint64, 2),
    readonly(uint64, 3),
    readonly(uint32, 2),
    readonly(uint16, 2),
    readonly(uint32, 2),
    readonly(int64),
    readonly(uint32),
    readonly(int64),
    int64,
    int64,
    int64,
    *_FILTER_ARRAYS,
    *_RESULT_ARRAYS,
    writable(int64, 3),
    writable(int64),
    writable(int64),
)
def search(  # noqa: C901, PLR0912, PLR0915  one pipeline; the stages share their position in it
    queries: Words,
    permuted: Words,
    codes: Words,
    table: Words,
    offsets: npt.NDArray[np.uint32],
    filters: npt.NDArray[np.uint16],
    rows: npt.NDArray[np.uint32],
    thresholds: Numbers,
    probes: npt.NDArray[np.uint32],
    probe_ends: Numbers,
    key_bits: int,
    radius: int,
    budget: int,
    owners: npt.NDArray[np.uint32],
    sets: npt.NDArray[np.uint32],
    dead: npt.NDArray[np.uint32],
    allowed: npt.NDArray[np.uint8],
    heaps: Numbers,
    held: Numbers,
    cut: npt.NDArray[np.bool_],
    buckets: Numbers,
    passed: Numbers,
    spent: Numbers,
) -> None:
    """Find the nearest rows within ``radius`` of every query.

    Parameters
    ----------
    queries, permuted : uint64, shape (q, words), read-only ok
        The queries, and the same with their bits reordered (:func:`permute`). q < 2 ** 23.
    codes : uint64, shape (n, words), read-only ok
        The codes, not permuted. n < 2 ** 32.
    table : uint64, shape (bytes, 256, words)
        From :func:`scatter_table`.
    offsets : uint32, shape (m, 2 ** key_bits + 1), read-only ok
    filters : uint16, shape (m, n + PAD), read-only ok
    rows : uint32, shape (m, n + PAD), read-only ok
        From :func:`build_chunk`; m <= 256.
    thresholds : int64, shape (m,)
        With sum (t + 1) = radius + 1; -1 leaves a chunk out.
    probes : uint32, shape (p,)
        What is XORed onto a key, in order of the number of bits.
    probe_ends : int64, shape (largest threshold + 2,)
        ``probes[probe_ends[e]:probe_ends[e + 1]]`` have e bits.
    key_bits, radius
        As in the build; and in bits, inclusive.
    budget
        What one query may spend (:data:`SCAN_COST`, :data:`ROW_COST`) before it is answered by :func:`scan`.
    owners, sets, dead, allowed
        Which rows count, see :func:`counts`.
    heaps, held, cut
        The result, see :func:`offer`. ``held`` and ``cut`` need not be cleared.
    buckets : int64, shape (2, p, 2), scratch
    passed : int64, shape (at least 4 * LANES,), scratch
    spent : int64, shape (q,), scratch

    """
    count, chunks = queries.shape[0], thresholds.shape[0]
    room = passed.shape[0] - PAD
    waiting = 0
    for q in range(count):
        held[q] = 0
        cut[q] = False
        spent[q] = 0
    pairs = chunks * count
    for pair in range(-2, pairs):
        ahead = pair + 2
        if ahead < pairs:
            chunk, q = ahead // count, ahead % count
            if thresholds[chunk] >= 0 and spent[q] <= budget:
                key = bits_at(permuted, q, chunk * CHUNK_BITS, key_bits)
                for p in range(probe_ends[thresholds[chunk] + 1]):
                    _simd.prefetch(offsets, chunk * offsets.shape[1] + (key ^ np.int64(probes[p])))
        ahead = pair + 1
        if 0 <= ahead < pairs:
            chunk, q = ahead // count, ahead % count
            if thresholds[chunk] >= 0 and spent[q] <= budget:
                key = bits_at(permuted, q, chunk * CHUNK_BITS, key_bits)
                for p in range(probe_ends[thresholds[chunk] + 1]):
                    bucket = key ^ np.int64(probes[p])
                    begin, end = np.int64(offsets[chunk, bucket]), np.int64(offsets[chunk, bucket + 1])
                    buckets[ahead & 1, p, 0], buckets[ahead & 1, p, 1] = begin, end
                    spent[q] += (end - begin) * SCAN_COST
                    place = begin
                    while place < end + PAD and spent[q] <= budget:
                        _simd.prefetch(filters, chunk * filters.shape[1] + min(place, end))
                        place += PAD
        if pair < 0:
            continue
        chunk, q = pair // count, pair % count
        if thresholds[chunk] >= 0 and spent[q] <= budget:
            word = np.uint16(bits_at(permuted, q, chunk * CHUNK_BITS + key_bits, FILTER_BITS))
            together = thresholds[chunk] + thresholds[(chunk + 1) % chunks] + 1
            for apart in range(thresholds[chunk] + 1):
                if apart > together:
                    break
                limit = np.uint16(together - apart)
                for p in range(probe_ends[apart], probe_ends[apart + 1]):
                    place, end = buckets[pair & 1, p, 0], buckets[pair & 1, p, 1]
                    while place < end:
                        near = _simd.near_lanes(filters, chunk * filters.shape[1] + place, word, limit)
                        if end - place < PAD:
                            near &= np.uint32((np.int64(1) << (end - place)) - 1)
                        while near != 0:
                            found = place + _simd.lowest_lane(near)
                            near &= near - np.uint32(1)
                            _simd.prefetch(rows, chunk * rows.shape[1] + found)
                            passed[waiting] = q << 40 | chunk << 32 | found
                            waiting += 1
                            spent[q] += ROW_COST
                        place += PAD
                        if waiting > room:
                            verify(
                                queries,
                                codes,
                                table,
                                thresholds,
                                radius,
                                passed,
                                waiting,
                                owners,
                                sets,
                                dead,
                                allowed,
                                heaps,
                                held,
                                cut,
                                rows,
                            )
                            waiting = 0
    verify(
        queries, codes, table, thresholds, radius, passed, waiting, owners, sets, dead, allowed, heaps, held, cut, rows
    )
    for q in range(count):
        if spent[q] > budget:
            scan(queries, q, codes, radius, owners, sets, dead, allowed, heaps, held, cut)
