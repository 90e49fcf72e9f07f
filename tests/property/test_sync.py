"""Whatever goes wrong on the way: once it stops, one more run makes the set equal to the exchange's truth."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.model import EntryStatus
from tests.support.exchanges.base import DAY_S, FAULTS, Exchange, Truth, served
from tests.support.exchanges.ncmec import Ncmec
from tests.support.exchanges.stopncii import StopNcii
from tests.support.exchanges.tat import Tat
from tests.support.exchanges.threatexchange import ThreatExchange
from tests.support.syncing import Follower

EXCHANGES: dict[str, Callable[[], Exchange]] = {
    "ncmec": Ncmec,
    "threatexchange": ThreatExchange,
    "stopncii": StopNcii,
    "tat": Tat,
}

ROUNDS = 8


Round = tuple[list[tuple[object, ...]], list[str], bool]
"""What happens at the exchange; then a run with these faults, full or not."""


def story_of(seed: int) -> list[Round]:
    """Tell a story of few entries, so that much befalls each: drawn evenly, which a list of steps would not be."""
    random = Random(seed)

    def event() -> tuple[object, ...]:
        number = random.randint(1, 5)
        return random.choice(
            [
                ("put", number),
                ("put", number),
                ("delete", number),
                ("delete", number),
                ("say", number, random.random() < 0.5),
                ("time", random.choice([3_600, 86 * DAY_S, 200 * DAY_S])),
                ("time", random.choice([1, DAY_S, 200 * DAY_S])),
                ("skew", random.choice([-600, 0, 600])),
            ]
        )

    def one() -> Round:
        faults = [random.choice(["", *FAULTS]) for _ in range(random.choice([0, 0, 3, 8]))]
        return [event() for _ in range(random.randint(1, 6))], faults, random.random() < 0.2

    return [one() for _ in range(ROUNDS)]


def same(held: Truth, truth: Truth) -> bool:
    """Whether a set says the same as the exchange; what it never knew need not be withdrawn in it."""
    live = {key: value for key, value in held.items() if value[0] is not EntryStatus.WITHDRAWN}
    return live == {key: value for key, value in truth.items() if value[0] is not EntryStatus.WITHDRAWN}


def happen(exchange: Exchange, event: tuple[object, ...]) -> None:
    match event:
        case ("put", int(number)):
            exchange.put(number)
        case ("delete", int(number)):
            exchange.delete(number)
        case ("say", int(number), bool(good)):
            exchange.say(number, good=good)
        case ("time", int(seconds)):
            exchange.pass_time(seconds)
        case ("skew", int(seconds)):
            exchange.skew_s = seconds


async def lived(exchange: Exchange, story: list[Round], folder: Path) -> None:
    exchange.page_size = 2
    async with served(exchange):
        follower = Follower(exchange, folder)
        for events_before, faults, full in story:
            for event in events_before:
                happen(exchange, event)
            exchange.faults.extend(faults)
            outcome = await follower.sync(full=full)
            assert outcome.complete == (not outcome.troubles and outcome.error is None)
            if outcome.complete:
                assert same(follower.held(), exchange.truth())
        exchange.faults.clear()
        exchange.put(1)
        outcome = await follower.sync()
        assert (outcome.complete, outcome.why()) == (True, "")
        assert same(follower.held(), exchange.truth())
        again = await follower.sync()
        assert (again.complete, again.counts.added, again.counts.updated) == (True, 0, 0)
        follower.catalog.close()


@pytest.mark.parametrize("name", EXCHANGES)
@settings(max_examples=8)
@given(seed=st.integers(0, 1 << 32))
def test_after_whatever_faults_the_set_equals_the_truth(name: str, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(lived(EXCHANGES[name](), story_of(seed), Path(folder)))
