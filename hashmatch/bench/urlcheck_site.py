"""The site that the URL checker is measured on, as a process: ``python -m hashmatch.bench.urlcheck_site DIR``.

Theory of operation
-------------------
One event loop, one port for all hosts, and a name server on another that says 127.0.0.1 to everything. Answers are put
together before the first question, and a request is read no further than its path and its host, so that the site takes
as little of the machine as Python allows; what it takes is reported with the rest. It counts: how many requests, for
how many different addresses, and when the first and the last came. ``/-/count`` on the host ``count.test`` returns that
and begins anew.

What this module deliberately does not do: it is no web server. It speaks to well-behaved clients on loopback.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from pathlib import Path

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset

from hashmatch.bench import urlcheck_pages

COUNT_HOST, COUNT_PATH = "count.test", "/-/count"
_END = b"\r\n\r\n"
_MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
_TTL_S = 60
_MAX_QUESTION_BYTES = 4_096


def answer(body: bytes, content_type: str) -> bytes:
    """Return an answer, head and body."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Content:
    """What is served, and how often it was asked for."""

    def __init__(self, where: Path) -> None:
        web, pictures, ends = urlcheck_pages.read(where)
        self._pages = {f"/p/{page}".encode(): answer(web.page(page), "text/html") for page in range(web.pages)}
        self._pictures = {
            (web.host(host).encode(), path.encode()): answer(pictures[ends[number] : ends[number + 1]], "image/jpeg")
            for host, path, number in web.picture_paths()
        }
        self._asked: set[tuple[bytes, bytes]] = set()
        self._begin()

    def _begin(self) -> None:
        self._requests, self._unknown, self._first, self._last = 0, 0, 0.0, 0.0
        self._asked.clear()

    def find(self, host: bytes, path: bytes) -> bytes:
        """Return the answer to a request, and count it."""
        if path == COUNT_PATH.encode():
            return self._counted()
        self._last = time.time()
        self._first = self._first or self._last
        self._requests += 1
        self._asked.add((host, path))
        found = self._pages.get(path) or self._pictures.get((host, path))
        self._unknown += found is None
        return found or _MISSING

    def _counted(self) -> bytes:
        said = {
            "requests": self._requests,
            "distinct": len(self._asked),
            "unknown": self._unknown,
            "first": self._first,
            "last": self._last,
        }
        self._begin()
        return answer(json.dumps(said).encode(), "application/json")


class Http(asyncio.Protocol):
    """One connection."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._data = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        if isinstance(transport, asyncio.WriteTransport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._data += data
        while self._transport is not None and (end := self._data.find(_END)) >= 0:
            head, self._data = self._data[:end], self._data[end + len(_END) :]
            path = head.split(b" ", 2)[1]
            at = head.lower().index(b"\r\nhost:") + len(b"\r\nhost:")
            host = head[at:].split(b"\r\n", 1)[0].strip().rpartition(b":")[0]
            self._transport.write(self._content.find(host, path))


def say_address(names: socket.socket) -> None:
    """Answer a question: 127.0.0.1, and no address of IPv6."""
    data, asker = names.recvfrom(_MAX_QUESTION_BYTES)
    message = dns.message.make_response(dns.message.from_wire(data))
    message.flags |= dns.flags.RA
    question = message.question[0]
    if question.rdtype == dns.rdatatype.A:
        message.answer.append(dns.rrset.from_text(question.name, _TTL_S, "IN", "A", "127.0.0.1"))
    names.sendto(message.to_wire(), asker)


async def serve(where: Path) -> None:
    """Serve until standard input closes; the first line on standard output has both ports."""
    loop = asyncio.get_running_loop()
    content = Content(where)
    server = await loop.create_server(lambda: Http(content), "127.0.0.1", 0, backlog=1_024)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as names:
        names.bind(("127.0.0.1", 0))
        loop.add_reader(names, say_address, names)
        ports = {"http": server.sockets[0].getsockname()[1], "dns": names.getsockname()[1]}
        sys.stdout.write(json.dumps(ports) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
        loop.remove_reader(names)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
