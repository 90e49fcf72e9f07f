"""``hashmatch hashset vote``: record what a party thinks of an entry.

What this module deliberately does not do: it moves no entry; ``dispute``, ``withdraw`` and ``reinstate`` do.
"""

from __future__ import annotations

import click

from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output
from hashmatch.errors import ExitCode
from hashmatch.model import Opinion, Stance


@click.command(
    "vote",
    cls=Command,
    epilog=example(
        "hashmatch hashset vote known a1b2 agree --reason 'reviewed' --by hotline.example",
        "hashmatch hashset vote known a1b2 disagree --reason 'another picture' --by police.example --algorithm pdq",
    ),
)
@click.argument("name")
@click.argument("entry")
@click.argument("stance", type=click.Choice([stance.value for stance in Stance]))
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept with the entry.")
@click.option("--by", "who", metavar="WHO", help="Whose opinion it is; default: the user's login name.")
@click.option("--algorithm", default="", metavar="NAME", help="Of the entry's hash of this algorithm only.")
@pass_options
def vote(
    options: GlobalOptions, name: str, entry: str, *, stance: str, reason: str, who: str | None, algorithm: str
) -> ExitCode:
    """Record that a party agrees or disagrees with an entry; `hashset history` tells it.

    It takes the place of what the party thought before, and changes neither the entry's status nor any verdict; for
    that there are dispute, withdraw and reinstate.
    """
    from hashmatch.cli.hashset import login_name, open_catalog, print_sets

    actor = login_name()
    opinion = Opinion(who or actor, Stance(stance), reason, algorithm=algorithm)
    with open_catalog(options) as catalog:
        changed = catalog.vote(name, entry, opinion, actor=actor)
    print_sets(Output(options), changed)
    return ExitCode.CLEAN
