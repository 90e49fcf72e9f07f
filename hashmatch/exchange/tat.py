"""Tech Against Terrorism: pages of the hash list, version 2, in JSON.

Theory of operation
-------------------
A result is the present state of one hash, known by its ``id``, which is the entry_id; with ``deleted`` it is a
tombstone. ``ideology`` becomes the label ``tat-ideology=…``, ``file_type`` the label ``tat-file-type=…``.

What this module deliberately does not do: it asks for no page (``sync``).

Source: reference formats §3.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from hashmatch.exchange import records
from hashmatch.exchange.heads import Head
from hashmatch.exchange.pages import as_file, line_of_text, moment_text, value_of
from hashmatch.exchange.records import RecordPage
from hashmatch.exchange.rows import BadCell
from hashmatch.model import Entry, EntryHash, EntryStatus, Label, Provenance, Rejected

EXPECTED: Final = "a page of Tech Against Terrorism's hash list: a JSON object with the array results"
SOURCE: Final = "Tech Against Terrorism"


def recognises(head: Head) -> bool:
    """Say whether a file begins as such a page: its first record has a hash_digest."""
    return head.text.startswith("{") and all(f'"{key}"' in head.text for key in ("results", "hash_digest"))


def read(stream: BinaryIO) -> Iterator[Entry | Rejected]:
    """Read a page that is a file; ``position`` counts the results, from 1.

    Raises
    ------
    BadFile
        It is no JSON object.

    """
    return as_file(TatPage(stream))


class TatPage(RecordPage):
    """Entries of one page; then ``checkpoint`` and ``has_more``.

    Raises
    ------
    BadFile
        On construction: the document is no JSON object.

    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream, "results", EXPECTED)
        self.checkpoint = ""
        """Where the next page begins, in the server's own words; empty if it does not say."""
        self.has_more = False

    def _note(self, facts: dict[str, Any]) -> None:
        self.checkpoint = records.text(facts, "checkpoint")
        self.has_more = bool(facts.get("next"))

    def _entry(self, record: dict[str, Any]) -> Entry | Rejected | None:
        position = self.records
        own_id = line_of_text(records.text(record, "id"))
        if not own_id:
            return Rejected(position, "id", "missing; without its id a hash cannot be found again")
        try:
            moment = moment_text(record.get("updated_on") or record.get("created_on"), "updated_on")
        except BadCell as bad:
            return Rejected(position, bad.field, bad.reason)
        origin = Provenance(SOURCE, moment, own_id)
        if record.get("deleted") is True:
            reason = f"deleted at the source, {moment}" if moment else "deleted at the source"
            return Entry(own_id, (), (), origin, EntryStatus.WITHDRAWN, reason, position=position)
        name, text = records.text(record, "algorithm"), records.text(record, "hash_digest")
        value = value_of(self._installed, position, name, text, "hash_digest")
        if not isinstance(value, EntryHash):
            return value
        stated = {"tat-ideology": record.get("ideology"), "tat-file-type": record.get("file_type")}
        labels = tuple(Label(scheme, "", text) for scheme, item in stated.items() if (text := line_of_text(item)))
        return Entry(own_id, (value,), labels, origin, position=position)
