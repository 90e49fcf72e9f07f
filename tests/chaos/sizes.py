"""How much of everything a run does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Counts are exact; seconds are how long a load runs."""

    kills: int
    reloads: int
    compact_every: int
    cancelled: int
    resets: int
    mutated: int
    half_open: int
    slow_s: float
    quiet_s: float
    canaries: int
    jumps: int
    power_cuts: int


SHORT = Sizes(
    kills=15, reloads=60, compact_every=20, cancelled=20_000, resets=2_000, mutated=2_000, half_open=100, slow_s=1.0,
    quiet_s=0.2, canaries=20, jumps=9, power_cuts=1,
)  # fmt: skip


def sizes_for(minutes: float) -> Sizes:
    """Return the sizes that take about so many minutes on two cores; the short form for 0.

    Ten minutes reach the counts of the goals: 1,000 reloads, a million cancelled calls, 100,000 mutated images.
    """
    if not minutes:
        return SHORT
    share = minutes / 10
    return Sizes(
        kills=max(15, round(300 * share)),
        reloads=max(60, round(1_000 * share)),
        compact_every=20,
        cancelled=max(20_000, round(1_000_000 * share)),
        resets=max(2_000, round(20_000 * share)),
        mutated=max(2_000, round(100_000 * share)),
        half_open=1_000 if minutes >= 1 else 100,
        slow_s=max(1.0, 20 * share),
        quiet_s=max(1.0, 20 * share),
        canaries=max(20, round(500 * share)),
        jumps=max(9, round(150 * share)),
        power_cuts=max(1, round(15 * share)),
    )
