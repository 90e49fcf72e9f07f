"""Notices to hosts: rendered for review, or opened as cases and held in the outbox for a person to release.

Theory of operation
-------------------
What each recipient is told (``hotline.notices``) is divided into documents as the format allows. Each is rendered from
cases that are composed and not kept, so that every rule is known before anything is opened; a document that breaks
one is a result with its problem, and the others go on.

Preparing then opens the cases of a document, each under the draft's key, and queues it as held. All of that may be
repeated: a case is opened once, one that was found wrong or closed meanwhile is left out, and one that was told to the
same outlet in the same format is not told again. So a process that is killed is run again, and a group whose delivery
was cancelled because one match was rejected is prepared anew without that one.

What this module deliberately does not do: it releases nothing and sends nothing.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hashmatch.cases.facts import compose
from hashmatch.config import OutletConfig, ReporterConfig
from hashmatch.errors import BadConfig, BadInput, BadReceipt, BadReport, CaseConflict, OutletForbidden
from hashmatch.hotline.followup.notices import Draft, Group, divided
from hashmatch.model.cases import Case, CaseState, Document, Environment, OutletKind
from hashmatch.model.deliveries import DeliveryState, DeliveryStatus
from hashmatch.projections import formats
from hashmatch.projections.basis import Context
from hashmatch.service.casework import Casework, Sending

FORMATS: Final = ("letter", "dsa16", "xarf")
NO_CONTACT: Final = "no contact known"

_NAMESPACE: Final = uuid.UUID("0b9a7c1e-52a4-5d0e-8f43-7f6f3a1c9d21")
"""Of the ids of cases that are composed for review."""

_REFUSED: Final = (BadInput, BadReport, BadReceipt, CaseConflict, OutletForbidden)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """In what the notices are written, and of when."""

    format: str
    reporter: ReporterConfig
    now: dt.datetime
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Notice:
    """One document of a group. ``document`` is None where a rule forbids it; then ``problems`` says which."""

    group: Group
    drafts: tuple[Draft, ...]
    document: Document | None
    problems: tuple[str, ...] = ()
    deliveries: tuple[DeliveryStatus, ...] = ()
    """Where it stands in the outbox: what is held now, and what was prepared before."""


def check(manner: Manner) -> None:
    """Refuse what would make no notice of any group.

    Raises
    ------
    BadInput
        It is no format of notices.
    BadConfig
        The letters of who reports are none to hosts.

    """
    if manner.format not in FORMATS:
        raise BadInput(f"format: {manner.format[:40]!r} is none of {', '.join(FORMATS)}", field="format")
    if manner.format == "letter" and not manner.reporter.hotline:
        raise BadConfig(
            "reporter.hotline: a letter of who is no hotline goes to the police or another authority; set it, or give "
            "notice as dsa16 or xarf",
            field="reporter.hotline",
        )


def reviewed(groups: Sequence[Group], manner: Manner) -> Iterator[Notice]:
    """Yield every document as it would be sent, from cases that are not kept; raises as :func:`check`."""
    check(manner)
    row = formats.FORMATS[manner.format]
    most_cases = row.most_cases if row.batch else 1
    for group in groups:
        for drafts in divided(group.drafts, most_cases, row.most_urls):
            yield _reviewed(group, drafts, manner)


def prepared(work: Casework, notice: Notice, sending: Sending, outlet: OutletConfig, *, actor: str) -> Notice:
    """Open the cases of a document that has no problem, and hold it in the outbox; see above.

    Parameters
    ----------
    work : Casework
        Opens and queues.
    notice : Notice
        As :func:`reviewed` yields it.
    sending : Sending
        Outlet, environment, format and language; recipient and ``held`` are set here.
    outlet : OutletConfig
        The outlet's.
    actor : str
        Who prepares it.

    """
    if notice.document is None:
        return notice
    recipient = notice.group.contact or outlet.recipient
    if outlet.kind == OutletKind.MAIL.value and not recipient:
        return replace(notice, problems=(*notice.problems, "nothing was queued: mail goes to an address"))
    cases: list[Case] = []
    before: dict[str, DeliveryStatus] = {}
    problems = list(notice.problems)
    for draft in notice.drafts:
        try:
            case = work.open(draft.report.receipt, draft.facts, actor=actor, idempotency_key=draft.key)
        except _REFUSED as error:
            problems.append(error.message)
            continue
        told = [one for one in work.get(case.case_id).deliveries if _same(one, sending)]
        before |= {one.delivery_id: one for one in told}
        if case.state is not CaseState.OPEN:
            problems.append(f"left out: the case {case.case_id} is {case.state.value}")
        elif not told:
            cases.append(case)
    held = replace(sending, recipient=recipient or notice.group.name, held=True)
    if cases:
        try:
            queued = work.send_several([case.case_id for case in cases], held, actor=actor)
        except _REFUSED as error:
            problems.append(error.message)
        else:
            before[queued.delivery_id] = queued
    return replace(notice, problems=tuple(problems), deliveries=tuple(before.values()))


def _same(delivery: DeliveryStatus, sending: Sending) -> bool:
    """Whether a case was told to an outlet in a format already, and nobody took that back."""
    where = (delivery.outlet, delivery.format) == (sending.outlet, sending.format)
    return where and delivery.state is not DeliveryState.CANCELLED


def sending_for(outlet: str, environment: Environment, manner: Manner) -> Sending:
    """Return how the notices of a manner are sent to an outlet."""
    return Sending(outlet=outlet, environment=environment, format=manner.format, language=manner.language)


def _reviewed(group: Group, drafts: tuple[Draft, ...], manner: Manner) -> Notice:
    unknown = () if group.contact else (NO_CONTACT,)
    try:
        cases = tuple(_composed(draft, manner.now) for draft in drafts)
        about = formats.report_id(" ".join(case.case_id for case in cases), manner.format)
        recipient = group.contact or group.name
        context = Context(manner.reporter, manner.now, about, manner.language, recipient)
        if len(cases) == 1:
            document = formats.render(cases[0], manner.format, context)
        else:
            document = formats.render_several(cases, manner.format, context)
    except _REFUSED as error:
        return Notice(group, drafts, None, (*unknown, error.message))
    return Notice(group, drafts, document, unknown)


def _composed(draft: Draft, now: dt.datetime) -> Case:
    return compose(str(uuid.uuid5(_NAMESPACE, draft.key)), draft.facts, draft.report, "", now)
