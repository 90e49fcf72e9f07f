"""The policy: every rule fires where it should, at the exact distance where it should."""

from __future__ import annotations

import dataclasses
import types

import pytest

from hashmatch.config import PolicyConfig
from hashmatch.limits import AlgorithmPolicy, ViewPolicy
from hashmatch.matching import chance
from hashmatch.matching import policy as rules
from hashmatch.matching.policy import RULES, Evidence, decide
from hashmatch.model import (
    ComputedHash,
    Digests,
    EntryHash,
    EntryStatus,
    Found,
    MediaInfo,
    Picture,
    Query,
    Refusal,
    SetMode,
    Verdict,
)
from tests.support.ports import PDQ_ZERO, entry_ref

POLICY = PolicyConfig()
PHOTO = MediaInfo("JPEG", 800, 600)


def pdq_evidence(distance: int, **changes: object) -> Evidence:
    entry = entry_ref(
        status=changes.pop("status", EntryStatus.ACTIVE),  # type: ignore[arg-type]
        mode=changes.pop("mode", SetMode.ENFORCED),  # type: ignore[arg-type]
    )
    found = (Found(0, distance, "pdq", entry),)
    base = Evidence((Query("pdq", PDQ_ZERO, 40),), found, media=PHOTO, quality=100)
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("distance", "verdict", "rule", "threshold"),
    [
        (0, Verdict.MATCH, "within_match_distance", 31),
        (31, Verdict.MATCH, "within_match_distance", 31),
        (32, Verdict.POSSIBLE_MATCH, "within_review_distance", 40),
        (40, Verdict.POSSIBLE_MATCH, "within_review_distance", 40),
    ],
)
def test_pdq_distance_is_inclusive(distance: int, verdict: Verdict, rule: str, threshold: int) -> None:
    decision = decide(pdq_evidence(distance), POLICY, max_hits=10)
    assert (decision.verdict, decision.rule) == (verdict, rule)
    assert (decision.hits[0].distance, decision.hits[0].max_distance) == (distance, threshold)
    assert decision.reason is None


def test_equal_digest_matches_even_when_the_picture_was_refused() -> None:
    evidence = Evidence(
        (Query("sha256", bytes(32), 0, "bytes"),),
        (Found(0, 0, "sha256", entry_ref()),),
        refusal=Refusal.BOMB,
        detail="too many scans",
    )
    decision = decide(evidence, POLICY, max_hits=10)
    assert (decision.verdict, decision.rule, decision.reason) == (Verdict.MATCH, "digest_equal", Refusal.BOMB)
    assert decision.hits[0].transformation == "bytes"


def test_disputed_entry_never_goes_beyond_possible_match() -> None:
    decision = decide(pdq_evidence(0, status=EntryStatus.DISPUTED), POLICY, max_hits=10)
    assert (decision.verdict, decision.rule) == (Verdict.POSSIBLE_MATCH, "entry_disputed")


def test_a_quarantined_entry_is_reported_and_changes_nothing() -> None:
    decision = decide(pdq_evidence(0, status=EntryStatus.QUARANTINED), POLICY, max_hits=10)
    assert (decision.verdict, decision.rule) == (Verdict.NO_MATCH, "entry_quarantined")
    assert decision.hits[0].verdict is Verdict.NO_MATCH


def test_shadow_set_is_reported_and_changes_nothing() -> None:
    decision = decide(pdq_evidence(0, mode=SetMode.SHADOW), POLICY, max_hits=10)
    assert (decision.verdict, decision.rule) == (Verdict.NO_MATCH, "set_in_shadow")
    assert decision.hits[0].verdict is Verdict.NO_MATCH


def test_configuration_overrides_the_mode_of_a_set_both_ways() -> None:
    to_shadow = PolicyConfig(sets=types.MappingProxyType({"hotline": "shadow"}))
    to_enforced = PolicyConfig(sets=types.MappingProxyType({"hotline": "enforced"}))
    assert decide(pdq_evidence(0), to_shadow, max_hits=10).verdict is Verdict.NO_MATCH
    assert decide(pdq_evidence(0, mode=SetMode.SHADOW), to_enforced, max_hits=10).verdict is Verdict.MATCH


@pytest.mark.parametrize(
    ("change", "rule", "reason", "detail"),
    [
        (
            {"media": MediaInfo("PNG", 800, 49)},
            "picture_too_small",
            Refusal.TOO_SMALL,
            "800x49 pixels is too small to say that it is unknown; policy.min_side_px is 50",
        ),
        (
            {"quality": 49},
            "quality_too_low",
            Refusal.LOW_QUALITY,
            "PDQ quality 49 is below policy.min_image_quality (50)",
        ),
        (
            {"media": MediaInfo("JPEG", 800, 600, degraded=True)},
            "picture_degraded",
            Refusal.DEGRADED,
            "the file is damaged; the part that could be recovered matched nothing",
        ),
        ({"refusal": Refusal.BOMB, "detail": "285,724 scans"}, "picture_refused", Refusal.BOMB, "285,724 scans"),
        (
            {"queries": ()},
            "no_usable_hash",
            Refusal.NO_USABLE_HASH,
            "none of the hashes given may decide: unknown to the policy, switched off, or too low in quality",
        ),
    ],
)
def test_could_not_look_is_never_no_match(change: dict[str, object], rule: str, reason: Refusal, detail: str) -> None:
    evidence = dataclasses.replace(pdq_evidence(0), found=(), **change)  # type: ignore[arg-type]
    decision = decide(evidence, POLICY, max_hits=10)
    assert (decision.verdict, decision.rule, decision.reason) == (Verdict.NOT_CHECKED, rule, reason)
    assert decision.detail == detail


def test_good_picture_that_matches_nothing_is_no_match() -> None:
    decision = decide(dataclasses.replace(pdq_evidence(0), found=()), POLICY, max_hits=10)
    assert (decision.verdict, decision.rule, decision.hits) == (Verdict.NO_MATCH, "nothing_within_reach", ())


@pytest.mark.parametrize("smallest", [50, 51])
def test_a_picture_of_exactly_the_least_size_is_large_enough(smallest: int) -> None:
    evidence = dataclasses.replace(pdq_evidence(0), found=(), media=MediaInfo("PNG", smallest, 900))
    assert decide(evidence, POLICY, max_hits=10).verdict is Verdict.NO_MATCH


def test_a_small_or_damaged_picture_that_matches_still_matches() -> None:
    evidence = pdq_evidence(10, media=MediaInfo("JPEG", 40, 40, degraded=True))
    assert decide(evidence, POLICY, max_hits=10).verdict is Verdict.MATCH


def test_one_hit_per_entry_the_strongest_and_nearest_first() -> None:
    queries = (
        Query("pdq", PDQ_ZERO, 40, "orig"),
        Query("pdq", PDQ_ZERO, 40, "flipx"),
        Query("md5", bytes(16), 0, "bytes"),
    )
    near, far = entry_ref("near"), entry_ref("far", status=EntryStatus.DISPUTED)
    found = (Found(0, 30, "pdq", near), Found(1, 4, "pdq", near), Found(0, 2, "pdq", far), Found(2, 0, "md5", near))
    decision = decide(Evidence(queries, found, media=PHOTO, quality=100), POLICY, max_hits=10)
    assert [(h.entry.entry_id, h.distance, h.transformation) for h in decision.hits] == [
        ("near", 0, "bytes"),
        ("far", 2, "orig"),
    ]


def test_hits_are_bounded_and_the_nearest_kept() -> None:
    found = tuple(Found(0, d, "pdq", entry_ref(f"e{d}")) for d in (9, 3, 6))
    decision = decide(Evidence((Query("pdq", PDQ_ZERO, 40),), found), POLICY, max_hits=2)
    assert [hit.distance for hit in decision.hits] == [3, 6]


def test_default_policy_never_asks_for_ahash_or_whash() -> None:
    hashes = [ComputedHash(name, bytes(8)) for name in ("ahash", "whash", "phash", "dhash")]
    assert [(q.algorithm, q.max_distance) for q in rules.queries_for(hashes, POLICY)] == [("phash", 4), ("dhash", 2)]
    assert rules.deciding_algorithms(POLICY).isdisjoint({"ahash", "whash"})


def test_flat_frame_gives_no_query_of_any_algorithm() -> None:
    hashes = [
        ComputedHash("pdq", PDQ_ZERO, 49, frame=0),
        ComputedHash("phash", bytes(8), frame=0),
        ComputedHash("pdq", PDQ_ZERO, 50, frame=1),
        ComputedHash("phash", bytes(8), frame=1),
    ]
    assert [(q.algorithm, q.frame) for q in rules.queries_for(hashes, POLICY)] == [("pdq", 1), ("phash", 1)]


def test_unknown_quality_of_a_given_hash_is_no_obstacle_and_a_low_one_is() -> None:
    unknown, low = EntryHash("pdq", PDQ_ZERO), EntryHash("pdq", PDQ_ZERO, 10)
    digests = frozenset({"md5"})
    assert len(rules.queries_for_given((unknown,), POLICY, digests)) == 1
    assert rules.queries_for_given((low,), POLICY, digests) == ()


def test_digests_are_asked_for_by_equality_only() -> None:
    digests = Digests(bytes(16), bytes(20), bytes(32), 5)
    queries = rules.queries_for_digests(digests, POLICY)
    assert [(q.algorithm, q.max_distance) for q in queries] == [("md5", 0), ("sha1", 0), ("sha256", 0)]
    off = PolicyConfig(algorithms={**POLICY.algorithms, "md5": AlgorithmPolicy()})
    assert [q.algorithm for q in rules.queries_for_digests(digests, off)] == ["sha1", "sha256"]


def test_an_opaque_value_matches_by_equality_and_is_asked_for_like_a_picture() -> None:
    """Not like a file: another file of the same picture may have it. What is too flat for PDQ is too flat for it."""
    value = EntryHash("photodna", b"\x07" * 144)
    (query,) = rules.queries_for_given((value,), POLICY, frozenset({"md5"}))
    assert (query.algorithm, query.max_distance, query.transformation) == ("photodna", 0, "orig")
    decision = decide(Evidence((query,), (Found(0, 0, "photodna", entry_ref()),)), POLICY, max_hits=9)
    assert (decision.verdict, decision.rule) == (Verdict.MATCH, "opaque_equal")
    off = PolicyConfig(algorithms={**POLICY.algorithms, "photodna": AlgorithmPolicy()})
    assert rules.queries_for_given((value,), off, frozenset({"md5"})) == ()


def test_every_rule_that_can_be_named_is_explained() -> None:
    named = {row[0] for row in rules._COULD_NOT_LOOK}
    named |= {
        "digest_equal",
        "opaque_equal",
        "within_match_distance",
        "within_review_distance",
        "entry_disputed",
        "layout_like",
    }
    named |= {"entry_quarantined", "set_in_shadow", "nothing_within_reach", "entry_allowed", "allowed_without_effect"}
    named |= {"suppressed_by_allow_set", "contradicts_allow_set"}
    assert named == set(RULES)


@pytest.mark.parametrize(
    ("transformation", "reach"),
    [
        ("orig", 40),
        ("invert+orig", 40),
        ("black+rot90", 40),
        ("trim-12+flipx", 31),
        ("cell-3", 31),
        ("derotate-15", 31),
    ],
)
def test_guesses_reach_less_far_than_the_picture_itself(transformation: str, reach: int) -> None:
    hashes = [ComputedHash("pdq-canonical", PDQ_ZERO, 100, transformation)]
    assert [query.max_distance for query in rules.queries_for(hashes, POLICY)] == [reach]


def test_a_hit_of_a_view_is_held_against_the_limits_of_its_kind() -> None:
    narrow = PolicyConfig(view_limits={"trim": ViewPolicy(match_distance=20, possible_distance=28)})
    evidence = Evidence(
        (Query("pdq-canonical", PDQ_ZERO, 28, "trim-1+orig"),), (Found(0, 21, "pdq", entry_ref()),), PHOTO, 100
    )
    hit = decide(evidence, narrow, max_hits=10).hits[0]
    assert (hit.verdict, hit.max_distance, hit.rule) == (Verdict.POSSIBLE_MATCH, 28, "within_review_distance")


def test_a_kind_of_view_that_the_policy_leaves_out_is_not_asked_for() -> None:
    hashes = [ComputedHash("pdq-canonical", PDQ_ZERO, 100, name) for name in ("orig", "trim-1+orig", "cell-1")]
    only_cells = PolicyConfig(view_limits={"cell": ViewPolicy()})
    assert [query.transformation for query in rules.queries_for(hashes, only_cells)] == ["orig", "cell-1"]


def test_a_view_is_judged_by_its_own_quality_and_does_not_speak_for_the_picture() -> None:
    hashes = (
        ComputedHash("pdq", PDQ_ZERO, 10),
        ComputedHash("pdq-canonical", PDQ_ZERO, 90, "trim-1+orig"),
        ComputedHash("pdq-canonical", PDQ_ZERO, 49, "cell-2"),
    )
    assert [query.transformation for query in rules.queries_for(hashes, POLICY)] == ["trim-1+orig"]
    assert rules.picture_quality(Picture(PHOTO, hashes)) == 10


def edges(
    count: int, *, length: int | None = None, quality: int | None = 100, policy: PolicyConfig = POLICY
) -> set[int]:
    """Return how far ``count`` plain hashes reach in a list of this length."""
    values = {} if length is None else dict.fromkeys(chance.ALGORITHMS, length)
    hashes = [ComputedHash("pdq", PDQ_ZERO, quality)] * count
    return {query.max_distance for query in rules.queries_for(hashes, policy, values)}


def test_the_review_band_ends_where_chance_would_exceed_the_rate() -> None:
    rate = POLICY.review_false_rate
    (edge,) = edges(32, length=10**9)
    assert 31 < edge < 50
    assert chance.expected("", 100, edge, 32 * 10**9) <= rate < chance.expected("", 100, edge + 1, 32 * 10**9)
    assert edges(320, length=10**8) == {edge}
    assert edges(32, length=10**9, policy=dataclasses.replace(POLICY, review_false_rate=rate / 10)) < {edge} | edges(
        32, length=10**10
    )


def test_the_review_band_stays_between_the_match_distance_and_the_widest() -> None:
    assert edges(8, length=1) == edges(8, length=0) == {50}
    assert edges(8, length=10**15) == {31}
    assert edges(8) == {40}


def test_a_fixed_distance_rules_whatever_the_length() -> None:
    fixed = dataclasses.replace(POLICY.algorithms["pdq"], possible_distance=45, possible_distance_max=-1)
    policy = PolicyConfig(algorithms={"pdq": fixed})
    assert [edges(8, length=length, policy=policy) for length in (0, 10**6, 10**15)] == [{45}] * 3


def test_only_the_lists_own_algorithm_reaches_furthest_and_views_keep_their_limits() -> None:
    hashes = [
        ComputedHash("pdq-canonical", PDQ_ZERO, 100, name) for name in ("orig", "invert+orig", "trim-1+orig", "cell-1")
    ]
    hashes += [ComputedHash(name, PDQ_ZERO, 100) for name in ("pdq", "pdq-nearest512")]
    values = dict.fromkeys(chance.ALGORITHMS, 10)
    assert [query.max_distance for query in rules.queries_for(hashes, POLICY, values)] == [40, 40, 31, 31, 50, 40]


def test_other_algorithms_keep_their_distance_whatever_the_length() -> None:
    hashes = [ComputedHash("pdq", PDQ_ZERO, 100), ComputedHash("phash", bytes(8))]
    values = {"pdq": 10, "phash": 10**9}
    assert [query.max_distance for query in rules.queries_for(hashes, POLICY, values)] == [50, 4]


def test_a_hit_says_how_likely_it_is_by_chance() -> None:
    queries = (Query("pdq", PDQ_ZERO, 50, quality=100), Query("pdq-canonical", PDQ_ZERO, 31, "trim-1+orig", quality=60))
    found = (Found(0, 45, "pdq", entry_ref("far")), Found(1, 20, "pdq", entry_ref("near")))
    values = dict.fromkeys(chance.ALGORITHMS, 10**6)
    near, far = decide(Evidence(queries, found, PHOTO, 100, values=values), POLICY, max_hits=9).hits
    assert near.chance == chance.expected("trim", 60, 20, 2 * 10**6)
    assert far.chance == chance.expected("", 100, 45, 2 * 10**6)
    assert 0 < near.chance < far.chance < POLICY.review_false_rate
    assert (far.verdict, far.max_distance) == (Verdict.POSSIBLE_MATCH, 50)


def test_there_is_no_chance_where_nothing_is_known() -> None:
    queries = (Query("pdq", PDQ_ZERO, 40), Query("md5", bytes(16), 0, "bytes"), Query("phash", bytes(8), 4))
    found = (Found(1, 0, "md5", entry_ref("digest")), Found(2, 4, "phash", entry_ref("phash")))
    values = {"md5": 5, "phash": 5, "pdq": 5}
    hits = decide(Evidence(queries, found, PHOTO, 100, values=values), POLICY, max_hits=9).hits
    unknown_length = decide(pdq_evidence(40), POLICY, max_hits=9).hits
    assert [hit.chance for hit in (*hits, *unknown_length)] == [None] * 3


def test_without_review_only_matches_are_asked_for() -> None:
    hashes = [ComputedHash("pdq", PDQ_ZERO, 100), ComputedHash("phash", bytes(8))]
    hashes.append(ComputedHash("pdq-canonical", PDQ_ZERO, 100, "invert+orig"))
    values = dict.fromkeys(chance.ALGORITHMS, 10)
    asked = rules.queries_for(hashes, rules.without_review(POLICY), values)
    assert [(query.algorithm, query.max_distance) for query in asked] == [("pdq", 31), ("pdq-canonical", 31)]
