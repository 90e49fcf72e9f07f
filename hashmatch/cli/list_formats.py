"""``hashmatch hashset formats``: which lists can be read and written.

What this module deliberately does not do: it knows no format; ``exchange/formats.py`` is the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import click

from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output
from hashmatch.errors import ExitCode

FORMAT_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "name": "for `--format`",
        "title": "what it is",
        "suffixes": "suffixes that tell where the content does not",
        "written": "whether `export` writes it",
        "known_good": "whether it lists what is not harmful, for allow-lists",
        "options": "names of options for `import --option`, with what they mean",
    }
)
"""Keys of a row of ``formats --json``."""


@click.command("formats", cls=Command, epilog=example("hashmatch hashset formats"))
@pass_options
def formats(options: GlobalOptions) -> ExitCode:
    """List the formats of lists, the more particular first: the order in which they are recognised."""
    from hashmatch.exchange.formats import FORMATS

    with Output(options).results("name", "format", "suffixes", "written", "options") as results:
        for entry in FORMATS.values():
            record: dict[str, object] = {"name": entry.name, "title": entry.title, "known_good": entry.known_good}
            record |= {"suffixes": list(entry.suffixes), "written": entry.writer is not None}
            record |= {"options": dict(entry.options)}
            written = "yes" if entry.writer is not None else "no"
            explained = "; ".join(f"{name}: {meaning}" for name, meaning in entry.options.items())
            results.add(record, entry.name, entry.title, " ".join(entry.suffixes), written, explained)
    return ExitCode.CLEAN
