"""``hashmatch hashset diff``: what is different between two lists, each a set of the catalog or a file.

Theory of operation
-------------------
A file is imported into an empty catalog of its own, in a temporary directory that only its owner can enter: so its rows
are merged, checked and ordered as an import would, in constant memory, and both sides can be read side by side.

What this module deliberately does not do: it changes neither side.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output
from hashmatch.errors import BadInput, ExitCode
from hashmatch.model import Entry, HarmDomain

if TYPE_CHECKING:
    from hashmatch.exchange.difference import Summary

DIFFERENCE_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "entry_id": "identity within the set",
        "what": "`added`, `removed`, or the names of what differs: `status`, `hashes`, `labels` ...",
        "before": "the entry in OLD, null if it is not there",
        "after": "the entry in NEW, null if it is not there",
    }
)
"""Keys of one row of ``diff --json``."""

SUMMARY_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "added": "entries only in NEW",
        "removed": "entries only in OLD",
        "changed": "entries that differ",
        "withdrawn": "of those, withdrawn in NEW and not in OLD",
        "unchanged": "entries that are the same",
    }
)
"""Keys of the last row of ``diff --json``."""

_SET = "file"


@click.command(
    "diff",
    cls=Command,
    epilog=example("hashmatch hashset diff known update.jsonl", "hashmatch hashset diff monday.csv tuesday.csv --json"),
)
@click.argument("old")
@click.argument("new")
@click.option("--format", "format_name", default="auto", show_default=True, metavar="FORMAT", help="Of files.")
@click.option("--identity", type=click.Path(path_type=Path), metavar="FILE", help="Decrypt with this age identity.")
@pass_options
def diff(options: GlobalOptions, old: str, new: str, format_name: str, identity: Path | None) -> ExitCode:
    """Print what is different between OLD and NEW, each the name of a set or a file.

    When an entry was received is not compared. An import merges: of a file that lacks an entry, nothing is removed.

    Exit codes: 0 no difference, 1 different, 3 a file had rows that were rejected.
    """
    from hashmatch.exchange.difference import Summary, differences
    from hashmatch.report.json import entry_to_json

    output, summary = Output(options), Summary()
    with contextlib.ExitStack() as opened:
        before_side, refused = opened.enter_context(_side(options, old, output, format_name, identity))
        after_side, also_refused = opened.enter_context(_side(options, new, output, format_name, identity))
        with output.results("entry", "what") as results:
            for item in differences(before_side, after_side, summary):
                before, after = (None if side is None else entry_to_json(side) for side in (item.before, item.after))
                record = {"entry_id": item.entry_id, "what": item.what, "before": before, "after": after}
                results.add(record, item.entry_id, ", ".join(item.what))
    _print_summary(output, summary)
    if refused or also_refused:
        return ExitCode.SKIPPED
    return ExitCode.CLEAN if summary.equal else ExitCode.MATCHED


@contextlib.contextmanager
def _side(
    options: GlobalOptions, side: str, output: Output, format_name: str, identity: Path | None
) -> Iterator[tuple[Iterator[Entry], int]]:
    """Yield the entries of one side in order, and how many rows of it were rejected."""
    from hashmatch.catalog.sqlite import SqliteCatalog
    from hashmatch.cli import transfer
    from hashmatch.cli.signed import Trust

    if not Path(side).is_file():
        from hashmatch.cli.hashset import open_catalog

        if "/" in side or "." in side:
            raise BadInput(f"there is no file {side}, and no set is called so", field="file")
        with open_catalog(options) as catalog, contextlib.closing(catalog.entries(side)) as entries:
            yield entries, 0
        return
    with contextlib.ExitStack() as opened:
        folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="hashmatch-diff-"))
        catalog = opened.enter_context(SqliteCatalog.open(Path(folder) / "catalog.sqlite3"))
        target = transfer.Target(_SET, HarmDomain.OTHER, make=True)
        trust = Trust(identity=identity, unsigned=True)
        result = transfer.read_into(catalog, target, side, output, notation=transfer.Notation(format_name), trust=trust)
        transfer.print_rejections(result, side, output)
        yield opened.enter_context(contextlib.closing(catalog.entries(_SET))), result.rejected


def _print_summary(output: Output, summary: Summary) -> None:
    record = {name: getattr(summary, name) for name in SUMMARY_FIELDS}
    with output.results(*SUMMARY_FIELDS) as results:
        results.add(record, *record.values())
