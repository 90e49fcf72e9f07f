"""``hashmatch keys change``: another role, set or quota for a caller that keeps its key.

Theory of operation
-------------------
An option replaces all that was said before of its kind, so that a command says what holds from then on, whatever held
until then; what is not named stays. Quotas are one thing each: one is set, or given back to ``[server.quota]``.

What this module deliberately does not do: it makes and ends no key, and it writes no audit. A service that takes the
change records it (``access.changed``), as it does with one that was made by hand.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output
from hashmatch.errors import BadInput, ExitCode
from hashmatch.identity.roles import Role
from hashmatch.sections import QuotaConfig

if TYPE_CHECKING:
    from hashmatch.identity.accounts import Account


@click.command(
    "change",
    cls=Command,
    epilog=example(
        "hashmatch keys change uploads --role detect --role detail",
        "hashmatch keys change uploads --set hotline --set ncmec --quota calls_per_s=50",
        "hashmatch keys change uploads --all-sets --usual-quota calls_per_s",
    ),
)
@click.argument("name")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice([role.value for role in Role]),
    help="What it may do from now on, and nothing else; again for more.",
)
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="NAME",
    help="A set that it may use from now on, and no other; again for more.",
)
@click.option("--all-sets", is_flag=True, help="It may use all sets.")
@click.option(
    "--quota", "quotas", multiple=True, metavar="NAME=N", help="Instead of server.quota.NAME; 0 for no limit."
)
@click.option(
    "--usual-quota",
    "usual",
    multiple=True,
    type=click.Choice(list(QuotaConfig.__dataclass_fields__)),
    help="As in server.quota again.",
)
@click.option("--description", metavar="TEXT", help="For people.")
@pass_options
def change(options: GlobalOptions, /, name: str, **said: Any) -> ExitCode:
    """Change what a caller may do; its keys and certificates stay as they are.

    A running service takes it within server.access.poll_ms, and its audit says what was and what is.
    """
    from hashmatch.cli import access

    wanted, now = Wanted(**said), access.present()
    wanted.check()
    access.change_file(options, access.edited(name, lambda account: wanted.made_of(account, now)))
    account = access.directory(options).find(name)
    assert account is not None  # noqa: S101  it has just been changed, and nothing is ever removed
    access.print_caller(Output(options), account)
    return ExitCode.CLEAN


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the options say."""

    roles: tuple[str, ...]
    sets: tuple[str, ...]
    all_sets: bool
    quotas: tuple[str, ...]
    usual: tuple[str, ...]
    description: str | None

    def check(self) -> None:
        """Refuse options that contradict each other; raises BadInput."""
        from hashmatch.cli.access import quota

        if self.sets and self.all_sets:
            raise BadInput("set: some sets or all of them, not both", field="set")
        if both := sorted(quota(self.quotas).keys() & set(self.usual)):
            raise BadInput(f"quota: {both[0]} is both set and given back", field="quota")

    def made_of(self, account: Account, now: dt.datetime) -> Account:
        """Return the account as it is from now on; raises BadInput where it is revoked, or is that already."""
        from hashmatch.cli.access import quota
        from hashmatch.identity.accounts import checked

        if account.revoked_at is not None:
            raise BadInput(f"name: {account.name} is revoked; make another caller", field="name")
        kept = {name: amount for name, amount in account.quota.items() if name not in self.usual}
        changed = replace(
            account,
            roles=frozenset(map(Role, self.roles)) or account.roles,
            sets=None if self.all_sets else frozenset(self.sets) or account.sets,
            quota=MappingProxyType({**kept, **quota(self.quotas)}),
            description=account.description if self.description is None else self.description,
        )
        if changed == account:
            raise BadInput(f"name: that is what {account.name} has already; nothing was changed", field="name")
        return checked(replace(changed, changed_at=now))
