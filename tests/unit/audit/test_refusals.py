"""Refusals: the first at once, the rest counted, and never more than so many, whatever is tried."""

from __future__ import annotations

import collections
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.audit import refusals
from hashmatch.audit.refusals import ANY, Refusals, Refused
from hashmatch.audit.wording import Body

SECOND = 1_000_000_000


def refused(caller: str = "anonymous", method: str = "Detect", lack: str = "", peer: str = "") -> Refused:
    return Refused(caller=caller, method=method, reason="PERMISSION_DENIED", lack=lack, peer=peer)


def noted(window: Refusals, kinds: Iterable[Refused]) -> list[Body]:
    """Note all of them, and return what is to be recorded at once."""
    bodies = [window.note(kind, number * SECOND) for number, kind in enumerate(kinds)]
    return [body for body in bodies if body is not None]


def test_the_first_of_a_kind_is_told_at_once_and_the_rest_at_the_end_of_the_window() -> None:
    window = Refusals()
    kind = refused("forum", lack="expired_key", peer="remote")
    said = {
        "caller": "forum",
        "method": "Detect",
        "error": "PERMISSION_DENIED",
        "lack": "expired_key",
        "peer": "remote",
    }
    assert noted(window, [kind] * 4) == [{**said, "count": 1}]
    assert repr(window) == "<Refusals: 1 kinds, 3 to be told>"
    assert window.told() == [
        {**said, "count": 3, "since": "1970-01-01T00:00:01.000000Z", "until": "1970-01-01T00:00:03.000000Z"}
    ]
    assert window.told() == []
    assert noted(window, [kind]) == [{**said, "count": 1}]
    assert window.told() == []


def test_what_differs_in_any_word_is_another_kind() -> None:
    kinds = [
        refused(),
        refused("forum"),
        refused(method="Rescan"),
        refused(lack="no_key"),
        refused(peer="unix"),
        Refused(caller="anonymous", method="Detect", reason="UNAUTHENTICATED"),
    ]
    assert len(noted(Refusals(), kinds + kinds)) == len(kinds)


def test_who_tries_everything_hides_nobody_elses_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "MAX_PER_CALLER", 3)
    window = Refusals()
    at_once = noted(window, [refused(method=f"M{number}") for number in range(10)])
    assert [body["method"] for body in at_once] == ["M0", "M1", "M2", ANY]
    assert noted(window, [refused("forum")]) == [{**refused("forum").words(), "count": 1}]
    (rest,) = window.told()
    assert (rest["caller"], rest["method"], rest["count"]) == ("anonymous", ANY, 6)


def test_callers_beyond_all_numbers_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "MAX_KINDS", 3)
    window = Refusals()
    at_once = noted(window, [refused(f"c{number}") for number in range(10)])
    assert [body["caller"] for body in at_once] == ["c0", "c1", "c2", ANY]
    (rest,) = window.told()
    assert (rest["caller"], rest["method"], rest["count"]) == (ANY, ANY, 6)


KINDS = st.builds(
    refused,
    st.sampled_from(["anonymous", *(f"c{number}" for number in range(6))]),
    st.sampled_from([f"M{number}" for number in range(6)]),
    st.sampled_from(["", "no_key", "unknown_key"]),
)


@given(st.lists(st.lists(KINDS, max_size=60), max_size=4))
def test_nothing_is_lost_and_records_are_bounded(windows: list[list[Refused]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refusals, "MAX_PER_CALLER", 4)
        patch.setattr(refusals, "MAX_KINDS", 12)
        window = Refusals()
        for kinds in windows:
            bodies = noted(window, kinds) + window.told()
            counts = [body["count"] for body in bodies]
            assert sum(count for count in counts if isinstance(count, int)) == len(kinds)
            assert len(bodies) <= 2 * (12 + 1)
            by_caller = collections.Counter(str(body["caller"]) for body in bodies)
            assert all(number <= 2 * (4 + 1) for caller, number in by_caller.items() if caller != ANY)
