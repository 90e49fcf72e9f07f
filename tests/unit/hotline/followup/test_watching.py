"""Looking again: what is asked of whom, what is kept in the job, and how following ends."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from pathlib import Path

import pytest

from hashmatch.errors import BadInput, IndexNotLoaded
from hashmatch.hotline.checking.check import Checker
from hashmatch.hotline.followup import rechecking
from hashmatch.hotline.followup.recheck import Look, Presence, Rules, State, Watch, Watched
from hashmatch.hotline.followup.rechecking import Pass, follow, look_at_due
from hashmatch.hotline.followup.watches import Watches, watched_of
from hashmatch.hotline.followup.watching import Vantage, look
from hashmatch.hotline.jobs.job import JobFile
from hashmatch.hotline.jobs.job_states import Finished, Planned
from hashmatch.model import Digests, EntryHash, MatchReport, Verdict
from hashmatch.model.hotline import Item, Link, Outcome, Submission, Summary, Via
from hashmatch.sections import HotlineConfig
from tests.support.hotline.fakes import AT, FakeDetects, FakeProves, FakeWeb, page, picture, ports, report
from tests.unit.hotline.checking.test_check import parse

PAGE = "https://example.org/advert"
URL = "https://img.example.org/a.png"
MOVED = "https://img.example.org/b.png"
REPORTED = Submission(1, PAGE, {"report_id": "r1"})
RULES = rechecking.rules_of(HotlineConfig())


def hours(count: float) -> dt.datetime:
    return AT + dt.timedelta(hours=count)


def known(word: str) -> MatchReport:
    digests = Digests(b"m" * 16, b"1" * 20, word.encode().ljust(32), 9)
    return dataclasses.replace(report(Verdict.MATCH), digests=digests, hashes=(EntryHash("pdq", bytes(32)),))


DETECTS = FakeDetects({"a": known("a"), "other": dataclasses.replace(report(), digests=known("o").digests)})


def watched(url: str = URL) -> Watched:
    return Watched(
        key="1", number=1, url=url, page_url=PAGE, final_url=url, sha256=b"a".ljust(32), pdq=bytes(32), found_at=AT
    )


def vantage(web: FakeWeb, proves: FakeProves | None = None) -> Vantage:
    proves = proves or FakeProves()
    checks = Checker(HotlineConfig(), ports(web, DETECTS, proves), parse, detects_at_once=2, clock=lambda: AT)
    return Vantage(checks=checks, proves=proves)


async def looked(files: dict[str, object], url: str = URL, address: str = PAGE) -> tuple[Look, FakeWeb, FakeProves]:
    web, proves = FakeWeb(files), FakeProves()
    watch = Watch(watched=watched(url), submission=REPORTED, address=address)
    found = await look(watch, vantage(web, proves), RULES, "usual", clock=lambda: hours(1))
    assert (found.at, found.vantage) == (hours(1), "usual")
    return found, web, proves


async def test_a_picture_that_is_still_there_costs_one_fetch() -> None:
    found, web, proves = await looked({URL: picture("a"), PAGE: page(URL)})
    assert (found.presence, found.status) == (Presence.ONLINE_SAME, 200)
    assert web.asked == {URL: 1}
    assert found.evidence == f"{len(proves.recorded):064x}"


async def test_a_picture_that_is_gone_is_looked_for_on_its_page() -> None:
    found, web, proves = await looked({PAGE: page(URL)})
    assert (found.presence, found.detail) == (Presence.GONE_404, "scripted gone")
    assert set(web.asked) == {URL, PAGE}
    decisive = proves.recorded[int(found.evidence, 16) - 1]
    assert (decisive.url, decisive.outcome) == (URL, Outcome.GONE)


async def test_a_picture_that_the_page_shows_elsewhere_has_moved() -> None:
    found, _, proves = await looked({PAGE: page(MOVED), MOVED: picture("a")})
    assert found.presence is Presence.MOVED
    decisive = proves.recorded[int(found.evidence, 16) - 1]
    assert (decisive.url, decisive.outcome) == (MOVED, Outcome.MATCH)


async def test_a_picture_in_place_of_it_is_a_replacement() -> None:
    found, _, _ = await looked({PAGE: page(URL), URL: picture("other")})
    assert found.presence is Presence.ONLINE_CHANGED_OTHER


async def test_a_reported_picture_has_no_page() -> None:
    found, web, _ = await looked({}, address=URL)
    assert found.presence is Presence.GONE_404
    assert web.asked == {URL: 1}


async def test_a_page_in_place_of_a_picture_may_still_show_it() -> None:
    found, _, _ = await looked({URL: page(MOVED), MOVED: picture("a")}, address=URL)
    assert found.presence is Presence.MOVED


@pytest.mark.parametrize(
    ("content", "presence"),
    [
        (page(), Presence.ONLINE_CHANGED_OTHER),
        (Outcome.GONE, Presence.GONE_404),
        (Outcome.TIMEOUT, Presence.UNREACHABLE),
        (page(login_form=True), Presence.LOGIN_REQUIRED),
    ],
)
async def test_a_picture_inside_a_page_that_is_not_there_any_more(content: object, presence: Presence) -> None:
    found, web, _ = await looked({PAGE: content}, url="")
    assert found.presence is presence
    assert web.asked == {PAGE: 1}
    assert found.evidence


async def test_a_picture_inside_a_page() -> None:
    inside = page()
    inside = dataclasses.replace(inside, images=(Link("", Via.INLINE, picture("a")),))
    found, _, proves = await looked({PAGE: inside}, url="")
    assert found.presence is Presence.ONLINE_SAME
    assert proves.recorded[int(found.evidence, 16) - 1].via is Via.INLINE


# --- in a job ----------------------------------------------------------------------------------------------------


def item(url: str, outcome: Outcome = Outcome.MATCH, via: Via = Via.IMG, page_url: str = PAGE) -> Item:
    return Item(1, url, via, outcome, "", page_url, report=known("a"))


ITEMS = (
    item(URL), item(URL), item(MOVED, Outcome.NO_MATCH), item("", via=Via.INLINE), item("", via=Via.INLINE),
    Item(1, "https://img.example.org/slow.png", Via.IMG, Outcome.TIMEOUT, "", PAGE),
)  # fmt: skip


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "monday.job"
    with JobFile.create(path) as opened:
        opened.load([Planned(REPORTED, PAGE, PAGE, "example.org")], lambda: "", "", AT)
        opened.begin(1)
        opened.advance([], 1)
        opened.advance([Finished(Summary(REPORTED, Outcome.MATCH, url=PAGE), ITEMS)], 0)
    return path


def items(opened: JobFile) -> list[Item]:
    return [one for _, one in opened.results.items()]


def test_what_a_list_knew_is_watched_once(job: Path) -> None:
    with JobFile.open(job) as opened:
        watches = Watches(opened.storage)
        assert watches.enrol(items(opened)) == 2
        assert watches.enrol(items(opened)) == 0
        first, second = watches
        assert first == Watch(watched=dataclasses.replace(watched(), final_url=""), submission=REPORTED, address=PAGE)
        assert (second.watched.url, second.watched.page_url, second.watched.key) == ("", PAGE, "2")


def test_notices_and_looks_outlive_the_process_and_the_first_notice_counts(job: Path) -> None:
    look_ = Look(at=hours(2), presence=Presence.GONE_410, status=410, detail="gone", evidence="e" * 64)
    with JobFile.open(job) as opened:
        watches = Watches(opened.storage)
        watches.enrol(items(opened))
        told = watches.notified(items(opened), lambda one: one.url == URL, at=hours(1), who="anna")
        assert told == 1
        assert watches.notified(items(opened), lambda one: one.url == URL, at=hours(3), who="anna") == 1
        watches.looked([(next(iter(watches)), look_)])
    with JobFile.open(job) as opened:
        watches = Watches(opened.storage)
        first, second = watches
        assert (first.notified_at, first.schedule_from, first.looks) == (hours(1), hours(3), (look_,))
        assert first.due_at(RULES) == hours(4)
        assert (second.notified_at, second.looks) == (None, ())
        assert first.life(RULES).state is State.GONE


def test_what_no_list_knew_is_watched_once_somebody_was_told(job: Path) -> None:
    with JobFile.open(job) as opened:
        watches = Watches(opened.storage)
        assert watches.notified(items(opened), lambda one: one.url == MOVED, at=hours(1), who="anna") == 1
        (watch,) = watches
        assert (watch.watched.url, watch.watched.known, watch.notified_at) == (MOVED, False, hours(1))
        unidentified = watches.notified(
            items(opened), lambda one: one.outcome is Outcome.TIMEOUT, at=hours(1), who="anna"
        )
        assert unidentified == 0


def test_what_was_not_identified_is_not_watched() -> None:
    assert watched_of(ITEMS[-1]) is None
    assert watched_of(dataclasses.replace(ITEMS[0], url="", page_url="")) is None


async def passed(watches: Watches, web: FakeWeb, now: dt.datetime) -> tuple[Pass, list[tuple[str, Presence]]]:
    told: list[tuple[str, Presence]] = []
    done = await look_at_due(
        watches,
        {"usual": vantage(web)},
        RULES,
        clock=lambda: now,
        told=lambda watch, look_: told.append((watch.watched.url, look_.presence)),
    )
    return done, sorted(told)


async def test_a_pass_looks_at_what_is_due_and_at_nothing_else(job: Path) -> None:
    web = FakeWeb({URL: picture("a"), PAGE: page()})
    with JobFile.open(job) as opened:
        watches = Watches(opened.storage)
        watches.enrol(items(opened))
        assert await passed(watches, web, hours(0.5)) == (Pass(0, hours(1)), [])
        done, told = await passed(watches, web, hours(1))
        assert told == [("", Presence.ONLINE_CHANGED_OTHER), (URL, Presence.ONLINE_SAME)]
        assert done == Pass(2, hours(6))
        assert await passed(watches, web, hours(1)) == (Pass(0, hours(6)), [])
        web.files = {}
        done, told = await passed(watches, web, hours(48))
        assert done == Pass(2, hours(72))
        assert [watch.life(RULES).state for watch in watches] == [State.GONE, State.GONE]
        done, _ = await passed(watches, web, hours(24 * 365))
        assert done == Pass(2, None)


async def test_an_error_that_concerns_everything_ends_a_pass_and_keeps_what_was_finished(job: Path) -> None:
    web = FakeWeb({URL: IndexNotLoaded("no index"), PAGE: page()})
    with JobFile.open(job) as opened:
        watches = Watches(opened.storage)
        watches.enrol(items(opened))
        with pytest.raises(IndexNotLoaded, match="no index"):
            await passed(watches, web, hours(1))
        web.files = {URL: picture("a"), PAGE: page()}
        done, _ = await passed(watches, web, hours(1))
        assert [len(watch.looks) for watch in watches] == [1, 1]
        assert done.next_at == hours(6)


# --- following ---------------------------------------------------------------------------------------------------


class Clock:
    """Stands where it was put."""

    def __init__(self) -> None:
        self.now = AT

    def __call__(self) -> dt.datetime:
        """Return where it stands."""
        return self.now


async def test_following_ends_when_nothing_will_be_due() -> None:
    clock, script = Clock(), [Pass(2, AT), Pass(1, AT), Pass(3, None)]

    async def one_pass() -> Pass:
        return script.pop(0)

    assert await follow(one_pass, asyncio.Event(), clock=clock, least_wait_s=0) == 6
    assert script == []


async def test_following_ends_while_it_waits() -> None:
    clock, stop, waits = Clock(), asyncio.Event(), []

    async def one_pass() -> Pass:
        return Pass(1, hours(5))

    def waited(until: dt.datetime) -> None:
        waits.append(until)
        stop.set()

    assert await follow(one_pass, stop, clock=clock, waited=waited) == 1
    assert waits == [hours(5)]


async def test_following_cancels_a_pass_when_it_is_asked_to_end() -> None:
    stop, ended = asyncio.Event(), []

    async def one_pass() -> Pass:
        stop.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("pass")
        raise AssertionError

    assert await follow(one_pass, stop, clock=Clock()) == 0
    assert ended == ["pass"]


async def test_following_that_is_cancelled_leaves_no_pass_behind() -> None:
    began, ended = asyncio.Event(), []

    async def one_pass() -> Pass:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("pass")
        raise AssertionError

    following = asyncio.ensure_future(follow(one_pass, asyncio.Event(), clock=Clock()))
    await began.wait()
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    assert ended == ["pass"]


async def test_following_raises_what_a_pass_raises() -> None:
    async def one_pass() -> Pass:
        raise IndexNotLoaded("no index")

    with pytest.raises(IndexNotLoaded, match="no index"):
        await follow(one_pass, asyncio.Event(), clock=Clock())


# --- rules from the configuration --------------------------------------------------------------------------------


def test_rules_are_those_of_the_configuration(tmp_path: Path) -> None:
    digests, hosts = tmp_path / "digests", tmp_path / "hosts"
    digests.write_text(f"# removed\n{'0A' * 32}  # by a host\n\n", encoding="ascii")
    hosts.write_text("parked.example.net\n", encoding="ascii")
    config = HotlineConfig(
        placeholders=str(digests),
        parking_hosts=str(hosts),
        recheck_first_h=(2,),
        recheck_daily=1,
        recheck_weekly=0,
        recheck_tries=5,
        recheck_doubt_h=48,
        recheck_vantages=("tor=socks5h://127.0.0.1:9050",),
    )
    assert rechecking.rules_of(config) == Rules(
        placeholders=frozenset({b"\x0a" * 32}),
        parking=frozenset({"parked.example.net"}),
        tries=5,
        doubt=dt.timedelta(hours=48),
        slots=(dt.timedelta(hours=2), dt.timedelta(hours=26)),
        vantages=("usual", "tor"),
    )
    assert rechecking.vantages_of(config) == {"tor": "socks5h://127.0.0.1:9050"}


@pytest.mark.parametrize("item_", ["tor", "=socks5h://h:1", "tor=http://h:1", "usual=socks5h://h:1"])
def test_a_point_that_is_none_is_refused(item_: str) -> None:
    with pytest.raises(BadInput) as refused:
        rechecking.rules_of(HotlineConfig(recheck_vantages=(item_,)))
    assert refused.value.message == (
        f"hotline.recheck_vantages: {item_!r} is not NAME=socks5h://host:port with a name of its own"
    )


@pytest.mark.parametrize(
    ("setting", "text", "message"),
    [
        ("placeholders", "\nabc\n", "line 2: expected 64 hex digits of SHA-256, got 'abc'"),
        ("parking_hosts", "https://example.org/x", "line 1: expected a host, got 'https://example.org/x'"),
    ],
)
def test_a_list_with_something_else_in_it_is_refused(tmp_path: Path, setting: str, text: str, message: str) -> None:
    path = tmp_path / "list"
    path.write_text(text, encoding="ascii")
    with pytest.raises(BadInput) as refused:
        rechecking.rules_of(HotlineConfig(**{setting: str(path)}))  # type: ignore[arg-type]
    assert refused.value.message == f"{path}, {message}"
    with pytest.raises(BadInput, match="No such file or directory"):
        rechecking.rules_of(HotlineConfig(**{setting: str(tmp_path / "nothing")}))  # type: ignore[arg-type]
