"""A notice of illegal content to the host of it, under Article 16 of the DSA, as JSON (format "dsa16").

Theory of operation
-------------------
Article 16(2) asks for four things, and the document has one section for each: a reasoned explanation, the exact
location, who gives notice, and a statement of good faith. The explanation is made of the matches and of whether a
person has looked; the law and the reasons that the case gives stand beside it.

Who gives notice may stay unnamed where the content is child sexual abuse material (Article 16(2)(c), which names
Articles 3 to 7 of Directive 2011/93/EU): then the document names somebody only if the case does. For everything else
the organisation that reports is named where the case names nobody.

Several cases stand in one notice (:func:`render_many`) where they are of one domain and whoever gives it is the same:
each is an item with its explanation and its location, and the rest is said once. Where a content delivery network is in
front, it is asked to pass the notice on.

What this module deliberately does not do: it tells no value of a list, and it addresses nobody; an outlet does.

Source
------
Regulation (EU) 2022/2065, Article 16(2) and recital 50.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any, Final

from hashmatch.errors import BadInput
from hashmatch.model import HarmDomain
from hashmatch.model.cases import Case, Document, Notifier, Problem
from hashmatch.projections import basis, findings
from hashmatch.projections.domains import check_allowed
from hashmatch.sections import ReporterConfig

FORMAT: Final = "dsa16"
MEDIA_TYPE: Final = "application/json"
SCHEMA: Final = "hashmatch-dsa16/1"
SCHEMA_SEVERAL: Final = "hashmatch-dsa16-items/1"

ORIGIN: Final = "Pass this notice on to whoever hosts the origin of the content, and say who that is."
"""Asked where a content delivery network is in front."""

MAX_CASES: Final = 100
"""Items in one notice."""

ANONYMOUS: Final = frozenset({HarmDomain.CSAM})
"""Domains whose notices need name nobody: offences under Articles 3 to 7 of Directive 2011/93/EU."""

GOOD_FAITH: Final = (
    "Whoever gives this notice believes in good faith that the information and allegations in it are accurate and "
    "complete."
)

MAX_URLS: Final = 1_000
"""Addresses in one notice; whoever receives it has to look at each."""
MAX_TEXT: Final = 5_000
MAX_NAME: Final = 255


def problems(case: Case, reporter: ReporterConfig, now: dt.datetime) -> tuple[Problem, ...]:
    """Return every rule that the case breaks.

    Raises
    ------
    OutletForbidden
        The case's domain is not that of its matches.

    """
    check_allowed(case, FORMAT)
    return tuple(_problems(case, reporter, now))


def render(case: Case, context: basis.Context) -> Document:
    """Return the notice.

    Raises
    ------
    BadReport
        The case breaks a rule; the message has all of them.
    OutletForbidden
        The case's domain is not that of its matches.

    """
    basis.refuse(problems(case, context.reporter, context.now), "notice under Article 16")
    body = findings.to_bytes(_notice(case, context))
    return Document(FORMAT, MEDIA_TYPE, f"{FORMAT}-{context.report_id}.json", body)


def render_many(cases: Sequence[Case], context: basis.Context) -> Document:
    """Return one notice of several items, in their order.

    Raises
    ------
    BadInput
        There is no case, or there are more than :data:`MAX_CASES`, or more than :data:`MAX_URLS` addresses.
    BadReport
        A case breaks a rule, or is of another domain or notifier than the first; ``field`` begins with ``cases[n]``.
    OutletForbidden
        A case's domain is not that of its matches.

    """
    if not 0 < len(cases) <= MAX_CASES:
        raise BadInput(f"cases: {len(cases)} are not within 1 and {MAX_CASES}; give several notices", field="cases")
    if (urls := sum(len(case.locator.urls) for case in cases)) > MAX_URLS:
        raise BadInput(f"cases: {urls} addresses are more than {MAX_URLS}; give several notices", field="cases")
    found = [
        basis.of_case(n, problem)
        for n, case in enumerate(cases)
        for problem in problems(case, context.reporter, context.now)
    ]
    basis.refuse([*found, *_apart(cases, context.reporter)], "notice under Article 16")
    body = findings.to_bytes(_several(cases, context))
    return Document(FORMAT, MEDIA_TYPE, f"{FORMAT}-{context.report_id}.json", body)


def _apart(cases: Sequence[Case], reporter: ReporterConfig) -> Iterator[Problem]:
    """Yield what keeps cases from standing in one notice."""
    first = cases[0]
    for n, case in enumerate(cases):
        if case.domain is not first.domain:
            yield Problem(
                f"cases[{n}].domain",
                "one subject",
                f"is {case.domain.value}, and that of cases[0] {first.domain.value}; give a notice for each",
            )
        elif _notifier(case, reporter) != _notifier(first, reporter):
            yield Problem(f"cases[{n}].notifier", "one notifier", "is not that of cases[0]; give a notice for each")


def _problems(case: Case, reporter: ReporterConfig, now: dt.datetime) -> Iterator[Problem]:
    yield from basis.time_problems(basis.times_of(case), now)
    yield from findings.text_problems(case)
    if not case.matches and not _reasons(case):
        yield Problem(
            "decision.explanation", "Article 16(2)(a)", "there is no match: say why the content is held to be illegal"
        )
    urls = case.locator.urls
    if not urls:
        yield Problem("locator.urls", "Article 16(2)(b)", "say exactly where the content is: at least one address")
    if len(urls) > MAX_URLS:
        yield Problem("locator.urls", "number", f"{len(urls)} addresses are too many; at most {MAX_URLS}")
    for index, url in enumerate(urls):
        yield from findings.url_problems(f"locator.urls[{index}]", url)
    notifier = _notifier(case, reporter)
    if case.domain not in ANONYMOUS:
        why = f"Article 16(2)(c) asks for it where the content is {case.domain.value}; reporter has none either"
        yield from findings.required([("notifier.name", notifier.name, why), ("notifier.email", notifier.email, why)])
    if notifier.email and ("@" not in notifier.email or not notifier.email.isprintable() or " " in notifier.email):
        yield Problem("notifier.email", "address", "is no e-mail address")
    decision = case.decision
    yield from basis.length_problems(
        [
            ("notifier.name", notifier.name, MAX_NAME),
            ("notifier.email", notifier.email, MAX_NAME),
            ("decision.legal_basis", "" if decision is None else decision.legal_basis, MAX_TEXT),
            ("decision.explanation", _reasons(case), MAX_TEXT),
            ("note", case.note, MAX_TEXT),
            ("locator.content_ref", case.locator.content_ref, findings.MAX_URL),
            ("locator.cdn", case.locator.cdn, MAX_NAME),
        ]
    )


def _reasons(case: Case) -> str:
    return "" if case.decision is None else case.decision.explanation.strip()


def _notifier(case: Case, reporter: ReporterConfig) -> Notifier:
    if case.notifier is not None:
        return case.notifier
    return Notifier() if case.domain in ANONYMOUS else Notifier(reporter.name, reporter.email)


def _notice(case: Case, context: basis.Context) -> dict[str, Any]:
    head = {**_head(SCHEMA, context), "explanation": _explanation(case), "location": _location(case)}
    return {**head, **_tail((case,), context)}


def _several(cases: Sequence[Case], context: basis.Context) -> dict[str, Any]:
    items = [
        {"item": number, "explanation": _explanation(case), "location": _location(case)}
        for number, case in enumerate(cases, 1)
    ]
    return {**_head(SCHEMA_SEVERAL, context), "items": items, **_tail(cases, context)}


def _head(schema: str, context: basis.Context) -> dict[str, Any]:
    return {
        "schema": schema,
        "legal_basis": "Regulation (EU) 2022/2065, Article 16",
        "notice_id": str(context.report_id),
        "created_at": findings.stamp(context.now),
    }


def _explanation(case: Case) -> dict[str, Any]:
    return findings.without_empty(
        {
            "subject": case.domain.value,
            "text": findings.explanation(case),
            "law": "" if case.decision is None else case.decision.legal_basis,
            "reasons": _reasons(case),
            "matches": findings.matches(case),
            "viewed_by_person": case.viewed_by_human,
            "automated_detection": case.automated_detection,
            "note": case.note,
        }
    )


def _location(case: Case) -> dict[str, Any]:
    return findings.without_empty(
        {
            "urls": list(case.locator.urls),
            "content_reference": case.locator.content_ref,
            "host_address": case.locator.ip,
            "content_delivery_network": case.locator.cdn,
            "platform": case.platform,
            "service": case.service,
            "observed_at": findings.stamp(case.observed_at),
            "file": findings.media(case),
        }
    )


def _tail(cases: Sequence[Case], context: basis.Context) -> dict[str, Any]:
    """Return what is said once: who gives notice, what is asked, and the statement of good faith."""
    notifier = _notifier(cases[0], context.reporter)
    named = findings.without_empty({"name": notifier.name, "email": notifier.email})
    asked = {"requests": [ORIGIN]} if any(case.locator.cdn for case in cases) else {}
    return {"notifier": named or None, **asked, "good_faith": GOOD_FAITH}
