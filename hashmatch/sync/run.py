"""One run over the pages of one source: ask, read, take in, and keep the checkpoint when all of it was whole.

Theory of operation
-------------------
A page that arrives and is not whole is fetched again, ``page_tries`` times. If it stays so, its good rows are taken in,
the trouble is noted with the page's name, and the run goes on behind the page where the walk knows the way; the range
is then incomplete, and the checkpoint stays where it was. The next run asks for all of it again, which is harmless,
because rows that are there already change nothing. So no page, however broken, keeps the others out, and none is
forgotten.

A failure of the source itself (not reached, credentials refused) ends the run of this source with its error, after
whatever was taken in.

What this module deliberately does not do: it draws nothing, and it opens no connection.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from hashmatch.errors import BadFile, SourceRefused
from hashmatch.model import Entry, Rejected
from hashmatch.sync.outcome import Outcome, Terms, guarded, withdraw_vanished
from hashmatch.sync.sources import Source
from hashmatch.sync.walks import Answer, Request, Walk

BAD_REQUEST: Final = 400


class Asking(Protocol):
    """The wall around the network, as a run needs it."""

    async def send(self, request: Request) -> Answer:
        """Send a request. Raises SourceRefused, SourceUnavailable."""


async def over_pages(source: Source, far: Asking, terms: Terms) -> Outcome:
    """Bring a set up to date with the pages of its source; what goes wrong is in the outcome."""

    async def body(outcome: Outcome) -> None:
        checkpoint = await terms.checkpoint(source)
        begin = source.kind.begin
        assert begin is not None, "a source without pages"  # noqa: S101
        walk = begin(source.config, checkpoint, terms.full)
        await _Run(source, far, terms, outcome, known=bool(checkpoint)).over(walk)

    return await guarded(source, terms, body)


class _Run:
    """One run along a walk."""

    def __init__(self, source: Source, far: Asking, terms: Terms, outcome: Outcome, *, known: bool) -> None:
        self._source = source
        self._far = far
        self._terms = terms
        self._outcome = outcome
        self._known = known
        """Whether there was a run before this one, so that what has gone since can be told."""
        self._begun_again = False
        self._intake = terms.intake(source)
        outcome.counts = self._intake.counts

    async def over(self, walk: Walk) -> None:
        """Walk to the end. Raises what the source or the catalog raises."""
        outcome = self._outcome
        while (request := walk.request()) is not None:
            if walk.full and not outcome.full:
                outcome.full = True
                self._intake.remember()
            if self._intake.counts.pages >= self._terms.config.max_pages:
                outcome.trouble(str(request), f"more than {self._terms.config.max_pages} pages")
                return
            following = await self._page(walk, request)
            if following is None:
                return
            walk = following
        if outcome.full and self._known and not outcome.troubles:
            await withdraw_vanished(self._source, self._intake, outcome)
        if not outcome.troubles:
            await self._terms.keep(self._source, walk.checkpoint())
            outcome.complete = True

    async def _page(self, walk: Walk, request: Request) -> Walk | None:
        """Fetch one page, take it in, and return the walk after it; None where no way leads on."""
        rows: list[Entry | Rejected] = []
        reason = ""
        for _ in range(self._terms.config.page_tries):
            answer = await self._far.send(request)
            if answer.status >= BAD_REQUEST:
                return self._anew(walk, request, answer)
            found, following, reason = await asyncio.to_thread(_read, walk, answer)
            if following is not None:
                self._intake.know_as(following.member())
                await self._take(found)
                return following
            rows = found if len(found) > len(rows) else rows
        await self._take(rows)
        self._outcome.trouble(str(request), reason)
        return walk.past()

    def _anew(self, walk: Walk, request: Request, answer: Answer) -> Walk:
        """Begin the range again, once, when the page's token is refused."""
        again = walk.again()
        if again is None or self._begun_again:
            raise SourceRefused(f"{request.method} {request.path}: HTTP {answer.status}")
        self._begun_again = True
        return again

    async def _take(self, rows: list[Entry | Rejected]) -> None:
        await asyncio.to_thread(self._intake.take, rows)
        self._intake.counts.pages += 1
        self._terms.progress.advance(len(rows))


def _read(walk: Walk, answer: Answer) -> tuple[list[Entry | Rejected], Walk | None, str]:
    """Return a page's rows, and the walk after it or why there is none."""
    rows: list[Entry | Rejected] = []
    try:
        page = walk.page(answer)
        rows.extend(page)
        if page.broken:
            return rows, None, page.broken
        return rows, walk.after(page, answer), ""
    except BadFile as error:
        return rows, None, error.message
