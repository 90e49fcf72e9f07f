"""The life of a delivery, as a table.

Theory of operation
-------------------
``TABLE[state, event]`` is the next state; what is not in the table cannot happen, and :func:`moved` says so. Who may
cause an event is none of this module's business.

========= ==========================================================================================================
held      waits for a second person
queued    due at ``not_before``
sending   a process has it until its lease ends; then it counts as queued again, with the progress it saved
waiting   everything is done but the file, which the caller relays before ``not_before``
delivered the receiver has it
dead      the receiver will not take it, or it was tried as often as allowed; the reason stands there
unsure    whether it arrived is unknown, and it cannot be asked: a person looks and says
cancelled a person, a rejection or the end of its case's time took it back; it is not sent, or not again
========= ==========================================================================================================

What this module deliberately does not do: it stores nothing and knows no clock.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Mapping
from typing import Final

from hashmatch.errors import CaseConflict
from hashmatch.model.deliveries import DeliveryState


class DeliveryEvent(enum.StrEnum):
    """What happens to a delivery."""

    RELEASE = "release"
    TAKE = "take"
    LOSE = "lose"
    """The process that had it is gone."""
    ARRIVE = "arrive"
    POSTPONE = "postpone"
    GIVE_UP = "give_up"
    DOUBT = "doubt"
    AWAIT_FILE = "await_file"
    EXPIRE = "expire"
    """The file did not come in time, or nobody decided until the case was to be erased."""
    RETRY = "retry"
    CANCEL = "cancel"
    CONFIRM = "confirm"
    """A person found that it did arrive."""


_S, _E = DeliveryState, DeliveryEvent

TABLE: Final[Mapping[tuple[DeliveryState, DeliveryEvent], DeliveryState]] = types.MappingProxyType(
    {
        (_S.HELD, _E.RELEASE): _S.QUEUED,
        (_S.HELD, _E.CANCEL): _S.CANCELLED,
        (_S.HELD, _E.EXPIRE): _S.CANCELLED,
        (_S.QUEUED, _E.TAKE): _S.SENDING,
        (_S.QUEUED, _E.CANCEL): _S.CANCELLED,
        (_S.QUEUED, _E.EXPIRE): _S.CANCELLED,
        (_S.SENDING, _E.LOSE): _S.QUEUED,
        (_S.SENDING, _E.ARRIVE): _S.DELIVERED,
        (_S.SENDING, _E.POSTPONE): _S.QUEUED,
        (_S.SENDING, _E.GIVE_UP): _S.DEAD,
        (_S.SENDING, _E.DOUBT): _S.UNSURE,
        (_S.SENDING, _E.AWAIT_FILE): _S.WAITING,
        (_S.WAITING, _E.TAKE): _S.SENDING,
        (_S.WAITING, _E.EXPIRE): _S.DEAD,
        (_S.WAITING, _E.CANCEL): _S.CANCELLED,
        (_S.DEAD, _E.RETRY): _S.QUEUED,
        (_S.DEAD, _E.CANCEL): _S.CANCELLED,
        (_S.UNSURE, _E.RETRY): _S.QUEUED,
        (_S.UNSURE, _E.CANCEL): _S.CANCELLED,
        (_S.UNSURE, _E.CONFIRM): _S.DELIVERED,
    }
)

FINAL: Final = frozenset({_S.DELIVERED, _S.CANCELLED})
"""States that nothing leads out of."""

SETTLED: Final = FINAL | {_S.DEAD}
"""States in which nothing more is going to happen by itself, and nobody is being waited for."""


def moved(state: DeliveryState, event: DeliveryEvent) -> DeliveryState:
    """Return the next state.

    Raises
    ------
    CaseConflict
        The event is not possible in this state; the message says what is.

    """
    try:
        return TABLE[state, event]
    except KeyError:
        possible = ", ".join(e.value for s, e in TABLE if s is state and e in _BY_PEOPLE) or "nothing"
        raise CaseConflict(
            f"a delivery that is {state.value} cannot be changed by {event.value}; possible is {possible}",
            field="delivery_id",
        ) from None


_BY_PEOPLE: Final = frozenset({_E.RELEASE, _E.RETRY, _E.CANCEL, _E.CONFIRM})
