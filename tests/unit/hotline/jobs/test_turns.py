"""Whose turn it is: no host twice before the others, none with more than its places, every submission once."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hashmatch.hotline.jobs.job_states import Planned
from hashmatch.hotline.jobs.turns import Turns
from hashmatch.model.hotline import Submission


def rows(hosts: str) -> list[Planned]:
    return [Planned(Submission(n, f"http://{host}/{n}"), host=host) for n, host in enumerate(hosts, 1)]


def number(row: Planned | None) -> int:
    assert row is not None
    return row.submission.number


def test_hosts_take_turns_however_long_their_part_of_the_list_is() -> None:
    turns = Turns(rows("aaaabc"), per_host=4)
    assert [number(turns.take()) for _ in range(6)] == [1, 5, 6, 2, 3, 4]
    assert (turns.take(), len(turns)) == (None, 0)


def test_a_host_with_all_its_places_taken_waits_for_one() -> None:
    turns = Turns(rows("aaab"), per_host=1)
    assert [number(turns.take()) for _ in range(2)] == [1, 4]
    assert (turns.take(), len(turns)) == (None, 2)
    turns.ended("b")
    assert turns.take() is None, "b has nothing more"
    turns.ended("a")
    assert number(turns.take()) == 2
    assert turns.take() is None


@given(st.text("abcd", max_size=30), st.integers(1, 3), st.data())
def test_every_submission_is_handed_out_once_within_the_places(hosts: str, per_host: int, data: st.DataObject) -> None:
    turns = Turns(rows(hosts), per_host)
    under_way: list[Planned] = []
    seen = []
    while turns or under_way:
        row = turns.take()
        if row is not None:
            under_way.append(row)
            seen.append(row.submission.number)
            assert max(Counter(one.host for one in under_way).values()) <= per_host
        elif not under_way:
            break
        if under_way and (row is None or data.draw(st.booleans())):
            turns.ended(under_way.pop(data.draw(st.integers(0, len(under_way) - 1))).host)
    assert sorted(seen) == list(range(1, len(hosts) + 1))
