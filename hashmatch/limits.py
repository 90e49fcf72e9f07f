"""How near is near: the distances of the policy, per algorithm and per kind of view, with the reason for each number.

Theory of operation
-------------------
Two tables, which a configuration file may override row by row (``[policy.algorithms.NAME]``,
``[policy.view_limits.KIND]``). For a hash of a view both rows hold, the narrower limit each time. :func:`setting` is
how every setting of hashmatch is declared, here and in ``config``.

What this module deliberately does not do: it reads no file, and it compares nothing; the policy does.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


def setting(
    default: Any,
    why: str,
    *,
    unit: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
) -> Any:
    """Declare one setting: its default, why it is that, its unit and its inclusive range."""
    meta = {"why": why, "unit": unit, "at_least": at_least, "at_most": at_most}
    return field(default=default, metadata=meta)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgorithmPolicy:
    """How far a hash may be from an entry. A distance of -1 means: never."""

    match_distance: int = setting(-1, "inclusive bits at which the verdict is match", unit="bits", at_least=-1)
    possible_distance: int = setting(
        -1, "inclusive bits at which a person should look; at least match_distance", unit="bits", at_least=-1
    )
    possible_distance_max: int = setting(
        -1, "widest distance that policy.review_false_rate may choose instead of possible_distance; -1, or a "
        "configuration file that sets only possible_distance: it is not chosen but fixed", unit="bits", at_least=-1,
    )  # fmt: skip
    allow_distance: int = setting(
        -1, "inclusive bits within which an entry of an allow set suppresses hits that are less near; no wider "
        "than match_distance, -1: never", unit="bits", at_least=-1,
    )  # fmt: skip
    min_quality: int = setting(0, "hashes of lower quality decide nothing", unit="0..100", at_least=0, at_most=100)


def default_algorithm_policies() -> Mapping[str, AlgorithmPolicy]:
    """Distances per algorithm; the measurements are in docs/explain/thresholds.md."""
    pdq = AlgorithmPolicy(
        match_distance=31, possible_distance=40, possible_distance_max=50, allow_distance=6, min_quality=50
    )
    equal = AlgorithmPolicy(match_distance=0, possible_distance=0)
    return types.MappingProxyType(
        {
            "pdq": pdq,
            "pdq-nearest512": replace(pdq, possible_distance_max=40),
            "pdq-canonical": replace(pdq, possible_distance_max=40),
            "phash": AlgorithmPolicy(possible_distance=4),
            "dhash": AlgorithmPolicy(possible_distance=2),
            "ahash": AlgorithmPolicy(),
            "whash": AlgorithmPolicy(),
            "md5": equal,
            "sha1": equal,
            "sha256": replace(equal, allow_distance=0),
            "photodna": replace(equal, allow_distance=0),
        }
    )


SCREEN_BITS: Mapping[str, int] = types.MappingProxyType({"pdq": 12, "pdq-canonical": 12, "pdq-nearest512": 32})
"""How far a hash of a scaled JPEG may be from the exact one, in bits. Most seen in 9,611 files: 8, 8 and 26."""
SCREEN_QUALITY = 6
"""The same for the quality, in percent. Most seen: 4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewPolicy:
    """How far a hash of one kind of view may be from an entry; the limits of its algorithm hold as well."""

    match_distance: int = setting(31, "inclusive bits at which the verdict is match", unit="bits", at_least=-1)
    possible_distance: int = setting(
        31, "inclusive bits at which a person should look; at least match_distance", unit="bits", at_least=-1
    )
    min_quality: int = setting(50, "views of lower quality decide nothing", unit="0..100", at_least=0, at_most=100)


def default_view_policies() -> Mapping[str, ViewPolicy]:
    """Limits per kind of view; the reasons and measurements are in docs/explain/views.md."""
    guess = ViewPolicy()
    return types.MappingProxyType(
        dict.fromkeys(("invert", "black", "mend"), ViewPolicy(possible_distance=40))
        | dict.fromkeys(("trim", "cell", "derotate", "quad", "extend"), guess)
    )
