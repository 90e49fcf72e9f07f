"""What becomes of a case: its deliveries and where they stand, holds, what a person found, and its history.

Theory of operation
-------------------
These are what the service tells and the client returns. The outbox keeps more of a delivery than is told
(``outbox.store.Delivery``): the document itself and how far its sending came.

What this module deliberately does not do: it says nothing about what may follow what; ``outbox.states`` does.
"""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass

from hashmatch.model.cases import Case, Environment
from hashmatch.model.entries import Rejected


class DeliveryState(enum.StrEnum):
    """Where a delivery stands."""

    HELD = "held"
    QUEUED = "queued"
    SENDING = "sending"
    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"
    UNSURE = "unsure"
    CANCELLED = "cancelled"


class DeliveryDecision(enum.StrEnum):
    """What a person decides about a delivery."""

    RELEASE = "release"
    """By another person than the one who asked for it."""
    RETRY = "retry"
    CANCEL = "cancel"
    CONFIRM = "confirm"
    """It did arrive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryStatus:
    """One document for one outlet, and where it stands.

    ``due_at`` is when it is to be taken; while it is being sent, when its lease ends; while it waits for a file, by
    when that must have come. ``sha256`` is of what is sent, and stays when that is erased. ``external_id`` is the
    receiver's number. ``further_case_ids`` are the other cases that the same document tells, in its order.
    """

    delivery_id: str
    case_id: str
    outlet: str
    environment: Environment
    format: str
    state: DeliveryState
    due_at: dt.datetime
    sha256: bytes
    requested_by: str
    created_at: dt.datetime
    changed_at: dt.datetime
    attempt: int = 0
    recipient: str = ""
    with_file: bool = False
    external_id: str = ""
    reason: str = ""
    released_by: str = ""
    further_case_ids: tuple[str, ...] = ()

    @property
    def case_ids(self) -> tuple[str, ...]:
        """Every case that it tells."""
        return (self.case_id, *self.further_case_ids)


@dataclass(frozen=True, slots=True)
class Recorded:
    """Something that happened to a case or, where ``delivery_id`` is set, to one of its deliveries."""

    at: dt.datetime
    actor: str
    what: str
    reason: str
    delivery_id: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """The caller's store keeps what ``handle`` names until ``deadline``; ``released_at`` ends that."""

    hold_id: str
    case_id: str
    handle: str
    deadline: dt.datetime
    created_at: dt.datetime
    released_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case with everything that belongs to it."""

    case: Case
    deliveries: tuple[DeliveryStatus, ...]
    events: tuple[Recorded, ...]
    holds: tuple[Hold, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a person's finding did: the case, and which matches' entries could not be given an opinion, and why."""

    case: Case
    voted: int
    skipped: tuple[Rejected, ...]


@dataclass(frozen=True, slots=True)
class RelayedFile:
    """What came of passing a file through: ``file_id`` is empty where it did not, and ``delivery.reason`` says why."""

    delivery: DeliveryStatus
    file_id: str
    size_bytes: int
