"""A SOCKS5 proxy on loopback that resolves names by a table, and remembers who asked for what (RFC 1928, RFC 1929)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

from tests.support.clock import rounds

_NO_METHOD = 0xFF
_USERNAME = 2


class SocksProxy:
    """Takes user names and passwords, as Tor does."""

    def __init__(self, places: dict[str, int]) -> None:
        """Know where hosts are.

        Parameters
        ----------
        places : dict
            Host, as it is asked for, to a port on loopback. Others are unreachable.

        """
        self._places = places
        self.port = 0
        self.asked: list[tuple[str, int]] = []
        self.credentials: list[tuple[str, str]] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        await rounds(20)  # a connection that came just now has a task that has not begun
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._converse(reader, writer)
        except asyncio.CancelledError:
            pass  # the proxy closes
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, methods = await reader.readexactly(2)
        if _USERNAME not in await reader.readexactly(methods):
            writer.write(bytes([5, _NO_METHOD]))
            return
        writer.write(bytes([5, _USERNAME]))
        await reader.readexactly(1)
        name = await reader.readexactly((await reader.readexactly(1))[0])
        password = await reader.readexactly((await reader.readexactly(1))[0])
        self.credentials.append((name.decode(), password.decode()))
        writer.write(b"\x01\x00")
        _, _, _, kind = await reader.readexactly(4)
        if kind == 1:
            host = ".".join(map(str, await reader.readexactly(4)))
        else:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        port = int.from_bytes(await reader.readexactly(2))
        self.asked.append((host, port))
        place = self._places.get(host)
        if place is None:
            writer.write(bytes([5, 4, 0, 1]) + bytes(6))
            return
        there, here = await asyncio.open_connection("127.0.0.1", place)
        writer.write(bytes([5, 0, 0, 1]) + bytes(6))
        await asyncio.gather(_pipe(reader, here), _pipe(there, writer))


async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    sink.close()
