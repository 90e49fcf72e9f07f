"""What the present caller gets to see and may touch: the sets and cases that are its own, reports whole or reduced.

Theory of operation
-------------------
Handlers pass what comes in and what goes out through these functions. A caller with sets of its own is told of others
neither that they exist nor that they do not: of a set that is not its own it gets PERMISSION_DENIED whether there is
one or not, and a case that rests on other sets is NOT_FOUND like one that never was.

What this module deliberately does not do: it authenticates nobody, and it knows no message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from hashmatch.cases.receipt import is_sealed
from hashmatch.errors import CaseNotFound
from hashmatch.identity import Role, caller
from hashmatch.identity.disclosure import reduced, reduced_case
from hashmatch.model import HarmDomain, HashSet, MatchReport, RescanAnswer
from hashmatch.model.cases import Case, CaseState
from hashmatch.model.deliveries import CaseFile, Finding
from hashmatch.model.figures import Counted
from hashmatch.model.hotline import Item
from hashmatch.outbox.store import DeliveryStore
from hashmatch.report.status import ServiceStatus

MAX_PAGE = 1_000


class Cases(Protocol):
    """Where cases are; ``service.casework.Casework``."""

    outbox: DeliveryStore

    def get(self, case_id: str) -> CaseFile:
        """One case with everything that belongs to it."""

    def page(
        self, *, after: str = "", state: CaseState | None = None, domain: HarmDomain | None = None, most: int = 100
    ) -> tuple[Case, ...]:
        """Cases, oldest first."""


# --- detection -------------------------------------------------------------------------------------------------------


def shown(report: MatchReport) -> MatchReport:
    """Return a report as the caller gets to see it. A receipt that could be read goes to nobody who may not read it."""
    if caller().may(Role.DETAIL):
        return report
    return reduced(report, report.receipt if is_sealed(report.receipt) else b"")


def shown_answer(answer: RescanAnswer) -> RescanAnswer:
    """Likewise, the reports of a rescan."""
    return replace(answer, reports=tuple(map(shown, answer.reports)))


def shown_item(item: Item) -> Item:
    """Likewise, a picture that was found at a URL."""
    return item if item.report is None else replace(item, report=shown(item.report))


# --- sets ------------------------------------------------------------------------------------------------------------


def own_set(name: str, field: str = "set_name") -> str:
    """Return the name of a set that the caller may use; raises PermissionDenied."""
    caller().check_set(name, field)
    return name


def own_sets(found: Iterable[HashSet]) -> Iterator[HashSet]:
    """Leave out sets that are not the caller's."""
    who = caller()
    return (item for item in found if who.sees(item.name))


def own_status(status: ServiceStatus) -> ServiceStatus:
    """Leave out entries of sets that are not the caller's; totals over all sets are nobody's who has sets."""
    who = caller()
    if who.sets is None:
        return status
    matches = tuple(item for item in status.traffic.matches if who.sees(item.set_name))
    return replace(
        status,
        quarantined=tuple(item for item in status.quarantined if who.sees(item.set_name)),
        traffic=replace(status.traffic, matches=matches, verdicts={}),
        outbox=(),
    )


# --- cases -----------------------------------------------------------------------------------------------------------


def shown_case(case: Case) -> Case:
    """Return a case as the caller gets to see it."""
    return case if caller().may(Role.DETAIL) else reduced_case(case)


def shown_file(file: CaseFile) -> CaseFile:
    """Likewise, with what belongs to it."""
    return replace(file, case=shown_case(file.case))


def shown_finding(finding: Finding) -> Finding:
    """Likewise; why an entry could not be voted on names it."""
    if caller().may(Role.DETAIL):
        return finding
    skipped = tuple(replace(item, reason="no opinion was recorded") for item in finding.skipped)
    return replace(finding, case=reduced_case(finding.case), skipped=skipped)


def is_own(case: Case) -> bool:
    """Whether a case rests on sets of the caller only."""
    who = caller()
    return all(who.sees(match.list_name) for match in case.matches)


async def own_case(cases: Cases, case_id: str) -> str:
    """Return the id of a case that is the caller's; raises CaseNotFound."""
    if caller().sets is not None and not is_own((await asyncio.to_thread(cases.get, case_id)).case):
        raise CaseNotFound(f"case_id: there is no case {case_id!r}", field="case_id")
    return case_id


async def own_delivery(cases: Cases, delivery_id: str) -> str:
    """Return the id of a delivery of such a case; raises CaseNotFound."""
    if caller().sets is not None:
        delivery = await asyncio.to_thread(cases.outbox.get, delivery_id)
        try:
            await own_case(cases, delivery.case_id)
        except CaseNotFound:
            raise CaseNotFound(f"delivery_id: there is no delivery {delivery_id!r}", field="delivery_id") from None
    return delivery_id


def own_page(
    cases: Cases, *, after: str, state: CaseState | None, domain: HarmDomain | None, most: int
) -> tuple[Case, ...]:
    """Return a full page of cases that are the caller's, however many others lie between."""
    if caller().sets is None:
        return cases.page(after=after, state=state, domain=domain, most=most)
    found: list[Case] = []
    while len(found) < most and (page := cases.page(after=after, state=state, domain=domain, most=MAX_PAGE)):
        found.extend(case for case in page if is_own(case))
        after = page[-1].case_id
    return tuple(found[:most])


def own_figures(rows: Sequence[Counted]) -> Iterator[Counted]:
    """Leave out figures of sets that are not the caller's; totals over all sets are nobody's who has sets."""
    who = caller()
    return (row for row in rows if who.sees(row.set_name))
