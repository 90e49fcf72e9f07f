"""What a source's state machine is: the interface that ``run`` walks along, and what passes through it.

Theory of operation
-------------------
A walk is a frozen value: where one run over one source stands. :meth:`Walk.request` says what to ask next, or None
when the range is exhausted. The answer becomes a :class:`~hashmatch.exchange.pages.Page`, whose rows are taken in, and
:meth:`Walk.after` gives the walk that follows. Two ways lead on when a page fails: :meth:`Walk.past` steps over it
where the next one is known without it, and :meth:`Walk.again` begins the range anew where the server has forgotten the
token of the page.

Time is the server's. A walk compares moments of pages with moments of pages and with ``Answer.served_at``, which is the
server's ``Date``; no walk looks at a clock of this machine.

What this module deliberately does not do: no I/O, no waiting, no catalog.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hashmatch.exchange.pages import Page


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, relative to the source's address and without credentials."""

    path: str
    query: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    body: bytes = field(default=b"", repr=False)
    content_type: str = ""

    def __str__(self) -> str:
        shown = "&".join(f"{key}={value}" for key, value in self.query)
        return f"{self.method} {self.path}" + (f"?{shown}" if shown else "")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, bounded. ``served_at`` is the server's clock in seconds since 1970, None if it does not say."""

    body: bytes = field(repr=False)
    status: int = 200
    served_at: int | None = None

    def stream(self) -> io.BytesIO:
        """Return the body to read from."""
        return io.BytesIO(self.body)


class Walk(Protocol):
    """Where a run over one source stands."""

    @property
    def full(self) -> bool:
        """Whether everything is being fetched, so that what is not seen has gone."""

    def request(self) -> Request | None:
        """Return what to ask next; None when the range is exhausted."""

    def page(self, answer: Answer) -> Page:
        """Begin to read an answer. Raises BadFile when it is no page at all."""

    def after(self, page: Page, answer: Answer) -> Walk:
        """Return the walk after a whole page. Raises BadFile when the page leads nowhere."""

    def past(self) -> Walk | None:
        """Return the walk behind the present page without having read it; None when that is not known."""

    def again(self) -> Walk | None:
        """Return the walk from the range's beginning, when the present page's token is refused; None to give up."""

    def checkpoint(self) -> str:
        """Where the next run begins, when this one is complete."""

    def member(self) -> str:
        """Who the source says that we are; empty when it does not."""


def loaded(checkpoint: str) -> Mapping[str, Any]:
    """Return a checkpoint's values; an empty or foreign text is none, and everything is fetched."""
    try:
        found = json.loads(checkpoint) if checkpoint else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def dumped(**values: object) -> str:
    """Inverse of :func:`loaded`."""
    return json.dumps(values, sort_keys=True)


def whole_number(value: object) -> int:
    """Return a number of a checkpoint; 0 for anything that is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
