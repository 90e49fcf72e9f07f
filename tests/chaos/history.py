"""What was asked and answered, and the oracle that reads it.

Theory of operation
-------------------
The writer of the hash set notes, for each generation, what is in it (:meth:`Oracle.learn`). A caller notes every
answer. At the end each is held against brute force over the generation that it names: the entries within the distance
at which ``pdq`` matches, by counting bits, and the verdict that follows. An answer that names a generation which the
writer never made is wrong, whatever it says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hashmatch.config import PolicyConfig
from hashmatch.errors import HashmatchError
from hashmatch.model import MatchReport, Verdict

WITHIN = PolicyConfig().algorithms["pdq"].match_distance


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the true value of what was asked about, when, and what came."""

    value: bytes
    began_s: float
    took_s: float
    report: MatchReport | None
    failure: str = ""


def distance(one: bytes, other: bytes) -> int:
    """Count the bits in which two values differ."""
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


class Oracle:
    """What each generation holds: entry id to value."""

    def __init__(self) -> None:
        self.generations: dict[str, Mapping[str, bytes]] = {}

    def learn(self, generation: str, entries: Mapping[str, bytes]) -> None:
        """Note what a generation holds; the same name never means two things."""
        assert self.generations.setdefault(generation, dict(entries)) == dict(entries), f"{generation} means two things"

    def wrong(self, call: Call) -> str:
        """Return what is wrong with an answer; empty where it is right."""
        report = call.report
        if report is None or report.verdict is Verdict.NOT_CHECKED:
            return ""
        if report.generation not in self.generations:
            return f"generation {report.generation!r} was never made"
        entries = self.generations[report.generation]
        expected = {name for name, value in entries.items() if distance(value, call.value) <= WITHIN}
        found = {hit.entry.entry_id for hit in report.hits}
        verdict = Verdict.MATCH if expected else Verdict.NO_MATCH
        if (found, report.verdict) != (expected, verdict):
            return f"{report.verdict} with {sorted(found)}, and {verdict} with {sorted(expected)} is right"
        return ""


@dataclass(slots=True)
class History:
    """Every call of a scenario."""

    calls: list[Call] = field(default_factory=list)

    def note(self, value: bytes, began_s: float, ended_s: float, outcome: MatchReport | HashmatchError) -> None:
        """Add one call."""
        took_s = ended_s - began_s
        if isinstance(outcome, HashmatchError):
            self.calls.append(Call(value, began_s, took_s, None, type(outcome).__name__))
        else:
            self.calls.append(Call(value, began_s, took_s, outcome))

    def ok(self) -> list[Call]:
        """Return the calls that were answered with a verdict."""
        return [call for call in self.calls if call.report and call.report.verdict is not Verdict.NOT_CHECKED]

    def not_ok(self) -> Counter[str]:
        """Count the others by what came."""
        return Counter(
            call.failure or (call.report.reason or "not checked" if call.report else "")
            for call in self.calls
            if call.report is None or call.report.verdict is Verdict.NOT_CHECKED
        )

    def wrong(self, oracle: Oracle) -> list[str]:
        """Every answer that is not the right one."""
        return [problem for call in self.calls if (problem := oracle.wrong(call))]


def quantile_ms(calls: Iterable[Call], share: float) -> float:
    """Return how long so large a share of the calls took at most, in milliseconds."""
    times = sorted(call.took_s for call in calls)
    return 1_000 * times[min(len(times) - 1, int(share * len(times)))]
