"""Deliveries in the catalog's database: queued, taken under a lease, settled; each change with its event.

Theory of operation
-------------------
A process takes what is due with a token of its own and a lease; what it writes later counts only while its token still
stands there, so a process that was away for longer than its lease changes nothing any more. Whoever takes a delivery
whose lease has ended goes on from the progress that was saved: nothing is lost, and an outlet that saved before what
cannot be taken back does not do it twice.

A delivery under the same key as one before is that one: queuing twice queues once.

A delivery that cannot be sent whatever its outlet does, because its row is damaged or its document erased, is dead as
soon as it is taken, with a reason that names the defect; the others are taken all the same.

A delivery may tell several cases. What happens to it stands in the history of each; it is erased with the first of them
that is, and not sent once the match of one was rejected.

What happens is noted by whoever counts (:data:`Noting`) in the transaction that says so: no report is in the outbox and
not in the figures, or the other way round, whenever a process ends.

What this module deliberately does not do: it sends nothing, and knows no outlet and no counter.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import types
import unicodedata
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from hashmatch.catalog.casebook import MAX_ID_LENGTH, is_id, keep, record
from hashmatch.catalog.rows import from_us, to_us
from hashmatch.catalog.session import Session, Tables
from hashmatch.errors import CaseConflict, CaseNotFound
from hashmatch.model.deliveries import DeliveryState
from hashmatch.outbox.parcels import Progress
from hashmatch.outbox.rows import Delivery, Order, delivery_of, document_text
from hashmatch.outbox.states import DeliveryEvent, moved

MAX_LISTED: Final = 1_000
EXPIRED: Final = "expired: nobody decided until the retention time of its case had passed"
_EXPIRY: Final[Mapping[DeliveryState, tuple[DeliveryEvent, str]]] = types.MappingProxyType(
    {
        DeliveryState.SENDING: (
            DeliveryEvent.DOUBT,
            "no worker came back to it until the retention time of its case had passed; look whether it arrived",
        )
    }
)
MAX_REASON: Final = 2_000
"""Characters that are kept of what an outlet says."""
ACTOR: Final = "outbox"
"""Who delivers, gives up, and takes back what was rejected, in the events of a case."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of a try: the event, when it is due again where it is, and what the receiver said."""

    event: DeliveryEvent
    due_at: dt.datetime
    reason: str = ""
    external_id: str = ""


Noting: TypeAlias = Callable[[Session, Delivery, DeliveryEvent], None]
"""Writes, in the transaction of a change, what else is to be kept of it: the delivery as it is now, and the event."""


def _unnoted(_: Session, __: Delivery, ___: DeliveryEvent) -> None: ...


class DeliveryStore:
    """The outbox. Every method may be called from any thread."""

    def __init__(self, tables: Tables, noting: Noting = _unnoted) -> None:
        self._tables = tables
        self._noting = noting

    def __repr__(self) -> str:
        return f"DeliveryStore({self._tables!r})"

    def queue(self, order: Order, now: dt.datetime) -> Delivery:
        """Queue a document, or hold it for a second person; what this key queued before is returned.

        Raises
        ------
        CaseConflict
            The key was used for another case, outlet or format; or the case is erased.

        """
        text = document_text(order.document)
        digest = hashlib.sha256(text.encode()).digest()
        with self._tables.changing() as session:
            _keep_all(session, order.case_ids)
            delivery_id = str(uuid.uuid4())
            state = DeliveryState.HELD if order.held else DeliveryState.QUEUED
            at = to_us(now)
            head = (delivery_id, order.case_id, order.outlet, order.environment.value, order.document.format)
            body = (order.key, order.recipient, int(order.with_file), text, digest)
            made = session.run("insert_delivery", (*head, state.value, at, *body, order.requested_by, at, at))
            if made.rowcount != 1:
                return _same(_read(session, session.run("delivery_by_key", (order.key,)).fetchone()[0]), order)
            further = enumerate(order.further_case_ids, 1)
            session.run_many("insert_delivery_case", ((delivery_id, place, case_id) for place, case_id in further))
            queued = _read(session, delivery_id)
            _record(session, queued, now, order.requested_by, state.value, order.outlet)
            return queued

    def get(self, delivery_id: str) -> Delivery:
        """Return one delivery; raises CaseNotFound."""
        with self._tables.reading() as session:
            return _read(session, delivery_id)

    def of_case(self, case_id: str) -> tuple[Delivery, ...]:
        """Return the deliveries that tell a case, oldest first."""
        with self._tables.reading() as session:
            return tuple(delivery_of(row) for row in session.run("deliveries_of_case", (case_id,)))

    def in_state(self, state: DeliveryState, most: int = 100) -> tuple[Delivery, ...]:
        """Return deliveries that stand somewhere, oldest first, of all cases."""
        with self._tables.reading() as session:
            rows = session.run("deliveries_in_state", (state.value, min(most, MAX_LISTED)))
            return tuple(delivery_of(row) for row in rows)

    def change(self, delivery_id: str, event: DeliveryEvent, *, actor: str, reason: str, now: dt.datetime) -> Delivery:
        """Do what a person decided; a release is by another person than the request.

        A delivery that is being sent counts as queued once its lease has ended, also where its outlet is gone.

        Raises
        ------
        CaseNotFound, CaseConflict
            There is none of that id; the table does not allow it; or the same person would release.

        """
        with self._tables.changing() as session:
            found = _read(session, delivery_id)
            lost = found.state is DeliveryState.SENDING and found.due_at <= now
            state = moved(moved(found.state, DeliveryEvent.LOSE) if lost else found.state, event)
            if event is DeliveryEvent.RELEASE and _person(actor) == _person(found.requested_by):
                raise CaseConflict(
                    f"actor: {actor} asked for this delivery; another person must release it", field="actor"
                )
            again = event in {DeliveryEvent.RETRY, DeliveryEvent.RELEASE}
            if again:
                _keep_all(session, found.case_ids)
                found.parcel  # noqa: B018  raises where there is nothing left to be sent
            _update(
                session,
                found,
                replace(
                    found,
                    state=state,
                    due_at=now if again else found.due_at,
                    attempt=0 if event is DeliveryEvent.RETRY else found.attempt,
                    released_by=actor if event is DeliveryEvent.RELEASE else found.released_by,
                    reason="" if again else reason or found.reason,
                ),
                now,
            )
            _record(session, found, now, actor, event.value, reason)
            return self._noted(session, delivery_id, event)

    # --- for those who deliver -----------------------------------------------------------------------------------

    def take(self, outlet: str, now: dt.datetime, lease: dt.timedelta, most: int) -> tuple[Delivery, ...]:
        """Take what is due at an outlet, at most so many; what others take meanwhile is theirs.

        What cannot be sent at all (:attr:`~hashmatch.outbox.rows.Delivery.hindrance`) is among them, dead.
        """
        token = uuid.uuid4().hex
        with self._tables.changing() as session:
            self._withdraw(session, outlet, now)
            numbers = {"now_us": to_us(now), "lease_until_us": to_us(now + lease), "most": most}
            taken = session.run("take_deliveries", {"outlet": outlet, "taken_by": token, **numbers})
            ids = sorted(row[0] for row in taken)
            return tuple(_sendable(session, _read(session, delivery_id), now) for delivery_id in ids)

    def _withdraw(self, session: Session, outlet: str, now: dt.datetime) -> None:
        """Send nothing that tells a case whose match was rejected after it was queued, or while it was being sent."""
        for (delivery_id,) in list(session.run("rejected_reports", (outlet, to_us(now)))):
            found = _read(session, delivery_id)
            sending = found.state is DeliveryState.SENDING
            event = DeliveryEvent.DOUBT if sending else DeliveryEvent.CANCEL
            reason = "the match was rejected" + (" while it was being sent; look whether it arrived" if sending else "")
            _update(session, found, replace(found, state=moved(found.state, event), reason=reason), now)
            _record(session, found, now, ACTOR, event.value, reason)

    def take_for_file(self, delivery_id: str, now: dt.datetime, lease: dt.timedelta) -> Delivery:
        """Take the one delivery that waits for its file; raises CaseNotFound, CaseConflict."""
        token = uuid.uuid4().hex
        with self._tables.changing() as session:
            found = _read(session, delivery_id)
            moved(found.state, DeliveryEvent.TAKE)
            if found.state is not DeliveryState.WAITING:
                raise CaseConflict(
                    f"delivery_id: the delivery is {found.state.value}; a file is taken while it is waiting",
                    field="delivery_id",
                )
            found.parcel  # noqa: B018  raises where it cannot be sent
            numbers = {"now_us": to_us(now), "lease_until_us": to_us(now + lease)}
            session.run("take_delivery", {"delivery_id": delivery_id, "taken_by": token, **numbers})
            return _read(session, delivery_id)

    def save(self, taken: Delivery, progress: Progress, now: dt.datetime, lease: dt.timedelta) -> None:
        """Keep how far a taken delivery came; the lease begins anew.

        Raises
        ------
        CaseConflict
            It was taken by another process: the lease had ended.

        """
        text = json.dumps(dict(progress), ensure_ascii=False, sort_keys=True)
        with self._tables.changing() as session:
            numbers = (to_us(now + lease), to_us(now))
            if session.run("save_progress", (text, *numbers, taken.delivery_id, taken.taken_by)).rowcount != 1:
                raise CaseConflict(f"delivery_id: another process has {taken.delivery_id}", field="delivery_id")

    def settle(self, taken: Delivery, settled: Settled, actor: str, now: dt.datetime) -> Delivery:
        """Write down what came of a try; raises CaseConflict where another process has it by now."""
        with self._tables.changing() as session:
            after = replace(
                taken,
                state=moved(taken.state, settled.event),
                due_at=settled.due_at,
                reason=_legible(settled.reason),
                external_id=_legible(settled.external_id) or taken.external_id,
            )
            _update(session, taken, after, now)
            _record(session, taken, now, actor, settled.event.value, after.reason)
            return self._noted(session, taken.delivery_id, settled.event)

    def _noted(self, session: Session, delivery_id: str, event: DeliveryEvent) -> Delivery:
        after = _read(session, delivery_id)
        self._noting(session, after, event)
        return after

    def expire(self, outlet: str, now: dt.datetime, actor: str) -> tuple[str, ...]:
        """Give up on deliveries whose file did not come in time; return their ids."""
        reason = "the file did not come in time; retry begins a new report"
        with self._tables.changing() as session:
            due = tuple(row[0] for row in session.run("overdue_files", (outlet, to_us(now))))
            for delivery_id in due:
                found = _read(session, delivery_id)
                state = moved(found.state, DeliveryEvent.EXPIRE)
                _update(session, found, replace(found, state=state, reason=reason), now)
                _record(session, found, now, actor, DeliveryEvent.EXPIRE.value, reason)
            return due

    def next_due(self, outlet: str) -> dt.datetime | None:
        """Return when there is next something to do, None when there is nothing."""
        with self._tables.reading() as session:
            (at,) = session.run("next_due", (outlet,)).fetchone()
            return None if at is None else from_us(int(at))

    # --- for whoever erases --------------------------------------------------------------------------------------

    def expire_undecided(self, now: dt.datetime, stranded: dt.timedelta, actor: str) -> tuple[Delivery, ...]:
        """Let go of what waited until the time of its case had come; return it, at most some hundred at a time.

        That is what nobody released, and what was due for longer than ``stranded`` without a worker that took it. What
        a worker had taken and never settled may have been sent, and is unsure.
        """
        with self._tables.changing() as session:
            limits = {"now_us": to_us(now), "stranded_us": to_us(now - stranded), "most": MAX_LISTED}
            found = [_read(session, row[0]) for row in list(session.run("undecided_deliveries", limits))]
            for one in found:
                event, reason = _EXPIRY.get(one.state, (DeliveryEvent.EXPIRE, EXPIRED))
                _update(session, one, replace(one, state=moved(one.state, event), reason=reason), now)
                _record(session, one, now, actor, event.value, reason)
            return tuple(self._noted(session, one.delivery_id, DeliveryEvent.EXPIRE) for one in found)

    def undecided(self, before: dt.datetime) -> Mapping[str, dt.datetime]:
        """Return what people have to decide before then: held and unsure deliveries, and when cases of theirs end."""
        with self._tables.reading() as session:
            rows = session.run("undecided_before", (to_us(before), MAX_LISTED))
            return {row[0]: from_us(row[1]) for row in rows}

    def depths(self) -> Mapping[tuple[str, str], int]:
        """Count the deliveries that are neither delivered nor cancelled, by outlet and state."""
        with self._tables.reading() as session:
            return {(row[0], row[1]): row[2] for row in session.run("outbox_depths")}

    def unknown_outlets(self, known: Collection[str]) -> Mapping[str, int]:
        """Return outlets that deliveries wait for and that are not among the known ones, with how many those are."""
        with self._tables.reading() as session:
            return {row[0]: row[1] for row in session.run("outlets_waited_for") if row[0] not in known}


def _keep_all(session: Session, case_ids: Sequence[str]) -> None:
    """Make sure that each case is there and stays, in one order, so that no two wait for each other."""
    for case_id in sorted(case_ids):
        keep(session, case_id)


def _record(  # noqa: PLR0917  the columns of an event
    session: Session, delivery: Delivery, now: dt.datetime, actor: str, what: str, reason: str
) -> None:
    """Write down what happens to a delivery, with each case that it tells."""
    for case_id in delivery.case_ids:
        record(session, case_id, now, actor, what, reason, delivery.delivery_id)


def _sendable(session: Session, taken: Delivery, now: dt.datetime) -> Delivery:
    """Return a delivery that was taken, dead where it cannot be sent."""
    if not taken.hindrance:
        return taken
    state = moved(DeliveryState.SENDING, DeliveryEvent.GIVE_UP)
    _update(session, taken, replace(taken, state=state, reason=taken.hindrance), now)
    _record(session, taken, now, ACTOR, DeliveryEvent.GIVE_UP.value, taken.hindrance)
    return _read(session, taken.delivery_id)


def _person(name: str) -> str:
    """Return a name as people tell it apart: neither case nor blanks nor look-alike widths make another person.

    Nor does the caller that stands before it (``identity.callers.actor``): with two keys one is still one person.
    """
    return "".join(unicodedata.normalize("NFKC", name).casefold().split()).rpartition("/")[2]


def _legible(text: str) -> str:
    """Return what a receiver said as a database takes it."""
    return "".join(sign if sign.isprintable() else " " for sign in text[:MAX_REASON])


def _same(found: Delivery, order: Order) -> Delivery:
    if (found.case_ids, found.outlet, found.format) != (order.case_ids, order.outlet, order.document.format):
        raise CaseConflict(
            f"idempotency_key: the delivery {found.delivery_id} was queued under this key for something else",
            field="idempotency_key",
        )
    return found


def _update(session: Session, before: Delivery, after: Delivery, now: dt.datetime) -> None:
    done = session.run(
        "update_delivery",
        {
            "state": after.state.value,
            "due_at_us": to_us(after.due_at),
            "external_id": after.external_id,
            "reason": after.reason,
            "attempt": after.attempt,
            "released_by": after.released_by,
            "now_us": to_us(now),
            "delivery_id": before.delivery_id,
            "before": before.state.value,
            "taken_by": before.taken_by,
        },
    )
    if done.rowcount != 1:
        raise CaseConflict(f"delivery_id: another process has {before.delivery_id}", field="delivery_id")


def _read(session: Session, delivery_id: str) -> Delivery:
    row = session.run("delivery_by_id", (delivery_id,)).fetchone() if is_id(delivery_id) else None
    if row is None:
        raise CaseNotFound(f"delivery_id: there is no delivery {delivery_id[:MAX_ID_LENGTH]!r}", field="delivery_id")
    return delivery_of(row)
