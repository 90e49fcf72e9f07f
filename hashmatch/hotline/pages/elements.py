"""Which elements and attributes hold addresses of images, and which of documents (pure).

Theory of operation
-------------------
:func:`visit` is given one element at a time, in the order of the page. What every element may have (lazy attributes, a
style, a background) is looked at first; the rest is a table from the name of a tag to a function. An element of a flat
page (``tags.flatten``) goes by the name that it was given there.

What this module deliberately does not do: it follows nothing and parses no document.

Source
------
HTML, 4.2 (metadata), 4.8 (embedded content), 4.10.5.1.20 (image buttons), 15 (what is obsolete and still works);
https://ogp.me (``og:image``); SVG 2, 12.3 (``image``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from hashmatch.hotline.pages import css, srcset
from hashmatch.hotline.pages.collecting import Collector, extension_kind
from hashmatch.hotline.pages.tags import LAZY, LAZY_IF_IMAGE
from hashmatch.model.hotline import Outcome, Via

Attributes = Mapping[str, str | None]
Visit = Callable[[Collector, Attributes], None]

_META = {
    "og:image": Via.OG, "og:image:url": Via.OG, "og:image:secure_url": Via.OG, "twitter:image": Via.TWITTER,
    "twitter:image:src": Via.TWITTER, "twitter:image0": Via.TWITTER, "msapplication-tileimage": Via.ICON,
    "thumbnail": Via.OG, "og:video": Via.OG, "og:video:url": Via.OG, "og:video:secure_url": Via.OG,
}  # fmt: skip
_VIDEO_META = frozenset({"og:video", "og:video:url", "og:video:secure_url"})
_ITEM_PROPERTIES = frozenset(
    {"image", "thumbnailurl", "contenturl", "thumbnail", "logo", "photo", "primaryimageofpage"}
)
_ICON_RELATIONS = frozenset({"icon", "apple-touch-icon", "apple-touch-icon-precomposed", "image_src", "mask-icon"})
_REFRESH = re.compile(
    r"""[\t\n\f\r ]*[0-9.]*[\t\n\f\r ]*[;,]?[\t\n\f\r ]*(?:url[\t\n\f\r ]*=[\t\n\f\r ]*)?(?:"([^"]*)|'([^']*)|(.*))""",
    re.IGNORECASE | re.DOTALL,
)
_IMAGEBOARD_CLASS = "filethumb"


def visit(found: Collector, tag: str, attributes: Attributes) -> None:
    """Take from an element what it refers to.

    Parameters
    ----------
    found : Collector
        What there is so far.
    tag : str
        In lower case.
    attributes : mapping
        Names in lower case, values decoded; None for one without a value.

    """
    handler = _VISITS.get(tag)
    if handler is not None:
        handler(found, attributes)
    if attributes and tag not in _WITHOUT_LAZY:
        _everywhere(found, attributes)


def style(found: Collector, text: str) -> None:
    """Take the addresses from CSS, wherever it stands."""
    if len(text) > css.MAX_CHARS:
        found.left_out += 1
    for reference in css.references(text):
        if reference.imported:
            found.document(reference.url, Via.STYLESHEET)
        else:
            found.image(reference.url, Via.CSS)


def _everywhere(found: Collector, attributes: Attributes) -> None:
    """Take what any element may have."""
    for name, value in attributes.items():
        if not value:
            continue
        if name == "style":
            style(found, value)
        elif name == "background":
            found.image(value, Via.CSS)
        elif name in LAZY:
            _lazy(found, name, value)
        elif name in LAZY_IF_IMAGE and extension_kind(value) == "image":
            found.image(value, Via.LAZY)
    item = (attributes.get("itemprop") or "").lower()
    if item and not _ITEM_PROPERTIES.isdisjoint(item.split()):
        for name in ("content", "href", "src"):
            found.image(attributes.get(name) or "", Via.ITEMPROP)


def _lazy(found: Collector, name: str, value: str) -> None:
    if "url(" in value.lower():
        style(found, value)
    elif name.endswith(("set", "-bgset")):
        for url in srcset.candidates(value):
            found.image(url, Via.LAZY)
    else:
        found.image(value, Via.LAZY)


def _image(found: Collector, attributes: Attributes) -> None:
    found.image(attributes.get("src") or "", Via.IMG)
    _set(found, attributes.get("srcset"), Via.SRCSET)
    _svg(found, attributes)  # an <image> outside of SVG is an <img> with its href


def _set(found: Collector, value: str | None, via: Via) -> None:
    for url in srcset.candidates(value or ""):
        found.image(url, via)


def _source(found: Collector, attributes: Attributes) -> None:
    """``picture``'s source has a set; that of a video or a sound has an address, which is refused or left."""
    _set(found, attributes.get("srcset"), Via.PICTURE)
    src = attributes.get("src") or ""
    kind = (attributes.get("type") or "").lower()
    if kind.startswith("video/"):
        _video_file(found, src)
    elif kind.startswith("image/") or extension_kind(src) in {"image", "video"}:
        found.image(src, Via.PICTURE)


def _video(found: Collector, attributes: Attributes) -> None:
    found.image(attributes.get("poster") or "", Via.POSTER)
    _video_file(found, attributes.get("src") or "")


def _flat_video(found: Collector, attributes: Attributes) -> None:
    """Take what ``tags.flatten`` made of a video; what the name meant once, a sound, is none of ours."""
    found.image(attributes.get("poster") or "", Via.POSTER)
    if extension_kind(attributes.get("src") or "") == "video":
        _video_file(found, attributes.get("src") or "")


def _video_file(found: Collector, src: str) -> None:
    if src and extension_kind(src) != "image":
        found.refuse(src, Via.POSTER, "a video, which is not opened", Outcome.UNSUPPORTED)


def _input(found: Collector, attributes: Attributes) -> None:
    if (attributes.get("type") or "").lower() == "image":
        found.image(attributes.get("src") or "", Via.INPUT)


def _object(found: Collector, attributes: Attributes) -> None:
    """``object`` and ``embed``: an image, a file that is not opened, or a document."""
    kind = (attributes.get("type") or "").lower()
    for name in ("data", "src"):
        address = attributes.get(name) or ""
        if kind.startswith("video/"):
            _video_file(found, address)
        elif kind.startswith("image/") or extension_kind(address) or address[:5].lower() == "data:":
            found.image(address, Via.OBJECT)
        elif kind in {"text/html", "application/xhtml+xml"}:
            found.document(address, Via.FRAME)


def _link(found: Collector, attributes: Attributes) -> None:
    relations = (attributes.get("rel") or "").lower().split()
    address = attributes.get("href") or ""
    if not _ICON_RELATIONS.isdisjoint(relations):
        found.image(address, Via.ICON)
    if "stylesheet" in relations:
        found.document(address, Via.STYLESHEET)
    if ("preload" in relations or "prefetch" in relations) and (attributes.get("as") or "").lower() == "image":
        found.image(address, Via.PRELOAD)
        _set(found, attributes.get("imagesrcset"), Via.PRELOAD)


def _meta(found: Collector, attributes: Attributes) -> None:
    content = attributes.get("content") or ""
    for attribute in ("property", "name"):
        name = (attributes.get(attribute) or "").strip().lower()
        if name in _VIDEO_META:
            if extension_kind(content):
                found.image(content, Via.OG)
        elif name in _META:
            found.image(content, _META[name])
    if (attributes.get("http-equiv") or "").strip().lower() == "refresh":
        match = _REFRESH.match(content)
        address = next((group for group in match.groups() if group is not None), "") if match else ""
        found.document(address, Via.REFRESH)


def _anchor(found: Collector, attributes: Attributes) -> None:
    address = attributes.get("href") or ""
    if _IMAGEBOARD_CLASS in (attributes.get("class") or "").lower().split():
        found.image(address, Via.ANCHOR)
    else:
        found.anchor(address)


def _svg(found: Collector, attributes: Attributes) -> None:
    for name in ("href", "xlink:href"):
        found.image(attributes.get(name) or "", Via.SVG)


def _frame(found: Collector, attributes: Attributes) -> None:
    if attributes.get("srcdoc") is None:
        found.document(attributes.get("src") or attributes.get("data-src") or "", Via.FRAME)


_VISITS: dict[str, Visit] = {
    "img": _image, "amp-img": _image, "amp-anim": _image, "source": _source, "video": _video, "amp-video": _video,
    "bgsound": _flat_video, "input": _input, "object": _object, "embed": _object, "link": _link, "meta": _meta,
    "a": _anchor, "area": _anchor, "image": _svg, "feimage": _svg, "iframe": _frame, "frame": _frame, "keygen": _frame,
    "amp-iframe": _frame,
}  # fmt: skip
_WITHOUT_LAZY = frozenset({"iframe", "frame", "keygen", "amp-iframe"})
