"""Sets that follow simulated exchanges: pages, faults, wrong credentials, and what each source has of its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from hashmatch.errors import SourceRefused, SourceUnavailable
from hashmatch.model import EntryStatus, Opinion, Stance
from hashmatch.sync.feedback import SENT, Sent, send
from hashmatch.sync.outcome import CHECKPOINTS, STATES
from hashmatch.sync.walks import loaded
from tests.support.exchanges.base import DAY_S, Exchange, served
from tests.support.exchanges.ncmec import Ncmec
from tests.support.exchanges.stopncii import StopNcii
from tests.support.exchanges.tat import Tat
from tests.support.exchanges.threatexchange import TOKEN, ThreatExchange
from tests.support.syncing import Follower

KINDS: dict[str, Callable[[], Exchange]] = {
    "ncmec": Ncmec,
    "threatexchange": ThreatExchange,
    "stopncii": StopNcii,
    "tat": Tat,
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@contextlib.asynccontextmanager
async def following(kind: str, folder: Path, count: int = 7, **settings: object) -> AsyncIterator[Follower]:
    """Serve an exchange of some entries, and a follower that has not run yet."""
    exchange = KINDS[kind]()
    for number in range(1, count + 1):
        exchange.put(number)
    async with served(exchange):
        follower = Follower(exchange, folder, **settings)
        yield follower
        follower.catalog.close()


def pages(follower: Follower) -> list[str]:
    """Return the requests for pages of entries so far."""
    return [line for line in follower.exchange.requests if "v2/status" not in line and "token-auth" not in line]


@every_kind
async def test_a_run_takes_in_every_page_and_the_next_one_only_what_changed(kind: str, tmp_path: Path) -> None:
    async with following(kind, tmp_path) as follower:
        outcome = await follower.sync()
        assert (outcome.complete, outcome.full, outcome.counts.added) == (True, True, 7)
        assert follower.held() == follower.exchange.truth()
        assert len(pages(follower)) == 3
        follower.exchange.pass_time(2 * DAY_S)
        follower.exchange.put(8)
        follower.exchange.delete(2)
        outcome = await follower.sync()
        assert (outcome.complete, outcome.full, outcome.counts.added, outcome.counts.updated) == (True, False, 1, 1)
        state = loaded(follower.catalog.bookmark(STATES, "far"))
        assert (state["complete"], state["added"], state["error"]) == (True, 1, "")
        held = follower.held()
        assert sum(status is EntryStatus.WITHDRAWN for status, _ in held.values()) == 1


@every_kind
async def test_busy_servers_are_asked_again_after_as_long_as_they_say(kind: str, tmp_path: Path) -> None:
    async with following(kind, tmp_path) as follower:
        follower.exchange.faults.extend(["busy", "busy-until", "", "dropped", "error"])
        assert (await follower.sync()).complete
        assert [wait >= least for wait, least in zip(follower.waits, (7, 11, 0, 0), strict=True)] == [True] * 4
        assert follower.held() == follower.exchange.truth()


@every_kind
async def test_a_server_that_keeps_failing_ends_the_run_and_not_the_checkpoint(kind: str, tmp_path: Path) -> None:
    async with following(kind, tmp_path) as follower:
        assert (await follower.sync()).complete
        before = follower.catalog.bookmark(CHECKPOINTS, "far")
        follower.exchange.put(9)
        follower.exchange.faults.extend(["error"] * 3)
        outcome = await follower.sync()
        assert isinstance(outcome.error, SourceUnavailable)
        assert "HTTP 500 (3 tries)" in outcome.error.message
        assert follower.catalog.bookmark(CHECKPOINTS, "far") == before
        assert (await follower.sync()).counts.added == 1


@every_kind
async def test_wrong_credentials_are_said_once_and_not_shown(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with following(kind, tmp_path) as follower:
        follower.secrets = dict.fromkeys(follower.secrets, "wrong-secret")
        with caplog.at_level("DEBUG"):
            outcome = await follower.sync()
        assert isinstance(outcome.error, SourceRefused)
        assert "the credentials were refused (HTTP 401)" in outcome.error.message
        assert len(follower.exchange.requests) == 1
        assert "wrong-secret" not in caplog.text + outcome.error.message + repr(follower.web())


@every_kind
async def test_a_page_that_cannot_be_read_does_not_stall_the_run(kind: str, tmp_path: Path) -> None:
    async with following(kind, tmp_path) as follower:
        whole = {"ncmec": 2, "tat": 2}.get(kind, 1)  # a status or a login comes first
        follower.exchange.faults.extend([""] * whole + ["garbage"] * 2)
        outcome = await follower.sync()
        assert (outcome.complete, outcome.error, len(outcome.troubles)) == (False, None, 1)
        assert outcome.counts.added == (4 if kind == "ncmec" else 3)
        assert follower.catalog.bookmark(CHECKPOINTS, "far") == ""
        assert "nothing" not in outcome.why()
        outcome = await follower.sync()
        assert outcome.complete
        assert follower.held() == follower.exchange.truth()


@every_kind
async def test_the_good_rows_of_a_page_that_stays_cut_off_are_taken_in(kind: str, tmp_path: Path) -> None:
    async with following(kind, tmp_path) as follower:
        follower.exchange.faults.extend([""] * (kind in {"ncmec", "tat"}) + ["cut-late"] * 2)
        outcome = await follower.sync()
        assert not outcome.complete
        assert "breaks off" in outcome.why()
        assert outcome.counts.added >= 2
        assert (await follower.sync()).complete
        assert follower.held() == follower.exchange.truth()


@every_kind
async def test_a_dry_run_fetches_and_keeps_nothing(kind: str, tmp_path: Path) -> None:
    async with following(kind, tmp_path) as follower:
        outcome = await follower.sync(dry_run=True)
        assert (outcome.complete, outcome.counts.added) == (True, 0)
        assert outcome.counts.rows >= 7
        assert (follower.held(), follower.catalog.bookmark(CHECKPOINTS, "far")) == ({}, "")


@every_kind
async def test_what_has_gone_without_a_tombstone_is_found_by_a_full_run(kind: str, tmp_path: Path) -> None:
    async with following(kind, tmp_path, max_vanished_percent=20) as follower:
        assert (await follower.sync()).complete
        listed = next(
            value for name, value in vars(follower.exchange).items() if isinstance(value, dict) and len(value) == 7
        )
        gone = list(listed)[:2]
        first = listed.pop(gone[0])
        outcome = await follower.sync(full=True)
        assert (outcome.complete, outcome.counts.vanished) == (True, 1)
        listed.pop(gone[1])
        listed[gone[0]] = first
        for key in list(listed)[:2]:
            del listed[key]
        outcome = await follower.sync(full=True)
        assert (outcome.complete, outcome.counts.vanished) == (False, 0)
        assert "3 of 7 entries are no longer in the list, more than sync.sources.far.max_vanished_" in outcome.why()
        follower.with_settings(max_vanished_percent=100)
        outcome = await follower.sync(full=True)
        assert (outcome.complete, outcome.counts.vanished) == (True, 3)


async def test_a_redirect_to_another_host_is_not_followed_and_takes_no_token_along(tmp_path: Path) -> None:
    async with following("threatexchange", tmp_path) as follower:
        follower.exchange.faults.append("elsewhere")
        outcome = await follower.sync()
        assert isinstance(outcome.error, SourceRefused)
        assert outcome.error.message.endswith("redirects to 127.0.0.2; not followed")
        follower.exchange.faults.append("nearby")
        assert (await follower.sync()).complete


@pytest.mark.parametrize(
    ("fault", "message"),
    [("compressed", "is encoded as 'gzip', unasked"), ("endless", "is larger than sync.max_page_bytes")],
)
async def test_an_answer_is_bounded_while_it_is_read(fault: str, message: str, tmp_path: Path) -> None:
    async with following("stopncii", tmp_path) as follower:
        follower.config = type(follower.config)(max_page_bytes=1 << 20)
        follower.exchange.faults.append(fault)
        outcome = await follower.sync()
        assert isinstance(outcome.error, SourceRefused)
        assert message in outcome.error.message


async def test_tokens_of_pages_that_expired_begin_the_range_again(tmp_path: Path) -> None:
    async with following("stopncii", tmp_path) as follower:
        exchange = follower.exchange
        assert isinstance(exchange, StopNcii)
        exchange.faults.extend(["", "forget"])
        assert (await follower.sync()).complete
        assert sum("nextPageToken" not in line for line in exchange.requests) == 2
        assert follower.held() == exchange.truth()


async def test_a_login_that_expires_is_renewed(tmp_path: Path) -> None:
    async with following("tat", tmp_path) as follower:
        exchange = follower.exchange
        assert isinstance(exchange, Tat)
        exchange.token_uses = 2
        assert (await follower.sync()).complete
        assert exchange.logins == 2
        assert follower.held() == exchange.truth()


async def test_tombstones_that_were_forgotten_are_made_up_for_by_fetching_everything(tmp_path: Path) -> None:
    async with following("threatexchange", tmp_path) as follower:
        assert (await follower.sync()).complete
        follower.exchange.delete(3)
        follower.exchange.pass_time(100 * DAY_S)
        outcome = await follower.sync()
        assert (outcome.complete, outcome.full, outcome.counts.vanished) == (True, True, 1)
        assert follower.entry("1003").status is EntryStatus.WITHDRAWN


async def test_a_dispute_at_threatexchange_comes_and_goes(tmp_path: Path) -> None:
    async with following("threatexchange", tmp_path, count=1) as follower:
        follower.exchange.say(1, good=False)
        await follower.sync()
        assert follower.entry("1001").status is EntryStatus.DISPUTED
        follower.exchange.say(1, good=True)
        await follower.sync()
        assert follower.entry("1001").status is EntryStatus.ACTIVE
        assert [opinion.stance for opinion in follower.entry("1001").opinions] == [Stance.AGREE, Stance.AGREE]


async def sent(follower: Follower, *, dry_run: bool = False) -> list[Sent]:
    """Send feedback once."""
    async with follower.web() as web:
        found = send(follower.source, web, follower.catalog, follower.catalog, dry_run=dry_run)
        return [item async for item in found]


ENTRIES = {"ncmec": "42:i-1", "threatexchange": "1001", "stopncii": ""}


@pytest.mark.parametrize("kind", ENTRIES)
async def test_our_opinions_are_sent_once_and_again_when_they_change(kind: str, tmp_path: Path) -> None:
    async with following(kind, tmp_path, count=2) as follower:
        await follower.sync()
        entry_id = ENTRIES[kind] or next(iter(follower.held()))
        own = follower.source.config.own_name
        follower.catalog.vote("theirs", entry_id, Opinion(own, Stance.AGREE, "seen"), actor="ann")
        follower.catalog.vote("theirs", entry_id, Opinion("somebody", Stance.AGREE, "seen"), actor="bob")
        before = len(follower.exchange.requests)
        assert {item.state for item in await sent(follower, dry_run=True)} == {"to_send"}
        assert len(follower.exchange.requests) == before
        first = await sent(follower)
        assert {(item.entry_id, item.stance, item.state) for item in first} == {(entry_id, "agree", "sent")}
        assert {item.state for item in await sent(follower)} == {"already_sent"}
        assert len(follower.exchange.requests) == before + len(first)
        follower.catalog.vote("theirs", entry_id, Opinion(own, Stance.DISAGREE, "not harmful"), actor="ann")
        states = {(item.algorithm, item.state) for item in await sent(follower)}
        assert ("md5" if kind == "ncmec" else "", "sent") in states
        assert (await follower.sync()).complete
        ours = [opinion for opinion in follower.entry(entry_id).opinions if opinion.who == own]
        assert [opinion.stance for opinion in ours] == [Stance.DISAGREE]


async def test_ncmec_takes_a_negative_opinion_with_one_of_its_reasons_only(tmp_path: Path) -> None:
    async with following("ncmec", tmp_path, count=1) as follower:
        await follower.sync()
        vote = Opinion(follower.source.config.own_name, Stance.DISAGREE, "I do not like it")
        follower.catalog.vote("theirs", "42:i-1", vote, actor="ann")
        found = await sent(follower)
        assert {item.state for item in found} == {"not_sent"}
        reasons = {item.algorithm: item.reason for item in found}
        assert "takes one of these reasons" in reasons["md5"]
        assert reasons["md5"].endswith("'I do not like it': Not the same file, Not harmful")
        assert follower.catalog.bookmarks(SENT) == {}


async def test_an_entry_that_has_gone_there_is_said_not_to_be_sent(tmp_path: Path) -> None:
    async with following("ncmec", tmp_path, count=1) as follower:
        await follower.sync()
        own = follower.source.config.own_name
        follower.catalog.vote("theirs", "42:i-1", Opinion(own, Stance.AGREE, "seen", algorithm="md5"), actor="ann")
        follower.exchange.delete(1)
        (item,) = await sent(follower)
        assert (item.state, item.reason) == ("not_sent", "the source answers HTTP 404: the entry may be gone there")


async def test_no_secret_is_in_any_address_that_was_asked(tmp_path: Path) -> None:
    async with following("threatexchange", tmp_path) as follower:
        assert (await follower.sync()).complete
        assert not any(TOKEN.partition("|")[2] in line for line in follower.exchange.requests)
