"""Whatever a page holds: no exception, no end of output, no address twice, nothing but http and https."""
# ruff: noqa: E501 - tables of pages read best with a page on a line

from __future__ import annotations

import html as entities
import string
import urllib.parse
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.hotline.pages import page, tags
from hashmatch.hotline.pages.collecting import PageLimits
from hashmatch.model.hotline import Page

URL = "https://example.org/gallery/page.html"
LIMITS = PageLimits(max_images=7, max_documents=3, max_data_bytes=64, max_all_data_bytes=100)
SEEDS = [
    b"<img src=", b"<img srcset='", b"'", b'"', b">", b"<style>", b"url(", b"@import ", b"</style>", b"<a href=", b"<svg>",
    b"<![CDATA[", b"<!--", b"-->", b"<template>", b"<noscript>", b"<iframe srcdoc='", b"&lt;img src=x&gt;", b"data:image/gif,GIF89a",
    b"<script type=application/ld+json>", b'{"image":', b"</script>", b"<base href=", b"http://[", b"//x/", b"\xff\xfe",
    b"<meta charset=utf-16>", b"<meta http-equiv=refresh content='0;url=", b"\0", b"\x81", b"\xed\xa0\x80", b"<table>", b"<select>",
    b"<plaintext>", b" 2x, ", b"image-set(", b"\\", b"&#xD800;", b"&#0;", b"javascript:", b"<frameset><frame src=",
]  # fmt: skip
PAGES = st.lists(st.sampled_from(SEEDS) | st.binary(max_size=12), max_size=60).map(b"".join)
TYPES = st.sampled_from(
    ["", "text/html", "text/css", "text/html; charset=utf-16le", "text/html;charset=big5", "x", "a; charset='"]
)


def check(taken: Page, limits: PageLimits) -> None:
    """Everything that holds of every page."""
    refused = [link for link in taken.images if link.refused]
    followed = [link for link in taken.images if not link.refused]
    assert len(refused) <= limits.max_images
    assert len(followed) <= limits.max_images
    assert len(taken.documents) <= limits.max_documents + 1
    assert sum(len(link.data) for link in taken.images) <= limits.max_all_data_bytes
    for links in (followed, list(taken.documents)):
        keys = [(link.url, link.data) for link in links]
        assert len(keys) == len(set(keys))
    for link in (*followed, *taken.documents):
        assert link.outcome is None
        assert link.data or urllib.parse.urlsplit(link.url).scheme in {"http", "https"}
        assert link.data or (link.url.isascii() and urllib.parse.urlsplit(link.url).hostname)
    for link in refused:
        assert link.outcome is not None
        assert len(link.url) <= 2_000


@given(PAGES, TYPES)
def test_no_page_raises_and_all_are_bounded(body: bytes, content_type: str) -> None:
    check(page.read(body, url=URL, content_type=content_type, limits=LIMITS), LIMITS)


@given(st.text(alphabet=string.printable, max_size=300))
def test_a_flat_page_refers_to_what_was_there(text: str) -> None:
    images = [f"<p><img src='{n}.jpg' alt='{entities.escape(text)}'></p>" for n in range(3)]
    flat = tags.flatten("<div>".join(images))
    taken = page.read(flat.encode(), url=URL)
    assert [link.url.rpartition("/")[2] for link in taken.images] == ["0.jpg", "1.jpg", "2.jpg"]


class Twin(HTMLParser):
    """The addresses of images, by the standard library: slow, and without a tree."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the first ``src`` of an ``img``."""
        src = dict(reversed(attrs)).get("src")
        if tag == "img" and src:
            url = urllib.parse.urljoin(URL, urllib.parse.quote(src, safe="/:?&=%#"))
            if url not in self.found:
                self.found.append(url)


_NAMES = st.sampled_from(["div", "p", "span", "b", "i", "ul", "li", "h1", "blockquote", "font", "center", "section"])
_SOURCES = st.text(alphabet="abcé漢 ", min_size=1, max_size=8).map(lambda text: "x" + text.strip() + ".jpg")
_QUOTES = st.sampled_from(["'", '"'])
_IMAGES = st.builds(
    lambda src, quote, alt: f"<img alt={quote}{alt}{quote} src={quote}{src}{quote}>",
    _SOURCES,
    _QUOTES,
    st.sampled_from(["", "a > b", "x"]),
)
_TREES = st.recursive(
    _IMAGES
    | st.sampled_from(["text", "a &lt; b", "<!-- <img src=no.jpg> -->", "<br>", "<script>'<img src=no.jpg>'</script>"]),
    lambda inner: st.builds(
        lambda name, parts: f"<{name}>{''.join(parts)}</{name}>", _NAMES, st.lists(inner, max_size=6)
    ),
    max_leaves=30,
)


@given(_TREES)
def test_two_parsers_find_the_same_images(text: str) -> None:
    taken = page.read(
        text.encode(), url=URL, content_type="text/html; charset=utf-8", limits=PageLimits(max_images=1_000)
    )
    assert [link.url for link in taken.images] == Twin(text).found


N = 20_000
HOSTILE = {
    "nested": b"<div>" * 10 * N + b"<img src=a.jpg>",
    "nested svg": b"<svg>" * N + b"<img src=a.jpg>",
    "titles in svg": b"<svg><title><div>" * N + b"<img src=a.jpg>",
    "nested templates": b"<template>" * N + b"<img src=a.jpg>",
    "nested tables": b"<table><tr><td>" * N + b"<img src=a.jpg>",
    "formatting": b"".join(b"<b id=%d>" % n for n in range(500)) + b"<p></p>" * N + b"<img src=a.jpg>",
    "attributes": b"<img " + b" ".join(b"a%d=1" % n for n in range(10 * N)) + b" src=a.jpg>",
    "names": b"".join(b"<x%d></x%d>" % (n, n) for n in range(5 * N)) + b"<img src=a.jpg>",
    "objects that end nothing": b"<div><object></div></object>" * 5 * N + b"<img src=a.jpg>",
    "options": b"<select>" + b"<option>a" * N + b"</select><img src=a.jpg>",
    "comments": b"<img src=a.jpg>" + b"<!--" * 10 * N,
    "quotes": b"<img src=a.jpg>" + b"<a b='" * 10 * N,
    "nul": b"\0" * 10 * N + b"<img src=a.jpg>",
    "angles": b"<" * 10 * N + b"img src=a.jpg>",
    "css": b"<style>" + b"(" * 10 * N + b"</style><img src=a.jpg>",
    "json": b"<script type=application/ld+json>" + b"[" * 10 * N + b"</script><img src=a.jpg>",
    "one address a hundred thousand times": b"<img src=a.jpg>" * 5 * N,
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_page_is_read_like_any_other(name: str) -> None:
    taken = page.read(HOSTILE[name], url=URL)
    check(taken, PageLimits())
    assert [link.url for link in taken.images] == ["https://example.org/gallery/a.jpg"]


@pytest.mark.parametrize(
    "name", ["nested", "nested svg", "attributes", "names", "formatting", "objects that end nothing", "titles in svg"]
)
def test_what_the_parser_takes_too_long_for_is_made_flat(name: str) -> None:
    assert not tags.is_tame(HOSTILE[name].decode())


def test_an_ordinary_page_is_left_as_it_is() -> None:
    rows = "".join(
        f"<tr><td><a href='{n}.html'><b>{n}</b></a><td><svg><title>x</title></svg><p>text<li>x" for n in range(50)
    )
    text = f"<html><head><script>for(i=0;i<n;i++)a(i>1)</script></head><body><table>{rows}</table></body>" + " " * 1_024
    assert tags.is_tame(text)
    assert tags.reader_safe(text) is text


SCRIPTS = {
    "arabic": "صورة", "armenian": "պատկեր", "bengali": "ছবি", "chinese": "图片", "cyrillic": "картинка", "devanagari": "चित्र",
    "ethiopic": "ምስል", "georgian": "სურათი", "greek": "εικόνα", "gujarati": "છબી", "hangul": "그림", "hebrew": "תמונה",
    "kana": "がぞう", "khmer": "រូបភាព", "lao": "ຮູບພາບ", "latin": "bildæþ", "tamil": "படம்", "telugu": "చిత్రం", "thai": "รูปภาพ",
    "tibetan": "པར་རིས", "emoji": "🖼️",
}  # fmt: skip
MALFORMED = [
    "http://[{0}/a.jpg",
    "http://{0}:99999/a.jpg",
    "http://{0}@/a.jpg",
    "http://\u202e{0}\u0000/a.jpg",
    "http:// {0}/a.jpg",
]


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_malformed_addresses_are_refused_with_a_reason_in_any_script(script: str) -> None:
    texts = [pattern.format(SCRIPTS[script]) for pattern in MALFORMED]
    body = "".join(f"<img src='{entities.escape(text)}'>" for text in texts) + f"<img src='/{SCRIPTS[script]}.jpg'>"
    taken = page.read(body.encode(), url=URL, content_type="text/html; charset=utf-8")
    check(taken, PageLimits())
    assert [link.url for link in taken.images if not link.refused] == [
        f"https://example.org/{urllib.parse.quote(SCRIPTS[script])}.jpg"
    ]
    assert [link.url.replace("\ufffd", "\0") for link in taken.images if link.refused] == texts
