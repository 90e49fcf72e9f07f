"""``hashmatch hotline recheck`` and ``hashmatch urlcheck --recheck``: whether what was found is still there.

Theory of operation
-------------------
A pass opens the job, starts whoever is asked (a detector, confined processes to fetch and read with; one set per
vantage point), looks at what is due, and ends all of it: between two passes of ``--follow``, hours or days, nothing
runs but a clock. SIGTERM ends a pass under way; what was looked at is kept.

What this module deliberately does not do: it decides nothing; ``hotline.recheck`` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import signal
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hashmatch.cli.checking import evidence_context, opened_evidence, opened_ports
from hashmatch.cli.detecting import Detector, opening_of
from hashmatch.cli.hotline_records import watch_record, watched_job
from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output, Results
from hashmatch.cli.urlcheck_options import Ways, takes_ways
from hashmatch.errors import ExitCode, JobRefused
from hashmatch.hotline.checking.opening import NoEvidence

if TYPE_CHECKING:
    from hashmatch.config import Config
    from hashmatch.hotline.followup.recheck import Look, Rules, Watch
    from hashmatch.hotline.followup.rechecking import Pass
    from hashmatch.hotline.followup.watching import Vantage
    from hashmatch.hotline.jobs.job import JobFile
    from hashmatch.hotline.proof.evidence import Context

COLUMNS = ("presence", "state", "picture", "status", "gone", "next look")


@dataclass(slots=True)
class Rechecking:
    """One run of the command."""

    options: GlobalOptions
    config: Config
    job: Path
    ways: Ways
    output: Output
    rules: Rules
    there: int = 0
    """Looks that found the picture."""
    unclear: int = 0
    """Looks that said nothing."""
    _results: Results | None = field(default=None, init=False)

    def run(self, *, follow: bool) -> ExitCode:
        """Look at what is due, once or for as long as anything will be."""
        with self.output.results(*COLUMNS) as results:
            self._results = results
            asyncio.run(self._followed() if follow else self.one_pass())
        return ExitCode.MATCHED if self.there else ExitCode.SKIPPED if self.unclear else ExitCode.CLEAN

    async def one_pass(self) -> Pass:
        """Open the job, look at what is due, close it."""
        from hashmatch.hotline.followup.rechecking import Pass, due_of, look_at_due

        with watched_job(self.job) as (opened, watches):
            self._refuse_another_way(opened)
            due, next_at = due_of(watches, self.rules, now())
            if not due:
                self._say_next(next_at)
                return Pass(0, next_at)
            async with self._vantages(opened) as vantages:
                done = await look_at_due(watches, vantages, self.rules, clock=now, told=self._told)
        self._say_next(done.next_at)
        return done

    async def _followed(self) -> None:
        from hashmatch.hotline.followup.rechecking import follow

        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        try:
            await follow(self.one_pass, stop, clock=now)
        finally:
            loop.remove_signal_handler(signal.SIGTERM)

    @contextlib.asynccontextmanager
    async def _vantages(self, opened: JobFile) -> AsyncIterator[Mapping[str, Vantage]]:
        """Start what each point needs; they share a detector and a ledger."""
        from hashmatch.hotline.checking.check import Checker
        from hashmatch.hotline.checking.visit import parse_by
        from hashmatch.hotline.followup.rechecking import USUAL, vantages_of
        from hashmatch.hotline.followup.watching import Vantage
        from hashmatch.hotline.web import urls

        ways = {USUAL: self.config.hotline.proxy, **vantages_of(self.config.hotline)}
        async with contextlib.AsyncExitStack() as stack:
            progress = stack.enter_context(self.output.progress())
            opening, at_once = opening_of(self.ways.server, self.config, self.options.data_dir, None, progress)
            detector: Detector = await stack.enter_async_context(opening)
            wanted = self.ways.evidence_wanted(self.options)
            ledger = (
                None if wanted is None else stack.enter_context(opened_evidence(self.config, wanted, self.job.name))
            )
            made: dict[str, Vantage] = {}
            for name, proxy in ways.items():
                hotline = dataclasses.replace(self.config.hotline, proxy=proxy)
                config = dataclasses.replace(self.config, hotline=hotline)
                ports = await stack.enter_async_context(opened_ports(config, detector, opened.path.name, None))
                proves = NoEvidence() if ledger is None else ledger.of(self._context(config, name))
                checker = Checker(
                    hotline,
                    dataclasses.replace(ports, proves=proves),
                    parse_by(urls.Rules.of(hotline)),
                    detects_at_once=at_once,
                )
                made[name] = Vantage(checks=checker, proves=proves)
            yield made

    def _context(self, config: Config, vantage: str) -> Context:
        return dataclasses.replace(evidence_context(config, self.job.name), purpose="recheck", vantage=vantage)

    def _refuse_another_way(self, opened: JobFile) -> None:
        origin = opened.origin()
        proxy = self.config.hotline.proxy
        if origin is not None and origin.route != proxy:
            ways = (f"through {way}" if way else "without a proxy" for way in (origin.route, proxy))
            began, goes_on = ways
            raise JobRefused(f"{self.job} began {began} and would go on {goes_on}; one job goes one way", field="proxy")

    def _told(self, watch: Watch, look: Look) -> None:
        """Print one look, with what it makes of all before."""
        from hashmatch.hotline.followup.recheck import SIGNS, Sign

        sign = SIGNS[look.presence]
        self.there += sign is Sign.PRESENT
        self.unclear += sign in {Sign.UNCLEAR, Sign.CLOSED}
        after = dataclasses.replace(watch, looks=(*watch.looks, look))
        record = watch_record(after, self.rules)
        picture = str(record["url"] or record["page_url"])
        times = (record["gone_at"], record["next_at"])
        assert self._results is not None  # noqa: S101 - run() set it
        self._results.add(
            record, look.presence.value, str(record["state"]), picture, look.status or None,
            *("" if time is None else str(time) for time in times),
        )  # fmt: skip

    def _say_next(self, next_at: dt.datetime | None) -> None:
        if next_at is None:
            self.output.remark(f"{self.job}: nothing is looked at any more")
        else:
            self.output.remark(f"{self.job}: next look at {next_at.isoformat(timespec='seconds')}")


def recheck_job(options: GlobalOptions, ways: Ways, job: Path, *, follow: bool) -> ExitCode:
    """Look again at what a job found, for whichever command is asked to."""
    from hashmatch.hotline.followup.rechecking import rules_of

    config = ways.configured(options)
    return Rechecking(options, config, job, ways, Output(options), rules_of(config.hotline)).run(follow=follow)


@click.command(
    "recheck",
    cls=Command,
    epilog=example(
        "hashmatch hotline recheck monday.job --evidence evidence/",
        "hashmatch hotline recheck monday.job --follow --server 127.0.0.1:50051",
    ),
)
@click.argument("job", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--follow", is_flag=True, help="Go on until nothing will be due; SIGTERM ends it.")
@pass_options
@takes_ways
def recheck(options: GlobalOptions, *, ways: Ways, job: Path, follow: bool) -> ExitCode:
    """Look again at what a check found, and at what somebody was told of, as far as that is due.

    Exit codes: 0 nothing that was looked at is there, 1 something is, 3 nothing is and of something it could not be
    told, 2 bad input, 4 service.
    """
    return recheck_job(options, ways, job, follow=follow)


def now() -> dt.datetime:
    """Return the time, in UTC."""
    return dt.datetime.now(dt.UTC)
