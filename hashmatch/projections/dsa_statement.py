"""A statement of reasons for the DSA Transparency Database, as JSON, one or a hundred at a time (format "dsa-sor").

Theory of operation
-------------------
What Article 17 has a platform tell its user, Article 24(5) has it publish, without personal data. :func:`problems`
knows the rules of the database, because a statement that breaks one is not stored, and looks for personal data in every
free text, because a statement that holds some is public. The classification comes from the domain, or from the
decision's own labels (``dsa_classification``).

The identifier by which the database recognises a statement, ``puid``, is made of the case's id and of nothing else: the
same case is the same statement, however often it is sent. An id that the database could not hold is hashed.

Dates are those of the zones in which the case's times were given. The facts, where the decision says none, tell that
hashes were compared and whether a person has looked; neither list nor distance are told, because what is public would
help those who want to get past.

What this module deliberately does not do: it writes no letter to the user (Article 17), and it knows nothing of small
platforms, which Article 19 excepts.

Source
------
Regulation (EU) 2022/2065, Articles 17 and 24(5), recital 14; documentation of the DSA Transparency Database, schema
version 2, in force since 2025-07-01.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from hashmatch.errors import BadReport, OutletForbidden
from hashmatch.model.cases import (
    Case,
    Decision,
    Document,
    Ground,
    Monetary,
    Problem,
    ServiceKind,
    Source,
    Visibility,
)
from hashmatch.projections import basis, dsa_classification, findings, union
from hashmatch.projections import dsa_terms as terms
from hashmatch.projections.domains import check_allowed
from hashmatch.sections import ReporterConfig

FORMAT: Final = "dsa-sor"
BATCH_FORMAT: Final = "dsa-sor-batch"
MEDIA_TYPE: Final = "application/json"

_TITLE: Final = "statement of reasons"
_PUID: Final = re.compile(r"[A-Za-z0-9_-]+")
_EAN: Final = re.compile(r"[0-9]{13}")


def puid_of(case_id: str) -> str:
    """Return the identifier of the case's statement, at most 500 letters, digits, hyphens and underscores."""
    plain = f"hm-{case_id}"
    if _PUID.fullmatch(plain) and len(plain) <= terms.MAX_PUID:
        return plain
    return f"hms-{hashlib.sha256(case_id.encode('utf-8', 'surrogatepass')).hexdigest()}"


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
    """Return the statement, ready to be sent.

    Raises
    ------
    BadReport
        The case breaks a rule; the message has all of them.
    OutletForbidden
        The case's domain is not that of its matches.

    """
    basis.refuse(problems(case, context.reporter, context.now), _TITLE)
    name = f"{FORMAT}-{context.report_id}.json"
    return Document(FORMAT, MEDIA_TYPE, name, findings.to_bytes(_statement(case)))


def render_batch(cases: Sequence[Case], context: basis.Context) -> Document:
    """Return up to a hundred statements as one document, or refuse all of them.

    Raises
    ------
    BadReport
        There is none, there are too many, two are of one case, or a case breaks a rule. Fields are those of the case
        behind the statement's index, as in ``statements[3].decision.facts``.
    OutletForbidden
        A case's domain is not that of its matches.

    """
    if not 1 <= len(cases) <= terms.MAX_STATEMENTS:
        raise BadReport(
            f"statements: {len(cases)} in one batch; the database takes 1 to {terms.MAX_STATEMENTS}", field="statements"
        )
    found: list[Problem] = []
    first: dict[str, int] = {}
    for index, case in enumerate(cases):
        where = f"statements[{index}]"
        try:
            each = problems(case, context.reporter, context.now)
        except OutletForbidden as error:
            raise OutletForbidden(f"{where}.{error.message}", field=f"{where}.{error.field}") from error
        found += [dataclasses.replace(problem, field=f"{where}.{problem.field}") for problem in each]
        if (earlier := first.setdefault(case.case_id, index)) != index:
            message = f"is the case of statements[{earlier}]; the database takes a case once"
            found.append(Problem(f"{where}.case_id", "unique", message))
    basis.refuse(found, f"{len(cases)} statements of reasons")
    body = findings.to_bytes({"statements": [_statement(case) for case in cases]})
    return Document(BATCH_FORMAT, MEDIA_TYPE, f"{BATCH_FORMAT}-{context.report_id}.json", body)


# --- rules -------------------------------------------------------------------------------------------------------


def _problems(case: Case, reporter: ReporterConfig, now: dt.datetime) -> Iterator[Problem]:
    yield from _whose(case, reporter)
    yield from basis.time_problems(basis.times_of(case), now)
    yield from findings.text_problems(case)
    yield from findings.required([("case_id", case.case_id, "the statement is named after it")])
    if case.occurred_at.date() < terms.FIRST_CONTENT:
        yield Problem("occurred_at", "date", f"{case.occurred_at.date()} is before {terms.FIRST_CONTENT}")
    if case.media.uploaded_at is not None and case.media.uploaded_at.date() < terms.FIRST_CONTENT:
        yield Problem("media.uploaded_at", "date", f"{case.media.uploaded_at.date()} is before {terms.FIRST_CONTENT}")
    if not case.territorial_scope:
        yield Problem("territorial_scope", "required", "say in which states of the EEA the decision applies")
    yield from union.state_problems("territorial_scope", case.territorial_scope, union.EEA, "a state of the EEA")
    if case.language and case.language.upper() not in terms.LANGUAGES:
        yield Problem("language", "language", f"{case.language!r} is not a code of ISO 639-1, such as en or nl")
    if case.ean13 and not _EAN.fullmatch(case.ean13):
        yield Problem("ean13", "digits", f"{case.ean13!r} is no EAN-13: expected 13 digits")
    if case.decision is None:
        yield Problem("decision", "required", "a statement of reasons is about a decision, and the case has none")
        return
    yield from _measures(case.decision)
    yield from _dates(case.decision)
    yield from _grounds(case.decision)
    yield from dsa_classification.problems(case, case.decision)
    yield from basis.length_problems(_texts(case, case.decision))
    named = [("case_id", puid_of(case.case_id)), ("decision.reference_url", case.decision.reference_url)]
    yield from basis.personal_problems(
        [*named, *((name, text) for name, text, _ in _texts(case, case.decision))], basis.PUBLISHED
    )


def _whose(case: Case, reporter: ReporterConfig) -> Iterator[Problem]:
    """Who has to state reasons at all."""
    if reporter.hotline:
        yield Problem("reporter.hotline", "Article 24(5)", "only the platform that decided states its reasons")
    if case.service_kind is ServiceKind.INTERPERSONAL:
        yield Problem(
            "service_kind", "recital 14", "the database is for online platforms, and services for messages are none"
        )
    if case.source is Source.ORDER:
        yield Problem("source", "Article 17(5)", "what an authority ordered under Article 9 is not stated")


def _measures(decision: Decision) -> Iterator[Problem]:
    """At least one of four, and a text where it is none of those that have a name."""
    taken = {
        "visibility": decision.visibility,
        "monetary": decision.monetary,
        "provision": decision.provision,
        "account": decision.account,
    }
    if not any(taken.values()):
        yield Problem("decision", "measure", f"say what was done: at least one of {', '.join(taken)}")
    for name, is_other, text in (
        ("visibility", decision.visibility is Visibility.OTHER, decision.others.visibility),
        ("monetary", decision.monetary is Monetary.OTHER, decision.others.monetary),
    ):
        if is_other and not text.strip():
            yield Problem(f"decision.others.{name}", "required", f"decision.{name} is other: say what was done")
        if text and not is_other:
            yield Problem(f"decision.others.{name}", "other", f"says what was done, and decision.{name} is not other")


def _ends(decision: Decision) -> tuple[tuple[str, object, dt.date | None], ...]:
    """Field of each end date, what it ends, and the date."""
    return (
        ("ends_on", decision.visibility, decision.ends_on),
        ("account_ends_on", decision.account, decision.account_ends_on),
        ("monetary_ends_on", decision.monetary, decision.monetary_ends_on),
        ("provision_ends_on", decision.provision, decision.provision_ends_on),
    )


def _dates(decision: Decision) -> Iterator[Problem]:
    begin = None if decision.decided_at is None else decision.decided_at.date()
    if begin is None:
        yield Problem("decision.decided_at", "required", "say when the decision began to apply")
    elif begin < terms.FIRST_APPLICATION:
        yield Problem("decision.decided_at", "date", f"{begin} is before {terms.FIRST_APPLICATION}")
    for name, measure, end in _ends(decision):
        field = f"decision.{name}"
        if end is None:
            continue
        if measure is None:
            yield Problem(field, "measure", f"{end} ends nothing: the decision has no such measure")
        if end > terms.LAST_END:
            yield Problem(field, "date", f"{end} is after {terms.LAST_END}; give no date for what is for good")
        if begin is not None and end < begin:
            yield Problem(field, "date", f"{end} is before the decision applies, {begin}")


def _grounds(decision: Decision) -> Iterator[Problem]:
    ground = "the law" if decision.ground is Ground.ILLEGAL else "the clause of the terms"
    yield from findings.required(
        [
            ("decision.legal_basis", decision.legal_basis, f"say {ground} that the decision rests on"),
            ("decision.explanation", decision.explanation, f"say why the content is against {ground}"),
        ]
    )
    if decision.reference_url:
        yield from findings.url_problems("decision.reference_url", decision.reference_url, terms.MAX_URL)
    if decision.ground is Ground.ILLEGAL and decision.also_illegal is not None:
        yield Problem(
            "decision.also_illegal", "ground", "is about content against the terms; decision.ground says illegal"
        )


def _texts(case: Case, decision: Decision) -> Iterable[tuple[str, str, int]]:
    """Every free text that is published, with its most characters."""
    others = decision.others
    yield "decision.legal_basis", decision.legal_basis, terms.MAX_SHORT
    yield "decision.explanation", decision.explanation, terms.MAX_EXPLANATION
    yield "decision.facts", decision.facts, terms.MAX_FACTS
    yield "decision.others.visibility", others.visibility, terms.MAX_SHORT
    yield "decision.others.monetary", others.monetary, terms.MAX_SHORT
    yield "decision.others.keyword", others.keyword, terms.MAX_SHORT
    yield "decision.others.content_type", others.content_type, terms.MAX_SHORT
    if case.source is not Source.VOLUNTARY:
        yield "source_identity", case.source_identity, terms.MAX_SHORT


# --- the statement -----------------------------------------------------------------------------------------------


def _statement(case: Case) -> dict[str, Any]:
    """Return the statement of a case without problems."""
    decision = case.decision
    assert decision is not None  # noqa: S101 - a rule
    assert decision.decided_at is not None  # noqa: S101 - a rule
    voluntary = case.source is Source.VOLUNTARY
    content_at = case.occurred_at if case.media.uploaded_at is None else case.media.uploaded_at
    return findings.without_empty(
        {
            "puid": puid_of(case.case_id),
            **_measured(decision),
            **_grounded(decision),
            **dsa_classification.fields(case, decision),
            "territorial_scope": sorted(set(case.territorial_scope)),
            "content_language": case.language.upper(),
            "content_date": content_at.date().isoformat(),
            "application_date": decision.decided_at.date().isoformat(),
            "decision_facts": decision.facts.strip() or _facts(case),
            "source_type": terms.SOURCE[case.source],
            "source_identity": "" if voluntary else case.source_identity,
            "automated_detection": _yes(case.automated_detection),
            "automated_decision": terms.AUTOMATION[case.automated_decision],
            "content_id": {"EAN-13": case.ean13} if case.ean13 else None,
        }
    )


def _measured(decision: Decision) -> dict[str, Any]:
    ends = {name: None if end is None else end.isoformat() for name, _, end in _ends(decision)}
    return {
        "decision_visibility": None if decision.visibility is None else [terms.VISIBILITY[decision.visibility]],
        "decision_visibility_other": decision.others.visibility,
        "end_date_visibility_restriction": ends["ends_on"],
        "decision_monetary": None if decision.monetary is None else terms.MONETARY[decision.monetary],
        "decision_monetary_other": decision.others.monetary,
        "end_date_monetary_restriction": ends["monetary_ends_on"],
        "decision_provision": None if decision.provision is None else terms.PROVISION[decision.provision],
        "end_date_service_restriction": ends["provision_ends_on"],
        "decision_account": None if decision.account is None else terms.ACCOUNT[decision.account],
        "account_type": None if decision.account_type is None else terms.ACCOUNT_TYPE[decision.account_type],
        "end_date_account_restriction": ends["account_ends_on"],
    }


def _grounded(decision: Decision) -> dict[str, Any]:
    if decision.ground is Ground.ILLEGAL:
        named = {
            "decision_ground": "DECISION_GROUND_ILLEGAL_CONTENT",
            "illegal_content_legal_ground": decision.legal_basis,
            "illegal_content_explanation": decision.explanation,
        }
    else:
        named = {
            "decision_ground": "DECISION_GROUND_INCOMPATIBLE_CONTENT",
            "incompatible_content_ground": decision.legal_basis,
            "incompatible_content_explanation": decision.explanation,
            "incompatible_content_illegal": "" if decision.also_illegal is None else _yes(decision.also_illegal),
        }
    return {**named, "decision_ground_reference_url": decision.reference_url}


def _facts(case: Case) -> str:
    found = "The content was found by comparing its hashes with lists of known material. " if case.matches else ""
    seen = "A person has seen it." if case.viewed_by_human else "No person has seen it."
    return found + seen


def _yes(flag: bool) -> str:  # noqa: FBT001 - a word for a flag
    return "Yes" if flag else "No"
