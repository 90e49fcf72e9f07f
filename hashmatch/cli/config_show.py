"""``hashmatch config show``: every setting, its value, where that came from and why the default is what it is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import click

from hashmatch.cli.options import Command, GlobalOptions, Group, example, pass_options
from hashmatch.cli.output import Output, Styled
from hashmatch.config import rows
from hashmatch.errors import ExitCode

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "name": "dotted name of the setting; `HASHMATCH_SERVER_LISTEN` sets `server.listen`",
        "value": "value in force",
        "default": "value when nobody says otherwise",
        "unit": "unit of the value, empty where it has none",
        "origin": "where the value comes from: `default`, `file` or `environment`",
        "why": "reason or precedent for the default",
    }
)
"""Keys of one line of ``config show --json``."""


@click.group(cls=Group, name="config")
def config() -> None:
    """Look at the configuration."""


@config.command(
    "show",
    cls=Command,
    epilog=example("hashmatch config show", "hashmatch --config hashmatch.toml config show --json"),
)
@pass_options
def show(options: GlobalOptions) -> ExitCode:
    """Print every setting with its value, unit, origin and the reason for the default."""
    output = Output(options)
    with output.results("name", "value", "unit", "origin", "why") as results:
        for row in rows(options.load_config(), options.config_path):
            record = {name: getattr(row, name) for name in FIELDS}
            value = _shown_value(row.value)
            changed = Styled(value, "bold") if row.origin != "default" else value
            results.add(record, row.name, changed, row.unit, row.origin, row.why)
    return ExitCode.CLEAN


def _shown_value(value: object) -> str:
    """Return the value as it is written in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:_}" if isinstance(value, int) else str(value)
