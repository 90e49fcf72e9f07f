"""The elements of a CyberTip in the order that NCMEC demands, from one table.

Theory of operation
-------------------
The schema is made of sequences, and a report whose elements come in another order is answered with 4100. :data:`ORDER`
says for each kind of element which children it has, in which order, and how many of each: ``?`` at most one, ``*`` any
number, ``+`` at least one, nothing exactly one. :func:`branch` sorts by that table, so no caller can get an order
wrong; a child that the table does not have is a defect and ends in a KeyError. :func:`disorder` reads the same table
the other way round.

The table has what hashmatch writes, not all that the schema allows.

What this module deliberately does not do: it knows no case and no limit of a text.

Source: reference formats §2.1, from the schema of 2025-06.
"""

from __future__ import annotations

import datetime as dt
import re
import types
from collections.abc import Iterator, Mapping
from typing import Final

from lxml import etree

from hashmatch.errors import BadReport

_GRAMMAR: Final[Mapping[str, str]] = {
    "report": "batchedReport? incidentSummary internetDetails* reporter personOrUserReported* additionalInfo?",
    "batchedReport": "",
    "incidentSummary": "incidentType platform? escalateToHighPriority? reportAnnotations? incidentDateTime "
    "incidentDateTimeDescription?",
    "internetDetails": "webPageIncident",
    "webPageIncident": "url* additionalInfo?",
    "reporter": "reportingPerson companyTemplate? termsOfService? legalURL?",
    "person": "firstName? lastName? phone* email* address*",
    "address": "address? country?",
    "personOrUserReported": "personOrUserReportedPerson? espIdentifier? espService? screenName? displayName* "
    "profileUrl* ipCaptureEvent* priorCTReports* accountTemporarilyDisabled? accountPermanentlyDisabled? "
    "additionalInfo?",
    "ipCaptureEvent": "ipAddress eventName? dateTime? possibleProxy? port?",
    "fileDetails": "reportId fileId originalFileName? uploadedToEspTimestamp? locationOfFile? fileViewedByEsp "
    "exifViewedByEsp publiclyAvailable? fileRelevance fileAnnotations? industryClassification? originalFileHash* "
    "ipCaptureEvent? details* additionalInfo*",
    "details": "nameValuePair+",
    "nameValuePair": "name value",
}

_COUNTS: Final = {"": (1, 1), "?": (0, 1), "*": (0, None), "+": (1, None)}

ORDER: Final[Mapping[str, Mapping[str, tuple[int, int | None]]]] = types.MappingProxyType(
    {
        kind: {word.rstrip("?*+"): _COUNTS[word[len(word.rstrip("?*+")) :]] for word in words.split()}
        for kind, words in _GRAMMAR.items()
    }
)
"""Kind of element to its children in order, each with the least and the most of them (None: any number)."""

KINDS: Final[Mapping[str, str]] = types.MappingProxyType(
    {"reportingPerson": "person", "personOrUserReportedPerson": "person"}
)
"""Elements that are of a kind of another name."""

FLAGS: Final = frozenset({"reportAnnotations", "fileAnnotations"})
"""Elements whose children are flags, in any order: present means true, and ``false`` is invalid."""

MOST_ID: Final = (1 << 63) - 1
"""Report ids are ``xs:long``."""

_ILLEGAL: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def leaf(tag: str, value: str | int | bool, /, **attributes: str) -> etree._Element | None:  # noqa: FBT001
    """Return an element that has a value, None for an empty text: empty elements say nothing and are left out."""
    if value == "" and not isinstance(value, (bool, int)):
        return None
    element = etree.Element(tag, attributes)
    element.text = str(value).lower() if isinstance(value, bool) else str(value)
    return element


def flag(tag: str, present: bool) -> etree._Element | None:  # noqa: FBT001
    """Return a flag that says true, or none at all."""
    return leaf(tag, True) if present else None  # noqa: FBT003


def branch(kind: str, /, *children: etree._Element | None, tag: str = "", **attributes: str) -> etree._Element:
    """Return an element with its children sorted as the table says; None among them are left out.

    Parameters
    ----------
    kind : str
        Row of :data:`ORDER`.
    children : elements or None
        Several of one name keep the order that they are given in.
    tag : str, optional
        Name of the element where it is not that of its kind.
    attributes : str
        Its attributes.

    """
    places = {name: place for place, name in enumerate(ORDER[kind])}
    element = etree.Element(tag or kind, attributes)
    element.extend(sorted((child for child in children if child is not None), key=lambda child: places[name_of(child)]))
    return element


def flags(tag: str, present: Mapping[str, bool]) -> etree._Element | None:
    """Return the element of those flags that are present, None where none is."""
    element = etree.Element(tag)
    element.extend([child for name in present if (child := flag(name, present[name])) is not None])
    return element if len(element) else None


def disorder(element: etree._Element) -> Iterator[str]:
    """Yield where an element or one below it is not as the table says: foreign, misplaced, too many, too few."""
    parent = name_of(element)
    if parent in FLAGS:
        yield from (f"{parent}/{name_of(child)} is not true" for child in element if child.text != "true")
        return
    rules = ORDER.get(KINDS.get(parent, parent))
    if rules is None or not len(element):
        return
    places, latest = {name: place for place, name in enumerate(rules)}, 0
    for child in element:
        if (place := places.get(name_of(child))) is None:
            yield f"{parent}/{name_of(child)} is not allowed"
            continue
        if place < latest:
            yield f"{parent}/{name_of(child)} comes too late"
        latest = max(latest, place)
        yield from disorder(child)
    for name, (least, most) in rules.items():
        count = len(element.findall(name))
        if count < least or (most is not None and count > most):
            yield f"{parent}/{name} is there {count} times"


def name_of(element: etree._Element) -> str:
    """Return an element's name, its namespace included; of a comment or instruction a text that no table has."""
    return str(element.tag)


def written(element: etree._Element) -> bytes:
    """Return a document, indented, as UTF-8."""
    return etree.tostring(element, encoding="UTF-8", xml_declaration=True, pretty_print=True)


def parsed(xml: bytes, what: str) -> etree._Element:
    """Read a document; entities are not resolved and nothing is fetched.

    Raises
    ------
    BadReport
        It is no XML, or has a document type.

    """
    # A parser per document: they keep state, and are not shared between threads.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(xml, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadReport(f"{what}: no XML: {error}") from error
    if root.getroottree().docinfo.doctype:
        raise BadReport(f"{what}: a document type is not allowed")
    return root


def moment(at: dt.datetime) -> str:
    """Write a time in UTC and whole seconds, rounded down, which never moves it into the future."""
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def writable(text: str) -> bool:
    """Whether all characters of a text may be in XML 1.0 (§2.2): no control characters, no half pairs."""
    return _ILLEGAL.search(text) is None
