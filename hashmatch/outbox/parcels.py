"""What is handed to an outlet, and what it may answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

from hashmatch.model.cases import Document, Environment

Progress: TypeAlias = Mapping[str, str]
"""How far a delivery of several steps came: small texts, kept with it. Never personal data, never a secret."""

Save: TypeAlias = Callable[[Progress], Awaitable[None]]
"""Makes a progress durable in place of the one before; returns when it is on disk."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One delivery as an outlet sees it.

    ``key`` is unique to the delivery and the same at every try: receivers that take idempotency keys get it.
    ``attempt`` counts from 1. ``recipient`` is a mail address where the outlet is mail. ``with_file`` says that the
    caller will relay the file. ``further_case_ids`` are the other cases that the document tells.
    """

    delivery_id: str
    case_id: str
    key: str
    environment: Environment
    document: Document
    attempt: int = 1
    progress: Progress = field(default_factory=dict)
    recipient: str = ""
    with_file: bool = False
    further_case_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delivered:
    """It is there. ``external_id`` is the receiver's number; ``detail`` a sentence for the record."""

    external_id: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Again:
    """It did not work and may later: a broken connection, an overloaded receiver. ``after_s``: as the receiver asks."""

    reason: str
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The receiver will never take it as it is: a dead letter. ``reason`` says what to do."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unsure:
    """Nobody can say whether it arrived, and asking is impossible: a person has to look."""

    reason: str


@dataclass(frozen=True, slots=True)
class AwaitingFile:
    """All that can be done without the file is done; the caller relays it within ``within_s``."""

    within_s: float


Outcome: TypeAlias = Delivered | Again | Refused | Unsure | AwaitingFile


class Outlet(Protocol):
    """One receiver. Raises nothing that is not a defect: whatever the network does is an outcome.

    It is made with an address of its environment; that a parcel is of the same one, the worker has made sure of.
    """

    async def deliver(self, parcel: Parcel, save: Save) -> Outcome:
        """Go on with a delivery from ``parcel.progress``."""

    async def close(self) -> None:
        """Let go of connections."""


@dataclass(frozen=True, slots=True)
class Relayed:
    """A file that went through: the receiver's id of it, and the digest that both sides agree on."""

    file_id: str
    md5: bytes
    size_bytes: int


@runtime_checkable
class FileOutlet(Outlet, Protocol):
    """A receiver that takes the file itself, as a stream that touches no disk here."""

    async def relay(
        self, parcel: Parcel, chunks: AsyncIterator[bytes], md5: bytes, save: Save
    ) -> Relayed | Again | Refused:
        """Send the file of a parcel that is awaiting one; refuse where the digest is not ``md5``."""
