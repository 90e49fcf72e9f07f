"""Each vector function in a kernel against the same function in NumPy, bit for bit."""

from __future__ import annotations

import numpy as np

from hashmatch.kernels import views_lanes as lanes
from hashmatch.kernels._jit import float32, int64, kernel, readonly, uint16, void, writable

Floats = lanes.Floats


@kernel(
    *(void, readonly(float32, 2), readonly(int64), readonly(float32, 2), readonly(int64), writable(float32, 2)),
)
def turned(weights: Floats, firsts: lanes.Longs, rows: Floats, place: lanes.Longs, out: Floats) -> None:
    lanes.weigh_turned(weights, firsts, place[0], rows, place[1], out)


@kernel(void, readonly(float32, 2), int64, readonly(float32, 2), writable(float32, 2))
def wide(weights: Floats, at: int, rows: Floats, out: Floats) -> None:
    lanes.weigh_wide(weights, at, rows, out)


@kernel(void, readonly(float32, 2), readonly(float32, 2), writable(float32, 2))
def tall(weights: Floats, rows: Floats, out: Floats) -> None:
    lanes.weigh_tall(weights, rows, out)


@kernel(void, readonly(uint16), int64, writable(float32))
def luma(sums: lanes.Shorts, at: int, line: Floats) -> None:
    lanes.luma_lanes(sums, at, line)


@kernel(void, readonly(float32), int64, float32, writable(float32))
def fold(line: Floats, at: int, share: np.float32, means: Floats) -> None:
    lanes.fold_lanes(line, at, share, means)


RNG = np.random.default_rng(7)


def floats(*shape: int) -> Floats:
    return RNG.normal(0, 100, shape).astype(np.float32)


def test_sums_of_products_are_the_same_bits_in_their_places() -> None:
    weights, rows, firsts = floats(5, 64), floats(40, 50), RNG.integers(0, 36, 64)
    found, expected = np.zeros((2, 50, 64), np.float32)
    for at, column in ((0, 0), (16, 7), (48, 34)):
        turned(weights, firsts, rows, np.array([at, column]), found)
        lanes.weigh_turned(weights, firsts, at, rows, column, expected)
    assert np.array_equal(found, expected)
    assert np.count_nonzero(found) == 3 * 16 * 16
    one = sum(weights[n, 20] * rows[firsts[20] + n, 9] for n in range(5))
    assert np.isclose(found[9, 20], one, rtol=1e-5)


def test_products_of_matrices_are_the_same_bits() -> None:
    weights, rows = floats(16, 64), floats(64, 64)
    found, expected = np.zeros((2, 16, 64), np.float32)
    for at in (0, 4, 12):
        wide(weights, at, rows, found)
        lanes.weigh_wide(weights, at, rows, expected)
    assert np.array_equal(found, expected)
    assert np.allclose(found[:8], weights[:8] @ rows, rtol=1e-3, atol=0.5)
    assert not found[8:12].any()
    block, other = np.zeros((2, 16, 16), np.float32)
    columns = np.ascontiguousarray(rows[:, :16])
    tall(weights, columns, block)
    lanes.weigh_tall(weights, columns, other)
    assert np.array_equal(block, other)
    assert np.allclose(block, weights @ columns, rtol=1e-3, atol=0.5)


def test_luma_and_means_of_pairs_are_the_same_bits() -> None:
    sums = RNG.integers(0, 65_281, 3 * 40).astype(np.uint16)
    line, expected = np.zeros((2, 40), np.float32)
    for at in (0, 24):
        luma(sums, at, line)
        lanes.luma_lanes(sums, at, expected)
    assert np.array_equal(line, expected)
    assert line[24] == np.float32(0.299) * sums[72] + np.float32(0.587) * sums[73] + np.float32(0.114) * sums[74]
    assert not line[16:24].any()
    values, share = floats(80), np.float32(0.3)
    means, expected = np.zeros((2, 40), np.float32)
    for at in (0, 24):
        fold(values, at, share, means)
        lanes.fold_lanes(values, at, share, expected)
    assert np.array_equal(means, expected)
    assert means[39] == share * values[78] + share * values[79]
