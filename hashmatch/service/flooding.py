"""The flood guard at work: counts what is answered, quarantines what floods, tells an operator.

Theory of operation
-------------------
A :class:`FloodGuard` stands around the engine (:class:`Guarded`) and counts the hits of each report: a few dictionary
look-ups, no lock, no disk. What ``matching.flood`` says is a flood goes into a queue. A task takes it from there, asks
the catalog to quarantine the entry, in a thread, and publishes. So no SQL is on the way of an answer, and a catalog
that is out of reach delays the quarantine and nothing else: it is tried again.

What outlives the process are two bookmarks of the kind ``flood-guard``: ``history``, the levels that raise a limit,
written every few minutes and at the end; ``quarantined``, what the guard did, when and why, for ``hashmatch status``.
Several processes each count what they answer; the last one to write decides what is remembered.

The log names the set and the numbers, and no entry: ids may be made of hashes.

What this module deliberately does not do: it lifts nothing. ``hashmatch hashset reinstate`` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from hashmatch.config import FloodConfig
from hashmatch.errors import CatalogUnavailable, EntryNotFound, HashmatchError, SetNotFound
from hashmatch.matching.engine import Submission
from hashmatch.matching.flood import Flood, Flooding, Key
from hashmatch.matching.given import HashedItem
from hashmatch.matching.rescan import Rescan
from hashmatch.model import Entry, EntryStatus, HashSet, MatchReport
from hashmatch.report.json import moment_to_json
from hashmatch.report.status import QuarantinedEntry
from hashmatch.service.auditor import SILENT, Auditor

ACTOR: Final = "flood-guard"
"""Who quarantines, in the history of an entry; also the kind of the bookmarks."""
HISTORY: Final = "history"
QUARANTINED: Final = "quarantined"

MAX_REMEMBERED: Final = 1_000
"""Quarantines that are listed, the latest; and levels that are kept. Either is well below what a bookmark holds."""
MAX_WAITING: Final = 1_000
"""Floods that wait for the catalog; of more, the log says that they were not acted on."""
HISTORY_S: Final = 600
"""The history is written at least so often: what a process that is killed forgets."""
RETRY_S: Final = 5.0
"""Pause before a catalog that was out of reach is asked again."""

_log = logging.getLogger("hashmatch.service")


class Catalog(Protocol):
    """The part of the catalog that the guard uses."""

    def get_entry(self, name: str, entry_id: str) -> Entry:
        """One entry. Raises SetNotFound, EntryNotFound."""

    def quarantine(self, name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        """Let an entry be reported without changing a verdict. Raises SetNotFound, EntryNotFound, BadInput."""

    def bookmark(self, kind: str, name: str) -> str:
        """Return one text; empty when there is none."""

    def set_bookmark(self, kind: str, name: str, text: str) -> None:
        """Keep a text in place of the one before."""


class FloodGuard:
    """Counts, decides, acts. Made and used on one event loop."""

    def __init__(
        self,
        catalog: Catalog,
        publish: Callable[[], Awaitable[Any]],
        config: FloodConfig,
        *,
        now_s: Callable[[], float] = time.time,
        auditor: Auditor = SILENT,
        on_quarantine: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._on_quarantine = on_quarantine
        self._auditor = auditor
        self._catalog = catalog
        self._publish = publish
        self._config = config
        self._now_s = now_s
        self._flooding = Flooding(config)
        self._waiting: asyncio.Queue[Flood] = asyncio.Queue(MAX_WAITING)
        self._tasks: list[asyncio.Task[None]] = []

    def __repr__(self) -> str:
        return f"<FloodGuard: {self._flooding!r}, {self._waiting.qsize()} waiting>"

    async def start(self) -> None:
        """Take up the history and begin to act. Raises CatalogUnavailable, CatalogCorrupt."""
        text = await asyncio.to_thread(self._catalog.bookmark, ACTOR, HISTORY)
        self._flooding = Flooding(self._config, _history_from(text), now_s=self._now_s())
        self._tasks = [asyncio.create_task(self._act()), asyncio.create_task(self._remember())]

    async def close(self) -> None:
        """Write the history down and stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        with contextlib.suppress(HashmatchError):  # then the next process begins with an older history
            await self._write_history()

    def observe(self, reports: Iterable[MatchReport]) -> None:
        """Count the hits of some reports."""
        now_s = self._now_s()
        for report in reports:
            for flood in self._flooding.observe(report.hits, now_s):
                try:
                    self._waiting.put_nowait(flood)
                except asyncio.QueueFull:
                    _log.error("an entry of the set %s floods and too many others wait: nothing was done", flood.key[0])

    async def idle(self) -> None:
        """Return once every flood seen so far was acted on."""
        await self._waiting.join()

    async def _act(self) -> None:
        while True:
            flood = await self._waiting.get()
            try:
                await self._handle(flood)
            finally:
                self._waiting.task_done()

    async def _handle(self, flood: Flood) -> None:
        if not self._config.quarantine:
            _log.warning("an entry of the set %s floods: %s; flood.quarantine is off", flood.key[0], flood.reason)
            return
        while True:
            try:
                if await asyncio.to_thread(self._quarantine, flood):
                    self._on_quarantine(flood.key.set_name)
                    await self._publish()
                    _log.warning(
                        "an entry of the set %s floods and was quarantined: %s; its hits change no verdict until "
                        "`hashmatch hashset reinstate`, `hashmatch status` names it",
                        flood.key[0],
                        flood.reason,
                    )
            except CatalogUnavailable as error:
                _log.error("a flooding entry of the set %s waits for the catalog: %s", flood.key[0], error)
                await asyncio.sleep(RETRY_S)
                continue
            except HashmatchError as error:
                _log.error("a flooding entry of the set %s was not quarantined: %s", flood.key[0], error.reason())
            return

    def _quarantine(self, flood: Flood) -> bool:
        """Quarantine the entry unless somebody was faster; return whether it was done here.

        It is noted first: of what is noted only that is listed which is in quarantine, so that whoever meets it there,
        also after a crash in between, finds it named.
        """
        status = self._catalog.get_entry(*flood.key).status
        if status in {EntryStatus.QUARANTINED, EntryStatus.WITHDRAWN}:
            return False
        at = dt.datetime.fromtimestamp(self._now_s(), dt.UTC)
        entry = QuarantinedEntry(flood.key.set_name, flood.key.entry_id, at, flood.reason)
        before = [item for item in _quarantined_from(self._catalog.bookmark(ACTOR, QUARANTINED)) if item != entry]
        self._catalog.set_bookmark(ACTOR, QUARANTINED, _quarantined_to([*before, entry][-MAX_REMEMBERED:]))
        changed = self._catalog.quarantine(*flood.key, reason=flood.reason, actor=ACTOR)
        about = {"set": changed.name, "set_version": changed.version, "by": ACTOR}
        self._auditor.entry("entry.quarantined", changed.set_id, flood.key.entry_id, about)
        return True

    async def _remember(self) -> None:
        while True:
            await asyncio.sleep(min(self._config.window_s, HISTORY_S))
            try:
                await self._write_history()
            except HashmatchError as error:
                _log.error("the flood guard's history was not written: %s", error.reason())

    async def _write_history(self) -> None:
        levels = self._flooding.history(self._now_s())
        await asyncio.to_thread(self._catalog.set_bookmark, ACTOR, HISTORY, _history_to(levels))


class Detector(Protocol):
    """What is guarded; ``matching.engine.Engine``."""

    async def detect(self, submission: Submission) -> MatchReport:
        """Answer for one image."""

    async def detect_hashes(self, items: Sequence[HashedItem], sets: frozenset[str] | None = None) -> list[MatchReport]:
        """Answer for hashes that the caller computed, in order."""

    def served_sets(self) -> Collection[str]:
        """Return the names of the sets of the current generation."""

    def rescan(self, since: str, sets: frozenset[str] | None = None) -> Rescan:
        """Begin to hold kept hashes against what is new."""


class Guarded:
    """A detector whose answers are counted. Rescans are not: they ask about the past, all of it at once."""

    def __init__(self, detector: Detector, guard: FloodGuard) -> None:
        self._detector = detector
        self._guard = guard

    async def detect(self, submission: Submission) -> MatchReport:
        """Answer for one image."""
        report = await self._detector.detect(submission)
        self._guard.observe([report])
        return report

    async def detect_hashes(self, items: Sequence[HashedItem], sets: frozenset[str] | None = None) -> list[MatchReport]:
        """Answer for hashes that the caller computed, in order."""
        reports = await self._detector.detect_hashes(items, sets)
        self._guard.observe(reports)
        return reports

    def served_sets(self) -> Collection[str]:
        """Return the names of the sets of the current generation."""
        return self._detector.served_sets()

    def rescan(self, since: str, sets: frozenset[str] | None = None) -> Rescan:
        """Begin to hold kept hashes against what is new."""
        return self._detector.rescan(since, sets)


def quarantined(catalog: Catalog) -> tuple[QuarantinedEntry, ...]:
    """Return what the guard put into quarantine and nobody has lifted, the latest last.

    Raises
    ------
    CatalogUnavailable, CatalogCorrupt
        The catalog could not be read.

    """
    kept = []
    for item in _quarantined_from(catalog.bookmark(ACTOR, QUARANTINED)):
        with contextlib.suppress(SetNotFound, EntryNotFound):
            if catalog.get_entry(item.set_name, item.entry_id).status is EntryStatus.QUARANTINED:
                kept.append(item)
    latest = {(item.set_name, item.entry_id): item for item in kept}
    return tuple(sorted(latest.values(), key=lambda item: item.at))


def _history_to(levels: Mapping[Key, float]) -> str:
    greatest = sorted(levels.items(), key=lambda item: item[1], reverse=True)[:MAX_REMEMBERED]
    return json.dumps([[*key, round(level, 3)] for key, level in greatest])


def _history_from(text: str) -> dict[Key, float]:
    """Return the levels; what is not as it was written here is no history."""
    try:
        return {Key(str(name), str(entry_id)): float(level) for name, entry_id, level in json.loads(text or "[]")}
    except (ValueError, TypeError, RecursionError) as error:
        _log.warning("the flood guard's history cannot be read and begins anew: %s", type(error).__name__)
        return {}


def _quarantined_to(entries: Iterable[QuarantinedEntry]) -> str:
    return json.dumps([[item.set_name, item.entry_id, moment_to_json(item.at), item.reason] for item in entries])


def _quarantined_from(text: str) -> list[QuarantinedEntry]:
    """Return what was quarantined; what is not as it was written here is none."""
    try:
        return [
            QuarantinedEntry(str(name), str(entry_id), dt.datetime.fromisoformat(at), str(reason))
            for name, entry_id, at, reason in json.loads(text or "[]")
        ]
    except (ValueError, TypeError, RecursionError) as error:
        _log.warning("the flood guard's list of quarantines cannot be read: %s", type(error).__name__)
        return []
