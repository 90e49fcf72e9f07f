"""What a process says of a page is believed in bounds only."""
# ruff: noqa: E501 - tables of pages read best with a page on a line

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.config import HotlineConfig
from hashmatch.errors import BadFrame
from hashmatch.hotline.pages import page_wire
from hashmatch.hotline.pages.page_wire import Settings
from hashmatch.model.hotline import Link, Outcome, Page, Via

SETTINGS = Settings.of(HotlineConfig(max_images=3, max_frames=2, max_image_bytes=2_000, max_job_page_bytes=4_000))
PAGE = Page(
    images=(
        Link("https://example.org/a.jpg", Via.IMG),
        Link("", Via.INLINE, data=b"GIF89a"),
        Link("a\u0436.zip", Via.ANCHOR, refused="an archive, which is not opened", outcome=Outcome.UNSUPPORTED),
        Link("", Via.INLINE, data=b"BM"),
    ),
    documents=(Link("https://example.org/b.html", Via.FRAME),),
    left_out=4,
    title_words=2,
    login_form=True,
    encoding="utf-8",
)


def answer() -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(json.dumps(page_wire.encode(PAGE)[0]))
    return tree


def test_settings_and_pages_go_there_and_back() -> None:
    assert Settings.from_json(json.loads(json.dumps(SETTINGS.to_json()))) == SETTINGS
    assert page_wire.decode(answer(), b"GIF89aBM", SETTINGS) == PAGE


OK = ["https://example.org/a.jpg", "img", 0, "", ""]
RULES = "an address is not one that may be fetched, or not canonical"
EITHER = "a link has either an address or data, and no outcome"
REFUSED = "a refused link with data, with a long address, or with an outcome that is no refusal"


@pytest.mark.parametrize(
    ("change", "body", "message"),
    [
        ({"images": None}, b"", "a page's links are no list of at most 6"),
        ({"images": [OK] * 7}, b"", "a page's links are no list of at most 6"),
        ({"documents": [OK] * 4, "images": []}, b"", "a page's links are no list of at most 3"),
        ({"images": [OK[:4]]}, b"", "a link has not 5 fields"),
        ({"images": ["https"]}, b"", "a link has not 5 fields"),
        ({"images": [["file:///etc/passwd", *OK[1:]]]}, b"", RULES),
        ({"images": [["http://127.1/", *OK[1:]]]}, b"", RULES),
        ({"images": [["https://example.org/\r\nX: y", *OK[1:]]]}, b"", RULES),
        ({"images": [["https://example.org:8080/", *OK[1:]]]}, b"", RULES),
        ({"images": [["hxxps://example[.]org/", *OK[1:]]]}, b"", RULES),
        ({"images": [[7, *OK[1:]]]}, b"", "a link's address or reason is no text, or too long"),
        ({"images": [["a", "img", 0, "r" * 301, "unsupported"]]}, b"", "a link's address or reason is no text, or too long"),
        ({"images": [["", "img", 0, "", ""]]}, b"", EITHER),
        ({"images": [["", "img", 2, "", ""]]}, b"BM", EITHER),
        ({"images": [[OK[0], "inline-data", 2, "", ""]]}, b"BM", EITHER),
        ({"images": [[OK[0], "img", 0, "", "match"]]}, b"", EITHER),
        ({"images": [["a", "img", 0, "why", "match"]]}, b"", REFUSED),
        ({"images": [["a", "img", 2, "why", "unsupported"]]}, b"BM", REFUSED),
        ({"images": [["a" * 2_001, "img", 0, "why", "unsupported"]]}, b"", REFUSED),
        ({"images": [["a", "img", 0, "why", ""]]}, b"", "a link names no Outcome"),
        ({"images": [[OK[0], "carrier pigeon", 0, "", ""]]}, b"", "a link names no Via"),
        ({"images": [[OK[0], ["img"], 0, "", ""]]}, b"", "a link names no Via"),
        ({"images": [["", "inline-data", 3, "", ""]]}, b"BM", "links name more inline data than there is"),
        ({"images": [["", "inline-data", -1, "", ""]]}, b"BM", "size is no number from 0 to 2000"),
        ({"images": [["", "inline-data", True, "", ""]]}, b"B", "size is no number from 0 to 2000"),
        ({"images": []}, b"BM", "2 bytes of inline data, of which links name 0"),
        ({"left_out": -1, "images": []}, b"", "left_out is no number from 0 to 2147483648"),
        ({"title_words": 1.5, "images": []}, b"", "title_words is no number from 0 to 2147483648"),
        ({"login_form": 1, "images": []}, b"", "login_form is neither true nor false"),
        ({"challenge": None, "images": []}, b"", "challenge is neither true nor false"),
        ({"encoding": "x" * 41, "images": []}, b"", "a page's encoding is no name of one"),
    ],
)  # fmt: skip
def test_what_is_not_as_it_must_be_is_refused(change: dict[str, Any], body: bytes, message: str) -> None:
    with pytest.raises(BadFrame) as caught:
        page_wire.decode({**answer(), **change}, body, SETTINGS)
    assert caught.value.message == message


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(sorted(answer())), _JSON), st.binary(max_size=8))
def test_any_answer_is_a_page_or_refused(change: dict[str, Any], body: bytes) -> None:
    try:
        read = page_wire.decode({**answer(), **change}, body, SETTINGS)
    except BadFrame:
        return
    assert len(read.images) <= 6
    assert sum(len(link.data) for link in read.images) == len(body)
