"""What answers, put together behind one address: runtime, endpoint, page of metrics.

Theory of operation
-------------------
The address is bound before the catalog is opened; :class:`Assembled` is yielded once the runtime serves, with nothing
accepted yet. The end is in the opposite order.

Importing this module loads gRPC, the index and its kernels: ``server`` does so when the zygote is already on its way.

What this module deliberately does not do: it decides neither when calls are accepted nor when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from hashmatch.config import Config
from hashmatch.sandbox.pool import WorkerPool
from hashmatch.service.endpoint import Endpoint
from hashmatch.service.exposure import exposed, watched
from hashmatch.service.investigation import opened_investigation
from hashmatch.service.keyring import Keyring
from hashmatch.service.runtime import Runtime
from hashmatch.service.seating import Seat


@dataclass(frozen=True, slots=True)
class Assembled:
    """What answers. ``target``: the address as clients take it; ``page``: that of the metrics, empty without."""

    endpoint: Endpoint
    runtime: Runtime
    target: str
    page: contextlib.AbstractAsyncContextManager[str]


@contextlib.asynccontextmanager
async def assembled(
    config: Config, data_dir: Path, pool: WorkerPool, seat: Seat, *, reloaded: bool
) -> AsyncIterator[Assembled]:
    """Bind the address, bring up what answers, and offer it; end all of it in the opposite order.

    Raises
    ------
    BadConfig
        An address cannot be used, or an extra is configured that is not installed.
    SandboxUnavailable
        ``hotline.serve`` is on, and what fetches or reads could not be confined.
    HashmatchError
        The runtime could not start; see ``Runtime.start``.

    """
    keyring = Keyring(config.server, data_dir)
    await asyncio.to_thread(keyring.load)
    async with contextlib.AsyncExitStack() as opened:
        watch = await opened.enter_async_context(watched(config, seat.number))
        endpoint = Endpoint(config.server, config.hotline, keyring, seat, watch)
        opened.push_async_callback(endpoint.abort)
        target = endpoint.bind()
        runtime = await opened.enter_async_context(
            Runtime(config, data_dir, pool=pool, deliver=True, lead=seat.leads, reloaded=reloaded, calls=watch)
        )
        keyring.keep_account(runtime.auditor)
        investigation = await opened.enter_async_context(opened_investigation(config, runtime.detector))
        checks = runtime.audited(investigation)
        endpoint.offer(runtime.detector, runtime.curator, runtime, runtime.desk, checks, room=runtime)
        yield Assembled(endpoint, runtime, target, exposed(config.metrics, runtime, endpoint, watch, seat))
