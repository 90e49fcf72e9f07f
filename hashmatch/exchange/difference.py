"""What is different between two states of a list, entry by entry.

Theory of operation
-------------------
Both sides come in the order of entry ids, as every catalog gives them, so one step along both at a time finds all
differences while two entries are held. When an entry was received is not compared: it says when a catalog took the
entry in, not what the list says.

What this module deliberately does not do: it sorts nothing and reads no file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hashmatch.model import Entry

ADDED = "added"
REMOVED = "removed"

FIELDS = ("status", "status_reason", "hashes", "labels", "opinions", "provenance")
"""What is compared of two entries of one id, by the names that a difference gives."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry that is not the same on both sides.

    ``what`` is ``added``, ``removed``, or the names of the fields that differ, in the order of :data:`FIELDS`.
    """

    entry_id: str
    what: tuple[str, ...]
    before: Entry | None
    after: Entry | None


@dataclass(slots=True)
class Summary:
    """How many entries are how different."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    withdrawn: int = 0
    """Of the changed: withdrawn now, and not before."""
    unchanged: int = 0

    @property
    def equal(self) -> bool:
        """Whether both sides are the same."""
        return not (self.added or self.removed or self.changed)


def differences(before: Iterable[Entry], after: Iterable[Entry], summary: Summary) -> Iterator[Difference]:
    """Yield what differs, in the order of entry ids, and count it in ``summary``.

    Parameters
    ----------
    before, after : iterable of Entry
        Each in ascending order of ``entry_id``, by code points, each id once.
    summary : Summary
        Complete when the iterator ends.

    """
    olds, news = iter(before), iter(after)
    old, new = next(olds, None), next(news, None)
    while old is not None or new is not None:
        if new is None or (old is not None and old.entry_id < new.entry_id):
            assert old is not None  # noqa: S101 - the loop's condition, which mypy does not carry over
            summary.removed += 1
            yield Difference(old.entry_id, (REMOVED,), old, None)
            old = next(olds, None)
        elif old is None or new.entry_id < old.entry_id:
            summary.added += 1
            yield Difference(new.entry_id, (ADDED,), None, new)
            new = next(news, None)
        else:
            if what := _different_fields(old, new):
                summary.changed += 1
                summary.withdrawn += new.status is not old.status and new.status == "withdrawn"
                yield Difference(old.entry_id, what, old, new)
            else:
                summary.unchanged += 1
            old, new = next(olds, None), next(news, None)


def _different_fields(old: Entry, new: Entry) -> tuple[str, ...]:
    if old == new:
        return ()
    old, new = _without_arrival(old), _without_arrival(new)
    return tuple(name for name in FIELDS if getattr(old, name) != getattr(new, name))


def _without_arrival(entry: Entry) -> Entry:
    return dataclasses.replace(entry, provenance=dataclasses.replace(entry.provenance, received_at=None))
