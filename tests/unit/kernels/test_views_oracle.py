"""The kernels under the views agree with their slow twins, bit for bit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from hashmatch.kernels import views, views_edges, views_mend, views_rectangles, views_steps, views_tilts, views_turns
from hashmatch.kernels.views import Rectangle, Shrunk
from hashmatch.kernels.views_bits import hash_all, hash_samples
from tests.oracle import views as oracle
from tests.support import images

Floats = npt.NDArray[np.float32]


def luma_of(seed: int, size: tuple[int, int]) -> Floats:
    return np.asarray(images.photo(seed, size).convert("L"), dtype=np.float32)


@pytest.mark.parametrize("size", [(1024, 768), (1537, 700), (40, 1100)])
def test_shrinking(size: tuple[int, int]) -> None:
    pixels = np.asarray(images.photo(2, size))
    shrunk = views.shrink(pixels)
    expected = oracle.shrink(pixels, *shrunk.factors)
    assert np.array_equal(shrunk.luma[: expected.shape[0], : expected.shape[1]], expected)


@pytest.mark.parametrize(
    ("size", "part"),
    [
        ((90, 70), Rectangle(0.0, 0.0, 90.0, 70.0)),
        ((300, 200), Rectangle(20.25, 31.5, 280.0, 190.75)),
        ((300, 200), Rectangle(-9.0, -6.0, 309.0, 206.0)),
        ((131, 67), Rectangle(100.0, 40.0, 131.0, 80.0)),
        ((9, 5), Rectangle(0.0, 1.0, 9.0, 5.0)),
    ],
)
def test_sampling(size: tuple[int, int], part: Rectangle) -> None:
    luma = luma_of(3, size)
    other = Rectangle(0.0, 0.0, *map(float, size))
    found = views.samples(luma, np.array([other, part], np.float32))
    assert np.array_equal(found[1], oracle.sample(luma, part))
    assert np.array_equal(found[0], views.sample(luma, other))


def test_turning() -> None:
    luma = luma_of(4, (60, 50))
    affine = np.array([-4.0, 1.1, -0.2, 3.0, 0.15, 0.9], np.float32)
    within = np.array([2.0, 1.0, 55.0, 49.0], np.float32)
    grid = np.empty((48, 40), np.float32)
    views_turns._turn(luma, affine, within, np.empty(40, np.int64), np.empty((6, 40), np.float32), grid)
    assert np.array_equal(grid, oracle.turn(luma, affine, within, (48, 40)))


@pytest.mark.parametrize("degrees", [-14.0, -3.0, 0.0, 8.0])
def test_corners_that_were_turned_away_are_filled_as_by_the_twin(degrees: float) -> None:
    picture = Shrunk(luma_of(4, (90, 70)), Rectangle(0.0, 0.0, 90.0, 70.0), (1, 1))
    part = Rectangle(4.0, 0.0, 90.0, 66.0)
    affine = views_turns._askew(picture.factors, part, degrees, (64, 64))
    within = np.array([4, 0, 89, 65], np.float32)
    holes = oracle.uncovered(affine, within)
    first, untouched = views_turns.turned(picture, part, [degrees, 5.0])
    grids = np.stack([first, untouched])
    views_turns.patch(picture, part, [degrees], grids)
    assert np.array_equal(grids[0], oracle.fill(first, holes, views_turns.SWEEPS))
    assert np.array_equal(grids[1], untouched)
    assert holes.any() == (abs(degrees) > 1)
    assert holes.mean() < 0.15


@pytest.mark.parametrize("seed", range(4))
def test_hashing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grids = np.stack([views.sample(luma_of(seed, (100, 90)), Rectangle(0.0, 0.0, 100.0, 90.0)),
                      rng.uniform(0, 255, (64, 64)).astype(np.float32)])  # fmt: skip
    expected = [oracle.hashes(grid) for grid in grids]
    assert [[row.tobytes().hex() for row in hash_samples(grid).hashes] for grid in grids] == expected
    wanted = np.array([1 | 1 << 4, 1 << 6])
    hashes, _ = hash_all(grids, wanted)
    for n, rows in enumerate(expected):
        for row, text in enumerate(rows):
            assert hashes[n, row].tobytes().hex() == (text if wanted[n] >> row & 1 else "00" * 32)


def test_a_grid_of_ties_has_the_bits_of_the_twin() -> None:
    for grid in (np.zeros((64, 64), np.float32), np.full((64, 64), 9, np.float32), np.tri(64, dtype=np.float32)):
        assert [row.tobytes().hex() for row in hash_samples(grid).hashes] == oracle.hashes(grid)


def test_letters_are_found_where_the_twin_finds_them() -> None:
    rng = np.random.default_rng(5)
    for size in ((40, 50), (3, 50), (40, 2)):
        luma = rng.choice(np.array([0, 128, 255], np.float32), size, p=(0.1, 0.8, 0.1))
        found = oracle.letters(luma)
        assert np.array_equal(views_mend.letters(luma), found)
        assert 0 < found.mean() < 1


def test_filling() -> None:
    rng = np.random.default_rng(6)
    grid = rng.uniform(0, 255, (64, 64)).astype(np.float32)
    mended = views_mend.without_corners(grid)
    for corner, (rows, columns) in enumerate(
        (rows, columns) for rows in (slice(12), slice(52, 64)) for columns in (slice(12), slice(52, 64))
    ):
        holes = np.zeros((64, 64), np.bool_)
        holes[rows, columns] = True
        begun = grid.copy()
        begun[holes] = grid[~holes].mean()
        assert np.array_equal(mended[corner], oracle.fill(begun, holes))


def test_a_corner_that_is_filled_is_smooth_and_the_rest_is_untouched() -> None:
    ramp = np.add.outer(np.arange(64), 2 * np.arange(64)).astype(np.float32)
    mended = views_mend.without_corners(ramp)[3]
    assert np.array_equal(mended[:52], ramp[:52])
    assert np.array_equal(mended[:, :52], ramp[:, :52])
    assert mended[52:, 52:].std() < ramp[52:, 52:].std()
    assert mended.max() <= ramp[:52, :].max() + 1


@pytest.mark.parametrize("degrees", [-11.0, -2.5, 4.0])
def test_the_angle_of_a_turned_picture_is_found(degrees: float) -> None:
    turned = images.photo(7, (280, 200)).rotate(-degrees)
    luma = np.asarray(turned.convert("L"), dtype=np.float32)
    whole = Rectangle(0.0, 0.0, 280.0, 200.0)
    found = views_tilts.tilts(Shrunk(luma, whole, (1, 1)), whole, 15, 1.5, 2)
    assert abs(found[0].degrees - degrees) <= 0.15
    for tilt in found:
        nearest = [oracle.tilt(luma, whole, 1.5, round(tilt.degrees) + step) for step in (-1, 0, 1)]
        assert min(abs(tilt.degrees - middle) + abs(tilt.strength - strength) for middle, strength in nearest) < 0.3
    assert found[0].strength > 4


def test_a_flat_frame_has_no_angle() -> None:
    whole = Rectangle(0.0, 0.0, 60.0, 50.0)
    assert views_tilts.tilts(Shrunk(np.full((50, 60), 77, np.float32), whole, (1, 1)), whole, 15, 1.5, 2) == []


def test_lines_and_blanks_are_those_of_the_twin() -> None:
    luma = luma_of(9, (120, 90))
    luma[:20], luma[:, 100:] = 240, 3
    columns, rows = np.array([-1, 3, 60, 99, 100, 118]), np.array([0, 19, 20, 50])
    down, across = np.zeros((6, 91), np.float32), np.zeros((4, 121), np.float32)
    views_steps.profiles(luma, columns, True, down)  # noqa: FBT003  (kernels have no keywords)
    views_steps.profiles(luma, rows, False, across)  # noqa: FBT003  (same)
    for n, column in enumerate(columns[1:], 1):
        expected = oracle.line_strength(luma, int(column), 15, 80)
        assert (down[n, 80] - down[n, 15]) / 65 == pytest.approx(expected, abs=1e-3)
    for n, row in enumerate(rows):
        expected = oracle.line_strength(np.ascontiguousarray(luma.T), int(row), 10, 100)
        assert (across[n, 100] - across[n, 10]) / 90 == pytest.approx(expected, abs=1e-3)
    sums_across, sums_down = np.zeros((5, 120), np.float32), np.zeros((5, 90), np.float32)
    views_steps.across_columns(luma, sums_across)
    views_steps.across_rows(luma, np.empty(120, np.float32), sums_down)
    for sums, length, picture in ((sums_across, 90, luma), (sums_down, 120, np.ascontiguousarray(luma.T))):
        assert np.array_equal(sums[4] <= views_edges.BLANK_REST * length, oracle.blank_columns(picture))
        steps = np.minimum(np.abs(picture[:, 2:] - picture[:, :-2]), views_steps.STEP_LIMIT)
        assert np.allclose(sums[0, 1:-1], steps[: picture.shape[0] // 4].sum(axis=0), rtol=1e-5)


def test_rows_like_the_page_beyond_them_weaken_a_rectangle_and_other_blank_rows_do_not() -> None:
    page = np.full((200, 120), 250, np.float32)
    page[20:80] = luma_of(11, (120, 60))
    dark = page.copy()
    dark[20:40] = 8  # a night sky: blank, but not of the page
    for luma in (page, dark):
        steps = np.zeros((5, 200), np.float32)
        views_steps.across_rows(luma, np.empty(120, np.float32), steps)
        _, _, pages = views_edges.sides(steps, luma[:, 0], 120)
        assert pages[:2, 20].tolist() == [20, 20]
        assert pages[:2, 80].tolist() == [20, 20]
        assert pages[:2, 200].tolist() == [140, 140]
        assert np.allclose(pages[2, 1:], np.cumsum(steps[:4].sum(axis=0) / 120), rtol=1e-5)
    top, bottom, end = np.float32(20), np.float32(80), np.float32(200)
    assert views_rectangles._filled(pages, top, bottom, 5, 9) == 1
    least = views_rectangles.LEAST_FILLED
    assert views_rectangles._filled(pages, top, end, 5, views_edges.OWN) == pytest.approx(least)
    assert views_rectangles._filled(pages, np.float32(0), end, views_edges.OWN, views_edges.OWN) == 1
