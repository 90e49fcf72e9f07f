"""Between the messages of a stream and the SDK's values; the same for both clients."""

from __future__ import annotations

from hashmatch.client.results import HashedImage, StreamAnswer
from hashmatch.client.wire import error_from_status
from hashmatch.report.proto import hash_to_proto, report_from_proto
from hashmatch.v1 import detection_pb2


def hashed_to_proto(item: HashedImage) -> detection_pb2.HashedItem:
    """Return the hashes of one image as they go over the wire."""
    return detection_pb2.HashedItem(request_id=item.request_id, hashes=map(hash_to_proto, item.hashes))


def stream_answer(response: detection_pb2.DetectStreamResponse) -> StreamAnswer:
    """Return the answer to one item of a stream. Raises BadInput when the service speaks a newer protocol."""
    if response.HasField("error"):
        return StreamAnswer(response.item_id, error=error_from_status(response.error))
    return StreamAnswer(response.item_id, report=report_from_proto(response.report))
