"""Time to takedown: from the first notice to the first confirmed absence, by host and by country.

Theory of operation
-------------------
A :class:`Subject` is one watched picture with what is known of its end. It counts when somebody was told and the
picture was looked at since; what was gone before the notice is counted apart, because no notice removed it. A picture
that is still there, or behind a login, is censored at the last look (``survival``). Its time ends at the look that
found it gone, so it is too long by up to the distance of two looks: with the usual schedule an hour at first, a day
later.

A picture that came back had its takedown all the same; ``returned`` counts it.

What this module deliberately does not do: it reads no job, and it does not say whose merit a takedown is.

Source: reference formats §4.1, step 6, and §4.4.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from hashmatch.drawing import canvas, saved
from hashmatch.hotline.followup.survival import Lasted, Step, curve, quantile_s

_HOUR_S: Final = 3_600.0
_DIGITS: Final = 6
_NORM_S: Final = 24 * _HOUR_S
"""Within which the Dutch hotline's agreement with providers wants material removed."""

FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "by": "`all`, `host` or `country`",
        "key": "the host, or the country's code; empty: not known",
        "watched": "pictures",
        "notified": "of them, those that somebody was told of and that were looked at since",
        "gone": "of the notified, those confirmed gone after the notice",
        "still_there": "of the notified, those that were not gone at the last look",
        "gone_before": "gone before the notice, and in no figure",
        "returned": "pictures that came back",
        "median_h": "hours from notice to takedown, Kaplan-Meier; empty: not known yet",
        "p75_h": "by when three quarters were gone, hours",
        "p90_h": "by when nine in ten were gone, hours",
        "gone_within_24h": "estimated share; empty: nothing was watched for so long",
    }
)
"""Columns of the figures and keys of a line."""

CURVE_FIELDS: Final = ("time_h", "at_risk", "gone", "censored", "still_there", "low", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One watched picture. ``looked_at`` is the last look."""

    host: str
    country: str = ""
    notified_at: dt.datetime | None = None
    gone_at: dt.datetime | None = None
    looked_at: dt.datetime | None = None
    returns: int = 0

    @property
    def gone_before(self) -> bool:
        """Whether it was gone before anybody was told."""
        return self.notified_at is not None and self.gone_at is not None and self.gone_at < self.notified_at

    @property
    def lasted(self) -> Lasted | None:
        """How long it stayed after the notice; None where it has no part in the figures."""
        if self.notified_at is None or self.looked_at is None or self.gone_before:
            return None
        if self.gone_at is not None:
            return Lasted((self.gone_at - self.notified_at).total_seconds(), ended=True)
        if self.looked_at <= self.notified_at:
            return None
        return Lasted((self.looked_at - self.notified_at).total_seconds(), ended=False)


_KEYS: Final[tuple[tuple[str, Callable[[Subject], str]], ...]] = (
    ("all", lambda _subject: ""),
    ("host", lambda subject: subject.host),
    ("country", lambda subject: subject.country),
)


def figures(subjects: Iterable[Subject]) -> Iterator[dict[str, object]]:
    """Yield figures over all, then by host, then by country, each in the order of the keys."""
    every = list(subjects)
    for by, key_of in _KEYS:
        groups: dict[str, list[Subject]] = {}
        for subject in every:
            groups.setdefault(key_of(subject), []).append(subject)
        for key in sorted(groups):
            yield {"by": by, "key": key, **_figures(groups[key])}


def _figures(subjects: Sequence[Subject]) -> dict[str, object]:
    lasted = [item for subject in subjects if (item := subject.lasted) is not None]
    steps = curve(lasted)
    gone = sum(item.ended for item in lasted)
    return {
        "watched": len(subjects),
        "notified": len(lasted),
        "gone": gone,
        "still_there": len(lasted) - gone,
        "gone_before": sum(subject.gone_before for subject in subjects),
        "returned": sum(subject.returns > 0 for subject in subjects),
        "median_h": _hours(quantile_s(steps, 0.5)),
        "p75_h": _hours(quantile_s(steps, 0.75)),
        "p90_h": _hours(quantile_s(steps, 0.9)),
        "gone_within_24h": _within(steps, _NORM_S),
    }


def _hours(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds / _HOUR_S, _DIGITS)


def _within(steps: Sequence[Step], duration_s: float) -> float | None:
    """Return the share that is gone after a time; None where nothing was at risk any more and something was left."""
    if not steps or (steps[-1].time_s < duration_s and steps[-1].survival > 0):
        return None
    reached = [step for step in steps if step.time_s <= duration_s]
    return round(1 - reached[-1].survival, _DIGITS) if reached else 0.0


def survival(subjects: Iterable[Subject]) -> tuple[Step, ...]:
    """Return the curve over all subjects."""
    return curve(item for subject in subjects if (item := subject.lasted) is not None)


def curve_rows(steps: Iterable[Step]) -> Iterator[dict[str, object]]:
    """Yield the points of a curve under :data:`CURVE_FIELDS`; bounds are None where there is no band."""
    for step in steps:
        low, high = (None if bound is None else round(bound, _DIGITS) for bound in (step.low, step.high))
        cells = (_hours(step.time_s), step.at_risk, step.ended, step.censored, round(step.survival, _DIGITS), low, high)
        yield dict(zip(CURVE_FIELDS, cells, strict=True))


def as_json(rows: Iterable[Mapping[str, object]]) -> bytes:
    """Return rows as a JSON array."""
    return json.dumps(list(rows), ensure_ascii=False, indent=1).encode() + b"\n"


def plot(steps: Sequence[Step], *, kind: str = "svg") -> bytes:
    """Draw the share still there over hours since the notice, with its band; as SVG or PNG.

    Raises
    ------
    BadConfig
        matplotlib is not installed.

    """
    figure, axes, settings = canvas(8, 4.5)
    hours = [0.0, *(step.time_s / _HOUR_S for step in steps)]
    axes.step(hours, [1.0, *(step.survival for step in steps)], where="post", color="#0071bc", label="still there")
    banded: list[tuple[float, float, float]] = [
        (step.time_s / _HOUR_S, step.low, step.high) for step in steps if step.low is not None and step.high is not None
    ]
    if banded:
        times, lows, highs = zip(*banded, strict=True)
        axes.fill_between(times, lows, highs, step="post", color="#0071bc", alpha=0.2, label="95 % band", linewidth=0)
    _mark(axes, [step for step in steps if step.censored])
    axes.set_xlabel("hours since the notice")
    axes.set_ylabel("share of pictures still there")
    axes.set_ylim(0, 1.02)
    axes.set_xlim(left=0)
    return saved(figure, axes, settings, legend=True, kind=kind)


def _mark(axes: Any, censored: Sequence[Step]) -> None:
    if censored:
        at = [step.time_s / _HOUR_S for step in censored]
        axes.plot(at, [step.survival for step in censored], "|", color="#444444", label="last look")
