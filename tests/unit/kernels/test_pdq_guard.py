"""The fast way of PDQ against the exact one: the same bits wherever the guard lets it decide, and bounds that hold."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from hashmatch.kernels import _pdq_bits as bits
from hashmatch.kernels import pdq as kernels
from hashmatch.kernels._pdq_guard import COEFFICIENT_SLACK, PERCENT_SLACK
from hashmatch.kernels.pdq import PdqHashes, pdq, pdq_exact, pdq_fused, pdq_nearest512, pdq_nearest512_exact
from tests.oracle import pdq as twin
from tests.oracle.pdq_pictures import pictures, variants
from tests.oracle.pdq_slack import errors, photos

Pixels = npt.NDArray[np.uint8]


def same(left: PdqHashes, right: PdqHashes) -> bool:
    return np.array_equal(left.hashes, right.hashes) and left.quality == right.quality


def mismatches(tried: Iterator[tuple[str, Pixels]]) -> tuple[list[str], int, int]:
    """Names of the pictures whose answer is wrong, how many were tried, and how many the guard let pass."""
    wrong, count, passed = [], 0, 0
    for name, pixels in tried:
        count += 1
        exact = pdq_exact(pixels)
        fast = pdq_fused(pixels)
        passed += fast is not None
        if (fast is not None and not same(fast, exact)) or not same(
            pdq_nearest512(pixels), pdq_nearest512_exact(pixels)
        ):
            wrong.append(f"{name} {pixels.shape}")
    return wrong, count, passed


needs_photos = pytest.mark.skipif("HASHMATCH_EXTRA_DATA" not in os.environ, reason="HASHMATCH_EXTRA_DATA is not set")


def test_no_wrong_answer_on_generated_pictures() -> None:
    wrong, count, passed = mismatches(pictures(np.random.default_rng(4), 2000, 300))
    assert wrong == []
    assert 0.25 * count < passed < 0.9 * count, "the guard must neither sleep nor refuse everything"


@needs_photos
def test_no_wrong_answer_on_photos_and_four_in_five_pass() -> None:
    random = np.random.default_rng(5)
    tried = (("photo", pixels) for photo in photos(4) for pixels in variants(random, photo, 6))
    wrong, count, passed = mismatches(tried)
    assert wrong == []
    assert passed > 0.8 * count


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_wrong_answer_on_many_generated_pictures() -> None:
    wrong, _, _ = mismatches(pictures(np.random.default_rng(6), 20_000, 900))
    assert wrong == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
@needs_photos
def test_no_wrong_answer_on_many_variants_of_photos() -> None:
    random = np.random.default_rng(7)
    wrong, _, _ = mismatches(("photo", pixels) for photo in photos() for pixels in variants(random, photo, 20))
    assert wrong == []


def test_errors_stay_within_the_bounds() -> None:
    """The bounds are four times what was once measured. Checkers come closest: their roundings repeat."""
    for kind, pixels in pictures(np.random.default_rng(8), 600, 700):
        coefficients, percent = errors(pixels)
        share = 1 if kind in {"checker", "repeated"} else 2
        assert (share * coefficients <= COEFFICIENT_SLACK).all(), (kind, pixels.shape)
        assert share * percent <= PERCENT_SLACK, (kind, pixels.shape)


@pytest.mark.parametrize("dihedral", range(8))
def test_guard_sees_a_coefficient_move_across_each_median(dihedral: int) -> None:
    """Whoever moves coefficients within the slack and changes any of the eight hashes is found out beforehand."""
    random = np.random.default_rng(dihedral)
    slack = np.full((16, 16), 0.01, np.float32)
    scratch = np.empty((3, 256), np.float32)
    caught = 0
    for _ in range(400):
        block = random.normal(size=(16, 16)).astype(np.float32)
        moved = (block + random.choice([-1, 1], (16, 16)) * slack * 0.999).astype(np.float32)
        first, second = np.zeros((8, 32), np.uint8), np.zeros((8, 32), np.uint8)
        sure = bits.threshold_within(block, slack, scratch, first)
        bits.threshold(moved, scratch, second)
        changed = not np.array_equal(first[dihedral], second[dihedral])
        assert not (sure and changed)
        caught += changed
    assert caught > 0


def test_ties_are_never_sure() -> None:
    hashes = np.zeros((8, 32), np.uint8)
    assert not bits.threshold_within(
        np.zeros((16, 16), np.float32), bits.NO_SLACK, np.empty((3, 256), np.float32), hashes
    )
    assert not hashes.any()


def test_quality_is_unsure_only_where_a_step_of_ninety_is_in_reach() -> None:
    one_percent = np.float32(2.55)
    steps = np.zeros((64, 64), np.float32)
    steps[:, 1::2] = one_percent * np.float32(1.5)  # 64 * 63 changes of 1.5 %: 4032 / 90 = 44.8
    assert bits.quality(steps) == bits.quality_within(steps, np.float32(0.4)) == 44
    assert bits.quality_within(steps, np.float32(0.6)) == -1
    assert bits.quality_within(steps * 100, np.float32(0.6)) == 100, "far above the cap nothing is in doubt"


@pytest.mark.parametrize(
    "shape",
    [(5, 4, 3), (4, 600), (64, 64, 3), (64, 64), (16_400, 5), (5, 16_400)],
    ids=lambda shape: "x".join(map(str, shape)),
)
def test_degenerate_sizes_go_the_exact_way(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    assert pdq_fused(pixels) is None
    assert same(pdq(pixels), pdq_exact(pixels))


@pytest.mark.parametrize("value", [0, 1, 77, 128, 255])
def test_flat_pictures_go_the_exact_way(value: int) -> None:
    pixels = np.full((300, 200, 3), value, np.uint8)
    assert pdq_fused(pixels) is None
    assert same(pdq(pixels), pdq_exact(pixels))


@pytest.mark.parametrize("height", [5, 63, 127, 128, 129, 130, 256, 257, 300, 2049, 2200, 4096, 4097, 4200, 8300])
@pytest.mark.parametrize("channels", [1, 3])
def test_samples_are_those_of_the_oracle_at_every_kind_of_window(height: int, channels: int) -> None:
    """Odd and even windows, sums that fit 16 bits whole or in groups of eight, four and two rows."""
    random = np.random.default_rng(height)
    for shape in ((height, 70, channels), (70, height, channels)):
        pixels = random.integers(0, 256, shape, dtype=np.uint8)
        grid = kernels._sampled(pixels)
        assert grid is not None
        luma = twin.luma_double(pixels[:, :, 0] if channels == 1 else pixels)
        assert np.abs(grid - twin.decimate(twin.smooth(luma))).max() < 0.01


@pytest.mark.parametrize("side", [257, 512, 1000, 2050, 4150])
def test_white_is_white_up_to_the_edge(side: int) -> None:
    """The largest values there are: no sum of 16 bits runs over."""
    grid = kernels._sampled(np.full((side, 130, 3), 255, np.uint8))
    assert grid is not None
    assert np.abs(grid - 255).max() < 0.001
