"""The synchronous client's calls about reports: generated from aio_reports.py by `make client`; do not edit.

Theory of operation
-------------------
:class:`Reports` opens cases, tells them in any format, sends them, relays files, and says what a person found;
the other half (``sync``) has the connection and says how calls are made. A call that carries an idempotency key may be
made again by itself; without one, what changes something is tried once.

What this module deliberately does not do: it renders nothing and keeps no byte of a file that it relays.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator, Iterable, Iterator
from typing import Final

from hashmatch.client.sync_calls import Calls
from hashmatch.client.transport import Items, each, heard
from hashmatch.client.wire import Outgoing, wall
from hashmatch.model import HarmDomain
from hashmatch.model.cases import Case, CaseState, Document, Environment, Facts, Subject
from hashmatch.model.deliveries import CaseFile, DeliveryDecision, DeliveryStatus, Finding, Hold, RelayedFile
from hashmatch.model.figures import Counted
from hashmatch.report import casework
from hashmatch.report.scalars import to_number
from hashmatch.v1 import report_pb2, types_pb2

RELAY_MESSAGE_BYTES: Final = 256 << 10
"""A file's messages are no larger: few enough calls, and a hundredth of the default of server.max_message_bytes."""


class Reports(Calls):
    """The calls of ReportService."""

    def create_report(
        self, receipt: bytes, facts: Facts, *, actor: str, idempotency_key: str = "", timeout_s: float | None = None
    ) -> Case:
        """Open a case from a match and what only the caller knows.

        Parameters
        ----------
        receipt : bytes
            ``MatchReport.receipt``, as it came.
        facts : Facts
            The caller's half; ``viewed_by_human`` and ``exif_viewed`` have no default.
        actor : str
            Who opens it.
        idempotency_key : str
            The same key with the same request gives the same case, so it is tried again where that can help; with
            another request it is refused.
        timeout_s : float, optional
            Instead of the client's.

        Raises
        ------
        BadReceipt
            The receipt is not the service's, too old, or of no match in the case's domain.
        BadReport, BadInput
            A fact breaks a rule or is missing; ``field`` names it.
        CaseConflict
            The key was used for another request.
        ServiceUnavailable, DeadlineExceeded
            It is not known whether the case was opened.

        """
        request = report_pb2.CreateReportRequest(
            receipt=receipt, facts=casework.facts_to_proto(facts), actor=actor, idempotency_key=idempotency_key
        )
        return casework.case_from_proto(self._keyed(self._services.reports.CreateReport, request, timeout_s))

    def get_report(self, case_id: str, *, timeout_s: float | None = None) -> CaseFile:
        """Return a case with its deliveries, history and holds.

        Raises
        ------
        CaseNotFound, CaseConflict
            There is none of that id, or it was erased.
        ServiceUnavailable, DeadlineExceeded
            The service could not answer.

        """
        request = report_pb2.GetReportRequest(case_id=case_id)
        return casework.file_from_proto(self._repeatable(self._services.reports.GetReport, request, timeout_s))

    def list_reports(
        self,
        *,
        state: CaseState | None = None,
        domain: HarmDomain | None = None,
        after: str = "",
        page_size: int = 0,
        timeout_s: float | None = None,
    ) -> Generator[Case, None]:
        """Every case, oldest first, asked for in pages as they are needed.

        Parameters
        ----------
        state, domain : CaseState, HarmDomain, optional
            Only cases that stand there, only cases of that domain.
        after : str
            Begin after the case of that id.
        page_size : int
            Cases in one answer, at most 1,000; 0 leaves it to the service.
        timeout_s : float, optional
            For each page, instead of the client's.

        Raises
        ------
        CaseNotFound
            There is no case ``after``.
        ServiceUnavailable, DeadlineExceeded
            Go on after the last case.

        """
        request = report_pb2.ListReportsRequest(after=after, page_size=page_size)
        if state is not None:
            request.state = to_number(report_pb2.CaseState, "CASE_STATE_", state)
        if domain is not None:
            request.domain = to_number(types_pb2.HarmDomain, "HARM_DOMAIN_", domain)
        while True:
            response = self._repeatable(self._services.reports.ListReports, request, timeout_s)
            for message in response.cases:
                yield casework.case_from_proto(message)
            if not response.cases:
                return
            request.after = response.cases[-1].case_id

    def render_report(
        self,
        case_id: str,
        name: str,
        *,
        further: Iterable[str] = (),
        language: str = "en",
        recipient: str = "",
        audience: str = "",
        subject: Subject | None = None,
        timeout_s: float | None = None,
    ) -> Document:
        """Return a case in a format; nothing is sent.

        Parameters
        ----------
        case_id, name : str
            The case, and a format of ``hashmatch report formats``.
        further : iterable of str
            Ids of more cases for the same document, in this order; cybertip, dsa16, dsa-sor, iccam and letter take
            several.
        language, recipient, audience : str
            Of letters: en, nl, fr or de, whom it is for, and ``police`` where it is for the police in place of a host.
        subject : Subject, optional
            Whom it is about; used for this rendering and not kept.
        timeout_s : float, optional
            Instead of the client's.

        Raises
        ------
        CaseNotFound, CaseConflict, BadInput
            There is no such case, it was erased, or there is no such format or language.
        OutletForbidden, BadReport
            The harm domain, or a rule of the format, forbids it; ``field`` names what is wrong.
        ServiceUnavailable, DeadlineExceeded
            The service could not answer.

        """
        request = report_pb2.RenderReportRequest(
            case_id=case_id,
            format=name,
            language=language,
            recipient=recipient,
            subject=None if subject is None else casework.subject_to_proto(subject),
            further_case_ids=further,
            audience=audience,
        )
        return casework.document_from_proto(self._repeatable(self._services.reports.RenderReport, request, timeout_s))

    def send_report(
        self,
        case_id: str,
        outlet: str,
        environment: Environment,
        *,
        actor: str,
        further: Iterable[str] = (),
        name: str = "",
        language: str = "en",
        recipient: str = "",
        audience: str = "",
        held: bool = False,
        with_file: bool = False,
        idempotency_key: str = "",
        timeout_s: float | None = None,
    ) -> DeliveryStatus:
        """Queue a case, or several in one document, for an outlet, or hold it for a second person.

        Parameters
        ----------
        case_id, outlet : str
            The case, and an outlet of the service's configuration.
        environment, actor : Environment, str
            Which world is meant; an outlet of the other one is refused. Who sends it.
        further : iterable of str
            Ids of more cases for the same document, as in :meth:`render_report`.
        name, language, recipient, audience : str
            Format, where the outlet has none of its own; the others as in :meth:`render_report`.
        held, with_file : bool
            Waits for a second person whatever the outlet says; the file will come by :meth:`relay_file`.
        idempotency_key : str
            Sends the same report once more than without it, and only once under this key; so it is tried again where
            that can help.
        timeout_s : float, optional
            Instead of the client's.

        Raises
        ------
        CaseNotFound, CaseConflict, BadInput, OutletForbidden, BadReport
            Nothing was queued; ``field`` names what is wrong.
        ServiceUnavailable, DeadlineExceeded
            It is not known whether it was queued; the same call again queues nothing twice.

        """
        request = report_pb2.SendReportRequest(
            case_id=case_id,
            outlet=outlet,
            environment=to_number(report_pb2.Environment, "ENVIRONMENT_", environment),
            format=name,
            language=language,
            recipient=recipient,
            with_file=with_file,
            idempotency_key=idempotency_key,
            actor=actor,
            further_case_ids=further,
            audience=audience,
            held=held,
        )
        return casework.delivery_from_proto(self._keyed(self._services.reports.SendReport, request, timeout_s))

    def decide_delivery(
        self,
        delivery_id: str,
        decision: DeliveryDecision,
        *,
        actor: str,
        reason: str = "",
        timeout_s: float | None = None,
    ) -> DeliveryStatus:
        """Release, retry, cancel or confirm a delivery.

        Raises
        ------
        CaseNotFound, CaseConflict, BadInput
            There is none of that id, it stands where that cannot be decided, or the same person would release it.
        ServiceUnavailable, DeadlineExceeded
            It is not known whether it was decided.

        """
        request = report_pb2.DecideDeliveryRequest(
            delivery_id=delivery_id,
            decision=to_number(report_pb2.DeliveryDecision, "DELIVERY_DECISION_", decision),
            actor=actor,
            reason=reason,
        )
        return casework.delivery_from_proto(self._once(self._services.reports.DecideDelivery, request, timeout_s))

    def relay_file(
        self, delivery_id: str, chunks: Items[bytes], *, md5: bytes, timeout_s: float | None = None
    ) -> RelayedFile:
        """Pass the file of a waiting delivery through to its receiver.

        Parameters
        ----------
        delivery_id : str
            The delivery; it must be ``waiting``.
        chunks : iterable of bytes
            The file, in pieces of any size; read once and never held at once. What it raises is raised here.
        md5 : bytes
            Digest of the whole file, 16 bytes, known beforehand: the receiver's own must be the same.
        timeout_s : float, optional
            For the whole file; none by default.

        Returns
        -------
        RelayedFile
            Without a ``file_id`` it did not get through: ``delivery.reason`` says why, and it may be relayed again.

        Raises
        ------
        CaseNotFound, CaseConflict, BadInput
            There is no such delivery, it waits for no file, or the digest is none.
        ServiceUnavailable, DeadlineExceeded
            It is not known whether the file arrived; where the delivery still waits, it did not.

        """
        outgoing = Outgoing()
        requests = _relay_requests(delivery_id, chunks, md5, outgoing)
        self._calls += 1
        with wall(self._target, outgoing):
            call = self._services.reports.RelayFile(requests, timeout=timeout_s)
            response = heard(call, outgoing)
        return casework.relayed_from_proto(response)

    def confirm_match(self, case_id: str, *, actor: str, reason: str, timeout_s: float | None = None) -> Finding:
        """Say that a person found the match right: an opinion about each entry, and a figure.

        Raises
        ------
        CaseNotFound, CaseConflict, BadInput
            There is no such case, or it was found to be wrong before; nothing was changed.
        ServiceUnavailable, DeadlineExceeded
            It is not known whether the finding was recorded.

        """
        request = report_pb2.FindingRequest(case_id=case_id, actor=actor, reason=reason)
        return casework.finding_from_proto(self._once(self._services.reports.ConfirmMatch, request, timeout_s))

    def reject_match(self, case_id: str, *, actor: str, reason: str, timeout_s: float | None = None) -> Finding:
        """Say that a person found the match wrong; what was not sent is cancelled. Raises as :meth:`confirm_match`."""
        request = report_pb2.FindingRequest(case_id=case_id, actor=actor, reason=reason)
        return casework.finding_from_proto(self._once(self._services.reports.RejectMatch, request, timeout_s))

    def close_report(self, case_id: str, *, actor: str, reason: str = "", timeout_s: float | None = None) -> Case:
        """Close a case; raises as :meth:`confirm_match`."""
        request = report_pb2.ChangeReportRequest(case_id=case_id, actor=actor, reason=reason)
        return casework.case_from_proto(self._once(self._services.reports.CloseReport, request, timeout_s))

    def reopen_report(self, case_id: str, *, actor: str, reason: str = "", timeout_s: float | None = None) -> Case:
        """Open a closed case again; raises as :meth:`confirm_match`."""
        request = report_pb2.ChangeReportRequest(case_id=case_id, actor=actor, reason=reason)
        return casework.case_from_proto(self._once(self._services.reports.ReopenReport, request, timeout_s))

    def record_complaint(
        self, case_id: str, *, upheld: bool, actor: str, reason: str, timeout_s: float | None = None
    ) -> Case:
        """Count a user's complaint about the decision, reversed where ``upheld``; raises as :meth:`confirm_match`."""
        request = report_pb2.RecordComplaintRequest(case_id=case_id, actor=actor, reason=reason, upheld=upheld)
        return casework.case_from_proto(self._once(self._services.reports.RecordComplaint, request, timeout_s))

    def hold_material(
        self, case_id: str, handle: str, *, actor: str, days: int = 0, timeout_s: float | None = None
    ) -> Hold:
        """Remember that the caller's own store keeps what ``handle`` names; never bytes.

        Parameters
        ----------
        case_id, handle : str
            The case, and what the store calls it.
        actor : str
            Who asks for it.
        days : int
            How long; 0 means the service's ``cases.hold_days``.
        timeout_s : float, optional
            Instead of the client's.

        Raises
        ------
        CaseNotFound, CaseConflict, BadInput
            Nothing was changed.
        ServiceUnavailable, DeadlineExceeded
            It is not known whether there is a hold.

        """
        request = report_pb2.HoldMaterialRequest(case_id=case_id, handle=handle, days=days, actor=actor)
        return casework.hold_from_proto(self._once(self._services.reports.HoldMaterial, request, timeout_s))

    def release_material(
        self, case_id: str, hold_id: str, *, actor: str, reason: str, timeout_s: float | None = None
    ) -> Hold:
        """End a hold before its time; raises as :meth:`hold_material`."""
        request = report_pb2.ReleaseMaterialRequest(case_id=case_id, hold_id=hold_id, actor=actor, reason=reason)
        return casework.hold_from_proto(self._once(self._services.reports.ReleaseMaterial, request, timeout_s))

    def statistics(self, first: dt.date, last: dt.date, *, timeout_s: float | None = None) -> tuple[Counted, ...]:
        """Return the counters of some days (UTC), both included.

        Raises
        ------
        ServiceUnavailable, DeadlineExceeded
            The service could not answer.
        BadInput
            It is newer, and counts what is not known here.

        """
        request = report_pb2.GetStatisticsRequest(first_day=first.isoformat(), last_day=last.isoformat())
        response = self._repeatable(self._services.reports.GetStatistics, request, timeout_s)
        return tuple(map(casework.counted_from_proto, response.rows))


def _relay_requests(
    delivery_id: str, chunks: Items[bytes], md5: bytes, outgoing: Outgoing
) -> Iterator[report_pb2.RelayFileRequest]:
    yield report_pb2.RelayFileRequest(delivery_id=delivery_id, md5=md5)
    with outgoing.watched():
        for chunk in each(chunks):
            for begin in range(0, len(chunk), RELAY_MESSAGE_BYTES):
                yield report_pb2.RelayFileRequest(chunk=chunk[begin : begin + RELAY_MESSAGE_BYTES])
