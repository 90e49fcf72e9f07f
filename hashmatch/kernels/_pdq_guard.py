"""How far the fast way of PDQ may be off: bounds within which its answer counts.

Theory of operation
-------------------
The reference adds and subtracts in float32 along whole rows and columns, and the roundings drift. ``_pdq_fused`` does
not drift, so the two differ: by a few 0.0001 in most coefficients, by more in those that hardly change along one side,
where a drift looks like a signal. A coefficient that is closer to the median than that may lie on the other side of it
in the reference. So nothing of the fast way is used unless it would be the same for every coefficient and every
difference within these bounds; otherwise the exact kernels decide.

The bounds are measured, not proven: four times the largest difference seen in any of 27,239 pictures, for each
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
    [775, 542, 984, 547, 464, 329, 519, 495, 368, 766, 776, 506, 499, 296, 376, 597],
    [542, 231, 187, 103, 94, 76, 92, 77, 80, 80, 64, 60, 44, 69, 59, 63],
    [984, 187, 141, 120, 97, 54, 67, 57, 55, 81, 91, 57, 57, 53, 41, 67],
    [547, 103, 120, 61, 53, 57, 53, 33, 47, 33, 35, 29, 31, 29, 41, 30],
    [464, 94, 97, 53, 50, 40, 37, 49, 33, 37, 31, 40, 25, 24, 27, 35],
    [329, 76, 54, 57, 40, 31, 30, 31, 47, 32, 43, 30, 40, 25, 42, 40],
    [519, 92, 67, 53, 37, 30, 37, 31, 27, 32, 30, 30, 20, 25, 25, 20],
    [495, 77, 57, 33, 49, 31, 31, 49, 36, 40, 25, 30, 30, 20, 25, 40],
    [368, 80, 55, 47, 33, 47, 27, 36, 20, 25, 37, 27, 22, 32, 35, 22],
    [766, 80, 81, 33, 37, 32, 32, 40, 25, 32, 27, 35, 40, 31, 25, 32],
    [776, 64, 91, 35, 31, 43, 30, 25, 37, 27, 30, 30, 25, 22, 47, 25],
    [506, 60, 57, 29, 40, 30, 30, 30, 27, 35, 30, 30, 32, 32, 25, 64],
    [499, 44, 57, 31, 25, 40, 20, 30, 22, 40, 25, 32, 30, 30, 40, 35],
    [296, 69, 53, 29, 24, 25, 25, 20, 32, 31, 22, 32, 30, 30, 30, 35],
    [376, 59, 41, 41, 27, 42, 25, 25, 35, 25, 47, 25, 40, 30, 35, 35],
    [597, 63, 67, 30, 35, 40, 20, 40, 22, 32, 25, 64, 35, 35, 35, 22],
]
# fmt: on
COEFFICIENT_SLACK: Final = _fixed(np.array(_TEN_THOUSANDTHS) / 10_000)
"""How far off each coefficient may be; float32, shape (16, 16)."""

PERCENT_SLACK: Final = np.float32(0.0155)
"""How far off the difference of two neighbouring samples may be, in percent of 255."""
