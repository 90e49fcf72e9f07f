"""Options of whatever fetches reported URLs: who is asked, which way out, where evidence is kept, and looking again.

What this module deliberately does not do: it opens nothing.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashmatch.cli.connection import Server, connects
from hashmatch.cli.options import GlobalOptions
from hashmatch.errors import BadInput, ExitCode

if TYPE_CHECKING:
    from hashmatch.cli.checking import EvidenceWanted
    from hashmatch.config import Config

Action = Callable[..., ExitCode]


@dataclass(frozen=True, slots=True)
class Ways:
    """What was said of them. ``evidence_key`` is None where the one in the data directory signs."""

    server: Server | None = None
    evidence: Path | None = None
    evidence_key: Path | None = None
    respect_robots: bool = False
    proxy: str | None = None

    def configured(self, options: GlobalOptions) -> Config:
        """Return the configuration with what was said laid over it. Raises BadConfig."""
        config = options.load_config()
        hotline = dataclasses.replace(
            config.hotline,
            respect_robots=config.hotline.respect_robots or self.respect_robots,
            proxy=config.hotline.proxy if self.proxy is None else self.proxy,
        )
        return dataclasses.replace(config, hotline=hotline)

    def evidence_wanted(self, options: GlobalOptions) -> EvidenceWanted | None:
        """Return where evidence is kept and which key signs it; None where none is wanted."""
        if self.evidence is None:
            return None
        from hashmatch.cli.checking import EvidenceWanted
        from hashmatch.hotline.proof.evidence import KEY_FILE

        return EvidenceWanted(self.evidence, self.evidence_key or options.make_data_dir() / KEY_FILE)


_PATH = click.Path(path_type=Path)
_WAYS = (
    click.option("--evidence", type=_PATH, metavar="DIR", help="Keep signed evidence in this ledger."),
    click.option(
        "--evidence-key", type=_PATH, metavar="FILE", help="Sign it with this key; default: one in the data directory."
    ),
    click.option("--respect-robots", is_flag=True, help="Fetch nothing that robots.txt disallows."),
    click.option("--proxy", metavar="URL", help="Fetch everything through this proxy, e.g. socks5h://127.0.0.1:9050."),
)


def takes_ways(function: Action) -> Action:
    """Give a command these options; its function gets them as ``ways``."""

    @functools.wraps(function)
    def with_ways(options: GlobalOptions, **given: Any) -> ExitCode:
        ways = Ways(**{item.name: given.pop(item.name) for item in dataclasses.fields(Ways)})
        return function(options, ways=ways, **given)

    for option in reversed(_WAYS):
        option(with_ways)
    return connects("Ask this server; default: search the embedded catalog in this process.")(with_ways)


def rechecks(function: Action) -> Action:
    """Let a command that takes ways look again at a job instead, with ``--recheck``."""

    @functools.wraps(function)
    def with_recheck(
        options: GlobalOptions, *, ways: Ways, recheck: Path | None, follow: bool, **given: Any
    ) -> ExitCode:
        if recheck is None:
            if follow:
                raise BadInput("--follow goes with --recheck", field="follow")
            return function(options, ways=ways, **given)
        others = sorted(name for name, value in given.items() if value)
        if others:
            raise BadInput(f"--recheck goes on with a job; leave out {', '.join(others)}", field="recheck")
        from hashmatch.cli.hotline_recheck import recheck_job

        return recheck_job(options, ways, recheck, follow=follow)

    click.option("--follow", is_flag=True, help="With --recheck: until nothing will be due; SIGTERM ends it.")(
        with_recheck
    )
    click.option(
        "--recheck", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="JOB",
        help="Look again at what this job found, as far as that is due.",
    )(with_recheck)  # fmt: skip
    return with_recheck
