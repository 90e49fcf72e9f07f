"""A real endpoint on loopback over fakes of what answers: the engine's ports, and a catalog in a dictionary."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hashmatch.config import HotlineConfig, PolicyConfig, ServerConfig
from hashmatch.errors import BadInput, EntryNotFound, Overloaded, SetExists, SetNotFound
from hashmatch.matching.engine import Engine
from hashmatch.model import Change, Entry, EntryStatus, Event, HarmDomain, HashSet, ImportResult, Opinion, Rejected
from hashmatch.report.status import (
    CallCount,
    IndexStatus,
    Latency,
    OutboxDepth,
    Protection,
    QuarantinedEntry,
    ServiceStatus,
    SetMatches,
    Traffic,
    WorkersStatus,
)
from hashmatch.service.checks import Check
from hashmatch.service.curation import Curator
from hashmatch.service.desk import Desk
from hashmatch.service.endpoint import Endpoint
from hashmatch.service.hotline import Checks
from hashmatch.service.keyring import Keyring
from hashmatch.service.watching import Watch, Watched
from tests.support.ports import FakeHasher, FakeIndex

_T = TypeVar("_T")

MOMENT = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
"""When the fake catalog's events are."""

STATUS = ServiceStatus(
    version="0.1.0",
    libraries={"pillow": "13.0.0"},
    started_at=dt.datetime(2026, 11, 21, tzinfo=dt.UTC),
    index=IndexStatus("serving", "7.1", 42, {"pdq": 3}, 1, 2),
    workers=WorkersStatus(
        2, 1, 0, 99, 1, confined=True, protections=(Protection("seccomp", active=True),), quarantined=3
    ),
    hash_sets=1,
    entries=3,
    quarantined=(QuarantinedEntry("known", "e", dt.datetime(2026, 11, 21, tzinfo=dt.UTC), "9 matches within 60 s"),),
    traffic=Traffic(
        bounds_us=(1_000, 10_000),
        calls=(CallCount("/hashmatch.v1.DetectionService/Detect", "OK", 8),),
        stages={"total": Latency((4, 3, 1), 30_000)},
        matches=(SetMatches("known", "match", 2), SetMatches("other", "possible_match", 1)),
        verdicts={"match": 2, "no_match": 6},
    ),
    outbox=(OutboxDepth("ncmec", "queued", 3),),
    failing=("follower",),
)


class FakeRows:
    """Entries of one moment; says whether it was closed."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = iter(entries)
        self.closed = False

    def __iter__(self) -> Iterator[Entry]:
        return self._entries

    def close(self) -> None:
        """Note it."""
        self.closed = True


class FakeChanges:
    """Changes of one moment."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self._changes = iter(changes)

    def __iter__(self) -> Iterator[Change]:
        return self._changes

    def close(self) -> None:
        """Do nothing."""


class FakeCatalog:
    """Sets and entries in dictionaries; imports are all or nothing, as the real one's."""

    def __init__(self) -> None:
        self.stored: dict[str, HashSet] = {}
        self.contents: dict[str, dict[str, Entry]] = {}
        self.streams: list[FakeRows] = []
        self.events: dict[str, list[Event]] = {}
        self.error: Exception | None = None
        self.next_errors: list[Exception] = []
        self.importing = threading.Event()

    def create_set(self, name: str, domain: HarmDomain, **details: Any) -> HashSet:
        """Add an empty set; the only rule for names is that there is one."""
        self._fail()
        if not name:
            raise BadInput("name: 1 to 64 characters", field="name")
        if name in self.stored:
            raise SetExists(f"a hash set {name!r} exists already", field="name")
        self.stored[name] = HashSet(f"id-of-{name}", name, domain, version=1, **details)
        self.contents[name] = {}
        return self.stored[name]

    def sets(self) -> tuple[HashSet, ...]:
        """Every set."""
        self._fail()
        return tuple(self.stored[name] for name in sorted(self.stored))

    def get_set(self, name: str) -> HashSet:
        """One set."""
        self._fail()
        if name not in self.stored:
            raise SetNotFound(f"no hash set {name!r}", field="name")
        return self.stored[name]

    def import_entries(self, name: str, rows: Iterable[Entry | Rejected]) -> ImportResult:
        """Add or replace."""
        self.get_set(name)
        self.importing.set()
        fresh, rejections = dict(self.contents[name]), []
        for row in rows:
            if isinstance(row, Rejected):
                rejections.append(row)
            elif not row.hashes:
                rejections.append(Rejected(row.position or 0, "hashes", "an entry has at least one hash"))
            else:
                fresh[row.entry_id] = row
        added = len(fresh) - len(self.contents[name])
        self.contents[name] = fresh
        changed = self._changed(name)
        return ImportResult(changed, added, 0, 0, len(rejections), tuple(rejections))

    def entries(self, name: str) -> FakeRows:
        """Every entry, in entry_id order."""
        self.get_set(name)
        rows = FakeRows([self.contents[name][key] for key in sorted(self.contents[name])])
        self.streams.append(rows)
        return rows

    def sequence(self) -> int:
        """Count the entries: each is one change."""
        return sum(map(len, self.contents.values()))

    def changes(self, since: int) -> FakeChanges:
        """Every entry as one change, set by set."""
        every = [
            Change(number, self.stored[name], entry)
            for number, (name, entry) in enumerate(
                ((name, entry) for name in sorted(self.contents) for entry in self.contents[name].values()), 1
            )
        ]
        return FakeChanges([change for change in every if change.sequence > since])

    def get_entry(self, name: str, entry_id: str) -> Entry:
        """One entry."""
        self.get_set(name)
        if entry_id not in self.contents[name]:
            raise EntryNotFound(f"no entry {entry_id!r}", field="entry_id")
        return self.contents[name][entry_id]

    def withdraw(self, name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        """Withdraw one entry."""
        return self._decide(name, entry_id, EntryStatus.WITHDRAWN, reason, actor)

    def dispute(self, name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        """Dispute one entry."""
        return self._decide(name, entry_id, EntryStatus.DISPUTED, reason, actor)

    def reinstate(self, name: str, entry_id: str, *, reason: str, actor: str) -> HashSet:
        """Make one entry active."""
        return self._decide(name, entry_id, EntryStatus.ACTIVE, reason, actor)

    def vote(self, name: str, entry_id: str, opinion: Opinion, *, actor: str) -> HashSet:
        """Keep one opinion; a party has one of each thing."""
        entry = self.get_entry(name, entry_id)
        if not opinion.reason or not actor:
            raise BadInput("reason: required", field="reason")
        others = [item for item in entry.opinions if (item.who, item.algorithm) != (opinion.who, opinion.algorithm)]
        self.contents[name][entry_id] = dataclasses.replace(entry, opinions=(*others, opinion))
        self._record(entry_id, Event(MOMENT, actor, opinion.reason, "", opinion.stance, 0, opinion.who))
        return self._changed(name)

    def history(self, name: str, entry_id: str | None = None) -> tuple[Event, ...]:
        """Events of one entry, or none."""
        self.get_set(name)
        return tuple(self.events.get(entry_id or "", ()))

    def _decide(self, name: str, entry_id: str, status: EntryStatus, reason: str, actor: str) -> HashSet:
        self.get_set(name)
        if not reason or not actor:
            raise BadInput("reason: required", field="reason")
        entry = self.get_entry(name, entry_id)
        self.contents[name][entry_id] = dataclasses.replace(entry, status=status, status_reason=reason)
        self._record(entry_id, Event(MOMENT, actor, reason, entry.status, status, 0))
        return self._changed(name)

    def _record(self, entry_id: str, event: Event) -> None:
        self.events.setdefault(entry_id, []).append(event)

    def _changed(self, name: str) -> HashSet:
        entries = self.contents[name].values()
        withdrawn = sum(entry.status is EntryStatus.WITHDRAWN for entry in entries)
        before = self.stored[name]
        self.stored[name] = dataclasses.replace(
            before, version=before.version + 1, entries=len(entries) - withdrawn, withdrawn=withdrawn
        )
        return self.stored[name]

    def _fail(self) -> None:
        """Raise what the next call is to end with, or what every call is to end with."""
        if self.next_errors:
            raise self.next_errors.pop(0)
        if self.error is not None:
            raise self.error


def loopback(**settings: Any) -> ServerConfig:
    """Return the settings of a server on a free loopback port that gives a stalled machine time to shake hands."""
    return ServerConfig(**{"listen": "127.0.0.1:0", "health_poll_ms": 10, "handshake_timeout_ms": 120_000, **settings})


@dataclass
class Scene:
    """What a test puts behind the endpoint, and sees of it."""

    server: ServerConfig = field(default_factory=loopback)
    hasher: FakeHasher = field(default_factory=FakeHasher)
    index: FakeIndex = field(default_factory=FakeIndex)
    catalog: FakeCatalog = field(default_factory=FakeCatalog)
    checks: Checks | None = None
    hotline: HotlineConfig = field(default_factory=HotlineConfig)
    healthy: bool = True
    published: int = 0
    target: str = ""
    endpoint: Endpoint | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    data_dir: Path | None = None
    desk: Desk | None = None
    watch: Watch = field(default_factory=Watch)

    full: bool = False

    def check_room(self) -> None:
        """Refuse everything while it is full."""
        if self.full:
            raise Overloaded("there is no room", retry_after_s=0.25)

    check_room_for_hashes = check_room

    async def publish(self) -> None:
        """Count."""
        self.published += 1

    async def status(self) -> ServiceStatus:
        """Return the sample."""
        return STATUS


async def until(condition: Callable[[], object], within_s: float = 300.0) -> None:
    """Return once ``condition`` holds; the limit only ends a hang."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  what is waited for is in another process or in gRPC
            await asyncio.sleep(0.005)


async def collect(items: AsyncIterable[_T]) -> list[_T]:
    """Return everything that comes."""
    return [item async for item in items]


@contextlib.asynccontextmanager
async def serving(scene: Scene | None = None) -> AsyncIterator[Scene]:
    """Serve ``scene`` on a free loopback port until the block ends."""
    scene = scene or Scene()
    engine = Engine(scene.hasher, scene.index, PolicyConfig(), max_hits=100)
    keyring = Keyring(scene.server, scene.data_dir)
    keyring.load()
    scene.endpoint = endpoint = Endpoint(scene.server, scene.hotline, keyring, watch=scene.watch)
    scene.target = endpoint.bind()
    async with Curator(scene.catalog, scene.publish, idle_s=scene.server.import_idle_s) as curator:
        endpoint.offer(Watched(engine, scene.watch), curator, scene, scene.desk, scene.checks, room=scene)
        await endpoint.start([Check("fake", lambda: scene.healthy)])
        running = asyncio.create_task(endpoint.run(scene.stop))
        try:
            yield scene
        finally:
            scene.stop.set()
            await running
            await endpoint.abort()
