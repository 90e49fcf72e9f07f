"""A page with everything on it: its frames and stylesheets to a bounded depth, then every picture once.

Theory of operation
-------------------
Documents are opened level by level, those of one level side by side; their pictures are collected in the order of the
documents, each address once. Then the pictures are looked at, :data:`AT_ONCE` at a time. Every limit that was reached
is a row of its own with the outcome ``too_many`` and the number of what was left out: addresses beyond a limit are
counted, because a hostile page has as many as it likes.

A ``refresh`` is a page that the reported one stands for; it is opened as if it were that one, and once.

What this module deliberately does not do: it fetches nothing by itself, and gives no outcome to the page.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from hashmatch.hotline.checking.abreast import abreast
from hashmatch.hotline.checking.looking import Looked, Looking
from hashmatch.hotline.checking.remembered import Remembered
from hashmatch.hotline.web import urls
from hashmatch.model.hotline import Item, Link, Outcome, Page, Via
from hashmatch.sections import HotlineConfig

AT_ONCE: Final = 8
"""Pictures of one page that are looked at side by side; browsers load six from one host."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address as it is fetched. ``refused`` says why it is none; ``url`` is then the text."""

    url: str
    host: str = ""
    refused: str = ""


Parse = Callable[[str], Address]
"""Text to an address, repaired and canonical."""


def parse_by(rules: urls.Rules) -> Parse:
    """Return what makes an address of a text that stands, absolute, in a page."""

    def parse(text: str) -> Address:
        target = urls.parse(text, rules)
        if isinstance(target, urls.Refused):
            return Address(text, refused=target.reason)
        return Address(target.url, target.host)

    return parse


@dataclass(frozen=True, slots=True)
class _Document:
    """A document that was read, and how deep it lies: 0 for the page."""

    url: str
    page: Page
    level: int


@dataclass(slots=True)
class Visit:
    """One visit to one page. :meth:`run` once."""

    number: int
    """Of the submission."""
    config: HotlineConfig
    looking: Looking
    remembered: Remembered[Looked]
    parse: Parse
    pages: list[Page] = field(default_factory=list)
    """Those that the reported address stands for: the page itself, and where it refreshes to."""
    _items: list[Item] = field(default_factory=list)
    _opened: set[str] = field(default_factory=set)
    _spent_bytes: int = 0

    async def run(self, url: str, page: Page) -> tuple[Item, ...]:
        """Return every row of the page."""
        self._opened.add(url)
        self.pages.append(page)
        documents = [_Document(url, page, 0)]
        level = documents
        while level:
            level = await self._open(level)
            documents += level
        pictures = list(self._pictures(documents))
        self._items += await self._look(pictures)
        return tuple(self._items)

    # --- documents -----------------------------------------------------------------------------------------------

    async def _open(self, level: list[_Document]) -> list[_Document]:
        """Open what the documents of one level refer to."""
        wanted = [(document, link) for document in level for link in self._followed(document)]
        opened = await abreast([self._document(document, link) for document, link in wanted])
        return [document for document in opened if document is not None]

    def _followed(self, document: _Document) -> Iterator[Link]:
        """Yield links of a document that are opened; what is not becomes a row."""
        config, beyond = self.config, 0
        for link in document.page.documents:
            address = self.parse(link.url)
            if link.refused or address.refused:
                self._refuse(link, link.refused or address.refused, document.url)
            elif address.url in self._opened:
                continue
            elif self._too_deep(document, link):
                detail = f"deeper than hotline.max_frame_depth = {config.max_frame_depth}"
                self._items.append(Item(self.number, address.url, link.via, Outcome.TOO_MANY, detail, document.url))
            elif len(self._opened) > config.max_frames:  # the page itself is among those opened
                beyond += 1
            else:
                self._opened.add(address.url)
                yield dataclasses.replace(link, url=address.url)
        if beyond:
            self._left_out(Via.FRAME, document.url, f"{beyond} frames and stylesheets beyond hotline.max_frames "
                           f"= {config.max_frames}")  # fmt: skip

    def _too_deep(self, document: _Document, link: Link) -> bool:
        match link.via:
            case Via.REFRESH:
                return document.level > 0 or len(self.pages) > 1
            case Via.STYLESHEET:
                return document.level > self.config.max_frame_depth
            case _:
                return document.level >= self.config.max_frame_depth

    async def _document(self, parent: _Document, link: Link) -> _Document | None:
        looked = await self.looking.document(link.url, parent.url)
        self._spent_bytes += looked.size_bytes
        if looked.page is None:
            self._items.append(looked.item(self.number, link.url, link.via, parent.url))
            return None
        refresh = link.via is Via.REFRESH
        if refresh:
            self.pages.append(looked.page)
        return _Document(looked.fetched.final_url or link.url, looked.page, 0 if refresh else parent.level + 1)

    # --- pictures ------------------------------------------------------------------------------------------------

    def _pictures(self, documents: list[_Document]) -> Iterator[tuple[Link, str]]:
        """Yield pictures with the document that has them, each address once, as many as are allowed."""
        seen: set[str] = set()
        count = beyond = 0
        for document in documents:
            for link in document.page.images:
                address = Address("") if link.data else self.parse(link.url)
                if link.refused or address.refused:
                    self._refuse(link, link.refused or address.refused, document.url)
                elif address.url and address.url in seen:
                    continue
                elif count >= self.config.max_images:
                    beyond += 1
                else:
                    seen.add(address.url)
                    count += 1
                    yield dataclasses.replace(link, url=address.url), document.url
        beyond += sum(document.page.left_out for document in documents)
        if beyond:
            detail = f"{beyond} images beyond hotline.max_images = {self.config.max_images}"
            self._left_out(Via.IMG, documents[0].url, detail)

    async def _look(self, pictures: list[tuple[Link, str]]) -> list[Item]:
        """Look at pictures, some at a time; return their rows in the order of the pictures."""
        rows: dict[int, Item] = {}
        waiting = iter(enumerate(pictures))

        async def work() -> None:
            for position, (link, page_url) in waiting:
                rows[position] = await self._picture(link, page_url)

        await abreast([work() for _ in range(min(AT_ONCE, len(pictures)))])
        return [rows[position] for position in sorted(rows)]

    async def _picture(self, link: Link, page_url: str) -> Item:
        if link.data:
            outcome, detail, report = await self.looking.report(link.data)
            return Item(self.number, "", link.via, outcome, detail, page_url, None, len(link.data), report)
        budget = self.config.max_job_page_bytes
        if self._spent_bytes >= budget:
            detail = f"the images of this page have used up hotline.max_job_page_bytes = {budget}"
            return Item(self.number, link.url, link.via, Outcome.TOO_MANY, detail, page_url)

        async def ask() -> Looked:
            looked = await self.looking.image(link.url, page_url)
            self._spent_bytes += looked.size_bytes
            return looked

        looked = await self.remembered.once(link.url, ask)
        return looked.item(self.number, link.url, link.via, page_url)

    def _refuse(self, link: Link, reason: str, page_url: str) -> None:
        outcome = link.outcome or Outcome.REFUSED_URL
        self._items.append(Item(self.number, link.url, link.via, outcome, reason, page_url))

    def _left_out(self, via: Via, page_url: str, detail: str) -> None:
        self._items.append(Item(self.number, "", via, Outcome.TOO_MANY, detail, page_url))
