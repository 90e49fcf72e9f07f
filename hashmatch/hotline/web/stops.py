"""How a fetch is ended from deep inside; ``fetch`` catches it and makes it the outcome.

What this module deliberately does not do: it is not an error of hashmatch. It never leaves the fetcher.
"""

from __future__ import annotations

from hashmatch.model.hotline import Outcome


class Stopped(Exception):
    """The fetch is over; ``detail`` is one sentence for people without anything of the answer."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(outcome, detail)
        self.outcome = outcome
        self.detail = detail
