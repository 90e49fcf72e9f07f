"""Whom to tell of what was found: items of a job, as facts of cases, in one group per recipient (pure).

Theory of operation
-------------------
Whom to tell is the abuse contact of the address that served the picture; where none is known, the network's autonomous
system; where that is not known either, the host by its name. A content delivery network is told like a host, at its own
contact, and every document to it asks for the origin (``Locator.cdn``). One picture on one host is one case with all
addresses at which it lies there. A redirect is followed: the host that served the picture is told, not the one that
pointed to it.

Facts say what the check saw and what the caller says, and nothing else: when it was fetched, from where, that anybody
can fetch it, and the digest of its evidence. Whether a person has looked is the caller's word and has no default. A
picture in lists of several domains is told in that of its strongest match.

A :class:`Draft` has a key made of job, host, picture and addresses, so that preparing it again opens nothing again.

What this module deliberately does not do: it renders nothing, opens no case, and knows no outlet.

Source: reference formats §4.4: one hoster, one mail with n URLs.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hashmatch.hotline.jobs.gravity import MATCHED
from hashmatch.hotline.jobs.job_states import Origin
from hashmatch.model import HarmDomain, MatchReport
from hashmatch.model.cases import Decision, Facts, Locator, Source
from hashmatch.model.hotline import Item, Outcome, Place
from hashmatch.projections.places import host_of

MAX_URLS: Final = 1_000
"""Addresses of one case, as ``cases.facts`` has it; a picture at more of them is several cases."""
MAX_REFERENCE: Final = 2_000
"""Characters of a page's address that is given as a reference; a longer one is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What only the caller knows, of every picture alike. ``classification`` is the caller's own (``Case``)."""

    viewed_by_human: bool
    exif_viewed: bool
    classification: str = ""
    legal_basis: str = ""
    explanation: str = ""
    include_possible: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """One picture on one host: a case that can be opened. ``items`` are the rows that it is made of."""

    key: str
    facts: Facts
    report: MatchReport
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Everything that one recipient is told. ``contact`` is empty where none is known; ``name`` says who it is."""

    contact: str
    name: str
    drafts: tuple[Draft, ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts, each once, in their order."""
        return tuple(dict.fromkeys(draft.facts.platform for draft in self.drafts))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An item that nobody is told of, and why."""

    item: Item
    reason: str


@dataclass(frozen=True, slots=True)
class Grouped:
    """The result: groups in the order of their names, and what is in none."""

    groups: tuple[Group, ...]
    left_out: tuple[LeftOut, ...]


def job_id(origin: Origin) -> str:
    """Return what names a job: the list that it is about, and when it was made."""
    return hashlib.sha256(f"{origin.list_sha256} {origin.created_at.isoformat()}".encode()).hexdigest()[:32]


def grouped(job: str, items: Iterable[Item], said: Said) -> Grouped:
    """Group what matched by whom to tell.

    Parameters
    ----------
    job : str
        As :func:`job_id` has it.
    items : iterable of Item
        Of the job; those that did not match are passed over.
    said : Said
        What the caller says.

    """
    outcomes = MATCHED if said.include_possible else {Outcome.MATCH}
    found: dict[tuple[str, str], dict[tuple[str, bytes], list[Item]]] = {}
    left_out: list[LeftOut] = []
    for item in items:
        if item.outcome not in outcomes:
            continue
        if reason := _unfit(item):
            left_out.append(LeftOut(item, reason))
            continue
        report = _report_of(item)
        digest = report.digests.sha256 if report.digests else b"".join(value.value for value in report.hashes)
        pictures = found.setdefault(_recipient(item), {})
        pictures.setdefault((host_of(address(item)), digest), []).append(item)
    groups = (
        Group(contact, name, tuple(_drafts(job, pictures, said))) for (contact, name), pictures in sorted(found.items())
    )
    return Grouped(tuple(groups), tuple(left_out))


def divided(drafts: Sequence[Draft], most_cases: int, most_urls: int) -> tuple[tuple[Draft, ...], ...]:
    """Divide what one recipient is told into documents: one domain each, and so many cases and addresses at most."""
    documents: list[tuple[Draft, ...]] = []
    for domain in sorted({_domain(draft) for draft in drafts}):
        kept: list[Draft] = []
        urls = 0
        for draft in (one for one in drafts if _domain(one) == domain):
            size = len(draft.facts.locator.urls)
            if kept and (len(kept) == most_cases or urls + size > most_urls):
                documents.append(tuple(kept))
                kept, urls = [], 0
            kept.append(draft)
            urls += size
        documents.append(tuple(kept))
    return tuple(documents)


def address(item: Item) -> str:
    """Return where a picture lies: where it came from in the end; of one inside a page, the page."""
    final = item.fetched.final_url if item.url and item.fetched is not None else ""
    return final or item.url or item.page_url


def _unfit(item: Item) -> str:
    """Say why an item cannot be told; empty where it can."""
    if item.report is None:
        return "nothing says what was found; check the address again"
    if not item.report.receipt:
        return "its match has no receipt, and only who made the match can open a case of it; check the address again"
    if item.report.strongest() is None:
        return "the answer names no match: whoever asked may see the verdict only"
    if not host_of(address(item)):
        return "it has no address that a host could be told"
    return ""


def _report_of(item: Item) -> MatchReport:
    if item.report is None:  # _unfit was asked before
        raise ValueError(item.number)
    return item.report


def _domain(draft: Draft) -> HarmDomain:
    if draft.facts.domain is None:  # every draft has one
        raise ValueError(draft.key)
    return draft.facts.domain


def _recipient(item: Item) -> tuple[str, str]:
    """Return the contact, empty where none is known, and a name for whoever that is."""
    place = item.place or Place("")
    if place.abuse:
        return place.abuse.lower(), place.abuse.lower()
    if place.asn is not None:
        return "", f"AS{place.asn} {place.as_name}".rstrip()
    return "", host_of(address(item))


def _drafts(job: str, pictures: dict[tuple[str, bytes], list[Item]], said: Said) -> Iterator[Draft]:
    for (host, digest), items in sorted(pictures.items()):
        by_url: dict[str, Item] = {}
        for item in items:
            by_url.setdefault(address(item), item)
        urls = sorted(by_url)
        for start in range(0, len(urls), MAX_URLS):
            some = urls[start : start + MAX_URLS]
            of_these = tuple(item for item in items if address(item) in set(some))
            key = hashlib.sha256("\0".join((job, host, digest.hex(), *some)).encode()).hexdigest()
            yield Draft(f"notice-{key}", _facts(host, some, of_these, said), _report_of(by_url[some[0]]), of_these)


def _facts(host: str, urls: Sequence[str], items: Sequence[Item], said: Said) -> Facts:
    first = next(item for item in items if address(item) == urls[0])
    report, place = _report_of(first), first.place or Place("")
    hit = report.strongest()
    seen = min(_seen(item) for item in items)
    page = next((item.page_url for item in items if item.page_url and item.page_url not in urls), "")
    stated = said.legal_basis or said.explanation
    return Facts(
        occurred_at=seen,
        observed_at=seen,
        viewed_by_human=said.viewed_by_human,
        exif_viewed=said.exif_viewed,
        domain=None if hit is None else hit.entry.domain,
        platform=host,
        locator=Locator(tuple(urls), page if len(page) <= MAX_REFERENCE else "", place.ip, place.cdn),
        publicly_available=True,
        source=Source.NOTICE,
        classification=said.classification,
        decision=Decision(legal_basis=said.legal_basis, explanation=said.explanation) if stated else None,
        evidence_ref=next((item.evidence for item in items if item.evidence), ""),
    )


def _seen(item: Item) -> dt.datetime:
    """Return when a picture was fetched."""
    at = item.fetched.ended_at if item.fetched is not None else None
    return at or _report_of(item).created_at
