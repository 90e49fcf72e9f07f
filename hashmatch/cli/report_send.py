"""``hashmatch report send``, ``outbox``, ``decide`` and ``deliver``: documents on their way."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from hashmatch.cli.cases import casework, print_deliveries
from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output
from hashmatch.errors import ExitCode
from hashmatch.model.cases import Environment
from hashmatch.model.deliveries import DeliveryDecision, DeliveryState

MOST = 1_000


@click.command(
    "send",
    cls=Command,
    epilog=example(
        "hashmatch report send 0f4c1c1e --to ncmec-test --environment test",
        "hashmatch report send 0f4c1c1e --to abuse-mail --environment production --format xarf "
        "--recipient abuse@hoster.example",
        "hashmatch report send 0f4c1c1e 5b0c2d7e --to abuse-mail --environment production --format letter --hold "
        "--recipient abuse@hoster.example",
    ),
)
@click.argument("case_ids", nargs=-1, required=True, metavar="CASE_ID...")
@click.option("--to", "outlet", required=True, metavar="OUTLET", help="An outlet of the configuration.")
@click.option(
    "--environment",
    required=True,
    type=click.Choice([environment.value for environment in Environment]),
    help="Which world is meant; an outlet of the other one is refused.",
)
@click.option("--format", default="", metavar="FORMAT", help="Where the outlet has none of its own.")
@click.option("--language", default="en", help="Of letters: en, nl, fr or de.")
@click.option("--recipient", default="", metavar="ADDRESS", help="Of mail: where it goes.")
@click.option("--audience", default="", metavar="WHO", help="Of letters: `police`, in place of a host or platform.")
@click.option("--hold", "held", is_flag=True, help="Waits for a second person, whatever the outlet says.")
@click.option("--with-file", is_flag=True, help="The file will be relayed, by `report relay` or RelayFile.")
@click.option(
    "--key",
    "idempotency_key",
    default="",
    metavar="TEXT",
    help="Idempotency key: another one sends the same once more.",
)
@click.option("--by", "actor", metavar="WHO", help="Who sends it; default: the user's login name.")
@pass_options
def send(
    options: GlobalOptions,
    /,
    case_ids: tuple[str, ...],
    *,
    outlet: str,
    environment: str,
    actor: str | None,
    **given: Any,
) -> ExitCode:
    """Queue a case, or several in one document, for an outlet. The service delivers it, or `report deliver`.

    It is rendered at once, and refused if the harm domain or a rule of the format forbids it.
    """
    from hashmatch.cli.hashset import login_name
    from hashmatch.service.casework import Sending

    sending = Sending(outlet=outlet, environment=Environment(environment), **given)
    with casework(options) as work:
        queued = work.send_several(case_ids, sending, actor=actor or login_name())
    print_deliveries(Output(options), queued)
    return ExitCode.CLEAN


@click.command(
    "outbox", cls=Command, epilog=example("hashmatch report outbox --state dead", "hashmatch report outbox --json")
)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in DeliveryState]),
    help="Only deliveries that stand there.",
)
@click.option("--outlet", default="", metavar="OUTLET", help="Only deliveries for that outlet, configured or not.")
@pass_options
def outbox(options: GlobalOptions, *, states: tuple[str, ...], outlet: str) -> ExitCode:
    """List deliveries, by default those that are not at their end: the oldest 1,000 of each state.

    Says which of them wait for an outlet that is not configured, and which a person has to decide before their case is
    erased.
    """
    from hashmatch.outbox.states import FINAL

    wanted = [DeliveryState(state) for state in states] or [state for state in DeliveryState if state not in FINAL]
    output = Output(options)
    with casework(options) as work:
        found = [delivery for state in wanted for delivery in work.outbox.in_state(state, MOST)]
        undecided, unknown = work.undecided(), work.unknown_outlets()
    listed = [delivery for delivery in found if not outlet or delivery.outlet == outlet]
    print_deliveries(output, *listed)
    for name, count in unknown.items():
        output.remark(f"{count} wait for the outlet {name}, which is not configured: configure it, or cancel them")
    for delivery in listed:
        if (erased_at := undecided.get(delivery.delivery_id)) is not None:
            output.remark(
                f"{delivery.delivery_id} is {delivery.state.value}: decide before {erased_at.date().isoformat()}, when "
                "its case is erased, and with it what it sends"
            )
    return ExitCode.CLEAN


@click.command(
    "decide",
    cls=Command,
    epilog=example(
        "hashmatch report decide 7a1e2f release --by ben",
        "hashmatch report decide 7a1e2f retry --reason 'address corrected'",
    ),
)
@click.argument("delivery_id")
@click.argument("decision", type=click.Choice([decision.value for decision in DeliveryDecision]))
@click.option("--reason", default="", metavar="TEXT", help="Why; kept with the case.")
@click.option("--by", "actor", metavar="WHO", help="Who decides; default: the user's login name.")
@pass_options
def decide(options: GlobalOptions, delivery_id: str, *, decision: str, reason: str, actor: str | None) -> ExitCode:
    """Release what a second person must see, retry a dead or unsure delivery, cancel one, or confirm an unsure one."""
    from hashmatch.cli.hashset import login_name
    from hashmatch.outbox.states import DeliveryEvent

    with casework(options) as work:
        changed = work.decide(delivery_id, DeliveryEvent(decision), actor=actor or login_name(), reason=reason)
    print_deliveries(Output(options), changed)
    return ExitCode.CLEAN


@click.command("deliver", cls=Command, epilog=example("hashmatch report deliver"))
@pass_options
def deliver(options: GlobalOptions) -> ExitCode:
    """Deliver what is due now, erase what has expired, then end: for where no service runs, or from a timer.

    Exit codes: 0 nothing is left that is due, 3 something is dead or unsure and waits for a person.
    """
    from hashmatch.service.desk import Desk

    config = options.load_config()
    with casework(options) as work:

        async def run() -> int:
            desk = Desk(work, config)
            try:
                return await desk.deliver()
            finally:
                await desk.close()

        tries = asyncio.run(run())
        stuck = [
            delivery
            for state in (DeliveryState.DEAD, DeliveryState.UNSURE)
            for delivery in work.outbox.in_state(state, MOST)
        ]
    output = Output(options)
    output.remark(f"{tries} tries")
    print_deliveries(output, *stuck)
    return ExitCode.SKIPPED if stuck else ExitCode.CLEAN
