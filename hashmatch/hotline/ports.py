"""What the check of a URL needs of others, as protocols: whoever puts it together chooses."""

from __future__ import annotations

from typing import Protocol

from hashmatch.model import MatchReport
from hashmatch.model.hotline import Fetched, Item, Page, Place, Submission


class Fetches(Protocol):
    """Fetches addresses from strangers' hosts: ``fetch.Fetcher``, or ``fetching.Fetching`` in a process of its own."""

    async def fetch(self, url: str, *, max_bytes: int, referer: str = "") -> Fetched:
        """Fetch an address. Whatever goes wrong out there is an outcome, not an error.

        Parameters
        ----------
        url : str
            As ``urls`` made it: absolute, canonical, ASCII.
        max_bytes : int
            Longest body taken, decompressed.
        referer : str, optional
            Sent only where the configuration says so.

        """


class Reads(Protocol):
    """Reads pages and stylesheets: ``reading.Reading``, in a confined process."""

    async def read(self, body: bytes, *, url: str, content_type: str) -> Page | None:
        """Return what a document refers to; None when its process died or ran out of time on it."""


class Detects(Protocol):
    """Answers for images: an engine in this process, or a client of a server."""

    async def detect(self, image: bytes) -> MatchReport:
        """Return the report of one image."""


class Locates(Protocol):
    """Says where an address is hosted: ``places.Places``."""

    def locate(self, ip: str) -> Place:
        """Return what is known of an address."""


class Proves(Protocol):
    """Keeps evidence of what was found: ``evidence``, or nobody."""

    async def record(self, item: Item, submission: Submission) -> str:
        """Keep the record of one item of a submission; return its digest in hex, empty where none is kept."""
