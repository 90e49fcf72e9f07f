"""How far the fast way of PDQ may be off: bounds within which its answer counts.

Theory of operation
-------------------
The reference adds and subtracts in float32 along whole rows and columns, and the roundings drift. ``_pdq_fused`` does
not drift, so the two differ: by a few 0.0001 in most coefficients, by more in those that hardly change along one side,
where a drift looks like a signal. A coefficient that is closer to the median than that may lie on the other side of it
in the reference. So nothing of the fast way is used unless it would be the same for every coefficient and every
difference within these bounds; otherwise the exact kernels decide.

The bounds are measured, not proven: four times the largest difference seen in any of 4,319 pictures, for each
coefficient and its mirror image. A bound that follows from the number of roundings would be a hundred times as wide
and would let nothing pass. docs/explain/pdq.md has the figures.

What this module deliberately does not do: it computes nothing. ``_pdq_bits`` compares.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def _fixed(values: npt.ArrayLike) -> Floats:
    """Return a float32 array that nobody can change."""
    array = np.array(values, np.float32)
    array.flags.writeable = False
    return array


# fmt: off
_TEN_THOUSANDTHS: Final = [
    [775, 492, 984, 434, 212, 316, 419, 306, 197, 280, 200, 233, 237, 240, 306, 278],
    [492, 231, 187, 73, 78, 64, 58, 69, 55, 60, 64, 58, 39, 49, 59, 63],
    [984, 187, 111, 120, 97, 47, 48, 34, 31, 31, 30, 31, 37, 30, 31, 28],
    [434, 73, 120, 44, 27, 57, 40, 27, 37, 26, 27, 20, 22, 21, 20, 21],
    [212, 78, 97, 27, 27, 23, 19, 35, 30, 25, 18, 16, 15, 16, 15, 15],
    [316, 64, 47, 57, 23, 17, 22, 18, 21, 15, 21, 30, 19, 14, 14, 16],
    [419, 58, 48, 40, 19, 22, 30, 21, 16, 17, 13, 22, 17, 14, 14, 13],
    [306, 69, 34, 27, 35, 18, 21, 11, 13, 15, 11, 14, 17, 15, 11, 12],
    [197, 55, 31, 37, 30, 21, 16, 13, 11, 13, 12, 11, 10, 14, 11, 12],
    [280, 60, 31, 26, 25, 15, 17, 15, 13, 13, 10, 11, 10, 8, 10, 10],
    [200, 64, 30, 27, 18, 21, 13, 11, 12, 10, 10, 13, 12, 11, 8, 9],
    [233, 58, 31, 20, 16, 30, 22, 14, 11, 11, 13, 8, 9, 12, 8, 10],
    [237, 39, 37, 22, 15, 19, 17, 17, 10, 10, 12, 9, 8, 12, 8, 9],
    [240, 49, 30, 21, 16, 14, 14, 15, 14, 8, 11, 12, 12, 7, 8, 9],
    [306, 59, 31, 20, 15, 14, 14, 11, 11, 10, 8, 8, 8, 8, 7, 7],
    [278, 63, 28, 21, 15, 16, 13, 12, 12, 10, 9, 10, 9, 9, 7, 7],
]
# fmt: on
COEFFICIENT_SLACK: Final = _fixed(np.array(_TEN_THOUSANDTHS) / 10_000)
"""How far off each coefficient may be; float32, shape (16, 16)."""

PERCENT_SLACK: Final = np.float32(0.0104)
"""How far off the difference of two neighbouring samples may be, in percent of 255."""
