"""What approximate hashes may decide: that nothing is near, and nothing else. Pure.

Theory of operation
-------------------
A hash of a scaled JPEG is within so many bits of the exact one (``limits.SCREEN_BITS``), and its quality within so many
percent. :func:`queries_for` therefore asks that much further, for hashes of that much less quality. If nothing at all
is found so, nothing would be found with the exact hashes: their queries are among these, and reach no further.
:func:`settles` says whether that is so. Otherwise the picture is hashed again, exactly, and what the scaled one found
is forgotten: no report ever carries a distance from it.

What this module deliberately does not do: it knows no verdict. The policy gives it, as for exact hashes.

Source: docs/explain/fidelity.md for the figures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from hashmatch.config import PolicyConfig
from hashmatch.limits import SCREEN_BITS, SCREEN_QUALITY
from hashmatch.matching import policy as rules
from hashmatch.matching.policy import Evidence
from hashmatch.model import MAX_QUALITY, ComputedHash, Query


def queries_for(hashes: Iterable[ComputedHash], policy: PolicyConfig) -> tuple[Query, ...]:
    """Return queries that find whatever those for the exact hashes of the same picture would find."""
    lifted = [
        item if item.quality is None else dataclasses.replace(item, quality=_lifted(item.quality)) for item in hashes
    ]
    return tuple(
        dataclasses.replace(query, max_distance=query.max_distance + SCREEN_BITS[query.algorithm])
        for query in rules.queries_for(lifted, policy)
    )


def settles(evidence: Evidence, policy: PolicyConfig) -> bool:
    """Whether the exact hashes could say no more: nothing within the wider reach, and surely not too flat.

    ``evidence`` rests on :func:`queries_for`, with the quality as it was computed. A digest that is found counts too.
    """
    quality = evidence.quality
    return not evidence.found and quality is not None and quality >= policy.min_image_quality + SCREEN_QUALITY


def _lifted(quality: int) -> int:
    """Return the best quality that the exact hash may have."""
    return min(quality + SCREEN_QUALITY, MAX_QUALITY)
