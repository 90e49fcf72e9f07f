"""What stands around the engine for the sake of reporting: a receipt for every match, and a count of every answer.

Theory of operation
-------------------
A report that found something is signed on its way out (``cases.receipt``, some 40 microseconds), a batch of them in a
thread, so that other calls do not wait for all of its signatures. Everything is counted in memory and written every few
seconds by a task, in a thread. So no SQL is on the way of an answer. What could not be written is kept and tried again;
a process that is killed loses what it counted since it last wrote.

What this module deliberately does not do: it keeps no report.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import logging
from collections.abc import Callable, Collection, Iterable, Sequence

from hashmatch.cases.counters import of_reports
from hashmatch.cases.receipt import receipted, sealed
from hashmatch.errors import HashmatchError
from hashmatch.identity import Role, caller
from hashmatch.matching.engine import Submission
from hashmatch.matching.given import HashedItem
from hashmatch.matching.rescan import Rescan
from hashmatch.model import MatchReport
from hashmatch.model.figures import Counted
from hashmatch.service.flooding import Detector
from hashmatch.signatures import SigningKey

_log = logging.getLogger("hashmatch.service")


class Witness:
    """Counts in memory and writes now and then. Made and used on one event loop."""

    def __init__(self, write: Callable[[tuple[Counted, ...]], None], flush_s: float) -> None:
        self._write = write
        self._flush_s = flush_s
        self._sums: collections.Counter[Counted] = collections.Counter()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Witness: {len(self._sums)} counters to write>"

    async def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Write what is left and stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self.flush()

    def observe(self, reports: Iterable[MatchReport]) -> None:
        """Count some answers."""
        for counted, count in of_reports(reports).items():
            self._sums[counted] += count

    async def flush(self) -> None:
        """Write what was counted; what could not be written stays for the next time."""
        sums, self._sums = self._sums, collections.Counter()
        if not sums:
            return
        try:
            await asyncio.to_thread(self._write, tuple(dataclasses.replace(key, count=n) for key, n in sums.items()))
        except HashmatchError as error:
            self._sums.update(sums)
            _log.warning("counters could not be written and are kept: %s", type(error).reason())

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._flush_s)
            await self.flush()


class Witnessed:
    """A detector whose answers are signed and counted."""

    def __init__(self, detector: Detector, key: SigningKey, witness: Witness) -> None:
        self._detector = detector
        self._key = key
        self._witness = witness

    async def detect(self, submission: Submission) -> MatchReport:
        """Answer for one image."""
        report = await self._detector.detect(submission)
        self._witness.observe([report])
        return self._signed(report)

    async def detect_hashes(self, items: Sequence[HashedItem], sets: frozenset[str] | None = None) -> list[MatchReport]:
        """Answer for hashes that the caller computed, in order."""
        reports = await self._detector.detect_hashes(items, sets)
        self._witness.observe(reports)
        if not any(report.hits for report in reports):  # as most: nothing to sign, and no thread to wake
            return reports
        return await asyncio.to_thread(lambda: [self._signed(report) for report in reports])

    def served_sets(self) -> Collection[str]:
        """Return the names of the sets of the current generation."""
        return self._detector.served_sets()

    def rescan(self, since: str, sets: frozenset[str] | None = None) -> Rescan:
        """Begin to hold kept hashes against what is new; its answers are neither signed nor counted.

        A rescan names new entries only. Whoever reports on what it finds asks again with the same hashes, and has
        everything that is known.
        """
        return self._detector.rescan(since, sets)

    def _signed(self, report: MatchReport) -> MatchReport:
        """Add the receipt, sealed for a caller who may not read what is in it."""
        signed = receipted(report, self._key)
        if caller().may(Role.DETAIL):
            return signed
        return dataclasses.replace(signed, receipt=sealed(signed.receipt, self._key))
