"""Names to addresses, all of which may be connected to.

Theory of operation
-------------------
A and AAAA are asked for at one time, by ourselves, without search lists and without /etc/hosts. *Every* address of both
answers is judged; one that is refused refuses the host, because who mixes good and bad addresses has a reason. What
comes back is what is connected to: nothing resolves the name a second time, so a record that changes in between
changes nothing. For a few seconds the checked answer is kept, for the images of one page; it is that answer, not the
name, that is used again.

The names that an alias led through are recorded: they say whose network the host is in.

What this module deliberately does not do: it does not follow aliases itself (resolvers do, and answer with the whole
chain), and it validates no DNSSEC; TLS says whether the host is the one that was asked for.

Source
------
RFC 1034 §3.6.2 (aliases), RFC 6761; reference security §1.2.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.rdatatype
import dns.resolver

from hashmatch.errors import BadConfig
from hashmatch.hotline.web import addresses
from hashmatch.hotline.web.addresses import Address, Network
from hashmatch.hotline.web.stops import Stopped
from hashmatch.model.hotline import Outcome

_KEPT_S = 5.0
_KEPT_HOSTS = 1_024
_UDP_BYTES = 1_232
"""Largest answer over UDP that no path has to fragment (DNS flag day 2020)."""
_DNS_PORT = 53
_TYPES = (dns.rdatatype.AAAA, dns.rdatatype.A)


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a host may be connected to at. ``names`` are the aliases on the way."""

    addresses: tuple[Address, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Nameserver:
    """A name server."""

    ip: str
    port: int = _DNS_PORT


def nameservers(configured: Sequence[str]) -> tuple[Nameserver, ...]:
    """Return the name servers of ``hotline.nameservers``, or of /etc/resolv.conf where there are none.

    Raises
    ------
    BadConfig
        One is no address, or there is none at all.

    """
    where = "hotline.nameservers"
    if configured:
        return tuple(_nameserver(text, where) for text in configured)
    try:
        found = dns.resolver.Resolver().nameservers
    except (dns.exception.DNSException, OSError) as error:
        raise BadConfig(f"{where} is empty, and /etc/resolv.conf names none", field=where) from error
    return tuple(Nameserver(str(server)) for server in found)


def _nameserver(text: str, where: str) -> Nameserver:
    ip, _, port = text.partition("#")
    if addresses.read(ip) is None or not (port or "53").isdecimal() or not 0 < int(port or "53") < 1 << 16:
        raise BadConfig(
            f"{where}: {text!r} is no address of a name server: expected 192.0.2.1 or 192.0.2.1#5353", field=where
        )
    return Nameserver(ip, int(port or _DNS_PORT))


class Resolver:
    """Looks names up and judges the answers."""

    def __init__(
        self,
        servers: Sequence[Nameserver],
        timeout_s: float,
        exempt: Sequence[Network] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exempt = tuple(exempt)
        self._timeout_s = timeout_s
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, Resolved]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Resolved | Stopped]] = {}
        self._stub = dns.asyncresolver.Resolver(configure=False)
        self._stub.nameservers = [dns.nameserver.Do53Nameserver(server.ip, server.port) for server in servers]
        self._stub.timeout = timeout_s / 2
        self._stub.lifetime = timeout_s
        self._stub.use_edns(0, 0, _UDP_BYTES)

    def __repr__(self) -> str:
        return f"<Resolver {len(self._stub.nameservers)} servers, {len(self._kept)} hosts kept>"

    async def resolve(self, host: str) -> Resolved:
        """Return where a host may be connected to.

        Parameters
        ----------
        host : str
            As ``urls`` made it; an address is judged as it is.

        Raises
        ------
        Stopped
            It must not be fetched from, does not exist, or nobody answered.

        """
        literal = addresses.read(host)
        if literal is not None:
            return Resolved(self._judged((literal,)))
        refused = addresses.refusal_of_name(host)
        if refused:
            raise Stopped(Outcome.REFUSED_ADDRESS, refused)
        kept = self._kept.get(host)
        if kept is not None and kept[0] > self._clock():
            return kept[1]
        task = self._asking.get(host)
        if task is None:
            task = asyncio.create_task(self._ask(host))
            self._asking[host] = task
            task.add_done_callback(lambda _: self._asking.pop(host, None))
        answer = await asyncio.shield(task)
        if isinstance(answer, Stopped):
            raise Stopped(answer.outcome, answer.detail)
        return answer

    async def _ask(self, host: str) -> Resolved | Stopped:
        """Ask; a refusal is returned, since everybody who asked for the host may have given up on it."""
        answers = await asyncio.gather(*(self._answer(host, kind) for kind in _TYPES))
        good = [answer for answer in answers if isinstance(answer, dns.resolver.Answer)]
        found = tuple(
            address
            for answer in good
            for row in answer.rrset or ()
            if (address := addresses.read(row.to_text())) is not None
        )
        if not found:
            problems = [answer for answer in answers if isinstance(answer, str)]
            return Stopped(Outcome.DNS_FAIL, problems[0] if problems else "the name has no address")
        names = max((_aliases(answer) for answer in good), key=len)
        try:
            resolved = Resolved(self._judged(found), names)
        except Stopped as refused:
            return refused
        self._kept[host] = (self._clock() + _KEPT_S, resolved)
        self._kept.move_to_end(host)
        while len(self._kept) > _KEPT_HOSTS:
            self._kept.popitem(last=False)
        return resolved

    async def _answer(self, host: str, kind: dns.rdatatype.RdataType) -> dns.resolver.Answer | str:
        """One answer, or why there is none; the best reason of both is told."""
        try:
            async with asyncio.timeout(self._timeout_s):  # dnspython's own limit leaves out its pauses
                return await self._stub.resolve(f"{host}.", kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN:
            return "the name does not exist"
        except (TimeoutError, dns.exception.Timeout):
            return f"no name server answered within {self._timeout_s:g} s"
        except (dns.exception.DNSException, OSError, EOFError):
            return "no name server could answer"

    def _judged(self, found: tuple[Address, ...]) -> tuple[Address, ...]:
        for address in found:
            refused = addresses.refusal(address, self._exempt)
            if refused:
                raise Stopped(Outcome.REFUSED_ADDRESS, f"its address is {refused}")
        return found


def _aliases(answer: dns.resolver.Answer) -> tuple[str, ...]:
    return tuple(rows[0].target.to_text(omit_final_dot=True) for rows in answer.chaining_result.cnames)
