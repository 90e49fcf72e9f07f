"""How much of a view is blank: what tells a page, a form or a screen from a photograph.

Theory of operation
-------------------
Between any two neighbouring cells of a photograph's 64 x 64 samples there is nearly always a little change: light falls
off, surfaces have texture, sensors have noise. A page has none at all over most of itself. Two pages of one layout
differ in their words only, which are finer than a cell, and so their hashes are those of the layout.
:data:`STILL` lies above the noise of a scan and the rounding of a JPEG, averaged over a cell.

What this module deliberately does not do: it does not judge; the policy has the limit (``max_flat_percent``).

Source: docs/explain/robustness.md, hard negatives.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hashmatch.kernels._jit import float32, int64, kernel, readonly, void, writable
from hashmatch.kernels.views import GRID

Floats = npt.NDArray[np.float32]
Longs = npt.NDArray[np.int64]

STILL: Final = 2.0
"""Neighbouring samples that differ by less, in steps of luma, show no change."""
PAIRS: Final = 2 * GRID * (GRID - 1)


@kernel(void, readonly(float32, 3), writable(int64))
def _flat(grids: Floats, percents: Longs) -> None:
    """Count the neighbours without change.

    Parameters
    ----------
    grids : float32, shape (n, 64, 64), read-only ok
        The samples of each view.
    percents : int64, shape (n,), written
        Their share of all neighbours side by side and one above the other, rounded down.

    """
    for n in range(grids.shape[0]):
        still = np.int32(0)  # 32 bits, also in between: twice as many fit a vector
        for i in range(GRID):
            row = grids[n, i]
            for j in range(GRID - 1):
                still = np.int32(still + np.int32(abs(row[j] - row[j + 1]) < np.float32(STILL)))
        for i in range(GRID - 1):
            upper, lower = grids[n, i], grids[n, i + 1]
            for j in range(GRID):
                still = np.int32(still + np.int32(abs(upper[j] - lower[j]) < np.float32(STILL)))
        percents[n] = 100 * int(still) // PAIRS


def flat_percents(grids: Floats) -> Longs:
    """Return how much of each view shows no change, in percent, rounded down.

    Parameters
    ----------
    grids : float32, shape (n, 64, 64), C order, read-only ok
        The samples of each view.

    Returns
    -------
    numpy.ndarray
        int64, shape (n,).

    """
    percents = np.empty(len(grids), np.int64)
    _flat(grids, percents)
    return percents
