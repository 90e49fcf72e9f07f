"""MISP events: files by their digests, perceptual hashes as an object of our own, and the whole entry beside them.

Theory of operation
-------------------
MISP has no attribute type for a perceptual hash (reference formats §3.9). Of an entry we write the standard object
``file`` with its digests, one object ``perceptual-hash`` per other value, and before them an object ``hashmatch-entry``
that refers to these and whose attribute ``entry`` is the JSON Lines object of the entry. People and other tools see the
first two; we read the last and pass over what it refers to, so nothing is lost on the way. No attribute is for
intrusion detection (``to_ids``) and none is correlated: values of these lists must not show up beside other events. The
event is tagged TLP:AMBER+STRICT and PAP:RED, and what it is about where MISP has a word for it.

Of what others wrote, ``file`` objects become entries, with the ``perceptual-hash`` objects behind them that they refer
to or that refer to them; so do such objects alone, and attributes of the event that are digests. The id is the object's
or attribute's UUID. ``deleted`` withdraws. Tags of a digest become labels ``misp=…``. Other objects and attributes hold
no hash of a picture and are passed over: an event is a whole investigation, and its e-mail addresses are not our
rejects.

Both forms of export are read: ``{"Event": ...}`` and ``{"response": [{"Event": ...}, ...]}``.

What this module deliberately does not do: it talks to no MISP.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from hashmatch.exchange import jsonl, rows
from hashmatch.exchange.documents import ITEM, Document
from hashmatch.exchange.heads import Head
from hashmatch.exchange.installed import Installed
from hashmatch.exchange.losses import Losses
from hashmatch.exchange.rows import BadCell
from hashmatch.hashing.algorithms import digest_names
from hashmatch.model import Algorithm, Entry, EntryHash, EntryStatus, HashSet, Label, Provenance, Rejected
from hashmatch.sharing import (
    DOMAIN_TAGS,
    ENTRY,
    FILE,
    PERCEPTUAL,
    TAGS,
    misp_attribute,
    misp_object,
    misp_references,
)

EXPECTED = "a MISP event: JSON with Event or response"

FOREIGN_HASHES = frozenset({"sha224", "sha384", "sha512", "sha3-256", "sha3-512", "ssdeep", "tlsh", "vhash", "imphash"})
"""Relations of ``file`` that are hashes; said once a file where they are not installed."""

LABEL_SCHEME = "misp"
MAX_ATTRIBUTES = 1_000
_EVENTS = (("Event",), ("response", ITEM, "Event"))


def recognises(head: Head) -> bool:
    """Say whether a document holds an event."""
    return "Event" in head.members or ("response" in head.members and '"Event"' in head.text)


def read(stream: BinaryIO) -> Iterator[Entry | Rejected]:
    """Read an event, or several.

    Parameters
    ----------
    stream : BinaryIO
        Read once, from where it stands.

    Returns
    -------
    iterator of Entry or Rejected
        In file order; ``position`` counts objects and attributes, from 1.

    Raises
    ------
    BadFile
        The file is no JSON object; while it is read, where it is damaged or breaks off.

    """
    return _Reader().entries(Document(stream, EXPECTED))


@dataclass(slots=True)
class _Reader:
    """Objects and attributes to entries. ``_waiting`` is a file whose perceptual hashes may follow."""

    _installed: Installed = field(default_factory=Installed)
    _known: dict[str, Algorithm] = field(default_factory=rows.algorithms_by_folded_name)
    _skipped: frozenset[str] = frozenset()
    _waiting: Entry | None = None
    _referred: frozenset[str] = frozenset()

    def entries(self, document: Document) -> Iterator[Entry | Rejected]:
        """Return what the events of a document hold."""
        paths = tuple((*event, kind, ITEM) for event in _EVENTS for kind in ("Attribute", "Object"))
        for position, (path, found) in enumerate(document.records(*paths), 1):
            try:
                if not isinstance(found, dict):
                    raise BadCell("", f"{rows.shown(found)} is no object")  # noqa: TRY301 - as the others below
                ready = list(self._object(position, found) if path[-2] == "Object" else self._alone(position, found))
            except BadCell as bad:
                yield Rejected(position, bad.field, bad.reason)
                continue
            yield from self._installed.unsaid()
            yield from ready
        yield from self._flush()

    def _flush(self) -> Iterator[Entry]:
        """Let the file go that waits; to be asked for only when nothing can be wrong any more with what follows it."""
        if self._waiting is not None:
            yield self._waiting
            self._waiting = None

    def _object(self, position: int, found: dict[str, Any]) -> Iterator[Entry]:
        name, identity = found.get("name"), str(found.get("uuid", ""))
        if name == ENTRY:
            made = self._ours(position, found)
            self._skipped = _references(found)
            yield from self._flush()
            yield made
        elif name == FILE and identity not in self._skipped:
            hashes, labels = self._digests(position, _attributes(found))
            self._referred = _references(found)
            yield from self._flush()
            if hashes:
                self._waiting = _entry(position, found, hashes, labels)
        elif name == PERCEPTUAL and identity not in self._skipped:
            item = self._perceptual(position, found)
            waiting = self._waiting
            if item is not None and waiting is not None and self._belongs(found, identity, waiting):
                self._waiting = replace(waiting, hashes=(*waiting.hashes, item))
            else:
                yield from self._flush()
                if item is not None:
                    yield _entry(position, found, (item,), ())

    def _belongs(self, found: dict[str, Any], identity: str, waiting: Entry) -> bool:
        return identity in self._referred or waiting.entry_id in _references(found)

    def _ours(self, position: int, found: dict[str, Any]) -> Entry:
        stated = _values(_attributes(found)).get("entry", "")
        try:
            entry = json.loads(stated)
        except (ValueError, RecursionError) as error:
            raise BadCell("entry", f"{rows.shown(stated)} is no JSON object") from error
        if not isinstance(entry, dict) or "hashes" not in entry:
            raise BadCell("entry", f"{rows.shown(stated)} is no entry")
        made = jsonl.entry_of(position, entry, self._known)
        return _withdrawn(made) if found.get("deleted") is True else made

    def _digests(
        self, position: int, attributes: list[dict[str, Any]]
    ) -> tuple[tuple[EntryHash, ...], tuple[Label, ...]]:
        """Return the digests among attributes, and the labels that their tags make."""
        hashes: list[EntryHash] = []
        labels: list[Label] = []
        for attribute in attributes:
            name = str(attribute.get("object_relation") or attribute.get("type") or "").rpartition("|")[2]
            if name not in digest_names() and name not in FOREIGN_HASHES:
                continue
            text = attribute.get("value")
            if not isinstance(text, str):
                raise BadCell(name, f"{rows.shown(text)}: expected a text")
            item = self._installed.parse(position, name, text.rpartition("|")[2], name)
            if item is not None and item not in hashes:
                hashes.append(item)
                labels += [label for label in _tags(attribute) if label not in labels]
        return tuple(hashes), tuple(labels)

    def _perceptual(self, position: int, found: dict[str, Any]) -> EntryHash | None:
        stated = _values(_attributes(found))
        name, text, quality = stated.get("algorithm", ""), stated.get("value", ""), stated.get("quality", "")
        if not name or not text:
            raise BadCell("value" if name else "algorithm", "missing; a perceptual hash has an algorithm and a value")
        item = self._installed.parse(position, name, text, "value")
        return None if item is None else replace(item, quality=rows.parse_quality(quality))

    def _alone(self, position: int, found: dict[str, Any]) -> Iterator[Entry]:
        """Return the entry of an attribute of the event itself."""
        hashes, labels = self._digests(position, [found])
        yield from self._flush()
        if hashes:
            yield _entry(position, found, hashes, labels)


def _entry(position: int, found: dict[str, Any], hashes: tuple[EntryHash, ...], labels: tuple[Label, ...]) -> Entry:
    identity = found.get("uuid")
    name = identity if isinstance(identity, str) else ""
    entry = Entry(name, hashes, labels, Provenance(external_id=name), position=position)
    return _withdrawn(entry) if found.get("deleted") is True else entry


def _withdrawn(entry: Entry) -> Entry:
    return replace(entry, status=EntryStatus.WITHDRAWN, status_reason="deleted in MISP")


def _attributes(found: dict[str, Any]) -> list[dict[str, Any]]:
    stated = found.get("Attribute")
    whole = isinstance(stated, list) and len(stated) <= MAX_ATTRIBUTES
    if not isinstance(stated, list) or not whole or not all(isinstance(item, dict) for item in stated):
        raise BadCell("Attribute", f"expected an array of at most {MAX_ATTRIBUTES} objects")
    return [item for item in stated if item.get("deleted") is not True]


def _values(attributes: list[dict[str, Any]]) -> dict[str, str]:
    """Return the texts of an object by relation; counters may be numbers."""
    return {
        str(item.get("object_relation")): str(value)
        for item in attributes
        if isinstance(value := item.get("value"), (str, int)) and not isinstance(value, bool)
    }


def _references(found: dict[str, Any]) -> frozenset[str]:
    stated = found.get("ObjectReference")
    if not isinstance(stated, list):
        return frozenset()
    return frozenset(str(item.get("referenced_uuid")) for item in stated if isinstance(item, dict))


def _tags(attribute: dict[str, Any]) -> Iterator[Label]:
    stated = attribute.get("Tag")
    for tag in stated if isinstance(stated, list) else ():
        if isinstance(tag, dict) and isinstance(tag.get("name"), str) and tag["name"].strip():
            yield Label(LABEL_SCHEME, "", tag["name"].strip())


def write(
    entries: Iterable[Entry],
    stream: BinaryIO,
    /,
    losses: Losses,  # noqa: ARG001 - nothing is lost
    hash_set: HashSet | None = None,
) -> int:
    """Write an event, an object a line; return the number of entries."""
    now = dt.datetime.now(dt.UTC)
    tags = (*TAGS, *(DOMAIN_TAGS.get(hash_set.domain, ()) if hash_set else ()))
    event = {
        "uuid": str(uuid.uuid4()),
        "info": f"hash set {hash_set.name}" if hash_set else "hash set",
        "date": now.date().isoformat(),
        "timestamp": str(int(now.timestamp())),
        "threat_level_id": "4",
        "analysis": "2",
        "distribution": "0",
        "published": False,
        "Tag": [{"name": name} for name in tags],
        "Attribute": [],
    }
    stream.write(b'{"Event": ' + json.dumps(event, ensure_ascii=False)[:-1].encode() + b', "Object": [')
    scope = hash_set.set_id if hash_set else ""
    separator = itertools.chain([b"\n"], itertools.repeat(b",\n"))
    written = 0
    for entry in entries:
        stream.writelines(
            next(separator) + json.dumps(item, ensure_ascii=False).encode() for item in _objects(entry, scope)
        )
        written += 1
    stream.write(b"\n]}}\n")
    return written


def _objects(entry: Entry, scope: str) -> list[dict[str, Any]]:
    """Return the objects of one entry, that which refers to the others first."""
    withdrawn = entry.status is EntryStatus.WITHDRAWN
    about = f"{scope} {entry.entry_id}"
    digests = [item for item in entry.hashes if item.algorithm in digest_names()]
    made = []
    if digests:
        attributes = [misp_attribute(item.algorithm, item.algorithm, item.hex, "Payload delivery") for item in digests]
        made.append(misp_object(FILE, about, attributes, deleted=withdrawn))
    for item in entry.hashes:
        if item not in digests:
            texts = {"algorithm": item.algorithm, "value": item.hex, "encoding": "hex"}
            attributes = [misp_attribute(name, "text", text) for name, text in texts.items()]
            if item.quality is not None:
                attributes.append(misp_attribute("quality", "counter", str(item.quality)))
            made.append(misp_object(PERCEPTUAL, f"{about} {item.algorithm} {item.hex}", attributes, deleted=withdrawn))
    facts = {"entry": json.dumps(jsonl.object_of(entry), ensure_ascii=False), "status": entry.status.value}
    first = misp_object(
        ENTRY, about, [misp_attribute(name, "text", text) for name, text in facts.items()], deleted=False
    )
    first["ObjectReference"] = misp_references(first, made)
    return [first, *made]
