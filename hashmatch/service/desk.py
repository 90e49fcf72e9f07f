"""Reporting at work in a service: casework, the outbox's worker, and what is to be done now and then.

Theory of operation
-------------------
A :class:`Desk` owns the outlets of the configuration and the worker that delivers what casework queued. Every
``cases.sweep_s`` it ends holds whose time has come and erases cases whose time has come. An outlet that is
misconfigured keeps the service from starting: a report that cannot leave is found out about at the beginning, and not
when it matters.

What this module deliberately does not do: it makes no decision; ``casework`` does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from hashmatch.cases.receipt import KEY_FILE, service_key
from hashmatch.config import CasesConfig, Config
from hashmatch.errors import HashmatchError
from hashmatch.outbox.parcels import Again, Refused, Relayed
from hashmatch.outbox.store import Delivery
from hashmatch.outbox.worker import Tried, Worker
from hashmatch.service.casework import Casework
from hashmatch.service.outlets import lines
from hashmatch.signatures import SigningKey, load_signing_key

_log = logging.getLogger("hashmatch.service")


class Desk:
    """Casework with its deliveries. Made and used on one event loop."""

    def __init__(self, casework: Casework, config: Config) -> None:
        self.casework = casework
        self._config = config
        self._worker = Worker(casework.outbox, config.outbox, lines(config.outbox), on_tried=self._tried)
        self._counting: set[asyncio.Task[None]] = set()
        self._sweeping: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Desk: {self._worker!r}>"

    async def start(self) -> None:
        """Begin to deliver and to sweep."""
        await self._worker.start()
        self._sweeping = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """Stop; what is being sent is left to its lease."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
            self._sweeping = None
        await self._worker.close()
        await asyncio.gather(*self._counting, return_exceptions=True)

    def wake(self) -> None:
        """Look at the outbox at once."""
        self._worker.wake()

    async def deliver(self) -> int:
        """Deliver what is due now and return how many tries that took: for whoever runs no service."""
        tries = await self._worker.drain()
        await asyncio.gather(*self._counting)
        return tries

    async def relay(
        self, delivery_id: str, chunks: AsyncIterator[bytes], md5: bytes
    ) -> tuple[Delivery, Relayed | Again | Refused]:
        """Pass the file of a waiting delivery through; raises CaseNotFound, CaseConflict, BadInput."""
        await asyncio.to_thread(self.casework.check_file, delivery_id, md5)
        return await self._worker.relay(delivery_id, chunks, md5)

    def _tried(self, tried: Tried) -> None:
        """Count what arrived, in a thread: the worker goes on."""
        task = asyncio.create_task(self._count(tried.delivery))
        self._counting.add(task)
        task.add_done_callback(self._counting.discard)

    async def _count(self, delivery: Delivery) -> None:
        try:
            await asyncio.to_thread(self.casework.arrived, delivery)
        except HashmatchError as error:
            _log.warning("a delivery could not be counted: %s", type(error).reason())

    async def _sweep(self) -> None:
        while True:
            try:
                erased = await asyncio.to_thread(self.casework.sweep)
                if erased:
                    _log.info("%d cases erased: their retention time has passed", len(erased))
            except HashmatchError as error:
                _log.warning("cases could not be swept: %s", type(error).reason())
            await asyncio.sleep(self._config.cases.sweep_s)


def receipts_key(config: CasesConfig, data_dir: Path) -> SigningKey:
    """Return the key that signs receipts; one of its own is made in the data directory where none is named.

    Raises
    ------
    BadInput
        The file cannot be read or made, or holds no such key.

    """
    return load_signing_key(Path(config.receipt_key)) if config.receipt_key else service_key(data_dir / KEY_FILE)
