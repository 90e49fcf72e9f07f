"""Facts that somebody made to hurt: each becomes a case that can be kept and told, or an error that names the field."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hashmatch.cases.facts import compose
from hashmatch.errors import BadInput
from hashmatch.model.cases import Case, Facts
from hashmatch.report.casework import case_from_proto, case_to_proto, facts_from_proto
from hashmatch.report.plain import from_plain, to_plain
from hashmatch.v1 import report_pb2
from tests.support import cases
from tests.support.cases import NOW

GOOD: dict[str, Any] = {
    "occurred_at": "2026-11-27T10:00:00+01:00",
    "observed_at": "2026-11-27T11:00:00+01:00",
    "viewed_by_human": True,
    "exif_viewed": False,
    "platform": "Example Pictures",
    "locator": {"urls": ["https://pictures.example.org/p/17"], "content_ref": "p17"},
    "decision": {
        "visibility": "removed",
        "decided_at": "2026-11-27T12:00:00Z",
        "ends_on": "2027-01-01",
        "labels": [{"scheme": "a", "version": "b", "value": "c"}],
        "others": {"keyword": "k"},
    },
    "subject": {
        "account_id": "user-17",
        "emails": ["somebody@example.org"],
        "network_events": [{"ip": "192.0.2.1", "at": "2026-11-27T09:00:00Z", "port": 443}],
    },
    "keep_subject": "case",
    "prior_reports": [{"authority": "police", "reference": "17"}],
    "territorial_scope": ["NL"],
    "language": "nl",
    "classification": "A1",
}

ELSEWHERE = {"viewed_by_human", "keep_subject", "facts", "locator", "domain"}
"""Fields that a rule about two of them names."""

TIMES = [
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
    *("2026-11-27T10:00:00", "2026-11-27", "\ud800", "24:00", "2026-11-27T10:00:00+23:59:59.999999"),
]
HOSTILE = st.one_of(
    st.sampled_from(TIMES),
    st.text(st.characters(), max_size=30),
    st.sampled_from(["", "\0", "\ud800", "a\udfff", "\u202e", "x" * 20_001]),
    st.integers() | st.sampled_from([2**31, 2**63, 2**64, -(2**70), 10**4_000]),
    st.floats(),
    st.none() | st.booleans(),
    st.sampled_from([[], {}, [[]], {"a": {}}, ["x"] * 1_001, {"\ud800": 1}, {"x" * 5_000: 1}, [None], [{}]]),
)


def deep(depth: int = 5_000) -> object:
    """Return lists within lists, deeper than Python nests calls."""
    value: object = "end"
    for _ in range(depth):
        value = [value]
    return value


def places(value: object, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value in a document."""
    found = [at] if at else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*at, key))
    return found


def changed(at: tuple[Any, ...], value: object) -> dict[str, Any]:
    """Return the good facts with one value put in place of another."""
    facts = copy.deepcopy(GOOD)
    inner: Any = facts
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    return facts


def named(error: BadInput) -> str:
    """Return the field at fault, which every error has, with a message that can be printed and is no document."""
    assert error.field
    assert len(error.message.encode()) < 5_000
    return error.field


def opened(facts: Facts) -> Case:
    """Open a case."""
    return compose(cases.CASE_ID, facts, cases.report(), "receipt-1", NOW)


def check(facts: object) -> str | None:
    """Open a case; return the field that was refused, or None where the case came back whole from everywhere."""
    try:
        case = opened(from_plain(Facts, facts, "facts"))
    except BadInput as error:
        return named(error)
    kept = json.dumps(to_plain(case)).encode()
    assert from_plain(Case, json.loads(kept)) == case
    assert case_from_proto(case_to_proto(case)) == case
    return None


def test_what_is_right_is_right() -> None:
    assert check(GOOD) is None


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(places(GOOD)), HOSTILE)
@example(("occurred_at",), TIMES[0])
@example(("decision", "decided_at"), TIMES[1])
@example(("subject", "network_events", 0, "port"), 2**40)
@example(("platform",), "\ud800")
def test_one_hostile_value_is_refused_by_name_or_harmless(at: tuple[Any, ...], value: object) -> None:
    field = check(changed(at, value))
    assert field is None or field.removeprefix("facts").lstrip(".").startswith(str(at[0])) or field in ELSEWHERE


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.recursive(HOSTILE, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)))
def test_any_document_is_refused_by_name(document: object) -> None:
    with pytest.raises(BadInput) as caught:
        from_plain(Facts, document, "facts")
    assert named(caught.value).startswith("facts")


REFUSED = {
    "a year before the first": (("occurred_at",), TIMES[0], "facts.occurred_at"),
    "a year after the last": (("observed_at",), TIMES[1], "facts.observed_at"),
    "half a character": (("locator", "content_ref"), "\ud800", "facts.locator.content_ref"),
    "half a character in a list": (("locator", "urls", 0), "a\udfff", "facts.locator.urls[0]"),
    "a port out of range": (("subject", "network_events", 0, "port"), 65_536, "subject.network_events[0].port"),
    "a number out of range": (("subject", "network_events", 0, "port"), 2**63, "facts.subject.network_events[0].port"),
    "no number": (("subject", "network_events", 0, "port"), float("nan"), "facts.subject.network_events[0].port"),
    "lists within lists": (("platform",), deep(), "facts.platform"),
    "a word that is a document": (("keep_subject",), {"a": deep()}, "facts.keep_subject"),
    "no reference": (("prior_reports", 0, "reference"), "", "prior_reports[0].reference"),
    "an empty address": (("subject", "network_events", 0, "ip"), "", "subject.network_events[0].ip"),
    "a long list": (("territorial_scope",), ["NL"] * 1_001, "territorial_scope"),
    "a long text in a list": (("subject", "emails", 0), "x" * 20_001, "subject.emails[0]"),
    "too much": (("locator", "urls"), ["x" * 600] * 1_000, "facts"),
}


def test_each_is_refused_by_its_name() -> None:
    assert {name: check(changed(at, value)) for name, (at, value, _) in REFUSED.items()} == {
        name: field for name, (_, _, field) in REFUSED.items()
    }


@settings(deadline=None)
@given(st.sampled_from(TIMES) | st.text(st.characters(codec="utf-8"), max_size=20), st.integers(0, 99), st.booleans())
def test_what_comes_over_the_wire_is_held_to_the_same(text: str, number: int, nested: bool) -> None:  # noqa: FBT001
    message = report_pb2.Facts(occurred_at=GOOD["occurred_at"], viewed_by_human=True, exif_viewed=False)
    message.locator.content_ref = "p17"
    text = text.encode("utf-8", "ignore").decode()
    if nested:
        event = message.subject.network_events.add(ip=text, port=number * 10_000_000)
        event.at = text
    else:
        message.occurred_at = text
        message.decision.visibility = number  # type: ignore[assignment]  # what a newer or hostile caller sends
    try:
        case = opened(facts_from_proto(message))
    except BadInput as error:
        field = named(error)
        wrong = ("network_events",) if nested else ("occurred_at", "decision.visibility")
        assert any(name in field for name in wrong)
    else:
        assert case_from_proto(case_to_proto(case)) == case
