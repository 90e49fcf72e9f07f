"""How library code says how far it is.

Long work takes a :class:`Progress` and reports; only ``cli`` draws. :data:`SILENT` is the default everywhere, so no
library function prints. Implementations must be cheap: callers report once per batch, not once per item.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """One piece of long work being watched."""

    def start(self, description: str, total: int | None, unit: str = "items") -> None:
        """Begin; ``total`` is the number of ``unit`` to come, or None when it cannot be known."""

    def advance(self, done: int) -> None:
        """``done`` more units are finished."""

    def finish(self) -> None:
        """End, whether or not ``total`` was reached. Safe to call twice."""


class SilentProgress:
    """Watches nothing."""

    def start(self, description: str, total: int | None, unit: str = "items") -> None:
        """Ignore."""

    def advance(self, done: int) -> None:
        """Ignore."""

    def finish(self) -> None:
        """Ignore."""


SILENT: Progress = SilentProgress()
