"""Slow and obvious twins of the kernels under the views: samples, bits, edges, angles, mending.

Arithmetic is float32 with one rounding per operation, in the order that is written down here, so that the kernels must
agree bit for bit; only strengths of rectangles, which are sums over whole lines, are float64. The transform and the
eight orientations are those of ``tests.oracle.pdq``. Constants are the kernels': they are choices, not results.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hashmatch.kernels import views_edges, views_mend, views_steps, views_tilts, views_turns
from tests.oracle.pdq import Floats, Pixels, dihedral, to_hex, transform

GRID = 64
ONE, HALF = np.float32(1), np.float32(0.5)
Rect = Sequence[float]


def shrink(pixels: Pixels, factor_x: int, factor_y: int) -> Floats:
    """Mean luma of whole blocks of pixels; what is left over at the right and at the bottom is not looked at."""
    rows, columns = pixels.shape[0] // factor_y, pixels.shape[1] // factor_x
    out = np.empty((rows, columns), np.float32)
    share = ONE / np.float32(factor_x * factor_y)
    for i in range(rows):
        block = pixels[i * factor_y : (i + 1) * factor_y, : columns * factor_x]
        red, green, blue = (block[:, :, channel].sum(axis=0).astype(np.float32) for channel in range(3))
        line = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
        total = np.zeros(columns, np.float32)
        for k in range(factor_x):
            total = total + share * line[k::factor_x]
        out[i] = total
    return out


def below(position: np.float32) -> np.float32:
    """Share of a tent from -1 to 1 that lies below a position."""
    if position <= -1:
        return np.float32(0)
    if position >= 1:
        return ONE
    if position < 0:
        return HALF * (ONE + position) * (ONE + position)
    return ONE - HALF * (ONE - position) * (ONE - position)


def tent(begin: float, end: float, cell: int, length: int) -> dict[int, np.float32]:
    """Weight of each pixel under the tent of one of 64 cells; what lies beyond the picture counts as its edge."""
    half = (np.float32(end) - np.float32(begin)) / np.float32(2 * GRID)
    centre = np.float32(begin) + np.float32(2 * cell + 1) * half
    pixel, reached, weights = math.floor(centre - half), np.float32(0), dict[int, np.float32]()
    while reached < 1:
        further = below((np.float32(pixel + 1) - centre) / half)
        inside = min(max(pixel, 0), length - 1)
        weights[inside] = weights.get(inside, np.float32(0)) + (further - reached)
        reached, pixel = further, pixel + 1
    return weights


def squeeze(lines: Floats, begin: float, end: float) -> Floats:
    """Sum lines under each of 64 tents; float32, shape (h, w) to (64, w)."""
    out = np.zeros((GRID, lines.shape[1]), np.float32)
    for cell in range(GRID):
        for pixel, weight in sorted(tent(begin, end, cell, lines.shape[0]).items()):
            out[cell] = out[cell] + weight * lines[pixel]
    return out


def sample(luma: Floats, part: Rect) -> Floats:
    """64 x 64 samples of a rectangle (left, top, right, bottom): rows first, then columns."""
    left, top, right, bottom = part
    return squeeze(squeeze(luma, top, bottom).T, left, right).T


def turn(luma: Floats, affine: Floats, within: Floats, shape: tuple[int, int]) -> Floats:
    """Bilinear samples of a parallelogram."""
    grid = np.empty(shape, np.float32)
    for i in range(shape[0]):
        for j in range(shape[1]):
            u, v = np.float32(j) + HALF, np.float32(i) + HALF
            x = min(max(affine[0] + affine[1] * u + affine[2] * v, within[0]), within[2])
            y = min(max(affine[3] + affine[4] * u + affine[5] * v, within[1]), within[3])
            left, top = min(int(x), luma.shape[1] - 2), min(int(y), luma.shape[0] - 2)
            rows = [row[left] + (x - np.float32(left)) * (row[left + 1] - row[left]) for row in luma[top : top + 2]]
            grid[i, j] = rows[0] + (y - np.float32(top)) * (rows[1] - rows[0])
    return grid


def uncovered(affine: Floats, within: Floats) -> npt.NDArray[np.bool_]:
    """Cells of a parallelogram that lie beyond what is known; bool, shape (64, 64)."""
    holes = np.zeros((GRID, GRID), np.bool_)
    for i, j in np.ndindex(holes.shape):
        u, v = np.float32(j) + HALF, np.float32(i) + HALF
        x = affine[0] + affine[1] * u + affine[2] * v
        y = affine[3] + affine[4] * u + affine[5] * v
        aside = max(within[0] - x, x - within[2], within[1] - y, y - within[3])
        holes[i, j] = aside > views_turns.BEYOND_PX
    return holes


def hashes(grid: Floats) -> list[str]:
    """Eight hashes of samples as hex text, in the order of the reference's dihedral names."""
    return [to_hex(turned) for turned in dihedral(transform(grid))]


def letters(luma: Floats) -> npt.NDArray[np.bool_]:
    """Where white is within reach of black or black of white, and the rim around that."""
    light, dark = luma >= views_mend.LIGHT, luma <= views_mend.DARK
    reach = views_mend.REACH_PX
    inner = (light & near(dark, reach)) | (dark & near(light, reach))
    return near(inner, views_mend.RIM_PX)


def near(mask: npt.NDArray[np.bool_], reach: int) -> npt.NDArray[np.bool_]:
    """Whether anything is marked in the square around each pixel."""
    out = np.empty_like(mask)
    for y, x in np.ndindex(mask.shape):
        out[y, x] = mask[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1].any()
    return out


def fill(grid: Floats, holes: npt.NDArray[np.bool_], sweeps: int = views_mend.SWEEPS) -> Floats:
    """Replace holes by the mean of their neighbours, over and over, in reading order."""
    cells = np.pad(grid, 1, mode="edge")
    for _ in range(sweeps):
        for i, j in np.argwhere(holes) + 1:
            cells[0], cells[-1], cells[:, 0], cells[:, -1] = cells[1], cells[-2], cells[:, 1], cells[:, -2]
            mean = np.float32(0.25) * (cells[i - 1, j] + cells[i + 1, j] + cells[i, j - 1] + cells[i, j + 1])
            cells[i, j] = cells[i, j] + np.float32(views_mend.RELAXATION) * (mean - cells[i, j])
    return cells[1:-1, 1:-1]


def tilt_strength(luma: npt.NDArray[np.float32], part: Rect, aside_px: float, degrees: float) -> float:
    """How much the four edges of a picture turned within a frame stand out, for square pixels; float64."""
    left, top, right, bottom = part
    middle, size = np.array([left + right, top + bottom]) / 2, np.array([right - left, bottom - top])
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    back = np.array([[cosine, -sine], [sine, cosine]])
    seen = []
    for out in np.array([(0, -1), (0, 1), (-1, 0), (1, 0)]):
        along = np.array([-out[1], out[0]])
        for k in range(views_tilts.POINTS):
            on_line = out * size / 2 + along * size * ((k + 0.5) / views_tilts.POINTS - 0.5)
            place = middle + back @ on_line
            if left + 1 < place[0] < right - 1 and top + 1 < place[1] < bottom - 1:
                across = [place + aside * aside_px * (back @ out) for aside in (-3, -1, 1, 3)]
                seen.append(outstanding([shade(luma, *where) for where in across], views_tilts.STEP_LIMIT))
    return sum(seen) / max(len(seen), 1)


def tilt(luma: Floats, part: Rect, aside_px: float, degrees: int) -> tuple[float, float]:
    """Middle of the angles that stand out around whole degrees, and the most that any of them does."""
    angles = [degrees + step / 2 for step in range(-views_tilts.HALF_STEPS, views_tilts.HALF_STEPS + 1)]
    seen = [tilt_strength(luma, part, aside_px, angle) if angle else 0.0 for angle in angles]
    weights = [max(strength - views_tilts.CUT * max(seen), 0.0) for strength in seen]
    total = sum(weights)
    middle = sum(weight * angle for weight, angle in zip(weights, angles, strict=True)) / total if total else degrees
    return middle, max(seen)


def shade(luma: Floats, x: float, y: float) -> float:
    """Luma of the pixel at a position, or of the nearest one."""
    return float(luma[min(max(int(y), 0), luma.shape[0] - 1), min(max(int(x), 0), luma.shape[1] - 1)])


def outstanding(four: Sequence[float], limit: float) -> float:
    """Middle step of four values, less the mean of the outer two, each limited."""
    steps = [min(abs(a - b), limit) for a, b in itertools.pairwise(four)]
    return steps[1] - (steps[0] + steps[2]) / 2


def line_strength(luma: Floats, column: int, top: int, bottom: int) -> float:
    """How much the steps across a stretch of a column exceed those a little further away; for rows, transpose."""

    def step(x: int, y: int) -> float:
        if not 1 <= x < luma.shape[1] - 1:
            return 0.0
        return min(abs(float(luma[y, x + 1]) - float(luma[y, x - 1])), views_steps.STEP_LIMIT)

    aside = views_steps.ASIDE_PX
    steps = [step(column, y) - (step(column - aside, y) + step(column + aside, y)) / 2 for y in range(top, bottom)]
    return sum(steps) / len(steps)


def blank_columns(luma: Floats) -> npt.NDArray[np.bool_]:
    """Columns of one shade."""
    unlike = np.abs(luma - luma[0]) > views_steps.BLANK_RANGE
    blank: npt.NDArray[np.bool_] = unlike.sum(axis=0) <= views_edges.BLANK_REST * luma.shape[0]
    return blank
