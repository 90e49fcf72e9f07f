"""What is said of a picture: algorithms, options, hashes, or the reason why there are none."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from hashmatch.errors import BadHash, BadInput

MAX_QUALITY = 100
"""Best quality of a hash; PDQ's scale, on which the field discards 49 and below."""
_SHOWN = 80  # characters of a bad value that an error message quotes: one line of a terminal


class AlgorithmKind(enum.StrEnum):
    """How values of an algorithm are compared."""

    PERCEPTUAL = "perceptual"
    """By Hamming distance."""
    DIGEST = "digest"
    """By equality; computed from the bytes of the file."""
    OPAQUE = "opaque"
    """By equality; made by a licensed tool elsewhere, never here."""

    @property
    def by_equality(self) -> bool:
        """Whether two values are either the same or nothing to each other."""
        return self is not AlgorithmKind.PERCEPTUAL


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
    0..100 where the algorithm has one, else None. ``flat`` is how many percent of the view show no change at all, as
    the blank of a page does; None where that was not looked at.
    """

    algorithm: str
    value: bytes
    quality: int | None = None
    transformation: str = "orig"
    frame: int = 0
    flat: int | None = None

    @property
    def hex(self) -> str:
        """The value as lower-case hex."""
        return self.value.hex()


class Fidelity(enum.StrEnum):
    """How near the hashes of a picture are to those of its pixels: docs/explain/fidelity.md."""

    EXACT = "exact"
    """The same bits."""
    SCREEN = "screen"
    """A few bits off, from a JPEG decoded at a fraction of its size: enough to see that nothing is near."""


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What was decoded, as told by the confined worker and bounded by the parent.

    ``width`` and ``height`` are in pixels after the EXIF orientation was applied; ``frames`` is the number of frames
    seen (exact up to ``DecodeLimits.max_frames_seen``); ``degraded`` says that the file was damaged and only what
    could be recovered was hashed; ``fidelity`` says whether the hashes are exact.
    """

    format: str
    width: int
    height: int
    frames: int = 1
    frames_hashed: int = 1
    degraded: bool = False
    fidelity: Fidelity = Fidelity.EXACT


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


class Enrolment(enum.StrEnum):
    """Which further views of an original are hashed for a list: docs/explain/views.md says what each level finds."""

    NONE = "none"
    CROPS = "crops"
    """One side, or all around the centre, cut by up to a quarter."""
    DENSE = "dense"
    """Those, and four sides cut independently."""


@dataclass(frozen=True, slots=True)
class HashOptions:
    """What a caller wants. Empty ``algorithms``: every installed perceptual one; ``views`` adds ``pdq-canonical``.

    ``exact`` leaves out PDQ's fast way, whose bounds are measured and not proven: for values that go into a list.
    ``fidelity`` may let a large JPEG be hashed approximately; what was done, the answer's ``MediaInfo`` says.
    ``enrolment`` adds to ``pdq`` the exact values of parts of the first frame, also for a list; ``views`` are of a
    query and do not go with it.

    Raises
    ------
    BadInput
        Both are asked for.

    """

    algorithms: frozenset[str] = frozenset()
    dihedral: bool = True
    ignore_orientation: bool = False
    first_frame_only: bool = False
    views: Views = Views.NONE
    exact: bool = False
    fidelity: Fidelity = Fidelity.EXACT
    enrolment: Enrolment = Enrolment.NONE

    def __post_init__(self) -> None:
        if self.views is not Views.NONE and self.enrolment is not Enrolment.NONE:
            raise BadInput("views are of a picture asked about, enrolment is of an original; ask for one of them")


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
