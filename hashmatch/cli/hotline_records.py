"""What the commands of ``hashmatch hotline`` share: an open job with what it watches, and how that is printed."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashmatch.hotline.followup.recheck import Rules, Watch
    from hashmatch.hotline.followup.watches import Watches
    from hashmatch.hotline.jobs.job import JobFile

WATCHED_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "state": "`online`, `doubtful`, `closed`, `gone` or `returned`",
        "presence": "what the last look said; null before the first",
        "url": "of the picture; empty for one inside the page",
        "page_url": "of the page that shows it; empty where the picture itself was reported",
        "host": "that serves it",
        "country": "where that was, when it was found",
        "number": "of the submission",
        "known": "whether a list knew it",
        "found_at": "when the check found it, UTC",
        "notified_at": "when somebody was first told; null: nobody was",
        "looks": "looks since the check",
        "looked_at": "the last look; null before the first",
        "online_at": "when it was last seen",
        "gone_at": "the first look that found it gone and was confirmed; null: it was not gone yet",
        "returns": "how often it came back",
        "next_at": "when it is looked at next; null: never again",
        "evidence": "digests of the records of its looks, oldest first",
    }
)
"""Keys of a line of ``watched --json`` and of ``recheck --json``, which has one line per look."""


def watch_record(watch: Watch, rules: Rules) -> dict[str, object]:
    """Return a watched picture as ``--json`` prints it."""
    from hashmatch.projections.places import defanged

    life, one = watch.life(rules), watch.watched
    said = (
        life.state.value, life.presence.value if life.looks else None, defanged(one.url), defanged(one.page_url),
        one.host, one.country, one.number, one.known, _iso(one.found_at), _iso(watch.notified_at), life.looks,
        _iso(life.looked_at), _iso(life.online_at), _iso(life.gone_at), life.returns, _iso(watch.due_at(rules)),
        [look.evidence for look in watch.looks if look.evidence],
    )  # fmt: skip
    return dict(zip(WATCHED_FIELDS, said, strict=True))


@contextlib.contextmanager
def watched_job(job: Path) -> Iterator[tuple[JobFile, Watches]]:
    """Open a job, with everything watched that a list knew."""
    from hashmatch.hotline.followup.watches import Watches
    from hashmatch.hotline.jobs.job import JobFile

    with JobFile.open(job) as opened:
        watches = Watches(opened.storage)
        watches.enrol(item for _, item in opened.results.items())
        yield opened, watches


def _iso(value: dt.datetime | None) -> str | None:
    return None if value is None else value.astimezone(dt.UTC).isoformat(timespec="seconds")
