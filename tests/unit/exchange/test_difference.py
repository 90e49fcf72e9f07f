"""Two lists side by side."""

from __future__ import annotations

import dataclasses
import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from hashmatch.exchange.difference import FIELDS, Difference, Summary, differences
from hashmatch.model import Entry, EntryHash, EntryStatus, Label, Opinion, Provenance, Stance

PDQ = EntryHash("pdq", b"\1" * 32)
ENTRY = Entry("b", (PDQ,))


def different(before: list[Entry], after: list[Entry]) -> tuple[list[Difference], Summary]:
    summary = Summary()
    return list(differences(before, after, summary)), summary


def test_each_field_is_compared_by_its_name() -> None:
    changed = {
        "status": EntryStatus.DISPUTED,
        "status_reason": "why",
        "hashes": (PDQ, EntryHash("md5", b"\2" * 16)),
        "labels": (Label("s", "1", "v"),),
        "opinions": (Opinion("ann", Stance.AGREE),),
        "provenance": Provenance(source="x"),
    }
    assert tuple(changed) == FIELDS
    for name, value in changed.items():
        after = dataclasses.replace(ENTRY, **{name: value})  # type: ignore[arg-type]
        found, summary = different([ENTRY], [after])
        assert found == [Difference("b", (name,), ENTRY, after)]
        assert (summary.changed, summary.equal) == (1, False)


def test_every_field_of_an_entry_is_compared_or_said_not_to_be() -> None:
    names = {item.name for item in dataclasses.fields(Entry)}
    assert names - set(FIELDS) == {"entry_id", "position"}


def test_when_an_entry_was_received_is_not_compared() -> None:
    at = dataclasses.replace(ENTRY, provenance=Provenance(received_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC)))
    assert different([ENTRY], [at]) == ([], Summary(unchanged=1))


def test_a_withdrawal_is_counted() -> None:
    gone = dataclasses.replace(ENTRY, status=EntryStatus.WITHDRAWN)
    assert different([ENTRY], [gone])[1] == Summary(changed=1, withdrawn=1)
    assert different([gone], [ENTRY])[1] == Summary(changed=1)


ids = st.lists(st.tuples(st.text(max_size=3), st.booleans()), unique_by=lambda item: item[0])


@given(ids, ids)
def test_the_differences_are_those_of_two_dictionaries(
    olds: list[tuple[str, bool]], news: list[tuple[str, bool]]
) -> None:
    def entries(given: list[tuple[str, bool]]) -> list[Entry]:
        return [dataclasses.replace(ENTRY, entry_id=name, status_reason="x" * flag) for name, flag in sorted(given)]

    before, after = dict(olds), dict(news)
    found, summary = different(entries(olds), entries(news))
    assert {item.entry_id: item.what for item in found} == (
        dict.fromkeys(after.keys() - before.keys(), ("added",))
        | dict.fromkeys(before.keys() - after.keys(), ("removed",))
        | {name: ("status_reason",) for name in before.keys() & after.keys() if before[name] != after[name]}
    )
    assert [item.entry_id for item in found] == sorted(item.entry_id for item in found)
    assert summary.unchanged + summary.changed == len(before.keys() & after.keys())
    assert (summary.added, summary.removed) == (len(after.keys() - before.keys()), len(before.keys() - after.keys()))
