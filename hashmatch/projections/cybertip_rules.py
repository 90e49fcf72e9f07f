"""What NCMEC demands of a CyberTip and its schema does not say: the rules, one table or function each.

Theory of operation
-------------------
:func:`case_problems` yields all that is wrong with one case, as sentences for whoever can put it right. The schema
lets pass: a report without the reporter's address, times without a zone or in the future, texts beyond NCMEC's limits,
a supplemental file with a classification, metadata that was viewed of a file that was not. NCMEC does not.

One rule of NCMEC needs no code: an address in ``emailIncident`` must be repeated among the people, and no such incident
is written here, because a case does not say of an address what part it had.

What this module deliberately does not do: it reads no clock and writes no XML.

Source: reference formats §2.1.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from hashmatch.model import HarmDomain
from hashmatch.model.cases import Account, Case, NetworkEvent, Problem
from hashmatch.projections.basis import CLOCK_SKEW, time_problems, times_of
from hashmatch.projections.cybertip_xml import MOST_ID, writable
from hashmatch.sections import ReporterConfig

INCIDENTS: Final[Mapping[HarmDomain, str]] = types.MappingProxyType(
    {
        HarmDomain.CSAM: "Child Pornography (possession, manufacture, and distribution)",
        HarmDomain.THB: "Child Sex Trafficking",
    }
)
"""Domain to the incident's type, as it is written. Other domains have none."""

CLASSIFICATIONS: Final = ("A1", "A2", "B1", "B2")
"""A: prepubescent, B: pubescent; 1: sexual act, 2: lascivious exhibition."""

ANNOTATIONS: Final = frozenset(
    {"sextortion", "csamSolicitation", "minorToMinorInteraction", "spam", "sadisticOnlineExploitation"}
)
"""What the schema of 2025-06 lets a report be marked with."""

EVENTS: Final[Mapping[str, str]] = types.MappingProxyType(
    {name.lower(): name for name in ("Login", "Registration", "Purchase", "Upload", "Other", "Unknown")}
)

NCMEC_NAMES: Final = frozenset({"ncmec", "cybertipline", "ncmec cybertipline"})
"""Authorities whose references are numbers of earlier CyberTips, in lower case."""

HASHES: Final[Mapping[str, tuple[str, int]]] = types.MappingProxyType(
    {"md5": ("MD5", 16), "sha1": ("SHA1", 20), "sha256": ("SHA256", 32), "pdq": ("PDQ", 32)}
)
"""Algorithm to the name that NCMEC knows it by, and its size in bytes. Others mean nothing there and are not sent."""

EARLIEST_YEAR: Final = 1970
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_URL_CHARACTERS: Final = 2_083


@dataclass(frozen=True, slots=True)
class Extras:
    """What a caller may say of a CyberTip and a case has no word for.

    ``annotations`` are marks of the whole report. ``newer`` allows marks that the schema of 2025-06 does not have, by
    name: whoever lists one vouches that NCMEC takes it. ``supplemental`` says that the file is not what is reported
    but belongs to it.
    """

    annotations: tuple[str, ...] = ()
    newer: frozenset[str] = frozenset()
    supplemental: bool = False


PLAIN: Final = Extras()


def case_problems(case: Case, now: dt.datetime, extras: Extras) -> Iterator[Problem]:
    """Yield every rule that a case breaks by itself."""
    yield from time_problems(times_of(case), now)
    yield from _chronology(case)
    yield from _texts(case)
    yield from _file(case, extras)
    yield from _subject(case)
    yield from _annotations(extras)


def reporter_problems(reporter: ReporterConfig) -> Iterator[Problem]:
    """Yield what is wrong with the configured reporter."""
    if not _EMAIL.fullmatch(reporter.email):
        told = f"{reporter.email!r} is no address" if reporter.email else "is not set"
        yield Problem("reporter.email", "reporting person", f"{told}; NCMEC takes no report without one")
    if reporter.country and not _COUNTRY.fullmatch(reporter.country):
        yield Problem("reporter.country", "country", f"{reporter.country!r} is no ISO 3166 alpha-2 code")
    for name, most in (
        ("first_name", 100), ("last_name", 100), ("address", 255), ("legal_url", _URL_CHARACTERS), ("platform", 256),
        ("esp_service", 100), ("name", 3_000), ("contact_point", 3_000), ("contact_information", 3_000),
        ("email", 255), ("phone", 255),
    ):  # fmt: skip
        yield from _text(f"reporter.{name}", getattr(reporter, name), most)


def _text(field: str, text: str, most: int) -> Iterator[Problem]:
    if len(text) > most:
        yield Problem(field, "length", f"{len(text)} characters are too many; at most {most}")
    if not writable(text):
        yield Problem(field, "characters", "holds a character that XML cannot carry")
    if text and not text.strip():
        yield Problem(field, "blank", "is only white space; leave it empty or say something")


def _texts(case: Case) -> Iterator[Problem]:
    decision = case.decision
    for field, text, most in (
        ("platform", case.platform, 256),
        ("service", case.service, 100),
        ("urgent", case.urgent, 3_000),
        ("media.file_name", case.media.file_name, 2_056),
        ("media.mime", case.media.mime, 255),
        ("item_id", case.item_id, 3_000),
        ("locator.content_ref", case.locator.content_ref, 3_000),
        ("source_identity", case.source_identity, 3_000),
        ("note", case.note, 100_000),
        ("case_id", case.case_id, 255),
        ("receipt_id", case.receipt_id, 255),
        ("decision.legal_basis", "" if decision is None else decision.legal_basis, 100_000),
        ("decision.others.visibility", "" if decision is None else decision.others.visibility, 3_000),
        *((f"locator.urls[{n}]", url, _URL_CHARACTERS) for n, url in enumerate(case.locator.urls)),
    ):
        yield from _text(field, text, most)
    for n, match in enumerate(case.matches):
        told = (match.list_name, match.list_id, match.entry_id, match.algorithm, match.transformation)
        labels = tuple(text for label in match.labels for text in (label.scheme, label.version, label.value))
        if not all(map(writable, told + labels)):
            yield Problem(f"matches[{n}]", "characters", "holds a character that XML cannot carry")


def _chronology(case: Case) -> Iterator[Problem]:
    for field, at in times_of(case):
        if at is not None and at.year < EARLIEST_YEAR:
            yield Problem(field, "past", f"{at.isoformat()} is before {EARLIEST_YEAR}")
    observed = case.observed_at
    for field, at in (("occurred_at", case.occurred_at), ("media.uploaded_at", case.media.uploaded_at)):
        if at is None or at.tzinfo is None or observed.tzinfo is None or at <= observed + CLOCK_SKEW:
            continue
        told = f"{at.isoformat()} is later than observed_at, {observed.isoformat()}: nothing is seen before it happens"
        yield Problem(field, "chronology", told)


def _file(case: Case, extras: Extras) -> Iterator[Problem]:
    if case.exif_viewed and not case.viewed_by_human:
        yield Problem(
            "viewed_by_human", "viewed", "must be true where exif_viewed is: metadata is viewed as part of the file"
        )
    if case.classification and case.classification not in CLASSIFICATIONS:
        told = f"{case.classification!r} is none of {', '.join(CLASSIFICATIONS)}"
        yield Problem("classification", "classification", told)
    if extras.supplemental and case.classification:
        yield Problem("classification", "supplemental", "a supplemental file is not classified; leave it empty")
    if extras.supplemental and case.potential_meme:
        yield Problem("potential_meme", "supplemental", "a supplemental file is not marked as a potential meme")
    if case.locator.ip and not _is_address(case.locator.ip):
        yield Problem("locator.ip", "address", "is no IPv4 or IPv6 address")
    for n, one in enumerate(case.hashes):
        if one.algorithm in HASHES and len(one.value) != (size := HASHES[one.algorithm][1]):
            told = f"a value of {one.algorithm} has {size} bytes, not {len(one.value)}"
            yield Problem(f"hashes[{n}].value", "size", told)


def _subject(case: Case) -> Iterator[Problem]:
    decision, subject = case.decision, case.subject
    if decision is not None and decision.account is None and decision.account_user_notified:
        told = "the user was told of a measure against the account, and there is none"
        yield Problem("decision.account_user_notified", "account", told)
    for n, prior in enumerate(case.prior_reports):
        number = prior.reference
        if prior.authority.lower() in NCMEC_NAMES and not is_report_id(number):
            yield Problem(f"prior_reports[{n}].reference", "report id", f"{number!r} is no number of a CyberTip")
        yield from _text(f"prior_reports[{n}].authority", prior.authority, 255)
        yield from _text(f"prior_reports[{n}].reference", number, 255)
    if subject is None:
        return
    for field, text, most in (
        ("account_id", subject.account_id, 255),
        ("screen_name", subject.screen_name, 256),
        ("profile_url", subject.profile_url, _URL_CHARACTERS),
        ("note", subject.note, 100_000),
        *((f"display_names[{n}]", text, 255) for n, text in enumerate(subject.display_names)),
        *((f"emails[{n}]", text, 255) for n, text in enumerate(subject.emails)),
        *((f"phones[{n}]", text, 255) for n, text in enumerate(subject.phones)),
    ):
        yield from _text(f"subject.{field}", text, most)
    for n, event in enumerate(subject.network_events):
        yield from _event(f"subject.network_events[{n}]", event)


def _event(field: str, event: NetworkEvent) -> Iterator[Problem]:
    if not _is_address(event.ip):
        yield Problem(f"{field}.ip", "address", "is no IPv4 or IPv6 address")
    if event.event and event.event not in EVENTS:
        yield Problem(f"{field}.event", "event", f"{event.event!r} is none of {', '.join(EVENTS)}")
    if event.port is not None and not 1 <= event.port <= 65_535:  # noqa: PLR2004
        yield Problem(f"{field}.port", "port", f"{event.port} is not within 1 and 65535")


def _annotations(extras: Extras) -> Iterator[Problem]:
    for name in extras.annotations:
        if name not in ANNOTATIONS | extras.newer or not _NAME.fullmatch(name):
            yield Problem(
                "annotations", "annotation",
                f"{name!r} is not in NCMEC's schema of 2025-06 ({', '.join(sorted(ANNOTATIONS))}); "
                "newer ones are allowed one by one",
            )  # fmt: skip
    if len(set(extras.annotations)) != len(extras.annotations):
        yield Problem("annotations", "annotation", "one is given twice")


def batch_problems(cases: tuple[Case, ...]) -> Iterator[Problem]:
    """Yield why cases cannot be told as one batched report: one viral file, several accounts, and nothing else."""
    if len(cases) < 2:  # noqa: PLR2004
        yield Problem("cases", "batch", f"a batch is several cases, not {len(cases)}")
        return
    seen: dict[str, int] = {}
    for n, case in enumerate(cases):
        account = "" if case.subject is None else case.subject.account_id
        wrong = [
            ("subject.account_id", "is needed: a batch names accounts and nothing else", not account),
            ("subject.account_id", f"is that of cases[{seen.get(account)}] too", account in seen),
            ("domain", f"{case.domain.value} is not reported in batches", case.domain is not HarmDomain.CSAM),
            ("viral", "neither viral nor potential_meme is true", not (case.viral or case.potential_meme)),
            ("urgent", "an urgent case is reported on its own", bool(case.urgent)),
            ("hashes", "no digest says that this is the file of cases[0]", not _same_file(case, cases[0])),
            *(
                (
                    field,
                    f"{said!r} differs from {first!r} in cases[0]; a batch says it of one file, once",
                    said != first,
                )
                for field, said, first in zip(_COMMON, _common(case), _common(cases[0]), strict=True)
            ),
        ]
        yield from (Problem(f"cases[{n}].{field}", "batch", told) for field, told, broken in wrong if broken)
        if account:
            seen.setdefault(account, n)


_COMMON: Final = (
    "platform", "viral", "potential_meme", "viewed_by_human", "exif_viewed", "classification", "publicly_available",
    "media.created_with_ai",
)  # fmt: skip


def _common(case: Case) -> tuple[object, ...]:
    return (
        case.platform, case.viral, case.potential_meme, case.viewed_by_human, case.exif_viewed, case.classification,
        case.publicly_available, case.media.created_with_ai,
    )  # fmt: skip


def _same_file(one: Case, other: Case) -> bool:
    """Whether a digest of both is equal and none differs."""
    values = {h.algorithm: h.value for h in one.hashes if h.algorithm in {"md5", "sha1", "sha256"}}
    both = [(values[h.algorithm], h.value) for h in other.hashes if h.algorithm in values]
    return bool(both) and all(a == b for a, b in both)


def account_element(account: Account) -> str:
    """Return the element that says what was done to an account."""
    return {
        Account.SUSPENDED: "accountTemporarilyDisabled",
        Account.TERMINATED: "accountPermanentlyDisabled",
    }[account]


def is_report_id(text: str) -> bool:
    """Whether a text is a number that NCMEC may have given to a report."""
    return text.isascii() and text.isdecimal() and len(text) <= 19 and 0 < int(text) <= MOST_ID  # noqa: PLR2004


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text
