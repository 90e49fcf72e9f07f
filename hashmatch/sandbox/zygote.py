"""The zygote: a fresh interpreter that loads and warms everything once and then forks workers.

Theory of operation
-------------------
``python -m hashmatch.sandbox.zygote --control FD`` is executed by the pool, not forked from it: whatever the pool's
process holds (hash sets, keys, grpc's threads) is not in this address space, so it is not in a worker's either. The
zygote reads its settings from the control socket, imports the module that computes hashes, runs every decoder and
kernel once, and answers READY. From then on it waits for two things: a SPAWN, which it answers by forking, and the end
of a worker, which it reports with the wait status (only a parent can learn it).

It must stay single-threaded, because a fork copies one thread and every lock that another one held; it checks that
before it says READY. Compiled kernels are inherited by the fork, so workers need to write no cache.

What this module deliberately does not do: it never touches a picture, and it does not confine itself; it dies with the
pool's process.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from hashmatch.errors import BadFrame, HashmatchError
from hashmatch.hashing import algorithms
from hashmatch.loading import loading
from hashmatch.sandbox import libc, worker
from hashmatch.sandbox.control import MAX_FRAME_BYTES, Frame, Kind, ZygoteSettings
from hashmatch.sandbox.protocol import Codec

DEFAULT_COMPUTE = "hashmatch.hashing.compute"

_EXIT_OK, _EXIT_BROKEN = 0, 70
_PASSED_DESCRIPTORS = 2
_CONTROL_BROKE = (ConnectionResetError, BrokenPipeError)


def main(arguments: list[str] | None = None) -> int:
    """Run the zygote; the exit code is 0 when the pool closed the control socket."""
    parser = argparse.ArgumentParser(prog="python -m hashmatch.sandbox.zygote", description="Started by the pool.")
    parser.add_argument("--control", type=int, required=True, help="descriptor of the control socket")
    parser.add_argument("--compute", default=DEFAULT_COMPUTE, help="module with hash_picture() and warm()")
    parser.add_argument("--unconfined", action="store_true", help="for tests: workers that are not locked up")
    options = parser.parse_args(arguments)
    libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
    _silence()
    with socket.socket(fileno=options.control) as control:
        control.set_inheritable(False)
        try:
            setup = _prepare(control.recv(MAX_FRAME_BYTES + 1), options.compute, confined=not options.unconfined)
        except Exception as error:  # noqa: BLE001 - whatever keeps us from starting, the pool must hear why
            reason = "".join(traceback.format_exception_only(error)).strip()
            control.send(Frame(Kind.FAILED, reason).encode())
            return _EXIT_BROKEN
        names = [algorithm.name for algorithm in setup.codec.algorithms]
        control.send(Frame(Kind.READY, json.dumps(names)).encode())
        try:
            Zygote(control, setup).run()
        except _CONTROL_BROKE:
            return _EXIT_BROKEN
    return _EXIT_OK


def _silence() -> None:
    """Send what C libraries say about warm-up pictures nowhere; our own failures go to the pool, in words."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stderr.fileno())
    os.close(null)


def _prepare(untrusted_data: bytes, compute: str, *, confined: bool) -> worker.WorkerSetup:
    """Load and warm everything that a worker will use.

    Raises
    ------
    Exception
        Whatever the import or the warm-up raised.

    """
    frame = Frame.decode(untrusted_data)
    if frame.kind is not Kind.SETTINGS:
        raise BadFrame(f"the first frame is {frame.kind.name}, expected SETTINGS")
    settings = ZygoteSettings.from_text(frame.text)
    with loading():
        module = importlib.import_module(compute)
    module.warm()
    setup = worker.WorkerSetup(
        hash_picture=module.hash_picture,
        decode=settings.decode,
        codec=Codec(tuple(algorithms.searchable().values())),
        memory_bytes=settings.memory_bytes,
        zygote_pid=os.getpid(),
        confined=confined,
    )
    threads = sum(1 for _ in Path("/proc/self/task").iterdir())
    if threads != 1:
        raise HashmatchError(
            f"{compute} started {threads - 1} threads while warming up; workers are forked, so none may"
        )
    gc.collect()
    gc.freeze()  # keeps the collector from writing to pages that the workers share
    _stand_back(settings.nice)
    return setup


def _stand_back(levels: int) -> None:
    """Lower the priority of this process and so of all workers: whoever answers, refuses and receives goes first.

    The zygote leads a session of its own. Where the kernel shares processors out among sessions (autogroup, unless
    control groups do), the session stands back as well, or the processes' own levels would count among themselves only.
    """
    if not levels:
        return
    os.nice(levels)
    with contextlib.suppress(OSError):  # there is no such sharing here, or it is not ours to change
        Path("/proc/self/autogroup").write_text(str(levels), encoding="ascii")


@dataclasses.dataclass(slots=True)
class Zygote:
    """The waiting loop. ``_running`` maps a pidfd, which becomes readable when its process ends, to its pid."""

    _control: socket.socket
    _setup: worker.WorkerSetup
    _running: dict[int, int] = dataclasses.field(default_factory=dict)

    def run(self) -> None:
        """Serve until the pool closes the control socket.

        Raises
        ------
        OSError
            The control socket broke.
        BadFrame
            The pool sent something unknown.

        """
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor != self._control.fileno():
                    poll.unregister(descriptor)
                    self._bury(descriptor)
                    continue
                data, descriptors, _, _ = socket.recv_fds(
                    self._control, MAX_FRAME_BYTES + 1, _PASSED_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
                )
                if not data:
                    return
                pidfd = self._spawn(Frame.decode(data), descriptors)
                if pidfd is not None:
                    poll.register(pidfd, select.POLLIN)

    def _spawn(self, frame: Frame, descriptors: list[int]) -> int | None:
        """Fork a worker that owns the passed descriptors; return its pidfd, None when the kernel refused."""
        if frame.kind is not Kind.SPAWN or len(descriptors) != _PASSED_DESCRIPTORS:
            raise BadFrame(f"{frame.kind.name} with {len(descriptors)} descriptors, expected SPAWN with two")
        try:
            pid = os.fork()
            if pid == 0:
                _be_worker(self._setup, *descriptors)
        except OSError as error:
            self._control.send(Frame(Kind.FAILED, f"fork: {error.strerror}").encode())
            return None
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        pidfd = os.pidfd_open(pid)  # before anyone waits for it, so the number cannot have been reused
        self._running[pidfd] = pid
        socket.send_fds(self._control, [Frame(Kind.SPAWNED, pid=pid).encode()], [pidfd])
        return pidfd

    def _bury(self, pidfd: int) -> None:
        """Collect an ended worker and report its wait status."""
        pid, status = os.waitpid(self._running.pop(pidfd), 0)
        os.close(pidfd)
        self._control.send(Frame(Kind.EXITED, pid=pid, status=status).encode())


def _be_worker(setup: worker.WorkerSetup, socket_fd: int, memory_fd: int) -> NoReturn:
    """Live the worker's life in the forked child; never return into the zygote's loop."""
    code = _EXIT_BROKEN
    try:
        worker.serve(setup, socket_fd, memory_fd)
        code = _EXIT_OK
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
