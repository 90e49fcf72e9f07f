"""The look for personal data in texts that are published: what it finds, and what only looks like it."""

from __future__ import annotations

import pytest

from hashmatch.projections.basis import PUBLISHED, personal_problems


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("reported by a.b+c@example.org", "an e-mail address"),
        ("uploaded from 192.0.2.1.", "an IP address"),
        ("uploaded from 192.0.2.1:8080", "an IP address"),
        ("see http://192.0.2.1/", "an IP address"),
        ("uploaded from 2001:db8::1", "an IP address"),
        ("uploaded from [2001:db8:0:0:0:0:0:1]:443", "an IP address"),
        ("in 2001:db8::", "an IP address"),
        ("at 2001:db8::1: twice", "an IP address"),
        ("+31 20 123 4567", "a telephone number"),
        ("0031 20 1234567", "a telephone number"),
        ("call +3120-1234567.", "a telephone number"),
        ("020-1234567", "a telephone number"),
        ("(020) 123 4567", "a telephone number"),
        ("06 12345678", "a telephone number"),
        ("0612345678", "a telephone number"),
        ("06 12 34 56 78", "a telephone number"),
        ("posted by @some_one", "an account name"),
        ("(@some_one)", "an account name"),
    ],
)
def test_personal_data_is_found_and_not_repeated(text: str, what: str) -> None:
    why = "this document is passed on"
    (problem,) = personal_problems([("decision.facts", text)], why)
    assert (problem.field, problem.rule) == ("decision.facts", "personal data")
    assert problem.message == f"seems to hold {what}; {why}: leave it out"


@pytest.mark.parametrize(
    "text",
    [
        "Directive 2011/93/EU Art. 5",
        "Regulation (EC) No 338/97 Art. 8",
        "Art. 3(5)(c)",
        "on 01.02.2025 10:30",
        "on 01-02-2025 10:30",
        "at 12:30:45",
        "2025-09-01T12:00:00+01:00",
        "version 1.2.3",
        "clause 1.2.3.4.5",
        "clause 999.1.2.3",
        "PDQ distance 4 of 31",
        "add::bad and std::vector",
        "user at example dot org",
        "a@b",
        "logo @2x",
        "https://example.org/@someone",
        "EAN 4006381333931",
        "price 0.50, item 000123456",
        "hm-0001",
    ],
)
def test_what_only_looks_like_it_passes(text: str) -> None:
    assert list(personal_problems([("decision.facts", text)], PUBLISHED)) == []


def test_every_kind_is_told_once_per_text() -> None:
    texts = [("a", "@some_one wrote to x@example.org and y@example.org"), ("b", "nothing")]
    assert [(problem.field, problem.message.split(";")[0]) for problem in personal_problems(texts, PUBLISHED)] == [
        ("a", "seems to hold an e-mail address"),
        ("a", "seems to hold an account name"),
    ]
