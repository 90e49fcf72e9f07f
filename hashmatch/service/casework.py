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

import contextlib
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
from hashmatch.errors import BadInput, BadReceipt, CaseConflict, CatalogCorrupt, EntryNotFound, SetNotFound
from hashmatch.identity import caller
from hashmatch.model import HarmDomain, Opinion, Rejected, Stance
from hashmatch.model.cases import Case, CaseMatch, CaseState, Document, Environment, Facts, OutletKind, Subject
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
from hashmatch.service.retention import Retention, Swept
from hashmatch.signatures import SigningKey

MAX_TOGETHER: Final = 1_000
"""Cases in one document, as in one page of a list; formats have narrower limits of their own."""
LANGUAGES: Final = ("en", "nl", "fr", "de")

_log = logging.getLogger("hashmatch.service")

_PENDING: Final = frozenset({DeliveryState.HELD, DeliveryState.QUEUED, DeliveryState.WAITING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What is to be sent where. ``format`` may be empty where the outlet has one of its own."""

    outlet: str
    environment: Environment
    format: str = ""
    language: str = "en"
    recipient: str = ""
    with_file: bool = False
    idempotency_key: str = ""


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
        self._retention = Retention(self._cases, self.outbox, config, now)

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
        self, case_id: str, name: str, *, language: str = "en", recipient: str = "", subject: Subject | None = None
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
        return self._render(case if subject is None else replace(case, subject=subject), name, language, recipient)

    def render_several(
        self, case_ids: Sequence[str], name: str, *, language: str = "en", recipient: str = ""
    ) -> Document:
        """Return several cases in one document, in their order.

        Raises
        ------
        CaseNotFound, BadInput, OutletForbidden, BadReport
            See ``projections.formats.render_several``.

        """
        if len(case_ids) > MAX_TOGETHER:
            raise BadInput(f"cases: {len(case_ids)} are too many; at most {MAX_TOGETHER}", field="cases")
        first: dict[str, int] = {}
        for n, case_id in enumerate(case_ids):
            if (earlier := first.setdefault(case_id, n)) != n:
                raise BadInput(f"cases[{n}]: is cases[{earlier}] again", field=f"cases[{n}]")
        cases = [self._cases.get(case_id) for case_id in case_ids]
        context = self._context(" ".join(case_ids), name, language, recipient)
        return self._checked(formats.render_several(cases, name, context), name)

    def send(self, case_id: str, sending: Sending, *, actor: str) -> Delivery:
        """Queue a case for an outlet, or hold it for a second person.

        The same case in the same format for the same outlet and recipient is queued once, unless the idempotency keys
        differ.

        Raises
        ------
        CaseNotFound, CaseConflict
            There is no such case, or it is not open.
        BadInput
            No such outlet, it is of the other environment, or it does not take the format.
        OutletForbidden, BadReport
            See ``projections.formats.render``.

        """
        check_actor(actor)
        outlet = self._outlet(sending)
        case = self._cases.get(case_id)
        if case.state is not CaseState.OPEN:
            raise CaseConflict(f"case_id: the case is {case.state.value}; reopen it to send it", field="case_id")
        kind = OutletKind(outlet.kind)
        name = sending.format or formats.BY_OUTLET.get(kind, "")
        if name not in formats.FORMATS or kind not in formats.FORMATS[name].outlets:
            taken = ", ".join(key for key, row in formats.FORMATS.items() if kind in row.outlets)
            raise BadInput(
                f"format: {name[:40] or 'nothing'!r} does not go to an outlet of kind {kind.value}; it takes {taken}",
                field="format",
            )
        if sending.with_file and kind is not OutletKind.CYBERTIPLINE:
            raise BadInput(f"with_file: an outlet of kind {kind.value} takes no file", field="with_file")
        recipient = sending.recipient or (outlet.recipient if kind is OutletKind.MAIL else "")
        document = self._render(case, name, sending.language, recipient)
        parts = (case_id, sending.outlet, name, recipient, sending.language, sending.idempotency_key)
        order = Order(
            case_id=case_id,
            outlet=sending.outlet,
            environment=sending.environment,
            document=document,
            key=hashlib.sha256("\0".join(parts).encode()).hexdigest(),
            requested_by=actor,
            held=outlet.two_person,
            recipient=recipient,
            with_file=sending.with_file,
        )
        delivery = self.outbox.queue(order, self._now())
        about = {"case": case_id, "delivery": delivery.delivery_id, "outlet": sending.outlet, "format": name}
        self._auditor.event("delivery.queued", {**about, "environment": sending.environment.value})
        return delivery

    def decide(self, delivery_id: str, event: DeliveryEvent, *, actor: str, reason: str = "") -> Delivery:
        """Release, retry, cancel or confirm a delivery; raises CaseNotFound, CaseConflict, BadInput."""
        check_actor(actor)
        check_reason(reason)
        changed = self.outbox.change(delivery_id, event, actor=actor, reason=reason, now=self._now())
        self._cases.settle(changed.case_id, self._now())
        about = {"case": changed.case_id, "delivery": changed.delivery_id, "decision": event.value}
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
        """Forget the subject where nothing else needs it, after a try; what a process ended before, the sweep does."""
        self._cases.settle(delivery.case_id, self._now())

    # --- findings, holds, retention ------------------------------------------------------------------------------

    def find(self, case_id: str, *, confirmed: bool, actor: str, reason: str) -> Finding:
        """Record that the match of a case was right or wrong.

        Raises
        ------
        CaseNotFound, CaseConflict, BadInput
            There is no such case, or it was found to be wrong before.

        """
        check_actor(actor)
        check_reason(reason, required=True)
        now = self._now()
        event = CaseEvent.CONFIRM if confirmed else CaseEvent.REJECT
        count = functools.partial(counters.of_opinion, confirmed=confirmed, now=now)
        case = self._cases.change(case_id, event, actor=actor, reason=reason, now=now, counting=count)
        if not confirmed:
            for delivery in self.outbox.of_case(case_id):
                if delivery.state in _PENDING and delivery.format != preservation.FORMAT:
                    with contextlib.suppress(CaseConflict):  # taken at this moment: the outbox lets it go no further
                        self.outbox.change(
                            delivery.delivery_id,
                            DeliveryEvent.CANCEL,
                            actor=actor,
                            reason="the match was rejected",
                            now=now,
                        )
        skipped = tuple(
            trouble
            for number, match in enumerate(case.matches)
            if (trouble := self._vote(number, match, actor=actor, reason=reason, confirmed=confirmed)) is not None
        )
        self._cases.settle(case_id, now)
        return Finding(case, len(case.matches) - len(skipped), skipped)

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
        try:
            case = case_in(session, delivery.case_id)
        except CatalogCorrupt as error:  # that it arrived stands, or it would be sent again
            _log.warning("%s is %s and not counted: %s", delivery.delivery_id, delivery.state.value, error.message)
            return
        if case is None:  # erased: nobody knows its domain, nor when it was observed
            return
        files, now = (1 if delivery.with_file else 0), delivery.changed_at
        counters.count_up(
            session,
            counters.of_delivery(case, delivery.outlet, files=files, now=now)
            if arrived
            else counters.of_expired(case, delivery.outlet, now=now),
        )

    # --- inside --------------------------------------------------------------------------------------------------

    def _render(self, case: Case, name: str, language: str, recipient: str) -> Document:
        return self._checked(formats.render(case, name, self._context(case.case_id, name, language, recipient)), name)

    def _context(self, about: str, name: str, language: str, recipient: str) -> Context:
        check_recipient(recipient)
        if language not in LANGUAGES:
            raise BadInput(f"language: {language[:20]!r} is none of {', '.join(LANGUAGES)}", field="language")
        report = formats.report_id(about, name)
        return Context(self._config.reporter, self._now(), report, language, recipient)

    def _checked(self, document: Document, name: str) -> Document:
        if name == cybertip_schema.FORMAT and self._config.reporter.cybertip_xsd:
            cybertip_schema.validate_document(document, self._config.reporter.cybertip_xsd)
        return document

    def _outlet(self, sending: Sending) -> OutletConfig:
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

    def _vote(self, number: int, match: CaseMatch, *, actor: str, reason: str, confirmed: bool) -> Rejected | None:
        stance = Stance.AGREE if confirmed else Stance.DISAGREE
        opinion = Opinion(self._who(match.list_name, actor), stance, reason, algorithm=match.algorithm)
        try:
            self._catalog.vote(match.list_name, match.entry_id, opinion, actor=actor)
        except (SetNotFound, EntryNotFound, BadInput) as error:
            return Rejected(number, "matches", error.message)
        return None

    def _who(self, list_name: str, actor: str) -> str:
        """Return the name under which the source of a set knows us, else our own, else the person's."""
        for source in self._config.sync.sources.values():
            if source.set == list_name and source.own_name:
                return source.own_name
        return self._config.reporter.domain or actor
