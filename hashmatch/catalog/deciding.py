"""What people decide about entries and think of them, inside one write transaction.

Theory of operation
-------------------
A decision moves an entry along ``store.TRANSITIONS``; an opinion moves nothing, it takes the place of the one that the
same party held of the same thing. Either raises the catalog's sequence and the set's version, so that followers see it,
and leaves an event. What holds already changes nothing.

What this module deliberately does not do: it opens no connection and begins no transaction.
"""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from hashmatch.catalog.lookups import entry_row, next_sequence, set_row
from hashmatch.catalog.rows import event_of, event_row, from_us, now_us, opinions_from_text, opinions_to_text, set_of
from hashmatch.catalog.session import Session
from hashmatch.catalog.store import TRANSITIONS
from hashmatch.catalog.validate import MAX_OPINIONS, check_mode_change, check_opinion
from hashmatch.catalog.wording import shown
from hashmatch.errors import BadInput
from hashmatch.model import EntryStatus, Event, HashSet, Opinion, SetMode


class Target(NamedTuple):
    """The entry meant: the set's name and the entry's id."""

    name: str
    entry_id: str


class Stated(NamedTuple):
    """Why, and who says so."""

    reason: str
    actor: str


def decide(session: Session, decision: str, target: Target, stated: Stated) -> HashSet:
    """Move an entry; return its set as it is then.

    Raises
    ------
    SetNotFound, EntryNotFound
        No such set or entry; the message suggests near names.
    BadInput
        The decision cannot be taken from where the entry stands.

    """
    allowed, after = TRANSITIONS[decision]
    of_set = set_row(session, target.name)
    set_key = of_set[0]
    entry = entry_row(session, set_key, *target)
    before = EntryStatus(entry.status)
    if before is after:
        return set_of(of_set)
    if before not in allowed:
        raise BadInput(
            f"cannot {decision} {shown(target.entry_id)} of {target.name!r}: it is {before} ({entry.status_reason}); "
            "reinstate it first",
            field="entry_id",
        )
    row = (after.value, stated.reason, next_sequence(session), entry.entry_key)
    session.run("update_status", row)
    gone = int(after is EntryStatus.WITHDRAWN) - int(before is EntryStatus.WITHDRAWN)
    session.run("update_set_counts", (-gone, gone, set_key))
    hash_set = set_of(set_row(session, target.name))
    event = Event(_now(), stated.actor, stated.reason, before, after, hash_set.version)
    _record(session, set_key, entry.entry_key, event)
    return hash_set


def vote(session: Session, target: Target, opinion: Opinion, actor: str) -> HashSet:
    """Record an opinion; return the set as it is then.

    Raises
    ------
    SetNotFound, EntryNotFound
        No such set or entry; the message suggests near names.
    BadInput
        See ``check_opinion``; or the party gave a later one before, or the entry has ``MAX_OPINIONS``.

    """
    of_set = set_row(session, target.name)
    set_key = of_set[0]
    entry = entry_row(session, set_key, *target)
    algorithms = [name for (name,) in session.run("algorithms_of_entry", (entry.entry_key,))]
    held = {(item.who, item.algorithm): item for item in opinions_from_text(entry.opinions)}
    kept = held.get((opinion.who, opinion.algorithm))
    given = check_opinion(opinion, algorithms, _now())
    if (
        kept is not None
        and (kept.stance, kept.reason) == (given.stance, given.reason)
        and opinion.at in {None, kept.at}
    ):
        return set_of(of_set)
    if kept is not None and kept.at is not None and given.at is not None and given.at < kept.at:
        raise BadInput(
            f"{shown(given.who)} gave a later opinion of {shown(target.entry_id)}, on {kept.at.isoformat()}: "
            f"{kept.stance} ({kept.reason})",
            field="at",
        )
    held[given.who, given.algorithm] = given
    if len(held) > MAX_OPINIONS:
        raise BadInput(f"{shown(target.entry_id)} has {MAX_OPINIONS} opinions, and that is the limit", field="opinion")
    text = opinions_to_text(tuple(held[key] for key in sorted(held)))
    session.run("update_opinions", (text, next_sequence(session), entry.entry_key))
    session.run("update_set_counts", (0, 0, set_key))
    hash_set = set_of(set_row(session, target.name))
    said = (given.who, given.algorithm, given.at)
    event = Event(_now(), actor, given.reason, kept.stance if kept else "", given.stance, hash_set.version, *said)
    _record(session, set_key, entry.entry_key, event)
    return hash_set


def change_mode(session: Session, name: str, mode: SetMode, stated: Stated) -> HashSet:
    """Say what the hits of a set do to verdicts; return the set as it is then.

    Raises
    ------
    SetNotFound
        None of that name.
    BadInput
        From ``enforced`` to ``allow`` or back in one step.

    """
    row = set_row(session, name)
    set_key, before = row[0], set_of(row)
    if before.mode is mode:
        return before
    check_mode_change(name, before.mode, mode)
    session.run("update_set_mode", (mode.value, next_sequence(session), set_key))
    after = set_of(set_row(session, name))
    event = Event(_now(), stated.actor, stated.reason, before.mode, mode, after.version)
    _record(session, set_key, None, event)
    return after


def history(session: Session, name: str, entry_id: str | None) -> tuple[Event, ...]:
    """Events of one entry, or of the set itself, oldest first.

    Raises
    ------
    SetNotFound, EntryNotFound
        No such set or entry; the message suggests near names.

    """
    set_key = set_row(session, name)[0]
    if entry_id is None:
        rows = session.run("events_of_set", (set_key,))
    else:
        entry_key = entry_row(session, set_key, name, entry_id).entry_key
        rows = session.run("events_of_entry", (set_key, entry_key))
    return tuple(event_of(row) for row in rows)


def _now() -> dt.datetime:
    return from_us(now_us())


def _record(session: Session, set_key: int, entry_key: int | None, event: Event) -> None:
    session.run("insert_event", event_row(set_key, entry_key, event))
