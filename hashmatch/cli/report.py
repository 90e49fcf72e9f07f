"""``hashmatch report``: cases opened, shown, told in any format, sent, found right or wrong, and counted.

Theory of operation
-------------------
The commands work on the catalog that the configuration names, beside a running service if there is one: what is queued
here, the service delivers. ``report deliver`` does so where none runs.

What this module deliberately does not do: it knows no rule; ``service.casework`` does.
"""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

from hashmatch.cli import report_find, report_relay, report_send, report_stats
from hashmatch.cli.cases import (
    CASE_COLUMNS,
    CASE_FIELDS,
    add_case,
    casework,
    delivery_record,
    json_of,
    print_cases,
    print_deliveries,
)
from hashmatch.cli.options import GlobalOptions, Group, example, pass_options
from hashmatch.cli.output import Output
from hashmatch.errors import BadInput, ExitCode
from hashmatch.model import HarmDomain
from hashmatch.model.cases import CaseState

SHOW_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        **CASE_FIELDS,
        "deliveries": "what was or is to be sent of it, as lines of `report send`",
        "events": "`at`, `actor`, `what`, `reason` and `delivery_id`, oldest first",
        "holds": "`hold_id`, `handle`, `deadline`, `released_at`",
    }
)
"""Keys of the one line of ``report show``."""


@click.group(cls=Group)
def report() -> None:
    """Report matches: open cases, render and send them, confirm or reject matches, see figures."""


@report.command(
    "create",
    epilog=example(
        "hashmatch detect upload.jpg --json > match.json",
        "hashmatch report create --match match.json --facts facts.json --by anna",
    ),
)
@click.option("--match", "match_file", required=True, type=click.File("rb"), help="One line of `detect --json`.")
@click.option("--facts", "facts_file", required=True, type=click.File("rb"), help="What only you know, a JSON object.")
@click.option("--key", default="", metavar="TEXT", help="Idempotency key: the same request again is the same case.")
@click.option("--by", "actor", metavar="WHO", help="Who opens it; default: the user's login name.")
@pass_options
def create(options: GlobalOptions, match_file: Any, facts_file: Any, *, key: str, actor: str | None) -> ExitCode:
    """Open a case from a match and the facts; docs/guide/reporting.md lists them.

    viewed_by_human and exif_viewed must be said: nobody but you knows.
    """
    from hashmatch.cli.hashset import login_name
    from hashmatch.model.cases import Facts
    from hashmatch.report.plain import from_plain

    receipt = _receipt_of(json_of(match_file, "match"))
    facts = from_plain(Facts, json_of(facts_file, "facts"), "facts")
    with casework(options) as work:
        case = work.open(receipt, facts, actor=actor or login_name(), idempotency_key=key)
    print_cases(Output(options), case)
    return ExitCode.CLEAN


@report.command("list", epilog=example("hashmatch report list --state open", "hashmatch report list --json"))
@click.option("--state", type=click.Choice([state.value for state in CaseState]), help="Only cases that stand there.")
@click.option("--domain", type=click.Choice([domain.value for domain in HarmDomain]), help="Only cases of that domain.")
@pass_options
def list_(options: GlobalOptions, *, state: str | None, domain: str | None) -> ExitCode:
    """List cases, oldest first."""
    from hashmatch.cases.store import MAX_PAGE

    output, after = Output(options), ""
    with casework(options) as work, output.results(*CASE_COLUMNS) as results:
        while page := work.page(
            after=after,
            state=None if state is None else CaseState(state),
            domain=None if domain is None else HarmDomain(domain),
            most=MAX_PAGE,
        ):
            for case in page:
                add_case(results, case)
            after = page[-1].case_id
    return ExitCode.CLEAN


@report.command("show", epilog=example("hashmatch report show 0f4c1c1e-3a7e-4bb4-8f5e-6f0a3b1d2c3e --json"))
@click.argument("case_id")
@pass_options
def show(options: GlobalOptions, case_id: str) -> ExitCode:
    """Show a case with its deliveries, holds and history."""
    from hashmatch.report.plain import to_plain

    output = Output(options)
    with casework(options) as work:
        file = work.get(case_id)
    record = {
        "case": to_plain(file.case),
        "deliveries": [delivery_record(item) for item in file.deliveries],
        "events": [to_plain(item) for item in file.events],
        "holds": [to_plain(item) for item in file.holds],
    }
    if options.json:
        with output.results(*SHOW_FIELDS) as results:
            results.add(record)
        return ExitCode.CLEAN
    print_cases(output, file.case)
    print_deliveries(output, *file.deliveries)
    with output.results("at", "who", "what", "why", "delivery") as results:
        for event in file.events:
            cells = (event.actor, event.what, event.reason, event.delivery_id)
            results.add({}, event.at.isoformat(timespec="seconds"), *cells)
    with output.results("hold", "of what", "until", "released") as results:
        for hold in file.holds:
            released = "" if hold.released_at is None else hold.released_at.isoformat(timespec="seconds")
            results.add({}, hold.hold_id, hold.handle, hold.deadline.date().isoformat(), released)
    return ExitCode.CLEAN


@report.command(
    "render",
    epilog=example(
        "hashmatch report render 0f4c1c1e --format cybertip",
        "hashmatch report render 0f4c1c1e --format letter --language nl --output letter/",
        "hashmatch report render 0f4c1c1e 5b0c2d7e --format iccam --output monday/",
    ),
)
@click.argument("case_ids", nargs=-1, required=True, metavar="CASE_ID...")
@click.option("--format", "name", required=True, metavar="FORMAT", help="As `report formats` lists them.")
@click.option("--language", default="en", help="Of letters: en, nl, fr or de.")
@click.option("--recipient", default="", metavar="TEXT", help="Whom a letter is for.")
@click.option("--audience", default="", metavar="WHO", help="Of letters: `police`, in place of a host or platform.")
@click.option("--subject", "subject_file", type=click.File("rb"), help="Whom it is about, a JSON object; not kept.")
@click.option("--output", type=click.Path(path_type=Path), help="Directory for the document and its parts.")
@pass_options
def render(
    options: GlobalOptions,
    case_ids: tuple[str, ...],
    *,
    name: str,
    language: str,
    recipient: str,
    audience: str,
    subject_file: Any,
    output: Path | None,
) -> ExitCode:
    """Write a case in a format to standard output, or with all its parts into a directory. Nothing is sent.

    Several cases make one document in cybertip (of one viral file), dsa16, dsa-sor, iccam and letter.
    """
    from hashmatch.model.cases import Subject
    from hashmatch.report.plain import from_plain

    subject = None if subject_file is None else from_plain(Subject, json_of(subject_file, "subject"), "subject")
    said = {"language": language, "recipient": recipient, "audience": audience}
    with casework(options) as work:
        if len(case_ids) == 1:
            document = work.render(case_ids[0], name, subject=subject, **said)
        elif subject is None:
            document = work.render_several(case_ids, name, **said)
        else:
            raise BadInput("subject: is of one case; render that one alone", field="subject")
    if output is None:
        sys.stdout.buffer.write(document.body)
        return ExitCode.CLEAN
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / document.file_name).write_bytes(document.body)
        for part, body in document.parts:
            (output / f"{document.file_name}.{part}").write_bytes(body)
    except OSError as error:
        raise BadInput(f"cannot write into {output}: {error.strerror}", field="output") from error
    return ExitCode.CLEAN


@report.command("formats", epilog=example("hashmatch report formats", "hashmatch report formats --case 0f4c1c1e"))
@click.option("--case", "case_id", default="", metavar="CASE_ID", help="Only those that this case may be told in.")
@pass_options
def formats_(options: GlobalOptions, *, case_id: str) -> ExitCode:
    """List the formats of reports, and which outlets take them."""
    from hashmatch.projections import formats
    from hashmatch.projections.domains import ALLOWED, formats_of

    allowed = tuple(ALLOWED)
    if case_id:
        with casework(options) as work:
            allowed = formats_of(work.get(case_id).case)
    output = Output(options)
    with output.results("format", "what it is", "outlets", "domains") as results:
        for name in allowed:
            row = formats.FORMATS[name]
            outlets = sorted(kind.value for kind in row.outlets)
            domains = sorted(domain.value for domain in ALLOWED[name])
            record = {"format": name, "what": row.what, "outlets": outlets, "domains": domains}
            results.add(record, name, row.what, ", ".join(outlets), ", ".join(domains))
    return ExitCode.CLEAN


def _receipt_of(match: Any) -> bytes:
    text = match.get("receipt") if isinstance(match, Mapping) else None
    if not isinstance(text, str):
        raise BadInput("match: has no receipt; only a match or a possible match has one", field="match")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise BadInput(f"match: its receipt is not base64: {error}", field="match") from error


for _command in (
    report_send.send,
    report_send.outbox,
    report_send.decide,
    report_send.deliver,
    report_relay.relay,
    report_find.confirm,
    report_find.reject,
    report_find.close,
    report_find.reopen,
    report_find.complaint,
    report_find.hold,
    report_find.release,
    report_stats.stats,
):
    report.add_command(_command)
