"""The words hashmatch speaks: frozen value types, no I/O, no numpy.

Theory of operation
-------------------
Bytes become a :class:`HashedImage` (in the sandbox), its hashes become :class:`Query` objects, the index answers with
:class:`Found`, the policy turns those into :class:`Hit` and a :class:`Verdict`, and all of it together is the
:class:`MatchReport`. Hash sets are made of :class:`Entry`; one entry is one known picture and may carry several hashes.

Hash values are ``bytes`` everywhere inside and lower-case hex at every edge: ``bytes.fromhex(text)`` for all
algorithms. For PDQ the text has bit 255 first (pdq reference, ``Hash256::format``); for the imagehash family it is what
``str(imagehash.ImageHash)`` prints. Distances are inclusive integers: ``distance <= max_distance`` is a hit.

What this module deliberately does not do: it knows no file format, no policy and no limit.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from hashmatch.errors import BadHash

MAX_QUALITY = 100
"""Best quality of a hash; PDQ's scale, on which the field discards 49 and below."""
_SHOWN = 80  # characters of a bad value that an error message quotes: one line of a terminal


class AlgorithmKind(enum.StrEnum):
    """How values of an algorithm are compared."""

    PERCEPTUAL = "perceptual"
    """By Hamming distance."""
    DIGEST = "digest"
    """By equality."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One row of the algorithm table (``hashing/algorithms.py``).

    ``space`` names the set of values that may be compared with each other: the two PDQ dialects share one, because
    lists made with either tool hold the same kind of hash and a query asks for both.
    """

    name: str
    kind: AlgorithmKind
    bits: int
    space: str
    title: str
    source: str
    has_quality: bool = False

    @property
    def size_bytes(self) -> int:
        """Length of a value in bytes."""
        return self.bits // 8

    def parse(self, text: str) -> bytes:
        """Value of a hex text.

        Raises
        ------
        BadHash
            When the text is not exactly ``bits / 4`` hex digits.

        """
        stripped = text.strip()
        try:
            value = bytes.fromhex(stripped)
        except ValueError:
            value = b""
        if len(value) != self.size_bytes or len(stripped) != 2 * self.size_bytes:
            shown = stripped if len(stripped) <= _SHOWN else stripped[: _SHOWN - 3] + "..."
            expected = f"expected {2 * self.size_bytes} hex digits, got {len(stripped)} characters"
            raise BadHash(f"{shown!r} is not a {self.name} value: {expected}", field="value")
        return value


class HarmDomain(enum.StrEnum):
    """What a list is about. The domain decides where a report may go (reference formats §6)."""

    CSAM = "csam"
    CSE_EXPLOITATIVE = "cse_exploitative"
    NCII = "ncii"
    TVEC = "tvec"
    THB = "thb"
    WILDLIFE = "wildlife"
    IPR = "ipr"
    WEAPONS = "weapons"
    DRUGS = "drugs"
    OTHER = "other"


class Verdict(enum.StrEnum):
    """What the policy says of one image."""

    MATCH = "match"
    POSSIBLE_MATCH = "possible_match"
    """Near enough that a person should look, not near enough to act."""
    NO_MATCH = "no_match"
    """Looked, with usable hashes, and found nothing. Never said of an image that could not be looked at."""
    NOT_CHECKED = "not_checked"
    """Could not look; ``MatchReport.reason`` says why."""


class Refusal(enum.StrEnum):
    """Why an image could not be looked at. "Could not look" is never "no match"."""

    EMPTY = "empty"
    """No bytes."""
    TOO_LARGE = "too_large"
    """More bytes, pixels or side length than the configuration allows."""
    TOO_SMALL = "too_small"
    """Too few pixels for a perceptual hash to mean anything."""
    UNSUPPORTED_FORMAT = "unsupported_format"
    """Not one of the allowed image formats."""
    CORRUPT = "corrupt"
    """An allowed format, but nothing of the picture could be recovered."""
    BOMB = "bomb"
    """Decoding would cost far more than the file's size suggests."""
    LOW_QUALITY = "low_quality"
    """Too flat: a perceptual hash of it would match unrelated pictures."""
    TIMEOUT = "timeout"
    """Decoding did not finish in time; the worker was killed."""
    CRASHED = "crashed"
    """The confined worker died on this image."""
    DEGRADED = "degraded"
    """The file is damaged, and what could be recovered of it matched nothing."""
    NO_USABLE_HASH = "no_usable_hash"
    """A hash-only request held nothing that the policy lets decide."""


@dataclass(frozen=True, slots=True)
class ComputedHash:
    """A perceptual hash of one view of one frame.

    ``transformation`` names what was done to the picture before hashing: ``orig``, ``rot90``, … (the PDQ reference's
    dihedral names), ``trim-2+flipy``, … (``transformations.py``); ``frame`` counts from 0; ``quality`` is
    0..100 where the algorithm has one, else None.
    """

    algorithm: str
    value: bytes
    quality: int | None = None
    transformation: str = "orig"
    frame: int = 0

    @property
    def hex(self) -> str:
        """The value as lower-case hex."""
        return self.value.hex()


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What was decoded, as told by the confined worker and bounded by the parent.

    ``width`` and ``height`` are in pixels after the EXIF orientation was applied; ``frames`` is the number of frames
    seen (exact up to ``DecodeLimits.max_frames_seen``); ``degraded`` says that the file was damaged and only what
    could be recovered was hashed.
    """

    format: str
    width: int
    height: int
    frames: int = 1
    frames_hashed: int = 1
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class Digests:
    """Cryptographic digests of the bytes as received."""

    md5: bytes
    sha1: bytes
    sha256: bytes
    size_bytes: int

    def items(self) -> tuple[tuple[str, bytes], ...]:
        """``(algorithm name, value)`` pairs in the algorithm table's order."""
        return (("md5", self.md5), ("sha1", self.sha1), ("sha256", self.sha256))


class Views(enum.StrEnum):
    """How hard to try to undo what was done to a picture: docs/explain/views.md says what each level finds."""

    NONE = "none"
    CHEAP = "cheap"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class HashOptions:
    """What a caller wants. Empty ``algorithms``: every installed perceptual one; ``views`` adds ``pdq-canonical``.

    ``exact`` leaves out PDQ's fast way, whose bounds are measured and not proven: for values that go into a list.
    """

    algorithms: frozenset[str] = frozenset()
    dihedral: bool = True
    ignore_orientation: bool = False
    first_frame_only: bool = False
    views: Views = Views.NONE
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """What a confined worker said of one upload: hashes, or the reason why there are none.

    ``hashes`` is empty exactly when ``refusal`` is set. Times are microseconds of wall time: ``queue_us`` waiting for a
    worker, ``decode_us`` and ``hash_us`` inside it.
    """

    media: MediaInfo | None = None
    hashes: tuple[ComputedHash, ...] = ()
    refusal: Refusal | None = None
    detail: str = ""
    queue_us: int = 0
    decode_us: int = 0
    hash_us: int = 0


# --- hash sets ---------------------------------------------------------------------------------------------------


class EntryStatus(enum.StrEnum):
    """Where an entry stands. Withdrawn entries stay in the catalog and stop matching."""

    ACTIVE = "active"
    DISPUTED = "disputed"
    WITHDRAWN = "withdrawn"


class SetMode(enum.StrEnum):
    """Whether hits in a set may change a verdict."""

    ENFORCED = "enforced"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True)
class Label:
    """One classification in one scheme, e.g. ``ncmec / 2022 / A1``; schemes are never converted into each other."""

    scheme: str
    version: str
    value: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an entry came from. ``received_at`` is when this catalog took it in, UTC."""

    source: str = ""
    list_version: str = ""
    external_id: str = ""
    received_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class EntryHash:
    """One value of an entry; ``quality`` as given by the list, None where the list does not say."""

    algorithm: str
    value: bytes
    quality: int | None = None

    @property
    def hex(self) -> str:
        """The value as lower-case hex."""
        return self.value.hex()


@dataclass(frozen=True, slots=True)
class Entry:
    """One known picture in one set.

    ``entry_id`` is unique within its set; on its way in it may be empty, and the catalog makes one from the first hash.
    ``position`` is where a reader found the entry (see :class:`Rejected`), None when it came from no file; it is no
    part of the entry's identity.
    """

    entry_id: str
    hashes: tuple[EntryHash, ...]
    labels: tuple[Label, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)
    status: EntryStatus = EntryStatus.ACTIVE
    status_reason: str = ""
    position: int | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class HashSet:
    """A list of known pictures with one owner and one harm domain.

    ``set_id`` is assigned by the catalog and never reused; ``name`` is what people type; ``version`` grows by one with
    every committed change to the set; ``entries`` counts those not withdrawn.
    """

    set_id: str
    name: str
    domain: HarmDomain
    owner: str = ""
    source: str = ""
    jurisdiction: str = ""
    terms: str = ""
    description: str = ""
    mode: SetMode = SetMode.ENFORCED
    version: int = 0
    entries: int = 0
    withdrawn: int = 0
    created_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """An entry that was not taken in. ``position`` is a line (from 1) of a file or an index (from 0) of a stream."""

    position: int
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What one import did. ``rejections`` holds the first ``REJECTIONS_KEPT`` of ``rejected``."""

    hash_set: HashSet
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    rejections: tuple[Rejected, ...] = ()


REJECTIONS_KEPT = 1_000
"""Rejected rows returned with an import result; the command line streams all of them."""


@dataclass(frozen=True, slots=True)
class Change:
    """One step of the catalog's change feed: the state of a set, and of one of its entries where that is what changed.

    ``sequence`` grows over the whole catalog. The feed is by state: an entry that changed twice appears once, at its
    latest sequence.
    """

    sequence: int
    hash_set: HashSet
    entry: Entry | None = None


# --- search ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Query:
    """One value to look up. ``max_distance`` is inclusive, in bits; 0 for digests."""

    algorithm: str
    value: bytes
    max_distance: int
    transformation: str = "orig"
    frame: int = 0


@dataclass(frozen=True, slots=True)
class EntryRef:
    """What the index knows of an entry without asking the catalog."""

    set_id: str
    set_name: str
    set_version: int
    domain: HarmDomain
    mode: SetMode
    entry_id: str
    status: EntryStatus
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """One entry within reach of one query: ``query`` indexes the queries asked, ``algorithm`` is the entry's own."""

    query: int
    distance: int
    algorithm: str
    entry: EntryRef


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Everything found on one generation, nearest first.

    ``generation`` is ``"<snapshot>.<changes since>"``. ``truncated`` says that more was found than ``max_hits``; the
    nearest were kept.
    """

    generation: str
    found: tuple[Found, ...]
    truncated: bool = False


# --- the answer --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hit:
    """One entry that the policy counts, with the query that came nearest to it.

    ``max_distance`` is the threshold that the distance was held against: the match threshold when ``verdict`` is
    ``match``, otherwise the review threshold. ``query_algorithm`` differs from ``algorithm`` only between dialects.
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


@dataclass(frozen=True, slots=True)
class MatchReport:
    """The answer to one request.

    ``rule`` names the policy rule that fired. ``reason`` is set exactly when the verdict is ``not_checked``, or when
    the picture could not be looked at and a digest matched all the same. ``elapsed_us`` maps stage to microseconds.
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
