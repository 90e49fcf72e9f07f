"""What the audit log says: the kinds of its records, and the body of each; no I/O.

Theory of operation
-------------------
Bodies are made from what the engine answered or refused, and hold numbers, words from closed lists, names of callers
and sets, and keyed digests. What a caller could have filled with content is not taken over: no image, hash value, URL,
request id, entry id, name of a set that is not there, or reason in a person's words, and of an error its name only.
:data:`KINDS` is the table of all kinds; docs/guide/audit.md repeats it.

A batch of hashes is one record with a count per verdict, and one per :data:`MAX_HITS` hits of what was found in it:
what met nothing is counted and not listed.

What this module deliberately does not do: it does not know who calls; that is told as a plain name.
"""

from __future__ import annotations

import collections
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hashmatch.audit.digests import Pseudonyms
from hashmatch.errors import HashmatchError
from hashmatch.ledger.records import canonical
from hashmatch.model import EntryHash, Hit, MatchReport

Body = dict[str, object]

DETECT: Final = "detect"
DETECT_HASHES: Final = "detect_hashes"
RESCAN: Final = "rescan"
CHECK_URLS_BEGUN: Final = "check_urls.begun"
CHECK_URLS: Final = "check_urls"
REFUSED: Final = "call.refused"
ACCESS_LOADED: Final = "access.loaded"
ACCESS_CHANGED: Final = "access.changed"

KINDS: Final[Mapping[str, str]] = types.MappingProxyType(
    {
        DETECT: "an image was asked about: caller, keyed digest, bytes, generation, verdict, rule, hits, status, time",
        DETECT_HASHES: "a batch of hashes: the same, with a count per verdict, and what was found",
        RESCAN: "somebody began to hold kept hashes against what is new",
        CHECK_URLS_BEGUN: "somebody began to have addresses checked: how many, and whether robots.txt is respected",
        CHECK_URLS: "the end of that: how many were answered and images looked at, outcomes with counts, status, time",
        REFUSED: "a call was refused: who, which method, the name of the error, what was lacking, and how often",
        "service.started": "version, posture of the sandbox, digest of the configuration, libraries, generation",
        "service.refused": "the service did not start: the name of the error, such as ROLLBACK_REFUSED",
        "service.stopped": "the last record of an orderly end",
        "audit.set_aside": "a damaged log was left as it is, and this one begun beside it",
        "index.generation": "another generation is searched from here on",
        "index.rollback_refused": "the catalog was older than what is served, and was refused",
        "set.created": "a hash set was made",
        "set.imported": "entries were added to or changed in a set, with counts",
        "entry.withdrawn": "an entry matches no more",
        "entry.disputed": "an entry matches for review only",
        "entry.reinstated": "an entry matches again",
        "entry.quarantined": "the flood guard took an entry's verdict away",
        "entry.voted": "an opinion was recorded",
        "policy.reloaded": "the policy was read anew, with the digest of the configuration",
        ACCESS_LOADED: "who may call as the service starts: how many callers, and the digest of the keys file",
        ACCESS_CHANGED: "the keys file was read again: which callers were added or changed, and in what",
        "delivery.queued": "a report was given to the outbox",
        "delivery.decided": "a person released, retried or dropped a delivery",
        "case.erased": "a case's retention time had passed; the casebook has its events",
    }
)
"""Every kind of record that the audit writes, and what it says; the ledger's own begin with ``ledger.``."""

MAX_HITS: Final = 500
"""Hits in one record: with the longest names some 200 kB."""
MAX_CHANGES_BYTES: Final = 500_000
"""Changes of callers in one record, half of what a record may have: some thousand callers at once."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: a status of gRPC, and the name of the error where there was one."""

    status: str = "OK"
    error: str = ""

    @classmethod
    def of(cls, error: HashmatchError) -> Outcome:
        """Return the outcome of a call that raised ``error``."""
        return cls(error.status.value, type(error).reason())

    def words(self) -> Body:
        """Return it as it stands in a body."""
        return {"status": self.status, "error": self.error} if self.error else {"status": self.status}


CANCELLED: Final = Outcome("CANCELLED")
"""The caller went away."""
DEFECT: Final = Outcome("INTERNAL", "DEFECT")
"""Something was raised that is no error of hashmatch's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is known of a call whatever becomes of it. ``elapsed_us`` is the time from the call to its outcome.

    ``sets`` are the names that the call was restricted to, None for all sets.
    """

    caller: str
    sets: tuple[str, ...] | None
    elapsed_us: int
    outcome: Outcome

    def words(self) -> Body:
        """Return it as it stands in a body."""
        known = self.sets is not None and self.outcome.status == "OK"  # a set that is not there is what somebody wrote
        sets: Body = {"sets": sorted(self.sets or ())} if known else {}
        return {"caller": self.caller, "elapsed_us": self.elapsed_us, **sets, **self.outcome.words()}


def of_image(asked: Asked, size_bytes: int, report: MatchReport | None, pseudonyms: Pseudonyms) -> Body:
    """Return the body for one image; ``report`` is None where there was none."""
    body = {**asked.words(), "bytes": size_bytes}
    if report is None:
        return body
    if report.digests is not None:
        body["request"] = pseudonyms.of_image(report.digests.sha256)
    return {**body, **_answer(report, pseudonyms)}


def divided(reports: Sequence[MatchReport]) -> list[tuple[int, ...]]:
    """Return the numbers of the reports that found something, in parts of at most :data:`MAX_HITS` hits; at least one.

    A report with more than that has a part to itself.
    """
    parts: list[tuple[int, ...]] = []
    part: list[int] = []
    hits = 0
    for number, report in enumerate(reports):
        if report.hits and hits + len(report.hits) > MAX_HITS and part:
            parts.append(tuple(part))
            part, hits = [], 0
        if report.hits:
            part.append(number)
            hits += len(report.hits)
    return [*parts, tuple(part)]


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of hashes, and what was answered; nothing, where it failed."""

    items: Sequence[Sequence[EntryHash]]
    reports: Sequence[MatchReport]


def of_batch(asked: Asked, batch: Batch, part: int, numbers: Sequence[int], pseudonyms: Pseudonyms) -> Body:
    """Return the body for one part of a batch: what it was, and the items ``numbers`` in which something was found."""
    verdicts = collections.Counter(report.verdict.value for report in batch.reports)
    found = [
        {
            "item": number,
            "request": pseudonyms.of_hashes(batch.items[number]),
            **_answer(batch.reports[number], pseudonyms),
        }
        for number in numbers
    ]
    return {
        **asked.words(),
        "items": len(batch.items),
        "hashes": sum(map(len, batch.items)),
        "verdicts": dict(sorted(verdicts.items())),
        "generation": batch.reports[0].generation if batch.reports else "",
        "part": part,
        "found": found,
    }


def of_access(callers: int, sha256: str, changes: Iterable[Mapping[str, object]] = ()) -> Body:
    """Return the body for who may call; what does not fit into a record is told by name, or counted as ``more``."""
    told: list[Mapping[str, object]] = []
    room, more = MAX_CHANGES_BYTES, 0
    for change in changes:
        fits = next((text for text in (change, _named(change)) if len(canonical(text)) <= room), None)
        if fits is None:
            more += 1
            continue
        told.append(fits)
        room -= len(canonical(fits))
    body: Body = {"callers": callers, "sha256": sha256}
    return body | ({"changes": told} if told else {}) | ({"more": more} if more else {})


def _named(change: Mapping[str, object]) -> Mapping[str, object]:
    return {"name": change["name"], "change": change["change"]}


@dataclass(slots=True)
class Checked:
    """What a call made of addresses: never one of them."""

    addresses: int
    respect_robots: bool
    images: int = 0
    outcomes: collections.Counter[str] = field(default_factory=collections.Counter)

    def begun(self) -> Body:
        """Return the body for the beginning."""
        return {"addresses": self.addresses, "respect_robots": self.respect_robots}

    def ended(self, asked: Asked) -> Body:
        """Return the body for the end; an address without an outcome was not answered for."""
        outcomes = dict(sorted(self.outcomes.items()))
        return {**asked.words(), **self.begun(), "images": self.images, "outcomes": outcomes}


def _answer(report: MatchReport, pseudonyms: Pseudonyms) -> Body:
    """Return what was answered, without a word of what it was answered about."""
    hits = [_hit(hit, pseudonyms) for hit in report.hits[:MAX_HITS]]
    reason: Body = {} if report.reason is None else {"reason": report.reason.value}
    more: Body = {"more_hits": True} if report.truncated or len(report.hits) > MAX_HITS else {}
    return {
        "generation": report.generation,
        "verdict": report.verdict.value,
        "rule": report.rule,
        "hits": hits,
        **reason,
        **more,
    }


def _hit(hit: Hit, pseudonyms: Pseudonyms) -> Body:
    entry = hit.entry
    return {
        "set": entry.set_name,
        "set_id": entry.set_id,
        "set_version": entry.set_version,
        "entry": pseudonyms.of_entry(entry.set_id, entry.entry_id),
        "algorithm": hit.algorithm,
        "distance": hit.distance,
        "verdict": hit.verdict.value,
        "rule": hit.rule,
    }
