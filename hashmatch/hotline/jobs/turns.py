"""Whose turn it is: submissions handed out host by host, a few of each at a time (pure).

Theory of operation
-------------------
Hosts wait in a ring. The one whose turn it is gives its next submission and goes to the end of the ring, or, when as
many of its submissions are under way as it may have, out of it until one of them ends. So a host that is slow, or that
has most of the list, holds nobody up.

What this module deliberately does not do: it keeps nothing. ``job`` does the same by SQL over a file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from hashmatch.hotline.jobs.job_states import Planned


class Turns:
    """Submissions that wait, by host."""

    def __init__(self, rows: Iterable[Planned], per_host: int) -> None:
        self._per_host = per_host
        self._waiting: dict[str, deque[Planned]] = {}
        for row in rows:
            self._waiting.setdefault(row.host, deque()).append(row)
        self._ring = deque(self._waiting)
        self._under_way = dict.fromkeys(self._waiting, 0)

    def __len__(self) -> int:
        """Submissions that were not handed out yet."""
        return sum(map(len, self._waiting.values()))

    def take(self) -> Planned | None:
        """Return the next submission; None when there is none, or none whose host has a place free."""
        if not self._ring:
            return None
        host = self._ring.popleft()
        row = self._waiting[host].popleft()
        self._under_way[host] += 1
        self._queue(host)
        return row

    def ended(self, host: str) -> None:
        """Free the place of a submission that was taken."""
        was_full = self._under_way[host] == self._per_host
        self._under_way[host] -= 1
        if was_full:
            self._queue(host)

    def _queue(self, host: str) -> None:
        if self._waiting[host] and self._under_way[host] < self._per_host:
            self._ring.append(host)
