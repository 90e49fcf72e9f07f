"""How much of a view is blank: the kernel against counting, and pages against photographs."""

from __future__ import annotations

import numpy as np
import pytest

from hashmatch.bench.robustness_overlays import page
from hashmatch.config import PolicyConfig
from hashmatch.kernels import views_flat
from hashmatch.kernels.views import sample, shrink
from tests.support import images


def counted(grid: np.ndarray) -> int:
    """Percent of neighbours that differ by less than two, by looking at each."""
    still = sum(
        abs(float(grid[y, x]) - float(grid[y + down, x + across])) < 2
        for down, across in ((0, 1), (1, 0))
        for y in range(64 - down)
        for x in range(64 - across)
    )
    return 100 * still // (2 * 64 * 63)


def flat(pixels: np.ndarray) -> int:
    picture = shrink(pixels)
    return int(views_flat.flat_percents(sample(picture.luma, picture.whole)[None])[0])


def test_every_pair_of_neighbours_counts_once() -> None:
    rng = np.random.default_rng(3)
    grids = np.stack([
        np.zeros((64, 64)), rng.uniform(0, 255, (64, 64)), rng.uniform(0, 4, (64, 64)),
        np.cumsum(rng.uniform(0, 3, (64, 64)), axis=1), np.where(np.indices((64, 64)).sum(axis=0) % 2, 0, 2.0),
        np.where(np.indices((64, 64)).sum(axis=0) % 2, 0, 1.9),
    ]).astype(np.float32)  # fmt: skip
    found = views_flat.flat_percents(grids).tolist()
    assert found == [counted(grid) for grid in grids]
    assert found[0] == 100
    assert found[4:] == [0, 100]


@pytest.mark.parametrize("layout", range(8))
def test_pages_are_flat_also_when_they_were_scanned(layout: int) -> None:
    sheet = np.asarray(page(layout, np.random.default_rng(layout)), dtype=np.float64)
    noise = np.random.default_rng(1).normal(0, 8, sheet.shape)
    shade = np.linspace(0.8, 1, sheet.shape[1])[None, :, None]
    scanned = np.clip(sheet * shade + noise, 0, 255).astype(np.uint8)
    limit = PolicyConfig().max_flat_percent
    assert flat(sheet.astype(np.uint8)) > limit
    assert flat(scanned) >= limit - 8


@pytest.mark.parametrize("seed", range(1, 9))
def test_photographs_are_not(seed: int) -> None:
    assert flat(np.asarray(images.photo(seed, (400, 300)))) < PolicyConfig().max_flat_percent
