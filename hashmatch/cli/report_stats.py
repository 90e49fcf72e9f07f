"""``hashmatch report stats``: tables and plots of what was counted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from hashmatch.cli.cases import casework
from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output
from hashmatch.errors import BadInput, ExitCode

if TYPE_CHECKING:
    from hashmatch.cases.statistics_tables import Table
    from hashmatch.config import OutboxConfig
    from hashmatch.model.figures import Counted

TABLES: Mapping[str, str] = MappingProxyType(
    {
        "monthly": "one row per month",
        "yearly": "one row per year",
        "interim": "what the yearly report under the interim regulation (EU) 2021/1232 asks for",
        "dsa": "what a transparency report under the DSA asks for",
        "ncmec": "reports to the CyberTipline by type of incident",
    }
)
"""Tables of ``report stats``."""


@click.command(
    "stats",
    cls=Command,
    epilog=example(
        "hashmatch report stats",
        "hashmatch report stats --table yearly --by set",
        "hashmatch report stats --table interim --from 2026-01-01 --to 2026-12-31 --csv interim.csv",
        "hashmatch report stats --plot figures/",
    ),
)
@click.option("--table", "name", default="monthly", type=click.Choice(list(TABLES)), help="Which figures.")
@click.option("--by", type=click.Choice(["set", "algorithm", "domain", "outlet"]), help="Break months or years down.")
@click.option("--from", "first", metavar="DATE", help="First day (UTC); default: the first of this year.")
@click.option("--to", "last", metavar="DATE", help="Last day, included; default: today.")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Also write the table as CSV.")
@click.option("--plot", type=click.Path(path_type=Path), help="Directory for plots: trend, distances, funnel (SVG).")
@pass_options
def stats(
    options: GlobalOptions,
    *,
    name: str,
    by: str | None,
    first: str | None,
    last: str | None,
    csv_file: Path | None,
    plot: Path | None,
) -> ExitCode:
    """Print figures about what was checked, found, confirmed, rejected, reported and removed.

    Nothing personal is counted. An empty cell means not known, never zero.
    """
    from hashmatch.cases import statistics_plots
    from hashmatch.cases.statistics_tables import as_csv

    today = dt.datetime.now(dt.UTC).date()
    begin, end = _day(first, "from", dt.date(today.year, 1, 1)), _day(last, "to", today)
    if end < begin:
        raise BadInput(f"to: {end} is before {begin}", field="to")
    with casework(options) as work:
        rows = work.counted(begin, end)
    table = _table(name, by, rows, (begin, end), options.load_config().outbox)
    output = Output(options)
    with output.results(*table.columns) as results:
        for row in table.rows:
            results.add(
                dict(zip(table.columns, row, strict=True)), *("" if cell is None else str(cell) for cell in row)
            )
    for note in table.notes:
        output.remark(note)
    if csv_file is not None:
        _write(csv_file, as_csv(table))
    if plot is not None:
        drawings: Mapping[str, Callable[[tuple[Counted, ...]], bytes]] = {
            "trend": statistics_plots.trend,
            "distances": statistics_plots.distances,
            "funnel": statistics_plots.funnel,
        }
        for title, draw in drawings.items():
            _write(plot / f"{title}.svg", draw(rows))
    return ExitCode.CLEAN


def _table(
    name: str, by: str | None, rows: tuple[Counted, ...], days: tuple[dt.date, dt.date], config: OutboxConfig
) -> Table:
    from hashmatch.cases import statistics_mandated, statistics_tables
    from hashmatch.model.cases import OutletKind

    periods = {"monthly": statistics_tables.monthly, "yearly": statistics_tables.yearly}
    if by is not None and name not in periods:
        raise BadInput(
            f"by: the table {name} has a form of its own; only monthly and yearly are broken down", field="by"
        )
    if name in periods:
        make = periods[name]
        return make(rows) if by is None else statistics_tables.broken_down(make, rows, by)
    match name:
        case "interim":
            return statistics_mandated.interim(rows, *days)
        case "dsa":
            return statistics_mandated.dsa(rows, *days)
    outlets = [key for key, outlet in config.outlets.items() if outlet.kind == OutletKind.CYBERTIPLINE.value]
    return statistics_mandated.ncmec(rows, *days, outlets)


def _day(text: str | None, field: str, default: dt.date) -> dt.date:
    if text is None:
        return default
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{field}: {text[:20]!r} is no date; write 2026-11-28", field=field) from None


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from error
