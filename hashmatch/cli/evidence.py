"""``hashmatch evidence``: verify, show and export what URL checks recorded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from hashmatch.cli.files import opened_for_writing
from hashmatch.cli.options import GlobalOptions, Group, example, pass_options
from hashmatch.cli.output import Output
from hashmatch.errors import ExitCode

if TYPE_CHECKING:
    from hashmatch.hotline.proof.evidence_store import Kept, Mismatch
    from hashmatch.ledger import Finding, Summary
    from hashmatch.model.hotline import Item

FINDING_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "wrong": "what is wrong, a word of a closed list (docs/explain/evidence.md)",
        "where": "the file; empty of a row of a job",
        "line": "line in that file, from 1; of a row of a job, its number of the submission",
        "seq": "number of the record, -1 where none can be read",
        "digest": "of the record that a row of a job names, else empty",
        "detail": "a sentence for people",
    }
)
"""Keys of a line of ``verify --json`` for something that is wrong."""

SUMMARY_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "ledger": "id of the ledger",
        "records": "records that were read, those of the ledger itself included",
        "last": "number of the last one",
        "digest": "of the last one",
        "heads": "signed heads that fit",
        "unvouched": "records after the last head that fits: nothing but the chain holds them",
        "own_keys_only": "no `--key` was given, so the heads were held against the keys that the ledger names itself",
        "findings": "how much is wrong",
    }
)
"""Keys of the last line of ``verify --json``."""

RECORD_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "digest": "SHA-256 over a zero byte and the record's line",
        "record": "`seq`, `previous`, `at`, `kind` and `body`, as they stand in the ledger",
    }
)
"""Keys of a line of ``show --json``."""

_PLACE = click.Path(path_type=Path, exists=True)


@click.group(cls=Group)
def evidence() -> None:
    """Verify, show and export what URL checks recorded of what they found.

    PLACE is the directory that `urlcheck --evidence` wrote, or a file that `evidence export --format jsonl` did.
    """


@evidence.command(
    "verify",
    epilog=example(
        "hashmatch evidence verify evidence/ --key evidence.key.pub",
        "hashmatch evidence verify evidence/ --key evidence.key.pub --against kept-elsewhere.jsonl --job monday.job",
    ),
)
@click.argument("place", type=_PLACE)
@click.option("--key", "keys", multiple=True, type=_PLACE, metavar="PUB", help="Public key whose heads are believed.")
@click.option(
    "--against", multiple=True, type=_PLACE, metavar="HEADS", help="Signed heads that were kept elsewhere; repeatable."
)
@click.option("--job", type=_PLACE, help="Job file whose rows must say what the evidence says.")
@pass_options
def verify(
    options: GlobalOptions, place: Path, *, keys: tuple[Path, ...], against: tuple[Path, ...], job: Path | None
) -> ExitCode:
    """Verify records, chain and signed heads.

    Exit codes: 0 nothing is wrong, 5 something is; every finding says which record.
    """
    from hashmatch.hotline.proof import evidence_store
    from hashmatch.signatures import load_verify_key

    output = Output(options)
    summary, findings = evidence_store.checked(
        place, keys=[load_verify_key(path) for path in keys], against=list(against)
    )
    wrong = 0
    with output.results("what", "where", "line", "record", "detail") as results:
        for finding in findings:
            results.add(_finding(finding), finding.wrong, finding.where, finding.line, finding.seq, finding.detail)
        if job is not None:
            for mismatch in evidence_store.compared(place, _rows(job)):
                where = f"submission {mismatch.number}, row {mismatch.position}"
                results.add(_mismatch(mismatch), mismatch.kind, where, None, mismatch.digest[:16], mismatch.detail)
        wrong = results.count
        if output.json:
            results.add(_summary(summary, wrong))
    _remark(output, summary, wrong)
    return ExitCode.INTEGRITY if wrong else ExitCode.CLEAN


@evidence.command("show", epilog=example("hashmatch evidence show evidence/ 5f0c2a91 | less"))
@click.argument("place", type=_PLACE)
@click.argument("digests", nargs=-1, required=True, metavar="DIGEST...")
@pass_options
def show(options: GlobalOptions, place: Path, digests: tuple[str, ...]) -> ExitCode:
    """Print records by their digests, or the beginnings of them.

    The record is not verified on its own: `evidence verify` says whether it is part of what was signed.
    """
    from hashmatch.hotline.proof import evidence_store

    with Output(options).results("digest", "record") as results:
        for name in digests:
            kept = evidence_store.found(place, name)
            document = json.loads(kept.line)
            results.add({"digest": kept.digest, "record": document}, kept.digest, json.dumps(document))
    return ExitCode.CLEAN


@evidence.command(
    "export",
    epilog=example(
        "hashmatch evidence export evidence/ --format warc -o monday.warc",
        "hashmatch evidence export evidence/ --format jsonl -o monday.jsonl",
    ),
)
@click.argument("place", type=_PLACE)
@click.option("--format", "form", type=click.Choice(["jsonl", "warc"]), required=True, help="What is written.")
@click.option("-o", "--output", "name", default="-", metavar="FILE", help="Where to; default: standard output.")
@pass_options
def export(options: GlobalOptions, place: Path, *, form: str, name: str) -> ExitCode:
    """Write evidence out, whole.

    `jsonl`: every line of the ledger as it stands, which `evidence verify` takes like the directory, together with
    the heads (`heads.jsonl` in the directory). `warc`: heads of answers for the tools of web archives; no payload.
    """
    with opened_for_writing(name) as stream:
        for part in _exported(place, form, name):
            stream.write(part)
    Output(options).remark(f"{name}: written, not verified; `hashmatch evidence verify {place}` does that")
    return ExitCode.CLEAN


def _exported(place: Path, form: str, name: str) -> Iterator[bytes]:
    from hashmatch import __version__
    from hashmatch.hotline.proof import evidence_store, warc

    if form == "jsonl":
        return (line + b"\n" for line in evidence_store.lines(place))
    kept: Iterable[Kept] = evidence_store.read(place)
    filename = "evidence.warc" if name == "-" else Path(name).name
    return warc.archive(kept, filename=filename, version=__version__)


def _rows(job: Path) -> Iterator[tuple[int, Item]]:
    """Yield the rows of a job with their positions in their submissions."""
    from hashmatch.hotline.jobs.job import JobFile

    with JobFile.open(job) as opened:
        number = position = 0
        for submission, item in opened.results.items():
            position = position + 1 if submission.number == number else 0
            number = submission.number
            yield position, item


def _finding(finding: Finding) -> dict[str, object]:
    said = (finding.wrong.value, finding.where, finding.line, finding.seq, "", finding.detail)
    return dict(zip(FINDING_FIELDS, said, strict=True))


def _mismatch(mismatch: Mismatch) -> dict[str, object]:
    said = (mismatch.kind.value, "", mismatch.number, -1, mismatch.digest, mismatch.detail)
    return dict(zip(FINDING_FIELDS, said, strict=True))


def _summary(summary: Summary, wrong: int) -> dict[str, object]:
    said = (summary.ledger, summary.records, summary.seq, summary.digest, summary.heads, summary.unvouched,
            summary.own_keys_only, wrong)  # fmt: skip
    return dict(zip(SUMMARY_FIELDS, said, strict=True))


def _remark(output: Output, summary: Summary, wrong: int) -> None:
    output.remark(f"{summary.records} records, {summary.heads} signed heads that fit, {wrong} findings")
    if summary.unvouched > 0:
        output.remark(f"no head vouches for the last {summary.unvouched} records; the chain alone holds them")
    if summary.own_keys_only:
        output.remark("no --key was given: whoever wrote this could have chosen the key that it names")
