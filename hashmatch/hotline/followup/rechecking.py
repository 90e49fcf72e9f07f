"""Going on with a job: what is due is looked at, now or for as long as anything will be.

Theory of operation
-------------------
One pass (:func:`look_at_due`) takes everything whose time has come, looks, and keeps each look at once. :func:`follow`
makes passes until the schedule of everything is over, and between them gives the job file back, so that a notice can be
recorded and figures be made while it waits. What it waits for is the next due time or an event, whichever is first; a
pass that is cancelled has kept the looks that it had finished.

What this module deliberately does not do: it fetches nothing and reads no clock of its own.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hashmatch.errors import BadInput
from hashmatch.hotline.followup.recheck import Look, Rules, Watch, slots
from hashmatch.hotline.followup.watches import Watches
from hashmatch.hotline.followup.watching import Vantage, look_at_all
from hashmatch.projections.places import host_of
from hashmatch.sections import HotlineConfig

USUAL: Final = "usual"
"""Name of the point that the check itself looked from."""

LEAST_WAIT_S: Final = 60.0
"""Between two passes: what falls due meanwhile shares one, and one start of processes."""

LONGEST_WAIT_S: Final = 3_600.0
"""After which the clock is looked at again: it may have been set."""

_DIGEST_HEX: Final = 64
_MAX_LIST_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass did, and when the next is due; None: never."""

    looks: int
    next_at: dt.datetime | None


async def look_at_due(
    watches: Watches,
    vantages: Mapping[str, Vantage],
    rules: Rules,
    *,
    clock: Callable[[], dt.datetime],
    told: Callable[[Watch, Look], None] = lambda _watch, _look: None,
) -> Pass:
    """Look at everything whose time has come.

    Parameters
    ----------
    watches : Watches
        Of an open job.
    vantages : mapping of str to Vantage
        By the names in ``rules.vantages``.
    rules : Rules
        How looks are judged and when they are due.
    clock : callable
        Returns the time, UTC.
    told : callable
        Called with each look once it is kept.

    """
    due, _ = due_of(watches, rules, clock())
    count = 0

    async def keep(watch: Watch, look: Look) -> None:
        nonlocal count
        await asyncio.to_thread(watches.looked, [(watch, look)])
        count += 1
        told(watch, look)

    await look_at_all(due, vantages, rules, keep, clock=clock)
    return Pass(count, due_of(watches, rules, clock())[1])


def due_of(watches: Iterable[Watch], rules: Rules, now: dt.datetime) -> tuple[list[Watch], dt.datetime | None]:
    """Return what is due, and when the next look is or was due over all; None: never again."""
    due, first = [], None
    for watch in watches:
        at = watch.due_at(rules)
        if at is not None:
            first = at if first is None else min(first, at)
            if at <= now:
                due.append(watch)
    return due, first


async def follow(
    one_pass: Callable[[], Awaitable[Pass]],
    stop: asyncio.Event,
    *,
    clock: Callable[[], dt.datetime],
    waited: Callable[[dt.datetime], None] = lambda _until: None,
    least_wait_s: float = LEAST_WAIT_S,
) -> int:
    """Make passes until nothing will be due any more, or until it is asked to stop; return the number of looks.

    Parameters
    ----------
    one_pass : callable
        Opens the job, looks at what is due, closes it.
    stop : asyncio.Event
        Set to end: a pass under way is cancelled.
    clock : callable
        Returns the time, UTC.
    waited : callable
        Called before each wait with the time until which it lasts.
    least_wait_s : float
        Between two passes, in seconds.

    """
    looks = 0
    stopping = asyncio.ensure_future(stop.wait())
    try:
        while not stop.is_set():
            done = await _unless(stopping, one_pass())
            if done is None:
                break
            looks += done.looks
            if done.next_at is None:
                break
            waited(done.next_at)
            left_s = (done.next_at - clock()).total_seconds()
            await asyncio.wait({stopping}, timeout=min(max(left_s, least_wait_s), LONGEST_WAIT_S))
    finally:
        stopping.cancel()
    return looks


async def _unless(stopping: asyncio.Future[Any], passing: Awaitable[Pass]) -> Pass | None:
    """Return what a pass did, or None where it was cancelled because it is to stop."""
    task: asyncio.Future[Any] = asyncio.ensure_future(passing)
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        done: Pass | None = task.result() if task.done() else None
        return done
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def rules_of(config: HotlineConfig) -> Rules:
    """Return the rules that a configuration sets, reading the lists that it names.

    Raises
    ------
    BadInput
        A list cannot be read, or a line of it is not what it should be.

    """
    return Rules(
        placeholders=digests_in(Path(config.placeholders)) if config.placeholders else frozenset(),
        parking=hosts_in(Path(config.parking_hosts)) if config.parking_hosts else frozenset(),
        tries=config.recheck_tries,
        doubt=dt.timedelta(hours=config.recheck_doubt_h),
        slots=slots(config.recheck_first_h, config.recheck_daily, config.recheck_weekly),
        vantages=(USUAL, *vantages_of(config)),
    )


def vantages_of(config: HotlineConfig) -> Mapping[str, str]:
    """Return the names of further points to look from, with their proxies.

    Raises
    ------
    BadInput
        An item of ``hotline.recheck_vantages`` is not ``NAME=socks5h://host:port``, or a name is there twice.

    """
    found: dict[str, str] = {}
    for item in config.recheck_vantages:
        name, _, proxy = item.partition("=")
        if not name or not proxy.startswith("socks5h://") or name in found or name == USUAL:
            raise BadInput(
                f"hotline.recheck_vantages: {item!r} is not NAME=socks5h://host:port with a name of its own",
                field="hotline.recheck_vantages",
            )
        found[name] = proxy
    return found


def digests_in(path: Path) -> frozenset[bytes]:
    """Return the SHA-256 digests in a file, one a line; what follows a ``#`` is a remark. Raises BadInput."""
    found = set()
    for number, text in _lines(path):
        if len(text) != _DIGEST_HEX or not set(text.lower()) <= set("0123456789abcdef"):
            raise BadInput(f"{path}, line {number}: expected {_DIGEST_HEX} hex digits of SHA-256, got {text[:80]!r}")
        found.add(bytes.fromhex(text))
    return frozenset(found)


def hosts_in(path: Path) -> frozenset[str]:
    """Return the hosts in a file, one a line; what follows a ``#`` is a remark. Raises BadInput."""
    found = set()
    for number, text in _lines(path):
        host = host_of(f"https://{text}/")
        if not host or host != text.lower():
            raise BadInput(f"{path}, line {number}: expected a host, got {text[:80]!r}")
        found.add(host)
    return frozenset(found)


def _lines(path: Path) -> list[tuple[int, str]]:
    """Return the lines of a file that say something, with their numbers."""
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_LIST_BYTES + 1)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    if len(data) > _MAX_LIST_BYTES:
        raise BadInput(f"{path} has more than {_MAX_LIST_BYTES} bytes; that is no such list")
    numbered = enumerate(data.decode("utf-8", "replace").splitlines(), 1)
    return [(number, text) for number, line in numbered if (text := line.partition("#")[0].strip())]
