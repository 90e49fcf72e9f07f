"""``hashmatch hashset author``: pictures in, list entries out; for those who lawfully hold the originals.

Theory of operation
-------------------
A list is made once and asked a million times, so everything here is exact: all pixels, the reference's roundings, no
fast way. Files are digested here and decoded in confined workers, several at a time; what comes out of each becomes one
entry, named by the file's SHA-256, with one value per algorithm and frame and, with ``--views``, one per part of the
picture (``hashing/enrol.py``). The entries are a stream: the writer of a file or the catalog's import reads from
it at its own pace, and nothing grows with the number of pictures. :func:`entry_of` decides what becomes of a picture
and is pure.

A value that would match strangers is worse for a list than no value, so a picture that is damaged, or too flat for PDQ,
is refused with the reason unless the caller says otherwise; flat parts of a good picture are left out and counted.

What this module deliberately does not do: it keeps no picture, no path and no thumbnail; a list holds hashes only.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

import click

from hashmatch.cli import transfer
from hashmatch.cli.files import STANDARD_STREAM, opened_for_reading, opened_for_writing
from hashmatch.cli.flow import in_order, workers_of
from hashmatch.cli.hash import Hasher, Job, Looked, Wanted, choose
from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output, Results, Styled
from hashmatch.cli.paths import STDIN, Skipped, check, read_stdin, walk
from hashmatch.config import Config, SandboxConfig
from hashmatch.errors import BadInput, ExitCode
from hashmatch.model import (
    Enrolment,
    Entry,
    EntryHash,
    HarmDomain,
    HashOptions,
    Label,
    Provenance,
    Refusal,
)

if TYPE_CHECKING:
    from hashmatch.catalog.store import Catalog
    from hashmatch.progress import Progress

ALGORITHMS = "pdq,md5,sha1,sha256"
"""What a list needs for every file to be found by its bytes and every picture by its looks."""

IDENTIFYING_ALGORITHM = "sha256"
QUALITY_ALGORITHM = "pdq"

DEADLINE_MS = 120_000
"""Patience with one picture: the 168 views of 50 Mpx take half a minute of one core; nobody waits for an answer."""

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "path": "the file, as it was found from the argument; `-` is standard input",
        "entry_id": "name of its entry",
        "values": "values of the entry, those of its views among them",
        "views": "values of parts of the picture",
        "left_out": "values too flat to be in a list, of parts or frames",
        "quality": "PDQ quality of the picture, 0..100; null when PDQ was not asked for",
        "width": "pixels, after the EXIF orientation was applied",
        "height": "pixels, likewise",
        "format": "what the bytes are, e.g. `JPEG`",
        "degraded": "the file is damaged and the values are of what could be recovered",
    }
)
"""Keys of one row of ``author --json``; a file without an entry has those of ``hash.SKIPPED_FIELDS``."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What every entry states, and which pictures may have one. ``min_quality`` is PDQ's, 0..100."""

    min_quality: int
    id_prefix: str = IDENTIFYING_ALGORITHM
    labels: tuple[Label, ...] = ()
    source: str = ""
    flat: bool = False
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class Authored:
    """An entry and what its picture was; ``left_out`` values were too flat."""

    entry: Entry
    looked: Looked
    quality: int | None
    left_out: int


@click.command(
    "author",
    cls=Command,
    epilog=example(
        "hashmatch hashset author originals/ --views crops --output list.jsonl",
        "hashmatch hashset author originals/ --views crops --into own --domain csam --create",
        "find . -name '*.jpg' | hashmatch hashset author --from - --label ncmec/2022=A1 --output list.csv",
    ),
)
@click.argument("paths", metavar="PATH...", nargs=-1)
@click.option("--from", "listing", metavar="FILE", help="Also the paths that FILE lists, one a line; - is stdin.")
@click.option(
    "--views",
    type=click.Choice([level.value for level in Enrolment]),
    default=Enrolment.NONE.value,
    show_default=True,
    help="Also PDQ values of parts: crops are 40 of one side or around the centre, dense 128 more of four sides.",
)
@click.option("--algorithm", default=ALGORITHMS, show_default=True, metavar="NAME,...", help="Algorithms.")
@click.option("--id-prefix", default="sha256", show_default=True, metavar="TEXT", help="Entries are TEXT:<SHA-256>.")
@click.option("--label", "labels", multiple=True, metavar="SCHEME/VERSION=VALUE", help="Of every entry; repeatable.")
@click.option("--source", default="", metavar="TEXT", help="Who gives the entries.")
@click.option("--flat", is_flag=True, help="Take pictures too flat for PDQ too, with their digests alone.")
@click.option("--damaged", is_flag=True, help="Take damaged files too, with values of what could be recovered.")
@click.option("--output", "-o", "file", metavar="FILE", help="Write the list there; CSV by suffix, else JSON Lines.")
@click.option("--into", "set_name", metavar="SET", help="Import into this set of the catalog instead.")
@click.option("--domain", type=click.Choice([domain.value for domain in HarmDomain]), help="What the set is about.")
@click.option("--create", "make", is_flag=True, help="Make the set when there is none; needs --domain.")
@pass_options
def author(options: GlobalOptions, /, paths: tuple[str, ...], **chosen: object) -> ExitCode:
    """Make list entries of pictures that you lawfully hold; the pictures are not kept.

    One entry per file, with exact values. With --views, copies that were cropped by up to a quarter are found too, at
    some forty values an entry. Without --output and --into, JSON Lines go to stdout. Damaged files and pictures too
    flat to be told apart are refused, with the reason.

    Exit codes: 0 an entry for every file, 3 something was refused, 2 bad input.
    """
    order = Order(**chosen)  # type: ignore[arg-type]  # click's options are the fields, by name
    return order.run(options, paths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The options of the command."""

    listing: str | None
    views: str
    algorithm: str
    id_prefix: str
    labels: tuple[str, ...]
    source: str
    flat: bool
    damaged: bool
    file: str | None
    set_name: str | None
    domain: str | None
    make: bool

    def run(self, options: GlobalOptions, paths: tuple[str, ...]) -> ExitCode:
        """Make the entries of everything and put them into a file or a set.

        Raises
        ------
        BadInput
            The options contradict each other, or none of the paths exists.

        """
        self._check(options, paths)
        every = (*paths, *(self._listed() if self.listing else ()))
        check(every)
        config = options.load_config()
        hash_options = HashOptions(dihedral=False, exact=True, enrolment=Enrolment(self.views))
        wanted = choose(self.algorithm, hash_options)
        if hash_options.enrolment is not Enrolment.NONE and QUALITY_ALGORITHM not in wanted.names:
            raise BadInput(f"--views are values of {QUALITY_ALGORITHM}; name it in --algorithm", field="views")
        max_bytes = config.decode.max_bytes
        job = Job(every, wanted, max_bytes, workers_of(config.sandbox), read_stdin(every, max_bytes))
        output = Output(options)
        with contextlib.ExitStack() as stack:
            progress = stack.enter_context(output.progress())
            columns = ("path", "entry", "values", "views", "left out", "quality", "size", "format")
            results = stack.enter_context(output.results(*columns))
            source = stack.enter_context(Source(job, self._terms(), _patient(config), results, progress))
            skipped = self._write(source) if self.set_name is None else self._import(options, source, output)
        if results.count == 0:
            output.remark("no files found")
        return ExitCode.SKIPPED if skipped else ExitCode.CLEAN

    def _check(self, options: GlobalOptions, paths: tuple[str, ...]) -> None:
        if not paths and self.listing is None:
            raise click.MissingParameter(param_type="argument", param_hint="'PATH...'")
        if self.listing == STANDARD_STREAM and STDIN in paths:
            raise BadInput("standard input is either a picture or a list of paths, not both", field="from")
        if self.set_name is not None and self.file is not None:
            raise BadInput("give --output or --into; `hashset export` writes a set to a file", field="output")
        if self.set_name is None and (self.make or self.domain):
            raise BadInput("--create and --domain are about the set of --into", field="into")
        if options.json and self.set_name is None and self.file in {None, STANDARD_STREAM}:
            raise BadInput("--json prints what became of each file; give the list a file with --output", field="output")

    def _listed(self) -> tuple[str, ...]:
        with opened_for_reading(self.listing or STANDARD_STREAM) as (stream, _):
            lines = stream.read().decode("utf-8", "surrogateescape").splitlines()
        listed = tuple(line for line in lines if line.strip())
        if not listed:
            raise BadInput(f"{self.listing} lists no path; expected one a line", field="from")
        return listed

    def _terms(self) -> Terms:
        from hashmatch.catalog.validate import MIN_QUALITY
        from hashmatch.exchange.rows import stated_labels

        labels = stated_labels(self.labels)
        return Terms(MIN_QUALITY, self.id_prefix, labels, self.source, self.flat, self.damaged)

    def _write(self, source: Source) -> bool:
        from hashmatch.exchange import formats

        target = self.file or STANDARD_STREAM
        chosen = formats.ours(target)
        with opened_for_writing(target) as stream:
            chosen.write(source, stream)
        return source.refused > 0

    def _import(self, options: GlobalOptions, source: Source, output: Output) -> bool:
        from hashmatch.cli.hashset import open_catalog

        target = transfer.Target(self.set_name or "", HarmDomain(self.domain) if self.domain else None, make=self.make)
        catalog: Catalog
        with open_catalog(options, make=self.make) as catalog:
            target.prepare(catalog)
            result = catalog.import_entries(target.name, source)
        transfer.print_result(result, target.name, output)
        return source.refused > 0 or result.rejected > 0


@dataclass(slots=True)
class Source(Iterator[Entry]):
    """The entries, made while they are read. A context manager: leaving it stops the workers.

    The reader is a plain loop (a file's writer, the catalog) and the workers need an event loop, so one is run from
    here for as long as the next entry takes.
    """

    job: Job
    terms: Terms
    config: Config
    results: Results
    progress: Progress
    refused: int = 0
    _runner: asyncio.Runner = field(default_factory=asyncio.Runner)
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    _entries: AsyncGenerator[Entry, None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._runner.run(self._stack.aclose())
        finally:
            self._runner.close()

    def __next__(self) -> Entry:
        found = self._runner.run(self._next())
        if found is None:
            raise StopIteration
        return found

    async def _next(self) -> Entry | None:
        if self._entries is None:
            self._entries = await self._stack.enter_async_context(contextlib.aclosing(self._authored()))
        return await anext(self._entries, None)  # None: there are no more

    async def _authored(self) -> AsyncGenerator[Entry, None]:
        """Make the entries, several at a time, and print what became of every file."""
        from hashmatch.sandbox.pool import WorkerPool

        job = self.job
        async with contextlib.AsyncExitStack() as stack:
            hasher: Hasher | None = None
            if job.wanted.perceptual:
                hasher = await stack.enter_async_context(WorkerPool(self.config.decode, self.config.sandbox))
            self.progress.start("authoring", None, "files")
            look = functools.partial(job.look, hasher)
            looking = in_order(walk(job.paths), look, at_once=job.at_once)
            async for item, outcome in await stack.enter_async_context(contextlib.aclosing(looking)):
                made = outcome if isinstance(outcome, Skipped) else entry_of(item.path, outcome, job.wanted, self.terms)
                self.results.add(record(item.path, made), *_cells(item.path, made))
                self.progress.advance(1)
                if isinstance(made, Authored):
                    yield made.entry
                else:
                    self.refused += 1


def _patient(config: Config) -> Config:
    """Give the workers the time that many views of a large picture take."""
    sandbox: SandboxConfig = config.sandbox
    longer = dataclasses.replace(sandbox, deadline_ms=max(sandbox.deadline_ms, DEADLINE_MS))
    return dataclasses.replace(config, sandbox=longer)


def entry_of(path: str, looked: Looked, wanted: Wanted, terms: Terms) -> Authored | Skipped:
    """Return the entry of one file, or why it has none.

    Raises nothing: whatever is wrong with a file is a result.
    """
    from hashmatch.catalog.validate import EntryRules

    picture, digests = looked.picture, dict(looked.digests.items())
    hashes = tuple(EntryHash(name, digests[name]) for name in wanted.names if name in digests)
    quality, left_out = None, 0
    if picture is not None:
        if picture.refusal is not None:
            return Skipped(path, picture.refusal, picture.detail)
        if picture.media is not None and picture.media.degraded and not terms.damaged:
            detail = "the file is damaged; --damaged takes the values of what could be recovered"
            return Skipped(path, Refusal.DEGRADED, detail)
        best = _quality_by_frame(looked)
        quality = max(best.values(), default=None)
        if quality is not None and quality < terms.min_quality and not (terms.flat and hashes):
            detail = f"PDQ quality {quality} is below {terms.min_quality}: it would match strangers"
            return Skipped(path, Refusal.LOW_QUALITY, f"{detail}; --flat takes its digests alone")
        values, left_out = _values(looked, wanted, best, terms.min_quality)
        hashes = values + hashes
    entry_id = f"{terms.id_prefix}:{looked.digests.sha256.hex()}"
    entry = Entry(entry_id, hashes, terms.labels, Provenance(source=terms.source))
    if problem := EntryRules().problem(entry):
        return Skipped(path, Refusal.NO_USABLE_HASH, f"{problem.field}: {problem.reason}")
    return Authored(entry, looked, quality, left_out)


def _quality_by_frame(looked: Looked) -> dict[int, int]:
    """PDQ quality of each whole frame."""
    hashes = () if looked.picture is None else looked.picture.hashes
    return {
        item.frame: item.quality
        for item in hashes
        if item.algorithm == QUALITY_ALGORITHM and item.transformation == "orig" and item.quality is not None
    }


def _values(
    looked: Looked, wanted: Wanted, best: Mapping[int, int], min_quality: int
) -> tuple[tuple[EntryHash, ...], int]:
    """Values in the order asked for, each once, views behind the frames; and how many were too flat.

    Where PDQ was computed, a frame too flat for it has no other value either: those have no quality of their own.
    """
    kept: dict[tuple[str, bytes], EntryHash] = {}
    left_out = 0
    hashes = () if looked.picture is None else looked.picture.hashes
    for name in wanted.names:
        mine = [item for item in hashes if item.algorithm == name]
        for item in sorted(mine, key=lambda item: item.transformation != "orig"):
            quality = best.get(item.frame) if item.quality is None else item.quality
            if quality is not None and quality < min_quality:
                left_out += 1
                continue
            view = "" if item.transformation == "orig" else item.transformation
            kept.setdefault((name, item.value), EntryHash(name, item.value, item.quality, view))
    return tuple(kept.values()), left_out


def record(path: str, made: Authored | Skipped) -> dict[str, object]:
    """Return the row of one file for ``--json``."""
    if isinstance(made, Skipped):
        return {"path": path, "error": made.reason.value, "detail": made.detail}
    media = None if made.looked.picture is None else made.looked.picture.media
    return {
        "path": path,
        "entry_id": made.entry.entry_id,
        "values": len(made.entry.hashes),
        "views": sum(bool(item.view) for item in made.entry.hashes),
        "left_out": made.left_out,
        "quality": made.quality,
        "width": media and media.width,
        "height": media and media.height,
        "format": media and media.format,
        "degraded": media and media.degraded,
    }


def _cells(path: str, made: Authored | Skipped) -> tuple[str | int | Styled | None, ...]:
    """One row of the table for people."""
    if isinstance(made, Skipped):
        return path, Styled(made.reason.value, "yellow"), *[None] * 5, Styled(made.detail, "yellow")
    media = None if made.looked.picture is None else made.looked.picture.media
    size = None if media is None else f"{media.width}x{media.height}"
    views = sum(bool(item.view) for item in made.entry.hashes)
    counts = (len(made.entry.hashes), views, made.left_out, made.quality)
    return path, made.entry.entry_id, *counts, size, None if media is None else media.format
