"""Counters in the catalog's database, and what a report, a case and a delivery add to them.

Theory of operation
-------------------
What happens is turned into rows (pure functions), rows are added to the table as sums, and several processes count into
the same rows. What happens to a case or a delivery is counted in the transaction that says so. Images checked are
summed in memory first, since no answer waits for a database: a process that is killed loses what it had not yet written
of those, and nothing else.

What this module deliberately does not do: it computes no statistics; ``model.figures`` says what the rows mean.
"""

from __future__ import annotations

import collections
import datetime as dt
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from hashmatch.catalog.session import Session, Tables
from hashmatch.model import HarmDomain, MatchReport, Verdict
from hashmatch.model.cases import Automation, Case, Source, Visibility
from hashmatch.model.figures import Counted, Counter, bucket_of

_VERDICTS: Final[Mapping[Verdict, Counter]] = types.MappingProxyType(
    {Verdict.MATCH: Counter.MATCH, Verdict.POSSIBLE_MATCH: Counter.POSSIBLE}
)
_SOURCES: Final[Mapping[Source, Counter]] = types.MappingProxyType(
    {
        Source.VOLUNTARY: Counter.OWN_INITIATIVE,
        Source.ARTICLE_16: Counter.NOTICE_ARTICLE_16,
        Source.TRUSTED_FLAGGER: Counter.NOTICE_TRUSTED_FLAGGER,
        Source.NOTICE: Counter.NOTICE_OTHER,
        Source.ORDER: Counter.ORDER,
    }
)
_AUTOMATION: Final[Mapping[Automation, Counter]] = types.MappingProxyType(
    {
        Automation.FULLY: Counter.DECIDED_FULLY,
        Automation.PARTIALLY: Counter.DECIDED_PARTIALLY,
        Automation.NOT: Counter.DECIDED_NOT,
    }
)
_DOWN: Final = frozenset({Visibility.REMOVED, Visibility.DISABLED})


class CounterStore:
    """The table of counters. Every method may be called from any thread."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def __repr__(self) -> str:
        return f"CounterStore({self._tables!r})"

    def add(self, rows: Iterable[Counted]) -> None:
        """Add to the counters, all or none; raises CatalogUnavailable."""
        with self._tables.changing() as session:
            count_up(session, rows)

    def between(self, first: dt.date, last: dt.date) -> tuple[Counted, ...]:
        """Return the counters of some days, both ends included."""
        with self._tables.reading() as session:
            return tuple(
                Counted(
                    dt.date.fromisoformat(day),
                    Counter(counter),
                    set_name,
                    algorithm,
                    HarmDomain(domain) if domain else None,
                    outlet,
                    bucket,
                    count,
                )
                for day, counter, set_name, algorithm, domain, outlet, bucket, count in session.run(
                    "counted_between", (first.isoformat(), last.isoformat())
                )
            )


def count_up(session: Session, rows: Iterable[Counted]) -> None:
    """Add to the counters in the transaction of what is counted; in one order, so that no two wait for each other."""
    keyed = (
        (
            row.day.isoformat(),
            row.counter.value,
            row.set_name,
            row.algorithm,
            "" if row.domain is None else row.domain.value,
            row.outlet,
            row.bucket,
            row.count,
        )
        for row in rows
    )
    for values in sorted(keyed):
        session.run("count_up", values)


def of_report(report: MatchReport) -> Iterator[Counted]:
    """Yield what a match report adds."""
    day = report.created_at.astimezone(dt.UTC).date()
    yield Counted(day, Counter.CHECKED)
    if report.verdict is Verdict.NOT_CHECKED:
        yield Counted(day, Counter.NOT_CHECKED)
    if report.verdict in _VERDICTS:
        nearest = next((hit for hit in report.hits if hit.verdict is report.verdict), None)
        if nearest is None:  # an answer is never held up by its figures
            yield Counted(day, _VERDICTS[report.verdict])
            return
        entry = nearest.entry
        yield Counted(day, _VERDICTS[report.verdict], entry.set_name, nearest.algorithm, entry.domain)


def of_reports(reports: Iterable[MatchReport]) -> collections.Counter[Counted]:
    """Return what match reports add up to; of those that met nothing, which most do, one is looked at for all."""
    sums = collections.Counter[Counted]()
    empty: dict[tuple[dt.datetime, Verdict], list[MatchReport]] = {}
    for report in reports:
        if report.hits:
            sums.update(of_report(report))
        else:
            empty.setdefault((report.created_at, report.verdict), []).append(report)
    for alike in empty.values():
        for counted in of_report(alike[0]):
            sums[counted] += len(alike)
    return sums


def of_case(case: Case) -> Iterator[Counted]:
    """Yield what a new case adds."""
    day = case.created_at.astimezone(dt.UTC).date()
    counters = [Counter.CASES, _SOURCES[case.source]]
    if case.urgent:
        counters.append(Counter.URGENT)
    decision = case.decision
    if decision is not None:
        counters.append(_AUTOMATION[case.automated_decision])
        if decision.visibility in _DOWN:
            counters.append(Counter.REMOVED)
            if decision.decided_at is not None:
                bucket = bucket_of(decision.decided_at - case.observed_at)
                yield Counted(day, Counter.TIME_TO_TAKEDOWN, domain=case.domain, bucket=bucket)
    yield from (Counted(day, counter, domain=case.domain) for counter in counters)


def of_opinion(case: Case, *, confirmed: bool, now: dt.datetime) -> Iterator[Counted]:
    """Yield what a person's finding about a case adds, per match."""
    day = now.astimezone(dt.UTC).date()
    counter = Counter.CONFIRMED if confirmed else Counter.REJECTED
    distances = Counter.DISTANCE_CONFIRMED if confirmed else Counter.DISTANCE_REJECTED
    for match in case.matches:
        yield Counted(day, counter, match.list_name, match.algorithm, match.domain)
        yield Counted(day, distances, match.list_name, match.algorithm, match.domain, bucket=match.distance)
        if match.disputed:
            yield Counted(day, Counter.DISPUTED, match.list_name, match.algorithm, match.domain)


def of_complaint(case: Case, *, upheld: bool, now: dt.datetime) -> Iterator[Counted]:
    """Yield what a user's complaint about a decision adds."""
    day = now.astimezone(dt.UTC).date()
    yield Counted(day, Counter.COMPLAINTS, domain=case.domain)
    if upheld:
        yield Counted(day, Counter.COMPLAINTS_UPHELD, domain=case.domain)


def of_expired(case: Case, outlet: str, *, now: dt.datetime) -> Iterator[Counted]:
    """Yield what a report adds that was never sent, as nobody decided about it in time."""
    yield Counted(now.astimezone(dt.UTC).date(), Counter.EXPIRED, domain=case.domain, outlet=outlet)


def of_delivery(case: Case, outlet: str, *, files: int, now: dt.datetime) -> Iterator[Counted]:
    """Yield what a report that arrived adds."""
    day = now.astimezone(dt.UTC).date()
    yield Counted(day, Counter.REPORTED, domain=case.domain, outlet=outlet)
    bucket = bucket_of(now - case.observed_at)
    yield Counted(day, Counter.TIME_TO_REPORT, domain=case.domain, outlet=outlet, bucket=bucket)
    if case.urgent:
        yield Counted(day, Counter.REPORTED_URGENT, domain=case.domain, outlet=outlet)
    if files:
        yield Counted(day, Counter.FILES, domain=case.domain, outlet=outlet, count=files)
