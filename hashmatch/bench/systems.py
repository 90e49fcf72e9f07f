"""What is compared: a system searches a list for codes near a query, one way or another.

Theory of operation
-------------------
A *family* prepares one index and offers it in one or more ways: a call per query, a loop inside compiled code, batches.
Families that are not installed, cannot do what is asked or would take unreasonably long raise :class:`Skipped`, and the
report lists them with the reason. ``ask`` is what is timed: the system's own call with nothing around it. ``found``
turns what it returned into pairs, outside the clock.

What this module deliberately does not do: it knows no family; ``registry.py`` does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hashmatch.bench.answers import Found
from hashmatch.bench.column import Column
from hashmatch.index.columns import Bytes

ALL_AT_ONCE = 0
"""As ``batch``: a compiled loop over the whole slice, one query after the other."""


class Skipped(Exception):
    """A family cannot be compared here; the message says why."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be searched.

    ``column`` has the codes, and hashmatch's index over them when it is asked for it. ``radius`` in bits, inclusive.
    ``insist`` : build also what takes minutes.
    """

    column: Column
    radius: int
    insist: bool = False

    @property
    def codes(self) -> Bytes:
        """uint8, shape (n, 32)."""
        return self.column.codes

    @property
    def entries(self) -> int:
        """Length of the list."""
        return len(self.column.codes)


@dataclass(frozen=True, slots=True)
class System:
    """One way to search one list.

    Attributes
    ----------
    name
        Unique in a report: the family's, or that and the way.
    ask
        Answer ``(queries, radius)``, uint8 of shape (q, 32); returns whatever the system returns.
    found
        Turn that and the number of queries into pairs. May return rows beyond the radius.
    batch
        Queries per call: 1, more, or :data:`ALL_AT_ONCE`.
    exact
        Whether it promises every row within the radius.
    limited
        Whether it reports no more than ``Column.max_hits`` per query.
    build_s, size_bytes
        What making the index took, and what it occupies with the codes; None where it is not this system's to say.
    tune
        Sets the one knob that trades recall for time, of systems that have one.

    """

    name: str
    ask: Callable[[Bytes, int], object]
    found: Callable[[object, int], Found]
    batch: int = 1
    exact: bool = True
    limited: bool = False
    build_s: float | None = None
    size_bytes: int | None = None
    tune: Callable[[int], None] | None = None


Family = Callable[[Task], list[System]]
