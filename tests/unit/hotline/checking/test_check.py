"""A submission to items and a summary, over fakes of everyone whom a check asks."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from hashmatch.errors import DeadlineExceeded, IndexNotLoaded, Overloaded
from hashmatch.hotline.checking.check import Checker
from hashmatch.hotline.checking.visit import Address
from hashmatch.hotline.jobs.job_states import Finished, Taken
from hashmatch.model import Refusal, Verdict
from hashmatch.model.hotline import Link, Outcome, Page, Submission, Via
from hashmatch.sections import HotlineConfig
from tests.support.hotline.fakes import AT, PNG, FakeDetects, FakeProves, FakeWeb, page, picture, ports, report
from tests.support.service import until

SITE = "https://example.org/"
MATCH, POSSIBLE = report(Verdict.MATCH), report(Verdict.POSSIBLE_MATCH)


def parse(text: str) -> Address:
    """Take everything for an address but what has none of the two schemes."""
    return Address(text, text.split("/")[2]) if text.startswith("http") else Address(text, refused="it is none")


def checker(
    web: FakeWeb, detects: FakeDetects | None = None, proves: FakeProves | None = None, **settings: int
) -> Checker:
    config = HotlineConfig(**settings)  # type: ignore[arg-type]
    return Checker(config, ports(web, detects, proves), parse, detects_at_once=2, clock=lambda: AT)


async def checked(web: FakeWeb, detects: FakeDetects | None = None, url: str = SITE, **settings: int) -> Finished:
    return await checker(web, detects, None, **settings).check(Taken(Submission(1, url), url))


def outcomes(finished: Finished) -> list[tuple[str, str]]:
    return [(item.url.removeprefix(SITE), item.outcome.value) for item in finished.items]


def links(*urls: str, via: Via = Via.FRAME) -> tuple[Link, ...]:
    return tuple(Link(url, via) for url in urls)


# --- one file ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [(MATCH, Outcome.MATCH), (POSSIBLE, Outcome.POSSIBLE_MATCH), (report(), Outcome.NO_MATCH)],
)
async def test_a_direct_picture_is_one_item(answer: object, outcome: Outcome) -> None:
    url = SITE + "a.png"
    done = await checked(FakeWeb({url: picture("a")}), FakeDetects({"a": answer}), url)  # type: ignore[dict-item]
    assert [(item.url, item.via, item.outcome, item.page_url) for item in done.items] == [
        (url, Via.DIRECT, outcome, "")
    ]
    assert done.items[0].report == answer
    assert (done.items[0].size_bytes, done.items[0].place and done.items[0].place.country) == (len(PNG) + 1, "NL")
    assert (done.summary.outcome, done.summary.counts) == (outcome, {outcome: 1})
    assert (done.summary.url, done.summary.checked_at, done.summary.detail) == (url, AT, f"1 image: 1 {outcome.value}")


async def test_a_picture_that_could_not_be_looked_at_says_why() -> None:
    refused = dataclasses.replace(report(Verdict.NOT_CHECKED), reason=Refusal.CORRUPT, detail="no picture in it")
    done = await checked(FakeWeb({SITE: picture("a")}), FakeDetects({"a": refused}))
    assert (done.items[0].outcome, done.items[0].detail) == (Outcome.NOT_CHECKED, "corrupt: no picture in it")
    assert done.summary.detail == "corrupt: no picture in it; 1 image: 1 not_checked"


@pytest.mark.parametrize("error", [DeadlineExceeded("too late"), Overloaded("all busy")])
async def test_an_answer_that_one_picture_did_not_get_is_an_outcome(error: DeadlineExceeded | Overloaded) -> None:
    done = await checked(FakeWeb({SITE: picture("a")}), FakeDetects({"a": error}))
    assert done.items[0].outcome is Outcome.NOT_CHECKED
    assert done.items[0].detail == f"{error.reason().lower()}: {error.message}"


async def test_an_address_that_meets_a_defect_is_an_outcome_and_ends_no_job(caplog: pytest.LogCaptureFixture) -> None:
    finished = await checked(FakeWeb({SITE: "what no web serves"}))
    assert finished.summary.outcome is Outcome.FAILED
    assert finished.summary.detail == "hashmatch failed on it (TypeError); this is a defect, please report it"
    assert (finished.summary.url, finished.summary.checked_at, finished.items) == (SITE, AT, ())
    (record,) = caplog.records
    assert record.getMessage().startswith("checking an address failed: TypeError at tests/support/hotline/fakes.py:")
    assert SITE not in record.getMessage()


async def test_an_index_that_is_not_loaded_ends_the_job() -> None:
    with pytest.raises(IndexNotLoaded):
        await checked(FakeWeb({SITE: page(SITE + "a"), SITE + "a": picture("a")}), FakeDetects({"a": IndexNotLoaded()}))


@pytest.mark.parametrize("outcome", [Outcome.GONE, Outcome.DNS_FAIL, Outcome.REFUSED_ADDRESS, Outcome.TIMEOUT])
async def test_an_address_that_brings_nothing_has_its_outcome_and_no_item(outcome: Outcome) -> None:
    done = await checked(FakeWeb({SITE: outcome}))
    assert (done.summary.outcome, done.summary.detail, done.items) == (outcome, f"scripted {outcome.value}", ())
    assert done.summary.fetched is not None
    assert done.summary.counts == {}


@pytest.mark.parametrize(
    ("body", "outcome", "detail"),
    [
        (b"PK\x03\x04...", Outcome.UNSUPPORTED, "an archive; archives are not opened"),
        (b"\0\1\2", Outcome.NOT_IMAGE, "neither a picture nor a page"),
    ],
)
async def test_what_is_neither_picture_nor_page_says_what_it_is(body: bytes, outcome: Outcome, detail: str) -> None:
    done = await checked(FakeWeb({SITE: body}))
    assert (done.summary.outcome, done.summary.detail, done.items) == (outcome, detail, ())


async def test_nothing_that_is_kept_has_a_body() -> None:
    done = await checked(FakeWeb({SITE: page(SITE + "a"), SITE + "a": picture("a")}))
    assert done.summary.fetched is not None
    assert done.summary.fetched.body == b""
    assert all(item.fetched is not None and item.fetched.body == b"" for item in done.items)


# --- a page ------------------------------------------------------------------------------------------------------


async def test_every_picture_of_a_page_is_an_item_in_its_order() -> None:
    files = {SITE: page(*(f"{SITE}{n}" for n in range(20))), **{f"{SITE}{n}": picture(str(n)) for n in range(20)}}
    done = await checked(FakeWeb({**files, SITE + "3": Outcome.TIMEOUT, SITE + "4": b"x"}), FakeDetects({"7": MATCH}))
    special = {3: "timeout", 4: "not_image", 7: "match"}
    assert outcomes(done) == [(str(n), special.get(n, "no_match")) for n in range(20)]
    assert {item.page_url for item in done.items} == {SITE}
    assert done.summary.outcome is Outcome.MATCH
    assert done.summary.detail == "20 images: 1 match, 1 timeout, 1 not_image, 17 no_match"


async def test_a_picture_inside_the_page_is_asked_about_and_has_no_address() -> None:
    inline = Page((Link("", Via.INLINE, picture("in")), Link("", Via.INLINE, picture("x" * 2_000))))
    done = await checked(FakeWeb({SITE: inline}), FakeDetects({"in": MATCH}), max_image_bytes=1_024)
    assert [(item.url, item.via, item.outcome, item.size_bytes) for item in done.items] == [
        ("", Via.INLINE, Outcome.MATCH, 10),
        ("", Via.INLINE, Outcome.TOO_LARGE, 2_008),
    ]
    assert done.items[1].detail == "2008 bytes, more than hotline.max_image_bytes allows (1024)"


async def test_links_that_are_no_addresses_are_items() -> None:
    found = Page((Link("http://[", Via.IMG, refused="it has no host"), Link("ftp://x", Via.SRCSET)))
    done = await checked(FakeWeb({SITE: found}))
    assert [(item.url, item.via, item.outcome, item.detail) for item in done.items] == [
        ("http://[", Via.IMG, Outcome.REFUSED_URL, "it has no host"),
        ("ftp://x", Via.SRCSET, Outcome.REFUSED_URL, "it is none"),
    ]


async def test_a_page_without_pictures_and_one_that_could_not_be_read() -> None:
    assert (await checked(FakeWeb({SITE: page()}))).summary.outcome is Outcome.NO_IMAGES
    done = await checked(FakeWeb({SITE + "broken": page(SITE + "a")}), url=SITE + "broken")
    assert (done.summary.outcome, done.summary.detail) == (
        Outcome.PAGE_FAIL,
        "the page could not be read in its confined process",
    )


async def test_a_page_that_wants_a_person_is_a_challenge_and_its_pictures_are_looked_at() -> None:
    web = FakeWeb({SITE: page(SITE + "a", challenge=True), SITE + "a": picture("a")})
    done = await checked(web)
    assert (done.summary.outcome, outcomes(done)) == (Outcome.CHALLENGE, [("a", "no_match")])
    assert done.summary.detail == "the page wants proof of a person; 1 image: 1 no_match"
    assert (await checked(web, FakeDetects({"a": MATCH}))).summary.outcome is Outcome.MATCH


async def test_a_login_form_counts_where_nothing_else_is_shown_or_the_host_led_there() -> None:
    form, login = page(SITE + "a", login_form=True), SITE + "login"
    in_a_corner = await checked(FakeWeb({SITE: form, SITE + "a": picture("a")}))
    alone = await checked(FakeWeb({SITE: page(login_form=True)}))
    led = await checked(FakeWeb({login: form, SITE + "a": picture("a")}, redirects={SITE: login}))
    assert [one.summary.outcome for one in (in_a_corner, alone, led)] == [
        Outcome.NO_MATCH,
        Outcome.LOGIN_REQUIRED,
        Outcome.LOGIN_REQUIRED,
    ]


async def test_a_page_that_is_longer_than_pages_may_be_is_not_read() -> None:
    web = FakeWeb({SITE: page(SITE + "a")})
    done = await checked(web, url=SITE, max_page_bytes=1_024)
    assert done.summary.outcome is Outcome.GONE  # the picture is not there; the page was read
    long = SITE + "l" * 2_000
    done = await checked(FakeWeb({long: page()}), url=long, max_page_bytes=1_024)
    assert (done.summary.outcome, done.summary.detail) == (
        Outcome.TOO_LARGE,
        f"{len(long) + 6} bytes, more than hotline.max_page_bytes allows (1024)",
    )


# --- frames, stylesheets, refresh --------------------------------------------------------------------------------


async def test_frames_and_stylesheets_are_opened_to_their_depth() -> None:
    css, frame, inner = SITE + "s.css", SITE + "f", SITE + "g"
    files = {
        SITE: page(SITE + "1", documents=(*links(frame), *links(css, via=Via.STYLESHEET))),
        frame: page(SITE + "2", documents=(*links(inner), *links(SITE + "t.css", via=Via.STYLESHEET))),
        css: page(SITE + "3"),
        SITE + "t.css": page(SITE + "4", documents=links(SITE + "u.css", via=Via.STYLESHEET)),
        inner: page(SITE + "5"),
        **{f"{SITE}{n}": picture(str(n)) for n in range(1, 6)},
    }
    done = await checked(FakeWeb(files))
    assert outcomes(done) == [
        ("g", "too_many"),
        ("u.css", "too_many"),
        ("1", "no_match"),
        ("2", "no_match"),
        ("3", "no_match"),
        ("4", "no_match"),
    ]
    assert done.items[0].detail == "deeper than hotline.max_frame_depth = 1"
    assert [item.page_url.removeprefix(SITE) for item in done.items] == ["f", "t.css", "", "f", "s.css", "t.css"]
    deeper = await checked(FakeWeb(files), max_frame_depth=2)
    assert ("5", "no_match") in outcomes(deeper)


async def test_frames_that_fail_that_are_pictures_or_in_a_circle() -> None:
    files = {
        SITE: page(documents=links(SITE + "gone", SITE + "pic", SITE)),
        SITE + "pic": picture("p"),
    }
    done = await checked(FakeWeb(files), FakeDetects({"p": MATCH}))
    assert [(item.url.removeprefix(SITE), item.via, item.outcome) for item in done.items] == [
        ("gone", Via.FRAME, Outcome.GONE),
        ("pic", Via.FRAME, Outcome.MATCH),
    ]


async def test_a_refresh_is_the_page_itself_and_followed_once() -> None:
    files = {
        SITE: page(documents=links(SITE + "next", via=Via.REFRESH)),
        SITE + "next": page(SITE + "1", documents=(*links(SITE + "f"), *links(SITE + "third", via=Via.REFRESH))),
        SITE + "f": page(SITE + "2"),
        SITE + "1": picture("1"),
        SITE + "2": picture("2"),
    }
    done = await checked(FakeWeb(files))
    assert outcomes(done) == [("third", "too_many"), ("1", "no_match"), ("2", "no_match")]


# --- limits ------------------------------------------------------------------------------------------------------


async def test_what_is_beyond_a_limit_is_counted_in_a_row() -> None:
    frames = links(*(f"{SITE}f{n}" for n in range(15)))
    files = {SITE: page(*(f"{SITE}{n}" for n in range(30)), documents=frames, left_out=9_000)}
    web = FakeWeb({**files, **{f"{SITE}f{n}": page(f"{SITE}0") for n in range(15)}})
    done = await checked(web, max_images=20, max_frames=4)
    too_many = [item.detail for item in done.items if item.outcome is Outcome.TOO_MANY]
    assert too_many == [
        "11 frames and stylesheets beyond hotline.max_frames = 4",
        "9010 images beyond hotline.max_images = 20",
    ]
    assert sum(web.asked[f"{SITE}{n}"] for n in range(30)) == 20
    assert done.summary.outcome is Outcome.TOO_MANY


async def test_a_page_has_a_budget_of_bytes() -> None:
    size = 1_000
    files = {f"{SITE}{n}": picture("x" * (size - len(PNG))) for n in range(100)}
    web = FakeWeb({SITE: page(*files), **files})
    done = await checked(web, max_job_page_bytes=10 * size)
    looked = [item for item in done.items if item.outcome is Outcome.NO_MATCH]
    assert 10 <= len(looked) < 10 + 8  # those that were on their way when it was spent
    assert {item.outcome for item in done.items} == {Outcome.NO_MATCH, Outcome.TOO_MANY}
    assert done.items[-1].detail == f"the images of this page have used up hotline.max_job_page_bytes = {10 * size}"


# --- over pages --------------------------------------------------------------------------------------------------


async def test_a_picture_that_many_pages_show_is_fetched_once() -> None:
    logo = SITE + "logo"
    web = FakeWeb({**{f"{SITE}{n}": page(logo) for n in range(30)}, logo: picture("logo")})
    detects, proves = FakeDetects({"logo": MATCH}), FakeProves()
    check = checker(web, detects, proves)
    done = await asyncio.gather(*(check.check(Taken(Submission(n, ""), f"{SITE}{n}")) for n in range(30)))
    assert (web.asked[logo], detects.asked) == (1, ["logo"])
    assert [(one.items[0].number, one.items[0].page_url) for one in done] == [(n, f"{SITE}{n}") for n in range(30)]
    assert len(proves.recorded) == 30
    assert sorted(one.items[0].evidence for one in done) == [f"{n:064x}" for n in range(1, 31)]


async def test_what_is_remembered_is_bounded() -> None:
    pictures = {f"{SITE}{n}.png": picture(str(n)) for n in range(3)}
    web = FakeWeb({**{f"{SITE}{n}": page(f"{SITE}{n}.png") for n in range(3)}, **pictures})
    check = checker(web, remembered_images=2)
    for number in (0, 1, 0, 2, 0, 1):
        await check.check(Taken(Submission(number, ""), f"{SITE}{number}"))
    assert {url: web.asked[url] for url in pictures} == {f"{SITE}0.png": 1, f"{SITE}1.png": 2, f"{SITE}2.png": 1}


async def test_who_waits_for_an_answer_takes_over_when_the_first_is_cancelled() -> None:
    logo = SITE + "logo"
    web = FakeWeb({f"{SITE}1": page(logo), f"{SITE}2": page(logo), logo: picture("logo")})
    web.held[logo] = asyncio.Event()
    check = checker(web)
    first = asyncio.create_task(check.check(Taken(Submission(1, ""), f"{SITE}1")))
    await until(lambda: web.asked[logo])
    second = asyncio.create_task(check.check(Taken(Submission(2, ""), f"{SITE}2")))
    await until(lambda: web.asked[f"{SITE}2"])
    first.cancel()
    web.held[logo].set()
    assert outcomes(await second) == [("logo", "no_match")]
    with pytest.raises(asyncio.CancelledError):
        await first
    assert web.asked[logo] == 2


async def test_a_slow_host_holds_as_many_places_as_one_host_may_have() -> None:
    slow = [f"https://slow.example/{n}" for n in range(50)]
    fast = [f"https://fast.example/{n}" for n in range(50)]
    web = FakeWeb({url: picture(url) for url in (*slow, *fast)})
    web.held = {url: asyncio.Event() for url in slow}
    check = checker(web, concurrency=4, host_concurrency=2)
    waiting = [asyncio.create_task(check.check(Taken(Submission(1, url), url))) for url in slow]
    done = await asyncio.gather(*(check.check(Taken(Submission(2, url), url)) for url in fast))
    assert [one.summary.outcome for one in done] == [Outcome.NO_MATCH] * 50
    assert web.now_by_host["slow.example"] == 2
    for event in web.held.values():
        event.set()
    await asyncio.gather(*waiting)
    assert web.most_by_host == {"slow.example": 2, "fast.example": 2}
    assert repr(check) == "<Checker: <Looking: <Slots: 0 hosts, 0 visitors>>, <Remembered: 0 of 20000, 0 being asked>>"


async def test_no_more_pictures_are_asked_about_at_a_time_than_may_be() -> None:
    detects = FakeDetects()
    files = {f"https://h{n}.example/": picture(str(n)) for n in range(40)}
    await checked(FakeWeb({SITE: page(*files), **files}), detects)
    assert detects.most == 2


# --- tables ------------------------------------------------------------------------------------------------------
