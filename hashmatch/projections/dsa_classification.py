"""What a statement of reasons is classified as: category, keywords and types of content.

Theory of operation
-------------------
Labels of scheme ``dsa`` on the decision say it; of what they say nothing, the domain's default holds. The first
category among them is the statement's, further ones are its additions; keywords take the place of the domain's. Types
of content are what the file is, a product where the service is a marketplace, and what labels add.

What this module deliberately does not do: it takes no label of a list for a classification by the provider.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from hashmatch.model.cases import Case, Decision, Problem, ServiceKind
from hashmatch.projections import dsa_terms as terms

_KINDS: Final = {
    "image": "CONTENT_TYPE_IMAGE",
    "video": "CONTENT_TYPE_VIDEO",
    "audio": "CONTENT_TYPE_AUDIO",
    "text": "CONTENT_TYPE_TEXT",
}


def problems(case: Case, decision: Decision) -> Iterator[Problem]:
    """Yield words that the schema does not have, and what is missing."""
    for index, label in enumerate(decision.labels):
        field = f"decision.labels[{index}]"
        if label.scheme != terms.SCHEME or label.value in terms.CATEGORIES | terms.KEYWORDS | terms.CONTENT_TYPES:
            continue
        if label.value in terms.REMOVED:
            yield Problem(field, "schema 2", f"{label.value} was removed from the schema on 2025-07-01")
        else:
            yield Problem(field, "schema 2", f"{label.value!r} is no category, keyword or type of content")
    if not _category(case, decision):
        message = f"the domain {case.domain.value} has no category of its own: give one as a label of scheme dsa"
        yield Problem("decision.labels", "category", message)
    if not _content_types(case, decision):
        message = f"{case.media.kind!r} is no type of content: give one as a label of scheme dsa"
        yield Problem("media.kind", "content type", message)
    for name, word, used, text in (
        ("keyword", terms.KEYWORD_OTHER, _keywords(case, decision), decision.others.keyword),
        ("content_type", terms.CONTENT_TYPE_OTHER, _content_types(case, decision), decision.others.content_type),
    ):
        if word in used and not text.strip():
            yield Problem(f"decision.others.{name}", "required", f"{word} is among the labels: say what is meant")
        if text and word not in used:
            yield Problem(f"decision.others.{name}", "other", f"says what is meant, and {word} is not among the labels")


def fields(case: Case, decision: Decision) -> dict[str, Any]:
    """Return the fields of a decision without problems."""
    return {
        "content_type": _content_types(case, decision),
        "content_type_other": decision.others.content_type,
        "category": _category(case, decision),
        "category_addition": _additions(case, decision),
        "category_specification": _keywords(case, decision),
        "category_specification_other": decision.others.keyword,
    }


def _given(decision: Decision, known: frozenset[str]) -> list[str]:
    """Return the decision's own words of one kind, each once, in their order."""
    return list(dict.fromkeys(x.value for x in decision.labels if x.scheme == terms.SCHEME and x.value in known))


def _category(case: Case, decision: Decision) -> str:
    given = _given(decision, terms.CATEGORIES)
    if given:
        return given[0]
    return terms.DEFAULTS[case.domain].category if case.domain in terms.DEFAULTS else ""


def _additions(case: Case, decision: Decision) -> list[str]:
    given = _given(decision, terms.CATEGORIES)
    return given[1:] if given else _default(case, lambda of: of.additions)


def _keywords(case: Case, decision: Decision) -> list[str]:
    synthetic = case.media.created_with_ai
    return _given(decision, terms.KEYWORDS) or _default(
        case, lambda of: of.synthetic if synthetic and of.synthetic else of.keywords
    )


def _default(case: Case, choose: Callable[[terms.Terms], tuple[str, ...]]) -> list[str]:
    return list(choose(terms.DEFAULTS[case.domain])) if case.domain in terms.DEFAULTS else []


def _content_types(case: Case, decision: Decision) -> list[str]:
    types = {_KINDS[case.media.kind]} if case.media.kind in _KINDS else set()
    if case.media.created_with_ai:
        types.add("CONTENT_TYPE_SYNTHETIC_MEDIA")
    if case.service_kind is ServiceKind.MARKETPLACE:
        types.add("CONTENT_TYPE_PRODUCT")
    return sorted(types | set(_given(decision, terms.CONTENT_TYPES)))
