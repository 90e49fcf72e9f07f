"""How a check of URLs goes, while it goes: on a terminal a bar and the busiest hosts, elsewhere a line now and then.

Theory of operation
-------------------
The board is told of every submission that begins and of every one that is kept, and counts. It draws when it is asked
to (:meth:`Board.tick`), never on its own, and no more often than somebody can read: a few times a second on a terminal,
every ten seconds elsewhere. Numbers are of this run; what an earlier one did counts as done from the start.

What this module deliberately does not do: it reads no clock but the one it is given, and shows no address, only hosts.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from hashmatch.cli.output import Output, shown
from hashmatch.hotline.jobs.gravity import MATCHED
from hashmatch.hotline.jobs.job_states import Finished, Taken
from hashmatch.projections.places import host_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

LINE_S: Final = 10.0
"""Between two lines where nobody draws."""

DRAW_S: Final = 0.25
HOSTS: Final = 8
"""Hosts that are shown."""

HOSTS_KEPT: Final = 10_000
"""Hosts that are counted; beyond, those with least are forgotten."""


class Board:
    """Counts, and draws what it counted."""

    def __init__(
        self, output: Output, total: int, done: int = 0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._output = output
        self._clock = clock
        self._began_s = clock()
        self._drawn_s = self._began_s
        self._live: Live | None = None
        self.total = total
        self.done = done
        self.before = done
        """Submissions that an earlier run did."""
        self.images = 0
        self.matches = 0
        self._running: Counter[str] = Counter()
        self._finished: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<Board {self.done} of {self.total}, {self.matches} matches>"

    def __enter__(self) -> Self:
        output = self._output
        if output.console is not None and not output.quiet and not (output.json and output.stdout.isatty()):
            from rich.live import Live

            self._live = Live(self._drawing(), console=output.console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def began(self, taken: Taken) -> None:
        """See that a submission is being checked."""
        self._running[host_of(taken.address)] += 1

    def kept(self, finished: Finished) -> None:
        """See that everything about a submission is on disk."""
        host = host_of(finished.summary.url)
        self.done += 1
        self.images += len(finished.items)
        self.matches += sum(item.outcome in MATCHED for item in finished.items)
        self._running[host] -= 1
        if self._running[host] <= 0:
            del self._running[host]
        self._finished[host] += 1
        if len(self._finished) > HOSTS_KEPT:
            self._finished = Counter(dict(self._finished.most_common(HOSTS_KEPT // 2)))

    def tick(self) -> None:
        """Draw, if it is time."""
        now_s = self._clock()
        if self._output.quiet or now_s - self._drawn_s < (LINE_S if self._live is None else DRAW_S):
            return
        self._drawn_s = now_s
        if self._live is not None:
            self._live.update(self._drawing(), refresh=True)
        elif self._output.console is None:
            self._output.remark(self.line())

    def line(self) -> str:
        """Return how it goes, in one line."""
        share = f"{self.done / self.total:.1%}" if self.total else "100.0%"
        busiest = ", ".join(f"{shown(host).replace('.', '[.]')} {count}" for host, count in self.hosts()[:3])
        return (
            f"{self.done:,} of {self.total:,} addresses ({share}), {self.rate():.1f}/s, {self.left()} left, "
            f"{self.images:,} images, {self.matches:,} matches" + (f"; fetching from {busiest}" if busiest else "")
        )

    def rate(self) -> float:
        """Return how many addresses are checked per second, over this run."""
        spent_s = self._clock() - self._began_s
        return (self.done - self.before) / spent_s if spent_s > 0 else 0.0

    def left(self) -> str:
        """Return how long it will still take at this rate, in words."""
        rate = self.rate()
        if not rate:
            return "unknown time"
        minutes, seconds = divmod(round((self.total - self.done) / rate), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02}"

    def hosts(self) -> list[tuple[str, int]]:
        """Return the hosts that are fetched from just now, with how many submissions; the busiest first."""
        return sorted(self._running.items(), key=lambda pair: (-pair[1], pair[0]))[:HOSTS]

    def _drawing(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("host", "now", "done"):
            table.add_column(name, justify="left" if name == "host" else "right", overflow="ellipsis", no_wrap=True)
        for host, count in self.hosts():
            table.add_row(Text(shown(host)), str(count), f"{self._finished[host]:,}")
        head = Text.assemble(
            f"{self.done:,} of {self.total:,} addresses  {self.rate():.1f}/s  {self.left()} left  "
            f"{self.images:,} images  ",
            (f"{self.matches:,} matches", "bold red" if self.matches else ""),
        )
        return Group(head, ProgressBar(total=max(1, self.total), completed=self.done), table)
