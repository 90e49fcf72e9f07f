"""Wrong answers are called wrong."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hashmatch.bench.answers import Found, difference, recall


def found(*pairs: tuple[int, int, int], cut: bool = False) -> Found:
    columns = np.array(pairs, dtype=np.int64).reshape(-1, 3)
    return Found(columns[:, 0], columns[:, 1], columns[:, 2], cut)


TRUTH = found((0, 5, 3), (0, 2, 1), (1, 9, 0), (0, 7, 3))


def test_an_exact_answer_in_any_order_does_not_differ() -> None:
    assert difference(TRUTH, found((1, 9, 0), (0, 7, 3), (0, 5, 3), (0, 2, 1)), None, 2) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (found((0, 2, 1), (1, 9, 0), (0, 7, 3)), "3 pairs instead of 4"),
        (found((0, 5, 3), (0, 2, 1), (1, 9, 0), (0, 7, 3), (0, 7, 3)), "5 pairs instead of 4"),
        (
            found((0, 5, 3), (0, 2, 1), (1, 9, 0), (1, 7, 3)),
            "1 pairs with another query, first: query 0, row 7, distance 3",
        ),
        (
            found((0, 5, 3), (0, 2, 1), (1, 8, 0), (0, 7, 3)),
            "1 pairs with another row, first: query 1, row 9, distance 0",
        ),
        (
            found((0, 5, 3), (0, 2, 2), (1, 9, 0), (0, 7, 3)),
            "1 pairs with another distance, first: query 0, row 2, distance 1",
        ),
        (dataclasses.replace(TRUTH, cut=True), "it says that it left something out, which is wrong"),
    ],
    ids=["missing", "twice", "query", "row", "distance", "cut"],
)
def test_each_way_of_being_wrong_is_named(given: Found, said: str) -> None:
    assert difference(TRUTH, given, None, 2) == said


def test_a_limited_system_must_keep_the_nearest_and_of_equals_the_first_and_say_so() -> None:
    kept = found((0, 2, 1), (0, 5, 3), (1, 9, 0), cut=True)
    assert difference(TRUTH, kept, 2, 2) is None
    assert difference(TRUTH, dataclasses.replace(kept, cut=False), 2, 2) == (
        "it says that it left nothing out, which is wrong"
    )
    later = found((0, 2, 1), (0, 7, 3), (1, 9, 0), cut=True)
    assert difference(TRUTH, later, 2, 2) == "1 pairs with another row, first: query 0, row 5, distance 3"


def test_recall_counts_pairs_and_forgives_what_lies_outside() -> None:
    assert recall(TRUTH, found((0, 5, 3), (1, 9, 0), (1, 1, 80))) == 0.5
    assert recall(TRUTH, found()) == 0.0
    assert recall(found(), found((0, 1, 90))) == 1.0


def test_within_drops_placeholders_and_what_is_too_far() -> None:
    kept = found((0, -1, 0), (0, 3, 31), (0, 4, 32)).within(31)
    assert (kept.row.tolist(), kept.distance.tolist()) == ([3], [31])
