"""One process of several: ``python -m hashmatch.service.member --control FD``, started by the supervisor.

Theory of operation
-------------------
A fresh interpreter, not a fork: gRPC does not survive one. Over the control socket it gets a :class:`Commission`, one
line of JSON: the text of the configuration that the supervisor has read, so that all processes of one edition have the
same, and its seat. It answers with one line, ``serving`` or ``failed``, and then takes orders, a word a line. The end
of the socket is the end of the supervisor, and drains.

Signals of a terminal do not reach it: it has a session of its own.

What this module deliberately does not do: it decides nothing, and reads no file of the configuration's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hashmatch import config
from hashmatch.errors import HashmatchError
from hashmatch.service.commission import MAX_LINE_BYTES, Commission
from hashmatch.service.fleet import Order
from hashmatch.service.seating import Seat, seated
from hashmatch.service.server import Post, serve
from hashmatch.telemetry import logs

if TYPE_CHECKING:
    from hashmatch.report.status import ServiceStatus  # loaded with all else, once the zygote is on its way

LOG_FORMAT: Final = "%(asctime)s %(levelname)s [%(process)d] %(name)s: %(message)s"


def main(arguments: list[str] | None = None) -> int:
    """Serve until told otherwise; the exit code is that of the error that kept it from serving."""
    parser = argparse.ArgumentParser(
        prog="python -m hashmatch.service.member", description="Started by the supervisor."
    )
    parser.add_argument("--control", type=int, required=True, help="descriptor of the control socket")
    control = socket.socket(fileno=parser.parse_args(arguments).control)
    control.set_inheritable(False)
    return asyncio.run(_run(control))


async def _run(control: socket.socket) -> int:
    reader, writer = await asyncio.open_unix_connection(sock=control, limit=MAX_LINE_BYTES)

    def say(**words: object) -> None:
        writer.write(json.dumps(words).encode() + b"\n")

    def serving(target: str, status: ServiceStatus) -> None:
        say(event="serving", address=target, generation=status.index.generation, entries=status.entries)

    line = await reader.readline()
    if not line:
        return 0
    told = Commission.decode(line)
    logs.to_stderr(told.log_level, told.log_format, LOG_FORMAT)
    seat = Seat(told.seat, told.seats)
    post = Post(seat, reloaded=told.reloaded)
    try:
        loaded = config.parse(told.text)
        server = dataclasses.replace(loaded.server, listen=told.listen)
        async with _obeying(reader, post):
            await serve(
                seated(dataclasses.replace(loaded, server=server), seat),
                Path(told.data_dir),
                on_serving=serving,
                post=post,
            )
    except HashmatchError as error:
        say(event="failed", error=error.reason(), message=error.message, field=error.field)
        return int(error.exit_code)
    finally:
        with contextlib.suppress(ConnectionError):  # the supervisor is gone
            await writer.drain()
            writer.close()
            await writer.wait_closed()
    return 0


@asynccontextmanager
async def _obeying(reader: asyncio.StreamReader, post: Post) -> AsyncIterator[None]:
    """Do what the control socket says while the block runs."""
    task = asyncio.create_task(_obey(reader, post))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _obey(reader: asyncio.StreamReader, post: Post) -> None:
    events = {Order.LEAVE: post.leave, Order.DRAIN: post.stop, Order.HURRY: post.hurry}
    with contextlib.suppress(ConnectionError):
        async for line in reader:
            order = Order(line.decode().strip())
            if order is Order.HURRY:
                post.stop.set()
            events[order].set()
    post.stop.set()


if __name__ == "__main__":
    sys.exit(main())
