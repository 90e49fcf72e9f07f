"""What the projections share: the context of a rendering, rules that several formats have, and the refusal."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import itertools
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hashmatch.errors import BadReport
from hashmatch.model.cases import Case, Problem
from hashmatch.sections import ReporterConfig

CLOCK_SKEW: Final = dt.timedelta(minutes=5)
"""How far ahead of this machine's clock a time may be before it counts as in the future."""

_EMAIL: Final = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
_ADDRESSES: Final = (
    re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)"),
    re.compile(r"(?<![\w:])(?=[\da-fA-F:]*\d)[\da-fA-F]*:[\da-fA-F:]*(?:::|[\da-fA-F])(?!\w)"),
)
_PHONE: Final = re.compile(
    r"(?<![\w-])(?:"
    r"(?:\+|00)[1-9][\d ().-]{6,}\d"  # +31 20 123 4567, 0031 20 1234567
    r"|\(?0[1-9]\d{0,3}\)?[ /-]\d{3,4}[ -]?\d{3,5}"  # 020-1234567, (020) 123 4567, 06 12345678
    r"|0[1-9]\d{7,9}"  # 0612345678
    r"|0[1-9](?:[ .]\d\d){4}"  # 06 12 34 56 78
    r")(?!\w)"
)
_HANDLE: Final = re.compile(r"(?<![\w@/.])@[A-Za-z_]\w{2,}")


def _holds_address(text: str) -> bool:
    """Whether an IP address stands in the text; what only looks like one, such as a time of day, does not count."""
    for candidate in itertools.chain.from_iterable(pattern.findall(text) for pattern in _ADDRESSES):
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(candidate)
            return True
    return False


_PERSONAL: Final[tuple[tuple[str, Callable[[str], object]], ...]] = (
    ("an e-mail address", _EMAIL.search),
    ("an IP address", _holds_address),
    ("a telephone number", _PHONE.search),
    ("an account name", _HANDLE.search),
)


@dataclass(frozen=True, slots=True)
class Context:
    """What a rendering needs beside the case.

    ``report_id`` is a UUID of this report, the same each time it is rendered; ``language`` matters to letters only:
    en, nl, fr or de. ``recipient`` names whom a letter is for, and ``audience`` what he is, where that is not as
    ``letter_parts.audience_of`` has it.
    """

    reporter: ReporterConfig
    now: dt.datetime
    report_id: uuid.UUID
    language: str = "en"
    recipient: str = ""
    audience: str = ""


def refuse(problems: Sequence[Problem], title: str) -> None:
    """Raise the problems of a format, if there are any.

    Raises
    ------
    BadReport
        Its message has every problem, its field is that of the first.

    """
    if problems:
        told = "; ".join(f"{problem.field}: {problem.message} ({problem.rule})" for problem in problems)
        raise BadReport(f"{title}: {told}", field=problems[0].field)


def of_case(number: int, problem: Problem) -> Problem:
    """Return a problem of one of several cases; what is wrong with the reporter is of none."""
    if problem.field.startswith("reporter."):
        return problem
    return replace(problem, field=f"cases[{number}].{problem.field}")


def time_problems(times: Iterable[tuple[str, dt.datetime | None]], now: dt.datetime) -> Iterator[Problem]:
    """Yield what is wrong with the times of a case: no zone, or in the future. Fields are dotted names of the case."""
    for name, at in times:
        if at is None:
            continue
        if at.tzinfo is None:
            yield Problem(name, "zone", f"{at.isoformat()} has no zone; give an offset, such as Z or +01:00")
        elif at > now + CLOCK_SKEW:
            yield Problem(name, "future", f"{at.isoformat()} is in the future")


def times_of(case: Case) -> tuple[tuple[str, dt.datetime | None], ...]:
    """Every time that a case has, with its dotted name."""
    decision, subject = case.decision, case.subject
    events = () if subject is None else subject.network_events
    return (
        ("occurred_at", case.occurred_at),
        ("observed_at", case.observed_at),
        ("media.uploaded_at", case.media.uploaded_at),
        ("decision.decided_at", None if decision is None else decision.decided_at),
        ("decision.account_at", None if decision is None else decision.account_at),
        *((f"subject.network_events[{n}].at", event.at) for n, event in enumerate(events)),
    )


def length_problems(texts: Iterable[tuple[str, str, int]]) -> Iterator[Problem]:
    """Yield texts that are too long or hold control characters, given name, text and most characters."""
    for name, text, most in texts:
        if len(text) > most:
            yield Problem(name, "length", f"{len(text)} characters are too many; at most {most}")
        if any(not character.isprintable() and character not in "\n\t" for character in text):
            yield Problem(name, "characters", "control characters are not allowed")


PUBLISHED: Final = "this report is published"
SHARED: Final = "this document is passed on, and its readers are not known"


def personal_problems(texts: Iterable[tuple[str, str]], why: str) -> Iterator[Problem]:
    """Yield texts that seem to hold personal data, given name and text; the data itself is not repeated.

    ``why`` says what is done with the document, so that nothing of the kind has a place in it.
    """
    for name, text in texts:
        for what, holds in _PERSONAL:
            if holds(text):
                yield Problem(name, "personal data", f"seems to hold {what}; {why}: leave it out")
