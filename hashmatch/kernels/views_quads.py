"""Pictures that lie askew in a picture, as on a photographed screen: four long, straight, slightly tilted edges.

Theory of operation
-------------------
Whoever photographs a screen or a print holds the camera nearly, but not quite, straight: each side becomes a line with
its own tilt of some degrees. :func:`_bands` cuts the picture into bands across the lines that are sought and sums, in
each, the signed steps of luma along a few slight shears. A line of any tilt and place is then one addition per band.
Texture has steps of both signs and cancels, moiré too; the edge of a screen has one sign. :func:`_trace` lets each line
count over the stretch of bands that supports it best, since sides are shorter than the picture, and :func:`_lines`
keeps the strongest of each direction and sign.

:func:`_quads` puts a side on each and keeps two quadrilaterals, those with the strongest sides: something bright on
darker ground, and something dark on brighter ground. The dark one is usually the rim of a screen. The picture is
inside it, and one of its own sides may be as dark as the rim. So :func:`_inset` moves all four sides of the rim inwards
together, to where they are strongest, the darkest side being carried by the others. The same is done for a bright rim.

What this module deliberately does not do: it does not know whether what it found is a screen; what was not matches
nothing. It needs all four sides in the picture, tilted by less than ten degrees.

Source: M. L. Brady, "A Fast Discrete Approximation Algorithm for the Radon Transform", SIAM J. Comput. 27(1), 1998, for
sums along lines from sums along pieces of them; docs/explain/views.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import float32, group, int64, kernel, readonly, void, writable

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]
Point = tuple[np.float32, np.float32]

LEAST_PX: Final = 64
"""A picture with a shorter side is not looked at: a screen in it would have fewer pixels than samples."""
BANDS: Final = 16
SHEARS: Final = 3
"""Shears of a band, to either side: by as many pixels in :data:`SHEAR_PX` rows."""
SHEAR_PX: Final = 16
TILT: Final = 0.18
"""Steepest line, in pixels aside for each pixel along: ten degrees."""
TILT_STEP_PX: Final = 2
"""Tilts that are tried differ by this over the whole picture."""
STEP_LIMIT: Final = 12.0
"""Steps of luma beyond this count as this: a few strong pixels do not make a line."""
LEAST_STEP: Final = 1.5
"""Mean step of a band that speaks for a line rather than against it."""
LINES: Final = 8
"""Lines kept in each direction, half of them of each sign."""
APART_PX: Final = 3
"""Lines of one sign nearer than this are one."""
LEAST_SHARE: Final = 0.25
"""Shortest side of a quadrilateral, as a share of the picture's."""
LEAST_STRENGTH: Final = 40.0
"""Of the five-fold :data:`STEP_LIMIT` that four perfect sides have. One photo in six has anything as strong."""
RIM_SHARE: Final = 0.12
"""Widest rim, as a share of the picture's shorter side."""
LEAST_RIM_PX: Final = 2
LEAST_RIM_STRENGTH: Final = 8.0
"""Sum of the four sides' mean steps along the inside of a rim."""

_KINDS: Final = 2
"""Brighter than its ground, and darker."""


@kernel(void, readonly(float32, 2), writable(float32, 2))
def _transpose(luma: Floats, out: Floats) -> None:
    """Swap rows and columns, a few rows at a time, so that whole lines of the cache are written."""
    height, width = luma.shape
    for top in range(0, height, BANDS):
        bottom = min(top + BANDS, height)
        for x in range(width):
            for y in range(top, bottom):
                out[x, y] = luma[y, x]


@kernel(void, readonly(float32, 2), writable(float32), writable(float32, 3))
def _bands(luma: Floats, steps: Floats, sums: Floats) -> None:
    """Mean step of luma from left to right, in bands of rows, along slight shears.

    Parameters
    ----------
    luma : float32, shape (h, w), read-only ok
        The picture.
    steps : float32, shape (w + 2 * margin,), all zero
        Scratch: the steps of one row, between zeros. The margin holds ``sums``' own and the widest shear of a band.
    sums : float32, shape (2 * SHEARS + 1, BANDS, w + 2 * pad), all zero
        The means; positive where it gets brighter to the right.

    """
    height, width = luma.shape
    inner = steps[(steps.shape[0] - width) // 2 :]
    spare = (steps.shape[0] - sums.shape[2]) // 2
    for band in range(BANDS):
        top, bottom = band * height // BANDS, (band + 1) * height // BANDS
        share = np.float32(1) / np.float32(bottom - top)
        for y in range(top, bottom):
            row = luma[y]
            for x in range(1, width - 1):
                step = row[x + 1] - row[x - 1]
                inner[x] = share * min(max(step, np.float32(-STEP_LIMIT)), np.float32(STEP_LIMIT))
            aside = np.float32(y) + np.float32(0.5) - np.float32(0.5) * np.float32(top + bottom)
            for shear in range(2 * SHEARS + 1):
                shift = int(np.floor(np.float32(shear - SHEARS) * aside / np.float32(SHEAR_PX) + np.float32(0.5)))
                shifted, out = steps[spare + shift :], sums[shear, band]
                for x in range(out.shape[0]):
                    out[x] += shifted[x]


@kernel(void, readonly(float32, 3), int64, *[writable(float32, 2)] * 3, writable(int64, 2))
def _trace(sums: Floats, height: int, runs: Floats, peaks: Floats, strengths: Floats, tilts: Longs) -> None:
    """Find the tilt at which a line through each place of the middle row is strongest.

    Parameters
    ----------
    sums : float32, shape (2 * SHEARS + 1, BANDS, w + 2 * pad), read-only ok
        From :func:`_bands`.
    height : int
        Of the picture, in pixels.
    runs, peaks : float32, shape (2, w)
        Scratch.
    strengths : float32, shape (2, w), all zero
        Of the strongest line that gets brighter to the right, and darker: the largest sum over neighbouring bands of
        what exceeds :data:`LEAST_STEP` (Kadane's maximum subarray).
    tilts : int64, shape (2, w), all zero
        How far that line moves to the right from the top to the bottom, in :data:`TILT_STEP_PX`.

    """
    width = strengths.shape[1]
    pad = (sums.shape[2] - width) // 2
    most = int(TILT * height) // TILT_STEP_PX
    for tilt in range(-most, most + 1):
        aside = np.float32(tilt * TILT_STEP_PX)
        shear = SHEARS + int(np.floor(aside * np.float32(SHEAR_PX) / np.float32(height) + np.float32(0.5)))
        runs[:] = np.float32(0)
        peaks[:] = np.float32(0)
        for band in range(BANDS):
            place = (np.float32(band) + np.float32(0.5)) / np.float32(BANDS) - np.float32(0.5)
            values = sums[shear, band, pad + int(np.floor(aside * place + np.float32(0.5))) :]
            for sign in range(2):  # one at a time: of more arrays the compiler does not see that they are apart
                run, peak, sense = runs[sign], peaks[sign], np.float32(1 - 2 * sign)
                for x in range(width):
                    run[x] = max(run[x] + sense * values[x] - np.float32(LEAST_STEP), np.float32(0))
                    peak[x] = max(peak[x], run[x])
        for sign in range(2):
            peak, strength, best = peaks[sign], strengths[sign], tilts[sign]
            for x in range(width):
                better = peak[x] > strength[x]
                strength[x] = peak[x] if better else strength[x]
                best[x] = tilt if better else best[x]


@kernel(void, writable(float32, 2), readonly(int64, 2), int64, writable(float32, 2))
def _lines(strengths: Floats, tilts: Longs, height: int, lines: Floats) -> None:
    """Keep the strongest lines of each sign.

    Parameters
    ----------
    strengths : float32, shape (2, w)
        From :func:`_trace`; overwritten.
    tilts : int64, shape (2, w), read-only ok
        From :func:`_trace`.
    height : int
        Of the picture, in pixels.
    lines : float32, shape (LINES, 3), all zero
        Place in the middle row, in pixels from the left edge; pixels to the right for each row; sign, which is zero
        where there are no more lines. Every other row is of each sign.

    """
    width = strengths.shape[1]
    for n in range(LINES):
        row = strengths[n % 2]
        best = 0
        for x in range(width):
            if row[x] > row[best]:
                best = x
        if row[best] <= np.float32(0):
            continue
        left = max(row[max(best - 1, 0)], np.float32(0))
        right = max(row[min(best + 1, width - 1)], np.float32(0))
        lines[n, 0] = np.float32(best) + np.float32(0.5) + (right - left) / (left + row[best] + right)
        lines[n, 1] = np.float32(tilts[n % 2, best] * TILT_STEP_PX) / np.float32(height)
        lines[n, 2] = np.float32(1 - n % 2 * 2)
        for x in range(max(best - APART_PX, 0), min(best + APART_PX + 1, width)):
            row[x] = np.float32(-1)


@kernel(group(float32, float32), *[readonly(float32)] * 2, *[int64] * 2, counted=False)
def _crossing(upright: Floats, level: Floats, width: int, height: int) -> Point:
    """Where two lines cross, x and y; each is a row of ``lines`` from :func:`_lines`, the second of the transpose."""
    half_width, half_height = np.float32(0.5) * np.float32(width), np.float32(0.5) * np.float32(height)
    middle = level[0] + level[1] * (upright[0] - upright[1] * half_height - half_width)
    y = middle / (np.float32(1) - upright[1] * level[1])
    return upright[0] + upright[1] * (y - half_height), y


@kernel(float32, readonly(float32, 3), readonly(float32), *[int64] * 2, *[float32] * 2, counted=False)
def _support(sums: Floats, line: Floats, aside: int, along: int, begin: np.float32, end: np.float32) -> np.float32:
    """Mean step across a stretch of a line, positive if it has the line's sign.

    Parameters
    ----------
    sums : float32, shape (2 * SHEARS + 1, BANDS, aside + 2 * pad), read-only ok
        From :func:`_bands`.
    line : float32, shape (3,), read-only ok
        A row of ``lines`` from :func:`_lines`.
    aside, along : int
        Extent of the picture across and along the line.
    begin, end : float32
        Where the stretch begins and ends, along the line.

    """
    pad = (sums.shape[2] - aside) // 2
    shear = SHEARS + int(np.floor(line[1] * np.float32(SHEAR_PX) + np.float32(0.5)))
    scale = np.float32(BANDS) / np.float32(along)
    first = max(int(np.floor(begin * scale + np.float32(0.5))), 0)
    last = min(int(np.floor(end * scale + np.float32(0.5))), BANDS)
    total = np.float32(0)
    for band in range(first, last):
        place = (np.float32(band) + np.float32(0.5)) / scale - np.float32(0.5) * np.float32(along)
        at = pad + int(np.floor(line[0] + line[1] * place))
        if 0 <= at < sums.shape[2]:
            total += sums[shear, band, at]
    mean: np.float32 = line[2] * total / np.float32(max(last - first, 1))
    return mean


@kernel(
    void, *[readonly(float32, 3)] * 2, *[readonly(float32, 2)] * 2, *[int64] * 2, *[writable(float32, 3)] * 2,
    counted=False,
)  # fmt: skip
def _supports(
    down: Floats, across: Floats, upright: Floats, level: Floats, width: int, height: int, sides: Floats, ends: Floats
) -> None:
    """Support of every stretch that may be a side.

    Parameters
    ----------
    down, across : float32, read-only ok
        From :func:`_bands`, of the picture and of its transpose.
    upright, level : float32, shape (LINES, 3), read-only ok
        From :func:`_lines`, of the picture and of its transpose.
    width, height : int
        Of the picture, in pixels.
    sides, ends : float32, shape (LINES, LINES, LINES), written
        Of an upright line (first) between two level ones, and of a level line (first) between two upright ones.

    """
    for a in range(LINES):
        for c in range(LINES):
            for d in range(LINES):
                begin = _crossing(upright[a], level[c], width, height)
                end = _crossing(upright[a], level[d], width, height)
                sides[a, c, d] = _support(down, upright[a], width, height, begin[1], end[1])
                begin = _crossing(upright[c], level[a], width, height)
                end = _crossing(upright[d], level[a], width, height)
                ends[a, c, d] = _support(across, level[a], height, width, begin[0], end[0])


@kernel(
    *(void, *[readonly(float32, 2)] * 2, *[readonly(float32, 3)] * 2, *[float32] * 2),
    *(writable(float32), writable(int64, 2)),
    counted=False,
)
def _quads(
    upright: Floats,
    level: Floats,
    sides: Floats,
    ends: Floats,
    least_x: np.float32,
    least_y: np.float32,
    strengths: Floats,
    best: Longs,
) -> None:
    """Keep the strongest quadrilateral of either kind.

    Parameters
    ----------
    upright, level : float32, shape (LINES, 3), read-only ok
        From :func:`_lines`, of the picture and of its transpose.
    sides, ends : float32, shape (LINES, LINES, LINES), read-only ok
        From :func:`_supports`.
    least_x, least_y : float32
        Least distance of its upright sides, and of its level ones.
    strengths : float32, shape (2,), all zero
        Of what is brighter than its ground, and of what is darker: the sum of its sides and once more the weakest.
    best : int64, shape (2, 4), written where there is strength
        Its lines: left, top, right, bottom.

    """
    for a in range(LINES):
        for b in range(LINES):
            if upright[a, 2] * upright[b, 2] >= 0 or upright[b, 0] - upright[a, 0] < least_x:
                continue
            kind = 0 if upright[a, 2] > 0 else 1
            for c in range(LINES):
                for d in range(LINES):
                    alike = level[c, 2] == upright[a, 2] and level[d, 2] == upright[b, 2]
                    if not alike or level[d, 0] - level[c, 0] < least_y:
                        continue
                    four = (sides[a, c, d], ends[c, a, b], sides[b, c, d], ends[d, a, b])
                    strength = four[0] + four[1] + four[2] + four[3] + min(four)
                    if strength > strengths[kind]:
                        strengths[kind] = strength
                        best[kind, 0], best[kind, 1], best[kind, 2], best[kind, 3] = a, c, b, d


@kernel(float32, writable(float32, 2), *[readonly(float32, 3)] * 2, *[int64] * 2, counted=False)
def _outline(lines: Floats, down: Floats, across: Floats, width: int, height: int) -> np.float32:
    """Sum of the support of four sides, between their corners; ``lines`` : left, top, right, bottom."""
    total = np.float32(0)
    for k in range(0, 4, 2):
        begin, end = _crossing(lines[k], lines[1], width, height), _crossing(lines[k], lines[3], width, height)
        total += _support(down, lines[k], width, height, begin[1], end[1])
        begin, end = _crossing(lines[0], lines[k + 1], width, height), _crossing(lines[2], lines[k + 1], width, height)
        total += _support(across, lines[k + 1], height, width, begin[0], end[0])
    return total


@kernel(
    void, *[readonly(float32, 3)] * 2, readonly(float32, 2), *[int64] * 2, float32, *[writable(float32, 2)] * 2,
    counted=False,
)  # fmt: skip
def _inset(
    down: Floats,
    across: Floats,
    rim: Floats,
    width: int,
    height: int,
    aspect: np.float32,
    lines: Floats,
    inside: Floats,
) -> None:
    """Move four sides inwards together, to where the inside of a rim is strongest.

    Parameters
    ----------
    down, across : float32, read-only ok
        From :func:`_bands`, of the picture and of its transpose.
    rim : float32, shape (4, 3), read-only ok
        Left, top, right and bottom line of the rim's outside.
    width, height : int
        Of the picture, in pixels.
    aspect : float32
        How many pixels down are as long as one across.
    lines : float32, shape (4, 3)
        Scratch.
    inside : float32, shape (4, 3), all zero
        The lines of the inside; stays zero where there is no rim.

    """
    strongest = np.float32(LEAST_RIM_STRENGTH)
    for px in range(LEAST_RIM_PX, int(np.float32(RIM_SHARE) * np.float32(min(width, height)))):
        for k in range(4):
            inwards = np.float32(px) * (aspect if k % 2 else np.float32(1))
            lines[k, 0] = rim[k, 0] + (inwards if k <= 1 else -inwards)
            lines[k, 1], lines[k, 2] = rim[k, 1], -rim[k, 2]
        strength = _outline(lines, down, across, width, height)
        if strength > strongest:
            strongest = strength
            for k in range(4):
                for n in range(3):
                    inside[k, n] = lines[k, n]


@kernel(void, readonly(float32, 2), *[int64] * 2, writable(float32, 2), counted=False)
def _corners(lines: Floats, width: int, height: int, corners: Floats) -> None:
    """Where four sides meet.

    Parameters
    ----------
    lines : float32, shape (4, 3), read-only ok
        Left, top, right, bottom.
    width, height : int
        Of the picture, in pixels.
    corners : float32, shape (4, 2), written
        x and y of top left, top right, bottom right, bottom left.

    """
    for n in range(4):
        side, end = 0 if n in (0, 3) else 2, 1 if n <= 1 else 3
        corners[n, 0], corners[n, 1] = _crossing(lines[side], lines[end], width, height)


def quadrilaterals(luma: Floats, aspect: float) -> Iterator[Floats]:
    """Yield the corners of what may be a picture that lies askew in the picture.

    Parameters
    ----------
    luma : float32, shape (h, w), C order, read-only ok
        The picture, preferably of about 256 pixels a side.
    aspect : float
        How many pixels down are as long as one across.

    Yields
    ------
    numpy.ndarray
        float32, shape (4, 2): x and y of top left, top right, bottom right, bottom left, in pixels; at most four times:
        something bright on darker ground and the inside of its rim, something dark and the inside of its rim.

    """
    height, width = luma.shape
    if min(height, width) < LEAST_PX:
        return
    down, upright = _direction(luma)
    transposed = np.empty((width, height), np.float32)
    _transpose(luma, transposed)
    across, level = _direction(transposed)
    strengths, best = np.zeros(_KINDS, np.float32), np.zeros((_KINDS, 4), np.int64)
    sides, ends = np.empty((2, LINES, LINES, LINES), np.float32)
    _supports(down, across, upright, level, width, height, sides, ends)
    least_x, least_y = np.float32(LEAST_SHARE * width), np.float32(LEAST_SHARE * height)
    _quads(upright, level, sides, ends, least_x, least_y, strengths, best)
    for strength, (left, top, right, bottom) in zip(strengths, best, strict=True):
        if strength < LEAST_STRENGTH:
            continue
        rim = np.stack([upright[left], level[top], upright[right], level[bottom]])
        inside = np.zeros_like(rim)
        _inset(down, across, rim, width, height, np.float32(aspect), np.empty_like(rim), inside)
        for lines in (rim, inside) if inside.any() else (rim,):
            corners = np.empty((4, 2), np.float32)
            _corners(lines, width, height, corners)
            yield corners


def _direction(luma: Floats) -> tuple[Floats, Floats]:
    """Return the sums of the bands, and the strongest lines that are nearly upright."""
    height, width = luma.shape
    pad = math.ceil(TILT * height / 2) + 1
    spare = math.ceil(height / BANDS) * SHEARS // (2 * SHEAR_PX) + 1
    sums = np.zeros((2 * SHEARS + 1, BANDS, width + 2 * pad), np.float32)
    _bands(luma, np.zeros(width + 2 * (pad + spare), np.float32), sums)
    strengths, tilts = np.zeros((2, width), np.float32), np.zeros((2, width), np.int64)
    runs, peaks = np.empty((2, 2, width), np.float32)
    _trace(sums, height, runs, peaks, strengths, tilts)
    lines = np.zeros((LINES, 3), np.float32)
    _lines(strengths, tilts, height, lines)
    return sums, lines
