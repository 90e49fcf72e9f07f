"""How an incoming row changes an entry: pure rules, no database.

Theory of operation
-------------------
An import merges. A row adds values, and what it states replaces what was stated before; what it leaves blank stays.
Nothing is taken away, so importing the same file twice changes nothing, and importing half of a list does not empty the
other half.

The status only ever becomes more careful by an import: active → disputed → withdrawn. The way back is a person's
decision (``reinstate``). A row that would have a withdrawn entry match again is refused, since the list that it comes
from evidently has not heard of the withdrawal; a row that itself says "withdrawn" is welcome.

What this module deliberately does not do: it assigns no sequence and no version.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from hashmatch.model import EntryStatus

ACTIVE = EntryStatus.ACTIVE.value
WITHDRAWN = EntryStatus.WITHDRAWN.value

_CAUTION = {ACTIVE: 0, EntryStatus.DISPUTED.value: 1, WITHDRAWN: 2}


ValueKey = tuple[str, bytes]
"""Algorithm and value; an entry has each at most once."""


class Stated(NamedTuple):
    """What a row states of a value: None and the empty text mean "not stated"."""

    quality: int | None
    view: str


class Facts(NamedTuple):
    """Everything that a row states of an entry apart from its values, in the order of the statements' columns.

    ``labels`` is stored text (``rows.labels_to_text``); empty texts and None mean "not stated".
    """

    status: str
    status_reason: str
    labels: str
    source: str
    list_version: str
    external_id: str
    received_at_us: int | None


class Merged:
    """One entry while the rows about it pass by: what is stored, and what holds after them."""

    __slots__ = ("accepted", "before", "entry_id", "entry_key", "facts", "stored", "values")

    def __init__(
        self,
        entry_id: str,
        entry_key: int | None = None,
        before: Facts | None = None,
        stored: Mapping[ValueKey, Stated] = MappingProxyType({}),
    ) -> None:
        self.entry_id = entry_id
        self.entry_key = entry_key
        """None for an entry that the set does not have yet."""
        self.before = before
        self.stored = stored
        self.facts = before
        """What holds now; None for a new entry of which no row was accepted yet."""
        self.values = dict(stored)
        """Values that hold now, and what is said of them."""
        self.accepted = False

    def __repr__(self) -> str:
        return f"Merged({self.entry_id!r}, {len(self.stored)} values stored, {len(self.values)} now)"

    def fresh(self) -> list[tuple[str, bytes, int | None, str]]:
        """Return the values that are new or of which something new is said."""
        stored = self.stored
        return [(*key, *now) for key, now in self.values.items() if key not in stored or stored[key] != now]

    def contradicts(self, given: Facts) -> bool:
        """Whether a row would have a withdrawn entry match again."""
        return self.facts is not None and self.facts.status == WITHDRAWN and given.status != WITHDRAWN

    def state(self, given: Facts) -> None:
        """Take in what a row states."""
        self.accepted = True
        self.facts = given if self.facts is None else fold(self.facts, given)

    def add(self, algorithm: str, value: bytes, quality: int | None, view: str) -> None:
        """Take in a value; one that is there already takes the new quality and view if they are stated."""
        key = (algorithm, value)
        kept = self.values.get(key, Stated(None, ""))
        self.values[key] = Stated(kept.quality if quality is None else quality, view or kept.view)


def fold(kept: Facts, given: Facts) -> Facts:
    """Return what holds after ``given`` was stated on top of ``kept``."""
    status, reason = kept.status, kept.status_reason
    if _CAUTION[given.status] > _CAUTION[status]:
        status, reason = given.status, given.status_reason
    elif given.status == status:
        reason = reason or given.status_reason
    return Facts(
        status,
        reason,
        given.labels or kept.labels,
        given.source or kept.source,
        given.list_version or kept.list_version,
        given.external_id or kept.external_id,
        kept.received_at_us if given.received_at_us is None else given.received_at_us,
    )
