"""Where calls and answers are counted, timed and traced.

Theory of operation
-------------------
A :class:`Watch` is told by the guard when a call begins and how it ends; a :class:`Watched` stands around the detector
and sees every answer. Both count in one tally and tell one tracer.

What this module deliberately does not do: it changes no answer and looks into no request.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final

from hashmatch.errors import HashmatchError, QuotaExceeded
from hashmatch.identity import caller
from hashmatch.matching.engine import Submission
from hashmatch.matching.given import HashedItem
from hashmatch.matching.rescan import Rescan
from hashmatch.model import MatchReport
from hashmatch.model.hotline import Item, Summary
from hashmatch.model.hotline import Submission as Reported
from hashmatch.service.flooding import Detector
from hashmatch.telemetry import tracing
from hashmatch.telemetry.tally import UNKNOWN, Tally

if TYPE_CHECKING:
    from hashmatch.service.hotline import Checks  # a handler's: it imports gRPC, and a runtime must not

OK: Final = "OK"
CANCELLED: Final = "CANCELLED"
UNIMPLEMENTED: Final = "UNIMPLEMENTED"
"""gRPC's statuses that no error of ours has."""

Failed = Callable[[str, Exception, str], None]
"""Is told a method, what it failed of, and the caller's address as gRPC writes it; empty where it is not known."""


def _unheard(method: str, error: Exception, untrusted_peer: str) -> None:
    """Nobody wants to know."""


class Watch:
    """What the guard tells of calls. Used on one event loop."""

    def __init__(self, tally: Tally | None = None, tracer: tracing.Tracer = tracing.SILENT) -> None:
        self.tally = tally or Tally()
        self.tracer = tracer
        self.failed: Failed = _unheard
        """Told of every call and item of a stream that failed; a runtime that keeps account sets it."""

    def __repr__(self) -> str:
        return f"<Watch: {self.tally!r}>"

    def begin(self, method: str, call: str, untrusted_parent: str, *, timed: bool) -> Watching:
        """Begin to watch a call; a call that is not ``timed`` lasts as long as its caller likes."""
        return Watching(self, method, call, self.tracer.begin(method, call, untrusted_parent), timed=timed)

    def unknown(self) -> None:
        """Count a call of a method that there is not; its name is not kept."""
        self.tally.called(UNKNOWN, UNIMPLEMENTED, UNKNOWN)


class Watching:
    """One call."""

    __slots__ = ("_began_ns", "_call", "_method", "_span", "_timed", "_watch")

    def __init__(self, watch: Watch, method: str, call: str, span: tracing.Span, *, timed: bool) -> None:
        self._watch = watch
        self._method = method
        self._call = call
        self._span = span
        self._timed = timed
        self._began_ns = time.perf_counter_ns()

    def __repr__(self) -> str:
        return f"<Watching {self._method} for {self.ms:.0f} ms>"

    @property
    def ms(self) -> float:
        """How long it has taken, milliseconds."""
        return (time.perf_counter_ns() - self._began_ns) / 1e6

    def end(self, status: str = OK, error: Exception | None = None) -> dict[str, object]:
        """Count how it ended, and return what a log line says of it besides its text."""
        ms, who = self.ms, caller().name
        reason = "" if error is None else reason_of(error)
        self._watch.tally.called(self._method, status, who, round(1e3 * ms) if self._timed else None)
        if error is not None:
            self._watch.tally.failed(self._method, reason, who, quota=isinstance(error, QuotaExceeded))
        self._span.end(status, reason)
        about = {"call": self._call, "method": self._method, "status": status, "ms": round(ms, 1), "caller": who}
        return {**about, "reason": reason} if reason else about


class Watched:
    """A detector whose answers are counted, timed and traced. Rescans are not: they ask about the past."""

    def __init__(self, detector: Detector, watch: Watch) -> None:
        self._detector = detector
        self._watch = watch

    async def detect(self, submission: Submission) -> MatchReport:
        """Answer for one image."""
        report = await self._detector.detect(submission)
        self._watch.tally.image(report)
        self._watch.tracer.stages(report.elapsed_us)
        return report

    async def detect_hashes(self, items: Sequence[HashedItem], sets: frozenset[str] | None = None) -> list[MatchReport]:
        """Answer for hashes that the caller computed, in order."""
        reports = await self._detector.detect_hashes(items, sets)
        self._watch.tracer.stages(self._watch.tally.batch(reports))
        return reports

    def served_sets(self) -> Collection[str]:
        """Return the names of the sets of the current generation."""
        return self._detector.served_sets()

    def rescan(self, since: str, sets: frozenset[str] | None = None) -> Rescan:
        """Begin to hold kept hashes against what is new."""
        return self._detector.rescan(since, sets)


class WatchedChecks:
    """Checks of addresses whose outcomes are counted."""

    def __init__(self, checks: Checks, tally: Tally) -> None:
        self._checks = checks
        self._tally = tally

    async def check(
        self, submissions: Sequence[Reported], *, respect_robots: bool
    ) -> AsyncGenerator[Item | Summary, None]:
        """Yield what the checks yield; closing it closes them."""
        answers = self._checks.check(submissions, respect_robots=respect_robots)
        try:
            async for answer in answers:
                self._tally.checked("image" if isinstance(answer, Item) else "address", answer.outcome.value)
                yield answer
        finally:
            await answers.aclose()


def reason_of(error: Exception) -> str:
    """Return the name of an error; a defect is one of ours."""
    return type(error).reason() if isinstance(error, HashmatchError) else HashmatchError.reason()
