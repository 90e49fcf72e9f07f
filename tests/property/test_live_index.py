"""The live index against a dictionary, through every order of changes, compactions and restarts."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hashmatch.errors import IndexNotLoaded, RollbackRefused
from hashmatch.index.build import build
from hashmatch.index.live import LiveIndex, State
from hashmatch.index.segment import Segment
from hashmatch.model import Change, Entry, EntryStatus, Label, Query, SetMode
from tests.oracle.search import NaiveIndex
from tests.support.feed import FakeFeed
from tests.support.index import TABLE, answers, entry, value

SETS = ("a", "b")
ALGORITHMS = ("pdq", "pdq-nearest512", "phash", "md5", "photodna", "wide")
"""Two that share a space, a short one, a digest, an opaque one, a long one."""

VIEWS = ("", "", "crop-left-3", "crop-1.5-1.5-1.5-4.5")

seeds = st.integers(0, 15)
entry_ids = st.sampled_from(("e0", "e1", "e2", "e3"))
set_names = st.sampled_from(SETS)
entries = st.builds(
    lambda entry_id, hashes, labels: entry(
        entry_id, *(value(*h) for h in hashes), labels=tuple(Label("s", "1", x) for x in labels)
    ),
    entry_ids,
    st.lists(st.tuples(st.sampled_from(ALGORITHMS), seeds, st.sampled_from(VIEWS)), min_size=1, max_size=4),
    st.lists(st.sampled_from("xy"), max_size=2),
)
queries = st.builds(
    lambda algorithm, seed, distance: Query(algorithm, value(algorithm, seed).value, distance),
    st.sampled_from(ALGORITHMS),
    seeds,
    st.integers(-1, 5),
)


class LiveIndexMachine(RuleBasedStateMachine):
    """Changes go to a feed; the index and the dictionary see them at the same moments."""

    @initialize()
    def begin(self) -> None:
        """Two empty sets and a first snapshot."""
        self.directory = Path(tempfile.mkdtemp(prefix="live-index-"))
        self.feed = FakeFeed()
        for name in SETS:
            self.feed.create_set(name)
        self.snapshots = 0
        self.naive = NaiveIndex(TABLE, {}, {})
        self.index = LiveIndex(TABLE)
        self.building: tuple[int, list[Change]] | None = None
        self.names = [0]
        with pytest.raises(IndexNotLoaded):
            self.index.search([], sets=None, max_hits=1)
        self._load(self._build(self.feed.sequence(), list(self.feed.changes(0))))

    def teardown(self) -> None:
        """Remove the snapshots."""
        if hasattr(self, "directory"):
            shutil.rmtree(self.directory)

    # --- what happens in the catalog ------------------------------------------------------------------------------

    @rule(name=set_names, batch=st.lists(entries, max_size=4, unique_by=lambda e: e.entry_id))
    def put(self, name: str, batch: list[Entry]) -> None:
        """Add or replace entries in one transaction."""
        self.feed.put(name, batch)

    @rule(name=set_names, entry_id=entry_ids, status=st.sampled_from(EntryStatus))
    def decide(self, name: str, entry_id: str, status: EntryStatus) -> None:
        """Withdraw, dispute or reinstate."""
        if (f"id-of-{name}", entry_id) in self.feed.entries:
            self.feed.set_status(name, entry_id, status)

    @rule(name=set_names, mode=st.sampled_from(SetMode))
    def set_mode(self, name: str, mode: SetMode) -> None:
        """Enforce a set or put it in the shadow."""
        self.feed.set_mode(name, mode)

    # --- what happens to the index --------------------------------------------------------------------------------

    @rule()
    def apply(self) -> None:
        """Bring the index up to date."""
        missing = list(self.feed.changes(self.index.sequence))
        assert self.index.apply(missing) == len(missing)
        self.naive.apply(missing)

    @precondition(lambda self: self.building is None)
    @rule()
    def begin_compaction(self) -> None:
        """Start a build; remember what an isolated feed shows at that moment."""
        self.index.begin_compaction()
        self.building = self.feed.sequence(), list(self.feed.changes(0))

    @precondition(lambda self: self.building is not None)
    @rule(late=st.booleans())
    def finish_compaction(self, *, late: bool) -> None:
        """Load what was read when the build began, or what a feed without isolation still shows of it now."""
        assert self.building is not None
        sequence, changes = self.building
        if late:
            changes = list(itertools.takewhile(lambda change: change.sequence <= sequence, self.feed.changes(0)))
        self.building = None
        self._load(self._build(sequence, changes))
        assert self.index.state is State.SERVING

    @precondition(lambda self: self.building is not None)
    @rule()
    def abandon_compaction(self) -> None:
        """Give the build up."""
        self.building = None
        self.index.abandon_compaction()

    @rule()
    def restart(self) -> None:
        """Start again from the latest snapshot."""
        segment = Segment.open(self._path(self.snapshots))
        self.index = LiveIndex(TABLE)
        self.building = None
        self._load(segment)

    @rule()
    def old_snapshots_are_refused(self) -> None:
        """Nothing that is not newer is loaded, and the attempt changes nothing."""
        before = self.index.status()
        with pytest.raises(RollbackRefused, match=f"snapshot {self.snapshots} is not newer than {self.snapshots}"):
            self.index.load(Segment.open(self._path(self.snapshots)), self.feed.changes(0))
        assert self.index.status() == before

    # --- what must hold -------------------------------------------------------------------------------------------

    @rule(asked=st.lists(queries, max_size=6), sets=st.none() | st.frozensets(set_names))
    def search(self, asked: list[Query], sets: frozenset[str] | None) -> None:
        """Compare with the dictionary's answers."""
        result = self.index.search(asked, sets=sets, max_hits=100)
        assert answers(result) == self.naive.search(asked, sets)
        assert result.generation == self.index.status().generation
        assert not result.truncated

    @rule(asked=st.lists(queries, min_size=1, max_size=3), max_hits=st.integers(1, 3))
    def cut_short(self, asked: list[Query], max_hits: int) -> None:
        """Check that a cut keeps the nearest of each query."""
        result = self.index.search(asked, sets=None, max_hits=max_hits)
        everything = self.naive.search(asked, None)
        for number in range(len(asked)):
            kept = sorted(answer[1] for answer in answers(result) if answer[0] == number)
            nearest = sorted(answer[1] for answer in everything if answer[0] == number)
            assert kept == nearest[:max_hits]
        assert result.truncated == (len(result.found) < len(everything))
        assert set(answers(result)) <= set(everything)

    @invariant()
    def generations_only_grow(self) -> None:
        """Check that no generation's name is less than one before it, restarts included."""
        if hasattr(self, "index"):
            name = int(self.index.status().generation)
            assert name >= self.names[-1]
            self.names.append(name)

    @invariant()
    def counts_are_true(self) -> None:
        """Check that what is counted is what can match."""
        if hasattr(self, "index"):
            counted: dict[str, int] = {}
            for one in self.naive.entries.values():
                for hashed in one.hashes if one.status is not EntryStatus.WITHDRAWN else ():
                    counted[hashed.algorithm] = counted.get(hashed.algorithm, 0) + 1
            assert self.index.status().values == counted
            assert self.index.modes().keys() == frozenset(SETS)

    def _path(self, generation: int) -> Path:
        return self.directory / f"segment-{generation}"

    def _build(self, sequence: int, changes: list[Change]) -> Segment:
        self.snapshots += 1
        path = self._path(self.snapshots)
        build(path, changes, TABLE, generation=self.snapshots, sequence=sequence)
        return Segment.open(path)

    def _load(self, segment: Segment) -> None:
        self.naive.apply(self.feed.changes(0))
        self.index.load(segment, self.feed.changes(segment.sequence))


LiveIndexMachine.TestCase.settings = settings(
    max_examples=80, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestLiveIndex = LiveIndexMachine.TestCase
