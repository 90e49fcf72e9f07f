"""A hotline publishes a set, a partner follows it: over gRPC, from one catalog into another."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.client import AsyncClient
from hashmatch.errors import ServiceUnavailable, SetExists, SetNotFound
from hashmatch.model import Entry, EntryHash, EntryStatus, HarmDomain, Opinion, Provenance, Stance
from hashmatch.sections import SourceConfig, SyncConfig
from hashmatch.service import following
from hashmatch.sync.feed import along_feed
from hashmatch.sync.outcome import CHECKPOINTS, Outcome, Terms
from hashmatch.sync.sources import Source
from hashmatch.sync.walks import loaded
from tests.support.service import Scene, serving


def row(number: int, **more: Any) -> Entry:
    return Entry(f"e{number}", (EntryHash("pdq", (number + 1).to_bytes(32, "big")),), **more)


class Partner:
    """A catalog of its own, and the way to the hotline."""

    def __init__(self, folder: Path, target: str, **settings: Any) -> None:
        stated: dict[str, Any] = {
            "kind": "hashmatch",
            "url": target,
            "environment": "test",
            "set": "copy",
            "domain": "other",
        }
        stated |= {"remote_set": "published", "max_vanished_percent": 100, "own_name": "Partner"}
        self.source = Source("hotline", SourceConfig(**{**stated, **settings}))
        self.catalog = SqliteCatalog.open(folder / "partner")
        with contextlib.suppress(SetExists):
            self.catalog.create_set("copy", HarmDomain.OTHER)
        self.rejected: list[str] = []

    async def sync(self, *, full: bool = False) -> Outcome:
        """Run once."""
        show = lambda bad: self.rejected.append(bad.reason)  # noqa: E731
        terms = Terms(SyncConfig(), self.catalog, self.catalog, full=full, on_rejected=show)
        async with AsyncClient(self.source.config.url) as client:
            return await along_feed(self.source, client, terms)

    def held(self) -> dict[str, EntryStatus]:
        """Return the statuses of the copy."""
        return {entry.entry_id: entry.status for entry in self.catalog.entries("copy")}


@contextlib.asynccontextmanager
async def hotline(folder: Path, scene: Scene | None = None) -> AsyncIterator[tuple[SqliteCatalog, Scene]]:
    """Serve a catalog with a set of three entries and an unrelated one."""
    catalog = SqliteCatalog.open(folder / "hotline")
    catalog.create_set("published", HarmDomain.OTHER, owner="Example Hotline", terms="stop_transmission_only")
    catalog.create_set("other", HarmDomain.OTHER)
    origin = Provenance("Another Hotline", "v7", external_id="x-1")
    said = Opinion("Somebody", Stance.DISAGREE, "wrong picture")
    catalog.import_entries("published", [row(1), row(2, provenance=origin, opinions=(said,)), row(3)])
    catalog.import_entries("other", [row(9)])
    behind = scene or Scene()
    behind.catalog = catalog  # type: ignore[assignment]
    async with serving(behind) as served:
        yield catalog, served
    catalog.close()


async def test_a_partner_gets_the_set_and_then_only_what_changed(tmp_path: Path) -> None:
    async with hotline(tmp_path) as (catalog, scene):
        partner = Partner(tmp_path, scene.target)
        outcome = await partner.sync()
        assert (outcome.complete, outcome.full, outcome.counts.added) == (True, True, 3)
        catalog.withdraw("published", "e1", reason="a mistake", actor="ann")
        catalog.import_entries("published", [row(4)])
        catalog.import_entries("other", [row(10)])
        outcome = await partner.sync()
        assert (outcome.complete, outcome.full, outcome.counts.rows) == (True, False, 2)
        assert partner.held() == {
            "e1": EntryStatus.WITHDRAWN,
            "e2": EntryStatus.ACTIVE,
            "e3": EntryStatus.ACTIVE,
            "e4": EntryStatus.ACTIVE,
        }
        assert partner.catalog.get_entry("copy", "e1").status_reason == "a mistake"
        catalog.reinstate("published", "e1", reason="it was right", actor="ann")
        outcome = await partner.sync()
        assert (outcome.complete, outcome.counts.reinstated) == (True, 1)
        assert partner.held()["e1"] is EntryStatus.ACTIVE
        assert (await partner.sync()).counts.rows == 0
        partner.catalog.close()


async def test_provenance_keeps_the_origin_and_opinions_travel(tmp_path: Path) -> None:
    async with hotline(tmp_path) as (_, scene):
        partner = Partner(tmp_path, scene.target)
        await partner.sync()
        own, foreign = (partner.catalog.get_entry("copy", entry_id) for entry_id in ("e1", "e2"))
        assert (own.provenance.source, own.provenance.terms) == ("Example Hotline", "stop_transmission_only")
        assert (foreign.provenance.source, foreign.provenance.list_version) == ("Another Hotline", "v7")
        assert [(item.who, item.stance, item.reason) for item in foreign.opinions] == [
            ("Somebody", Stance.DISAGREE, "wrong picture")
        ]
        partner.catalog.close()


async def test_what_a_person_withdrew_in_the_copy_stays_so(tmp_path: Path) -> None:
    async with hotline(tmp_path) as (catalog, scene):
        partner = Partner(tmp_path, scene.target)
        await partner.sync()
        partner.catalog.withdraw("copy", "e3", reason="not here", actor="bob")
        catalog.import_entries("published", [row(3, status=EntryStatus.DISPUTED)])
        outcome = await partner.sync()
        assert (outcome.complete, outcome.counts.rejected) == (True, 1)
        assert "withdrawn on" in partner.rejected[0]
        assert partner.held()["e3"] is EntryStatus.WITHDRAWN
        partner.catalog.close()


async def test_batches_move_the_checkpoint_and_the_last_one_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "BATCH_ENTRIES", 2)
    async with hotline(tmp_path) as (catalog, scene), AsyncClient(scene.target) as client:
        batches = [batch async for batch in client.follow("published")]
        assert [(len(batch.rows), batch.complete, batch.from_beginning) for batch in batches] == [
            (2, False, True),
            (1, True, True),
        ]
        assert batches[-1].sequence == catalog.sequence()
        set_id = batches[0].hash_set.set_id
        rest = [batch async for batch in client.follow("published", set_id=set_id, since=batches[0].sequence)]
        again = {item.entry_id for batch in rest for item in batch.rows if isinstance(item, Entry)}
        assert {"e3"} <= again <= {"e2", "e3"}
        assert not rest[0].from_beginning


@pytest.mark.parametrize(("set_id", "ahead"), [("another", 0), ("", 1_000_000)])
async def test_a_place_that_is_not_of_this_set_means_everything(set_id: str, ahead: int, tmp_path: Path) -> None:
    async with hotline(tmp_path) as (catalog, scene), AsyncClient(scene.target) as client:
        known = set_id or catalog.get_set("published").set_id
        (batch,) = [batch async for batch in client.follow("published", set_id=known, since=1 + ahead)]
        assert (len(batch.rows), batch.from_beginning, batch.complete) == (3, True, True)


async def test_a_set_that_was_made_anew_takes_with_it_what_it_no_longer_has(tmp_path: Path) -> None:
    async with hotline(tmp_path) as (_, scene):
        partner = Partner(tmp_path, scene.target)
        assert (await partner.sync()).complete
        mark = loaded(partner.catalog.bookmark(CHECKPOINTS, "hotline"))
    anew = tmp_path / "anew"
    anew.mkdir()
    async with hotline(anew) as (catalog, scene):
        catalog.import_entries("published", [row(5)])
        other = Partner(tmp_path, scene.target)
        other.catalog.import_entries("copy", [row(7)])
        outcome = await other.sync()
        assert (outcome.complete, outcome.full, outcome.counts.vanished) == (True, True, 1)
        assert loaded(other.catalog.bookmark(CHECKPOINTS, "hotline"))["set_id"] != mark["set_id"]
        assert {key for key, status in other.held().items() if status is EntryStatus.ACTIVE} == {"e1", "e2", "e3", "e5"}
        other.catalog.close()
        partner.catalog.close()


async def test_a_set_that_is_not_there_and_a_service_that_is_not(tmp_path: Path) -> None:
    async with hotline(tmp_path) as (_, scene):
        partner = Partner(tmp_path, scene.target, remote_set="nothing")
        assert isinstance((await partner.sync()).error, SetNotFound)
        partner.catalog.close()
    gone = Partner(tmp_path, "127.0.0.1:9")
    assert isinstance((await gone.sync()).error, ServiceUnavailable)
    gone.catalog.close()
