"""Everything the command line prints: JSON Lines for machines on stdout, tables and progress for people on stderr.

Theory of operation
-------------------
A command hands each result over once, as a JSON object and as the cells of a table row; :class:`Results` prints the one
or the other. On a terminal rows become Rich tables, a batch at a time so that a long run neither grows nor keeps
people waiting; elsewhere they are lines with tabs, in full width, for ``grep`` and logs. Rich is imported only when
there is a terminal to draw on.

File names, labels and reasons come from strangers. JSON escapes them; for people, whatever is not printable is shown
escaped, so that a file's name cannot move the cursor or colour a verdict.

What this module deliberately does not do: it knows no command, and it decides no exit code.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from hashmatch.cli.options import GlobalOptions
from hashmatch.progress import SILENT, Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

ROWS_PER_TABLE = 500
"""Rows that are laid out together on a terminal; the next ones get a table of their own."""


@dataclass(frozen=True, slots=True)
class Styled:
    """A cell that is emphasised on a terminal; ``style`` is Rich's, e.g. ``bold red``."""

    text: str
    style: str


Cell = str | int | None | Styled


def shown(text: str) -> str:
    """Return ``text`` with whatever is not printable escaped: a line feed becomes a backslash and an n."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class ReaderGone(Exception):
    """Whoever read our standard output has gone, as ``head`` does; there is nobody left to tell."""


def write_json(record: Mapping[str, object], stream: TextIO) -> None:
    """Write one JSON object on one line, at once: whoever reads the other end of a pipe should not have to wait.

    Raises
    ------
    ReaderGone
        When nobody reads any more. click would turn a ``BrokenPipeError`` into exit code 1, which here means "matched".

    """
    try:
        stream.write(json.dumps(record) + "\n")
        stream.flush()
    except BrokenPipeError:
        raise ReaderGone from None


def _plain(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case Styled():
            return shown(cell.text)
        case _:
            return shown(str(cell))


class Results:
    """Results of one kind, printed as they come; made by :meth:`Output.results`."""

    def __init__(self, output: Output, columns: tuple[str, ...]) -> None:
        self._output = output
        self._columns = columns
        self._rows: list[tuple[Cell, ...]] = []
        self.count = 0
        """Results so far."""

    def __repr__(self) -> str:
        return f"<Results {', '.join(self._columns)}: {self.count}>"

    def add(self, record: Mapping[str, object], *cells: Cell) -> None:
        """Print one result: ``record`` with ``--json``, else ``cells``, one per column."""
        self.count += 1
        output = self._output
        if output.json:
            write_json(record, output.stdout)
        elif output.console is not None:
            self._rows.append(cells)
            if len(self._rows) >= ROWS_PER_TABLE:
                self.flush()
        else:
            if self.count == 1:
                output.stderr.write("\t".join(self._columns) + "\n")
            output.stderr.write("\t".join(map(_plain, cells)) + "\n")

    def flush(self) -> None:
        """Lay out what is waiting on a terminal."""
        console = self._output.console
        if console is None or not self._rows:
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in self._columns:
            table.add_column(name, overflow="fold")
        for row in self._rows:
            table.add_row(*(Text(_plain(cell), cell.style if isinstance(cell, Styled) else "") for cell in row))
        console.print(table)
        self._rows.clear()


class Output:
    """Where a command's results, remarks and progress go."""

    def __init__(self, options: GlobalOptions, *, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self.json = options.json
        self.quiet = options.quiet
        self.stdout = stdout or sys.stdout
        self.stderr = stderr or sys.stderr
        self.console: Console | None = _console(self.stderr)
        """The terminal, when people are looking at one."""

    def __repr__(self) -> str:
        return f"<Output json={self.json} quiet={self.quiet} terminal={self.console is not None}>"

    @contextmanager
    def results(self, *columns: str) -> Iterator[Results]:
        """Results with these columns; what is still waiting is printed at the end, whatever ends it."""
        results = Results(self, columns)
        try:
            yield results
        finally:
            results.flush()

    def remark(self, text: str) -> None:
        """One line for people that is not a result, on stderr unless ``--quiet``."""
        if self.quiet:
            return
        if self.console is not None:
            self.console.print(shown(text), soft_wrap=True)  # above a progress bar, if there is one
        else:
            self.stderr.write(shown(text) + "\n")
            self.stderr.flush()

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Draw a progress bar on a terminal; be silent elsewhere, if ``--quiet``, and where JSON would run into it."""
        if self.console is None or self.quiet or (self.json and self.stdout.isatty()):
            yield SILENT
            return
        drawn = DrawnProgress(self.console)
        try:
            yield drawn
        finally:
            drawn.finish()


class DrawnProgress:
    """A progress bar on a terminal."""

    def __init__(self, console: Console) -> None:
        from rich import progress

        self._bars = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.TextColumn("{task.fields[amount]}"),
            progress.TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._unit = ""

    def __repr__(self) -> str:
        return f"<DrawnProgress {'idle' if self._task is None else self._amount()}>"

    def start(self, description: str, total: int | None, unit: str = "items") -> None:
        """Show a bar, or a pulse when ``total`` is not known."""
        self.finish()
        self._unit = unit
        self._task = self._bars.add_task(shown(description), total=total, amount="")
        self._bars.start()

    def advance(self, done: int) -> None:
        """Move the bar by ``done`` units."""
        if self._task is not None:
            self._bars.advance(self._task, done)
            self._bars.update(self._task, amount=self._amount())

    def finish(self) -> None:
        """Take the bar away."""
        if self._task is not None:
            self._bars.stop()
            self._bars.remove_task(self._task)
            self._task = None

    def _amount(self) -> str:
        task = self._bars.tasks[0]
        done = int(task.completed)
        if self._unit == "bytes":
            from rich.filesize import decimal

            return decimal(done) if task.total is None else f"{decimal(done)} of {decimal(int(task.total))}"
        return f"{done:,} {self._unit}" if task.total is None else f"{done:,} of {int(task.total):,} {self._unit}"


def _console(stream: TextIO) -> Console | None:
    if not stream.isatty():
        return None
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False, emoji=False)
