"""What a job watches, kept in its file: pictures, notices and looks.

Theory of operation
-------------------
A picture at an address is watched once, however many submissions show it; a picture inside a page is named by the page
and its digest. Everything that a list knew is watched (:meth:`Watches.enrol`), and whatever else somebody was told of
(:meth:`Watches.notified`). Notices and looks are only ever added: the state is folded from them when it is asked for.

What this module deliberately does not do: it decides nothing, and it takes no look.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from hashmatch.catalog.rows import from_us, to_us
from hashmatch.hotline.followup.links import PDQ
from hashmatch.hotline.followup.recheck import Look, Watch, Watched, entries_of
from hashmatch.hotline.jobs.gravity import MATCHED
from hashmatch.hotline.jobs.job_storage import Storage
from hashmatch.model.hotline import Item, Submission
from hashmatch.report.plain import from_plain, to_plain

_AT_ONCE: Final = 500


class Watches:
    """What one job watches."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __repr__(self) -> str:
        return f"Watches({str(self._storage.path)!r})"

    def enrol(self, items: Iterable[Item]) -> int:
        """Watch those of the items that a list knew; return how many are new."""
        return self._insert(item for item in items if item.outcome in MATCHED)

    def notified(
        self, items: Iterable[Item], wanted: Callable[[Item], bool], *, at: dt.datetime, who: str, note: str = ""
    ) -> int:
        """Keep that somebody was told of some of the items, watching those that are not watched yet.

        Parameters
        ----------
        items : iterable of Item
            Of the job.
        wanted : callable
            Tells which of them.
        at : datetime
            When, with its zone.
        who, note : str
            Who says so; whom, or by which means.

        Returns
        -------
        int
            How many watched pictures that concerns.

        """
        found = [watched for item in items if wanted(item) and (watched := watched_of(item)) is not None]
        with self._storage.changing():
            keys: dict[int, None] = {}
            for watched in found:
                self._storage.run("insert_watch", _row(watched))
                ((key,),) = self._storage.run("watch_named", (_name(watched),)).fetchall()
                keys[key] = None
            for key in keys:
                self._storage.run("insert_notice", (key, to_us(at), who, note))
        return len(keys)

    def looked(self, looks: Iterable[tuple[Watch, Look]]) -> None:
        """Keep looks, durable on return."""
        with self._storage.changing():
            for watch, look in looks:
                self._storage.run("insert_look", (int(watch.watched.key), json.dumps(to_plain(look))))

    def __iter__(self) -> Iterator[Watch]:
        """Yield everything that is watched, in the order in which it was found."""
        after = 0
        while rows := self._storage.rows("watches", (after, _AT_ONCE)):
            looks: dict[int, list[Look]] = {}
            for key, document in self._storage.rows("looks", (rows[0][0], rows[-1][0])):
                looks.setdefault(key, []).append(from_plain(Look, json.loads(document)))
            for key, document, number, url, extra, address, first_us, last_us in rows:
                watched = from_plain(Watched, {**json.loads(document), "key": str(key)})
                yield Watch(
                    watched=watched,
                    submission=Submission(number, url, json.loads(extra)),
                    address=address,
                    looks=tuple(looks.get(key, ())),
                    notified_at=None if first_us is None else from_us(first_us),
                    schedule_from=None if last_us is None else from_us(last_us),
                )
            after = rows[-1][0]

    def _insert(self, items: Iterable[Item]) -> int:
        found = [watched for item in items if (watched := watched_of(item)) is not None]
        with self._storage.changing():
            return sum(self._storage.run("insert_watch", _row(watched)).rowcount for watched in found)


def watched_of(item: Item) -> Watched | None:
    """Return what is watched of a row; None where no picture was identified."""
    report = item.report
    if report is None or report.digests is None or not (item.url or item.page_url):
        return None
    ended = item.fetched.ended_at if item.fetched else None
    return Watched(
        key="",
        number=item.number,
        url=item.url,
        page_url=item.page_url,
        final_url=item.fetched.final_url if item.fetched else "",
        sha256=report.digests.sha256,
        pdq=next((value.value for value in report.hashes if value.algorithm == PDQ and not value.view), b""),
        known=item.outcome in MATCHED,
        entries=entries_of(report),
        country=item.place.country if item.place else "",
        found_at=ended or report.created_at,
    )


def _row(watched: Watched) -> tuple[object, ...]:
    document = {name: value for name, value in to_plain(watched).items() if name != "key"}
    return _name(watched), watched.number, watched.host, json.dumps(document)


def _name(watched: Watched) -> str:
    return watched.url or f"{watched.page_url} {watched.sha256.hex()}"
