"""``hashmatch rescan``: which of the hashes that were kept match entries that are new.

Theory of operation
-------------------
The file is read line by line and sent in batches; each batch is answered before many more are read, by a server or by
the catalog and an index in this process, which starts no workers: nothing is decoded. What is printed are pictures that
meet a new entry, and lines that could not be used. The last line says from which generation to go on: that of the first
answer, because entries that came during the rescan were not held against what had gone by.

What this module deliberately does not do: it keeps nothing. Who rescans keeps the hashes and the generation.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import click

from hashmatch.cli.connection import Server, connects
from hashmatch.cli.files import opened_for_reading
from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output, Results, Styled
from hashmatch.config import Config
from hashmatch.errors import ExitCode
from hashmatch.exchange.kept import Kept, read
from hashmatch.model import MATCHED, MatchReport, Rejected, RescanAnswer, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from hashmatch.client.aio import AsyncClient
    from hashmatch.matching.rescan import Rescan
    from hashmatch.progress import Progress

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "path": "the file, as the kept line names it",
        "line": "line of the first of its hashes, from 1",
        "…": "all keys of the report, as of [detect](#hashmatch-detect); its `hits` are new entries, and what allow "
        "sets say",
    }
)
"""Keys of a line of ``rescan --json`` for a picture that meets a new entry."""

REJECTED_FIELDS: Mapping[str, str] = MappingProxyType(
    {"line": "the line, from 1", "field": "what is wrong with it", "reason": "why, and what would be right"}
)
"""Keys of a line of ``rescan --json`` for a line that could not be used."""

SUMMARY_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "generation": "where the next rescan begins: `--since` this",
        "everything": "nothing is known of the generation given, so all entries counted as new",
        "checked": "pictures that were looked at",
        "met": "pictures that meet a new entry",
        "rejected": "lines that could not be used",
    }
)
"""Keys of the last line of ``rescan --json``."""

BATCH_HASHES = 5_000
"""Hashes in one message; the default of server.max_batch is twice that."""

_COLUMNS = ("verdict", "path", "set/entry", "algorithm", "distance", "rule")
_STYLES = MappingProxyType({Verdict.MATCH: "bold red", Verdict.POSSIBLE_MATCH: "yellow"})


@click.command(
    "rescan",
    cls=Command,
    epilog=example(
        "hashmatch hash photos/ --json > kept.jsonl",
        "hashmatch rescan kept.jsonl --since 30517",
        "zcat kept.jsonl.gz | hashmatch rescan - --since 30517 --server 127.0.0.1:50051 --json",
    ),
)
@click.argument("file")
@click.option("--since", required=True, metavar="GENERATION", help="Of the last look, as reports name it; 0: all.")
@connects("Ask this server; default: search the embedded catalog in this process.")
@click.option("--set", "sets", metavar="NAME", multiple=True, help="Search only this set; may be repeated.")
@click.option(
    "--batch", default=BATCH_HASHES, show_default=True, type=click.IntRange(min=1), metavar="N", help="Hashes at once."
)
@pass_options
def rescan(
    options: GlobalOptions, /, file: str, *, since: str, server: Server | None, sets: tuple[str, ...], batch: int
) -> ExitCode:
    """Look up kept hashes (FILE, as `hashmatch hash --json` prints them; - is standard input) in what is new.

    New is what was added, changed or reinstated since the generation of the last look. Pictures that meet a new entry
    are printed; the last line says where to go on next time.

    Exit codes: 0 nothing met, 1 something matches, surely or possibly, 3 nothing matches and lines could not be used,
    2 bad input, 4 service.
    """
    config = options.load_config()
    searched = frozenset(sets) or None
    output = Output(options)
    with output.progress() as progress, opened_for_reading(file) as (stream, _):
        job = Job(read(stream), batch)
        opening = (
            _in_process(config, options.data_dir, since, searched, progress)
            if server is None
            else _at_server(server, since, searched)
        )
        return asyncio.run(_run(job, opening, output, progress))


class Looks(Protocol):
    """Holds batches of kept hashes against what is new."""

    def answers(self, batches: Iterable[list[Kept]]) -> AsyncGenerator[RescanAnswer, None]:
        """Answer each batch, in order."""


@dataclass
class Job:
    """The lines of one rescan, and what became of them."""

    lines: Iterable[Kept | Rejected]
    batch: int
    rejected: deque[Rejected] = field(default_factory=deque)
    under_way: deque[list[Kept]] = field(default_factory=deque)
    generation: str = ""
    everything: bool = False
    checked: int = 0
    met: int = 0
    unusable: int = 0
    worst: Verdict = Verdict.NO_MATCH

    def batches(self) -> Iterator[list[Kept]]:
        """Yield pictures together, an empty batch first, which tells the generation."""
        together, hashes = list[Kept](), 0
        self.under_way.append([])
        yield []
        for item in self.lines:
            if isinstance(item, Rejected):
                self.rejected.append(item)
                continue
            if hashes + len(item.hashes) > self.batch and together:
                self.under_way.append(together)
                yield together
                together, hashes = [], 0
            together.append(item)
            hashes += len(item.hashes)
        if together:
            self.under_way.append(together)
            yield together

    async def run(self, looks: Looks, results: Results, progress: Progress) -> None:
        """Look everything up and print what is met."""
        sent = 0
        async with contextlib.aclosing(looks.answers(self.batches())) as answers:
            async for answer in answers:
                batch = self.under_way.popleft()
                self.generation = self.generation or answer.generation
                self.everything |= answer.everything
                self.checked += answer.checked
                for report in answer.reports:
                    self._met(batch[int(report.request_id)], report, results)
                for wrong in answer.rejected:
                    self.rejected.append(Rejected(batch[wrong.position - sent].line, wrong.field, wrong.reason))
                sent += len(batch)
                self._print_rejected(results)
                progress.advance(answer.checked)
        self._print_rejected(results)

    def summary(self) -> dict[str, object]:
        """Return the last line."""
        return {
            "generation": self.generation,
            "everything": self.everything,
            "checked": self.checked,
            "met": self.met,
            "rejected": self.unusable,
        }

    def _met(self, kept: Kept, report: MatchReport, results: Results) -> None:
        from hashmatch.report.json import report_to_json

        self.met += 1
        if report.verdict is Verdict.MATCH or self.worst is Verdict.NO_MATCH:
            self.worst = report.verdict
        hit, others = report.hits[0], len(report.hits) - 1
        name = f"{hit.entry.set_name}/{hit.entry.entry_id}" + (f" (+{others})" if others else "")
        verdict = Styled(report.verdict.value, _STYLES.get(report.verdict, "green"))
        distance = f"{hit.distance} of {hit.max_distance}"
        record = {"path": kept.path, "line": kept.line, **report_to_json(report)}
        results.add(record, verdict, kept.path, name, hit.algorithm, distance, report.rule)

    def _print_rejected(self, results: Results) -> None:
        while self.rejected:
            item = self.rejected.popleft()
            self.unusable += 1
            record = {"line": item.position, "field": item.field, "reason": item.reason}
            where = Styled(f"line {item.position}", "magenta")
            results.add(record, Styled("not_checked", "magenta"), where, None, None, None, item.reason)


async def _run(
    job: Job, opening: contextlib.AbstractAsyncContextManager[Looks], output: Output, progress: Progress
) -> ExitCode:
    async with opening as looks:
        progress.start("rescanning", None, "pictures")
        with output.results(*_COLUMNS) as results:
            await job.run(looks, results, progress)
            if output.json:
                results.add(job.summary())
        progress.finish()
    if job.everything:
        output.remark("nothing is known of that generation: all entries counted as new")
    output.remark(
        f"{job.checked} pictures looked at, {job.met} meet new entries, {job.unusable} lines could not be used; "
        f"next time: --since {job.generation}"
    )
    if job.worst in MATCHED:
        return ExitCode.MATCHED
    return ExitCode.SKIPPED if job.unusable else ExitCode.CLEAN


@dataclass(frozen=True, slots=True)
class _Local:
    """A rescan in this process."""

    rescan: Rescan

    async def answers(self, batches: Iterable[list[Kept]]) -> AsyncGenerator[RescanAnswer, None]:
        """Answer each batch."""
        from hashmatch.matching.given import HashedItem

        for batch in batches:
            items = [HashedItem(kept.hashes, str(number)) for number, kept in enumerate(batch)]
            yield await asyncio.to_thread(self.rescan.answer, items)


@contextlib.asynccontextmanager
async def _in_process(
    config: Config, data_dir: Path, since: str, sets: frozenset[str] | None, progress: Progress
) -> AsyncIterator[Looks]:
    """Catalog and index in this process, for as long as the command runs; no workers."""
    from hashmatch.catalog.opening import open_catalog
    from hashmatch.index.live import LiveIndex
    from hashmatch.matching.engine import Engine
    from hashmatch.publish import Publisher
    from hashmatch.sandbox.pool import WorkerPool
    from hashmatch.service.runtime import SEGMENTS

    index = LiveIndex()
    with contextlib.ExitStack() as closing:
        catalog = closing.enter_context(open_catalog(config.catalog, data_dir, make=False))
        publisher = Publisher(catalog, index, data_dir / SEGMENTS, config.index)
        closing.callback(publisher.close)
        await asyncio.to_thread(publisher.start, progress)
        never_started = WorkerPool(config.decode, config.sandbox)
        engine = Engine(never_started, index, config.policy, max_hits=config.index.max_hits)
        yield _Local(engine.rescan(since, sets))


@dataclass(frozen=True, slots=True)
class _Remote:
    """A rescan by a server."""

    client: AsyncClient
    since: str
    sets: frozenset[str] | None

    async def answers(self, batches: Iterable[list[Kept]]) -> AsyncGenerator[RescanAnswer, None]:
        """Answer each batch."""
        from hashmatch.client.results import HashedImage

        def sent() -> Iterator[list[HashedImage]]:
            for batch in batches:
                if batch:  # the client asks for the generation by itself
                    yield [HashedImage(kept.hashes, str(number)) for number, kept in enumerate(batch)]

        rescanning = self.client.rescan(sent(), since=self.since, sets=self.sets)
        async with contextlib.aclosing(rescanning) as answers:
            async for answer in answers:
                yield answer


@contextlib.asynccontextmanager
async def _at_server(server: Server, since: str, sets: frozenset[str] | None) -> AsyncIterator[Looks]:
    """Connect to a server for as long as the command runs."""
    from hashmatch.client.aio import AsyncClient

    async with AsyncClient(server.address, access=server.access) as client:
        yield _Remote(client, since, sets)
