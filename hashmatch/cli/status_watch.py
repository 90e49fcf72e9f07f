"""``hashmatch status --watch``: what a server does, look after look.

Theory of operation
-------------------
The server is asked for its status again and again; what happened between two looks is the difference of its counters
(``telemetry.intervals``), so that rates and quantiles are those of the last seconds and not of the last month. The
first look has nothing to subtract: its quantiles are those since the server started, and it has no rates. On a terminal
one picture is drawn over and over; elsewhere there is one line per look, and with ``--json`` one object.

Of several processes behind one port the one that took the connection answers.

What this module deliberately does not do: it ends only when it is told to; a server that does not answer is asked again
once it has answered at all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Final, Self

from hashmatch.cli.connection import Server
from hashmatch.cli.output import Output, shown, write_json
from hashmatch.errors import HashmatchError
from hashmatch.report.status import Latency, ServiceStatus
from hashmatch.telemetry.intervals import grown, passed, quantile_us, since

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

QUANTILES: Final = (0.5, 0.95, 0.99)
STAGES: Final = ("total", "sandbox", "queue", "decode", "hash", "search", "policy")
"""In the order in which they are shown; those within sandbox follow it."""

FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "server": "address that was asked",
        "generation": "generation of the index that is being searched",
        "calls_per_s": "calls that ended per second since the last look; null at the first",
        "failed_per_s": "of these, those that ended with another status than OK",
        "answers_per_s": "images and hashes that were answered",
        "stages": "of images, by stage: `count`, and `p50_ms`, `p95_ms`, `p99_ms` since the last look",
        "workers": "`workers`, `busy`, `queued`, `restarts`",
        "index": "`sequence`, `behind`, `lag_ms`, and the `error` if the catalog cannot be followed",
        "outbox": "deliveries that are neither delivered nor cancelled, as `outlet/state`",
        "audit": "`queued`, `lost`, `trouble`; null where nothing is recorded",
        "confined": "whether all protections of the workers are in force",
        "missing": "protections that are not",
        "failing": "conditions of readiness that do not hold",
        "matches": "answers with hits since the last look, as `set/verdict`; at the first since the start",
    }
)
"""Keys of a line of ``status --watch --json``."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What one look shows; the fields are :data:`FIELDS`."""

    server: str
    generation: str
    calls_per_s: float | None
    failed_per_s: float | None
    answers_per_s: float | None
    stages: Mapping[str, Mapping[str, float | None]]
    workers: Mapping[str, int]
    index: Mapping[str, int | str]
    outbox: Mapping[str, int]
    audit: Mapping[str, int | str] | None
    confined: bool
    missing: tuple[str, ...]
    failing: tuple[str, ...]
    matches: Mapping[str, int]

    def line(self) -> str:
        """Return it in one line."""
        return " | ".join([*self.parts(), *self.trouble()])

    def parts(self) -> list[str]:
        """Return what is always said, piece by piece."""
        total = self.stages.get("total")
        times = "no images" if total is None else f"{_times(total)} ms"
        workers, index = self.workers, self.index
        return [
            f"generation {self.generation}",
            f"{_rate(self.calls_per_s)} calls/s, {_rate(self.failed_per_s)} failed/s",
            f"{_rate(self.answers_per_s)} answers/s, {times}",
            f"workers {workers['busy']}/{workers['workers']} busy",
            f"{workers['queued']} queued, {workers['restarts']} restarts",
            f"lag {index['lag_ms']} ms, {index['behind']} behind",
            *(f"outbox {name} {count}" for name, count in self.outbox.items()),
            *([] if self.audit is None else [f"audit {self.audit['queued']} queued, {self.audit['lost']} lost"]),
            "confined" if self.confined else "NOT CONFINED",
        ]

    def trouble(self) -> Iterator[str]:
        """Yield what is not as it should be."""
        if self.failing:
            yield f"NOT READY: {', '.join(self.failing)}"
        if self.missing:
            yield f"NOT ACTIVE: {', '.join(self.missing)}"
        if self.index["error"]:
            yield f"CATALOG: {self.index['error']}"
        if self.audit is not None and self.audit["trouble"]:
            yield f"AUDIT: {self.audit['trouble']}"


def frame(server: str, before: ServiceStatus | None, now: ServiceStatus, took_s: float) -> Frame:
    """Return what happened between two looks at a server, and how it is now.

    Parameters
    ----------
    server : str
        Its address.
    before : ServiceStatus or None
        None at the first look. A status of another process, or of before a restart, is as good as none.
    now : ServiceStatus
        The look to show.
    took_s : float
        Seconds in between.

    """
    if before is not None and before.started_at != now.started_at:
        before = None
    calls, failed, answers = _counts(before, now)
    audit, follower, pool = now.audit, now.follower, now.workers
    return Frame(
        server=server,
        generation=now.index.generation,
        calls_per_s=_per_s(before, calls, took_s),
        failed_per_s=_per_s(before, failed, took_s),
        answers_per_s=_per_s(before, answers, took_s),
        stages=dict(_stages(before, now)),
        workers={name: getattr(pool, name) for name in ("workers", "busy", "queued", "restarts")},
        index={
            "sequence": now.index.sequence,
            "behind": follower.behind,
            "lag_ms": follower.lag_ms,
            "error": follower.error,
        },
        outbox={f"{item.outlet}/{item.state}": item.count for item in now.outbox},
        audit=None if audit is None else {"queued": audit.queued, "lost": audit.lost, "trouble": audit.trouble},
        confined=pool.confined,
        missing=tuple(item.name for item in pool.protections if not item.active),
        failing=now.failing,
        matches={name: count for name, count in _matches(before, now).items() if count},
    )


def _counts(before: ServiceStatus | None, now: ServiceStatus) -> tuple[int, int, int]:
    """Return the calls, those that failed, and the answers in between."""
    was = {} if before is None else {(item.method, item.status): item.count for item in before.traffic.calls}
    more = grown(was, {(item.method, item.status): item.count for item in now.traffic.calls})
    answers = grown({} if before is None else before.traffic.verdicts, now.traffic.verdicts)
    failed = sum(count for (_, status), count in more.items() if status != "OK")
    return sum(more.values()), failed, sum(answers.values())


def _matches(before: ServiceStatus | None, now: ServiceStatus) -> dict[str, int]:
    was = () if before is None else before.traffic.matches
    return grown(
        {f"{item.set_name}/{item.verdict}": item.count for item in was},
        {f"{item.set_name}/{item.verdict}": item.count for item in now.traffic.matches},
    )


def _stages(before: ServiceStatus | None, now: ServiceStatus) -> Iterator[tuple[str, Mapping[str, float | None]]]:
    was: Mapping[str, Latency] = {} if before is None else before.traffic.stages
    for stage in STAGES:
        if (latency := now.traffic.stages.get(stage)) is None:
            continue
        between = passed(was.get(stage), latency)
        quantiles = ((q, quantile_us(now.traffic.bounds_us, between.counts, q)) for q in QUANTILES)
        times = {f"p{round(100 * q)}_ms": None if us is None else round(us / 1e3, 2) for q, us in quantiles}
        yield stage, {"count": sum(between.counts), **times}


def _per_s(before: ServiceStatus | None, count: int, took_s: float) -> float | None:
    return None if before is None or took_s <= 0 else round(since(0, count) / took_s, 1)


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


def _times(stage: Mapping[str, float | None]) -> str:
    return ", ".join(
        f"{name.removesuffix('_ms')} {'-' if value is None else f'{value:,.1f}'}"
        for name, value in stage.items()
        if name != "count"
    )


class Screen:
    """Shows frames where there are people, lines or JSON elsewhere."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._live: Live | None = None

    def __repr__(self) -> str:
        return f"<Screen {'live' if self._live else 'in lines'}>"

    def __enter__(self) -> Self:
        if self._output.console is not None and not self._output.json:
            from rich.live import Live

            self._live = Live(console=self._output.console, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def show(self, seen: Frame) -> None:
        """Show a look."""
        if self._output.json:
            write_json(asdict(seen), self._output.stdout)
        elif self._live is not None:
            self._live.update(drawing(seen), refresh=True)
        else:
            self._line(seen.line())

    def complain(self, error: HashmatchError) -> None:
        """Say that there was no answer."""
        if self._live is not None:
            from rich.text import Text

            self._live.update(Text(f"no answer: {shown(error.message)}", "bold red"), refresh=True)
        else:
            self._line(f"no answer: {error.message}")

    def _line(self, text: str) -> None:
        self._output.stderr.write(shown(text) + "\n")
        self._output.stderr.flush()


def drawing(seen: Frame) -> RenderableType:
    """Return the picture of a look."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    stages = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("stage", "images", "p50 ms", "p95 ms", "p99 ms"):
        stages.add_column(name, justify="left" if name == "stage" else "right", no_wrap=True)
    for stage, row in seen.stages.items():
        count, *times = row.values()
        stages.add_row(stage, f"{count:,.0f}", *("-" if time is None else f"{time:,.2f}" for time in times))
    counts = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("set and verdict", "matches"):
        counts.add_column(name, justify="left" if name.startswith("set") else "right", overflow="ellipsis")
    for name, number in sorted(seen.matches.items(), key=lambda pair: (-pair[1], pair[0])):
        counts.add_row(Text(shown(name)), f"{number:,}")
    head = "\n".join(seen.parts())
    trouble = "\n".join(seen.trouble())
    return Group(Text(shown_lines(f"{seen.server}\n{head}")), Text(shown_lines(trouble), "bold red"), stages, counts)


def shown_lines(text: str) -> str:
    """Return text with whatever is not printable escaped, line by line."""
    return "\n".join(shown(line) for line in text.split("\n"))


async def watch(
    server: Server,
    output: Output,
    every_s: float,
    looks: int,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Look again and again.

    Parameters
    ----------
    server : Server
        Whom to ask.
    output : Output
        Where to show it.
    every_s : float
        Seconds between looks.
    looks : int
        How many; 0 means until cancelled.

    Raises
    ------
    HashmatchError
        The first look failed.

    """
    from hashmatch.client.aio import AsyncClient

    before: ServiceStatus | None = None
    asked_s, done = clock(), 0
    async with AsyncClient(server.address, access=server.access) as client:
        with Screen(output) as screen:
            while True:
                try:
                    now = await client.status()
                except HashmatchError as error:
                    if before is None:
                        raise
                    screen.complain(error)
                else:
                    at_s = clock()
                    screen.show(frame(server.address, before, now, at_s - asked_s))
                    before, asked_s = now, at_s
                done += 1
                if done == looks:
                    return
                await asyncio.sleep(every_s)
