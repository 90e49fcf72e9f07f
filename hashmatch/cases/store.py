"""Cases, holds and counters in the catalog's database.

Theory of operation
-------------------
Every change is one transaction, which also writes the event that says who did what and why. A case is kept until
``expires_at``; then its record, its subject and what was sent of it are erased, and the row that there was one stays,
with its events. Nothing is erased while a delivery is under way or a hold runs.

An idempotency key belongs to one request: the same request again gives the same case, another one is refused.

What this module deliberately does not do: it knows no rule about what a case may say, and it delivers nothing.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from hashmatch.cases.counters import count_up
from hashmatch.cases.states import CaseEvent, moved
from hashmatch.catalog.casebook import ERASED, erased, is_id, keep, not_found, record
from hashmatch.catalog.rows import from_us, to_us
from hashmatch.catalog.session import Session, Tables
from hashmatch.errors import BadInput, CaseConflict, CatalogCorrupt
from hashmatch.model import HarmDomain
from hashmatch.model.cases import Case, CaseState, Keep, Subject
from hashmatch.model.deliveries import Hold, Recorded
from hashmatch.model.figures import Counted
from hashmatch.report.plain import from_plain, to_plain

MAX_PAGE: Final = 1_000
ERASED_AT_ONCE: Final = 100
RETENTION: Final = "retention"
"""Who erases, in the events of a case."""


Counting: TypeAlias = Callable[[Case], Iterable[Counted]]
"""What a change to a case adds to the counters, in its transaction."""


Then: TypeAlias = Callable[[Session, Case], None]
"""What else is written with a change to a case, in its transaction."""


def _nothing(_: Case) -> Iterable[Counted]:
    return ()


def _no_more(_: Session, __: Case) -> None: ...


@dataclass(frozen=True, slots=True)
class NewCase:
    """A case on its way in."""

    case: Case
    expires_at: dt.datetime
    request_sha256: bytes
    idempotency_key: str = ""


class CaseStore:
    """Cases and what belongs to them. Every method may be called from any thread."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def __repr__(self) -> str:
        return f"CaseStore({self._tables!r})"

    def add(self, new: NewCase, actor: str, counting: Counting = _nothing) -> Case:
        """Keep a case and count it, or return the one that the same request made before.

        Raises
        ------
        CaseConflict
            The idempotency key was used for another request.

        """
        case = new.case
        with self._tables.changing() as session:
            subject = "" if case.subject is None or case.keep_subject is Keep.CALL else _json(case.subject)
            made = session.run(
                "insert_case",
                (
                    case.case_id,
                    case.state.value,
                    case.domain.value,
                    to_us(case.created_at),
                    to_us(new.expires_at),
                    new.idempotency_key or None,
                    new.request_sha256,
                    _json(replace(case, subject=None)),
                    subject,
                    case.keep_subject.value,
                ),
            )
            if made.rowcount != 1:
                return _made_before(session, new)
            record(session, case.case_id, case.created_at, actor, "opened", "")
            count_up(session, counting(case))
            return _case_of(_row(session, case.case_id))

    def get(self, case_id: str) -> Case:
        """Return one case, with its subject as far as that is kept; raises CaseNotFound, CaseConflict if erased."""
        with self._tables.reading() as session:
            return _case_of(_row(session, case_id))

    def of_key(self, idempotency_key: str) -> str | None:
        """Return the id of the case that an idempotency key was used for; None where it was not, or that is erased."""
        with self._tables.reading() as session:
            row = session.run("case_by_key", (idempotency_key,)).fetchone()
            return None if row is None else str(row[0])

    def page(
        self, *, after: str = "", state: CaseState | None = None, domain: HarmDomain | None = None, most: int = 100
    ) -> tuple[Case, ...]:
        """Return cases that are not erased, oldest first, after the one of that id; raises CaseNotFound."""
        with self._tables.reading() as session:
            place = (0, "") if not after else (_row(session, after)[3], after)
            rows = session.run(
                "cases_page",
                {
                    "created_at_us": place[0],
                    "case_id": place[1],
                    "state": "" if state is None else state.value,
                    "domain": "" if domain is None else domain.value,
                    "most": min(most, MAX_PAGE),
                },
            )
            return tuple(_case_of(row) for row in rows)

    def change(
        self,
        case_id: str,
        event: CaseEvent,
        *,
        actor: str,
        reason: str,
        now: dt.datetime,
        counting: Counting = _nothing,
        then: Then = _no_more,
    ) -> Case:
        """Move a case as the table allows, with what follows from that; raises CaseNotFound, CaseConflict."""
        with self._tables.changing() as session:
            case = _case_of(_row(session, case_id))
            state = moved(case.state, event)
            if session.run("update_case_state", (state.value, case_id, case.state.value)).rowcount != 1:
                raise CaseConflict(
                    "case_id: the case was changed at the same moment; look at it again", field="case_id"
                )
            record(session, case_id, now, actor, event.value, reason)
            count_up(session, counting(case))
            then(session, case)
            return replace(case, state=state)

    def note(
        self, case_id: str, what: str, *, actor: str, reason: str, now: dt.datetime, counting: Counting = _nothing
    ) -> Case:
        """Write down and count what happened to a case without moving it; raises CaseNotFound, CaseConflict."""
        with self._tables.changing() as session:
            case = _case_of(_row(session, case_id))
            record(session, case_id, now, actor, what, reason)
            count_up(session, counting(case))
            return case

    def events(self, case_id: str) -> tuple[Recorded, ...]:
        """Return what happened to a case, oldest first; also of one that was erased; raises CaseNotFound."""
        with self._tables.reading() as session:
            _row(session, case_id)
            return tuple(Recorded(from_us(row[0]), *row[1:]) for row in session.run("case_events", (case_id,)))

    # --- retention -----------------------------------------------------------------------------------------------

    def settle(self, case_id: str, now: dt.datetime) -> None:
        """Forget the subject, where it was to be kept until everything was delivered, and that is so.

        A case that is open and of which nothing was to be reported yet keeps it, as does one with a dead letter, which
        a person may send again. What was sent holds the subject as well, and is forgotten with it.
        """
        with self._tables.changing() as session:
            if is_id(case_id):
                session.run("keep_case", (case_id,))
            row = _row(session, case_id)
            if row[7] != Keep.DELIVERED.value or not row[6]:
                return
            pending, reports = session.run("untold", (case_id,)).fetchone()
            if pending or (row[1] == CaseState.OPEN.value and not reports):
                return
            session.run("overwrite_deleted")
            session.run("forget_subject", (case_id,))
            session.run("erase_documents", (case_id,))
            record(session, case_id, now, RETENTION, "subject erased", "every delivery has come to its end")

    def told(self) -> tuple[str, ...]:
        """Return cases that :meth:`settle` has something to do about: a process may have ended before it could."""
        with self._tables.reading() as session:
            return tuple(row[0] for row in session.run("told_subjects", (ERASED_AT_ONCE,)))

    def erase_expired(self, now: dt.datetime) -> tuple[str, ...]:
        """Erase cases whose time has come, some at a time; return their ids."""
        with self._tables.changing() as session:
            found = [row[0] for row in session.run("expired_cases", (to_us(now), ERASED_AT_ONCE))]
            # Asked again of each, which is locked by now: something may have been queued before the lock was there.
            due = tuple(case_id for case_id in found if not _needed(session, case_id))
            if due:
                session.run("overwrite_deleted")
            for case_id in due:
                session.run("erase_documents", (case_id,))
                session.run("erase_case", (case_id,))
                record(session, case_id, now, RETENTION, "erased", "its retention time has passed")
            return due

    # --- holds ---------------------------------------------------------------------------------------------------

    def add_hold(self, hold: Hold, actor: str) -> Hold:
        """Remember that the caller's store keeps something, or return the same hold that was asked for before.

        Raises
        ------
        CaseNotFound, CaseConflict
            There is no such case, or it was erased.

        """
        with self._tables.changing() as session:
            keep(session, hold.case_id)
            made = session.run(
                "insert_hold", (hold.hold_id, hold.case_id, hold.handle, to_us(hold.deadline), to_us(hold.created_at))
            )
            if made.rowcount != 1:
                before = (_hold_of(row) for row in session.run("holds_of_case", (hold.case_id,)))
                return next(kept for kept in before if kept.hold_id == hold.hold_id)
            record(session, hold.case_id, hold.created_at, actor, "hold", f"until {hold.deadline.date().isoformat()}")
        return hold

    def holds(self, case_id: str) -> tuple[Hold, ...]:
        """Return the holds of a case, oldest first."""
        with self._tables.reading() as session:
            return tuple(_hold_of(row) for row in session.run("holds_of_case", (case_id,)))

    def holds_due(self, now: dt.datetime, most: int = 100) -> tuple[Hold, ...]:
        """Return holds whose deadline has passed."""
        with self._tables.reading() as session:
            return tuple(_hold_of(row) for row in session.run("holds_due", (to_us(now), most)))

    def release_hold(self, hold: Hold, *, actor: str, reason: str, now: dt.datetime) -> None:
        """End a hold; raises CaseConflict where it has ended."""
        with self._tables.changing() as session:
            if session.run("release_hold", (to_us(now), hold.hold_id)).rowcount != 1:
                raise CaseConflict(f"hold_id: the hold {hold.hold_id} has ended already", field="hold_id")
            record(session, hold.case_id, now, actor, "hold released", reason)


def _made_before(session: Session, new: NewCase) -> Case:
    case_id, digest = session.run("case_by_key", (new.idempotency_key,)).fetchone()
    if bytes(digest) != new.request_sha256:
        raise CaseConflict(
            f"idempotency_key: {new.idempotency_key!r} was used for another request; use a new one for a new case",
            field="idempotency_key",
        )
    return _case_of(_row(session, case_id))


def _row(session: Session, case_id: str) -> Sequence[object]:
    row = session.run("case_by_id", (case_id,)).fetchone() if is_id(case_id) else None
    if row is None:
        raise not_found(case_id)
    found: Sequence[object] = row
    return found


def _needed(session: Session, case_id: str) -> bool:
    return any(session.run(name, (case_id,)).fetchone()[0] for name in ("unsettled", "running_holds"))


def case_in(session: Session, case_id: str) -> Case | None:
    """Return a case inside a transaction of somebody else's; None once it is erased; raises CaseNotFound."""
    row = _row(session, case_id)
    return None if row[1] == ERASED else _case_of(row)


def _case_of(row: Sequence[object]) -> Case:
    case_id, state, _, _, _, record_text, subject = row[:7]
    if state == ERASED:
        raise erased(str(case_id))
    try:
        case = from_plain(Case, json.loads(str(record_text)))
        about = from_plain(Subject, json.loads(str(subject))) if subject else None
        return replace(case, state=CaseState(str(state)), subject=about)
    except (ValueError, RecursionError, BadInput) as error:
        raise CatalogCorrupt(
            f"the case {case_id} cannot be read: its record is damaged ({type(error).__name__})"
        ) from error


def _hold_of(row: Iterable[object]) -> Hold:
    hold_id, case_id, handle, deadline_us, released_at_us, created_at_us = row
    released = None if released_at_us is None else from_us(int(str(released_at_us)))
    return Hold(
        str(hold_id),
        str(case_id),
        str(handle),
        from_us(int(str(deadline_us))),
        from_us(int(str(created_at_us))),
        released,
    )


def _json(value: object) -> str:
    return json.dumps(to_plain(value), separators=(",", ":"))  # ASCII: PostgreSQL keeps no NUL in a text
