"""Tables that laws ask for: the EU's interim regulation, the DSA's transparency reports, and reports made to NCMEC.

Theory of operation
-------------------
Each is a function of :class:`~hashmatch.model.figures.Counted` rows and a span of days, and gives the numbers that
hashmatch counts; what it cannot know (legal grounds, transfers, safeguards, names of organisations) is text that the
provider writes. ``notes`` of a table say what is not in it.

======= ============================================================================================================
interim Regulation (EU) 2021/1232, Article 3(1)(g)(vii), in the form of 2024/2916: per technology and list, child sexual
        abuse material apart from everything else. Items 1, 4, 5 and 6.
dsa     Regulation (EU) 2022/2065, Articles 15 and 24: notices and own initiative by category, automated means, errors.
ncmec   Reports to the CyberTipline by type of incident, with files, and how many were urgent.
======= ============================================================================================================

What this module deliberately does not do: it counts nothing anew; a number that is not kept is empty.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from hashmatch.cases.statistics_tables import RATIO_COLUMNS, Cell, Table, ratio, totals
from hashmatch.model import HarmDomain
from hashmatch.model.figures import Counted, Counter
from hashmatch.projections.cybertip_rules import INCIDENTS
from hashmatch.projections.dsa_terms import DEFAULTS

INTERIM_COLUMNS: Final = ("item", "measure", "technology", "list", "domain", "value", "low", "high")

_D = HarmDomain

OTHER_CATEGORY: Final = "STATEMENT_CATEGORY_OTHER_VIOLATION_TC"
"""Where the domain itself has none: a statement names one, a counter knows the domain only."""

_DSA_COUNTS: Final = (
    *(Counter.NOTICE_ARTICLE_16, Counter.NOTICE_TRUSTED_FLAGGER, Counter.NOTICE_OTHER, Counter.ORDER),
    *(Counter.OWN_INITIATIVE, Counter.DECIDED_FULLY, Counter.DECIDED_PARTIALLY, Counter.DECIDED_NOT, Counter.REMOVED),
    *(Counter.COMPLAINTS, Counter.COMPLAINTS_UPHELD, Counter.CONFIRMED, Counter.REJECTED),
)
DSA_COLUMNS: Final = ("category", "domain", *(counter.value for counter in _DSA_COUNTS), *RATIO_COLUMNS)

NCMEC_COLUMNS: Final = ("incident_type", "domain", "reports", "urgent", "files")

TOTAL: Final = "total"


def interim(rows: Iterable[Counted], first: dt.date, last: dt.date) -> Table:
    """Return the numbers for the yearly report under the interim regulation, days inclusive."""
    return Table(
        "interim",
        INTERIM_COLUMNS,
        tuple(_interim(within(rows, first, last))),
        (
            "item 4: hash matching identifies known material only; cases of solicitation are not counted, not zero",
            "item 6: the ratio is of rejected among confirmed and rejected matches, with Wilson's interval of 95 %",
            "items 2, 3, 7, 8 and 9 are statements of the provider",
        ),
    )


def _interim(rows: tuple[Counted, ...]) -> Iterator[tuple[Cell, ...]]:
    everything, csam = totals(rows), totals(row for row in rows if row.domain is _D.CSAM)
    yield 1, "images_checked", "", "", "", everything[Counter.CHECKED], None, None
    yield 1, "images_not_checked", "", "", "", everything[Counter.NOT_CHECKED], None, None
    yield 4, "cases", "", "", _D.CSAM.value, csam[Counter.CASES], None, None
    yield 4, "cases", "", "", "solicitation", None, None, None
    for counter in (Counter.COMPLAINTS, Counter.COMPLAINTS_UPHELD):
        yield 5, counter.value, "", "", _D.CSAM.value, csam[counter], None, None
    groups: dict[tuple[bool, str, str, str], list[Counted]] = {}
    for row in rows:
        if row.domain is not None and row.algorithm:
            key = (row.domain is not _D.CSAM, row.domain.value, row.algorithm, row.set_name)
            groups.setdefault(key, []).append(row)
    for (_, domain, algorithm, name), members in sorted(groups.items()):
        sums = totals(members)
        for counter in (Counter.MATCH, Counter.POSSIBLE, Counter.CONFIRMED, Counter.REJECTED, Counter.DISPUTED):
            yield 6, counter.value, algorithm, name, domain, sums[counter], None, None
        yield 6, RATIO_COLUMNS[0], algorithm, name, domain, *ratio(sums)


def dsa(rows: Iterable[Counted], first: dt.date, last: dt.date) -> Table:
    """Return the numbers for a transparency report under the DSA, days inclusive: a row per domain, and their sum."""
    kept = within(rows, first, last)
    present = [domain for domain in HarmDomain if any(row.domain is domain for row in kept)]
    made = [
        _dsa_row(_category(domain), domain.value, [row for row in kept if row.domain is domain]) for domain in present
    ]
    made.append(_dsa_row(TOTAL, "", [row for row in kept if row.domain is not None]))
    return Table(
        "dsa",
        DSA_COLUMNS,
        tuple(made),
        (
            "the ratio is the error rate of automated detection: rejected among confirmed and rejected matches",
            "low and high are Wilson's interval of 95 %",
            "out-of-court disputes, suspensions for misuse and recipients are not counted here",
        ),
    )


def _category(domain: HarmDomain) -> str:
    """Return the category that a domain's statements have by default (``projections.dsa_terms``)."""
    return DEFAULTS[domain].category if domain in DEFAULTS else OTHER_CATEGORY


def _dsa_row(category: str, domain: str, rows: Collection[Counted]) -> tuple[Cell, ...]:
    sums = totals(rows)
    return (category, domain, *(sums[counter] for counter in _DSA_COUNTS), *ratio(sums))


def ncmec(rows: Iterable[Counted], first: dt.date, last: dt.date, outlets: Collection[str]) -> Table:
    """Return the reports to the CyberTipline, days inclusive.

    Parameters
    ----------
    rows : iterable of Counted
        Of any outlet.
    first, last : date
        The span.
    outlets : collection of str
        Which outlets lead to the CyberTipline, as they are named in the rows.

    """
    kept = [row for row in within(rows, first, last) if row.outlet in outlets]
    made: list[tuple[Cell, ...]] = []
    for domain, incident in INCIDENTS.items():
        sums = totals(row for row in kept if row.domain is domain)
        made.append((incident, domain.value, *_reports(sums)))
    made.append((TOTAL, "", *_reports(totals(row for row in kept if row.domain in INCIDENTS))))
    return Table("ncmec", NCMEC_COLUMNS, tuple(made))


def _reports(sums: Mapping[Counter, int]) -> tuple[int, int, int]:
    return sums[Counter.REPORTED], sums[Counter.REPORTED_URGENT], sums[Counter.FILES]


def within(rows: Iterable[Counted], first: dt.date, last: dt.date) -> tuple[Counted, ...]:
    """Return the rows of some days, both ends included."""
    return tuple(row for row in rows if first <= row.day <= last)
