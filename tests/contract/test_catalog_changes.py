"""What every catalog does with opinions and its change feed; backends are in tests/support/catalog.py."""

from __future__ import annotations

import dataclasses

import pytest

from hashmatch.catalog.store import Catalog
from hashmatch.errors import BadInput, EntryNotFound
from hashmatch.model import (
    Change,
    Entry,
    EntryHash,
    EntryStatus,
    HarmDomain,
    Provenance,
    Rejected,
    SetMode,
)
from tests.support.catalog import WHY, filled, md5, only, pdq

# --- opinions ----------------------------------------------------------------------------------------------------


def test_a_withdrawal_is_kept_with_who_and_why(catalog: Catalog) -> None:
    filled(catalog)
    described = catalog.withdraw("known", "e1", reason="listed by mistake", actor="ann@example")
    assert (described.version, described.entries, described.withdrawn) == (3, 2, 1)
    entry = next(entry for entry in catalog.entries("known") if entry.entry_id == "e1")
    assert (entry.status, entry.status_reason) == (EntryStatus.WITHDRAWN, "listed by mistake")
    (event,) = catalog.history("known", "e1")
    assert (event.before, event.after, event.actor) == ("active", "withdrawn", "ann@example")
    assert event.at.tzinfo is not None


def test_the_way_back_is_recorded_too(catalog: Catalog) -> None:
    filled(catalog)
    catalog.dispute("known", "e1", reason="one", actor="ann")
    catalog.withdraw("known", "e1", reason="two", actor="bob")
    described = catalog.reinstate("known", "e1", reason="three", actor="eve")
    assert (described.entries, described.withdrawn) == (3, 0)
    assert [(event.before, event.after, event.reason) for event in catalog.history("known", "e1")] == [
        ("active", "disputed", "one"),
        ("disputed", "withdrawn", "two"),
        ("withdrawn", "active", "three"),
    ]


def test_a_decision_taken_twice_counts_once(catalog: Catalog) -> None:
    filled(catalog)
    first = catalog.withdraw("known", "e1", **WHY)
    assert catalog.withdraw("known", "e1", reason="again", actor="bob") == first
    assert len(catalog.history("known", "e1")) == 1


def test_a_withdrawn_entry_cannot_be_disputed(catalog: Catalog) -> None:
    filled(catalog).withdraw("known", "e1", **WHY)
    with pytest.raises(BadInput, match=r"cannot dispute 'e1' of 'known': it is withdrawn \(a mistake\); reinstate it"):
        catalog.dispute("known", "e1", **WHY)


@pytest.mark.parametrize(
    ("reason", "actor", "field"), [("", "ann", "reason"), ("x", "", "actor"), ("a\0", "b", "reason")]
)
def test_a_decision_needs_a_reason_and_a_name(catalog: Catalog, reason: str, actor: str, field: str) -> None:
    filled(catalog)
    with pytest.raises(BadInput, match=f"^{field}: ") as caught:
        catalog.withdraw("known", "e1", reason=reason, actor=actor)
    assert caught.value.field == field
    assert catalog.history("known", "e1") == ()


def test_an_entry_that_is_not_there_is_named_and_a_near_one_suggested(catalog: Catalog) -> None:
    filled(catalog)
    with pytest.raises(EntryNotFound, match="hash set 'known' has no entry 'e11'; did you mean 'e1'"):
        catalog.withdraw("known", "e11", **WHY)


def test_ids_made_of_hashes_are_not_suggested(catalog: Catalog) -> None:
    filled(catalog, 0)
    catalog.import_entries("known", [Entry("", (pdq(5),))])
    with pytest.raises(EntryNotFound) as caught:
        catalog.withdraw("known", f"pdq:{5:064x}"[:-1], **WHY)
    assert "did you mean" not in caught.value.message


def test_a_withdrawal_sticks_against_imports(catalog: Catalog) -> None:
    filled(catalog).withdraw("known", "e1", reason="listed by mistake", actor="ann")
    day = catalog.history("known", "e1")[0].at.date().isoformat()
    result = catalog.import_entries("known", [Entry("e1", (pdq(2), md5(1)), position=12), Entry("e2", (pdq(3),))])
    assert (result.rejected, result.unchanged, result.updated) == (1, 1, 0)
    assert result.rejections == (
        Rejected(
            12,
            "status",
            f"the entry was withdrawn on {day} by ann: listed by mistake; reinstate it first if that was wrong",
        ),
    )
    row = Entry("e1", (pdq(2),), status=EntryStatus.WITHDRAWN, status_reason="x")
    assert catalog.import_entries("known", [row]).unchanged == 1


def test_an_import_can_withdraw_and_dispute(catalog: Catalog) -> None:
    filled(catalog)
    rows = [
        Entry("e0", (pdq(1),), status=EntryStatus.DISPUTED, status_reason="objection"),
        Entry("e1", (pdq(2),), status=EntryStatus.WITHDRAWN, status_reason="mistake"),
        Entry("e9", (pdq(9),), status=EntryStatus.WITHDRAWN),
    ]
    result = catalog.import_entries("known", rows, actor="sync")
    assert (result.added, result.updated, result.hash_set.entries, result.hash_set.withdrawn) == (1, 2, 2, 2)
    events = [catalog.history("known", entry_id)[0] for entry_id in ("e0", "e1", "e9")]
    assert [(event.before, event.after, event.reason, event.actor) for event in events] == [
        ("active", "disputed", "objection", "sync"),
        ("active", "withdrawn", "mistake", "sync"),
        ("", "withdrawn", "", "sync"),
    ]
    assert {event.set_version for event in events} == {result.hash_set.version}
    again = catalog.import_entries("known", [Entry("e9", (pdq(9),))])
    assert "by sync: no reason was given" in again.rejections[0].reason


def test_an_active_row_does_not_settle_a_dispute(catalog: Catalog) -> None:
    filled(catalog).dispute("known", "e1", **WHY)
    assert catalog.import_entries("known", [Entry("e1", (pdq(2),))]).unchanged == 1
    assert [entry.status for entry in catalog.entries("known")][1] is EntryStatus.DISPUTED


# --- the change feed ---------------------------------------------------------------------------------------------


def test_the_feed_gives_the_latest_state_once_in_ascending_order(catalog: Catalog) -> None:
    filled(catalog)
    catalog.withdraw("known", "e0", **WHY)
    catalog.import_entries("known", [Entry("e1", (md5(1),))])
    changes = list(catalog.changes(0))
    described = catalog.get_set("known")
    assert [(change.entry and change.entry.entry_id) for change in changes] == [None, "e2", "e0", "e1"]
    assert all(change.hash_set == described for change in changes)
    assert [change.sequence for change in changes] == sorted({change.sequence for change in changes})
    assert changes[-1].sequence == catalog.sequence()
    by_id = {entry.entry_id: entry for entry in catalog.entries("known")}
    assert {change.entry.entry_id: change.entry for change in changes if change.entry} == by_id


def test_the_feed_goes_on_from_any_sequence(catalog: Catalog) -> None:
    filled(catalog, 20)
    everything = list(catalog.changes(0))
    for change in everything:
        assert list(catalog.changes(change.sequence)) == [c for c in everything if c.sequence > change.sequence]
    assert list(catalog.changes(catalog.sequence() + 5)) == []


def test_a_change_of_mode_is_a_change_without_entry(catalog: Catalog) -> None:
    filled(catalog)
    since = catalog.sequence()
    described = catalog.set_mode("known", SetMode.SHADOW, **WHY)
    assert list(catalog.changes(since)) == [Change(catalog.sequence(), described, None)]


def test_a_follower_that_applies_the_feed_has_the_catalog(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    followed: dict[str, Entry] = {}
    since = 0
    for step in range(6):
        rows = [Entry(f"e{n}", (pdq(step * 50 + n + 1),)) for n in range(step, step + 30, 3)]
        catalog.import_entries("known", rows)
        if step % 2:
            catalog.dispute("known", f"e{step}", **WHY)
        for change in catalog.changes(since):
            since = change.sequence
            if change.entry:
                followed[change.entry.entry_id] = change.entry
        assert followed == {entry.entry_id: entry for entry in catalog.entries("known")}


def test_streams_show_one_moment(catalog: Catalog) -> None:
    filled(catalog, 3_000)
    entries, changes = catalog.entries("known"), catalog.changes(0)
    first = next(entries), next(changes)
    catalog.withdraw("known", "e2999", **WHY)
    catalog.import_entries("known", [Entry("later", (pdq(99_999),))])
    rest = [first[0], *entries]
    assert len(rest) == 3_000
    assert {entry.status for entry in rest} == {EntryStatus.ACTIVE}
    followed = [first[1], *changes]
    assert len(followed) == 3_001
    assert {change.hash_set.version for change in followed} == {2}


def test_entries_come_in_order_of_their_ids(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    ids = ["é", "a", "B", "10", "9", "𝄞", "z/1", "日本"]
    catalog.import_entries("known", [Entry(entry_id, (pdq(n + 1),)) for n, entry_id in enumerate(ids)])
    assert [entry.entry_id for entry in catalog.entries("known")] == sorted(ids)


def test_sets_do_not_see_each_other(catalog: Catalog) -> None:
    filled(catalog).create_set("other", HarmDomain.OTHER)
    catalog.import_entries("other", [Entry("e0", (md5(1),))])
    assert only(catalog, "other").hashes == (md5(1),)
    catalog.withdraw("other", "e0", **WHY)
    assert catalog.get_set("known").withdrawn == 0
    assert catalog.history("known", "e0") == ()


def test_everything_is_refused_after_closing_but_streams_may_be_read(catalog: Catalog) -> None:
    entries = filled(catalog).entries("known")
    catalog.close()
    catalog.close()
    assert sum(1 for _ in entries) == 3
    for call in (catalog.sets, catalog.sequence, lambda: catalog.withdraw("known", "e0", **WHY)):
        with pytest.raises(Exception, match="was closed") as caught:
            call()
        assert type(caught.value).__name__ == "CatalogUnavailable"


def test_an_entry_may_hold_values_of_every_algorithm(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    sizes = {"ahash": 8, "dhash": 8, "md5": 16, "pdq": 32, "pdq-nearest512": 32, "phash": 8, "sha1": 20, "sha256": 32}
    entry = Entry("a", tuple(EntryHash(name, bytes([7]) * size) for name, size in sorted(sizes.items())))
    catalog.import_entries("known", [entry])
    assert dataclasses.replace(only(catalog), provenance=Provenance()) == entry
