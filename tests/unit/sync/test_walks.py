"""From a checkpoint and the last page follows the next request, and in the end the next checkpoint."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hashmatch.errors import BadFile
from hashmatch.exchange.ncmec import NAMESPACE
from hashmatch.sync.ncmec import NcmecWalk
from hashmatch.sync.stopncii import StopNciiWalk
from hashmatch.sync.tat import TatWalk
from hashmatch.sync.threatexchange import TOMBSTONES_S, ThreatExchangeWalk
from hashmatch.sync.walks import Answer, Walk, loaded

NOW = 1_735_689_600
"""2025-01-01."""


def after(walk: Walk, body: str | dict[str, Any], served_at: int | None = NOW) -> Any:
    text = body if isinstance(body, str) else json.dumps(body)
    answer = Answer(text.encode(), served_at=served_at)
    page = walk.page(answer)
    list(page)
    assert page.broken == ""
    return walk.after(page, answer)


def entries(following: str = "", latest: str = "2024-12-31T00:00:00Z") -> str:
    paging = f"<paging><next>{following}</next></paging>" if following else ""
    return f'<queryResult xmlns="{NAMESPACE}"><images count="0" maxTimestamp="{latest}"/>{paging}</queryResult>'


STATUS = f'<status xmlns="{NAMESPACE}"><member id="1">Our Name</member></status>'


def test_ncmec_ends_its_range_by_the_servers_date_and_goes_on_by_numbers() -> None:
    walk: Any = NcmecWalk.begin("", full=False)
    assert (str(walk.request()), walk.full) == ("GET v2/status", True)
    walk = after(walk, STATUS)
    assert walk.member() == "Our Name"
    assert str(walk.request()) == "GET v2/entries?from=1970-01-01T00:00:00Z&to=2025-01-02T00:00:00Z"
    walk = after(walk, entries("/v2/entries?from=x&amp;to=y&amp;start=1001&amp;size=1000&amp;max=2500"))
    assert str(walk.request()).endswith("&start=1001&size=1000&max=2500")
    skipped: Any = walk.past()
    assert str(skipped.request()).endswith("&start=2001&size=1000&max=2500")
    assert skipped.past().request() is None
    walk = after(walk, entries(latest="2024-12-30T00:00:00Z"))
    assert walk.request() is None
    assert loaded(walk.checkpoint()) == {"since": "2024-12-31T00:00:00Z"}


def test_ncmec_begins_again_an_hour_before_its_checkpoint_which_never_goes_back() -> None:
    walk: Any = NcmecWalk.begin('{"since": "2024-12-31T00:00:00Z"}', full=False)
    assert not walk.full
    walk = after(walk, STATUS)
    assert "from=2024-12-30T23:00:00Z&" in str(walk.request())
    nothing = f'<queryResult xmlns="{NAMESPACE}"><images count="0"/></queryResult>'
    assert loaded(after(walk, nothing).checkpoint()) == {"since": "2024-12-31T00:00:00Z"}
    assert NcmecWalk.begin('{"since": "2024-12-31T00:00:00Z"}', full=True).full


@pytest.mark.parametrize(
    "following",
    [
        "/v2/entries?start=1&amp;size=1000",
        "/v2/entries?start=x&amp;size=1000&amp;max=3",
        "/v2/entries?start=9&amp;size=1000&amp;max=3",
        "/v2/entries?start=2&amp;size=100000&amp;max=3",
        "http://[",
    ],
)
def test_ncmec_refuses_a_next_page_that_is_none(following: str) -> None:
    walk = after(NcmecWalk.begin("", full=False), STATUS)
    with pytest.raises(BadFile, match="next page"):
        after(walk, entries(following))


def test_ncmec_refuses_to_go_in_circles_and_to_go_without_a_date() -> None:
    walk = after(NcmecWalk.begin("", full=False), STATUS)
    following = "/v2/entries?start=1001&amp;size=1000&amp;max=3000"
    with pytest.raises(BadFile, match="page 1001 names page 1001"):
        after(after(walk, entries(following)), entries(following))
    with pytest.raises(BadFile, match="has no Date"):
        after(NcmecWalk.begin("", full=False), STATUS, served_at=None)
    with pytest.raises(BadFile, match="not XML"):
        after(NcmecWalk.begin("", full=False), "{}")


def updates(after_cursor: str = "", last_updated: int = NOW) -> dict[str, Any]:
    data = [{"id": "1", "type": "HASH_PDQ", "should_delete": True, "last_updated": last_updated}]
    paging = {"cursors": {"after": after_cursor}, "next": "https://x"} if after_cursor else {}
    return {"data": data, "paging": paging}


def test_threatexchange_goes_on_by_cursor_and_remembers_when_it_was_served() -> None:
    walk: Any = ThreatExchangeWalk.begin("", full=False, group="5")
    assert "start_time" not in str(walk.request())
    walk = after(walk, updates("c1", NOW + 5))
    assert str(walk.request()).endswith("&after=c1")
    with pytest.raises(BadFile, match="names itself"):
        after(walk, updates("c1"))
    assert str(walk.again().request()) == str(ThreatExchangeWalk.begin("", full=False, group="5").request())
    walk = after(walk, updates())
    assert (walk.request(), walk.past()) == (None, None)
    assert loaded(walk.checkpoint()) == {"start_time": NOW + 5, "as_of": NOW}


@pytest.mark.parametrize(("late_s", "full"), [(0, False), (1, True)])
def test_threatexchange_fetches_everything_once_tombstones_may_be_gone(late_s: int, full: bool) -> None:  # noqa: FBT001
    checkpoint = json.dumps({"start_time": 5, "as_of": NOW})
    walk: Any = ThreatExchangeWalk.begin(checkpoint, full=False, group="5")
    assert "start_time=5" in str(walk.request())
    walk = after(walk, updates("c1", 7), served_at=NOW + TOMBSTONES_S + late_s)
    assert walk.full is full
    assert ("start_time" in str(walk.request()), "after" in str(walk.request())) == (not full, not full)


def hashes(token: str | None = None, *, more: bool = False, timestamp: object = 50) -> dict[str, Any]:
    return {"hashRecords": [], "nextPageToken": token, "hasMoreRecords": more, "nextSetTimestamp": timestamp}


def test_stopncii_goes_on_by_token_and_keeps_the_servers_timestamp() -> None:
    walk: Any = StopNciiWalk.begin("", full=False)
    assert str(walk.request()) == "GET FetchHashes?startTimestamp=10&pageSize=800"
    walk = after(walk, hashes("t1", more=True, timestamp=70))
    assert str(walk.request()).endswith("&nextPageToken=t1")
    for page in (hashes(more=True), hashes("t1", more=True)):
        with pytest.raises(BadFile, match="no token leads to them"):
            after(walk, page)
    assert walk.again().token == ""
    walk = after(walk, hashes())
    assert (walk.request(), walk.past(), loaded(walk.checkpoint())) == (None, None, {"since": 70})
    again: Any = StopNciiWalk.begin(walk.checkpoint(), full=False)
    assert str(again.request()) == "GET FetchHashes?startTimestamp=70&pageSize=800"
    assert again.again() is None
    assert loaded(after(again, hashes(timestamp=None)).checkpoint()) == {"since": 70}


def test_tat_goes_on_by_the_checkpoint_of_each_page() -> None:
    walk: Any = TatWalk.begin("", full=False)
    assert str(walk.request()) == "GET api/hash-list/v2/all?order=asc"
    walk = after(walk, {"results": [], "next": "https://x", "checkpoint": "5,1"})
    assert str(walk.request()).endswith("?order=asc&after=5,1")
    for checkpoint in ("", "5,1"):
        with pytest.raises(BadFile, match="no checkpoint leads to it"):
            after(walk, {"results": [], "next": "https://x", "checkpoint": checkpoint})
    walk = after(walk, {"results": [], "next": None, "checkpoint": None})
    assert (walk.request(), walk.past(), walk.again()) == (None, None, None)
    assert loaded(walk.checkpoint()) == {"after": "5,1"}
    assert TatWalk.begin(walk.checkpoint(), full=True).after_checkpoint == ""


@pytest.mark.parametrize("text", ["", "x", "[]", '{"since": 7, "start_time": "x", "after": ""}'])
def test_a_checkpoint_that_is_none_means_everything(text: str) -> None:
    assert ThreatExchangeWalk.begin(text, full=False, group="5").full
    assert TatWalk.begin(text, full=False).full
