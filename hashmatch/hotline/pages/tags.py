"""Tags in a text, found without building a tree, and pages made flat that would take a tree too long to build (pure).

Theory of operation
-------------------
The parser builds the tree that HTML prescribes, and that takes time in the square of some pages: elements nested by the
hundred thousand, a tag with as many attributes, as many names that nobody has heard of. Browsers stop nesting at some
depth; the parser does not. :func:`reader_safe` walks once over the tags and lets ordinary pages through as they are.
Of the others :func:`flatten` keeps what a picture may be found in: the tags that matter, each with the attributes that
matter, as void elements that nest nothing. Text goes, but for what ``style``, ``script`` and ``title`` hold.

The walk must never think a page shallower than the tree would be, so an end tag ends only the element that was opened
last, and whatever it cannot know it counts as open.

What this module deliberately does not do: it decodes no character reference and gives no attribute a meaning; what it
lets through or makes flat is parsed by the parser.

Source
------
HTML, 13.2.5.6 to 13.2.5.40 (tags and attributes), 13.2.6 (where the square comes from). Measured with lexbor 3: 100,000
nested ``div`` (0.5 MB) take 11 s, 40,000 attributes of one tag (0.35 MB) 8 s, 200,000 different names (3.6 MB) 37 s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_DEPTH = 256
"""Open elements; browsers stop at 512, pages that people wrote at some dozens."""
MAX_ATTRIBUTES = 256
"""Of one tag."""
MAX_NAMES = 4_096
"""Different names of tags and attributes in one page."""
MAX_REOPENED = 500_000
"""Formatting elements times tags inside them: how many elements the parser may have to open again."""
SMALL_CHARS = 1_024
"""A page shorter than this is never worth the walk."""

_SPACE = r"\t\n\f\r "
ATTRIBUTE = re.compile(
    rf"[{_SPACE}/]*+(?P<name>[^{_SPACE}/>][^{_SPACE}/>=]*+)"
    rf"""(?:[{_SPACE}]*+=[{_SPACE}]*+(?:"(?P<double>[^"]*+)"?|'(?P<single>[^']*+)'?|(?P<bare>[^{_SPACE}>]*+)))?+"""
)
_NAME = re.compile(rf"[^{_SPACE}/>]++")
_TAG_END = re.compile(rf"[{_SPACE}/]*+>")
_COMMENT_END = re.compile(r"--!?>")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


VOID = _names(
    "area base basefont bgsound br col embed frame hr img image input keygen link meta param source track wbr"
)
RAW = _names("script style title textarea iframe noembed noframes xmp")
_RAW_END = {name: re.compile(rf"</{name}(?=[{_SPACE}/>])", re.IGNORECASE) for name in RAW}
_FOREIGN = frozenset({"svg", "math"})
_CLOSED_BY_ITSELF = _names("p li dd dt option tr td th tbody")
_FORMATTING = _names("a b big code em font i nobr s small strike strong tt u")

_FLAT_NAMES = {
    "a": "area", "area": "area", "audio": "", "base": "base", "embed": "embed", "frame": "keygen", "iframe": "iframe",
    "image": "img", "img": "img", "input": "input", "link": "link", "meta": "meta", "object": "embed",
    "script": "script", "source": "source", "style": "style", "title": "title", "video": "bgsound",
}  # fmt: skip
"""What a tag becomes in a flat page; any other becomes ``wbr``, which may have a style and attributes for scripts."""
_KEPT_RAW = frozenset({"script", "style", "title"})
LAZY = _names(
    "data-src data-original data-lazy-src data-lazy-original data-srcset data-lazy-srcset data-original-set data-bg "
    "data-background data-background-image data-bgset data-echo data-flickity-lazyload data-flickity-lazyload-src "
    "data-ll-src data-pagespeed-lazy-src data-pagespeed-high-res-src data-hi-res-src data-hires data-img-src lazy-src "
    "data-poster lowsrc dynsrc"
)
"""Attributes that scripts move to ``src``, ``srcset`` or a background, as lazy loaders document them; the last two are
what browsers of the nineties had."""
LAZY_IF_IMAGE = _names(
    "data-full data-full-src data-fullsrc data-large data-large-src data-large_image data-zoom data-zoom-image "
    "data-zoom-src data-image data-img data-lazy data-thumb data-thumb-src data-thumbnail data-url data-href "
    "data-highres data-orig-file data-large-file data-medium-file data-echo-background data-file"
)
"""Attributes that hold a picture's address on some sites and anything else on others: taken where they end in the
extension of an image."""
_KEPT_ATTRIBUTES = (
    _names(
        "action as autocomplete background class content data href http-equiv id imagesrcset itemprop name poster "
        "property rel src srcdoc srcset style type xlink:href"
    )
    | LAZY
    | LAZY_IF_IMAGE
)


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag; ``attributes`` are as they stand, names in lower case, the first of a name only."""

    name: str
    start: int
    end: int
    closing: bool = False
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Open:
    """What the walk believes to be open."""

    names: list[str] = field(default_factory=list)
    formatting: list[str] = field(default_factory=list)


def tags(text: str, *, foreign: bool = False) -> Iterator[Tag]:
    """Yield the tags of a text in their order; comments and what scripts, styles and the like hold are left out.

    Linear in the length of the text. A tag that does not end is none. With ``foreign``, nothing is left out after the
    first ``svg`` or ``math``, in which a style is an element like any other.
    """
    in_foreign = False
    at = text.find("<")
    while at >= 0:
        follower = text[at + 1 : at + 2]
        if follower in {"!", "?"}:
            at = text.find("<", _after_markup(text, at))
            continue
        closing = follower == "/"
        start_of_name = at + 1 + closing
        letter = text[start_of_name : start_of_name + 1]
        if not (letter.isascii() and letter.isalpha()):
            at = text.find("<", at + 1)
            continue
        tag = _tag(text, at, start_of_name, closing=closing)
        if tag is None:
            return
        yield tag
        in_foreign = in_foreign or (foreign and tag.name in _FOREIGN)
        if not closing and tag.name == "plaintext":
            return
        raw = not closing and tag.name in RAW and not in_foreign
        at = text.find("<", raw_end(text, tag) if raw else tag.end)


def raw_end(text: str, tag: Tag) -> int:
    """Return where the content of a raw element ends: at its end tag, or with the text."""
    found = _RAW_END[tag.name].search(text, tag.end)
    return found.start() if found else len(text)


def _after_markup(text: str, at: int) -> int:
    """Return where a comment, a declaration or a processing instruction ends."""
    if text.startswith("<!--", at):
        found = _COMMENT_END.search(text, at + 2)
        return found.end() if found else len(text)
    end = text.find(">", at)
    return end + 1 if end >= 0 else len(text)


def _tag(text: str, at: int, start_of_name: int, *, closing: bool) -> Tag | None:
    name = _NAME.match(text, start_of_name)
    position = name.end() if name else start_of_name
    attributes: dict[str, str] = {}
    while found := ATTRIBUTE.match(text, position):
        position = found.end()
        value = found["double"] or found["single"] or found["bare"] or ""
        attributes.setdefault(found["name"].lower(), value)
    end = _TAG_END.match(text, position)
    if end is None:
        return None
    return Tag(text[start_of_name : name.end() if name else start_of_name].lower(), at, end.end(), closing, attributes)


def reader_safe(text: str) -> str:
    """Return a page that the parser reads in time linear in its length: the page itself, or a flat one."""
    return text if len(text) < SMALL_CHARS or is_tame(text) else flatten(text)


def is_tame(text: str) -> bool:
    """Tell whether the tree of a page is built in time linear in its length."""
    names: set[str] = set()
    opened = _Open()
    reopened = 0
    for tag in tags(text):
        names.add(tag.name)
        names.update(tag.attributes)
        if tag.name in RAW:
            if not tag.closing and not _FOREIGN.isdisjoint(opened.names) and "<" in text[tag.end : raw_end(text, tag)]:
                return False  # whether it holds text or elements depends on what only the parser knows
            continue
        _follow(opened, tag)
        reopened += len(opened.formatting)
        beyond = (
            len(opened.names) > MAX_DEPTH
            or len(tag.attributes) > MAX_ATTRIBUTES
            or len(names) > MAX_NAMES
            or reopened > MAX_REOPENED
        )
        if beyond:
            return False
    return True


def _follow(opened: _Open, tag: Tag) -> None:
    """Open or close what a tag opens or closes."""
    top = opened.names[-1] if opened.names else ""
    if tag.closing:
        if top == tag.name:
            opened.names.pop()
            if tag.name in _FORMATTING:
                opened.formatting.pop()
        return
    if tag.name in VOID or (tag.name == top and tag.name in _CLOSED_BY_ITSELF):
        return
    opened.names.append(tag.name)
    if tag.name in _FORMATTING:
        opened.formatting.append(tag.name)


def flatten(text: str) -> str:
    """Return a page with the tags and attributes that pictures are found in, nothing inside anything."""
    parts: list[str] = []
    in_foreign = False
    for tag in tags(text, foreign=True):
        in_foreign = in_foreign or tag.name in _FOREIGN
        name = _FLAT_NAMES.get(tag.name, "wbr")
        if tag.closing or not name:
            continue
        kept = [(key, value) for key, value in tag.attributes.items() if key in _KEPT_ATTRIBUTES]
        shown = "".join(f' {key}="{value.replace(chr(34), "&quot;")}"' for key, value in kept)
        if tag.name in _KEPT_RAW:
            end = text.find("<", tag.end) if in_foreign else raw_end(text, tag)
            parts.append(f"<{name}{shown}>{text[tag.end : end]}</{name}>")
        elif tag.name == "iframe":
            parts.append(f"<iframe{shown}></iframe>")
        elif shown:
            parts.append(f"<{name}{shown}>")
    return "".join(parts)
