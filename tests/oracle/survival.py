"""The slow twin of ``hashmatch.hotline.followup.survival``: mass moved to the right, in fractions.

B. Efron's construction (1967): each of n things carries 1/n. From left to right, whatever was censored hands its mass
in equal parts to everything that lasted longer. What is left of a time is then the estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def survival(lasted: Sequence[tuple[float, bool]], time: float) -> Fraction:
    """Share that outlasts ``time``; pairs are durations, and whether they ended."""
    ordered = sorted(lasted, key=lambda item: (item[0], not item[1]))
    mass = [Fraction(1, len(ordered))] * len(ordered)
    for place, (duration, ended) in enumerate(ordered):
        if not ended and duration <= time:
            right = range(place + 1, len(ordered))
            for other in right:
                mass[other] += mass[place] / len(right)
            if right:
                mass[place] = Fraction(0)
    return sum(
        (m for m, (duration, ended) in zip(mass, ordered, strict=True) if duration > time or not ended), Fraction(0)
    )


def variance(lasted: Sequence[tuple[float, bool]], time: float) -> Fraction:
    """Greenwood's sum, straight from its definition."""
    total = Fraction(0)
    for moment in sorted({duration for duration, ended in lasted if ended and duration <= time}):
        at_risk = sum(duration >= moment for duration, _ in lasted)
        ended = sum(duration == moment and over for duration, over in lasted)
        if at_risk == ended:
            return Fraction(0)
        total += Fraction(ended, at_risk * (at_risk - ended))
    return survival(lasted, time) ** 2 * total
