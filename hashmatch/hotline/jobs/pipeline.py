"""A job from its first submission to its last: many side by side, each kept when it is finished, none lost.

Theory of operation
-------------------
One loop: keep what was finished and take what is next, in one transaction; start that; wait until something is
finished. While the transaction waits for the disk, others finish, and all of these go into the next one: commits are as
large as the disk is slow, and nothing waits for a timer. At most ``window`` submissions are taken at a time, and the
job hands out few per host, so that memory is flat and a slow host holds nobody up.

Whatever ends the loop before its end - Ctrl-C, a server that is gone - cancels what is in flight, keeps what was
finished already, and lets the rest wait again.

What this module deliberately does not do: it draws nothing, and opens no file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from hashmatch.hotline.jobs.job_states import Finished, Taken


class Job(Protocol):
    """What remains to be done and what was: :class:`~hashmatch.hotline.jobs.job.JobFile`."""

    def advance(self, finished: Sequence[Finished], want: int) -> list[Taken]:
        """Keep what was finished and hand out at most so many more."""

    def interrupt(self, finished: Sequence[Finished] = ()) -> None:
        """Keep what was finished; whatever else was handed out waits again."""


class Checks(Protocol):
    """Checks one submission: :class:`~hashmatch.hotline.checking.check.Checker`."""

    async def check(self, taken: Taken) -> Finished:
        """Return everything there is about it."""


class Watches(Protocol):
    """Sees how a job goes; called in the event loop, so it must be quick."""

    def began(self, taken: Taken) -> None:
        """See that a submission is being checked."""

    def kept(self, finished: Finished) -> None:
        """See that everything about a submission is on disk."""


async def run(job: Job, checks: Checks, watches: Watches, *, window: int) -> None:
    """Work until nothing waits.

    Parameters
    ----------
    job, checks, watches
        See the protocols.
    window : int
        Submissions that are taken at a time.

    Raises
    ------
    HashmatchError
        What a check or the job raised; everything that was finished before is kept.

    """
    flying: set[asyncio.Task[Finished]] = set()
    finished: list[Finished] = []
    with ThreadPoolExecutor(1, "job") as disk:
        try:
            while True:
                keeping, finished = finished, []
                for taken in await _advance(disk, job, keeping, watches, window - len(flying)):
                    watches.began(taken)
                    flying.add(asyncio.create_task(checks.check(taken)))
                if not flying:
                    return
                done, flying = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
                finished = [task.result() for task in done if task.exception() is None]
                for task in done:
                    task.result()  # raises what a check raised, now that the others are safe
        finally:
            for task in flying:
                task.cancel()
            ended = await asyncio.gather(*flying, return_exceptions=True)
            rest = [*finished, *(one for one in ended if isinstance(one, Finished))]
            disk.submit(job.interrupt, rest).result()
            for one in rest:
                watches.kept(one)


async def _advance(
    disk: ThreadPoolExecutor, job: Job, finished: Sequence[Finished], watches: Watches, want: int
) -> list[Taken]:
    """Keep and take, in the one thread that writes; a cancellation waits for it, so that what is kept is known."""
    step = asyncio.get_running_loop().run_in_executor(disk, job.advance, finished, want)
    try:
        taken = await asyncio.shield(step)
    except asyncio.CancelledError:
        await step
        raise
    finally:
        if step.done() and not step.cancelled() and step.exception() is None:
            for one in finished:
                watches.kept(one)
    return taken
