"""Looking again at what was found: one look, and all that are due.

Theory of operation
-------------------
A look asks for the picture's own address first, and if that still serves the picture, that is all: a page with two
hundred pictures is not fetched for the sake of one. Only where it does not, the page is looked at too, because the
picture may have moved on it, and because some hosts show pictures to their own pages only. A picture inside a page has
no other address, so its page is looked at.

Each look has a record of evidence: that of the answer that decided. :func:`look_at_all` takes looks side by side and
hands each over as soon as it is made, so that whatever ends it loses those under way and no other.

What this module deliberately does not do: it says nothing about states and schedules (``recheck``), and stores nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hashmatch.hotline.checking.abreast import abreast
from hashmatch.hotline.followup.recheck import (
    SIGNS,
    Look,
    Presence,
    Rules,
    Sign,
    Watch,
    Watched,
    next_vantage,
    presence,
)
from hashmatch.hotline.jobs.job_states import Finished, Taken
from hashmatch.hotline.jobs.pipeline import Checks
from hashmatch.hotline.ports import Proves
from hashmatch.model.hotline import Item, Submission, Via

AT_ONCE: Final = 32
"""Looks side by side; the fetcher is polite to hosts by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vantage:
    """A point to look from."""

    checks: Checks
    proves: Proves


async def look_at_all(
    watches: Sequence[Watch],
    vantages: Mapping[str, Vantage],
    rules: Rules,
    keep: Callable[[Watch, Look], Awaitable[None]],
    *,
    clock: Callable[[], dt.datetime],
) -> None:
    """Look at everything that is given, once.

    Parameters
    ----------
    watches : sequence of Watch
        What is due.
    vantages : mapping of str to Vantage
        By the names in ``rules.vantages``.
    rules : Rules
        How looks are judged.
    keep : callable
        Called with each look when it is made.
    clock : callable
        Returns the time, UTC.

    """
    waiting = iter(watches)

    async def work() -> None:
        for watch in waiting:
            name = next_vantage(watch.life(rules), rules)
            await keep(watch, await look(watch, vantages[name], rules, name, clock=clock))

    await abreast(work() for _ in range(min(AT_ONCE, len(watches))))


async def look(watch: Watch, vantage: Vantage, rules: Rules, name: str, *, clock: Callable[[], dt.datetime]) -> Look:
    """Take one look at one picture."""
    watched, number = watch.watched, watch.watched.number
    own, shown = None, []
    if watched.url:
        finished = await vantage.checks.check(Taken(Submission(number, watched.url), watched.url))
        own, shown = _answer(finished, watched.url), list(finished.items)
    found = presence(watched, own, [item for item in shown if item is not own], rules)
    page = None
    if SIGNS[found] is not Sign.PRESENT and watch.address and watch.address != watched.url:
        finished = await vantage.checks.check(Taken(watch.submission, watch.address))
        page = _answer(finished, watch.address)
        shown += finished.items
        own = next((item for item in finished.items if watched.url and item.url == watched.url), own)
        found = presence(watched, own, [item for item in shown if item is not own], rules, page=page)
    said = own if own is not None else page
    decisive = _decisive(watched, said, shown, found, rules)
    return Look(
        at=clock(),
        presence=found,
        vantage=name,
        status=decisive.fetched.hops[-1].status if decisive and decisive.fetched and decisive.fetched.hops else 0,
        detail=decisive.detail if decisive else "",
        evidence=await _proved(decisive, watch.submission, vantage.proves) if decisive else "",
    )


def _answer(finished: Finished, address: str) -> Item:
    """Return what an address answered as a row: that of its picture, or one made of the summary."""
    for item in finished.items:
        if item.via is Via.DIRECT and item.url == address:
            return item
    summary = finished.summary
    return Item(summary.submission.number, address, Via.DIRECT, summary.outcome, summary.detail, "", summary.fetched,
                place=summary.place)  # fmt: skip


def _decisive(watched: Watched, said: Item | None, shown: Sequence[Item], found: Presence, rules: Rules) -> Item | None:
    """Return the row that the presence rests on."""
    if SIGNS[found] is Sign.PRESENT and (said is None or SIGNS[presence(watched, said, (), rules)] is not Sign.PRESENT):
        showing = (item for item in shown if SIGNS[presence(watched, item, (), rules)] is Sign.PRESENT)
        return next(showing, said)
    return said


async def _proved(item: Item, submission: Submission, proves: Proves) -> str:
    """Return the digest of a row's record, making one where the check made none."""
    return item.evidence or await proves.record(item, submission)
