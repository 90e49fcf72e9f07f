"""What ``reading`` and its confined process say to each other: a page as a header and a body (pure).

Theory of operation
-------------------
A question is a document with its address and declared type. An answer is a list of links; the bytes of ``data:`` URLs
are in the body, one after the other, and each link says how many are its own. A process that read a hostile page may
have been taken over by it, so every field of an answer is ``untrusted_`` until it was compared with what it may be: a
link to fetch is exactly what ``urls`` makes of it, a number is within its limit, a word is one of those we know.
Whatever does not fit raises :class:`~hashmatch.errors.BadFrame`. What remains possible for a hostile process is to
lie, in bounds, about the page that it was given itself.

What this module deliberately does not do: no I/O.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from hashmatch.config import HotlineConfig
from hashmatch.errors import BadFrame
from hashmatch.hotline.pages.collecting import MAX_SHOWN_CHARS, PageLimits
from hashmatch.hotline.web import urls
from hashmatch.model.hotline import Link, Outcome, Page, Via

_MAX_REASON_CHARS = 300
_MAX_COUNT = 1 << 31
_MAX_ENCODING_CHARS = 40
_LINK_FIELDS = 5
_REFUSALS = frozenset({Outcome.REFUSED_URL, Outcome.UNSUPPORTED, Outcome.TOO_LARGE})

_Word = TypeVar("_Word", Via, Outcome)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the confined process must know of the configuration, which only ``config`` reads."""

    limits: PageLimits
    rules: urls.Rules

    @classmethod
    def of(cls, config: HotlineConfig) -> Settings:
        """Take the limits from the configuration."""
        limits = PageLimits(
            max_images=config.max_images,
            max_documents=config.max_frames,
            max_data_bytes=config.max_image_bytes,
            max_all_data_bytes=config.max_job_page_bytes,
            max_srcdoc_depth=config.max_frame_depth,
        )
        return cls(limits, urls.Rules.of(config))

    def to_json(self) -> dict[str, Any]:
        """Return what :meth:`from_json` reads."""
        return {"limits": dataclasses.asdict(self.limits), "rules": dataclasses.asdict(self.rules)}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Settings:
        """Read settings; they are our own, so nothing is checked."""
        rules = urls.Rules(tuple(tree["rules"]["ports"]), onion=bool(tree["rules"]["onion"]))
        return cls(PageLimits(**tree["limits"]), rules)


def encode(page: Page) -> tuple[dict[str, Any], bytes]:
    """Return the header and the body of an answer."""
    header = {
        "images": [_row(link) for link in page.images],
        "documents": [_row(link) for link in page.documents],
        "left_out": page.left_out,
        "title_words": page.title_words,
        "login_form": page.login_form,
        "challenge": page.challenge,
        "encoding": page.encoding,
    }
    return header, b"".join(link.data for link in page.images)


def decode(untrusted_header: Mapping[str, Any], untrusted_body: bytes, settings: Settings) -> Page:
    """Read an answer.

    Raises
    ------
    BadFrame
        Anything about it is not as it must be.

    """
    limits = settings.limits
    rows = _Rows(settings, untrusted_body)
    images = rows.read(untrusted_header.get("images"), 2 * limits.max_images)
    documents = rows.read(untrusted_header.get("documents"), limits.max_documents + 1)
    rows.must_be_empty()
    encoding = untrusted_header.get("encoding")
    if not isinstance(encoding, str) or len(encoding) > _MAX_ENCODING_CHARS or not encoding.isascii():
        raise BadFrame("a page's encoding is no name of one")
    return Page(
        images=images,
        documents=documents,
        left_out=_number(untrusted_header.get("left_out"), _MAX_COUNT, "left_out"),
        title_words=_number(untrusted_header.get("title_words"), _MAX_COUNT, "title_words"),
        login_form=_flag(untrusted_header.get("login_form"), "login_form"),
        challenge=_flag(untrusted_header.get("challenge"), "challenge"),
        encoding=encoding,
    )


def _row(link: Link) -> list[object]:
    return [link.url, link.via, len(link.data), link.refused, link.outcome or ""]


@dataclass(slots=True)
class _Rows:
    """Links, and the body that their data is taken from in their order."""

    settings: Settings
    untrusted_body: bytes
    _taken: int = 0

    def read(self, untrusted_rows: object, most: int) -> tuple[Link, ...]:
        if not isinstance(untrusted_rows, list) or len(untrusted_rows) > most:
            raise BadFrame(f"a page's links are no list of at most {most}")
        return tuple(self._link(row) for row in untrusted_rows)

    def must_be_empty(self) -> None:
        if self._taken != len(self.untrusted_body):
            raise BadFrame(f"{len(self.untrusted_body)} bytes of inline data, of which links name {self._taken}")

    def _link(self, untrusted_row: object) -> Link:
        if not isinstance(untrusted_row, list) or len(untrusted_row) != _LINK_FIELDS:
            raise BadFrame(f"a link has not {_LINK_FIELDS} fields")
        url, via, size, refused, outcome = untrusted_row
        data = self._take(_number(size, self.settings.limits.max_data_bytes, "size"))
        via = _word(Via, via)
        if not isinstance(url, str) or not isinstance(refused, str) or len(refused) > _MAX_REASON_CHARS:
            raise BadFrame("a link's address or reason is no text, or too long")
        if refused:
            ended = _word(Outcome, outcome)
            if ended not in _REFUSALS or data or len(url) > MAX_SHOWN_CHARS:
                raise BadFrame("a refused link with data, with a long address, or with an outcome that is no refusal")
            return Link(url, via, refused=refused, outcome=ended)
        if outcome != "" or bool(data) != (via is Via.INLINE) or bool(url) == bool(data):
            raise BadFrame("a link has either an address or data, and no outcome")
        self._must_be_ours(url)
        return Link(url, via, data=data)

    def _must_be_ours(self, untrusted_url: str) -> None:
        """Insist that an address is as ``urls`` writes it."""
        if not untrusted_url:
            return
        parsed = urls.read(untrusted_url, self.settings.rules)
        if not isinstance(parsed, urls.Target) or parsed.url != untrusted_url:
            raise BadFrame("an address is not one that may be fetched, or not canonical")

    def _take(self, size: int) -> bytes:
        data = self.untrusted_body[self._taken : self._taken + size]
        if len(data) != size:
            raise BadFrame("links name more inline data than there is")
        self._taken += size
        return data


def _word(words: type[_Word], untrusted_text: object) -> _Word:
    if not isinstance(untrusted_text, str) or untrusted_text not in set(words):
        raise BadFrame(f"a link names no {words.__name__}")
    return words(untrusted_text)


def _number(untrusted_value: object, most: int, name: str) -> int:
    if isinstance(untrusted_value, bool) or not isinstance(untrusted_value, int) or not 0 <= untrusted_value <= most:
        raise BadFrame(f"{name} is no number from 0 to {most}")
    return untrusted_value


def _flag(untrusted_value: object, name: str) -> bool:
    if not isinstance(untrusted_value, bool):
        raise BadFrame(f"{name} is neither true nor false")
    return untrusted_value
