"""Names to judged addresses, asked of a name server on loopback."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from hashmatch.hotline.web import addresses
from hashmatch.hotline.web.resolve import Nameserver, Resolved, Resolver, nameservers
from hashmatch.hotline.web.stops import Stopped
from hashmatch.model.hotline import Outcome
from tests.support.hotline.names import NameServer, Trouble

LOCAL = addresses.exempted(("127.0.0.0/8",))


@pytest_asyncio.fixture
async def server() -> AsyncIterator[NameServer]:
    async with NameServer() as running:
        yield running


def resolver(server: NameServer, clock: Callable[[], float] = lambda: 0.0) -> Resolver:
    return Resolver([Nameserver("127.0.0.1", server.port)], 300.0, LOCAL, clock=clock)


async def refused(made: Resolver, host: str) -> tuple[Outcome, str]:
    with pytest.raises(Stopped) as caught:
        await made.resolve(host)
    return caught.value.outcome, caught.value.detail


async def test_both_types_and_the_chain(server: NameServer) -> None:
    server.say("a.test", "8.8.8.8", "2606:4700::1", "127.0.0.1")
    server.alias("b.test", "c.test", "a.test")
    made = await resolver(server).resolve("b.test")
    assert set(map(str, made.addresses)) == {"8.8.8.8", "2606:4700::1", "127.0.0.1"}
    assert made.names == ("c.test", "a.test")


async def test_a_checked_answer_is_kept_for_seconds(server: NameServer) -> None:
    now = [0.0]
    made = resolver(server, lambda: now[0])
    first = await made.resolve("a.test")
    server.say("a.test", "10.0.0.1")
    now[0] = 4.9
    assert await made.resolve("a.test") is first, "the answer itself, which was judged"
    now[0] = 5.1
    assert await refused(made, "a.test") == (Outcome.REFUSED_ADDRESS, "its address is in 10.0.0.0/8 (private use)")
    assert server.asked["a.test"] == 4


async def test_a_refusal_is_not_kept(server: NameServer) -> None:
    server.say("a.test", "10.0.0.1")
    made = resolver(server)
    await refused(made, "a.test")
    server.say("a.test", "127.0.0.1")
    assert isinstance(await made.resolve("a.test"), Resolved)


async def test_who_asks_at_one_time_shares_the_question(server: NameServer) -> None:
    made = resolver(server)
    answers = await asyncio.gather(*(made.resolve("a.test") for _ in range(50)))
    assert len(set(answers)) == 1
    assert server.asked["a.test"] == 2


async def test_who_gives_up_takes_the_answer_from_nobody(server: NameServer) -> None:
    made = resolver(server)
    leaving = asyncio.create_task(made.resolve("a.test"))
    staying = asyncio.create_task(made.resolve("a.test"))
    await asyncio.sleep(0)
    leaving.cancel()
    assert isinstance(await staying, Resolved)


async def test_answers_are_kept_in_bounds(server: NameServer) -> None:
    made = resolver(server)
    for start in range(0, 1_100, 50):
        await asyncio.gather(*(made.resolve(f"h{start + number}.test") for number in range(50)))
    assert repr(made) == "<Resolver 1 servers, 1024 hosts kept>"


async def test_one_type_that_fails_leaves_the_other(server: NameServer) -> None:
    server.say("a.test", "127.0.0.1")
    made = await resolver(server).resolve("a.test")
    assert made.addresses == (ipaddress.ip_address("127.0.0.1"),)


@pytest.mark.parametrize("host", ["127.0.0.2", "8.8.8.8"])
async def test_an_address_is_judged_and_not_asked_for(server: NameServer, host: str) -> None:
    assert (await resolver(server).resolve(host)).addresses == (ipaddress.ip_address(host),)
    assert not server.asked


@pytest.mark.parametrize("host", ["10.0.0.1", "::1", "::ffff:127.0.0.1", "localhost", "intranet", "a.localhost"])
async def test_what_is_inside_is_not_asked_for(server: NameServer, host: str) -> None:
    assert (await refused(resolver(server), host))[0] is Outcome.REFUSED_ADDRESS
    assert not server.asked


async def test_search_lists_are_not_used(server: NameServer) -> None:
    server.break_name("a.b.test", Trouble.NXDOMAIN)
    assert await refused(resolver(server), "a.b.test") == (Outcome.DNS_FAIL, "the name does not exist")
    assert set(server.asked) == {"a.b.test"}


def test_name_servers_of_the_configuration() -> None:
    assert nameservers(("192.0.2.1", "192.0.2.2#5353", "2001:db8::1#54")) == (
        Nameserver("192.0.2.1", 53),
        Nameserver("192.0.2.2", 5353),
        Nameserver("2001:db8::1", 54),
    )
