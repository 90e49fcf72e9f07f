"""Letters to people: a notice to who hosts a file, or what a provider tells the police, in HTML and as plain text.

Theory of operation
-------------------
Who writes, and of what, decides to whom (:func:`audience_of`):

==========  ==========================================================================================================
host        a hotline to a hosting provider, of child sexual abuse or exploitation: Article 16 of the DSA
platform    a hotline to a platform, of anything else: Article 16 likewise, with the law of the domain
police      a provider of what it found on its own service, where a threat to life or safety is suspected: Article 18
authority   a provider of anything else, to whoever enforces the law of the domain
==========  ==========================================================================================================

A :class:`Letter` is made of phrases (``wording``) and of what the case says; the two templates only lay it out, so that
there is one layout per form and one table for the languages. Lines of the text have 78 columns at most: a longer
address goes on in the next line, between angle brackets, as RFC 3986 appendix C has it. Addresses are de-fanged, and
nothing in the HTML is a link or is loaded.

What a subject did and who it is stands in letters to the police and nowhere else. In notices of child sexual abuse
material nobody who told us is named (Article 16(2)(c) of the DSA).

What this module deliberately does not do: it calls a picture nothing that neither a person nor a list has said, gives
no legal advice, and repeats neither pictures nor hashes of other files. A hotline's letter is a notice; it writes none
to the police.

Source: Regulation (EU) 2022/2065, Articles 16 and 18, recital 56; reference formats §2.3, §6 and §8.
"""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Iterator
from typing import Final

import jinja2

from hashmatch.model import HarmDomain
from hashmatch.model.cases import Case, Document, Problem
from hashmatch.projections import basis, domains, places, wording
from hashmatch.projections.basis import Context
from hashmatch.projections.letter_parts import Audience, Letter, audience_of, letter_of
from hashmatch.sections import ReporterConfig

FORMAT: Final = "letter"
TITLE: Final = "letter"

COLUMNS: Final = 78
"""Of a line of the text: what a reply can still quote within RFC 5322's 78."""

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


def problems(case: Case, reporter: ReporterConfig, now: dt.datetime) -> Iterator[Problem]:
    """Yield every rule that the case or the reporter breaks; reporter fields begin with ``reporter.``."""
    audience = audience_of(case, reporter)
    yield from basis.time_problems(basis.times_of(case), now)
    for name in ("name", "email"):
        if not getattr(reporter, name):
            yield Problem(f"reporter.{name}", "required", "whoever gets a letter has to know whom to answer")
    yield from places.problems(case)
    yield from _notice_problems(case) if audience in _NOTICES else _information_problems(case)
    if case.domain is HarmDomain.OTHER and not _legal_basis(case):
        yield Problem("decision.legal_basis", "required", "the domain other has no law of its own; name it")
    yield from basis.length_problems((*_free_texts(case), ("note", case.note, 10_000)))
    if audience is not Audience.POLICE:
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
    return (("urgent", case.urgent, 2_000), ("platform", case.platform, 200), ("service", case.service, 200), *said)


def render(case: Case, context: Context) -> Document:
    """Return the letter as HTML; its part ``text`` is the same letter as plain text, its part ``subject`` the subject.

    Raises
    ------
    OutletForbidden
        A match of the case does not belong to its domain.
    BadReport
        The case breaks a rule, or there are no letters in the language.

    """
    domains.check_allowed(case, FORMAT)
    found = [*problems(case, context.reporter, context.now)]
    if context.language not in wording.LANGUAGES:
        known = ", ".join(wording.LANGUAGES)
        found.append(Problem("language", "known", f"{context.language!r} is none of {known}"))
    basis.refuse(found, TITLE)
    letter = letter_of(case, context)
    name = f"letter-{context.report_id}.{context.language}.html"
    parts = (("text", _text(letter)), ("subject", letter.subject.encode()))
    return Document(FORMAT, "text/html; charset=utf-8", name, _HTML.render(letter=letter).encode(), parts=parts)


def _text(letter: Letter) -> bytes:
    return _TEXT.render(letter=letter).encode()
