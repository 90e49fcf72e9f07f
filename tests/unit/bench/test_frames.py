"""HTTP/2 frames: what is made of bytes, and bytes of what."""

from __future__ import annotations

import base64

import grpc
import hpack
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from hashmatch.bench import frames
from hashmatch.bench.frames import Frame

SENT = (
    Frame(frames.SETTINGS, 0, 0, b""),
    Frame(frames.DATA, frames.END_STREAM, 7, b"of one call"),
    Frame(frames.PING, frames.ACK, 0, bytes(8)),
)


@pytest.mark.parametrize("size", [1, 3, 10, 1_000])
def test_frames_are_taken_when_they_are_whole_however_they_come(size: int) -> None:
    sent = b"".join(frames.frame(*each) for each in SENT)
    received, taken = bytearray(), list[Frame]()
    for at in range(0, len(sent), size):
        received += sent[at : at + size]
        taken += frames.taken(received)
    assert tuple(taken) == SENT
    assert not received


def test_the_reserved_bit_of_a_stream_is_no_part_of_its_number() -> None:
    (frame,) = frames.taken(bytearray(frames.frame(frames.DATA, 0, 0x8000_0003, b"")))
    assert frame.stream == 3


def test_settings_say_what_they_were_made_of() -> None:
    said = {frames.INITIAL_WINDOW_SIZE: 1 << 20, frames.MAX_CONCURRENT_STREAMS: 64}
    (frame,) = frames.taken(bytearray(frames.settings(said)))
    assert frames.settings_of(frame.payload) == said


def test_later_calls_of_a_connection_have_the_headers_of_the_first_in_a_byte_each() -> None:
    first, later = frames.request_blocks("192.0.2.1:50051", "/a.B/C", 30)
    decoder = hpack.Decoder()
    said = list(decoder.decode(first))
    assert list(decoder.decode(later)) == said == list(decoder.decode(later))
    assert {str(name): str(value) for name, value in said} == {
        ":method": "POST", ":scheme": "http", ":path": "/a.B/C", ":authority": "192.0.2.1:50051",
        "te": "trailers", "content-type": "application/grpc", "grpc-timeout": "30S",
    }  # fmt: skip
    assert len(later) == len(said)


def test_a_message_has_its_length_ahead_and_no_message_is_none() -> None:
    assert frames.body_of(b"abc") == b"\0\0\0\0\3abc"
    assert frames.message_of(frames.body_of(b"abc")) == b"abc"
    assert frames.message_of(frames.body_of(b"")) == b""
    assert frames.message_of(b"") is None


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("8", grpc.StatusCode.RESOURCE_EXHAUSTED), ("0", grpc.StatusCode.OK), ("99", grpc.StatusCode.UNKNOWN),
        ("", grpc.StatusCode.UNKNOWN), ("-1", grpc.StatusCode.UNKNOWN),
    ],
)  # fmt: skip
def test_the_status_is_read_from_trailers(value: str, status: grpc.StatusCode) -> None:
    block = hpack.Encoder().encode((("grpc-status", value), ("grpc-message", "no room")))
    trailers = frames.trailers_of(block)
    assert trailers == {"grpc-status": value, "grpc-message": "no room"}
    assert frames.status_of(trailers) is status


@pytest.mark.parametrize("says", [True, False])
def test_whether_a_refusal_says_when_to_come_back(*, says: bool) -> None:
    status = status_pb2.Status(code=8, message="no room")
    if says:
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1)))
    encoded = base64.b64encode(status.SerializeToString()).decode().rstrip("=")
    assert frames.says_when({"grpc-status-details-bin": encoded}) is says
    assert not frames.says_when({})
