"""The confined process: lock up, then hash one picture after another until the socket closes.

Theory of operation
-------------------
:func:`serve` runs in a child that the zygote has just forked, with every library loaded and warm. It keeps two things,
its socket and a read-only mapping of the shared memory, and closes every other descriptor; it then locks itself up and
says how that went. From there on it blocks in ``recv``, hashes, and answers, and has no other way to act on the world.

:func:`answer` is one of the named places where any exception is caught: a decoder may raise anything, and the pool must
hear a reason. The text of an exception stays here, since it may quote the file; its type is told.

What this module deliberately does not do: it sets no timer (the pool kills a worker that takes too long, since a
hostile picture could disarm any alarm) and it does not clear its heap (the pool replaces workers instead).
"""

from __future__ import annotations

import contextlib
import mmap
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

from hashmatch.config import DecodeConfig
from hashmatch.model import HashOptions, Picture, Refusal
from hashmatch.sandbox import confine, protocol
from hashmatch.sandbox.protocol import Codec, Request, RequestKind

HashPicture = Callable[[bytes, DecodeConfig, HashOptions], Picture]

_STANDARD_DESCRIPTORS = 3


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """Everything a worker needs, inherited from the zygote by the fork."""

    hash_picture: HashPicture
    decode: DecodeConfig
    codec: Codec
    memory_bytes: int
    zygote_pid: int
    confined: bool


def serve(setup: WorkerSetup, socket_fd: int, memory_fd: int) -> None:
    """Be a worker until the pool closes the socket.

    Raises
    ------
    OSError
        The socket broke.
    BadFrame
        The pool sent something that is not a request: nothing sensible can follow.

    """
    connection = _keep_only(socket_fd, memory_fd)
    size = os.fstat(memory_fd).st_size
    picture_memory = mmap.mmap(memory_fd, size, mmap.MAP_SHARED, mmap.PROT_READ)
    os.close(memory_fd)
    outcome = confine.Outcome()
    if setup.confined:
        outcome = confine.lock_down(setup.memory_bytes, setup.zygote_pid)
    connection.send(protocol.encode_hello(outcome))
    while untrusted_data := connection.recv(protocol.REQUEST_BYTES + 1):
        request = setup.codec.decode_request(untrusted_data, size)
        if request.kind is RequestKind.PROBE:
            _try_to_reach_out(connection, outcome)
        else:
            connection.send(answer(setup, request, picture_memory[: request.length_bytes]))


def answer(setup: WorkerSetup, request: Request, image: bytes) -> bytes:
    """Hash one picture; whatever goes wrong becomes a reply too."""
    try:
        picture = setup.hash_picture(image, setup.decode, request.options)
        return setup.codec.encode_reply(request.request_id, picture)
    except MemoryError:
        picture = Picture(refusal=Refusal.BOMB, detail="decoding needs more memory than a worker may have")
    except Exception as error:  # noqa: BLE001 - the named boundary: a decoder may raise anything
        picture = Picture(refusal=Refusal.CRASHED, detail=f"unexpected {type(error).__name__} in the worker")
    return setup.codec.encode_reply(request.request_id, picture)


def _keep_only(socket_fd: int, memory_fd: int) -> socket.socket:
    """Close every descriptor but these two, and silence the standard ones: image libraries write to stderr."""
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(_STANDARD_DESCRIPTORS):
        os.dup2(null, standard)
    first, second = sorted((socket_fd, memory_fd))
    os.closerange(_STANDARD_DESCRIPTORS, first)
    os.closerange(first + 1, second)
    os.closerange(second + 1, os.sysconf("SC_OPEN_MAX"))
    return socket.socket(fileno=socket_fd)


def _try_to_reach_out(connection: socket.socket, outcome: confine.Outcome) -> None:
    """Create a socket. Under the filter this is the last thing that the process does; otherwise it says so."""
    with contextlib.suppress(OSError):  # an error comes from something weaker; the pool counts only the filter's kill
        socket.socket().close()
    connection.send(protocol.encode_hello(outcome))
