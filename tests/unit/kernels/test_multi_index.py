"""Multi-index kernels: exact against comparing everything, on easy lists and on lists made to break them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from hashmatch.index.multi import Call
from hashmatch.index.plan import Plan, probing
from hashmatch.index.tables import Tables, build_tables, scatter_table
from hashmatch.kernels import chunks, multi_index
from hashmatch.kernels._block import Block
from tests.oracle.tables import number

Codes = npt.NDArray[np.uint8]
NOTHING = np.empty(0, dtype=np.uint32)


def random_codes(rng: np.random.Generator, rows: int, bits: int) -> Codes:
    return rng.integers(0, 256, (rows, bits // 8), dtype=np.uint8)


def near(rng: np.random.Generator, code: Codes, apart: int) -> Codes:
    bits = np.unpackbits(code)
    bits[rng.choice(len(bits), apart, replace=False)] ^= 1
    return np.packbits(bits)


def naive(codes: Codes, query: Codes, radius: int) -> list[tuple[int, int]]:
    apart = np.bitwise_count(codes ^ query).sum(axis=1, dtype=np.int64)
    return sorted((int(apart[row]), int(row)) for row in np.flatnonzero(apart <= radius))


def plan_for(bits: int, key_bits: int, radius: int, budget: int) -> Plan:
    made = probing(bits, key_bits, radius, budget=budget)
    assert made is not None
    return made


def search(
    codes: Codes, tables: Tables, queries: Codes, plan: Plan, max_hits: int = 100_000
) -> list[tuple[list[tuple[int, int]], bool]]:
    max_rows = min(max_hits, len(codes))
    call = Call(codes.view(np.uint64), tables, plan, capacity=len(queries) + 1, max_rows=max_rows)
    counting = Block(multi_index.COUNTING, owners=NOTHING, sets=NOTHING, dead=NOTHING, allowed=NOTHING.view(np.uint8))
    total = multi_index.search(queries, call.words, counting.words)
    query, row, distance = call.room["found"][:, :total].tolist()
    cut = call.room["cut"]
    assert call.room["spent"][-1] == cut[: len(queries)].any()
    return [
        ([(d, r) for q, r, d in zip(query, row, distance, strict=True) if q == number], bool(cut[number]))
        for number in range(len(queries))
    ]


def queries_beside(rng: np.random.Generator, codes: Codes) -> Codes:
    beside = [near(rng, codes[rng.integers(len(codes))], int(apart)) for apart in (0, 1, 7, 15, 16, 31, 32, 45, 60)]
    return np.stack([*beside, *random_codes(rng, 3, 8 * codes.shape[1])])


UNLIMITED = 1 << 60
RADII = (0, 1, 2, 3, 7, 14, 15, 16, 17, 20, 31, 32, 40, 45, 60)


@pytest.mark.parametrize("budget", [UNLIMITED, 0], ids=["through tables", "scanned"])
@pytest.mark.parametrize(("bits", "rows"), [(256, 1), (256, 33), (256, 3_000), (512, 2_000), (64, 3_000)])
def test_every_row_within_reach_and_no_other(bits: int, rows: int, budget: int) -> None:
    rng = np.random.default_rng(bits + rows)
    codes = random_codes(rng, rows, bits)
    for row in range(rows // 2, rows):  # half of the list lies around its first entry, at every distance
        codes[row] = near(rng, codes[0], int(rng.integers(0, bits // 4)))
    tables = build_tables(codes)
    queries = queries_beside(rng, codes)
    for radius in RADII if bits > 64 else (0, 1, 2, 3, 4, 7, 12):
        answers = search(codes, tables, queries, plan_for(bits, tables.key_bits, radius, budget))
        for query, (hits, cut) in zip(queries, answers, strict=True):
            assert hits == naive(codes, query, radius)
            assert not cut


@pytest.mark.parametrize("budget", [UNLIMITED, 0], ids=["through tables", "scanned"])
def test_only_the_nearest_are_kept_and_ties_go_to_the_lower_row(budget: int) -> None:
    rng = np.random.default_rng(7)
    centre = random_codes(rng, 1, 256)[0]
    codes = np.stack([near(rng, centre, int(apart)) for apart in rng.integers(0, 20, 2_500)])
    tables = build_tables(codes)
    for max_hits in (1, 10, 2_499, 2_500, 2_501):
        ((hits, cut),) = search(
            codes, tables, centre[None], plan_for(256, tables.key_bits, 31, budget), max_hits=max_hits
        )
        assert hits == naive(codes, centre, 31)[:max_hits]
        assert cut == (max_hits < 2_500)


def shares_all_chunks_but_one(rng: np.random.Generator, rows: int) -> Codes:
    order = chunks.permutation(256)
    bits = np.tile(np.unpackbits(random_codes(rng, 1, 256)[0], bitorder="little"), (rows, 1))
    bits[:, order[: chunks.CHUNK_BITS]] = rng.integers(0, 2, (rows, chunks.CHUNK_BITS))
    return np.packbits(bits, axis=1, bitorder="little")


@pytest.mark.parametrize("budget", [UNLIMITED, 1_000_000, 0])
@pytest.mark.parametrize("kind", ["identical", "all zero", "15 of 16 chunks shared", "one ball"])
def test_lists_made_to_be_slow_are_answered_exactly(kind: str, budget: int) -> None:
    rng = np.random.default_rng(3)
    rows = 4_096
    codes = {
        "identical": np.repeat(random_codes(rng, 1, 256), rows, axis=0),
        "all zero": np.zeros((rows, 32), dtype=np.uint8),
        "15 of 16 chunks shared": shares_all_chunks_but_one(rng, rows),
        "one ball": np.stack([near(rng, np.zeros(32, dtype=np.uint8), int(a)) for a in rng.integers(0, 16, rows)]),
    }[kind]
    tables = build_tables(codes)
    queries = np.stack([codes[0], near(rng, codes[1], 20), random_codes(rng, 1, 256)[0]])
    answers = search(codes, tables, queries, plan_for(256, tables.key_bits, 31, budget))
    for query, (hits, _) in zip(queries, answers, strict=True):
        assert hits == naive(codes, query, 31)


@pytest.mark.parametrize("rows", [1, 2, 3, 31, 32, 33, 127, 128, 129, 1_023, 1_024, 1_025])
def test_no_number_of_equal_entries_is_lost(rows: int) -> None:
    codes = np.repeat(random_codes(np.random.default_rng(rows), 1, 256), rows, axis=0)
    tables = build_tables(codes)
    ((hits, _),) = search(codes, tables, codes[:1], plan_for(256, tables.key_bits, 31, UNLIMITED))
    assert hits == [(0, row) for row in range(rows)]


def test_a_batch_answers_like_its_queries_one_by_one() -> None:
    rng = np.random.default_rng(11)
    codes = random_codes(rng, 20_000, 256)
    tables = build_tables(codes)
    queries = np.concatenate([queries_beside(rng, codes) for _ in range(10)])
    plan = plan_for(256, tables.key_bits, 31, UNLIMITED)
    together = search(codes, tables, queries, plan)
    assert together == [search(codes, tables, query[None], plan)[0] for query in queries]


@pytest.mark.parametrize("bits", [64, 128, 256, 512, 1_152])
def test_the_permutation_moves_every_bit_to_its_own_place(bits: int) -> None:
    order = chunks.permutation(bits)
    assert sorted(order.tolist()) == list(range(bits))
    codes = random_codes(np.random.default_rng(bits), 5, bits)
    table = scatter_table(bits)
    permuted = np.bitwise_or.reduce([table[byte, codes[:, byte]] for byte in range(bits // 8)])
    expected = np.unpackbits(codes, axis=1, bitorder="little")[:, order]
    assert np.array_equal(np.unpackbits(permuted.view(np.uint8), axis=1, bitorder="little"), expected)


@pytest.mark.parametrize("key_bits", [1, 8, 15, 16])
@pytest.mark.parametrize("bits", [64, 256, 512])
def test_queries_are_cut_like_the_rows_of_the_tables(bits: int, key_bits: int) -> None:
    codes = random_codes(np.random.default_rng(bits + key_bits), 7, bits)
    shapes = ((bits // 16, 2**key_bits + 1), (bits // 16, 7 + chunks.PAD))
    tables = Tables(np.zeros(shapes[0], np.uint32), np.zeros(shapes[1], np.uint16), np.zeros(shapes[1], np.uint32))
    call = Call(codes.view(np.uint64), tables, plan_for(bits, key_bits, 0, 0), capacity=9, max_rows=1)
    multi_index.prepare(codes, call.words)
    assert np.array_equal(call.room["asked"][:7], codes.view(np.uint64))
    endless = np.tile(np.unpackbits(codes, axis=1, bitorder="little")[:, chunks.permutation(bits)], 2)
    for chunk in range(bits // 16):
        start = 16 * chunk
        assert np.array_equal(call.room["keys"][:7, chunk], number(endless[:, start : start + key_bits]))
        assert np.array_equal(
            call.room["halves"][:7, chunk], number(endless[:, start + key_bits : start + key_bits + 16])
        )


def test_chunks_of_a_row_of_pdq_bits_come_from_all_over() -> None:
    order = chunks.permutation(256).reshape(16, 16)
    assert min(len({bit // 16 for bit in chunk}) for chunk in order) >= 12
    assert min(len({bit % 16 for bit in chunk}) for chunk in order) == 16
