"""The one way from an exchange into a set of the catalog.

Theory of operation
-------------------
Rows come in batches, one import each. What an import alone would get wrong for a list that somebody else keeps:

* **What the source took back and gives again.** The catalog refuses rows for withdrawn entries, because a withdrawal is
  a decision. A withdrawal that this same source made (its events bear our actor, ``sync:NAME``) is the source's to
  undo: the entry is reinstated and the row taken in. Anybody else's decision stays, and the row is rejected. The same
  holds for disputes, for sources whose pages dispute.
* **The same entry twice.** States of an entry come out of order. By the source's own moments the later one counts,
  within a batch and between a tombstone and what the set holds; the earlier one is stale, and left out.
* **One bad value of several.** A value that the catalog would refuse is rejected alone, and the entry keeps the others.
* **Our own opinions.** Those under the name that the source knows us by were sent by us; ours here are the originals.
* **What has gone.** A full run remembers 64 keyed bits of each id that it saw; entries of the set that it did not see
  are withdrawn at the end, if they are few enough not to be an accident. An entry whose row cannot be read any more is
  not seen either: it is among the rejected rows, and withdrawn until it can be read again.

What this module deliberately does not do: no network, no bookmark. It blocks; ``run`` calls it in a thread.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import secrets
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from hashmatch.catalog.validate import EntryRules
from hashmatch.errors import EntryNotFound
from hashmatch.exchange.installed import LEFT_OUT
from hashmatch.model import Entry, EntryStatus, Event, HashSet, ImportResult, Rejected

VANISHED: Final = "no longer in the source's list"
"""Reason of the withdrawal of what a full run did not see."""

IDS_AT_ONCE: Final = 10_000
"""Ids of the set that are compared with what was seen in one go."""


class Store(Protocol):
    """The part of the catalog that an intake writes to."""

    def import_entries(
        self,
        name: str,
        rows: Iterable[Entry | Rejected],
        *,
        on_rejected: Callable[[Rejected], None] | None = None,
        actor: str = "",
    ) -> ImportResult:
        """Merge entries into a set in one transaction."""

    def entries(self, name: str) -> Any:
        """Every entry of a set; has ``close``."""

    def get_entry(self, name: str, entry_id: str) -> Entry:
        """One entry. Raises EntryNotFound."""

    def history(self, name: str, entry_id: str | None = None) -> tuple[Event, ...]:
        """Events of one entry, oldest first. Raises EntryNotFound."""

    def reinstate(self, name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        """Undo a dispute or a withdrawal."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where rows go: the set, in whose name, and who we are to the source."""

    set_name: str
    actor: str
    own_names: frozenset[str] = frozenset()
    disputes: bool = False
    """Whether the source's rows dispute entries, so that disputes of ours may have to be taken back."""
    moments: bool = True
    """Whether ``list_version`` is the moment of an entry's state, as text that sorts."""


@dataclass(slots=True)
class Counts:
    """What a run did so far."""

    pages: int = 0
    rows: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    reinstated: int = 0
    stale: int = 0
    left_out: int = 0
    rejected: int = 0
    vanished: int = 0


class Intake:
    """Takes the rows of one run into a set; without a store it only counts them."""

    def __init__(self, store: Store | None, to: Destination, rejected: Callable[[Rejected], None]) -> None:
        self._store = store
        self._to = to
        self._rejected = rejected
        self._rules = EntryRules()
        self._seen: array[int] | None = None
        self._key = secrets.token_bytes(16)
        self.counts = Counts()

    def __repr__(self) -> str:
        return f"<Intake into {self._to.set_name}: {self.counts}>"

    def know_as(self, name: str) -> None:
        """Add a name by which the source knows us."""
        if name:
            self._to = dataclasses.replace(self._to, own_names=self._to.own_names | {name})

    def remember(self) -> None:
        """From now on remember what is seen, for :meth:`vanished`: the run is a full one, and begins here."""
        self._seen = array("Q")

    def take(self, rows: Sequence[Entry | Rejected]) -> None:
        """Take in one batch. Raises what the catalog raises."""
        self.counts.rows += len(rows)
        fresh = self._folded(self._entries(rows))
        if self._seen is not None:
            self._seen.extend(self._mark(entry.entry_id) for entry in fresh)
        if self._store is None or not fresh:
            return
        if self._to.disputes:  # before the import, which notes the newer moment
            active = (entry for entry in fresh if entry.status is EntryStatus.ACTIVE)
            self._reinstate(self._store, active, EntryStatus.DISPUTED)
        refused = self._import(self._store, fresh)
        if again := self._reinstate(self._store, refused, EntryStatus.WITHDRAWN):
            self._import(self._store, again)

    def vanished(self) -> tuple[list[str], int]:
        """Return the ids of what a full run did not see, and how many entries of the set are not withdrawn."""
        gone: list[str] = []
        live = 0
        if self._store is None or self._seen is None:
            return gone, live
        seen = np.unique(np.frombuffer(self._seen, np.uint64)) if self._seen else np.zeros(0, np.uint64)
        with closing(self._store.entries(self._to.set_name)) as entries:
            kept = (entry.entry_id for entry in entries if entry.status is not EntryStatus.WITHDRAWN)
            while batch := list(itertools.islice(kept, IDS_AT_ONCE)):
                live += len(batch)
                marks = np.fromiter((self._mark(entry_id) for entry_id in batch), np.uint64, len(batch))
                gone += [entry_id for entry_id, there in zip(batch, np.isin(marks, seen), strict=True) if not there]
        return gone, live

    def withdraw(self, entry_ids: Iterable[str]) -> None:
        """Withdraw what has gone from the source."""
        gone = [Entry(entry_id, (), status=EntryStatus.WITHDRAWN, status_reason=VANISHED) for entry_id in entry_ids]
        if self._store is not None and gone:
            self._import(self._store, gone)
        self.counts.vanished += len(gone)

    def _entries(self, rows: Iterable[Entry | Rejected]) -> Iterator[Entry]:
        for row in rows:
            if isinstance(row, Rejected):
                self._refuse(row)
            else:
                yield self._sound(row)

    def _refuse(self, row: Rejected) -> None:
        if row.reason.endswith(LEFT_OUT):
            self.counts.left_out += 1
        else:
            self.counts.rejected += 1
            self._rejected(row)

    def _sound(self, row: Entry) -> Entry:
        """Return an entry without what is not for the catalog: our own opinions, and values that it would refuse."""
        if self._to.own_names and any(opinion.who in self._to.own_names for opinion in row.opinions):
            foreign = tuple(opinion for opinion in row.opinions if opinion.who not in self._to.own_names)
            row = dataclasses.replace(row, opinions=foreign)
        if len(row.hashes) > 1 and self._rules.values_problem(row) is not None:
            good = []
            for item in row.hashes:
                problem = self._rules.values_problem(dataclasses.replace(row, hashes=(item,)))
                if problem is None:
                    good.append(item)
                elif problem.field != "entry_id":
                    self._refuse(Rejected(row.position or 0, problem.field, problem.reason))
            if good:
                row = dataclasses.replace(row, hashes=tuple(good))
        return row

    def _folded(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return one state of each entry, the latest; tombstones that are older than what the set holds left out."""
        latest: dict[str, Entry] = {}
        for entry in entries:
            known = latest.get(entry.entry_id)
            if self._is_older(entry, known):
                self.counts.stale += 1
            else:
                latest[entry.entry_id] = entry
        return [entry for entry in latest.values() if not self._is_old_tombstone(entry)]

    def _is_older(self, entry: Entry, known: Entry | None) -> bool:
        """Whether the source says itself that one state is before another."""
        if known is None or not self._to.moments:
            return False
        return entry.provenance.list_version < known.provenance.list_version

    def _is_old_tombstone(self, entry: Entry) -> bool:
        if self._store is None or entry.status is not EntryStatus.WITHDRAWN:
            return False
        held = self._held(self._store, entry.entry_id)
        if held is None or held.status is EntryStatus.WITHDRAWN or not self._is_older_or_same(entry, held):
            return False
        old = self._is_older(entry, held) or self._is_reinstated(self._store, entry.entry_id)
        self.counts.stale += old
        return old

    def _is_reinstated(self, store: Store, entry_id: str) -> bool:
        """Whether somebody has undone a withdrawal, so that the same tombstone has no say any more."""
        decisions = self._decisions(store, entry_id)
        return bool(decisions) and decisions[-1].before == EntryStatus.WITHDRAWN.value

    def _decisions(self, store: Store, entry_id: str) -> list[Event]:
        return [event for event in store.history(self._to.set_name, entry_id) if not event.who]

    def _import(self, store: Store, entries: Sequence[Entry]) -> list[Entry]:
        """Import entries; return those that the catalog refused because it has withdrawn them."""
        withdrawn: list[Entry] = []

        def sort_out(row: Rejected) -> None:
            entry = entries[row.position]
            if row.field == "status" and self._ours_to_undo(store, entry, EntryStatus.WITHDRAWN):
                withdrawn.append(entry)
            elif row.field == "status" and self._is_older(entry, self._held(store, entry.entry_id)):
                self.counts.stale += 1
            else:
                self._refuse(Rejected(entry.position or 0, row.field, row.reason))

        numbered = (dataclasses.replace(entry, position=number) for number, entry in enumerate(entries))
        result = store.import_entries(self._to.set_name, numbered, on_rejected=sort_out, actor=self._to.actor)
        self.counts.added += result.added
        self.counts.updated += result.updated
        self.counts.unchanged += result.unchanged
        return withdrawn

    def _reinstate(self, store: Store, entries: Iterable[Entry], status: EntryStatus) -> list[Entry]:
        """Take back what this source decided and has taken back; return the entries of which that is so."""
        undone = [entry for entry in entries if self._ours_to_undo(store, entry, status)]
        for entry in undone:
            reason = f"the source has it again, {entry.provenance.list_version}".rstrip(", ")
            store.reinstate(self._to.set_name, entry.entry_id, reason=reason, actor=self._to.actor)
        self.counts.reinstated += len(undone)
        return undone

    def _ours_to_undo(self, store: Store, entry: Entry, status: EntryStatus) -> bool:
        """Whether an entry stands at ``status`` by this source's own word, which it has taken back since."""
        held = self._held(store, entry.entry_id)
        if held is None or held.status is not status:
            return False
        later = held.status_reason == VANISHED or not self._is_older_or_same(entry, held)
        decisions = self._decisions(store, entry.entry_id)
        return later and bool(decisions) and decisions[-1].actor == self._to.actor

    def _is_older_or_same(self, entry: Entry, held: Entry) -> bool:
        return self._to.moments and entry.provenance.list_version <= held.provenance.list_version

    def _held(self, store: Store, entry_id: str) -> Entry | None:
        try:
            return store.get_entry(self._to.set_name, entry_id)
        except EntryNotFound:
            return None

    def _mark(self, entry_id: str) -> int:
        digest = hashlib.blake2b(entry_id.encode("utf-8", "replace"), digest_size=8, key=self._key).digest()
        return int.from_bytes(digest, "little")
