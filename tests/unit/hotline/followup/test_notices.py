"""Whom to tell of what was found: grouping, facts, keys and documents."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hashmatch.hotline.followup import notices
from hashmatch.hotline.followup.notices import Said, divided, grouped, job_id
from hashmatch.hotline.jobs.job_states import Origin
from hashmatch.model import HarmDomain, Verdict
from hashmatch.model.cases import Locator, Source
from hashmatch.model.hotline import Item, Outcome, Place, Via
from tests.support import cases
from tests.support.hotline.found import CDN, HOSTER, NETWORK, SEEN, item, matched, possible

SAID = Said(viewed_by_human=False, exif_viewed=False)
A, B = matched("a"), matched("b")


def told(*items: Item, said: Said = SAID) -> list[tuple[str, str, list[tuple[str, tuple[str, ...]]]]]:
    found = grouped("job", items, said)
    return [
        (group.contact, group.name, [(draft.facts.platform, draft.facts.locator.urls) for draft in group.drafts])
        for group in found.groups
    ]


def test_who_is_told_is_the_contact_then_the_network_then_the_host() -> None:
    assert told(
        item(1, "https://a.example.org/1", A),
        item(2, "https://b.example.org/1", A, NETWORK),
        item(3, "https://c.example.org/1", A, Place("2001:db8::1")),
        item(4, "https://d.example.org/1", A, None),
        item(5, "https://e.example.org/1", A, replace(HOSTER, abuse="ABUSE@hoster.example")),
    ) == [
        ("", "AS64502 NOBODY-NET", [("b.example.org", ("https://b.example.org/1",))]),
        ("", "c.example.org", [("c.example.org", ("https://c.example.org/1",))]),
        ("", "d.example.org", [("d.example.org", ("https://d.example.org/1",))]),
        (
            "abuse@hoster.example",
            "abuse@hoster.example",
            [
                ("a.example.org", ("https://a.example.org/1",)),
                ("e.example.org", ("https://e.example.org/1",)),
            ],
        ),
    ]


def test_one_picture_on_one_host_is_one_case_with_every_address_once() -> None:
    rows = [
        item(3, "https://a.example.org/z", A),
        item(1, "https://a.example.org/y", A),
        item(2, "https://a.example.org/z", A, page_url="https://page.example.org/"),
        item(4, "https://a.example.org/x", B),
    ]
    (group,) = grouped("job", rows, SAID).groups
    assert group.hosts == ("a.example.org",)
    assert sorted(draft.facts.locator.urls for draft in group.drafts) == [
        ("https://a.example.org/x",),
        ("https://a.example.org/y", "https://a.example.org/z"),
    ]
    assert grouped("job", rows[::-1], SAID).groups[0].drafts[0].key == group.drafts[0].key, "whatever the order"


def test_facts_are_what_the_check_saw_and_what_the_caller_says() -> None:
    said = Said(viewed_by_human=True, exif_viewed=False, classification="A1", legal_basis="An Act", explanation="why")
    row = item(7, "https://a.example.org/1", A, CDN, page_url="https://page.example.org/p")
    ((draft,),) = (group.drafts for group in grouped("job", [row], said).groups)
    facts = draft.facts
    assert (facts.occurred_at, facts.observed_at) == (SEEN, SEEN)
    assert (facts.viewed_by_human, facts.exif_viewed, facts.publicly_available) == (True, False, True)
    assert (facts.platform, facts.source, facts.domain) == ("a.example.org", Source.NOTICE, HarmDomain.CSAM)
    assert facts.locator == Locator(
        ("https://a.example.org/1",), "https://page.example.org/p", "198.51.100.7", "Example Delivery"
    )
    assert (facts.classification, facts.evidence_ref) == ("A1", f"{7:064x}")
    assert facts.decision is not None
    assert (facts.decision.legal_basis, facts.decision.explanation) == ("An Act", "why")
    ((bare,),) = (group.drafts for group in grouped("job", [row], SAID).groups)
    assert bare.facts.decision is None
    assert draft.key == bare.key, "what the caller says does not make another notice"


def test_the_host_that_served_it_is_told_and_not_the_one_that_pointed_there() -> None:
    assert told(item(1, "https://short.example.org/x", A, final="https://store.example.org/pic")) == [
        (
            "abuse@hoster.example",
            "abuse@hoster.example",
            [("store.example.org", ("https://store.example.org/pic",))],
        )
    ]


def test_a_picture_inside_a_page_is_at_the_address_of_the_page() -> None:
    row = item(1, "", A, page_url="https://page.example.org/p", via=Via.INLINE, fetched=None)
    ((_, _, drafts),) = told(row)
    assert drafts == [("page.example.org", ("https://page.example.org/p",))]


def test_possible_matches_are_told_only_where_that_is_asked_for() -> None:
    row = item(1, "https://a.example.org/1", possible(), outcome=Outcome.POSSIBLE_MATCH)
    assert told(row, item(2, "https://a.example.org/2", cases.report(), outcome=Outcome.NO_MATCH)) == []
    assert len(told(row, said=replace(SAID, include_possible=True))) == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (item(1, "https://a.example.org/1", None), "nothing says what was found; check the address again"),
        (item(1, "https://a.example.org/1", cases.report()), "its match has no receipt, and only who made the match"),
        (
            item(1, "https://a.example.org/1", replace(A, hits=(), reduced=True)),
            "the answer names no match: whoever asked may see the verdict only",
        ),
        (item(1, "", A, fetched=None), "it has no address that a host could be told"),
    ],
    ids=["no report", "no receipt", "reduced", "no address"],
)
def test_what_cannot_be_told_is_said(row: Item, reason: str) -> None:
    found = grouped("job", [row], SAID)
    assert found.groups == ()
    ((left),) = found.left_out
    assert left.item is row
    assert left.reason.startswith(reason)


def test_the_strongest_match_decides_the_domain() -> None:
    near = cases.hit(HarmDomain.TVEC, Verdict.POSSIBLE_MATCH, distance=0)
    sure = cases.hit(HarmDomain.NCII, distance=20)
    report = replace(A, hits=(near, sure))
    ((draft,),) = (group.drafts for group in grouped("job", [item(1, "https://a.example.org/", report)], SAID).groups)
    assert draft.facts.domain is HarmDomain.NCII


def test_documents_have_one_domain_and_are_bounded() -> None:
    rows = [item(n, f"https://a.example.org/{n}", matched(str(n))) for n in range(5)]
    rows += [item(9, "https://a.example.org/9", matched("9", domain=HarmDomain.NCII))]
    rows += [item(20 + n, f"https://a.example.org/many/{n}", matched("many")) for n in range(4)]
    (group,) = grouped("job", rows, SAID).groups
    sizes = [
        [(draft.facts.domain, len(draft.facts.locator.urls)) for draft in drafts]
        for drafts in divided(group.drafts, 3, 5)
    ]
    assert all(len(one) <= 3 and sum(urls for _, urls in one) <= 5 for one in sizes)
    assert all(len({domain for domain, _ in one}) == 1 for one in sizes)
    assert sum(len(one) for one in sizes) == 7, "none is lost"
    assert [len(one) for one in divided(group.drafts, 1, 5)] == [1] * 7


def test_a_picture_at_more_addresses_than_a_case_may_have_is_several_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "MAX_URLS", 2)
    (group,) = grouped("job", [item(n, f"https://a.example.org/{n}", A) for n in range(5)], SAID).groups
    assert [len(draft.facts.locator.urls) for draft in group.drafts] == [2, 2, 1]
    assert len({draft.key for draft in group.drafts}) == 3
    assert [len(draft.items) for draft in group.drafts] == [2, 2, 1]


def test_a_job_is_named_by_its_list_and_its_time() -> None:
    origin = Origin("ab" * 32, 3, "", cases.NOW)
    assert job_id(origin) == job_id(replace(origin, listed=4))
    names = {job_id(one) for one in (origin, replace(origin, list_sha256=""), replace(origin, created_at=SEEN))}
    assert len(names) == 3
    keys = {grouped(name, [item(1, "https://a.example.org/1", A)], SAID).groups[0].drafts[0].key for name in names}
    assert len(keys) == 3
