"""The walk over NCMEC's hash sharing API, version 2.

Theory of operation
-------------------
========  ===========================================  ==========================================================
state     asks                                         then
========  ===========================================  ==========================================================
status    ``v2/status``                                who we are, and by the answer's date the end of the range
entries   ``v2/entries?from&to``, then ``&start=…``    entries while the page names a next one, else done
done      nothing
========  ===========================================  ==========================================================

Entries are not ordered by time, so only the greatest ``maxTimestamp`` of an exhausted range is a checkpoint, and the
next range begins :data:`OVERLAP_S` before it: what was being stored while this range was served must not fall between.
Addresses of next pages expire after twelve hours and are never kept; of them only the numbers are used.

A page that cannot be read is stepped over by its number once the extent of the range is known.

What this module deliberately does not do: see ``walks``.

Source: reference formats §3.1.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit

from lxml import etree

from hashmatch.errors import BadFile
from hashmatch.exchange.ncmec import NcmecPage
from hashmatch.exchange.pages import Page, line_of_text, moment_of
from hashmatch.exchange.rows import BadCell
from hashmatch.model import Entry, Rejected
from hashmatch.sync.walks import Answer, Request, dumped, loaded

OVERLAP_S: Final = 3_600
"""How far before the checkpoint a range begins; rows that come again change nothing."""

MARGIN_S: Final = 86_400
"""How far behind the server's date a range ends: its clocks may differ, and nothing is stored in the future."""

PAGE_SIZE: Final = 1_000
"""What the API gives."""

BEGINNING: Final = "1970-01-01T00:00:00Z"

NEXT: Final = {"status": "entries", "entries": "done"}
"""State to the state after its last page."""


class StatusPage(Page):
    """Who the server says that we are; no rows. Raises BadFile on construction."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
        try:
            root = etree.fromstring(answer.body, parser)
        except (etree.XMLSyntaxError, ValueError) as error:
            raise BadFile(f"the status is not XML: {line_of_text(str(error))[:200]}", field="status") from error
        members = [item for item in root if isinstance(item.tag, str) and item.tag.rpartition("}")[2] == "member"]
        self.member = line_of_text(members[0].text) if members else ""

    def _rows(self) -> Iterator[Entry | Rejected]:
        return iter(())


@dataclass(frozen=True, slots=True)
class NcmecWalk:
    """Where a run over NCMEC's entries stands; moments are RFC 3339 in UTC."""

    since: str
    full: bool
    state: str = "status"
    until: str = ""
    start: int = 0
    size: int = PAGE_SIZE
    extent: int = 0
    """Entries in the whole range; 0 while unknown."""
    seen: str = ""
    """Greatest ``maxTimestamp`` so far."""
    name: str = ""

    @classmethod
    def begin(cls, checkpoint: str, *, full: bool) -> Self:
        """Return the walk from a checkpoint, or from the beginning of time."""
        since = str(loaded(checkpoint).get("since", ""))
        return cls(since, full=full or not since)

    def request(self) -> Request | None:
        """Ask for the status, then for page after page."""
        if self.state == "done":
            return None
        if self.state == "status":
            return Request("v2/status")
        query = [("from", BEGINNING if self.full else _earlier(self.since, OVERLAP_S)), ("to", self.until)]
        if self.start:
            query += [("start", str(self.start)), ("size", str(self.size)), ("max", str(self.extent))]
        return Request("v2/entries", tuple(query))

    def page(self, answer: Answer) -> Page:
        """Begin to read an answer. Raises BadFile."""
        return StatusPage(answer) if self.state == "status" else NcmecPage(answer.stream())

    def after(self, page: Page, answer: Answer) -> NcmecWalk:
        """Go on to the page that this one names. Raises BadFile."""
        match page:
            case StatusPage():
                if answer.served_at is None:
                    raise BadFile("the answer has no Date, and the range cannot end by any other clock", field="Date")
                until = _text(dt.datetime.fromtimestamp(answer.served_at + MARGIN_S, dt.UTC))
                return replace(self, state=NEXT[self.state], until=max(until, self.since), name=page.member)
            case NcmecPage():
                seen = max(self.seen, page.max_timestamp)
                if not page.next:
                    return replace(self, state=NEXT[self.state], seen=seen)
                start, size, extent = _numbers(page.next)
                if start <= self.start:
                    raise BadFile(f"page {self.start} names page {start} as the next one", field="next")
                return replace(self, seen=seen, start=start, size=size, extent=extent)
        raise BadFile(f"{page!r} is no page of this source", field="page")

    def past(self) -> NcmecWalk | None:
        """Step over a page by its number, if the extent of the range is known."""
        if self.state != "entries" or not self.extent:
            return None
        start = self.start + self.size
        return replace(self, state=NEXT[self.state]) if start > self.extent else replace(self, start=start)

    def again(self) -> NcmecWalk | None:
        """Give up: pages are numbered, there is no token to forget."""
        return None

    def checkpoint(self) -> str:
        """Return the greatest moment that the server named; the one before if it named none."""
        return dumped(since=max(self.seen, self.since) or BEGINNING)

    def member(self) -> str:
        """Return the name of our membership."""
        return self.name


def _numbers(address: str) -> tuple[int, int, int]:
    """Return start, size and max of a next page's address. Raises BadFile."""
    try:
        query = parse_qs(urlsplit(address).query)
        start, size, extent = (int(query[key][0]) for key in ("start", "size", "max"))
    except (ValueError, KeyError) as error:
        raise BadFile(f"the next page's address {address[:200]!r} has no start, size and max", field="next") from error
    if not 0 < start <= extent or not 0 < size <= PAGE_SIZE:
        raise BadFile(f"the next page would be {start} of {extent} by {size}", field="next")
    return start, size, extent


def _earlier(moment: str, seconds: int) -> str:
    try:
        found = moment_of(moment, "since")
        return BEGINNING if found is None else _text(found - dt.timedelta(seconds=seconds))
    except (BadCell, OverflowError):
        return BEGINNING


def _text(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
