"""The inside of a confined process: lock up, then answer one question after another until the socket closes.

Theory of operation
-------------------
A module that :class:`hashmatch.hotline.confined.child.Child` runs calls :func:`serve` or :func:`serve_network` as its
last line. Its ``prepare`` gets the settings and does, while files can still be opened, whatever needs them: imports,
warming up, reading certificates. Then the process locks itself up, says how that went, and takes questions.

:func:`serve` is for work that needs nothing but its bytes: the profile is that of the workers that decode images
(``sandbox.confine``), which may not even make a socket; one question is answered after the other, and ``work`` is a
plain function. :func:`serve_network` is for work that needs the network and nothing else (``sandbox.networked``): an
event loop, many questions at once.

Whatever ``work`` raises is answered with its type's name: the text of an exception may quote a stranger's bytes.

What this module deliberately does not do: it sets no timer. The process outside kills this one when it takes too long.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from hashmatch.errors import BadFrame
from hashmatch.hotline.confined.framing import Frame, Header, Kind, Limits, Reader
from hashmatch.sandbox import confine, networked
from hashmatch.sandbox.networked import Reach

Settings = Mapping[str, Any]
Answer = tuple[Header, bytes]
Work = Callable[[Header, bytes], Answer]

_PIECE_BYTES = 1 << 18
_EXIT_OK, _EXIT_BROKEN = 0, 70


class NetworkWork(Protocol):
    """Work that needs the network."""

    @property
    def reach(self) -> Reach:
        """What may be connected to."""

    async def answer(self, header: Header, body: bytes) -> Answer:
        """Do one piece of work."""

    async def close(self) -> None:
        """Let go of connections."""


def serve(prepare: Callable[[Settings], Work]) -> int:
    """Be a process without files and network; return its exit code."""
    start = _begin()
    try:
        work = prepare(start.settings)
    except Exception as error:  # noqa: BLE001 - whatever keeps us from starting, the process outside must hear why
        return start.fail(error)
    outcome = confine.Outcome() if start.unconfined else confine.lock_down(start.memory_bytes, start.parent_pid)
    start.say(Frame(Kind.HELLO, header=_hello(outcome, (), networked=False)))
    for frame in start.frames():
        if frame.kind is Kind.REQUEST:
            start.say(_answer(work, frame))
    return _EXIT_OK


def serve_network(prepare: Callable[[Settings], Awaitable[NetworkWork]]) -> int:
    """Be a process with the network and without files; return its exit code."""
    return asyncio.run(_serve_network(prepare))


@dataclass(frozen=True, slots=True)
class _Start:
    """What the command line and the first frame say."""

    connection: socket.socket
    reader: Reader
    unconfined: bool
    parent_pid: int
    memory_bytes: int
    settings: Settings

    def say(self, frame: Frame) -> None:
        for part in frame.encode():
            self.connection.sendall(part)

    def frames(self) -> Iterator[Frame]:
        while piece := self.connection.recv(_PIECE_BYTES):
            yield from self.reader.feed(piece)

    def fail(self, error: BaseException) -> int:
        """Say why there is no process; no stranger's byte has been seen yet, so the text may be told."""
        reason = "".join(traceback.format_exception_only(error)).strip()
        self.say(Frame(Kind.FAILED, header={"type": reason}))
        return _EXIT_BROKEN


def _begin() -> _Start:
    parser = argparse.ArgumentParser(description="Started by hashmatch.hotline.confined.child.")
    parser.add_argument("--socket", type=int, required=True, help="descriptor of the socket to answer on")
    parser.add_argument("--unconfined", action="store_true", help="for tests: nothing is locked up")
    options = parser.parse_args()
    connection = socket.socket(fileno=options.socket)
    connection.set_inheritable(False)
    _silence()
    reader = Reader(Limits())
    while piece := connection.recv(_PIECE_BYTES):
        for frame in reader.feed(piece):
            if frame.kind is not Kind.SETTINGS:
                raise BadFrame(f"the first frame is {frame.kind.name}, expected SETTINGS")
            header = frame.header
            limits = Limits(int(header["header_bytes"]), int(header["body_bytes"]))
            return _Start(
                connection,
                Reader(limits),
                bool(options.unconfined),
                int(header["parent_pid"]),
                int(header["memory_bytes"]),
                header["settings"],
            )
    raise BadFrame("the socket closed before the settings came")


def _silence() -> None:
    """Send standard error nowhere: what a library or an interpreter says there may quote a stranger."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stderr.fileno())
    os.close(null)


def _hello(outcome: confine.Outcome, breaches: tuple[str, ...], *, networked: bool) -> Header:
    """Return what ``sandbox.posture.of_child`` judges."""
    return {
        "errnos": outcome.errnos,
        "landlock_abi": outcome.landlock_abi,
        "networked": networked,
        "breaches": breaches,
    }


def _failed(frame: Frame, error: BaseException) -> Frame:
    return Frame(Kind.FAILED, frame.number, {"type": type(error).__name__})


def _answer(work: Work, frame: Frame) -> Frame:
    try:
        header, body = work(frame.header, frame.body)
    except Exception as error:  # noqa: BLE001 - the named boundary: a stranger's bytes may make a parser raise anything
        return _failed(frame, error)
    return Frame(Kind.ANSWER, frame.number, header, body)


async def _serve_network(prepare: Callable[[Settings], Awaitable[NetworkWork]]) -> int:
    start = _begin()
    try:
        work = await prepare(start.settings)
        reader, writer = await asyncio.open_unix_connection(sock=start.connection)
    except Exception as error:  # noqa: BLE001 - as in serve()
        return start.fail(error)
    outcome = confine.Outcome()
    if not start.unconfined:
        outcome = networked.lock_down(start.memory_bytes, start.parent_pid, work.reach)
    breaches = networked.breaches(work.reach)
    writer.writelines(Frame(Kind.HELLO, header=_hello(outcome, breaches, networked=True)).encode())
    await _Questions(work, start.reader, writer).take(reader)
    await work.close()
    return _EXIT_OK


class _Questions:
    """Those that are being worked on."""

    def __init__(self, work: NetworkWork, frames: Reader, writer: asyncio.StreamWriter) -> None:
        self._work = work
        self._frames = frames
        self._writer = writer
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def take(self, reader: asyncio.StreamReader) -> None:
        """Answer until the socket closes."""
        while piece := await reader.read(_PIECE_BYTES):
            for frame in self._frames.feed(piece):
                if frame.kind is Kind.REQUEST:
                    task = asyncio.create_task(self._answer(frame))
                    self._tasks[frame.number] = task
                    task.add_done_callback(functools.partial(self._forget, frame.number))
                elif frame.kind is Kind.CANCEL and frame.number in self._tasks:
                    self._tasks[frame.number].cancel()
        for task in tuple(self._tasks.values()):
            task.cancel()

    def _forget(self, number: int, _: asyncio.Task[None]) -> None:
        del self._tasks[number]

    async def _answer(self, frame: Frame) -> None:
        try:
            header, body = await self._work.answer(frame.header, frame.body)
            answer = Frame(Kind.ANSWER, frame.number, header, body)
        except Exception as error:  # noqa: BLE001 - the named boundary: whoever asked must get an answer
            answer = _failed(frame, error)
        self._writer.writelines(answer.encode())
        await self._writer.drain()
