"""Whom the service tells of changes, so that they are recorded; and nobody, where there is no audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

Body = Mapping[str, object]


class Auditor(Protocol):
    """Takes note of changes."""

    def admit(self) -> None:
        """Refuse what could not be recorded. Raises LedgerUnavailable."""

    def event(self, kind: str, body: Body) -> None:
        """Record a change and who asked for it, soon."""

    def entry(self, kind: str, set_id: str, entry_id: str, body: Body) -> None:
        """Record a change to an entry, whose id is made unrecognisable."""


class _Silent:
    """Takes note of nothing."""

    def admit(self) -> None:
        """Refuse nothing."""

    def event(self, kind: str, body: Body) -> None:
        """Do nothing."""

    def entry(self, kind: str, set_id: str, entry_id: str, body: Body) -> None:
        """Do nothing."""


SILENT: Final[Auditor] = _Silent()
