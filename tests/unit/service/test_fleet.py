"""The supervisor's decisions: who starts, who leaves, who is given up, without a process."""

from __future__ import annotations

import itertools
import random

import pytest

from hashmatch.service.fleet import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    MOST_FAILURES,
    NEXT,
    STABLE_S,
    Complete,
    Event,
    Fleet,
    GiveUp,
    Kept,
    Order,
    Over,
    Stage,
    Start,
    Step,
    Tell,
    Wait,
)

EVERY_STAGE = sorted(Stage, key=lambda stage: stage.name)


def up(size: int) -> Fleet:
    """Return a fleet of which all processes, numbered from 1, serve."""
    fleet = Fleet(size)
    fleet.begin()
    steps = [fleet.serves(number) for number in range(1, size + 1)]
    assert steps[-1][-1] == Complete(1)
    return fleet


def test_the_first_process_goes_ahead_and_the_service_is_up_when_all_serve() -> None:
    fleet = Fleet(3)
    assert fleet.begin() == (Start(1, 0, 1),)
    assert fleet.replacing
    assert fleet.serves(1) == (Start(2, 1, 1), Start(3, 2, 1))
    assert fleet.serves(3) == ()
    assert repr(fleet) == "<Fleet of 3, edition 1: 2 serving, 1 starting>"
    assert fleet.serves(2) == (Complete(1),)
    assert not fleet.replacing


def test_one_seat_is_up_at_once() -> None:
    fleet = Fleet(1)
    fleet.begin()
    assert fleet.serves(1) == (Complete(1),)


def test_a_first_process_that_never_serves_ends_the_service() -> None:
    fleet = Fleet(2)
    fleet.begin()
    assert fleet.ended(1, 0) == (GiveUp(1), Over())


def test_a_process_that_was_killed_is_started_again_with_growing_pauses() -> None:
    fleet = up(2)
    pauses, number = [], 2
    for _ in range(12):
        (wait,) = fleet.ended(number, 1.0)
        assert isinstance(wait, Wait)
        pauses.append(wait.pause_s)
        (start,) = fleet.due(wait.seat)
        assert isinstance(start, Start)
        number = start.number
        assert (start.seat, start.edition, start.replaces) == (1, 1, False)
        assert fleet.serves(number) == ()
    assert pauses[:4] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S, 8 * FIRST_PAUSE_S]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S
    assert fleet.ended(number, STABLE_S) == (Wait(1, FIRST_PAUSE_S),)


def test_a_seat_is_not_taken_twice() -> None:
    fleet = up(2)
    fleet.ended(2, 1.0)
    assert fleet.due(1) == (Start(3, 1, 1),)
    assert fleet.due(1) == ()
    assert fleet.due(0) == ()


def test_the_fleet_gives_up_when_none_serves_and_none_starts() -> None:
    fleet = up(1)
    steps, number = fleet.ended(1, 1.0), 1
    for _ in range(MOST_FAILURES):
        assert [type(step) for step in steps] == [Wait]
        (start,) = fleet.due(0)
        assert isinstance(start, Start)
        number = start.number
        steps = fleet.ended(number, 0)
    assert steps == (GiveUp(number), Over())


def test_failures_in_a_row_end_nothing_while_another_serves() -> None:
    fleet = up(2)
    steps = fleet.ended(2, 1.0)
    for _ in range(3 * MOST_FAILURES):
        assert isinstance(steps[0], Wait)
        (start,) = fleet.due(1)
        assert isinstance(start, Start)
        steps = fleet.ended(start.number, 0)
    assert isinstance(steps[0], Wait)


def test_a_replacement_goes_seat_by_seat_and_never_takes_a_process_before_another_serves() -> None:
    fleet = up(2)
    assert fleet.reload() == (Start(3, 0, 2, replaces=True),)
    assert fleet.replacing
    assert fleet.serves(3) == (Tell(1, Order.LEAVE),)
    assert fleet.ended(1, 9.0) == (Start(4, 1, 2, replaces=True),)
    assert fleet.serves(4) == (Tell(2, Order.LEAVE),)
    assert fleet.ended(2, 9.0) == (Complete(2),)
    assert not fleet.replacing


def test_a_new_process_that_cannot_serve_leaves_the_old_ones_alone() -> None:
    fleet = up(2)
    fleet.reload()
    assert fleet.ended(3, 0) == (Kept(3, 1),)
    assert not fleet.replacing
    assert fleet.reload() == (Start(4, 0, 2, replaces=True),)


def test_a_process_that_dies_during_a_replacement_is_restarted_with_what_is_known_to_work() -> None:
    fleet = up(2)
    fleet.reload()
    assert fleet.ended(2, 1.0) == (Wait(1, FIRST_PAUSE_S),)
    assert fleet.due(1) == (Start(4, 1, 1),)
    assert fleet.serves(4) == ()
    assert fleet.serves(3) == (Tell(1, Order.LEAVE),)
    assert fleet.ended(3, 1.0) == (Wait(0, FIRST_PAUSE_S),)
    assert fleet.due(0) == (Start(5, 0, 2),)


def test_a_stop_drains_all_and_is_over_with_the_last() -> None:
    fleet = up(2)
    assert fleet.stop() == (Tell(1, Order.DRAIN), Tell(2, Order.DRAIN))
    assert fleet.hurry() == (Tell(1, Order.HURRY), Tell(2, Order.HURRY))
    assert fleet.ended(1, 1.0) == ()
    assert fleet.due(0) == ()
    assert fleet.ended(2, 1.0) == (Over(),)


def test_a_stop_reaches_those_that_start_and_those_that_leave() -> None:
    fleet = up(1)
    fleet.reload()
    fleet.serves(2)
    assert fleet.stop() == (Tell(1, Order.DRAIN), Tell(2, Order.DRAIN))
    starting = Fleet(1)
    starting.begin()
    assert starting.stop() == (Tell(1, Order.DRAIN),)
    assert starting.serves(1) == ()
    assert starting.ended(1, 0) == (Over(),)


@pytest.mark.parametrize("stage", EVERY_STAGE, ids=lambda stage: stage.name)
def test_only_the_gone_have_no_end(stage: Stage) -> None:
    assert ((stage, Event.ENDED) in NEXT) == (stage is not Stage.GONE)


class Simulator:
    """Carries out what a fleet says, on processes that only exist as numbers, and ends and serves at random."""

    def __init__(self, seed: int, size: int) -> None:
        self.random = random.Random(seed)
        self.fleet = Fleet(size)
        self.size = size
        self.starting: set[int] = set()
        self.serving: set[int] = set()
        self.told: set[int] = set()
        self.waiting: list[int] = []
        self.completed: list[int] = []
        self.over = False

    def do(self, steps: tuple[Step, ...]) -> None:
        """Carry out."""
        for step in steps:
            match step:
                case Start(number):
                    self.starting.add(number)
                case Tell(number):
                    assert number in self.starting | self.serving
                    self.told.add(number)
                case Wait(seat):
                    self.waiting.append(seat)
                case Complete(edition):
                    assert len(self.serving - self.told) == self.size
                    self.completed.append(edition)
                case Over():
                    self.over = True
                case Kept() | GiveUp():
                    pass

    def step(self, *, faults: bool) -> None:
        """Let one thing happen."""
        leaving = self.told & (self.starting | self.serving)
        choices = [*("s" * len(self.starting)), *("d" * len(self.waiting)), *("l" * len(leaving))]
        if faults and self.serving - self.told:
            choices.append("k")
        match self.random.choice(choices):
            case "s":
                number = self.random.choice(sorted(self.starting))
                self.starting.remove(number)
                self.serving.add(number)
                self.do(self.fleet.serves(number))
            case "d":
                self.do(self.fleet.due(self.waiting.pop(self.random.randrange(len(self.waiting)))))
            case "l":
                self.end(self.random.choice(sorted(leaving)))
            case _:
                self.end(self.random.choice(sorted(self.serving - self.told)))

    def end(self, number: int) -> None:
        """Let a process end."""
        self.starting.discard(number)
        self.serving.discard(number)
        self.told.discard(number)
        self.do(self.fleet.ended(number, 1.0))


@pytest.mark.parametrize("seed", range(40))
def test_whatever_dies_the_service_comes_to_full_strength_and_to_an_end(seed: int) -> None:
    sim = Simulator(seed, 1 + seed % 4)
    sim.do(sim.fleet.begin())
    for _ in range(60):
        if not (sim.starting or sim.waiting or sim.serving):
            break
        sim.step(faults=True)
        if not sim.fleet.replacing and sim.random.random() < 0.2:
            sim.do(sim.fleet.reload())
        assert sim.over is False
    for _ in range(200):
        if not (sim.starting or sim.waiting or sim.told):
            break
        sim.step(faults=False)
    assert len(sim.serving) == sim.size
    assert not sim.fleet.replacing
    assert sim.completed == sorted(set(sim.completed))
    sim.do(sim.fleet.stop())
    for number in itertools.chain(sorted(sim.serving)):
        sim.end(number)
    assert sim.over
