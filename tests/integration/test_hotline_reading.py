"""Pages through the real confined process: what comes back, and what becomes of a process that misbehaves."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import logging
import os
import signal

import pytest

from hashmatch.config import HotlineConfig, SandboxConfig
from hashmatch.errors import BadConfig
from hashmatch.hotline.pages import page, page_wire
from hashmatch.hotline.pages.reading import Reading
from hashmatch.model.hotline import Page
from tests.support.clock import LATE_S, leap

LIAR = "tests.support.hotline.pages_that_lie"
URL = "https://example.org/gallery/page.html"
GIF = base64.b64encode(b"GIF89a\x01\x00\x01\x00\x00\x00\x00,").decode()
HTML = f"""<!doctype html><meta charset=windows-1251><title>a b</title>
<link rel=stylesheet href=a.css><img src=a.jpg?\xff>
<img src="data:image/gif;base64,{GIF}"><a href=a.zip>x</a><iframe src=b.html></iframe><input type=password>
<script type="application/ld+json">{{"image": "ld.jpg"}}</script>
<style>p{{background:url(c.png)}}</style>""".encode("latin-1")


def liar(workers: int = 1, timeout_s: float = 60.0) -> Reading:
    return Reading(HotlineConfig(page_timeout_s=timeout_s), SandboxConfig(), workers=workers, _module=LIAR)


async def read(reading: Reading, body: bytes) -> Page | None:
    return await reading.read(body, url=URL, content_type="text/html")


async def test_a_page_comes_back_from_its_process_as_it_was_read_there() -> None:
    config = HotlineConfig()
    settings = page_wire.Settings.of(config)
    async with Reading(config, SandboxConfig(), workers=2) as reading:
        pages = await asyncio.gather(*(read(reading, HTML) for _ in range(8)))
        assert repr(reading) == "<Reading 2 processes, 8 pages, 0 unread>"
        assert [child.starts for child in reading._children] == [1, 1]
        assert all(child.posture.confined for child in reading._children)
    here = page.read(HTML, url=URL, content_type="text/html", limits=settings.limits, rules=settings.rules)
    assert pages == [here] * 8
    assert [link.url or link.data[:6] for link in here.images] == [
        "https://example.org/gallery/a.jpg?%FF",
        b"GIF89a",
        "https://example.org/gallery/a.zip",
        "https://example.org/gallery/ld.jpg",
        "https://example.org/gallery/c.png",
    ]
    assert (here.login_form, here.title_words, here.encoding) == (True, 2, "windows-1251")


async def test_it_starts_whatever_ports_are_allowed() -> None:
    async with Reading(HotlineConfig(ports=(8080,)), SandboxConfig(), workers=1) as reading:
        found = await reading.read(b"<img src=a.png>", url="http://example.org:8080/", content_type="text/html")
        assert found is not None
        assert [link.url for link in found.images] == ["http://example.org:8080/a.png"]


@pytest.mark.parametrize(
    "label", sorted({"big5", "iso-2022-jp", "koi8-u", "windows-874", "x-mac-cyrillic", "utf-16be", "gb18030"})
)
async def test_every_encoding_is_loaded_before_the_process_is_locked_up(label: str) -> None:
    async with Reading(HotlineConfig(), SandboxConfig(), workers=1) as reading:
        body = "<img src=a.jpg?\u00e9\u0436>".encode("utf-16be" if label == "utf-16be" else "utf-8")
        found = await reading.read(body, url=URL, content_type=f"text/html; charset={label}")
    assert found is not None
    assert found.encoding == label
    assert len(found.images) == 1


async def test_what_is_beyond_the_limit_of_a_page_is_not_read() -> None:
    config = HotlineConfig(max_page_bytes=2_000)
    async with Reading(config, SandboxConfig(), workers=1) as reading:
        found = await read(reading, b"<img src=a.jpg>" + b" " * 2_000 + b"<img src=b.jpg>")
    assert found is not None
    assert len(found.images) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"die", "the process killed by SIGSYS"),
        (b"eat", "the process raised MemoryError"),
        (b"lie", "its answer is not valid: an address is not one that may be fetched, or not canonical"),
    ],
)
async def test_a_process_that_misbehaves_costs_its_own_page_only(
    body: bytes, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with liar() as reading:
        with caplog.at_level(logging.WARNING):
            assert await read(reading, body) is None
        after = await read(reading, HTML)
        assert repr(reading) == "<Reading 1 processes, 2 pages, 1 unread>"
    assert after is not None
    assert len(after.images) == 5
    assert said in caplog.text
    assert "example.org" not in caplog.text


async def test_a_page_that_never_ends_is_killed_at_its_deadline_and_holds_up_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with liar(workers=2, timeout_s=LATE_S) as reading:
        spinning = asyncio.create_task(read(reading, b"spin"))
        await asyncio.sleep(0)
        assert await read(reading, HTML) is not None
        assert not spinning.done()
        leap(LATE_S)
        assert await spinning is None
        assert "took longer than 200 s" in caplog.text
        assert await read(reading, HTML) is not None
        assert await read(reading, HTML) is not None


async def test_whoever_waits_when_the_processes_end_is_told_nothing_was_read() -> None:
    reading = liar()
    await reading.start()
    spinning = asyncio.create_task(read(reading, b"spin"))
    await asyncio.sleep(0)
    assert reading._idle.empty()
    await reading.close()
    assert await spinning is None


async def test_without_the_libraries_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "selectolax" else found(name))
    with pytest.raises(BadConfig) as caught:
        await Reading(HotlineConfig(), SandboxConfig()).start()
    assert caught.value.message == (
        "reading pages needs selectolax, not installed here: pip install 'hashmatch[hotline]'"
    )


async def test_a_process_that_is_killed_from_outside_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    async with liar() as reading:
        (child,) = reading._children
        spinning = asyncio.create_task(read(reading, b"spin"))
        await asyncio.sleep(0)
        assert reading._idle.empty()
        os.kill(child.pid, signal.SIGKILL)
        assert await spinning is None
        assert "the process killed by SIGKILL" in caplog.text
        assert await read(reading, HTML) is not None
        assert child.starts == 2
