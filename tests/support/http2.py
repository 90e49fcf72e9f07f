"""HTTP/2 by hand, for what no client library does: half a request, and streams that are reset at once."""

from __future__ import annotations

import socket

from hashmatch.bench.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
)

__all__ = [
    "DATA",
    "DETECT",
    "DETECT_HASHES",
    "END_HEADERS",
    "END_STREAM",
    "HEADERS",
    "RST_STREAM",
    "closed",
    "connected",
    "frame",
    "half_a_request",
    "request_fields",
    "request_head",
    "reset",
    "round_trip",
]

DETECT = "/hashmatch.v1.DetectionService/Detect"

DETECT_HASHES = "/hashmatch.v1.DetectionService/DetectHashes"

CANCEL = 8
"""Why a stream is reset when its call is cancelled (RFC 9113 §7)."""


def literal(name: bytes, value: bytes) -> bytes:
    """Return one header field, literal without indexing (RFC 7541 §6.2.2)."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def request_fields(authority: str, *more: tuple[bytes, bytes], path: str = DETECT) -> bytes:
    """Return the header block of a call."""
    fields = (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path.encode()),
        (b":authority", authority.encode()),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        *more,
    )
    return b"".join(literal(name, value) for name, value in fields)


def connected(target: str) -> socket.socket:
    """Open a connection and greet."""
    host, _, port = target.rpartition(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall(PREFACE + frame(SETTINGS, 0, 0, b""))
    return connection


def closed(connection: socket.socket) -> bool:
    """Whether the server has hung up; what it said before is read and forgotten."""
    connection.settimeout(0)
    try:
        while connection.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def request_head(target: str, *more: tuple[bytes, bytes]) -> socket.socket:
    """Open a connection and send the head of a Detect call."""
    connection = connected(target)
    connection.sendall(frame(HEADERS, END_HEADERS, 1, request_fields(target.rpartition(":")[0], *more)))
    return connection


def half_a_request(target: str) -> socket.socket:
    """Open a connection and send the head of a Detect call, a message's length, and one byte of the message."""
    connection = request_head(target)
    connection.sendall(frame(DATA, 0, 1, b"\x00" + (1_000).to_bytes(4) + b"\x0a"))
    return connection


def reset(stream: int) -> bytes:
    """Return the frame that cancels a stream."""
    return frame(RST_STREAM, 0, stream, CANCEL.to_bytes(4))


def round_trip(connection: socket.socket, sent: bytes) -> list[int]:
    """Send frames and a ping, and answer the service's; return the kinds of all frames until the answer to ours."""
    connection.sendall(sent + frame(PING, 0, 0, b"our ping"))
    connection.settimeout(300)
    kinds: list[int] = []
    while True:
        head = _exactly(connection, 9)
        size, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
        payload = _exactly(connection, size)
        kinds.append(kind)
        if kind == PING and flags & ACK and payload == b"our ping":
            return kinds
        if kind == PING and not flags & ACK:
            connection.sendall(frame(PING, ACK, 0, payload))
        if kind == SETTINGS and not flags & ACK:
            connection.sendall(frame(SETTINGS, ACK, 0, b""))
        if kind == DATA:
            connection.sendall(frame(WINDOW_UPDATE, 0, 0, size.to_bytes(4)) if size else b"")


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        part = connection.recv(size - len(received))
        if not part:
            raise ConnectionResetError
        received += part
    return received
