"""Hashes of what the picture may have been before somebody changed it.

Theory of operation
-------------------
A list holds hashes of originals; a copy arrives mirrored, inverted, framed or turned. What was done cannot be undone
on the list's side, where there is no picture, so it is undone on this side, by guessing: each *view* is one guess,
hashed like any picture, and asked for beside the picture itself. The cheapest guess is the negative: the same
coefficients with the other sign.

*Trimmed* views are the rectangles whose sides are straight edges (``kernels.views_rectangles``): the picture inside a
border, between bars, below a caption, in a screenshot. *Derotated* views turn the picture back around its centre: by
one to three degrees in any case, and by whatever angle its edges seem to have (``kernels.views_tilts``); both may go
together, in either order. *Cells* are the halves and quarters of a collage. *Quads* lie askew in the picture, as on a
photographed screen (``kernels.views_quads``), and are hashed as seen from the front. *Extended* views are larger than
the picture, for a copy that was cropped: what was cut away is taken to look like the edge. *Mended* views have letters
or a corner painted over (``kernels.views_mend``). A picture with transparency is also hashed as it looks on *black*
(``modes.on_black``).

A function per kind makes the samples (:data:`MAKERS`), and one call hashes them all.

All of them are computed without PDQ's pixel grid (``kernels.views``), from one shrunk luma, and carry the algorithm
name ``pdq-canonical``.

What this module deliberately does not do: it does not decide whether a view may be believed. Each hash carries the
quality of its own view, and the policy has limits for each kind.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from hashmatch.hashing.algorithms import QUERY_ONLY
from hashmatch.kernels.pdq import PdqHashes
from hashmatch.kernels.views import Rectangle, Shrunk, coarse, halved, sample, samples, shrink
from hashmatch.kernels.views_askew import straightened
from hashmatch.kernels.views_bits import hash_all, hash_samples
from hashmatch.kernels.views_flat import flat_percents
from hashmatch.kernels.views_mend import without_corners, without_letters
from hashmatch.kernels.views_quads import quadrilaterals
from hashmatch.kernels.views_rectangles import rectangles
from hashmatch.kernels.views_tilts import Tilt, tilts
from hashmatch.kernels.views_turns import patch, turned
from hashmatch.model import ComputedHash
from hashmatch.transformations import (
    DEROTATED_TRIMS,
    EXTENSIONS,
    MAX_TRIMS,
    MENDS,
    MIRRORED,
    ORIENTATIONS,
    TILTED_TRIMS,
    TURNED_VIEWS,
)

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

ALGORITHM = QUERY_ONLY[0].name

_HALF = np.float32(0.5)
_PLENTY_PX = 176
"""Sides of a rectangle from which half the resolution will do."""
_TURNED_TRIMS = 4
"""Rectangles that are hashed in eight orientations; the others, as they are and mirrored."""
_NEGATIVE_TRIMS = 8
"""Rectangles of which the negative is asked for too."""

_SLIGHT_DEGREES = (1.0, -1.0, 2.0, -2.0, 3.0, -3.0)
"""Angles that are tried whatever the edges show."""
_MOST_DEGREES = 15
_MOST_DEGREES_INSIDE = 6
_FOUND_ANGLES = 2
_LEAST_STRENGTH = 2.5
"""Of the edges of a turned picture, in steps of luma; turned photographs have 5 and more, upright ones up to 4."""
_SURE_STRENGTH = 4.5
"""From which the picture turned back is searched for rectangles again."""
_LEAST_STRENGTH_INSIDE = 1.0
_ASIDE_PX, _ASIDE_PX_INSIDE = 1.5, 1.0
"""How far from a line the luma is compared: slight angles leave little between the line and the frame."""

_SIDES: Final = ("left", "top", "right", "bottom")
_SIZE_BYTES: Final = QUERY_ONLY[0].size_bytes
_ROWS: Final = {orientation: row for row, orientation in enumerate(ORIENTATIONS)}
_TURNED: Final = frozenset({*TURNED_VIEWS, *(f"trim-{number}-invert" for number in range(1, MAX_TRIMS + 1))})
"""Views whose names always have an orientation."""


class View(NamedTuple):
    """Samples that are to be hashed under a name.

    ``grid`` : float32, shape (64, 64). ``negative`` is the name under which the negative is asked for too, in the
    ``negative_orientations``.
    """

    name: str
    grid: Floats
    orientations: tuple[str, ...] = ORIENTATIONS[:1]
    negative: str = ""
    negative_orientations: tuple[str, ...] = ()


class Scene(NamedTuple):
    """A picture at three resolutions: about 512, 256 and 128 pixels a side."""

    picture: Shrunk
    half: Shrunk
    small: Shrunk


def canonical(pixels: Pixels) -> PdqHashes:
    """Return the phase-free hashes of a picture in eight orientations, and their quality.

    Parameters
    ----------
    pixels : uint8, shape (h, w) grey or (h, w, 3) RGB
        Neither side 0; read-only ok.

    """
    picture = shrink(pixels)
    return hash_samples(sample(picture.luma, picture.whole))


def view(name: str, pixels: Pixels, frame: int) -> Iterator[ComputedHash]:
    """Yield the hashes in eight orientations of a view that was made elsewhere, under its name."""
    picture = shrink(pixels)
    yield from _hashed([View(name, sample(picture.luma, picture.whole), ORIENTATIONS)], frame)


def views(pixels: Pixels, frame: int, *, thorough: bool) -> Iterator[ComputedHash]:
    """Yield the hashes of the views of one frame.

    Parameters
    ----------
    pixels : uint8, shape (h, w) grey or (h, w, 3) RGB
        Neither side below 5; read-only ok.
    frame : int
        Number that the hashes carry.
    thorough : bool
        All of them, and not just the picture itself and its negative.

    """
    picture = shrink(pixels)
    made = [_whole(sample(picture.luma, picture.whole))]
    if thorough:
        half = halved(picture)
        scene = Scene(picture, half, coarse(half))
        made += [one for make in MAKERS for one in make(scene)]
    yield from _hashed(made, frame)


def cheap(grid: Floats, frame: int) -> Iterator[ComputedHash]:
    """Yield the hashes of a whole picture and of its negative; samples as float32, shape (64, 64)."""
    yield from _hashed([_whole(grid)], frame)


def framed(scene: Scene) -> Iterator[View]:
    """Make the views of rectangles that the picture may have been put into, also turned back within them."""
    parts = trimmed(scene.picture)
    for number, (part, grid) in enumerate(zip(parts, _sampled(scene, parts), strict=True), 1):
        yield View(
            f"trim-{number}",
            grid,
            ORIENTATIONS if number <= _TURNED_TRIMS else MIRRORED,
            f"trim-{number}-invert",
            MIRRORED if number <= _NEGATIVE_TRIMS else (),
        )
        inside = Rectangle(*(part * _HALF))
        if number <= TILTED_TRIMS and min(inside.width, inside.height) > 1:
            for tilt in tilts(scene.half, inside, _MOST_DEGREES_INSIDE, _ASIDE_PX_INSIDE, 1):
                if tilt.strength >= _LEAST_STRENGTH_INSIDE:
                    yield View(f"trim-tilted-{number}", turned(scene.half, inside, [tilt.degrees])[0], MIRRORED)


def celled(scene: Scene) -> Iterator[View]:
    """Make the views of the halves and quarters of a collage."""
    names, parts = zip(*cells(scene.picture.whole), strict=True)
    for name, grid in zip(names, _sampled(scene, np.array(parts, np.float32)), strict=True):
        yield View(f"cell-{name}", grid)


def derotated(scene: Scene) -> Iterator[View]:
    """Make the views of the picture turned back, and of rectangles in it when it was surely turned."""
    found = tilts(scene.half, scene.half.whole, _MOST_DEGREES, _ASIDE_PX, _FOUND_ANGLES)
    seen = {_whole_degrees(tilt): tilt.degrees for tilt in reversed(found) if tilt.strength >= _LEAST_STRENGTH}
    angles = seen | {round(degrees): degrees for degrees in _SLIGHT_DEGREES if round(degrees) not in seen}
    grids = turned(scene.small, scene.small.whole, list(angles.values()))
    patch(scene.small, scene.small.whole, list(seen.values()), grids)
    for whole_degrees, grid in zip(angles, grids, strict=True):
        yield View(f"derotate{whole_degrees:+d}", grid, MIRRORED)
    if found and found[0].strength >= _SURE_STRENGTH:
        upright = _turned_back(scene.half, found[0])
        parts = trimmed(upright)[:DEROTATED_TRIMS]
        for number, grid in enumerate(samples(upright.luma, parts), 1):
            yield View(f"derotate-trim-{number}", grid, MIRRORED)


def extended(scene: Scene) -> Iterator[View]:
    """Make the views that are larger than the picture."""
    parts = np.array([extension(name, scene.small.whole) for name in EXTENSIONS], np.float32)
    for name, grid in zip(EXTENSIONS, samples(scene.small.luma, parts), strict=True):
        yield View(f"extend-{name}", grid)


def mended(scene: Scene) -> Iterator[View]:
    """Make the views without letters, and without each corner."""
    letters, *corners = MENDS
    clear = without_letters(scene.half.luma, scene.half.whole)
    if clear is not None:
        yield View(f"mend-{letters}", clear, MIRRORED)
    grid = sample(scene.half.luma, scene.half.whole)
    for name, mended_grid in zip(corners, without_corners(grid), strict=True):
        yield View(f"mend-{name}", mended_grid, MIRRORED)


def askew(scene: Scene) -> Iterator[View]:
    """Make the views of what lies askew in the picture, as seen from the front."""
    factor_x, factor_y = scene.picture.factors
    for number, corners in enumerate(quadrilaterals(scene.half.luma, factor_x / factor_y), 1):
        yield View(f"quad-{number}", straightened(scene.half, corners), ORIENTATIONS)


MAKERS: Final[tuple[Callable[[Scene], Iterable[View]], ...]] = (framed, celled, derotated, extended, mended, askew)
"""What makes the views of a picture beside the whole of it, in the order in which they are reported."""


def trimmed(picture: Shrunk) -> Floats:
    """Return the rectangles that the picture may have been put into; float32, shape (n, 4)."""
    parts = rectangles(picture.luma, MAX_TRIMS)[:, :4]
    return np.minimum(parts, np.array([*picture.whole[2:], *picture.whole[2:]], np.float32))


def cells(whole: Rectangle) -> Iterator[tuple[str, Rectangle]]:
    """Yield the halves and quarters of a picture with their names."""
    left, top, right, bottom = whole
    x, y = (left + right) / 2, (top + bottom) / 2
    yield "left", Rectangle(left, top, x, bottom)
    yield "right", Rectangle(x, top, right, bottom)
    yield "top", Rectangle(left, top, right, y)
    yield "bottom", Rectangle(left, y, right, bottom)
    yield "1", Rectangle(left, top, x, y)
    yield "2", Rectangle(x, top, right, y)
    yield "3", Rectangle(left, y, x, bottom)
    yield "4", Rectangle(x, y, right, bottom)


def extension(name: str, whole: Rectangle) -> Rectangle:
    """Return the rectangle that an original had of which ``whole`` is left; ``all-5`` lost 5 % of each dimension."""
    left, top, right, bottom = _lost(name)
    width, height = whole.width / (1 - left - right), whole.height / (1 - top - bottom)
    return Rectangle(-left * width, -top * height, (1 - left) * width, (1 - top) * height)


@functools.cache  # there are as many as names
def _lost(name: str) -> tuple[float, ...]:
    """Return the shares of its width and height that an original lost at each of :data:`_SIDES`."""
    where, percent = name.split("-")
    lost = float(percent) / 100
    return tuple(lost / 2 if where == "all" else lost * (where == side) for side in _SIDES)


def _whole(grid: Floats) -> View:
    """Name the samples of the picture itself."""
    return View("", grid, ORIENTATIONS, "invert", ORIENTATIONS)


def _whole_degrees(tilt: Tilt) -> int:
    """Name an angle by the nearest whole degrees that have a name."""
    nearest = min(max(round(abs(tilt.degrees)), 1), _MOST_DEGREES)
    return nearest if tilt.degrees > 0 else -nearest


def _turned_back(picture: Shrunk, tilt: Tilt) -> Shrunk:
    """Return a picture turned back by an angle, as large as it is."""
    rows, columns = picture.luma.shape
    upright: Floats = turned(picture, picture.whole, [tilt.degrees], (rows, columns))[0]
    return Shrunk(upright, Rectangle(0.0, 0.0, columns, rows), picture.factors)


def _sampled(scene: Scene, parts: Floats) -> Iterator[Floats]:
    """Sample rectangles, at half the resolution where two pixels are left for each sample: a quarter of the work."""
    large = (parts[:, 2:] - parts[:, :2]).min(axis=1) >= _PLENTY_PX
    halves = iter(samples(scene.half.luma, parts[large] * _HALF))
    others = iter(samples(scene.picture.luma, parts[~large]))
    for plenty in large.tolist():
        yield next(halves if plenty else others)


def _hashed(made: list[View], frame: int) -> Iterator[ComputedHash]:
    """Hash views, and name each hash."""
    plans = [_plan(one.name, one.orientations, one.negative, one.negative_orientations) for one in made]
    grids = np.stack([one.grid for one in made])
    hashes, qualities = hash_all(grids, np.array([plan.wanted for plan in plans]))
    values, negatives = hashes.tobytes(), (~hashes).tobytes()
    flat = flat_percents(grids).tolist()
    for at, (plan, quality) in enumerate(zip(plans, qualities.tolist(), strict=True)):
        first = len(ORIENTATIONS) * at
        for source, rows in ((values, plan.rows), (negatives, plan.negative_rows)):
            for name, row in rows:
                begin = _SIZE_BYTES * (first + row)
                yield ComputedHash(ALGORITHM, source[begin : begin + _SIZE_BYTES], quality, name, frame, flat[at])


class _Plan(NamedTuple):
    """What is wanted of the hashes of one view: names and rows, of it and of its negative."""

    wanted: int
    rows: tuple[tuple[str, int], ...]
    negative_rows: tuple[tuple[str, int], ...]


@functools.cache  # there are as many as views
def _plan(view: str, orientations: tuple[str, ...], negative: str, negative_orientations: tuple[str, ...]) -> _Plan:
    """Plan what to hash of a view."""
    wanted = {1 << _ROWS[orientation] for orientation in (*orientations, *negative_orientations)}
    return _Plan(
        sum(wanted),
        tuple((_name(view, orientation), _ROWS[orientation]) for orientation in orientations),
        tuple((_name(negative, orientation), _ROWS[orientation]) for orientation in negative_orientations),
    )


def _name(view: str, orientation: str) -> str:
    """Name a hash; of a view that is hashed upright as a rule, upright is not said."""
    if not view:
        return orientation
    return view if orientation == ORIENTATIONS[0] and view not in _TURNED else f"{view}+{orientation}"
