"""What was promised of hashing. Pure; ``goals.py`` has the rules.

Beside a goal stands its *ceiling*: how much of the time that it leaves goes into what nobody gets around, reading the
pixels once from memory. Where that is more than all of it, the goal is out of reach of the machine, and missed. A
decoder stands beside the others: libjpeg-turbo alone, which is no bound, for ours is another.

What this module deliberately does not do: it measures nothing. A figure that a run does not have, because a peer is not
installed or a size was not asked for, leaves its goal open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hashmatch.bench.goals import TIMES, Goal, Results, at, quotient
from hashmatch.bench.hash_stages import DECODING, READING

SMALL, MEDIUM, LARGE = "512x512", "1024x768", "4000x3000"
US = "us_per_image"
READ, OF_OURS = "reading the pixels, % of the goal's time", "% of ours"
DECODED = "libjpeg-turbo alone, % of the goal's time"

Beside = Callable[[Results], Mapping[str, float | None]]


def _share(part: str, row: str, peer: str, bound: float, name: str) -> Beside:
    """Say how much of the time that a bound leaves, and of ours, a stage takes."""
    spent = at(row, "stages_us", part)
    of_goal, of_ours = quotient(spent, at(row, US, peer)), quotient(spent, at(row, US, "ours"))

    def beside(results: Results) -> Mapping[str, float | None]:
        goal, ours = of_goal(results), of_ours(results)
        return {
            name: None if goal is None else 100 * bound * goal,
            OF_OURS: None if ours is None else 100 * ours,
        }

    return beside


def _guarded(size: str, bound: float) -> Goal:
    return Goal(
        f"{size}, pixels to 8 hashes, guarded kernel against pdqhash.compute_dihedral", bound, TIMES,
        at(f"{size} pixels", "ratio_vs", "pdqhash_dihedral"), at_least=True,
        beside=_share(READING, f"{size} pixels", "pdqhash_dihedral", bound, READ),
    )  # fmt: skip


def _exact(size: str, bound: float) -> Goal:
    row = f"{size} pixels"
    return Goal(
        f"{size}, pixels to 8 hashes, exact kernel against pdqhash.compute_dihedral", bound, TIMES,
        quotient(at(row, US, "pdqhash_dihedral"), at(row, US, "ours_exact")), at_least=True,
    )  # fmt: skip


def _from_jpeg(size: str, bound: float) -> Goal:
    return Goal(
        f"{size}, JPEG to 8 hashes against one hash of python-threatexchange", bound, TIMES,
        at(f"{size} jpeg", "ratio_vs", "threatexchange"), at_least=True,
        beside=_share(DECODING, f"{size} jpeg", "threatexchange", bound, DECODED),
    )  # fmt: skip


def _screened(size: str, bound: float) -> Goal:
    row = f"{size} jpeg"
    return Goal(
        f"{size}, JPEG to 8 hashes for screening against one hash of python-threatexchange", bound, TIMES,
        quotient(at(row, US, "threatexchange"), at(row, US, "ours_screen")), at_least=True,
    )  # fmt: skip


def _against_c(size: str) -> Goal:
    row = f"{size} pixels"
    return Goal(
        f"{size}, exact kernel by our own C", 1.15, TIMES,
        quotient(at(row, US, "ours_exact"), at(row, US, "c_exact")),
    )  # fmt: skip


GOALS: Mapping[str, tuple[Goal, ...]] = MappingProxyType(
    {
        f"{SMALL} pixels": (_guarded(SMALL, 50), _exact(SMALL, 8), _against_c(SMALL)),
        f"{SMALL} jpeg": (_from_jpeg(SMALL, 6),),
        f"{MEDIUM} pixels": (_guarded(MEDIUM, 80), _exact(MEDIUM, 12), _against_c(MEDIUM)),
        f"{MEDIUM} jpeg": (_from_jpeg(MEDIUM, 10),),
        f"{LARGE} pixels": (_guarded(LARGE, 100), _exact(LARGE, 12), _against_c(LARGE)),
        f"{LARGE} jpeg": (_from_jpeg(LARGE, 14), _screened(LARGE, 24)),
    }
)
"""Row to the goals that it is held to: one core, one run, identical bits but for screening."""
