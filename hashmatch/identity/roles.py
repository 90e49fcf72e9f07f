"""Roles, and the one table that says which of them a method needs.

Theory of operation
-------------------
:data:`METHODS` has a row for every method that the service offers, with *all* the roles that it needs; none at all
means that the method is open to whoever reaches the port. A method without a row is refused, so that one that is added
and forgotten here can be called by nobody; a test compares the table with the descriptors in both directions.

What this module deliberately does not do: it knows no caller and no set; what a caller may see of what a method handles
is for ``callers`` and ``disclosure`` to say.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Mapping
from typing import Final


class Role(enum.StrEnum):
    """What a caller may be allowed to do."""

    DETECT = "detect"
    """Ask about images and hashes; the answer is a verdict and little more."""
    DETAIL = "detail"
    """See in answers and cases what was met: entry, distance, hash, chance. Whoever has it can learn to evade."""
    HASHSET_READ = "hashset-read"
    """List, export and follow sets, read entries and their history."""
    HASHSET_WRITE = "hashset-write"
    """Create sets, import, withdraw, dispute, reinstate, vote."""
    REPORT = "report"
    """Open cases, send and close them, record findings, hold material, read figures."""
    RELEASE = "release"
    """Release a delivery that waits for a second person."""
    OPERATE = "operate"
    """Read the status; ask for the service's shape (reflection)."""
    AUDIT = "audit"
    """Read the audit log."""
    HOTLINE = "hotline"
    """Have lists of URLs checked."""


OPEN: Final[frozenset[Role]] = frozenset()
"""Needed by nothing but the ability to connect."""


def _service(name: str, needs: Role, *methods: str, and_also: Role | None = None) -> dict[str, frozenset[Role]]:
    roles = frozenset({needs} if and_also is None else {needs, and_also})
    return {f"/{name}/{method}": roles for method in methods}


_DETECTION: Final = "hashmatch.v1.DetectionService"
_SETS: Final = "hashmatch.v1.HashSetService"
_REPORTS: Final = "hashmatch.v1.ReportService"
_HEALTH: Final = "grpc.health.v1.Health"

METHODS: Final[Mapping[str, frozenset[Role]]] = types.MappingProxyType(
    {
        **_service(_DETECTION, Role.DETECT, "Detect", "DetectStream", "DetectHashes", "Rescan"),
        **_service(
            _SETS, Role.HASHSET_READ, "ListHashSets", "GetHashSet", "ExportEntries", "FollowHashSet", "GetEntry",
            "GetHistory",
        ),
        **_service(
            _SETS, Role.HASHSET_WRITE, "CreateHashSet", "ImportEntries", "WithdrawEntry", "DisputeEntry",
            "ReinstateEntry", "VoteEntry",
        ),
        **_service(
            _REPORTS, Role.REPORT, "CreateReport", "GetReport", "ListReports", "SendReport", "DecideDelivery",
            "RelayFile", "ConfirmMatch", "RejectMatch", "CloseReport", "ReopenReport", "HoldMaterial",
            "ReleaseMaterial", "RecordComplaint", "GetStatistics",
        ),
        **_service(_REPORTS, Role.REPORT, "RenderReport", and_also=Role.DETAIL),  # some formats say how near it was
        **_service("hashmatch.v1.StatusService", Role.OPERATE, "GetStatus"),
        **_service("hashmatch.v1.HotlineService", Role.HOTLINE, "CheckUrls"),
        **_service("grpc.reflection.v1alpha.ServerReflection", Role.OPERATE, "ServerReflectionInfo"),
        # Orchestrators have no key, and learn no more than that something is or is not ready.
        f"/{_HEALTH}/Check": OPEN,
        f"/{_HEALTH}/List": OPEN,
        f"/{_HEALTH}/Watch": OPEN,
    }
)  # fmt: skip
"""Method, as gRPC names it, to the roles that it needs."""

PER_MESSAGE: Final = frozenset({f"/{_DETECTION}/DetectStream", f"/{_DETECTION}/Rescan"})
"""Streams whose every message is a request of its own, and counts as a call against the quota."""
