"""Opinions made here, sent back to the lists that take them.

Theory of operation
-------------------
An opinion is ours when it bears the source's ``own_name``. What each kind of source takes is a :class:`Writer`:

================  =========================================================================================
``ncmec``         ``PUT v2/entries/{member}/{id}/{FINGERPRINT}/feedback``; a negative one needs a reason from the
                  list that the API keeps per fingerprint, found by its name or id in the opinion's reason
``threatexchange``  a descriptor of our own with the status ``MALICIOUS`` or ``NON_MALICIOUS``
``stopncii``      ``POST SubmitFeedback`` with ``Blocked`` or ``NotBlocked``
``tat``, ``hashmatch``  take none
================  =========================================================================================

What was sent is remembered in a bookmark per opinion, so it is sent once; saying it twice, after a crash between the
two, changes nothing at the source. An opinion that changed is sent again. What cannot be sent is a result with its
reason.

What this module deliberately does not do: it makes no opinion, and takes none back: the interfaces have no call for it.

Source: reference formats §3.1, §3.4, §3.5.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode

from lxml import etree

from hashmatch.exchange.ncmec import FINGERPRINTS, NAMESPACE
from hashmatch.exchange.pages import line_of_text
from hashmatch.model import Entry, EntryHash, Opinion, Stance
from hashmatch.sections import SourceConfig
from hashmatch.sync.access import FEEDBACK_PATH
from hashmatch.sync.outcome import Bookmarks
from hashmatch.sync.run import BAD_REQUEST, Asking
from hashmatch.sync.sources import Source
from hashmatch.sync.walks import Request

SENT: Final = "sync-feedback"
"""Kind of the bookmarks that say what was sent, by source, entry, and hash."""


class CannotSend(Exception):
    """The source does not take this opinion; says why. Never leaves this module."""


@dataclass(frozen=True, slots=True)
class Vote:
    """One opinion of ours on one entry, or on one of its values."""

    entry: Entry
    opinion: Opinion
    value: EntryHash | None = None

    def key(self, source: str) -> str:
        """Name of the bookmark that says whether it was sent."""
        algorithm = "" if self.value is None else self.value.algorithm
        return f"{source}/{algorithm}/{self.entry.entry_id}"

    def said(self) -> str:
        """Return what the bookmark holds once it was sent."""
        return json.dumps([self.opinion.stance.value, self.opinion.reason])


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one vote: ``state`` is sent, to_send (a dry run), already_sent or not_sent, with the reason."""

    source: str
    entry_id: str
    algorithm: str
    stance: str
    state: str
    request: str = ""
    reason: str = ""


class Writer(Protocol):
    """What one kind of source takes."""

    async def request(self, vote: Vote, far: Asking) -> Request:
        """Return how to say it. Raises CannotSend."""


class Held(Protocol):
    """The part of the catalog that feedback reads."""

    def entries(self, name: str) -> Any:
        """Every entry of a set; has ``close``."""


async def send(source: Source, far: Asking, held: Held, marks: Bookmarks, *, dry_run: bool) -> AsyncIterator[Sent]:
    """Send every opinion of ours that was not sent yet; a dry run says what would be sent.

    ``source`` is of a kind in :data:`WRITERS`.

    Raises
    ------
    SourceRefused, SourceUnavailable
        The source does not answer; what was sent before is remembered.

    """
    writer = WRITERS[source.config.kind](source.config)
    for vote in await asyncio.to_thread(_votes, source, held):
        state, request, reason = "not_sent", "", ""
        if await asyncio.to_thread(marks.bookmark, SENT, vote.key(source.name)) == vote.said():
            state = "already_sent"
        else:
            try:
                asked = await writer.request(vote, far)
                request, state = str(asked), "to_send" if dry_run else "sent"
                if not dry_run:
                    await _send(asked, vote, source, far, marks)
            except CannotSend as error:
                state, reason = "not_sent", str(error)
        algorithm = "" if vote.value is None else vote.value.algorithm
        yield Sent(source.name, vote.entry.entry_id, algorithm, vote.opinion.stance.value, state, request, reason)


async def _send(request: Request, vote: Vote, source: Source, far: Asking, marks: Bookmarks) -> None:
    answer = await far.send(request)
    if answer.status >= BAD_REQUEST:
        raise CannotSend(f"the source answers HTTP {answer.status}: the entry may be gone there")
    await asyncio.to_thread(marks.set_bookmark, SENT, vote.key(source.name), vote.said())


def _votes(source: Source, held: Held) -> list[Vote]:
    """Return what we say of a set's entries; people say it one by one, so it is few."""
    own = source.config.own_name
    found: list[Vote] = []
    if not own:
        return found
    stream = held.entries(source.config.set)
    try:
        for entry in stream:
            for opinion in entry.opinions:
                if opinion.who == own:
                    found += _per_value(source, entry, opinion)
    finally:
        stream.close()
    return found


def _per_value(source: Source, entry: Entry, opinion: Opinion) -> Iterator[Vote]:
    """Split an opinion where the source takes them per value: of the whole entry is of each of its values."""
    if source.config.kind not in _PER_VALUE:
        yield Vote(entry, opinion)
        return
    for item in entry.hashes:
        stated = {other.algorithm for other in entry.opinions if other.who == opinion.who}
        if opinion.algorithm == item.algorithm or (not opinion.algorithm and item.algorithm not in stated):
            yield Vote(entry, opinion, item)


_PER_VALUE: Final = frozenset({"ncmec"})


@dataclass(slots=True)
class NcmecWriter:
    """Feedback per fingerprint; reasons are asked for once per kind of fingerprint."""

    config: SourceConfig
    reasons: dict[str, dict[str, str]] = field(default_factory=dict)

    async def request(self, vote: Vote, far: Asking) -> Request:
        """Return the PUT. Raises CannotSend."""
        fingerprint = FINGERPRINTS.get(vote.value.algorithm if vote.value else "")
        if fingerprint is None:
            raise CannotSend(f"NCMEC has no fingerprint {vote.value.algorithm if vote.value else ''!r}")
        member, _, own_id = vote.entry.entry_id.partition(":")
        if not own_id or own_id in {".", ".."}:
            raise CannotSend("the entry is not one of NCMEC's: its id is not member:id")
        path = f"v2/entries/{quote(member, safe='')}/{quote(own_id, safe='')}/{fingerprint}/feedback"
        root = etree.Element(f"{{{NAMESPACE}}}feedbackSubmission", nsmap={None: NAMESPACE})
        if vote.opinion.stance is Stance.AGREE:
            etree.SubElement(root, f"{{{NAMESPACE}}}affirmative")
        else:
            negative = etree.SubElement(root, f"{{{NAMESPACE}}}negative")
            reason_ids = etree.SubElement(negative, f"{{{NAMESPACE}}}reasonIds")
            guid = etree.SubElement(reason_ids, f"{{{NAMESPACE}}}guid")
            guid.text = await self._reason_id(fingerprint, vote.opinion.reason, far)
        body = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
        return Request(path, method="PUT", body=body, content_type="application/xml")

    async def _reason_id(self, fingerprint: str, reason: str, far: Asking) -> str:
        if fingerprint not in self.reasons:
            answer = await far.send(Request(f"v2/feedback/{fingerprint}/reasons"))
            self.reasons[fingerprint] = dict(_reasons(answer.body))
        known = self.reasons[fingerprint]
        wanted = reason.casefold()
        for name, guid in known.items():
            if wanted in {name.casefold(), guid.casefold()}:
                return guid
        raise CannotSend(
            f"against a {fingerprint} NCMEC takes one of these reasons, and the opinion says {reason!r}: "
            + (", ".join(known) or "none were given")
        )


def _reasons(body: bytes) -> Iterator[tuple[str, str]]:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise CannotSend("the list of reasons is not XML") from error
    for element in root.iter():
        if isinstance(element.tag, str) and element.tag.rpartition("}")[2] == "reason" and element.get("guid"):
            yield line_of_text(element.get("name")) or str(element.get("guid")), line_of_text(element.get("guid"))


@dataclass(frozen=True, slots=True)
class ThreatExchangeWriter:
    """A descriptor of our own; sent again it replaces the one before."""

    config: SourceConfig

    async def request(self, vote: Vote, far: Asking) -> Request:  # noqa: ARG002  the interface's
        """Return the POST. Raises CannotSend."""
        kind, slash, _ = vote.entry.provenance.external_id.partition("/")
        if not slash or not vote.entry.hashes:
            raise CannotSend("the entry is not one of ThreatExchange's: its external id is not type/id")
        body = urlencode(
            {
                "indicator": vote.entry.hashes[0].hex,
                "type": kind,
                "status": "MALICIOUS" if vote.opinion.stance is Stance.AGREE else "NON_MALICIOUS",
                "description": vote.opinion.reason or f"{vote.opinion.stance.value} by {vote.opinion.who}",
                "share_level": "AMBER",
                "privacy_type": "HAS_PRIVACY_GROUP",
                "privacy_members": self.config.group,
            }
        )
        return Request(
            "threat_descriptors", method="POST", body=body.encode(), content_type="application/x-www-form-urlencoded"
        )


@dataclass(frozen=True, slots=True)
class StopNciiWriter:
    """What a platform did about a hash; the latest holds."""

    config: SourceConfig

    async def request(self, vote: Vote, far: Asking) -> Request:  # noqa: ARG002  the interface's
        """Return the POST. Raises CannotSend."""
        kind, colon, value = vote.entry.entry_id.partition(":")
        if not colon or not vote.entry.hashes:
            raise CannotSend("the entry is not one of StopNCII's: its id is not type:value")
        said: Mapping[str, object] = {
            "signalType": kind,
            "hashValue": value,
            "feedbackValue": "Blocked" if vote.opinion.stance is Stance.AGREE else "NotBlocked",
            "tags": [vote.opinion.reason] if vote.opinion.reason else [],
        }
        body = json.dumps({"count": 1, "hashFeedbacks": [said]}).encode()
        return Request(FEEDBACK_PATH, method="POST", body=body, content_type="application/json")


WRITERS: Final[Mapping[str, Callable[[SourceConfig], Writer]]] = {
    "ncmec": NcmecWriter,
    "threatexchange": ThreatExchangeWriter,
    "stopncii": StopNciiWriter,
}
"""Kind of source to what it takes; the others take no opinions."""
