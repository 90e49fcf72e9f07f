"""By how much a picture was turned within its frame: from four straight edges that lie askew around one centre.

Theory of operation
-------------------
Whoever turns a picture by a few degrees and keeps its size leaves corners uncovered, and along their long sides the
edges of what was the picture: four lines at a right angle to each other, as far from the centre as the frame's own
sides. So there is one unknown, the angle. For each of a row of angles :func:`_strength` walks along the four lines and
measures, at each point within the frame, how much the step across the line exceeds the steps a little further in and
out, limited as in ``views_edges``. The angle whose lines stand out most is the angle; unlike the shade of the corners
this does not mind what colour they are, or that a dark photograph is dark in the corners.

What this module deliberately does not do: it turns nothing. A copy that was turned and then cut so that no corner is
left shows no edges, and has no angle here.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import float32, kernel, readonly, void, writable
from hashmatch.kernels.views import Rectangle, Shrunk

Floats = npt.NDArray[np.float32]

FINER_DEGREES: Final = (0.5, 0.25)
"""Steps around the best whole degrees: what is left costs a hash a bit or two."""
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


@kernel(void, readonly(float32, 2), readonly(float32), readonly(float32), writable(float32), writable(float32, 2))
def _find(luma: Floats, part: Floats, size: Floats, strengths: Floats, found: Floats) -> None:
    """Find the angles whose lines stand out most.

    Parameters
    ----------
    luma, part, size
        As for :func:`_strength`.
    strengths : float32, shape (2 * n + 1,)
        Scratch: of -n to n degrees.
    found : float32, shape (m, 2), all zero
        Degrees and strengths, strongest first by whole degrees; zero where there are no more.

    """
    most = strengths.shape[0] // 2
    for at in range(strengths.shape[0]):
        strengths[at] = np.float32(0) if at == most else _strength(luma, part, size, np.float32(at - most))
    for n in range(found.shape[0]):
        at = int(np.argmax(strengths))
        degrees, strength = np.float32(at - most), strengths[at]
        if strength <= np.float32(0):
            break
        strengths[max(at - 1, 0) : at + 2] = np.float32(0)
        for step in FINER_DEGREES:
            before, after = degrees - np.float32(step), degrees + np.float32(step)
            lower, upper = _strength(luma, part, size, before), _strength(luma, part, size, after)
            if lower > max(strength, upper):
                degrees, strength = before, lower
            elif upper > strength:
                degrees, strength = after, upper
        found[n, 0], found[n, 1] = degrees, strength


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
    _find(picture.luma, np.array(part, np.float32), size, np.empty(2 * most_degrees + 1, np.float32), found)
    return [Tilt(degrees, strength) for degrees, strength in found.tolist() if strength > 0]
