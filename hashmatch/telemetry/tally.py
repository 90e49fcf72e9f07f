"""Counts and times of one process, in memory.

Theory of operation
-------------------
A :class:`Tally` is a handful of dictionaries; counting an answer to an image is some ten increments, no lock, no
allocation that stays. It is used on the event loop alone, and :meth:`Tally.copy` hands others a value of their own.
Times go into buckets of :data:`BOUNDS_US`, from which rates and quantiles of any interval can be had by subtracting.

Names of sets and callers are labels in somebody's database, where each costs memory for ever: the first so many are
kept, further ones count as :data:`OTHER`. A batch of hashes is timed as one, so that ten thousand of them cost no more
than one image.

What this module deliberately does not do: it knows no Prometheus, reads no clock, and forgets nothing.
"""

from __future__ import annotations

import bisect
import collections
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from hashmatch.model import MatchReport
from hashmatch.report.status import CallCount, Latency, SetMatches, Traffic

BOUNDS_US: Final = (
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
)  # fmt: skip
"""Inclusive upper bounds of the buckets, microseconds: a search takes some tens, the slowest image ten seconds."""

OTHER: Final = "other"
"""Stands for every name beyond the limit."""
UNKNOWN: Final = "unknown"
"""Stands for every method that there is not: its name is the caller's text."""

IMAGE: Final = "image"
HASHES: Final = "hashes"
"""What was asked about: one image, or a batch of hashes."""

Labels = tuple[str, ...]


class Histogram:
    """How often something took how long."""

    __slots__ = ("counts", "sum_us")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_US) + 1)
        self.sum_us = 0

    def __repr__(self) -> str:
        return f"<Histogram: {sum(self.counts)} in {self.sum_us} us>"

    def observe(self, took_us: int) -> None:
        """Add one."""
        self.counts[bisect.bisect_left(BOUNDS_US, took_us)] += 1
        self.sum_us += took_us


@dataclass(frozen=True, slots=True)
class Counts:
    """What a tally held at one moment; keys are labels in the order that each field names.

    ``calls`` method, status · ``errors`` method, reason · ``callers`` name, status · ``refused`` caller (quota) ·
    ``items`` stream, status · ``durations`` method · ``stages`` kind, stage · ``verdicts`` kind, verdict · ``matches``
    set, verdict · ``quarantines`` set · ``deliveries`` outlet, outcome · ``checked`` address or image, outcome.
    """

    calls: Mapping[Labels, int] = field(default_factory=dict)
    errors: Mapping[Labels, int] = field(default_factory=dict)
    callers: Mapping[Labels, int] = field(default_factory=dict)
    refused: Mapping[Labels, int] = field(default_factory=dict)
    items: Mapping[Labels, int] = field(default_factory=dict)
    verdicts: Mapping[Labels, int] = field(default_factory=dict)
    matches: Mapping[Labels, int] = field(default_factory=dict)
    quarantines: Mapping[Labels, int] = field(default_factory=dict)
    deliveries: Mapping[Labels, int] = field(default_factory=dict)
    checked: Mapping[Labels, int] = field(default_factory=dict)
    durations: Mapping[Labels, Latency] = field(default_factory=dict)
    stages: Mapping[Labels, Latency] = field(default_factory=dict)


_COUNTERS: Final = (
    "calls", "errors", "callers", "refused", "items", "verdicts", "matches", "quarantines", "deliveries", "checked",
)  # fmt: skip


class Tally:
    """Counts for as long as the process lives. Used on one event loop.

    Parameters
    ----------
    max_sets, max_callers : int
        Names that are kept apart.

    """

    def __init__(self, max_sets: int = 100, max_callers: int = 100) -> None:
        self._sets = _Names(max_sets)
        self._callers = _Names(max_callers)
        self._counters: dict[str, collections.Counter[Labels]] = {name: collections.Counter() for name in _COUNTERS}
        self._durations: collections.defaultdict[Labels, Histogram] = collections.defaultdict(Histogram)
        self._stages: collections.defaultdict[Labels, Histogram] = collections.defaultdict(Histogram)

    def __repr__(self) -> str:
        return f"<Tally: {self._counters['calls'].total()} calls, {self._counters['verdicts'].total()} answers>"

    # --- counting ----------------------------------------------------------------------------------------------------

    def called(self, method: str, status: str, caller: str, took_us: int | None = None) -> None:
        """Count a call that ended; without a time where how long it took is the caller's choice, as for a stream."""
        counters = self._counters
        counters["calls"][method, status] += 1
        counters["callers"][self._callers.label(caller), status] += 1
        if took_us is not None:
            self._durations[(method,)].observe(took_us)

    def failed(self, method: str, reason: str, caller: str, *, quota: bool = False) -> None:
        """Count why a call failed, and whom the quota refused."""
        self._counters["errors"][method, reason] += 1
        if quota:
            self._counters["refused"][(self._callers.label(caller),)] += 1

    def item(self, stream: str, status: str) -> None:
        """Count an item of a stream that goes on whatever becomes of the item."""
        self._counters["items"][stream, status] += 1

    def image(self, report: MatchReport) -> None:
        """Count the answer to one image."""
        stages = self._stages
        for stage, took_us in report.elapsed_us.items():
            stages[IMAGE, stage].observe(took_us)
        self._counters["verdicts"][IMAGE, report.verdict.value] += 1
        self._matched(report)

    def batch(self, reports: Sequence[MatchReport]) -> Mapping[str, int]:
        """Count the answers to a batch of hashes, and return the time of its stages over all, microseconds."""
        sums: collections.Counter[str] = collections.Counter()
        for report in reports:
            for stage, took_us in report.elapsed_us.items():
                sums[stage] += took_us
            self._matched(report)
        for verdict, count in collections.Counter([report.verdict for report in reports]).items():
            self._counters["verdicts"][HASHES, verdict.value] += count
        for stage, took_us in sums.items():
            self._stages[HASHES, stage].observe(took_us)
        return sums

    def quarantined(self, set_name: str) -> None:
        """Count an entry that the flood guard put into quarantine."""
        self._counters["quarantines"][(self._sets.label(set_name),)] += 1

    def delivered(self, outlet: str, outcome: str) -> None:
        """Count what came of one try to deliver; outlets are those of the configuration."""
        self._counters["deliveries"][outlet, outcome] += 1

    def checked(self, what: str, outcome: str) -> None:
        """Count how the check of one address, or of one image of it, ended."""
        self._counters["checked"][what, outcome] += 1

    def _matched(self, report: MatchReport) -> None:
        if report.hits:
            for set_name, verdict in {(hit.entry.set_name, hit.verdict.value) for hit in report.hits}:
                self._counters["matches"][self._sets.label(set_name), verdict] += 1

    # --- telling -----------------------------------------------------------------------------------------------------

    def copy(self) -> Counts:
        """Return everything as it is now."""
        return Counts(
            **{name: MappingProxyType(dict(counter)) for name, counter in self._counters.items()},
            durations=_latencies(self._durations),
            stages=_latencies(self._stages),
        )

    def traffic(self) -> Traffic:
        """Return what ``GetStatus`` tells of it: calls, times of images by stage, verdicts, sets."""
        counters = self._counters
        return Traffic(
            bounds_us=BOUNDS_US,
            calls=tuple(CallCount(key[0], key[1], count) for key, count in sorted(counters["calls"].items())),
            stages={key[1]: item for key, item in sorted(_latencies(self._stages).items()) if key[0] == IMAGE},
            matches=tuple(SetMatches(key[0], key[1], count) for key, count in sorted(counters["matches"].items())),
            verdicts=_verdicts(counters["verdicts"]),
        )


class _Names:
    """The first so many names, and one for all others."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: set[str] = set()

    def __repr__(self) -> str:
        return f"<_Names: {len(self._kept)} of at most {self._most}>"

    def label(self, name: str) -> str:
        """Return the name, or what stands for it."""
        if name in self._kept:
            return name
        if len(self._kept) >= self._most:
            return OTHER
        self._kept.add(name)
        return name


def _latencies(histograms: Mapping[Labels, Histogram]) -> Mapping[Labels, Latency]:
    return {key: Latency(tuple(item.counts), item.sum_us) for key, item in histograms.items()}


def _verdicts(counter: Mapping[Labels, int]) -> dict[str, int]:
    sums: collections.Counter[str] = collections.Counter()
    for (_, verdict), count in sorted(counter.items()):
        sums[verdict] += count
    return dict(sums)
