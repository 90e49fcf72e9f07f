"""By how much a picture was turned within its frame: from four straight edges that lie askew around one centre.

Theory of operation
-------------------
Whoever turns a picture by a few degrees and keeps its size leaves corners uncovered, and along their long sides the
edges of what was the picture: four lines at a right angle to each other, as far from the centre as the frame's own
sides. So there is one unknown, the angle. For each of a row of angles :func:`_strength` walks along the four lines and
measures, at each point within the frame, how much the step across the line exceeds the steps a little further in and
out, limited as in ``views_edges``. The angle whose lines stand out most is the angle; unlike the shade of the corners
this does not mind what colour they are, or that a dark photograph is dark in the corners. Lines of pixels stand out
over a degree or more, with a ragged top; its middle tells the angle to a tenth of a degree, where its highest point is
off by a third.

What this module deliberately does not do: it turns nothing. A copy that was turned and then cut so that no corner is
left shows no edges, and has no angle here.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import float32, group, int64, kernel, readonly, void, writable
from hashmatch.kernels.views import Rectangle, Shrunk

Floats = npt.NDArray[np.float32]

HALF_STEPS: Final = 4
"""Half degrees to either side of the best whole ones that are looked at: lines stand out over two degrees or so."""
CUT: Final = 0.5
"""Share of the best strength that an angle must exceed to weigh in."""
POINTS: Final = 24
"""Points along each line."""
STEP_LIMIT: Final = 12.0
"""Steps of luma beyond this count as this."""
SIDES: Final = np.array([(0, -1), (0, 1), (-1, 0), (1, 0)], np.float32)
"""Which way each of the four lines lies from the centre."""


class Tilt(NamedTuple):
    """An angle, and how much its lines stand out, in steps of luma."""

    degrees: float
    """How far what is in the frame is turned clockwise, as seen."""
    strength: float


@kernel(float32, readonly(float32, 2), *[float32] * 2)
def _shade(luma: Floats, x: np.float32, y: np.float32) -> np.float32:
    """Luma of the pixel at a position, or of the nearest pixel of the picture."""
    column = min(max(int(x), 0), luma.shape[1] - 1)
    row = min(max(int(y), 0), luma.shape[0] - 1)
    shade: np.float32 = luma[row, column]
    return shade


@kernel(float32, readonly(float32, 2), *[float32] * 5)
def _outstanding(
    luma: Floats, x: np.float32, y: np.float32, step_x: np.float32, step_y: np.float32, limit: np.float32
) -> np.float32:
    """Step of luma across a point, less the mean of the steps further on to either side."""
    three = np.float32(3)
    inside, outside = _shade(luma, x - three * step_x, y - three * step_y), _shade(luma, x - step_x, y - step_y)
    further, furthest = _shade(luma, x + step_x, y + step_y), _shade(luma, x + three * step_x, y + three * step_y)
    aside = min(abs(inside - outside), limit) + min(abs(further - furthest), limit)
    return min(abs(outside - further), limit) - np.float32(0.5) * aside


@kernel(float32, readonly(float32, 2), readonly(float32), readonly(float32), float32)
def _strength(luma: Floats, part: Floats, size: Floats, degrees: np.float32) -> np.float32:
    """Measure how much the four lines of an angle stand out.

    Parameters
    ----------
    luma : float32, shape (h, w), read-only ok
        The picture.
    part : float32, shape (4,), read-only ok
        The frame: left, top, right, bottom, in pixels of the luma, within it.
    size : float32, shape (3,), read-only ok
        What a pixel of the luma is wide and high, in one unit; how far from a line its luma is read, in that unit.
    degrees : float32
        The angle.

    Returns
    -------
    float32
        The mean of what was measured at the points within the frame.

    """
    middle_x, middle_y = np.float32(0.5) * (part[0] + part[2]), np.float32(0.5) * (part[1] + part[3])
    width, height = (part[2] - part[0]) * size[0], (part[3] - part[1]) * size[1]
    one, half, limit = np.float32(1), np.float32(0.5), np.float32(STEP_LIMIT)
    radians = np.float64(degrees) * np.pi / 180.0
    cosine, sine = np.float32(math.cos(radians)), np.float32(math.sin(radians))
    total, points = np.float32(0), np.float32(0)
    for side in range(SIDES.shape[0]):
        # Out of the picture, and along its side; (u, v) turned is (cosine u - sine v, sine u + cosine v).
        out_x, out_y = SIDES[side, 0], SIDES[side, 1]
        away = half * (abs(out_x) * width + abs(out_y) * height)
        length = abs(out_y) * width + abs(out_x) * height
        out_u, out_v = (cosine * out_x - sine * out_y) / size[0], (sine * out_x + cosine * out_y) / size[1]
        along_u, along_v = -(cosine * out_y + sine * out_x) / size[0], (cosine * out_x - sine * out_y) / size[1]
        for k in range(POINTS):
            along = length * ((np.float32(k) + half) / np.float32(POINTS) - half)
            x, y = middle_x + away * out_u + along * along_u, middle_y + away * out_v + along * along_v
            if x > part[0] + one and x < part[2] - one and y > part[1] + one and y < part[3] - one:
                total += _outstanding(luma, x, y, size[2] * out_u, size[2] * out_v, limit)
                points += one
    return total / max(points, one)


@kernel(group(float32, float32), readonly(float32, 2), *[readonly(float32)] * 3, int64)
def _middle(luma: Floats, part: Floats, size: Floats, every: Floats, at: int) -> tuple[np.float32, np.float32]:
    """Find the middle of the angles that stand out around whole degrees, and how much the best of them does.

    Parameters
    ----------
    luma, part, size
        As for :func:`_strength`.
    every : float32, shape (2 * n + 1,), read-only ok
        The strengths of -n to n degrees.
    at : int
        Which of them is the best.

    Returns
    -------
    tuple of float32
        Degrees and strength.

    """
    around, most = np.empty(2 * HALF_STEPS + 1, np.float32), every.shape[0] // 2
    best, weight, moment = every[at], np.float32(0), np.float32(0)
    for k in range(around.shape[0]):
        step = k - HALF_STEPS
        whole = at + step // 2
        if step % 2 == 0 and 0 <= whole < every.shape[0]:
            around[k] = every[whole]
        else:
            around[k] = _strength(luma, part, size, np.float32(at - most) + np.float32(0.5) * np.float32(step))
        best = max(best, around[k])
    for k in range(around.shape[0]):
        above = max(around[k] - np.float32(CUT) * best, np.float32(0))
        weight += above
        moment += above * np.float32(k - HALF_STEPS)
    return np.float32(at - most) + np.float32(0.5) * (moment / weight), best


@kernel(void, readonly(float32, 2), readonly(float32), readonly(float32), *[writable(float32, 2)] * 2)
def _find(luma: Floats, part: Floats, size: Floats, strengths: Floats, found: Floats) -> None:
    """Find the angles whose lines stand out most.

    Parameters
    ----------
    luma, part, size
        As for :func:`_strength`.
    strengths : float32, shape (2, 2 * n + 1)
        Scratch: of -n to n degrees; the same without those that were found.
    found : float32, shape (m, 2), all zero
        Degrees and strengths, strongest first by whole degrees; zero where there are no more.

    """
    every, left = strengths[0], strengths[1]
    most = every.shape[0] // 2
    for at in range(every.shape[0]):
        every[at] = np.float32(0) if at == most else _strength(luma, part, size, np.float32(at - most))
        left[at] = every[at]
    for n in range(found.shape[0]):
        at = int(np.argmax(left))
        if left[at] <= np.float32(0):
            break
        left[max(at - 1, 0) : at + 2] = np.float32(0)
        found[n, 0], found[n, 1] = _middle(luma, part, size, every, at)


def tilts(picture: Shrunk, part: Rectangle, most_degrees: int, aside_px: float, most: int) -> list[Tilt]:
    """Return the angles by which what is in a frame may be turned, likeliest first.

    Parameters
    ----------
    picture : Shrunk
        Neither side of the luma below 2.
    part : Rectangle
        The frame, within the picture.
    most_degrees : int
        Largest angle to look for, to either side.
    aside_px : float
        How far from a line the luma is compared, in pixels of the luma.
    most : int
        How many angles to return at most.

    Returns
    -------
    list of Tilt
        Neither zero nor next to each other; none if nothing stands out.

    """
    factor_x, factor_y = picture.factors
    size = np.array([factor_x, factor_y, factor_x * aside_px], np.float32)
    found = np.zeros((most, 2), np.float32)
    _find(picture.luma, np.array(part, np.float32), size, np.empty((2, 2 * most_degrees + 1), np.float32), found)
    return [Tilt(degrees, strength) for degrees, strength in found.tolist() if strength > 0]
