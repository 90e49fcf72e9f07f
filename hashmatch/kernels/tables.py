"""Building the tables of the multi-index search: codes cut into columns of 16 bits, each column sorted.

Theory of operation
-------------------
``chunks.py`` says what the tables are. A million codes make sixteen million rows of them, so what counts is how often
each row goes through memory, and that what is written stays together.

1. :func:`cut_columns` reorders the bits of every code and cuts them, 512 codes at a time. A square of 64 codes by 64
   bits is transposed in six rounds of exchanges, so that one word holds the same bit of 64 codes; reordering is then
   a matter of which words are read, and a second transposition makes 16 of them a chunk of each code. Eight squares
   lie side by side in vector registers. A tenth of the time that looking up every byte's bits in a table takes.
2. :func:`group_rows` sorts the rows of one column by the first eight bits of their keys, into at most 256 groups. Key,
   filter word and row number travel as one word of 64 bits. Words for the same group are collected in a buffer of four
   cache lines and written together, past the caches: 256 places in 80 MB, written to word by word, are too many for
   the cache and for the address translation, and take three times as long. With one line per buffer the branch for a
   full one is mispredicted so often that it costs half as much again.
3. :func:`sort_groups` sorts each group by the rest of the keys and writes offsets, filters and rows. A group of ten
   million rows is 300 kB, so everything it touches is in the cache.

What this module deliberately does not do: it neither chooses ``key_bits`` (``index/plan.py``) nor allocates.

Source: Warren, "Hacker's Delight", 2nd edition, 7-3 (transposing a bit matrix). Polychroniou, Ross, "A comprehensive
study of main-memory partitioning", SIGMOD 2014, section 3.2 (buffered partitioning).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import int64, kernel, readonly, uint16, uint32, uint64, void, writable
from hashmatch.kernels._lines import LINE_WORDS, exchange_bits, write_past

Words = npt.NDArray[np.uint64]
Halves = npt.NDArray[np.uint16]
Order = npt.NDArray[np.int64]

BLOCK_ROWS: Final = 512
"""Codes that :func:`cut_columns` takes at a time: 64 lines of eight words."""
GROUPS: Final = 256
"""Groups of rows, at most."""
BUFFER_WORDS: Final = 32
"""Words that are collected before they are written to a group; whole cache lines."""
_GROUP_BITS: Final = 8
_WORD_BITS: Final = 64
_CHUNK_BITS: Final = 16
_PER_WORD: Final = _WORD_BITS // _CHUNK_BITS
_CHUNK_WORDS: Final = BLOCK_ROWS // _PER_WORD
_ALL: Final = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_HALF: Final = np.uint64(0xFFFF)


@kernel(void, writable(uint64), readonly(int64), int64, int64, counted=False)
def _transpose(lines: Words, order: Order, first: int, count: int) -> None:
    """Transpose squares of ``count`` bits: bit i of line j and bit j of line i change places.

    ``lines`` : uint64, shape (8 * lines,). The lines of a square are ``order[first : first + count]``; ``count`` is a
    power of two, and where it is below 64, several squares lie side by side in each word.
    """
    apart = count // 2
    while apart:
        mask = _ALL // ((np.uint64(1) << np.uint64(apart)) + np.uint64(1))
        for block in range(first, first + count, 2 * apart):
            for i in range(block, block + apart):
                exchange_bits(lines, LINE_WORDS * order[i], LINE_WORDS * order[i + apart], apart, mask)
        apart //= 2


@kernel(
    void,
    readonly(uint64, 2),
    readonly(int64),
    readonly(int64),
    writable(uint64),
    writable(uint64, 2),
    counted=False,
)
def cut_columns(codes: Words, in_place: Order, order: Order, lines: Words, columns: Words) -> None:
    """Reorder the bits of every code and cut them into chunks of 16.

    Parameters
    ----------
    codes : uint64, shape (n, words), C order, read-only ok
    in_place, order : int64, shape (64 * words,)
        0, 1, 2, ..., and the order of the bits, from :func:`hashmatch.kernels.chunks.permutation`.
    lines : uint64, shape (8 * 64 * words,), scratch
    columns : uint64, shape (4 * words, at least 128 * ceil(n / 512)), written
        Row c, as uint16, holds chunk c of every code. What follows the last code is meaningless.

    """
    n, words = codes.shape
    for block in range((n + BLOCK_ROWS - 1) // BLOCK_ROWS):
        start = block * BLOCK_ROWS
        for word in range(words):
            # Of 512 codes, the one that comes out as number s of word w of line k: see the second transposition below.
            for k in range(_CHUNK_BITS):
                for s in range(_PER_WORD):
                    line = _WORD_BITS * word + _CHUNK_BITS * s + k
                    for w in range(LINE_WORDS):
                        row = start + (k * LINE_WORDS + w) * _PER_WORD + s
                        lines[np.uint64(line * LINE_WORDS + w)] = codes[np.uint64(min(row, n - 1)), np.uint64(word)]
            _transpose(lines, in_place, _WORD_BITS * word, _WORD_BITS)
        for chunk in range(columns.shape[0]):
            _transpose(lines, order, _CHUNK_BITS * chunk, _CHUNK_BITS)
            for k in range(_CHUNK_BITS):
                source = np.uint64(order[_CHUNK_BITS * chunk + k] * LINE_WORDS)
                target = np.uint64(block * _CHUNK_WORDS + k * LINE_WORDS)
                for w in range(np.uint64(LINE_WORDS)):
                    columns[np.uint64(chunk), target + w] = lines[source + w]


@kernel(void, readonly(uint16), int64, writable(uint64), writable(uint64), counted=False)
def _place_groups(column: Halves, key_bits: int, begins: Words, ends: Words) -> None:
    """Count the rows of each group and decide where it begins: behind the group before it, with whole buffers."""
    groups = np.uint64(len(begins))
    shift = np.uint64(max(key_bits - _GROUP_BITS, 0))
    for group in range(groups):
        ends[group] = 0
    for row in range(np.uint64(len(column))):
        ends[np.uint64(column[row]) >> shift & (groups - np.uint64(1))] += np.uint64(1)
    free, buffer = np.uint64(0), np.uint64(BUFFER_WORDS)
    for group in range(groups):
        count = ends[group]
        begins[group], ends[group] = free, free
        free += (count + buffer - np.uint64(1)) // buffer * buffer


@kernel(
    void,
    readonly(uint16),
    readonly(uint16),
    int64,
    *(writable(uint64) for _ in range(4)),
    counted=False,
)
def group_rows(
    column: Halves, following: Halves, key_bits: int, begins: Words, ends: Words, buffers: Words, packed: Words
) -> None:
    """Sort the rows of one chunk by the first bits of their keys.

    Parameters
    ----------
    column, following : uint16, shape (n,), read-only ok
        This chunk of every code and the next one, from :func:`cut_columns`.
    key_bits : int
        Bits of the chunk that make the key, 1..16; they and the next 16 make the filter word.
    begins, ends : uint64, shape (groups,), written
        Where in ``packed`` each group is; groups = 2 ** min(key_bits, 8).
    buffers : uint64, shape (32 * groups,), scratch
    packed : uint64, shape (n + 32 * groups,), begins at a cache line, written
        Of each row, from the lowest bit: the rest of the key in 16 bits, the filter word in 16, the row in 32.

    """
    _place_groups(column, key_bits, begins, ends)
    groups = np.uint64(len(begins))
    width, shift = np.uint64(key_bits), np.uint64(max(key_bits - _GROUP_BITS, 0))
    rest = (np.uint64(1) << shift) - np.uint64(1)
    last = np.uint64(BUFFER_WORDS - 1)
    for row in range(np.uint64(len(column))):
        chunk = np.uint64(column[row])
        group = chunk >> shift & (groups - np.uint64(1))
        place = ends[group]
        ends[group] = place + np.uint64(1)
        word = (np.uint64(following[row]) << np.uint64(_CHUNK_BITS) | chunk) >> width & _HALF
        buffer = group * np.uint64(BUFFER_WORDS)
        buffers[buffer | place & last] = row << np.uint64(32) | word << np.uint64(16) | chunk & rest
        if place & last == last:
            for line in range(0, BUFFER_WORDS, LINE_WORDS):
                write_past(packed, place - last + np.uint64(line), buffers, buffer + np.uint64(line))
    for unfinished in range(groups):
        end = ends[unfinished]
        for line in range(0, end & last, LINE_WORDS):
            start = np.uint64(BUFFER_WORDS * unfinished + line)
            write_past(packed, (end & ~last) + np.uint64(line), buffers, start)


@kernel(void, *(writable(uint64) for _ in range(2)), *(uint64 for _ in range(3)), counted=False)
def _scatter_within(packed: Words, places: Words, begin: np.uint64, end: np.uint64, first: np.uint64) -> None:
    """Sort ``packed[begin:end]`` to the beginning of the array; ``places`` count from ``first``."""
    for at in range(begin, end):
        item = packed[at]
        place = places[item & _HALF]
        places[item & _HALF] = place + np.uint64(1)
        packed[place - first] = item


@kernel(
    void,
    readonly(uint64),
    *(writable(item) for item in (uint64, uint16, uint32)),
    *(uint64 for _ in range(2)),
    counted=False,
)
def _scatter_apart(
    packed: Words, places: Words, filters: Halves, rows: npt.NDArray[np.uint32], begin: np.uint64, end: np.uint64
) -> None:
    """Sort ``packed[begin:end]`` into the table."""
    for at in range(begin, end):
        item = packed[at]
        place = places[item & _HALF]
        places[item & _HALF] = place + np.uint64(1)
        filters[place] = np.uint16(item >> np.uint64(16))
        rows[place] = np.uint32(item >> np.uint64(32))


@kernel(
    void,
    writable(uint64),
    *(readonly(uint64) for _ in range(2)),
    *(writable(item) for item in (uint64, uint32, uint16, uint32)),
    counted=False,
)
def sort_groups(
    packed: Words,
    begins: Words,
    ends: Words,
    places: Words,
    offsets: npt.NDArray[np.uint32],
    filters: Halves,
    rows: npt.NDArray[np.uint32],
) -> None:
    """Sort each group by the rest of the keys and write the table of the chunk; equal keys stay in row order.

    A group is sorted where earlier groups were and goes from there to the table in one piece: half the stores, and none
    that waits for memory. The first group, and one that is larger than all before it, goes straight to the table.

    Parameters
    ----------
    packed, begins, ends
        From :func:`group_rows`; ``packed`` is used up.
    places : uint64, shape (buckets / groups,), scratch
    offsets : uint32, shape (buckets + 1,), written
    filters, rows : uint16, uint32, shape (n + PAD,), written

    """
    width, done = np.uint64(len(places)), np.uint64(0)
    for group in range(np.uint64(len(begins))):
        begin, end, first = begins[group], ends[group], done
        for key in range(width):
            places[key] = 0
        for at in range(begin, end):
            places[packed[at] & _HALF] += np.uint64(1)
        for key in range(width):
            count = places[key]
            offsets[group * width + key] = np.uint32(done)
            places[key] = done
            done += count
        if end - begin > begin:
            _scatter_apart(packed, places, filters, rows, begin, end)
            continue
        _scatter_within(packed, places, begin, end, first)
        for at in range(end - begin):
            filters[first + at] = np.uint16(packed[at] >> np.uint64(16))
        for at in range(end - begin):
            rows[first + at] = np.uint32(packed[at] >> np.uint64(32))
    offsets[len(offsets) - 1] = np.uint32(done)
    for place in range(done, np.uint64(len(filters))):
        filters[place] = 0
        rows[place] = 0
