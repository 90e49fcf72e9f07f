"""``serve`` with several processes: one port, as many fresh interpreters, and one that looks after them.

Theory of operation
-------------------
:func:`supervise` reserves the port (``connections.reserve``), starts processes of ``service.member`` that listen on it
with SO_REUSEPORT, and does what :class:`~hashmatch.service.fleet.Fleet` says; everything that happens is one event in
one queue, so there is one place where it is decided. It serves nothing itself, opens no catalog, and imports neither
gRPC nor an index.

    SIGTERM, SIGINT   drain all; a second one ends all at once
    SIGHUP            read the configuration again and replace the processes one after the other

A configuration is read and checked here before anything is replaced. What fails here, or in the first new process,
leaves the old ones as they are, and the log says why. The address, the number of processes and the data directory are
what the supervisor itself holds: changing them takes a restart.

What this module deliberately does not do: it decides nothing about a process, and never restarts itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hashmatch import config, errors
from hashmatch.config import Config
from hashmatch.errors import BadConfig, HashmatchError, ServiceUnavailable
from hashmatch.service import address, connections
from hashmatch.service.commission import MAX_LINE_BYTES, Commission
from hashmatch.service.fleet import Complete, Fleet, GiveUp, Kept, Order, Over, Start, Step, Tell, Wait
from hashmatch.service.keyring import Keyring
from hashmatch.service.seating import seats

HURRY_S: Final = 10.0
"""How long a process that was told to hurry may take to end its workers before it is killed."""

_CLASSES: Final[Mapping[str, type[HashmatchError]]] = {
    cls.reason(): cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, HashmatchError)
}
_log = logging.getLogger("hashmatch.service")


@dataclass(frozen=True, slots=True)
class Up:
    """A service that all of its processes serve."""

    address: str
    processes: int
    generation: str
    entries: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where the configuration comes from. ``listen`` and ``processes`` are the command line's, if given."""

    path: Path | None
    adjust: Callable[[Config], Config]
    data_dir: Path
    log_level: str = "warning"
    log_format: str = "text"


@dataclass(slots=True)
class _Process:
    """What is held of one process."""

    process: asyncio.subprocess.Process
    writer: asyncio.StreamWriter
    task: asyncio.Task[None]
    serving_since: float | None = None
    words: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Serves:
    number: int


@dataclass(frozen=True, slots=True)
class _Ended:
    number: int


@dataclass(frozen=True, slots=True)
class _Due:
    seat: int


async def supervise(source: Source, on_up: Callable[[Up], None]) -> None:
    """Serve with several processes until told to stop, then drain. Needs the main thread, for signals.

    Parameters
    ----------
    source : Source
        The configuration, read now and at every SIGHUP.
    on_up : callable
        Called once, when all processes serve.

    Raises
    ------
    BadConfig
        The configuration is not valid, or the port is somebody's.
    HashmatchError
        No process could serve; as the last one said.

    """
    text = config.read(source.path)
    loaded = source.adjust(config.parse(text, path=source.path))
    await asyncio.to_thread(source.data_dir.mkdir, mode=0o700, parents=True, exist_ok=True)
    wanted = await asyncio.to_thread(_judged, loaded, source.data_dir)
    taken, held = await asyncio.to_thread(connections.reserve, wanted)
    supervisor = _Supervisor(source, loaded, text, taken, on_up)
    try:
        with _signals(supervisor.events):
            await supervisor.run()
    finally:
        await supervisor.close()
        for each in held:
            each.close()


class _Supervisor:
    """Carries out what the fleet decides."""

    def __init__(
        self, source: Source, loaded: Config, text: str, taken: address.Address, on_up: Callable[[Up], None]
    ) -> None:
        self._source = source
        self._loaded = loaded
        self._target = taken.target
        self._on_up = on_up
        self._size = seats(loaded)
        self._fleet = Fleet(self._size)
        self._texts = {1: text}
        self._coming = loaded
        self._again = False
        self._processes: dict[int, _Process] = {}
        self._failure: HashmatchError | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self._signals = 0
        self.events: asyncio.Queue[_Serves | _Ended | _Due | signal.Signals] = asyncio.Queue()

    async def run(self) -> None:
        """Do what there is to do until it is over; raises what kept the service from being served."""
        await self._do(self._fleet.begin())
        while True:
            event = await self.events.get()
            over = await self._do(self._decide(event))
            if isinstance(event, _Ended):
                self._processes.pop(event.number).writer.close()
            if over:
                break
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """Kill what is left."""
        for timer in self._timers:
            timer.cancel()
        left = list(self._processes.values())
        for each in left:
            with contextlib.suppress(ProcessLookupError):
                each.process.kill()
        await asyncio.gather(*(each.task for each in left), return_exceptions=True)

    # --- events -----------------------------------------------------------------------------------------------------

    def _decide(self, event: _Serves | _Ended | _Due | signal.Signals) -> tuple[Step, ...]:
        match event:
            case _Serves(number):
                return self._fleet.serves(number)
            case _Ended(number):
                return self._fleet.ended(number, self._lived_s(number))
            case _Due(seat):
                return self._fleet.due(seat)
            case signal.SIGHUP:
                return self._reload()
            case _:
                self._signals += 1
                _log.info("%s received", event.name)
                return self._fleet.stop() if self._signals == 1 else self._fleet.hurry()

    def _reload(self) -> tuple[Step, ...]:
        """Read the configuration and begin to replace the processes, unless it cannot be served."""
        if self._signals:
            return ()
        if self._fleet.replacing:
            self._again = True
            return ()
        try:
            text = config.read(self._source.path)
            fresh = self._source.adjust(config.parse(text, path=self._source.path))
            _check_kept(self._loaded, fresh)
        except BadConfig as error:
            _log.error("the configuration was not read again, and the one before still holds: %s", error.message)
            return ()
        self._coming = fresh
        steps = self._fleet.reload()
        self._texts |= {step.edition: text for step in steps if isinstance(step, Start)}
        _log.info("the configuration was read again; %d processes are replaced", self._size)
        return steps

    def _lived_s(self, number: int) -> float:
        since = self._processes[number].serving_since
        return 0.0 if since is None else asyncio.get_running_loop().time() - since

    # --- steps ------------------------------------------------------------------------------------------------------

    async def _do(self, steps: tuple[Step, ...]) -> bool:
        """Carry out the steps; return whether it is over."""
        for step in steps:
            match step:
                case Start():
                    await self._start(step)
                case Tell(number, order):
                    self._tell(number, order)
                case Wait(seat, pause_s):
                    _log.error("a process ended that was not told to; another starts in %.1f s", pause_s)
                    self._later(pause_s, _Due(seat))
                case Complete(edition):
                    self._completed(edition)
                case Kept(number):
                    _log.error("the new configuration cannot be served, and the one before still is: %s",
                               self._why(number).message)  # fmt: skip
                case GiveUp(number):
                    self._failure = self._why(number)
                case Over():
                    return True
        return False

    async def _start(self, step: Start) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "hashmatch.service.member", "--control", str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, pass_fds=(theirs.fileno(),),
                start_new_session=True, env=_environment(),
            )  # fmt: skip
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=MAX_LINE_BYTES)
        commission = Commission(
            text=self._texts[step.edition],
            listen=self._target,
            data_dir=str(self._source.data_dir.absolute()),
            seat=step.seat,
            seats=self._size,
            reloaded=step.replaces,
            log_level=self._source.log_level,
            log_format=self._source.log_format,
        )
        writer.write(commission.encode())
        task = asyncio.create_task(self._listen(step.number, process, reader))
        self._processes[step.number] = _Process(process, writer, task)

    async def _listen(self, number: int, process: asyncio.subprocess.Process, reader: asyncio.StreamReader) -> None:
        """Take down what a process says, and tell of its end."""
        with contextlib.suppress(ConnectionError):
            async for line in reader:
                held = self._processes[number]
                held.words = json.loads(line)
                if held.words["event"] == "serving":
                    held.serving_since = asyncio.get_running_loop().time()
                    self.events.put_nowait(_Serves(number))
        await process.wait()
        self.events.put_nowait(_Ended(number))

    def _tell(self, number: int, order: Order) -> None:
        held = self._processes[number]
        held.writer.write(order.value.encode() + b"\n")
        if order is Order.HURRY:
            loop = asyncio.get_running_loop()
            self._timers.add(loop.call_later(HURRY_S, _kill, held.process))

    def _later(self, pause_s: float, event: _Due) -> None:
        self._timers.add(asyncio.get_running_loop().call_later(pause_s, self.events.put_nowait, event))

    def _completed(self, edition: int) -> None:
        self._loaded = self._coming
        words = self._latest()
        if edition == 1:
            entries = int(str(words["entries"]))
            self._on_up(Up(str(words["address"]), self._size, str(words["generation"]), entries))
        else:
            _log.warning("all %d processes serve the configuration that was read again", self._size)
        if self._again:
            self._again = False
            self.events.put_nowait(signal.SIGHUP)

    def _latest(self) -> Mapping[str, object]:
        return self._processes[max(number for number, held in self._processes.items() if held.serving_since)].words

    def _why(self, number: int) -> HashmatchError:
        """Return what a process said before it ended, or that it said nothing."""
        held = self._processes[number]
        said, code = held.words, held.process.returncode
        if said.get("event") == "failed":
            place = said["field"]
            cls = _CLASSES.get(str(said["error"]), HashmatchError)
            return cls(str(said["message"]), field=None if place is None else str(place))
        how = f"was killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with {code}"
        return ServiceUnavailable(f"no process of the service serves; the last one {how}: its log is above")


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


def _environment() -> dict[str, str]:
    """Ours, with modules found where this process found them."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)}


def _judged(loaded: Config, data_dir: Path) -> address.Address:
    keyring = Keyring(loaded.server, data_dir)
    keyring.load()
    return address.judged(
        loaded.server.listen,
        encrypted=bool(loaded.server.tls.certificate),
        callers_known=keyring.directory is not None,
        allow_insecure_remote=loaded.server.allow_insecure_remote,
    )


def _check_kept(before: Config, after: Config) -> None:
    """Refuse a change of what the supervisor itself holds. Raises BadConfig."""
    for name, was, now in (
        ("server.listen", before.server.listen, after.server.listen),
        ("server.processes", seats(before), seats(after)),
    ):
        if was != now:
            raise BadConfig(f"{name}: {now} instead of {was} takes a restart", field=name)


@contextlib.contextmanager
def _signals(events: asyncio.Queue[_Serves | _Ended | _Due | signal.Signals]) -> Iterator[None]:
    """Put signals into the queue while the block runs."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, events.put_nowait, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
