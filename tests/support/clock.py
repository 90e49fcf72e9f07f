"""A clock for clients that is moved by looking at it: their patience ends after so many attempts, not with time."""

from __future__ import annotations

import contextlib
import itertools
import types
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def ticking_clock(step_s: float) -> Iterator[None]:
    """Have both clients read a clock that advances by ``step_s`` whenever it is read."""
    looks = itertools.count()
    clock = types.SimpleNamespace(monotonic=lambda: step_s * next(looks))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hashmatch.client.aio.time", clock)
        patch.setattr("hashmatch.client.sync.time", clock)
        yield
