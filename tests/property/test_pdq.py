"""The PDQ kernels equal their slow twin, whatever the picture."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hashmatch.hashing.patterns import KINDS, picture
from hashmatch.kernels import _pdq_bits
from hashmatch.kernels.pdq import pdq, pdq_exact, pdq_nearest512, pdq_nearest512_exact
from tests.oracle import pdq as twin

PAIRS = (((pdq, pdq_exact), twin.pdq), ((pdq_nearest512, pdq_nearest512_exact), twin.pdq_nearest512))

sides = st.one_of(
    st.integers(1, 700), st.integers(1, 12), st.sampled_from([64, 127, 128, 129, 256, 384, 385, 512, 513, 640])
)
recipes = st.tuples(st.sampled_from(sorted(KINDS)), sides, sides, st.sampled_from([1, 3]), st.integers(1, 200))


@settings(max_examples=120, deadline=None)
@given(recipes)
@example(("mirrored", 64, 64, 3, 1))
@example(("flat", 700, 700, 3, 1))
@example(("checker", 512, 512, 3, 4))
@example(("noise", 5, 700, 3, 4))
def test_kernel_equals_twin(recipe: tuple[str, int, int, int, int]) -> None:
    pixels = picture(*recipe)
    for kernels, slow in PAIRS:
        hashes, quality = slow(pixels)
        for kernel in kernels:
            result = kernel(pixels)
            assert [row.tobytes().hex() for row in result.hashes] == hashes
            assert result.quality == quality


@settings(max_examples=60, deadline=None)
@given(st.integers(5, 60), st.integers(5, 60), st.data())
def test_kernel_equals_twin_on_arbitrary_pixels(height: int, width: int, data: st.DataObject) -> None:
    """Few distinct values: ties, which is where an order of additions shows."""
    palette = data.draw(st.lists(st.integers(0, 255), min_size=1, max_size=4))
    seed = data.draw(st.integers(0, 2**32 - 1))
    pixels = np.random.default_rng(seed).choice(np.array(palette, np.uint8), (height, width, 3))
    for kernels, slow in PAIRS:
        hashes, quality = slow(pixels)
        for kernel in kernels:
            result = kernel(pixels)
            assert ([row.tobytes().hex() for row in result.hashes], result.quality) == (hashes, quality)


@given(
    st.lists(
        st.sampled_from([-2.5, -1.0, 0.0, 0.25, 1.0, 3e6]) | st.floats(-1e6, 1e6, width=32), min_size=1, max_size=300
    ),
    st.data(),
)
def test_selection_is_sorting(values: list[float], data: st.DataObject) -> None:
    rank = data.draw(st.integers(0, len(values) - 1))
    padded = np.full(-(-len(values) // 16) * 16, np.inf, np.float32)
    padded[: len(values)] = values
    assert _pdq_bits.smallest(padded, rank) == np.sort(padded)[rank]
