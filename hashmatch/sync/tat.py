"""The walk over Tech Against Terrorism's hash list.

Theory of operation
-------------------
Results after a checkpoint in the server's own words, oldest change first, until there is no next page. Each page's
checkpoint asks for the next, and the last one is kept. Of the address in ``next`` only its presence counts.

What this module deliberately does not do: see ``walks``. Logging in is the wall's business (``access``).

Source: reference formats §3.6.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from hashmatch.errors import BadFile
from hashmatch.exchange.pages import Page
from hashmatch.exchange.tat import TatPage
from hashmatch.sync.walks import Answer, Request, dumped, loaded


@dataclass(frozen=True, slots=True)
class TatWalk:
    """Where a run over the hash list stands."""

    after_checkpoint: str
    full: bool
    done: bool = False

    @classmethod
    def begin(cls, checkpoint: str, *, full: bool) -> Self:
        """Return the walk from a checkpoint, or over everything."""
        since = str(loaded(checkpoint).get("after", ""))
        return cls("" if full else since, full=full or not since)

    def request(self) -> Request | None:
        """Ask for what changed after the checkpoint."""
        if self.done:
            return None
        after = (("after", self.after_checkpoint),) if self.after_checkpoint else ()
        return Request("api/hash-list/v2/all", (("order", "asc"), *after))

    def page(self, answer: Answer) -> TatPage:
        """Begin to read an answer. Raises BadFile."""
        return TatPage(answer.stream())

    def after(self, page: Page, answer: Answer) -> TatWalk:  # noqa: ARG002  the interface's
        """Go on to the page's checkpoint. Raises BadFile when there is more and it does not say where."""
        if not isinstance(page, TatPage):
            raise BadFile(f"{page!r} is no page of this source", field="page")
        if page.has_more and page.checkpoint in {"", self.after_checkpoint}:
            raise BadFile("there is a next page, and no checkpoint leads to it", field="checkpoint")
        return replace(self, after_checkpoint=page.checkpoint or self.after_checkpoint, done=not page.has_more)

    def past(self) -> TatWalk | None:
        """Give up: the next checkpoint stood on the page."""
        return None

    def again(self) -> TatWalk | None:
        """Give up: checkpoints do not expire."""
        return None

    def checkpoint(self) -> str:
        """Return the last page's checkpoint."""
        return dumped(after=self.after_checkpoint)

    def member(self) -> str:
        """Nobody: the login says who we are, and the results do not."""
        return ""
