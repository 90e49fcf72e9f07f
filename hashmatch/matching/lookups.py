"""Lookups: each turn takes all that wait, and turns that are not soon done go to threads.

Theory of operation
-------------------
What calls ask for is looked up in turns, and a turn takes everything that waits, up to :data:`TURN` pieces: what a
lookup costs besides its items, a search begun, a thread woken, is shared by all, and the more wait the cheaper each
becomes. Calls that the event loop finds at one time are in one turn.

A turn that by the mean of those before it is soon done (:data:`AT_ONCE_S`) is done at once: it takes as long to
wake a thread, and for the interpreter to change over to it and back. Any other, a large batch or one over a list that
makes searches slow, is done in a thread, or nobody else would be answered meanwhile. That mean is of the processor's
time: by the clock, a turn in a thread also takes what it waits for the interpreter, and one such turn on a busy machine
would send all after it to threads. More threads than cores would make all of them slow, so there are so many such turns
at a time, and while all are taken calls wait. Pieces are what is counted, an item or what an item consists of, so that
a large batch counts as much as the small ones that it holds up; ``backlog`` says, by the clock, when the queue is too
long. A call whose caller has gone is left out.

What this module deliberately does not do: it knows no index and no hash.
"""

from __future__ import annotations

import asyncio
import collections
import functools
import itertools
import os
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from hashmatch.backlog import Backlog, Mean

_Item = TypeVar("_Item")
_Scope = TypeVar("_Scope", bound=Hashable)
_Answer = TypeVar("_Answer")

_Outcome = list[_Answer] | Exception

AT_ONCE_S: Final = 0.5e-3
"""Some ten hashes against a million; the wait that it means for everybody else is what a turn of the loop may take."""
TURN: Final = 1_024
"""Pieces after which a turn takes no further call: some tens of milliseconds."""


@dataclass(frozen=True, slots=True)
class _Call(Generic[_Item, _Scope, _Answer]):
    """Items that are looked up in one scope, how many pieces they are, and whoever waits for the answers."""

    items: Sequence[_Item]
    scope: _Scope
    pieces: int
    answers: asyncio.Future[list[_Answer]]


@dataclass(frozen=True, slots=True)
class _Took:
    """What a turn took, in seconds: by the clock, and of the processor."""

    by_clock_s: float
    busy_s: float


class Lookups(Generic[_Item, _Scope, _Answer]):
    """Calls a function with the items of many calls, in threads where that takes long. Used on one event loop.

    Parameters
    ----------
    look
        Answers for items in one scope, in order; called in any thread. What it raises is the answer to every call of
        that turn and scope.
    queue_ms
        Longest wait that is begun; infinite where nobody is refused.
    threads
        Turns at a time; None for one per core.
    at_once_s
        Seconds that a turn may take of the event loop; None for :data:`AT_ONCE_S`.
    alone
        A call that is soon done waits for no others: it is so long by itself that there is little to share.

    """

    def __init__(
        self,
        look: Callable[[Sequence[_Item], _Scope], list[_Answer]],
        queue_ms: float,
        threads: int | None = None,
        *,
        at_once_s: float | None = None,
        alone: bool = False,
    ) -> None:
        self._look = look
        self._alone = alone
        self._at_once_s = AT_ONCE_S if at_once_s is None else at_once_s
        self._free = threads or len(os.sched_getaffinity(0))
        self._backlog = Backlog(self._free, None, queue_ms, "lookups")
        self._busy = Mean()
        self._calls: collections.deque[_Call[_Item, _Scope, _Answer]] = collections.deque()
        self._waiting = 0

    def __repr__(self) -> str:
        return f"<Lookups: {self._waiting} wait, {self._backlog!r}>"

    def check_room(self) -> None:
        """Refuse a call that nobody has read yet and that would wait for too long. Raises Overloaded."""
        if not self._free:
            self._backlog.admit(self._waiting)

    async def run(self, items: Sequence[_Item], scope: _Scope, pieces: int | None = None) -> list[_Answer]:
        """Return the answers for some items, which count as so many pieces (None: as one each).

        Raises
        ------
        Overloaded
            They would have to wait for longer than ``queue_ms``.

        """
        loop = asyncio.get_running_loop()
        self.check_room()
        count = len(items) if pieces is None else pieces
        call: _Call[_Item, _Scope, _Answer] = _Call(items, scope, count, loop.create_future())
        if self._alone and self._free and not self._calls and self._soon_done([call]):
            self._give([call], *self._answered([call]))
            return call.answers.result()
        if self._free and not self._calls:
            loop.call_soon(self._begin)  # when whatever else has come was read
        self._calls.append(call)
        self._waiting += count
        return await call.answers

    def _begin(self) -> None:
        """Begin turns for whoever waits, as long as one is free."""
        while self._free:
            calls = self._taken()
            if not calls:
                return
            if self._soon_done(calls):
                self._give(calls, *self._answered(calls))
                continue
            self._free -= 1
            turn = asyncio.get_running_loop().run_in_executor(None, self._answered, calls)
            turn.add_done_callback(functools.partial(self._end, calls))

    def _soon_done(self, calls: Sequence[_Call[_Item, _Scope, _Answer]]) -> bool:
        """Whether calls may be answered on the event loop."""
        return self._busy.takes_s(sum(call.pieces for call in calls)) <= self._at_once_s

    def _taken(self) -> list[_Call[_Item, _Scope, _Answer]]:
        """Take calls from the queue, at least one and at most a turn of them."""
        taken, count = list[_Call[_Item, _Scope, _Answer]](), 0
        while self._calls and (not taken or count + self._calls[0].pieces <= TURN):
            call = self._calls.popleft()
            self._waiting -= call.pieces
            if not call.answers.done():
                taken.append(call)
                count += call.pieces
        return taken

    def _answered(self, calls: Sequence[_Call[_Item, _Scope, _Answer]]) -> tuple[list[_Outcome[_Answer]], _Took]:
        """Look up; return what becomes of each call, and how long it took."""
        begin, begin_busy = time.perf_counter(), time.thread_time()
        by_scope: dict[_Scope, list[int]] = {}
        for number, call in enumerate(calls):
            by_scope.setdefault(call.scope, []).append(number)
        outcomes: dict[int, _Outcome[_Answer]] = {}
        for scope, numbers in by_scope.items():
            try:
                answers = iter(self._look([item for number in numbers for item in calls[number].items], scope))
            except Exception as error:  # noqa: BLE001  the boundary of a turn: whatever is wrong is told to who asked
                outcomes.update(dict.fromkeys(numbers, error))
                continue
            for number in numbers:
                outcomes[number] = list(itertools.islice(answers, len(calls[number].items)))
        took = _Took(time.perf_counter() - begin, time.thread_time() - begin_busy)
        return [outcomes[number] for number in range(len(calls))], took

    def _end(
        self,
        calls: Sequence[_Call[_Item, _Scope, _Answer]],
        turn: asyncio.Future[tuple[list[_Outcome[_Answer]], _Took]],
    ) -> None:
        """Give the turn to the next ones and the answers out."""
        self._free += 1
        self._begin()
        self._give(calls, *turn.result())

    def _give(
        self, calls: Sequence[_Call[_Item, _Scope, _Answer]], outcomes: Sequence[_Outcome[_Answer]], took: _Took
    ) -> None:
        """Give the answers out."""
        for call, outcome in zip(calls, outcomes, strict=True):
            if call.answers.done():  # the caller has gone
                continue
            if isinstance(outcome, Exception):
                call.answers.set_exception(outcome)
            else:
                call.answers.set_result(outcome)
        if pieces := sum(call.pieces for call in calls):
            self._backlog.note(took.by_clock_s, pieces)
            self._busy.note(took.busy_s, pieces)
