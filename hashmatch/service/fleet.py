"""Which processes of a service there are, and what is to be done about it: the pure core of the supervisor.

Theory of operation
-------------------
A service of several processes has as many *seats*; each is held by one process, and for a while by two, when one is
replaced. Every process is in one stage:

| stage | event | next |
|---|---|---|
| starting | serves | serving |
| starting, serving | leave | leaving: no new connections, those there are moved on to others |
| starting, serving, leaving | drain | draining: accepted calls are answered, nothing else |
| any | ended | gone |

:class:`Fleet` is told what happened and returns what is to be done. The first process goes ahead: only once it serves
are the others started, so that a configuration that cannot be served fails once, and kernels and snapshots are made
once. A replacement (``reload``) goes the same way: a new process for the first seat, and only when that serves does the
old one leave, and only when that is gone the next seat has its turn. When the first new process ends instead, the
replacement is off, and all that was there stays.

A process that ends though nobody asked it to is started again after a pause that doubles from :data:`FIRST_PAUSE_S` to
:data:`LONGEST_PAUSE_S`; one that lived for :data:`STABLE_S` ends the growth. When :data:`MOST_FAILURES` in a row ended
before they served, and none is serving, the fleet gives up, for whoever started it can do more about it.

What this module deliberately does not do: it starts nothing, signals nothing and reads no clock.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

FIRST_PAUSE_S: Final = 0.1
"""Pause before the first restart: a process that was killed once is missed at once."""
LONGEST_PAUSE_S: Final = 30.0
"""Whatever keeps a process from starting is seldom gone sooner, and starting takes a core for seconds."""
STABLE_S: Final = 60.0
MOST_FAILURES: Final = 5
"""Some three seconds of pauses: what is not there by then needs a person, or an orchestrator's restart."""


class Stage(enum.Enum):
    """Of one process."""

    STARTING = "starting"
    SERVING = "serving"
    LEAVING = "leaving"
    DRAINING = "draining"
    GONE = "gone"


class Event(enum.Enum):
    """What happens to one process."""

    SERVES = "serves"
    LEAVE = "leave"
    DRAIN = "drain"
    ENDED = "ended"


NEXT: Final[Mapping[tuple[Stage, Event], Stage]] = MappingProxyType(
    {
        (Stage.STARTING, Event.SERVES): Stage.SERVING,
        (Stage.STARTING, Event.LEAVE): Stage.LEAVING,
        (Stage.SERVING, Event.LEAVE): Stage.LEAVING,
        (Stage.LEAVING, Event.SERVES): Stage.LEAVING,  # said before it heard
        (Stage.DRAINING, Event.SERVES): Stage.DRAINING,
        (Stage.STARTING, Event.DRAIN): Stage.DRAINING,
        (Stage.SERVING, Event.DRAIN): Stage.DRAINING,
        (Stage.LEAVING, Event.DRAIN): Stage.DRAINING,
        **{(stage, Event.ENDED): Stage.GONE for stage in Stage if stage is not Stage.GONE},
    }
)
"""What is not in here does not happen."""


class Order(enum.Enum):
    """What a process is told."""

    LEAVE = "leave"
    DRAIN = "drain"
    HURRY = "hurry"


@dataclass(frozen=True, slots=True)
class Start:
    """Start process ``number`` for ``seat`` with that edition of the configuration."""

    number: int
    seat: int
    edition: int
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class Tell:
    """Pass an order on."""

    number: int
    order: Order


@dataclass(frozen=True, slots=True)
class Wait:
    """Call :meth:`Fleet.due` for ``seat`` after a pause."""

    seat: int
    pause_s: float


@dataclass(frozen=True, slots=True)
class Complete:
    """Every seat is held by a process that serves this edition: the service is up, or was replaced."""

    edition: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A replacement is off; the edition before is served as it was."""

    number: int
    edition: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No process serves; ``number`` is the one that ended last."""

    number: int


@dataclass(frozen=True, slots=True)
class Over:
    """The fleet was told to stop, and no process is left."""


Step = Start | Tell | Wait | Complete | Kept | GiveUp | Over


@dataclass(slots=True)
class _Process:
    number: int
    seat: int
    edition: int
    stage: Stage = Stage.STARTING


class Fleet:
    """The processes of one service; see the module's theory of operation.

    Parameters
    ----------
    size : int
        Seats, at least one.

    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._numbers = itertools.count(1)
        self._processes: dict[int, _Process] = {}
        self._failures = [0] * size
        self._in_a_row = 0
        self._edition = 1
        self._coming = 1
        self._complete = 0
        self._stopping = False

    def __repr__(self) -> str:
        stages = [process.stage.value for process in self._processes.values()]
        counted = ", ".join(f"{stages.count(stage)} {stage}" for stage in sorted(set(stages)))
        return f"<Fleet of {self._size}, edition {self._edition}: {counted or 'no process'}>"

    @property
    def replacing(self) -> bool:
        """Whether a replacement is under way, or the service is not up yet."""
        return self._complete != self._coming

    def begin(self) -> tuple[Step, ...]:
        """Start the first process."""
        return (self._start(0, 1),)

    def reload(self) -> tuple[Step, ...]:
        """Begin to replace every process; ``replacing`` must not hold."""
        self._coming = self._edition + 1
        return (self._start(0, self._coming, replaces=True),)

    def serves(self, number: int) -> tuple[Step, ...]:
        """Process ``number`` serves."""
        process = self._processes[number]
        self._move(process, Event.SERVES)
        if process.stage is not Stage.SERVING:
            return ()
        self._in_a_row = 0
        self._edition = max(self._edition, process.edition)
        return tuple(self._after(process))

    def ended(self, number: int, lived_s: float) -> tuple[Step, ...]:
        """Process ``number`` is gone, after serving for ``lived_s`` seconds, 0 if it never did."""
        process = self._processes.pop(number)
        stage = process.stage
        self._move(process, Event.ENDED)
        if self._stopping:
            return () if self._processes else (Over(),)
        if stage is Stage.LEAVING:
            return tuple(self._advance())
        if stage is Stage.STARTING:
            self._in_a_row += 1
            if process.edition > self._edition:
                self._coming = self._edition
                return (Kept(number, self._edition),)
            if not self._serving() and (self._complete == 0 or self._in_a_row >= MOST_FAILURES):
                return self._give_up(number)
        if lived_s >= STABLE_S:
            self._failures[process.seat] = 0
        self._failures[process.seat] += 1
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (self._failures[process.seat] - 1))
        return (Wait(process.seat, pause_s),)

    def due(self, seat: int) -> tuple[Step, ...]:
        """Return what to do about a seat whose pause is over."""
        if self._stopping or self._held(seat):
            return ()
        return (self._start(seat, self._edition),)

    def stop(self) -> tuple[Step, ...]:
        """Drain everything."""
        self._stopping = True
        steps: list[Step] = []
        for process in self._processes.values():
            if process.stage is not Stage.DRAINING:
                self._move(process, Event.DRAIN)
                steps.append(Tell(process.number, Order.DRAIN))
        return tuple(steps) or (Over(),)

    def hurry(self) -> tuple[Step, ...]:
        """End everything at once."""
        return tuple(Tell(number, Order.HURRY) for number in self._processes)

    # --- one step each ----------------------------------------------------------------------------------------------

    def _after(self, process: _Process) -> Iterator[Step]:
        """Take leave of whoever held the seat, and go on."""
        for other in self._processes.values():
            if other.seat == process.seat and other.number != process.number and other.stage is Stage.SERVING:
                self._move(other, Event.LEAVE)
                yield Tell(other.number, Order.LEAVE)
        if process.number == 1:
            for seat in range(1, self._size):
                yield self._start(seat, self._edition)
        yield from self._advance()

    def _advance(self) -> Iterator[Step]:
        """Replace the next process, if the one before has left; or say that all is done."""
        if not self.replacing or self._edition != self._coming:
            return
        if any(process.stage is Stage.LEAVING for process in self._processes.values()):
            return
        seats = range(self._size)
        if all(self._held(seat, Stage.SERVING) for seat in seats):
            self._complete = self._edition
            yield Complete(self._edition)
        elif self._complete and not any(self._held(seat, Stage.STARTING) for seat in seats):
            behind = next(seat for seat in seats if not self._held(seat))
            yield self._start(behind, self._edition, replaces=True)

    def _start(self, seat: int, edition: int, *, replaces: bool = False) -> Start:
        process = _Process(next(self._numbers), seat, edition)
        self._processes[process.number] = process
        return Start(process.number, seat, edition, replaces)

    def _give_up(self, number: int) -> tuple[Step, ...]:
        self._stopping = True
        drains = [step for step in self.stop() if isinstance(step, Tell)]
        return (GiveUp(number), *drains, *(() if drains else (Over(),)))

    def _held(self, seat: int, *stages: Stage) -> bool:
        """Whether a process of the current edition holds the seat, or is about to."""
        wanted = stages or (Stage.STARTING, Stage.SERVING)
        return any(
            process.seat == seat and process.edition == self._edition and process.stage in wanted
            for process in self._processes.values()
        )

    def _serving(self) -> bool:
        return any(process.stage is Stage.SERVING for process in self._processes.values())

    @staticmethod
    def _move(process: _Process, event: Event) -> None:
        process.stage = NEXT[process.stage, event]
