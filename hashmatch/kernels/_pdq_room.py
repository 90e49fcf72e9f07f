"""Room for PDQ: the weights and buffers of pictures of one shape, kept by each thread for the next picture.

Theory of operation
-------------------
Pictures often come in one size: frames, views, whatever a platform scales to. Allocating and filling ten arrays took as
long as the transform, and fresh memory costs a page fault every 4 KiB. So a thread keeps the arrays of the shape it
hashed last: of the fast way a line, of the exact one about a twentieth of the picture's bytes.

What is called zero is zero when it is made, and no kernel writes to it, or it is made zero again for each picture.

What this module deliberately does not do: it computes nothing, and keeps one shape, not several. What was written
there, sums over the picture's rows, stays until the next picture or the end of the thread.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hashmatch.kernels import _pdq_filter as box
from hashmatch.kernels import _pdq_fused as fused
from hashmatch.kernels._vectors import LANES

Floats = npt.NDArray[np.float32]


class Weights(NamedTuple):
    """Arguments of ``_pdq_fused.sample`` that depend on the shape of the picture."""

    rows: npt.NDArray[np.uint16]
    rows_as_floats: Floats
    columns: Floats
    starts: npt.NDArray[np.int64]


class Exact(NamedTuple):
    """Arguments of ``_pdq_filter.filter_rows``, in its order and with its shapes."""

    lines: Floats
    strip: Floats
    steps: Floats
    samples: Floats
    ring: Floats
    column_sums: Floats
    narrow: Floats


class _Kept(threading.local):
    """What this thread made last, and for which shape."""

    fast_shape: tuple[int, int, int] = (0, 0, 0)
    fast: tuple[Weights, Floats]
    exact_shape: tuple[int, int] = (0, 0)
    exact: Exact


_KEPT = _Kept()


def fast(height: int, width: int, channels: int) -> tuple[Weights, Floats]:
    """Return the weights, and a line of float32, shape (channels * width + padded,), with zeros behind the picture."""
    if _KEPT.fast_shape != (height, width, channels):
        window_x, window_y = box.window_of(width), box.window_of(height)
        reach = -(-(2 * window_x - 1) * channels // LANES) * LANES
        weights = Weights(
            np.empty(2 * window_y - 1, np.uint16),
            np.empty((2, 2 * window_y - 1), np.float32),
            np.zeros((2, reach), np.float32),
            np.empty(box.GRID, np.int64),
        )
        fused.weigh_rows(window_y, weights.rows, weights.rows_as_floats)
        fused.weigh_columns(window_x, window_y, channels, weights.columns)
        fused.place(width, window_x, channels, weights.starts)
        _KEPT.fast = weights, np.zeros(width * channels + reach, np.float32)
        _KEPT.fast_shape = height, width, channels
    return _KEPT.fast


def exact(height: int, width: int) -> Exact:
    """Return the buffers of the exact way; what must be zero is."""
    if _KEPT.exact_shape != (height, width):
        window, lead = box.window_of(width), box.lead_of(width)
        pitch = -(-width // LANES) * LANES
        _KEPT.exact = Exact(
            lines=np.zeros((2, LANES, pitch), np.float32),
            strip=np.zeros((window + pitch + lead, LANES), np.float32),
            steps=np.empty((max(LANES, width // box.GRID + lead + 1), LANES), np.float32),
            samples=np.empty((box.GRID + 1, LANES), np.float32),
            ring=np.empty((box.window_of(height) + LANES, width), np.float32),
            column_sums=np.empty(width, np.float32),
            narrow=np.empty((height + LANES, box.GRID), np.float32),
        )
        _KEPT.exact_shape = height, width
    _KEPT.exact.column_sums.fill(0)
    return _KEPT.exact
