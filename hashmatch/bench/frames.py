"""HTTP/2 frames and gRPC's part in them, as far as a caller of unary methods needs them. Pure.

What this module deliberately does not do: it knows no connection. Headers are encoded and decoded by ``hpack``; a field
is never compressed against one of an earlier call, because the caller says that it keeps no table, so that every block
can be read by itself, or not at all.

Sources: RFC 9113 (HTTP/2) §4.1, §6; RFC 7541 (HPACK) §6; gRPC over HTTP/2 (PROTOCOL-HTTP2), "Requests", "Responses".
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import grpc
import hpack
from google.rpc import error_details_pb2, status_pb2

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
HEADER_TABLE_SIZE, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 1, 3, 4, 5
REFUSED_STREAM: Final = 7
"""Why a stream is reset of which nothing was processed (RFC 9113 §7)."""

WINDOW: Final = 65_535
"""Bytes that may be sent before the other side has allowed more (RFC 9113 §6.9.2)."""
FRAME: Final = 16_384
"""Longest payload before the other side has allowed more (RFC 9113 §6.5.2)."""
HEAD: Final = 9
"""Length of a frame's head, bytes."""
_CODES: Final[Mapping[int, grpc.StatusCode]] = {code.value[0]: code for code in grpc.StatusCode}


class Frame(NamedTuple):
    """A frame that came; ``stream`` is 0 where it is about the connection."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame."""
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def settings(values: Mapping[int, int]) -> bytes:
    """Return a frame that says how the other side may send."""
    return frame(SETTINGS, 0, 0, b"".join(key.to_bytes(2) + value.to_bytes(4) for key, value in values.items()))


def settings_of(payload: bytes) -> dict[int, int]:
    """Return what such a frame says."""
    return {
        int.from_bytes(payload[at : at + 2]): int.from_bytes(payload[at + 2 : at + 6])
        for at in range(0, len(payload), 6)
    }


def taken(received: bytearray) -> Iterator[Frame]:
    """Yield the whole frames of what was received, and leave the rest; all are taken once the last was yielded."""
    at = 0
    while len(received) - at >= HEAD:
        end = at + HEAD + int.from_bytes(received[at : at + 3])
        if len(received) < end:
            break
        stream = int.from_bytes(received[at + 5 : at + 9]) & 0x7FFF_FFFF
        yield Frame(received[at + 3], received[at + 4], stream, bytes(received[at + HEAD : end]))
        at = end
    del received[:at]


def request_blocks(target: str, method: str, deadline_s: int) -> tuple[bytes, bytes]:
    """Return the headers of the first call of a method on a connection, and those of every later one."""
    encoder = hpack.Encoder()
    fields = (
        (":method", "POST"), (":scheme", "http"), (":path", method), (":authority", target),
        ("te", "trailers"), ("content-type", "application/grpc"), ("grpc-timeout", f"{deadline_s}S"),
    )  # fmt: skip
    return encoder.encode(fields), encoder.encode(fields)


def body_of(message: bytes) -> bytes:
    """Return a message as gRPC sends it: not compressed, its length ahead."""
    return b"\0" + len(message).to_bytes(4) + message


def message_of(body: bytes) -> bytes | None:
    """Return the message of an answer, None where there is none: a call that failed has no message."""
    return body[5:] if body else None


def trailers_of(block: bytes) -> dict[str, str]:
    """Return the fields of a block that a side sent which keeps no table."""
    return {str(name): str(value) for name, value in hpack.Decoder().decode(block)}


def status_of(trailers: Mapping[str, str]) -> grpc.StatusCode:
    """Return the status that a call ended with; UNKNOWN where the trailers have none that is known."""
    value = trailers.get("grpc-status", "")
    return _CODES.get(int(value), grpc.StatusCode.UNKNOWN) if value.isdecimal() else grpc.StatusCode.UNKNOWN


def says_when(trailers: Mapping[str, str]) -> bool:
    """Whether a failed call's trailers say when it is worth coming back."""
    value = trailers.get("grpc-status-details-bin", "")
    details = status_pb2.Status.FromString(base64.b64decode(value + "=" * (-len(value) % 4))).details
    return any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in details)
