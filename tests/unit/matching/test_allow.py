"""Allow sets: what they suppress, and, for the most part, what they may not. The attacks have names."""

from __future__ import annotations

import dataclasses
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.config import PolicyConfig
from hashmatch.matching.policy import Decision, Evidence, decide
from hashmatch.model import EntryRef, EntryStatus, Found, HarmDomain, MediaInfo, Query, Refusal, SetMode, Verdict
from tests.support.ports import PDQ_ZERO, entry_ref

POLICY = PolicyConfig()
PHOTO = MediaInfo("JPEG", 800, 600)

FILE = Query("sha256", bytes(32), 0, "bytes")
MD5 = Query("md5", bytes(16), 0, "bytes")
ORIG = Query("pdq", PDQ_ZERO, 40)
FLIPPED = Query("pdq", PDQ_ZERO, 40, "flipx")
CANONICAL = Query("pdq-canonical", PDQ_ZERO, 40)
SECOND_FRAME = Query("pdq", PDQ_ZERO, 40, frame=1)
CELL = Query("pdq-canonical", PDQ_ZERO, 31, "cell-2")
ON_BLACK = Query("pdq-canonical", PDQ_ZERO, 40, "black+orig")
PAGE = Query("pdq", PDQ_ZERO, 40, flat=95)
OPAQUE = Query("photodna", b"\x05" * 144, 0)

LISTED = entry_ref("listed")
ALLOWED = entry_ref("allowed", set_name="reviewed", mode=SetMode.ALLOW)
FAR = 28
"""A match, and far enough from the picture to be a mistake."""


def says(*hits: tuple[Query, int, object], policy: PolicyConfig = POLICY, **changes: object) -> Decision:
    """Decide on ``(query, distance, entry)``."""
    queries = tuple(dict.fromkeys(query for query, _, _ in hits))
    found = tuple(
        Found(queries.index(query), distance, query.algorithm, entry)  # type: ignore[arg-type]
        for query, distance, entry in hits
    )
    evidence = Evidence(queries, found, media=PHOTO, quality=100)
    return decide(dataclasses.replace(evidence, **changes), policy, max_hits=10)  # type: ignore[arg-type]


def listed(decision: Decision) -> tuple[Verdict, str, str]:
    """Return what the decision makes of the listed entry."""
    (hit,) = [hit for hit in decision.hits if hit.entry.entry_id == "listed"]
    return hit.verdict, hit.rule, hit.allowed_by


STANDS, CONFLICT, SUPPRESSED = "stands", "conflict", "suppressed"
OUTCOMES = {
    STANDS: (Verdict.MATCH, None, ""),
    CONFLICT: (Verdict.POSSIBLE_MATCH, "contradicts_allow_set", "reviewed/allowed"),
    SUPPRESSED: (Verdict.NO_MATCH, "suppressed_by_allow_set", "reviewed/allowed"),
}
TRUTH = [
    # what the allow set says     what the list says       outcome
    ((FILE, 0), (ORIG, FAR), SUPPRESSED),
    ((FILE, 0), (ORIG, 0), SUPPRESSED),
    ((FILE, 0), (OPAQUE, 0), SUPPRESSED),
    ((FILE, 0), (CELL, FAR), SUPPRESSED),
    ((FILE, 0), (SECOND_FRAME, FAR), SUPPRESSED),
    ((FILE, 0), (FILE, 0), CONFLICT),
    ((FILE, 0), (MD5, 0), CONFLICT),
    ((MD5, 0), (ORIG, FAR), STANDS),  # two files of one MD5 can be made by whoever makes both
    ((MD5, 0), (FILE, 0), STANDS),
    ((ORIG, 0), (ORIG, FAR), SUPPRESSED),
    ((ORIG, 6), (ORIG, FAR), SUPPRESSED),
    ((ORIG, 7), (ORIG, FAR), STANDS),  # beyond allow_distance
    ((ORIG, 6), (ORIG, 7), SUPPRESSED),
    ((ORIG, 6), (ORIG, 6), CONFLICT),
    ((ORIG, 6), (ORIG, 5), STANDS),
    ((ORIG, 0), (ORIG, 0), CONFLICT),
    ((ORIG, 0), (FILE, 0), STANDS),  # a known file, whatever its picture resembles
    ((ORIG, 0), (MD5, 0), STANDS),
    ((ORIG, 0), (OPAQUE, 0), STANDS),  # another space: the distances cannot be compared
    ((OPAQUE, 0), (ORIG, FAR), STANDS),
    ((OPAQUE, 0), (OPAQUE, 0), CONFLICT),
    ((ORIG, 2), (FLIPPED, FAR), SUPPRESSED),
    ((FLIPPED, 2), (CANONICAL, FAR), SUPPRESSED),
    ((ORIG, 0), (SECOND_FRAME, FAR), STANDS),  # an allowed frame before a known one
    ((ORIG, 0), (CELL, FAR), STANDS),  # a known picture pasted into an allowed one
    ((CELL, 0), (CELL, FAR), STANDS),  # an allowed picture pasted into an unknown one
    ((CELL, 0), (ORIG, FAR), STANDS),
    ((ORIG, 0), (ON_BLACK, FAR), STANDS),  # a known picture in what is transparent
    ((ON_BLACK, 0), (ORIG, FAR), STANDS),
    ((PAGE, 0), (ORIG, FAR), STANDS),  # an allowed form, and another one of its layout
]


@pytest.mark.parametrize(("allow", "hit", "outcome"), TRUTH)
def test_truth_table(allow: tuple[Query, int], hit: tuple[Query, int], outcome: str) -> None:
    decision = says((*allow, ALLOWED), (*hit, LISTED))
    verdict, rule, by = OUTCOMES[outcome]
    said = listed(decision)
    assert (said[0], said[2]) == (verdict, by)
    assert decision.verdict is verdict
    if rule is not None:
        assert (said[1], decision.rule) == (rule, rule)
    (own,) = [hit for hit in decision.hits if hit.entry is ALLOWED]
    assert own.verdict is Verdict.NO_MATCH
    assert own.rule in {"entry_allowed", "allowed_without_effect"}
    if outcome != STANDS:
        assert own.rule == "entry_allowed"


def test_a_view_is_suppressed_where_the_same_view_is_nearer_to_the_reviewed_picture() -> None:
    near = says((ORIG, 1, ALLOWED), (CELL, 20, ALLOWED), (CELL, 21, LISTED))
    assert listed(near) == OUTCOMES[SUPPRESSED]
    tie = says((ORIG, 1, ALLOWED), (CELL, 20, ALLOWED), (CELL, 20, LISTED))
    assert listed(tie) == OUTCOMES[CONFLICT]
    another = entry_ref("another", set_name="reviewed", mode=SetMode.ALLOW)
    of_another = says((ORIG, 1, ALLOWED), (CELL, 20, another), (CELL, 21, LISTED))
    assert listed(of_another)[0] is Verdict.MATCH, "the whole is near one reviewed picture, the part near another one"


def test_one_hit_that_stands_is_enough() -> None:
    """A listed entry that one query finds farther, and another one nearer than the reviewed picture, speaks."""
    decision = says((ORIG, 4, ALLOWED), (ORIG, 10, LISTED), (CANONICAL, 3, LISTED))
    assert (decision.verdict, listed(decision)[:2]) == (Verdict.MATCH, (Verdict.MATCH, "within_match_distance"))


def test_several_entries_are_suppressed_each_by_its_own() -> None:
    other = entry_ref("other-listed")
    decision = says((ORIG, 3, ALLOWED), (ORIG, 2, LISTED), (ORIG, 9, other))
    assert [(hit.entry.entry_id, hit.rule) for hit in decision.hits] == [
        ("listed", "within_match_distance"),
        ("allowed", "entry_allowed"),
        ("other-listed", "suppressed_by_allow_set"),
    ]
    assert decision.verdict is Verdict.MATCH


def test_a_hit_in_the_review_band_is_suppressed_too() -> None:
    decision = says((ORIG, 3, ALLOWED), (ORIG, 39, LISTED))
    assert (decision.verdict, decision.rule) == (Verdict.NO_MATCH, "suppressed_by_allow_set")


@pytest.mark.parametrize("status", [status for status in EntryStatus if status is not EntryStatus.ACTIVE])
@pytest.mark.parametrize("query", [FILE, ORIG])
def test_an_allowed_entry_that_is_not_active_has_no_effect(query: Query, status: EntryStatus) -> None:
    decision = says((query, 0, dataclasses.replace(ALLOWED, status=status)), (ORIG, FAR, LISTED))
    assert (decision.verdict, decision.rule) == (Verdict.MATCH, "within_match_distance")
    assert [hit.rule for hit in decision.hits] == ["within_match_distance", "allowed_without_effect"]


@pytest.mark.parametrize(
    ("reviewed_for", "listed_as", "suppressed"),
    [
        (HarmDomain.CSAM, HarmDomain.CSAM, True),
        (HarmDomain.TVEC, HarmDomain.CSAM, False),
        (HarmDomain.OTHER, HarmDomain.CSAM, True),
        (HarmDomain.CSAM, HarmDomain.OTHER, False),
    ],
)
@pytest.mark.parametrize("query", [FILE, ORIG])
def test_a_review_for_one_harm_says_nothing_of_another(
    query: Query, reviewed_for: HarmDomain, listed_as: HarmDomain, *, suppressed: bool
) -> None:
    allowed = dataclasses.replace(ALLOWED, domain=reviewed_for)
    decision = says((query, 0, allowed), (ORIG, FAR, dataclasses.replace(LISTED, domain=listed_as)))
    assert decision.verdict is (Verdict.NO_MATCH if suppressed else Verdict.MATCH)


@pytest.mark.parametrize("status", [EntryStatus.ACTIVE, EntryStatus.DISPUTED, EntryStatus.QUARANTINED])
def test_a_shadow_hit_stays_a_shadow_hit_beside_an_allowed_entry(status: EntryStatus) -> None:
    shadow = entry_ref("listed", set_name="trial", mode=SetMode.SHADOW, status=status)
    decision = says((FILE, 0, ALLOWED), (ORIG, FAR, shadow))
    assert (decision.verdict, decision.rule) == (Verdict.NO_MATCH, "entry_allowed")
    assert listed(decision) == (Verdict.NO_MATCH, "set_in_shadow", "")


@pytest.mark.parametrize("mode", SetMode)
@pytest.mark.parametrize("status", [status for status in EntryStatus if status is not EntryStatus.WITHDRAWN])
def test_only_an_enforced_set_gives_a_verdict_whatever_the_status(mode: SetMode, status: EntryStatus) -> None:
    decision = says((FILE, 0, entry_ref("listed", mode=mode, status=status)))
    given = {EntryStatus.ACTIVE: Verdict.MATCH, EntryStatus.DISPUTED: Verdict.POSSIBLE_MATCH}
    assert decision.verdict is (given.get(status, Verdict.NO_MATCH) if mode is SetMode.ENFORCED else Verdict.NO_MATCH)
    assert len(decision.hits) == 1, "reported in any case"


def test_a_quarantined_hit_is_neither_suppressed_nor_does_it_contradict() -> None:
    quarantined = dataclasses.replace(LISTED, status=EntryStatus.QUARANTINED)
    for query, bits in ((FILE, 0), (ORIG, FAR)):
        assert listed(says((FILE, 0, ALLOWED), (query, bits, quarantined))) == (
            Verdict.NO_MATCH, "entry_quarantined", ""
        )  # fmt: skip


def test_a_disputed_hit_is_suppressed_like_any_other_and_conflicts_like_any_other() -> None:
    disputed = dataclasses.replace(LISTED, status=EntryStatus.DISPUTED)
    assert listed(says((ORIG, 1, ALLOWED), (ORIG, FAR, disputed))) == OUTCOMES[SUPPRESSED]
    assert listed(says((FILE, 0, ALLOWED), (FILE, 0, disputed))) == OUTCOMES[CONFLICT]
    assert listed(says((ORIG, 1, ALLOWED), (ORIG, 0, disputed)))[:2] == (Verdict.POSSIBLE_MATCH, "entry_disputed")


def test_a_reviewed_file_that_matches_nothing_is_no_match_and_says_why() -> None:
    decision = says((FILE, 0, ALLOWED), (ORIG, 40, ALLOWED))
    assert (decision.verdict, decision.rule) == (Verdict.NO_MATCH, "entry_allowed")
    assert [(hit.rule, hit.algorithm) for hit in decision.hits] == [("entry_allowed", "sha256")]
    far = says((ORIG, 40, ALLOWED))
    assert (far.verdict, far.rule) == (Verdict.NO_MATCH, "allowed_without_effect")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"refusal": Refusal.BOMB}, "picture_refused"),
        ({"media": MediaInfo("JPEG", 40, 40)}, "picture_too_small"),
        ({"media": MediaInfo("JPEG", 800, 600, degraded=True)}, "picture_degraded"),
    ],
)
def test_what_could_not_be_looked_at_stays_so(change: dict[str, object], rule: str) -> None:
    decision = says((FILE, 0, ALLOWED), **change)  # type: ignore[arg-type]
    assert (decision.verdict, decision.rule) == (Verdict.NOT_CHECKED, rule)
    assert [hit.rule for hit in decision.hits] == ["entry_allowed"]


def test_the_configuration_turns_sets_into_allow_sets_and_back() -> None:
    plain = dataclasses.replace(ALLOWED, mode=SetMode.ENFORCED)
    allowing = PolicyConfig(sets=types.MappingProxyType({"reviewed": "allow"}))
    assert says((FILE, 0, plain), (ORIG, FAR, LISTED), policy=allowing).verdict is Verdict.NO_MATCH
    shadowed = PolicyConfig(sets=types.MappingProxyType({"reviewed": "shadow"}))
    decision = says((FILE, 0, ALLOWED), (ORIG, FAR, LISTED), policy=shadowed)
    assert [(hit.entry.entry_id, hit.rule) for hit in decision.hits] == [
        ("listed", "within_match_distance"),
        ("allowed", "set_in_shadow"),
    ]


def test_the_allow_distance_is_configuration() -> None:
    row = dataclasses.replace(POLICY.algorithms["pdq"], allow_distance=-1)
    never = PolicyConfig(algorithms={**POLICY.algorithms, "pdq": row})
    assert says((ORIG, 0, ALLOWED), (ORIG, FAR, LISTED), policy=never).verdict is Verdict.MATCH
    row = dataclasses.replace(POLICY.algorithms["pdq"], match_distance=4)
    narrow = PolicyConfig(algorithms={**POLICY.algorithms, "pdq": row})
    assert says((ORIG, 5, ALLOWED), (ORIG, FAR, LISTED), policy=narrow).hits[0].rule == "within_review_distance"
    assert says((ORIG, 4, ALLOWED), (ORIG, FAR, LISTED), policy=narrow).verdict is Verdict.NO_MATCH
    row = dataclasses.replace(POLICY.algorithms["md5"], allow_distance=0)
    trusting = PolicyConfig(algorithms={**POLICY.algorithms, "md5": row})
    assert says((MD5, 0, ALLOWED), (ORIG, FAR, LISTED), policy=trusting).verdict is Verdict.NO_MATCH


ASKED = (FILE, MD5, ORIG, FLIPPED, CANONICAL, SECOND_FRAME, CELL, ON_BLACK, PAGE, OPAQUE)
ENTRIES = [
    entry_ref(f"{mode}-{number}", set_name=mode.value, mode=mode, status=status)
    for mode in SetMode
    for number, status in enumerate((EntryStatus.ACTIVE, EntryStatus.ACTIVE, EntryStatus.DISPUTED))
]
hits = st.lists(st.tuples(st.sampled_from(ASKED), st.integers(0, 40), st.sampled_from(ENTRIES)), max_size=8)


@given(hits)
def test_an_allow_set_only_ever_takes_weight_from_hits_by_nearness(drawn: list[tuple[Query, int, EntryRef]]) -> None:
    """Whatever was found: no verdict gets stronger, no digest is suppressed, what decides nothing stays as it is."""
    drawn = [(query, 0 if query in {FILE, MD5, OPAQUE} else bits, entry) for query, bits, entry in drawn]
    found = tuple(Found(ASKED.index(query), bits, query.algorithm, entry) for query, bits, entry in drawn)
    without = tuple(item for item in found if item.entry.mode is not SetMode.ALLOW)
    here, there = (decide(Evidence(ASKED, some, PHOTO, 100), POLICY, max_hits=99) for some in (found, without))
    strength = [Verdict.NO_MATCH, Verdict.POSSIBLE_MATCH, Verdict.MATCH]
    assert strength.index(here.verdict) <= strength.index(there.verdict)
    after = {hit.entry: hit for hit in here.hits}
    for before in there.hits:
        if before.rule == "digest_equal":
            assert after[before.entry].rule in {"digest_equal", "contradicts_allow_set"}
        if before.rule == "set_in_shadow":
            assert after[before.entry] == before
    suppressed = [hit for hit in here.hits if hit.rule == "suppressed_by_allow_set"]
    assert all(hit.allowed_by and hit.transformation != "bytes" for hit in suppressed)


def test_what_explains_the_verdict_is_not_cut_off() -> None:
    shadow = [(ORIG, 0, entry_ref(f"s{n}", set_name="trial", mode=SetMode.SHADOW)) for n in range(30)]
    decision = says(*shadow, (ORIG, 6, ALLOWED), (ORIG, FAR, LISTED))
    assert [hit.entry.entry_id for hit in decision.hits[:2]] == ["allowed", "listed"]
    assert decision.rule == "suppressed_by_allow_set"
