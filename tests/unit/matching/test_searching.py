"""Who asks at one time shares a search, and is answered as if nobody else had asked."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from hashmatch.config import PolicyConfig
from hashmatch.matching.searching import Scope, search, search_each
from hashmatch.model import EntryStatus, Query, SearchResult, SetMode
from tests.support.ports import PDQ_ZERO, FakeIndex, entry_ref, flipped

ROWS = [
    *(("pdq", flipped(PDQ_ZERO, n % 3), entry_ref(f"e{n}")) for n in range(6)),
    *(("pdq", PDQ_ZERO, entry_ref(f"s{n}", set_name="trial", mode=SetMode.SHADOW)) for n in range(4)),
    *(("pdq", flipped(PDQ_ZERO, 30), entry_ref(f"q{n}", status=EntryStatus.QUARANTINED)) for n in range(4)),
    ("pdq", flipped(PDQ_ZERO, 200), entry_ref("far", status=EntryStatus.DISPUTED)),
    ("sha256", bytes(32), entry_ref("file")),
]
BITS = (0, 1, 3, 20, 31, 60, 130, 199, 201)


class Counting(FakeIndex):
    """Counts searches."""

    searches = 0

    def search(self, queries: Sequence[Query], *, sets: frozenset[str] | None, max_hits: int) -> SearchResult:
        """Count, and search."""
        self.searches += 1
        return super().search(queries, sets=sets, max_hits=max_hits)


def asked(rng: random.Random) -> tuple[Query, ...]:
    """Make what one picture asks: none to four queries, near something or not."""
    files = [Query("sha256", rng.choice((bytes(32), b"1" * 32)), 0, "file")]
    views = [Query("pdq", flipped(PDQ_ZERO, rng.choice(BITS)), 31, f"view-{n}") for n in range(rng.randrange(4))]
    return (*rng.choice((files, [])), *views)


@pytest.mark.parametrize("sets", [None, frozenset({"hotline"}), frozenset({"trial"}), frozenset[str]()])
@pytest.mark.parametrize("max_hits", [1, 3, 100])
def test_each_gets_what_it_would_get_alone(sets: frozenset[str] | None, max_hits: int) -> None:
    rng, index = random.Random(max_hits), FakeIndex(ROWS)
    everyone = [asked(rng) for _ in range(100)]
    scope = Scope(sets, index.modes(), max_hits)
    together = search_each(index, everyone, scope, PolicyConfig())
    assert together == [search(index, queries, scope, PolicyConfig()) for queries in everyone]
    if sets is None:
        assert {result.truncated for result in together} == ({False} if max_hits > len(ROWS) else {True, False})


@pytest.mark.parametrize("askers", [1, 2, 50])
def test_there_is_one_search_where_nobody_met_too_much(askers: int) -> None:
    index = Counting(ROWS)
    scope = Scope(None, index.modes(), 100)
    found = search_each(index, [(Query("sha256", bytes(32), 0, "file"),)] * askers, scope, PolicyConfig())
    assert [[(item.query, item.entry.entry_id) for item in result.found] for result in found] == [
        [(0, "file")]
    ] * askers
    assert index.searches == 1
