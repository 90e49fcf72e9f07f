"""STIX 2.1 bundles: indicators of files by their digests, with the whole entry as an extension.

Theory of operation
-------------------
STIX has no perceptual hash: its vocabulary of hash algorithms ends at TLSH, strict parsers refuse further names, and a
pattern can only ask for equality (reference formats §3.9). So an entry becomes an indicator whose pattern lists its
digests, which any consumer understands, and whose extension holds the entry as a JSON Lines object, which we read back
without loss. An entry without a digest has a pattern in a language of its own, ``hashmatch``, that others pass over.

A withdrawn entry is ``revoked``. A disputed or quarantined one has the confidence 15, *low*; the extension says which.
Every object is marked TLP:AMBER+STRICT. The identity is the owner of the set. Ids of indicators are made from the set
and the entry, so that a bundle that is written again speaks of the same indicators.

Read are indicators. One with our extension is the entry in it. Of one without, the pattern must be nothing but hashes
of a file, joined by ``OR`` and ``AND``: it becomes one entry with all of them, known by the indicator's id; ``labels``
become labels ``stix=…``. Revoked, or no longer valid, it is withdrawn. What cannot be an entry is a rejected row: a
pattern that asks for more than hashes would match less than what we would make of it; a ``file`` object alone says that
a file was seen, not that it is harmful. Identities, markings, relationships and sightings describe the others and are
passed over.

What this module deliberately does not do: it follows no reference, and it orders no versions; of two objects with one
id the later in the bundle says what holds.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from hashmatch.errors import BadFile
from hashmatch.exchange import jsonl, rows
from hashmatch.exchange.documents import ITEM, Document
from hashmatch.exchange.heads import Head
from hashmatch.exchange.installed import Installed
from hashmatch.exchange.losses import Losses
from hashmatch.exchange.rows import BadCell
from hashmatch.model import Algorithm, Entry, EntryStatus, HashSet, Label, Provenance, Rejected
from hashmatch.sharing import (
    ENTRY_EXTENSION,
    TLP_AMBER_STRICT,
    stix_extension,
    stix_id,
    stix_identity,
    stix_moment,
    stix_pattern,
)

EXPECTED = "a STIX 2.1 bundle: JSON with the type bundle and objects"

LOW_CONFIDENCE = 15
"""STIX 2.1 appendix A: the middle of *low*."""

DESCRIBING = frozenset(
    {"identity", "marking-definition", "extension-definition", "language-content", "relationship", "sighting"}
    | {"grouping", "note", "opinion", "report", "observed-data"}
)
"""Objects that speak of others."""

MAX_PATTERN_CHARS = 1 << 16
LABEL_SCHEME = "stix"

_COMPARISON = re.compile(r"""file:hashes\.(?:'([\w-]+)'|"([\w-]+)"|([\w-]+))\s*=\s*'([^'\\]*)'""")
_JOINED = re.compile(r"(?:[\[\]()\s]++|\bOR\b|\bAND\b)*+")


def recognises(head: Head) -> bool:
    """Say whether a document is a bundle."""
    return head.members.get("type") == "bundle" or head.members.get("id", "").startswith("bundle--")


def read(stream: BinaryIO) -> Iterator[Entry | Rejected]:
    """Read a bundle; what stands before its objects is read before this returns.

    Parameters
    ----------
    stream : BinaryIO
        Read once, from where it stands.

    Returns
    -------
    iterator of Entry or Rejected
        In file order; ``position`` is the object, from 1.

    Raises
    ------
    BadFile
        The file is no bundle; while it is read, where it is damaged or breaks off.

    """
    document = Document(stream, EXPECTED)
    if document.facts.get("type") != "bundle":
        raise BadFile(f"the document is no bundle; expected {EXPECTED}", field="file")
    return _objects(document)


def _objects(document: Document) -> Iterator[Entry | Rejected]:
    known, installed = rows.algorithms_by_folded_name(), Installed()
    now = dt.datetime.now(dt.UTC)
    for position, (_, found) in enumerate(document.records(("objects", ITEM)), 1):
        try:
            entry = _entry(position, found, known, installed, now)
        except BadCell as bad:
            yield Rejected(position, bad.field, bad.reason)
            continue
        yield from installed.unsaid()
        if entry is not None:
            yield entry


def _entry(
    position: int, found: object, known: Mapping[str, Algorithm], installed: Installed, now: dt.datetime
) -> Entry | None:
    """Return the entry of an object, None of one that describes others; raises BadCell."""
    kind = found.get("type") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(kind, str):
        raise BadCell("type", f"{rows.shown(found)} is no STIX object")
    if kind in DESCRIBING:
        return None
    if kind == "file":
        raise BadCell("type", "a file that was seen; only an indicator says that it is harmful")
    if kind != "indicator":
        raise BadCell("type", f"{rows.shown(kind)}: only indicators can be entries")
    extensions = found.get("extensions")
    ours = extensions.get(ENTRY_EXTENSION) if isinstance(extensions, dict) else None
    if isinstance(ours, dict):
        stated = ours.get("entry")
        if not isinstance(stated, dict) or "hashes" not in stated:
            raise BadCell("extensions", "our extension is there, and holds no entry")
        return jsonl.entry_of(position, stated, known)
    return _foreign(position, found, installed, now)


def _foreign(position: int, found: dict[str, Any], installed: Installed, now: dt.datetime) -> Entry:
    """Return the entry of an indicator that somebody else wrote; raises BadCell."""
    pattern = found.get("pattern")
    if found.get("pattern_type") != "stix" or not isinstance(pattern, str) or len(pattern) > MAX_PATTERN_CHARS:
        raise BadCell("pattern", "no STIX pattern")
    if not _JOINED.fullmatch(_COMPARISON.sub(" ", pattern)):
        raise BadCell("pattern", f"{rows.shown(pattern)} asks for more than hashes of a file")
    hashes = []
    for match in _COMPARISON.finditer(pattern):
        item = installed.parse(position, match[1] or match[2] or match[3], match[4], "pattern")
        if item is not None and item not in hashes:
            hashes.append(item)
    if not hashes:
        raise BadCell("pattern", "it holds no hash that is installed")
    labels = found.get("labels", [])
    if not isinstance(labels, list) or not all(isinstance(text, str) and text for text in labels):
        raise BadCell("labels", f"{rows.shown(labels)}: expected an array of texts")
    name = found.get("id")
    if not isinstance(name, str):
        raise BadCell("id", f"{rows.shown(name)} is no id")
    reason = _why_withdrawn(found, now)
    status = EntryStatus.WITHDRAWN if reason else EntryStatus.ACTIVE
    made = tuple(Label(LABEL_SCHEME, "", text.strip()) for text in labels)
    return Entry(name, tuple(hashes), made, Provenance(external_id=name), status, reason, position=position)


def _why_withdrawn(found: dict[str, Any], now: dt.datetime) -> str:
    if found.get("revoked") is True:
        return "revoked by its author"
    until = found.get("valid_until")
    if until is None:
        return ""
    moment = rows.parse_moment(until, "valid_until") if isinstance(until, str) else None
    if moment is None:
        raise BadCell("valid_until", f"{rows.shown(until)} is no time")
    return f"not valid since {rows.format_moment(moment)}" if moment <= now else ""


def write(
    entries: Iterable[Entry],
    stream: BinaryIO,
    /,
    losses: Losses,  # noqa: ARG001 - nothing is lost
    hash_set: HashSet | None = None,
) -> int:
    """Write a bundle, an object a line; return the number of indicators."""
    owner = (hash_set.owner if hash_set else "") or "hashmatch"
    identity = stix_identity(owner)
    about = {} if hash_set is None else {"list_id": hash_set.name, "harm_domain": hash_set.domain.value}
    scope = "" if hash_set is None else hash_set.set_id
    stream.write(f'{{"type": "bundle", "id": "bundle--{uuid.uuid4()}", "objects": [\n'.encode())
    preamble = (identity, stix_extension(ENTRY_EXTENSION, identity["id"]))
    stream.write(",\n".join(json.dumps(item) for item in preamble).encode())
    written, now = 0, dt.datetime.now(dt.UTC)
    for entry in entries:
        indicator = _indicator(entry, scope, identity["id"], about, now)
        stream.write(b",\n" + json.dumps(indicator, ensure_ascii=False).encode())
        written += 1
    stream.write(b"\n]}\n")
    return written


def _indicator(entry: Entry, scope: str, identity: str, about: Mapping[str, str], now: dt.datetime) -> dict[str, Any]:
    at = stix_moment(entry.provenance.received_at or now)
    doubtful = entry.status in {EntryStatus.DISPUTED, EntryStatus.QUARANTINED}
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": stix_id("indicator", f"{scope} {entry.entry_id}"),
        "created": at,
        "modified": at,
        "created_by_ref": identity,
        **stix_pattern([(item.algorithm, item.hex) for item in entry.hashes]),
        "valid_from": at,
        **({"revoked": True} if entry.status is EntryStatus.WITHDRAWN else {}),
        **({"confidence": LOW_CONFIDENCE} if doubtful else {}),
        "object_marking_refs": [TLP_AMBER_STRICT],
        "extensions": {
            ENTRY_EXTENSION: {"extension_type": "property-extension", **about, "entry": jsonl.object_of(entry)},
        },
    }
