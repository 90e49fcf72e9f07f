"""The walk over ThreatExchange's updates of one privacy group.

Theory of operation
-------------------
Updates since ``start_time``, page by cursor. The checkpoint is the latest ``last_updated`` of the range and, beside it,
the server's date when the range was served (``as_of``). Tombstones are kept for 90 days: when the first answer's date
is more than :data:`TOMBSTONES_S` after ``as_of``, some may be gone, and the walk turns into a full one, at whose end
what was not seen has gone.

A cursor leads from page to page, so a page that cannot be read cannot be stepped over.

What this module deliberately does not do: see ``walks``.

Source: reference formats §3.5.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Self

from hashmatch.errors import BadFile
from hashmatch.exchange.pages import Page
from hashmatch.exchange.threatexchange import ThreatExchangePage
from hashmatch.sync.walks import Answer, Request, dumped, loaded, whole_number

TOMBSTONES_S: Final = 85 * 86_400
"""Kept for 90 days; five days of margin, as python-threatexchange leaves."""

PAGE_SIZE: Final = 500
FIELDS: Final = (
    "id,indicator,type,last_updated,should_delete,descriptors{id,owner{id},status,tags,added_on,description}"
)


@dataclass(frozen=True, slots=True)
class ThreatExchangeWalk:
    """Where a run over a privacy group's updates stands; times are seconds since 1970 by the server's clock."""

    group: str
    start_time: int
    as_of: int
    full: bool
    cursor: str = ""
    seen: int = 0
    served_at: int = 0
    done: bool = False

    @classmethod
    def begin(cls, checkpoint: str, *, full: bool, group: str) -> Self:
        """Return the walk from a checkpoint, or over everything."""
        values = loaded(checkpoint)
        start_time = whole_number(values.get("start_time"))
        return cls(group, start_time, whole_number(values.get("as_of")), full=full or not start_time)

    def request(self) -> Request | None:
        """Ask for the page at the cursor."""
        if self.done:
            return None
        query = [("fields", FIELDS), ("limit", str(PAGE_SIZE))]
        if not self.full:
            query.append(("start_time", str(self.start_time)))
        if self.cursor:
            query.append(("after", self.cursor))
        return Request(f"{self.group}/threat_updates/", tuple(query))

    def page(self, answer: Answer) -> ThreatExchangePage:
        """Begin to read an answer. Raises BadFile."""
        return ThreatExchangePage(answer.stream())

    def after(self, page: Page, answer: Answer) -> ThreatExchangeWalk:
        """Go on to the next cursor, or begin anew when tombstones may be gone. Raises BadFile."""
        if not isinstance(page, ThreatExchangePage):
            raise BadFile(f"{page!r} is no page of this source", field="page")
        now = answer.served_at or page.last_updated
        if not self.full and now - self.as_of > TOMBSTONES_S:
            return replace(self, full=True, cursor="", seen=0, served_at=now)
        if page.after and page.after == self.cursor:
            raise BadFile("the page names itself as the next one", field="paging")
        return replace(
            self,
            cursor=page.after,
            seen=max(self.seen, page.last_updated),
            served_at=self.served_at or now,
            done=not page.after,
        )

    def past(self) -> ThreatExchangeWalk | None:
        """Give up: the next cursor stood on the page."""
        return None

    def again(self) -> ThreatExchangeWalk | None:
        """Begin the range anew when a cursor is refused."""
        return replace(self, cursor="", seen=0) if self.cursor else None

    def checkpoint(self) -> str:
        """Return the latest change that the server named, and when it was asked."""
        return dumped(start_time=max(self.seen, self.start_time), as_of=max(self.served_at, self.as_of))

    def member(self) -> str:
        """Nobody: the token says who we are, and the updates do not."""
        return ""
