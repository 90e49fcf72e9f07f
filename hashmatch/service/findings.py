"""What a person found about a match, and the opinions that follow from it, whenever a process ends.

Theory of operation
-------------------
A finding takes two transactions. The first moves the case, counts, and writes down that opinions are owed: from then on
nothing of a rejected match is delivered. The second gives every opinion and strikes the debt, all or nothing; it waits
for imports, which a rejection must not. A process that is killed in between leaves the debt, and the next sweep, of
whatever process, pays it. A later finding takes the place of an earlier one that is still owed, and whoever pays reads
the debt under its lock, so the opinion that stands is that of the last finding.

A delivery that tells several cases is cancelled whole when the match of one is rejected: a document is never sent that
says something known to be wrong, and none is rewritten after a person may have read it. The other cases stay open, and
are sent anew.

What this module deliberately does not do: it deletes no opinion; that of a later finding takes its place.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
from collections.abc import Callable
from typing import Final

from hashmatch.cases import counters, owed, preservation
from hashmatch.cases.owed import Said
from hashmatch.cases.states import CaseEvent
from hashmatch.cases.store import CaseStore, case_in
from hashmatch.catalog import deciding
from hashmatch.catalog.deciding import Target
from hashmatch.catalog.relational import RelationalCatalog
from hashmatch.catalog.session import Session
from hashmatch.config import Config
from hashmatch.errors import BadInput, CaseConflict, EntryNotFound, SetNotFound
from hashmatch.model import Opinion, Rejected, Stance
from hashmatch.model.cases import Case, CaseMatch
from hashmatch.model.deliveries import DeliveryState, Finding
from hashmatch.outbox.states import DeliveryEvent
from hashmatch.outbox.store import DeliveryStore
from hashmatch.service.bounds import check_actor, check_reason

PENDING: Final = frozenset({DeliveryState.HELD, DeliveryState.QUEUED, DeliveryState.WAITING})
"""Where a delivery stands that a rejection takes back."""


class Findings:
    """Findings over one catalog. Every method blocks and may be called from any thread."""

    def __init__(
        self,
        catalog: RelationalCatalog,
        cases: CaseStore,
        outbox: DeliveryStore,
        config: Config,
        now: Callable[[], dt.datetime],
    ) -> None:
        self._catalog = catalog
        self._cases = cases
        self._outbox = outbox
        self._config = config
        self._now = now

    def __repr__(self) -> str:
        return f"Findings({self._catalog!r})"

    def find(self, case_id: str, *, confirmed: bool, actor: str, reason: str) -> Finding:
        """Record that the match of a case was right or wrong; raises CaseNotFound, CaseConflict, BadInput."""
        check_actor(actor)
        check_reason(reason, required=True)
        now = self._now()
        said = Said(confirmed, actor, reason)
        case = self._cases.change(
            case_id,
            CaseEvent.CONFIRM if confirmed else CaseEvent.REJECT,
            actor=actor,
            reason=reason,
            now=now,
            counting=functools.partial(counters.of_opinion, confirmed=confirmed, now=now),
            then=functools.partial(_owe, said=said),
        )
        if not confirmed:
            self._take_back(case_id, actor, now)
        skipped = self._pay(case_id) or ()
        self._cases.settle(case_id, now)
        return Finding(case, len(case.matches) - len(skipped), skipped)

    def pay(self) -> tuple[str, ...]:
        """Give opinions that a process which was killed still owes, at most some at a time; return their cases."""
        with self._catalog.reading() as session:
            owing = owed.owing(session)
        return tuple(case_id for case_id in owing if self._pay(case_id) is not None)

    def _take_back(self, case_id: str, actor: str, now: dt.datetime) -> None:
        """Cancel what was not sent yet; where a process ends before, the outbox lets it go no further."""
        for delivery in self._outbox.of_case(case_id):
            if delivery.state in PENDING and delivery.format != preservation.FORMAT:
                with contextlib.suppress(CaseConflict):  # taken at this moment: likewise
                    reason = (
                        "the match was rejected"
                        if not delivery.further_case_ids
                        else (f"the match of case {case_id} was rejected; send the others anew")
                    )
                    self._outbox.change(delivery.delivery_id, DeliveryEvent.CANCEL, actor=actor, reason=reason, now=now)

    def _pay(self, case_id: str) -> tuple[Rejected, ...] | None:
        """Give the opinions of a case; return what could not be given, None where nothing is owed any more."""
        with self._catalog.altering() as session:
            said = owed.owed(session, case_id)
            if said is None:
                return None
            case = case_in(session, case_id)
            matches = () if case is None else case.matches
            skipped = tuple(
                trouble
                for number, match in enumerate(matches)
                if (trouble := self._vote(session, number, match, said)) is not None
            )
            owed.paid(session, case_id)
            return skipped

    def _vote(self, session: Session, number: int, match: CaseMatch, said: Said) -> Rejected | None:
        stance = Stance.AGREE if said.confirmed else Stance.DISAGREE
        opinion = Opinion(self._who(match.list_name, said.actor), stance, said.reason, algorithm=match.algorithm)
        try:
            deciding.vote(session, Target(match.list_name, match.entry_id), opinion, said.actor)
        except (SetNotFound, EntryNotFound, BadInput) as error:
            return Rejected(number, "matches", error.message)
        return None

    def _who(self, list_name: str, actor: str) -> str:
        """Return the name under which the source of a set knows us, else our own, else the person's."""
        for source in self._config.sync.sources.values():
            if source.set == list_name and source.own_name:
                return source.own_name
        return self._config.reporter.domain or actor


def _owe(session: Session, case: Case, *, said: Said) -> None:
    owed.owe(session, case.case_id, said)
