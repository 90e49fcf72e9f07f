"""``hashmatch report confirm``, ``reject``, ``close``, ``reopen``, ``hold`` and ``release``: what people decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from hashmatch.cli.cases import casework, print_cases
from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output
from hashmatch.errors import ExitCode

if TYPE_CHECKING:
    from hashmatch.model.deliveries import Hold
    from hashmatch.service.casework import Casework

HOLD_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "hold_id": "names it",
        "case_id": "the case that it is of",
        "handle": "what the caller's own store calls the material",
        "deadline": "until when it is kept",
        "created_at": "when it began",
        "released_at": "when it ended; null while it lasts",
    }
)
"""Keys of the line of ``report hold`` and ``report release``."""


def _found(name: str, explained: str, *, confirmed: bool) -> click.Command:
    @click.command(
        name, cls=Command, help=explained, epilog=example(f"hashmatch report {name} 0f4c1c1e --reason 'seen' --by anna")
    )
    @click.argument("case_id")
    @click.option("--reason", required=True, metavar="TEXT", help="Why; kept with the case and its entries.")
    @click.option("--by", "actor", metavar="WHO", help="Who found it; default: the user's login name.")
    @pass_options
    def command(options: GlobalOptions, case_id: str, *, reason: str, actor: str | None) -> ExitCode:
        from hashmatch.cli.hashset import login_name

        output = Output(options)
        with casework(options) as work:
            finding = work.find(case_id, confirmed=confirmed, actor=actor or login_name(), reason=reason)
        for one in finding.skipped:
            output.remark(f"match {one.position}: no opinion was recorded: {one.reason}")
        print_cases(output, finding.case)
        return ExitCode.SKIPPED if finding.skipped else ExitCode.CLEAN

    return command


confirm = _found(
    "confirm",
    "A person found the match right: an opinion about each entry, and a figure for statistics.",
    confirmed=True,
)
reject = _found(
    "reject", "A person found the match wrong: likewise, and what was not sent yet is cancelled.", confirmed=False
)


def _changing(name: str, explained: str) -> click.Command:
    @click.command(name, cls=Command, help=explained, epilog=example(f"hashmatch report {name} 0f4c1c1e --reason done"))
    @click.argument("case_id")
    @click.option("--reason", default="", metavar="TEXT", help="Why; kept with the case.")
    @click.option("--by", "actor", metavar="WHO", help="Who does it; default: the user's login name.")
    @pass_options
    def command(options: GlobalOptions, case_id: str, *, reason: str, actor: str | None) -> ExitCode:
        from hashmatch.cases.states import CaseEvent
        from hashmatch.cli.hashset import login_name

        with casework(options) as work:
            case = work.change(case_id, CaseEvent(name), actor=actor or login_name(), reason=reason)
        print_cases(Output(options), case)
        return ExitCode.CLEAN

    return command


close = _changing("close", "Close a case; it is kept until its retention time has passed.")
reopen = _changing("reopen", "Open a closed or rejected case again.")


@click.command(
    "complaint", cls=Command, epilog=example("hashmatch report complaint 0f4c1c1e --upheld --reason 'another picture'")
)
@click.argument("case_id")
@click.option("--upheld", is_flag=True, help="The decision was reversed.")
@click.option("--reason", required=True, metavar="TEXT", help="What came of it; kept with the case. No personal data.")
@click.option("--by", "actor", metavar="WHO", help="Who decided; default: the user's login name.")
@pass_options
def complaint(options: GlobalOptions, case_id: str, *, upheld: bool, reason: str, actor: str | None) -> ExitCode:
    """Record that a user complained about the decision: a figure that yearly reports ask for."""
    from hashmatch.cli.hashset import login_name

    with casework(options) as work:
        case = work.complain(case_id, upheld=upheld, actor=actor or login_name(), reason=reason)
    print_cases(Output(options), case)
    return ExitCode.CLEAN


@click.command(
    "hold", cls=Command, epilog=example("hashmatch report hold 0f4c1c1e evidence-store://17 --days 365 --by anna")
)
@click.argument("case_id")
@click.argument("handle")
@click.option("--days", type=int, help="How long; default: cases.hold_days.")
@click.option("--by", "actor", metavar="WHO", help="Who wants it; default: the user's login name.")
@pass_options
def hold(options: GlobalOptions, case_id: str, handle: str, *, days: int | None, actor: str | None) -> ExitCode:
    """Remember that your own store keeps the material named by HANDLE until a deadline; nothing of it comes here."""
    from hashmatch.cli.hashset import login_name

    return _print_hold(options, lambda work: work.hold(case_id, handle, actor=actor or login_name(), days=days))


@click.command(
    "release", cls=Command, epilog=example("hashmatch report release 0f4c1c1e HOLD_ID --reason 'handed over'")
)
@click.argument("case_id")
@click.argument("hold_id")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept with the case.")
@click.option("--by", "actor", metavar="WHO", help="Who ends it; default: the user's login name.")
@pass_options
def release(options: GlobalOptions, case_id: str, hold_id: str, *, reason: str, actor: str | None) -> ExitCode:
    """End a hold before its deadline."""
    from hashmatch.cli.hashset import login_name

    return _print_hold(options, lambda work: work.release(case_id, hold_id, actor=actor or login_name(), reason=reason))


def _print_hold(options: GlobalOptions, act: Callable[[Casework], Hold]) -> ExitCode:
    from hashmatch.report.plain import to_plain

    output = Output(options)
    with casework(options) as work:
        done = act(work)
    record = {name: to_plain(getattr(done, name)) for name in HOLD_FIELDS}
    with output.results(*HOLD_FIELDS) as results:
        results.add(record, *(None if value is None else str(value) for value in record.values()))
    return ExitCode.CLEAN
