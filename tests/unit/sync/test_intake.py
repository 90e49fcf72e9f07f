"""Rows of a source into a set: what it took back, what came out of order, what has gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.model import (
    Entry,
    EntryHash,
    EntryStatus,
    HarmDomain,
    Opinion,
    Provenance,
    Rejected,
    Stance,
)
from hashmatch.sync.intake import VANISHED, Destination, Intake

ACTIVE, DISPUTED, WITHDRAWN = EntryStatus.ACTIVE, EntryStatus.DISPUTED, EntryStatus.WITHDRAWN


def row(entry_id: str, day: int = 1, status: EntryStatus = ACTIVE, **more: Any) -> Entry:
    value = sum(entry_id.encode()).to_bytes(32, "big")
    hashes = () if status is WITHDRAWN else (EntryHash("pdq", value),)
    reason = "" if status is ACTIVE else "deleted at the source"
    origin = Provenance("far", f"2025-01-{day:02}T00:00:00Z")
    return Entry(entry_id, more.pop("hashes", hashes), (), origin, status, reason, **more)


class Scene:
    """A set and an intake into it."""

    def __init__(self, folder: Path, **destination: Any) -> None:
        self.catalog = SqliteCatalog.open(folder / "catalog")
        self.catalog.create_set("s", HarmDomain.OTHER)
        self.rejected: list[Rejected] = []
        self.destination = Destination("s", "sync:far", **destination)
        self.fresh()

    def fresh(self) -> Intake:
        """Begin another run."""
        self.intake = Intake(self.catalog, self.destination, self.rejected.append)
        return self.intake

    def status(self, entry_id: str) -> EntryStatus:
        """Where an entry stands."""
        return self.catalog.get_entry("s", entry_id).status


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path, own_names=frozenset({"us"}), disputes=True)


def test_what_the_source_took_back_and_has_again_is_reinstated_in_its_name(scene: Scene) -> None:
    scene.intake.take([row("a", 1)])
    scene.intake.take([row("a", 2, WITHDRAWN)])
    assert scene.status("a") is WITHDRAWN
    scene.intake.take([row("a", 3)])
    assert scene.status("a") is ACTIVE
    assert [event.actor for event in scene.catalog.history("s", "a")] == ["sync:far"] * len(
        scene.catalog.history("s", "a")
    )
    assert (scene.intake.counts.reinstated, scene.rejected) == (1, [])


def test_what_a_person_withdrew_stays_so_and_the_row_is_rejected(scene: Scene) -> None:
    scene.intake.take([row("a", 1)])
    scene.catalog.withdraw("s", "a", reason="case 17", actor="ann")
    scene.intake.take([row("a", 3, position=41)])
    assert scene.status("a") is WITHDRAWN
    assert [(item.position, item.field) for item in scene.rejected] == [(41, "status")]
    scene.intake.take([row("a", 4, WITHDRAWN), row("b", 4)])
    scene.intake.take([row("a", 5)])
    assert scene.status("a") is WITHDRAWN


def test_what_a_person_reinstated_and_the_source_withdraws_again_is_withdrawn(scene: Scene) -> None:
    scene.intake.take([row("a", 1)])
    scene.intake.take([row("a", 2, WITHDRAWN)])
    scene.catalog.reinstate("s", "a", reason="no", actor="ann")
    scene.intake.take([row("a", 2, WITHDRAWN)])
    assert scene.status("a") is ACTIVE, "the same tombstone once more, as overlapping ranges bring it"
    scene.intake.take([row("a", 3, WITHDRAWN)])
    assert scene.status("a") is WITHDRAWN


def test_what_is_deleted_in_the_second_of_its_last_change_is_withdrawn(scene: Scene) -> None:
    scene.intake.take([row("a", 1)])
    scene.intake.take([row("a", 1, WITHDRAWN)])
    assert scene.status("a") is WITHDRAWN


def test_a_state_from_before_the_tombstone_is_stale_whichever_came_first(scene: Scene) -> None:
    scene.intake.take([row("a", 1), row("b", 5)])
    scene.intake.take([row("a", 3, WITHDRAWN)])
    scene.intake.take([row("a", 2), row("b", 4, WITHDRAWN)])
    assert (scene.status("a"), scene.status("b")) == (WITHDRAWN, ACTIVE)
    assert (scene.intake.counts.stale, scene.rejected) == (2, [])


def test_of_two_states_in_a_batch_the_later_counts(scene: Scene) -> None:
    scene.intake.take([row("a", 3, WITHDRAWN), row("a", 4), row("a", 2), row("b", 2), row("b", 3, WITHDRAWN)])
    assert scene.status("a") is ACTIVE
    assert {entry.entry_id for entry in scene.catalog.entries("s")} == {"a"}, "nobody knew b"


def test_a_dispute_of_the_sources_own_is_taken_back_and_anybody_elses_is_not(scene: Scene) -> None:
    scene.intake.take([row("a", 1), row("b", 1, DISPUTED)])
    scene.catalog.dispute("s", "a", reason="case 17", actor="ann")
    scene.intake.take([row("a", 2), row("b", 2)])
    assert (scene.status("a"), scene.status("b")) == (DISPUTED, ACTIVE)


def test_one_bad_value_of_several_is_rejected_alone(scene: Scene) -> None:
    good, zero = EntryHash("md5", bytes(range(16))), EntryHash("pdq", bytes(32))
    scene.intake.take([row("a", hashes=(good, zero), position=7), row("b", hashes=(zero,), position=8)])
    assert scene.catalog.get_entry("s", "a").hashes == (good,)
    assert [(item.position, item.field) for item in scene.rejected] == [(7, "value"), (8, "value")]


def test_our_own_opinions_are_not_taken_back_from_the_source(scene: Scene) -> None:
    theirs, ours = Opinion("they", Stance.AGREE), Opinion("us", Stance.DISAGREE)
    scene.intake.take([row("a", opinions=(theirs, ours))])
    assert [opinion.who for opinion in scene.catalog.get_entry("s", "a").opinions] == ["they"]
    scene.intake.know_as("they")
    scene.intake.take([row("b", opinions=(theirs, ours))])
    assert scene.catalog.get_entry("s", "b").opinions == ()


def test_what_a_full_run_did_not_see_has_gone_and_may_come_back_unchanged(scene: Scene) -> None:
    scene.intake.take([row("a"), row("b"), row("c")])
    scene.intake.take([row("c", 2, WITHDRAWN)])
    intake = scene.fresh()
    intake.remember()
    intake.take([row("b")])
    assert intake.vanished() == (["a"], 2)
    intake.withdraw(["a"])
    gone = scene.catalog.get_entry("s", "a")
    assert (gone.status, gone.status_reason, intake.counts.vanished) == (WITHDRAWN, VANISHED, 1)
    scene.intake.take([row("a")])
    assert scene.status("a") is ACTIVE


def test_a_run_that_is_not_full_knows_of_nothing_that_has_gone(scene: Scene) -> None:
    scene.intake.take([row("a")])
    assert scene.fresh().vanished() == ([], 0)


def test_a_dry_run_counts_and_keeps_nothing(scene: Scene) -> None:
    dry = Intake(None, scene.destination, scene.rejected.append)
    dry.take([row("a"), Rejected(1, "x", "y")])
    assert (dry.counts.rows, dry.counts.rejected, list(scene.catalog.entries("s"))) == (2, 1, [])
    dry.withdraw(["a"])
    assert dry.vanished() == ([], 0)
