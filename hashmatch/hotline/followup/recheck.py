"""Is it gone? What one look says, what all looks together say, and when to look again.

Theory of operation
-------------------
A :class:`Watched` picture is what the first check found at an address. A look is made of two things: what the address
answers now, and what the page shows now. A page that still shows the picture, if under another address, outweighs an
address that is gone: image hosts sign addresses, and signatures expire. :func:`presence` turns a look into one
:class:`Presence`, by a table of outcomes where no picture came, by comparing hashes where one did.

What a presence counts for is its :class:`Sign`. *Absent* is said by the host itself, and one look is enough. *Faint* is
silence, here and now: it counts as gone once it was heard ``Rules.tries`` times in a row, over ``Rules.doubt`` and from
two vantage points where there are two, and then from when it began. *Closed* and *unclear* say neither: a login wall is
no removal. ``TABLE[state, sign]`` is the next state of a :class:`Life`, which is folded from the looks and stored
nowhere.

========== =========================================================================================================
online     it is there
doubtful   it was not seen, and that is not confirmed
closed     behind a login
gone       removed, replaced or unreachable, confirmed
returned   there again after it was gone
========== =========================================================================================================

Slots of the schedule count from the first check, again from a notice, and again from a return. Slots that passed while
nobody looked are made up for by one look. A picture that is gone is still looked at: what was taken down comes back.

What this module deliberately does not do: it fetches nothing, stores nothing and reads no clock. It does not know why
something is gone.

Source: reference formats §4.4.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from hashmatch.hotline.followup.links import PDQ
from hashmatch.model import MATCHED, MatchReport, Verdict
from hashmatch.model.hotline import Fetched, Item, Outcome, Submission
from hashmatch.projections.places import host_of


class Presence(enum.StrEnum):
    """What one look says."""

    ONLINE_SAME = "online_same"
    """The same bytes."""
    ONLINE_CHANGED_MATCH = "online_changed_match"
    """Other bytes of the same picture."""
    MOVED = "moved"
    """The picture, at another address: after a redirect, or as the page now refers to it."""
    ONLINE_CHANGED_OTHER = "online_changed_other"
    """Replaced: the address answers with something else."""
    PLACEHOLDER = "placeholder"
    """Replaced by a picture on the operator's list of those that say that something was removed."""
    PARKED = "parked"
    """The address leads to a host on the operator's list of those that sell names."""
    GONE_404 = "gone_404"
    GONE_410 = "gone_410"
    GONE_451 = "gone_451"
    GONE_DNS = "gone_dns"
    """The name does not resolve."""
    UNREACHABLE = "unreachable"
    LOGIN_REQUIRED = "login_required"
    UNCLEAR = "unclear"
    """An answer that says neither: forbidden, a challenge, too large, not looked at."""


class Sign(enum.StrEnum):
    """What a presence counts for."""

    PRESENT = "present"
    ABSENT = "absent"
    FAINT = "faint"
    CONFIRMED = "confirmed"
    """Faint, and that often enough; never of a single presence."""
    CLOSED = "closed"
    UNCLEAR = "unclear"


class State(enum.StrEnum):
    """What all looks together say."""

    ONLINE = "online"
    DOUBTFUL = "doubtful"
    CLOSED = "closed"
    GONE = "gone"
    RETURNED = "returned"


_P, _G, _S, _O = Presence, Sign, State, Outcome

SIGNS: Final[Mapping[Presence, Sign]] = MappingProxyType(
    {
        _P.ONLINE_SAME: _G.PRESENT,
        _P.ONLINE_CHANGED_MATCH: _G.PRESENT,
        _P.MOVED: _G.PRESENT,
        _P.ONLINE_CHANGED_OTHER: _G.ABSENT,
        _P.PLACEHOLDER: _G.ABSENT,
        _P.PARKED: _G.ABSENT,
        _P.GONE_404: _G.ABSENT,
        _P.GONE_410: _G.ABSENT,
        _P.GONE_451: _G.ABSENT,
        _P.GONE_DNS: _G.FAINT,  # no name server answering looks the same as no such name
        _P.UNREACHABLE: _G.FAINT,
        _P.LOGIN_REQUIRED: _G.CLOSED,
        _P.UNCLEAR: _G.UNCLEAR,
    }
)

TABLE: Final[Mapping[tuple[State, Sign], State]] = MappingProxyType(
    {
        **{(state, sign): _S.GONE for state in State for sign in (_G.ABSENT, _G.CONFIRMED)},
        **{(state, _G.FAINT): _S.DOUBTFUL for state in State},
        **{(state, _G.CLOSED): _S.CLOSED for state in State},
        **{(state, _G.UNCLEAR): state for state in State},
        (_S.ONLINE, _G.PRESENT): _S.ONLINE,
        (_S.DOUBTFUL, _G.PRESENT): _S.ONLINE,
        (_S.CLOSED, _G.PRESENT): _S.ONLINE,
        (_S.RETURNED, _G.PRESENT): _S.RETURNED,
        (_S.GONE, _G.PRESENT): _S.RETURNED,
        (_S.GONE, _G.FAINT): _S.GONE,
        (_S.GONE, _G.CLOSED): _S.GONE,
    }
)

BY_OUTCOME: Final[Mapping[Outcome, Presence]] = MappingProxyType(
    {
        _O.NO_IMAGES: _P.ONLINE_CHANGED_OTHER,
        _O.NOT_IMAGE: _P.ONLINE_CHANGED_OTHER,
        _O.UNSUPPORTED: _P.ONLINE_CHANGED_OTHER,
        _O.MATCH: _P.ONLINE_CHANGED_OTHER,  # of a page, whose pictures were compared before
        _O.POSSIBLE_MATCH: _P.ONLINE_CHANGED_OTHER,
        _O.NO_MATCH: _P.ONLINE_CHANGED_OTHER,
        _O.GONE: _P.GONE_404,
        _O.BLOCKED_451: _P.GONE_451,
        _O.DNS_FAIL: _P.GONE_DNS,
        _O.UNREACHABLE: _P.UNREACHABLE,
        _O.TIMEOUT: _P.UNREACHABLE,
        _O.TLS_FAIL: _P.UNREACHABLE,
        _O.LOGIN_REQUIRED: _P.LOGIN_REQUIRED,
    }
)
"""What an answer without a picture to compare says; an outcome that is not here is unclear."""

_GONE_STATUS: Final = MappingProxyType({404: _P.GONE_404, 410: _P.GONE_410, 451: _P.GONE_451})
_SERVER_ERRORS: Final = range(500, 600)
_PRESENT: Final = (_P.ONLINE_SAME, _P.ONLINE_CHANGED_MATCH, _P.MOVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A picture at an address, as it was found first.

    ``key`` names it within its job. ``url`` is empty for a picture inside a page; ``final_url`` is where redirects led.
    """

    key: str
    number: int
    url: str
    page_url: str
    final_url: str
    sha256: bytes
    pdq: bytes = b""
    known: bool = True
    """Whether a list knew it; its own hash is compared in any case."""
    entries: tuple[str, ...] = ()
    """Those that knew it, ``set/entry``: what else is on its page and known is told from it by these."""
    country: str = ""
    found_at: dt.datetime

    @property
    def host(self) -> str:
        """Host that serves it; of a picture inside a page, the page's."""
        return host_of(self.url or self.page_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How looks are judged and how often they are taken.

    ``max_distance`` is in bits, inclusive. ``placeholders`` are SHA-256 digests, ``parking`` hosts. ``slots`` are times
    from the beginning of a watch, ascending. ``vantages`` names the points that are looked from, the usual one first.
    """

    max_distance: int = 31
    placeholders: frozenset[bytes] = frozenset()
    parking: frozenset[str] = frozenset()
    tries: int = 3
    doubt: dt.timedelta = dt.timedelta(hours=24)
    slots: tuple[dt.timedelta, ...]
    vantages: tuple[str, ...] = ("direct",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look, as it is kept. ``detail`` is a sentence for people, ``evidence`` the digest of its record."""

    at: dt.datetime
    presence: Presence
    vantage: str = "direct"
    status: int = 0
    detail: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Spell:
    """A time of being gone: from the first look that found it gone and was confirmed, until it was seen again."""

    gone_at: dt.datetime
    confirmed_at: dt.datetime
    back_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """What all looks at one picture say. ``faint`` are the looks of an unbroken silence, oldest first."""

    state: State = State.ONLINE
    presence: Presence = Presence.ONLINE_SAME
    """Of the last look."""
    looks: int = 0
    looked_at: dt.datetime | None = None
    online_at: dt.datetime | None = None
    """When it was last seen."""
    faint: tuple[Look, ...] = ()
    spells: tuple[Spell, ...] = ()

    @property
    def gone_at(self) -> dt.datetime | None:
        """When it was first gone."""
        return self.spells[0].gone_at if self.spells else None

    @property
    def returns(self) -> int:
        """How often it came back."""
        return sum(spell.back_at is not None for spell in self.spells)


def slots(first_h: Sequence[int], daily: int, weekly: int) -> tuple[dt.timedelta, ...]:
    """Return the slots of a schedule: hours, then so many days after the last of them, then so many weeks."""
    found = [dt.timedelta(hours=hours) for hours in sorted(set(first_h))]
    for step, count in ((dt.timedelta(days=1), daily), (dt.timedelta(weeks=1), weekly)):
        begin = found[-1] if found else dt.timedelta()
        found += [begin + step * n for n in range(1, count + 1)]
    return tuple(found)


def presence(
    watched: Watched, own: Item | None, shown: Iterable[Item], rules: Rules, *, page: Item | None = None
) -> Presence:
    """Judge one look.

    Parameters
    ----------
    watched : Watched
        What is looked for.
    own : Item or None
        What its address answers; None for a picture inside a page.
    shown : iterable of Item
        Pictures that the page shows now; empty where there is no page or it was not looked at.
    rules : Rules
        How to judge.
    page : Item or None
        What the page itself answers, which decides about a picture inside it that is not shown.

    """
    if own is not None and (found := _compared(watched, own, rules)) in _PRESENT:
        return found
    among = [_compared(watched, item, rules, elsewhere=not watched.url or item.url != watched.url) for item in shown]
    if any(here in _PRESENT for here in among):
        return Presence.MOVED if watched.url else next(here for here in _PRESENT if here in among)
    answer = own if own is not None else page
    return Presence.UNCLEAR if answer is None else _compared(watched, answer, rules)


def _compared(watched: Watched, item: Item, rules: Rules, *, elsewhere: bool = False) -> Presence:
    """Judge one answer by its picture, or by its outcome where it has none.

    At the picture's own address, whatever a list knows is there still. ``elsewhere`` on its page, it must be an entry
    that knew this picture: the others of a page are watched by themselves.
    """
    report, end = item.report, item.fetched.final_url if item.fetched else ""
    if host_of(end) in rules.parking and end:
        return Presence.PARKED
    if report is None or report.digests is None:
        return _without_picture(item.outcome, item.fetched)
    digest = report.digests.sha256
    same = digest == watched.sha256
    if not same and digest in rules.placeholders:
        return Presence.PLACEHOLDER
    if same or _is_near(watched, report, rules) or _is_listed(watched, report, elsewhere=elsewhere):
        if end and watched.final_url and end != watched.final_url and item.url == watched.url:
            return Presence.MOVED
        return Presence.ONLINE_SAME if same else Presence.ONLINE_CHANGED_MATCH
    return Presence.UNCLEAR if report.verdict is Verdict.NOT_CHECKED else Presence.ONLINE_CHANGED_OTHER


def _without_picture(outcome: Outcome, fetched: Fetched | None) -> Presence:
    status = fetched.hops[-1].status if fetched and fetched.hops else 0
    if outcome in {Outcome.GONE, Outcome.BLOCKED_451} and status in _GONE_STATUS:
        return _GONE_STATUS[status]
    if outcome is Outcome.HTTP_ERROR and status in _SERVER_ERRORS:
        return Presence.UNREACHABLE
    return BY_OUTCOME.get(outcome, Presence.UNCLEAR)


def _is_near(watched: Watched, report: MatchReport, rules: Rules) -> bool:
    """Whether other bytes are near the picture's own hash."""
    values = [value.value for value in report.hashes if value.algorithm == PDQ and not value.view]
    return any(_distance(watched.pdq, value) <= rules.max_distance for value in values if watched.pdq)


def _is_listed(watched: Watched, report: MatchReport, *, elsewhere: bool) -> bool:
    """Whether a list that knew the picture knows other bytes."""
    if not watched.known or report.verdict not in MATCHED:
        return False
    return not elsewhere or not set(watched.entries).isdisjoint(entries_of(report))


def entries_of(report: MatchReport) -> tuple[str, ...]:
    """Return the entries that a picture was found as, ``set/entry``, in order."""
    found = {f"{hit.entry.set_name}/{hit.entry.entry_id}" for hit in report.hits if hit.verdict in MATCHED}
    return tuple(sorted(found))


def _distance(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def lived(looks: Iterable[Look], rules: Rules, watched: Watched) -> Life:
    """Fold all looks at one picture, oldest first."""
    life = Life(online_at=watched.found_at)
    for look in looks:
        life = stepped(life, look, rules)
    return life


def stepped(life: Life, look: Look, rules: Rules) -> Life:
    """Return a life after one more look."""
    sign = SIGNS[look.presence]
    faint = (*life.faint, look) if sign is Sign.FAINT else life.faint if sign is Sign.UNCLEAR else ()
    if sign is Sign.FAINT and _confirms(faint, rules):
        sign = Sign.CONFIRMED
    state = TABLE[life.state, sign]
    spells = life.spells
    if state is State.GONE and life.state is not State.GONE:
        began = faint[0].at if sign is Sign.CONFIRMED else look.at
        spells = (*spells, Spell(began, look.at))
    elif life.state is State.GONE and state is State.RETURNED:
        spells = (*spells[:-1], replace(spells[-1], back_at=look.at))
    return Life(
        state,
        look.presence,
        life.looks + 1,
        look.at,
        look.at if sign is Sign.PRESENT else life.online_at,
        () if state is State.GONE else faint,
        spells,
    )


def _confirms(faint: Sequence[Look], rules: Rules) -> bool:
    heard_from = {look.vantage for look in faint}
    return (
        len(faint) >= rules.tries
        and faint[-1].at - faint[0].at >= rules.doubt
        and len(heard_from) >= min(2, len(rules.vantages))
    )


def next_look(life: Life, rules: Rules, watched: Watched, notified_at: dt.datetime | None) -> dt.datetime | None:
    """Return when to look next; None when the schedule is over.

    While there is doubt, the looks that would confirm it are spread evenly over ``Rules.doubt``, whatever the schedule
    says, also beyond its end.
    """
    if life.state is State.DOUBTFUL and life.looked_at is not None:
        return life.looked_at + rules.doubt / max(1, rules.tries - 1)
    backs = [spell.back_at for spell in life.spells if spell.back_at is not None]
    begin = max(time for time in (watched.found_at, notified_at, *backs) if time is not None)
    due = (begin + slot for slot in rules.slots)
    return next((time for time in due if life.looked_at is None or time > life.looked_at), None)


def next_vantage(life: Life, rules: Rules) -> str:
    """Return where to look from: from the usual point, and while there is doubt from each in turn."""
    if life.state is not State.DOUBTFUL:
        return rules.vantages[0]
    last = life.faint[-1].vantage if life.faint else rules.vantages[0]
    place = rules.vantages.index(last) if last in rules.vantages else -1
    return rules.vantages[(place + 1) % len(rules.vantages)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A watched picture with everything that is kept of it. ``address`` is what is fetched of the submission."""

    watched: Watched
    submission: Submission
    address: str
    looks: tuple[Look, ...] = ()
    notified_at: dt.datetime | None = None
    """First notice, from which the time to takedown counts."""
    schedule_from: dt.datetime | None = None
    """Last notice, with which the schedule began anew."""

    def life(self, rules: Rules) -> Life:
        """Fold all looks."""
        return lived(self.looks, rules, self.watched)

    def due_at(self, rules: Rules) -> dt.datetime | None:
        """Return when to look next; None when the schedule is over."""
        return next_look(self.life(rules), rules, self.watched, self.schedule_from)
