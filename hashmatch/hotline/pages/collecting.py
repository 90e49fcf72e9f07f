"""What was found on a page so far: each address once, in its order, and no more than the limits (pure).

Theory of operation
-------------------
Everything that may be an address of an image or of a document comes in as the text that stands in the page. It is
joined with the base, and ends as a :class:`~hashmatch.model.hotline.Link` that can be fetched, as one that is refused
with a reason, or as one more of those left out. Refused ones have a limit of their own, so that no number of them keeps
an image out.

What this module deliberately does not do: it knows no tag.
"""

from __future__ import annotations

import hashlib
import re
import urllib.parse
from dataclasses import dataclass, field

from hashmatch.hotline.pages import charset, data_urls
from hashmatch.hotline.web import urls
from hashmatch.model.hotline import Link, Outcome, Via

MAX_SHOWN_CHARS = 2_000
_UTF8 = frozenset({"utf-8", "utf-16le", "utf-16be"})
_AROUND = "".join(map(chr, range(0x21)))
_NO_ADDRESS = re.compile(r"(?:javascript|about|mailto|tel|sms|blob|chrome|android-app|ios-app):", re.IGNORECASE)

_IMAGES = "jpg jpeg jpe jfif pjpeg png apng gif webp bmp dib tif tiff avif heic heif jxl ico cur jp2"
_ARCHIVES = "zip rar 7z tar gz tgz bz2 tbz2 xz txz zst cab iso cbz cbr cb7 001"
_VIDEOS = "mp4 m4v webm mkv avi mov qt wmv flv f4v mpg mpeg mpe ts m2ts 3gp 3g2 ogv asf rm rmvb vob m3u8 mpd"
_DOCUMENTS = "pdf doc docx odt xls xlsx ods ppt pptx odp ps eps psd ai djvu epub"
_FONTS = "woff woff2 ttf otf eot"
EXTENSIONS: dict[str, str] = {
    extension: kind
    for kind, extensions in (
        ("image", _IMAGES), ("archive", _ARCHIVES), ("video", _VIDEOS), ("document", _DOCUMENTS), ("font", _FONTS),
        ("svg", "svg svgz"),
    )
    for extension in extensions.split()
}  # fmt: skip
"""Extension of a path to what is behind it, as far as a name can tell."""

REASONS = {
    "archive": "an archive, which is not opened",
    "video": "a video, which is not opened",
    "document": "a document, which is not opened",
    "svg": "SVG, which is never rendered",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLimits:
    """How much is taken from one page.

    ``max_images`` is also the number of refused links; ``max_documents`` counts frames and stylesheets.
    """

    max_images: int = 200
    max_documents: int = 10
    max_data_bytes: int = 20 << 20
    """Of one ``data:`` URL, decoded."""
    max_all_data_bytes: int = 100 << 20
    max_srcdoc_depth: int = 1
    """Documents inside documents that stand in the page itself."""


def extension_kind(url: str) -> str:
    """Return what the path of an address ends in, as :data:`EXTENSIONS` names it; empty for anything else."""
    path = url.partition("#")[0].partition("?")[0]
    name = path[path.rfind("/") + 1 :]
    return EXTENSIONS.get(name[name.rfind(".") + 1 :].lower(), "") if "." in name else ""


@dataclass(slots=True)
class Collector:
    """Links of one page."""

    base: urls.Target
    limits: PageLimits
    rules: urls.Rules
    encoding: str
    images: list[Link] = field(default_factory=list)
    documents: list[Link] = field(default_factory=list)
    left_out: int = 0
    _seen: set[str] = field(default_factory=set)
    _texts: set[str] = field(default_factory=set)
    """As they stand in the page: what is there a million times is joined once."""
    _refused: int = 0
    _data_bytes: int = 0
    _refreshed: bool = False

    def rebase(self, reference: str) -> None:
        """Take the address of ``<base>``; one that cannot be fetched from changes nothing (HTML, 4.2.3)."""
        match self._join(reference):
            case urls.Target() as target:
                self.base = target
            case urls.Refused():
                pass

    def image(self, text: str, via: Via) -> None:
        """Take in what a page gives as an image."""
        text = text.strip(_AROUND)
        if not self._is_news(text):
            return
        if self._full():
            self.left_out += 1
            return
        if data_urls.is_data(text):
            self._inline(text)
            return
        match self._join(text):
            case urls.Refused(reason):
                self.refuse(text, via, reason, Outcome.REFUSED_URL)
            case urls.Target(url=url):
                kind = extension_kind(url)
                if kind in REASONS:
                    self.refuse(url, via, REASONS[kind], Outcome.UNSUPPORTED)
                elif kind != "font" and self._is_new(url):
                    self.images.append(Link(url, via))

    def anchor(self, text: str) -> None:
        """Take in where a link leads, if that is an image or something else that may hold some."""
        kind = extension_kind(text.strip(_AROUND))
        if kind and kind != "font":
            self.image(text, Via.ANCHOR)

    def document(self, text: str, via: Via) -> None:
        """Take in a frame, a stylesheet or a refresh."""
        text = text.strip(_AROUND)
        if (via is Via.REFRESH and self._refreshed) or not self._is_news(text, document=True):
            return
        match self._join(text):
            case urls.Refused(reason):
                self.refuse(text, via, reason, Outcome.REFUSED_URL)
            case urls.Target(url=url):
                self._add_document(Link(url, via))

    def refuse(self, text: str, via: Via, reason: str, outcome: Outcome) -> None:
        """Record what is not followed, and why."""
        shown = text[:MAX_SHOWN_CHARS].encode("utf-8", "replace").decode()
        if not self._is_new(f"refused {shown}"):
            return
        if self._refused >= self.limits.max_images:
            self.left_out += 1
            return
        self._refused += 1
        self.images.append(Link(shown, via, refused=reason, outcome=outcome))

    def _join(self, text: str) -> urls.Parsed:
        return urls.join(self.base, self._in_encoding(text), self.rules)

    def _in_encoding(self, text: str) -> str:
        """Encode a query as the page is encoded, as browsers do (WHATWG URL, "percent-encode after encoding")."""
        path, mark, query = text.partition("?")
        if not mark or query.isascii() or self.encoding in _UTF8:
            return text
        encoded = (
            char if char.isascii() else urllib.parse.quote_from_bytes(charset.encode(char, self.encoding), safe="")
            for char in query
        )
        return path + mark + "".join(encoded)

    def _is_news(self, text: str, *, document: bool = False) -> bool:
        """Tell whether a text may be an address, and has not been taken in before."""
        if not text or text.startswith("#") or _NO_ADDRESS.match(text):
            return False
        key = ("document " if document else "image ") + text
        if key in self._texts:
            return False
        self._texts.add(key)
        return True

    def _is_new(self, key: str) -> bool:
        digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest() if len(key) > MAX_SHOWN_CHARS else key
        if digest in self._seen:
            return False
        self._seen.add(digest)
        return True

    def _inline(self, text: str) -> None:
        found = data_urls.decode(text, self.limits.max_data_bytes)
        if found.outcome is not None:
            shown = text.partition(",")[0]
            self.refuse(shown, Via.INLINE, found.refused, found.outcome)
        elif self._data_bytes + len(found.data) > self.limits.max_all_data_bytes:
            self.left_out += 1
        elif self._is_new(f"data {hashlib.sha256(found.data).hexdigest()}"):
            self._data_bytes += len(found.data)
            self.images.append(Link("", Via.INLINE, data=found.data))

    def _full(self) -> bool:
        return len(self.images) - self._refused >= self.limits.max_images

    def _add_document(self, link: Link) -> None:
        if link.url == self.base.url and link.via is not Via.REFRESH:
            return
        if not self._is_new(f"document {link.url}"):
            return
        refresh = link.via is Via.REFRESH
        others = len(self.documents) - self._refreshed
        if not refresh and others >= self.limits.max_documents:
            self.left_out += 1
            return
        self._refreshed = self._refreshed or refresh
        self.documents.append(link)
