"""``hashmatch hotline``: after a check: links between hosts, notices, what is watched, and how long it stayed.

Theory of operation
-------------------
The commands work on job files of ``hashmatch urlcheck``, one process at a time each. Whatever a list knew is watched
from the first of them on that asks. Nothing here shows a picture, and addresses are printed so that no program opens
them.

What this module deliberately does not do: it decides nothing; ``hashmatch.hotline`` does.
"""

from __future__ import annotations

import datetime as dt
import getpass
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from hashmatch.cli import hotline_notices
from hashmatch.cli.files import opened_for_writing
from hashmatch.cli.hotline_recheck import recheck
from hashmatch.cli.hotline_records import watch_record, watched_job
from hashmatch.cli.options import GlobalOptions, Group, example, pass_options
from hashmatch.cli.output import Output, Styled
from hashmatch.errors import BadInput, ExitCode

if TYPE_CHECKING:
    from hashmatch.hotline.followup.links import Links, Sighting
    from hashmatch.hotline.followup.takedown import Subject
    from hashmatch.model.hotline import Item

NOTIFIED_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "job": "the job file",
        "pictures": "watched pictures that the notice is about",
        "at": "when, UTC",
        "by": "who says so",
    }
)
"""Keys of a line of ``notified --json``: one, or with ``--from-reports`` one per delivery."""

_JOB = click.Path(path_type=Path, exists=True, dir_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)
_STYLES: Mapping[str, str] = MappingProxyType(
    {"online": "bold red", "returned": "bold red", "doubtful": "yellow", "closed": "yellow", "gone": "green"}
)


@click.group(cls=Group)
def hotline() -> None:
    """After a check: pictures that several hosts show, notices, is it gone, and how long it took."""


@hotline.command(
    "links",
    epilog=example(
        "hashmatch hotline links monday.job tuesday.job",
        "hashmatch hotline links *.job --csv links.csv --graph links.graphml",
    ),
)
@click.argument("jobs", nargs=-1, required=True, type=_JOB, metavar="JOB...")
@click.option("--csv", "csv_file", type=_FILE, help="Also write the table as CSV.")
@click.option("--graph", type=_FILE, help="Also write hosts, pages and clusters as GraphML.")
@click.option("--max-distance", type=click.IntRange(0, 128), default=31, show_default=True, help="In bits, inclusive.")
@click.option("--min-side", type=click.IntRange(0), default=64, show_default=True, help="Smaller is left out; pixels.")
@click.option("--min-hosts", type=click.IntRange(1), default=2, show_default=True, help="Fewer hosts are no link.")
@click.option("--placeholders", type=_JOB, help="Pictures to leave out: SHA-256, one a line; default: as configured.")
@pass_options
def links(
    options: GlobalOptions,
    *,
    jobs: tuple[Path, ...],
    csv_file: Path | None,
    graph: Path | None,
    max_distance: int,
    min_side: int,
    min_hosts: int,
    placeholders: Path | None,
) -> ExitCode:
    """Link pictures, known or not, that repeat on several hosts, within and across jobs.

    A group holds everything that a chain of near pairs joins, a cluster what is near one picture; the distance is from
    that one. Icons, flat pictures and placeholders are left out and counted.
    """
    from hashmatch.hotline.followup import links_export
    from hashmatch.hotline.followup.links import Rules, counted, linked
    from hashmatch.hotline.followup.rechecking import digests_in

    configured = options.load_config().hotline.placeholders
    file = placeholders or (Path(configured) if configured else None)
    rules = Rules(
        max_distance=max_distance,
        min_side_px=min_side,
        min_hosts=min_hosts,
        placeholders=digests_in(file) if file else frozenset(),
    )
    found = linked((sighting for job in jobs for sighting in _sightings(job)), rules)
    output = Output(options)
    _print_links(output, found)
    for why, count in sorted(counted(found).items()):
        output.remark(f"left out: {count} {why.value}")
    for name, make in ((csv_file, links_export.as_csv), (graph, links_export.as_graphml)):
        if name is not None:
            _write(name, make(found))
    return ExitCode.CLEAN


@hotline.command(
    "notified",
    epilog=example(
        "hashmatch hotline notified monday.job --host img.example.org --by anna --note 'mail to abuse@example.org'",
        "hashmatch hotline notified monday.job --number 7 --at 2026-11-28T09:30+01:00",
        "hashmatch hotline notified monday.job --from-reports",
    ),
)
@click.argument("job", type=_JOB)
@click.option("--all", "everything", is_flag=True, help="All pictures that a list knew.")
@click.option("--host", help="Those that this host serves and a list knew.")
@click.option("--url", help="The picture at this address, known or not.")
@click.option("--number", type=click.IntRange(1), help="Those of this submission that a list knew.")
@click.option("--from-reports", is_flag=True, help="What `hotline notices` prepared and the outbox delivered.")
@click.option("--at", "when", metavar="TIME", help="When, with its zone (ISO 8601); default: now.")
@click.option("--by", "who", metavar="WHO", help="Who says so; default: the user's login name.")
@click.option("--note", default="", metavar="TEXT", help="Whom, or by which means.")
@pass_options
def notified(
    options: GlobalOptions,
    job: Path,
    *,
    everything: bool,
    host: str | None,
    url: str | None,
    number: int | None,
    from_reports: bool,
    when: str | None,
    who: str | None,
    note: str,
) -> ExitCode:
    """Record that somebody was told: from then on the time to takedown counts, and the schedule begins anew.

    Exactly one of --all, --host, --url, --number and --from-reports says of what. Reports say themselves when and by
    whom, and what was recorded of them before is not recorded again.
    """
    if from_reports:
        if everything or when is not None or who is not None or note or (host, url, number) != (None, None, None):
            raise BadInput("from_reports: stands alone; reports say of what, when and by whom", field="from_reports")
        return _notified_by_reports(options, job)
    wanted = _selection(everything=everything, host=host, url=url, number=number)
    at, by = _time(when), who or getpass.getuser()
    with watched_job(job) as (opened, watches):
        count = watches.notified((item for _, item in opened.results.items()), wanted, at=at, who=by, note=note)
    if not count:
        raise BadInput(f"{job}: no such picture, or none that could be identified", field="job")
    record = {"job": str(job), "pictures": count, "at": at.isoformat(timespec="seconds"), "by": by}
    with Output(options).results(*NOTIFIED_FIELDS) as results:
        results.add(record, *(str(value) for value in record.values()))
    return ExitCode.CLEAN


def _notified_by_reports(options: GlobalOptions, job: Path) -> ExitCode:
    with watched_job(job) as (opened, watches), Output(options).results(*NOTIFIED_FIELDS) as results:
        for count, at, who in hotline_notices.notified_by_reports(options, opened, watches):
            record = {"job": str(job), "pictures": count, "at": at.isoformat(timespec="seconds"), "by": who}
            results.add(record, *(str(value) for value in record.values()))
    return ExitCode.CLEAN


@hotline.command(
    "watched", epilog=example("hashmatch hotline watched monday.job", "hashmatch hotline watched *.job --json")
)
@click.argument("jobs", nargs=-1, required=True, type=_JOB, metavar="JOB...")
@pass_options
def watched(options: GlobalOptions, jobs: tuple[Path, ...]) -> ExitCode:
    """Print what is watched: is it there, since when is it gone, and when is it looked at next."""
    from hashmatch.hotline.followup.rechecking import rules_of

    rules = rules_of(options.load_config().hotline)
    with Output(options).results("state", "picture", "found", "told", "gone", "returns", "next look") as results:
        for job in jobs:
            with watched_job(job) as (_, watches):
                for watch in watches:
                    record = watch_record(watch, rules)
                    results.add(record, *_cells(record))
    return ExitCode.CLEAN


@hotline.command(
    "stats",
    epilog=example(
        "hashmatch hotline stats *.job --csv takedowns.csv",
        "hashmatch hotline stats *.job --curve curve.csv --plot survival.svg",
    ),
)
@click.argument("jobs", nargs=-1, required=True, type=_JOB, metavar="JOB...")
@click.option("--csv", "csv_file", type=_FILE, help="Also write the figures as CSV.")
@click.option("--curve", type=_FILE, help="Write the survival curve, as CSV, or as JSON where the name ends so.")
@click.option("--plot", type=_FILE, help="Draw the survival curve, as SVG, or as PNG where the name ends so.")
@pass_options
def stats(
    options: GlobalOptions, *, jobs: tuple[Path, ...], csv_file: Path | None, curve: Path | None, plot: Path | None
) -> ExitCode:
    """Print how long pictures stayed after the first notice, over all, by host and by country (Kaplan-Meier).

    What is still there counts as having stayed until the last look. An empty cell means not known yet, never zero.
    """
    from hashmatch.hotline.followup import takedown
    from hashmatch.sheets import as_csv

    subjects = [subject for job in jobs for subject in _subjects(options, job)]
    rows = list(takedown.figures(subjects))
    with Output(options).results(*takedown.FIELDS) as results:
        for row in rows:
            results.add(row, *("" if value is None else str(value) for value in row.values()))
    steps = takedown.survival(subjects)
    points = list(takedown.curve_rows(steps))
    if csv_file is not None:
        _write(csv_file, as_csv(takedown.FIELDS, (row.values() for row in rows)))
    if curve is not None:
        table = as_csv(takedown.CURVE_FIELDS, (point.values() for point in points))
        _write(curve, takedown.as_json(points) if curve.suffix == ".json" else table)
    if plot is not None:
        _write(plot, takedown.plot(steps, kind="png" if plot.suffix == ".png" else "svg"))
    return ExitCode.CLEAN


def _cells(record: Mapping[str, object]) -> Iterator[str | Styled]:
    state = str(record["state"])
    yield Styled(state, _STYLES[state])
    yield str(record["url"] or record["page_url"])
    for name in ("found_at", "notified_at", "gone_at", "returns", "next_at"):
        yield "" if record[name] is None else str(record[name])


hotline.add_command(recheck)
hotline.add_command(hotline_notices.notices)


def _print_links(output: Output, found: Links) -> None:
    from hashmatch.hotline.followup import links_export

    with output.results("group", "host", "page", "distance", "known") as results:
        for row in links_export.rows(found):
            known = ", ".join(map(str, row["known"])) if isinstance(row["known"], list) else ""
            cluster = f"{row['group']}.{row['cluster']}"
            results.add(row, cluster, str(row["host"]), str(row["page_url"]), str(row["distance"]), known)
    output.remark(f"{found.groups} groups of pictures on several hosts, of {found.pictures} pictures")


def _sightings(job: Path) -> Iterator[Sighting]:
    from hashmatch.hotline.followup.links import sightings
    from hashmatch.hotline.jobs.job import JobFile

    with JobFile.open(job) as opened:
        yield from sightings(job.name, (item for _, item in opened.results.items()))


def _subjects(options: GlobalOptions, job: Path) -> Iterator[Subject]:
    from hashmatch.hotline.followup.rechecking import rules_of
    from hashmatch.hotline.followup.takedown import Subject

    rules = rules_of(options.load_config().hotline)
    with watched_job(job) as (_, watches):
        for watch in watches:
            life = watch.life(rules)
            yield Subject(
                host=watch.watched.host,
                country=watch.watched.country,
                notified_at=watch.notified_at,
                gone_at=life.gone_at,
                looked_at=life.looked_at,
                returns=life.returns,
            )


def _selection(*, everything: bool, host: str | None, url: str | None, number: int | None) -> Callable[[Item], bool]:
    """Return what tells whether a notice is about a row."""
    from hashmatch.hotline.jobs.gravity import MATCHED
    from hashmatch.projections.places import host_of

    if sum((everything, host is not None, url is not None, number is not None)) != 1:
        raise BadInput("say of what: exactly one of --all, --host, --url and --number", field="url")
    if url is not None:
        return lambda item: item.url == url
    if host is not None:
        return lambda item: item.outcome in MATCHED and host_of(item.url or item.page_url) == host
    return lambda item: item.outcome in MATCHED and (everything or item.number == number)


def _time(text: str | None) -> dt.datetime:
    if text is None:
        return dt.datetime.now(dt.UTC)
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"at: {text[:40]!r} is no time; write 2026-11-28T09:30+01:00", field="at") from None
    if at.tzinfo is None:
        raise BadInput(f"at: {text} has no zone; write 2026-11-28T09:30+01:00", field="at")
    return at.astimezone(dt.UTC)


def _write(path: Path, data: bytes) -> None:
    with opened_for_writing(str(path)) as stream:
        stream.write(data)
