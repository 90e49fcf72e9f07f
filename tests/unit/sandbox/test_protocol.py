"""The messages between pool and worker: whatever arrives, the reader answers with a checked value or BadFrame."""

from __future__ import annotations

import dataclasses
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.errors import BadConfig, BadFrame, BadInput
from hashmatch.hashing import algorithms
from hashmatch.kernels.pdq import DIHEDRAL_NAMES
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
from hashmatch.sandbox import protocol
from hashmatch.sandbox.confine import NOT_ATTEMPTED, Outcome, Step
from hashmatch.sandbox.protocol import Codec, Request, RequestKind
from hashmatch.transformations import TRANSFORMATIONS

TABLE = tuple(algorithms.searchable().values())
CODEC = Codec(TABLE)
PERCEPTUAL = [algorithm for algorithm in TABLE if algorithm.kind is AlgorithmKind.PERCEPTUAL]
REQUEST = Request(RequestKind.HASH, 7, 100)
MEDIA = MediaInfo("JPEG", 640, 480)
PDQ = ComputedHash("pdq", bytes(range(32)), 100, "rot90", 3)
PICTURE = Picture(media=MEDIA, hashes=(PDQ, ComputedHash("phash", bytes(8))), decode_us=5, hash_us=6)

numbers = st.integers(0, 2**31 - 1)
printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E))


@st.composite
def hashes(draw: st.DrawFn) -> ComputedHash:
    algorithm = draw(st.sampled_from(PERCEPTUAL))
    size = algorithm.size_bytes
    return ComputedHash(
        algorithm.name,
        draw(st.binary(min_size=size, max_size=size)),
        draw(st.integers(0, 100)) if algorithm.has_quality else None,
        draw(st.sampled_from(TRANSFORMATIONS)),
        draw(st.integers(0, 65_535)),
        draw(st.none() | st.integers(0, 100)),
    )


media = st.builds(
    MediaInfo,
    format=printable.map(lambda text: text[:16]),
    width=numbers,
    height=numbers,
    frames=numbers,
    frames_hashed=numbers,
    degraded=st.booleans(),
)
details = printable.map(lambda text: text[: protocol.MAX_DETAIL_BYTES])
refusals = st.sampled_from([refusal for refusal in protocol._STATUSES if refusal])
pictures = st.one_of(
    st.builds(
        Picture,
        media=media,
        hashes=st.lists(hashes(), min_size=1, max_size=40).map(tuple),
        detail=details,
        decode_us=numbers,
        hash_us=numbers,
    ),
    st.builds(Picture, media=st.none() | media, refusal=refusals, detail=details, decode_us=numbers, hash_us=numbers),
)


@given(st.integers(0, 2**64 - 1), pictures)
def test_replies_come_back_as_they_went(request_id: int, picture: Picture) -> None:
    data = CODEC.encode_reply(request_id, picture)
    assert len(data) == protocol._HEAD.size + len(picture.hashes) * protocol._RECORD.size <= protocol.MAX_REPLY_BYTES
    options = HashOptions(enrolment=Enrolment.DENSE)
    assert CODEC.decode_reply(data, Request(RequestKind.HASH, request_id, options=options)) == picture


@given(
    st.builds(
        Request,
        kind=st.sampled_from(RequestKind),
        request_id=st.integers(0, 2**64 - 1),
        length_bytes=st.integers(0, 1 << 25),
        options=st.builds(
            HashOptions,
            algorithms=st.frozensets(st.sampled_from([algorithm.name for algorithm in TABLE])),
            dihedral=st.booleans(),
            ignore_orientation=st.booleans(),
            first_frame_only=st.booleans(),
            exact=st.booleans(),
            fidelity=st.sampled_from(Fidelity),
            views=st.sampled_from(Views),
        )
        | st.builds(HashOptions, exact=st.booleans(), enrolment=st.sampled_from(Enrolment)),
    )
)
def test_requests_come_back_as_they_went(request: Request) -> None:
    data = CODEC.encode_request(request)
    assert len(data) == protocol.REQUEST_BYTES
    assert CODEC.decode_request(data, 1 << 25) == request


@given(st.lists(st.integers(NOT_ATTEMPTED, 32_767), min_size=len(Step), max_size=len(Step)), st.integers(0, 65_535))
def test_hellos_come_back_as_they_went(errnos: list[int], abi: int) -> None:
    outcome = Outcome(tuple(errnos), abi)
    assert protocol.decode_hello(protocol.encode_hello(outcome)) == outcome


def assert_in_bounds(picture: Picture) -> None:
    assert picture.refusal in protocol._STATUSES
    assert bool(picture.hashes) == (picture.refusal is None)
    assert len(picture.hashes) <= protocol.MAX_HASHES
    assert picture.detail.isascii()
    assert len(picture.detail) <= protocol.MAX_DETAIL_BYTES
    assert 0 <= picture.decode_us < 2**31
    assert 0 <= picture.hash_us < 2**31
    for computed in picture.hashes:
        algorithm = algorithms.algorithm(computed.algorithm)
        assert len(computed.value) == algorithm.size_bytes
        assert computed.transformation in TRANSFORMATIONS
        assert (computed.quality is not None) == algorithm.has_quality
        assert computed.quality is None or 0 <= computed.quality <= 100


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_but_bad_frame(data: bytes) -> None:
    for decode in (
        lambda: CODEC.decode_reply(data, REQUEST),
        lambda: CODEC.decode_request(data, 1 << 20),
        lambda: protocol.decode_hello(data),
    ):
        with pytest.raises(BadFrame):
            decode()


@given(st.data())
def test_damaged_replies_decode_in_bounds_or_not_at_all(data: st.DataObject) -> None:
    reply = bytearray(CODEC.encode_reply(7, data.draw(pictures)))
    last = len(reply) - 1
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, last), st.integers(0, 255)), max_size=8)):
        reply[at] = byte
    try:
        picture = CODEC.decode_reply(bytes(reply), REQUEST)
    except BadFrame:
        return
    assert_in_bounds(picture)


@given(st.binary(min_size=protocol.REQUEST_BYTES, max_size=protocol.REQUEST_BYTES))
def test_damaged_requests_decode_in_bounds_or_not_at_all(tail: bytes) -> None:
    head = CODEC.encode_request(REQUEST)[:6]
    try:
        request = CODEC.decode_request(head + tail[6:], 1 << 20)
    except BadFrame:
        return
    assert 0 <= request.length_bytes <= 1 << 20


HEAD_FIELDS = ["magic", "version", "status", "flags", "id", "format", "width", "height", "frames", "hashed"]
HEAD_FIELDS += ["decode_us", "hash_us", "count", "detail_bytes", "detail"]


def tampered(**changes: object) -> bytes:
    """Encode PICTURE, with some fields of the head, or of its first record, replaced."""
    data = CODEC.encode_reply(7, PICTURE)
    head = dict(zip(HEAD_FIELDS, protocol._HEAD.unpack_from(data), strict=True))
    names = ["algorithm", "transformation", "frame", "quality", "flat", "size", "value"]
    record = dict(zip(names, protocol._RECORD.unpack_from(data, protocol._HEAD.size), strict=True))
    for name, value in changes.items():
        (head if name in head else record)[name] = value
    rest = data[protocol._HEAD.size + protocol._RECORD.size :]
    return protocol._HEAD.pack(*head.values()) + protocol._RECORD.pack(*record.values()) + rest


RECORD = protocol._RECORD.size
LENGTH = len(tampered())


def test_the_untampered_reply_is_accepted() -> None:
    assert CODEC.decode_reply(tampered(), REQUEST) == PICTURE


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"magic": b"EVIL"}, "message begins b'EVIL' version 1, expected b'HMan' version 1"),
        ({"version": 2}, "message begins b'HMan' version 2, expected b'HMan' version 1"),
        ({"id": 8}, "reply to request 8, expected 7"),
        ({"status": 9}, "status 9 is not in 0 to 8"),
        ({"status": 5}, "hash count 2 is not in 0 to 0"),
        ({"count": 0}, "hash count 0 is not in 1 to 1024"),
        ({"count": 1_025}, "hash count 1025 is not in 1 to 1024"),
        ({"count": 1}, f"message of {LENGTH} bytes, expected {LENGTH - RECORD}"),
        ({"count": 3}, f"message of {LENGTH} bytes, expected {LENGTH + RECORD}"),
        ({"flags": 2}, "reply flags 0x2 are unknown"),
        ({"flags": 0}, "particulars of a picture that was not decoded"),
        ({"format": b"J\nPEG"}, "format is not printable text"),
        ({"width": 1 << 31}, "size or frame count 2147483648 is not in 0 to 2147483647"),
        ({"hash_us": 1 << 31}, "time 2147483648 is not in 0 to 2147483647"),
        ({"detail_bytes": 161}, "detail length 161 is not in 0 to 160"),
        ({"detail_bytes": 3, "detail": b"a\x1b["}, "detail is not printable text"),
        ({"detail": b"hidden"}, "detail is not printable text"),
        ({"algorithm": len(TABLE)}, f"algorithm {len(TABLE)} is not in 0 to {len(TABLE) - 1}"),
        ({"algorithm": len(TABLE) - 2}, "photodna is not computed in a worker"),
        (
            {"transformation": len(TRANSFORMATIONS)},
            f"transformation {len(TRANSFORMATIONS)} is not in 0 to {len(TRANSFORMATIONS) - 1}",
        ),
        ({"transformation": TRANSFORMATIONS.index("crop-left-3")}, "crop-left-3 was not asked for"),
        ({"quality": 101}, "quality of a pdq value 101 is not in 0 to 100"),
        ({"quality": -1}, "quality of a pdq value -1 is not in 0 to 100"),
        ({"flat": 101}, "flat share of a pdq value 101 is not in -1 to 100"),
        ({"flat": -2}, "flat share of a pdq value -2 is not in -1 to 100"),
        ({"size": 31}, "size of a pdq value 31 is not in 32 to 32"),
        ({"value": bytes(range(33))}, "a pdq value has bytes beyond its end"),
    ],
)
def test_a_lying_worker_is_told_apart(changes: dict[str, object], message: str) -> None:
    with pytest.raises(BadFrame) as caught:
        CODEC.decode_reply(tampered(**changes), REQUEST)
    assert caught.value.message == message


def test_views_and_enrolment_do_not_go_together() -> None:
    with pytest.raises(BadInput, match="ask for one of them"):
        HashOptions(views=Views.CHEAP, enrolment=Enrolment.CROPS)
    data = bytearray(CODEC.encode_request(Request(RequestKind.HASH, 1, options=HashOptions(views=Views.FULL))))
    data[7] |= 1 << 6  # the flags, behind magic, version and kind
    with pytest.raises(BadFrame, match="level of enrolment 1 is not in 0 to 0"):
        CODEC.decode_request(bytes(data), 1 << 20)


def test_hashes_that_nobody_asked_for_are_refused() -> None:
    request = dataclasses.replace(REQUEST, options=HashOptions(algorithms=frozenset({"pdq"})))
    with pytest.raises(BadFrame, match=r"^phash was not asked for$"):
        CODEC.decode_reply(CODEC.encode_reply(7, PICTURE), request)


@pytest.mark.parametrize("length", [0, protocol._HEAD.size - 1])
def test_a_reply_without_a_whole_head_is_refused(length: int) -> None:
    with pytest.raises(BadFrame, match=f"^message of {length} bytes, expected at least {protocol._HEAD.size}$"):
        CODEC.decode_reply(bytes(length), REQUEST)


@pytest.mark.parametrize("more", [-RECORD, -1, 1, RECORD, protocol.MAX_REPLY_BYTES + 1 - LENGTH])
def test_replies_of_another_length_than_their_count_says_are_refused(more: int) -> None:
    reply = tampered()[: LENGTH + min(more, 0)] + bytes(max(more, 0))
    with pytest.raises(BadFrame, match=f"^message of {LENGTH + more} bytes, expected {LENGTH}$"):
        CODEC.decode_reply(reply, REQUEST)


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (6, 3, "request kind 3 is unknown"),
        (7, 48, "level of views 3 is not in 0 to 2"),
        (8, 2, "flags 513 is not in 0 to 511"),
        (23, 255, "length 71776119061217380 is not in 0 to 1048576"),
        (32, 1, "algorithm bits 72057594037927936 is not in 0 to 2047"),
    ],
)
def test_requests_out_of_range_are_refused(at: int, value: int, message: str) -> None:
    data = bytearray(CODEC.encode_request(REQUEST))
    data[at] = value
    with pytest.raises(BadFrame) as caught:
        CODEC.decode_request(bytes(data), 1 << 20)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (Picture(media=MEDIA), "a reply cannot say None with 0 hashes"),
        (
            Picture(media=MEDIA, hashes=(PDQ,), refusal=Refusal.CORRUPT),
            "a reply cannot say <Refusal.CORRUPT: 'corrupt'> with 1 hashes",
        ),
        (Picture(refusal=Refusal.TIMEOUT), "a reply cannot say <Refusal.TIMEOUT: 'timeout'> with 0 hashes"),
        (Picture(media=MEDIA, hashes=(PDQ,) * 1_025), "1025 hashes; a reply carries at most 1024"),
        (Picture(media=MEDIA, hashes=(ComputedHash("pdq", bytes(65)),)), "a pdq value of 65 bytes"),
        (
            Picture(media=MEDIA, hashes=(ComputedHash("nonesuch", b""),)),
            "the picture does not fit a reply: 'nonesuch'",
        ),
    ],
)
def test_pictures_that_do_not_fit_are_refused(picture: Picture, message: str) -> None:
    with pytest.raises(BadFrame) as caught:
        CODEC.encode_reply(7, picture)
    assert caught.value.message == message


@pytest.mark.parametrize("claimed", [2**31, 2**32 - 1, 2**40])
def test_a_header_may_claim_any_size(claimed: int) -> None:
    """Found by the chaos suite: a damaged TIFF 3,590,324,256 pixels wide cost its worker the life."""
    media = MediaInfo("TIFF", claimed, claimed, claimed, 0)
    told = CODEC.decode_reply(CODEC.encode_reply(7, Picture(media, refusal=Refusal.BOMB)), REQUEST)
    assert (told.refusal, told.media) == (Refusal.BOMB, MediaInfo("TIFF", 2**31 - 1, 2**31 - 1, 2**31 - 1, 0))


def test_a_full_table_fits() -> None:
    full = dataclasses.replace(PICTURE, hashes=(PDQ,) * protocol.MAX_HASHES)
    assert CODEC.decode_reply(CODEC.encode_reply(7, full), REQUEST) == full


def test_details_are_cut_and_made_printable() -> None:
    picture = Picture(refusal=Refusal.CORRUPT, detail="naïve\x1b[31m " + "x" * 500)
    detail = CODEC.decode_reply(CODEC.encode_reply(7, picture), REQUEST).detail
    assert detail == ("na?ve?[31m " + "x" * 500)[: protocol.MAX_DETAIL_BYTES]


def test_asking_for_an_unknown_algorithm_is_refused() -> None:
    request = dataclasses.replace(REQUEST, options=HashOptions(algorithms=frozenset({"nonesuch"})))
    with pytest.raises(BadFrame, match=r"^no algorithm of the table is named nonesuch$"):
        CODEC.encode_request(request)


def test_tables_that_do_not_fit_are_refused() -> None:
    big = Algorithm("wide", AlgorithmKind.PERCEPTUAL, 1_152, "wide", "", "")
    with pytest.raises(BadConfig) as caught:
        Codec((big,))
    assert caught.value.message == (
        "values of the algorithm wide have 144 bytes; the sandbox carries at most 64: uninstall its plug-in"
    )
    with pytest.raises(BadConfig, match=r"^65 algorithms are installed; the sandbox carries 64$"):
        Codec((PERCEPTUAL[0],) * 65)


def test_hello_out_of_range_is_refused() -> None:
    data = bytearray(protocol.encode_hello(Outcome()))
    struct.pack_into("<h", data, 8, -2)
    with pytest.raises(BadFrame, match=r"^errno -2 is not in -1 to 2147483647$"):
        protocol.decode_hello(bytes(data))


def test_transformations_are_those_of_the_kernels() -> None:
    assert TRANSFORMATIONS[: len(DIHEDRAL_NAMES)] == tuple(DIHEDRAL_NAMES)


SCREENED = dataclasses.replace(PICTURE, media=dataclasses.replace(MEDIA, fidelity=Fidelity.SCREEN))


def test_approximate_hashes_come_back_where_they_were_asked_for() -> None:
    request = Request(RequestKind.HASH, 7, 100, HashOptions(fidelity=Fidelity.SCREEN))
    assert CODEC.decode_reply(CODEC.encode_reply(7, SCREENED), request) == SCREENED
    assert CODEC.decode_reply(CODEC.encode_reply(7, PICTURE), request) == PICTURE


def test_approximate_hashes_that_nobody_asked_for_are_refused() -> None:
    with pytest.raises(BadFrame, match=r"^approximate hashes, and exact ones were asked for$"):
        CODEC.decode_reply(CODEC.encode_reply(7, SCREENED), REQUEST)


def test_what_is_damaged_is_never_approximate() -> None:
    both = dataclasses.replace(PICTURE, media=dataclasses.replace(MEDIA, fidelity=Fidelity.SCREEN, degraded=True))
    request = Request(RequestKind.HASH, 7, 100, HashOptions(fidelity=Fidelity.SCREEN))
    with pytest.raises(BadFrame, match=r"^reply flags 0x7 are unknown$"):
        CODEC.decode_reply(CODEC.encode_reply(7, both), request)
