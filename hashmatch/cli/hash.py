"""``hashmatch hash``: files in, hash values out; nothing is searched and nothing is kept.

Theory of operation
-------------------
Files are read and digested here and decoded in confined workers, several at a time, and printed in the order in which
they were found. :func:`records` turns what is known of one file into rows and is pure. A file that cannot be decoded is
a row with the reason, and its digests are printed all the same: they need no decoding. Where only digests are asked
for, no worker is started and no file is decoded.

What this module deliberately does not do: it opens no image itself, and it does not judge quality.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import click

from hashmatch.cli.flow import in_order, workers_of
from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output, Results, Styled
from hashmatch.cli.paths import STDIN, Found, Skipped, check, read, read_stdin, walk
from hashmatch.config import Config
from hashmatch.errors import BadInput, ExitCode
from hashmatch.model import AlgorithmKind, Digests, HashOptions, Picture

if TYPE_CHECKING:
    from hashmatch.hashing.conformance import Compared
    from hashmatch.progress import Progress

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "path": "the file, as it was found from the argument; `-` is standard input",
        "algorithm": "name in the algorithm table (`hashmatch status` lists it)",
        "value": "the hash as lower-case hex",
        "bits": "length of the value in bits",
        "quality": "0..100 for the PDQ dialects, else null",
        "width": "pixels, after the EXIF orientation was applied; null when the file was not decoded",
        "height": "pixels, likewise",
        "format": "what the bytes are, e.g. `JPEG`; null when the file was not decoded",
        "frames": "frames seen; null when the file was not decoded",
        "frame": "the frame this is the hash of, from 0; null for digests, which are of the whole file",
        "degraded": "the file is damaged and this is the hash of what could be recovered; null when not decoded",
        "dihedral": "with `--dihedral`, PDQ dialects only: the values under the eight rotations and reflections",
    }
)
"""Keys of one row of ``hash --json``."""

SKIPPED_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "path": "the file",
        "error": "why there is no perceptual hash of it; [errors](errors.md) lists the reasons",
        "detail": "one sentence for people",
    }
)
"""Keys of one row of ``hash --json`` for a file that could not be looked at."""

CONFORMANCE_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "picture": "what was drawn",
        "algorithm": "`pdq` or `pdq-nearest512`",
        "conforms": "whether nothing differs",
        "pixels_match": "whether the picture is the one that the expected values are of",
        "hash_bits": "bits by which the hash differs",
        "quality_off": "computed quality less the expected one",
        "wrong_orientations": "names of the other seven orientations whose hash differs",
    }
)
"""Keys of one row of ``hash --conformance --json``."""

Record = dict[str, object]


class Hasher(Protocol):
    """Bytes to hashes in a confined process; ``sandbox.pool.WorkerPool`` is one."""

    async def hash(self, image: bytes, options: HashOptions) -> Picture:
        """Return the hashes of one image, or why there are none."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for: algorithm names in the order of the rows, and how to look at a picture."""

    names: tuple[str, ...]
    bits: Mapping[str, int]
    options: HashOptions

    @property
    def perceptual(self) -> bool:
        """Whether a picture must be decoded at all."""
        return bool(self.options.algorithms)


@dataclass(frozen=True, slots=True)
class Looked:
    """What became known of one file."""

    digests: Digests
    picture: Picture | None


@click.command(
    "hash",
    cls=Command,
    epilog=example(
        "hashmatch hash photo.jpg",
        "hashmatch hash photos/ --algorithm pdq,sha256 --json > hashes.jsonl",
        "curl -s https://example.org/a.png | hashmatch hash - --json",
        "hashmatch hash photos/ --json | hashmatch hashset import known - --format jsonl --domain other --create",
        "hashmatch hash --conformance",
    ),
)
@click.argument("paths", metavar="PATH...", nargs=-1)
@click.option("--algorithm", metavar="NAME,...", help="Algorithms, separated by commas; default: all computed here.")
@click.option("--dihedral", is_flag=True, help="Also the PDQ values of the seven other rotations and reflections.")
@click.option("--ignore-orientation", is_flag=True, help="Hash the pixels as stored, whatever EXIF says is up.")
@click.option("--first-frame", is_flag=True, help="Only the first frame of an animation.")
@click.option("--conformance", is_flag=True, help="Hash no file: check the PDQ of this machine on known pictures.")
@pass_options
def hash_(
    options: GlobalOptions,
    paths: tuple[str, ...],
    algorithm: str | None,
    *,
    dihedral: bool,
    ignore_orientation: bool,
    first_frame: bool,
    conformance: bool,
) -> ExitCode:
    """Print the hashes of image files.

    Directories are walked, hidden files included; symbolic links in them are not followed; - is standard input. With
    --json there is one line per file, algorithm and frame. A file that cannot be decoded is a line with "error", its
    digests are printed all the same. A file larger than decode.max_bytes is not read at all.

    Exit codes: 0 all hashed, 3 something was skipped, 2 bad input, 5 not conforming.
    """
    if conformance:
        if paths:
            raise BadInput("--conformance draws its own pictures and takes no PATH", field="path")
        return print_conformance(Output(options))
    if not paths:
        raise click.MissingParameter(param_type="argument", param_hint="'PATH...'")
    check(paths)
    picture_options = HashOptions(
        dihedral=dihedral, ignore_orientation=ignore_orientation, first_frame_only=first_frame, exact=True
    )
    wanted = choose(algorithm, picture_options)
    config = options.load_config()
    max_bytes = config.decode.max_bytes
    job = Job(paths, wanted, max_bytes, workers_of(config.sandbox), read_stdin(paths, max_bytes))
    return asyncio.run(_run(job, config, Output(options)))


def print_conformance(output: Output, compared: Iterable[Compared] | None = None) -> ExitCode:
    """Print a row per known picture and dialect; ``compared`` are the rows, computed now when None."""
    from hashmatch.hashing.conformance import compare

    wrong = 0
    with output.results("picture", "algorithm", "hash", "quality", "orientations", "conforms") as results:
        for row in compare() if compared is None else compared:
            wrong += not row.conforms
            results.add({name: getattr(row, name) for name in CONFORMANCE_FIELDS}, *_conformance_cells(row))
    output.remark(
        f"{wrong} of {results.count} values differ from PDQ: do not use hashes from this machine"
        if wrong
        else f"all {results.count} values are PDQ's, in hash, quality and all eight orientations"
    )
    return ExitCode.INTEGRITY if wrong else ExitCode.CLEAN


def _conformance_cells(row: Compared) -> tuple[str | Styled, ...]:
    said = [
        f"{row.hash_bits} bits off" if row.hash_bits else "equal",
        f"{row.quality_off:+} off" if row.quality_off else "equal",
        ", ".join(row.wrong_orientations) or "equal",
        "yes" if row.conforms else ("no" if row.pixels_match else "no: other pixels"),
    ]
    shown = said if row.conforms else [text if text == "equal" else Styled(text, "bold red") for text in said]
    return row.picture, row.algorithm, *shown


def choose(names: str | None, options: HashOptions) -> Wanted:
    """Resolve ``--algorithm``: names separated by commas, or all that are computed here when None.

    Raises
    ------
    UnknownAlgorithm
        When a name is not in the table.
    BadInput
        When values of an algorithm are compared here and never computed.

    """
    from hashmatch.hashing import algorithms

    computed = algorithms.computed_names()
    given = [name.strip() for name in names.split(",")] if names is not None else list(computed)
    rows = {name: algorithms.algorithm(name) for name in given}
    opaque = [name for name, row in rows.items() if row.kind is AlgorithmKind.OPAQUE]
    if opaque:
        raise BadInput(
            f"{opaque[0]} cannot be computed here: it takes a tool under licence. hashmatch keeps such values in lists "
            f"and compares them for equality; computed here are {', '.join(computed)}",
            field="algorithm",
        )
    perceptual = frozenset(name for name, row in rows.items() if row.kind is AlgorithmKind.PERCEPTUAL)
    return Wanted(
        names=tuple(rows),
        bits=MappingProxyType({name: row.bits for name, row in rows.items()}),
        options=dataclasses.replace(options, algorithms=perceptual),
    )


async def _run(job: Job, config: Config, output: Output) -> ExitCode:
    """Start what is needed, hash everything, and say how it went."""
    async with contextlib.AsyncExitStack() as stack:
        hasher: Hasher | None = None
        if job.wanted.perceptual:
            from hashmatch.sandbox.pool import WorkerPool

            hasher = await stack.enter_async_context(WorkerPool(config.decode, config.sandbox))
        progress = stack.enter_context(output.progress())
        total = None if output.console is None else sum(1 for _ in walk(job.paths))
        progress.start("hashing", total, "files")
        results = stack.enter_context(output.results("path", "algorithm", "value", "quality", "size", "format"))
        skipped = await job.run(hasher, results, progress)
    if results.count == 0:
        output.remark("no files found")
    return ExitCode.SKIPPED if skipped else ExitCode.CLEAN


@dataclass(frozen=True, slots=True)
class Job:
    """One run of the command over many files; ``stdin`` is what was read there if ``-`` is among the paths."""

    paths: tuple[str, ...]
    wanted: Wanted
    max_bytes: int
    at_once: int
    stdin: bytes | Skipped = b""

    async def run(self, hasher: Hasher | None, results: Results, progress: Progress) -> int:
        """Hash every file, ``at_once`` of them at a time; return how many could not be looked at.

        ``hasher`` is None when only digests are wanted.
        """
        skipped = 0
        look = functools.partial(self.look, hasher)
        async with contextlib.aclosing(in_order(walk(self.paths), look, at_once=self.at_once)) as looked_at:
            async for item, outcome in looked_at:
                for record in records(item.path, outcome, self.wanted):
                    skipped += "error" in record
                    results.add(record, *_cells(record))
                progress.advance(1)
        return skipped

    async def look(self, hasher: Hasher | None, item: Found | Skipped) -> Looked | Skipped:
        """Read, digest and hash one file."""
        from hashmatch.hashing.digests import digest

        if isinstance(item, Skipped):
            return item
        data = self.stdin if item.path == STDIN else await asyncio.to_thread(read, item.path, self.max_bytes)
        if isinstance(data, Skipped):
            return data
        digests = await asyncio.to_thread(digest, data)
        picture = None if hasher is None else await hasher.hash(data, self.wanted.options)
        return Looked(digests, picture)


def records(path: str, outcome: Looked | Skipped, wanted: Wanted) -> Iterator[Record]:
    """Rows of one file: first why it could not be looked at, if so, then the values in the order asked for."""
    if isinstance(outcome, Skipped):
        yield {"path": path, "error": outcome.reason.value, "detail": outcome.detail}
        return
    picture = outcome.picture
    if picture is not None and picture.refusal is not None:
        yield {"path": path, "error": picture.refusal.value, "detail": picture.detail}
    digests = dict(outcome.digests.items())
    for name in wanted.names:
        if name in digests:
            yield _record(path, name, digests[name], wanted, picture)
        elif picture is not None:
            yield from _perceptual_records(path, name, picture, wanted)


def _perceptual_records(path: str, name: str, picture: Picture, wanted: Wanted) -> Iterator[Record]:
    """Rows of one algorithm: one per frame, with the other views beside the first when they were asked for."""
    views = [item for item in picture.hashes if item.algorithm == name]
    for original in views:
        if original.transformation != "orig":
            continue
        record = _record(path, name, original.value, wanted, picture)
        record["quality"], record["frame"] = original.quality, original.frame
        same_frame = {item.transformation: item.hex for item in views if item.frame == original.frame}
        if wanted.options.dihedral and len(same_frame) > 1:
            record["dihedral"] = same_frame
        yield record


def _record(path: str, name: str, value: bytes, wanted: Wanted, picture: Picture | None) -> Record:
    media = None if picture is None else picture.media
    return {
        "path": path,
        "algorithm": name,
        "value": value.hex(),
        "bits": wanted.bits[name],
        "quality": None,
        "width": media and media.width,
        "height": media and media.height,
        "format": media and media.format,
        "frames": media and media.frames,
        "frame": None,
        "degraded": media and media.degraded,
    }


def _cells(record: Record) -> tuple[str | int | Styled | None, ...]:
    """One row of the table for people."""
    path = str(record["path"])
    if "error" in record:
        return path, Styled(str(record["error"]), "yellow"), Styled(str(record["detail"]), "yellow"), None, None, None
    quality, width, frame = record["quality"], record["width"], record["frame"]
    named = f"{path} [frame {frame}]" if frame else path
    size = None if width is None else f"{width}x{record['height']}"
    shown_format = f"{record['format']} damaged" if record["degraded"] else record["format"]
    return (
        named,
        str(record["algorithm"]),
        str(record["value"]),
        quality if isinstance(quality, int) else None,
        size,
        None if shown_format is None else str(shown_format),
    )
