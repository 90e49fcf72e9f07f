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
from collections.abc import Iterable, Mapping, Sequence

from hashmatch.config import PolicyConfig
from hashmatch.limits import SCREEN_BITS, SCREEN_QUALITY
from hashmatch.matching import policy as rules
from hashmatch.model import MAX_QUALITY, ComputedHash, Found, Query


def queries_for(
    hashes: Iterable[ComputedHash], policy: PolicyConfig, values: Mapping[str, int] = rules.UNKNOWN
) -> tuple[Query, ...]:
    """Return queries that find whatever those for the exact hashes of the same picture would find."""
    lifted = [
        item if item.quality is None else dataclasses.replace(item, quality=_lifted(item.quality)) for item in hashes
    ]
    return tuple(
        dataclasses.replace(query, max_distance=query.max_distance + SCREEN_BITS[query.algorithm])
        for query in rules.queries_for(lifted, policy, values)
    )


def settles(hashes: Sequence[ComputedHash], found: Sequence[Found], policy: PolicyConfig) -> bool:
    """Whether the exact hashes could say no more: nothing within the wider reach, and all of them surely asked for.

    A digest that is found counts too. A hash that may be too flat to be asked for changes how many are, and so how far
    the others reach: those pictures, few and flat, are looked at exactly.
    """
    gates = (row.min_quality for table in (policy.algorithms, policy.view_limits) for row in table.values())
    sure = max(policy.min_image_quality, *gates) + SCREEN_QUALITY
    return not found and all(item.quality is not None and item.quality >= sure for item in hashes)


def _lifted(quality: int) -> int:
    """Return the best quality that the exact hash may have."""
    return min(quality + SCREEN_QUALITY, MAX_QUALITY)
