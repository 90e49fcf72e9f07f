"""StopNCII: pages of ``FetchHashes`` in JSON.

Theory of operation
-------------------
A record is a snapshot of one hash: type and value together identify it, so the entry_id is ``ImagePDQ:<value>``.
``hashStatus`` decides: ``Received`` and ``Active`` match, ``Withdrawn`` and ``Deleted`` are tombstones, anything else
says neither and is rejected. What a platform reports back, ``Blocked`` or ``NotBlocked``, is an opinion for or against;
the other values of feedback say nothing about the picture.

Case numbers are of the people who asked for help. They serve no matching, and they are not kept.

What this module deliberately does not do: it asks for no page (``sync``).

Source: reference formats §3.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final

from hashmatch.exchange import records, rows
from hashmatch.exchange.heads import Head
from hashmatch.exchange.pages import as_file, line_of_text, moment_text, value_of
from hashmatch.exchange.records import RecordPage
from hashmatch.exchange.rows import BadCell
from hashmatch.model import Entry, EntryHash, EntryStatus, Opinion, Provenance, Rejected, Stance

EXPECTED: Final = "a page of StopNCII hashes: a JSON object with the array hashRecords"
SOURCE: Final = "StopNCII"

ALGORITHMS: Final[Mapping[str, str]] = {"ImagePDQ": "pdq", "VideoMD5": "md5"}
"""Signal type to algorithm."""

_STATUS: Final = {
    "Received": EntryStatus.ACTIVE,
    "Active": EntryStatus.ACTIVE,
    "Withdrawn": EntryStatus.WITHDRAWN,
    "Deleted": EntryStatus.WITHDRAWN,
}
_STANCES: Final = {"Blocked": Stance.AGREE, "NotBlocked": Stance.DISAGREE}


def recognises(head: Head) -> bool:
    """Say whether a file begins as such a page."""
    return head.text.startswith("{") and '"hashRecords"' in head.text


def read(stream: BinaryIO) -> Iterator[Entry | Rejected]:
    """Read a page that is a file; ``position`` counts the records, from 1.

    Raises
    ------
    BadFile
        It is no JSON object.

    """
    return as_file(StopNciiPage(stream))


class StopNciiPage(RecordPage):
    """Entries of one page; then ``next_token``, ``next_timestamp`` and ``has_more``.

    Raises
    ------
    BadFile
        On construction: the document is no JSON object.

    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream, "hashRecords", EXPECTED)
        self.next_token = ""
        """Token of the next page; empty after the last."""
        self.next_timestamp = 0
        """Where to begin the next time, in seconds since 1970 by the server's clock; 0 if it does not say."""
        self.has_more = False

    def _note(self, facts: dict[str, Any]) -> None:
        self.next_token = records.text(facts, "nextPageToken")
        self.has_more = facts.get("hasMoreRecords") is True
        timestamp = facts.get("nextSetTimestamp")
        if isinstance(timestamp, int | float) and not isinstance(timestamp, bool) and timestamp > 0:
            self.next_timestamp = int(timestamp)

    def _entry(self, record: dict[str, Any]) -> Entry | Rejected | None:
        position = self.records
        kind, text = records.text(record, "signalType"), records.text(record, "hashValue")
        status = _STATUS.get(stated := records.text(record, "hashStatus"))
        if status is None:
            return Rejected(
                position, "hashStatus", f"{rows.shown(stated)} says neither that it holds nor that it does not"
            )
        value = value_of(self._installed, position, ALGORITHMS.get(kind, kind), text, "hashValue")
        if not isinstance(value, EntryHash):
            return value
        try:
            moment = moment_text(record.get("lastModtimestamp"), "lastModtimestamp")
        except BadCell as bad:
            return Rejected(position, bad.field, bad.reason)
        entry_id = f"{kind}:{value.hex}"
        origin = Provenance(SOURCE, moment, entry_id)
        if status is EntryStatus.WITHDRAWN:
            reason = f"{stated.lower()} at the source" + (f", {moment}" if moment else "")
            return Entry(entry_id, (), (), origin, status, reason, position=position)
        return Entry(entry_id, (value,), (), origin, opinions=tuple(_opinions(record)), position=position)


def _opinions(record: dict[str, Any]) -> Iterator[Opinion]:
    """Yield one opinion per platform: the last of several."""
    latest: dict[str, Opinion] = {}
    for feedback in records.objects(record.get("CSPFeedbacks")):
        who = line_of_text(feedback.get("source"))
        stance = _STANCES.get(records.text(feedback, "feedbackValue"))
        if not who:
            continue
        latest.pop(who, None)
        if stance is not None:
            tags = feedback.get("tags")
            said = sorted(filter(None, map(line_of_text, tags if isinstance(tags, list) else ())))
            latest[who] = Opinion(who, stance, "; ".join(said)[:1_024])
    yield from latest.values()
