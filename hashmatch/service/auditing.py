"""What stands around everything else for the sake of the audit: a record of each call and of each change.

Theory of operation
-------------------
:class:`Audited` is the outermost detector, so that what it records is what is answered. A call that cannot be recorded
is refused before it is begun, where the audit is required. What is recorded is put together later, in the log's thread:
here a function is bound to the answer and a few numbers, never over an image.

:class:`Recorder` is the ``auditor`` that the rest of the service tells of changes.

What this module deliberately does not do: it knows no gRPC and no disk, and it authenticates nobody; ``identity`` says
who calls.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import hashmatch
from hashmatch.audit import AuditLog, wording
from hashmatch.audit.wording import Asked, Batch, Checked, Outcome
from hashmatch.config import Config, fingerprint
from hashmatch.errors import HashmatchError, LedgerUnavailable
from hashmatch.identity import caller
from hashmatch.matching.engine import Submission
from hashmatch.matching.given import HashedItem
from hashmatch.matching.rescan import Rescan
from hashmatch.model import MatchReport
from hashmatch.model.hotline import Item, Summary
from hashmatch.model.hotline import Submission as Reported
from hashmatch.sandbox.posture import Posture
from hashmatch.service.auditor import Body
from hashmatch.service.flooding import Detector

if TYPE_CHECKING:  # it has handlers, and with them gRPC
    from hashmatch.service.hotline import Checks


RETAIN_EVERY_S: Final = 6 * 3_600.0
"""Between two looks for records that were kept long enough; a file of them lasts for hours."""


class Recorder:
    """The auditor over a log. ``who`` names the caller of the call being served."""

    def __init__(self, log: AuditLog, who: Callable[[], str] = lambda: caller().name) -> None:
        self.log = log
        self.who = who

    def __repr__(self) -> str:
        return f"<Recorder in {self.log!r}>"

    def admit(self) -> None:
        """Refuse what could not be recorded. Raises LedgerUnavailable, only where the audit is required."""
        self.log.admit()

    def event(self, kind: str, body: Body) -> None:
        """Record a change. Raises LedgerUnavailable, only where the audit is required."""
        self.log.post(kind, {"caller": self.who(), **body})

    def entry(self, kind: str, set_id: str, entry_id: str, body: Body) -> None:
        """Record a change to an entry. Raises as :meth:`event`."""
        digest = self.log.pseudonyms.of_entry(set_id, entry_id)
        self.event(kind, {**body, "set_id": set_id, "entry": digest})


class Audited:
    """A detector whose every call is recorded, whatever becomes of it."""

    def __init__(self, detector: Detector, recorder: Recorder) -> None:
        self._detector = detector
        self._recorder = recorder
        self._log = recorder.log

    async def detect(self, submission: Submission) -> MatchReport:
        """Answer for one image. Raises LedgerUnavailable besides, where the audit is required."""
        self._log.admit()
        call, size_bytes = _Call(self._recorder.who(), submission.sets), len(submission.image)
        report: MatchReport | None = None
        try:
            with call.outcome():
                report = await self._detector.detect(submission)
        finally:
            body = functools.partial(wording.of_image, call.asked(), size_bytes, report, self._log.pseudonyms)
            self._log.post(wording.DETECT, body)
        return report

    async def detect_hashes(self, items: Sequence[HashedItem], sets: frozenset[str] | None = None) -> list[MatchReport]:
        """Answer for hashes that the caller computed, in order. Raises as :meth:`detect`."""
        self._log.admit()
        call = _Call(self._recorder.who(), sets)
        reports: list[MatchReport] = []
        try:
            with call.outcome():
                reports = await self._detector.detect_hashes(items, sets)
        finally:
            batch = Batch([item.hashes for item in items], reports)
            for part, numbers in enumerate(wording.divided(reports)):
                body = functools.partial(wording.of_batch, call.asked(), batch, part, numbers, self._log.pseudonyms)
                self._log.post(wording.DETECT_HASHES, body)
        return reports

    def served_sets(self) -> Collection[str]:
        """Return the names of the sets of the current generation."""
        return self._detector.served_sets()

    def rescan(self, since: str, sets: frozenset[str] | None = None) -> Rescan:
        """Begin to hold kept hashes against what is new. Raises as :meth:`detect`."""
        self._log.admit()
        rescan = self._detector.rescan(since, sets)
        self._recorder.event(wording.RESCAN, {"all_sets": sets is None})
        return rescan


class AuditedChecks:
    """Checks of addresses, recorded when they begin, as they may take hours, and when they end, however they do."""

    def __init__(self, checks: Checks, recorder: Recorder) -> None:
        self._checks = checks
        self._recorder = recorder

    async def check(
        self, submissions: Sequence[Reported], *, respect_robots: bool
    ) -> AsyncGenerator[Item | Summary, None]:
        """Yield what the checks yield; closing it closes them. Raises LedgerUnavailable, if the audit is required."""
        self._recorder.admit()
        call = _Call(self._recorder.who(), None)
        checked = Checked(len(submissions), respect_robots)
        self._recorder.event(wording.CHECK_URLS_BEGUN, checked.begun())
        try:
            with call.outcome():
                async with aclosing(self._checks.check(submissions, respect_robots=respect_robots)) as answers:
                    async for answer in answers:
                        if isinstance(answer, Summary):
                            checked.outcomes[answer.outcome.value] += 1
                        else:
                            checked.images += 1
                        yield answer
        finally:
            self._recorder.log.post(wording.CHECK_URLS, checked.ended(call.asked()))


class _Call:
    """One call, from its beginning to its outcome."""

    def __init__(self, who: str, sets: frozenset[str] | None) -> None:
        self._who = who
        self._sets = sets
        self._began_ns = time.perf_counter_ns()
        self._outcome = wording.DEFECT

    @contextmanager
    def outcome(self) -> Iterator[None]:
        """Note how the call ends, and let it end so."""
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):  # an iterator is closed where its reader has gone
            self._outcome = wording.CANCELLED
            raise
        except HashmatchError as error:
            self._outcome = Outcome.of(error)
            raise
        self._outcome = Outcome()

    def asked(self) -> Asked:
        """Return what is known of the call now."""
        return Asked(
            caller=self._who,
            sets=None if self._sets is None else tuple(self._sets),
            elapsed_us=(time.perf_counter_ns() - self._began_ns) // 1_000,
            outcome=self._outcome,
        )


class Retention:
    """Removes what the audit has kept for long enough, now and then, in a thread."""

    def __init__(
        self, log: AuditLog, keep_days: int, *, lead: bool, clock: Callable[[], int] = time.time_ns,
        every_s: float = RETAIN_EVERY_S,
    ) -> None:  # fmt: skip
        self._log = log
        self._keep_days = keep_days
        self._lead = lead
        self._clock = clock
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None
        self._removing: asyncio.Future[int] | None = None

    def __repr__(self) -> str:
        return f"<Retention: {self._keep_days} days of {self._log!r}>"

    async def start(self) -> None:
        """Begin, where records are not kept for ever."""
        if self._keep_days:
            self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Stop, once what is being removed has gone: whoever looks at the logs afterwards finds nothing half done."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if self._removing is not None:
            await asyncio.gather(self._removing, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            removal = asyncio.to_thread(self._log.retain, self._keep_days, self._clock(), others=self._lead)
            self._removing = asyncio.ensure_future(removal)
            await asyncio.shield(self._removing)  # its thread goes on whatever becomes of this task
            await asyncio.sleep(self._every_s)


def begun(config: Config, data_dir: Path, posture: Posture | None) -> Recorder:
    """Open the audit log of this process; blocks.

    Parameters
    ----------
    config : Config
        All of it: its digest stands in the log.
    data_dir : Path
        Of the service.
    posture : Posture or None
        Of the workers; None where they did not start.

    Raises
    ------
    BadInput, LedgerUnavailable
        As ``AuditLog.open``.

    """
    protections = () if posture is None else posture.protections
    about = {
        "tool": "hashmatch",
        "version": hashmatch.__version__,
        "config": fingerprint(config),
        "confined": posture is not None and posture.confined,
        "protections": {item.name: item.active for item in protections},
    }
    return Recorder(AuditLog.open(config.audit, data_dir, about))


def ended(recorder: Recorder) -> None:
    """Record an orderly end and close the log; blocks."""
    with suppress(LedgerUnavailable):  # closing says what is missing
        recorder.event("service.stopped", {})
    recorder.log.close()
