"""Whom the guard tells of calls that were refused, so that the audit knows who tried.

Theory of operation
-------------------
A call is refused because it is not known who calls, because the caller may not, or because its quota is used up;
what is refused because there is too much to do for everybody is not about who asks, and stays with the metrics. The
guard tells :class:`Refusing` of every failure; which of them is a refusal is decided here, by status. What is recorded
is bounded by ``audit.refusals``; a task ends its window every :data:`~hashmatch.audit.refusals.WINDOW_S`. A refusal
that cannot be recorded is refused all the same.

What this module deliberately does not do: it keeps no address. Behind a balancer that is the balancer's, it tells about
a person, and a log from which nothing can be taken out is no place for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

from hashmatch.audit import wording
from hashmatch.audit.refusals import WINDOW_S, Refusals, Refused
from hashmatch.audit.wording import Body
from hashmatch.errors import HashmatchError, LedgerUnavailable, QuotaExceeded, Status, Unauthenticated
from hashmatch.identity import caller
from hashmatch.service.auditor import Auditor

_REFUSED: Final = frozenset({Status.PERMISSION_DENIED, Status.UNAUTHENTICATED})
_LOCAL: Final = ("ipv4:127.", "ipv6:[::1]", "ipv6:%5B::1%5D", "ipv6:[::ffff:127.", "ipv6:%5B::ffff:127.")


class Refusing:
    """Records refusals, each kind of them twice in a window at most. Used on one event loop."""

    def __init__(
        self, auditor: Auditor, *, clock: Callable[[], int] = time.time_ns, window_s: float = WINDOW_S
    ) -> None:
        self._auditor = auditor
        self._clock = clock
        self._window_s = window_s
        self._refusals = Refusals()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Refusing: {self._refusals!r}>"

    async def start(self) -> None:
        """Begin to end windows."""
        self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Record what was counted and stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._tell()

    def failed(self, method: str, error: Exception, untrusted_peer: str = "") -> None:
        """Take note of a call that failed, if it was refused; never raises."""
        if not isinstance(error, HashmatchError) or not (error.status in _REFUSED or isinstance(error, QuotaExceeded)):
            return
        owner, lack = (error.owner, error.lack.value) if isinstance(error, Unauthenticated) else ("", "")
        refused = Refused(
            caller=owner or caller().name,
            method=method.rpartition("/")[2],
            reason=error.reason(),
            lack=lack,
            peer=peer_kind(untrusted_peer),
        )
        body = self._refusals.note(refused, self._clock())
        if body is not None:
            self._record(body)

    def _tell(self) -> None:
        for body in self._refusals.told():
            self._record(body)

    def _record(self, body: Body) -> None:
        with contextlib.suppress(LedgerUnavailable):  # the ledger counts what it has no room for
            self._auditor.event(wording.REFUSED, body)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._window_s)
            self._tell()


def peer_kind(untrusted_peer: str) -> str:
    """Return where a call comes from, of an address as gRPC writes it: unix, loopback, remote; empty where unknown."""
    if not untrusted_peer:
        return ""
    if untrusted_peer.startswith("unix"):
        return "unix"
    return "loopback" if untrusted_peer.startswith(_LOCAL) else "remote"
