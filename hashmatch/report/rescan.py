"""What a rescan says, as protocol buffers, both ways; the round trip is the identity."""

from __future__ import annotations

from hashmatch.model import Rejected, RescanAnswer
from hashmatch.report.proto import report_from_proto, report_to_proto
from hashmatch.v1 import detection_pb2


def rescan_to_proto(answer: RescanAnswer) -> detection_pb2.RescanResponse:
    """Return what was said of one batch."""
    return detection_pb2.RescanResponse(
        generation=answer.generation,
        everything=answer.everything,
        checked=answer.checked,
        reports=[report_to_proto(report) for report in answer.reports],
        rejected=[
            detection_pb2.RejectedItem(position=item.position, field=item.field, reason=item.reason)
            for item in answer.rejected
        ],
    )


def rescan_from_proto(message: detection_pb2.RescanResponse) -> RescanAnswer:
    """Inverse of :func:`rescan_to_proto`; raises BadInput as ``report_from_proto`` does."""
    return RescanAnswer(
        generation=message.generation,
        everything=message.everything,
        checked=message.checked,
        reports=tuple(report_from_proto(report) for report in message.reports),
        rejected=tuple(Rejected(item.position, item.field, item.reason) for item in message.rejected),
    )
