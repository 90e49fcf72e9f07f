"""What the SDK returns beyond the model's own types."""

from __future__ import annotations

from dataclasses import dataclass

from hashmatch.errors import HashmatchError
from hashmatch.model import EntryHash, MatchReport


@dataclass(frozen=True, slots=True)
class HashedImage:
    """The hashes of one image, computed on the caller's side. ``request_id`` comes back in the report."""

    hashes: tuple[EntryHash, ...]
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class StreamAnswer:
    """The answer to one item of ``detect_stream``: a report, or the error that kept the service from making one."""

    item_id: str
    report: MatchReport | None = None
    error: HashmatchError | None = None

    def unwrap(self) -> MatchReport:
        """Return the report, or raise the error.

        Raises
        ------
        HashmatchError
            Why there is no report.

        """
        if self.report is None:
            raise self.error or HashmatchError(f"item {self.item_id!r} has neither a report nor an error")
        return self.report
