"""The walk over StopNCII's hashes.

Theory of operation
-------------------
Records since ``startTimestamp``, page by token while ``hasMoreRecords``. Records are snapshots, so it does no harm when
one comes again. The checkpoint is the last page's ``nextSetTimestamp``. Tokens do not live long: when one is refused,
the range begins anew.

What this module deliberately does not do: see ``walks``.

Source: reference formats §3.4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Self

from hashmatch.errors import BadFile
from hashmatch.exchange.pages import Page
from hashmatch.exchange.stopncii import StopNciiPage
from hashmatch.sync.walks import Answer, Request, dumped, loaded, whole_number

PAGE_SIZE: Final = 800
BEGINNING: Final = 10
"""The API's own first timestamp."""


@dataclass(frozen=True, slots=True)
class StopNciiWalk:
    """Where a run over StopNCII's records stands; times are seconds since 1970 by the server's clock."""

    since: int
    full: bool
    token: str = ""
    seen: int = 0
    done: bool = False

    @classmethod
    def begin(cls, checkpoint: str, *, full: bool) -> Self:
        """Return the walk from a checkpoint, or over everything."""
        since = whole_number(loaded(checkpoint).get("since"))
        return cls(since, full=full or not since)

    def request(self) -> Request | None:
        """Ask for the page at the token."""
        if self.done:
            return None
        since = BEGINNING if self.full else self.since
        query = [("startTimestamp", str(since)), ("pageSize", str(PAGE_SIZE))]
        if self.token:
            query.append(("nextPageToken", self.token))
        return Request("FetchHashes", tuple(query))

    def page(self, answer: Answer) -> StopNciiPage:
        """Begin to read an answer. Raises BadFile."""
        return StopNciiPage(answer.stream())

    def after(self, page: Page, answer: Answer) -> StopNciiWalk:  # noqa: ARG002  the interface's
        """Go on to the next token. Raises BadFile when there is more and no way to it."""
        if not isinstance(page, StopNciiPage):
            raise BadFile(f"{page!r} is no page of this source", field="page")
        if page.has_more and page.next_token in {"", self.token}:
            raise BadFile("there are more records, and no token leads to them", field="nextPageToken")
        token = page.next_token if page.has_more else ""
        return replace(self, token=token, seen=max(self.seen, page.next_timestamp), done=not page.has_more)

    def past(self) -> StopNciiWalk | None:
        """Give up: the next token stood on the page."""
        return None

    def again(self) -> StopNciiWalk | None:
        """Begin the range anew when a token is refused."""
        return replace(self, token="", seen=0) if self.token else None

    def checkpoint(self) -> str:
        """Return where the server said that the next run begins; never before this one's beginning."""
        return dumped(since=max(self.seen, self.since) or BEGINNING)

    def member(self) -> str:
        """Nobody: the keys say who we are, and the records do not."""
        return ""
