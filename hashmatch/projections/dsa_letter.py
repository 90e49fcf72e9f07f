"""A notification of a suspected crime to police or judiciary, under Article 18 of the DSA, as JSON (format "dsa18").

Theory of operation
-------------------
A host that learns of something that makes it suspect a crime against somebody's life or safety tells the Member States
concerned, and gives all that it has: recital 56 lists the content, the time with its zone, the explanation of the
suspicion, and what helps to find the recipient of the service. The document has a section for each. Which states are
concerned is the case's word (``member_states``), and not the scope of a decision; where it says none, the notification
goes to the state in which the provider, or its legal representative, is established, or to Europol, or both
(Article 18(2)).

What this module deliberately does not do: it does not judge whether a threat exists; it is for the domains that
recital 56 names (``domains``), and whoever sends it has looked.

Source
------
Regulation (EU) 2022/2065, Article 18 and recital 56.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, Final

from hashmatch.model import HarmDomain
from hashmatch.model.cases import Case, Decision, Document, NetworkEvent, Problem, Subject
from hashmatch.projections import basis, findings, union
from hashmatch.projections.domains import check_allowed
from hashmatch.projections.dsa_terms import OFFENCES
from hashmatch.sections import ReporterConfig

FORMAT: Final = "dsa18"
MEDIA_TYPE: Final = "application/json"
SCHEMA: Final = "hashmatch-dsa18/1"
MAX_TEXT: Final = 5_000
MAX_NAME: Final = 255


def problems(case: Case, reporter: ReporterConfig, now: dt.datetime) -> tuple[Problem, ...]:
    """Return every rule that the case breaks.

    Raises
    ------
    OutletForbidden
        The case's domain is not one that recital 56 names, or not that of its matches.

    """
    check_allowed(case, FORMAT)
    return tuple(_problems(case, reporter, now))


def render(case: Case, context: basis.Context) -> Document:
    """Return the notification.

    Raises
    ------
    BadReport
        The case breaks a rule; the message has all of them.
    OutletForbidden
        The case's domain is not one that recital 56 names, or not that of its matches.

    """
    basis.refuse(problems(case, context.reporter, context.now), "notification under Article 18")
    body = findings.to_bytes(_notification(case, context))
    return Document(FORMAT, MEDIA_TYPE, f"{FORMAT}-{context.report_id}.json", body)


def _problems(case: Case, reporter: ReporterConfig, now: dt.datetime) -> Iterator[Problem]:
    if reporter.hotline:
        yield Problem(
            "reporter.hotline", "Article 18", "is a duty of hosts; a hotline gives notice by xarf, dsa16 or letter"
        )
    yield from basis.time_problems(basis.times_of(case), now)
    yield from findings.text_problems(case)
    yield from findings.required(
        [
            ("reporter.name", reporter.name, "say who notifies"),
            (
                "reporter.contact_information",
                reporter.contact_information or reporter.email or reporter.phone,
                "say how an authority can reach you: contact_information, email or phone",
            ),
        ]
    )
    yield from union.state_problems("member_states", case.member_states, union.MEMBER_STATES, "a Member State")
    reasons = "" if case.decision is None else case.decision.explanation.strip()
    if not reasons and not case.matches:
        message = "there is no match: say what makes you suspect a crime"
        yield Problem("decision.explanation", "recital 56", message)
    elif not reasons and case.domain is HarmDomain.CSE_EXPLOITATIVE:
        message = "lists of this domain also hold what is not illegal: say what makes you suspect a crime"
        yield Problem("decision.explanation", "recital 56", message)
    if not case.locator.urls and not case.locator.content_ref:
        yield Problem("locator", "recital 56", "say which content it is: an address or a reference of yours")
    for index, url in enumerate(case.locator.urls):
        yield from findings.url_problems(f"locator.urls[{index}]", url)
    yield from basis.length_problems(
        [
            ("decision.explanation", reasons, MAX_TEXT),
            ("urgent", case.urgent, MAX_TEXT),
            ("note", case.note, MAX_TEXT),
            ("subject.note", "" if case.subject is None else case.subject.note, MAX_TEXT),
            ("reporter.name", reporter.name, MAX_NAME),
        ]
    )


def _notification(case: Case, context: basis.Context) -> dict[str, Any]:
    reporter = context.reporter
    return {
        "schema": SCHEMA,
        "legal_basis": "Regulation (EU) 2022/2065, Article 18",
        "notification_id": str(context.report_id),
        "created_at": findings.stamp(context.now),
        "urgent": findings.without_empty({"urgent": bool(case.urgent), "reason": case.urgent}),
        "authorities": _authorities(case, context),
        "provider": findings.without_empty(
            {
                "name": reporter.name,
                "country": reporter.country,
                "legal_representative": reporter.legal_representative,
                "contact_point": reporter.contact_point,
                "contact_information": reporter.contact_information,
                "email": reporter.email,
                "phone": reporter.phone,
                "address": reporter.address,
            }
        ),
        "suspicion": findings.without_empty(
            {
                "offence": OFFENCES[case.domain],
                "explanation": findings.explanation(case),
                "reasons": "" if case.decision is None else case.decision.explanation.strip(),
                "occurred_at": findings.stamp(case.occurred_at),
                "observed_at": findings.stamp(case.observed_at),
                "matches": findings.matches(case),
                "viewed_by_person": case.viewed_by_human,
                "minor_involved": case.minor_involved or None,
            }
        ),
        "content": findings.without_empty(
            {
                "urls": list(case.locator.urls),
                "content_reference": case.locator.content_ref,
                "platform": case.platform or reporter.platform,
                "service": case.service,
                "service_kind": case.service_kind.value,
                "publicly_available": case.publicly_available,
                "file": findings.media(case),
            }
        ),
        "recipient": None if case.subject is None else _recipient(case.subject),
        "measures": None if case.decision is None else _measures(case.decision),
        "prior_reports": [
            findings.without_empty({"authority": x.authority, "reference": x.reference, "country": x.country})
            for x in case.prior_reports
        ],
        "evidence": findings.without_empty({"receipt": case.receipt_id, "reference": case.evidence_ref}),
        "note": case.note,
    }


def _authorities(case: Case, context: basis.Context) -> dict[str, Any]:
    """Return whom it is for, and why."""
    named = {"recipient": context.recipient} if context.recipient else {}
    if case.member_states:
        concerned = sorted(set(case.member_states))
        return named | {"member_states": concerned, "europol": False, "rule": "Article 18(1): Member States concerned"}
    country = context.reporter.country.upper()
    established = [country] if country in union.MEMBER_STATES else []
    return named | {
        "member_states": established,
        "europol": True,
        "rule": "Article 18(2): the Member States concerned are not known; "
        "the one of establishment or of the legal representative, or Europol, or both",
    }


def _recipient(subject: Subject) -> dict[str, Any]:
    """Return what is known of the recipient of the service. Personal data."""
    return findings.without_empty(
        {
            "account_id": subject.account_id,
            "screen_name": subject.screen_name,
            "display_names": list(subject.display_names),
            "profile_url": subject.profile_url,
            "emails": list(subject.emails),
            "phones": list(subject.phones),
            "network_events": [_event(event) for event in subject.network_events],
            "note": subject.note,
        }
    )


def _event(event: NetworkEvent) -> dict[str, Any]:
    return findings.without_empty(
        {
            "ip": event.ip,
            "port": event.port,
            "event": event.event,
            "at": None if event.at is None else findings.stamp(event.at),
            "possible_proxy": event.possible_proxy or None,
        }
    )


def _measures(decision: Decision) -> dict[str, Any]:
    """Return what the provider did."""
    return findings.without_empty(
        {
            "content": None if decision.visibility is None else decision.visibility.value,
            "account": None if decision.account is None else decision.account.value,
            "account_at": None if decision.account_at is None else findings.stamp(decision.account_at),
            "account_user_notified": None if decision.account is None else decision.account_user_notified,
            "decided_at": None if decision.decided_at is None else findings.stamp(decision.decided_at),
        }
    )
