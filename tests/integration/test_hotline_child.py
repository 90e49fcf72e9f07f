"""Confined processes through their real entry point: what they answer, how they end, and what they cannot do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from hashmatch.errors import SandboxUnavailable
from hashmatch.hotline.confined.child import Child, Ended, Launch, pause_s
from hashmatch.hotline.confined.framing import Frame, Limits

PLAIN = "tests.support.hotline.children"
NETWORKED = "tests.support.hotline.children_networked"


@contextlib.asynccontextmanager
async def networked(*ports: int, datagrams: bool = True, unconfined: bool = False) -> AsyncIterator[Child]:
    settings = {"ports": ports, "datagrams": datagrams}
    async with Child(Launch(NETWORKED, settings=settings, at_once=8, unconfined=unconfined)) as child:
        yield child


@pytest.fixture
def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


async def test_a_body_goes_there_and_back() -> None:
    body = bytes(range(256)) * 20_000
    async with Child(Launch(PLAIN)) as child:
        assert repr(child) == f"<Child {PLAIN} running, started 1 times>"
        answer = await child.ask({"say": "ünïcode"}, body, timeout_s=3000)
        assert isinstance(answer, Frame)
        assert answer.header["echo"] == "ünïcode"
        assert answer.body == body[::-1]
        assert child.posture.confined
    assert child.pid == 0
    assert not child.posture.confined


async def test_nothing_of_the_environment_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("HASHMATCH_CATALOG_URL", "postgresql://secret")
    async with Child(Launch(PLAIN)) as child:
        answer = await child.ask({}, timeout_s=3000)
    assert isinstance(answer, Frame)
    assert set(answer.header["environment"]) <= {"HOME", "LANG", "LC_CTYPE", "LD_LIBRARY_PATH", "PYTHONPATH",
        "XDG_CACHE_HOME"}  # fmt: skip


async def test_what_is_raised_is_told_by_its_type_only() -> None:
    async with Child(Launch(PLAIN)) as child:
        assert await child.ask({"do": "raise"}, timeout_s=3000) == Ended("raised RuntimeError")
        assert isinstance(await child.ask({}, timeout_s=3000), Frame)
        assert child.starts == 1


async def test_a_death_is_an_answer_and_the_process_is_started_again() -> None:
    async with Child(Launch(PLAIN)) as child:
        first = child.pid
        assert await child.ask({"do": "exit"}, timeout_s=3000) == Ended("exited with 3")
        assert isinstance(await child.ask({}, timeout_s=3000), Frame)
        assert child.starts == 2
        assert child.pid not in {0, first}


async def test_what_takes_too_long_is_killed() -> None:
    async with Child(Launch(PLAIN)) as child:
        assert await child.ask({"do": "sleep", "seconds": 60}, timeout_s=0.2) == Ended("took longer than 0.2 s")
        assert isinstance(await child.ask({}, timeout_s=3000), Frame)
        assert child.starts == 2


async def test_everybody_in_flight_hears_of_a_death() -> None:
    async with networked(80) as child:
        waiting = [asyncio.create_task(child.ask({"do": "wait", "seconds": 600}, timeout_s=600)) for _ in range(5)]
        await asyncio.sleep(0)
        assert await child.ask({"do": "exit"}, timeout_s=3000) == Ended("exited with 3")
        assert await asyncio.gather(*waiting) == [Ended("exited with 3")] * 5


async def test_questions_that_wait_keep_no_others() -> None:
    async with networked(80) as child:
        slow = asyncio.create_task(child.ask({"do": "wait", "seconds": 600}, timeout_s=600))
        assert isinstance(await child.ask({}, timeout_s=3000), Frame)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert isinstance(await child.ask({}, timeout_s=3000), Frame)
        assert child.starts == 1, "giving up on one question leaves the process to the others"


async def test_an_answer_beyond_the_limits_ends_the_process() -> None:
    async with Child(Launch(PLAIN, limits=Limits(header_bytes=400, body_bytes=10))) as child:
        answer = await child.ask({"say": "a" * 380}, timeout_s=3000)
    assert isinstance(answer, Ended)
    assert re.fullmatch(
        r"said what is no answer: frame with a header of \d+ and a body of 0 bytes, at most 400 and 10", answer.why
    )


async def test_a_module_that_does_not_start_says_why() -> None:
    with pytest.raises(SandboxUnavailable, match=r"hashmatch\.nothing did not start: exited with 1"):
        await Child(Launch("hashmatch.nothing")).start()


async def test_a_process_that_is_not_confined_is_refused_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)  # so that the process finds that its parent is another one
    message = (
        f"{PLAIN} is not confined: parent-death is not in force (Protocol error); sandbox.allow_degraded runs it all "
        "the same"
    )
    with pytest.raises(SandboxUnavailable, match=re.escape(message)):
        await Child(Launch(PLAIN)).start()
    async with Child(Launch(PLAIN, allow_degraded=True)) as child:
        assert not child.posture.confined
        assert isinstance(await child.ask({}, timeout_s=3000), Frame)


def test_pauses_grow_with_deaths_in_a_row() -> None:
    assert [pause_s(deaths) for deaths in range(1, 11)] == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10]


@dataclass(frozen=True)
class Attack:
    """What one attack meets; ``unconfined`` is a pattern, since kernels and containers differ in what they allow."""

    do: str
    confined: str
    unconfined: str = "done"

    def __str__(self) -> str:
        return self.do


KERNELS_DIFFER = "done|EPERM|EACCES|EPROTONOSUPPORT|ENOPROTOOPT|EOPNOTSUPP|EINPROGRESS|EAGAIN|ENOENT|EAFNOSUPPORT"

TABLE = [
    Attack("open", "EACCES"),
    Attack("list", "EACCES"),
    Attack("listen", "EACCES"),
    Attack("bind", "EACCES"),
    Attack("execute", "EACCES", unconfined="exited with 0"),
    Attack("mark", "EACCES", unconfined=KERNELS_DIFFER),
    Attack("mptcp", "killed by SIGSYS", unconfined=KERNELS_DIFFER),
    Attack("raw", "killed by SIGSYS", unconfined=KERNELS_DIFFER),
    Attack("unix", "killed by SIGSYS"),
    Attack("netlink", "killed by SIGSYS"),
    Attack("packet", "killed by SIGSYS", unconfined=KERNELS_DIFFER),
    Attack("fast-open", "killed by SIGSYS", unconfined=KERNELS_DIFFER),
    Attack("fork", "killed by SIGSYS"),
    Attack("ptrace", "killed by SIGSYS", unconfined=KERNELS_DIFFER),
    Attack("kill-parent", "killed by SIGSYS"),
    Attack("memfd", "killed by SIGSYS"),
    Attack("connect", "EACCES"),
]


async def _met(child: Child, attack: str, port: int) -> str:
    answer = await child.ask({"do": attack, "port": port}, timeout_s=300)
    return answer.why if isinstance(answer, Ended) else str(answer.header["met"])


@pytest.mark.parametrize("attack", TABLE, ids=str)
async def test_attack_from_the_process_with_the_network(attack: Attack, listening: socket.socket) -> None:
    with listening:
        port = listening.getsockname()[1]
        async with networked(80, 443) as child:
            assert child.posture.confined, child.posture.explain_missing()
            assert await _met(child, attack.do, port) == attack.confined
        async with networked(80, 443, unconfined=True) as child:
            assert re.fullmatch(attack.unconfined, await _met(child, attack.do, port))


async def test_what_it_may_do_it_can_do(listening: socket.socket) -> None:
    with listening:
        port = listening.getsockname()[1]
        async with networked(port) as child:
            assert await _met(child, "connect", port) == "done"
            assert await _met(child, "datagram", port) == "done"


async def test_where_no_names_are_resolved_there_is_no_udp(listening: socket.socket) -> None:
    with listening:
        async with networked(80, datagrams=False) as child:
            assert await _met(child, "datagram", 53) == "killed by SIGSYS"


async def test_the_posture_names_what_an_unconfined_process_could_do() -> None:
    async with networked(80, unconfined=True) as child:
        assert not child.posture.confined
        (test,) = [row for row in child.posture.protections if row.name == "self-test"]
        assert test.detail == (
            "the process could open a file, connect to another port, listen, bind, execute a program"
        )
