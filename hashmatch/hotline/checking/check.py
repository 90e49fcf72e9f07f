"""The use case: a submission to its items and its summary.

Theory of operation
-------------------
The reported address is fetched (``looking``). A picture is asked about; a page is visited with everything on it
(``visit``); anything else has its outcome already. Each row is given to whoever keeps evidence, in order. The summary
has the gravest outcome of the page and its items (``gravity``) and says how many of each there were.

A page that wants proof of a person, and one that asks for a password instead of showing what was reported, are
outcomes of the page: what else is on them is looked at all the same.

What this module deliberately does not do: it keeps nothing (``job`` does), and knows no command.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlsplit

from hashmatch.errors import HashmatchError
from hashmatch.hotline.checking.abreast import abreast
from hashmatch.hotline.checking.looking import Looked, Looking, Ports, now
from hashmatch.hotline.checking.remembered import Remembered
from hashmatch.hotline.checking.visit import Parse, Visit
from hashmatch.hotline.jobs.gravity import counted, gravest
from hashmatch.hotline.jobs.job_states import Finished, Taken
from hashmatch.model.hotline import Fetched, Item, Outcome, Page, Submission, Summary, Via
from hashmatch.raised import raised_at
from hashmatch.sections import HotlineConfig

CHALLENGED = "the page wants proof of a person"
LOGIN = "the page asks for a login"
FAILURE = "hashmatch failed on it ({}); this is a defect, please report it"

_log = logging.getLogger(__name__)


class Checker:
    """Checks submissions, any number side by side."""

    def __init__(
        self,
        config: HotlineConfig,
        ports: Ports,
        parse: Parse,
        *,
        detects_at_once: int,
        clock: Callable[[], dt.datetime] = now,
    ) -> None:
        self._config = config
        self._ports = ports
        self._parse = parse
        self._clock = clock
        self._looking = Looking(config, ports, detects_at_once=detects_at_once)
        self._remembered = Remembered[Looked](config.remembered_images)

    def __repr__(self) -> str:
        return f"<Checker: {self._looking!r}, {self._remembered!r}>"

    async def check(self, taken: Taken) -> Finished:
        """Return everything there is about a submission.

        Raises
        ------
        HashmatchError
            What ends a job: a server or an index that is not there.

        """
        try:
            return await self._checked(taken)
        except HashmatchError:
            raise
        except Exception as error:  # noqa: BLE001 - the named boundary: one address that meets a defect is an outcome
            kind = type(error).__name__
            _log.error("checking an address failed: %s at %s", kind, raised_at(error))
            return Finished(
                Summary(taken.submission, Outcome.FAILED, FAILURE.format(kind), taken.address, checked_at=self._clock())
            )

    async def _checked(self, taken: Taken) -> Finished:
        number, url = taken.submission.number, taken.address
        looked = await self._looking.document(url)
        items: tuple[Item, ...] = ()
        own, detail = looked.outcome, looked.detail
        if looked.page is not None:
            visit = Visit(number, self._config, self._looking, self._remembered, self._parse)
            items = await visit.run(looked.fetched.final_url or url, looked.page)
            own, detail = page_outcome(looked.fetched, visit.pages, any_items=bool(items))
        elif looked.report is not None or own is Outcome.NOT_CHECKED:
            items = (looked.item(number, url, Via.DIRECT, ""),)
        items = tuple(await abreast([self._proved(item, taken.submission) for item in items]))
        counts = Counter(item.outcome for item in items)
        outcome = gravest([*([] if own is None else [own]), *counts])
        return Finished(
            Summary(
                taken.submission,
                outcome,
                "; ".join(filter(None, (detail, counted(counts, "image", "images") if counts else ""))),
                url,
                looked.fetched,
                looked.place,
                dict(counts),
                self._clock(),
            ),
            items,
        )

    async def _proved(self, item: Item, submission: Submission) -> Item:
        return dataclasses.replace(item, evidence=await self._ports.proves.record(item, submission))


def page_outcome(fetched: Fetched, pages: list[Page], *, any_items: bool) -> tuple[Outcome | None, str]:
    """Return what a page is by itself, and a sentence about it; None where its items say everything.

    A login form alone says little, since many pages have one in a corner: it counts where nothing else is shown, and
    where the host redirected from what was reported to another path.
    """
    if any(page.challenge for page in pages):
        return Outcome.CHALLENGE, CHALLENGED
    if any(page.login_form for page in pages) and (not any_items or _elsewhere(fetched)):
        return Outcome.LOGIN_REQUIRED, LOGIN
    return (None, "") if any_items else (Outcome.NO_IMAGES, "")


def _elsewhere(fetched: Fetched) -> bool:
    """Whether a host answered with another path than was asked for."""
    return bool(fetched.hops) and urlsplit(fetched.hops[0].url).path != urlsplit(fetched.final_url).path
