"""The pool of confined workers: an image in, hashes or a refusal out, and never a stranger's byte decoded elsewhere.

Theory of operation
-------------------
:meth:`WorkerPool.hash` takes an idle worker or waits in a bounded queue, puts the image into the worker's memory, and
waits for the reply until the deadline. A worker is used again only after a well-formed reply. In every other case
(deadline, death, a reply that does not check, a cancelled caller) it is killed, because nothing that it holds can be
trusted, and :meth:`_keep` brings the pool back to strength in the background. An image whose worker died is tried once
more, and up to three times more where the deaths may have been the machine's fault (the kernel's OOM killer, an
operator). Bytes that keep killing are in ``quarantine``, which weighs deaths, and cost nobody another worker.

| worker | event | next |
|---|---|---|
| starting | hello: same lockdown as the first worker | idle |
| starting | anything else | killed |
| idle | an image | busy |
| busy | a reply that checks | idle, or killed after ``recycle_after`` images |
| busy | deadline, death, bad reply, cancelled caller | killed |

A killed worker is replaced by ``_keep``; so is a dead zygote, with growing pauses, since whatever killed it may do it
again.

What this module deliberately does not do: it computes no digest, judges no picture, and logs neither images nor the
text that came with a refusal.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import logging
import math
import os
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Self

from hashmatch.backlog import Backlog
from hashmatch.config import DecodeConfig, SandboxConfig
from hashmatch.errors import BadFrame, Overloaded, SandboxUnavailable
from hashmatch.hashing import algorithms
from hashmatch.model import HashOptions, Picture, Refusal
from hashmatch.sandbox.confine import Outcome
from hashmatch.sandbox.control import ZygoteSettings
from hashmatch.sandbox.posture import PoolStatus, Posture, assess, swap_devices
from hashmatch.sandbox.protocol import Codec, Request, RequestKind
from hashmatch.sandbox.quarantine import LIMIT, OWN_FAULT, Quarantine, weight_of
from hashmatch.sandbox.spawner import Launch, Spawner, Worker, WorkerDied

_log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 10.0
_STABLE_S = 60.0
"""A zygote that lived this long ends the growth of the pauses."""


def worker_count(sandbox: SandboxConfig) -> int:
    """Return how many workers a pool of this configuration has."""
    return sandbox.workers or len(os.sched_getaffinity(0))


class WorkerPool:
    """Confined workers that hash images. Use it from one event loop."""

    def __init__(self, decode: DecodeConfig, sandbox: SandboxConfig, *, _launch: Launch | None = None) -> None:
        self._decode = decode
        self._config = sandbox
        self._launch = _launch or Launch()
        self._target = worker_count(sandbox)
        self._backlog = Backlog(self._target, sandbox.queue, sandbox.queue_ms, "images")
        self._codec = Codec(tuple(algorithms.searchable().values()))
        self._request_ids = itertools.count(1)
        self._spawner: Spawner | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._posture: Posture | None = None
        self._outcome = Outcome()
        self._zygote_started = -math.inf
        self._workers: set[Worker] = set()
        self._idle: deque[Worker] = deque()
        self._waiting: deque[asyncio.Future[Worker]] = deque()
        self._below_strength = asyncio.Event()
        self._recovering = False
        self._images = self._restarts = 0
        self._quarantine = Quarantine(sandbox.quarantine_images, sandbox.quarantine_s)

    def __repr__(self) -> str:
        if self._keeper is None:
            return "<WorkerPool stopped>"
        status = self.status()
        confined = "confined" if status.posture and status.posture.confined else "NOT CONFINED"
        return (
            f"<WorkerPool {'' if self.healthy else 'un'}healthy, {confined}: {status.workers}/{self._target} workers, "
            f"{status.busy} busy, {status.queued} queued, {status.images} images, {status.restarts} restarts>"
        )

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def healthy(self) -> bool:
        """Whether an image handed in now would be hashed: the zygote lives, and its last attempt to fork succeeded."""
        alive = self._spawner is not None and not self._spawner.gone.is_set()
        return alive and self._keeper is not None and not self._recovering

    def check_room(self) -> None:
        """Refuse an image that nobody has read yet and that would wait for too long. Raises Overloaded."""
        if not self._idle:
            self._backlog.admit(len(self._waiting))

    def status(self) -> PoolStatus:
        """Return the counters as they are now."""
        return PoolStatus(
            workers=len(self._workers),
            busy=len(self._workers) - len(self._idle),
            queued=len(self._waiting),
            images=self._images,
            restarts=self._restarts,
            posture=self._posture,
            quarantined=self._quarantine.held(time.monotonic()),
            quarantine_refusals=self._quarantine.refused,
        )

    @contextlib.asynccontextmanager
    async def launched(self) -> AsyncIterator[None]:
        """Have the zygote load already, while this process loads what it needs itself before :meth:`start`."""
        self._execute()
        try:
            yield
        finally:
            await self.close()

    async def start(self) -> None:
        """Start the zygote, prove the confinement, start the workers.

        Raises
        ------
        SandboxUnavailable
            The zygote did not start, or a protection is missing and ``sandbox.allow_degraded`` is off.

        """
        try:
            await self._start_zygote()
            while len(self._workers) < self._target:
                await self._add_worker()
        except BaseException:
            await self.close()
            raise
        self._keeper = asyncio.create_task(self._keep(), name="hashmatch-sandbox-keeper")

    async def close(self) -> None:
        """Kill every worker and the zygote, and wait until they are gone. Waiting callers get SandboxUnavailable."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper
        for waiter in (waiter for waiter in self._waiting if not waiter.done()):
            waiter.set_exception(SandboxUnavailable("the sandbox is not running"))
        self._waiting.clear()
        await self._end_zygote()

    async def hash(self, image: bytes, options: HashOptions, *, deadline_s: float | None = None) -> Picture:
        """Hash one image in a confined worker. Cancelling kills the worker.

        Parameters
        ----------
        image : bytes
            The stranger's file.
        options : HashOptions
            What to compute; names of digests are ignored.
        deadline_s : float, optional
            The caller's patience in seconds, waiting included; decoding is given ``sandbox.deadline_ms`` at most.

        Returns
        -------
        Picture
            Refusals are values: TIMEOUT when the worker was killed at the deadline, CRASHED when workers died on it
            now, or before, so that it is in quarantine.

        Raises
        ------
        Overloaded
            The queue is full, too long for the image or for the caller's patience, or no worker became free in time.
        SandboxUnavailable
            The pool is not running, or its workers are being restarted and none came back in time.
        UnknownAlgorithm
            ``options`` names an algorithm that is not installed, or only digests.

        """
        if len(image) > self._decode.max_bytes:
            detail = f"{len(image)} bytes; at most {self._decode.max_bytes} are decoded"
            return Picture(refusal=Refusal.TOO_LARGE, detail=detail)
        options = algorithms.perceptual_only(options)
        loop = asyncio.get_running_loop()
        arrived, queue_us = loop.time(), 0
        patience = math.inf if deadline_s is None else arrived + deadline_s
        deaths: list[WorkerDied] = []
        while sum(weight_of(death.signal_number) for death in deaths) < LIMIT:
            worker = await self._worker_for(image, patience, retry=bool(deaths))
            if isinstance(worker, Picture):
                self._images += 1
                return worker
            if not deaths:
                queue_us = int((loop.time() - arrived) * 1_000_000)
            try:
                picture = await self._ask(worker, image, options, patience)
            except WorkerDied as error:
                deaths.append(error)
                self._quarantine.died(image, weight_of(error.signal_number), loop.time())
                _log.warning("worker %d %s, %d on this image", worker.pid, error, len(deaths))
                continue
            self._images += 1
            return dataclasses.replace(picture, queue_us=queue_us)
        self._images += 1
        detail = f"{len(deaths)} workers died on this image, the last {deaths[-1]}"
        return Picture(refusal=Refusal.CRASHED, detail=detail, queue_us=queue_us)

    async def _worker_for(self, image: bytes, patience: float, *, retry: bool) -> Worker | Picture:
        """Take a worker, or answer: bytes in quarantine do not queue, and others may have put them there meanwhile."""
        loop = asyncio.get_running_loop()
        if (refused := self._quarantine.refusal(image, loop.time())) is not None:
            return refused
        worker = await self._acquire(patience, retry=retry)
        if (refused := self._quarantine.refusal(image, loop.time())) is not None:
            self._give_back(worker)
        return refused or worker

    async def _ask(self, worker: Worker, image: bytes, options: HashOptions, patience: float) -> Picture:
        """Use one worker for one image, then give it back or kill it.

        Raises
        ------
        WorkerDied
            It ended before it answered.

        """
        request = Request(RequestKind.HASH, next(self._request_ids), len(image), options)
        started = (loop := asyncio.get_running_loop()).time()
        expires = min(patience, started + self._config.deadline_ms / 1_000)
        intact = False
        try:
            async with asyncio.timeout_at(expires):
                untrusted_reply = await worker.ask(self._codec.encode_request(request), image)
            picture = self._codec.decode_reply(untrusted_reply, request)
            self._quarantine.survived(image)
            intact = True
            self._backlog.note(loop.time() - started)
        except TimeoutError:
            elapsed_ms = (loop.time() - started) * 1_000
            return Picture(refusal=Refusal.TIMEOUT, detail=f"the worker was killed after {elapsed_ms:.0f} ms")
        except BadFrame as error:
            self._quarantine.died(image, OWN_FAULT, loop.time())
            _log.warning("worker %d was killed: its reply is not valid", worker.pid)
            return Picture(refusal=Refusal.CRASHED, detail=f"the worker's reply is not valid: {error}")
        finally:
            if intact:
                self._give_back(worker)
            else:
                self._remove(worker, fault=True)
        return picture

    async def _acquire(self, patience: float, *, retry: bool) -> Worker:
        """Take an idle worker or wait for one; an image that is tried again goes to the head of the queue.

        Raises
        ------
        Overloaded
            The queue is full, or too long for ``sandbox.queue_ms`` or ``patience``, or no worker became free in time.
        SandboxUnavailable
            The same, while there are no live workers; or the pool was closed.

        """
        if self._keeper is None:
            raise SandboxUnavailable("the sandbox is not running")
        loop = asyncio.get_running_loop()
        expires = min(patience, loop.time() + self._config.deadline_ms / 1_000)
        if self._idle and loop.time() < expires:
            return self._idle.popleft()
        if not retry:
            self._backlog.admit(len(self._waiting), patience - loop.time())
        waiter: asyncio.Future[Worker] = loop.create_future()
        self._waiting.insert(0 if retry else len(self._waiting), waiter)
        try:
            async with asyncio.timeout_at(expires):
                return await waiter
        except (TimeoutError, asyncio.CancelledError) as ended:
            self._stop_waiting(waiter)
            if not isinstance(ended, TimeoutError):
                raise
        if self.healthy:
            raise Overloaded("no worker became free before the deadline")
        raise SandboxUnavailable("the sandbox is being restarted and no worker came back in time")

    def _stop_waiting(self, waiter: asyncio.Future[Worker]) -> None:
        """Leave the queue; a worker that was handed over in the same moment goes to the next in line."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            self._give_back(waiter.result())

    def _give_back(self, worker: Worker) -> None:
        """Make a worker available: to the first in the queue, or to whoever comes next."""
        if worker not in self._workers:
            return
        if worker.images >= self._config.recycle_after:
            self._remove(worker, fault=False)
            return
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(worker)
                return
        self._idle.append(worker)

    def _remove(self, worker: Worker, *, fault: bool) -> None:
        """Kill a worker and have it replaced; harmless when that was done before."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        worker.close()
        self._restarts += fault
        self._below_strength.set()

    def _on_ended(self, worker: Worker) -> None:
        """Replace a worker that died while nobody was looking; a busy one is removed by its caller."""
        if worker in self._idle:
            self._remove(worker, fault=True)

    async def _keep(self) -> None:
        """Bring the pool back to strength whenever something was lost, until cancelled."""
        pause_s = _FIRST_PAUSE_S
        while True:
            await self._below_strength.wait()
            self._below_strength.clear()
            try:
                if self._spawner is None or self._spawner.gone.is_set():
                    self._recovering = True
                    _log.error("the zygote is gone; starting another in %.2f s", pause_s)
                    await self._end_zygote()
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                    await self._start_zygote()
                while len(self._workers) < self._target:
                    await self._add_worker()
            except SandboxUnavailable as error:
                self._recovering = True
                _log.error("no worker could be started, trying again in %.2f s: %s", pause_s, error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                self._below_strength.set()
            else:
                self._recovering = False
                if asyncio.get_running_loop().time() - self._zygote_started > _STABLE_S:
                    pause_s = _FIRST_PAUSE_S

    def _execute(self) -> Spawner:
        self._spawner = Spawner.execute(
            ZygoteSettings(self._decode, self._config.memory_bytes, self._config.nice), self._launch
        )
        return self._spawner

    async def _start_zygote(self) -> None:
        """Start a zygote and let one worker prove the confinement by dying of it.

        Raises
        ------
        SandboxUnavailable
            As for :meth:`start`.

        """
        spawner = self._spawner or self._execute()
        names = [algorithm.name for algorithm in self._codec.algorithms]
        await spawner.ready(names, self._config.start_timeout_ms / 1e3)
        self._zygote_started = asyncio.get_running_loop().time()
        probe = await spawner.spawn()
        request = self._codec.encode_request(Request(RequestKind.PROBE, next(self._request_ids)))
        try:
            async with asyncio.timeout(self._config.start_timeout_ms / 1e3):
                probe_signal = await probe.provoke(request)
        except (TimeoutError, BadFrame) as error:
            raise SandboxUnavailable(f"the start-up test of the confinement gave no answer: {error}") from error
        finally:
            probe.close()
        posture = assess(probe.outcome, probe_signal, memory_locked=probe.memory_locked, swap=swap_devices())
        if not posture.confined and not self._config.allow_degraded:
            raise SandboxUnavailable(
                f"workers cannot be confined here: {posture.explain_missing()}; or set sandbox.allow_degraded = true "
                "to decode strangers' images with less protection"
            )
        self._posture, self._outcome = posture, probe.outcome

    async def _add_worker(self) -> None:
        """Start one more worker; it must be locked up exactly like the one that proved the confinement.

        Raises
        ------
        SandboxUnavailable
            It could not be started, or is locked up differently.

        """
        if self._spawner is None:
            raise SandboxUnavailable("the sandbox is not running")
        worker = await self._spawner.spawn()
        if worker.outcome != self._outcome:
            worker.close()
            raise SandboxUnavailable(f"a worker is locked up unlike the first: {worker.outcome}, not {self._outcome}")
        self._workers.add(worker)
        worker.ended.add_done_callback(lambda _: self._on_ended(worker))
        self._give_back(worker)

    async def _end_zygote(self) -> None:
        """Kill the workers and the zygote, and wait until all calls have let go of their workers."""
        for worker in tuple(self._workers):
            if worker in self._idle:
                self._remove(worker, fault=False)
            else:
                worker.kill()  # the call that waits for it notices, and removes it
        spawner, self._spawner = self._spawner, None
        if spawner is not None:
            await spawner.close()
        while self._workers:
            self._below_strength.clear()
            await self._below_strength.wait()
