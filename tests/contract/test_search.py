"""One suite that every search strategy runs, against the naive twin. A new strategy is added to a table below."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.index.columns import Bytes, KeysOf, leading_keys, whole_keys
from hashmatch.index.equal import ScannedDigests, SortedDigests
from hashmatch.index.flat import FlatSearch
from hashmatch.index.multi import MultiIndexSearch
from hashmatch.index.plan import WORD_BYTES, Plan, probing
from hashmatch.index.strategy import DigestSearch, HammingSearch, RowFilter, RowHits
from hashmatch.index.tables import build_tables
from tests.oracle import search as naive


def through_tables(codes: Bytes) -> HammingSearch:
    """Make the strategy of large columns probe small ones too; widths that it does not take are scanned."""
    if codes.shape[1] % WORD_BYTES:
        return FlatSearch(codes)
    return MultiIndexSearch(codes, build_tables(codes), choose=always_probe)


def always_probe(bits: int, key_bits: int, rows: int, radius: int) -> Plan | None:
    del rows
    return probing(bits, key_bits, radius, budget=1 << 60)


HAMMING: dict[str, Callable[[Bytes], HammingSearch]] = {"flat": FlatSearch, "tables": through_tables}
DIGEST: dict[str, tuple[KeysOf | None, Callable[[Bytes], DigestSearch]]] = {
    "sorted": (leading_keys, lambda codes: SortedDigests(codes, leading_keys(codes))),
    "scanned": (None, lambda codes: ScannedDigests(codes, leading_keys(codes))),
    "sorted, opaque": (whole_keys, lambda codes: SortedDigests(codes, whole_keys(codes), whole_keys)),
    "scanned, opaque": (None, lambda codes: ScannedDigests(codes, whole_keys(codes), whole_keys)),
}
"""The order that the rows must have, and how to make one."""

WIDTHS_BYTES = (1, 2, 5, 8, 16, 20, 32, 33, 144)
"""8 bits to 1,152; 64 and 256 are in use, the odd ones reach every tail of a vectorised loop."""

ROWS = 5_000
"""More than any column of this suite has."""

every_hamming = pytest.mark.parametrize("make", HAMMING.values(), ids=HAMMING)
every_digest = pytest.mark.parametrize(("order", "make"), DIGEST.values(), ids=DIGEST)
every_width = pytest.mark.parametrize("size_bytes", WIDTHS_BYTES)


def triples(hits: RowHits) -> set[tuple[int, int, int]]:
    found = list(zip(hits.query.tolist(), hits.row.tolist(), hits.distance.tolist(), strict=True))
    assert len(set(found)) == len(found)
    return set(found)


def all_count(rows: int) -> RowFilter:
    nothing = np.empty(0, dtype=np.uint32)
    return RowFilter(
        np.arange(rows, dtype=np.uint32), np.zeros(rows, dtype=np.uint32), nothing, nothing.astype(np.uint8)
    )


def everything(search: HammingSearch, queries: Bytes, max_distance: int) -> RowHits:
    return search.range(queries, max_distance, all_count(ROWS), ROWS)


def all_equal(search: DigestSearch, queries: Bytes) -> RowHits:
    return search.equal(queries, all_count(ROWS), ROWS)


def values(codes: Bytes) -> list[bytes]:
    return [row.tobytes() for row in codes]


def flipped(code: Bytes, bits: int, rng: np.random.Generator) -> Bytes:
    """``code`` with exactly so many bits changed."""
    chosen = np.unpackbits(code)
    chosen[rng.choice(len(chosen), bits, replace=False)] ^= 1
    return np.packbits(chosen)


def planted(size_bytes: int, seed: int = 7) -> tuple[Bytes, Bytes]:
    """Make queries, and a column with neighbours of the first query at every distance, duplicates and random rows."""
    rng = np.random.default_rng(seed)
    queries = rng.integers(0, 256, (5, size_bytes), dtype=np.uint8)
    step = max(1, size_bytes // 8)
    near = [flipped(queries[0], bits, rng) for bits in range(0, 8 * size_bytes + 1, step)]
    column = np.concatenate([near, rng.integers(0, 256, (90, size_bytes), dtype=np.uint8), [near[1]] * 3, queries[:2]])
    return queries, column[rng.permutation(len(column))]


@every_hamming
@every_width
def test_range_finds_exactly_what_the_twin_finds(make: Callable[[Bytes], HammingSearch], size_bytes: int) -> None:
    queries, column = planted(size_bytes)
    bits = 8 * size_bytes
    for max_distance in {0, 1, bits // 8, bits // 8 + 1, bits // 2, bits - 1, bits, bits + 1}:
        found = triples(everything(make(column), queries, max_distance))
        assert found == naive.within(values(queries), values(column), max_distance), max_distance


@every_hamming
@pytest.mark.parametrize("size_bytes", [1, 8, 32])
def test_every_radius_from_0_to_all_bits(make: Callable[[Bytes], HammingSearch], size_bytes: int) -> None:
    queries, column = planted(size_bytes)
    whole = naive.within(values(queries), values(column), 8 * size_bytes)
    for max_distance in range(8 * size_bytes + 1):
        found = triples(everything(make(column), queries, max_distance))
        assert found == {hit for hit in whole if hit[2] <= max_distance}, max_distance


@every_hamming
@every_width
def test_nearest_finds_exactly_what_the_twin_finds(make: Callable[[Bytes], HammingSearch], size_bytes: int) -> None:
    queries, column = planted(size_bytes)
    for k in (1, 2, 7, 100, len(column), len(column) + 50):
        assert triples(make(column).nearest(queries, k)) == naive.nearest(values(queries), values(column), k), k


@every_hamming
def test_the_radius_is_inclusive(make: Callable[[Bytes], HammingSearch]) -> None:
    """FAISS's own range is strict; handing the distance through would lose everything at the threshold."""
    rng = np.random.default_rng(1)
    query = rng.integers(0, 256, (1, 32), dtype=np.uint8)
    column = np.stack([flipped(query[0], bits, rng) for bits in (31, 32)])
    assert triples(everything(make(column), query, 31)) == {(0, 0, 31)}
    assert triples(everything(make(column), query, 32)) == {(0, 0, 31), (0, 1, 32)}


@every_hamming
def test_a_negative_distance_means_never(make: Callable[[Bytes], HammingSearch]) -> None:
    column = np.zeros((3, 32), dtype=np.uint8)
    assert len(everything(make(column), column, -1)) == 0


@every_hamming
@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4, 8, 63, 64, 65, 128, 1024])
def test_identical_codes_are_all_found(make: Callable[[Bytes], HammingSearch], rows: int) -> None:
    """A widely used index loses every hit when 1, 2, 4, … equal codes are saved and loaded."""
    query = np.random.default_rng(rows).integers(0, 256, (1, 32), dtype=np.uint8)
    column = np.repeat(query, rows, axis=0)
    expected = {(0, row, 0) for row in range(rows)}
    for max_distance in (0, 31, 256):
        assert triples(everything(make(column), query, max_distance)) == expected
    assert triples(make(column).nearest(query, 2000)) == expected


@every_hamming
def test_no_queries_find_nothing(make: Callable[[Bytes], HammingSearch]) -> None:
    column, none = np.zeros((4, 32), dtype=np.uint8), np.zeros((0, 32), dtype=np.uint8)
    assert len(everything(make(column), none, 256)) == 0
    assert len(make(column).nearest(none, 3)) == 0
    assert len(make(column).nearest(column, 0)) == 0


@every_hamming
def test_a_mapped_column_is_searched_in_place(make: Callable[[Bytes], HammingSearch], tmp_path: Path) -> None:
    queries, column = planted(32)
    path = tmp_path / "column"
    path.write_bytes(b"x" * 64 + column.tobytes())
    mapped = np.memmap(path, dtype=np.uint8, mode="r", offset=64, shape=column.shape)
    queries.flags.writeable = False
    search = make(mapped)
    assert triples(everything(search, queries, 31)) == naive.within(values(queries), values(column), 31)
    assert triples(search.nearest(queries, 5)) == naive.nearest(values(queries), values(column), 5)


@every_hamming
def test_queries_need_not_be_contiguous(make: Callable[[Bytes], HammingSearch]) -> None:
    queries, column = planted(32)
    strided = np.repeat(queries, 2, axis=0)[::2]
    assert not strided.flags.c_contiguous
    assert triples(everything(make(column), strided, 40)) == naive.within(values(queries), values(column), 40)
    assert triples(make(column).nearest(strided, 4)) == naive.nearest(values(queries), values(column), 4)


def test_faiss_takes_one_thread_per_call_whatever_thread_calls() -> None:
    """OpenMP's thread count belongs to the calling thread: setting it once at import would not reach this one."""
    queries, column = planted(32)
    counts = []

    def search() -> None:
        faiss.omp_set_num_threads(2)
        everything(FlatSearch(column), queries, 31)
        counts.append(faiss.omp_get_max_threads())
        faiss.omp_set_num_threads(2)
        FlatSearch(column).nearest(queries, 3)
        counts.append(faiss.omp_get_max_threads())

    caller = threading.Thread(target=search)
    caller.start()
    caller.join()
    assert counts == [1, 1]


@every_hamming
@given(
    column=st.lists(st.binary(min_size=2, max_size=2), max_size=40),
    queries=st.lists(st.binary(min_size=2, max_size=2), max_size=5),
    max_distance=st.integers(-1, 17),
    k=st.integers(0, 50),
)
def test_anything_small(
    make: Callable[[Bytes], HammingSearch], column: list[bytes], queries: list[bytes], max_distance: int, k: int
) -> None:
    codes = np.frombuffer(b"".join(column), dtype=np.uint8).reshape(-1, 2)
    asked = np.frombuffer(b"".join(queries), dtype=np.uint8).reshape(-1, 2)
    search = make(codes)
    assert triples(everything(search, asked, max_distance)) == naive.within(queries, column, max_distance)
    assert triples(search.nearest(asked, k)) == naive.nearest(queries, column, k)


# --- digests -----------------------------------------------------------------------------------------------------


def digests(column: list[bytes], order: KeysOf | None) -> Bytes:
    codes = np.frombuffer(b"".join(column), dtype=np.uint8).reshape(len(column), -1)
    return codes if order is None else codes[np.argsort(order(codes), kind="stable")]


@every_digest
@pytest.mark.parametrize("size_bytes", [4, 8, 16, 20, 32, 144])
def test_digests_are_found_by_equality(
    make: Callable[[Bytes], DigestSearch], order: KeysOf | None, size_bytes: int
) -> None:
    rng = np.random.default_rng(size_bytes)
    column = [rng.bytes(size_bytes) for _ in range(200)]
    column += [column[0]] * 4 + [bytes(size_bytes), b"\xff" * size_bytes]
    one_bit_off = bytes([column[1][0] ^ 1]) + column[1][1:]
    last_bit_off = column[2][:-1] + bytes([column[2][-1] ^ 1])
    queries = [column[0], one_bit_off, last_bit_off, column[3], bytes(size_bytes), b"\xff" * size_bytes]
    codes = digests(column, order)
    asked = np.frombuffer(b"".join(queries), dtype=np.uint8).reshape(-1, size_bytes)
    found = triples(all_equal(make(codes), asked))
    assert found == naive.within(queries, values(codes), 0)
    assert {query for query, _, _ in found} == {0, 3, 4, 5}


@every_digest
def test_equal_leading_bytes_are_only_candidates(make: Callable[[Bytes], DigestSearch], order: KeysOf | None) -> None:
    column = [b"same8byt" + bytes([tail]) * 8 for tail in range(50)]
    codes = digests(column, order)
    asked = np.frombuffer(column[17] + b"same8byt" + b"absent!!", dtype=np.uint8).reshape(2, 16)
    found = all_equal(make(codes), asked)
    assert [(query, codes[row].tobytes()) for query, row, _ in triples(found)] == [(0, column[17])]


@every_digest
def test_no_digests_and_no_queries(make: Callable[[Bytes], DigestSearch], order: KeysOf | None) -> None:
    empty, one = np.zeros((0, 16), dtype=np.uint8), digests([b"0123456789abcdef"], order)
    assert len(all_equal(make(empty), one)) == 0
    assert len(all_equal(make(one), empty)) == 0
    assert triples(all_equal(make(one), one)) == {(0, 0, 0)}


@every_hamming
def test_rows_that_do_not_count_make_room_for_those_that_do(make: Callable[[Bytes], HammingSearch]) -> None:
    queries, column = planted(32)
    owners = np.arange(len(column), dtype=np.uint32) // 2  # two values each
    sets = (np.arange(len(column), dtype=np.uint32) % 3).astype(np.uint32)
    dead = np.array([0, 3, 4, 11, 30], dtype=np.uint32)
    nobody = np.empty(0, dtype=np.uint8)
    for allowed in (nobody, np.array([1, 0, 1], dtype=np.uint8), np.zeros(3, dtype=np.uint8)):
        rows = RowFilter(owners, sets, dead, allowed)
        counting = [
            row
            for row, owner in enumerate(owners.tolist())
            if owner not in dead and (not len(allowed) or allowed[sets[owner]])
        ]
        near = sorted(hit for hit in naive.within(values(queries), values(column), 200) if hit[1] in counting)
        for max_rows in (1, 3, 1_000):
            expected: set[tuple[int, int, int]] = set()
            for query in range(len(queries)):
                ranked = sorted((hit for hit in near if hit[0] == query), key=lambda hit: (hit[2], hit[1]))
                expected |= set(ranked[:max_rows])
            hits = make(column).range(queries, 200, rows, max_rows)
            assert triples(hits) == expected
            assert hits.cut == (len(expected) < len(near))
