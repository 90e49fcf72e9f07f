"""Holds: what the caller's own store is asked to keep, until when, and how it is told.

Theory of operation
-------------------
hashmatch stores no image, so it cannot preserve what a report is about; the caller can. A hold names, in the caller's
own words (``handle``), what to keep, and a deadline: ``cases.hold_days`` after the report, one year by default. A
document of the format ``hold`` asks the store to keep it, and another to release it once the deadline has passed or a
person ended the hold. Both go through the outbox like reports do, to the webhook that ``cases.hold_outlet`` names, so
they arrive at least once; a store does the same when it is asked twice.

What this module deliberately does not do: it reads no clock, and no byte of an image and nothing personal is in a
document: the handle says whose it is to whoever can look that up.

Source: 18 USC 2258A(h), as amended by the REPORT Act (Pub. L. 118-59): one year from the report.
"""

from __future__ import annotations

import datetime as dt
import enum
import json
import uuid
from collections.abc import Iterable, Sequence
from typing import Final

from hashmatch.errors import BadInput
from hashmatch.model.cases import Case, Document
from hashmatch.model.deliveries import Hold

FORMAT: Final = "hold"
VERSION: Final = 1
MAX_HANDLE_CHARS: Final = 2_000
"""Longer than any address that a browser takes."""

_NAMESPACE: Final = uuid.UUID("0d1c8f3b-6a55-4c0e-9d27-5b7e3f1a2c64")
"""Of ids of holds, which are made from case and handle: asked for twice, it is one hold."""


class HoldAction(enum.StrEnum):
    """What the store is asked to do."""

    KEEP = "keep"
    RELEASE = "release"


def new_hold(case: Case, handle: str, now: dt.datetime, hold_days: int) -> Hold:
    """Return the hold of what a handle names.

    Raises
    ------
    BadInput
        The handle is empty, too long, or not printable.

    """
    if not handle.strip() or len(handle) > MAX_HANDLE_CHARS or not handle.isprintable():
        raise BadInput(
            f"handle: what to keep is named by 1 to {MAX_HANDLE_CHARS:,} printable characters", field="handle"
        )
    identity = uuid.uuid5(_NAMESPACE, f"{case.case_id}\n{handle}")
    return Hold(str(identity), case.case_id, handle, now + dt.timedelta(days=hold_days), now)


def due(holds: Iterable[Hold], now: dt.datetime) -> tuple[Hold, ...]:
    """Return the holds whose deadline has come and that nobody has ended, the oldest deadline first."""
    ended = (hold for hold in holds if hold.released_at is None and hold.deadline <= now)
    return tuple(sorted(ended, key=lambda hold: (hold.deadline, hold.hold_id)))


def hold_document(
    hold: Hold, case: Case, action: HoldAction, *, reason: str = "", report_ids: Sequence[str] = ()
) -> Document:
    """Return what the caller's store is told.

    Parameters
    ----------
    hold : Hold
        What to keep or to release.
    case : Case
        Of which it is the material; says by which hashes the store can make sure of that.
    action : HoldAction
        Which of the two.
    reason : str, optional
        Why it is released before its deadline.
    report_ids : sequence of str, optional
        Numbers of the reports that were made of it, as their receivers gave them.

    Raises
    ------
    BadInput
        The hold is of another case.

    """
    if hold.case_id != case.case_id:
        raise BadInput(
            f"hold_id: the hold {hold.hold_id} is of case {hold.case_id}, not {case.case_id}", field="hold_id"
        )
    facts = {
        "format": FORMAT,
        "version": VERSION,
        "action": action.value,
        "hold_id": hold.hold_id,
        "case_id": case.case_id,
        "report_ids": list(report_ids),
        "since": _moment(hold.created_at),
        "until": _moment(hold.deadline),
        "reason": reason,
        "media": [
            {
                "handle": hold.handle,
                "item_id": case.item_id,
                "content_ref": case.locator.content_ref,
                "mime": case.media.mime,
                "size_bytes": case.media.size_bytes,
                "hashes": [{"algorithm": item.algorithm, "value": item.hex} for item in case.hashes],
            }
        ],
    }
    body = json.dumps(facts, ensure_ascii=False, indent=1).encode() + b"\n"
    return Document(FORMAT, "application/json", f"hold-{action.value}-{hold.hold_id}.json", body)


def _moment(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
