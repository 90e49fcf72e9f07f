"""The pool's side of the zygote and of each worker: processes, sockets and descriptors, but no decisions.

Theory of operation
-------------------
:class:`Spawner` executes the zygote as a fresh interpreter and owns its control socket. The settings lie in it before
the zygote reads them, so the zygote can load while this process is busy with something else. Each :meth:`Spawner.spawn`
makes the worker's shared memory and socket, lets the zygote fork, and waits until the worker has said how its lockdown
went. A :class:`Worker` is addressed by its pidfd, so a signal can never reach a stranger that was given the same
number. Its socket is watched from the first question on, since to begin and to end that costs more than to read; what
nobody waits for is left unread, for whoever asks next to judge. How a worker ended is known only to the zygote, which
reports it; if the zygote itself dies, every worker dies with it and nobody knows more than that.

What this module deliberately does not do: it does not judge an outcome, retry, queue or respawn; ``pool`` does.

Threads: everything happens on the event loop's thread. The zygote dies with the *thread* that started it (that is how
PR_SET_PDEATHSIG counts), so a loop must not move to another thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
from collections import deque
from dataclasses import dataclass

from hashmatch.errors import BadFrame, SandboxUnavailable
from hashmatch.sandbox import interpreter, protocol
from hashmatch.sandbox.confine import Outcome
from hashmatch.sandbox.control import MAX_FRAME_BYTES, Frame, Kind, ZygoteSettings
from hashmatch.sandbox.memory import PictureMemory

_SPAWN_TIMEOUT_S = 20.0
"""A fork and a lockdown take 5 ms; this is for a machine that swaps."""
_REPORT_TIMEOUT_S = 10.0
"""How long to wait for word of a process that is known to be dead or dying; it comes at once where nothing stalls."""

_KEPT_ENVIRONMENT = ("NUMBA_CACHE_DIR", "NUMBA_CACHE_LOCATOR_CLASSES", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")
"""Where compiled kernels are, and for which machine."""
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""The zygote forks, so no library may start a thread in it."""


class WorkerDied(Exception):
    """The worker ended before it answered; ``signal_number`` says how, None when nobody knows."""

    def __init__(self, signal_number: int | None) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number

    def __str__(self) -> str:
        if self.signal_number is None:
            return "ended for an unknown reason"
        return f"killed by {signal.Signals(self.signal_number).name}" if self.signal_number else "exited"


@dataclass(frozen=True, slots=True)
class Launch:
    """What the zygote is to run. Only tests use anything but the defaults; no configuration reaches these."""

    compute: str = ""
    """Module with ``hash_picture`` and ``warm``; empty means the zygote's own default."""
    unconfined: bool = False
    """The negative control: workers that are not locked up, which the posture then says."""


class Worker:
    """One confined process. Killed, never asked, to end."""

    def __init__(
        self, pid: int, pidfd: int, connection: socket.socket, memory: PictureMemory, ended: asyncio.Future[int | None]
    ) -> None:
        self.pid = pid
        self.outcome = Outcome()
        self.images = 0
        self.memory_locked = memory.locked
        self.ended = ended
        self._pidfd = pidfd
        self._connection = connection
        self._memory = memory
        self._loop = asyncio.get_running_loop()
        self._watched = False
        self._awaited: asyncio.Future[bytes] | None = None
        self._size = 0

    def __repr__(self) -> str:
        state = "ended" if self.ended.done() else "running"
        return f"<Worker {self.pid} {state}, {self.images} images>"

    async def greet(self) -> None:
        """Wait until the worker has locked itself up.

        Raises
        ------
        WorkerDied
            It did not survive that.
        BadFrame
            It said something else.

        """
        self.outcome = protocol.decode_hello(await self._receive(protocol.HELLO_BYTES))

    async def ask(self, request: bytes, image: bytes) -> bytes:
        """Have one picture hashed; the answer is the worker's, unchecked.

        Raises
        ------
        WorkerDied
            The worker ended first.

        """
        self.images += 1
        try:
            self._memory.put(image)
            await self._send(request)
            return await self._receive(protocol.MAX_REPLY_BYTES)
        finally:
            self._memory.wipe(len(image))

    async def provoke(self, request: bytes) -> int | None:
        """Send a probe; return the signal that ended the worker, None when it survived.

        Raises
        ------
        BadFrame
            It survived and said something that is no hello.

        """
        try:
            await self._send(request)
            protocol.decode_hello(await self._receive(protocol.HELLO_BYTES))
        except WorkerDied as death:
            return death.signal_number
        return None

    def kill(self) -> None:
        """Kill the process; whoever waits for its answer gets :class:`WorkerDied`."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Kill the process and release everything held for it; nobody may be waiting for its answer."""
        self.kill()
        os.close(self._pidfd)
        self._look_away()
        self._connection.close()
        self._memory.close()

    async def _send(self, data: bytes) -> None:
        try:
            await asyncio.get_running_loop().sock_sendall(self._connection, data)
        except (BrokenPipeError, ConnectionResetError):
            raise WorkerDied(await self._how_it_ended()) from None

    async def _receive(self, size: int) -> bytes:
        """Receive one message; one byte more is asked for, so that a longer one does not pass for a whole one."""
        self._awaited, self._size = self._loop.create_future(), size + 1
        if not self._watched:
            self._loop.add_reader(self._connection, self._on_message)
            self._watched = True
        try:
            untrusted_data = await self._awaited
        finally:
            self._awaited = None
        if not untrusted_data:
            raise WorkerDied(await self._how_it_ended())
        return untrusted_data

    def _on_message(self) -> None:
        """Hand a message to whoever waits; nothing, at the end of the stream."""
        if self._awaited is None or self._awaited.done():
            self._look_away()
            return
        try:
            self._awaited.set_result(self._connection.recv(self._size))
        except BlockingIOError:
            return
        except ConnectionResetError:
            self._awaited.set_result(b"")

    def _look_away(self) -> None:
        """Watch the socket no longer; harmless when that was done before."""
        if self._watched:
            self._loop.remove_reader(self._connection)
            self._watched = False

    async def _how_it_ended(self) -> int | None:
        try:
            return await asyncio.wait_for(asyncio.shield(self.ended), _REPORT_TIMEOUT_S)
        except TimeoutError:
            return None


class Spawner:
    """One zygote."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket, capacity_bytes: int) -> None:
        self._process = process
        self._control = control
        self._capacity_bytes = capacity_bytes
        self._loop = asyncio.get_running_loop()
        self._answers: deque[asyncio.Future[tuple[Frame, list[int]]]] = deque()
        self._ends: dict[int, asyncio.Future[int | None]] = {}
        self.gone = asyncio.Event()
        """Set when the zygote can no longer be talked to."""

    @classmethod
    def execute(cls, settings: ZygoteSettings, launch: Launch) -> Spawner:
        """Execute a zygote with these settings and do not wait for it; :meth:`ready` does."""
        ours, theirs = _socketpair()
        with theirs:
            ours.send(Frame(Kind.SETTINGS, settings.to_text()).encode())
            process = _execute(launch, theirs)
        return cls(process, ours, settings.decode.max_bytes)

    async def ready(self, names: list[str], timeout_s: float) -> None:
        """Wait until the zygote is warm; one that is not is ended.

        Parameters
        ----------
        names : list of str
            The algorithm table of this process, which the zygote's must equal.
        timeout_s : float
            How long that may take from now on.

        Raises
        ------
        SandboxUnavailable
            It did not become ready; the message says why.

        """
        self._loop.add_reader(self._control.fileno(), self._on_frame)
        try:
            async with asyncio.timeout(timeout_s):
                frame, _ = await self._answer()
        except BaseException as error:
            await self.close()
            if isinstance(error, TimeoutError):
                raise SandboxUnavailable(
                    f"the zygote was not ready after {timeout_s:g} s; on a first start it compiles kernels: raise "
                    "sandbox.start_timeout_ms or run `python -m hashmatch.kernels` before"
                ) from error
            raise
        problem = frame.text if frame.kind is not Kind.READY else ""
        if not problem and json.loads(frame.text) != names:
            problem = f"it sees the algorithms {frame.text}, this process sees {names}"
        if problem:
            await self.close()
            raise SandboxUnavailable(f"the zygote could not start: {problem}")

    @property
    def pid(self) -> int:
        """Process id of the zygote."""
        return self._process.pid

    async def spawn(self) -> Worker:
        """Start a worker and wait until it has locked itself up.

        Raises
        ------
        SandboxUnavailable
            The zygote is gone or could not fork, or the worker did not survive its lockdown.

        """
        memory = PictureMemory(self._capacity_bytes)
        ours, theirs = _socketpair()
        worker: Worker | None = None
        try:
            async with asyncio.timeout(_SPAWN_TIMEOUT_S):
                with theirs:
                    frame, pidfds = await self._request(Frame(Kind.SPAWN), theirs.fileno(), memory.descriptor)
                if frame.kind is not Kind.SPAWNED or len(pidfds) != 1:
                    raise SandboxUnavailable(f"the zygote could not start a worker: {frame.text}")  # noqa: TRY301 - one clean-up for every way out
                worker = Worker(frame.pid, pidfds[0], ours, memory, self._ends[frame.pid])
                await worker.greet()
        except BaseException as error:
            if worker is not None:
                worker.close()
            else:
                ours.close()
                memory.close()
            if isinstance(error, TimeoutError | WorkerDied | BadFrame):
                raise SandboxUnavailable(f"a worker did not get through its lockdown: {error}") from error
            raise
        memory.close_descriptor()
        return worker

    async def close(self) -> None:
        """End the zygote and wait until it, and every worker it reported on, is gone."""
        ends = [end for end in self._ends.values() if not end.done()]
        if ends and not self.gone.is_set():
            await asyncio.wait(ends, timeout=_REPORT_TIMEOUT_S)
        self._lose()
        self._process.kill()
        await asyncio.to_thread(self._process.wait)

    async def _request(self, frame: Frame, *descriptors: int) -> tuple[Frame, list[int]]:
        """Send a frame and wait for its answer."""
        try:
            socket.send_fds(self._control, [frame.encode()], descriptors)
        except OSError as error:
            raise SandboxUnavailable(f"the zygote is gone: {error.strerror}") from error
        return await self._answer()

    async def _answer(self) -> tuple[Frame, list[int]]:
        """Wait for the answer to what was sent last; the answers come in the order of the requests."""
        answer: asyncio.Future[tuple[Frame, list[int]]] = self._loop.create_future()
        self._answers.append(answer)
        return await answer

    def _on_frame(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, MAX_FRAME_BYTES + 1, 1, socket.MSG_CMSG_CLOEXEC)
            frame = Frame.decode(data)
        except BlockingIOError:
            return
        except (OSError, BadFrame):  # an empty message, the end of the stream, is no frame either
            self._lose()
            return
        if frame.kind is Kind.EXITED:
            end = self._ends.pop(frame.pid, None)
            if end is not None:
                end.set_result(os.WTERMSIG(frame.status) if os.WIFSIGNALED(frame.status) else 0)
            return
        if frame.kind is Kind.SPAWNED:
            self._ends[frame.pid] = self._loop.create_future()
        answer = self._answers.popleft() if self._answers else None
        if answer is not None and not answer.done():
            answer.set_result((frame, descriptors))
            return
        for descriptor in descriptors:  # whoever asked has given up; the worker ends when it finds its socket closed
            os.close(descriptor)

    def _lose(self) -> None:
        """Let go of the zygote: nobody will hear from it again."""
        if self.gone.is_set():
            return
        self.gone.set()
        self._loop.remove_reader(self._control.fileno())
        self._control.close()
        for answer in self._answers:
            if not answer.done():
                answer.set_exception(SandboxUnavailable("the zygote ended while it was being asked for something"))
        self._answers.clear()
        for end in self._ends.values():
            end.set_result(None)
        self._ends.clear()


def _socketpair() -> tuple[socket.socket, socket.socket]:
    """Make a pair that keeps message boundaries: ours does not block, theirs does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(0)
    return ours, theirs


def _execute(launch: Launch, control: socket.socket) -> subprocess.Popen[bytes]:
    """Start the zygote with nothing of ours but its end of the control socket."""
    arguments = ["--control", str(control.fileno())]
    if launch.compute:
        arguments += ["--compute", launch.compute]
    if launch.unconfined:
        arguments += ["--unconfined"]
    return interpreter.start(
        "hashmatch.sandbox.zygote",
        arguments,
        [control.fileno()],
        keep=_KEPT_ENVIRONMENT,
        add=dict.fromkeys(_ONE_THREAD, "1"),
    )
