"""``hashmatch audit``: verify the audit logs, print the heads to be kept elsewhere, and look into them.

Theory of operation
-------------------
All three read the directory of logs and nothing else; a service may write there meanwhile. ``verify`` goes through
every log and prints what is wrong with it, one row per finding, and one summary per log. ``head`` prints the last
signed head of each log as it stands there, for a file on another machine, which ``verify --against`` is then given.
``show`` prints records and does not verify them.

What this module deliberately does not do: it repairs nothing, and it needs no key but the public one.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from hashmatch.cli.options import GlobalOptions, Group, example, pass_options
from hashmatch.cli.output import Output, Results, Styled
from hashmatch.errors import BadInput, ExitCode

if TYPE_CHECKING:
    from hashmatch.ledger import Finding, Record, Summary

FINDING_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "log": "name of the log in its directory; empty for one that a kept head is of and that is not there",
        "wrong": "what is wrong, of the list in docs/guide/audit.md",
        "file": "file of the log, or of heads",
        "line": "line in it, from 1",
        "seq": "number of the record, -1 where none can be read",
        "detail": "the same in words",
    }
)
"""Keys of a line of ``audit verify --json`` for something that is wrong."""

SUMMARY_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "log": "name of the log in its directory",
        "ledger": "its id",
        "records": "how many were read",
        "segments": "files that they are in",
        "seq": "number of the last record",
        "digest": "its digest, which the next record would have for `previous`",
        "at": "its time",
        "heads": "signed heads that fit, those of `--against` included",
        "vouched": "number of the last record that a head vouches for, -1 for none",
        "unvouched": "records after that one, which the chain alone holds together",
        "removed": "records before the first one that is there, which were removed, as a vouched record says",
        "rule": "by which rule, as that record says; empty where nothing was removed",
        "own_keys_only": "whether no `--key` was given, so that heads were held against keys that the log itself names",
        "findings": "how many things are wrong",
    }
)
"""Keys of the line of ``audit verify --json`` that ends each log."""

SHOW_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "log": "name of the log in its directory",
        "seq": "number of the record",
        "at": "when, RFC 3339 in UTC",
        "kind": "what it records; docs/guide/audit.md has the list",
        "previous": "digest of the record before",
        "body": "what it says",
    }
)
"""Keys of a line of ``audit show --json``."""

_SPAN = re.compile(r"([1-9][0-9]{0,4})([mhd])", re.ASCII)
_UNITS = MappingProxyType({"m": "minutes", "h": "hours", "d": "days"})

_DIRECTORY = click.option(
    "--directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the logs are (default: audit.directory, or audit in the data directory).",
)


@click.group(
    "audit",
    cls=Group,
    short_help="Verify the audit logs, print signed heads, look into them.",
    epilog=example(
        "hashmatch audit head >> /mnt/elsewhere/heads.jsonl",
        "hashmatch audit verify --key audit.pub --against /mnt/elsewhere/heads.jsonl",
    ),
)
def audit() -> None:
    """Look after the record of who asked the service what, and what changed."""


@audit.command(
    "verify",
    epilog=example(
        "hashmatch audit verify --key audit.pub",
        "hashmatch audit verify --key audit.pub --against /mnt/elsewhere/heads.jsonl --json",
    ),
)
@_DIRECTORY
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Public key that heads must be signed with; may be repeated.",
)
@click.option(
    "--against",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="HEADS",
    help="Heads that were kept elsewhere; may be repeated.",
)
@pass_options
def verify(
    options: GlobalOptions, directory: Path | None, keys: Sequence[Path], against: Sequence[Path]
) -> ExitCode:  # fmt: skip
    """Find whatever was changed, cut, added or put in another order since it was written.

    A log proves by itself that nobody without its key changed it. That its keeper did not write it anew is proved by
    heads that were kept elsewhere: give them with --against, and the public key with --key.

    Exit codes: 0 nothing is wrong, 2 there is no log, 5 something is wrong.
    """
    from hashmatch.ledger import verified
    from hashmatch.signatures import load_verify_key

    output, wrong = Output(options), 0
    trusted = [load_verify_key(path) for path in keys]
    seen: set[str] = set()
    with output.results("log", "record", "wrong", "where", "detail") as results:
        for path in _logs(options, directory):
            summary, findings = verified(path, keys=trusted, against=against, mixed=True)
            for finding in findings:
                _add_finding(results, path.name, finding)
            _add_summary(results, path.name, summary)
            wrong += summary.findings
            seen.add(summary.ledger)
        for finding in _absent(against, seen):
            _add_finding(results, "", finding)
            wrong += 1
    if not trusted:
        output.remark("heads were held against the keys that the logs themselves name; --key names one that you trust")
    return ExitCode.INTEGRITY if wrong else ExitCode.CLEAN


@audit.command("head", epilog=example("hashmatch audit head >> /mnt/elsewhere/heads.jsonl"))
@_DIRECTORY
@pass_options
def head(options: GlobalOptions, directory: Path | None) -> ExitCode:
    """Print the last signed head of each log, one line each, to be kept where nobody who writes the log can reach it.

    A running service signs one every audit.head_every_s, and one when it ends.
    """
    from hashmatch.ledger.heads import read
    from hashmatch.ledger.reader import last_head

    output = Output(options)
    for path in _logs(options, directory):
        line = last_head(path)
        untrusted = read(line)
        if untrusted is None:
            output.remark(f"{path.name}: no head yet")
            continue
        output.stdout.write(line.decode() + "\n")
        output.remark(f"{path.name}: record {untrusted.head.seq}, {untrusted.head.at}")
    output.stdout.flush()
    return ExitCode.CLEAN


@audit.command(
    "show",
    epilog=example(
        "hashmatch audit show --since 24h --caller forum",
        "hashmatch audit show --kind entry.withdrawn --kind entry.reinstated --json",
        "hashmatch audit show --picture complaint.jpg",
    ),
)
@_DIRECTORY
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Only records of this kind; may be repeated.")
@click.option("--since", metavar="WHEN", help="Only later ones: 24h, 7d, 30m ago, or 2026-11-28T08:00.")
@click.option("--caller", metavar="NAME", help="Only what this caller asked for.")
@click.option("--picture", type=click.Path(path_type=Path), metavar="FILE", help="Only requests about these bytes.")
@click.option("--entry", nargs=2, metavar="SET_ID ENTRY", help="Only records that have this entry of a set.")
@pass_options
def show(
    options: GlobalOptions,
    *,
    directory: Path | None,
    kinds: Sequence[str],
    since: str | None,
    caller: str | None,
    picture: Path | None,
    entry: tuple[str, str] | None,
) -> ExitCode:
    """Print records; they are not verified.

    Pictures and entries stand in the log as keyed digests. --picture and --entry need the secret they were made with,
    digest.key in the directory of logs.

    Exit codes: 0 printed, 2 there is no log, 5 a line is no record.
    """
    from hashmatch.ledger import Record, read_records

    output, unreadable = Output(options), 0
    wanted = _Wanted(frozenset(kinds), _moment(since), caller, frozenset(_digests(options, directory, picture, entry)))
    with output.results("at", "log", "seq", "kind", "caller", "body") as results:
        for path in _logs(options, directory):
            for record in read_records(path):
                if not isinstance(record, Record):
                    output.remark(f"{path.name}: {record.where}, line {record.line}: {record.detail}")
                    unreadable += 1
                elif wanted.has(record):
                    _add_record(results, path.name, record)
    return ExitCode.INTEGRITY if unreadable else ExitCode.CLEAN


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which records to print."""

    kinds: frozenset[str]
    since: str
    caller: str | None
    digests: frozenset[str]

    def has(self, record: Record) -> bool:
        """Whether this is one of them."""
        return (
            (not self.kinds or record.kind in self.kinds)
            and record.at >= self.since
            and (self.caller is None or record.body.get("caller") == self.caller)
            and (not self.digests or any(text in self.digests for text in _texts(record.body)))
        )


def _logs(options: GlobalOptions, directory: Path | None) -> list[Path]:
    from hashmatch.audit.log import ledgers

    return ledgers(_directory(options, directory))


def _directory(options: GlobalOptions, directory: Path | None) -> Path:
    from hashmatch.audit.log import directory_of

    return directory or directory_of(options.load_config().audit, options.data_dir)


def _absent(against: Sequence[Path], seen: set[str]) -> Iterator[Finding]:
    """Yield a finding for each log that somebody kept heads of and that is not there."""
    from hashmatch.ledger import Finding, Wrong
    from hashmatch.ledger.reader import ledgers_in

    for path in against:
        for ledger in sorted(ledgers_in(path) - seen):
            yield Finding(Wrong.FOREIGN_HEAD, path.name, 0, -1, f"the log {ledger} is not there")


def _digests(
    options: GlobalOptions, directory: Path | None, picture: Path | None, entry: tuple[str, str] | None
) -> Iterator[str]:
    """Yield what a picture and an entry are called in the log. Raises BadInput."""
    import hashlib

    from hashmatch.audit.digests import load_pseudonyms
    from hashmatch.audit.log import SECRET_FILE

    if picture is None and entry is None:
        return
    pseudonyms = load_pseudonyms(_directory(options, directory) / SECRET_FILE)
    if picture is not None:
        try:
            with picture.open("rb") as stream:
                yield pseudonyms.of_image(hashlib.file_digest(stream, "sha256").digest())
        except OSError as error:
            raise BadInput(f"cannot read {picture}: {error.strerror}", field="picture") from error
    if entry is not None:
        yield pseudonyms.of_entry(*entry)


def _moment(since: str | None) -> str:
    """Return the time that ``--since`` means, as records have it. Raises BadInput."""
    if since is None:
        return ""
    if span := _SPAN.fullmatch(since):
        at = dt.datetime.now(dt.UTC) - dt.timedelta(**{_UNITS[span[2]]: int(span[1])})
    else:
        try:
            at = dt.datetime.fromisoformat(since)
        except ValueError:
            raise BadInput(f"since: {since[:40]!r}; expected 24h, 7d, 30m or 2026-11-28T08:00", field="since") from None
        at = (at if at.tzinfo else at.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in a body."""
    match value:
        case str():
            yield value
        case Mapping():
            for item in value.values():
                yield from _texts(item)
        case list():
            for item in value:
                yield from _texts(item)


def _add_finding(results: Results, log: str, finding: Finding) -> None:
    record = {
        "log": log,
        "wrong": finding.wrong.value,
        "file": finding.where,
        "line": finding.line,
        "seq": finding.seq,
        "detail": finding.detail,
    }
    where = f"{finding.where}:{finding.line}"
    results.add(record, log, finding.seq, Styled(finding.wrong.value, "bold red"), where, finding.detail)


def _add_summary(results: Results, log: str, summary: Summary) -> None:
    derived = {"log": log, "unvouched": summary.unvouched}
    record = {name: derived[name] if name in derived else getattr(summary, name) for name in SUMMARY_FIELDS}
    state = Styled("nothing", "green") if not summary.findings else Styled(f"{summary.findings} findings", "bold red")
    gone = f", {summary.removed} removed before ({summary.rule})" if summary.removed else ""
    detail = f"{summary.records} records, {summary.heads} heads, {summary.unvouched} records after the last head{gone}"
    results.add(record, log, summary.seq, state, f"{summary.segments} files", detail)


def _add_record(results: Results, log: str, record: Record) -> None:
    row = {
        "log": log,
        "seq": record.seq,
        "at": record.at,
        "kind": record.kind,
        "previous": record.previous,
        "body": dict(record.body),
    }
    brief: Callable[[object], str] = lambda value: f"{len(value)} items" if isinstance(value, list) else str(value)  # noqa: E731
    said = " ".join(f"{name}={brief(value)}" for name, value in record.body.items() if name != "caller")
    results.add(row, record.at, log, record.seq, record.kind, str(record.body.get("caller", "")), said)
