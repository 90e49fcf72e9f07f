"""A delivery as the database keeps it, and the row as a delivery again, also where that was damaged.

Theory of operation
-------------------
One row that cannot be read must not keep the others from being delivered, nor hide itself: each column is read for
itself, and one that does not parse stands as something that sends nothing (no document, no progress, ``test``,
``dead``), while :attr:`Delivery.defect` names the columns. The store makes such a delivery dead when it would be taken.

What this module deliberately does not do: it runs no statement, and repairs nothing.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hashmatch.catalog.rows import from_us
from hashmatch.errors import CaseConflict
from hashmatch.model.cases import Document, Environment
from hashmatch.model.deliveries import DeliveryState, DeliveryStatus
from hashmatch.outbox.parcels import Parcel, Progress

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NONE: Final[Progress] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery(DeliveryStatus):
    """A delivery as it is kept: with what is sent, and how far that came.

    ``document`` is None once erased. ``defect`` says what of the row cannot be read; nothing is sent of such a one.
    """

    key: str
    document: Document | None
    progress: Progress
    taken_by: str = ""
    defect: str = ""

    @property
    def hindrance(self) -> str:
        """Why this cannot be sent at all; empty where it can."""
        if self.defect:
            return f"damaged in the database, and so not sent: {self.defect}"
        return "" if self.document is not None else f"what {self.delivery_id} sent was erased"

    @property
    def parcel(self) -> Parcel:
        """The delivery as its outlet sees it; raises CaseConflict where it is erased or damaged."""
        if self.document is None or self.defect:
            raise CaseConflict(f"delivery_id: {self.hindrance}", field="delivery_id")
        return Parcel(
            self.delivery_id,
            self.case_id,
            self.key,
            self.environment,
            self.document,
            self.attempt,
            self.progress,
            self.recipient,
            self.with_file,
            self.further_case_ids,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be delivered."""

    case_id: str
    outlet: str
    environment: Environment
    document: Document
    key: str
    requested_by: str
    held: bool = False
    recipient: str = ""
    with_file: bool = False
    further_case_ids: tuple[str, ...] = ()
    """Other cases that the document tells."""

    @property
    def case_ids(self) -> tuple[str, ...]:
        """Every case that it tells, each once."""
        return (self.case_id, *self.further_case_ids)


def document_text(document: Document) -> str:
    """Return a document as it is kept."""
    return json.dumps(
        {
            "format": document.format,
            "media_type": document.media_type,
            "file_name": document.file_name,
            "body": base64.b64encode(document.body).decode(),
            "parts": [[name, base64.b64encode(part).decode()] for name, part in document.parts],
        },
        separators=(",", ":"),
    )


def delivery_of(row: Sequence[Any]) -> Delivery:
    """Return the delivery of a row, in the order of ``delivery_by_id``; raises nothing."""
    defects: list[str] = []

    def read(column: str, raw: Any, reader: Callable[[Any], Any], instead: Any) -> Any:
        try:
            return reader(raw)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            defects.append(f"{column} ({type(error).__name__})")
            return instead

    environment = read("environment", row[3], Environment, Environment.TEST)
    state = read("state", row[5], DeliveryState, DeliveryState.DEAD)
    due_at, created_at, changed_at = (
        read(column, row[place], from_us, _EPOCH)
        for column, place in (("due_at_us", 7), ("created_at_us", 19), ("changed_at_us", 20))
    )
    document = read("document", row[12], _document_of, None)
    if document is not None and hashlib.sha256(row[12].encode()).digest() != bytes(row[13]):
        defects.append("document (not what its SHA-256 is of)")
    progress = read("progress", row[14], _progress_of, _NONE)
    return Delivery(
        delivery_id=row[0],
        case_id=row[1],
        outlet=row[2],
        environment=environment,
        format=row[4],
        state=state,
        attempt=row[6],
        due_at=due_at,
        taken_by=row[8],
        key=row[9],
        recipient=row[10],
        with_file=bool(row[11]),
        document=document,
        sha256=bytes(row[13]),
        progress=progress,
        external_id=row[15],
        reason=row[16],
        requested_by=row[17],
        released_by=row[18],
        created_at=created_at,
        changed_at=changed_at,
        further_case_ids=tuple(row[21].split()),
        defect=", ".join(defects),
    )


def _document_of(text: str) -> Document | None:
    if not text:
        return None
    kept = json.loads(text)
    parts = tuple((name, base64.b64decode(part, validate=True)) for name, part in kept["parts"])
    body = base64.b64decode(kept["body"], validate=True)
    document = Document(kept["format"], kept["media_type"], kept["file_name"], body, parts)
    words = (document.format, document.media_type, document.file_name, *(name for name, _ in parts))
    if not all(isinstance(word, str) for word in words):
        raise TypeError
    return document


def _progress_of(text: str) -> Progress:
    kept = json.loads(text)
    if not isinstance(kept, dict) or not all(isinstance(value, str) for value in kept.values()):
        raise TypeError
    return kept
