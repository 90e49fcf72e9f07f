"""Lookups take turns, each with all that wait, and those that would wait too long are refused."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from hashmatch.backlog import Mean
from hashmatch.errors import Overloaded, SetNotFound
from hashmatch.matching import lookups as turns
from hashmatch.matching.lookups import Lookups


@pytest.fixture(autouse=True)
def in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no turn be done at once: these may have to wait for what the test does next."""
    monkeypatch.setattr(turns, "AT_ONCE_S", -1.0)


@dataclass
class Doubling:
    """Answers twice each number, once it may; remembers what it was asked, turn by turn."""

    may: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[list[int], str]] = field(default_factory=list)

    def __call__(self, items: Sequence[int], scope: str) -> list[int]:
        """Answer; a scope may be missing or break the answering."""
        self.asked.append((list(items), scope))
        self.begun.set()
        assert self.may.wait(300)
        if scope == "missing":
            raise SetNotFound("no hash set named 'missing' is being served", field="sets")
        if scope == "broken":
            raise ZeroDivisionError
        return [2 * item for item in items]


async def behind(look: Doubling, lookups: Lookups[int, str, int], *calls: tuple[list[int], str]) -> list[object]:
    """Let calls come while the only turn is taken; return what becomes of them."""
    look.may.clear()
    look.begun.clear()
    first = asyncio.create_task(lookups.run([0], "all"))
    await asyncio.to_thread(look.begun.wait)
    tasks = [asyncio.create_task(lookups.run(items, scope)) for items, scope in calls]
    await asyncio.sleep(0)  # each runs until it waits
    look.may.set()
    assert await first == [0]
    return list(await asyncio.gather(*tasks, return_exceptions=True))


async def test_whoever_waits_is_answered_together_in_the_next_turn() -> None:
    look = Doubling()
    answers = await behind(
        look, Lookups(look, 500, threads=1), ([1, 2], "all"), ([], "all"), ([3], "few"), ([4], "all")
    )
    assert answers == [[2, 4], [], [6], [8]]
    assert look.asked == [([0], "all"), ([1, 2, 4], "all"), ([3], "few")]


async def test_a_turn_has_an_end_and_takes_a_large_call_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN", 3)
    look = Doubling()
    answers = await behind(look, Lookups(look, 500, threads=1), ([1] * 5, "all"), ([2, 3], "all"), ([4], "all"))
    assert answers == [[2] * 5, [4, 6], [8]]
    assert [len(items) for items, _ in look.asked] == [1, 5, 3]


@pytest.mark.parametrize("at_once_s", [-1.0, 10.0])
async def test_an_error_is_the_answer_to_the_calls_of_its_scope(
    monkeypatch: pytest.MonkeyPatch, at_once_s: float
) -> None:
    monkeypatch.setattr(turns, "AT_ONCE_S", at_once_s)
    look = Doubling()
    lookups = Lookups(look, 500, threads=1)
    calls = (([1], "all"), ([2], "missing"), ([3], "missing"), ([4], "broken"))
    found, missing, again, broken = await behind(look, lookups, *calls)
    assert (found, type(missing), type(again), type(broken)) == ([2], SetNotFound, SetNotFound, ZeroDivisionError)
    assert await lookups.run([7], "all") == [14]


async def test_what_is_soon_done_is_done_at_once_and_what_is_not_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "AT_ONCE_S", 0.01)
    threads = list[bool]()

    def look(items: Sequence[int], _: None) -> list[int]:
        threads.append(threading.current_thread() is threading.main_thread())
        return list(items)

    lookups = Lookups(look, 500, threads=1)
    await lookups.run([1], None)  # nothing is known of it yet
    lookups._busy = Mean()
    lookups._busy.note(0.001)
    await asyncio.gather(*(lookups.run([number], None) for number in range(10)))
    await lookups.run([1] * 1_000, None)
    assert threads == [False, True, False]


async def test_how_long_a_turn_waits_does_not_send_the_next_one_to_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a thread waits for the interpreter: the clock runs, and nothing is done meanwhile."""
    monkeypatch.setattr(turns, "AT_ONCE_S", 0.1)
    threads = list[bool]()

    def look(items: Sequence[int], _: None) -> list[int]:
        threads.append(threading.current_thread() is threading.main_thread())
        if len(threads) == 1:
            threading.Event().wait(0.2)
        return list(items)

    lookups = Lookups(look, 500, threads=1)
    for _ in range(2):
        await lookups.run([1], None)
    assert threads == [False, True]


async def test_a_call_that_waits_for_no_others_is_answered_before_its_caller_goes_on() -> None:
    def look(items: Sequence[int], scope: str) -> list[int]:
        if scope == "missing":
            raise SetNotFound("no hash set named 'missing' is being served", field="sets")
        return [2 * item for item in items]

    lookups = Lookups(look, math.inf, threads=1, at_once_s=10.0, alone=True)
    assert await lookups.run([1], "all") == [2]  # in a thread: nothing is known of it yet
    loop = asyncio.get_running_loop()
    turned = list[str]()
    loop.call_soon(turned.append, "the loop")
    assert await lookups.run([1, 2], "all") == [2, 4]
    with pytest.raises(SetNotFound, match="'missing'"):
        await lookups.run([1], "missing")
    assert not turned


async def test_an_item_counts_as_the_pieces_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN", 40)
    look = Doubling()
    lookups = Lookups(look, math.inf, threads=1)
    look.may.clear()
    first = asyncio.create_task(lookups.run([0], "all", 32))
    await asyncio.to_thread(look.begun.wait)
    waiting = [
        asyncio.create_task(lookups.run([number], "all", pieces)) for number, pieces in ((1, 32), (2, 8), (3, 1))
    ]
    await asyncio.sleep(0)
    assert repr(lookups).startswith("<Lookups: 41 wait, ")
    lookups._backlog.note(1e6)
    lookups.check_room()  # nobody is refused
    look.may.set()
    assert await asyncio.gather(first, *waiting) == [[0], [2], [4], [6]]
    assert look.asked == [([0], "all"), ([1, 2], "all"), ([3], "all")]


async def test_turns_are_as_many_at_a_time_as_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    look = Doubling()
    lookups = Lookups(look, 500, threads=2)
    monkeypatch.setattr(turns, "TURN", 1)
    tasks = [asyncio.create_task(lookups.run([number], "all")) for number in range(5)]
    await asyncio.to_thread(look.begun.wait)
    assert repr(lookups).startswith("<Lookups: 3 wait, ")
    look.may.set()
    assert await asyncio.gather(*tasks) == [[0], [2], [4], [6], [8]]


async def test_a_queue_that_takes_too_long_is_refused_and_the_next_one_is_not() -> None:
    look = Doubling()
    lookups = Lookups(look, 100, threads=1)
    lookups._backlog.note(0.01)
    first = asyncio.create_task(lookups.run([], "all"))
    await asyncio.to_thread(look.begun.wait)
    waiting = [asyncio.create_task(lookups.run([1] * 5, "all")) for _ in range(2)]
    await asyncio.sleep(0)
    assert repr(lookups).startswith("<Lookups: 10 wait, ")
    with pytest.raises(Overloaded, match=r"^the wait behind 10 lookups is 110 ms, and at most 100 are waited"):
        await lookups.run([1], "all")
    with pytest.raises(Overloaded, match=r"^the wait behind 10 lookups is 110 ms"):
        lookups.check_room()
    look.may.set()
    await asyncio.gather(first, *waiting)
    lookups.check_room()
    assert await lookups.run([7], "all") == [14]


async def test_a_call_whose_caller_has_gone_is_left_out() -> None:
    look = Doubling()
    lookups = Lookups(look, 100, threads=1)
    first = asyncio.create_task(lookups.run([1], "all"))
    await asyncio.to_thread(look.begun.wait)
    waiting = [asyncio.create_task(lookups.run([number], "all")) for number in (2, 3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.gather(waiting[0], return_exceptions=True)
    first.cancel()  # and one whose caller goes while it is answered disturbs nobody
    await asyncio.gather(first, return_exceptions=True)
    look.may.set()
    assert await waiting[1] == [6]
    assert look.asked == [([1], "all"), ([3], "all")]
    assert repr(lookups).startswith("<Lookups: 0 wait, ")
