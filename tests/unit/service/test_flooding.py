"""The flood guard at work: what it asks of a catalog, when, and what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from hashmatch.config import FloodConfig
from hashmatch.errors import CatalogUnavailable, EntryNotFound
from hashmatch.matching.flood import Flooding
from hashmatch.model import Entry, EntryHash, EntryStatus, HarmDomain, HashSet, Hit, MatchReport, Verdict
from hashmatch.service import flooding
from hashmatch.service.flooding import ACTOR, HISTORY, QUARANTINED, FloodGuard, quarantined
from tests.support.ports import entry_ref

CONFIG = FloodConfig(window_s=60, min_matches=3, factor=2.0, history_windows=4)
NOON = dt.datetime(2026, 11, 27, 12, tzinfo=dt.UTC)


@dataclass
class FakeCatalog:
    """Statuses of entries and bookmarks in dictionaries."""

    statuses: dict[str, EntryStatus] = field(default_factory=lambda: {"e": EntryStatus.ACTIVE})
    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    decisions: list[tuple[str, str, str, str]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def get_entry(self, name: str, entry_id: str) -> Entry:
        """One entry."""
        assert name == "hotline"
        if self.errors:
            raise self.errors.pop(0)
        if entry_id not in self.statuses:
            raise EntryNotFound
        return Entry(entry_id, (EntryHash("md5", bytes(16)),), status=self.statuses[entry_id])

    def quarantine(self, name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        """Note the decision."""
        self.statuses[entry_id] = EntryStatus.QUARANTINED
        self.decisions.append((name, entry_id, reason, actor))
        return HashSet("id", name, HarmDomain.OTHER)

    def bookmark(self, kind: str, name: str) -> str:
        """Return a text."""
        return self.texts.get((kind, name), "")

    def set_bookmark(self, kind: str, name: str, text: str) -> None:
        """Keep a text."""
        self.texts[kind, name] = text


@dataclass
class Scene:
    """A guard over a fake catalog; ``published`` counts."""

    catalog: FakeCatalog = field(default_factory=FakeCatalog)
    now_s: float = NOON.timestamp()
    published: int = 0

    async def publish(self) -> None:
        """Count."""
        self.published += 1

    @contextlib.asynccontextmanager
    async def guard(self, config: FloodConfig = CONFIG) -> AsyncIterator[FloodGuard]:
        """Run a guard until the block ends."""
        guard = FloodGuard(self.catalog, self.publish, config, now_s=lambda: self.now_s)
        await guard.start()
        try:
            yield guard
        finally:
            await guard.close()


def reports(times: int, *entry_ids: str) -> list[MatchReport]:
    hits = tuple(
        Hit(Verdict.MATCH, "digest_equal", entry_ref(name), "md5", "md5", 0, 0, "bytes") for name in entry_ids or ("e",)
    )
    return [MatchReport("r", Verdict.MATCH, "digest_equal", "1", NOON, hits=hits)] * times


async def test_what_floods_is_quarantined_published_told_and_listed(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    reason = "4 matches within 60 s; 0.0 in such a time before, the limit is 3"
    with caplog.at_level(logging.WARNING, logger="hashmatch.service"):
        async with scene.guard() as guard:
            guard.observe(reports(3))
            await guard.idle()
            assert scene.catalog.decisions == []
            guard.observe(reports(50))
            await guard.idle()
            assert scene.catalog.decisions == [("hotline", "e", reason, ACTOR)]
            assert scene.published == 1
            assert repr(guard) == "<FloodGuard: <Flooding: 1 entries>, 0 waiting>"
    (listed,) = quarantined(scene.catalog)
    assert (listed.set_name, listed.entry_id, listed.at, listed.reason) == ("hotline", "e", NOON, reason)
    assert f"an entry of the set hotline floods and was quarantined: {reason}" in caplog.text
    scene.catalog.statuses["e"] = EntryStatus.ACTIVE
    assert quarantined(scene.catalog) == (), "somebody reinstated it"


async def test_who_was_reinstated_is_left_alone_also_by_the_next_process() -> None:
    scene = Scene()
    async with scene.guard() as guard:
        guard.observe(reports(10))
        await guard.idle()
    scene.catalog.statuses["e"] = EntryStatus.ACTIVE
    scene.now_s += 60
    async with scene.guard() as guard:
        guard.observe(reports(12))
        await guard.idle()
        assert len(scene.catalog.decisions) == 1
        guard.observe(reports(10))
        await guard.idle()
        assert len(scene.catalog.decisions) == 2


@pytest.mark.parametrize("status", [EntryStatus.QUARANTINED, EntryStatus.WITHDRAWN])
async def test_what_somebody_else_stopped_is_left_alone(status: EntryStatus) -> None:
    scene = Scene(FakeCatalog({"e": status}))
    async with scene.guard() as guard:
        guard.observe(reports(9))
        await guard.idle()
    assert (scene.catalog.decisions, scene.published) == ([], 0)


async def test_a_catalog_out_of_reach_is_asked_again_and_answers_do_not_wait(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(flooding, "RETRY_S", 0.0)
    scene = Scene(FakeCatalog(errors=[CatalogUnavailable("locked"), CatalogUnavailable("locked")]))
    async with scene.guard() as guard:
        guard.observe(reports(9))
        assert scene.catalog.decisions == [], "not on the way of the answer"
        await guard.idle()
    assert len(scene.catalog.decisions) == 1
    assert caplog.text.count("waits for the catalog: locked") == 2


async def test_an_entry_that_is_gone_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    async with scene.guard() as guard:
        guard.observe(reports(9, "unknown", "e"))
        await guard.idle()
    assert [decision[1] for decision in scene.catalog.decisions] == ["e"]
    assert "an entry of the set" not in caplog.text or "unknown" not in caplog.text, "ids may be made of hashes"
    assert "was not quarantined: ENTRY_NOT_FOUND" in caplog.text


async def test_it_may_only_tell(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    with caplog.at_level(logging.WARNING, logger="hashmatch.service"):
        async with scene.guard(FloodConfig(window_s=60, min_matches=3, quarantine=False)) as guard:
            guard.observe(reports(9))
            await guard.idle()
    assert scene.catalog.decisions == []
    assert "4 matches within 60 s; 0.0 in such a time before, the limit is 3; flood.quarantine is off" in caplog.text


async def test_too_many_at_once_are_said_not_to_be_acted_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(flooding, "MAX_WAITING", 1)
    scene = Scene(FakeCatalog(dict.fromkeys("ef", EntryStatus.ACTIVE)))
    async with scene.guard() as guard:
        guard.observe(reports(9, "e", "f"))
        await guard.idle()
    assert [decision[1] for decision in scene.catalog.decisions] == ["e"]
    assert "floods and too many others wait: nothing was done" in caplog.text


async def test_whoever_meets_an_entry_in_quarantine_finds_it_named(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, named = Scene(), list[list[str]]()
    quarantine = scene.catalog.quarantine

    def quarantine_and_look(name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        before = [item.entry_id for item in quarantined(scene.catalog)]
        changed = quarantine(name, entry_id, reason=reason, actor=actor)
        named.extend((before, [item.entry_id for item in quarantined(scene.catalog)]))
        return changed

    monkeypatch.setattr(scene.catalog, "quarantine", quarantine_and_look)
    async with scene.guard() as guard:
        guard.observe(reports(5))
        await guard.idle()
    assert named == [[], ["e"]]


@pytest.mark.parametrize("text", ["{", "[1]", '[["a"]]', '{"a": 1}', "null", '[["a", "b", "many"]]', "[" * 100_000])
def test_a_memory_that_cannot_be_read_is_none(text: str, caplog: pytest.LogCaptureFixture) -> None:
    catalog = FakeCatalog(texts={(ACTOR, QUARANTINED): text, (ACTOR, HISTORY): text})
    assert quarantined(catalog) == ()
    assert flooding._history_from(text) == {}
    assert "cannot be read" in caplog.text


async def test_the_history_is_written_in_every_window(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, written = Scene(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def note(kind: str, name: str, text: str) -> None:
        scene.catalog.texts[kind, name] = text
        loop.call_soon_threadsafe(written.set)

    monkeypatch.setattr(scene.catalog, "set_bookmark", note)
    async with scene.guard(FloodConfig(window_s=1)):
        await asyncio.wait_for(written.wait(), 300)
    assert scene.catalog.texts[ACTOR, HISTORY] == "[]"
    assert repr(Flooding(CONFIG)) == "<Flooding: 0 entries>"
