"""Bodies that could be too long for a record are not."""

from __future__ import annotations

import pytest

from hashmatch.audit import wording
from hashmatch.ledger.records import MAX_BODY_BYTES, canonical


def change(name: str, sets: int) -> dict[str, object]:
    return {"name": name, "change": "added", "sets": [f"{number:064}" for number in range(sets)]}


def test_changes_of_callers_are_told_in_full_while_there_is_room() -> None:
    few = [change("a", 2), change("b", 3)]
    assert wording.of_access(2, "00", few) == {"callers": 2, "sha256": "00", "changes": few}
    assert wording.of_access(2, "00") == {"callers": 2, "sha256": "00"}


@pytest.mark.parametrize(("callers", "sets"), [(20_000, 1), (200, 100), (50, 10_000)])
def test_a_record_holds_whatever_changes(callers: int, sets: int) -> None:
    body = wording.of_access(callers, "00", (change(f"caller-{number}", sets) for number in range(callers)))
    assert len(canonical(body)) < MAX_BODY_BYTES
    told, more = body["changes"], body.get("more", 0)
    assert isinstance(told, list)
    assert isinstance(more, int)
    assert len(told) + more == callers
    assert {frozenset(item) for item in told} <= {frozenset({"name", "change", "sets"}), frozenset({"name", "change"})}
    if sets == 10_000:
        assert told[0] == {"name": "caller-0", "change": "added"}, "one that is too long is told by name"
