"""What a letter says, before anything is laid out: pure functions from a case to headings, sentences and rows.

Theory of operation
-------------------
``_SECTIONS`` lists the sections of each audience in their order; a section with nothing to say is left out. Every value
of the case goes through ``wording.shown``, so that nothing in a letter is invisible.

What this module deliberately does not do: it escapes nothing (the HTML template does) and breaks no lines.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from hashmatch.model import HarmDomain, Verdict
from hashmatch.model.cases import Case, CaseMatch, Monetary, NetworkEvent, Subject, Visibility
from hashmatch.projections import domains, places
from hashmatch.projections.basis import Context
from hashmatch.projections.wording import Words, shown
from hashmatch.sections import ReporterConfig

Rows = tuple[tuple[str, str], ...]

_DIGESTS: Final[Mapping[str, str]] = MappingProxyType({"sha256": "SHA-256", "sha1": "SHA-1", "md5": "MD5"})
"""Hashes of the file that a recipient can compute himself, strongest first."""

_EVENTS: Final = frozenset({"login", "registration", "purchase", "upload", "other"})

_SEXUAL_ABUSE: Final = frozenset({HarmDomain.CSAM, HarmDomain.CSE_EXPLOITATIVE})


class Audience(enum.StrEnum):
    """Whom a letter is for."""

    HOST = "host"
    PLATFORM = "platform"
    POLICE = "police"
    AUTHORITY = "authority"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it: sentences, named values, requests, addresses."""

    heading: str
    paragraphs: tuple[str, ...] = ()
    rows: Rows = ()
    items: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A letter in one language."""

    language: str
    sender: tuple[str, ...]
    recipient: tuple[str, ...]
    date: str
    subject: str
    salutation: str
    opening: tuple[str, ...]
    sections: tuple[Section, ...]
    closing: str
    colon: str
    signature: tuple[str, ...]


def audience_of(case: Case, reporter: ReporterConfig) -> Audience:
    """Say whom a letter is for: a hotline gives notice to others, a provider informs of what is on its own service."""
    if reporter.hotline:
        return Audience.HOST if case.domain in _SEXUAL_ABUSE else Audience.PLATFORM
    return Audience.POLICE if case.domain in domains.ALLOWED["dsa18"] else Audience.AUTHORITY


def letter_of(case: Case, context: Context) -> Letter:
    """Return what a letter about a case says; the case has no problems."""
    words, reporter = Words(context.language), context.reporter
    audience = audience_of(case, reporter)
    sections = (make(case, context, words) for make in _SECTIONS[audience])
    return Letter(
        language=context.language,
        sender=_lines((reporter.name, reporter.address, reporter.contact_information, reporter.email, reporter.phone)),
        recipient=_lines((context.recipient,)),
        date=words.day(context.now.date()),
        subject=words(f"subject.{audience.value}", about=words(f"domain.{case.domain.value}")),
        salutation=words("salutation"),
        opening=tuple(_opening(case, context, words, audience)),
        sections=tuple(section for section in sections if section is not None),
        closing=words("closing"),
        colon=words("colon"),
        signature=_lines((_person(reporter), reporter.contact_point, reporter.name)),
    )


def _said(text: str) -> str:
    """Return a text of the caller's: nothing in it is invisible, and no program follows an address in it."""
    return shown(places.unlinked(text))


def _lines(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(shown(line) for text in texts for line in text.splitlines() if line.strip())


def _person(reporter: ReporterConfig) -> str:
    return " ".join(filter(None, (reporter.first_name, reporter.last_name)))


def _opening(case: Case, context: Context, words: Words, audience: Audience) -> Iterator[str]:
    yield words(f"opening.{audience.value}", reporter=shown(context.reporter.name))
    if case.urgent:
        yield words("urgent", reason=_said(" ".join(case.urgent.split())))
        if audience is Audience.POLICE and case.domain is HarmDomain.TVEC:
            yield words("imminent_threat")
    if case.domain is not HarmDomain.OTHER:
        yield words(f"law.{case.domain.value}")
    if case.decision is not None and case.decision.legal_basis:
        yield words("legal_basis", basis=shown(case.decision.legal_basis))


# --- sections ----------------------------------------------------------------------------------------------------


def _found(case: Case, context: Context, words: Words) -> Section:
    how = words("how.automated") if case.automated_detection and case.matches else words("how.other")
    seen = words("seen.yes") if case.viewed_by_human else words("seen.no")
    paragraphs = (f"{how} {seen}", *_reasons(case))
    return Section(words("heading.found"), paragraphs, tuple(_facts(case, context, words)))


def _reasons(case: Case) -> Iterator[str]:
    """Yield why it is held to be illegal, as the caller says it (Article 16(2)(a), recital 56)."""
    if case.decision is not None:
        for text in (case.decision.explanation, case.decision.facts):
            yield from (_said(line) for line in text.splitlines() if line.strip())


def _facts(case: Case, context: Context, words: Words) -> Iterator[tuple[str, str]]:
    yield words("label.report"), str(context.report_id)
    yield words("label.case"), shown(case.case_id)
    yield words("label.occurred"), words.moment(case.occurred_at)
    yield words("label.observed"), words.moment(case.observed_at)
    if case.platform or case.service:
        yield words("label.platform"), shown(", ".join(filter(None, (case.platform, case.service))))
    media = case.media
    if media.mime:
        yield words("label.kind"), shown(media.mime)
    if media.size_bytes:
        yield words("label.size"), words("bytes", number=words.number(media.size_bytes))
    if media.width_px and media.height_px:
        yield words("label.pixels"), f"{words.number(media.width_px)} × {words.number(media.height_px)}"  # noqa: RUF001
    if media.created_with_ai:
        yield words("label.ai"), words("yes")
    hashes = {item.algorithm: item.hex for item in case.hashes}
    yield from ((label, hashes[name]) for name, label in _DIGESTS.items() if name in hashes)
    if case.classification:
        yield words("label.classification"), shown(case.classification)
    for match in case.matches:
        if match.domain is case.domain:
            yield words("label.match"), _match(match, words)


def _match(match: CaseMatch, words: Words) -> str:
    """Return which list was met and how near; not which entry, whose id may be made of a hash."""
    key = "match.sure" if match.verdict is Verdict.MATCH else "match.possible"
    return words(
        key,
        list=shown(match.list_name),
        version=words.number(match.list_version),
        algorithm=shown(match.algorithm),
        distance=words.number(match.distance),
        most=words.number(match.max_distance),
    )


def _where(case: Case, context: Context, words: Words) -> Section:
    del context
    own = case.locator.content_ref or case.item_id
    rows = [(words("label.reference"), _said(own))] if own else []
    if case.locator.ip:
        rows.append((words("label.host_ip"), case.locator.ip))
    urls = tuple(shown(places.defanged(url)) for url in case.locator.urls)
    return Section(words("heading.where"), (words("defanged"),) if urls else (), tuple(rows), places=urls)


def _notifier(case: Case, context: Context, words: Words) -> Section:
    """Article 16(2)(c) and (d)."""
    if case.domain is HarmDomain.CSAM:
        return Section(words("heading.notifier"), (words("anonymous"), words("good_faith")))
    name, email = context.reporter.name, context.reporter.email
    if case.notifier is not None and case.notifier.name and case.notifier.email:
        name, email = case.notifier.name, case.notifier.email
    rows = ((words("label.name"), shown(name)), (words("label.email"), shown(email)))
    return Section(words("heading.notifier"), (words("good_faith"),), rows)


def _requests(case: Case, context: Context, words: Words) -> Section:
    del context
    first = "ask.remove_abuse" if case.domain in _SEXUAL_ABUSE else "ask.remove"
    keys = (first, "ask.receipt", "ask.decision", "ask.automation")
    return Section(words("heading.ask"), items=tuple(words(key) for key in keys))


def _measures(case: Case, context: Context, words: Words) -> Section | None:
    del context
    decision = case.decision
    if decision is None:
        return None
    kinds = (
        ("visibility", decision.visibility),
        ("account", decision.account),
        ("provision", decision.provision),
        ("monetary", decision.monetary),
    )
    rows = [(words(f"label.{kind}"), words(f"{kind}.{done.value}")) for kind, done in kinds if done is not None]
    others = (
        (decision.visibility is Visibility.OTHER, decision.others.visibility),
        (decision.monetary is Monetary.OTHER, decision.others.monetary),
    )
    rows += [(words("label.other"), _said(text)) for chosen, text in others if chosen and text]
    if decision.decided_at is not None:
        rows.append((words("label.decided"), words.moment(decision.decided_at)))
    return Section(words("heading.measures"), rows=tuple(rows)) if rows else None


def _person_concerned(case: Case, context: Context, words: Words) -> Section | None:
    """Information to locate the recipient of the service (recital 56); for the police only."""
    del context
    if case.subject is None:
        return None
    return Section(words("heading.subject"), rows=tuple(_subject(case.subject, words)))


def _subject(subject: Subject, words: Words) -> Iterator[tuple[str, str]]:
    single = (
        ("account_id", subject.account_id),
        ("screen_name", subject.screen_name),
        ("profile", places.defanged(subject.profile_url)),
        ("note", places.unlinked(" ".join(subject.note.split()))),
    )
    several = (("display_name", subject.display_names), ("email", subject.emails), ("phone", subject.phones))
    yield from ((words(f"label.{key}"), shown(text)) for key, text in single if text)
    yield from ((words(f"label.{key}"), shown(text)) for key, texts in several for text in texts)
    yield from ((words("label.network"), _event(event, words)) for event in subject.network_events)


def _event(event: NetworkEvent, words: Words) -> str:
    facts = [shown(event.ip)]
    if event.port is not None:
        facts.append(words("port", number=event.port))
    if event.event:
        facts.append(words(f"event.{event.event}") if event.event in _EVENTS else shown(event.event))
    if event.at is not None:
        facts.append(words.moment(event.at))
    if event.possible_proxy:
        facts.append(words("proxy"))
    return "; ".join(facts)


def _further(case: Case, context: Context, words: Words) -> Section | None:
    del context
    rows = []
    if case.media.file_name:
        rows.append((words("label.file_name"), shown(case.media.file_name)))
    if states := (case.member_states or case.territorial_scope):
        rows.append((words("label.states"), shown(", ".join(states))))
    rows += [(words("label.prior"), shown(f"{prior.authority}: {prior.reference}")) for prior in case.prior_reports]
    said = tuple(_said(line) for line in case.note.splitlines() if line.strip())
    return Section(words("heading.further"), said, tuple(rows)) if rows or said else None


_SECTIONS: Final[Mapping[Audience, tuple[Callable[[Case, Context, Words], Section | None], ...]]] = MappingProxyType(
    {
        Audience.HOST: (_found, _where, _notifier, _requests),
        Audience.PLATFORM: (_found, _where, _notifier, _requests),
        Audience.POLICE: (_found, _where, _measures, _person_concerned, _further),
        Audience.AUTHORITY: (_found, _where, _measures),
    }
)
