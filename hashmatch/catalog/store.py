"""What the rest of hashmatch asks of a catalog, in pieces small enough to fake.

Theory of operation
-------------------
A catalog holds sets; a set holds entries; an entry has one or more values. Three things make it more than a table:

* **Nothing is deleted.** An entry is withdrawn, disputed, quarantined or reinstated by a named person for a stated
  reason; each of these is an event, and events are kept. So is every opinion, which by itself moves no entry.
* **Imports are all or nothing**, merge rather than replace, and never undo a withdrawal.
* **Changes are numbered.** One sequence runs over the whole catalog; :meth:`ChangeFeed.changes` gives the latest state
  of all that changed after a number, so a follower that was away for a year catches up in one pass.

The protocols belong to their consumers: the index follows a :class:`ChangeFeed`, the importer writes to
:class:`EntryStore`, staff act through :class:`Opinions`, a synchronisation remembers in :class:`Bookmarks` how far it
came. :class:`Catalog` is all of them, and what
``tests/contract/test_catalog.py`` holds every backend to.

What this module deliberately does not do: it names no backend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from hashmatch.catalog.stream import Stream
from hashmatch.model import (
    Change,
    Entry,
    EntryStatus,
    Event,
    HarmDomain,
    HashSet,
    ImportResult,
    Opinion,
    Rejected,
    Row,
    SetMode,
)
from hashmatch.progress import SILENT, Progress

IMPORT_ACTOR = "import"
"""Actor of an event that came with an imported row rather than from a person."""


@dataclass(frozen=True, slots=True)
class CatalogCounts:
    """What a catalog holds: ``entries`` counts those not withdrawn."""

    hash_sets: int
    entries: int
    withdrawn: int
    sequence: int


class SetStore(Protocol):
    """Sets as such."""

    def create_set(
        self,
        name: str,
        domain: HarmDomain,
        *,
        owner: str = "",
        source: str = "",
        jurisdiction: str = "",
        terms: str = "",
        description: str = "",
        mode: SetMode = SetMode.ENFORCED,
    ) -> HashSet:
        """Make an empty set; raises BadInput or SetExists."""

    def sets(self) -> tuple[HashSet, ...]:
        """Every set, in name order."""

    def get_set(self, name: str) -> HashSet:
        """One set; raises SetNotFound."""

    def set_mode(self, name: str, mode: SetMode, *, reason: str, actor: str) -> HashSet:
        """Say what the hits of a set do to verdicts; raises SetNotFound or BadInput."""

    def counts(self) -> CatalogCounts:
        """Count what the whole catalog holds."""


class EntryStore(Protocol):
    """What goes into a set and comes out of it."""

    def import_entries(
        self,
        name: str,
        rows: Iterable[Row],
        *,
        progress: Progress = SILENT,
        on_rejected: Callable[[Rejected], None] | None = None,
        actor: str = IMPORT_ACTOR,
    ) -> ImportResult:
        """Merge entries into a set in one transaction, rows of one entry by position; raises SetNotFound."""

    def entries(self, name: str) -> Stream[Entry]:
        """Every entry of a set, in entry_id order, as of one version; raises SetNotFound at once."""

    def get_entry(self, name: str, entry_id: str) -> Entry:
        """One entry, its opinions included; raises SetNotFound or EntryNotFound."""


class Opinions(Protocol):
    """What people decide about entries and think of them. Each takes the reason and who it was, and both are kept."""

    def withdraw(self, name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        """Stop an entry from matching; raises SetNotFound, EntryNotFound or BadInput."""

    def dispute(self, name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        """Let an entry match for review only; raises SetNotFound, EntryNotFound or BadInput."""

    def quarantine(self, name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        """Let an entry be reported without changing a verdict; raises SetNotFound, EntryNotFound or BadInput."""

    def reinstate(self, name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        """Undo a dispute, a quarantine or a withdrawal; raises SetNotFound, EntryNotFound or BadInput."""

    def vote(self, name: str, entry_id: str, opinion: Opinion, *, actor: str) -> HashSet:
        """Record what a party thinks of an entry; moves nothing; raises SetNotFound, EntryNotFound or BadInput."""

    def history(self, name: str, entry_id: str | None = None) -> tuple[Event, ...]:
        """Events of one entry, or of the set itself, oldest first; raises SetNotFound or EntryNotFound."""


class Bookmarks(Protocol):
    """Small texts that outlive a process: how far a synchronisation came, which version of a manifest was accepted.

    They are no part of any set: setting one raises no version and no sequence.
    """

    def bookmark(self, kind: str, name: str) -> str:
        """Return one text; empty when there is none."""

    def bookmarks(self, kind: str) -> Mapping[str, str]:
        """Every text of one kind, by name, in name order."""

    def set_bookmark(self, kind: str, name: str, text: str) -> None:
        """Keep a text in place of the one before; an empty one forgets it; raises BadInput."""


class ChangeFeed(Protocol):
    """What a follower needs to keep up."""

    def sequence(self) -> int:
        """Return the number of the latest change; cheap enough to ask several times a second."""

    def changes(self, since: int) -> Stream[Change]:
        """Latest state of all that changed after ``since``, oldest change first, as of one moment."""

    def watch(self, wake: Callable[[], None]) -> Watch:
        """Call ``wake`` from some thread at each commit, where the backend announces them; it must not block."""


class Watch(Protocol):
    """What a follower is told of commits. Followers poll as well: nothing depends on an announcement."""

    @property
    def announced(self) -> bool:
        """Whether commits are announced at the moment."""

    def close(self) -> None:
        """Call ``wake`` no more. Safe to call twice."""


class Unannounced:
    """The :class:`Watch` of a backend that announces nothing."""

    announced = False

    def close(self) -> None:
        """Do nothing."""


class Catalog(SetStore, EntryStore, Opinions, Bookmarks, ChangeFeed, Protocol):
    """All of it. A context manager."""

    def __enter__(self) -> Self:
        """Return the catalog."""

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Close it."""

    def close(self) -> None:
        """Let go of the database; streams already handed out may still be read."""


_ACTIVE, _DISPUTED, _QUARANTINED, _WITHDRAWN = EntryStatus

TRANSITIONS: Mapping[str, tuple[frozenset[EntryStatus], EntryStatus]] = {
    "dispute": (frozenset({_ACTIVE}), _DISPUTED),
    "quarantine": (frozenset({_ACTIVE, _DISPUTED}), _QUARANTINED),
    "withdraw": (frozenset({_ACTIVE, _DISPUTED, _QUARANTINED}), _WITHDRAWN),
    "reinstate": (frozenset({_DISPUTED, _QUARANTINED, _WITHDRAWN}), _ACTIVE),
}
"""Decision → the statuses it may be taken from, and the status it leads to.

Deciding what already holds changes nothing, so that a repeated call is harmless. Anything else that is not in the table
is refused: a withdrawn entry must be reinstated before it can be disputed.
"""
