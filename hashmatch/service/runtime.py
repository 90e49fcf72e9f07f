"""Everything that a running hashmatch consists of, started and ended in order; imports no gRPC.

Theory of operation
-------------------
``hashmatch serve`` puts a gRPC endpoint before a :class:`Runtime`; ``hashmatch detect`` without ``--server`` uses one
in process. It owns the data directory, in which the catalog is the truth and the segments are derived from it:

    catalog.sqlite3    hash sets, entries, provenance, withdrawals (unless ``catalog.url`` names a shared catalog)
    segments/          verified snapshots of the index
    receipts.key       signs the receipts of match reports (unless ``cases.receipt_key`` names another)
    audit/             who asked what and what changed, of a service (unless ``audit.directory`` names another)

Starting brings up two slow things side by side, the confined workers and the index. While it runs, a follower asks the
catalog whether its change feed has grown, whenever the catalog announces a change and every ``index.poll_ms`` in any
case, so that what another process or replica imports or withdraws shows up here; what this process changes is published
before the caller is answered (``curation``). All publishing goes through one lock: two builders would do the same work
twice. A catalog that is out of reach is asked again and again; meanwhile the index serves what it has, and the status
says how old that may be.

What this module deliberately does not do: it answers nothing itself. :attr:`Runtime.detector` detects,
:attr:`Runtime.curator` changes sets.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import hashmatch
from hashmatch.catalog.opening import open_catalog
from hashmatch.catalog.relational import RelationalCatalog
from hashmatch.catalog.store import CatalogCounts, Watch
from hashmatch.config import Config, fingerprint
from hashmatch.errors import BadConfig, CatalogUnavailable, HashmatchError, RollbackRefused
from hashmatch.index.live import LiveIndex
from hashmatch.matching.engine import Engine
from hashmatch.progress import SILENT, Progress
from hashmatch.publish import Publisher
from hashmatch.report.status import (
    AuditStatus,
    FollowerStatus,
    IndexStatus,
    OutboxDepth,
    Protection,
    QuarantinedEntry,
    ServiceStatus,
    WorkersStatus,
)
from hashmatch.sandbox.pool import WorkerPool
from hashmatch.service.auditing import Audited, AuditedChecks, Recorder, Retention, begun, ended
from hashmatch.service.auditor import SILENT as SILENT_AUDITOR
from hashmatch.service.auditor import Auditor
from hashmatch.service.casework import Casework
from hashmatch.service.checks import Check
from hashmatch.service.curation import Curator
from hashmatch.service.desk import Desk, receipts_key
from hashmatch.service.flooding import Detector, FloodGuard, Guarded, quarantined
from hashmatch.service.refusing import Refusing
from hashmatch.service.watching import Watch as CallWatch
from hashmatch.service.watching import Watched
from hashmatch.service.witness import Witness, Witnessed

if TYPE_CHECKING:
    from hashmatch.service.hotline import Checks

SEGMENTS: Final = "segments"
LIBRARIES: Final = ("pillow", "numpy", "numba", "imagehash", "faiss-cpu")
"""Distributions whose version decides what a hash is or what is found."""

_log = logging.getLogger("hashmatch.service")


class Runtime:
    """Catalog, index, workers and engine over one data directory. Use as an async context manager.

    ``pool`` may be launched already; it is started and closed here in any case.
    """

    def __init__(
        self, config: Config, data_dir: Path, *, pool: WorkerPool | None = None, progress: Progress = SILENT,
        deliver: bool = False, lead: bool = True, reloaded: bool = False, calls: CallWatch | None = None,
    ) -> None:  # fmt: skip
        self._config = config
        self._data_dir = data_dir
        self._progress = progress
        self._deliver = deliver
        self._lead = lead
        self._reloaded = reloaded
        self._calls = calls or CallWatch()
        self._started_at = dt.datetime.now(dt.UTC)
        self._libraries = {name: metadata.version(name) for name in LIBRARIES}
        self._index = LiveIndex()
        self._pool = pool or WorkerPool(config.decode, config.sandbox)
        self._publishing = asyncio.Lock()
        self._opened = contextlib.AsyncExitStack()
        self._catalog: RelationalCatalog
        self._counts = CatalogCounts(0, 0, 0, 0)
        self._quarantined: tuple[QuarantinedEntry, ...] = ()
        self._depths: Mapping[tuple[str, str], int] = {}
        self._watch: Watch
        self._trouble = ""
        self._generation = ""
        self._recorder: Recorder | None = None
        self._auditor: Auditor = SILENT_AUDITOR
        self._wake = asyncio.Event()
        self._publisher: Publisher
        self._following: asyncio.Task[None]
        self.engine = Engine(
            self._pool,
            self._index,
            config.policy,
            max_hits=config.index.max_hits,
            fidelity=config.decode.fidelity,
            queue_ms=config.index.queue_ms,
        )
        self.curator: Curator
        self.detector: Detector = self.engine
        """The engine, with the flood guard, the witness, the audit and the watch around it once started."""
        self.desk: Desk
        """Cases and their deliveries, where the runtime was made to deliver, as in a service."""

    def __repr__(self) -> str:
        return f"<Runtime on {self._data_dir}: {self._index!r}, {self._pool!r}>"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Open the data directory, then bring up workers and index side by side.

        Raises
        ------
        BadConfig
            The data directory cannot be made or written to.
        CatalogCorrupt, CatalogUnavailable
            The catalog could not be opened.
        SandboxUnavailable
            The workers could not be confined.

        """
        async with contextlib.AsyncExitStack() as opened:
            await asyncio.to_thread(prepare_directory, self._data_dir)
            self._catalog = await asyncio.to_thread(open_catalog, self._config.catalog, self._data_dir)
            opened.callback(self._catalog.close)
            self._publisher = Publisher(self._catalog, self._index, self._data_dir / SEGMENTS, self._config.index)
            opened.push_async_callback(asyncio.to_thread, self._publisher.close)
            opened.push_async_callback(self._pool.close)
            failure = await _both(self._pool.start(), asyncio.to_thread(self._publisher.start, self._progress))
            await self._begin_audit(opened, failure)
            self.curator = await opened.enter_async_context(
                Curator(self._catalog, self.publish, idle_s=self._config.server.import_idle_s, auditor=self._auditor)
            )
            self._watch = self._catalog.watch(self._waker())
            opened.push_async_callback(asyncio.to_thread, self._watch.close)
            self._following = asyncio.create_task(self._follow())
            opened.push_async_callback(_ended, self._following)
            if self._config.flood.enabled:
                guard = FloodGuard(
                    self._catalog,
                    self.publish,
                    self._config.flood,
                    auditor=self._auditor,
                    on_quarantine=self._calls.tally.quarantined,
                )
                await guard.start()
                opened.push_async_callback(guard.close)
                self.detector = Guarded(self.engine, guard)
            await self._report(opened)
            if self._recorder is not None:
                self.detector = Audited(self.detector, self._recorder)
            self.detector = Watched(self.detector, self._calls)
            self._opened = opened.pop_all()

    async def _begin_audit(self, opened: contextlib.AsyncExitStack, failure: BaseException | None) -> None:
        """Open the audit log, where this is a service; record that it starts, or why it does not, and raise that."""
        if self._deliver and self._config.audit.enabled:
            try:
                posture = self._pool.status().posture
                self._recorder = await asyncio.to_thread(begun, self._config, self._data_dir, posture)
            except HashmatchError as error:
                raise failure or error from error
            opened.push_async_callback(asyncio.to_thread, ended, self._recorder)
            self._auditor = self._recorder
            refusing = Refusing(self._recorder)
            await refusing.start()
            opened.push_async_callback(refusing.close)
            self._calls.failed = refusing.failed
            retention = Retention(self._recorder.log, self._config.audit.keep_days, lead=self._lead)
            await retention.start()
            opened.push_async_callback(retention.close)
        if failure is not None:
            if isinstance(failure, HashmatchError):
                self._auditor.event("service.refused", {"error": failure.reason()})
            raise failure
        self._generation = self._index.status().generation
        self._auditor.event("service.started", {"libraries": self._libraries, "generation": self._generation})
        if self._reloaded:
            self._auditor.event("policy.reloaded", {"config": fingerprint(self._config)})

    async def _report(self, opened: contextlib.AsyncExitStack) -> None:
        """Sign and count what is answered; deliver reports, if that is what this process is for."""
        cases = self._config.cases
        key = await asyncio.to_thread(receipts_key, cases, self._data_dir)
        casework = Casework(self._catalog, self._config, key, auditor=self._auditor)
        if self._deliver:
            self.desk = Desk(casework, self._config, self._calls.tally.delivered)
            if self._lead:
                await self.desk.start()
            opened.push_async_callback(self.desk.close)
        witness = Witness(casework.count, cases.flush_s)
        await witness.start()
        opened.push_async_callback(witness.close)
        self.detector = Witnessed(self.detector, key, witness)

    async def close(self) -> None:
        """End everything in the opposite order. Safe to call twice."""
        await self._opened.aclose()

    async def publish(self) -> None:
        """Bring every committed change of the catalog into the index."""
        async with self._publishing:
            await asyncio.to_thread(self._publisher.sync)
            status = self._index.status()
            if status.generation != self._generation:
                self._generation = status.generation
                body = {"generation": status.generation, "sequence": status.sequence}
                self._auditor.event("index.generation", body)

    @property
    def auditor(self) -> Auditor:
        """Who takes note of changes; nobody, where no account is kept."""
        return self._auditor

    def audited(self, checks: Checks | None) -> Checks | None:
        """Return checks of addresses whose calls are recorded, where this keeps account."""
        return checks if checks is None or self._recorder is None else AuditedChecks(checks, self._recorder)

    def check_room(self) -> None:
        """Refuse an image, before it is read, that would wait for too long. Raises Overloaded."""
        self._pool.check_room()

    def check_room_for_hashes(self) -> None:
        """Likewise, hashes that the caller computed."""
        self.engine.check_room_for_hashes()

    def checks(self) -> Sequence[Check]:
        """Conditions of readiness."""
        log = None if self._recorder is None else self._recorder.log
        return (
            Check("index", lambda: self._index.status().state != "empty"),
            Check("workers", lambda: self._pool.healthy),
            Check("follower", lambda: not self._following.done()),
            *(() if log is None else (Check("audit", lambda: log.admits),)),
        )

    async def status(self) -> ServiceStatus:
        """Return what is being served, by what, how well confined and how far behind; also without catalog."""
        await self.count()
        return self.observed()

    async def count(self) -> None:
        """Count anew what lies in the catalog and in the outbox; a catalog that does not answer leaves the numbers."""
        with contextlib.suppress(CatalogUnavailable):
            self._counts = await asyncio.to_thread(self._catalog.counts)
            self._quarantined = await asyncio.to_thread(quarantined, self._catalog)
            if self._deliver:
                self._depths = await asyncio.to_thread(self.desk.casework.outbox.depths)

    def observed(self) -> ServiceStatus:
        """Return the same at once, from memory, with what was last counted."""
        counts, lag = self._counts, self._publisher.lag()
        index, pool = self._index.status(), self._pool.status()
        protections = () if pool.posture is None else pool.posture.protections
        return ServiceStatus(
            version=hashmatch.__version__,
            libraries=self._libraries,
            started_at=self._started_at,
            index=IndexStatus(
                state=index.state,
                generation=index.generation,
                sequence=index.sequence,
                values=index.values,
                delta_entries=index.delta_entries,
                tombstones=index.tombstones,
            ),
            workers=WorkersStatus(
                workers=pool.workers,
                busy=pool.busy,
                queued=pool.queued,
                images=pool.images,
                restarts=pool.restarts,
                confined=pool.posture is not None and pool.posture.confined,
                protections=tuple(Protection(p.name, p.active, p.detail) for p in protections),
                quarantined=pool.quarantined,
                quarantine_refusals=pool.quarantine_refusals,
            ),
            hash_sets=counts.hash_sets,
            entries=counts.entries,
            quarantined=self._quarantined,
            follower=FollowerStatus(lag.behind, round(lag.ms), self._watch.announced, self._trouble),
            audit=self._audit_status(),
            traffic=self._calls.tally.traffic(),
            outbox=tuple(OutboxDepth(*key, count) for key, count in self._depths.items()),
            failing=tuple(check.name for check in self.checks() if not check.passes()),
        )

    def _audit_status(self) -> AuditStatus | None:
        if self._recorder is None:
            return None
        state = self._recorder.log.state()
        return AuditStatus(state.ledger, state.seq, state.head_seq, state.queued, state.lost, state.trouble)

    def _waker(self) -> Callable[[], None]:
        """Return what another thread may call to have the catalog asked at once."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(self._wake.set)

        return wake

    async def _follow(self) -> None:
        """Publish what other processes change. A catalog that is out of reach is asked again; that is logged once."""
        while True:
            self._wake.clear()
            try:
                await self.publish()
                if self._trouble:
                    _log.warning("the catalog's changes are followed again")
                self._trouble = ""
            except HashmatchError as error:
                if type(error).reason() != self._trouble:
                    self._trouble = type(error).reason()
                    if isinstance(error, RollbackRefused):
                        self._auditor.event("index.rollback_refused", {"generation": self._generation})
                    _log.error("the catalog's changes cannot be followed, the index stays as it is: %s", self._trouble)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.index.poll_ms / 1e3):
                    await self._wake.wait()


def prepare_directory(path: Path) -> None:
    """Make the data directory, readable by its owner only.

    Raises
    ------
    BadConfig
        It cannot be made or written to.

    """
    remedy = "choose another with --data or HASHMATCH_DATA"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadConfig(f"data directory {path}: {error.strerror}; {remedy}", field="data") from error
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise BadConfig(f"data directory {path}: not writable for this user; {remedy}", field="data")


async def _both(first: Awaitable[object], second: Awaitable[object]) -> BaseException | None:
    """Await both, even when one fails, so that nothing is closed while it still starts; return the first failure."""
    outcomes = await asyncio.gather(first, second, return_exceptions=True)
    return next((outcome for outcome in outcomes if isinstance(outcome, BaseException)), None)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
