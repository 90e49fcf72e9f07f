"""What is reported: the case record that every report format is a projection of (reference formats §1).

Theory of operation
-------------------
A :class:`Case` has two halves. What this service found comes from a match report by way of its signed receipt: hashes,
matches, what was decoded. What only the caller knows comes from the caller: when and where it happened, whether a
person has seen the picture, what was decided, whom it concerns. Nothing in it is a byte of an image.

``viewed_by_human`` and ``exif_viewed`` have no default anywhere on the way in: whether somebody has looked decides how
law enforcement may open a file, and nobody but the caller knows.

:class:`Subject` and the free texts may hold personal data. The subject is kept only as long as :class:`Keep` says.

What this module deliberately does not do: it knows no report format and no rule of one; ``projections`` does.
"""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, field
from typing import Final

from hashmatch.model.answers import Verdict
from hashmatch.model.entries import HarmDomain, Label


class ServiceKind(enum.StrEnum):
    """What kind of service the material was found on: scanning is regulated differently for each."""

    HOSTING = "hosting"
    """Content that is stored for, or shown to, an unlimited number of people."""
    INTERPERSONAL = "interpersonal"
    """Messages between a finite number of people."""
    MARKETPLACE = "marketplace"
    OTHER = "other"


class Source(enum.StrEnum):
    """How the provider became aware."""

    VOLUNTARY = "voluntary"
    ARTICLE_16 = "article_16"
    """A notice under Article 16 of the DSA."""
    TRUSTED_FLAGGER = "trusted_flagger"
    NOTICE = "notice"
    """Another notice: a user's, a hotline's."""
    ORDER = "order"
    """An order of an authority."""


class Automation(enum.StrEnum):
    """How far a decision was taken by machine. A hash match detects; it does not by itself decide."""

    FULLY = "fully"
    PARTIALLY = "partially"
    NOT = "not"


class Visibility(enum.StrEnum):
    """What was done to the content."""

    REMOVED = "removed"
    DISABLED = "disabled"
    DEMOTED = "demoted"
    AGE_RESTRICTED = "age_restricted"
    INTERACTION_RESTRICTED = "interaction_restricted"
    LABELLED = "labelled"
    OTHER = "other"
    """``OtherTexts.visibility`` says what."""


class Monetary(enum.StrEnum):
    """What was done to payments."""

    SUSPENDED = "suspended"
    TERMINATED = "terminated"
    OTHER = "other"
    """``OtherTexts.monetary`` says what."""


class Provision(enum.StrEnum):
    """What was done to the service as such, for this recipient."""

    PARTLY_SUSPENDED = "partly_suspended"
    PARTLY_TERMINATED = "partly_terminated"
    SUSPENDED = "suspended"
    TERMINATED = "terminated"


class AccountType(enum.StrEnum):
    """Whose account it is."""

    BUSINESS = "business"
    PRIVATE = "private"


class Account(enum.StrEnum):
    """What was done to the account."""

    SUSPENDED = "suspended"
    TERMINATED = "terminated"


class Ground(enum.StrEnum):
    """What a decision rests on."""

    ILLEGAL = "illegal"
    TERMS = "terms"
    """The content breaks the provider's own terms."""


class Keep(enum.StrEnum):
    """How long the subject's data stay here."""

    CALL = "call"
    """Not beyond the call that brought them: a report that is rendered in that call has them, a queued one has not."""
    DELIVERED = "delivered"
    """Until every delivery of the case has come to its end."""
    CASE = "case"
    """As long as the case."""


class CaseState(enum.StrEnum):
    """Where a case stands. ``service`` moves it; ``cases/states.py`` has the table."""

    OPEN = "open"
    CLOSED = "closed"
    """Every delivery has come to its end, or somebody closed it."""
    REJECTED = "rejected"
    """The match was wrong; nothing of it is delivered any more."""


@dataclass(frozen=True, slots=True)
class Locator:
    """Where it is: addresses, or the caller's own reference where there is none that others could use."""

    urls: tuple[str, ...] = ()
    content_ref: str = ""
    ip: str = ""
    """Address of the host that serves it, where a hotline knows one."""
    cdn: str = ""
    """Content delivery network whose address that is, which hides that of the origin; empty: none known."""


@dataclass(frozen=True, slots=True)
class CaseMedia:
    """The file. ``kind``: image for everything hashmatch matches; ``mime`` and dimensions are of what was decoded."""

    kind: str = "image"
    mime: str = ""
    size_bytes: int = 0
    width_px: int = 0
    height_px: int = 0
    frames: int = 0
    file_name: str = ""
    """As the uploader named it; the caller's word."""
    uploaded_at: dt.datetime | None = None
    created_with_ai: bool = False


@dataclass(frozen=True, slots=True)
class CaseHash:
    """One hash of the file; ``algorithm`` is a name of the algorithm table."""

    algorithm: str
    value: bytes
    quality: int | None = None

    @property
    def hex(self) -> str:
        """The value as lower-case hex."""
        return self.value.hex()


@dataclass(frozen=True, slots=True)
class CaseMatch:
    """One entry that the file met, as the match report said it."""

    list_name: str
    list_id: str
    list_version: int
    entry_id: str
    domain: HarmDomain
    algorithm: str
    distance: int
    max_distance: int
    transformation: str
    verdict: Verdict
    labels: tuple[Label, ...] = ()
    agree: int = 0
    disagree: int = 0
    disputed: bool = False
    terms: str = ""


@dataclass(frozen=True, slots=True)
class OtherTexts:
    """What is meant where a choice is "other"; no personal data."""

    visibility: str = ""
    monetary: str = ""
    keyword: str = ""
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the provider decided. Texts are for authorities and the public: no personal data."""

    visibility: Visibility | None = None
    account: Account | None = None
    account_at: dt.datetime | None = None
    account_user_notified: bool = False
    ground: Ground = Ground.ILLEGAL
    legal_basis: str = ""
    """The law, or the clause of the terms."""
    explanation: str = ""
    facts: str = ""
    decided_at: dt.datetime | None = None
    ends_on: dt.date | None = None
    """Of what was done to the content. None: for good."""
    redress: str = ""
    """How the decision can be contested."""
    account_type: AccountType | None = None
    account_ends_on: dt.date | None = None
    monetary: Monetary | None = None
    monetary_ends_on: dt.date | None = None
    provision: Provision | None = None
    provision_ends_on: dt.date | None = None
    reference_url: str = ""
    """Where the law or the terms can be read."""
    also_illegal: bool | None = None
    """Of content that breaks the terms: whether it is also held to be illegal. None: not said."""
    labels: tuple[Label, ...] = ()
    """The provider's own classification. Scheme ``dsa`` has categories, keywords and types of content."""
    others: OtherTexts = field(default_factory=OtherTexts)


@dataclass(frozen=True, slots=True)
class NetworkEvent:
    """An address seen in connection with the account. ``event``: login, registration, purchase, upload, other."""

    ip: str
    event: str = ""
    at: dt.datetime | None = None
    port: int | None = None
    possible_proxy: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom the report is about, as far as the caller says. Personal data."""

    account_id: str = ""
    screen_name: str = ""
    display_names: tuple[str, ...] = ()
    profile_url: str = ""
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    network_events: tuple[NetworkEvent, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Notifier:
    """Who gave the notice: needed by Article 16(2)(c) of the DSA, except for material under Directive 2011/93/EU."""

    name: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class PriorReport:
    """A report made before: to whom, and its number there."""

    authority: str
    reference: str
    country: str = ""
    """Of the authority, ISO 3166 alpha-2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One item and everything a report may say of it. All times carry a zone.

    ``urgent`` is the reason for urgency, empty when there is none: in most formats text makes the report urgent.
    ``classification`` is the reporter's own, in NCMEC's scheme (A1, A2, B1, B2), empty when not given; what lists say
    is in the labels of ``matches`` and is never converted. ``receipt_id`` names the match report it rests on.
    """

    case_id: str
    domain: HarmDomain
    occurred_at: dt.datetime
    observed_at: dt.datetime
    created_at: dt.datetime
    viewed_by_human: bool
    exif_viewed: bool
    platform: str = ""
    service: str = ""
    service_kind: ServiceKind = ServiceKind.HOSTING
    item_id: str = ""
    locator: Locator = field(default_factory=Locator)
    media: CaseMedia = field(default_factory=CaseMedia)
    hashes: tuple[CaseHash, ...] = ()
    matches: tuple[CaseMatch, ...] = ()
    receipt_id: str = ""
    generation: str = ""
    publicly_available: bool | None = None
    source: Source = Source.VOLUNTARY
    source_identity: str = ""
    automated_detection: bool = True
    automated_decision: Automation = Automation.NOT
    decision: Decision | None = None
    subject: Subject | None = None
    keep_subject: Keep = Keep.CALL
    notifier: Notifier | None = None
    territorial_scope: tuple[str, ...] = ()
    """ISO 3166 alpha-2 codes; GR for Greece."""
    language: str = ""
    """ISO 639-1 of the content."""
    urgent: str = ""
    viral: bool = False
    potential_meme: bool = False
    minor_involved: bool = False
    """For trafficking: a minor is advertised, which is what decides whether NCMEC may be told."""
    classification: str = ""
    prior_reports: tuple[PriorReport, ...] = ()
    evidence_ref: str = ""
    note: str = ""
    state: CaseState = CaseState.OPEN
    member_states: tuple[str, ...] = ()
    """Member States that a suspected crime concerns: where it took place, where an offender or a victim is."""
    ean13: str = ""
    """Of a product that is offered: its 13 digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the caller says. Fields are those of :class:`Case`, which says what they mean.

    ``viewed_by_human`` and ``exif_viewed`` have no default: nobody but the caller knows, and much depends on it.
    """

    occurred_at: dt.datetime
    viewed_by_human: bool
    exif_viewed: bool
    observed_at: dt.datetime | None = None
    domain: HarmDomain | None = None
    """Needed where the matches are of several."""
    platform: str = ""
    service: str = ""
    service_kind: ServiceKind = ServiceKind.HOSTING
    item_id: str = ""
    locator: Locator = field(default_factory=Locator)
    file_name: str = ""
    uploaded_at: dt.datetime | None = None
    created_with_ai: bool = False
    publicly_available: bool | None = None
    source: Source = Source.VOLUNTARY
    source_identity: str = ""
    automated_decision: Automation = Automation.NOT
    decision: Decision | None = None
    subject: Subject | None = None
    keep_subject: Keep = Keep.CALL
    notifier: Notifier | None = None
    territorial_scope: tuple[str, ...] = ()
    member_states: tuple[str, ...] = ()
    ean13: str = ""
    language: str = ""
    urgent: str = ""
    viral: bool = False
    potential_meme: bool = False
    minor_involved: bool = False
    classification: str = ""
    prior_reports: tuple[PriorReport, ...] = ()
    evidence_ref: str = ""
    note: str = ""


class OutletKind(enum.StrEnum):
    """Where a document may go."""

    CYBERTIPLINE = "cybertipline"
    DSA_DATABASE = "dsa-database"
    MAIL = "mail"
    WEBHOOK = "webhook"
    FOLDER = "folder"


class Environment(enum.StrEnum):
    """Which world an outlet belongs to. A delivery made for one can never go to the other."""

    TEST = "test"
    PRODUCTION = "production"


MAIL_PARTS: Final = frozenset({"text", "subject"})
"""Parts of a document that mail has beside its body. They say the body again, so that others lose nothing by them."""


@dataclass(frozen=True, slots=True)
class Document:
    """A report in one format: what a projection returns, and what an outlet sends, byte by byte.

    ``parts`` are further bodies of the same report that a protocol wants apart, by name, such as a CyberTip's
    ``fileDetails``.
    """

    format: str
    media_type: str
    file_name: str
    body: bytes
    parts: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a case cannot be reported in some format: the field of the case, the rule, and what would be right."""

    field: str
    rule: str
    message: str
