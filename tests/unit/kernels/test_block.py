"""Blocks of addresses: what a kernel reads is what was written down, and nothing else gets in."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hashmatch.kernels._block import BLOCK, Block, Layout, reader
from hashmatch.kernels._jit import int64, kernel, readonly, uint8, uint16, uint32, uint64, writable

LAYOUT: Layout = {
    "line": readonly(uint16),
    "table": readonly(uint32, 2),
    "cube": readonly(uint8, 3),
    "total": writable(uint64),
}
_line, _table, _cube, _total = (reader(LAYOUT, name) for name in LAYOUT)


@kernel(int64, BLOCK, counted=False)
def add_up(block: npt.NDArray[np.uint64]) -> int:
    """Sum of everything, weighted by place; also written to ``total``."""
    line, table, cube, total = _line(block), _table(block), _cube(block), _total(block)
    for i in range(line.shape[0]):
        total[0] += line[i] * (i + 1)
    for i in range(table.shape[0]):
        for j in range(table.shape[1]):
            total[0] += table[i, j] * (10 * i + j)
    for i in range(cube.shape[0]):
        for j in range(cube.shape[1]):
            for k in range(cube.shape[2]):
                total[0] += cube[i, j, k] * (100 * i + 10 * j + k)
    return int(total[0])


def arrays() -> dict[str, npt.NDArray[Any]]:
    rng = np.random.default_rng(5)
    return {
        "line": rng.integers(0, 9, 7, dtype=np.uint16),
        "table": rng.integers(0, 9, (3, 5), dtype=np.uint32),
        "cube": rng.integers(0, 9, (2, 3, 4), dtype=np.uint8),
        "total": np.zeros(1, dtype=np.uint64),
    }


def test_a_kernel_reads_and_writes_the_arrays_where_they_lie() -> None:
    given = arrays()
    given["table"].flags.writeable = False
    expected = (
        (given["line"] * np.arange(1, 8)).sum()
        + (given["table"] * (10 * np.arange(3)[:, None] + np.arange(5))).sum()
        + (given["cube"] * (100 * np.arange(2)[:, None, None] + 10 * np.arange(3)[:, None] + np.arange(4))).sum()
    )
    assert add_up(Block(LAYOUT, **given).words) == expected == given["total"][0]


def test_a_block_keeps_its_arrays_alive() -> None:
    block = Block(LAYOUT, **arrays())
    first = add_up(block.words)
    assert add_up(block.words) == 2 * first
    assert repr(block) == "<Block of line, table, cube, total>"


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("line", np.zeros(7, np.int16), "line is readonly array(uint16, 1d, C), got int16 (7,)"),
        ("table", np.zeros(7, np.uint32), "table is readonly array(uint32, 2d, C), got uint32 (7,)"),
        ("table", np.zeros((4, 4), np.uint32).T[1:], "got uint32 (3, 4)"),
    ],
)
def test_an_array_of_another_kind_is_refused(name: str, wrong: npt.NDArray[Any], message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        Block(LAYOUT, **(arrays() | {name: wrong}))


def test_a_missing_array_is_refused() -> None:
    given = arrays()
    del given["cube"]
    with pytest.raises(TypeError, match="expected line, table, cube, total, got line, table, total"):
        Block(LAYOUT, **given)
