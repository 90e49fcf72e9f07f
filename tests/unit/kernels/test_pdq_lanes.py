"""Every vector function equals its twin in NumPy, bit for bit: the one is what the other does without a compiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest

from hashmatch.kernels import _pdq_lanes as lanes
from hashmatch.kernels import _vectors as vectors


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a kernel that calls the function with its own arguments."""
    count = function.__code__.co_argcount
    names = ", ".join(function.__code__.co_varnames[:count])
    namespace: dict[str, Any] = {"function": function}
    exec(f"def call({names}): return function({names})", namespace)  # noqa: S102  (Numba wants named arguments)
    call: Callable[..., Any] = numba.njit(error_model="numpy")(namespace["call"])
    return call


def floats(seed: int, *shape: int) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_dots_are_sixteen_dots() -> None:
    values, weights, starts = floats(1, 300), floats(2, 48), np.arange(0, 250, 7)[:32].astype(np.int64)
    fast, slow = np.zeros(32, np.float32), np.zeros(32, np.float32)
    compiled(vectors.dots)(values, starts, 16, weights, fast)
    vectors.dots(values, starts, 16, weights, slow)
    assert slow[16:].any()
    assert np.array_equal(fast, slow)


def test_wide_sums_are_in_the_order_of_rows() -> None:
    weights, rows = floats(3, 64), floats(4, 64, 64)
    fast, slow, narrow = (np.zeros(64, np.float32) for _ in range(3))
    compiled(vectors.weigh_wide)(weights, rows, fast)
    vectors.weigh_wide(weights, rows, slow)
    for column in range(0, 64, 16):
        compiled(vectors.weigh)(weights, rows, column, narrow)
    assert np.array_equal(fast, slow)
    assert np.array_equal(fast, narrow)


@pytest.mark.parametrize(("window", "step"), [(1, 1), (4, 7), (16, 31), (17, 15), (128, 2)])
def test_bytes_are_weighed_without_rounding_up_to_white(window: int, step: int) -> None:
    weights = np.minimum(np.arange(1, 2 * window), np.arange(2 * window - 1, 0, -1)).astype(np.uint16)
    random = np.random.default_rng(window)
    for rows in (random.integers(0, 256, (260, 131), dtype=np.uint8), np.full((260, 131), 255, np.uint8)):
        fast = np.full(131, -1, np.float32)
        compiled(lanes.weigh_bytes)(weights, step, rows, 3, 67, fast)
        whole = weights.astype(np.int64) @ rows[3 : 3 + len(weights), 67:].astype(np.int64)
        assert fast[:67].tolist() == [-1.0] * 67
        assert fast[67:].tolist() == whole.tolist()


def test_a_block_is_turned_and_nothing_else_is_written() -> None:
    values, out = floats(5, 16, 40), np.zeros((50, 32), np.float32)
    compiled(lanes.transpose)(values, 11, out, 9, 16)
    assert np.array_equal(out[9:25, 16:], values[:, 11:27].T)
    assert np.count_nonzero(out) == 256


def test_running_sums_round_after_each_addition_and_each_subtraction() -> None:
    strip, fast_sums = 1e4 * floats(6, 40, 16), floats(7, 16)
    slow_sums = fast_sums.copy()
    fast, slow = np.zeros((30, 16), np.float32), np.zeros((30, 16), np.float32)
    compiled(lanes.advance)(strip, 3, 30, 7, fast_sums, fast)
    lanes.advance(strip, 3, 30, 7, slow_sums, slow)
    assert np.array_equal(fast, slow)
    assert np.array_equal(fast_sums, slow[-1])


def test_comparisons_count_equals_as_not_above() -> None:
    values = np.random.default_rng(8).integers(-3, 4, 256).astype(np.float32)
    for limit in (np.float32(-np.inf), np.float32(-0.0), np.float32(2), np.float32(np.inf)):
        assert compiled(lanes.at_most)(values, limit) == lanes.at_most(values, limit) == (values <= limit).sum()
        assert compiled(lanes.largest)(values, limit) == lanes.largest(values, limit)
        assert compiled(lanes.above)(values, 32, limit) == lanes.above(values, 32, limit)


@numba.njit(error_model="numpy")
def quotients(dividends: Any, divisor: Any, out: Any) -> None:
    reciprocal = np.float32(1) / divisor
    for k in range(dividends.shape[0]):
        out[k] = lanes.quotient(dividends[k], divisor, reciprocal)


def test_quotients_are_those_of_a_division() -> None:
    """Dividends with every last bit of many exponents, and those next to a multiple, by every kind of divisor."""
    random = np.random.default_rng(9)
    some = np.ldexp(random.integers(1 << 23, 1 << 24, 200_000), random.integers(-60, 10, 200_000)).astype(np.float32)
    for number in (*range(1, 130), 255, 257, 999, 1000, 1001, 4095, 65_535, 65_537, (1 << 20) - 1, 1 << 20):
        divisor = np.float32(number)
        near = (some[:20_000] * divisor).astype(np.float32)
        around = [near, np.nextafter(near, np.float32(0)), np.nextafter(near, np.float32(np.inf))]
        dividends = np.concatenate([np.zeros(1, np.float32), some, -some, *around])
        out = np.empty_like(dividends)
        quotients(dividends, divisor, out)
        assert np.array_equal(out, dividends / divisor), number


def test_every_thousandth_is_divided_as_by_a_division() -> None:
    dividends = np.arange(255_001, dtype=np.float32)
    out = np.empty_like(dividends)
    quotients(dividends, np.float32(1000), out)
    assert np.array_equal(out, dividends / np.float32(1000))
