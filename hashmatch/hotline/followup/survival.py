"""How long things last when many have not ended yet: the Kaplan-Meier estimate.

Theory of operation
-------------------
A picture that is still there when one stops looking has lasted at least that long: it is *censored*, and leaving it out
would make every host look faster than it is. The estimate multiplies, over the times at which something ended, the
share of those still at risk that survived it. At equal times an ending comes before a censoring.

Its variance is Greenwood's. The band is pointwise and of 95 %, on the scale of log(-log S), which keeps it between 0
and 1 and is sound for a dozen pictures; where the estimate is 0 or 1 there is none. A quantile is the first time at
which the estimate has come down to it; one that it never came down to is not known, and None.

What this module deliberately does not do: it compares no hosts. A slow host with three pictures proves nothing.

Source: E. L. Kaplan, P. Meier, "Nonparametric estimation from incomplete observations", JASA 53 (1958), 457-481;
M. Greenwood, "The natural duration of cancer", 1926; J. D. Kalbfleisch, R. L. Prentice, "The statistical analysis of
failure time data", 2nd ed. 2002, section 1.4.1 (the band).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

Z_95: Final = 1.959963984540054
"""Quantile of the normal distribution for 95 %, two-sided."""

_SLACK: Final = 1e-12
"""What products of shares may be off by; shares of real samples are further apart."""


@dataclass(frozen=True, slots=True)
class Lasted:
    """How long one thing lasted, in seconds; not ``ended``: at least so long."""

    duration_s: float
    ended: bool


@dataclass(frozen=True, slots=True)
class Step:
    """The estimate from one time to the next.

    ``survival`` is the share that outlasts ``time_s``; ``variance`` is Greenwood's; ``low`` and ``high`` are None where
    there is no band.
    """

    time_s: float
    at_risk: int
    ended: int
    censored: int
    survival: float
    variance: float
    low: float | None
    high: float | None


def curve(lasted: Iterable[Lasted]) -> tuple[Step, ...]:
    """Return the estimate, one step per time at which anything ended or was censored.

    Parameters
    ----------
    lasted : iterable of Lasted
        In any order; durations are not negative.

    """
    every = list(lasted)
    ends = Counter(item.duration_s for item in every if item.ended)
    leaves = Counter(item.duration_s for item in every if not item.ended)
    steps, survival, weight, at_risk = [], 1.0, 0.0, len(every)
    for time in sorted(ends | leaves):
        ended, censored = ends[time], leaves[time]
        survival *= 1 - ended / at_risk
        weight = math.inf if ended == at_risk else weight + ended / (at_risk * (at_risk - ended))
        variance = 0.0 if survival == 0 else survival**2 * weight
        steps.append(Step(time, at_risk, ended, censored, survival, variance, *_band(survival, weight)))
        at_risk -= ended + censored
    return tuple(steps)


def _band(survival: float, weight: float) -> tuple[float | None, float | None]:
    if not 0 < survival < 1:
        return None, None
    width = Z_95 * math.sqrt(weight) / abs(math.log(survival))
    return survival ** math.exp(width), survival ** math.exp(-width)


def quantile_s(steps: Sequence[Step], share: float) -> float | None:
    """Return the time by which a share has ended, in seconds; None where that is not known yet.

    Parameters
    ----------
    steps : sequence of Step
        A curve.
    share : float
        0.5 for the median.

    """
    return next((step.time_s for step in steps if step.survival <= 1 - share + _SLACK), None)
