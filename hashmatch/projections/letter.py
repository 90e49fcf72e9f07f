"""Letters to people: a notice to who hosts a file, or what a provider tells the police, in HTML and as plain text.

Theory of operation
-------------------
Who writes, and of what, decides to whom (:func:`audience_of`):

==========  ==========================================================================================================
host        a hotline to a hosting provider, of child sexual abuse or exploitation: Article 16 of the DSA
platform    a hotline to a platform, of anything else: Article 16 likewise, with the law of the domain
police      a provider of what it found on its own service, where a threat to life or safety is suspected: Article 18
authority   a provider of anything else, to whoever enforces the law of the domain
referral    a hotline to the police, where the caller asks for it (``Context.audience``), of what a provider would tell
            the police as well
==========  ==========================================================================================================

Several cases stand in one letter (:func:`render_many`) where they are of one domain and one law, and whoever gives
notice is the same; one that breaks a rule refuses all. A letter has at most :data:`MAX_CASES` of them and
:data:`MAX_URLS` addresses: somebody has to look at each.

A :class:`Letter` is made of phrases (``wording``) and of what the case says; the two templates only lay it out, so that
there is one layout per form and one table for the languages. Lines of the text have 78 columns at most: a longer
address goes on in the next line, between angle brackets, as RFC 3986 appendix C has it. Addresses are de-fanged, and
nothing in the HTML is a link or is loaded.

What a subject did and who it is stands in letters to the police and nowhere else. In notices of child sexual abuse
material nobody who told us is named (Article 16(2)(c) of the DSA).

What this module deliberately does not do: it calls a picture nothing that neither a person nor a list has said, gives
no legal advice, and repeats neither pictures nor hashes of other files. A hotline's letter is a notice unless its
caller asks for the police.

Source: Regulation (EU) 2022/2065, Articles 16 and 18, recital 56; reference formats §2.3, §6 and §8.
"""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

import jinja2

from hashmatch.errors import BadInput
from hashmatch.model import HarmDomain
from hashmatch.model.cases import Case, Document, Problem
from hashmatch.projections import basis, domains, places, wording
from hashmatch.projections.basis import Context
from hashmatch.projections.letter_parts import POLICE, Audience, Letter, audience_of, letter_of
from hashmatch.sections import ReporterConfig

FORMAT: Final = "letter"
TITLE: Final = "letter"

COLUMNS: Final = 78
"""Of a line of the text: what a reply can still quote within RFC 5322's 78."""

MAX_CASES: Final = 50
MAX_URLS: Final = 1_000
"""Of several cases together, as in a notice under Article 16."""

_PERSONAL: Final = frozenset({Audience.POLICE, Audience.REFERRAL})
"""Whose letters may hold personal data."""

_NOTICES: Final = frozenset({Audience.HOST, Audience.PLATFORM})


def wrapped(text: str, first: str = "", following: str = "") -> str:
    """Return a paragraph in lines of :data:`COLUMNS`, words that are longer broken."""
    return textwrap.fill(
        text, COLUMNS, initial_indent=first, subsequent_indent=following, break_on_hyphens=False, drop_whitespace=True
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hashmatch.projections"),
        autoescape=jinja2.select_autoescape(enabled_extensions=("html",), default=False),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    environment.filters["wrapped"] = wrapped
    return environment


_ENVIRONMENT: Final = _environment()
_HTML: Final = _ENVIRONMENT.get_template("letter.html")
_TEXT: Final = _ENVIRONMENT.get_template("letter.txt")


def problems(case: Case, reporter: ReporterConfig, now: dt.datetime, wanted: str = "") -> Iterator[Problem]:
    """Yield every rule that the case or the reporter breaks; reporter fields begin with ``reporter.``."""
    audience = audience_of(case, reporter, wanted)
    yield from basis.time_problems(basis.times_of(case), now)
    for name in ("name", "email"):
        if not getattr(reporter, name):
            yield Problem(f"reporter.{name}", "required", "whoever gets a letter has to know whom to answer")
    yield from places.problems(case)
    yield from _notice_problems(case) if audience in _NOTICES else _information_problems(case)
    if case.domain is HarmDomain.OTHER and not _legal_basis(case):
        yield Problem("decision.legal_basis", "required", "the domain other has no law of its own; name it")
    yield from basis.length_problems((*_free_texts(case), ("note", case.note, 10_000)))
    if audience not in _PERSONAL:
        said = ((name, text) for name, text, _ in _free_texts(case))
        yield from basis.personal_problems(said, "only letters to the police hold personal data")


def _reason_problems(case: Case, rule: str) -> Iterator[Problem]:
    """Ask for a list that knows the file, somebody who saw it, or the caller's own words."""
    explained = case.decision is not None and case.decision.explanation
    if places.strongest(case) is None and not case.viewed_by_human and not explained:
        yield Problem(
            "decision.explanation", rule, "no list knows the file and nobody saw it: say why it is held to be illegal"
        )


def _notice_problems(case: Case) -> Iterator[Problem]:
    if not case.locator.urls:
        yield Problem(
            "locator.urls", "Article 16(2)(b)", "a notice says exactly where the content is; give its address"
        )
    yield from _reason_problems(case, "Article 16(2)(a)")


def _information_problems(case: Case) -> Iterator[Problem]:
    if not (case.locator.urls or case.locator.content_ref or case.item_id):
        yield Problem("locator", "required", "say where the content is: an address, or your own reference of it")
    yield from _reason_problems(case, "recital 56")


def _legal_basis(case: Case) -> str:
    return "" if case.decision is None else case.decision.legal_basis


def _free_texts(case: Case) -> tuple[tuple[str, str, int], ...]:
    """Texts of the caller that every letter may hold: name, text, most characters."""
    decision = case.decision
    said = (
        ()
        if decision is None
        else (
            ("decision.legal_basis", decision.legal_basis, 500),
            ("decision.explanation", decision.explanation, 2_000),
            ("decision.facts", decision.facts, 5_000),
            ("decision.others.visibility", decision.others.visibility, 500),
            ("decision.others.monetary", decision.others.monetary, 500),
        )
    )
    cdn = ("locator.cdn", case.locator.cdn, 200)
    service = (("platform", case.platform, 200), ("service", case.service, 200))
    return (("urgent", case.urgent, 2_000), *service, cdn, *said)


def render(case: Case, context: Context) -> Document:
    """Return the letter as HTML; its part ``text`` is the same letter as plain text, its part ``subject`` the subject.

    Raises
    ------
    OutletForbidden
        A match of the case does not belong to its domain.
    BadReport
        The case breaks a rule, or there are no letters in the language.

    """
    _check_allowed(case, context)
    found = [*problems(case, context.reporter, context.now, context.audience), *_language_problems(context)]
    basis.refuse(found, TITLE)
    return _document(letter_of((case,), context), context)


def render_many(cases: Sequence[Case], context: Context) -> Document:
    """Return one letter about several cases, in their order.

    Raises
    ------
    BadInput
        There is no case, or there are more than :data:`MAX_CASES`, or more than :data:`MAX_URLS` addresses.
    OutletForbidden
        A match of one does not belong to its domain; ``field`` begins with ``cases[n]``.
    BadReport
        One breaks a rule, or is of another domain, law or notifier than the first; likewise.

    """
    if not 0 < len(cases) <= MAX_CASES:
        raise BadInput(f"cases: {len(cases)} are not within 1 and {MAX_CASES}; write several letters", field="cases")
    if (urls := sum(len(case.locator.urls) for case in cases)) > MAX_URLS:
        raise BadInput(f"cases: {urls} addresses are more than {MAX_URLS}; write several letters", field="cases")
    for case in cases:
        _check_allowed(case, context)
    of_each = dict.fromkeys(
        basis.of_case(n, problem)
        for n, case in enumerate(cases)
        for problem in problems(case, context.reporter, context.now, context.audience)
    )
    basis.refuse([*of_each, *_apart(cases), *_language_problems(context)], TITLE)
    return _document(letter_of(cases, context), context)


def _apart(cases: Sequence[Case]) -> Iterator[Problem]:
    """Yield what keeps cases from standing in one letter."""
    first = cases[0]
    for n, case in enumerate(cases):
        if case.domain is not first.domain:
            yield Problem(
                f"cases[{n}].domain",
                "one law",
                f"is {case.domain.value}, and that of cases[0] {first.domain.value}; write a letter for each",
            )
        if _legal_basis(case) != _legal_basis(first):
            yield Problem(
                f"cases[{n}].decision.legal_basis", "one law", "is not that of cases[0]; write a letter for each"
            )
        if case.notifier != first.notifier:
            yield Problem(f"cases[{n}].notifier", "one notifier", "is not that of cases[0]; write a letter for each")


def _check_allowed(case: Case, context: Context) -> None:
    domains.check_allowed(case, FORMAT)
    if context.audience == POLICE:
        domains.check_police(case)


def _language_problems(context: Context) -> Iterator[Problem]:
    if context.language not in wording.LANGUAGES:
        known = ", ".join(wording.LANGUAGES)
        yield Problem("language", "known", f"{context.language!r} is none of {known}")


def _document(letter: Letter, context: Context) -> Document:
    name = f"letter-{context.report_id}.{context.language}.html"
    parts = (("text", _text(letter)), ("subject", letter.subject.encode()))
    return Document(FORMAT, "text/html; charset=utf-8", name, _HTML.render(letter=letter).encode(), parts=parts)


def _text(letter: Letter) -> bytes:
    return _TEXT.render(letter=letter).encode()
