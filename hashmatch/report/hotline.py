"""What became of reported URLs, as protocol buffers, both ways; the round trip is the identity.

A body never crosses: :class:`~hashmatch.model.hotline.Fetched` of an item or summary has none.
"""

from __future__ import annotations

from hashmatch.errors import BadInput
from hashmatch.model.hotline import (
    Fetched,
    Hop,
    Item,
    Outcome,
    Place,
    Submission,
    Summary,
    TlsSeen,
    Via,
)
from hashmatch.report.proto import report_from_proto, report_to_proto
from hashmatch.report.scalars import from_number, moment, timestamp, to_number
from hashmatch.v1 import hotline_pb2


def _outcome_to_number(outcome: Outcome) -> hotline_pb2.UrlOutcome.ValueType:
    number: hotline_pb2.UrlOutcome.ValueType = to_number(hotline_pb2.UrlOutcome, "URL_OUTCOME_", outcome)
    return number


def _outcome_from_number(number: int) -> Outcome:
    return from_number(hotline_pb2.UrlOutcome, "URL_OUTCOME_", Outcome, number, "outcome")


def submission_to_proto(item: Submission) -> hotline_pb2.UrlSubmission:
    """One line of a list."""
    return hotline_pb2.UrlSubmission(number=item.number, url=item.url, extra=item.extra)


def submission_from_proto(message: hotline_pb2.UrlSubmission) -> Submission:
    """Inverse of :func:`submission_to_proto`."""
    return Submission(message.number, message.url, dict(message.extra))


def item_to_proto(item: Item) -> hotline_pb2.UrlItem:
    """One image that was found, or tried."""
    return hotline_pb2.UrlItem(
        number=item.number,
        url=item.url,
        via=to_number(hotline_pb2.FoundVia, "FOUND_VIA_", item.via),
        outcome=_outcome_to_number(item.outcome),
        detail=item.detail,
        page_url=item.page_url,
        fetched=None if item.fetched is None else _fetched_to_proto(item.fetched),
        size_bytes=item.size_bytes,
        report=None if item.report is None else report_to_proto(item.report),
        place=None if item.place is None else _place_to_proto(item.place),
        evidence=item.evidence,
    )


def item_from_proto(message: hotline_pb2.UrlItem) -> Item:
    """Inverse of :func:`item_to_proto`; raises BadInput on an outcome or place of finding that does not exist."""
    return Item(
        number=message.number,
        url=message.url,
        via=from_number(hotline_pb2.FoundVia, "FOUND_VIA_", Via, message.via, "via"),
        outcome=_outcome_from_number(message.outcome),
        detail=message.detail,
        page_url=message.page_url,
        fetched=_fetched_from_proto(message.fetched) if message.HasField("fetched") else None,
        size_bytes=message.size_bytes,
        report=report_from_proto(message.report) if message.HasField("report") else None,
        place=_place_from_proto(message.place) if message.HasField("place") else None,
        evidence=message.evidence,
    )


def summary_to_proto(summary: Summary) -> hotline_pb2.UrlSummary:
    """One address and what became of it."""
    return hotline_pb2.UrlSummary(
        number=summary.submission.number,
        outcome=_outcome_to_number(summary.outcome),
        detail=summary.detail,
        submitted_url=summary.submission.url,
        url=summary.url,
        fetched=None if summary.fetched is None else _fetched_to_proto(summary.fetched),
        place=None if summary.place is None else _place_to_proto(summary.place),
        counts=[
            hotline_pb2.OutcomeCount(outcome=_outcome_to_number(outcome), items=items)
            for outcome, items in summary.counts.items()
        ],
        checked_at=timestamp(summary.checked_at),
        extra=summary.submission.extra,
        same_as=summary.same_as or 0,
    )


def summary_from_proto(message: hotline_pb2.UrlSummary) -> Summary:
    """Inverse of :func:`summary_to_proto`; raises BadInput as :func:`item_from_proto` does."""
    return Summary(
        submission=Submission(message.number, message.submitted_url, dict(message.extra)),
        outcome=_outcome_from_number(message.outcome),
        detail=message.detail,
        url=message.url,
        fetched=_fetched_from_proto(message.fetched) if message.HasField("fetched") else None,
        place=_place_from_proto(message.place) if message.HasField("place") else None,
        counts={_outcome_from_number(count.outcome): count.items for count in message.counts},
        checked_at=moment(message, "checked_at"),
        same_as=message.same_as or None,
    )


def answer_to_proto(answer: Item | Summary) -> hotline_pb2.CheckUrlsResponse:
    """One message of a stream of answers."""
    if isinstance(answer, Item):
        return hotline_pb2.CheckUrlsResponse(item=item_to_proto(answer))
    return hotline_pb2.CheckUrlsResponse(summary=summary_to_proto(answer))


def answer_from_proto(message: hotline_pb2.CheckUrlsResponse) -> Item | Summary:
    """Inverse of :func:`answer_to_proto`; raises BadInput also on a message that is neither, as of a newer peer."""
    match message.WhichOneof("result"):
        case "item":
            return item_from_proto(message.item)
        case "summary":
            return summary_from_proto(message.summary)
        case _:
            raise BadInput("result: neither an item nor a summary", field="result")


def _fetched_to_proto(fetched: Fetched) -> hotline_pb2.Fetched:
    return hotline_pb2.Fetched(
        hops=[_hop_to_proto(hop) for hop in fetched.hops],
        outcome=hotline_pb2.URL_OUTCOME_UNSPECIFIED if fetched.outcome is None else _outcome_to_number(fetched.outcome),
        detail=fetched.detail,
        content_type=fetched.content_type,
        wire_bytes=fetched.wire_bytes,
        ended_at=timestamp(fetched.ended_at),
        robots=fetched.robots,
    )


def _fetched_from_proto(message: hotline_pb2.Fetched) -> Fetched:
    return Fetched(
        hops=tuple(_hop_from_proto(hop) for hop in message.hops),
        outcome=_outcome_from_number(message.outcome) if message.outcome else None,
        detail=message.detail,
        content_type=message.content_type,
        wire_bytes=message.wire_bytes,
        ended_at=moment(message, "ended_at"),
        robots=message.robots,
    )


def _hop_to_proto(hop: Hop) -> hotline_pb2.Hop:
    return hotline_pb2.Hop(
        url=hop.url,
        ip=hop.ip,
        port=hop.port,
        names=hop.names,
        status=hop.status,
        headers=[hotline_pb2.Header(name=name, value=value) for name, value in hop.headers],
        tls=None if hop.tls is None else _tls_to_proto(hop.tls),
        downgraded=hop.downgraded,
        started_at=timestamp(hop.started_at),
        answered_at=timestamp(hop.answered_at),
    )


def _hop_from_proto(message: hotline_pb2.Hop) -> Hop:
    return Hop(
        url=message.url,
        ip=message.ip,
        port=message.port,
        names=tuple(message.names),
        status=message.status,
        headers=tuple((header.name, header.value) for header in message.headers),
        tls=_tls_from_proto(message.tls) if message.HasField("tls") else None,
        downgraded=message.downgraded,
        started_at=moment(message, "started_at"),
        answered_at=moment(message, "answered_at"),
    )


def _tls_to_proto(tls: TlsSeen) -> hotline_pb2.TlsSeen:
    return hotline_pb2.TlsSeen(
        version=tls.version,
        cipher=tls.cipher,
        issuer=tls.issuer,
        subject=tls.subject,
        not_after=timestamp(tls.not_after),
        chain_sha256=tls.chain_sha256,
        problem=tls.problem,
    )


def _tls_from_proto(message: hotline_pb2.TlsSeen) -> TlsSeen:
    return TlsSeen(
        version=message.version,
        cipher=message.cipher,
        issuer=message.issuer,
        subject=message.subject,
        not_after=moment(message, "not_after"),
        chain_sha256=tuple(message.chain_sha256),
        problem=message.problem,
    )


def _place_to_proto(place: Place) -> hotline_pb2.Place:
    return hotline_pb2.Place(
        ip=place.ip,
        asn=place.asn,
        as_name=place.as_name,
        network=place.network,
        country=place.country,
        abuse=place.abuse,
        cdn=place.cdn,
        sources=place.sources,
    )


def _place_from_proto(message: hotline_pb2.Place) -> Place:
    return Place(
        ip=message.ip,
        asn=message.asn if message.HasField("asn") else None,
        as_name=message.as_name,
        network=message.network,
        country=message.country,
        abuse=message.abuse,
        cdn=message.cdn,
        sources=dict(message.sources),
    )
