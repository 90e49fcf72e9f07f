"""What may enter a catalog: the rules for sets and entries, and the guards against values that match everything.

Theory of operation
-------------------
:class:`EntryRules` looks at one entry and returns what is wrong with it, or None; a wrong entry is a result with a
reason, not an exception. An entry is taken whole or not at all. The guards exist because such values reached the
production lists of others: the digest of the empty file (``poison`` has more), PDQ values of all zeros or all ones
(what a flat picture gives), and PDQ values whose own quality says that they mean nothing (reference formats §3.10).

Texts are bounded and hold no control characters, so that an id can be printed, logged and written into a CSV cell as it
is; none begins or ends with a space, so that readers may strip cells.

What this module deliberately does not do: it knows no database and no file format.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hashmatch.catalog import poison
from hashmatch.catalog.wording import shown
from hashmatch.errors import BadInput
from hashmatch.hashing.algorithms import table
from hashmatch.model import (
    MAX_QUALITY,
    UNSTATED_QUALITY,
    Algorithm,
    AlgorithmKind,
    Entry,
    EntryBlock,
    EntryHash,
    EntryStatus,
    Label,
    Opinion,
    SetMode,
    Stance,
)
from hashmatch.transformations import CROPS, DENSE_CROPS

MAX_ID_CHARS = 256
"""The wire format's bound on entry ids."""

MAX_TEXT_CHARS = 1_024
"""A reason, a source or a description; a sentence or two, not a document."""

MAX_BOOKMARK_CHARS = 1 << 20
"""A bookmark's text; a checkpoint is a few hundred characters, a guard's memory of its entries much more."""

MAX_LABEL_CHARS = 256
"""Each of scheme, version and value; the longest in public schemes are under 100."""

MAX_LABELS = 64
"""Labels of one entry; they ride in the index beside each entry."""

MAX_OPINIONS = 64
"""Opinions of one entry: a party has one of the entry, and one of each of its algorithms."""

MAX_HASHES = 256
"""Values of one entry: 168 views, nine algorithms, eight orientations, and room for plug-ins."""

MIN_QUALITY = 50
"""PDQ quality below which a value is refused; the reference discards 49 and less."""

VIEWS = frozenset({*CROPS, *DENSE_CROPS})
"""What may have been done to an original before it was hashed: a closed list, since reports repeat the name."""

_SET_NAME = re.compile(r"[a-z0-9._-]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Problem(NamedTuple):
    """What is wrong: the field at fault, and what was found and would be right."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class _ValueRule:
    """What a value of one algorithm must be: its size, the values that are refused and why, the views it may be of."""

    size_bytes: int
    refused: Mapping[bytes, str]
    min_quality: int
    views: frozenset[str]


def _value_rule(algorithm: Algorithm) -> _ValueRule:
    size = algorithm.size_bytes
    refused: dict[bytes, str] = {}
    if algorithm.kind is AlgorithmKind.PERCEPTUAL:
        refused[bytes(size)] = "all bits are 0: what a flat picture gives, and it would match every other flat one"
        refused[b"\xff" * size] = "all bits are 1: no real picture gives that, but a broken tool does"
        refused |= poison.PICTURES.get(algorithm.name, {})
    elif algorithm.kind is AlgorithmKind.OPAQUE:
        refused[bytes(size)] = (
            "all bits are 0: what a blank picture or a broken export gives, and it would match its like"
        )
        refused[b"\xff" * size] = "all bits are 1: no real picture gives that, but a broken export does"
    elif algorithm.name in poison.DIGESTS:
        refused |= poison.refused_digests(algorithm.name)
    views = VIEWS if algorithm.kind is AlgorithmKind.PERCEPTUAL else frozenset()
    return _ValueRule(size, refused, MIN_QUALITY if algorithm.has_quality else 0, views)


class EntryRules:
    """The rules for entries, prepared for one algorithm table."""

    def __init__(self, algorithms: Mapping[str, Algorithm] | None = None) -> None:
        installed = table() if algorithms is None else algorithms
        self._values = {name: _value_rule(algorithm) for name, algorithm in installed.items()}

    def __repr__(self) -> str:
        return f"EntryRules({', '.join(sorted(self._values))})"

    def problem(self, entry: Entry) -> Problem | None:
        """Return the first thing wrong with an entry, or None; ``entry_id`` may be empty, one is made then."""
        return self.values_problem(entry) or self.facts_problem(entry)

    def values_problem(self, entry: Entry) -> Problem | None:
        """Return what is wrong with the id or the values."""
        if entry.entry_id and (found := _text_problem("entry_id", entry.entry_id, MAX_ID_CHARS)):
            return found
        if not entry.hashes and entry.status is EntryStatus.WITHDRAWN:
            return (
                None if entry.entry_id else Problem("entry_id", "a withdrawal without hashes needs the id of an entry")
            )
        if not 0 < len(entry.hashes) <= MAX_HASHES:
            return Problem("hashes", f"an entry has 1 to {MAX_HASHES} hashes, this one has {len(entry.hashes)}")
        for item in entry.hashes:
            if found := self._value_problem(item):
                return found
        return None

    def doubtful(self, block: EntryBlock) -> Sequence[int]:
        """Return which rows of a block :meth:`values_problem` may object to, or whose id is not plain ASCII.

        Every other row has an id that is one, or none where one can be made of its value, and nothing is wrong with it.
        """
        rule = self._values.get(block.algorithm)
        everything = range(len(block))
        if rule is None or len(block.values) != rule.size_bytes * len(block):
            return everything
        can_make_ids = len(block.algorithm) + 1 + 2 * rule.size_bytes <= MAX_ID_CHARS
        if not (can_make_ids or (block.entry_ids and all(block.entry_ids))):
            return everything
        found: set[int] = set()
        for value in rule.refused:
            found.update(_places(value, block.values))
        allowed = bytes([*range(rule.min_quality, MAX_QUALITY + 1), UNSTATED_QUALITY])
        if block.qualities.translate(None, allowed):
            found.update(at for at, quality in enumerate(block.qualities) if quality not in allowed)
        if not _is_plain("".join(block.entry_ids)) or max(map(len, block.entry_ids), default=0) > MAX_ID_CHARS:
            found.update(
                at
                for at, entry_id in enumerate(block.entry_ids)
                if not _is_plain(entry_id) or len(entry_id) > MAX_ID_CHARS
            )
        return sorted(found)

    def facts_problem(self, entry: Entry) -> Problem | None:
        """Return what is wrong with all that is neither id nor value: the same for a whole list, as a rule."""
        return _labels_problem(entry.labels) or _origin_problem(entry) or self._opinions_problem(entry.opinions)

    def _opinions_problem(self, opinions: tuple[Opinion, ...]) -> Problem | None:
        if len(opinions) > MAX_OPINIONS:
            return Problem("opinions", f"{len(opinions)} opinions; at most {MAX_OPINIONS}")
        for opinion in opinions:
            if opinion.algorithm and opinion.algorithm not in self._values:
                known = ", ".join(sorted(self._values))
                return Problem("opinions", f"{shown(opinion.algorithm)} is not installed; known are {known}")
            if found := _opinion_problem(opinion):
                return found
        return None

    def _value_problem(self, item: EntryHash) -> Problem | None:
        rule = self._values.get(item.algorithm)
        if rule is None:
            known = ", ".join(sorted(self._values))
            return Problem("algorithm", f"{shown(item.algorithm)} is not installed; known are {known}")
        if len(item.value) != rule.size_bytes:
            return Problem(
                "value", f"{len(item.value)} bytes are not a {item.algorithm} value: expected {rule.size_bytes}"
            )
        if (why := rule.refused.get(item.value)) is not None:
            return Problem("value", f"{item.algorithm} {why}; leave this value out to import the rest of the entry")
        if item.view and item.view not in rule.views:
            return _view_problem(item)
        return None if item.quality is None else _quality_problem(item.algorithm, item.quality, rule.min_quality)


def _places(value: bytes, values: bytes) -> Iterator[int]:
    """Yield where among values that lie end to end ``value`` is one."""
    size = len(value)
    at = values.find(value)
    while at >= 0:
        place, beyond = divmod(at, size)
        if not beyond:
            yield place
        at = values.find(value, (place + 1) * size)


def _is_plain(text: str) -> bool:
    """Whether a text is printable ASCII without a space."""
    return text.isascii() and text.isprintable() and " " not in text


def _view_problem(item: EntryHash) -> Problem:
    if item.view in VIEWS:
        return Problem("view", f"{item.algorithm} is of the whole file, not of {item.view}: leave the view blank")
    return Problem(
        "view", f"{shown(item.view)} is no view that an original is enrolled with; leave it blank if it is the picture"
    )


def _quality_problem(algorithm: str, quality: int, min_quality: int) -> Problem | None:
    if not 0 <= quality <= MAX_QUALITY:
        return Problem("quality", f"{quality} is not a quality: expected 0 to {MAX_QUALITY}")
    if quality < min_quality:
        return Problem(
            "quality",
            f"{algorithm} of quality {quality} matches unrelated pictures, {min_quality} is the least; "
            "leave this value out to import the rest of the entry",
        )
    return None


def _origin_problem(entry: Entry) -> Problem | None:
    origin = entry.provenance
    for name, text in (
        ("source", origin.source),
        ("list_version", origin.list_version),
        ("external_id", origin.external_id),
        ("terms", origin.terms),
        ("jurisdiction", origin.jurisdiction),
        ("status_reason", entry.status_reason),
    ):
        if text and (found := _text_problem(name, text, MAX_TEXT_CHARS)):
            return found
    if origin.received_at is not None and origin.received_at.tzinfo is None:
        return Problem("received_at", f"{origin.received_at.isoformat()} has no time zone; append Z for UTC")
    if not isinstance(entry.status, EntryStatus):
        return Problem("status", f"{entry.status!r} is no status: expected {', '.join(EntryStatus)}")
    return None


def _labels_problem(labels: tuple[Label, ...]) -> Problem | None:
    if len(labels) > MAX_LABELS:
        return Problem("labels", f"{len(labels)} labels; at most {MAX_LABELS}")
    for label in labels:
        if not label.scheme or not label.value:
            return Problem("labels", f"a label needs a scheme and a value, got {label.scheme!r} = {label.value!r}")
        for part in (label.scheme, label.version, label.value):
            if part and (found := _text_problem("labels", part, MAX_LABEL_CHARS)):
                return found
    return None


def _opinion_problem(opinion: Opinion) -> Problem | None:
    if not opinion.who:
        return Problem("opinions", "an opinion needs the party that holds it")
    if not isinstance(opinion.stance, Stance):
        return Problem("opinions", f"{opinion.stance!r} is no stance: expected {', '.join(Stance)}")
    if opinion.at is not None and opinion.at.tzinfo is None:
        return Problem("opinions", f"{opinion.at.isoformat()} has no time zone; append Z for UTC")
    for text in (opinion.who, opinion.reason):
        if text and (found := _text_problem("opinions", text, MAX_TEXT_CHARS)):
            return found
    return None


def _text_problem(field: str, text: str, max_chars: int) -> Problem | None:
    if len(text) > max_chars:
        return Problem(field, f"{len(text)} characters; at most {max_chars}")
    if not text.isprintable() and (match := _CONTROL.search(text)):
        return Problem(field, f"control character U+{ord(match[0]):04X} at {match.start()}; remove it")
    if text[0].isspace() or text[-1].isspace():
        return Problem(field, f"{shown(text)} begins or ends with a space; remove it")
    return None


def check_set(name: str, **texts: str) -> None:
    """Check the name and the describing texts of a new set.

    Raises
    ------
    BadInput
        Names the field, what was found and what would be right.

    """
    if not _SET_NAME.fullmatch(name):
        raise BadInput(
            f"{shown(name)} is no name for a set: 1 to 64 lower-case letters, digits, dots, dashes and underscores",
            field="name",
        )
    for field, text in texts.items():
        if text and (found := _text_problem(field, text, MAX_TEXT_CHARS)):
            raise BadInput(f"{field}: {found.reason}", field=field)


def check_mode_change(name: str, before: SetMode, after: SetMode) -> None:
    """Check that a set does not turn from what gives verdicts into what takes them, or back, in one step.

    Raises
    ------
    BadInput
        It would.

    """
    if {before, after} == {SetMode.ENFORCED, SetMode.ALLOW}:
        raise BadInput(
            f"{shown(name)} is {before}; {after} in one step would turn every verdict around. "
            "Put it into shadow first, look at what it reports, then take the second step",
            field="mode",
        )


def check_stated(**texts: str) -> None:
    """Check that a decision says what it must: why, and by whom.

    Raises
    ------
    BadInput
        One is missing, too long or holds control characters.

    """
    for field, text in texts.items():
        if not text:
            raise BadInput(f"{field}: required; it is kept for as long as the catalog exists", field=field)
        if found := _text_problem(field, text, MAX_TEXT_CHARS):
            raise BadInput(f"{field}: {found.reason}", field=field)


def check_opinion(opinion: Opinion, algorithms: Collection[str], now: dt.datetime) -> Opinion:
    """Check an opinion of an entry that has values of ``algorithms``; one without a date is dated ``now``.

    Raises
    ------
    BadInput
        It lacks who holds it or why, is of a hash that the entry does not have, or a text is too long or holds control
        characters.

    """
    check_stated(who=opinion.who, reason=opinion.reason)
    if found := _opinion_problem(opinion):
        raise BadInput(f"opinion: {found.reason}", field="opinion")
    if opinion.algorithm and opinion.algorithm not in algorithms:
        raise BadInput(
            f"the entry has no {shown(opinion.algorithm)} value to have an opinion of, only {', '.join(algorithms)}",
            field="algorithm",
        )
    return opinion if opinion.at else dataclasses.replace(opinion, at=now)


def check_bookmark(kind: str, name: str, text: str) -> None:
    """Check a bookmark before it is kept.

    Raises
    ------
    BadInput
        Its kind or name is empty, too long or holds control characters, or its text is too long.

    """
    for field, part in (("kind", kind), ("name", name)):
        if not part:
            raise BadInput(f"{field}: a bookmark needs a kind and a name", field=field)
        if found := _text_problem(field, part, MAX_ID_CHARS):
            raise BadInput(f"{field}: {found.reason}", field=field)
    if len(text) > MAX_BOOKMARK_CHARS:
        raise BadInput(f"text: {len(text)} characters; a bookmark has at most {MAX_BOOKMARK_CHARS}", field="text")
    if "\x00" in text:  # PostgreSQL keeps none
        raise BadInput(f"text: control character U+0000 at {text.index(chr(0))}; remove it", field="text")
