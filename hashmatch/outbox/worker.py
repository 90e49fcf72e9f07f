"""Takes what is due and hands it to its outlet; writes down what came of it.

Theory of operation
-------------------
One task per outlet. It takes at most ``concurrency`` deliveries under a lease, begins at most ``rate_per_minute`` of
them, and settles each as its outlet says: delivered, postponed (``patience``), dead after ``tries``, or unsure, which
only a person resolves. Any number of processes may do so over one database. A delivery whose row is damaged comes out
of the store dead; that is logged, and the others go on. Nothing is taken before it may begin, so
that a lease is spent on talking. A try is cancelled, and is postponed like any that failed, when it takes longer than
its lease. An outlet that raises has a defect: its delivery is unsure, and the others go on. A delivery that was taken
:data:`MOST_LOST` times more often than it may be tried ends processes: it is unsure as well.

A dry run does everything but talk.

What this module deliberately does not do: it never decides that something unsure is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hashmatch.errors import CaseConflict, HashmatchError
from hashmatch.model.deliveries import DeliveryState
from hashmatch.outbox.parcels import (
    Again,
    AwaitingFile,
    Delivered,
    FileOutlet,
    Outcome,
    Outlet,
    Progress,
    Refused,
    Relayed,
    Unsure,
)
from hashmatch.outbox.rows import Delivery
from hashmatch.outbox.states import DeliveryEvent
from hashmatch.outbox.store import ACTOR, DeliveryStore, Settled
from hashmatch.patience import Patience
from hashmatch.sections import OutboxConfig, OutletConfig

MOST_LOST: Final = 10
"""Tries that nobody lived to settle; a machine is not switched off more often in the life of one delivery."""

_NO_BOUND_S: Final = float("inf")
"""A receiver that asks to be left alone is left alone for as long as it asks."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Line:
    """One outlet with its configuration."""

    name: str
    config: OutletConfig
    outlet: Outlet


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Worker:
    """Delivers until closed. Made and used on one event loop."""

    def __init__(
        self,
        store: DeliveryStore,
        config: OutboxConfig,
        lines: Mapping[str, Line],
        *,
        on_settled: Callable[[Delivery], None] = lambda _: None,
        now: Callable[[], dt.datetime] = _now,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._store = store
        self._config = config
        self._lines = lines
        self._on_settled = on_settled
        self._now = now
        self._uniform = uniform
        self._patience = Patience(
            config.tries, config.first_wait_s, config.longest_wait_s, longest_retry_after_s=_NO_BOUND_S
        )
        self._lease = dt.timedelta(seconds=config.lease_s)
        self._pace = {name: Pace(line.config.rate_per_minute) for name, line in lines.items()}
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def __repr__(self) -> str:
        return f"<Worker: {', '.join(self._lines) or 'no outlets'}>"

    async def start(self) -> None:
        """Begin to deliver."""
        self._tasks = [asyncio.create_task(self._follow(line)) for line in self._lines.values()]

    async def close(self) -> None:
        """Stop; what is being sent is left to its lease. Then close the outlets."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        for line in self._lines.values():
            await line.outlet.close()

    def wake(self) -> None:
        """Look at the outbox at once."""
        self._wake.set()

    async def drain(self) -> int:
        """Deliver what is due now, and return how many tries that took; what is postponed is left."""
        total = 0
        while tries := sum([await self._due(line) for line in self._lines.values()]):
            total += tries
        return total

    async def relay(
        self, delivery_id: str, chunks: AsyncIterator[bytes], md5: bytes
    ) -> tuple[Delivery, Relayed | Again | Refused]:
        """Pass the file of a waiting delivery through to its receiver; the rest is delivered by the worker.

        Raises
        ------
        CaseNotFound, CaseConflict
            There is no such delivery, it waits for no file, or this process does not know its outlet.

        Where the call ends in between, the delivery waits for its file as before; where the process does, once its
        lease has ended. The outlet renews that by saving while the file flows.

        """
        waiting = await asyncio.to_thread(self._store.get, delivery_id)
        outlet = self._relaying(waiting)
        taking = asyncio.ensure_future(
            asyncio.to_thread(self._store.take_for_file, delivery_id, self._now(), self._lease)
        )
        result: Relayed | Again | Refused = Again("the call ended before the file did; relay it again")
        try:
            taken = await asyncio.shield(taking)  # its thread goes on, and so it may be taken though the call has ended
            result = await outlet.relay(taken.parcel, chunks, md5, self._saver(taken))
        finally:
            after = await asyncio.shield(self._relayed(taking, result, waiting.due_at))
        return after, result

    async def _relayed(
        self, taking: asyncio.Future[Delivery], result: Relayed | Again | Refused, until: dt.datetime
    ) -> Delivery:
        """Write down what came of a file, also where its call was cancelled: the caller may try again at once."""
        taken = await taking
        match result:
            case Relayed():
                settled = Settled(DeliveryEvent.POSTPONE, self._now(), "the file was relayed")
            case Again(reason=reason) | Refused(reason=reason):
                settled = Settled(DeliveryEvent.AWAIT_FILE, until, reason)
        after = await asyncio.to_thread(self._store.settle, taken, settled, ACTOR, self._now())
        self.wake()
        return after

    def _relaying(self, waiting: Delivery) -> FileOutlet:
        line = self._lines.get(waiting.outlet)
        if line is None or not isinstance(line.outlet, FileOutlet):
            raise CaseConflict(f"delivery_id: the outlet {waiting.outlet!r} takes no file here", field="delivery_id")
        if line.config.dry_run:
            raise CaseConflict(
                f"delivery_id: the outlet {line.name} is in a dry run; no file is sent", field="delivery_id"
            )
        if waiting.environment.value != line.config.environment:
            raise CaseConflict(f"delivery_id: {_other_world(waiting, line)}", field="delivery_id")
        return line.outlet

    async def _follow(self, line: Line) -> None:
        """Deliver, for as long as this process runs; a database that is out of reach is asked again."""
        while True:
            self._wake.clear()
            try:
                busy = await self._due(line)
            except HashmatchError as error:
                log.warning("the outbox cannot be read or written for %s: %s", line.name, type(error).reason())
                busy = 0
            if not busy:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._config.poll_ms / 1e3):
                        await self._wake.wait()

    async def _due(self, line: Line) -> int:
        """Deliver one batch of what is due at an outlet; return how many it was."""
        next_due = await asyncio.to_thread(self._store.next_due, line.name)
        if next_due is None or next_due > self._now():
            return 0  # and nothing is written: an idle outbox takes no lock
        await asyncio.to_thread(self._store.expire, line.name, self._now(), ACTOR)
        pace = self._pace[line.name]
        await pace.wait()
        most = min(line.config.concurrency, pace.room())
        taken = await asyncio.to_thread(self._store.take, line.name, self._now(), self._lease, most)
        results = await asyncio.gather(*(self._try(line, one) for one in taken), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return len(taken)

    async def _try(self, line: Line, taken: Delivery) -> None:
        if taken.state is DeliveryState.DEAD:
            log.error("%s: %s is given up: %s", line.name, taken.delivery_id, taken.reason)
            self._on_settled(taken)
            return
        self._pace[line.name].begin()
        try:
            outcome = await self._ended(line, taken)
        except CaseConflict:
            log.warning("%s: %s was taken over by another process", line.name, taken.delivery_id)
            return
        settled = self._settled(taken, outcome)
        with contextlib.suppress(CaseConflict):  # its lease ended meanwhile: whoever has it now writes what comes of it
            after = await asyncio.to_thread(self._store.settle, taken, settled, ACTOR, self._now())
            self._on_settled(after)

    async def _ended(self, line: Line, taken: Delivery) -> Outcome:
        """Talk to an outlet; whatever it does has an outcome."""
        if taken.attempt > self._config.tries + MOST_LOST:
            return Unsure(
                f"taken {taken.attempt} times, and nobody lived to say what came of it; look whether it arrived"
            )
        try:
            async with asyncio.timeout(self._config.lease_s) as lease:
                return await self._talk(line, taken)
        except TimeoutError as error:
            if lease.expired():
                return Again(f"no answer within the lease of {self._config.lease_s} s")
            return self._defect(line, taken, error)
        except HashmatchError:
            raise
        except Exception as error:  # noqa: BLE001  the worker's boundary: a defect of an outlet must not stop the others
            return self._defect(line, taken, error)

    @staticmethod
    def _defect(line: Line, taken: Delivery, error: Exception) -> Unsure:
        """Name an exception by its kind alone: its text may hold what was to be sent."""
        kind = type(error).__name__
        log.error("%s: %s failed with %s", line.name, taken.delivery_id, kind)
        return Unsure(f"the outlet failed with {kind}, which is a defect; whether it arrived is unknown")

    async def _talk(self, line: Line, taken: Delivery) -> Outcome:
        if line.config.dry_run:
            return Delivered("", "a dry run: nothing was sent")
        if taken.environment.value != line.config.environment:
            return Refused(_other_world(taken, line))
        return await line.outlet.deliver(taken.parcel, self._saver(taken))

    def _saver(self, taken: Delivery) -> Callable[[Progress], asyncio.Future[None]]:
        def save(progress: Progress) -> asyncio.Future[None]:
            work = asyncio.to_thread(self._store.save, taken, progress, self._now(), self._lease)
            return asyncio.ensure_future(work)

        return save

    def _settled(self, taken: Delivery, outcome: Outcome) -> Settled:
        now = self._now()
        match outcome:
            case Delivered(external_id=external_id, detail=detail):
                return Settled(DeliveryEvent.ARRIVE, now, detail, external_id)
            case Refused(reason=reason):
                return Settled(DeliveryEvent.GIVE_UP, now, reason)
            case Unsure(reason=reason):
                return Settled(DeliveryEvent.DOUBT, now, reason)
            case AwaitingFile(within_s=within_s):
                return Settled(DeliveryEvent.AWAIT_FILE, now + dt.timedelta(seconds=within_s))
            case Again(reason=reason, after_s=after_s):
                wait_s = self._patience.wait_s(taken.attempt, after_s, uniform=self._uniform)
                if wait_s is None:
                    return Settled(DeliveryEvent.GIVE_UP, now, f"{reason} ({taken.attempt} tries)")
                return Settled(DeliveryEvent.POSTPONE, now + dt.timedelta(seconds=wait_s), reason)


def _other_world(found: Delivery, line: Line) -> str:
    return f"made for {found.environment.value}, and the outlet {line.name} is {line.config.environment} now"


class Pace:
    """At most so many beginnings in any minute."""

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = per_minute
        self._clock = clock
        self._begun: deque[float] = deque()

    async def wait(self) -> None:
        """Return when one more may begin."""
        while (pause := self.pause_s()) > 0:  # noqa: ASYNC110  time passes, nothing happens that an event could tell
            await asyncio.sleep(pause)

    def begin(self) -> None:
        """Count one that begins."""
        self._begun.append(self._clock())

    def room(self) -> int:
        """Return how many may begin now."""
        now = self._clock()
        while self._begun and self._begun[0] <= now - 60.0:
            self._begun.popleft()
        return max(0, self._most - len(self._begun))

    def pause_s(self) -> float:
        """Seconds until one more may begin; 0 where it may now."""
        return 0.0 if self.room() else max(self._begun[0] + 60.0 - self._clock(), 1e-3)
