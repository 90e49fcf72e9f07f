"""Handler of StatusService."""

from __future__ import annotations

from typing import Any, Protocol

from hashmatch.report.status import ServiceStatus, status_to_proto
from hashmatch.service.purview import own_status
from hashmatch.v1 import status_pb2, status_pb2_grpc


class Observed(Protocol):
    """Something that can say how it is; ``Runtime`` can."""

    async def status(self) -> ServiceStatus:
        """Return what is being served, by what, and how well confined."""


class StatusHandlers(status_pb2_grpc.StatusServiceServicer):
    """Tells operators what is being served."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    async def GetStatus(  # noqa: N802  gRPC's name
        self,
        request: status_pb2.GetStatusRequest,  # noqa: ARG002  gRPC's signature
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> status_pb2.GetStatusResponse:
        """Answer with the current status."""
        return status_to_proto(own_status(await self._observed.status()))
