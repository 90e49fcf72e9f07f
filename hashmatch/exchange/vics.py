"""Project VIC's VICS documents, 1.3 and 2.0, of media and of cases; and NIST's list of harmless files in that dress.

Theory of operation
-------------------
The member ``@odata.context`` (2.0) or ``odata.metadata`` (1.3) says which data model a document is of, for which
country, and whether its records are media or cases that hold media (reference formats §3.2). It stands before the
records, which are then read one by one (``documents``): a document of many gigabytes costs time only, and one that
breaks off is an error that takes the whole import back.

A record becomes one entry. MD5, SHA-1, PhotoDNA and the ``AlternativeHashes`` are its hashes, ``MediaID`` its external
id. Its id is made from the first hash, the MD5, so that the same file in two documents is one entry; of two records
with one MD5 the later says what holds.

**Categories** belong to the data model: the label is ``vics/2.0/US=1``, with version and context, and is never
converted. Which categories are taken is the option ``categories``: 1 and 2 unless stated otherwise. A record of another
category, or of none, is a rejected row. Category 0 is *non-pertinent* in some tools and *not yet categorised* in
others, so neither "harmful" nor "harmless" follows from it, and no VICS document is ever taken for a list of what is
harmless.

Flags are written as truth values or as the texts ``"true"`` and ``"false"``; those that classify the picture are labels
where they are true. A label that a catalog would refuse, over-long tags for instance, is left out with a rejected row
of its own, because a hash must not be lost for a comment. File names and paths, EXIF data, comments and what else
describes one copy or one case are not read: they are about people, and match nothing.

NIST's *CAID* list has a third data model, 1.2, no categories, and is of **known good** files. It is a format of its own
(:func:`read_known_good`), and refused by :func:`read`.

Written is VICS 2.0 of media: entries with an MD5, their category where they have one of the same context. What VICS has
no place for is told to ``losses``; PDQ among it. No flag is written that the entry does not have: absent means unknown.

What this module deliberately does not do: it decides nothing about what a category means.
"""

from __future__ import annotations

import base64
import functools
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

from hashmatch.errors import BadFile, BadInput
from hashmatch.exchange import rows
from hashmatch.exchange.documents import ITEM, Document
from hashmatch.exchange.heads import Head
from hashmatch.exchange.installed import Installed
from hashmatch.exchange.losses import Losses
from hashmatch.exchange.rows import BadCell
from hashmatch.model import Entry, EntryHash, HashSet, Label, Provenance, Rejected

CONTEXT_KEYS = ("@odata.context", "odata.metadata")

EXPECTED = "a VICS 1.3 or 2.0 document: JSON with @odata.context or odata.metadata before the records in value"

VERSIONS = frozenset({"1.3", "2.0"})

KNOWN_GOOD_VERSION = "1.2"
"""Data model of NIST's CAID list."""

KNOWN_GOOD_EXPECTED = "a CAID list of known good files: JSON whose odata.metadata names the data model 1.2"

DEFAULT_CATEGORIES = frozenset({"1", "2"})
"""What IPED alerts on; further ones differ between countries."""

NO_CATEGORY = "none"
"""Stands for a record without a category in the option ``categories``."""

SCHEME = "vics"
FIELD_SCHEME = "vics:"

HASH_FIELDS = ("MD5", "SHA1", "PhotoDNA")
FLAGS = ("IsDistributed", "VictimIdentified", "OffenderIdentified", "SelfGenerated", "IsSuspected")
"""Labels where they are true; ``IsPrecategorized`` is about the tool, and unreliable."""

TEXTS = ("Series", "Tags")
MAX_ALTERNATIVES = 64
MAX_LABEL_CHARS = 256
"""The catalog's bound on a part of a label."""

WRITTEN_VERSION = "2.0"
DEFAULT_CONTEXT = "Default"
LOOKED_AHEAD = 1_000
"""Entries among which the context to be written is looked for."""

REASON = "VICS 2.0 has no place for it"

_MODEL = re.compile(
    r".*/DataModels/(?P<version>\d+\.\d+)\.xml(?:/(?P<context>\w+))?/?(?:\$metadata)?#(?P<kind>Media|Cases)"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_PATHS = {"Media": ("value", ITEM), "Cases": ("value", ITEM, "Media", ITEM)}
_TRUTH: Mapping[object, bool] = {True: True, False: False, "true": True, "false": False, None: False, "": False}


class Model(NamedTuple):
    """A document's data model: version, country or the like (empty in 1.3), and what its records are."""

    version: str
    context: str
    kind: str

    @property
    def label_version(self) -> str:
        """Return version and context as labels have them."""
        return f"{self.version}/{self.context}" if self.context else self.version


def recognises(head: Head) -> bool:
    """Say whether a document names a data model, except that of the known good."""
    found = _stated_model(head.members)
    return found is not None and found.version != KNOWN_GOOD_VERSION


def recognises_known_good(head: Head) -> bool:
    """Say whether a document names the data model of the known good."""
    found = _stated_model(head.members)
    return found is not None and found.version == KNOWN_GOOD_VERSION


def _stated_model(facts: Mapping[str, Any]) -> Model | None:
    for key in CONTEXT_KEYS:
        stated = facts.get(key)
        if isinstance(stated, str) and (found := _MODEL.fullmatch(stated)):
            return Model(found["version"], found["context"] or "", found["kind"])
    return None


def read(stream: BinaryIO, categories: str = "") -> Iterator[Entry | Rejected]:
    """Read a document; its data model is read before this returns.

    Parameters
    ----------
    stream : BinaryIO
        Read once, from where it stands.
    categories : str
        What is taken, as ``1,2``, or by context or version, as ``US:1,2,3;1.3:1``; ``none`` is a record without one.

    Returns
    -------
    iterator of Entry or Rejected
        In file order; ``position`` is the record, from 1. An entry_id is empty.

    Raises
    ------
    BadInput
        ``categories`` cannot be read.
    BadFile
        The file is no such document; while it is read, where it is damaged or breaks off.

    """
    stated = _categories(categories)
    document = Document(stream, EXPECTED)
    model = _model(document, EXPECTED)
    if model.version == KNOWN_GOOD_VERSION:
        raise BadFile(
            "a document of the data model 1.2 is NIST's list of known good files, not of harmful ones; "
            "import it into an allow-list, with --format caid",
            field="file",
        )
    if model.version not in VERSIONS:
        raise BadFile(f"VICS {rows.shown(model.version)} is not read; expected {EXPECTED}", field="file")
    general = stated.get("", DEFAULT_CATEGORIES)
    taken = stated.get(model.context or model.version, stated.get(model.version, general))
    reader = _Reader(model, taken)
    return reader.entries(document)


def read_known_good(stream: BinaryIO) -> Iterator[Entry | Rejected]:
    """Read a CAID list, for an allow-list; otherwise as :func:`read`.

    Raises
    ------
    BadFile
        The file is no such document; while it is read, where it is damaged or breaks off.

    """
    document = Document(stream, KNOWN_GOOD_EXPECTED)
    model = _model(document, KNOWN_GOOD_EXPECTED)
    if model.version != KNOWN_GOOD_VERSION:
        raise BadFile(
            f"a document of the data model {model.version} says nothing of harmless files; expected "
            f"{KNOWN_GOOD_EXPECTED}",
            field="file",
        )
    return _Reader(model, None).entries(document)


def _model(document: Document, expected: str) -> Model:
    found = _stated_model(document.facts)
    if found is None:
        stated = next((document.facts[key] for key in CONTEXT_KEYS if key in document.facts), None)
        seen = "no data model" if stated is None else f"the data model {rows.shown(stated)}"
        raise BadFile(f"the document names {seen}; expected {expected}", field="file")
    return found


def _categories(text: str) -> dict[str, frozenset[str]]:
    """Read the option; the key is a context or version, empty for all that are not named."""
    found: dict[str, frozenset[str]] = {}
    for part in text.split(";") if text else ():
        context, _, listed = part.rpartition(":")
        names = frozenset(name.strip() for name in listed.split(","))
        if not all(name == NO_CATEGORY or (name.isascii() and name.isdecimal()) for name in names):
            raise BadInput(
                f"categories: {rows.shown(part)}: expected numbers and {NO_CATEGORY}, as 1,2 or US:1,2,3;UK:1,2",
                field="categories",
            )
        found[context.strip()] = names
    return found


class _Reader:
    """Records of one document to entries. ``taken`` is None for the known good, which have no categories."""

    def __init__(self, model: Model, taken: frozenset[str] | None) -> None:
        self._model = model
        self._taken = taken
        self._installed = Installed()
        self._left_out: list[Rejected] = []

    def entries(self, document: Document) -> Iterator[Entry | Rejected]:
        """Return the entries of a document, and what was refused."""
        records = document.records(_PATHS[self._model.kind])
        for position, (_, record) in enumerate(records, 1):
            try:
                entry = self._entry(position, record)
            except BadCell as bad:
                yield Rejected(position, bad.field, bad.reason)
                continue
            yield from self._installed.unsaid()
            if self._left_out:
                yield from self._left_out
                self._left_out = []
            yield entry

    def _entry(self, position: int, record: Any) -> Entry:
        """Return the entry of one record; raises BadCell."""
        if not isinstance(record, dict):
            raise BadCell("", f"{rows.shown(record)} is no record: expected an object")
        labels = () if self._taken is None else self._category(record.get("Category"), self._taken)
        hashes = []
        for name, text, field in _stated_hashes(record):
            item = self._installed.parse(position, name, text, field)
            if item is not None and item not in hashes:
                hashes.append(item)
        if not hashes:
            raise BadCell("MD5", "the record holds no hash that is installed")
        flags = tuple(name for name in FLAGS if name in record and _flag(name, record[name]))
        texts = tuple((name, text) for name in TEXTS if (text := self._text(position, name, record.get(name))))
        labels += _field_labels(flags, texts)
        return Entry("", tuple(hashes), labels, Provenance(external_id=_media_id(record)), position=position)

    def _category(self, stated: object, taken: frozenset[str]) -> tuple[Label, ...]:
        if stated is None:
            if NO_CATEGORY not in taken:
                raise BadCell("Category", f"there is none; taken are {_listed(taken)}, see --option categories")
            return ()
        text = str(stated)
        if isinstance(stated, bool) or not (text.isascii() and text.isdecimal()):
            raise BadCell("Category", f"{rows.shown(stated)} is no category: expected a number")
        if text not in taken:
            reads = ", which is non-pertinent to some tools and not categorised to others" if text == "0" else ""
            raise BadCell("Category", f"{text}{reads}; taken are {_listed(taken)}, see --option categories")
        return _category_label(self._model.label_version, text)

    def _text(self, position: int, name: str, stated: object) -> str:
        """Return what can be a label, nothing for what cannot, which is then said."""
        if stated is None or stated == "":
            return ""
        text = str(stated).strip() if isinstance(stated, (str, int)) else ""
        if not text or _CONTROL.search(text) or len(text) > MAX_LABEL_CHARS:
            what = f"{rows.shown(stated)}: expected a line of text, at most {MAX_LABEL_CHARS} characters"
            self._left_out.append(Rejected(position, name, f"{what}; the entry was taken without it"))
            return ""
        return text


def _listed(taken: frozenset[str]) -> str:
    return ", ".join(sorted(taken)) or "none"


@functools.lru_cache(maxsize=256)
def _category_label(version: str, category: str) -> tuple[Label, ...]:
    return (Label(SCHEME, version, category),)


@functools.lru_cache(maxsize=1_024)
def _field_labels(flags: tuple[str, ...], texts: tuple[tuple[str, str], ...]) -> tuple[Label, ...]:
    return tuple(
        Label(f"{FIELD_SCHEME}{name}", "", value) for name, value in (*((flag, "true") for flag in flags), *texts)
    )


def _stated_hashes(record: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Return ``(name, text, field)`` of the hashes that a record states; raises BadCell."""
    for name in HASH_FIELDS:
        text = record.get(name)
        if text is None or text == "":
            continue
        if not isinstance(text, str):
            raise BadCell(name, f"{rows.shown(text)}: expected a text")
        yield name, text, name
    alternatives = record.get("AlternativeHashes")
    if not alternatives:
        return
    if not isinstance(alternatives, list) or len(alternatives) > MAX_ALTERNATIVES:
        raise BadCell("AlternativeHashes", f"expected an array of at most {MAX_ALTERNATIVES} objects")
    for item in alternatives:
        match item:
            case {"HashName": str(name), "HashValue": str(text)} if name and text:
                yield name, text, "AlternativeHashes"
            case _:
                raise BadCell("AlternativeHashes", f"{rows.shown(item)}: expected HashName and HashValue")


def _media_id(record: dict[str, Any]) -> str:
    number = record.get("MediaID")
    if isinstance(number, bool) or not isinstance(number, (int, str, type(None))):
        raise BadCell("MediaID", f"{rows.shown(number)}: expected a number")
    return "" if number is None else str(number)


def _flag(name: str, stated: object) -> bool:
    folded = stated.lower() if isinstance(stated, str) else stated
    if not isinstance(folded, (bool, str, type(None))) or folded not in _TRUTH:
        raise BadCell(name, f'{rows.shown(stated)} is no flag: expected true, false, "true" or "false"')
    return _TRUTH[folded]


def write(
    entries: Iterable[Entry],
    stream: BinaryIO,
    /,
    losses: Losses,
    hash_set: HashSet | None = None,  # noqa: ARG001 - a media document says nothing of its list
) -> int:
    """Write a VICS 2.0 document of media, a record a line; return the number of records.

    The context is that of the first entry, of a thousand, that has a VICS 2.0 category. An entry with a category of
    another context is left out: a number means something else there.
    """
    remaining = iter(entries)
    ahead = list(itertools.islice(remaining, LOOKED_AHEAD))
    context = next((found for entry in ahead if (found := _context(entry))), DEFAULT_CONTEXT)
    address = f"http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/{context}/$metadata#Media"
    stream.write(f'{{"@odata.context": {json.dumps(address)}, "value": ['.encode())
    written = 0
    for entry in itertools.chain(ahead, remaining):
        if losses.unless_active(entry):
            continue
        if _context(entry) not in {"", context}:
            losses.entry(entry, f"its category is of another context than {context}; a document has one")
            continue
        record = _record(entry, context, losses)
        if record is not None:
            stream.write((b",\n" if written else b"\n") + json.dumps(record, ensure_ascii=False).encode())
            written += 1
    stream.write(b"\n]}\n")
    return written


def _context(entry: Entry) -> str:
    """Return the context of an entry's VICS 2.0 category, nothing where it has none."""
    found = (label.version.partition("/") for label in entry.labels if label.scheme == SCHEME)
    return next((context for version, _, context in found if version == WRITTEN_VERSION and context.isidentifier()), "")


def _record(entry: Entry, context: str, losses: Losses) -> dict[str, Any] | None:
    """Return the record of one entry, None where it cannot have one."""
    first: dict[str, EntryHash] = {}
    for item in entry.hashes:
        if not item.view:
            first.setdefault(item.algorithm, item)
    if "md5" not in first:
        losses.entry(entry, "VICS needs an MD5")
        return None
    kept = tuple(EntryHash(name, first[name].value) for name in ("md5", "sha1", "photodna") if name in first)
    version = f"{WRITTEN_VERSION}/{context}"
    category = next((label for label in entry.labels if (label.scheme, label.version) == (SCHEME, version)), None)
    if category is not None and not _NUMBER.fullmatch(category.value):
        category = None
    labels = () if category is None else (category,)
    record: dict[str, Any] = {}
    if _NUMBER.fullmatch(entry.provenance.external_id):
        record["MediaID"] = int(entry.provenance.external_id)
    record["Category"] = None if category is None else int(category.value)
    record["MD5"] = first["md5"].hex.upper()
    if "sha1" in first:
        record["SHA1"] = first["sha1"].hex.upper()
    if "photodna" in first:
        record["PhotoDNA"] = base64.b64encode(first["photodna"].value).decode()
    for name in (*FLAGS, *TEXTS):
        of_field = (label for label in entry.labels if (label.scheme, label.version) == (f"{FIELD_SCHEME}{name}", ""))
        stated = next((label for label in of_field if name in TEXTS or label.value == "true"), None)
        if stated is not None:
            record[name] = stated.value
            labels = (*labels, stated)
    external = str(record.get("MediaID", ""))
    losses.compare(entry, Entry("", kept, labels, Provenance(external_id=external)), REASON)
    return record
