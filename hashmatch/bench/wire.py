"""A caller that costs next to nothing: unary gRPC calls with HTTP/2 frames made by hand.

Theory of operation
-------------------
Who measures a service on the machine that it runs on takes part of what it measures. gRPC's own client takes 0.13 ms
of processor time for a call in Python, a third of what the service takes for a lookup; this one takes a third of
that. It knows one method at one address, so that what differs between two calls is the number of a stream and the
message. Messages are bytes, made before anything is timed and read after; headers of an answer are only decoded where
it has no message. Whatever is sent in one turn of the event loop is one write.

As any client it keeps within the windows and the number of streams that the server allows, answers its pings, and
moves to a new connection when the server says that it is closing one (``server.move_s``). What the server says that it
has not begun is sent again.

What this module deliberately does not do: streams, TLS, keys, retries. Whoever uses the service uses ``client``.

Sources: as ``frames``.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable, Mapping
from typing import ClassVar, Final, NamedTuple

from hashmatch.bench import frames
from hashmatch.bench.frames import Frame
from hashmatch.errors import ServiceUnavailable

_ALLOWED: Final = (1 << 31) - 1
"""What the server may send of one answer, and, once more, of all: the most that HTTP/2 knows."""
_TOPPED_UP: Final = 1 << 30
"""Bytes of answers after which the connection's window is opened again."""
_GREETING: Final = (
    frames.PREFACE
    + frames.settings({frames.HEADER_TABLE_SIZE: 0, frames.INITIAL_WINDOW_SIZE: _ALLOWED})
    + frames.frame(frames.WINDOW_UPDATE, 0, 0, (_ALLOWED - frames.WINDOW).to_bytes(4))
)


class Answer(NamedTuple):
    """``message``: what was answered, None where the call failed; ``trailers``: undecoded, what it ended with."""

    message: bytes | None
    trailers: bytes


class _Unbegun(Exception):
    """The server has not begun the call, and says so."""


class _Stream:
    """One call: what is still to be sent of it, and what came."""

    __slots__ = ("answer", "block", "body", "received", "window")

    def __init__(self, body: bytes, window: int, answer: asyncio.Future[Answer]) -> None:
        self.body = body
        self.window = window
        self.answer = answer
        self.received = b""
        self.block = b""


class _Connection(asyncio.Protocol):
    """One connection, from the greeting to its end."""

    def __init__(self, blocks: tuple[bytes, bytes]) -> None:
        self._first, self._later = blocks
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._to_send: list[bytes] = []
        self._streams: dict[int, _Stream] = {}
        self._unsent: dict[int, _Stream] = {}
        self._waiting: collections.deque[_Stream] = collections.deque()
        self._next = 1
        self._window = self._each = frames.WINDOW
        self._longest = frames.FRAME
        self._most = _ALLOWED
        self._came = 0
        self._transport: asyncio.Transport | None = None
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self.leaving = False
        """Whether a further call has to go to another connection."""

    async def call(self, body: bytes) -> Answer:
        """Send a message with its length ahead; return the answer. Raises _Unbegun, ServiceUnavailable."""
        if self._lost.done():
            raise ServiceUnavailable("the service hung up before it was asked anything")
        if self.leaving:
            raise _Unbegun
        stream = _Stream(body, 0, self._loop.create_future())
        if len(self._streams) < self._most:
            self._begin(stream)
        else:
            self._waiting.append(stream)
        return await stream.answer

    async def close(self) -> None:
        """Hang up."""
        self._hang_up()
        await self._lost

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # --- asyncio's side ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  create_connection makes no other
        self._transport = transport
        transport.write(_GREETING)

    def connection_lost(self, error: Exception | None) -> None:
        self.leaving = True
        for stream in (*self._streams.values(), *self._waiting):
            if not stream.answer.done():
                stream.answer.set_exception(
                    ServiceUnavailable(f"the service hung up: {error or 'no reason was given'}")
                )
        self._streams.clear()
        self._waiting.clear()
        self._lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._received += data
        for frame in frames.taken(self._received):
            take = self._takes.get(frame.kind)
            if take is not None:  # unknown kinds are left alone (RFC 9113 §4.1)
                take(self, frame)

    # --- sending -----------------------------------------------------------------------------------------------------

    def _begin(self, stream: _Stream) -> None:
        number, block = self._next, self._first if self._next == 1 else self._later
        self._next += 2
        self._streams[number] = stream
        stream.window = self._each
        self._send(frames.frame(frames.HEADERS, frames.END_HEADERS, number, block))
        self._unsent[number] = stream
        self._go_on(number, stream)

    def _go_on(self, number: int, stream: _Stream) -> None:
        """Send of a message what the windows allow."""
        while stream.body and (size := min(len(stream.body), self._longest, self._window, stream.window)) > 0:
            part, stream.body = stream.body[:size], stream.body[size:]
            self._window -= size
            stream.window -= size
            self._send(frames.frame(frames.DATA, 0 if stream.body else frames.END_STREAM, number, part))
        if not stream.body:
            del self._unsent[number]

    def _all_go_on(self) -> None:
        for number, stream in list(self._unsent.items()):
            self._go_on(number, stream)

    def _send(self, data: bytes) -> None:
        if not self._to_send:
            self._loop.call_soon(self._write)
        self._to_send.append(data)

    def _write(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._to_send))
        self._to_send.clear()

    # --- what comes --------------------------------------------------------------------------------------------------

    def _data(self, frame: Frame) -> None:
        if (stream := self._streams.get(frame.stream)) is not None:
            stream.received += frame.payload
        self._came += len(frame.payload)
        if self._came >= _TOPPED_UP:
            self._send(frames.frame(frames.WINDOW_UPDATE, 0, 0, self._came.to_bytes(4)))
            self._came = 0
        self._ended(frame)

    def _headers(self, frame: Frame) -> None:
        if (stream := self._streams.get(frame.stream)) is not None:
            stream.block = frame.payload if frame.kind == frames.HEADERS else stream.block + frame.payload
        self._ended(frame)

    def _ended(self, frame: Frame) -> None:
        """Give the answer of a call out if this was the last of it."""
        if frame.flags & frames.END_STREAM and (stream := self._over(frame.stream)) is not None:
            stream.answer.set_result(Answer(frames.message_of(stream.received), stream.block))

    def _reset(self, frame: Frame) -> None:
        if (stream := self._over(frame.stream)) is None:
            return
        code = int.from_bytes(frame.payload)
        stream.answer.set_exception(
            _Unbegun() if code == frames.REFUSED_STREAM else ServiceUnavailable(f"a call was reset with code {code}")
        )

    def _over(self, number: int) -> _Stream | None:
        """Take a call off, and begin the next one; None where nobody waits for it."""
        stream = self._streams.pop(number, None)
        self._unsent.pop(number, None)
        while self._waiting and len(self._streams) < self._most and not self.leaving:
            self._begin(self._waiting.popleft())
        if self.leaving and not self._streams:
            self._hang_up()
        return None if stream is None or stream.answer.done() else stream

    def _settings(self, frame: Frame) -> None:
        if frame.flags & frames.ACK:
            return
        values = frames.settings_of(frame.payload)
        more = values.get(frames.INITIAL_WINDOW_SIZE, self._each) - self._each
        self._each += more
        for stream in self._streams.values():  # RFC 9113 §6.9.2
            stream.window += more
        self._longest = values.get(frames.MAX_FRAME_SIZE, self._longest)
        self._most = values.get(frames.MAX_CONCURRENT_STREAMS, self._most)
        self._send(frames.frame(frames.SETTINGS, frames.ACK, 0, b""))
        self._all_go_on()

    def _ping(self, frame: Frame) -> None:
        if not frame.flags & frames.ACK:
            self._send(frames.frame(frames.PING, frames.ACK, 0, frame.payload))

    def _window_update(self, frame: Frame) -> None:
        more = int.from_bytes(frame.payload)
        if frame.stream == 0:
            self._window += more
            self._all_go_on()
        elif (stream := self._unsent.get(frame.stream)) is not None:
            stream.window += more
            self._go_on(frame.stream, stream)

    def _go_away(self, frame: Frame) -> None:
        """Take no further calls, and have made again what the server will not begin (RFC 9113 §6.8)."""
        self.leaving = True
        last = int.from_bytes(frame.payload[:4]) & _ALLOWED
        unbegun = [stream for number in list(self._streams) if number > last and (stream := self._over(number))]
        for stream in (*unbegun, *self._waiting):
            if not stream.answer.done():
                stream.answer.set_exception(_Unbegun())
        self._waiting.clear()
        if not self._streams:
            self._hang_up()

    _takes: ClassVar[Mapping[int, Callable[[_Connection, Frame], None]]] = {
        frames.DATA: _data,
        frames.HEADERS: _headers,
        frames.CONTINUATION: _headers,
        frames.RST_STREAM: _reset,
        frames.SETTINGS: _settings,
        frames.PING: _ping,
        frames.GOAWAY: _go_away,
        frames.WINDOW_UPDATE: _window_update,
    }


class Wire:
    """Calls one method at one address, over so many connections in turns. Used on one event loop.

    Parameters
    ----------
    target
        Host and port, without TLS.
    method
        Its full name: ``/package.Service/Method``.
    connections
        How many.
    deadline_s
        What the server is told of how long the caller waits.

    """

    def __init__(self, target: str, method: str, connections: int, deadline_s: int) -> None:
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self._blocks = frames.request_blocks(target, method, deadline_s)
        self._open: list[_Connection | None] = [None] * connections
        self._opening = [asyncio.Lock() for _ in self._open]

    async def close(self) -> None:
        """Hang up."""
        await asyncio.gather(*(connection.close() for connection in self._open if connection is not None))

    async def call(self, number: int, body: bytes) -> Answer:
        """Make a call on the connection whose turn a number is, with :func:`frames.body_of` a message.

        Raises
        ------
        ServiceUnavailable
            The service cannot be reached, hung up, or reset the call.

        """
        place = number % len(self._open)
        while True:
            connection = self._open[place]
            if connection is None or connection.leaving:
                connection = await self._opened(place)
            try:
                return await connection.call(body)
            except _Unbegun:
                continue

    async def _opened(self, place: int) -> _Connection:
        """Open a connection in the place of one that is leaving, once for all who wait for it."""
        async with self._opening[place]:
            connection = self._open[place]
            if connection is not None and not connection.leaving:
                return connection
            try:
                _, opened = await asyncio.get_running_loop().create_connection(
                    lambda: _Connection(self._blocks), self._host, self._port
                )
            except OSError as error:
                raise ServiceUnavailable(f"{self._host}:{self._port} cannot be reached: {error.strerror}") from error
            self._open[place] = opened
            return opened
