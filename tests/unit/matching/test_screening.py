"""Approximate hashes settle that nothing is near; in every other case the exact ones decide, and only they are told."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from hashmatch.config import PolicyConfig
from hashmatch.limits import SCREEN_BITS, SCREEN_QUALITY
from hashmatch.matching import policy as rules
from hashmatch.matching import screening
from hashmatch.matching.engine import Engine, Submission
from hashmatch.model import (
    ComputedHash,
    Fidelity,
    Found,
    HashOptions,
    MatchReport,
    MediaInfo,
    Picture,
    Refusal,
    SetMode,
    Verdict,
    Views,
)
from tests.support.ports import PDQ_ZERO, FakeHasher, FakeIndex, entry_ref, flipped, picture

POLICY = PolicyConfig()
GATE = POLICY.min_image_quality
REACH = POLICY.algorithms["pdq"].possible_distance_max
SLACK = SCREEN_BITS["pdq"]
IMAGE = b"the bytes of an image"
LIST = [("pdq", PDQ_ZERO, entry_ref("known"))]


def screened(bits: int, quality: int = 100) -> Picture:
    """Return a picture with an approximate hash that is so many bits from the list's."""
    media = MediaInfo("JPEG", 4000, 3000, fidelity=Fidelity.SCREEN)
    hashes = (ComputedHash("pdq", flipped(PDQ_ZERO, bits), quality),)
    return Picture(media, hashes, queue_us=1, decode_us=2, hash_us=3)


@dataclass
class Screens(FakeHasher):
    """Has an approximate answer too, for those who allow it and do not want all views."""

    approximate: Picture = field(default_factory=lambda: screened(128))

    async def hash(self, image: bytes, options: HashOptions, *, deadline_s: float | None = None) -> Picture:
        """Return the one answer or the other."""
        answer = await super().hash(image, options, deadline_s=deadline_s)
        may = options.fidelity is Fidelity.SCREEN and options.views is not Views.FULL
        return self.approximate if may else answer


async def detect(hasher: Screens, rows: list[tuple[str, bytes, object]] = LIST, **policy: object) -> MatchReport:  # type: ignore[assignment]
    index = FakeIndex(rows)  # type: ignore[arg-type]
    engine = Engine(hasher, index, PolicyConfig(**policy), max_hits=10, fidelity=Fidelity.SCREEN)  # type: ignore[arg-type]
    return await engine.detect(Submission(IMAGE))


def looks(hasher: Screens) -> list[tuple[str, str]]:
    return [(options.fidelity.value, options.views.value) for options in hasher.options]


@pytest.mark.parametrize("algorithm", ["pdq", "pdq-nearest512", "pdq-canonical"])
@pytest.mark.parametrize("transformation", ["orig", "rot90", "invert+flipx"])
def test_queries_reach_further_by_the_algorithms_slack(algorithm: str, transformation: str) -> None:
    item = ComputedHash(algorithm, PDQ_ZERO, 80, transformation)
    exact, wider = rules.queries_for([item], POLICY), screening.queries_for([item], POLICY)
    assert [query.max_distance - SCREEN_BITS[algorithm] for query in wider] == [query.max_distance for query in exact]


def test_an_algorithm_that_decides_nothing_is_not_asked_with_slack_either() -> None:
    never = PolicyConfig(algorithms={})
    assert screening.queries_for([ComputedHash("pdq", PDQ_ZERO, 80)], never) == ()


@pytest.mark.parametrize(("quality", "asked"), [(GATE - SCREEN_QUALITY - 1, 0), (GATE - SCREEN_QUALITY, 1)])
def test_hashes_are_asked_whose_exact_quality_may_be_enough(quality: int, asked: int) -> None:
    assert len(screening.queries_for([ComputedHash("pdq", PDQ_ZERO, quality)], POLICY)) == asked


@pytest.mark.parametrize(
    ("quality", "found", "settles"),
    [
        (GATE + SCREEN_QUALITY, (), True),
        (GATE + SCREEN_QUALITY - 1, (), False),
        (None, (), False),
        (100, (Found(0, 43, "pdq", entry_ref()),), False),
    ],
)
def test_only_nothing_near_a_picture_that_is_not_flat_settles(
    quality: int | None,
    found: tuple[Found, ...],
    settles: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    hashes = (ComputedHash("pdq", PDQ_ZERO, 100), ComputedHash("pdq-nearest512", PDQ_ZERO, quality))
    assert screening.settles(hashes, found, POLICY) is settles


async def test_nothing_within_the_wider_reach_is_answered_at_once() -> None:
    hasher = Screens(approximate=screened(REACH + SLACK + 1))
    report = await detect(hasher)
    assert looks(hasher) == [("screen", "cheap")]
    assert (report.verdict, report.rule, report.quality) == (Verdict.NO_MATCH, "nothing_within_reach", 100)
    assert report.media == MediaInfo("JPEG", 4000, 3000, fidelity=Fidelity.SCREEN)


@pytest.mark.parametrize("apart", [0, 31, REACH, REACH + 1, REACH + SLACK])
@pytest.mark.parametrize("exact", [0, 31, 32, REACH, REACH + 1, 128])
async def test_whatever_is_found_the_exact_hash_decides(apart: int, exact: int) -> None:
    hasher = Screens(picture(flipped(PDQ_ZERO, exact)), approximate=screened(apart))
    report = await detect(hasher)
    assert looks(hasher) == [("screen", "cheap"), ("exact", "cheap")]
    assert report.media is not None
    assert report.media.fidelity is Fidelity.EXACT
    assert [hit.distance for hit in report.hits] == ([exact] if exact <= REACH else [])
    expected = Verdict.MATCH if exact <= 31 else Verdict.POSSIBLE_MATCH if exact <= REACH else Verdict.NO_MATCH
    assert report.verdict is expected
    assert (report.elapsed_us["queue"], report.elapsed_us["decode"], report.elapsed_us["hash"]) == (2, 4, 6)


async def test_what_may_be_too_flat_is_looked_at_exactly() -> None:
    hasher = Screens(picture(flipped(PDQ_ZERO, 128), quality=GATE - 1), approximate=screened(128, GATE + 1))
    report = await detect(hasher)
    assert len(hasher.options) == 2
    assert (report.verdict, report.reason, report.quality) == (Verdict.NOT_CHECKED, Refusal.LOW_QUALITY, GATE - 1)


async def test_an_exact_look_that_fails_leaves_nothing_of_the_approximate_one() -> None:
    hasher = Screens(Picture(refusal=Refusal.TIMEOUT, detail="killed"), approximate=screened(3))
    report = await detect(hasher)
    assert (report.verdict, report.reason, report.hits) == (Verdict.NOT_CHECKED, Refusal.TIMEOUT, ())
    assert (report.media, report.quality) == (None, None)


async def test_a_hit_in_a_shadow_set_is_reported_exactly() -> None:
    rows = [("pdq", PDQ_ZERO, entry_ref(mode=SetMode.SHADOW))]
    hasher = Screens(picture(flipped(PDQ_ZERO, 20)), approximate=screened(22))
    report = await detect(hasher, rows)  # type: ignore[arg-type]
    assert (report.verdict, [hit.distance for hit in report.hits]) == (Verdict.NO_MATCH, [20])


async def test_all_views_are_exact_and_come_only_where_screening_found_nothing() -> None:
    far = Screens(picture(flipped(PDQ_ZERO, 128)), approximate=screened(128))
    await detect(far, [*LIST, ("pdq-nearest512", PDQ_ZERO, entry_ref())], views=Views.FULL)
    assert looks(far) == [("screen", "cheap"), ("exact", "full")]
    near = Screens(picture(), approximate=screened(5))
    report = await detect(near, views=Views.FULL)
    assert looks(near) == [("screen", "cheap"), ("exact", "cheap")]
    assert report.verdict is Verdict.MATCH


async def test_a_worker_that_answers_exactly_is_believed_at_once() -> None:
    hasher = Screens(approximate=picture(flipped(PDQ_ZERO, 33)))
    report = await detect(hasher)
    assert (len(hasher.options), report.verdict, report.hits[0].distance) == (1, Verdict.POSSIBLE_MATCH, 33)
