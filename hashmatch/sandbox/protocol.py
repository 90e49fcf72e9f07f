"""What the pool and a worker say to each other: messages of fixed records, checked field by field.

Theory of operation
-------------------
The picture itself travels in shared memory. A request is a small fixed header that says how many bytes of that memory
to look at and what to compute. A reply is one message: a head of fixed size with a status and what was decoded, and
behind it ``count`` records of fixed size, :data:`MAX_HASHES` at most, each with a hash. Reasons cross as integers,
algorithms and transformations as positions in tables that both sides hold. Nothing is ever unpickled, and there is no
length that a reader must trust: the socket keeps messages apart, and one that is not as long as its count says is
refused.

A worker may have been taken over by the picture it decoded, so every field of a reply is ``untrusted_`` until it was
compared with its range. A reply has exactly one encoding. Whatever does not fit raises
:class:`~hashmatch.errors.BadFrame`, the one error of this module. What remains possible for a hostile worker is to lie,
in bounds, about the pictures that it is given itself.

What this module deliberately does not do: no I/O. It never sees a socket or shared memory.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from hashmatch.errors import BadConfig, BadFrame
from hashmatch.hashing.algorithms import views_algorithms
from hashmatch.model import (
    Algorithm,
    AlgorithmKind,
    ComputedHash,
    Enrolment,
    Fidelity,
    HashOptions,
    MediaInfo,
    Picture,
    Refusal,
    Views,
)
from hashmatch.sandbox.confine import NOT_ATTEMPTED, Outcome, Step
from hashmatch.transformations import CROPS, DENSE_CROPS, TRANSFORMATIONS

VERSION = 1

MAX_HASHES = 1_024
"""Records in a reply: 32 frames x (16 PDQ + 4 others) are 640, the views of 8 of them 128, of the first 142 more."""
MAX_VALUE_BYTES = 64
"""Longest hash value: 512 bits. PhotoDNA's 144 bytes are never computed here and so never carried."""
MAX_ALGORITHMS = 64
"""The request names algorithms by the bits of one 64-bit word."""
MAX_DETAIL_BYTES = 160
"""Enough for a sentence with two numbers; short, because a hostile worker could put picture bytes into it."""

_STATUSES: tuple[Refusal | None, ...] = (
    None,
    Refusal.EMPTY,
    Refusal.TOO_LARGE,
    Refusal.TOO_SMALL,
    Refusal.UNSUPPORTED_FORMAT,
    Refusal.CORRUPT,
    Refusal.BOMB,
    Refusal.LOW_QUALITY,
    Refusal.CRASHED,
)
"""What a worker may say; TIMEOUT and NO_USABLE_HASH are the parent's own findings."""

_TRANSFORMATION_POSITIONS = {name: position for position, name in enumerate(TRANSFORMATIONS)}
_MAX_NUMBER = (1 << 31) - 1
"""Largest width, height, frame count or time in a reply: PNG's largest side, and 35 minutes in microseconds."""
_MAX_FRAME = (1 << 16) - 1
_MAX_QUALITY = 100
_NO_QUALITY = -1
_MAX_FLAT = 100
_NO_FLAT = -1
_PADDING = tuple(bytes(MAX_VALUE_BYTES - size) for size in range(MAX_VALUE_BYTES + 1))
"""What stands behind a value, by its size."""
_PRINTABLE = frozenset(range(0x20, 0x7F))

_REQUEST = struct.Struct("<4sHBHQQQ")  # magic, version, kind, flags, request id, length, algorithm bits
_HELLO = struct.Struct(f"<4sHH{len(Step)}h")  # magic, version, landlock ABI, one errno per step
_HEAD = struct.Struct(f"<4sHBBQ16sIIIIIIHH{MAX_DETAIL_BYTES}s")
_RECORD = struct.Struct(f"<HHHbbB{MAX_VALUE_BYTES}s")  # algorithm, transformation, frame, quality, flat, size, value

REQUEST_BYTES = _REQUEST.size
HELLO_BYTES = _HELLO.size
MAX_REPLY_BYTES = _HEAD.size + MAX_HASHES * _RECORD.size

_REQUEST_MAGIC, _HELLO_MAGIC, _REPLY_MAGIC = b"HMrq", b"HMhi", b"HMan"
_HAS_MEDIA, _DEGRADED, _SCREENED = 1, 2, 4
_DIHEDRAL, _IGNORE_ORIENTATION, _FIRST_FRAME_ONLY, _EXACT, _SCREEN = 1, 2, 4, 8, 256
_LEVELS = tuple(Views)
_ENROLMENTS = tuple(Enrolment)
_LEVEL_SHIFT, _ENROLMENT_SHIFT = 4, 6
_LEVEL_MASK = 3
"""Both levels cross as their positions, two bits each, in the request's flags above the switches."""

_ENROLLED = frozenset({*CROPS, *DENSE_CROPS})
"""Views that a list's values have and a query's have not: a worker may speak of them only where it was asked to."""


class RequestKind(enum.IntEnum):
    """What a worker is asked to do."""

    HASH = 1
    """Hash the picture in shared memory."""
    PROBE = 2
    """Create a socket, and so be killed by the filter: the start-up test of the sandbox."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request; ``length_bytes`` counts from the start of the shared memory."""

    kind: RequestKind
    request_id: int
    length_bytes: int = 0
    options: HashOptions = field(default_factory=HashOptions)


@dataclass(frozen=True, slots=True)
class Codec:
    """Encodes and decodes with one table of algorithms, which both sides must hold in the same order."""

    algorithms: tuple[Algorithm, ...]
    _positions: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.algorithms) > MAX_ALGORITHMS:
            raise BadConfig(f"{len(self.algorithms)} algorithms are installed; the sandbox carries {MAX_ALGORITHMS}")
        for algorithm in self.algorithms:
            if algorithm.kind is AlgorithmKind.PERCEPTUAL and algorithm.size_bytes > MAX_VALUE_BYTES:
                raise BadConfig(
                    f"values of the algorithm {algorithm.name} have {algorithm.size_bytes} bytes; the sandbox carries "
                    f"at most {MAX_VALUE_BYTES}: uninstall its plug-in"
                )
        positions = {algorithm.name: index for index, algorithm in enumerate(self.algorithms)}
        object.__setattr__(self, "_positions", positions)

    def encode_request(self, request: Request) -> bytes:
        """Bytes of a request.

        Raises
        ------
        BadFrame
            An algorithm that is not in the table was asked for.

        """
        options = request.options
        unknown = options.algorithms - self._positions.keys()
        if unknown:
            raise BadFrame(f"no algorithm of the table is named {', '.join(sorted(unknown))}")
        flags = (
            _DIHEDRAL * options.dihedral
            | _IGNORE_ORIENTATION * options.ignore_orientation
            | _FIRST_FRAME_ONLY * options.first_frame_only
            | _EXACT * options.exact
            | _SCREEN * (options.fidelity is Fidelity.SCREEN)
            | _LEVELS.index(options.views) << _LEVEL_SHIFT
            | _ENROLMENTS.index(options.enrolment) << _ENROLMENT_SHIFT
        )
        bits = sum(1 << self._positions[name] for name in options.algorithms)
        return _REQUEST.pack(
            _REQUEST_MAGIC, VERSION, request.kind, flags, request.request_id, request.length_bytes, bits
        )

    def decode_request(self, untrusted_data: bytes, capacity_bytes: int) -> Request:
        """Read a request; ``capacity_bytes`` is the size of the shared memory.

        Raises
        ------
        BadFrame
            Anything about it is not as it must be.

        """
        _check_size(untrusted_data, REQUEST_BYTES)
        magic, version, kind, flags, request_id, length, bits = _REQUEST.unpack(untrusted_data)
        _check_origin(magic, version, _REQUEST_MAGIC)
        if kind not in set(RequestKind):
            raise BadFrame(f"request kind {kind} is unknown")
        _check_range("flags", flags, 0, 2 * _SCREEN - 1)
        level, enrolment = (flags >> shift & _LEVEL_MASK for shift in (_LEVEL_SHIFT, _ENROLMENT_SHIFT))
        _check_range("level of views", level, 0, len(_LEVELS) - 1)
        _check_range("level of enrolment", enrolment, 0, 0 if level else len(_ENROLMENTS) - 1)
        _check_range("length", length, 0, capacity_bytes)
        _check_range("algorithm bits", bits, 0, (1 << len(self.algorithms)) - 1)
        options = HashOptions(
            algorithms=frozenset(a.name for index, a in enumerate(self.algorithms) if bits >> index & 1),
            dihedral=bool(flags & _DIHEDRAL),
            ignore_orientation=bool(flags & _IGNORE_ORIENTATION),
            first_frame_only=bool(flags & _FIRST_FRAME_ONLY),
            exact=bool(flags & _EXACT),
            fidelity=Fidelity.SCREEN if flags & _SCREEN else Fidelity.EXACT,
            views=_LEVELS[level],
            enrolment=_ENROLMENTS[enrolment],
        )
        return Request(RequestKind(kind), request_id, length, options)

    def encode_reply(self, request_id: int, picture: Picture) -> bytes:
        """Bytes of a reply. ``detail`` is cut and made printable; times are cut at 35 minutes, sizes at 2^31 - 1.

        A header may claim more (TIFF's sides have 32 bits); such a picture is refused, and that may be said.

        Raises
        ------
        BadFrame
            The picture does not fit a reply, which is a bug of whoever computed it.

        """
        if picture.refusal not in _STATUSES or (picture.refusal is None) != bool(picture.hashes):
            raise BadFrame(f"a reply cannot say {picture.refusal!r} with {len(picture.hashes)} hashes")
        if len(picture.hashes) > MAX_HASHES:
            raise BadFrame(f"{len(picture.hashes)} hashes; a reply carries at most {MAX_HASHES}")
        media = picture.media or MediaInfo("", 0, 0, 0, 0)
        detail = _printable(picture.detail)[:MAX_DETAIL_BYTES]
        try:
            head = _HEAD.pack(
                _REPLY_MAGIC,
                VERSION,
                _STATUSES.index(picture.refusal),
                _HAS_MEDIA * (picture.media is not None)
                | _DEGRADED * media.degraded
                | _SCREENED * (media.fidelity is Fidelity.SCREEN),
                request_id,
                _printable(media.format),
                min(media.width, _MAX_NUMBER),
                min(media.height, _MAX_NUMBER),
                min(media.frames, _MAX_NUMBER),
                media.frames_hashed,
                min(picture.decode_us, _MAX_NUMBER),
                min(picture.hash_us, _MAX_NUMBER),
                len(picture.hashes),
                len(detail),
                detail,
            )
            body = b"".join(self._pack_record(computed) for computed in picture.hashes)
        except (struct.error, KeyError, ValueError) as error:
            raise BadFrame(f"the picture does not fit a reply: {error}") from error
        return head + body

    def decode_reply(self, untrusted_data: bytes, request: Request) -> Picture:
        """Read the reply to ``request``, checking every field.

        Raises
        ------
        BadFrame
            Anything about it is not as it must be; the worker that sent it can no longer be trusted.

        """
        if len(untrusted_data) < _HEAD.size:
            raise BadFrame(f"message of {len(untrusted_data)} bytes, expected at least {_HEAD.size}")
        (
            magic,
            version,
            untrusted_status,
            untrusted_flags,
            untrusted_id,
            untrusted_format,
            *untrusted_numbers,
            untrusted_count,
            untrusted_detail_bytes,
            untrusted_detail,
        ) = _HEAD.unpack_from(untrusted_data)
        _check_origin(magic, version, _REPLY_MAGIC)
        if untrusted_id != request.request_id:
            raise BadFrame(f"reply to request {untrusted_id}, expected {request.request_id}")
        _check_range("status", untrusted_status, 0, len(_STATUSES) - 1)
        refusal = _STATUSES[untrusted_status]
        _check_range("hash count", untrusted_count, 0 if refusal else 1, 0 if refusal else MAX_HASHES)
        _check_size(untrusted_data, _HEAD.size + untrusted_count * _RECORD.size)
        _check_range("detail length", untrusted_detail_bytes, 0, MAX_DETAIL_BYTES)
        detail = _text("detail", untrusted_detail, untrusted_detail_bytes)
        media = _media(untrusted_flags, untrusted_format, untrusted_numbers[:4])
        if refusal is None and media is None:
            raise BadFrame("hashes of a picture that was not decoded")
        if media is not None and media.fidelity is not Fidelity.EXACT and request.options.fidelity is Fidelity.EXACT:
            raise BadFrame("approximate hashes, and exact ones were asked for")
        for untrusted_us in untrusted_numbers[4:]:
            _check_range("time", untrusted_us, 0, _MAX_NUMBER)
        records = _RECORD.iter_unpack(untrusted_data[_HEAD.size :])
        expected = self._expected(request.options)
        hashes = tuple([self._check_record(record, expected, request.options) for record in records])
        decode_us, hash_us = untrusted_numbers[4:]
        return Picture(media, hashes, refusal, detail, decode_us=decode_us, hash_us=hash_us)

    def _pack_record(self, computed: ComputedHash) -> bytes:
        if len(computed.value) > MAX_VALUE_BYTES:
            raise BadFrame(f"a {computed.algorithm} value of {len(computed.value)} bytes")
        return _RECORD.pack(
            self._positions[computed.algorithm],
            _TRANSFORMATION_POSITIONS[computed.transformation],
            computed.frame,
            _NO_QUALITY if computed.quality is None else computed.quality,
            _NO_FLAT if computed.flat is None else computed.flat,
            len(computed.value),
            computed.value,
        )

    def _expected(self, options: HashOptions) -> Mapping[int, Algorithm]:
        """Return the algorithms of which a reply may have hashes, by their position."""
        asked = options.algorithms | views_algorithms(options.views)
        return {
            position: algorithm
            for position, algorithm in enumerate(self.algorithms)
            if algorithm.kind is AlgorithmKind.PERCEPTUAL and (not options.algorithms or algorithm.name in asked)
        }

    def _check_record(
        self, untrusted_record: tuple[Any, ...], expected: Mapping[int, Algorithm], options: HashOptions
    ) -> ComputedHash:
        """Read one record; its fields are whole numbers and, the last, 64 bytes, for so the struct has them."""
        (
            untrusted_algorithm,
            untrusted_transformation,
            frame,
            untrusted_quality,
            untrusted_flat,
            untrusted_size,
            untrusted_value,
        ) = untrusted_record
        algorithm = expected.get(untrusted_algorithm) or self._unexpected(untrusted_algorithm)
        name, size = algorithm.name, algorithm.size_bytes
        if untrusted_size != size:
            raise BadFrame(f"size of a {name} value {untrusted_size} is not in {size} to {size}")
        if untrusted_value[size:] != _PADDING[size]:
            raise BadFrame(f"a {name} value has bytes beyond its end")
        low, high = (0, _MAX_QUALITY) if algorithm.has_quality else (_NO_QUALITY, _NO_QUALITY)
        if not low <= untrusted_quality <= high:
            raise BadFrame(f"quality of a {name} value {untrusted_quality} is not in {low} to {high}")
        if not _NO_FLAT <= untrusted_flat <= _MAX_FLAT:
            raise BadFrame(f"flat share of a {name} value {untrusted_flat} is not in {_NO_FLAT} to {_MAX_FLAT}")
        position = _check_range("transformation", untrusted_transformation, 0, len(TRANSFORMATIONS) - 1)
        transformation = TRANSFORMATIONS[position]
        if options.enrolment is Enrolment.NONE and transformation in _ENROLLED:
            raise BadFrame(f"{transformation} was not asked for")
        return ComputedHash(
            name,
            untrusted_value[:size],
            untrusted_quality if algorithm.has_quality else None,
            transformation,
            frame,
            None if untrusted_flat == _NO_FLAT else untrusted_flat,
        )

    def _unexpected(self, untrusted_position: int) -> NoReturn:
        position = _check_range("algorithm", untrusted_position, 0, len(self.algorithms) - 1)
        algorithm = self.algorithms[position]
        if algorithm.kind is not AlgorithmKind.PERCEPTUAL:
            raise BadFrame(f"{algorithm.name} is not computed in a worker")
        raise BadFrame(f"{algorithm.name} was not asked for")


def encode_hello(outcome: Outcome) -> bytes:
    """Bytes of a worker's first message: what became of its lockdown."""
    return _HELLO.pack(_HELLO_MAGIC, VERSION, outcome.landlock_abi, *outcome.errnos)


def decode_hello(untrusted_data: bytes) -> Outcome:
    """Read a worker's first message.

    Raises
    ------
    BadFrame
        Anything about it is not as it must be.

    """
    _check_size(untrusted_data, HELLO_BYTES)
    magic, version, abi, *untrusted_errnos = _HELLO.unpack(untrusted_data)
    _check_origin(magic, version, _HELLO_MAGIC)
    for untrusted_errno in untrusted_errnos:
        _check_range("errno", untrusted_errno, NOT_ATTEMPTED, _MAX_NUMBER)
    return Outcome(tuple(untrusted_errnos), abi)


def _media(untrusted_flags: int, untrusted_format: bytes, untrusted_numbers: Sequence[int]) -> MediaInfo | None:
    """Bound what the worker says of the file; without the media flag everything about it must be zero."""
    if untrusted_flags not in {0, _HAS_MEDIA, _HAS_MEDIA | _DEGRADED, _HAS_MEDIA | _SCREENED}:
        raise BadFrame(f"reply flags {untrusted_flags:#x} are unknown")
    if not untrusted_flags:
        if any(untrusted_format) or any(untrusted_numbers):
            raise BadFrame("particulars of a picture that was not decoded")
        return None
    name = _text("format", untrusted_format, len(untrusted_format.rstrip(b"\0")))
    width, height, frames, frames_hashed = (
        _check_range("size or frame count", untrusted_number, 0, _MAX_NUMBER) for untrusted_number in untrusted_numbers
    )
    fidelity = Fidelity.SCREEN if untrusted_flags & _SCREENED else Fidelity.EXACT
    return MediaInfo(name, width, height, frames, frames_hashed, bool(untrusted_flags & _DEGRADED), fidelity)


def _text(name: str, untrusted_field: bytes, length: int) -> str:
    """Take ``length`` printable ASCII bytes; the rest of the field must be zero."""
    untrusted_text, untrusted_rest = untrusted_field[:length], untrusted_field[length:]
    if any(untrusted_rest) or not _PRINTABLE.issuperset(untrusted_text):
        raise BadFrame(f"{name} is not printable text")
    return untrusted_text.decode("ascii")


def _printable(text: str) -> bytes:
    """ASCII with a question mark for whatever is not printable."""
    return bytes(byte if byte in _PRINTABLE else 0x3F for byte in text.encode("ascii", "replace"))


def _check_size(untrusted_data: bytes, expected: int) -> None:
    if len(untrusted_data) != expected:
        raise BadFrame(f"message of {len(untrusted_data)} bytes, expected {expected}")


def _check_origin(magic: bytes, version: int, expected: bytes) -> None:
    if magic != expected or version != VERSION:
        raise BadFrame(f"message begins {magic!r} version {version}, expected {expected!r} version {VERSION}")


def _check_range(name: str, untrusted_number: object, low: int, high: int) -> int:
    if not isinstance(untrusted_number, int) or not low <= untrusted_number <= high:
        raise BadFrame(f"{name} {untrusted_number} is not in {low} to {high}")
    return untrusted_number
