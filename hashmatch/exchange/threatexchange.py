"""ThreatExchange: pages of ``threat_updates`` in JSON.

Theory of operation
-------------------
An update is the present state of an indicator, or, with ``should_delete``, its tombstone. The entry_id is the
indicator's id, ``external_id`` is ``type/id``, because a type such as ``HASH_VIDEO_MD5`` says more than the algorithm.

Each descriptor is what one party says. ``MALICIOUS`` is an opinion for the entry, ``NON_MALICIOUS`` one against it;
``SUSPICIOUS`` and ``UNKNOWN`` are none. An entry of which somebody says that it is harmless, or of which nobody says
that it is malicious, is disputed: it matches for review only, and its reason counts the voices. Tags become labels
``threatexchange=<tag>``.

What this module deliberately does not do: it asks for no page (``sync``), and has no reader for indicators that are no
hashes: they are rejected values.

Source: reference formats §3.5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final
from urllib.parse import parse_qs, urlsplit

from hashmatch.exchange import records
from hashmatch.exchange.heads import Head
from hashmatch.exchange.pages import as_file, line_of_text, moment_of, moment_text, value_of
from hashmatch.exchange.records import RecordPage
from hashmatch.exchange.rows import BadCell
from hashmatch.model import Entry, EntryHash, EntryStatus, Label, Opinion, Provenance, Rejected, Stance

EXPECTED: Final = "a page of ThreatExchange updates: a JSON object with the array data"
SOURCE: Final = "ThreatExchange"

ALGORITHMS: Final[Mapping[str, str]] = {
    "HASH_PDQ": "pdq",
    "HASH_MD5": "md5",
    "HASH_VIDEO_MD5": "md5",
    "HASH_SHA1": "sha1",
    "HASH_SHA256": "sha256",
}
"""Indicator type to algorithm."""

_STANCES: Final = {"MALICIOUS": Stance.AGREE, "NON_MALICIOUS": Stance.DISAGREE}


def recognises(head: Head) -> bool:
    """Say whether a file begins as such a page: its first record is an indicator."""
    return head.text.startswith("{") and all(f'"{key}"' in head.text for key in ("data", "indicator", "type"))


def read(stream: BinaryIO) -> Iterator[Entry | Rejected]:
    """Read a page that is a file; ``position`` counts the updates, from 1.

    Raises
    ------
    BadFile
        It is no JSON object.

    """
    return as_file(ThreatExchangePage(stream))


class ThreatExchangePage(RecordPage):
    """Entries of one page; then ``after``, ``last_updated``.

    Raises
    ------
    BadFile
        On construction: the document is no JSON object.

    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream, "data", EXPECTED)
        self.after = ""
        """Cursor of the next page; empty after the last."""
        self.last_updated = 0
        """The latest change on this page, in seconds since 1970 by the server's clock."""

    def _note(self, facts: dict[str, Any]) -> None:
        self.after = _after(facts.get("paging"))

    def _entry(self, record: dict[str, Any]) -> Entry | Rejected | None:
        updated = record.get("last_updated")
        if isinstance(updated, int) and not isinstance(updated, bool):
            self.last_updated = max(self.last_updated, updated)
        position = self.records
        own_id, kind = line_of_text(records.text(record, "id")), records.text(record, "type")
        if not own_id:
            return Rejected(position, "id", "missing; without its id an indicator cannot be found again")
        try:
            moment = moment_text(record.get("last_updated"), "last_updated")
            opinions = tuple(_opinions(record))
        except BadCell as bad:
            return Rejected(position, bad.field, bad.reason)
        origin = Provenance(SOURCE, moment, f"{kind}/{own_id}" if kind else own_id)
        if record.get("should_delete") is True:
            reason = f"deleted at the source, {moment}" if moment else "deleted at the source"
            return Entry(own_id, (), (), origin, EntryStatus.WITHDRAWN, reason, position=position)
        name = ALGORITHMS.get(kind, kind)
        value = value_of(self._installed, position, name, records.text(record, "indicator"), "indicator")
        if not isinstance(value, EntryHash):
            return value
        status, reason = _standing(record)
        return Entry(own_id, (value,), _labels(record), origin, status, reason, opinions, position)


def _descriptors(record: dict[str, Any]) -> list[dict[str, Any]]:
    return records.objects(record.get("descriptors"))


def _opinions(record: dict[str, Any]) -> Iterator[Opinion]:
    """Yield one opinion per owner: the later of several descriptors. Raises BadCell."""
    latest: dict[str, Opinion] = {}
    for descriptor in _descriptors(record):
        stance = _STANCES.get(records.text(descriptor, "status"))
        owner = descriptor.get("owner")
        who = owner_name(records.text(owner, "id")) if isinstance(owner, dict) else ""
        if stance is None or not who:
            continue
        at = moment_of(descriptor.get("last_updated") or descriptor.get("added_on"), "descriptors.added_on")
        known = latest.get(who)
        if known is None or known.at is None or (at is not None and at >= known.at):
            latest[who] = Opinion(who, stance, line_of_text(descriptor.get("description")), at)
    yield from latest.values()


def owner_name(app_id: str) -> str:
    """Return what the owner of descriptors is called in opinions; empty for nobody."""
    return f"ThreatExchange app {line_of_text(app_id)}" if app_id else ""


def _standing(record: dict[str, Any]) -> tuple[EntryStatus, str]:
    """Return the status that the descriptors together make, and why."""
    said = Counter(records.text(descriptor, "status") or "UNKNOWN" for descriptor in _descriptors(record))
    if said["NON_MALICIOUS"]:
        return EntryStatus.DISPUTED, f"malicious: {said['MALICIOUS']}, non-malicious: {said['NON_MALICIOUS']}"
    if said and not said["MALICIOUS"]:
        return (
            EntryStatus.DISPUTED,
            f"malicious: 0, suspicious: {said['SUSPICIOUS']}",
        )
    return EntryStatus.ACTIVE, ""


def _labels(record: dict[str, Any]) -> tuple[Label, ...]:
    tags = [*records.objects(record.get("tags"))]
    for descriptor in _descriptors(record):
        tags += records.objects(descriptor.get("tags"))
    texts = sorted({line_of_text(tag.get("text")) for tag in tags} - {""})
    return tuple(Label("threatexchange", "", text) for text in texts)


def _after(paging: object) -> str:
    """Return the cursor of the next page; the address beside it holds the caller's token and is not kept."""
    if not isinstance(paging, dict) or not paging.get("next"):
        return ""
    cursors = paging.get("cursors")
    if isinstance(cursors, dict) and (after := records.text(cursors, "after")):
        return after
    try:
        return parse_qs(urlsplit(str(paging["next"])).query).get("after", [""])[0]
    except ValueError:
        return ""
