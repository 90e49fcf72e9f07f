"""Charts as SVG that stands in a page: shapes and texts, no style of their own, no script, nothing from elsewhere.

Each returns a :class:`Chart`; the template draws it, so that every text in it is escaped there like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

ROW_PX: Final = 22
LABEL_PX: Final = 210
BARS_PX: Final = 430
VALUE_PX: Final = 130
COLUMNS_PX: Final = 160
"""Height of the columns of a chart over time."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: how long all of it is, and the part of it that matched. In pixels from the left, or from below."""

    label: str
    at_px: float
    length_px: float
    matched_px: float
    said: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars under a title; ``upright`` ones stand side by side, the others lie below each other."""

    title: str
    bars: tuple[Bar, ...]
    upright: bool
    width_px: int
    height_px: int
    thickness_px: float


@dataclass(frozen=True, slots=True)
class Amount:
    """What a bar shows."""

    label: str
    total: int
    matched: int = 0


def lying(title: str, amounts: Sequence[Amount]) -> Chart:
    """Return bars that lie below each other, the longest as wide as the chart."""
    most = max((amount.total for amount in amounts), default=0) or 1
    bars = tuple(
        Bar(amount.label, row * ROW_PX, _part(amount.total, most, BARS_PX), _part(amount.matched, most, BARS_PX),
            _said(amount))
        for row, amount in enumerate(amounts)
    )  # fmt: skip
    return Chart(title, bars, False, LABEL_PX + BARS_PX + VALUE_PX, max(1, len(bars)) * ROW_PX, ROW_PX - 6)  # noqa: FBT003


def standing(title: str, amounts: Sequence[Amount]) -> Chart:
    """Return bars that stand side by side, the longest as high as the chart."""
    most = max((amount.total for amount in amounts), default=0) or 1
    width = LABEL_PX + BARS_PX + VALUE_PX
    step = width / max(1, len(amounts))
    bars = tuple(
        Bar(amount.label, round(column * step, 1), _part(amount.total, most, COLUMNS_PX),
            _part(amount.matched, most, COLUMNS_PX), _said(amount))
        for column, amount in enumerate(amounts)
    )  # fmt: skip
    return Chart(title, bars, True, width, COLUMNS_PX, round(max(1.0, step - 2), 1))  # noqa: FBT003


def _part(amount: int, most: int, length: int) -> float:
    return round(amount / most * length, 1)


def _said(amount: Amount) -> str:
    matched = f", {amount.matched:,} matched" if amount.matched else ""
    return f"{amount.total:,}{matched}"
