"""HotlineService as it is served: the real fetcher, reader and workers behind gRPC, against a site on loopback."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hashmatch import config as configuration
from hashmatch.client.aio import AsyncClient
from hashmatch.model.hotline import Item, Outcome, Submission, Summary
from hashmatch.service.server import serve
from tests.support.auditing import bodies, recorded
from tests.support.hotline.command import Command
from tests.support.hotline.site import Request, Site
from tests.support.images import encoded, photo
from tests.support.service import collect, until

KNOWN = photo(1, (480, 360))


@asynccontextmanager
async def served(command: Command) -> AsyncIterator[AsyncClient]:
    """Serve the command's data directory in this process, as ``hashmatch serve`` does, and connect to it."""
    config = configuration.load(command.folder / "hashmatch.toml", {})
    config = dataclasses.replace(config, server=dataclasses.replace(config.server, listen="127.0.0.1:0"))
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    running: asyncio.Future[None] = asyncio.ensure_future(
        serve(config, command.data, on_ready=ready.set_result, stop=stop)
    )
    running.add_done_callback(
        lambda ended: None if ready.done() else ready.set_exception(ended.exception() or EOFError())
    )
    try:
        async with AsyncClient(await ready) as client:
            yield client
    finally:
        stop.set()
        await running


async def test_reported_addresses_are_checked_by_the_service(tmp_path: Path) -> None:
    async with Site() as site:
        site.put("http://pics.test/known.png", encoded(KNOWN, "PNG"), content_type="image/png")
        site.put("http://pics.test/other.png", encoded(photo(7), "PNG"), content_type="image/png")
        pics = site.url("http://pics.test/")
        site.put("http://gallery.test/", f"<img src={pics}known.png><img src={pics}other.png>")
        site.put("http://strict.test/robots.txt", "User-agent: *\nDisallow: /", content_type="text/plain")
        site.put("http://strict.test/", "<p>nothing</p>")
        command = Command(tmp_path, site, serve=True, ask_robots=True)
        command.plant("known", {"e1": encoded(KNOWN, "PNG")})
        gallery = site.url("http://gallery.test/")
        urls = [
            Submission(1, gallery, {"report_id": "R1"}),
            Submission(2, "mailto:someone@example.org"),
            Submission(3, gallery.replace("http", "hxxp")),
            Submission(4, site.url("http://strict.test/")),
        ]
        async with served(command) as client:
            answers = await collect(client.check_urls(urls))
            strict = await collect(client.check_urls([urls[3]], respect_robots=True))
    summaries = {answer.submission.number: answer for answer in answers if isinstance(answer, Summary)}
    assert {number: summary.outcome for number, summary in summaries.items()} == {
        1: Outcome.MATCH,
        2: Outcome.REFUSED_URL,
        3: Outcome.MATCH,
        4: Outcome.NO_IMAGES,
    }
    assert (summaries[3].same_as, summaries[3].submission) == (1, urls[2])
    assert summaries[1].counts == {Outcome.MATCH: 1, Outcome.NO_MATCH: 1}
    assert summaries[4].fetched is not None
    assert summaries[4].fetched.robots == "disallowed"
    items = [answer for answer in answers if isinstance(answer, Item)]
    assert Counter(item.outcome for item in items) == {Outcome.MATCH: 1, Outcome.NO_MATCH: 1}
    (known,) = (item for item in items if item.outcome is Outcome.MATCH)
    assert known.report is not None
    assert (known.report.hits[0].entry.entry_id, known.report.receipt != b"") == ("e1", True), "a case can be opened"
    assert site.paths("gallery.test").count("/") == 1, "the same address is fetched once"
    (summary,) = strict
    assert summary.outcome is Outcome.REFUSED_ROBOTS
    kinds = [record["kind"] for record in recorded(command.data) if record["kind"].startswith(("check_urls", "detect"))]
    assert kinds == ["check_urls.begun", "detect", "detect", "check_urls", "check_urls.begun", "check_urls"]
    first, second = bodies(command.data, "check_urls")
    assert (first["addresses"], first["images"], first["respect_robots"], first["status"]) == (4, 2, False, "OK")
    assert first["outcomes"] == {"match": 2, "no_images": 1, "refused_url": 1}
    assert (second["addresses"], second["outcomes"], second["respect_robots"]) == (1, {"refused_robots": 1}, True)
    assert ".test" not in str(recorded(command.data))


async def test_a_caller_who_leaves_ends_the_fetching(tmp_path: Path) -> None:
    reached = asyncio.Event()
    gone = asyncio.Event()

    async def trickles(_: Request, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"HTTP/1.1 200 OK\r\nX: ")
            while True:
                writer.write(b"x")
                await writer.drain()
                reached.set()
                await asyncio.sleep(0.01)
        except ConnectionError:
            gone.set()

    async with Site() as site:
        site.on("http://slow.test/", trickles)
        command = Command(tmp_path, site, serve=True, total_timeout_s=600.0, first_byte_timeout_s=600.0)
        command.plant("known", {"e1": encoded(KNOWN, "PNG")})
        async with served(command) as client:
            asking = asyncio.create_task(collect(client.check_urls([Submission(1, site.url("http://slow.test/"))])))
            await reached.wait()
            asking.cancel()
            await until(gone.is_set)
    (ended,) = bodies(command.data, "check_urls")
    assert (ended["status"], ended["addresses"], ended["outcomes"]) == ("CANCELLED", 1, {})
