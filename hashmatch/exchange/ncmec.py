"""NCMEC's hash sharing API, version 2: pages of its entries in XML.

Theory of operation
-------------------
A page is a ``queryResult`` with ``images``, ``videos`` and ``paging``. An ``image`` or ``video`` is an entry, a
``deletedImage`` or ``deletedVideo`` a tombstone. What identifies an entry is the member that gave it together with its
id there, so the entry_id is ``member:id``.

* ``classification`` becomes the label ``ncmec=A1``.
* Each fingerprint is a value. Types that are not installed (``videntifier``, ``tmk-pdqf`` …) and those that the page
  only points to (``rel="self" href=…``) are rejected values, and the entry keeps the others.
* Feedback is per fingerprint and becomes opinions with the algorithm that is meant. Reasons and members come in any
  number and order.
* Entries are not ordered by time. ``max_timestamp`` is the latest moment that the page claims to go up to; only the
  greatest of a whole range of pages means anything.

The parser resolves no entities, loads nothing, refuses a document type declaration, and holds one entry at a time.

What this module deliberately does not do: it asks for no page, and writes no XML but feedback (``sync``).

Source: reference formats §3.1; hashsharing.ncmec.org/npo/v2/documentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Final

from lxml import etree

from hashmatch.errors import BadFile
from hashmatch.exchange import rows
from hashmatch.exchange.heads import Head
from hashmatch.exchange.installed import Installed
from hashmatch.exchange.pages import Broken, Page, as_file, line_of_text, moment_of, moment_text, value_of
from hashmatch.exchange.rows import BadCell
from hashmatch.model import Entry, EntryHash, EntryStatus, Label, Opinion, Provenance, Rejected, Stance

NAMESPACE: Final = "https://hashsharing.ncmec.org/hashsharing/v2"
EXPECTED: Final = "a page of NCMEC hash sharing v2: XML whose root is queryResult"
SOURCE: Final = "NCMEC hash sharing"

MAX_ENTRY_ELEMENTS: Final = 20_000
"""Elements in one entry; eight fingerprints with the feedback of all of some 150 members are 3,000."""

ALGORITHMS: Final[Mapping[str, str]] = {"pdna": "photodna"}
"""Fingerprint types that have another name here, folded."""

FINGERPRINTS: Final[Mapping[str, str]] = {"md5": "MD5", "sha1": "SHA1", "photodna": "PDNA", "pdq": "PDQ"}
"""Algorithm to the name that the API's addresses have for it."""

_LIST_DEPTH, _ENTRY_DEPTH = 2, 3
_STATUS: Final = {
    "image": EntryStatus.ACTIVE,
    "video": EntryStatus.ACTIVE,
    "deletedImage": EntryStatus.WITHDRAWN,
    "deletedVideo": EntryStatus.WITHDRAWN,
}
_STANCES: Final = {"affirmativeFeedback": Stance.AGREE, "negativeFeedback": Stance.DISAGREE}


def recognises(head: Head) -> bool:
    """Say whether a file begins as such a page."""
    space, name = head.xml_root
    return name == "queryResult" and space in {NAMESPACE, ""}


def read(stream: BinaryIO) -> Iterator[Entry | Rejected]:
    """Read a page that is a file; ``position`` is the line on which an entry begins, from 1.

    Raises
    ------
    BadFile
        It is no such page.

    """
    return as_file(NcmecPage(stream))


class NcmecPage(Page):
    """Entries of one page; then ``next``, ``max_timestamp``.

    Raises
    ------
    BadFile
        On construction: the document is something else.

    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self.next = ""
        """Path and query of the next page; empty after the last."""
        self.max_timestamp = ""
        """Up to which moment this page goes, RFC 3339 in UTC; empty if it does not say."""
        self._installed = Installed()
        self._promised = 0
        self._events = etree.iterparse(
            stream,
            events=("start", "end"),
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        try:
            _, self._root = next(iter(self._events))
        except (etree.XMLSyntaxError, StopIteration) as error:
            raise BadFile(f"not XML ({_why(error)}); expected {EXPECTED}", field="file") from error
        root = self._root
        if root.getroottree().docinfo.doctype:
            raise BadFile("the document declares a type (<!DOCTYPE); pages have none", field="file")
        if _name(root) != "queryResult":
            raise BadFile(f"the root element is {rows.shown(_name(root))}; expected {EXPECTED}", field="file")

    def _rows(self) -> Iterator[Entry | Rejected]:
        depth, elements = 1, 0
        try:
            for event, element in self._events:
                if event == "start":
                    depth += 1
                    elements = 0 if depth <= _ENTRY_DEPTH else elements + 1
                    if elements > MAX_ENTRY_ELEMENTS:
                        raise Broken(f"line {element.sourceline}: an entry of more than {MAX_ENTRY_ELEMENTS} elements")
                    if depth == _LIST_DEPTH:
                        self._promise(element)
                    continue
                if depth == _ENTRY_DEPTH:
                    yield from self._third(element)
                if depth in {_LIST_DEPTH, _ENTRY_DEPTH}:
                    _forget(element)
                depth -= 1
        except etree.XMLSyntaxError as error:
            raise Broken(f"the page breaks off after {self.records} entries: {_why(error)}") from error
        if self.records < self._promised:
            raise Broken(f"the page says that it has {self._promised} entries and has {self.records}")

    def _promise(self, element: etree._Element) -> None:
        """Note what an ``images`` or ``videos`` says of itself."""
        count = element.get("count", "0")
        self._promised += int(count) if count.isascii() and count.isdecimal() and len(count) < len("1000000") else 0
        try:
            moment = moment_of(element.get("maxTimestamp"), "maxTimestamp")
            self.max_timestamp = max(self.max_timestamp, moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else "")
        except BadCell as bad:
            raise Broken(f"{bad.field}: {bad.reason}") from bad

    def _third(self, element: etree._Element) -> Iterator[Entry | Rejected]:
        """Take in an element on the level of entries."""
        name = _name(element)
        if name == "next":
            self.next = line_of_text(element.text)
        elif name in _STATUS:
            self.records += 1
            yield from self._entry(element, _STATUS[name])

    def _entry(self, element: etree._Element, status: EntryStatus) -> Iterator[Entry | Rejected]:
        position = element.sourceline or 0
        try:
            member, member_name, own_id = _identity(element)
            moment = moment_text(_text(element, "timestamp"), "timestamp")
            opinions = tuple(_opinions(element))
        except BadCell as bad:
            yield Rejected(position, bad.field, bad.reason)
            return
        entry_id = f"{member}:{own_id}"
        origin = Provenance(f"{SOURCE}: {member_name}" if member_name else SOURCE, moment, entry_id)
        if status is EntryStatus.WITHDRAWN:
            reason = f"deleted at the source, {moment}" if moment else "deleted at the source"
            yield Entry(entry_id, (), (), origin, status, reason, position=position)
            return
        values = list(_values(element, position, self._installed))
        yield from self._installed.unsaid()
        yield from (value for value in values if isinstance(value, Rejected))
        hashes = tuple(value for value in values if isinstance(value, EntryHash))
        if hashes:
            label = line_of_text(_text(element, "classification"))
            labels = (Label("ncmec", "", label),) if label else ()
            held = {value.algorithm for value in hashes}
            opinions = tuple(opinion for opinion in opinions if opinion.algorithm in held)
            yield Entry(entry_id, hashes, labels, origin, opinions=opinions, position=position)


def _identity(element: etree._Element) -> tuple[str, str, str]:
    """Return member id, member name and the entry's id there; raises BadCell."""
    member = _child(element, "member")
    number = "" if member is None else member.get("id", "")
    if not (number.isascii() and number.isdecimal() and len(number) < len("10000000000")):
        raise BadCell("member", f"{rows.shown(number)} is no member id: expected a whole number")
    own_id = line_of_text(_text(element, "id"))
    if not own_id:
        raise BadCell("id", "missing; without its id an entry cannot be found again")
    return number, "" if member is None else line_of_text(member.text), own_id


def _values(element: etree._Element, position: int, installed: Installed) -> Iterator[EntryHash | Rejected]:
    fingerprints = _child(element, "fingerprints")
    found = 0
    for item in () if fingerprints is None else fingerprints:
        found += 1
        kind, text = _name(item), (item.text or "").strip()
        field = f"fingerprints.{kind}"[:80]
        value = value_of(installed, position, ALGORITHMS.get(kind, kind), text, field)
        if isinstance(value, Rejected) and not text:
            value = Rejected(position, field, "no value" + (", only where it is" if item.get("href") else ""))
        if value is not None:
            yield value
    if not found:
        yield Rejected(position, "fingerprints", "none; an entry has at least one")


def _opinions(element: etree._Element) -> Iterator[Opinion]:
    feedback = _child(element, "feedback")
    for item in () if feedback is None else feedback:
        kind = _name(item)
        if kind not in _STANCES:
            continue
        for reasons, members in _groups(item):
            at = moment_of(members.get("timestamp") or item.get("lastUpdateTimestamp"), "feedback")
            for member in members:
                who = line_of_text(member.text) or f"NCMEC member {line_of_text(member.get('id'))}"
                yield Opinion(who, _STANCES[kind], "; ".join(reasons)[:1_024], at, _algorithm(item.get("type", "")))


def _groups(item: etree._Element) -> Iterator[tuple[list[str], etree._Element]]:
    """Pair each ``members`` with the reasons before it, or with all where reasons come after."""
    every = [name for child in item if _name(child) == "reasons" for name in _reason_names(child)]
    current: list[str] = []
    fresh = False
    for child in item:
        if _name(child) == "reasons":
            current = [*current, *_reason_names(child)] if fresh else list(_reason_names(child))
            fresh = True
        elif _name(child) == "members":
            fresh = False
            yield current or every, child


def _reason_names(reasons: Iterable[etree._Element]) -> Iterator[str]:
    for reason in reasons:
        if name := line_of_text(reason.get("name") or reason.get("guid")):
            yield name


def _algorithm(kind: str) -> str:
    folded = rows.folded(kind)
    return ALGORITHMS.get(folded, folded)


def _name(element: Any) -> str:
    """Return a tag without its namespace."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _child(element: etree._Element, name: str) -> etree._Element | None:
    return next((child for child in element if _name(child) == name), None)


def _text(element: etree._Element, name: str) -> str:
    child = _child(element, name)
    return "" if child is None else (child.text or "").strip()


def _forget(element: etree._Element) -> None:
    """Let go of an element and of those before it, so that memory does not grow with the page."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _why(error: BaseException) -> str:
    return line_of_text(str(error))[:200] or "it is empty"
