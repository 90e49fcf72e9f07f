"""``hashmatch detect``: files in, match reports out, by a server or in this process.

Theory of operation
-------------------
Both ways offer the same thing (``detecting``), so everything below it is written once: files are read here, a few are
in flight at a time, reports are printed in the order in which the files were found. With ``--server`` every file is a
call of its own rather than an item of one stream, so that neither the age limit of a connection nor one lost connection
ends a long run.

A file that was not read, and an answer that one file did not get, are results too: ``not_checked`` with a reason.
:func:`exit_code` reads nothing but the tally of verdicts.

What this module deliberately does not do: it decodes nothing, and it has no opinion about distances.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from hashmatch.cli.connection import Server, connects
from hashmatch.cli.detecting import Detector, opening_of
from hashmatch.cli.flow import in_order
from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Cell, Output, Results, Styled
from hashmatch.cli.paths import STDIN, Found, Skipped, check, read, read_stdin, walk
from hashmatch.errors import DeadlineExceeded, ExitCode, HashmatchError, Overloaded
from hashmatch.model import Hit, MatchReport, Verdict

if TYPE_CHECKING:
    from hashmatch.progress import Progress

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "path": "the file, as it was found from the argument; `-` is standard input",
        "request_id": "name of this request in the service's log",
        "verdict": "`match`, `possible_match`, `no_match` or `not_checked`",
        "reason": "why the picture could not be looked at, else null; [errors](errors.md) lists the reasons",
        "detail": "one sentence for people about the reason",
        "rule": "the policy rule that decided",
        "generation": "the one generation of the index that was searched",
        "created_at": "when the report was made, RFC 3339 in UTC",
        "hits": "what was found, nearest first; see below",
        "truncated": "more was found than `index.max_hits`",
        "quality": "PDQ quality of the picture, 0..100",
        "digests": "`md5`, `sha1` and `sha256` of the file",
        "size_bytes": "length of the file",
        "media": "`format`, `width`, `height`, `frames`, `frames_hashed`, `degraded` of the picture; `fidelity` of the "
        "hashes that decided, `exact` or `screen`",
        "elapsed_us": "microseconds per stage",
        "hashes": "exact perceptual hashes of the picture as it is: `algorithm`, `value` in hex, `quality`",
        "receipt": "base64; proves later that this report was made here; null where nothing was found",
    }
)
"""Keys of one row of ``detect --json``; of a file that was not read only path, verdict, reason, detail are filled."""

HIT_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "verdict": "what this hit alone amounts to; `no_match` in a shadow or allow set, and where one suppresses it",
        "rule": "the policy rule that counted it",
        "set": "name of the set",
        "set_id": "identity of the set, never reused",
        "set_version": "version of the set that was searched",
        "set_mode": "`enforced`, `shadow` or `allow`",
        "harm_domain": "what the set is about",
        "entry_id": "the entry",
        "entry_status": "`active`, `disputed` or `quarantined`",
        "labels": "the entry's classifications: `scheme`, `version`, `value`",
        "terms": "conditions of use of the entry, or of its set where it has none of its own",
        "agree": "how many opinions agree with the entry or one of its hashes; they change no verdict",
        "disagree": "how many disagree; likewise",
        "algorithm": "the entry's algorithm",
        "query_algorithm": "the picture's algorithm; differs only between PDQ dialects",
        "distance": "bits",
        "max_distance": "inclusive threshold in bits that the distance was held against",
        "transformation": "what was done to the picture before it matched: `orig`, `rot90`, ...; `bytes` for digests",
        "frame": "frame of an animation, from 0",
        "view": "what was done to the original when the entry was made, e.g. a crop; empty for the picture as it is",
        "chance": "values of an unrelated list of this length to be expected so near, at most; null: not known",
        "allowed_by": "`set/entry` of the allow set that suppresses or contradicts this hit; empty as a rule",
    }
)
"""Keys of one of the ``hits``."""

NOT_ANSWERED = (DeadlineExceeded, Overloaded)
"""Errors that concern one file; any other one ends the run, because the next file would fare no better."""

_COLUMNS = ("verdict", "path", "set/entry", "algorithm", "distance", "by chance", "transformation", "reason")
_STYLES = MappingProxyType(
    {
        Verdict.MATCH: "bold red",
        Verdict.POSSIBLE_MATCH: "yellow",
        Verdict.NO_MATCH: "green",
        Verdict.NOT_CHECKED: "magenta",
    }
)

Record = dict[str, object]


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A file that was sent and got no report."""

    error: HashmatchError


@click.command(
    "detect",
    cls=Command,
    epilog=example(
        "hashmatch detect upload.jpg",
        "hashmatch detect uploads/ --server 127.0.0.1:50051 --json | jq 'select(.verdict == \"match\")'",
        "hashmatch detect - --set known < upload.jpg",
    ),
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@connects("Ask this server; default: search the embedded catalog in this process.")
@click.option("--set", "sets", metavar="NAME", multiple=True, help="Search only this set; may be repeated.")
@pass_options
def detect(options: GlobalOptions, paths: tuple[str, ...], server: Server | None, sets: tuple[str, ...]) -> ExitCode:
    """Look image files up in the hash sets and print a report for each.

    Directories are walked, hidden files included; symbolic links in them are not followed; - is standard input. A path
    that does not exist beside others that do, and a file that cannot be looked at, are reported as not_checked.

    Exit codes: 0 nothing matched, 1 something matched, surely or possibly (even if something else was skipped),
    3 nothing matched and something was not checked, 2 bad input, among it that no path exists, 4 service.
    """
    check(paths)
    config = options.load_config()
    searched = frozenset(sets) or None
    output = Output(options)
    with output.progress() as progress:
        opening, at_once = opening_of(server, config, options.data_dir, searched, progress)
        max_bytes = config.decode.max_bytes
        job = Job(paths, max_bytes, at_once, read_stdin(paths, max_bytes))
        return asyncio.run(_run(job, opening, output, progress))


async def _run(
    job: Job, opening: AbstractAsyncContextManager[Detector], output: Output, progress: Progress
) -> ExitCode:
    """Open the detector, ask it about everything, and say how it went."""
    async with opening as detector:
        if await detector.entries() == 0:
            output.remark("there are no entries in any hash set, so nothing can match")
        total = None if output.console is None else sum(1 for _ in walk(job.paths))
        progress.start("detecting", total, "files")
        with output.results(*_COLUMNS) as results:
            tally = await job.run(detector, results, progress)
        progress.finish()
    output.remark(summary(tally))
    return exit_code(tally)


@dataclass(frozen=True, slots=True)
class Job:
    """One run of the command over many files; ``stdin`` is what was read there if ``-`` is among the paths."""

    paths: tuple[str, ...]
    max_bytes: int
    at_once: int
    stdin: bytes | Skipped = b""

    async def run(self, detector: Detector, results: Results, progress: Progress) -> Counter[Verdict]:
        """Ask about every file, ``at_once`` of them at a time; return how often each verdict was given."""
        tally: Counter[Verdict] = Counter()
        look = functools.partial(self.look, detector)
        async with contextlib.aclosing(in_order(walk(self.paths), look, at_once=self.at_once)) as answers:
            async for item, outcome in answers:
                verdict = outcome.verdict if isinstance(outcome, MatchReport) else Verdict.NOT_CHECKED
                tally[verdict] += 1
                results.add(to_record(item.path, outcome), *_cells(item.path, outcome))
                progress.advance(1)
        return tally

    async def look(self, detector: Detector, item: Found | Skipped) -> MatchReport | Skipped | Unanswered:
        """Read one file and ask about it."""
        if isinstance(item, Skipped):
            return item
        data = self.stdin if item.path == STDIN else await asyncio.to_thread(read, item.path, self.max_bytes)
        if isinstance(data, Skipped):
            return data
        try:
            return await detector.detect(data)
        except NOT_ANSWERED as error:
            return Unanswered(error)


def to_record(path: str, outcome: MatchReport | Skipped | Unanswered) -> Record:
    """Return the row of one file for ``--json``; the keys are always those of :data:`FIELDS`."""
    match outcome:
        case MatchReport():
            from hashmatch.report.json import report_to_json

            return {"path": path, **report_to_json(outcome)}
        case Skipped():
            reason, detail = outcome.reason.value, outcome.detail
        case Unanswered():
            reason, detail = outcome.error.reason().lower(), outcome.error.message
    return {
        **dict.fromkeys(FIELDS),
        "path": path,
        "verdict": Verdict.NOT_CHECKED.value,
        "reason": reason,
        "detail": detail,
        "hits": [],
        "truncated": False,
        "elapsed_us": {},
        "hashes": [],
        "receipt": None,
    }


def exit_code(tally: Mapping[Verdict, int]) -> ExitCode:
    """Let matched win over skipped: whoever acts on a match must not miss it because another file was damaged."""
    if tally.get(Verdict.MATCH) or tally.get(Verdict.POSSIBLE_MATCH):
        return ExitCode.MATCHED
    return ExitCode.SKIPPED if tally.get(Verdict.NOT_CHECKED) else ExitCode.CLEAN


def summary(tally: Mapping[Verdict, int]) -> str:
    """Return one line for people, e.g. ``3 images: 1 match, 0 possible matches, 2 without match, 0 not checked``."""
    total = sum(tally.values())
    match, possible = tally.get(Verdict.MATCH, 0), tally.get(Verdict.POSSIBLE_MATCH, 0)
    return (
        f"{total} {'image' if total == 1 else 'images'}: {match} {'match' if match == 1 else 'matches'}, "
        f"{possible} possible, {tally.get(Verdict.NO_MATCH, 0)} without match, "
        f"{tally.get(Verdict.NOT_CHECKED, 0)} not checked"
    )


def _cells(path: str, outcome: MatchReport | Skipped | Unanswered) -> tuple[Cell, ...]:
    """One row of the table for people: the nearest hit, and how many there are besides."""
    if not isinstance(outcome, MatchReport):
        record = to_record(path, outcome)
        verdict = Styled(Verdict.NOT_CHECKED.value, _STYLES[Verdict.NOT_CHECKED])
        return verdict, path, None, None, None, None, None, f"{record['reason']}: {record['detail']}"
    verdict = Styled(outcome.verdict.value, _STYLES[outcome.verdict])
    reason = outcome.rule if outcome.reason is None else f"{outcome.reason.value}: {outcome.detail}".rstrip(": ")
    if not outcome.hits:
        return verdict, path, None, None, None, None, None, reason
    hit, others = outcome.hits[0], len(outcome.hits) - 1
    return (
        verdict,
        path,
        _entry_name(hit) + (f" (+{others})" if others else ""),
        hit.algorithm,
        f"{hit.distance} of {hit.max_distance}",
        None if hit.chance is None else f"{hit.chance:.0e}",
        f"{hit.transformation} of {hit.view}" if hit.view else hit.transformation,
        reason,
    )


def _entry_name(hit: Hit) -> str:
    return f"{hit.entry.set_name}/{hit.entry.entry_id}"
