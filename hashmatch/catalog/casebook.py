"""What those share who keep tables of cases: the event of a change, and a case that is still there.

What this module deliberately does not do: it begins and ends no transaction.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

from hashmatch.catalog.rows import to_us
from hashmatch.catalog.session import Session
from hashmatch.errors import CaseConflict, CaseNotFound

ERASED: Final = "erased"
"""State of a case of which nothing is left."""


def record(  # noqa: PLR0917  the columns of an event, in the table's order
    session: Session, case_id: str, at: dt.datetime, actor: str, what: str, reason: str, delivery_id: str = ""
) -> None:
    """Write down what happens, in the transaction in which it happens."""
    session.run("insert_case_event", (case_id, delivery_id, to_us(at), actor, what, reason))


MAX_ID_LENGTH: Final = 64
"""Characters of an id; a UUID has 36. What is no id of ours is not looked for: no database takes every text."""


def is_id(text: str) -> bool:
    """Whether a text may be the id of anything here."""
    return 0 < len(text) <= MAX_ID_LENGTH and text.isascii() and text.isprintable()


def keep(session: Session, case_id: str) -> None:
    """Make sure that a case is there and is not erased before the transaction ends.

    Raises
    ------
    CaseNotFound, CaseConflict
        There is no such case, or it is erased.

    """
    row = session.run("keep_case", (case_id,)).fetchone() if is_id(case_id) else None
    if row is None:
        raise not_found(case_id)
    if row[0] == ERASED:
        raise erased(case_id)


def not_found(case_id: str) -> CaseNotFound:
    """Return the error of a case that is not there."""
    return CaseNotFound(f"case_id: there is no case {case_id[:MAX_ID_LENGTH]!r}", field="case_id")


def erased(case_id: str) -> CaseConflict:
    """Return the error of a case of which nothing is left."""
    return CaseConflict(f"case_id: the case {case_id} was erased when its retention time had passed", field="case_id")
