from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protego import Protego

from hashmatch.hotline.web.robots import RobotsFiles
from hashmatch.hotline.web.urls import Rules, Target, parse
from hashmatch.model.hotline import Fetched, Hop, Outcome


def target(url: str) -> Target:
    made = parse(url)
    assert isinstance(made, Target)
    return made


class Host:
    """Answers for robots.txt, and counts."""

    def __init__(self, answer: Fetched) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    async def fetch(self, place: Target, job: str) -> Fetched:
        """Answer, whatever is asked for."""
        self.asked.append((place.url, job))
        return self.answer


def answered(status: int, outcome: Outcome | None, body: bytes = b"") -> Fetched:
    return Fetched((Hop("http://a.example/robots.txt", status=status),), outcome, body=body)


CASES = [
    (answered(200, None, b"User-agent: *\nDisallow: /x\nAllow: /x/y"), "/x", "disallowed", True),
    (answered(200, None, b"User-agent: *\nDisallow: /x\nAllow: /x/y"), "/x/y/z", "allowed", False),
    (answered(200, None, b"User-agent: checker\nDisallow: /\n\nUser-agent: *\nAllow: /"), "/", "disallowed", True),
    (answered(200, None, b"<html>not a robots file"), "/", "allowed", False),
    (answered(200, None, b"\xff\xfe\x00"), "/", "allowed", False),
    (answered(404, Outcome.GONE), "/", "none", False),
    (answered(403, Outcome.FORBIDDEN), "/", "unknown", False),
    (answered(503, Outcome.HTTP_ERROR), "/", "unknown", True),
    (Fetched((), Outcome.TIMEOUT), "/", "unknown", True),
]


@pytest.mark.parametrize(("answer", "path", "recorded", "forbids"), CASES)
async def test_what_a_host_says(answer: Fetched, path: str, recorded: str, *, forbids: bool) -> None:
    files = RobotsFiles(Host(answer).fetch, "checker/1", Rules())
    said = await files.ask(target(f"http://a.example{path}"), "")
    assert (said.recorded, said.forbids) == (recorded, forbids)


async def test_a_host_is_asked_once_by_each_job_until_an_hour_is_over() -> None:
    now = [0.0]
    host = Host(answered(404, Outcome.GONE))
    files = RobotsFiles(host.fetch, "checker", Rules(), clock=lambda: now[0])
    for path in ("/a", "/b", "/c"):
        await files.ask(target(f"http://a.example{path}"), "1")
    await files.ask(target("https://a.example/"), "1")
    await files.ask(target("http://a.example/"), "2")
    now[0] = 3_601.0
    await files.ask(target("http://a.example/"), "1")
    assert host.asked == [
        ("http://a.example/robots.txt", "1"),
        ("https://a.example/robots.txt", "1"),
        ("http://a.example/robots.txt", "2"),
        ("http://a.example/robots.txt", "1"),
    ]


async def test_files_are_kept_in_bounds() -> None:
    files = RobotsFiles(Host(answered(404, Outcome.GONE)).fetch, "checker", Rules())
    for number in range(2_100):
        await files.ask(target(f"http://h{number}.example/"), "")
    assert len(files._files) == 2_048


async def test_a_file_has_no_more_rules_than_are_looked_at() -> None:
    body = "User-agent: *\n" + "Disallow: /*x*y*z\n" * 500 + "Disallow: /*late\nDisallow: /plain\n" + "#\n" * 5_000
    files = RobotsFiles(Host(answered(200, None, (body + "Disallow: /behind\n").encode())).fetch, "checker", Rules())
    said = {
        path: await files.ask(target(f"http://a.example{path}"), "") for path in ("/late", "/plain", "/behind", "/xyz")
    }
    assert said == {"/late": "allowed", "/plain": "disallowed", "/behind": "allowed", "/xyz": "disallowed"}


LINES = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.builds(
            "{}: {}".format,
            st.sampled_from(
                ["user-agent", "disallow", "allow", "crawl-delay", "request-rate", "visit-time", "sitemap"]
            ),
            st.text(alphabet="/*$%a0-1:. ￿é", max_size=20),
        ),
    ),
    max_size=12,
).map("\n".join)


@given(LINES, st.text(alphabet="/a%$*?é", max_size=10))
def test_no_file_makes_the_parser_raise(text: str, path: str) -> None:
    assert Protego.parse("user-agent: *\n" + text).can_fetch(f"http://a.example/{path}", "checker") in {True, False}
