"""The engine: order of things, deadlines, and nothing said without a whole generation behind it."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from hashmatch.config import PolicyConfig
from hashmatch.errors import (
    BadHash,
    BadInput,
    DeadlineExceeded,
    IndexNotLoaded,
    Overloaded,
    SetNotFound,
    UnknownAlgorithm,
)
from hashmatch.matching.engine import Engine, Submission, at_once_s
from hashmatch.matching.given import HashedItem
from hashmatch.model import (
    ComputedHash,
    EntryHash,
    EntryStatus,
    HashOptions,
    MediaInfo,
    Picture,
    Query,
    Refusal,
    SearchResult,
    SetMode,
    Verdict,
    Views,
)
from tests.support.ports import PDQ_ZERO, FakeHasher, FakeIndex, entry_ref, flipped, picture
from tests.support.service import until

NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
IMAGE = b"the bytes of an image"


def engine(hasher: FakeHasher, index: FakeIndex, *, max_hits: int = 10, views: Views = Views.CHEAP) -> Engine:
    return Engine(hasher, index, PolicyConfig(views=views), max_hits=max_hits, now=lambda: NOON)


@dataclass
class TwoLooks(FakeHasher):
    """Sees a different picture when it is asked for all views."""

    thorough: Picture = field(default_factory=picture)

    async def hash(self, image: bytes, options: HashOptions, *, deadline_s: float | None = None) -> Picture:
        """Return the one picture or the other."""
        answer = await super().hash(image, options, deadline_s=deadline_s)
        return self.thorough if options.views is Views.FULL else answer


async def test_report_of_a_match_says_everything() -> None:
    index = FakeIndex([("pdq", flipped(PDQ_ZERO, 12), entry_ref("known"))])
    report = await engine(FakeHasher(), index).detect(Submission(IMAGE, request_id="r-1"))
    assert (report.request_id, report.verdict, report.rule) == ("r-1", Verdict.MATCH, "within_match_distance")
    assert (report.generation, report.created_at, report.quality) == ("7.1", NOON, 100)
    assert [(h.entry.entry_id, h.distance, h.max_distance) for h in report.hits] == [("known", 12, 31)]
    assert report.digests is not None
    assert report.digests.sha256 == hashlib.sha256(IMAGE).digest()
    assert report.digests.size_bytes == len(IMAGE)
    assert {"queue", "decode", "hash", "sandbox", "search", "policy", "total"} == set(report.elapsed_us)


async def test_request_id_is_made_when_the_caller_gives_none() -> None:
    one, two = [await engine(FakeHasher(), FakeIndex()).detect(Submission(IMAGE)) for _ in range(2)]
    assert len(one.request_id) == 32
    assert one.request_id != two.request_id


async def test_refused_picture_with_a_known_digest_matches() -> None:
    hasher = FakeHasher(Picture(refusal=Refusal.CORRUPT, detail="no pixels"))
    index = FakeIndex([("sha1", hashlib.sha1(IMAGE, usedforsecurity=False).digest(), entry_ref())])
    report = await engine(hasher, index).detect(Submission(IMAGE))
    assert (report.verdict, report.rule, report.reason) == (Verdict.MATCH, "digest_equal", Refusal.CORRUPT)


@pytest.mark.parametrize("length", [1, 256 << 10, (256 << 10) + 1, 1 << 20])
async def test_small_images_are_digested_at_once_and_large_ones_beside_with_one_answer(length: int) -> None:
    image = b"i" * length
    index = FakeIndex([("sha256", hashlib.sha256(image).digest(), entry_ref())])
    report = await engine(FakeHasher(), index).detect(Submission(image))
    assert report.digests is not None
    assert (report.verdict, report.rule) == (Verdict.MATCH, "digest_equal")
    assert (report.digests.sha256, report.digests.size_bytes) == (hashlib.sha256(image).digest(), length)


async def test_only_algorithms_that_decide_and_occur_are_computed() -> None:
    hasher = FakeHasher()
    rows = [("dhash", bytes(8), entry_ref()), ("whash", bytes(8), entry_ref())]
    await engine(hasher, FakeIndex(rows)).detect(Submission(IMAGE))
    assert hasher.options == [HashOptions(algorithms=frozenset({"pdq", "dhash"}))]


async def test_picture_is_hashed_again_when_a_list_brings_a_new_algorithm_meanwhile() -> None:
    hasher, index = FakeHasher(), FakeIndex()
    hash_once = hasher.hash

    async def hash_and_import(image: bytes, options: HashOptions, *, deadline_s: float | None = None) -> Picture:
        result = await hash_once(image, options, deadline_s=deadline_s)
        index.rows = [("phash", bytes(8), entry_ref())]
        return result

    hasher.hash = hash_and_import  # type: ignore[method-assign]
    await engine(hasher, index).detect(Submission(IMAGE))
    assert [sorted(options.algorithms) for options in hasher.options] == [["pdq"], ["pdq", "phash"]]


async def test_deadline_stops_the_work() -> None:
    hasher = FakeHasher(delay_s=30)
    with pytest.raises(DeadlineExceeded, match=r"caller's deadline of 0\.020 s; the work was stopped"):
        await engine(hasher, FakeIndex()).detect(Submission(IMAGE, deadline_s=0.02))
    assert hasher.cancelled == 1


async def test_cancelling_stops_the_work() -> None:
    hasher = FakeHasher(delay_s=30)
    task = asyncio.create_task(engine(hasher, FakeIndex()).detect(Submission(IMAGE)))
    await until(lambda: hasher.running)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert hasher.cancelled == 1


async def test_overload_and_missing_index_are_errors_not_answers() -> None:
    with pytest.raises(Overloaded):
        await engine(FakeHasher(error=Overloaded()), FakeIndex()).detect(Submission(IMAGE))
    with pytest.raises(IndexNotLoaded):
        await engine(FakeHasher(), FakeIndex(loaded=False)).detect(Submission(IMAGE))


async def test_sets_restrict_the_search_and_unknown_names_are_refused() -> None:
    index = FakeIndex(
        [("pdq", PDQ_ZERO, entry_ref("a", set_name="one")), ("pdq", PDQ_ZERO, entry_ref("b", set_name="two"))]
    )
    report = await engine(FakeHasher(), index).detect(Submission(IMAGE, sets=frozenset({"two"})))
    assert [hit.entry.set_name for hit in report.hits] == ["two"]
    with pytest.raises(SetNotFound, match="no hash set named 'three' is being served"):
        await engine(FakeHasher(), index).detect(Submission(IMAGE, sets=frozenset({"three"})))


async def test_a_flood_of_shadow_hits_cannot_hide_an_enforced_one() -> None:
    shadow = [("pdq", PDQ_ZERO, entry_ref(f"s{n}", set_name="trial", mode=SetMode.SHADOW)) for n in range(50)]
    index = FakeIndex([*shadow, ("pdq", flipped(PDQ_ZERO, 20), entry_ref("real"))])
    report = await engine(FakeHasher(), index, max_hits=2).detect(Submission(IMAGE))
    assert (report.verdict, report.hits[0].entry.entry_id, report.truncated) == (Verdict.MATCH, "real", True)


async def test_a_flood_of_allowed_and_shadow_hits_cannot_hide_an_enforced_one() -> None:
    """Nor can two floods, one behind the other, of which the first search sees only the nearer one."""
    shadow = [("pdq", PDQ_ZERO, entry_ref(f"s{n}", set_name="trial", mode=SetMode.SHADOW)) for n in range(50)]
    value = flipped(PDQ_ZERO, 10)
    allow = [("pdq", value, entry_ref(f"a{n}", set_name="reviewed", mode=SetMode.ALLOW)) for n in range(50)]
    index = FakeIndex([*shadow, *allow, ("pdq", flipped(PDQ_ZERO, 20), entry_ref("real"))])
    report = await engine(FakeHasher(), index, max_hits=2).detect(Submission(IMAGE))
    assert (report.verdict, report.hits[0].entry.entry_id, report.truncated) == (Verdict.MATCH, "real", True)


async def test_a_flood_of_quarantined_entries_cannot_hide_another_one_of_their_set() -> None:
    ended = [("pdq", PDQ_ZERO, entry_ref(f"q{n}", status=EntryStatus.QUARANTINED)) for n in range(500)]
    index = FakeIndex([*ended, ("pdq", flipped(PDQ_ZERO, 20), entry_ref("real"))])
    report = await engine(FakeHasher(), index, max_hits=2).detect(Submission(IMAGE))
    assert (report.verdict, report.hits[0].entry.entry_id, report.truncated) == (Verdict.MATCH, "real", True)


async def test_hash_only_requests_answer_in_order() -> None:
    index = FakeIndex([("pdq", PDQ_ZERO, entry_ref())])
    items = [
        HashedItem((EntryHash("pdq", flipped(PDQ_ZERO, 31)),), "near"),
        HashedItem((EntryHash("pdq", flipped(PDQ_ZERO, 51)),), "far"),
        HashedItem((EntryHash("pdq-nearest512", PDQ_ZERO),), "other dialect"),
        HashedItem((EntryHash("ahash", bytes(8)),), "never decides"),
        HashedItem((), "nothing"),
    ]
    reports = await engine(FakeHasher(), index).detect_hashes(items)
    assert [(r.request_id, r.verdict.value, r.reason) for r in reports] == [
        ("near", "match", None),
        ("far", "no_match", None),
        ("other dialect", "match", None),
        ("never decides", "not_checked", Refusal.NO_USABLE_HASH),
        ("nothing", "not_checked", Refusal.NO_USABLE_HASH),
    ]
    assert reports[2].hits[0].algorithm == "pdq"
    assert reports[2].hits[0].query_algorithm == "pdq-nearest512"


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (EntryHash("pdq", bytes(31)), BadHash, r"items\[1\]\.hashes\[0\]\.value: a pdq value has 32 bytes, got 31"),
        (
            EntryHash("pdq", bytes(32), 101),
            BadInput,
            r"items\[1\]\.hashes\[0\]\.quality: 101 is out of range; 0 to 100",
        ),
        (EntryHash("pqd", bytes(32)), UnknownAlgorithm, r"items\[1\]\.hashes\[0\]\.algorithm: .*pqd"),
    ],
)
async def test_bad_hashes_name_the_item_and_the_field(given: EntryHash, error: type[BadInput], message: str) -> None:
    items = [HashedItem((EntryHash("pdq", PDQ_ZERO),)), HashedItem((given,))]
    with pytest.raises(error, match=message) as caught:
        await engine(FakeHasher(), FakeIndex()).detect_hashes(items)
    assert str(caught.value.field).startswith("items[1].hashes[0].")


def test_a_submission_never_shows_its_image() -> None:
    shown = repr(Submission(b"canary-bytes", request_id="r"))
    assert shown == "Submission(12 bytes, request_id='r', sets=None)"


async def test_transparency_of_timings() -> None:
    report = await engine(FakeHasher(picture(), delay_s=0.02), FakeIndex()).detect(Submission(IMAGE))
    assert report.elapsed_us["sandbox"] >= 20_000
    assert report.elapsed_us["total"] >= report.elapsed_us["sandbox"] + report.elapsed_us["search"]


FAR = flipped(PDQ_ZERO, 200)
TRIMMED = ComputedHash("pdq-canonical", flipped(PDQ_ZERO, 9), 90, "trim-2+orig")
KNOWN = [("pdq", PDQ_ZERO, entry_ref())]


def seen(*more: ComputedHash) -> Picture:
    """Return a picture whose plain hash is far from everything, and with these hashes of views."""
    media = MediaInfo("JPEG", 640, 480)
    return Picture(media, (ComputedHash("pdq", FAR, 100), *more), queue_us=1, decode_us=2, hash_us=3)


@pytest.mark.parametrize("views", [Views.NONE, Views.CHEAP])
async def test_the_level_of_views_is_the_policys(views: Views) -> None:
    hasher = FakeHasher(seen())
    report = await engine(hasher, FakeIndex(KNOWN), views=views).detect(Submission(IMAGE))
    assert [options.views for options in hasher.options] == [views]
    assert report.verdict is Verdict.NO_MATCH


async def test_what_cheap_views_match_is_not_looked_at_again() -> None:
    hasher = FakeHasher()
    report = await engine(hasher, FakeIndex(KNOWN), views=Views.FULL).detect(Submission(IMAGE))
    assert (report.verdict, [options.views for options in hasher.options]) == (Verdict.MATCH, [Views.CHEAP])


async def test_what_matches_nothing_is_looked_at_again_with_all_views() -> None:
    hasher = TwoLooks(seen(), thorough=seen(TRIMMED))
    report = await engine(hasher, FakeIndex(KNOWN), views=Views.FULL).detect(Submission(IMAGE))
    assert [options.views for options in hasher.options] == [Views.CHEAP, Views.FULL]
    assert (report.verdict, report.hits[0].transformation, report.hits[0].distance) == (
        Verdict.MATCH,
        "trim-2+orig",
        9,
    )
    assert report.hits[0].query_algorithm == "pdq-canonical"
    assert (report.elapsed_us["queue"], report.elapsed_us["decode"], report.elapsed_us["hash"]) == (2, 4, 6)


async def test_a_possible_match_is_looked_at_again_and_kept() -> None:
    near = Picture(MediaInfo("JPEG", 640, 480), (ComputedHash("pdq", flipped(PDQ_ZERO, 35), 100),))
    hasher = TwoLooks(near, thorough=Picture(refusal=Refusal.TIMEOUT, detail="killed"))
    report = await engine(hasher, FakeIndex(KNOWN), views=Views.FULL).detect(Submission(IMAGE))
    assert len(hasher.options) == 2
    assert (report.verdict, report.hits[0].distance, report.reason) == (Verdict.POSSIBLE_MATCH, 35, Refusal.TIMEOUT)


async def test_a_second_look_that_does_not_end_is_never_no_match() -> None:
    hasher = TwoLooks(seen(), thorough=Picture(refusal=Refusal.TIMEOUT, detail="killed"))
    report = await engine(hasher, FakeIndex(KNOWN), views=Views.FULL).detect(Submission(IMAGE))
    assert (report.verdict, report.reason) == (Verdict.NOT_CHECKED, Refusal.TIMEOUT)


async def test_a_refused_picture_and_a_list_without_pdq_get_no_second_look() -> None:
    refused = FakeHasher(Picture(refusal=Refusal.CORRUPT))
    await engine(refused, FakeIndex(KNOWN), views=Views.FULL).detect(Submission(IMAGE))
    assert [options.views for options in refused.options] == [Views.CHEAP]
    digests_only = FakeHasher(seen())
    await engine(digests_only, FakeIndex([("md5", bytes(16), entry_ref())]), views=Views.FULL).detect(Submission(IMAGE))
    assert [options.views for options in digests_only.options] == [Views.NONE]


async def test_the_deadline_spans_both_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines: list[asyncio.Timeout] = []
    asked_for: list[float | None] = []
    timeout = asyncio.timeout

    def set_by_hand(delay_s: float | None) -> asyncio.Timeout:
        asked_for.append(delay_s)
        deadlines.append(timeout(None))
        return deadlines[-1]

    class LongSecondLook(TwoLooks):
        async def hash(self, image: bytes, options: HashOptions, *, deadline_s: float | None = None) -> Picture:
            if options.views is Views.FULL:
                self.delay_s = 600
                deadlines[0].reschedule(asyncio.get_running_loop().time())
            return await super().hash(image, options, deadline_s=deadline_s)

    monkeypatch.setattr(asyncio, "timeout", set_by_hand)
    hasher = LongSecondLook(seen())
    with pytest.raises(DeadlineExceeded):
        await engine(hasher, FakeIndex(KNOWN), views=Views.FULL).detect(Submission(IMAGE, deadline_s=0.1))
    assert asked_for == [0.1]
    assert (len(hasher.options), hasher.cancelled) == (2, 1)


@dataclass
class Listening(FakeIndex):
    """Remembers how far it was asked to look, one set of distances per search."""

    reaches: list[set[int]] = field(default_factory=list)

    def search(self, queries: Sequence[Query], *, sets: frozenset[str] | None, max_hits: int) -> SearchResult:
        """Search as the other one does."""
        self.reaches.append({query.max_distance for query in queries if query.algorithm == "pdq"})
        return super().search(queries, sets=sets, max_hits=max_hits)


@pytest.mark.parametrize(("views", "reaches"), [(Views.CHEAP, [{50}]), (Views.FULL, [{31}, {50}])])
async def test_only_the_last_look_asks_for_the_review_band(views: Views, reaches: list[set[int]]) -> None:
    index = Listening(KNOWN)
    await engine(FakeHasher(seen()), index, views=views).detect(Submission(IMAGE))
    assert index.reaches == reaches


async def test_chance_is_of_the_sets_that_were_searched() -> None:
    rows = [("pdq", flipped(PDQ_ZERO, 12), entry_ref("known", set_name="small"))]
    rows += [("pdq", FAR, entry_ref(f"e{number}", set_name="large")) for number in range(9)]
    asked = engine(FakeHasher(), FakeIndex(rows))
    everywhere = await asked.detect(Submission(IMAGE))
    in_one = await asked.detect(Submission(IMAGE, sets=frozenset({"small"})))
    (hashes_only,) = await asked.detect_hashes([HashedItem((EntryHash("pdq", PDQ_ZERO, 100),))])
    first, second, third = (report.hits[0].chance or 0.0 for report in (everywhere, in_one, hashes_only))
    assert second > 0
    assert first == pytest.approx(10 * second)
    assert third == pytest.approx(first)


@pytest.mark.parametrize(("cores", "longest_s"), [(1, 0.5e-3), (2, 0.5e-3), (3, 0.15e-3), (64, 0.15e-3)])
def test_a_search_takes_of_the_event_loop_what_a_thread_would_not_save(cores: int, longest_s: float) -> None:
    assert at_once_s(cores) == longest_s
