"""What the catalog hands out one by one.

Theory of operation
-------------------
A stream reads through a connection of its own, inside a read transaction, so all of it is of one moment. The connection
has to go back: at the end of the stream, when the reader closes it, when reading fails, or when the stream is dropped
half read. :class:`Stream` does so in each case, and exactly once.

What this module deliberately does not do: it knows neither SQL nor SQLite.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class Stream(Iterator[T], Generic[T]):
    """Values read from one moment of the catalog; the connection goes back when the stream ends or is dropped."""

    def __init__(self, values: Iterator[T], release: Callable[[], None]) -> None:
        self._values = values
        self._release = weakref.finalize(self, release)
        self._release.atexit = False

    def __repr__(self) -> str:
        return f"Stream({'open' if self._release.alive else 'closed'})"

    def __next__(self) -> T:
        try:
            return next(self._values)
        except BaseException:  # the end of the stream included: nothing more will be read
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back. Safe to call twice."""
        self._values = iter(())
        self._release()
