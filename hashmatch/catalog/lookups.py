"""What every change of a catalog begins with: finding the set and the entry, and the next number.

Theory of operation
-------------------
All of it runs on a session inside the caller's transaction, so that what was found still holds when it is changed.
What is not there is answered with its name and near ones.

What this module deliberately does not do: it begins no transaction and decides nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hashmatch.catalog.session import Session
from hashmatch.catalog.wording import shown, suggestion
from hashmatch.errors import EntryNotFound, SetNotFound


class EntryRow(NamedTuple):
    """Where one entry stands."""

    entry_key: int
    status: str
    status_reason: str
    opinions: str


def sequence(session: Session) -> int:
    """Return the number of the latest change."""
    found: int = session.run("sequence").fetchone()[0]
    return found


def next_sequence(session: Session) -> int:
    """Give out the next number."""
    following = sequence(session) + 1
    session.run("set_sequence", (following,))
    return following


def set_row(session: Session, name: str) -> tuple[Any, ...]:
    """Return the row of a set, its key first.

    Raises
    ------
    SetNotFound
        None of that name; the message suggests near names.

    """
    row: tuple[Any, ...] | None = session.run("set_by_name", (name,)).fetchone()
    if row is None:
        names = [other[2] for other in session.run("sets")]
        raise SetNotFound(
            f"no hash set {shown(name)}{suggestion(name, names)}; `hashmatch hashset list` shows all", field="name"
        )
    return row


def entry_row(session: Session, set_key: int, name: str, entry_id: str) -> EntryRow:
    """Return the row of an entry of the set ``name``.

    Raises
    ------
    EntryNotFound
        None of that id; the message suggests near ones.

    """
    row = session.run("entry_by_id", (set_key, entry_id)).fetchone()
    if row is None:
        near = session.run("entry_ids_near", {"set_key": set_key, "entry_id": entry_id})
        also = suggestion(entry_id, (other for (other,) in near))
        raise EntryNotFound(f"hash set {name!r} has no entry {shown(entry_id)}{also}", field="entry_id")
    return EntryRow(*row)
