"""A CyberTip: NCMEC's ``<report>``, and the draft of its ``<fileDetails>``.

Theory of operation
-------------------
:func:`problems` is every rule that a case breaks, :func:`render` the report, which is refused where there is any. Who
may be told of what is asked first (``domains``). :func:`render_batch` tells of one file that went round, and of the
accounts that shared it and nothing more.

A document's body is the report; its parts are ``fileDetails``, which lacks NCMEC's ids (``cybertip_file.with_ids``),
and ``manifest``, for platforms that file reports themselves. A report without any file is valid.

What this module deliberately does not do: it sends nothing, and it never says that a person viewed what the case does
not say was viewed.

Source: reference formats §2.1.
"""

from __future__ import annotations

import datetime as dt
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from lxml import etree

from hashmatch.errors import BadInput
from hashmatch.model.cases import Case, Document, Ground, Problem, Source, Subject, Visibility
from hashmatch.projections import cybertip_file
from hashmatch.projections.basis import Context, refuse
from hashmatch.projections.cybertip_rules import (
    INCIDENTS,
    NCMEC_NAMES,
    PLAIN,
    Extras,
    account_element,
    batch_problems,
    case_problems,
    reporter_problems,
)
from hashmatch.projections.cybertip_xml import branch, flags, leaf, moment, written
from hashmatch.projections.domains import check_allowed
from hashmatch.sections import ReporterConfig

FORMAT: Final = "cybertip"
MEDIA_TYPE: Final = "text/xml"
BATCH_REASON: Final = "VIRAL_POTENTIAL_MEME"

_AWARE: Final[Mapping[Source, str]] = types.MappingProxyType(
    {
        Source.VOLUNTARY: "Found on the provider's own initiative.",
        Source.ARTICLE_16: "Brought to the provider's notice under Article 16 of Regulation (EU) 2022/2065.",
        Source.TRUSTED_FLAGGER: "Brought to the provider's notice by a trusted flagger{by}.",
        Source.NOTICE: "Brought to the provider's notice.",
        Source.ORDER: "Found because of an order of an authority{by}.",
    }
)
"""How the provider became aware. Only flaggers and authorities are named: others may be private persons."""

_DONE: Final[Mapping[Visibility, str]] = types.MappingProxyType(
    {
        Visibility.REMOVED: "The content was removed.",
        Visibility.DISABLED: "Access to the content was disabled.",
        Visibility.DEMOTED: "The content was demoted.",
        Visibility.AGE_RESTRICTED: "The content was restricted by age.",
        Visibility.INTERACTION_RESTRICTED: "Interaction with the content was restricted.",
        Visibility.LABELLED: "The content was labelled.",
        Visibility.OTHER: "What was done to the content: {other}.",
    }
)


def problems(case: Case, reporter: ReporterConfig, now: dt.datetime, extras: Extras = PLAIN) -> tuple[Problem, ...]:
    """Return every rule of the CyberTipline that a case breaks; whether its domain may be told there is not asked."""
    return (*reporter_problems(reporter), *case_problems(case, now, extras))


def render(case: Case, context: Context, extras: Extras = PLAIN) -> Document:
    """Return a case as a CyberTip.

    Raises
    ------
    OutletForbidden
        The case's domain is never told to NCMEC.
    BadReport
        The case breaks a rule; the message has all that it breaks.

    """
    check_allowed(case, FORMAT)
    refuse(problems(case, context.reporter, context.now, extras), "CyberTip")
    report = branch(
        "report",
        _summary(case, context.reporter, extras, described=True),
        _web_page(case, context.reporter),
        _reporter(case, context.reporter),
        None if case.subject is None else _person(case, case.subject, context.reporter),
        leaf("additionalInfo", "\n".join(_told(case))),
    )
    return _document(report, cybertip_file.file_details(case, extras), (case,), context, batched=False)


def render_batch(cases: Sequence[Case], context: Context) -> Document:
    """Return several cases of one viral file as one batched report.

    Raises
    ------
    OutletForbidden
        A case's domain is never told to NCMEC.
    BadInput
        There is no case.
    BadReport
        The cases are not of one file, or one of them breaks a rule; fields begin with ``cases[n]``.

    """
    together = tuple(cases)
    if not together:
        raise BadInput("cases: a batch is several cases, not 0", field="cases")
    for case in together:
        check_allowed(case, FORMAT)
    found = [*reporter_problems(context.reporter), *batch_problems(together)]
    for n, case in enumerate(together):
        found += [replace(one, field=f"cases[{n}].{one.field}") for one in case_problems(case, context.now, PLAIN)]
    refuse(found, "batched CyberTip")
    first = min(together, key=lambda case: case.occurred_at)
    report = branch(
        "report",
        branch("batchedReport", reason=BATCH_REASON),
        _summary(first, context.reporter, PLAIN, described=False),
        _reporter(None, context.reporter),
        *(
            branch("personOrUserReported", leaf("espIdentifier", case.subject.account_id))
            for case in together
            if case.subject is not None
        ),
    )
    return _document(report, cybertip_file.batched_file_details(first), together, context, batched=True)


def _document(
    report: etree._Element, details: etree._Element, cases: tuple[Case, ...], context: Context, *, batched: bool
) -> Document:
    return Document(
        format=FORMAT,
        media_type=MEDIA_TYPE,
        file_name=f"cybertip-{context.report_id}.xml",
        body=written(report),
        parts=(
            ("fileDetails", written(details)),
            ("manifest", cybertip_file.manifest(cases, context.report_id, batched=batched)),
        ),
    )


def _summary(case: Case, reporter: ReporterConfig, extras: Extras, *, described: bool) -> etree._Element:
    return branch(
        "incidentSummary",
        leaf("incidentType", INCIDENTS[case.domain]),
        leaf("platform", case.platform or reporter.platform),
        leaf("escalateToHighPriority", case.urgent),
        flags("reportAnnotations", dict.fromkeys(extras.annotations, True)),
        leaf("incidentDateTime", moment(case.occurred_at)),
        leaf(
            "incidentDateTimeDescription",
            f"As recorded by the service; detected at {moment(case.observed_at)}." if described else "",
        ),
    )


def _web_page(case: Case, reporter: ReporterConfig) -> etree._Element | None:
    """Return where it was. A hotline reports what others host, and knows no more about it than that."""
    if not case.locator.urls:
        return None
    page = branch(
        "webPageIncident",
        *(leaf("url", url) for url in case.locator.urls),
        thirdPartyHostedContent="true" if reporter.hotline else "false",
    )
    return branch("internetDetails", page)


def _reporter(case: Case | None, reporter: ReporterConfig) -> etree._Element:
    address = branch("address", leaf("address", reporter.address), leaf("country", reporter.country), type="Business")
    person = branch(
        "person",
        leaf("firstName", reporter.first_name),
        leaf("lastName", reporter.last_name),
        leaf("phone", reporter.phone, type="Work"),
        leaf("email", reporter.email, type="Work"),
        address if len(address) else None,
        tag="reportingPerson",
    )
    company = (reporter.name, reporter.contact_point, reporter.contact_information)
    decision = None if case is None else case.decision
    terms = "" if decision is None or decision.ground is not Ground.TERMS else decision.legal_basis
    return branch(
        "reporter",
        person,
        leaf("companyTemplate", "\n".join(text for text in company if text)),
        leaf("termsOfService", terms),
        leaf("legalURL", reporter.legal_url),
    )


def _person(case: Case, subject: Subject, reporter: ReporterConfig) -> etree._Element | None:
    person = branch(
        "person",
        *(leaf("phone", phone) for phone in subject.phones),
        *(leaf("email", email) for email in subject.emails),
        tag="personOrUserReportedPerson",
    )
    told = branch(
        "personOrUserReported",
        person if len(person) else None,
        leaf("espIdentifier", subject.account_id),
        leaf("screenName", subject.screen_name),
        *(leaf("displayName", name) for name in subject.display_names),
        leaf("profileUrl", subject.profile_url),
        *(cybertip_file.ip_capture(event) for event in subject.network_events),
        leaf("additionalInfo", subject.note),
    )
    if not len(told):
        return None
    return branch("personOrUserReported", *told, leaf("espService", case.service or reporter.esp_service),
                  *(leaf("priorCTReports", number) for number in _earlier(case)), _account(case))  # fmt: skip


def _account(case: Case) -> etree._Element | None:
    decision = case.decision
    if decision is None or decision.account is None:
        return None
    element = etree.Element(account_element(decision.account))
    element.text = "true"
    if decision.account_at is not None:
        element.set("disabledDate", moment(decision.account_at))
    element.set("userNotified", "true" if decision.account_user_notified else "false")
    return element


def _earlier(case: Case) -> tuple[str, ...]:
    return tuple(prior.reference for prior in case.prior_reports if prior.authority.lower() in NCMEC_NAMES)


def _told(case: Case) -> Iterator[str]:
    """Yield the sentences of the free text, the caller's own last."""
    yield f"Case {case.case_id}." + (f" Match report {case.receipt_id}." if case.receipt_id else "")
    by = f", {case.source_identity}" if case.source_identity else ""
    yield _AWARE[case.source].format(by=by)
    if case.automated_detection:
        yield "Detected by automated hash matching."
    yield (
        "A person at the provider viewed the file." if case.viewed_by_human
        else "No person at the provider viewed the file."
    )  # fmt: skip
    for match in case.matches:
        yield (
            f"Match: {match.algorithm}, distance {match.distance} of at most {match.max_distance}, "
            f"entry {match.entry_id} of list {match.list_name}, version {match.list_version}."
        )
    for what, text in (("Reference", case.locator.content_ref), ("Item", case.item_id)):
        if text:
            yield f"{what} at the provider: {text}"
    if case.locator.ip:
        yield f"Served from {case.locator.ip}."
    if case.decision is not None and case.decision.visibility is not None:
        yield _DONE[case.decision.visibility].format(other=case.decision.others.visibility)
    for prior in case.prior_reports:
        yield f"Reported before to {prior.authority}, reference {prior.reference}."
    if case.note:
        yield case.note
