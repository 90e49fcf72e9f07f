from __future__ import annotations

import random

import numpy as np
import pytest

from hashmatch.hotline.followup import near
from hashmatch.index.plan import LEAST_ROWS
from tests.oracle import links as oracle

SIZE = 32


def flipped(value: bytes, bits: list[int]) -> bytes:
    whole = int.from_bytes(value)
    for bit in bits:
        whole ^= 1 << bit
    return whole.to_bytes(len(value))


def families(rng: random.Random, count: int, radius: int) -> list[bytes]:
    """Strangers, and chains whose steps are about as long as the radius."""
    codes: list[bytes] = []
    while len(codes) < count:
        code = rng.randbytes(SIZE)
        for _ in range(rng.choice([1, 1, 2, 5])):
            codes.append(code)
            code = flipped(code, rng.sample(range(8 * SIZE), rng.choice([0, 1, radius, radius + 1])))
    rng.shuffle(codes)
    return codes[:count]


def matrix(codes: list[bytes]) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.frombuffer(b"".join(codes), dtype=np.uint8).reshape(-1, SIZE).copy()


def told(codes: list[bytes], radius: int) -> list[tuple[int, int, int]]:
    found = near.grouped(matrix(codes), radius)
    return list(zip(found.group.tolist(), found.star.tolist(), found.distance.tolist(), strict=True))


def expected(codes: list[bytes], radius: int) -> list[tuple[int, int, int]]:
    rows: dict[int, tuple[int, int, int]] = {}
    for members in oracle.components(codes, radius):
        for row, (star, bits) in oracle.stars(codes, members, radius).items():
            rows[row] = min(members), star, bits
    return [rows[row] for row in range(len(codes))]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("radius", [0, 1, 16, 31])
def test_groups_and_stars_are_those_of_the_twin(seed: int, radius: int) -> None:
    codes = families(random.Random(f"{seed} {radius}"), 60, radius)
    assert told(codes, radius) == expected(codes, radius)


def test_tables_find_what_a_scan_finds() -> None:
    codes = families(random.Random(7), LEAST_ROWS + 200, 31)
    found = near.grouped(matrix(codes), 31)
    measured = np.bitwise_count(matrix(codes).view(np.uint64)[:, None, :] ^ matrix(codes).view(np.uint64)).sum(axis=2)
    first, second = np.nonzero(measured <= 31)
    assert len(first) > len(codes) + 500
    assert np.array_equal(found.group[first], found.group[second])
    apart = found.group[:, None] != found.group[None, :]
    assert int(measured[apart].min()) > 31
    assert np.array_equal(measured[np.arange(len(codes)), found.star], found.distance)


def test_more_neighbours_than_a_search_returns_cost_no_recall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "_MOST", 4)
    monkeypatch.setattr(near, "_BLOCK", 7)
    rng = random.Random(3)
    middle = rng.randbytes(SIZE)
    codes = [middle] * 6 + [flipped(middle, rng.sample(range(256), 31)) for _ in range(40)]
    assert told(codes, 31) == expected(codes, 31)
    assert {row[0] for row in told(codes, 31)} == {0}


def test_a_chain_is_one_group_and_several_stars() -> None:
    start = bytes(SIZE)
    chain = [flipped(start, list(range(bits))) for bits in (0, 31, 62, 93)]
    assert told(chain, 31) == [(0, 0, 0), (0, 0, 31), (0, 2, 0), (0, 2, 31)]
    assert told(chain, 30) == [(0, 0, 0), (1, 1, 0), (2, 2, 0), (3, 3, 0)]


def test_a_row_belongs_to_the_nearest_representative() -> None:
    start = bytes(SIZE)
    codes = [start, flipped(start, list(range(40))), flipped(start, list(range(25)))]
    assert told(codes, 31) == [(0, 0, 0), (0, 1, 0), (0, 1, 15)]


@pytest.mark.parametrize("count", [0, 1])
def test_few_rows_need_no_search(count: int) -> None:
    assert told([bytes(SIZE)] * count, 31) == [(0, 0, 0)] * count
