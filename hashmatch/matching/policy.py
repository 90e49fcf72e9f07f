"""What a set of hashes and what was found for them mean. Pure: no I/O, no clock, no randomness.

Theory of operation
-------------------
:func:`queries_for` turns hashes into queries, each with the widest distance at which the policy would still say
something, and leaves out hashes that may decide nothing (no distance configured, quality too low). A view, a guess at
what was done to the picture, has narrower limits than the picture itself: there are many of them. After the search,
:func:`decide` weighs every found entry by :func:`_weigh`, keeps the strongest hit of each entry, and lets the strongest
hit of all give the verdict. Only when no hit speaks does the question arise whether the picture could be looked at
properly at all: :data:`_COULD_NOT_LOOK` lists, in order, what stands against saying "no match".

Where the review band ends follows from what is searched (``chance``): the longer the list and the more hashes are
asked, the nearer, within the limits of the configuration.

The rule that fired is always named; :data:`RULES` is the closed list of names.

What this module deliberately does not do: it does not turn numbers into yes or no anywhere but here, and it does not
decide what happens to the picture or to the person who sent it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hashmatch.config import PolicyConfig
from hashmatch.hashing.algorithms import OPAQUE
from hashmatch.limits import AlgorithmPolicy
from hashmatch.matching import chance
from hashmatch.matching.allow import TRANSFORMATION_OF_DIGESTS, Allowed, Effect
from hashmatch.matching.modes import mode_of
from hashmatch.model import (
    ComputedHash,
    Digests,
    EntryHash,
    EntryStatus,
    Found,
    Hit,
    MatchReport,
    MediaInfo,
    Picture,
    Query,
    Refusal,
    SetMode,
    Verdict,
)
from hashmatch.transformations import kind_of

RULES: Mapping[str, str] = {
    "digest_equal": "a cryptographic digest of the file equals one in a list: the same bytes",
    "opaque_equal": "a value that a tool under licence made equals one in a list: nearly the same picture",
    "within_match_distance": "a perceptual hash is within the match distance of its algorithm",
    "within_review_distance": "a perceptual hash is within the review distance, outside the match distance",
    "entry_disputed": "near enough to match, but somebody disputes the entry: a person should look",
    "entry_quarantined": "the entry is quarantined, so that its hits are reported and change no verdict",
    "layout_like": "near enough to match, but as blank as pages, differing in their words only: a person should look",
    "contradicts_allow_set": "as near to an entry of an allow set, which says not harmful: a person should look",
    "suppressed_by_allow_set": "nearer to an entry of an allow set, which was reviewed and is not harmful",
    "entry_allowed": "an entry of an allow set, reviewed and not harmful: it suppresses hits that are less near",
    "allowed_without_effect": "in an allow set, but not near enough, disputed or page-like: it suppresses nothing",
    "set_in_shadow": "found in a shadow set, which is reported and never changes the verdict",
    "nothing_within_reach": "looked with usable hashes and found nothing",
    "picture_refused": "the file could not be decoded, and no digest of it is known",
    "picture_too_small": "too few pixels to say that it is unknown",
    "quality_too_low": "too flat to say that it is unknown",
    "picture_degraded": "part of the picture is missing, and the rest matched nothing",
    "no_usable_hash": "none of the hashes given may decide",
}

UNKNOWN: Mapping[str, int] = types.MappingProxyType({})
"""The length of a list of which nothing is known."""

_OPAQUE = frozenset(row.name for row in OPAQUE)
_NEVER = AlgorithmPolicy()
_SHOWN_FIRST = {"entry_allowed": 0, "suppressed_by_allow_set": 1}
"""Of what decides nothing: what explains the verdict is not cut off by what does not."""
_STRENGTH = {Verdict.NO_MATCH: 0, Verdict.POSSIBLE_MATCH: 1, Verdict.MATCH: 2}


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a verdict rests on.

    ``quality`` is the best PDQ quality of any hashed frame, None when unknown; ``min_side_px`` and ``degraded`` come
    from ``media``. ``refusal`` is set when the picture itself could not be hashed. ``values`` is how many values a
    query of each algorithm could hit.
    """

    queries: tuple[Query, ...]
    found: tuple[Found, ...]
    media: MediaInfo | None = None
    quality: int | None = None
    refusal: Refusal | None = None
    detail: str = ""
    values: Mapping[str, int] = field(default_factory=lambda: UNKNOWN)


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict, the rule that fired, the hits that count and, where something stood in the way, the reason."""

    verdict: Verdict
    rule: str
    hits: tuple[Hit, ...] = ()
    reason: Refusal | None = None
    detail: str = ""


def deciding_algorithms(policy: PolicyConfig) -> frozenset[str]:
    """Names of the algorithms whose hashes may change a verdict."""
    return frozenset(name for name, row in policy.algorithms.items() if _reach(row) >= 0)


def picture_quality(picture: Picture) -> int | None:
    """Best quality, 0..100, of any whole frame of a hashed picture; None when nothing with a quality was computed."""
    return max(
        (item.quality for item in picture.hashes if item.quality is not None and not kind_of(item.transformation)),
        default=None,
    )


def without_review(policy: PolicyConfig) -> PolicyConfig:
    """Return the policy that only looks for matches."""
    algorithms = {
        name: dataclasses.replace(row, possible_distance=row.match_distance, possible_distance_max=-1)
        for name, row in policy.algorithms.items()
    }
    limits = policy.view_limits.items()
    views = {kind: dataclasses.replace(row, possible_distance=row.match_distance) for kind, row in limits}
    return dataclasses.replace(policy, algorithms=algorithms, view_limits=views)


def queries_for(
    hashes: Iterable[ComputedHash], policy: PolicyConfig, values: Mapping[str, int] = UNKNOWN
) -> tuple[Query, ...]:
    """Return the queries for the perceptual hashes of a picture.

    ``values`` is how many values a query of each algorithm could hit; where it says nothing, the review band ends at
    ``possible_distance``.

    A frame whose PDQ quality is below ``policy.min_image_quality`` gives no query of any algorithm: what is too flat
    for PDQ is too flat for the shorter hashes, which have no quality of their own. A part of the frame has, and need
    not be flat because the frame is: a small picture on a large page. How much of a whole frame is blank, one hash
    of it says for all.
    """
    kinds = [(item, kind_of(item.transformation)) for item in hashes]
    best, flat_of = dict[int, int](), dict[int, int]()
    for item, kind in kinds:
        if kind:
            continue
        if item.quality is not None:
            best[item.frame] = max(item.quality, best.get(item.frame, 0))
        if item.flat is not None:
            flat_of[item.frame] = item.flat
    limits = functools.cache(functools.partial(_reaching, policy))
    asked = []
    for item, kind in kinds:
        row = limits(item.algorithm, kind)
        quality = item.quality if kind else best.get(item.frame)
        flat = quality is not None and quality < policy.min_image_quality
        if row is None or flat or (item.quality is not None and item.quality < row.min_quality):
            continue
        asked.append((item, kind, quality, row))
    comparisons = _comparisons([item.algorithm for item, *_ in asked], values)
    edges: dict[tuple[str, str, int | None], int] = {}
    for item, kind, quality, row in asked:
        if (item.algorithm, kind, quality) not in edges:
            compared = comparisons.get(item.algorithm)
            edges[item.algorithm, kind, quality] = _edge(kind, row, quality, compared, policy.review_false_rate)
    return tuple(
        Query(
            algorithm=item.algorithm,
            value=item.value,
            max_distance=edges[item.algorithm, kind, quality],
            transformation=item.transformation,
            frame=item.frame,
            quality=quality,
            flat=item.flat if kind else flat_of.get(item.frame),
        )
        for item, kind, quality, _ in asked
    )


def queries_for_digests(digests: Digests, policy: PolicyConfig) -> tuple[Query, ...]:
    """Return the queries for the digests of the file."""
    return tuple(
        Query(name, value, 0, TRANSFORMATION_OF_DIGESTS)
        for name, value in digests.items()
        if _reach(policy.algorithms.get(name, _NEVER)) >= 0
    )


def queries_for_given(
    hashes: Sequence[EntryHash],
    policy: PolicyConfig,
    digest_names: frozenset[str],
    values: Mapping[str, int] = UNKNOWN,
) -> tuple[Query, ...]:
    """Return the queries for hashes that a caller computed; a quality that the caller does not give is no obstacle."""
    given = tuple(ComputedHash(h.algorithm, h.value, h.quality) for h in hashes if h.algorithm not in digest_names)
    digests = tuple(
        Query(h.algorithm, h.value, 0, TRANSFORMATION_OF_DIGESTS)
        for h in hashes
        if h.algorithm in digest_names and _reach(policy.algorithms.get(h.algorithm, _NEVER)) >= 0
    )
    return digests + queries_for(given, policy, values)


def decide(evidence: Evidence, policy: PolicyConfig, *, max_hits: int) -> Decision:
    """Return the verdict on one picture or one set of hashes."""
    comparisons = _comparisons([query.algorithm for query in evidence.queries], evidence.values)
    allowed = Allowed(evidence.found, evidence.queries, policy)
    hits = strongest_per_entry(
        _weigh(found, evidence.queries[found.query], comparisons, policy, allowed) for found in evidence.found
    )
    speaking = [hit for hit in hits if hit.verdict is not Verdict.NO_MATCH]
    kept = tuple(hits[:max_hits])
    if speaking:
        top = speaking[0]
        return Decision(top.verdict, top.rule, kept, evidence.refusal, evidence.detail)
    for rule, stands, reason, detail in _COULD_NOT_LOOK:
        if stands(evidence, policy):
            return Decision(
                Verdict.NOT_CHECKED, rule, kept, evidence.refusal or reason, evidence.detail or detail(evidence, policy)
            )
    suppressed = any(hit.rule == "suppressed_by_allow_set" for hit in hits)
    shown = "suppressed_by_allow_set" if suppressed else hits[0].rule if hits else "nothing_within_reach"
    return Decision(Verdict.NO_MATCH, shown, kept)


def reported(
    decision: Decision,
    *,
    request_id: str,
    generation: str,
    created_at: dt.datetime,
    quality: int | None,
    truncated: bool = False,
    digests: Digests | None = None,
    media: MediaInfo | None = None,
    elapsed_us: Mapping[str, int] = types.MappingProxyType({}),
    hashes: tuple[EntryHash, ...] = (),
) -> MatchReport:
    """Put a decision into a report."""
    return MatchReport(
        request_id=request_id,
        verdict=decision.verdict,
        rule=decision.rule,
        generation=generation,
        created_at=created_at,
        reason=decision.reason,
        detail=decision.detail,
        hits=decision.hits,
        truncated=truncated,
        digests=digests,
        media=media,
        quality=quality,
        elapsed_us=elapsed_us,
        hashes=hashes,
    )


def strongest_per_entry(hits: Iterable[Hit]) -> list[Hit]:
    """Keep one hit per entry, strongest verdict first, then nearest, then by set and entry: reports are stable."""
    ranked = sorted(hits, key=_rank)
    seen: set[tuple[str, str]] = set()
    kept = []
    for hit in ranked:
        key = (hit.entry.set_id, hit.entry.entry_id)
        if key not in seen:
            seen.add(key)
            kept.append(hit)
    return kept


def _limits(policy: PolicyConfig, algorithm: str, kind: str) -> AlgorithmPolicy:
    """Limits of an algorithm, narrowed by those of the kind of view; a view that the policy does not know is unused."""
    row = policy.algorithms.get(algorithm, _NEVER)
    if not kind:
        return row
    view = policy.view_limits.get(kind)
    if view is None:
        return _NEVER
    return AlgorithmPolicy(
        match_distance=min(row.match_distance, view.match_distance),
        possible_distance=min(row.possible_distance, view.possible_distance),
        possible_distance_max=min(row.possible_distance_max, view.possible_distance),
        min_quality=max(row.min_quality, view.min_quality),
    )


def _reaching(policy: PolicyConfig, algorithm: str, kind: str) -> AlgorithmPolicy | None:
    """Return the limits of an algorithm's hashes of a kind of view, None where they may decide nothing."""
    row = _limits(policy, algorithm, kind)
    return row if _reach(row) >= 0 else None


def _reach(row: AlgorithmPolicy) -> int:
    """Widest distance in bits at which this row says anything; negative means never."""
    return max(row.match_distance, row.possible_distance, row.possible_distance_max)


def _comparisons(asked: Sequence[str], values: Mapping[str, int]) -> Mapping[str, int]:
    """Count what decides how likely a stranger is: values that could be hit times hashes that are asked.

    Per algorithm, from the algorithm of each hash; those of whose distances nothing is known are left out.
    """
    hashes = sum(name in chance.ALGORITHMS for name in asked)
    return {name: values[name] * hashes for name in chance.ALGORITHMS if name in values}


def _edge(kind: str, row: AlgorithmPolicy, quality: int | None, comparisons: int | None, rate: float) -> int:
    """Return how far a hash reaches, in bits: where its review band ends, or at least the match distance."""
    if comparisons is None or row.possible_distance_max < 0:
        return max(row.match_distance, row.possible_distance)
    widest = chance.widest(kind, quality, comparisons, rate)
    chosen = row.possible_distance_max if widest is None else min(widest, row.possible_distance_max)
    return max(row.match_distance, chosen)


def _rank(hit: Hit) -> tuple[int, int, int, bool, str, str, str, int]:
    is_view = hit.transformation != TRANSFORMATION_OF_DIGESTS
    return (
        -_STRENGTH[hit.verdict],
        _SHOWN_FIRST.get(hit.rule, len(_SHOWN_FIRST)),
        hit.distance,
        is_view,
        hit.entry.set_name,
        hit.entry.entry_id,
        hit.transformation,
        hit.frame,
    )


def _weigh(found: Found, query: Query, comparisons: Mapping[str, int], policy: PolicyConfig, allowed: Allowed) -> Hit:
    """Turn one found entry into a hit with its own verdict, rule and threshold."""
    kind, compared = kind_of(query.transformation), comparisons.get(query.algorithm)
    row = _limits(policy, query.algorithm, kind)
    is_digest = query.transformation == TRANSFORMATION_OF_DIGESTS
    near = found.distance <= row.match_distance
    verdict = Verdict.MATCH if near else Verdict.POSSIBLE_MATCH
    rule = _rule_of_nearness(found.algorithm, is_digest=is_digest) if near else "within_review_distance"
    if near and found.entry.status is EntryStatus.DISPUTED:
        verdict, rule = Verdict.POSSIBLE_MATCH, "entry_disputed"
    elif near and not is_digest and query.flat is not None and query.flat > policy.max_flat_percent:
        verdict, rule = Verdict.POSSIBLE_MATCH, "layout_like"
    by = None
    match mode_of(found.entry.set_name, found.entry.mode, policy):
        case SetMode.SHADOW:
            verdict, rule = Verdict.NO_MATCH, "set_in_shadow"
        case SetMode.ALLOW:
            counts = allowed.counts(found, query)
            verdict, rule = Verdict.NO_MATCH, "entry_allowed" if counts else "allowed_without_effect"
        case SetMode.ENFORCED if found.entry.status is EntryStatus.QUARANTINED:
            verdict, rule = Verdict.NO_MATCH, "entry_quarantined"
        case SetMode.ENFORCED:
            effect, by = allowed.effect(found, query)
            if effect is Effect.SUPPRESSES:
                verdict, rule = Verdict.NO_MATCH, "suppressed_by_allow_set"
            elif effect is Effect.CONTRADICTS:
                verdict, rule = Verdict.POSSIBLE_MATCH, "contradicts_allow_set"
    return Hit(
        verdict=verdict,
        rule=rule,
        entry=found.entry,
        algorithm=found.algorithm,
        query_algorithm=query.algorithm,
        distance=found.distance,
        max_distance=row.match_distance if near else query.max_distance,
        transformation=query.transformation,
        frame=query.frame,
        view=found.view,
        chance=None if compared is None else chance.expected(kind, query.quality, found.distance, compared),
        allowed_by="" if by is None else f"{by.set_name}/{by.entry_id}",
    )


def _rule_of_nearness(algorithm: str, *, is_digest: bool) -> str:
    """Name what being near enough to match means."""
    if is_digest:
        return "digest_equal"
    return "opaque_equal" if algorithm in _OPAQUE else "within_match_distance"


def _too_small(evidence: Evidence, policy: PolicyConfig) -> bool:
    media = evidence.media
    return media is not None and min(media.width, media.height) < policy.min_side_px


def _too_flat(evidence: Evidence, policy: PolicyConfig) -> bool:
    return evidence.quality is not None and evidence.quality < policy.min_image_quality


def _size_detail(evidence: Evidence, policy: PolicyConfig) -> str:
    media = evidence.media
    size = f"{media.width}x{media.height} pixels" if media else "this picture"
    return f"{size} is too small to say that it is unknown; policy.min_side_px is {policy.min_side_px}"


def _quality_detail(evidence: Evidence, policy: PolicyConfig) -> str:
    return f"PDQ quality {evidence.quality} is below policy.min_image_quality ({policy.min_image_quality})"


_Check = Callable[[Evidence, PolicyConfig], bool]
_Detail = Callable[[Evidence, PolicyConfig], str]

_COULD_NOT_LOOK: tuple[tuple[str, _Check, Refusal, _Detail], ...] = (
    # A refusal brings its own reason and detail; CORRUPT stands here only to complete the row.
    ("picture_refused", lambda e, _: e.refusal is not None, Refusal.CORRUPT, lambda e, _: e.detail),
    ("picture_too_small", _too_small, Refusal.TOO_SMALL, _size_detail),
    ("quality_too_low", _too_flat, Refusal.LOW_QUALITY, _quality_detail),
    (
        "picture_degraded",
        lambda e, _: e.media is not None and e.media.degraded,
        Refusal.DEGRADED,
        lambda _e, _p: "the file is damaged; the part that could be recovered matched nothing",
    ),
    (
        "no_usable_hash",
        lambda e, _: not e.queries,
        Refusal.NO_USABLE_HASH,
        lambda _e, _p: (
            "none of the hashes given may decide: unknown to the policy, switched off, or too low in quality"
        ),
    ),
)
"""Rule, whether it stands, the reason it gives, and a sentence for people; the first that stands is reported."""
