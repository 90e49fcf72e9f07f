"""Findings whose opinions are still to be given, in the catalog's database.

Theory of operation
-------------------
A case owes the opinions of its last finding, from the transaction that records the finding to the one that gives them.
Whoever reads the debt to pay it holds it until the end of the transaction.

What this module deliberately does not do: it gives no opinion, and begins no transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hashmatch.catalog.session import Session

AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Said:
    """What a person said about a match."""

    confirmed: bool
    actor: str
    reason: str


def owe(session: Session, case_id: str, said: Said) -> None:
    """Write down what is owed, in the place of what was owed before."""
    session.run("owe_opinions", (case_id, int(said.confirmed), said.actor, said.reason))


def owed(session: Session, case_id: str) -> Said | None:
    """Return what a case owes, which nobody else pays until the transaction ends; None where it owes nothing."""
    row = session.run("owed_opinions", (case_id,)).fetchone()
    return None if row is None else Said(bool(row[0]), row[1], row[2])


def paid(session: Session, case_id: str) -> None:
    """Strike what a case owes."""
    session.run("opinions_given", (case_id,))


def owing(session: Session) -> tuple[str, ...]:
    """Return cases that owe something, at most :data:`AT_ONCE`."""
    return tuple(row[0] for row in session.run("cases_owing", (AT_ONCE,)))
