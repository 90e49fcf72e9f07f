"""Second half of an import: what was staged is merged into a set, inside one write transaction.

Theory of operation
-------------------
Nearly all rows of nearly all lists are the plain case: one value, active, no opinions, of an entry that the set does
not have. The database copies those by itself: single rows by ``select_fresh`` and the statements after it (how plain is
plain is each database's own affair, as long as it gives what ``merge`` would give), and what came in blocks from the
spool's columns, part by part, each backend in its own way (``insert_columns``), which takes a third of the time of
handing rows over one by one. Rows of blocks that are not the plain case after all join the single rows. All others
(entries with several rows or values, entries that the set has, disputed and withdrawn ones, tombstones) are read back
sorted by entry id, folded by ``merge`` and written in batches. Both ways write the index of ids in order rather than
all over.

Each entry is counted once, however many rows speak of it; a rejected row is counted as a row. Rows that are refused
because of what the catalog holds are put aside and reported after the lock is given back, since reporting runs the
caller's code.

What this module deliberately does not do: it opens no connection and begins no transaction.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hashmatch.catalog.lookups import set_row
from hashmatch.catalog.merge import ACTIVE, WITHDRAWN, Facts, Merged, Stated, ValueKey
from hashmatch.catalog.rows import event_row, from_us, labels_from_text, now_us, opinions_from_text, set_of
from hashmatch.catalog.session import Place, Session
from hashmatch.catalog.spool import Columns, Part
from hashmatch.catalog.staging import BATCH_ROWS, PLAIN_FACTS, Staged
from hashmatch.catalog.validate import MAX_HASHES, MAX_LABELS, MAX_OPINIONS
from hashmatch.model import Event, HashSet, Rejected
from hashmatch.progress import Progress

COPY_ROWS = 50_000
"""Plain entries copied by one statement; Ctrl-C and progress wait for its end, about a quarter of a second."""

_Row = tuple[Any, ...]


@dataclass(slots=True)
class Tally:
    """What applying the staged rows did; ``live`` and ``withdrawn`` are differences to the set's counts."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    live: int = 0
    withdrawn: int = 0
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an import goes: the set, the version it will have, and who imports."""

    set_key: int
    set_version: int
    actor: str


def into_set(session: Session, name: str, actor: str, staged: Staged, progress: Progress) -> tuple[Tally, HashSet]:
    """Merge what was staged into the set ``name``; return what that did, and the set as it is then.

    Raises
    ------
    SetNotFound
        None of that name.

    """
    row = set_row(session, name)
    set_key, before = row[0], set_of(row)
    tally = apply(session, Destination(set_key, before.version + 1, actor), staged, progress)
    if tally.added or tally.updated:
        changed = (tally.live, tally.withdrawn, staged.list_version, now_us())
        session.run("update_set_imported", (*changed, set_key))
        session.run("set_sequence", (tally.sequence,))
    return tally, set_of(set_row(session, name))


def apply(session: Session, destination: Destination, staged: Staged, progress: Progress) -> Tally:
    """Merge the staged rows into a set.

    Parameters
    ----------
    session : Session
        The one that staged, now inside the write transaction.
    destination : Destination
        The set; its actor is named in the events of entries that arrive disputed or withdrawn.
    staged : Staged
        What :func:`staging.stage` returned.
    progress : Progress
        Advanced once per batch, in values.

    """
    start: int = session.run("sequence").fetchone()[0]
    application = _Application(session, destination, start)
    singles = staged.values + application.copy_spooled(staged, progress)
    if singles and application.copy_fresh(progress) < singles:
        session.run("select_rest", {"set_key": destination.set_key, "sequence": start})
        _merge_rest(session, application, progress)
    return application.tally


def _merge_rest(session: Session, application: _Application, progress: Progress) -> None:
    merged: Merged | None = None
    with contextlib.closing(session.stream("rest")) as rest:
        while chunk := rest.fetchmany(BATCH_ROWS):
            known = application.known({row[0] for row in chunk})
            for entry_id, rows in itertools.groupby(chunk, key=_entry_id):
                if merged is None or merged.entry_id != entry_id:
                    if merged is not None:
                        application.finish(merged)
                    merged = known.get(entry_id) or Merged(entry_id)
                application.take(merged, rows)
            application.flush()
            progress.advance(len(chunk))
    if merged is not None:
        application.finish(merged)
    application.flush()


def refused(session: Session) -> Iterator[Rejected]:
    """Yield the rows that :func:`apply` refused, in the order they came."""
    with contextlib.closing(session.stream("refused")) as rows:
        yield from itertools.starmap(Rejected, rows)


def _entry_id(row: _Row) -> str:
    entry_id: str = row[0]
    return entry_id


class _Application:
    """The writing side of :func:`apply`: collects rows for the statements and runs them in batches."""

    def __init__(self, session: Session, destination: Destination, sequence: int) -> None:
        self._session = session
        self._to = destination
        self._now_us = now_us()
        self._last_key: int = session.run("last_entry_key").fetchone()[0]
        self.tally = Tally(sequence=sequence)
        self._inserts: list[_Row] = []
        self._updates: list[_Row] = []
        self._values: list[_Row] = []
        self._events: list[_Row] = []
        self._refused: list[_Row] = []
        self._last_refused = -1

    def copy_spooled(self, staged: Staged, progress: Progress) -> int:
        """Copy the plain case of what came in blocks; return how many rows were not and are among the single rows."""
        if not len(staged.spool):
            return 0
        sources = [name for name, are in (("known_ids", self._has_entries()), ("staged_ids", staged.values > 0)) if are]
        if staged.values:
            self._session.run("index_staged")
        aside = 0
        for part in staged.spool.parts():
            not_plain = self._not_plain(part, sources)
            for columns in part.columns:
                plain = columns
                if not_plain:
                    plain, others = columns.split(not_plain)
                    self._put_aside(others)
                    aside += len(others)
                self._copy(plain)
                progress.advance(len(plain))
        if staged.values:
            self._session.run("forget_index_staged")
        return aside

    def _not_plain(self, part: Part, sources: Sequence[str]) -> set[str]:
        """Ids in a part of which several rows speak, in blocks or singly, or which the set has."""
        if part.crowded:
            return {entry_id for columns in part.columns for entry_id in columns.ids()}
        if len(part.columns) == 1:
            found = part.columns[0].repeated()
        else:
            counts = Counter(entry_id for columns in part.columns for entry_id in columns.ids())
            found = {entry_id for entry_id, count in counts.items() if count > 1}
        for name, columns in itertools.product(sources, part.columns):
            wanted = {"set_key": self._to.set_key, "entry_ids": columns.ids_as_json()}
            found.update(entry_id for (entry_id,) in self._session.run(name, wanted))
        return found

    def _put_aside(self, columns: Columns) -> None:
        rows = ((entry_id, position, PLAIN_FACTS, *value, "") for entry_id, position, *value in columns.rows())
        self._session.run_many("insert_staged", rows)

    def _copy(self, columns: Columns) -> None:
        """Make an entry of every row."""
        count = len(columns)
        if not count:
            return
        place = Place(self._to.set_key, self._last_key + 1, self.tally.sequence + 1, self._now_us)
        self._session.insert_columns(columns, place)
        self._last_key += count
        self._added(count)

    def _has_entries(self) -> bool:
        found = self._session.run("any_entry", {"set_key": self._to.set_key}).fetchone()
        return bool(found[0])

    def _added(self, count: int) -> None:
        """Count new entries that are active."""
        self.tally.sequence += count
        self.tally.added += count
        self.tally.live += count

    def copy_fresh(self, progress: Progress) -> int:
        """Copy the plain case of single rows; return how many values that were."""
        self._session.run("select_fresh", {"set_key": self._to.set_key})
        fresh, values = self._session.run("count_fresh").fetchone()
        numbers = {"entry_key": self._last_key, "sequence": self.tally.sequence}
        for after in range(0, fresh, COPY_ROWS):
            at = numbers | {"after": after, "upto": min(after + COPY_ROWS, fresh)}
            self._session.run("insert_fresh_entries", at | {"set_key": self._to.set_key, "now_us": self._now_us})
            progress.advance(self._session.run("insert_fresh_values", at).rowcount)
        self._last_key += fresh
        self._added(fresh)
        return int(values)

    def known(self, entry_ids: set[str]) -> dict[str, Merged]:
        """Return those of the entries that the set has, with their values."""
        rows = self._session.run(
            "known_entries", {"set_key": self._to.set_key, "entry_ids": json.dumps(list(entry_ids))}
        )
        by_key = {row[1]: row for row in rows}
        stored: dict[int, dict[ValueKey, Stated]] = {key: {} for key in by_key}
        for key, algorithm, value, *stated in self._session.run(
            "known_values", {"entry_keys": json.dumps(list(by_key))}
        ):
            stored[key][algorithm, value] = Stated(*stated)
        return {
            entry_id: Merged(entry_id, key, Facts(*facts), stored[key]) for entry_id, key, *facts in by_key.values()
        }

    def take(self, merged: Merged, rows: Iterable[_Row]) -> None:
        """Merge rows about one entry, or put them aside with the reason."""
        for row in rows:
            facts, value = Facts(*row[2:12]), row[12:16]
            if merged.facts is None and not value[0]:
                merged.accepted = True  # a tombstone of an entry that the set does not have: nothing to withdraw
                continue
            after = merged.after(facts, self._now_us)
            if refusal := self._refusal(merged, facts, after, value):
                self._refuse(row, *refusal)
                continue
            merged.state(after)
            if value[0]:
                merged.add(*value)

    def _refusal(self, merged: Merged, given: Facts, after: Facts, value: _Row) -> tuple[str, str] | None:
        """Return the field at fault and why a row cannot be merged, or None."""
        if merged.contradicts(given):
            return "status", self._withdrawal(merged)
        if value[0] and len(merged.values) >= MAX_HASHES and value[:2] not in merged.values:
            return "value", f"the entry has {MAX_HASHES} values already, and that is the limit"
        if given.labels and len(labels_from_text(after.labels)) > MAX_LABELS:
            return "labels", f"with those that it has the entry would have more than {MAX_LABELS} labels"
        if given.opinions and len(opinions_from_text(after.opinions)) > MAX_OPINIONS:
            return "opinions", f"with those that it has the entry would have more than {MAX_OPINIONS} opinions"
        return None

    def finish(self, merged: Merged) -> None:
        """All rows of an entry were seen: count it and write what changed."""
        facts, before, tally = merged.facts, merged.before, self.tally
        if not merged.accepted:
            return
        if facts is None:
            tally.unchanged += 1
            return
        fresh = merged.fresh()
        if not fresh and facts == before:
            tally.unchanged += 1
            return
        tally.sequence += 1
        key = merged.entry_key
        if key is None:
            key = self._last_key = self._last_key + 1
            received_at_us = self._now_us if facts.received_at_us is None else facts.received_at_us
            self._inserts.append((key, self._to.set_key, merged.entry_id, *facts[:9], received_at_us, tally.sequence))
            tally.added += 1
        else:
            self._updates.append((*facts, tally.sequence, key))
            tally.updated += 1
        self._values += [(key, *item) for item in fresh]
        self._count(before, facts)
        self._note(key, before, facts)

    def _note(self, key: int, before: Facts | None, after: Facts) -> None:
        """Make the events: a status that is not as it was, and each opinion that is not as it was."""
        at, actor, version = from_us(self._now_us), self._to.actor, self._to.set_version
        if after.status != (before.status if before else ACTIVE):
            was = before.status if before else ""
            event = Event(at, actor, after.status_reason, was, after.status, version)
            self._events.append(event_row(self._to.set_key, key, event))
        opinions = before.opinions if before else ""
        if after.opinions == opinions:
            return
        held = {(item.who, item.algorithm): item for item in opinions_from_text(opinions)}
        for item in opinions_from_text(after.opinions):
            kept = held.get((item.who, item.algorithm))
            if item != kept:
                was = kept.stance.value if kept else ""
                said = (item.who, item.algorithm, item.at)
                event = Event(at, actor, item.reason, was, item.stance.value, version, *said)
                self._events.append(event_row(self._to.set_key, key, event))

    def flush(self) -> None:
        """Run the statements for what was collected."""
        for name, rows in (
            ("insert_entry", self._inserts),
            ("update_entry", self._updates),
            ("upsert_value", self._values),
            ("insert_event", self._events),
            ("insert_refused", self._refused),
        ):
            if rows:
                self._session.run_many(name, rows)
                rows.clear()

    def _count(self, before: Facts | None, after: Facts) -> None:
        gone = int(after.status == WITHDRAWN)
        was_gone = 0 if before is None else int(before.status == WITHDRAWN)
        was_live = 0 if before is None else 1 - was_gone
        self.tally.withdrawn += gone - was_gone
        self.tally.live += (1 - gone) - was_live

    def _refuse(self, row: _Row, field_name: str, reason: str) -> None:
        position = row[1]
        if position != self._last_refused:  # a row with several values is staged several times, and refused once
            self._refused.append((position, field_name, reason))
            self._last_refused = position

    def _withdrawal(self, merged: Merged) -> str:
        """Say when, by whom and why an entry was withdrawn."""
        reason = (merged.facts.status_reason if merged.facts else "") or "no reason was given"
        if merged.before is None or merged.before.status != WITHDRAWN:
            return f"an earlier row of this import withdrew the entry: {reason}"
        found = self._session.run("last_withdrawal", (self._to.set_key, merged.entry_key)).fetchone()
        when, who = (from_us(found[0]).date().isoformat(), found[1]) if found else ("an unknown day", "somebody")
        return f"the entry was withdrawn on {when} by {who}: {reason}; reinstate it first if that was wrong"
