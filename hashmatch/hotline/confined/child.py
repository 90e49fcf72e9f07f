"""A confined process that does one kind of work, and is started again when it dies.

Theory of operation
-------------------
:class:`Child` runs ``python -m MODULE`` at the other end of a socket pair. The module hands itself to
:func:`~hashmatch.hotline.confined.inside.serve` (work that needs no network: pages) or ``serve_network`` (work that
needs nothing else: fetching), which locks the process up and says how that went before it takes any work. What comes
back is ``untrusted_`` until whoever asked has bounded it. ::

    # the class that asks
    launch = Launch("hashmatch.hotline.pages.page_worker", settings={"max_images": 200}, memory_bytes=1 << 30)
    async with Child(launch) as child:
        match await child.ask({"url": url}, body, timeout_s=10.0):
            case Frame(header=untrusted_header, body=untrusted_body):
                ...
            case Ended(why):
                ...  # an outcome, e.g. PAGE_FAIL

    # the module that is run
    if __name__ == "__main__":
        sys.exit(inside.serve(prepare))  # prepare(settings) imports, warms up, and returns work(header, body)

Every question has an end: an answer, or :class:`Ended` when the process died, raised, or ran out of time; time runs
from when the process was given the question. A process that runs out of time is killed, since it cannot be told apart
from one that was taken over; so work that may hang is given one question at a time (``at_once=1``). The process is
started again with the next question, after a pause that doubles with each death that no answer came between.

What this module deliberately does not do: it does not ask again, because only the caller knows whether the question
was what killed the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from hashmatch.errors import BadFrame, SandboxUnavailable
from hashmatch.hotline.confined.framing import Frame, Header, Kind, Limits, Reader
from hashmatch.sandbox import interpreter
from hashmatch.sandbox.posture import Posture, of_child

_PIECE_BYTES = 1 << 18
_GRACE_S = 1.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 10.0


@dataclass(frozen=True, slots=True)
class Ended:
    """A question that got no answer; ``why`` is for people and holds nothing of the question."""

    why: str


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run, and within what.

    Attributes
    ----------
    module : str
        Run as ``python -m``; hands itself to ``inside``.
    settings : mapping
        JSON; what the module's ``prepare`` gets.
    memory_bytes : int
        Address space of the process.
    at_once : int
        Questions that are with the process at a time; others wait here.
    start_timeout_s : float
        From the start of the process until it has locked itself up, seconds; whoever starts one of a configuration
        says it.
    allow_degraded : bool
        Go on although part of the lockdown does not hold (``sandbox.allow_degraded``).
    unconfined : bool
        The negative control of tests: nothing is locked, and the posture says so. No configuration reaches this.

    """

    module: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    memory_bytes: int = 1 << 30
    at_once: int = 1
    limits: Limits = field(default_factory=Limits)
    start_timeout_s: float = 60.0
    allow_degraded: bool = False
    unconfined: bool = False


def pause_s(deaths: int) -> float:
    """Wait before the process is started again, after so many deaths in a row."""
    return 0.0 if deaths <= 1 else min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** (deaths - 2))


class Child:
    """One confined process at a time."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._slots = asyncio.Semaphore(launch.at_once)
        self._starting = asyncio.Lock()
        self._running: _Running | None = None
        self._deaths = 0
        self.starts = 0
        """How often the process was started."""

    def __repr__(self) -> str:
        state = "running" if self._running is not None and not self._running.ended else "not running"
        return f"<Child {self._launch.module} {state}, started {self.starts} times>"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def posture(self) -> Posture:
        """What the process that runs now said of its lockdown; of none, nothing is confined."""
        return self._running.posture if self._running is not None else Posture(())

    @property
    def pid(self) -> int:
        """Process id, 0 when there is none."""
        return self._running.process.pid if self._running is not None and not self._running.ended else 0

    async def start(self) -> None:
        """Start the process, unless it runs, and wait until it has locked itself up.

        Raises
        ------
        SandboxUnavailable
            It could not be started, or its lockdown does not hold and ``allow_degraded`` is not set.

        """
        await self._ready()

    async def ask(self, header: Header, body: bytes = b"", *, timeout_s: float | None) -> Frame | Ended:
        """Have one piece of work done.

        Parameters
        ----------
        header : mapping
            JSON.
        body : bytes, optional
            Handed on as it is.
        timeout_s : float or None
            From when the process was given the work; then it is killed. None: whoever asks watches it otherwise.

        Returns
        -------
        Frame or Ended
            The answer, unchecked, or why there is none.

        Raises
        ------
        SandboxUnavailable
            The process is not there and could not be started again.

        """
        async with self._slots:
            running = await self._ready()
            try:
                async with asyncio.timeout(timeout_s):
                    answer = await running.ask(header, body)
            except TimeoutError:
                await running.end(f"took longer than {timeout_s:g} s")
                answer = Ended(f"took longer than {timeout_s:g} s")
            if isinstance(answer, Frame):
                self._deaths = 0
            return answer

    async def close(self) -> None:
        """End the process; whoever waits for an answer gets :class:`Ended`."""
        async with self._starting:
            if self._running is not None:
                await self._running.end("closed")
                self._running = None

    async def _ready(self) -> _Running:
        if self._running is not None and not self._running.ended and not self._starting.locked():
            return self._running
        async with self._starting:
            if self._running is not None and not self._running.ended:
                return self._running
            if self._running is not None:
                await self._running.end("died")
                self._running = None
                self._deaths += 1
                await asyncio.sleep(pause_s(self._deaths))
            self.starts += 1
            self._running = await _start(self._launch)
            return self._running


class _Running:
    """A process, its socket and who waits for it."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        stream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        limits: Limits,
    ) -> None:
        self.process = process
        self.posture = Posture(())
        self.ended = False
        self._reader, self._writer = stream
        self._frames = Reader(limits)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Frame | Ended]] = {}
        self._hello: asyncio.Future[Frame | Ended] = self._expect(0)
        self._why = ""
        self._listening = asyncio.create_task(self._listen())

    async def greet(self, settings: Header) -> Frame | Ended:
        await self._send(Frame(Kind.SETTINGS, header=settings))
        return await self._hello

    async def ask(self, header: Header, body: bytes) -> Frame | Ended:
        number = next(self._numbers)
        answer = self._expect(number)
        try:
            await self._send(Frame(Kind.REQUEST, number, header, body))
            return await answer
        except asyncio.CancelledError:
            if not self.ended:
                self._writer.writelines(Frame(Kind.CANCEL, number).encode())
            raise
        finally:
            self._waiting.pop(number, None)

    async def end(self, why: str) -> None:
        """Kill it, and wait until it is gone and everybody has heard."""
        self._why = self._why or why
        self.process.kill()
        await asyncio.shield(self._listening)

    def _expect(self, number: int) -> asyncio.Future[Frame | Ended]:
        answer: asyncio.Future[Frame | Ended] = asyncio.get_running_loop().create_future()
        if self.ended:
            answer.set_result(Ended(self._why))
        self._waiting[number] = answer
        return answer

    async def _send(self, frame: Frame) -> None:
        with contextlib.suppress(ConnectionError):  # the listener says how it ended
            self._writer.writelines(frame.encode())
            await self._writer.drain()

    async def _listen(self) -> None:
        try:
            while untrusted_piece := await self._reader.read(_PIECE_BYTES):
                for frame in self._frames.feed(untrusted_piece):
                    self._take(frame)
        except BadFrame as error:
            self.process.kill()
            self._why = self._why or f"said what is no answer: {error}"
        except ConnectionError:
            pass  # the same as the end of the stream
        finally:
            self.ended = True
            how = await asyncio.to_thread(_bury, self.process)
            self._why = self._why or _how_it_ended(how)
            self._writer.close()
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_result(Ended(self._why))

    def _take(self, untrusted_frame: Frame) -> None:
        answer = self._waiting.get(untrusted_frame.number)
        if answer is None or answer.done():  # cancelled, or never asked
            return
        match untrusted_frame.kind:
            case Kind.ANSWER | Kind.HELLO:
                answer.set_result(untrusted_frame)
            case Kind.FAILED:
                answer.set_result(Ended(f"raised {str(untrusted_frame.header.get('type', ''))[:400]}"))
            case _:
                raise BadFrame(f"a frame of kind {untrusted_frame.kind.name}")


async def _start(launch: Launch) -> _Running:
    ours, theirs = socket.socketpair()
    arguments = ["--socket", str(theirs.fileno()), *(["--unconfined"] if launch.unconfined else [])]
    with theirs:
        try:
            process = interpreter.start(launch.module, arguments, [theirs.fileno()])
        except OSError as error:
            ours.close()
            raise SandboxUnavailable(f"{launch.module} could not be started: {error.strerror}") from error
    running = _Running(process, await asyncio.open_unix_connection(sock=ours), launch.limits)
    settings = {
        "parent_pid": os.getpid(),
        "memory_bytes": launch.memory_bytes,
        "header_bytes": launch.limits.header_bytes,
        "body_bytes": launch.limits.body_bytes,
        "settings": dict(launch.settings),
    }
    try:
        async with asyncio.timeout(launch.start_timeout_s):
            hello = await running.greet(settings)
        if isinstance(hello, Ended):
            raise SandboxUnavailable(f"{launch.module} did not start: {hello.why}")  # noqa: TRY301 - one clean-up for every way out
        running.posture = of_child(hello.header)
        if not running.posture.confined and not (launch.allow_degraded or launch.unconfined):
            raise SandboxUnavailable(  # noqa: TRY301 - likewise
                f"{launch.module} is not confined: {running.posture.explain_missing()}; "
                "sandbox.allow_degraded runs it all the same"
            )
    except TimeoutError as error:
        await running.end("did not start")
        raise SandboxUnavailable(f"{launch.module} was not ready after {launch.start_timeout_s:g} s") from error
    except BaseException:
        await running.end("did not start")
        raise
    return running


def _bury(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process whose socket has closed; one that lives on all the same is killed."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(_GRACE_S)
    process.kill()
    return process.wait()


def _how_it_ended(returncode: int) -> str:
    return f"killed by {signal.Signals(-returncode).name}" if returncode < 0 else f"exited with {returncode}"
