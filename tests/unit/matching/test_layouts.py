"""Pages: near enough to match, and still only for a person to look at."""

from __future__ import annotations

import pytest

from hashmatch.config import PolicyConfig
from hashmatch.matching.policy import Evidence, decide, queries_for
from hashmatch.model import ComputedHash, Found, Query, Verdict
from hashmatch.transformations import kind_of
from tests.support.ports import PDQ_ZERO, entry_ref

POLICY = PolicyConfig()


@pytest.mark.parametrize(
    ("transformation", "flat", "whole", "rule"),
    [
        ("orig", 82, 82, "layout_like"),
        ("orig", 81, 81, "within_match_distance"),
        ("trim-1+orig", 81, 95, "within_match_distance"),
        ("trim-1+orig", 82, 20, "layout_like"),
        ("orig", None, None, "within_match_distance"),
    ],
)
def test_a_page_is_never_more_than_a_possible_match(
    transformation: str, flat: int | None, whole: int | None, rule: str
) -> None:
    kind = kind_of(transformation)
    own = ComputedHash("pdq-canonical" if kind else "pdq", PDQ_ZERO, 100, transformation, 0, flat if kind else None)
    frame = ComputedHash("pdq-canonical", bytes(range(32)), 100, "orig", 0, whole)
    queries = queries_for([own, frame], POLICY)
    decision = decide(Evidence(queries, (Found(0, 3, "pdq", entry_ref()),)), POLICY, max_hits=10)
    assert decision.rule == rule
    assert decision.verdict is (Verdict.POSSIBLE_MATCH if rule == "layout_like" else Verdict.MATCH)


def test_equal_digests_of_a_page_match() -> None:
    query = Query("md5", bytes(16), 0, "bytes", flat=100)
    decision = decide(Evidence((query,), (Found(0, 0, "md5", entry_ref()),)), POLICY, max_hits=10)
    assert (decision.verdict, decision.rule) == (Verdict.MATCH, "digest_equal")
