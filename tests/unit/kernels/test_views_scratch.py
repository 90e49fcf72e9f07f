"""Scratch memory holds whatever was there before: no sample may depend on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hashmatch.kernels.views import Rectangle, samples


def test_samples_do_not_depend_on_what_memory_held(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, real = np.random.default_rng(1), np.empty
    luma = rng.uniform(0, 255, (170, 230)).astype(np.float32)
    corners = np.sort(rng.uniform(0, (170, 230), (60, 2, 2)), axis=1) + np.array(((0, 0), (2, 2)))
    parts = [Rectangle(left, top, right, bottom) for (top, left), (bottom, right) in corners.tolist()]
    expected = [samples(luma, np.array([part], np.float32)) for part in parts]

    def poisoned(*arguments: Any, **named: Any) -> np.ndarray:
        made = real(*arguments, **named)
        made.fill(np.nan if made.dtype.kind == "f" else 0)
        return made

    monkeypatch.setattr(np, "empty", poisoned)
    for part, grid in zip(parts, expected, strict=True):
        assert np.array_equal(samples(luma, np.array([part], np.float32)), grid)
