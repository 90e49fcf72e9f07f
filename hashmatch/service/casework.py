"""Casework: cases opened, told in any format, queued for those who act, confirmed, rejected, held and erased.

Theory of operation
-------------------
Everything here blocks and is short; the service calls it in threads, the command line as it is. A case is opened from a
receipt that this service signed and from the caller's facts. What is sent is rendered at once and frozen in the outbox;
rendering refuses what the harm domain or a rule of the format forbids, so nothing half-right is ever queued. The
caller says which environment is meant, and an outlet of the other one is refused: nothing that was meant as a test can
reach an authority, and the other way round.

A finding, confirmed or rejected, becomes an opinion about each entry that the case met, under the name by which the
entry's source knows us, where one is configured; ``hashset sync --feedback`` sends it there. A rejection also takes
back what was not sent yet.

What this module deliberately does not do: it sends nothing (``outbox.worker`` does), and it never sees an image.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import json
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hashmatch.cases import counters, preservation
from hashmatch.cases.counters import CounterStore
from hashmatch.cases.facts import compose, size_problems
from hashmatch.cases.receipt import opened, receipt_id, unsealed
from hashmatch.cases.states import CaseEvent
from hashmatch.cases.store import CaseStore, NewCase, case_in
from hashmatch.catalog.relational import RelationalCatalog
from hashmatch.catalog.session import Session
from hashmatch.config import Config, OutletConfig
from hashmatch.errors import BadInput, BadReceipt, CaseConflict, CatalogCorrupt
from hashmatch.identity import caller
from hashmatch.model import HarmDomain
from hashmatch.model.cases import Case, CaseState, Document, Environment, Facts, OutletKind, Subject
from hashmatch.model.deliveries import CaseFile, DeliveryState, Finding, Hold
from hashmatch.model.figures import Counted
from hashmatch.outbox.rows import Delivery, Order
from hashmatch.outbox.states import DeliveryEvent
from hashmatch.outbox.store import DeliveryStore
from hashmatch.projections import cybertip_schema, formats
from hashmatch.projections.basis import Context, refuse
from hashmatch.report.plain import to_plain
from hashmatch.service.auditor import SILENT, Auditor
from hashmatch.service.bounds import MAX_KEY_LENGTH, check_actor, check_reason, check_recipient, check_text
from hashmatch.service.findings import Findings
from hashmatch.service.retention import Retention, Swept
from hashmatch.signatures import SigningKey

MAX_TOGETHER: Final = 1_000
"""Cases in one document, as in one page of a list; formats have narrower limits of their own."""
LANGUAGES: Final = ("en", "nl", "fr", "de")

_log = logging.getLogger("hashmatch.service")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What is to be sent where. ``format`` may be empty where the outlet has one of its own.

    ``held`` makes it wait for a second person whatever the outlet says; ``audience`` is as in ``projections.basis``.
    """

    outlet: str
    environment: Environment
    format: str = ""
    language: str = "en"
    recipient: str = ""
    with_file: bool = False
    idempotency_key: str = ""
    audience: str = ""
    held: bool = False


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Casework:
    """Cases over one catalog. Every method blocks and may be called from any thread."""

    def __init__(
        self,
        catalog: RelationalCatalog,
        config: Config,
        key: SigningKey,
        *,
        now: Callable[[], dt.datetime] = _now,
        auditor: Auditor = SILENT,
    ) -> None:
        self._auditor = auditor
        self._catalog = catalog
        self._config = config
        self._key = key
        self._now = now
        self._cases = CaseStore(catalog)
        self._counters = CounterStore(catalog)
        self.outbox = DeliveryStore(catalog, self._note)
        self._findings = Findings(catalog, self._cases, self.outbox, config, now)
        self._retention = Retention(self._cases, self.outbox, self._findings, config, now)

    def __repr__(self) -> str:
        return f"Casework({self._catalog!r})"

    # --- cases ---------------------------------------------------------------------------------------------------

    def open(self, receipt: bytes, facts: Facts, *, actor: str, idempotency_key: str = "") -> Case:
        """Open a case, or return the one that the same request opened before.

        Raises
        ------
        BadReceipt
            The receipt is not ours, too old, or of no match in the case's domain.
        BadReport
            A fact breaks a rule; ``field`` names it.
        CaseConflict
            The idempotency key was used for another request.

        """
        check_actor(actor)
        if idempotency_key:
            check_text(idempotency_key, "idempotency_key", MAX_KEY_LENGTH)
        receipt = unsealed(receipt, self._key)
        report = opened(receipt, self._key.verify_key)
        for hit in report.hits:
            caller().check_set(hit.entry.set_name, "receipt")
        now = self._now()
        settings = self._config.cases
        if now - report.created_at > dt.timedelta(days=settings.receipt_days):
            raise BadReceipt(
                f"receipt: the match was made at {report.created_at.isoformat(timespec='seconds')}, more than "
                f"{settings.receipt_days} days ago (cases.receipt_days); check the picture again",
                field="receipt",
            )
        if not facts.platform and self._config.reporter.platform:
            facts = replace(facts, platform=self._config.reporter.platform)
        case = compose(str(uuid.uuid4()), facts, report, receipt_id(receipt), now)
        request = json.dumps(to_plain(facts), sort_keys=True).encode() + receipt
        new = NewCase(
            case, now + dt.timedelta(days=settings.keep_days), hashlib.sha256(request).digest(), idempotency_key
        )
        return self._cases.add(new, actor, counters.of_case)

    def get(self, case_id: str) -> CaseFile:
        """Return a case with everything that belongs to it; raises CaseNotFound, CaseConflict."""
        case = self._cases.get(case_id)
        return CaseFile(case, self.outbox.of_case(case_id), self._cases.events(case_id), self._cases.holds(case_id))

    def by_key(self, idempotency_key: str) -> CaseFile | None:
        """Return the case that was opened under a key; None where there is none, or it was erased."""
        case_id = self._cases.of_key(idempotency_key)
        return None if case_id is None else self.get(case_id)

    def page(
        self, *, after: str = "", state: CaseState | None = None, domain: HarmDomain | None = None, most: int = 100
    ) -> tuple[Case, ...]:
        """Return cases, oldest first, after the one of that id; raises CaseNotFound."""
        return self._cases.page(after=after, state=state, domain=domain, most=most)

    def change(self, case_id: str, event: CaseEvent, *, actor: str, reason: str) -> Case:
        """Close or reopen a case; raises CaseNotFound, CaseConflict, BadInput."""
        check_actor(actor)
        check_reason(reason)
        return self._cases.change(case_id, event, actor=actor, reason=reason, now=self._now())

    # --- telling and sending -------------------------------------------------------------------------------------

    def render(
        self,
        case_id: str,
        name: str,
        *,
        language: str = "en",
        recipient: str = "",
        audience: str = "",
        subject: Subject | None = None,
    ) -> Document:
        """Return a case in a format; ``subject`` is used for this rendering and not kept.

        Raises
        ------
        CaseNotFound, BadInput, OutletForbidden, BadReport
            See ``projections.formats.render``.

        """
        if subject is not None:
            refuse(tuple(size_problems(subject, "subject")), "the case cannot be told")
        case = self._cases.get(case_id)
        told = case if subject is None else replace(case, subject=subject)
        return self._render((told,), name, self._context(case_id, name, language, recipient, audience))

    def render_several(
        self, case_ids: Sequence[str], name: str, *, language: str = "en", recipient: str = "", audience: str = ""
    ) -> Document:
        """Return several cases in one document, in their order.

        Raises
        ------
        CaseNotFound, BadInput, OutletForbidden, BadReport
            See ``projections.formats.render_several``.

        """
        cases = self._together(case_ids)
        return self._render(cases, name, self._context(" ".join(case_ids), name, language, recipient, audience))

    def send(self, case_id: str, sending: Sending, *, actor: str) -> Delivery:
        """Queue a case for an outlet, or hold it for a second person; see :meth:`send_several`."""
        return self.send_several((case_id,), sending, actor=actor)

    def send_several(self, case_ids: Sequence[str], sending: Sending, *, actor: str) -> Delivery:
        """Queue cases for an outlet in one document, in their order, or hold it for a second person.

        The delivery is of each of them: it stands in the history of each, is erased with the first that is, and is
        cancelled when the match of one is rejected (``findings``). The same cases in the same format for the same
        outlet and recipient are queued once, unless the idempotency keys differ.

        Raises
        ------
        CaseNotFound, CaseConflict
            There is no such case, or it is not open.
        BadInput
            No such outlet, it is of the other environment, or it does not take the format; or that tells one case.
        OutletForbidden, BadReport
            See ``projections.formats.render``.

        """
        check_actor(actor)
        outlet = self.outlet_for(sending)
        cases = self._together(case_ids)
        for case in cases:
            if case.state is not CaseState.OPEN:
                which = f": {case.case_id}" if len(cases) > 1 else ""
                raise CaseConflict(
                    f"case_id: the case is {case.state.value}{which}; reopen it to send it", field="case_id"
                )
        kind = OutletKind(outlet.kind)
        name = _format_for(sending, kind)
        if sending.with_file and len(cases) > 1:
            raise BadInput("with_file: a file is of one case; send that one alone", field="with_file")
        recipient = sending.recipient or (outlet.recipient if kind is OutletKind.MAIL else "")
        together = " ".join(case_ids)
        document = self._render(
            cases, name, self._context(together, name, sending.language, recipient, sending.audience)
        )
        parts = (together, sending.outlet, name, recipient, sending.language, sending.idempotency_key)
        asked = (*parts, sending.audience) if sending.audience else parts
        order = Order(
            case_id=case_ids[0],
            further_case_ids=tuple(case_ids[1:]),
            outlet=sending.outlet,
            environment=sending.environment,
            document=document,
            key=hashlib.sha256("\0".join(asked).encode()).hexdigest(),
            requested_by=actor,
            held=outlet.two_person or sending.held,
            recipient=recipient,
            with_file=sending.with_file,
        )
        delivery = self.outbox.queue(order, self._now())
        about = {"case": together, "delivery": delivery.delivery_id, "outlet": sending.outlet, "format": name}
        self._auditor.event("delivery.queued", {**about, "environment": sending.environment.value})
        return delivery

    def decide(self, delivery_id: str, event: DeliveryEvent, *, actor: str, reason: str = "") -> Delivery:
        """Release, retry, cancel or confirm a delivery; raises CaseNotFound, CaseConflict, BadInput."""
        check_actor(actor)
        check_reason(reason)
        changed = self.outbox.change(delivery_id, event, actor=actor, reason=reason, now=self._now())
        self.settle(changed)
        about = {"case": " ".join(changed.case_ids), "delivery": changed.delivery_id, "decision": event.value}
        self._auditor.event("delivery.decided", about)
        return changed

    def check_file(self, delivery_id: str, md5: bytes) -> None:
        """Refuse a file that is not the one that the case is about.

        Raises
        ------
        CaseNotFound, CaseConflict
            There is no such delivery, or its case was erased.
        BadInput
            The case knows the file's MD5, and this is another one.

        """
        case = self._cases.get(self.outbox.get(delivery_id).case_id)
        known = [item.value for item in case.hashes if item.algorithm == "md5"]
        if known and md5 not in known:
            raise BadInput(f"md5: {md5.hex()} is another file; the case is about {known[0].hex()}", field="md5")

    def settle(self, delivery: Delivery) -> None:
        """Forget subjects where nothing else needs them, after a try; what a process ended before, the sweep does."""
        for case_id in delivery.case_ids:
            self._cases.settle(case_id, self._now())

    # --- findings, holds, retention ------------------------------------------------------------------------------

    def find(self, case_id: str, *, confirmed: bool, actor: str, reason: str) -> Finding:
        """Record that the match of a case was right or wrong; see ``findings``.

        Raises
        ------
        CaseNotFound, CaseConflict, BadInput
            There is no such case, or it was found to be wrong before.

        """
        return self._findings.find(case_id, confirmed=confirmed, actor=actor, reason=reason)

    def complain(self, case_id: str, *, upheld: bool, actor: str, reason: str) -> Case:
        """Record that a user complained about the decision, and whether that was reversed: a figure for yearly reports.

        Raises
        ------
        CaseNotFound, CaseConflict, BadInput
            There is no such case, it was erased, or nobody is named.

        """
        check_actor(actor)
        check_reason(reason, required=True)
        now = self._now()
        what = "complaint upheld" if upheld else "complaint"
        count = functools.partial(counters.of_complaint, upheld=upheld, now=now)
        return self._cases.note(case_id, what, actor=actor, reason=reason, now=now, counting=count)

    def hold(self, case_id: str, handle: str, *, actor: str, days: int | None = None) -> Hold:
        """Remember that the caller's store keeps what ``handle`` names; raises CaseNotFound, BadInput."""
        return self._retention.hold(case_id, handle, actor=actor, days=days)

    def release(self, case_id: str, hold_id: str, *, actor: str, reason: str) -> Hold:
        """End a hold before its time; raises CaseNotFound, CaseConflict, BadInput."""
        return self._retention.release(case_id, hold_id, actor=actor, reason=reason)

    def sweep(self) -> Swept:
        """End, expire and erase what is to be; see ``retention``."""
        swept = self._retention.sweep()
        for case_id in swept.erased:
            self._auditor.event("case.erased", {"case": case_id})
        return swept

    def undecided(self) -> Mapping[str, dt.datetime]:
        """Return held and unsure deliveries whose cases are erased within ``cases.warn_days``, and when those are."""
        return self.outbox.undecided(self._now() + dt.timedelta(days=self._config.cases.warn_days))

    def unknown_outlets(self) -> Mapping[str, int]:
        """Return outlets that deliveries wait for and that are not configured, with how many those are."""
        return self.outbox.unknown_outlets(tuple(self._config.outbox.outlets))

    # --- counters ------------------------------------------------------------------------------------------------

    def count(self, rows: tuple[Counted, ...]) -> None:
        """Add to the counters."""
        self._counters.add(rows)

    def counted(self, first: dt.date, last: dt.date) -> tuple[Counted, ...]:
        """Return the counters of some days, both ends included."""
        return self._counters.between(first, last)

    def _note(self, session: Session, delivery: Delivery, event: DeliveryEvent) -> None:
        """Count a report at its end, in the transaction that says so; a dry run and a word to the store are none."""
        arrived, expired = delivery.state is DeliveryState.DELIVERED, event is DeliveryEvent.EXPIRE
        if not arrived and not (expired and delivery.state is DeliveryState.CANCELLED):
            return
        outlet = self._config.outbox.outlets.get(delivery.outlet)
        if delivery.format == preservation.FORMAT or (outlet is not None and outlet.dry_run):
            return
        files, now = (1 if delivery.with_file else 0), delivery.changed_at
        rows: list[Counted] = []
        for case_id in delivery.case_ids:
            try:
                case = case_in(session, case_id)
            except CatalogCorrupt as error:  # that it arrived stands, or it would be sent again
                _log.warning("%s is %s and not counted: %s", delivery.delivery_id, delivery.state.value, error.message)
                continue
            if case is None:  # erased: nobody knows its domain, nor when it was observed
                continue
            if arrived:
                rows += counters.of_delivery(case, delivery.outlet, files=files, now=now)
            else:
                rows += counters.of_expired(case, delivery.outlet, now=now)
        counters.count_up(session, rows)

    # --- inside --------------------------------------------------------------------------------------------------

    def _together(self, case_ids: Sequence[str]) -> tuple[Case, ...]:
        """Return cases that are to be told in one document."""
        if not 0 < len(case_ids) <= MAX_TOGETHER:
            raise BadInput(f"cases: {len(case_ids)} are not within 1 and {MAX_TOGETHER}", field="cases")
        first: dict[str, int] = {}
        for n, case_id in enumerate(case_ids):
            if (earlier := first.setdefault(case_id, n)) != n:
                raise BadInput(f"cases[{n}]: is cases[{earlier}] again", field=f"cases[{n}]")
        return tuple(self._cases.get(case_id) for case_id in case_ids)

    def _render(self, cases: Sequence[Case], name: str, context: Context) -> Document:
        together = len(cases) > 1
        document = formats.render_several(cases, name, context) if together else formats.render(cases[0], name, context)
        if name == cybertip_schema.FORMAT and self._config.reporter.cybertip_xsd:
            cybertip_schema.validate_document(document, self._config.reporter.cybertip_xsd)
        return document

    def _context(self, about: str, name: str, language: str, recipient: str, audience: str) -> Context:
        check_recipient(recipient)
        if language not in LANGUAGES:
            raise BadInput(f"language: {language[:20]!r} is none of {', '.join(LANGUAGES)}", field="language")
        report = formats.report_id(about, name)
        return Context(self._config.reporter, self._now(), report, language, recipient, audience)

    def outlet_for(self, sending: Sending) -> OutletConfig:
        """Return the outlet that is meant; raises BadInput where there is none, or it is of the other environment."""
        outlets: Mapping[str, OutletConfig] = self._config.outbox.outlets
        if sending.outlet not in outlets:
            known = ", ".join(outlets) or "none; [outbox.outlets.NAME] in the configuration makes one"
            raise BadInput(f"outlet: {sending.outlet[:100]!r} is not configured; there is {known}", field="outlet")
        outlet = outlets[sending.outlet]
        if outlet.environment != sending.environment.value:
            raise BadInput(
                f"environment: the outlet {sending.outlet} is {outlet.environment}, and {sending.environment.value} "
                "was asked for; nothing was queued",
                field="environment",
            )
        return outlet


def _format_for(sending: Sending, kind: OutletKind) -> str:
    """Return the format in which an outlet gets what is sent."""
    name = sending.format or formats.BY_OUTLET.get(kind, "")
    if name not in formats.FORMATS or kind not in formats.FORMATS[name].outlets:
        taken = ", ".join(key for key, row in formats.FORMATS.items() if kind in row.outlets)
        raise BadInput(
            f"format: {name[:40] or 'nothing'!r} does not go to an outlet of kind {kind.value}; it takes {taken}",
            field="format",
        )
    if sending.with_file and kind is not OutletKind.CYBERTIPLINE:
        raise BadInput(f"with_file: an outlet of kind {kind.value} takes no file", field="with_file")
    return name
