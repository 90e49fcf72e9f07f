"""What every catalog does with opinions, tombstones, quarantine and bookmarks; backends: tests/support/catalog.py."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable

import pytest

from hashmatch.catalog.store import Catalog
from hashmatch.errors import BadInput, EntryNotFound, SetNotFound
from hashmatch.model import Entry, EntryStatus, HarmDomain, Label, Opinion, Provenance, Rejected, Stance
from tests.support.catalog import WHY, filled, md5, only, pdq

MARCH, APRIL = (dt.datetime(2026, month, 1, 12, 30, 15, 250, tzinfo=dt.UTC) for month in (3, 4))
AGREES = Opinion("hotline.example", Stance.AGREE, "reviewed", MARCH)
DOUBTS = Opinion("police.example", Stance.DISAGREE, "another picture", MARCH, "pdq")
TOMBSTONE = Entry("e1", (), status=EntryStatus.WITHDRAWN, status_reason="the source took it back")


def status_of(catalog: Catalog, entry_id: str) -> EntryStatus:
    return catalog.get_entry("known", entry_id).status


# --- one entry ---------------------------------------------------------------------------------------------------


def test_one_entry_is_what_the_stream_gives(catalog: Catalog) -> None:
    filled(catalog)
    catalog.import_entries("known", [Entry("many", (md5(1), md5(2), pdq(9)), opinions=(AGREES,))])
    catalog.withdraw("known", "e1", **WHY)
    for entry in catalog.entries("known"):
        assert catalog.get_entry("known", entry.entry_id) == entry


def test_one_entry_that_is_not_there_is_named(catalog: Catalog) -> None:
    filled(catalog)
    with pytest.raises(EntryNotFound, match="hash set 'known' has no entry 'e11'; did you mean 'e1'"):
        catalog.get_entry("known", "e11")
    with pytest.raises(SetNotFound, match="did you mean 'known'"):
        catalog.get_entry("knwon", "e1")


# --- votes -------------------------------------------------------------------------------------------------------


def test_a_vote_is_kept_with_who_and_why_and_moves_nothing(catalog: Catalog) -> None:
    before = filled(catalog).get_set("known")
    since = catalog.sequence()
    described = catalog.vote("known", "e1", DOUBTS, actor="ann")
    assert described == dataclasses.replace(before, version=before.version + 1)
    entry = catalog.get_entry("known", "e1")
    assert (entry.status, entry.opinions) == (EntryStatus.ACTIVE, (DOUBTS,))
    (change,) = catalog.changes(since)
    assert (change.entry, change.hash_set) == (entry, described)
    (event,) = catalog.history("known", "e1")
    assert (event.actor, event.reason, event.before, event.after) == ("ann", "another picture", "", "disagree")
    assert (event.who, event.algorithm, event.said_at) == ("police.example", "pdq", MARCH)
    assert event.set_version == described.version


def test_a_vote_without_a_date_is_of_now(catalog: Catalog) -> None:
    before = dt.datetime.now(tz=dt.UTC)
    filled(catalog).vote("known", "e1", Opinion("o", Stance.AGREE, "seen"), actor="ann")
    (opinion,) = catalog.get_entry("known", "e1").opinions
    assert opinion.at is not None
    assert before <= opinion.at <= dt.datetime.now(tz=dt.UTC)


def test_each_party_has_one_opinion_of_each_thing_and_history_has_all(catalog: Catalog) -> None:
    filled(catalog)
    changed = Opinion("hotline.example", Stance.DISAGREE, "a mistake", APRIL)
    of_pdq = dataclasses.replace(AGREES, algorithm="pdq")
    for opinion in (AGREES, DOUBTS, changed, of_pdq):
        catalog.vote("known", "e1", opinion, actor="ann")
    assert catalog.get_entry("known", "e1").opinions == (changed, of_pdq, DOUBTS)
    events = [(event.who, event.algorithm, event.before, event.after) for event in catalog.history("known", "e1")]
    assert events == [
        ("hotline.example", "", "", "agree"),
        ("police.example", "pdq", "", "disagree"),
        ("hotline.example", "", "agree", "disagree"),
        ("hotline.example", "pdq", "", "agree"),
    ]


def test_a_vote_given_twice_counts_once(catalog: Catalog) -> None:
    filled(catalog)
    first = catalog.vote("known", "e1", AGREES, actor="ann")
    assert catalog.vote("known", "e1", AGREES, actor="bob") == first
    assert catalog.vote("known", "e1", dataclasses.replace(AGREES, at=None), actor="bob") == first
    assert len(catalog.history("known", "e1")) == 1


def test_a_vote_older_than_the_one_that_holds_is_refused(catalog: Catalog) -> None:
    filled(catalog).vote("known", "e1", dataclasses.replace(AGREES, at=APRIL), actor="ann")
    older = dataclasses.replace(AGREES, stance=Stance.DISAGREE)
    with pytest.raises(
        BadInput, match=r"'hotline.example' gave a later opinion of 'e1', on 2026-04-01T.*: agree \(rev"
    ):
        catalog.vote("known", "e1", older, actor="ann")


@pytest.mark.parametrize(
    ("opinion", "actor", "field", "said"),
    [
        (Opinion("", Stance.AGREE, "r"), "ann", "who", "required"),
        (Opinion("o", Stance.AGREE), "ann", "reason", "required"),
        (AGREES, "", "actor", "required"),
        (Opinion("o", Stance.AGREE, "a\0"), "ann", "reason", "control character"),
        (
            Opinion("o", Stance.AGREE, "r", None, "md5"),
            "ann",
            "algorithm",
            "no 'md5' value to have an opinion of, only p",
        ),
    ],
)
def test_a_vote_says_who_and_why_and_of_what(
    catalog: Catalog, opinion: Opinion, actor: str, field: str, said: str
) -> None:
    filled(catalog)
    with pytest.raises(BadInput, match=said) as caught:
        catalog.vote("known", "e1", opinion, actor=actor)
    assert caught.value.field == field
    assert catalog.history("known", "e1") == ()


def test_a_withdrawn_entry_may_be_voted_on_and_stays_withdrawn(catalog: Catalog) -> None:
    filled(catalog).withdraw("known", "e1", **WHY)
    described = catalog.vote("known", "e1", AGREES, actor="ann")
    assert (described.entries, described.withdrawn) == (2, 1)
    assert status_of(catalog, "e1") is EntryStatus.WITHDRAWN


def test_an_entry_takes_so_many_opinions_and_no_more(catalog: Catalog) -> None:
    filled(catalog)
    opinions = tuple(Opinion(f"o{number:02}", Stance.AGREE, "r", MARCH) for number in range(64))
    catalog.import_entries("known", [Entry("e1", (pdq(2),), opinions=opinions)])
    with pytest.raises(BadInput, match="'e1' has 64 opinions, and that is the limit"):
        catalog.vote("known", "e1", AGREES, actor="ann")
    result = catalog.import_entries("known", [Entry("e1", (pdq(2),), opinions=(AGREES,))])
    assert result.rejections == (
        Rejected(0, "opinions", "with those that it has the entry would have more than 64 opinions"),
    )
    assert catalog.get_entry("known", "e1").opinions == opinions


def test_imported_opinions_are_kept_and_the_later_one_holds(catalog: Catalog) -> None:
    filled(catalog)
    result = catalog.import_entries("known", [Entry("e1", (pdq(2),), opinions=(DOUBTS, AGREES))], actor="sync")
    assert (result.updated, result.hash_set.version) == (1, 3)
    assert catalog.get_entry("known", "e1").opinions == (AGREES, DOUBTS)
    assert [(event.who, event.after, event.actor, event.said_at) for event in catalog.history("known", "e1")] == [
        ("hotline.example", "agree", "sync", MARCH),
        ("police.example", "disagree", "sync", MARCH),
    ]
    later = dataclasses.replace(AGREES, stance=Stance.DISAGREE, at=APRIL)
    assert catalog.import_entries("known", [Entry("e1", (pdq(2),), opinions=(later,))]).updated == 1
    assert catalog.import_entries("known", [Entry("e1", (pdq(2),), opinions=(AGREES,))]).unchanged == 1
    assert catalog.get_entry("known", "e1").opinions == (later, DOUBTS)
    assert len(catalog.history("known", "e1")) == 3


def test_a_new_entry_brings_its_opinions(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    undated = Opinion("o", Stance.AGREE)
    rows = [Entry("a", (pdq(1),), opinions=(AGREES, undated))]
    assert catalog.import_entries("known", rows).added == 1
    agrees, dated = only(catalog).opinions
    assert (agrees, dataclasses.replace(dated, at=None)) == (AGREES, undated)
    assert dated.at is not None
    assert catalog.import_entries("known", rows).unchanged == 1, (
        "an undated opinion that says nothing new is held already"
    )


# --- quarantine --------------------------------------------------------------------------------------------------


def test_quarantine_is_undone_by_reinstating(catalog: Catalog) -> None:
    filled(catalog).dispute("known", "e2", **WHY)
    described = catalog.quarantine("known", "e1", reason="too many hits", actor="guard")
    assert (described.entries, described.withdrawn, described.version) == (3, 0, 4)
    catalog.quarantine("known", "e2", **WHY)
    assert [status_of(catalog, f"e{n}") for n in range(3)] == [
        EntryStatus.ACTIVE,
        EntryStatus.QUARANTINED,
        EntryStatus.QUARANTINED,
    ]
    with pytest.raises(
        BadInput, match=r"cannot dispute 'e1' of 'known': it is quarantined \(too many hits\); reinstate"
    ):
        catalog.dispute("known", "e1", **WHY)
    catalog.reinstate("known", "e1", **WHY)
    assert status_of(catalog, "e1") is EntryStatus.ACTIVE
    catalog.withdraw("known", "e2", **WHY)
    with pytest.raises(BadInput, match="cannot quarantine 'e2' of 'known': it is withdrawn"):
        catalog.quarantine("known", "e2", **WHY)


def test_an_import_neither_lifts_a_quarantine_nor_is_kept_out_by_it(catalog: Catalog) -> None:
    filled(catalog).quarantine("known", "e1", **WHY)
    rows = [Entry("e1", (pdq(2), md5(1))), Entry("e1", (pdq(2),), status=EntryStatus.DISPUTED, status_reason="x")]
    assert catalog.import_entries("known", rows).updated == 1
    entry = catalog.get_entry("known", "e1")
    assert (entry.status, entry.status_reason, entry.hashes) == (EntryStatus.QUARANTINED, "a mistake", (md5(1), pdq(2)))
    catalog.import_entries("known", [TOMBSTONE])
    assert status_of(catalog, "e1") is EntryStatus.WITHDRAWN


# --- tombstones --------------------------------------------------------------------------------------------------


def test_a_tombstone_withdraws_the_entry_that_it_names(catalog: Catalog) -> None:
    filled(catalog)
    result = catalog.import_entries("known", [TOMBSTONE], actor="sync")
    assert (result.updated, result.hash_set.entries, result.hash_set.withdrawn) == (1, 2, 1)
    entry = catalog.get_entry("known", "e1")
    assert (entry.status, entry.status_reason) == (EntryStatus.WITHDRAWN, "the source took it back")
    assert entry.hashes == (pdq(2),)
    (event,) = catalog.history("known", "e1")
    assert (event.before, event.after, event.actor) == ("active", "withdrawn", "sync")
    again = catalog.import_entries("known", [TOMBSTONE])
    assert (again.unchanged, again.hash_set) == (1, result.hash_set)


def test_a_tombstone_of_an_unknown_entry_is_unchanged(catalog: Catalog) -> None:
    before = filled(catalog).get_set("known")
    stranger = dataclasses.replace(TOMBSTONE, entry_id="stranger")
    result = catalog.import_entries("known", [stranger, stranger])
    assert (result.added, result.updated, result.unchanged, result.rejected) == (0, 0, 1, 0)
    assert catalog.get_set("known") == before
    with pytest.raises(EntryNotFound):
        catalog.get_entry("known", "stranger")


def test_rows_around_a_tombstone_are_taken_in_their_order(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    rows = [Entry("e1", (pdq(1),)), TOMBSTONE, Entry("e1", (pdq(2),))]
    result = catalog.import_entries("known", rows)
    assert (result.added, result.rejected) == (1, 1)
    assert "an earlier row of this import withdrew the entry: the source took it back" in result.rejections[0].reason
    assert only(catalog).hashes == (pdq(1),)
    late = [dataclasses.replace(TOMBSTONE, entry_id="e2"), Entry("e2", (pdq(3),))]
    assert catalog.import_entries("known", late).added == 1
    assert status_of(catalog, "e2") is EntryStatus.ACTIVE


def test_a_tombstone_needs_an_id_and_an_active_entry_needs_hashes(catalog: Catalog) -> None:
    filled(catalog)
    rows = [dataclasses.replace(TOMBSTONE, entry_id=""), Entry("e1", ()), Entry("e1", (), status=EntryStatus.DISPUTED)]
    result = catalog.import_entries("known", rows)
    assert [(item.position, item.field) for item in result.rejections] == [
        (0, "entry_id"),
        (1, "hashes"),
        (2, "hashes"),
    ]


# --- provenance and labels ---------------------------------------------------------------------------------------


def test_terms_and_jurisdiction_ride_with_the_entry(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER, terms="of the set", jurisdiction="DE")
    origin = Provenance("s", "1", "x", MARCH, "stop_transmission_only", "CH")
    catalog.import_entries("known", [Entry("a", (pdq(1),), provenance=origin), Entry("b", (pdq(2), md5(1)))])
    one, two = catalog.entries("known")
    assert one.provenance == origin
    assert (two.provenance.terms, two.provenance.jurisdiction) == ("", "")
    catalog.import_entries("known", [Entry("a", (pdq(1),), provenance=Provenance(terms="report_only"))])
    provenance = catalog.get_entry("known", "a").provenance
    assert provenance == dataclasses.replace(origin, terms="report_only"), "what a row leaves blank stays"


def test_schemes_of_two_sources_stand_side_by_side(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    first = Entry("a", (pdq(1),), (Label("ncmec", "2022", "A1"), Label("ncmec", "2022", "generated")))
    second = Entry("a", (pdq(1),), (Label("iwf", "", "B"),))
    catalog.import_entries("known", [first])
    assert catalog.import_entries("known", [second]).updated == 1
    assert only(catalog).labels == (*first.labels, *second.labels)
    assert catalog.import_entries("known", [first, second]).unchanged == 1
    relabelled = Entry("a", (pdq(1),), (Label("ncmec", "2022", "B1"),))
    catalog.import_entries("known", [relabelled])
    assert only(catalog).labels == (*relabelled.labels, *second.labels)


def test_labels_of_many_schemes_are_bounded(catalog: Catalog) -> None:
    catalog.create_set("known", HarmDomain.OTHER)
    for number in range(2):
        labels = tuple(Label(f"s{number}-{n}", "", "x") for n in range(40))
        result = catalog.import_entries("known", [Entry("a", (pdq(1),), labels)])
    assert result.rejections == (
        Rejected(0, "labels", "with those that it has the entry would have more than 64 labels"),
    )


def test_a_set_says_what_it_was_last_imported_from(catalog: Catalog) -> None:
    made = catalog.create_set("known", HarmDomain.OTHER)
    assert (made.list_version, made.received_at) == ("", None)
    before = dt.datetime.now(tz=dt.UTC)
    rows = [
        Entry(f"e{n}", (pdq(n + 1),), provenance=Provenance(list_version=version)) for n, version in enumerate("12")
    ]
    imported = catalog.import_entries("known", rows).hash_set
    assert imported.list_version == "2"
    assert imported.received_at is not None
    assert before <= imported.received_at <= dt.datetime.now(tz=dt.UTC)
    later = catalog.import_entries("known", [Entry("x", (pdq(9),))]).hash_set
    assert later.list_version == "2", "an import that states none says nothing of it"
    assert later.received_at is not None
    assert later.received_at >= imported.received_at
    assert catalog.import_entries("known", rows).hash_set == later, "and one that changes nothing leaves no trace"
    assert catalog.withdraw("known", "x", **WHY).received_at == later.received_at


# --- bookmarks ---------------------------------------------------------------------------------------------------


def test_bookmarks_are_kept_by_kind_and_name_and_change_nothing_else(catalog: Catalog) -> None:
    sequence = filled(catalog).sequence()
    assert catalog.bookmark("sync", "a") == ""
    for name, text in (("b", "2"), ("a", '{"page": "ä"}'), ("b", "3")):
        catalog.set_bookmark("sync", name, text)
    catalog.set_bookmark("guard", "a", "other")
    assert catalog.bookmark("sync", "a") == '{"page": "ä"}'
    assert list(catalog.bookmarks("sync").items()) == [("a", '{"page": "ä"}'), ("b", "3")]
    catalog.set_bookmark("sync", "a", "")
    assert catalog.bookmarks("sync") == {"b": "3"}
    assert catalog.bookmarks("nothing") == {}
    assert catalog.sequence() == sequence


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda catalog: catalog.set_bookmark("", "a", "x"), "kind: a bookmark needs a kind and a name"),
        (lambda catalog: catalog.set_bookmark("k", "", "x"), "name: a bookmark needs a kind and a name"),
        (lambda catalog: catalog.set_bookmark("k", "a\n", "x"), r"name: control character U\+000A"),
        (lambda catalog: catalog.set_bookmark("k", "a", "x" * (1 << 21)), "text: 2097152 characters"),
        (lambda catalog: catalog.set_bookmark("k", "a", "x\0"), r"text: control character U\+0000"),
    ],
)
def test_bad_bookmarks_are_refused(catalog: Catalog, call: Callable[[Catalog], None], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        call(catalog)
