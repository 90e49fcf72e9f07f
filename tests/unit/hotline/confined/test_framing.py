from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.errors import BadFrame
from hashmatch.hotline.confined.framing import Frame, Header, Kind, Limits, Reader

LIMITS = Limits(header_bytes=1_000, body_bytes=1_000)
FRAMES = st.builds(
    Frame,
    st.sampled_from(Kind),
    st.integers(0, 2**64 - 1),
    st.dictionaries(
        st.text(max_size=5), st.one_of(st.none(), st.integers(-(2**53), 2**53), st.text(max_size=9)), max_size=4
    ),
    st.binary(max_size=200),
)


@given(st.lists(FRAMES, max_size=5), st.lists(st.integers(1, 300), min_size=1))
def test_frames_come_out_as_they_went_in_whatever_the_pieces(frames: list[Frame], sizes: list[int]) -> None:
    stream = b"".join(part for frame in frames for part in frame.encode())
    reader = Reader(LIMITS)
    out: list[Frame] = []
    at = 0
    for size in itertools.cycle(sizes):
        if at >= len(stream):
            break
        out += reader.feed(stream[at : at + size])
        at += size
    assert out == frames
    assert repr(reader) == "<Reader 0 bytes waiting>"


@given(st.binary(max_size=200))
def test_anything_else_is_refused_or_waited_for(data: bytes) -> None:
    with pytest.raises(BadFrame):
        for _ in Reader(LIMITS).feed(b"x" + data + bytes(64)):
            pass


def head(header: bytes, body: bytes, *, kind: int = 4) -> bytes:
    import struct

    return struct.pack("<4sBQIQ", b"HMhl", kind, 1, len(header), len(body)) + header + body


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (head(b"{}", b"", kind=99), "frame begins b'HMhl' kind 99"),
        (head(b"[]", b""), "the header of a frame is list, expected an object"),
        (head(b"{", b""), "the header of a frame is not JSON"),
        (head(b"\xff", b""), "the header of a frame is not JSON"),
        (head(b"[" * 900, b""), "the header of a frame is not JSON"),
        (head(b" " * 1_001, b"")[:25], "frame with a header of 1001 and a body of 0 bytes, at most 1000 and 1000"),
        (head(b"{}", bytes(1_001))[:25], "frame with a header of 2 and a body of 1001 bytes, at most 1000 and 1000"),
    ],
)
def test_bad_frames(data: bytes, message: str) -> None:
    with pytest.raises(BadFrame) as caught:
        list(Reader(LIMITS).feed(data))
    assert caught.value.message == message


def test_a_body_is_not_in_the_repr() -> None:
    header: Header = {"url": 1}
    assert "secret" not in repr(Frame(Kind.ANSWER, 1, header, b"secret"))
