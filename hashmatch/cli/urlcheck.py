"""``hashmatch urlcheck``: a list of reported URLs in, what is known there out; resumable, and nothing skipped.

Theory of operation
-------------------
The list is read into a job file first (``hotline.job``), then every submission is checked and kept there, and at the
end the outputs are written from it. So whatever ends the command, a job file goes on with ``--resume``: what is done is
not done again, and what is printed or written is whole.

Ctrl-C stops: what is in flight waits again, outputs are written with the rest as ``aborted``, and the exit code is 130.
A second Ctrl-C stops at once.

What this module deliberately does not do: it fetches nothing and decides nothing; images are asked about as ``detect``
does, in process or by a server.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import click

from hashmatch.cli.connection import Server
from hashmatch.cli.detecting import Detector, opening_of
from hashmatch.cli.files import STANDARD_STREAM, opened_for_writing
from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output, Results, Styled
from hashmatch.cli.urlcheck_options import Ways, rechecks, takes_ways
from hashmatch.errors import BadConfig, BadInput, ExitCode
from hashmatch.model.hotline import Item, Outcome, Submission, Summary

if TYPE_CHECKING:
    from hashmatch.cli.checking import EvidenceWanted
    from hashmatch.cli.urlcheck_board import Board
    from hashmatch.cli.urlcheck_job import WantedJob
    from hashmatch.config import Config
    from hashmatch.hotline.checking.looking import Ports
    from hashmatch.hotline.jobs.job import JobFile
    from hashmatch.hotline.jobs.job_states import Finished, Taken
    from hashmatch.hotline.outputs.found import Found
    from hashmatch.progress import Progress

    Opening = Callable[[Config, Detector, str, EvidenceWanted | None], AbstractAsyncContextManager[Ports]]
    """Starts the processes of a check of a job."""
    Asking = Callable[
        [Server | None, Config, Path, frozenset[str] | None, Progress],
        tuple[AbstractAsyncContextManager[Detector], int],
    ]
    """Returns what opens a detector, and how many images it is asked about at a time."""

FORMATS: Final = ("csv", "jsonl", "xlsx", "html")
TICK_S: Final = 0.25

_COLUMNS: Final = ("outcome", "url", "images", "matches", "country", "network", "detail")
_STYLES: Final[Mapping[Outcome, str]] = MappingProxyType(
    {
        Outcome.MATCH: "bold red",
        Outcome.POSSIBLE_MATCH: "yellow",
        Outcome.NO_MATCH: "green",
        Outcome.NO_IMAGES: "green",
        Outcome.GONE: "green",
    }
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for."""

    job: WantedJob
    server: Server | None
    outputs: tuple[tuple[str, str], ...]
    """Name and format."""
    fanged: bool
    evidence: EvidenceWanted | None


@click.command(
    "urlcheck",
    cls=Command,
    epilog=example(
        "hashmatch urlcheck reported.csv --output results.xlsx --output results.html",
        "hashmatch urlcheck reported.csv --job monday.job --server 127.0.0.1:50051 --json > results.jsonl",
        "hashmatch urlcheck --job monday.job --resume --output results.csv",
        "hashmatch urlcheck --recheck monday.job --evidence evidence/ --follow",
        "echo 'hxxps://example[.]org/page' | hashmatch urlcheck - --format csv",
    ),
)
@click.argument("urls", metavar="URLS", required=False)
@click.option("--job", type=click.Path(path_type=Path), metavar="FILE", help="Default: one in the data directory.")
@click.option("--resume", is_flag=True, help="Go on with the job file; URLS may be left out.")
@click.option(
    "--output", "names", metavar="FILE", multiple=True,
    help="Write the results here; - is standard output. May be repeated.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(FORMATS), help="Of outputs whose name does not say it; without --output, to "
    "standard output.",
)  # fmt: skip
@click.option("--fanged", is_flag=True, help="Write addresses in CSV and XLSX as they are, instead of hxxp://host[.]x.")
@pass_options
@takes_ways
@rechecks
def urlcheck(
    options: GlobalOptions,
    *,
    ways: Ways,
    urls: str | None,
    job: Path | None,
    resume: bool,
    names: tuple[str, ...],
    form: str | None,
    fanged: bool,
) -> ExitCode:
    """Check a list of reported URLs: fetch each without danger, and look up every image found there.

    URLS is CSV with a column url, JSON Lines, or one address per line; - is standard input. Every address gets an
    outcome and every image a row. No image is shown or stored.

    Exit codes: 0 nothing matched, 1 something matched, surely or possibly, 3 nothing matched and something could not
    be looked at, 2 bad input, 4 service, 130 interrupted; the job goes on with --resume. With --recheck: as for
    `hashmatch hotline recheck`.
    """
    config = ways.configured(options)
    with _with_libraries():
        from hashmatch.cli.checking import opened_ports
        from hashmatch.cli.urlcheck_job import WantedJob

        outputs = _outputs(names, form, json=options.json)
    wanted = Wanted(WantedJob(urls, job, resume), ways.server, outputs, fanged, ways.evidence_wanted(options))
    return Run(options, config, wanted, opened_ports).run()


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the command; ``opening`` and ``asking`` start whoever is asked."""

    options: GlobalOptions
    config: Config
    wanted: Wanted
    opening: Opening
    asking: Asking = opening_of

    def run(self) -> ExitCode:
        """Check the list, write what was found, and return what it amounts to; raises KeyboardInterrupt."""
        from hashmatch.cli.urlcheck_job import opened_job
        from hashmatch.hotline.jobs.gravity import counted, exit_code
        from hashmatch.hotline.outputs.found import Found

        output = Output(self.options)
        with opened_job(self.options, self.config, self.wanted.job, output) as job:
            origin = job.origin()
            assert origin is not None  # noqa: S101  opened_job saw to it
            interrupted = False
            with output.results(*_COLUMNS) as results:
                try:
                    self._check(job, _Printing(output, results, job))
                except KeyboardInterrupt:
                    interrupted = True
            found = Found(job.results, origin, dt.datetime.now(dt.UTC))
            self._write(found)
            said = counted(found.tally(), "address", "addresses"), counted(job.results.item_tally(), "image", "images")
            output.remark("; ".join(said))
            if interrupted:
                output.remark(f"interrupted: `hashmatch urlcheck --job {job.path} --resume` goes on")
                raise KeyboardInterrupt
            return exit_code(found.tally())

    def _check(self, job: JobFile, printing: _Printing) -> None:
        """Do what remains to be done."""
        from hashmatch.cli.urlcheck_board import Board
        from hashmatch.hotline.jobs.job_states import State

        output = printing.output
        job.begin(2 * self.config.hotline.host_concurrency)
        printing.earlier()
        states = job.results.states()
        total, done = sum(states.values()), states.get(State.DONE, 0)
        if done < total:
            with output.progress() as progress:
                asked = self.asking(self.wanted.server, self.config, self.options.data_dir, None, progress)
                asyncio.run(self._checked(job, _Watch(Board(output, total, done), printing), *asked))
        printing.repeated()

    async def _checked(
        self, job: JobFile, watch: _Watch, detecting: AbstractAsyncContextManager[Detector], at_once: int
    ) -> None:
        """Start whoever is asked, then check until nothing waits."""
        from hashmatch.hotline.checking.check import Checker
        from hashmatch.hotline.checking.visit import parse_by
        from hashmatch.hotline.jobs.pipeline import run as run_job
        from hashmatch.hotline.web import urls

        hotline = self.config.hotline
        async with (
            detecting as detector,
            self.opening(self.config, detector, job.path.name, self.wanted.evidence) as ports,
        ):
            if await detector.entries() == 0:
                watch.printing.output.remark("there are no entries in any hash set, so nothing can match")
            checker = Checker(hotline, ports, parse_by(urls.Rules.of(hotline)), detects_at_once=at_once)
            with watch.board as board:
                ticking = asyncio.create_task(_ticking(board))
                try:
                    await run_job(job, checker, watch, window=2 * hotline.concurrency)
                finally:
                    ticking.cancel()

    def _write(self, found: Found) -> None:
        from hashmatch.hotline.outputs.formats import FORMATS as WRITERS
        from hashmatch.hotline.outputs.rows import as_it_is, harmless

        for name, form in self.wanted.outputs:
            with opened_for_writing(name) as stream:
                WRITERS[form](found, stream, as_it_is if self.wanted.fanged else harmless)


# --- checking --------------------------------------------------------------------------------------------------------


class _Printing:
    """Prints results as they are kept: records for machines, a row per address for people."""

    def __init__(self, output: Output, results: Results, job: JobFile) -> None:
        self.output = output
        self._results = results
        self._job = job

    def earlier(self) -> None:
        """Print what was done before: refused lines, and what an earlier run did."""
        for kept in self._job.results.summaries():
            if kept.summary is not None and kept.summary.same_as is None:
                items = self._job.results.items_of(kept.submission.number) if self.output.json else ()
                self.print(kept.submission, items, kept.summary)

    def repeated(self) -> None:
        """Print addresses that were submitted again; their result is that of the first."""
        for kept in self._job.results.summaries():
            if kept.summary is not None and kept.summary.same_as is not None:
                self.print(kept.submission, (), kept.summary)

    def print(self, submission: Submission, items: Sequence[Item], summary: Summary) -> None:
        """Print one submission."""
        from hashmatch.hotline.outputs.records import item_record, summary_record
        from hashmatch.hotline.outputs.rows import harmless, summary_row

        if self.output.json:
            for item in items:
                self._results.add(item_record(submission, item))
            self._results.add(summary_record(submission, summary))
            return
        row = summary_row(submission, summary)
        outcome = Styled(summary.outcome.value, _STYLES.get(summary.outcome, "magenta"))
        cells = (row.get(name) for name in ("images", "matches", "country", "as_org", "detail"))
        self._results.add({}, outcome, harmless(submission.url), *cells)


@dataclass(frozen=True, slots=True)
class _Watch:
    """Prints and counts."""

    board: Board
    printing: _Printing

    def began(self, taken: Taken) -> None:
        """Count."""
        self.board.began(taken)

    def kept(self, finished: Finished) -> None:
        """Count and print."""
        self.board.kept(finished)
        self.printing.print(finished.summary.submission, finished.items, finished.summary)


async def _ticking(board: Board) -> None:
    while True:
        board.tick()
        await asyncio.sleep(TICK_S)


# --- what was asked for ----------------------------------------------------------------------------------------------


def _outputs(names: Sequence[str], form: str | None, *, json: bool) -> tuple[tuple[str, str], ...]:
    """Return outputs with their formats; refuse those that would run into each other."""
    if form is not None and not names:
        names = (STANDARD_STREAM,)
    from hashmatch.hotline.outputs.formats import format_of

    if len(set(names)) != len(names):
        raise BadInput("--output: the same name twice", field="output")
    if json and STANDARD_STREAM in names:
        raise BadInput("--json and an output to standard output would run into each other", field="output")
    return tuple((name, format_of(name, form)) for name in names)


@contextlib.contextmanager
def _with_libraries() -> Iterator[None]:
    """Say which extra is missing where a library is."""
    try:
        yield
    except ImportError as error:
        raise BadConfig(f"{error.name} is not installed: pip install 'hashmatch[hotline]'") from error
