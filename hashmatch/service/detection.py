"""Handlers of DetectionService: translate, call, translate.

An image that cannot be looked at is an answer, never a status: its report says ``not_checked`` and why. A status means
that the service could not answer (DESIGN: "could not look" is never "no match").
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from typing import Any, Final, Protocol

from google.rpc import status_pb2

from hashmatch.errors import BadInput
from hashmatch.identity import caller
from hashmatch.matching.engine import Submission
from hashmatch.matching.given import HashedItem
from hashmatch.matching.rescan import Rescan
from hashmatch.model import MatchReport
from hashmatch.report.proto import hash_from_proto, report_to_proto
from hashmatch.report.rescan import rescan_to_proto
from hashmatch.service import guard
from hashmatch.service.purview import shown, shown_answer
from hashmatch.service.window import each_in_window
from hashmatch.v1 import detection_pb2, detection_pb2_grpc

MAX_ID_LENGTH = 128
"""Characters of a request or item id: room for a UUID with a prefix, too little to hide content in a report."""


_SERVICE: Final = detection_pb2.DESCRIPTOR.services_by_name["DetectionService"].full_name
DETECT: Final = f"/{_SERVICE}/Detect"
DETECT_HASHES: Final = f"/{_SERVICE}/DetectHashes"


class Room(Protocol):
    """Says whether there is room for one more call; ``service.runtime.Runtime`` does. Raises Overloaded."""

    def check_room(self) -> None:
        """Refuse an image, before it is read, that would wait for too long."""

    def check_room_for_hashes(self) -> None:
        """Likewise, hashes that the caller computed."""


class Detector(Protocol):
    """Answers requests; ``matching.engine.Engine`` does."""

    async def detect(self, submission: Submission) -> MatchReport:
        """Answer for one image. Cancelling stops the work."""

    async def detect_hashes(self, items: Sequence[HashedItem], sets: frozenset[str] | None = None) -> list[MatchReport]:
        """Answer for hashes that the caller computed, in order."""

    def served_sets(self) -> Collection[str]:
        """Return the names of the sets of the current generation."""

    def rescan(self, since: str, sets: frozenset[str] | None = None) -> Rescan:
        """Begin to hold kept hashes against what is new."""


class DetectionHandlers(detection_pb2_grpc.DetectionServiceServicer):
    """The four ways to ask. ``refresh`` brings the catalog's changes into the index."""

    def __init__(
        self, detector: Detector, refresh: Callable[[], Awaitable[None]], *, stream_window: int, max_batch: int
    ) -> None:
        self._detector = detector
        self._refresh = refresh
        self._stream_window = stream_window
        self._max_batch = max_batch

    async def Detect(  # noqa: N802  gRPC's name
        self, request: detection_pb2.DetectRequest, context: Any
    ) -> detection_pb2.DetectResponse:
        """One image in, one report out."""
        report = await self._detect(request, context, guard.call_id())
        return detection_pb2.DetectResponse(report=report_to_proto(shown(report)))

    async def DetectStream(  # noqa: N802  gRPC's name
        self, request_iterator: Any, context: Any
    ) -> AsyncIterator[detection_pb2.DetectStreamResponse]:
        """Answer each image on its own, in the order of completion, ``stream_window`` at a time."""
        count = 0

        async def answer(message: detection_pb2.DetectStreamRequest) -> detection_pb2.DetectStreamResponse:
            nonlocal count
            count += 1
            item_id = _checked_id(message.item_id, "item_id")
            made_id = f"{guard.call_id()}-{count}"
            result = await guard.outcome(self._detect(message.request, context, made_id), "DetectStream item")
            if isinstance(result, status_pb2.Status):
                return detection_pb2.DetectStreamResponse(item_id=item_id, error=result)
            return detection_pb2.DetectStreamResponse(item_id=item_id, report=report_to_proto(shown(result)))

        window = each_in_window(aiter(request_iterator), answer, self._stream_window)
        async with contextlib.aclosing(window) as responses:
            async for response in responses:
                yield response

    async def DetectHashes(  # noqa: N802  gRPC's name
        self,
        request: detection_pb2.DetectHashesRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> detection_pb2.DetectHashesResponse:
        """Hashes in, one report for each item out, in the request's order."""
        reports = await self._detector.detect_hashes(self._items(request.items), self._sets(request.sets))
        return detection_pb2.DetectHashesResponse(reports=[report_to_proto(shown(report)) for report in reports])

    async def Rescan(  # noqa: N802  gRPC's name
        self,
        request_iterator: Any,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> AsyncIterator[detection_pb2.RescanResponse]:
        """Answer each batch of kept hashes before the next one is read."""
        requests = aiter(request_iterator)
        request = await anext(requests, None)
        if request is None or not request.since:
            raise BadInput("since: the first message of a rescan names the generation of the last look", field="since")
        await self._refresh()
        rescan = self._detector.rescan(request.since, self._sets(request.sets))
        first = 0
        while request is not None:
            items = self._items(request.items, first)
            first += len(items)
            yield rescan_to_proto(shown_answer(await asyncio.to_thread(rescan.answer, items)))
            request = await anext(requests, None)
            if request is not None and (request.since or request.sets):
                raise BadInput("since: only the first message of a rescan names a generation and sets", field="since")

    def _items(self, untrusted_items: Sequence[detection_pb2.HashedItem], first: int = 0) -> list[HashedItem]:
        """Return the items of one message, of which the first has this number in its call.

        Raises
        ------
        BadInput
            There are too many, or one has an id that cannot be repeated in a report.

        """
        total = sum(len(item.hashes) for item in untrusted_items)
        if max(total, len(untrusted_items)) > self._max_batch:
            raise BadInput(
                f"items: {len(untrusted_items)} items with {total} hashes are more than one call may carry "
                f"(server.max_batch = {self._max_batch}); split the batch",
                field="items",
            )
        call = guard.call_id()
        return [
            HashedItem(
                hashes=tuple([hash_from_proto(value) for value in item.hashes]),
                request_id=_checked_id(item.request_id, f"items[{number}].request_id")
                if item.request_id
                else f"{call}-{first + number}",
            )
            for number, item in enumerate(untrusted_items)
        ]

    async def _detect(self, request: detection_pb2.DetectRequest, context: Any, made_id: str) -> MatchReport:
        submission = Submission(
            image=request.image,
            request_id=_checked_id(request.request_id, "request_id") or made_id,
            sets=self._sets(request.sets),
            deadline_s=guard.remaining_s(context),
        )
        return await self._detector.detect(submission)

    def _sets(self, names: Sequence[str]) -> frozenset[str] | None:
        """Return the sets to search: those asked for, or all that are the caller's; raises PermissionDenied."""
        return caller().narrowed(frozenset(names) or None, self._detector.served_sets)


def _checked_id(untrusted_id: str, field: str) -> str:
    """Return the id.

    Raises
    ------
    BadInput
        Longer than MAX_ID_LENGTH, or with characters that would garble a log or a table.

    """
    if len(untrusted_id) > MAX_ID_LENGTH:
        raise BadInput(f"{field}: {len(untrusted_id)} characters are too many; at most {MAX_ID_LENGTH}", field=field)
    if not untrusted_id.isprintable():
        raise BadInput(f"{field}: only printable characters are allowed", field=field)
    return untrusted_id
