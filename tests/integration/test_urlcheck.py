"""``hashmatch urlcheck`` as it is run: real processes, real pictures, hostile pages, and whatever ends it."""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import json
import signal
import zipfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from PIL import Image

from hashmatch.errors import ExitCode
from hashmatch.hotline.jobs.job import JobFile
from hashmatch.hotline.jobs.job_states import State
from tests.support.canary import CANARY
from tests.support.hotline import hostile
from tests.support.hotline.command import Command
from tests.support.hotline.site import Request, Site
from tests.support.images import encoded, photo
from tests.support.service import serving, until

KNOWN, CROWD = photo(1, (480, 360)), photo(2, (480, 360))
SECRET = CANARY.encode()
"""In every page and every picture; nothing that is written may hold it."""

MAGICS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"WEBPVP8")


def jpeg(picture: Image.Image) -> bytes:
    """Return a picture with the canary in it."""
    return encoded(picture, "JPEG", quality=70, comment=SECRET)


def put_pictures(site: Site) -> None:
    """Put pictures onto the site: one that is known, one that is known in another size, strangers."""
    inline = base64.b64encode(encoded(KNOWN.resize((240, 180)), "PNG")).decode()
    site.put("http://pics.test/known.jpg", jpeg(KNOWN), content_type="image/jpeg")
    site.put("http://pics.test/small", encoded(KNOWN.resize((200, 150)), "PNG"), content_type="text/html")
    site.put("http://pics.test/clean.jpg", jpeg(photo(7)), content_type="image/jpeg")
    site.put("http://pics.test/other.webp", encoded(photo(8), "WEBP"), content_type="image/webp")
    site.put("http://pics.test/a.zip", b"PK\x03\x04" + SECRET, content_type="application/zip")
    pics = site.url("http://pics.test/")
    site.put(
        "http://gallery.test/",
        f"<title>{CANARY}</title><img src={pics}known.jpg><img data-src='{pics}small'><img src={pics}gone.jpg>"
        f"<a href={pics}a.zip>x</a><img src='data:image/png;base64,{inline}'><img src={pics}clean.jpg>"
        f"<div style='background:url({pics}other.webp)'></div><img src='ftp://x/'><iframe src=/frame></iframe>",
    )
    site.put("http://gallery.test/frame", f"{CANARY}<img srcset='{pics}known.jpg 1x, {pics}other.webp 2x'>")


def put_hostile(site: Site) -> dict[str, str]:
    """Put hostile hosts onto the site; return addresses with the outcomes they have."""
    site.on("http://bomb.test/", hostile.gzip_bomb)
    site.on("http://loop.test/*", hostile.endless_redirects)
    site.put("http://many.test/", "".join(f"<img src=/{n}.png>" for n in range(10_000)))
    site.put("http://login.test/", "", status=401)
    site.put("http://law.test/", "", status=451)
    site.put("http://nested.test/", "<iframe src=/a></iframe>")
    site.put("http://nested.test/a", "<iframe src=/b></iframe>")
    site.put("http://text.test/", SECRET * 10, content_type="text/plain")
    site.put("http://broken.test/", b"\xff\xfe<\0i\0m\0g\0 \0s\0r\0c\0=\0" + bytes(range(256)) * 50)
    site.dns.say("inner.test", "10.0.0.1")
    return {
        "http://bomb.test/": "too_large",
        "http://loop.test/1": "too_many_redirects",
        "http://many.test/": "too_many",
        "http://login.test/": "login_required",
        "http://law.test/": "blocked_451",
        "http://nested.test/": "too_many",
        "http://text.test/": "not_image",
        "http://inner.test/": "refused_address",
        f"http://nowhere.example:{site.http_port}/": "dns_fail",
        "http://pics.test/a.zip": "unsupported",
        "http://gallery.test/nothing": "gone",
    }


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """Return a site that serves."""
    async with Site() as made:
        yield made


def files_below(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield every file with its bytes; members of workbooks, too."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            yield path, data
            if path.suffix == ".xlsx":
                with zipfile.ZipFile(io.BytesIO(data)) as book:
                    yield from ((path / name, book.read(name)) for name in book.namelist())


async def test_a_list_of_real_and_hostile_pages_from_end_to_end(site: Site, tmp_path: Path) -> None:
    put_pictures(site)
    expected = put_hostile(site)
    command = Command(tmp_path, site)
    command.plant("known", {"e1": jpeg(KNOWN), "e2": jpeg(CROWD)})
    urls = [site.url(url) for url in ("http://gallery.test/", "http://pics.test/known.jpg", *expected)]
    (tmp_path / "list.txt").write_text("\n".join([*urls, "no such scheme:", site.url("http://broken.test/")]))
    outputs = [word for form in ("csv", "jsonl", "xlsx", "html") for word in ("--output", f"out.{form}")]
    ended = await command.run(
        "urlcheck", "list.txt", "--job", "job", "--json", "--evidence", "evidence", *outputs, "--log-level", "debug"
    )
    assert ended.code == ExitCode.MATCHED, ended.err
    summaries = {record["number"]: record for record in ended.records if record["row"] == "url"}
    assert {urls[number - 1]: record["outcome"] for number, record in summaries.items() if 2 < number <= len(urls)} == {
        site.url(url): outcome for url, outcome in expected.items()
    }
    assert [summaries[number]["outcome"] for number in (1, 2, len(urls) + 1)] == ["match", "match", "refused_url"]
    assert len(summaries) == len(urls) + 2
    images = [record for record in ended.records if record["row"] == "image" and record["number"] == 1]
    shown = [(record["via"], record["url"].rpartition("/")[2], record["outcome"]) for record in images]
    assert Counter(shown) == Counter(
        [
            ("img", "", "refused_url"),
            ("img", "known.jpg", "match"),
            ("lazy", "small", "match"),
            ("img", "gone.jpg", "gone"),
            ("anchor", "a.zip", "unsupported"),
            ("inline-data", "", "match"),
            ("img", "clean.jpg", "no_match"),
            ("css", "other.webp", "no_match"),
        ]
    )
    assert {hit["entry_id"] for record in images for hit in (record["report"] or {"hits": []})["hits"]} == {"e1"}
    assert Counter(site.paths("pics.test"))["/known.jpg"] == 2  # as an image of a page, and as the reported address
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as stream:
        assert len(list(csv.DictReader(stream))) == len(ended.records)
    assert [json.loads(line)["row"] for line in (tmp_path / "out.jsonl").read_text().splitlines()].count("url") == len(
        summaries
    )
    verified = await command.run("evidence", "verify", "evidence", "--job", "job", "--json")
    assert (verified.code, verified.records[-1]["findings"]) == (0, 0)
    for path, data in files_below(tmp_path):
        assert not [magic for magic in MAGICS if magic in data], path
        assert SECRET not in data, path
    assert CANARY not in ended.err + ended.out
    assert "gallery.test" not in ended.err


async def test_a_host_that_says_nothing_ends_with_its_time(site: Site, tmp_path: Path) -> None:
    """By itself: with so little time a busy machine would give up other hosts, too."""
    site.on("http://silent.test/", hostile.silent)
    command = Command(tmp_path, site, first_byte_timeout_s=1.0)
    command.plant("known", {"e1": jpeg(KNOWN)})
    ended = await command.run("urlcheck", "-", "--json", stdin=site.url("http://silent.test/").encode())
    assert ended.code == ExitCode.SKIPPED, ended.err
    assert [record["outcome"] for record in ended.records if record["row"] == "url"] == ["timeout"]


async def test_a_server_may_do_the_looking(site: Site, tmp_path: Path) -> None:
    put_pictures(site)
    command = Command(tmp_path, site)
    async with serving() as scene:
        ended = await command.run(
            "urlcheck", "-", "--server", scene.target, "--json", stdin=site.url("http://gallery.test/").encode()
        )
    assert ended.code == ExitCode.SKIPPED, ended.err  # an archive, and an address that is none, were not looked at
    assert Counter(record["outcome"] for record in ended.records if record["row"] == "image") == Counter(
        {"no_match": 5, "gone": 1, "unsupported": 1, "refused_url": 1}
    )
    assert len(scene.hasher.options) == 5


async def test_a_server_that_is_not_there_ends_it_and_the_job_goes_on(site: Site, tmp_path: Path) -> None:
    put_pictures(site)
    command = Command(tmp_path, site)
    url = site.url("http://pics.test/clean.jpg")
    (tmp_path / "list").write_text(url)
    ended = await command.run("urlcheck", "list", "--server", "127.0.0.1:1", "--job", "job")
    assert (ended.code, ended.out) == (ExitCode.SERVICE, "")
    async with serving() as scene:
        ended = await command.run("urlcheck", "--server", scene.target, "--job", "job", "--resume")
    assert (ended.code, ended.err.splitlines()[-1]) == (0, "1 address: 1 no_match; 1 image: 1 no_match")


def slow_pages(site: Site, count: int) -> list[str]:
    """Put pages onto many hosts that take a moment each."""
    page = b"<img src=/x.jpg>"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\n\r\n".encode()

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        del request
        await asyncio.sleep(0.1)
        writer.write(head + page)
        await writer.drain()

    for host in range(8):
        site.on(f"http://h{host}.test/page/*", answer)
        site.put(f"http://h{host}.test/x.jpg", jpeg(photo(50 + host)), content_type="image/jpeg")
    return [site.url(f"http://h{n % 8}.test/page/{n}") for n in range(count)]


def pages_asked(site: Site) -> Counter[str]:
    """Return how often each page was asked for."""
    return Counter(request.path for request in site.requests if request.path.startswith("/page/"))


def paths_of(numbers: set[int]) -> set[str]:
    """Return the pages of submissions."""
    return {f"/page/{number - 1}" for number in numbers}


def done_in(path: Path) -> set[int]:
    """Return the submissions that a job file says are done."""
    with JobFile.open(path) as job:
        return {kept.submission.number for kept in job.results.summaries() if kept.summary is not None}


async def test_kill_9_again_and_again_repeats_nothing_that_was_done_and_loses_nothing(
    site: Site, tmp_path: Path
) -> None:
    count = 200
    urls = slow_pages(site, count)
    command = Command(tmp_path, site, concurrency=8)
    command.plant("known", {"e1": jpeg(photo(50))})
    (tmp_path / "list").write_text("\n".join(urls))
    arguments, kills, job = ["urlcheck", "list", "--job", "job"], 0, tmp_path / "job"
    done: set[int] = set()
    for wanted in (25, 60, 40):
        site.requests.clear()
        process = await command.start(*arguments)
        await until(lambda: sum(pages_asked(site).values()) >= wanted or process.returncode is not None)  # noqa: B023
        assert process.returncode is None
        process.send_signal(signal.SIGKILL)
        await process.communicate()
        kills += 1
        arguments = ["urlcheck", "--job", "job", "--resume"]
        assert not paths_of(done) & set(pages_asked(site))  # what was done before was not asked for again
        before, done = done, done_in(job)
        assert before < done
    site.requests.clear()
    ended = await command.run(*arguments, "--json", "--output", "out.csv")
    assert ended.code == ExitCode.MATCHED, ended.err
    assert not paths_of(done) & set(pages_asked(site))
    assert Counter(record["number"] for record in ended.records if record["row"] == "url") == Counter(
        range(1, count + 1)
    )
    assert Counter(record["number"] for record in ended.records if record["row"] == "image") == Counter(
        range(1, count + 1)
    )
    assert Counter(record["outcome"] for record in ended.records if record["row"] == "image") == Counter(
        {"match": count // 8, "no_match": count - count // 8}
    )
    with JobFile.open(job) as opened:
        assert opened.results.states() == {State.DONE: count}
    assert len((tmp_path / "out.csv").read_text("utf-8-sig").splitlines()) == 1 + 2 * count
    assert kills == 3


async def test_ctrl_c_writes_what_there_is_and_the_job_goes_on(site: Site, tmp_path: Path) -> None:
    count = 120
    urls = slow_pages(site, count)
    command = Command(tmp_path, site, concurrency=8)
    command.plant("known", {"e1": jpeg(photo(50))})
    (tmp_path / "list").write_text("\n".join(urls))
    process = await command.start("urlcheck", "list", "--job", "job", "--output", "out.jsonl")
    await until(lambda: sum(pages_asked(site).values()) >= 30)
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert process.returncode == 130, err
    assert err.decode().rstrip().splitlines()[-1] == "interrupted: `hashmatch urlcheck --job job --resume` goes on"
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    told = Counter(record["outcome"] for record in records if record["row"] == "url")
    done = len(done_in(tmp_path / "job"))
    assert sum(told.values()) == count
    assert (told["aborted"], 0 < done < count) == (count - done, True)
    ended = await command.run("urlcheck", "--job", "job", "--resume", "--output", "out.jsonl")
    assert ended.code == ExitCode.MATCHED, ended.err
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert Counter(record["outcome"] for record in records if record["row"] == "url") == Counter(
        {"match": count // 8, "no_match": count - count // 8}
    )


async def test_a_second_ctrl_c_stops_at_once(site: Site, tmp_path: Path) -> None:
    site.on("http://silent.test/*", hostile.silent)
    command = Command(tmp_path, site)
    command.plant("known", {"e1": jpeg(KNOWN)})
    (tmp_path / "list").write_text("\n".join(site.url(f"http://silent.test/{n}") for n in range(20)))
    process = await command.start("urlcheck", "list", "--job", "job")
    await until(lambda: len(site.requests) >= 2)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    await process.communicate()
    assert process.returncode == 130
    assert done_in(tmp_path / "job") == set()
