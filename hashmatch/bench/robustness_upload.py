"""What an upload is asked for: its hashes, and how far each of them may be from an entry.

Theory of operation
-------------------
An upload goes through ``hash_picture``, as in the service: gates, decoding, views. What comes back goes through the
policy, twice: as it is, and without its review band. So a bench's match is the policy's match. A page is asked for and
never matches (rule ``layout_like``): its hashes have a match distance of -1.

What this module deliberately does not do: it decodes without a sandbox, and searches nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from hashmatch.bench import codes
from hashmatch.bench.answers import Numbers
from hashmatch.bench.robustness_goals import ENROLLED
from hashmatch.config import DecodeConfig, PolicyConfig
from hashmatch.hashing.compute import hash_picture
from hashmatch.index.columns import Bytes
from hashmatch.matching.policy import queries_for, without_review
from hashmatch.model import HashOptions, Picture, Query, Views

POLICY = PolicyConfig()
MATCH_ONLY = without_review(POLICY)
"""The policy without its review band: what it asks for is what it would call a match."""
MATCH_DISTANCE = POLICY.algorithms["pdq"].match_distance
REVIEW_DISTANCE = max(POLICY.algorithms["pdq"].possible_distance, POLICY.algorithms["pdq"].possible_distance_max)
"""The widest that the policy ever chooses."""
LEAST_QUALITY = POLICY.min_image_quality
NEVER = -1

PLAIN = "plain"
_BOTH = frozenset({"pdq", "pdq-nearest512"})
LEVELS: Mapping[str, HashOptions] = MappingProxyType(
    {PLAIN: HashOptions(frozenset({"pdq"}), dihedral=False)}
    | {level.value: HashOptions(_BOTH, views=level) for level in Views}
    | {ENROLLED: HashOptions(_BOTH, views=Views.FULL)}
)
"""Name of a level to what is computed of an upload: one hash, as other tools do; or both dialects in eight orientations
and the views of that level. The last is ``full`` again, asked of a list with views of the originals."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one altered photo is asked for with at one level.

    ``hashes`` : uint8, shape (q, 32), those that the policy lets decide. ``match``, ``review`` : int64, shape (q,), how
    far each of them reaches, in bits, inclusive.
    """

    photo: int
    alteration: str
    level: str
    hashes: Bytes
    match: Numbers
    review: Numbers
    decode_us: int
    hash_us: int
    refused: bool


def hashed(data: bytes, level: str) -> Picture:
    """Hash a file as an upload."""
    return hash_picture(data, DecodeConfig(), LEVELS[level])


def upload_hashes(data: bytes, level: str, entries: int, photo: int = 0, alteration: str = "") -> Seen:
    """Hash a file as an upload, and ask the policy how far each hash reaches in a list of so many ``entries``."""
    answer = hashed(data, level)
    review = queries_for(answer.hashes, POLICY, {"pdq": entries, "pdq-nearest512": entries, "pdq-canonical": entries})
    match = queries_for(answer.hashes, MATCH_ONLY)
    return Seen(
        photo=photo,
        alteration=alteration,
        level=level,
        hashes=_values(review),
        match=_reach(match),
        review=np.array([query.max_distance for query in review], dtype=np.int64),
        decode_us=answer.decode_us,
        hash_us=answer.hash_us,
        refused=answer.refusal is not None,
    )


def asked_hashes(data: bytes, level: str) -> tuple[Bytes, Numbers]:
    """Hash a file as an upload: what is asked for (uint8, shape (q, 32)), and how far each is a match, in bits."""
    queries = queries_for(hashed(data, level).hashes, MATCH_ONLY)
    return _values(queries), _reach(queries)


def _values(queries: tuple[Query, ...]) -> Bytes:
    values = np.frombuffer(b"".join(query.value for query in queries), dtype=np.uint8)
    return values.reshape(len(queries), codes.SIZE_BYTES)


def _reach(queries: tuple[Query, ...]) -> Numbers:
    """How far each query is a match: never, where the policy would not call it one."""
    pages = (query.flat is not None and query.flat > POLICY.max_flat_percent for query in queries)
    reach = [NEVER if page else query.max_distance for page, query in zip(pages, queries, strict=True)]
    return np.array(reach, dtype=np.int64)
