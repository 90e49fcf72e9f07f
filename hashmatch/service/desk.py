"""Reporting at work in a service: casework, the outbox's worker, and what is to be done now and then.

Theory of operation
-------------------
A :class:`Desk` owns the outlets of the configuration and the worker that delivers what casework queued. Every
``cases.sweep_s`` it ends holds whose time has come and erases cases whose time has come. An outlet that is
misconfigured keeps the service from starting: a report that cannot leave is found out about at the beginning, and not
when it matters. Deliveries for an outlet that is no longer configured are warned of then; another service may have it.

What this module deliberately does not do: it makes no decision; ``casework`` does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from hashmatch.cases.receipt import KEY_FILE, service_key
from hashmatch.config import CasesConfig, Config
from hashmatch.errors import BadConfig, HashmatchError
from hashmatch.model.deliveries import DeliveryState
from hashmatch.outbox.parcels import Again, Refused, Relayed
from hashmatch.outbox.rows import Delivery
from hashmatch.outbox.worker import Worker
from hashmatch.service.casework import Casework
from hashmatch.service.outlets import lines
from hashmatch.service.retention import Swept
from hashmatch.signatures import SigningKey, load_signing_key

OUTCOMES: Final[Mapping[DeliveryState, str]] = MappingProxyType({DeliveryState.QUEUED: "postponed"})
"""What a try came to, where it is not called like the state that the delivery is in then."""

_log = logging.getLogger("hashmatch.service")


class Desk:
    """Casework with its deliveries. Made and used on one event loop."""

    def __init__(
        self, casework: Casework, config: Config, on_delivery: Callable[[str, str], None] = lambda _, __: None
    ) -> None:
        hold_outlet = config.cases.hold_outlet
        if hold_outlet and hold_outlet not in config.outbox.outlets:
            raise BadConfig(f"cases.hold_outlet: no outlet is named {hold_outlet!r}", field="cases.hold_outlet")
        self.casework = casework
        self._config = config
        self._on_delivery = on_delivery
        self._worker = Worker(casework.outbox, config.outbox, lines(config.outbox), on_settled=self._settled)
        self._forgetting: set[asyncio.Task[None]] = set()
        self._sweeping: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Desk: {self._worker!r}>"

    async def start(self) -> None:
        """Begin to deliver and to sweep; warn of deliveries that nothing here will ever send."""
        try:
            unknown = await asyncio.to_thread(self.casework.unknown_outlets)
        except HashmatchError as error:
            _log.warning("the outbox cannot be read: %s", type(error).reason())
        else:
            for outlet, count in unknown.items():
                _log.warning(
                    "%d deliveries wait for the outlet %s, which is not configured here; configure it, or take them "
                    "back: hashmatch report outbox --outlet %s", count, outlet, outlet,
                )  # fmt: skip
        await self._worker.start()
        self._sweeping = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """Stop; what is being sent is left to its lease."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
            self._sweeping = None
        await self._worker.close()
        await asyncio.gather(*self._forgetting, return_exceptions=True)

    def wake(self) -> None:
        """Look at the outbox at once."""
        self._worker.wake()

    async def deliver(self) -> int:
        """Deliver what is due now, sweep, and return how many tries that took: for whoever runs no service."""
        tries = await self._worker.drain()
        await asyncio.gather(*self._forgetting)
        _report(await asyncio.to_thread(self.casework.sweep))
        return tries

    async def relay(
        self, delivery_id: str, chunks: AsyncIterator[bytes], md5: bytes
    ) -> tuple[Delivery, Relayed | Again | Refused]:
        """Pass the file of a waiting delivery through; raises CaseNotFound, CaseConflict, BadInput."""
        await asyncio.to_thread(self.casework.check_file, delivery_id, md5)
        return await self._worker.relay(delivery_id, chunks, md5)

    def _settled(self, delivery: Delivery) -> None:
        """Count, and forget the subject where nothing else needs it, in a thread: the worker goes on."""
        self._on_delivery(delivery.outlet, OUTCOMES.get(delivery.state, delivery.state.value))
        task = asyncio.create_task(self._forget(delivery))
        self._forgetting.add(task)
        task.add_done_callback(self._forgetting.discard)

    async def _forget(self, delivery: Delivery) -> None:
        try:
            await asyncio.to_thread(self.casework.settle, delivery)
        except HashmatchError as error:
            _log.warning("a subject could not be forgotten now, and will be: %s", type(error).reason())

    async def _sweep(self) -> None:
        while True:
            try:
                _report(await asyncio.to_thread(self.casework.sweep))
            except HashmatchError as error:
                _log.warning("cases could not be swept: %s", type(error).reason())
            await asyncio.sleep(self._config.cases.sweep_s)


def _report(swept: Swept) -> None:
    """Say what a sweep did, and what it will do unless somebody decides."""
    if swept.erased:
        _log.info("%d cases erased: their retention time has passed", len(swept.erased))
    for delivery_id in swept.expired:
        _log.warning("%s expired: nobody decided until the retention time of its case had passed", delivery_id)
    if swept.waiting:
        _log.warning(
            "%d deliveries wait for a person, and their cases are about to be erased: hashmatch report outbox",
            swept.waiting,
        )


def receipts_key(config: CasesConfig, data_dir: Path) -> SigningKey:
    """Return the key that signs receipts; one of its own is made in the data directory where none is named.

    Raises
    ------
    BadInput
        The file cannot be read or made, or holds no such key.

    """
    return load_signing_key(Path(config.receipt_key)) if config.receipt_key else service_key(data_dir / KEY_FILE)
