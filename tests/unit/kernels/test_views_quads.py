"""Pictures that lie askew: the kernels against their twins, and whole searches against known corners."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from hashmatch.bench.robustness_geometry import perspective
from hashmatch.kernels import views, views_askew, views_quads
from hashmatch.kernels.views_bits import hash_samples
from tests.oracle import views_quads as oracle
from tests.support import images

Floats = npt.NDArray[np.float32]

SIZE = (300, 220)
CORNERS = np.array([(52, 38), (247, 30), (238, 196), (60, 182)], dtype=np.float32)
"""Clockwise from the top left; tilts from 2 to 5 degrees."""


def luma_of(picture: Image.Image) -> Floats:
    return np.asarray(picture.convert("L"), dtype=np.float32)


def askew(picture: Image.Image, ground: int, rim_px: int = 0, rim: int = 0) -> Floats:
    """Show a picture, with a rim around it, on a ground of one shade."""
    framed = Image.new("RGB", (picture.width + 2 * rim_px, picture.height + 2 * rim_px), (rim,) * 3)
    framed.paste(picture, (rim_px, rim_px))
    return luma_of(perspective(framed, CORNERS.astype(float), SIZE, (ground,) * 3))


def nearest(found: list[Floats], corners: Floats) -> float:
    """Distance in pixels of the worst corner of the best quadrilateral."""
    return min((float(np.abs(quad - corners).max()) for quad in found), default=np.inf)


def test_bands_hold_the_mean_steps_along_every_shear() -> None:
    luma = luma_of(images.photo(3, (81, 70)))
    sums, _ = views_quads._direction(luma)
    pad = (sums.shape[2] - 81) // 2
    for shear, number, x in ((0, 0, -3), (1, 4, 40), (3, 8, 0), (4, 15, 80), (6, 2, 7), (6, 9, 83)):
        expected = oracle.band(luma, shear - views_quads.SHEARS, number, x)
        assert sums[shear, number, pad + x] == pytest.approx(expected, abs=1e-4)
    assert np.abs(sums).max() > 1


def test_lines_are_the_strongest_of_their_sign_at_any_tilt() -> None:
    luma = askew(images.photo(5, (200, 150)), 10)[60:140, 20:120].copy()
    _, lines = views_quads._direction(luma)
    strengths = np.array([
        [
            [oracle.strength(oracle.along(luma, tilt, x), sign) for x in range(luma.shape[1])]
            for tilt in oracle.tilts(luma.shape[0])
        ]
        for sign in (1, -1)
    ])  # fmt: skip
    for row, of_sign, sign in zip(lines[:2], strengths, (1, -1), strict=True):
        at_tilt, x = np.unravel_index(int(of_sign.argmax()), of_sign.shape)
        assert row[0] == pytest.approx(x + 0.5, abs=0.51)
        assert row[1] * luma.shape[0] == pytest.approx(oracle.tilts(luma.shape[0])[at_tilt], abs=1e-4)
        assert row[2] == sign


@pytest.mark.parametrize("seed", [1, 2])
def test_the_strongest_quadrilaterals_are_kept(seed: int) -> None:
    luma = luma_of(images.photo(seed, (90, 70)))
    height, width = luma.shape
    down, upright = views_quads._direction(luma)
    across, level = views_quads._direction(np.ascontiguousarray(luma.T))
    strengths, best = np.zeros(2, np.float32), np.zeros((2, 4), np.int64)
    sides, ends = np.empty((2, *[views_quads.LINES] * 3), np.float32)
    views_quads._supports(down, across, upright, level, width, height, sides, ends)
    least_x, least_y = np.float32(views_quads.LEAST_SHARE * width), np.float32(views_quads.LEAST_SHARE * height)
    views_quads._quads(upright, level, sides, ends, least_x, least_y, strengths, best)
    for kind, sign in enumerate((1, -1)):
        expected, lines = max(oracle.quads(luma, upright.tolist(), level.tolist(), sign), default=(0.0, ()))
        assert strengths[kind] == pytest.approx(max(expected, 0), abs=1e-3)
        if expected > 0:
            assert tuple(best[kind]) == lines


def test_the_rim_is_as_wide_as_its_inside_is_strong() -> None:
    luma = askew(images.photo(4, (200, 150)), 120, rim_px=9, rim=15)
    height, width = luma.shape
    down, _ = views_quads._direction(luma)
    across, _ = views_quads._direction(np.ascontiguousarray(luma.T))
    rim = np.array([(56, 0.05, -1), (34, -0.04, -1), (242.5, -0.05, 1), (189, 0.07, 1)], np.float32)
    inside, scratch = np.zeros((2, 4, 3), np.float32)
    views_quads._inset(down, across, rim, width, height, np.float32(1.5), scratch, inside)

    def moved(px: int) -> npt.NDArray[np.float64]:
        inwards = np.array([px, 1.5 * px, -px, -1.5 * px])[:, None] * (1, 0, 0)
        turned: npt.NDArray[np.float64] = (rim + inwards) * (1, 1, -1)
        return turned

    most = int(views_quads.RIM_SHARE * height)
    strengths = {px: sum(oracle.outline(luma, moved(px).tolist())) for px in range(views_quads.LEAST_RIM_PX, most)}
    assert inside == pytest.approx(moved(max(strengths, key=strengths.__getitem__)), abs=1e-3)


@pytest.mark.parametrize("ground", [0, 255])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_picture_on_plain_ground_is_found(seed: int, ground: int) -> None:
    shown = images.photo(seed, (400, 300)).point(lambda value: 40 + value * 175 // 255)
    found = list(views_quads.quadrilaterals(askew(shown, ground), 1.0))
    assert len(found) <= 4
    assert nearest(found, CORNERS) <= 2


def test_the_inside_of_a_rim_is_found_though_a_side_is_as_dark_as_the_rim() -> None:
    shown = images.photo(7, (400, 300)).point(lambda value: 40 + value * 175 // 255)
    shown.paste((15, 15, 15), (0, 0, 60, 300))
    rim_px = 14
    found = list(views_quads.quadrilaterals(askew(shown, 90, rim_px, 15), 1.0))
    size = (400 + 2 * rim_px, 300 + 2 * rim_px)
    x, y = rim_px / size[0] * 64, rim_px / size[1] * 64
    points = np.array([(x, y, 1), (64 - x, y, 1), (64 - x, 64 - y, 1), (x, 64 - y, 1)])
    points = points @ np.append(views_askew.projection(CORNERS), 1).reshape(3, 3).T
    inside = (points[:, :2] / points[:, 2:]).astype(np.float32)
    assert nearest(found, CORNERS) <= 2
    assert nearest(found, inside) <= 2.5


def test_nothing_is_found_where_there_is_nothing() -> None:
    assert not list(views_quads.quadrilaterals(np.full((200, 300), 128, np.float32), 1.0))
    noise = np.random.default_rng(1).uniform(0, 255, (200, 300)).astype(np.float32)
    assert not list(views_quads.quadrilaterals(noise, 1.0))
    shown = askew(images.photo(1, (400, 300)), 0)
    small = np.ascontiguousarray(shown[: views_quads.LEAST_PX - 1])
    assert not list(views_quads.quadrilaterals(small, 1.0))


def test_samples_are_those_of_the_projected_picture() -> None:
    luma = luma_of(images.photo(9, SIZE))
    grid = np.empty((64, 64), np.float32)
    views_askew._project(luma, views_askew.projection(CORNERS), grid)
    assert np.abs(grid - oracle.projected(luma, CORNERS)).max() < 0.05


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_straightened_hashes_as_what_was_shown(scale: int) -> None:
    shown, size = images.photo(11, (640, 480)), (SIZE[0] * scale, SIZE[1] * scale)
    seen = perspective(shown, scale * CORNERS.astype(float), size, (128, 128, 128))
    whole = views.Rectangle(0.0, 0.0, *map(float, size))
    grid = views_askew.straightened(views.Shrunk(luma_of(seen), whole, (1, 1)), scale * CORNERS)
    expected = views.shrink(np.asarray(shown))
    known = hash_samples(views.sample(expected.luma, expected.whole))
    assert np.unpackbits(hash_samples(grid).hashes[0] ^ known.hashes[0]).sum() <= 14
