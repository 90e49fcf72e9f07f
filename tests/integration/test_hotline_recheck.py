"""A check, and what comes after it, as commands: real processes, real pictures, a site that changes."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hashmatch.errors import ExitCode
from tests.support.hotline.command import Command
from tests.support.hotline.site import Site
from tests.support.images import encoded, photo

KNOWN = encoded(photo(1, (480, 360)), "JPEG", quality=80)
AGAIN = encoded(photo(1, (480, 360)), "JPEG", quality=60)
OTHER = encoded(photo(7), "JPEG")
AT_ONCE = {"recheck_first_h": (0,), "recheck_daily": 0, "recheck_weekly": 0}
"""One look is due at once, and again after each notice; no other."""


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """Return a site that serves."""
    async with Site() as made:
        yield made


async def checked(site: Site, folder: Path, **settings: object) -> Command:
    """Check a page with one known picture and a stranger, keeping evidence."""
    site.put("http://page.test/", f"<img src={site.url('http://pics.test/a.jpg')}><img src=/b.jpg>")
    site.put("http://pics.test/a.jpg", KNOWN, content_type="image/jpeg")
    site.put("http://page.test/b.jpg", OTHER, content_type="image/jpeg")
    command = Command(folder, site, **settings)
    command.plant("known", {"e1": KNOWN})
    (folder / "list.txt").write_text(site.url("http://page.test/"))
    ended = await command.run("urlcheck", "list.txt", "--job", "job", "--evidence", "evidence")
    assert ended.code == ExitCode.MATCHED, ended.err
    return command


async def recheck(command: Command) -> tuple[int, list[tuple[str, str, int]]]:
    ended = await command.run("urlcheck", "--recheck", "job", "--evidence", "evidence", "--json")
    said = [(str(row["presence"]), str(row["state"]), int(row["returns"])) for row in ended.records]
    assert all(len(digest) == 64 for row in ended.records for digest in row["evidence"]), ended.err
    return ended.code, said


async def test_there_changed_gone_and_back(site: Site, tmp_path: Path) -> None:
    command = await checked(site, tmp_path, **AT_ONCE)
    assert await recheck(command) == (ExitCode.MATCHED, [("online_same", "online", 0)])
    steps = [
        (AGAIN, 200, ExitCode.MATCHED, ("online_changed_match", "online", 0)),
        (b"", 410, ExitCode.CLEAN, ("gone_410", "gone", 0)),
        (KNOWN, 200, ExitCode.MATCHED, ("online_same", "returned", 1)),
    ]
    for body, status, code, expected in steps:
        site.put("http://pics.test/a.jpg", body, status=status, content_type="image/jpeg")
        told = await command.run("hotline", "notified", "job", "--all", "--by", "anna", "--json")
        assert [row["pictures"] for row in told.records] == [1]
        assert await recheck(command) == (code, [expected])
    stats = await command.run("hotline", "stats", "job", "--json")
    assert [(row["notified"], row["gone"], row["returned"]) for row in stats.records if row["by"] == "all"] == [
        (1, 1, 1)
    ]
    verified = await command.run("evidence", "verify", "evidence", "--job", "job", "--json")
    assert (verified.code, verified.records[-1]["findings"]) == (0, 0)
    (watched,) = (await command.run("hotline", "watched", "job", "--json")).records
    shown = await command.run("evidence", "show", "evidence", *watched["evidence"], "--json")
    purposes = {row["record"]["body"]["why"]["purpose"] for row in shown.records}
    statuses = [row["record"]["body"]["hops"][-1]["status"] for row in shown.records]
    assert (purposes, statuses) == ({"recheck"}, [200, 200, 410, 200])


async def test_a_picture_that_moved_on_its_page(site: Site, tmp_path: Path) -> None:
    command = await checked(site, tmp_path, **AT_ONCE)
    site.put("http://pics.test/a.jpg", "", status=403)
    site.put("http://pics.test/signed-anew.jpg", KNOWN, content_type="image/jpeg")
    site.put("http://page.test/", f"<img src={site.url('http://pics.test/signed-anew.jpg')}>")
    assert await recheck(command) == (ExitCode.MATCHED, [("moved", "online", 0)])


async def test_following_gives_the_job_back_and_ends_on_sigterm(site: Site, tmp_path: Path) -> None:
    command = await checked(site, tmp_path, recheck_first_h=(0, 5))
    process = await command.start("hotline", "recheck", "job", "--follow", "--evidence", "evidence", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    first = json.loads(await process.stdout.readline())
    assert first["presence"] == "online_same"
    while b"next look at" not in await process.stderr.readline():
        pass
    told = await command.run("hotline", "notified", "job", "--all", "--by", "anna", "--json")
    assert told.code == ExitCode.CLEAN, told.err
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(300):
        out, _ = await process.communicate()
    assert (process.returncode, out) == (ExitCode.MATCHED, b"")
    verified = await command.run("evidence", "verify", "evidence", "--job", "job", "--json")
    assert (verified.code, verified.records[-1]["unvouched"]) == (0, 0)


async def test_a_job_goes_one_way(site: Site, tmp_path: Path) -> None:
    command = await checked(site, tmp_path, **AT_ONCE)
    with (tmp_path / "hashmatch.toml").open("a") as stream:
        stream.write('proxy = "socks5h://127.0.0.1:9"\n')
    ended = await command.run("urlcheck", "--recheck", "job")
    assert ended.code == ExitCode.BAD_INPUT
    assert ended.err.splitlines()[-1] == (
        "error: job began without a proxy and would go on through socks5h://127.0.0.1:9; one job goes one way"
    )


async def test_two_checks_whose_pictures_repeat_are_linked(site: Site, tmp_path: Path) -> None:
    command = await checked(site, tmp_path)
    site.put("http://shop.test/", "<img src=/again.jpg>")
    site.put("http://shop.test/again.jpg", encoded(photo(7), "JPEG", quality=50), content_type="image/jpeg")
    (tmp_path / "second.txt").write_text(site.url("http://shop.test/"))
    assert (await command.run("urlcheck", "second.txt", "--job", "second.job")).code == ExitCode.CLEAN
    linked = await command.run("hotline", "links", "job", "second.job", "--json")
    assert [(row["group"], row["host"], row["known"]) for row in linked.records] == [
        (1, "page.test", []),
        (1, "shop.test", []),
    ]
