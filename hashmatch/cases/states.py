"""The life of a case, as a table."""

from __future__ import annotations

import enum
import types
from collections.abc import Mapping
from typing import Final

from hashmatch.errors import CaseConflict
from hashmatch.model.cases import CaseState


class CaseEvent(enum.StrEnum):
    """What happens to a case."""

    CONFIRM = "confirm"
    """A person found the match right."""
    REJECT = "reject"
    """A person found it wrong: nothing more is delivered."""
    CLOSE = "close"
    REOPEN = "reopen"


_S, _E = CaseState, CaseEvent

TABLE: Final[Mapping[tuple[CaseState, CaseEvent], CaseState]] = types.MappingProxyType(
    {
        (_S.OPEN, _E.CONFIRM): _S.OPEN,
        (_S.OPEN, _E.REJECT): _S.REJECTED,
        (_S.OPEN, _E.CLOSE): _S.CLOSED,
        (_S.CLOSED, _E.CONFIRM): _S.CLOSED,
        (_S.CLOSED, _E.REJECT): _S.REJECTED,
        (_S.CLOSED, _E.REOPEN): _S.OPEN,
        (_S.REJECTED, _E.REOPEN): _S.OPEN,
    }
)


def moved(state: CaseState, event: CaseEvent) -> CaseState:
    """Return the next state; raises CaseConflict where the event is not possible in this one."""
    try:
        return TABLE[state, event]
    except KeyError:
        possible = ", ".join(e.value for s, e in TABLE if s is state) or "nothing"
        raise CaseConflict(
            f"case_id: a case that is {state.value} cannot be changed by {event.value}; possible is {possible}",
            field="case_id",
        ) from None
