"""What a hostile host may send: handlers for :meth:`tests.support.hotline.site.Site.on`.

Handlers that never end by themselves end when the other side closes, or with the site.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import zlib

from tests.support.hotline.site import Handler, Request

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
MEGABYTE = bytes(1 << 20)


def raw(data: bytes) -> Handler:
    """Send these bytes and close."""

    async def send(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return send


async def endless_redirects(request: Request, writer: asyncio.StreamWriter) -> None:
    """Redirect to a path that was never seen before."""
    number = int(request.path.rpartition("/")[2] or "0") + 1
    writer.write(f"HTTP/1.1 302 Found\r\nLocation: /{number}\r\nContent-Length: 0\r\n\r\n".encode())
    await writer.drain()


async def silent(_: Request, writer: asyncio.StreamWriter) -> None:
    """Say nothing, for ever."""
    await writer.wait_closed()


async def slow_head(_: Request, writer: asyncio.StreamWriter) -> None:
    """Begin an answer, and send a header every now and then, so that the connection is never idle."""
    writer.write(HEAD)
    for number in itertools.count():
        writer.write(f"X-{number}: slow\r\n".encode())
        await writer.drain()
        await asyncio.sleep(0.05)


async def slow_body(_: Request, writer: asyncio.StreamWriter) -> None:
    """Send a byte every now and then."""
    writer.write(HEAD + b"\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def endless_body(_: Request, writer: asyncio.StreamWriter) -> None:
    """Send as fast as it goes, for ever."""
    writer.write(HEAD + b"\r\n")
    while True:
        writer.write(MEGABYTE)
        await writer.drain()


async def endless_headers(_: Request, writer: asyncio.StreamWriter) -> None:
    """Send headers, for ever."""
    writer.write(HEAD)
    while True:
        writer.write(b"X-More: and more\r\n" * 1_000)
        await writer.drain()


async def one_long_header(_: Request, writer: asyncio.StreamWriter) -> None:
    """Send one header, for ever."""
    writer.write(HEAD + b"X-Long: ")
    while True:
        writer.write(b"a" * 65_536)
        await writer.drain()


async def gzip_bomb(_: Request, writer: asyncio.StreamWriter) -> None:
    """Send what becomes a gigabyte, and is a megabyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    writer.write(HEAD + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n")
    for _megabyte in range(1_024):
        writer.write(packer.compress(MEGABYTE))
        await writer.drain()
        await asyncio.sleep(0)  # packing takes longer than sending
    writer.write(packer.flush())
    await writer.drain()


async def gzip_of_nothing(_: Request, writer: asyncio.StreamWriter) -> None:
    """Send empty members of a gzip file, for ever: they never become a byte."""
    writer.write(HEAD + b"Content-Encoding: gzip\r\n\r\n")
    member = gzip.compress(b"") * 1_000
    while True:
        writer.write(member)
        await writer.drain()


def lying_length(declared: int, body: bytes) -> Handler:
    """Declare another length than there is."""
    return raw(HEAD + b"Content-Length: %d\r\n\r\n" % declared + body)


def coded(coding: str, body: bytes) -> Handler:
    """Send a body with a coding, whatever it is."""
    return raw(HEAD + f"Content-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
