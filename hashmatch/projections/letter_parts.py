"""What a letter says, before anything is laid out: pure functions from a case to headings, sentences and rows.

Theory of operation
-------------------
``_OF_EACH`` and ``_OF_ALL`` list the sections of each audience in their order; a section with nothing to say is left
out. A letter about several cases has one section per case in place of what was found and where, and says once what is
the same for all. Every value of a case goes through ``wording.shown``, so that nothing in a letter is invisible.

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
    REFERRAL = "referral"
    """The police, by a hotline."""


POLICE: Final = "police"
"""What a caller may ask for in place of whom the letter is for by default."""

_TO_POLICE: Final = frozenset({Audience.POLICE, Audience.REFERRAL})


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


def audience_of(case: Case, reporter: ReporterConfig, wanted: str = "") -> Audience:
    """Say whom a letter is for: a hotline gives notice to others, a provider informs of what is on its own service.

    ``wanted`` may be :data:`POLICE`; whether the domain is one for the police is asked by ``letter``.
    """
    if wanted == POLICE:
        return Audience.REFERRAL if reporter.hotline else Audience.POLICE
    if reporter.hotline:
        return Audience.HOST if case.domain in _SEXUAL_ABUSE else Audience.PLATFORM
    return Audience.POLICE if case.domain in domains.ALLOWED["dsa18"] else Audience.AUTHORITY


def letter_of(cases: Sequence[Case], context: Context) -> Letter:
    """Return what a letter about cases says; they have no problems, and belong together."""
    case, words, reporter = cases[0], Words(context.language), context.reporter
    audience = audience_of(case, reporter, context.audience)
    subject = words(f"subject.{audience.value}", about=words(f"domain.{case.domain.value}"))
    if len(cases) > 1:
        subject = words("subject_several", subject=subject, number=words.number(len(cases)))
    sections = _single(case, context, words, audience) if len(cases) == 1 else _several(cases, context, words, audience)
    return Letter(
        language=context.language,
        sender=_lines((reporter.name, reporter.address, reporter.contact_information, reporter.email, reporter.phone)),
        recipient=_lines((context.recipient,)),
        date=words.day(context.now.date()),
        subject=subject,
        salutation=words("salutation"),
        opening=tuple(_opening(cases, context, words, audience)),
        sections=tuple(sections),
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


def _opening(cases: Sequence[Case], context: Context, words: Words, audience: Audience) -> Iterator[str]:
    case = cases[0]
    yield words(f"opening.{audience.value}", reporter=shown(context.reporter.name))
    for one in cases:
        if one.urgent:
            yield words("urgent", reason=_said(" ".join(one.urgent.split())))
    if audience in _TO_POLICE and case.domain is HarmDomain.TVEC and any(one.urgent for one in cases):
        yield words("imminent_threat")
    if case.domain is not HarmDomain.OTHER:
        yield words(f"law.{case.domain.value}")
    if case.decision is not None and case.decision.legal_basis:
        yield words("legal_basis", basis=shown(case.decision.legal_basis))


# --- sections ----------------------------------------------------------------------------------------------------


def _single(case: Case, context: Context, words: Words, audience: Audience) -> Iterator[Section]:
    yield _found(case, context, words)
    yield _where(case, context, words)
    yield from _of_each(case, context, words, audience)
    yield from _of_all((case,), context, words, audience)


def _several(cases: Sequence[Case], context: Context, words: Words, audience: Audience) -> Iterator[Section]:
    urls = sum(len(case.locator.urls) for case in cases)
    told = words("several", number=words.number(len(cases)), urls=words.number(urls))
    rows = ((words("label.report"), str(context.report_id)),)
    yield Section(words("heading.found"), (told, words("defanged")) if urls else (told,), rows)
    for number, case in enumerate(cases, 1):
        heading = words("heading.item", number=words.number(number), total=words.number(len(cases)))
        where = _where(case, context, words)
        facts = (*_facts(case, words), *where.rows)
        yield Section(heading, (_how(case, words), *_reasons(case)), facts, places=where.places)
        yield from _of_each(case, context, words, audience)
    yield from _of_all(cases, context, words, audience)


def _of_each(case: Case, context: Context, words: Words, audience: Audience) -> Iterator[Section]:
    made = (make(case, context, words) for make in _OF_EACH[audience])
    return (section for section in made if section is not None)


def _of_all(cases: Sequence[Case], context: Context, words: Words, audience: Audience) -> Iterator[Section]:
    return (make(cases, context, words) for make in _OF_ALL[audience])


def _found(case: Case, context: Context, words: Words) -> Section:
    rows = ((words("label.report"), str(context.report_id)), *_facts(case, words))
    return Section(words("heading.found"), (_how(case, words), *_reasons(case)), rows)


def _how(case: Case, words: Words) -> str:
    how = words("how.automated") if case.automated_detection and case.matches else words("how.other")
    seen = words("seen.yes") if case.viewed_by_human else words("seen.no")
    return f"{how} {seen}"


def _reasons(case: Case) -> Iterator[str]:
    """Yield why it is held to be illegal, as the caller says it (Article 16(2)(a), recital 56)."""
    if case.decision is not None:
        for text in (case.decision.explanation, case.decision.facts):
            yield from (_said(line) for line in text.splitlines() if line.strip())


def _facts(case: Case, words: Words) -> Iterator[tuple[str, str]]:
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
    if case.locator.cdn:
        rows.append((words("label.cdn"), _said(case.locator.cdn)))
    urls = tuple(shown(places.defanged(url)) for url in case.locator.urls)
    return Section(words("heading.where"), (words("defanged"),) if urls else (), tuple(rows), places=urls)


def _notifier(cases: Sequence[Case], context: Context, words: Words) -> Section:
    """Article 16(2)(c) and (d)."""
    case = cases[0]
    if case.domain is HarmDomain.CSAM:
        return Section(words("heading.notifier"), (words("anonymous"), words("good_faith")))
    name, email = context.reporter.name, context.reporter.email
    if case.notifier is not None and case.notifier.name and case.notifier.email:
        name, email = case.notifier.name, case.notifier.email
    rows = ((words("label.name"), shown(name)), (words("label.email"), shown(email)))
    return Section(words("heading.notifier"), (words("good_faith"),), rows)


def _requests(cases: Sequence[Case], context: Context, words: Words) -> Section:
    del context
    first = "ask.remove_abuse" if cases[0].domain in _SEXUAL_ABUSE else "ask.remove"
    origin = ("ask.origin",) if any(case.locator.cdn for case in cases) else ()
    keys = (first, *origin, "ask.receipt", "ask.decision", "ask.automation")
    return Section(words("heading.ask"), items=tuple(words(key) for key in keys))


def _asked_of_police(cases: Sequence[Case], context: Context, words: Words) -> Section:
    del cases, context
    return Section(words("heading.ask"), items=(words("ask.reference"), words("ask.hinder")))


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


_OF_EACH: Final[Mapping[Audience, tuple[Callable[[Case, Context, Words], Section | None], ...]]] = MappingProxyType(
    {
        Audience.HOST: (),
        Audience.PLATFORM: (),
        Audience.POLICE: (_measures, _person_concerned, _further),
        Audience.AUTHORITY: (_measures,),
        Audience.REFERRAL: (_person_concerned, _further),
    }
)
"""What stands behind where something is, for each case."""

_OF_ALL: Final[Mapping[Audience, tuple[Callable[[Sequence[Case], Context, Words], Section], ...]]] = MappingProxyType(
    {
        Audience.HOST: (_notifier, _requests),
        Audience.PLATFORM: (_notifier, _requests),
        Audience.POLICE: (),
        Audience.AUTHORITY: (),
        Audience.REFERRAL: (_asked_of_police,),
    }
)
"""What is said once, at the end."""
