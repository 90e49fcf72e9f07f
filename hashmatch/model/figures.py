"""What is counted for statistics, in words: one row per day and key, and the buckets that durations fall into.

Theory of operation
-------------------
A :class:`Counted` says how often something happened on one day (UTC), by set, algorithm, domain and outlet, as far as
the :class:`Counter` has them; what it has not is empty. Rows of one key add up, so they may be kept per process and
summed later, and nothing else than sums is needed for any table that a law asks for (``statistics_mandated``).

Durations are histograms. Bucket ``b`` counts durations from ``2**(b/8)`` seconds, inclusive, to ``2**((b+1)/8)``
seconds; bucket 0 also what is shorter than a second. A median that is read from it is the geometric middle of its
bucket, and so wrong by at most ``2**(1/16) - 1``, 4.4 %, of its own value; below a second by less than a second.
Distances are histograms of whole bits and exact.

The key has no room for personal data: it names no case, item, account, address or text. ``set_name``, ``algorithm`` and
``outlet`` are names out of the configuration and the catalog, and :class:`Counted` refuses texts that are no such name,
as e-mail and web addresses are not.

What this module deliberately does not do: it stores nothing, reads no clock, and computes no table.
"""

from __future__ import annotations

import datetime as dt
import enum
import math
import re
from dataclasses import dataclass
from typing import Final

from hashmatch.errors import BadInput
from hashmatch.model.entries import HarmDomain

BUCKETS_PER_DOUBLING: Final = 8
"""Of durations; eight bound the error of a median by 4.4 %, and a decade fits into 227 buckets."""

MAX_BUCKET: Final = 8 * 32
"""Of durations: 136 years. No distance is larger either: the longest hash has 256 bits."""


class Counter(enum.StrEnum):
    """What is counted. Of each its key: where nothing is said, the set, the algorithm and the outlet are empty."""

    CHECKED = "checked"
    """Images asked about, looked at or not. No domain."""
    NOT_CHECKED = "not_checked"
    """Images that could not be looked at; among ``CHECKED``. No domain."""
    MATCH = "match"
    """Images whose verdict was match, by the set, algorithm and domain of the nearest hit."""
    POSSIBLE = "possible"
    """Images whose verdict was possible_match, likewise."""
    CONFIRMED = "confirmed"
    """Matches that a person found right, by set, algorithm and domain."""
    REJECTED = "rejected"
    """Matches that a person found wrong, by set, algorithm and domain: the false positives."""
    DISPUTED = "disputed"
    """Matches whose entry was disputed, by set, algorithm and domain."""
    CASES = "cases"
    """Cases opened, by domain."""
    URGENT = "urgent"
    """Cases opened with a reason for urgency, by domain; among ``CASES``."""
    OWN_INITIATIVE = "own_initiative"
    """Cases that the provider found itself, by domain."""
    NOTICE_ARTICLE_16 = "notice_article_16"
    """Cases from a notice under Article 16 of the DSA, by domain."""
    NOTICE_TRUSTED_FLAGGER = "notice_trusted_flagger"
    """Cases from a trusted flagger's notice, by domain."""
    NOTICE_OTHER = "notice_other"
    """Cases from any other notice, by domain."""
    ORDER = "order"
    """Cases from an order of an authority, by domain."""
    DECIDED_FULLY = "decided_fully"
    """Cases decided by machine alone, by domain."""
    DECIDED_PARTIALLY = "decided_partially"
    """Cases decided by people and machine, by domain."""
    DECIDED_NOT = "decided_not"
    """Cases decided by people, by domain."""
    REMOVED = "removed"
    """Cases whose content was removed or disabled, by domain."""
    REPORTED = "reported"
    """Reports delivered, by domain and outlet kind or name."""
    REPORTED_URGENT = "reported_urgent"
    """Reports delivered of urgent cases, by domain and outlet; among ``REPORTED``."""
    FILES = "files"
    """Files that went with reports, by domain and outlet."""
    COMPLAINTS = "complaints"
    """Complaints of users about a decision, by domain."""
    COMPLAINTS_UPHELD = "complaints_upheld"
    """Complaints that reversed the decision, by domain; among ``COMPLAINTS``."""
    TIME_TO_REPORT = "time_to_report"
    """Durations from when it was observed until a report was delivered, by domain and outlet."""
    TIME_TO_TAKEDOWN = "time_to_takedown"
    """Durations from when it was observed until it was removed or disabled, by domain."""
    DISTANCE_CONFIRMED = "distance_confirmed"
    """Distances in bits of confirmed matches, by set, algorithm and domain."""
    DISTANCE_REJECTED = "distance_rejected"
    """Distances in bits of rejected matches, likewise."""
    EXPIRED = "expired"
    """Reports that nobody released, or no worker took, until their case was erased, by domain and outlet."""


DURATIONS: Final = frozenset({Counter.TIME_TO_REPORT, Counter.TIME_TO_TAKEDOWN})
DISTANCES: Final = frozenset({Counter.DISTANCE_CONFIRMED, Counter.DISTANCE_REJECTED})

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Counted:
    """How often something happened on one day.

    ``bucket`` is of a histogram (:data:`DURATIONS`, :data:`DISTANCES`), otherwise 0. ``domain`` is None where the
    counter has none.

    Raises
    ------
    BadInput
        A name is no name, or a number is out of range.

    """

    day: dt.date
    counter: Counter
    set_name: str = ""
    algorithm: str = ""
    domain: HarmDomain | None = None
    outlet: str = ""
    bucket: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        for field, name in (("set_name", self.set_name), ("algorithm", self.algorithm), ("outlet", self.outlet)):
            if name and not _NAME.fullmatch(name):
                raise BadInput(f"{field}: a name of at most 128 letters, digits, and . _ - was expected", field=field)
        most = MAX_BUCKET if self.counter in DURATIONS | DISTANCES else 0
        if not 0 <= self.bucket <= most:
            raise BadInput(f"bucket: {self.bucket} is not within 0 and {most} of {self.counter.value}", field="bucket")
        if self.count < 0:
            raise BadInput(f"count: {self.count} is negative", field="count")


def bucket_of(duration: dt.timedelta) -> int:
    """Return the bucket of a duration; one that clocks made negative counts as none at all."""
    seconds = duration.total_seconds()
    return min(MAX_BUCKET, math.floor(BUCKETS_PER_DOUBLING * math.log2(seconds))) if seconds > 1 else 0


def middle_s(bucket: int) -> float:
    """Return the geometric middle of a bucket of durations, seconds."""
    return float(2 ** ((bucket + 0.5) / BUCKETS_PER_DOUBLING))
