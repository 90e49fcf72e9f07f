"""The search for rectangles agrees with its slow twin, and with what bars, margins and captions look like."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from PIL import ImageFilter

from hashmatch.kernels import views_edges, views_rectangles
from hashmatch.kernels.views_rectangles import rectangles
from tests.oracle import views_rectangles as oracle
from tests.support import images

Floats = npt.NDArray[np.float32]


def made_up(rng: np.random.Generator, width: int, length: int) -> oracle.Sides:
    """Lines of any strength at any place, between edges of the picture, some of them blank; any page."""
    places = np.sort(rng.choice(np.arange(6, width - 6, 4), 5, replace=False)) + rng.uniform(-0.9, 0.9, 5)
    if rng.random() < 1 / 2:
        places[-1] = width - places[0] + rng.uniform(-1, 1)  # bars of one width
        places.sort()
    positions = np.array([0, *places, width], np.float32)
    lines = np.array([views_edges.OWN, *(positions[1:-1].astype(int)), views_edges.OWN])
    lines[1 + int(rng.integers(5))] = views_edges.BLANK
    steps = rng.uniform(-3, 12, (len(lines), length)).astype(np.float32)
    sums = np.concatenate([np.zeros((len(lines), 1)), np.cumsum(steps, axis=1)], axis=1).astype(np.float32)
    counts = np.stack([rng.random(width) < 0.1, rng.random(width) < 0.05, rng.uniform(0, 9, width)])
    counts[:, : int(places[0])] = np.array([[1], [0], [0.5]])
    pages = np.concatenate([np.zeros((3, 1)), np.cumsum(counts, axis=1)], axis=1).astype(np.float32)
    return oracle.Sides(lines, positions, sums, pages)


def searched(columns: oracle.Sides, rows: oracle.Sides, most: int) -> Floats:
    """Return what the kernel finds: float32, shape (4, most, 5)."""
    (n, m), found = (len(columns.lines), len(rows.lines)), np.zeros((4, most, 5), np.float32)
    views_rectangles._rectangles(
        columns.sums,
        rows.sums,
        columns.lines,
        rows.lines,
        columns.positions,
        rows.positions,
        columns.pages,
        rows.pages,
        np.empty((n, m, m), np.float32),
        np.empty(m, np.float32),
        np.empty((m, m, views_rectangles.BARRED + 1), np.float32),
        found,
    )
    return found


@pytest.mark.parametrize("seed", range(8))
def test_the_strongest_of_each_kind_are_those_of_the_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    width, height = (int(side) for side in rng.integers(60, 200, 2))
    columns, rows = made_up(rng, width, height), made_up(rng, height, width)
    expected = oracle.rectangles(columns, rows, 5)
    for kind, kernel in zip(expected, searched(columns, rows, 5), strict=True):
        assert kernel[: len(kind), 4] == pytest.approx([row[0] for row in kind], rel=1e-4)
        assert kernel[: len(kind), :4] == pytest.approx(np.array([row[1:] for row in kind]).reshape(-1, 4))
        assert not kernel[len(kind) :].any()
    assert all(expected[kind] for kind in (views_rectangles.OTHER, views_rectangles.CAPTIONED))


@pytest.mark.parametrize("kind", [views_rectangles.TALL, views_rectangles.WIDE])
def test_bars_of_which_one_is_not_seen_are_those_of_the_twin(kind: int) -> None:
    count = 0
    for seed in range(8):
        sides = made_up(np.random.default_rng(seed), 150, 90)
        found = np.zeros((6, 5), np.float32)
        views_rectangles._balanced(sides.sums, sides.lines, sides.positions, sides.pages, np.float32(90), kind, found)
        expected = oracle.balanced(sides, 90)
        across, along = ([0, 2], [1, 3]) if kind == views_rectangles.TALL else ([1, 3], [0, 2])
        assert found[: len(expected), 4] == pytest.approx([row[0] for row in expected], rel=1e-4)
        assert found[: len(expected), across] == pytest.approx(np.array([row[1:] for row in expected]).reshape(-1, 2))
        assert (found[: len(expected), along] == [0, 90]).all()
        assert not found[len(expected) :].any()
        count += len(expected)
    assert count >= 8


def test_of_equal_bars_one_edge_in_the_dark_is_found_by_the_other() -> None:
    photo = np.asarray(images.photo(3, (200, 150)).convert("L"), np.float32).copy()
    photo[:, 180:] = 0  # nothing to be seen where the right bar begins
    page = np.zeros((150, 280), np.float32)
    page[:, 40:240] = photo
    found = rectangles(page, 12)
    assert min(np.abs(row[:4] - (40, 0, 240, 150)).max() for row in found) <= 1
    lopsided = np.concatenate([np.zeros((150, 30), np.float32), page], axis=1)
    assert min(np.abs(row[:4] - (70, 0, 270, 150)).max() for row in rectangles(lopsided, 12)) > 1


@pytest.mark.parametrize(
    ("end", "outermost", "share"),
    [
        (80, (3, 7), views_rectangles.LEAST_BETWEEN_BARS),
        (70, (3, 7), views_rectangles.LEAST_FILLED),  # bars of two widths
        (80, (2, 7), views_rectangles.LEAST_FILLED),  # a line beyond one of them
        (80, (3, 8), views_rectangles.LEAST_FILLED),
    ],
)
def test_what_looks_like_equal_bars_between_them_is_the_pictures(
    end: int, outermost: tuple[int, int], share: float
) -> None:
    """A flower before a night sky between black bars: half of the columns of the picture are of the bars' shade."""
    counts = np.ones((3, 100))
    counts[:, 35:65] = 0
    pages = np.concatenate([np.zeros((3, 1)), np.cumsum(counts, axis=1)], axis=1).astype(np.float32)
    weights = np.empty(views_rectangles.BARRED + 1, np.float32)
    views_rectangles._weigh(pages, np.float32(20), np.float32(end), (3, 7), outermost, weights)
    assert weights[views_rectangles.FILLED] == np.float32(views_rectangles.LEAST_FILLED)
    assert weights[views_rectangles.BARRED] == np.float32(share)


def test_a_picture_on_its_own_blurred_enlargement_comes_first_of_its_kind() -> None:
    for seed in range(6):
        photo = images.photo(seed, (300, 200)).convert("L")
        page = photo.resize((300, 300)).filter(ImageFilter.GaussianBlur(12))
        page.paste(photo, (0, 50))
        found = rectangles(np.asarray(page, dtype=np.float32), 12)
        assert np.abs(found[0, :4] - (0, 50, 300, 250)).max() <= 1


def test_a_caption_is_ranked_apart_from_bars() -> None:
    stripes = np.asarray(images.photo(5, (300, 240)).convert("L"), np.float32).copy()
    for top in range(24, 220, 40):
        stripes[top : top + 20] = 255 - stripes[top : top + 20]  # edges stronger than that of the bar, all the way
    page = np.concatenate([np.full((70, 300), 128, np.float32), stripes])
    assert min(np.abs(row[:4] - (0, 70, 300, 310)).max() for row in rectangles(page, 12)[:6]) <= 1
