from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import random
from collections.abc import Sequence

import pytest

from hashmatch.hotline.followup import recheck
from hashmatch.hotline.followup.recheck import Life, Look, Presence, Rules, Sign, Spell, State, Watched
from hashmatch.model import (
    Digests,
    EntryHash,
    EntryRef,
    EntryStatus,
    HarmDomain,
    Hit,
    MatchReport,
    SetMode,
    Verdict,
)
from hashmatch.model.hotline import Fetched, Hop, Item, Outcome, Via

NOON = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
URL = "https://img.example.org/a.jpg"
PAGE = "https://example.org/advert"
PDQ = bytes(range(32))
RULES = Rules(
    placeholders=frozenset({b"removed".ljust(32)}),
    parking=frozenset({"parked.example.net"}),
    slots=recheck.slots((1, 6, 24), 14, 8),
)
WATCHED = Watched(
    key="1", number=1, url=URL, page_url=PAGE, final_url=URL, sha256=b"first".ljust(32), pdq=PDQ, found_at=NOON
)
INLINE = dataclasses.replace(WATCHED, url="", final_url="")


def away(bits: int) -> bytes:
    return (int.from_bytes(PDQ) ^ ((1 << bits) - 1)).to_bytes(32)


def at(hours: float) -> dt.datetime:
    return NOON + dt.timedelta(hours=hours)


def picture(
    digest: bytes, pdq: bytes = away(200), verdict: Verdict = Verdict.NO_MATCH, url: str = URL, end: str = URL
) -> Item:
    hashes = (EntryHash("pdq", pdq),) if pdq else ()
    report = MatchReport("r", verdict, "", "1.0", NOON, digests=Digests(b"", b"", digest.ljust(32), 1), hashes=hashes)
    hops = (*(Hop(hop, status=302) for hop in [URL] if hop != end), Hop(end, status=200))
    return Item(1, url, Via.IMG, Outcome(verdict.value), page_url=PAGE, fetched=Fetched(hops), report=report)


def answer(outcome: Outcome, status: int = 0, end: str = URL) -> Item:
    return Item(1, URL, Via.IMG, outcome, page_url=PAGE, fetched=Fetched((Hop(end, status=status),), outcome))


SAME, NEAR, OTHER = picture(b"first"), picture(b"second", away(31)), picture(b"third", away(32))

LOOKS: list[tuple[str, Item | None, Sequence[Item], Presence]] = [
    ("the same bytes", SAME, (), Presence.ONLINE_SAME),
    ("another encoding", NEAR, (), Presence.ONLINE_CHANGED_MATCH),
    ("another picture", OTHER, (), Presence.ONLINE_CHANGED_OTHER),
    ("far away, but a list knows it", picture(b"x", verdict=Verdict.MATCH), (), Presence.ONLINE_CHANGED_MATCH),
    ("without a hash, but a list may know it", picture(b"x", b"", Verdict.POSSIBLE_MATCH), (),
     Presence.ONLINE_CHANGED_MATCH),
    ("not looked at, the same bytes", picture(b"first", b"", Verdict.NOT_CHECKED), (), Presence.ONLINE_SAME),
    ("not looked at, other bytes", picture(b"x", b"", Verdict.NOT_CHECKED), (), Presence.UNCLEAR),
    ("a placeholder", picture(b"removed"), (), Presence.PLACEHOLDER),
    ("redirected, the same", picture(b"first", end="https://new.example.org/b.jpg"), (), Presence.MOVED),
    ("redirected, another", picture(b"x", end="https://new.example.org/b.jpg"), (), Presence.ONLINE_CHANGED_OTHER),
    ("redirected to a parking host", picture(b"first", end="https://parked.example.net/"), (), Presence.PARKED),
    ("parked, a page", answer(Outcome.NO_IMAGES, 200, "http://parked.example.net/lander"), (), Presence.PARKED),
    ("404", answer(Outcome.GONE, 404), (), Presence.GONE_404),
    ("410", answer(Outcome.GONE, 410), (), Presence.GONE_410),
    ("451", answer(Outcome.BLOCKED_451, 451), (), Presence.GONE_451),
    ("no name", answer(Outcome.DNS_FAIL), (), Presence.GONE_DNS),
    ("no connection", answer(Outcome.UNREACHABLE), (), Presence.UNREACHABLE),
    ("500", answer(Outcome.HTTP_ERROR, 500), (), Presence.UNREACHABLE),
    ("400", answer(Outcome.HTTP_ERROR, 400), (), Presence.UNCLEAR),
    ("a login", answer(Outcome.LOGIN_REQUIRED, 401), (), Presence.LOGIN_REQUIRED),
    ("403", answer(Outcome.FORBIDDEN, 403), (), Presence.UNCLEAR),
    ("a page instead", answer(Outcome.NO_IMAGES, 200), (), Presence.ONLINE_CHANGED_OTHER),
    ("404, and on the page at another address", answer(Outcome.GONE, 404), (OTHER, picture(b"first", url="https://b/")),
     Presence.MOVED),
    ("404, and on the page another encoding", answer(Outcome.GONE, 404), (NEAR,), Presence.MOVED),
    ("404, and on the page others", answer(Outcome.GONE, 404), (OTHER,), Presence.GONE_404),
    ("nothing was looked at", None, (), Presence.UNCLEAR),
]  # fmt: skip


@pytest.mark.parametrize(("own", "shown", "expected"), [row[1:] for row in LOOKS], ids=[row[0] for row in LOOKS])
def test_what_a_look_says(own: Item | None, shown: Sequence[Item], expected: Presence) -> None:
    assert recheck.presence(WATCHED, own, shown, RULES) is expected


@pytest.mark.parametrize(
    ("shown", "page", "expected"),
    [
        ((OTHER, NEAR, SAME), None, Presence.ONLINE_SAME),
        ((OTHER, NEAR), None, Presence.ONLINE_CHANGED_MATCH),
        ((OTHER,), answer(Outcome.NO_MATCH, 200), Presence.ONLINE_CHANGED_OTHER),
        ((), answer(Outcome.GONE, 410), Presence.GONE_410),
        ((), answer(Outcome.TIMEOUT), Presence.UNREACHABLE),
        ((), None, Presence.UNCLEAR),
    ],
)
def test_a_picture_inside_a_page(shown: Sequence[Item], page: Item | None, expected: Presence) -> None:
    assert recheck.presence(INLINE, None, shown, RULES, page=page) is expected


def test_what_no_list_knew_is_only_compared_with_itself() -> None:
    unknown = dataclasses.replace(WATCHED, known=False)
    assert recheck.presence(unknown, picture(b"x", verdict=Verdict.MATCH), (), RULES) is Presence.ONLINE_CHANGED_OTHER
    assert recheck.presence(unknown, NEAR, (), RULES) is Presence.ONLINE_CHANGED_MATCH


def known_as(entry_id: str, url: str) -> Item:
    """Return a picture far from the one that is watched, which a list knows."""
    found = picture(b"known", verdict=Verdict.MATCH, url=url)
    assert found.report is not None
    hit = Hit(
        Verdict.MATCH, "pdq_near",
        EntryRef("1", "known", 1, HarmDomain.OTHER, SetMode.ENFORCED, entry_id, EntryStatus.ACTIVE, ()),
        "pdq", "pdq", 3, 31, "",
    )  # fmt: skip
    return dataclasses.replace(found, report=dataclasses.replace(found.report, hits=(hit,)))


@pytest.mark.parametrize(
    ("entry_id", "url", "expected"),
    [
        ("e1", "https://img.example.org/mirrored.jpg", Presence.MOVED),
        ("e2", "https://img.example.org/next.jpg", Presence.GONE_404),
    ],
)
def test_another_known_picture_of_the_page_is_not_the_one_that_was_removed(
    entry_id: str, url: str, expected: Presence
) -> None:
    watched = dataclasses.replace(WATCHED, entries=("known/e1",))
    assert recheck.presence(watched, answer(Outcome.GONE, 404), (known_as(entry_id, url),), RULES) is expected


def test_at_its_own_address_whatever_a_list_knows_is_there() -> None:
    watched = dataclasses.replace(WATCHED, entries=("known/e1",))
    assert recheck.presence(watched, known_as("e2", URL), (), RULES) is Presence.ONLINE_CHANGED_MATCH


def test_of_pictures_inside_a_page_another_known_one_is_not_the_watched_one() -> None:
    watched = dataclasses.replace(INLINE, entries=("known/e1",))
    page = answer(Outcome.NO_MATCH, 200)
    assert recheck.presence(watched, None, (known_as("e2", ""),), RULES, page=page) is Presence.ONLINE_CHANGED_OTHER
    assert recheck.presence(watched, None, (known_as("e1", ""),), RULES, page=page) is Presence.ONLINE_CHANGED_MATCH


def test_every_outcome_says_something_and_none_that_it_is_there() -> None:
    for outcome in Outcome:
        found = recheck.presence(WATCHED, answer(outcome), (), RULES)
        assert recheck.SIGNS[found] is not Sign.PRESENT, outcome
    unclear = {o for o in Outcome if recheck.presence(WATCHED, answer(o), (), RULES) is Presence.UNCLEAR}
    assert unclear == {
        Outcome.FORBIDDEN, Outcome.CHALLENGE, Outcome.HTTP_ERROR, Outcome.TOO_SLOW, Outcome.TOO_LARGE,
        Outcome.TOO_MANY, Outcome.TOO_MANY_REDIRECTS, Outcome.BAD_ANSWER, Outcome.NOT_CHECKED,
        Outcome.REFUSED_ADDRESS, Outcome.REFUSED_URL, Outcome.REFUSED_ROBOTS, Outcome.PAGE_FAIL, Outcome.FAILED,
        Outcome.ABORTED,
    }  # fmt: skip


def test_the_tables_are_whole() -> None:
    assert set(recheck.SIGNS) == set(Presence)
    assert set(recheck.TABLE) == set(itertools.product(State, Sign))
    assert Sign.CONFIRMED not in recheck.SIGNS.values()


P = Presence
LIVES: list[tuple[str, list[tuple[float, Presence]], State, list[tuple[float, float, float | None]]]] = [
    ("never looked at", [], State.ONLINE, []),
    ("removed", [(1, P.ONLINE_SAME), (6, P.GONE_404)], State.GONE, [(6, 6, None)]),
    ("replaced", [(1, P.ONLINE_CHANGED_OTHER)], State.GONE, [(1, 1, None)]),
    ("moved", [(1, P.MOVED)], State.ONLINE, []),
    ("a login", [(1, P.LOGIN_REQUIRED)], State.CLOSED, []),
    ("a login and back", [(1, P.LOGIN_REQUIRED), (2, P.ONLINE_CHANGED_MATCH)], State.ONLINE, []),
    ("silent once", [(1, P.UNREACHABLE)], State.DOUBTFUL, []),
    ("silent often, not long", [(1, P.UNREACHABLE), (2, P.GONE_DNS), (24, P.UNREACHABLE)], State.DOUBTFUL, []),
    ("silent long, not often", [(1, P.UNREACHABLE), (30, P.UNREACHABLE)], State.DOUBTFUL, []),
    ("silent long and often", [(1, P.UNREACHABLE), (13, P.GONE_DNS), (25, P.UNREACHABLE)], State.GONE, [(1, 25, None)]),
    ("heard in between", [(1, P.UNREACHABLE), (13, P.ONLINE_SAME), (25, P.UNREACHABLE), (37, P.UNREACHABLE)],
     State.DOUBTFUL, []),
    ("an unclear answer breaks no silence", [(1, P.UNREACHABLE), (5, P.UNCLEAR), (13, P.GONE_DNS), (25, P.GONE_DNS)],
     State.GONE, [(1, 25, None)]),
    ("silent, then said to be gone", [(1, P.UNREACHABLE), (13, P.GONE_410)], State.GONE, [(13, 13, None)]),
    ("back again", [(1, P.GONE_404), (24, P.ONLINE_SAME)], State.RETURNED, [(1, 1, 24)]),
    ("back and gone", [(1, P.GONE_404), (24, P.ONLINE_SAME), (30, P.ONLINE_SAME), (48, P.PLACEHOLDER)], State.GONE,
     [(1, 1, 24), (48, 48, None)]),
    ("gone stays gone", [(1, P.GONE_404), (2, P.UNREACHABLE), (3, P.LOGIN_REQUIRED), (4, P.UNCLEAR), (5, P.PARKED)],
     State.GONE, [(1, 1, None)]),
]  # fmt: skip


@pytest.mark.parametrize(("looks", "state", "spells"), [row[1:] for row in LIVES], ids=[row[0] for row in LIVES])
def test_lives(
    looks: list[tuple[float, Presence]], state: State, spells: list[tuple[float, float, float | None]]
) -> None:
    life = recheck.lived([Look(at=at(hours), presence=presence) for hours, presence in looks], RULES, WATCHED)
    assert life.state is state
    expected = [Spell(at(gone), at(sure), None if back is None else at(back)) for gone, sure, back in spells]
    assert list(life.spells) == expected
    assert life.gone_at == (expected[0].gone_at if expected else None)
    assert life.returns == sum(back is not None for _, _, back in spells)
    assert life.looks == len(looks)


def test_silence_must_be_heard_from_two_points_where_there_are_two() -> None:
    rules = dataclasses.replace(RULES, vantages=("direct", "tor", "office"))
    silent = [Look(at=at(hours), presence=P.UNREACHABLE) for hours in (1, 13, 25, 37)]
    assert recheck.lived(silent, rules, WATCHED).state is State.DOUBTFUL
    elsewhere = [*silent[:2], dataclasses.replace(silent[2], vantage="tor")]
    assert recheck.lived(elsewhere, rules, WATCHED).state is State.GONE


def test_while_in_doubt_each_point_is_looked_from_in_turn() -> None:
    rules = dataclasses.replace(RULES, vantages=("direct", "tor", "office"))
    life, asked = Life(), []
    for hours in (1, 13, 25):
        asked.append(recheck.next_vantage(life, rules))
        life = recheck.stepped(life, Look(at=at(hours), presence=P.UNREACHABLE, vantage=asked[-1]), rules)
    assert asked == ["direct", "tor", "office"]
    assert recheck.next_vantage(life, rules) == "direct"
    gone_vantage = Life(State.DOUBTFUL, faint=(Look(at=NOON, presence=P.UNREACHABLE, vantage="no longer there"),))
    assert recheck.next_vantage(gone_vantage, rules) == "direct"


def test_the_usual_schedule() -> None:
    hours = [slot.total_seconds() / 3_600 for slot in RULES.slots]
    assert hours == [1, 6, 24, *(24 * day for day in range(2, 16)), *(24 * (15 + 7 * week) for week in range(1, 9))]
    assert recheck.slots((), 0, 0) == ()
    assert recheck.slots((), 1, 1) == (dt.timedelta(days=1), dt.timedelta(days=8))


def due(looks: list[tuple[float, Presence]], notified: float | None = None) -> float | None:
    life = recheck.lived([Look(at=at(hours), presence=presence) for hours, presence in looks], RULES, WATCHED)
    found = recheck.next_look(life, RULES, WATCHED, None if notified is None else at(notified))
    return None if found is None else (found - NOON).total_seconds() / 3_600


@pytest.mark.parametrize(
    ("looks", "notified", "expected"),
    [
        ([], None, 1),
        ([(1, P.ONLINE_SAME)], None, 6),
        ([(1.5, P.ONLINE_SAME)], None, 6),
        ([(50, P.ONLINE_SAME)], None, 72),
        ([(24 * 15 + 1, P.GONE_404)], None, 24 * 22),
        ([(24 * 71, P.ONLINE_SAME)], None, None),
        ([(24 * 71, P.ONLINE_SAME)], 24 * 80, 24 * 80 + 1),
        ([(2, P.ONLINE_SAME)], 3, 4),
        ([(1, P.GONE_404), (6, P.ONLINE_SAME)], None, 7),
        ([(1, P.UNREACHABLE)], None, 13),
        ([(24 * 71, P.UNREACHABLE)], None, 24 * 71 + 12),
    ],
)
def test_when_to_look_next(looks: list[tuple[float, Presence]], notified: float | None, expected: float | None) -> None:
    assert due(looks, notified) == expected


@pytest.mark.parametrize("seed", range(30))
def test_a_watch_ends_whatever_happens(seed: int) -> None:
    """Looking whenever it is due, at most one slot late, ends; and the record of it tells the same life again."""
    rng = random.Random(seed)
    life, now, looks = Life(online_at=NOON), NOON, 0
    said: list[Look] = []
    while (moment := recheck.next_look(life, RULES, WATCHED, None)) is not None:
        assert moment > now
        now = moment + dt.timedelta(minutes=rng.randrange(50))
        kinds = list(Presence) if looks < 40 else [P.ONLINE_SAME if life.state is not State.GONE else P.GONE_404]
        said.append(Look(at=now, presence=rng.choice(kinds), vantage="direct"))
        life, looks = recheck.stepped(life, said[-1], RULES), looks + 1
        assert looks < 200
    assert recheck.lived(said, RULES, WATCHED) == life
    for spell, following in itertools.pairwise(life.spells):
        assert spell.back_at is not None
        assert spell.gone_at <= spell.confirmed_at < spell.back_at < following.gone_at


def test_the_host_of_a_picture_inside_a_page_is_the_page_s() -> None:
    assert (WATCHED.host, INLINE.host) == ("img.example.org", "example.org")
