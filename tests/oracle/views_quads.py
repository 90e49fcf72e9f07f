"""Slow and obvious twins of the search for what lies askew in a picture (``kernels.views_quads``, ``views_askew``).

Positions are floats, sums are Python's, every line and every quadrilateral is tried. The constants are the kernel's:
they are choices, not results.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from hashmatch.kernels import views_quads as kernel

Array = npt.NDArray[np.float64]
Line = Sequence[float]
Shape = tuple[int, int]


def round_half_up(value: float) -> int:
    """Round as the kernel does."""
    return math.floor(value + 0.5)


def step(luma: npt.NDArray[np.float32], y: int, x: int) -> float:
    """Signed step of luma across a pixel, limited; nothing at the picture's ends and beyond."""
    if not 1 <= x < luma.shape[1] - 1:
        return 0.0
    return min(max(float(luma[y, x + 1]) - float(luma[y, x - 1]), -kernel.STEP_LIMIT), kernel.STEP_LIMIT)


def band(luma: npt.NDArray[np.float32], shear: int, number: int, x: int) -> float:
    """Mean step in a band along a shear (from ``-SHEARS``) that passes its middle at column ``x``."""
    height = luma.shape[0]
    top, bottom = (at * height // kernel.BANDS for at in (number, number + 1))
    middle = (top + bottom) / 2
    steps = [step(luma, y, x + round_half_up(shear * (y + 0.5 - middle) / kernel.SHEAR_PX)) for y in range(top, bottom)]
    return sum(steps) / len(steps)


def along(luma: npt.NDArray[np.float32], tilt_px: int, x: int) -> list[float]:
    """Mean step in every band of the line through ``x`` in the middle row that moves ``tilt_px`` from top to bottom."""
    shear = round_half_up(tilt_px * kernel.SHEAR_PX / luma.shape[0])
    places = ((number + 0.5) / kernel.BANDS - 0.5 for number in range(kernel.BANDS))
    return [band(luma, shear, at, x + round_half_up(tilt_px * place)) for at, place in enumerate(places)]


def strength(values: Sequence[float], sign: int) -> float:
    """Largest sum of neighbouring bands, each less what a band must at least have."""
    ends = itertools.combinations(range(len(values) + 1), 2)
    return max(0.0, *(sum(sign * value - kernel.LEAST_STEP for value in values[a:b]) for a, b in ends))


def tilts(height: int) -> range:
    """Every tilt that is tried, in pixels."""
    most = int(kernel.TILT * height) // kernel.TILT_STEP_PX * kernel.TILT_STEP_PX
    return range(-most, most + 1, kernel.TILT_STEP_PX)


def crossing(upright: Line, level: Line, shape: Shape) -> tuple[float, float]:
    """Where two lines cross: the solution of two equations."""
    height, width = shape
    rows = np.array([[1, -upright[1]], [-level[1], 1]], dtype=float)
    wanted = np.array([upright[0] - upright[1] * height / 2, level[0] - level[1] * width / 2], dtype=float)
    x, y = np.linalg.solve(rows, wanted)
    return float(x), float(y)


def support(luma: npt.NDArray[np.float32], line: Line, begin: float, end: float) -> float:
    """Mean step across a stretch of a nearly upright line."""
    height = luma.shape[0]
    first, last = (round_half_up(at * kernel.BANDS / height) for at in (begin, end))
    shear = round_half_up(line[1] * kernel.SHEAR_PX)
    numbers = range(max(first, 0), min(last, kernel.BANDS))
    places = {number: (number + 0.5) * height / kernel.BANDS - height / 2 for number in numbers}
    values = [band(luma, shear, number, math.floor(line[0] + line[1] * place)) for number, place in places.items()]
    return line[2] * sum(values) / max(len(values), 1)


def outline(luma: npt.NDArray[np.float32], four: Sequence[Line]) -> list[float]:
    """Support of the left, top, right and bottom line between the corners where they meet."""
    left, top, right, bottom = four
    turned = np.ascontiguousarray(luma.T)
    ends = [[crossing(side, level, luma.shape)[1] for level in (top, bottom)] for side in (left, right)]
    sides = [[crossing(side, level, luma.shape)[0] for side in (left, right)] for level in (top, bottom)]
    return [
        support(luma, left, *ends[0]),
        support(turned, top, *sides[0]),
        support(luma, right, *ends[1]),
        support(turned, bottom, *sides[1]),
    ]


def quads(
    luma: npt.NDArray[np.float32], upright: Sequence[Line], level: Sequence[Line], sign: int
) -> Iterator[tuple[float, tuple[int, int, int, int]]]:
    """Yield strength and lines of every quadrilateral whose left and top side have this sign, the others the other."""
    height, width = luma.shape
    for (a, left), (b, right) in itertools.permutations(enumerate(upright), 2):
        if (left[2], right[2]) != (sign, -sign) or right[0] - left[0] < kernel.LEAST_SHARE * width:
            continue
        for (c, top), (d, bottom) in itertools.permutations(enumerate(level), 2):
            if (top[2], bottom[2]) == (sign, -sign) and bottom[0] - top[0] >= kernel.LEAST_SHARE * height:
                sides = outline(luma, (left, top, right, bottom))
                yield sum(sides) + min(sides), (a, c, b, d)


def projected(luma: npt.NDArray[np.float32], corners: npt.NDArray[np.float32]) -> Array:
    """64 x 64 bilinear samples of a quadrilateral, by solving for the map; pixel centres lie at halves."""
    square = ((0, 0), (64, 0), (64, 64), (0, 64))
    rows, wanted = [], []
    for (u, v), (x, y) in zip(square, corners.tolist(), strict=True):
        rows += [[u, v, 1, 0, 0, 0, -u * x, -v * x], [0, 0, 0, u, v, 1, -u * y, -v * y]]
        wanted += [x, y]
    p = np.append(np.linalg.solve(np.array(rows, dtype=float), np.array(wanted)), 1).reshape(3, 3)
    grid = np.empty((64, 64))
    for i, j in itertools.product(range(64), repeat=2):
        x, y, near = p @ (j + 0.5, i + 0.5, 1)
        grid[i, j] = bilinear(luma, x / near - 0.5, y / near - 0.5)
    return grid


def bilinear(luma: npt.NDArray[np.float32], x: float, y: float) -> float:
    """Value between four pixels."""
    height, width = luma.shape
    x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
    left, top = min(int(x), width - 2), min(int(y), height - 2)
    weights = np.outer((1 - (y - top), y - top), (1 - (x - left), x - left))
    return float((weights * luma[top : top + 2, left : left + 2]).sum())
