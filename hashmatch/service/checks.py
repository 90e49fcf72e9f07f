"""What readiness is composed of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of readiness. ``passes`` answers at once, from memory: it must not block."""

    name: str
    passes: Callable[[], bool]
