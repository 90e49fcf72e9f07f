"""A page to what it refers to: every place that an address may stand in, and every way of hiding it."""
# ruff: noqa: E501, ISC004 - tables of pages read best with a page on a line

from __future__ import annotations

import base64

import pytest

from hashmatch.errors import BadInput
from hashmatch.hotline.pages import page
from hashmatch.hotline.pages.collecting import PageLimits
from hashmatch.model.hotline import Link, Outcome, Page, Via

URL = "https://example.org/gallery/page.html"
GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00,"


def read(html: str | bytes, content_type: str = "text/html; charset=utf-8", limits: PageLimits | None = None) -> Page:
    body = html.encode() if isinstance(html, str) else html
    return page.read(body, url=URL, content_type=content_type, limits=limits)


def found(html: str) -> list[tuple[str, str]]:
    """Where each image was found, and its address without what all have in common."""
    return [(link.via.value, link.url.removeprefix("https://example.org/gallery/")) for link in read(html).images]


WHERE_IT_STANDS = [
    ("<img src=a.jpg>", [("img", "a.jpg")]),
    ("<IMG SRC='a.jpg' src=b.jpg>", [("img", "a.jpg")]),
    ("<image src=a.jpg>", [("img", "a.jpg")]),
    ("<img src=' a&#10;b.jpg\t'>", [("img", "ab.jpg")]),
    ("<img src='a b.jpg'>", [("img", "a%20b.jpg")]),
    ("<img src=a&amp;b.jpg?x=1&amp;y=2>", [("img", "a&b.jpg?x=1&y=2")]),
    ("<img srcset='s.jpg 1x, l.jpg 2x, m.jpg 1.5x' src=s.jpg>", [("img", "s.jpg"), ("srcset", "l.jpg"), ("srcset", "m.jpg")]),
    (
        "<picture><source srcset='a.avif 400w, b.avif 800w' type=image/avif><img src=c.jpg></picture>",
        [("picture", "b.avif"), ("picture", "a.avif"), ("img", "c.jpg")],
    ),
    ("<img src=data:, data-src=a.jpg>", [("inline-data", "data:"), ("lazy", "a.jpg")]),
    ("<img data-srcset='a.jpg 1x, b.jpg 3x'>", [("lazy", "b.jpg"), ("lazy", "a.jpg")]),
    ("<div data-original=a data-lazy-src=b data-bg='url(c)'></div>", [("lazy", "a"), ("lazy", "b"), ("css", "c")]),
    ("<a data-full=a.jpg data-zoom=true>", [("lazy", "a.jpg")]),
    ("<video poster=a.jpg></video>", [("poster", "a.jpg")]),
    ("<input type=IMAGE src=a>", [("input", "a")]),
    ("<input type=text src=a.jpg>", []),
    ("<object data=a.png></object><embed src=b.gif>", [("object", "a.png"), ("object", "b.gif")]),
    ("<object type=image/png data=a></object>", [("object", "a")]),
    ("<object data=a.class></object>", []),
    ("<link rel='shortcut ICON' href=a><link rel=image_src href=b>", [("link-icon", "a"), ("link-icon", "b")]),
    ("<link rel=apple-touch-icon href=a.png>", [("link-icon", "a.png")]),
    (
        "<link rel=preload as=image href=a imagesrcset='b 1x'><link rel=preload as=font href=c>",
        [("link-preload", "a"), ("link-preload", "b")],
    ),
    (
        "<meta property=og:image content=a><meta property=og:image:secure_url content=b>"
        "<meta name=twitter:image content=c><meta name=twitter:image:src content=d><meta itemprop=image content=e>",
        [("og:image", "a"), ("og:image", "b"), ("twitter:image", "c"), ("twitter:image", "d"), ("itemprop", "e")],
    ),
    (
        '<script type="application/ld+json">{"@graph":[{"image":["a",{"url":"b"}]},{"thumbnailUrl":"c","name":"d"},'
        '{"@type":"VideoObject","contentUrl":"e.jpg"}]}</script>',
        [("json-ld", "a"), ("json-ld", "b"), ("json-ld", "c"), ("json-ld", "e.jpg")],
    ),
    ("<script>var a = '<img src=a.jpg>'</script>", []),
    ("<p style='background: URL( \"a.png\" ) no-repeat, url(b.png)'>", [("css", "a.png"), ("css", "b.png")]),
    (
        "<style>a{background:image-set('a.png' 1x, url(b.png) 2x, 'c.avif' type('image/avif'))}</style>",
        [("css", "a.png"), ("css", "b.png"), ("css", "c.avif")],
    ),
    ("<style>/* url(a.png) */ a{content:'url(b.png)'} b{background:\\75rl(c.png)}</style>", [("css", "c.png")]),
    ("<style>@font-face{src:url(a.woff2)} a{mask:url(#b)}</style>", []),
    ("<style>@namespace url(http://www.w3.org/1999/xhtml); a{background:url(b)}</style>", [("css", "b")]),
    ("<body background=a.gif>", [("css", "a.gif")]),
    ("<noscript><img src=a.jpg></noscript>", [("img", "a.jpg")]),
    ("<head><noscript><img src=a.jpg></noscript></head>", [("img", "a.jpg")]),
    ("<img src=1><template><img src=2><template><img src=3></template></template><img src=4>", [("img", n) for n in "1234"]),
    ("<!-- <img src=a.jpg> --><textarea><img src=b.jpg></textarea><title><img src=c></title>", []),
    ("<a href=a.JPG>x</a><area href='b.webp?s=1#f'><a href=c.html>y</a>", [("anchor", "a.JPG"), ("anchor", "b.webp?s=1")]),
    ("<a class='x fileThumb' href=/show/1>x</a>", [("anchor", "https://example.org/show/1")]),
    (
        "<svg><image href=a.png /><image xlink:href=b.png /><feImage href=c.png /></svg>",
        [("svg-image", "a.png"), ("svg-image", "b.png"), ("svg-image", "c.png")],
    ),
    ("<svg><![CDATA[<img src=a.jpg>]]></svg>", []),
    ("<svg><title><img src=a.jpg></title></svg>", [("img", "a.jpg")]),
    ("<iframe srcdoc='<img src=a.jpg>'></iframe>", [("img", "a.jpg")]),
    ("<img src=a.jpg><img src=./a.jpg><img src=a.jpg#x>", [("img", "a.jpg")]),
    ("<base href=/other/><base href=/third/><img src=a.jpg>", [("img", "https://example.org/other/a.jpg")]),
    ("<img src=a.jpg><base href=//cdn.example.net>", [("img", "https://cdn.example.net/a.jpg")]),
    ("<base href='javascript:x'><img src=a.jpg>", [("img", "a.jpg")]),
    ("<img src=\\\\cdn.example.net\\a.jpg>", [("img", "https://cdn.example.net/a.jpg")]),
    ("<img src=''><img src=#top><img src=about:blank><img src=javascript:x>", []),
    ("<amp-img src=a.jpg srcset='b.jpg 2x'></amp-img>", [("img", "a.jpg"), ("srcset", "b.jpg")]),
]  # fmt: skip


@pytest.mark.parametrize(("html", "expected"), WHERE_IT_STANDS)
def test_an_address_is_found_where_it_stands(html: str, expected: list[tuple[str, str]]) -> None:
    assert found(html) == expected


@pytest.mark.parametrize(
    ("html", "via", "url"),
    [
        ("<iframe src=a.html></iframe>", Via.FRAME, "a.html"),
        ("<iframe data-src=a.html></iframe>", Via.FRAME, "a.html"),
        ("<frameset><frame src=a.html></frameset>", Via.FRAME, "a.html"),
        ("<object type=text/html data=a></object>", Via.FRAME, "a"),
        ("<link rel='alternate stylesheet' href=a>", Via.STYLESHEET, "a"),
        ("<style>@import 'a.css' screen;</style>", Via.STYLESHEET, "a.css"),
        ("<style>@import url(a.css);</style>", Via.STYLESHEET, "a.css"),
        ("<meta http-equiv=REFRESH content='0; URL=\"a.html\"'>", Via.REFRESH, "a.html"),
        (
            "<meta http-equiv=refresh content='5;a.html'><meta http-equiv=refresh content='5;b.html'>",
            Via.REFRESH,
            "a.html",
        ),
    ],
)
def test_a_document_is_found_where_it_stands(html: str, via: Via, url: str) -> None:
    assert read(html).documents == (Link(f"https://example.org/gallery/{url}", via),)
    assert read(html).images == ()


@pytest.mark.parametrize(
    ("html", "shown", "reason", "outcome"),
    [
        ("<a href=a.zip>", "https://example.org/gallery/a.zip", "an archive, which is not opened", Outcome.UNSUPPORTED),
        ("<a href=a.mp4>", "https://example.org/gallery/a.mp4", "a video, which is not opened", Outcome.UNSUPPORTED),
        ("<a href=a.pdf>", "https://example.org/gallery/a.pdf", "a document, which is not opened", Outcome.UNSUPPORTED),
        ("<img src=a.svg>", "https://example.org/gallery/a.svg", "SVG, which is never rendered", Outcome.UNSUPPORTED),
        ("<video src=blob></video>", "blob", "a video, which is not opened", Outcome.UNSUPPORTED),
        ("<img src='http://[::1'>", "http://[::1", "its host is in brackets and no IPv6 address", Outcome.REFUSED_URL),
        ("<img src=ftp://example.org/a>", "ftp://example.org/a", "ftp is not fetched: only http and https are", Outcome.REFUSED_URL),
        ("<img src=//u:p@example.org/a>", "//u:p@example.org/a", "it holds a user name or password", Outcome.REFUSED_URL),
        ("<img src='data:image/svg+xml,<svg/>'>", "data:image/svg+xml", "inline data that is a document, which is not opened", Outcome.UNSUPPORTED),
        ("<img src=data:text/plain,hello>", "data:text/plain", "inline data that is no image", Outcome.UNSUPPORTED),
        ("<img src='data:image/gif;base64,!!!'>", "data:image/gif;base64", "inline data that is not base64", Outcome.REFUSED_URL),
        ("<img src=data:image/gif>", "data:image/gif", "a data: URL without a comma", Outcome.REFUSED_URL),
    ],
)  # fmt: skip
def test_what_is_not_followed_is_named_with_its_reason(html: str, shown: str, reason: str, outcome: Outcome) -> None:
    (link,) = read(html).images
    assert (link.url, link.refused, link.outcome) == (shown, reason, outcome)


@pytest.mark.parametrize(
    "url",
    [
        "data:image/gif;base64," + base64.b64encode(GIF).decode(),
        "DATA:;base64 ," + base64.b64encode(GIF).decode().rstrip("="),
        "data:text/html;x=y;BASE64,%20" + base64.b64encode(GIF).decode().replace("=", "%3D"),
        "data:image/gif,GIF89a%01%00%01%00%00%00%00,",
    ],
)
def test_inline_data_is_decoded_whatever_it_calls_itself(url: str) -> None:
    assert read(f"<img src='{url}'><p style='background:url({url})'>").images == (Link("", Via.INLINE, data=GIF),)


def test_inline_data_has_a_limit_and_so_has_its_sum() -> None:
    url = "data:image/gif;base64," + base64.b64encode(GIF + bytes(3_000)).decode()
    other = "data:image/gif;base64," + base64.b64encode(GIF + bytes(2_999) + b"x").decode()
    (link,) = read(f"<img src={url}>", limits=PageLimits(max_data_bytes=3_000)).images
    assert (link.refused, link.outcome) == ("inline data of more than 3000 bytes", Outcome.TOO_LARGE)
    both = read(f"<img src={url}><img src={other}>", limits=PageLimits(max_all_data_bytes=5_000))
    assert ([len(link.data) for link in both.images], both.left_out) == ([3_014], 1)


def test_a_page_gives_no_more_than_its_limits_and_counts_the_rest() -> None:
    html = "".join(f"<a href={n}.zip></a>" for n in range(20)) + "".join(f"<img src={n}.jpg>" for n in range(10_000))
    taken = read(html, limits=PageLimits(max_images=5))
    assert [link.url.rpartition("/")[2] for link in taken.images if not link.refused] == [f"{n}.jpg" for n in range(5)]
    assert sum(1 for link in taken.images if link.refused) == 5
    assert taken.left_out == 15 + 9_995
    frames = (
        "".join(f"<iframe src={n}.html></iframe>" for n in range(30)) + "<meta http-equiv=refresh content='0;url=x'>"
    )
    taken = read(frames, limits=PageLimits(max_documents=3))
    assert ([link.via for link in taken.documents], taken.left_out) == ([Via.FRAME] * 3 + [Via.REFRESH], 27)


def test_documents_inside_documents_are_parsed_to_a_depth() -> None:
    html = "<img src=bottom.jpg>"
    for depth in range(4):
        html = f"<img src={depth}.jpg><iframe srcdoc='{html.replace('&', '&amp;').replace(chr(39), '&#39;')}'></iframe>"
    names = {
        depth: [link.url.rpartition("/")[2] for link in read(html, limits=PageLimits(max_srcdoc_depth=depth)).images]
        for depth in (0, 2, 5)
    }
    assert names == {
        0: ["3.jpg"],
        2: ["3.jpg", "2.jpg", "1.jpg"],
        5: ["3.jpg", "2.jpg", "1.jpg", "0.jpg", "bottom.jpg"],
    }
    assert read(html, limits=PageLimits(max_srcdoc_depth=0)).left_out == 1


def test_a_stylesheet_is_read_as_one() -> None:
    sheet = read("@import 'b.css'; a{background:url(a.png)} <img src=c.jpg>", "text/css")
    assert [link.url.rpartition("/")[2] for link in sheet.images] == ["a.png"]
    assert sheet.documents == (Link("https://example.org/gallery/b.css", Via.STYLESHEET),)


@pytest.mark.parametrize(
    ("html", "login", "challenge"),
    [
        ("<form><input type=Password></form>", True, False),
        ("<input autocomplete='username current-password'>", True, False),
        ("<input type=text>", False, False),
        ("<script>window._cf_chl_opt={}</script><img src=a.jpg>", False, True),
        ("<script src=/.well-known/ddos-guard/js-challenge/index.js></script>", False, True),
        ("<script src=/.within.website/x/cmd/anubis/static/js/main.mjs></script>", False, True),
        ("<div id=px-captcha></div>", False, True),
        ("<div class='x h-captcha'></div>", False, True),
        ("<div class='x h-captcha'></div><img src=a.jpg>", False, False),
        ("<script>var captcha = 1</script><p>Checking your browser", False, False),
    ],
)
def test_pages_in_between_are_recognised_by_their_structure(html: str, *, login: bool, challenge: bool) -> None:
    seen = read(html)
    assert (seen.login_form, seen.challenge) == (login, challenge)


def test_of_a_title_only_the_number_of_words_is_kept() -> None:
    assert read("<title> one two\nthree </title><svg><title>four</title></svg>").title_words == 3
    assert read("<p>x").title_words == 0


def test_a_query_is_encoded_as_the_page_is() -> None:
    html = '<meta charset=windows-1251><img src="я?я=€&Ω">'.encode("cp1251", "xmlcharrefreplace")
    (link,) = read(html, "text/html").images
    assert link.url == "https://example.org/gallery/%D1%8F?%FF=%88&%26%23937%3B"


def test_the_address_of_a_page_is_one_that_could_be_fetched() -> None:
    with pytest.raises(BadInput) as caught:
        page.read(b"", url="ftp://example.org/")
    assert caught.value.message == "the address of a page: ftp is not fetched: only http and https are"
