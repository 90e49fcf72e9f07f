"""``hashmatch hotline notices``: whom to tell of what a check found, for review in a directory or held in the outbox.

Theory of operation
-------------------
Without ``--outlet`` no case is opened: every document lies in a new directory, with an index, whole or not at all. With
it the cases are opened and the documents are held, which may be repeated (``service.notices``).

What this module deliberately does not do: it releases nothing; ``hashmatch report decide ID release`` does, by somebody
else than who prepared.
"""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from hashmatch.cli.cases import casework
from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output
from hashmatch.durable import sync_directory, write_new
from hashmatch.errors import BadInput, ExitCode
from hashmatch.model.cases import Environment

if TYPE_CHECKING:
    from hashmatch.hotline.followup.notices import Grouped, Said
    from hashmatch.hotline.followup.watches import Watches
    from hashmatch.hotline.jobs.job import JobFile
    from hashmatch.model.deliveries import DeliveryStatus
    from hashmatch.model.hotline import Item
    from hashmatch.service.notices import Manner, Notice

NOTICE_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "recipient": "whom it is for: the abuse contact, else the network, else the host",
        "contact": "the abuse contact; empty where none is known",
        "hosts": "hosts that it tells of",
        "cdn": "content delivery networks in front, which are asked for the origin",
        "domain": "harm domain; one document has one",
        "pictures": "pictures, one case each",
        "addresses": "addresses of theirs",
        "document": "name of the document in the directory; empty where a rule forbids it",
        "deliveries": "ids in the outbox, of what is held now and of what was prepared before",
        "states": "where those stand",
        "problems": "what is to be known of it, or why there is no document",
    }
)
"""Keys of a line of ``notices --json``, and the columns of ``index.csv`` (without deliveries and states)."""

INDEX = "index.csv"
INDEX_COLUMNS = tuple(name for name in NOTICE_FIELDS if name not in {"deliveries", "states"})
_YES = click.Choice(["yes", "no"])


_SAID = (
    click.option("--viewed", required=True, type=_YES, help="Has a person at your place looked at the pictures?"),
    click.option("--exif-viewed", required=True, type=_YES, help="And at their EXIF data?"),
    click.option(
        "--classification", default="", metavar="TEXT", help="Your own, of every picture: A1, A2, B1, B2, baseline."
    ),
    click.option("--legal-basis", default="", metavar="TEXT", help="The law, where the domain has none of its own."),
    click.option("--explanation", default="", metavar="TEXT", help="Why it is held to be illegal, in your own words."),
    click.option("--include-possible", is_flag=True, help="Possible matches as well, which a person has to look at."),
)


def _what_only_you_know(command: Any) -> Any:
    """Add the options that make :class:`~hashmatch.hotline.followup.notices.Said`."""
    for option in reversed(_SAID):
        command = option(command)
    return command


@click.command(
    "notices",
    cls=Command,
    epilog=example(
        "hashmatch hotline notices monday.job --viewed no --exif-viewed no --environment test --output notices/",
        "hashmatch hotline notices monday.job --viewed yes --exif-viewed no --environment production "
        "--outlet abuse-mail --language nl --by anna",
    ),
)
@click.argument("job", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_what_only_you_know
@click.option(
    "--environment",
    required=True,
    type=click.Choice([environment.value for environment in Environment]),
    help="Which world is meant; an outlet of the other one is refused.",
)
@click.option("--format", "name", default="letter", show_default=True, help="letter, dsa16 or xarf.")
@click.option("--outlet", default="", metavar="NAME", help="Open cases, and hold the notices for this outlet.")
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR", help="New directory for the documents.")
@click.option("--language", default="en", help="Of letters: en, nl, fr or de.")
@click.option("--by", "actor", metavar="WHO", help="Who prepares them; default: the user's login name.")
@pass_options
def notices(
    options: GlobalOptions,
    /,
    job: Path,
    *,
    environment: str,
    name: str,
    outlet: str,
    output: Path | None,
    language: str,
    actor: str | None,
    **words: Any,
) -> ExitCode:
    """Prepare one notice per recipient of what a check found. Nothing is sent before a person releases it.

    Without --outlet no case is opened; the documents are for review. XARF has one document per picture.

    Exit codes: 0 everything is prepared, 3 something is not, and the line says why.
    """
    from hashmatch.hotline.followup.notices import Said
    from hashmatch.service.notices import Manner, reviewed

    if not (outlet or output):
        raise BadInput("output: say where the documents go, or name an --outlet to hold them for", field="output")
    said = Said(viewed_by_human=words.pop("viewed") == "yes", exif_viewed=words.pop("exif_viewed") == "yes", **words)
    manner = Manner(
        format=name, reporter=options.load_config().reporter, now=dt.datetime.now(dt.UTC), language=language
    )
    found = _grouped(job, said, finished=bool(outlet))
    made = list(reviewed(found.groups, manner))
    if outlet:
        made = list(_held(options, made, manner, (outlet, environment, actor)))
    if output is not None:
        _write(output, made)
    return _told(Output(options), made, found)


def notified_by_reports(
    options: GlobalOptions, job: JobFile, watches: Watches
) -> Iterator[tuple[int, dt.datetime, str]]:
    """Keep in a job what the outbox delivered of it; yield how many pictures, when, and who released each delivery."""
    from hashmatch.hotline.followup.notices import Said, grouped, job_id
    from hashmatch.hotline.followup.watches import watched_of
    from hashmatch.model.deliveries import DeliveryState

    origin = job.origin()
    if origin is None:
        return
    said = Said(viewed_by_human=False, exif_viewed=False, include_possible=True)  # keys say nothing of these
    drafts = [
        draft
        for group in grouped(job_id(origin), (item for _, item in job.results.items()), said).groups
        for draft in group.drafts
    ]
    known = {(one.watched.url, one.watched.page_url, one.watched.sha256): one.notified_at for one in watches}
    told: dict[str, tuple[DeliveryStatus, list[Item]]] = {}
    with casework(options) as work:
        for draft in drafts:
            file = work.by_key(draft.key)
            for one in () if file is None else file.deliveries:
                if one.state is DeliveryState.DELIVERED:
                    told.setdefault(one.delivery_id, (one, []))[1].extend(draft.items)
    for one, items in sorted(told.values(), key=lambda pair: (pair[0].changed_at, pair[0].delivery_id)):
        fresh = [
            item
            for item in items
            if (watched := watched_of(item)) is not None
            and not _before(known.get((watched.url, watched.page_url, watched.sha256)), one.changed_at)
        ]
        who, note = one.released_by or one.requested_by, f"report {one.delivery_id} {one.recipient}".rstrip()
        if count := watches.notified(fresh, lambda _: True, at=one.changed_at, who=who, note=note):
            yield count, one.changed_at, who


def _before(known: dt.datetime | None, at: dt.datetime) -> bool:
    return known is not None and known <= at


def _grouped(job: Path, said: Said, *, finished: bool) -> Grouped:
    from hashmatch.hotline.followup.notices import grouped, job_id
    from hashmatch.hotline.jobs.job import JobFile
    from hashmatch.hotline.jobs.job_states import State

    with JobFile.open(job) as opened:
        origin = opened.origin()
        left = sum(count for state, count in opened.results.states().items() if state is not State.DONE)
        if origin is None or (finished and left):
            raise BadInput(
                f"job: {left} addresses of {job} are not checked yet, and a host is told of everything at once; "
                f"go on with `hashmatch urlcheck --job {job} --resume`",
                field="job",
            )
        return grouped(job_id(origin), (item for _, item in opened.results.items()), said)


def _held(
    options: GlobalOptions, made: Iterable[Notice], manner: Manner, where: tuple[str, str, str | None]
) -> Iterator[Notice]:
    """Open cases and hold documents, one after the other."""
    from hashmatch.cli.hashset import login_name
    from hashmatch.service.notices import prepared, sending_for

    outlet, environment, actor = where
    sending = sending_for(outlet, Environment(environment), manner)
    with casework(options) as work:
        configured = work.outlet_for(sending)
        for notice in made:
            yield prepared(work, notice, sending, configured, actor=actor or login_name())


def _told(output: Output, made: Sequence[Notice], found: Grouped) -> ExitCode:
    whole = True
    with output.results("recipient", "hosts", "pictures", "addresses", "document", "state", "to be known") as results:
        for notice in made:
            record = notice_record(notice)
            whole = whole and notice.document is not None and not _hindered(notice)
            hosts, states = ", ".join(notice.group.hosts), ", ".join(one.state.value for one in notice.deliveries)
            document = "" if notice.document is None else notice.document.file_name
            cells = (notice.group.name, hosts, record["pictures"], record["addresses"], document, states)
            results.add(record, *map(str, cells), "; ".join(notice.problems))
    for left in found.left_out:
        output.remark(f"submission {left.item.number}: nobody is told: {left.reason}")
    if not made:
        output.remark("nothing matched, so nobody is told")
    return ExitCode.CLEAN if whole and not found.left_out else ExitCode.SKIPPED


def _hindered(notice: Notice) -> bool:
    from hashmatch.service.notices import NO_CONTACT

    return any(problem != NO_CONTACT for problem in notice.problems)


def notice_record(notice: Notice) -> dict[str, object]:
    """Return a notice as ``--json`` prints it."""
    facts = [draft.facts for draft in notice.drafts]
    said = (
        notice.group.name,
        notice.group.contact,
        sorted({one.platform for one in facts}),
        sorted({one.locator.cdn for one in facts} - {""}),
        next((one.domain.value for one in facts if one.domain is not None), ""),
        len(facts),
        sum(len(one.locator.urls) for one in facts),
        "" if notice.document is None else notice.document.file_name,
        [one.delivery_id for one in notice.deliveries],
        [one.state.value for one in notice.deliveries],
        list(notice.problems),
    )
    return dict(zip(NOTICE_FIELDS, said, strict=True))


def _write(directory: Path, made: Sequence[Notice]) -> None:
    """Make a directory with every document and the index: it is there whole, or not at all."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise BadInput(f"output: {directory} is there already, and nothing in it is replaced", field="output")
    try:
        directory.absolute().parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.absolute().parent))
        try:
            for name, body in _files(made):
                write_new(beside / name, body)
            sync_directory(beside)
            beside.rename(directory)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        sync_directory(directory.absolute().parent)
    except OSError as error:
        raise BadInput(f"output: cannot write {directory}: {error.strerror}", field="output") from error


def _files(made: Sequence[Notice]) -> Iterator[tuple[str, bytes]]:
    for notice in made:
        if notice.document is not None:
            yield notice.document.file_name, notice.document.body
            yield from ((f"{notice.document.file_name}.{part}", body) for part, body in notice.document.parts)
    yield INDEX, _index(made)


def _index(made: Sequence[Notice]) -> bytes:
    from hashmatch.sheets import as_csv

    records = map(notice_record, made)
    rows = ((record[name] for name in INDEX_COLUMNS) for record in records)
    return as_csv(INDEX_COLUMNS, (("; ".join(one) if isinstance(one, list) else one for one in row) for row in rows))
