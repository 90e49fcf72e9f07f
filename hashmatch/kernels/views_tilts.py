"""By how much a picture was turned within its frame: from four straight edges that lie askew around one centre.

Theory of operation
-------------------
Whoever turns a picture by a few degrees and keeps its size leaves corners uncovered, and along their long sides the
edges of what was the picture: four lines at a right angle to each other, as far from the centre as the frame's own
sides. So there is one unknown, the angle. For each of a row of angles :func:`_strengths` walks along the four lines and
measures, at each point within the frame, how much the step across the line exceeds the steps a little further in and
out, limited as in ``views_edges``. The angle whose lines stand out most is the angle; unlike the shade of the corners
this does not mind what colour they are, or that a dark photograph is dark in the corners.

What this module deliberately does not do: it turns nothing. A copy that was turned and then cut so that no corner is
left shows no edges, and has no angle here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import float32, kernel, readonly, void, writable
from hashmatch.kernels.views import Rectangle, Shrunk

Floats = npt.NDArray[np.float32]

STEP_DEGREES: Final = 0.5
"""Half of what a hash bears."""
APART_DEGREES: Final = 1.0
"""Angles nearer than this are one."""
POINTS: Final = 32
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


@kernel(void, readonly(float32, 2), readonly(float32), readonly(float32), readonly(float32, 2), writable(float32))
def _strengths(luma: Floats, part: Floats, size: Floats, directions: Floats, strengths: Floats) -> None:
    """Measure how much the four lines of each angle stand out.

    Parameters
    ----------
    luma : float32, shape (h, w), read-only ok
        The picture.
    part : float32, shape (4,), read-only ok
        The frame: left, top, right, bottom, in pixels of the luma, within it.
    size : float32, shape (3,), read-only ok
        What a pixel of the luma is wide and high, in one unit; how far from a line its luma is read, in that unit.
    directions : float32, shape (n, 2), read-only ok
        Cosine and sine of each angle.
    strengths : float32, shape (n,), written
        The mean of what was measured at the points within the frame.

    """
    middle_x, middle_y = np.float32(0.5) * (part[0] + part[2]), np.float32(0.5) * (part[1] + part[3])
    width, height = (part[2] - part[0]) * size[0], (part[3] - part[1]) * size[1]
    one, half, limit = np.float32(1), np.float32(0.5), np.float32(STEP_LIMIT)
    for n in range(directions.shape[0]):
        cosine, sine = directions[n, 0], directions[n, 1]
        total, points = np.float32(0), np.float32(0)
        for side in range(SIDES.shape[0]):
            # Out of the picture, and along its side; (u, v) turned is (cosine u - sine v, sine u + cosine v).
            out_x, out_y = SIDES[side, 0], SIDES[side, 1]
            away = half * (abs(out_x) * width + abs(out_y) * height)
            length = abs(out_y) * width + abs(out_x) * height
            step_x = size[2] * (cosine * out_x - sine * out_y) / size[0]
            step_y = size[2] * (sine * out_x + cosine * out_y) / size[1]
            for k in range(POINTS):
                along = length * ((np.float32(k) + half) / np.float32(POINTS) - half)
                u, v = out_x * away - out_y * along, out_y * away + out_x * along
                x, y = middle_x + (cosine * u - sine * v) / size[0], middle_y + (sine * u + cosine * v) / size[1]
                if x > part[0] + one and x < part[2] - one and y > part[1] + one and y < part[3] - one:
                    total += _outstanding(luma, x, y, step_x, step_y, limit)
                    points += one
        strengths[n] = total / max(points, one)


def tilts(picture: Shrunk, part: Rectangle, most_degrees: float, aside_px: float) -> list[Tilt]:
    """Return the angles by which what is in a frame may be turned, likeliest first.

    Parameters
    ----------
    picture : Shrunk
        Neither side of the luma below 2.
    part : Rectangle
        The frame, within the picture.
    most_degrees : float
        Largest angle to look for, to either side.
    aside_px : float
        How far from a line the luma is compared, in pixels of the luma.

    Returns
    -------
    list of Tilt
        At least :data:`APART_DEGREES` apart and as far from zero; none if nothing stands out.

    """
    steps = round(most_degrees / STEP_DEGREES)
    degrees = STEP_DEGREES * np.arange(-steps, steps + 1)
    radians, strengths = np.radians(degrees), np.empty(degrees.size, np.float32)
    directions = np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)
    factor_x, factor_y = picture.factors
    size = np.array([factor_x, factor_y, factor_x * aside_px], np.float32)
    _strengths(picture.luma, np.array(part, np.float32), size, directions, strengths)
    found: list[Tilt] = []
    for at in np.argsort(-strengths, kind="stable").tolist():
        if strengths[at] <= 0:
            break
        if min(abs(degrees[at] - other) for other in (0.0, *(tilt.degrees for tilt in found))) >= APART_DEGREES:
            found.append(Tilt(float(degrees[at]), float(strengths[at])))
    return found
