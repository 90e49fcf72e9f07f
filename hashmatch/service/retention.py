"""What is kept of cases, for how long, and what becomes of it then: holds, deliveries nobody decided, cases erased.

Theory of operation
-------------------
A sweep does what time does. Holds whose deadline has passed end, and the caller's store is told. Of a case whose
``cases.keep_days`` are over, a delivery that nobody released, or that no worker has taken for
:data:`STRANDED`, is ``expired``: nothing that was forgotten keeps personal data for ever. One that is ``unsure`` stays
so, for a person may still say what came of it, but it holds nothing up: the case is erased, and with it what was sent.
``cases.warn_days`` ahead, the sweep counts those that wait for a person, for the log to warn of. Then cases are erased.

Every step may be repeated: a process that is killed in between leaves the rest to the next sweep, of whatever process.

What this module deliberately does not do: it erases no row of a case; that there was one stays.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from hashmatch.cases import preservation
from hashmatch.cases.store import RETENTION, CaseStore
from hashmatch.config import Config
from hashmatch.errors import BadConfig, BadInput, CaseConflict
from hashmatch.model.cases import Environment
from hashmatch.model.deliveries import Hold
from hashmatch.outbox.rows import Order
from hashmatch.outbox.store import DeliveryStore
from hashmatch.service.bounds import check_actor, check_reason
from hashmatch.service.findings import Findings

MAX_HOLD_DAYS: Final = 36_500
STRANDED: Final = dt.timedelta(days=7)
"""A delivery that was due so long ago and was not taken has no worker: its outlet was removed, or nothing runs."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did: ids of cases erased and of deliveries expired, and how many will be unless somebody decides."""

    erased: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()
    waiting: int = 0


class Retention:
    """Holds and the end of cases. Every method blocks and may be called from any thread."""

    def __init__(
        self,
        cases: CaseStore,
        outbox: DeliveryStore,
        findings: Findings,
        config: Config,
        now: Callable[[], dt.datetime],
    ) -> None:
        self._cases = cases
        self._outbox = outbox
        self._findings = findings
        self._config = config
        self._now = now

    def __repr__(self) -> str:
        return f"Retention({self._cases!r})"

    def hold(self, case_id: str, handle: str, *, actor: str, days: int | None) -> Hold:
        """Remember that the caller's store keeps what ``handle`` names; raises CaseNotFound, BadInput."""
        check_actor(actor)
        lasting = self._config.cases.hold_days if days is None else days
        if not 1 <= lasting <= MAX_HOLD_DAYS:
            raise BadInput(f"days: {lasting} is not within 1 and {MAX_HOLD_DAYS}", field="days")
        case = self._cases.get(case_id)
        made = self._cases.add_hold(preservation.new_hold(case, handle, self._now(), lasting), actor)
        self._tell_store(made, preservation.HoldAction.KEEP, actor, "")
        return made

    def release(self, case_id: str, hold_id: str, *, actor: str, reason: str) -> Hold:
        """End a hold before its time; raises CaseNotFound, CaseConflict, BadInput."""
        check_actor(actor)
        check_reason(reason)
        found = next((hold for hold in self._cases.holds(case_id) if hold.hold_id == hold_id), None)
        if found is None:
            raise BadInput(f"hold_id: the case has no hold {hold_id[:100]!r}", field="hold_id")
        now = self._now()
        self._cases.release_hold(found, actor=actor, reason=reason, now=now)
        self._tell_store(found, preservation.HoldAction.RELEASE, actor, reason)
        return replace(found, released_at=now)

    def sweep(self) -> Swept:
        """End holds, expire deliveries that nobody decides, erase cases whose time has come.

        Also does what a process which was killed had no time to do: gives opinions, forgets subjects.
        """
        now = self._now()
        self._findings.pay()
        for hold in self._cases.holds_due(now):
            self._tell_store(hold, preservation.HoldAction.RELEASE, RETENTION, "its deadline has passed")
            with contextlib.suppress(CaseConflict):  # another process sweeps as well; the store is told once
                self._cases.release_hold(hold, actor=RETENTION, reason="its deadline has passed", now=now)
        expired = self._outbox.expire_undecided(now, STRANDED, RETENTION)
        for case_id in self._cases.told():
            self._cases.settle(case_id, now)
        erased = self._cases.erase_expired(now)
        ahead = now + dt.timedelta(days=self._config.cases.warn_days)
        return Swept(erased, tuple(one.delivery_id for one in expired), len(self._outbox.undecided(ahead)))

    def _tell_store(self, hold: Hold, action: preservation.HoldAction, actor: str, reason: str) -> None:
        """Queue a word to the caller's store, where one is configured; a hold that is asked for twice is told once."""
        name = self._config.cases.hold_outlet
        if not name:
            return
        if name not in self._config.outbox.outlets:
            raise BadConfig(f"cases.hold_outlet: no outlet is named {name!r}", field="cases.hold_outlet")
        numbers = [item.external_id for item in self._outbox.of_case(hold.case_id) if item.external_id]
        case = self._cases.get(hold.case_id)
        order = Order(
            case_id=hold.case_id,
            outlet=name,
            environment=Environment(self._config.outbox.outlets[name].environment),
            document=preservation.hold_document(hold, case, action, reason=reason, report_ids=numbers),
            key=hashlib.sha256(f"{hold.hold_id}\0{action.value}".encode()).hexdigest(),
            requested_by=actor,
        )
        self._outbox.queue(order, self._now())
