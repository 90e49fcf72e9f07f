"""A name server on loopback, UDP and TCP on one port: any ``*.test`` host is 127.0.0.1, unless it was told otherwise.

::

    async with NameServer() as dns:
        dns.say("a.test", "192.0.2.1", "2001:db8::1")  # these answers, always
        dns.alias("b.test", "c.test", "a.test")  # a chain of CNAMEs to the answers of the last
        dns.turn(
            "r.test", ["192.0.2.1"], ["127.0.0.1"]
        )  # rebinding: other answers with each question, the last for good
        dns.break_name("s.test", Trouble.SERVFAIL)  # or NXDOMAIN, SILENT, TRUNCATED, GARBAGE
        dns.asked["a.test"]  # questions of either type so far

Names that are not under ``test`` do not exist.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import enum
import ipaddress
from typing import Any, Self

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

_TTL = 0


class Trouble(enum.Enum):
    """What may be wrong with a name."""

    NXDOMAIN = enum.auto()
    SERVFAIL = enum.auto()
    SILENT = enum.auto()
    """No answer at all."""
    TRUNCATED = enum.auto()
    """Over UDP only that there is more; the whole over TCP."""
    GARBAGE = enum.auto()
    """Bytes that are no message."""


class NameServer:
    """Answers, and remembers what it was asked."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: collections.Counter[str] = collections.Counter()
        self.over_tcp: collections.Counter[str] = collections.Counter()
        self._answers: dict[str, list[list[str]]] = {}
        self._chains: dict[str, tuple[str, ...]] = {}
        self._troubles: dict[str, Trouble] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None

    @property
    def configured(self) -> str:
        """The entry of ``hotline.nameservers``."""
        return f"127.0.0.1#{self.port}"

    def say(self, name: str, *addresses: str) -> None:
        """Answer with these, of the type that was asked for."""
        self._answers[name] = [list(addresses)]

    def turn(self, name: str, *answers: list[str]) -> None:
        """Answer each question for A with the next of these; the last one stays."""
        self._answers[name] = list(answers)

    def alias(self, name: str, *chain: str) -> None:
        """Let the name be an alias of the next, and so on."""
        self._chains[name] = chain

    def break_name(self, name: str, trouble: Trouble) -> None:
        """Let something be wrong with the name."""
        self._troubles[name] = trouble

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for _ in range(20):  # one number must be free for both protocols
            self._server = await asyncio.start_server(self._on_stream, "127.0.0.1", 0)
            self.port = self._server.sockets[0].getsockname()[1]
            with contextlib.suppress(OSError):
                self._transport, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self), local_addr=("127.0.0.1", self.port)
                )
                return self
            self._server.close()
        raise OSError("no port is free for UDP and TCP")

    async def __aexit__(self, *_: object) -> None:
        if self._transport is not None:
            self._transport.close()
        if self._server is not None:
            self._server.close()

    def send(self, answer: bytes, receiver: tuple[str | Any, int]) -> None:
        """Send a datagram."""
        if self._transport is not None:
            self._transport.sendto(answer, receiver)

    def answer(self, data: bytes, *, stream: bool) -> bytes | None:
        """Return the answer to one message; None: say nothing."""
        try:
            query = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return None
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        (self.over_tcp if stream else self.asked)[name] += 1
        trouble = self._troubles.get(name)
        response = dns.message.make_response(query, recursion_available=True)
        if trouble is Trouble.SILENT:
            return None
        if trouble is Trouble.GARBAGE:
            return b"\xff" * 40
        if trouble is Trouble.SERVFAIL:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif trouble is Trouble.TRUNCATED and not stream:
            response.flags |= dns.flags.TC
        elif trouble is Trouble.NXDOMAIN or not (name in self._answers or name in self._chains or _is_test(name)):
            response.set_rcode(dns.rcode.NXDOMAIN)
        else:
            self._fill(response, name, question.rdtype)
        return response.to_wire()

    def _fill(self, response: dns.message.Message, name: str, kind: dns.rdatatype.RdataType) -> None:
        for target in self._chains.get(name, ()):
            response.answer.append(dns.rrset.from_text(f"{name}.", _TTL, "IN", "CNAME", f"{target}."))
            name = target
        turns = self._answers.get(name, [["127.0.0.1"]])
        addresses = turns[0]
        if len(turns) > 1 and kind == dns.rdatatype.A:
            del turns[0]
        version = {dns.rdatatype.A: 4, dns.rdatatype.AAAA: 6}.get(kind)
        rows = [address for address in addresses if ipaddress.ip_address(address).version == version]
        if rows:
            response.answer.append(dns.rrset.from_text(f"{name}.", _TTL, "IN", kind, *rows))

    async def _on_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            length = int.from_bytes(await reader.readexactly(2))
            answer = self.answer(await reader.readexactly(length), stream=True)
            if answer is not None:
                writer.write(len(answer).to_bytes(2) + answer)
                await writer.drain()
        writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def datagram_received(self, data: bytes, sender: tuple[str | Any, int]) -> None:
        answer = self._server.answer(data, stream=False)
        if answer is not None:
            self._server.send(answer, sender)


def _is_test(name: str) -> bool:
    return name == "test" or name.endswith(".test")
