"""``hashmatch hashset sync``: sets brought up to date with the lists that others keep, one source after the other.

Theory of operation
-------------------
The sources come from the configuration (``[sync.sources.NAME]``). Each is fetched by ``hashmatch.sync`` and gives a
row: what was taken in, whether all of it was, and if not, why. A source that fails does not keep others from running.
With ``--feedback`` our own opinions are sent afterwards, one row each; ``--dry-run`` fetches and says, and keeps and
sends nothing. ``--status`` asks nobody: it prints what the last run left.

What this module deliberately does not do: it knows no exchange, and no secret passes through it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output, Styled
from hashmatch.config import SyncConfig
from hashmatch.errors import BadConfig, BadInput, ExitCode, HashmatchError
from hashmatch.model import Rejected

if TYPE_CHECKING:
    from hashmatch.catalog.store import Catalog
    from hashmatch.sync.feedback import Sent
    from hashmatch.sync.outcome import Bookmarks, Outcome
    from hashmatch.sync.sources import Source
    from hashmatch.sync.web import Web

_COUNTS: Mapping[str, str] = MappingProxyType(
    {
        "pages": "pages, or batches of changes",
        "rows": "entries, tombstones and rejected rows on them",
        "added": "new entries",
        "updated": "entries that are different now, withdrawn ones included",
        "unchanged": "entries that were there already",
        "reinstated": "entries that the source had taken back and has again",
        "stale": "states of entries that are older than what the set holds",
        "left_out": "kinds of values on a page that are of no use here",
        "rejected": "rows and values that were not taken in",
        "vanished": "entries withdrawn because a full run did not see them",
    }
)

SYNC_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "source": "name of the source",
        "set": "set that it feeds",
        "complete": "whether everything was taken in, so that the next run begins here",
        "full": "whether everything was asked for, rather than what changed",
        **_COUNTS,
        "troubles": "what kept it from being complete: `page` and `reason` of each",
        "error": "why the source could not be asked further; empty if it could",
    }
)
"""Keys of a line of ``sync --json``: one per source."""

FEEDBACK_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "source": "name of the source",
        "entry_id": "entry that the opinion is of",
        "algorithm": "hash that is meant; empty for the whole entry",
        "stance": "`agree` or `disagree`",
        "state": "`sent`, `to_send` (a dry run), `already_sent` or `not_sent`",
        "request": "what is said to whom, without credentials",
        "reason": "why it was not sent",
    }
)
"""Keys of a line of ``sync --feedback --json`` for an opinion of ours."""

STATUS_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "source": "name of the source",
        "kind": "what it is",
        "environment": "`test` or `production`",
        "set": "set that it feeds",
        "checkpoint": "where the next run begins, in the source's own words; empty before the first complete run",
        "last_run": "when it was last asked, RFC 3339 in UTC; empty if never",
        "last_complete": "when all of it was last taken in",
        "complete": "whether the last run was",
        "full": "whether the last run asked for everything",
        "error": "what kept the last run from being complete",
        **{name: f"{meaning}, by the last run" for name, meaning in _COUNTS.items()},
    }
)
"""Keys of a line of ``sync --status --json``: one per source."""

REJECTED_SHOWN = 20
"""Rejected rows of a source that are shown to people."""


@click.command(
    "sync",
    cls=Command,
    epilog=example(
        "hashmatch hashset sync",
        "hashmatch hashset sync ncmec --full",
        "hashmatch hashset sync --feedback --dry-run",
        "hashmatch hashset sync --status",
    ),
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--dry-run", is_flag=True, help="Fetch and say what would change; keep and send nothing.")
@click.option("--full", is_flag=True, help="Ask for everything, and withdraw what the list no longer has.")
@click.option("--feedback", is_flag=True, help="Also send our own opinions to the sources that take them.")
@click.option("--status", "show", is_flag=True, help="Print how the last runs went; ask nobody.")
@pass_options
def sync(
    options: GlobalOptions, names: tuple[str, ...], *, dry_run: bool, full: bool, feedback: bool, show: bool
) -> ExitCode:
    """Bring sets up to date with the lists that others keep: all configured sources, or those named.

    A run begins where the last complete one ended. What cannot be read is reported, and asked for again the next time.

    Exit codes: 0 all complete, 3 something was left out or is not complete, 4 no source answered, 2 refused or
    misconfigured.
    """
    from hashmatch.cli.hashset import open_catalog
    from hashmatch.sync.sources import chosen

    config = options.load_config().sync
    sources = chosen(config, names)
    output = Output(options)
    with contextlib.ExitStack() as stack:
        catalog: Catalog | None = None
        try:
            catalog = stack.enter_context(open_catalog(options, make=not (dry_run or show)))
        except BadConfig:
            raise
        except BadInput:  # there is none yet; whoever only looks makes none
            if not (dry_run or show):
                raise
        if show:
            return _print_status(sources, catalog, output)
        session = _Session(config, catalog, output, dry_run=dry_run)
        return asyncio.run(session.run(sources, full=full, feedback=feedback))


class _Session:
    """The runs of one call of the command."""

    def __init__(self, config: SyncConfig, catalog: Catalog | None, output: Output, *, dry_run: bool) -> None:
        self._config = config
        self._catalog = catalog
        self._output = output
        self._dry_run = dry_run
        self._marks: Bookmarks = _NoBookmarks() if catalog is None else catalog

    async def run(self, sources: Sequence[Source], *, full: bool, feedback: bool) -> ExitCode:
        """Run over every source, then send feedback; return what to exit with."""
        outcomes = []
        columns = ("source", "set", "complete", "pages", "added", "updated", "unchanged", "rejected", "why not")
        with self._output.results(*columns) as results:
            for source in sources:
                outcome = await self._over(source, full=full)
                outcomes.append(outcome)
                counts = outcome.counts
                record = {
                    "source": outcome.source,
                    "set": outcome.set_name,
                    "complete": outcome.complete,
                    "full": outcome.full,
                    **asdict(counts),
                    "troubles": [asdict(trouble) for trouble in outcome.troubles],
                    "error": outcome.error.message if outcome.error else "",
                }
                done = Styled("yes", "green") if outcome.complete else Styled("no", "red")
                numbers = (counts.pages, counts.added, counts.updated, counts.unchanged, counts.rejected)
                results.add(record, outcome.source, outcome.set_name, done, *numbers, outcome.why())
        unsent = await self._send_feedback(sources) if feedback else False
        return _exit_code(outcomes, unsent=unsent)

    async def _over(self, source: Source, *, full: bool) -> Outcome:
        """Run over one source; what fails before it begins is an outcome, too."""
        from hashmatch.sync.feed import along_feed
        from hashmatch.sync.outcome import Outcome, Terms
        from hashmatch.sync.run import over_pages

        rejected = 0

        def show(row: Rejected) -> None:
            nonlocal rejected
            rejected += 1
            if rejected <= REJECTED_SHOWN:
                self._output.remark(f"{source.name}: rejected: {row.field}: {row.reason}")

        with self._output.progress() as progress:
            store = None if self._dry_run else self._catalog
            terms = Terms(self._config, self._marks, store, full=full, progress=progress, on_rejected=show)
            try:
                if store is not None:
                    _make_set(store, source)
                if source.kind.begin is None:
                    from hashmatch.cli.sync_access import client_access
                    from hashmatch.client import AsyncClient

                    shown = client_access(source.name, source.config.credentials, os.environ)
                    async with AsyncClient(source.config.url, access=shown) as client:
                        return await along_feed(source, client, terms)
                async with self._web(source) as web:
                    return await over_pages(source, web, terms)
            except HashmatchError as error:
                return Outcome(source.name, source.config.set, error=error)

    async def _send_feedback(self, sources: Sequence[Source]) -> bool:
        """Send what we think; return whether some of it could not be sent."""
        from hashmatch.sync.feedback import WRITERS

        unsent = False
        with self._output.results(*FEEDBACK_FIELDS) as results:
            for source in sources:
                stated = source.config
                if stated.kind not in WRITERS:
                    self._output.remark(f"{source.name}: a source of kind {stated.kind} takes no opinions")
                elif not stated.own_name:
                    self._output.remark(
                        f"{source.name}: sync.sources.{source.name}.own_name says which opinions are ours"
                    )
                elif self._catalog is not None:
                    async for sent in self._feedback(source, self._catalog):
                        unsent = unsent or sent.state == "not_sent"
                        state = Styled(sent.state, "red") if sent.state == "not_sent" else sent.state
                        about = (sent.source, sent.entry_id, sent.algorithm, sent.stance)
                        results.add(asdict(sent), *about, state, sent.request, sent.reason)
        return unsent

    async def _feedback(self, source: Source, catalog: Catalog) -> AsyncIterator[Sent]:
        from hashmatch.sync.feedback import Sent, send

        try:
            async with self._web(source) as web:
                async for sent in send(source, web, catalog, self._marks, dry_run=self._dry_run):
                    yield sent
        except HashmatchError as error:
            yield Sent(source.name, "", "", "", "not_sent", reason=error.message)

    def _web(self, source: Source) -> Web:
        from hashmatch.sync import access, endpoints
        from hashmatch.sync.web import Web

        stated = source.config
        base = endpoints.check(source.name, stated.kind, stated.url, stated.environment)
        return Web(base, access.opened(source.name, stated.kind, stated.credentials, os.environ), self._config)


class _NoBookmarks:
    """Remembers nothing: a dry run before there is a catalog."""

    def bookmark(self, kind: str, name: str) -> str:
        """There is none."""
        del kind, name
        return ""

    def set_bookmark(self, kind: str, name: str, text: str) -> None:
        """Forget it."""
        del kind, name, text


def _make_set(catalog: Catalog, source: Source) -> None:
    """Make sure that the source's set exists and is about what the configuration says. Raises BadInput."""
    from hashmatch.cli.transfer import Target

    Target(source.config.set, source.domain, make=True).prepare(catalog)


def _exit_code(outcomes: Sequence[Outcome], *, unsent: bool) -> ExitCode:
    """Return the failure of all sources if they failed alike, else whether anything is missing."""
    failures = [outcome.error.exit_code for outcome in outcomes if outcome.error is not None]
    if outcomes and len(failures) == len(outcomes):
        return max(failures)
    whole = all(outcome.complete and not outcome.counts.rejected for outcome in outcomes)
    return ExitCode.CLEAN if whole and not unsent else ExitCode.SKIPPED


def _print_status(sources: Sequence[Source], catalog: Catalog | None, output: Output) -> ExitCode:
    from hashmatch.sync.outcome import CHECKPOINTS, STATES
    from hashmatch.sync.walks import loaded

    marks: Bookmarks = _NoBookmarks() if catalog is None else catalog
    columns = ("source", "kind", "environment", "set", "last run", "last complete", "checkpoint", "error")
    with output.results(*columns) as results:
        for source in sources:
            state = loaded(marks.bookmark(STATES, source.name))
            stated = source.config
            record: dict[str, object] = {
                "source": source.name,
                "kind": stated.kind,
                "environment": stated.environment,
                "set": stated.set,
                "checkpoint": marks.bookmark(CHECKPOINTS, source.name),
            }
            record |= {key: state.get(key, _UNKNOWN.get(key, 0)) for key in STATUS_FIELDS if key not in record}
            cells = (str(record[key]) for key in ("last_run", "last_complete", "checkpoint", "error"))
            results.add(record, source.name, stated.kind, stated.environment, stated.set, *cells)
    return ExitCode.CLEAN


_UNKNOWN: Mapping[str, object] = MappingProxyType(
    {"last_run": "", "last_complete": "", "error": "", "complete": False, "full": False}
)
"""What is said of a source that was never asked; counts are 0."""
