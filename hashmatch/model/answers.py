"""What is asked, what is found, and what is answered."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from hashmatch.model.entries import EntryHash, EntryStatus, HarmDomain, Label, Rejected, SetMode
from hashmatch.model.pictures import Digests, MediaInfo, Refusal


class Verdict(enum.StrEnum):
    """What the policy says of one image."""

    MATCH = "match"
    POSSIBLE_MATCH = "possible_match"
    """Near enough that a person should look, not near enough to act."""
    NO_MATCH = "no_match"
    """Looked, with usable hashes, and found nothing. Never said of an image that could not be looked at."""
    NOT_CHECKED = "not_checked"
    """Could not look; ``MatchReport.reason`` says why."""


MATCHED: Final = frozenset({Verdict.MATCH, Verdict.POSSIBLE_MATCH})
"""Something known was found, surely or possibly."""


@dataclass(frozen=True, slots=True)
class Query:
    """One value to look up. ``max_distance`` is inclusive, in bits; 0 for digests. ``quality`` and ``flat``: 0..100."""

    algorithm: str
    value: bytes
    max_distance: int
    transformation: str = "orig"
    frame: int = 0
    quality: int | None = None
    flat: int | None = None


@dataclass(frozen=True, slots=True)
class EntryRef:
    """What the index knows of an entry without asking the catalog.

    ``terms`` are the entry's own or those of its set; ``agree`` and ``disagree`` count the opinions that hold.
    """

    set_id: str
    set_name: str
    set_version: int
    domain: HarmDomain
    mode: SetMode
    entry_id: str
    status: EntryStatus
    labels: tuple[Label, ...]
    terms: str = ""
    agree: int = 0
    disagree: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """One entry within reach of one query.

    ``query`` indexes the queries asked; ``algorithm`` and ``view`` are those of the entry's value that was found.
    """

    query: int
    distance: int
    algorithm: str
    entry: EntryRef
    view: str = ""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Everything found on one generation, nearest first.

    ``generation`` is ``"<snapshot>.<changes since>"``. ``truncated`` says that more was found than ``max_hits``; the
    nearest were kept.
    """

    generation: str
    found: tuple[Found, ...]
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """One entry that the policy counts, with the query that came nearest to it.

    ``max_distance`` is the threshold that the distance was held against: the match threshold when ``verdict`` is
    ``match``, otherwise the review threshold. ``query_algorithm`` differs from ``algorithm`` only between dialects.
    ``transformation`` is what was done to the picture asked about, ``view`` what was done to the original when the
    entry was made. ``chance`` bounds how many values of a list of this size, all of them unrelated to the picture, are
    to be expected this near to one of the hashes asked; None where nothing is known of the algorithm's distances.
    ``allowed_by`` names the entry of an allow set, ``set/entry``, that suppresses or contradicts this hit.
    """

    verdict: Verdict
    rule: str
    entry: EntryRef
    algorithm: str
    query_algorithm: str
    distance: int
    max_distance: int
    transformation: str
    frame: int = 0
    view: str = ""
    chance: float | None = None
    allowed_by: str = ""


@dataclass(frozen=True, slots=True)
class MatchReport:
    """The answer to one request.

    ``hashes`` are the exact perceptual ones of the picture as it is, or those that the caller gave: what to keep for a
    rescan. ``receipt`` proves to the service later that it made this report; only one that found something has it.
    ``rule`` names the policy rule that fired. ``reason`` is set exactly when the verdict is ``not_checked``, or when
    the picture could not be looked at and a digest matched all the same. ``elapsed_us`` maps stage to microseconds.
    ``reduced`` says that the caller was to see the verdict and no more: what was met, and how near, was left out.
    """

    request_id: str
    verdict: Verdict
    rule: str
    generation: str
    created_at: dt.datetime
    reason: Refusal | None = None
    detail: str = ""
    hits: tuple[Hit, ...] = ()
    truncated: bool = False
    digests: Digests | None = None
    media: MediaInfo | None = None
    quality: int | None = None
    elapsed_us: Mapping[str, int] = field(default_factory=dict)
    hashes: tuple[EntryHash, ...] = ()
    receipt: bytes = field(default=b"", repr=False)
    reduced: bool = False

    def strongest(self) -> Hit | None:
        """Return the hit that says most: surest, then nearest, then first by set and entry; None where none matched."""
        return min((hit for hit in self.hits if hit.verdict in MATCHED), key=_weakness, default=None)


@dataclass(frozen=True, slots=True)
class RescanAnswer:
    """What a rescan says of one batch of kept hashes.

    ``generation`` is what was looked at, and what the next rescan begins with. ``everything`` says that nothing is
    known of the generation that was given, so that all entries count as new. ``checked`` items were looked at;
    ``reports`` are of those that meet a new entry; ``rejected`` were not valid, by their position in the stream.
    """

    generation: str
    everything: bool
    checked: int
    reports: tuple[MatchReport, ...] = ()
    rejected: tuple[Rejected, ...] = ()


def _weakness(hit: Hit) -> tuple[bool, int, str, str]:
    return hit.verdict is not Verdict.MATCH, hit.distance, hit.entry.set_name, hit.entry.entry_id
