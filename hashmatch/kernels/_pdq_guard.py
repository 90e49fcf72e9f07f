"""How far the fast way of PDQ may be off: bounds within which its answer counts.

Theory of operation
-------------------
The reference adds and subtracts in float32 along whole rows and columns, and the roundings drift. ``_pdq_fused`` does
not drift, so the two differ: by a few 0.0001 in most coefficients, by more in those that hardly change along one side,
where a drift looks like a signal. A coefficient that is closer to the median than that may lie on the other side of it
in the reference. So nothing of the fast way is used unless it would be the same for every coefficient and every
difference within these bounds; otherwise the exact kernels decide.

The bounds are measured, not proven: four times the largest difference seen in any of 16,148 pictures, for each
coefficient and its mirror image (``tests/oracle/pdq_slack.py``). A bound that follows from the number of roundings
would be a hundred times as wide and would let nothing pass. docs/explain/pdq.md has the figures.

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
    [775, 542, 984, 547, 295, 316, 519, 419, 368, 280, 776, 506, 499, 242, 324, 429],
    [542, 231, 187, 103, 94, 76, 92, 77, 80, 80, 64, 60, 44, 69, 59, 63],
    [984, 187, 141, 120, 97, 54, 67, 46, 55, 43, 91, 57, 57, 41, 37, 44],
    [547, 103, 120, 61, 53, 57, 53, 33, 45, 33, 31, 27, 22, 23, 41, 30],
    [295, 94, 97, 53, 50, 33, 31, 35, 33, 37, 31, 28, 25, 21, 17, 22],
    [316, 76, 54, 57, 33, 28, 30, 25, 47, 26, 23, 30, 19, 15, 15, 17],
    [519, 92, 67, 53, 31, 30, 30, 30, 18, 32, 21, 22, 18, 18, 14, 20],
    [419, 77, 46, 33, 35, 25, 30, 22, 25, 19, 21, 19, 21, 20, 15, 35],
    [368, 80, 55, 45, 33, 47, 18, 25, 15, 23, 21, 14, 15, 15, 14, 14],
    [280, 80, 43, 33, 37, 26, 32, 19, 23, 15, 18, 35, 17, 31, 17, 18],
    [776, 64, 91, 31, 31, 23, 21, 21, 21, 18, 13, 13, 13, 18, 18, 13],
    [506, 60, 57, 27, 28, 30, 22, 19, 14, 35, 13, 22, 13, 30, 18, 11],
    [499, 44, 57, 22, 25, 19, 18, 21, 15, 17, 13, 13, 13, 16, 15, 16],
    [242, 69, 41, 23, 21, 15, 18, 20, 15, 31, 18, 30, 16, 21, 10, 20],
    [324, 59, 37, 41, 17, 15, 14, 15, 14, 17, 18, 18, 15, 10, 14, 14],
    [429, 63, 44, 30, 22, 17, 20, 35, 14, 18, 13, 11, 16, 20, 14, 16],
]
# fmt: on
COEFFICIENT_SLACK: Final = _fixed(np.array(_TEN_THOUSANDTHS) / 10_000)
"""How far off each coefficient may be; float32, shape (16, 16)."""

PERCENT_SLACK: Final = np.float32(0.0155)
"""How far off the difference of two neighbouring samples may be, in percent of 255."""
