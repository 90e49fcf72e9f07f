"""How an incoming row changes an entry: pure rules, no database.

Theory of operation
-------------------
An import merges. A row adds values, and what it states replaces what was stated before; what it leaves blank stays.
Nothing is taken away, so importing the same file twice changes nothing, and importing half of a list does not empty the
other half. Labels are stated per scheme: those of a scheme that the row does not mention stay beside the new ones.

Of the opinions that one party gives of one thing (the entry, or its hash of one algorithm) the latest holds. One that
brings no date and says nothing new is the one that is held already; otherwise it is dated now.

The status only ever becomes more careful by an import: active → disputed → quarantined → withdrawn. The way back is a
person's decision (``reinstate``). A row that would have a withdrawn entry match again is refused, since the list that
it comes from evidently has not heard of the withdrawal; a row that itself says "withdrawn" is welcome, and needs no
values if the set has the entry.

What this module deliberately does not do: it assigns no sequence and no version. Opinions move no status.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import itertools
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from hashmatch.catalog.rows import from_us, labels_from_text, labels_to_text, opinions_from_text, opinions_to_text
from hashmatch.model import EntryStatus, Label, Opinion

ACTIVE = EntryStatus.ACTIVE.value
WITHDRAWN = EntryStatus.WITHDRAWN.value

_CAUTION = {status.value: caution for caution, status in enumerate(EntryStatus)}


ValueKey = tuple[str, bytes]
"""Algorithm and value; an entry has each at most once."""


class Stated(NamedTuple):
    """What a row states of a value: None and the empty text mean "not stated"."""

    quality: int | None
    view: str


class Facts(NamedTuple):
    """Everything that a row states of an entry apart from its values, in the order of the statements' columns.

    ``labels`` and ``opinions`` are stored text (``rows``); empty texts and None mean "not stated".
    """

    status: str
    status_reason: str
    labels: str
    source: str
    list_version: str
    external_id: str
    terms: str
    jurisdiction: str
    opinions: str
    received_at_us: int | None


class Merged:
    """One entry while the rows about it pass by: what is stored, and what holds after them."""

    __slots__ = ("accepted", "before", "entry_id", "entry_key", "facts", "stored", "values")

    def __init__(
        self,
        entry_id: str,
        entry_key: int | None = None,
        before: Facts | None = None,
        stored: Mapping[ValueKey, Stated] = MappingProxyType({}),
    ) -> None:
        self.entry_id = entry_id
        self.entry_key = entry_key
        """None for an entry that the set does not have yet."""
        self.before = before
        self.stored = stored
        self.facts = before
        """What holds now; None for a new entry of which no row was accepted yet."""
        self.values = dict(stored)
        """Values that hold now, and what is said of them."""
        self.accepted = False

    def __repr__(self) -> str:
        return f"Merged({self.entry_id!r}, {len(self.stored)} values stored, {len(self.values)} now)"

    def fresh(self) -> list[tuple[str, bytes, int | None, str]]:
        """Return the values that are new or of which something new is said."""
        stored = self.stored
        return [(*key, *now) for key, now in self.values.items() if key not in stored or stored[key] != now]

    def contradicts(self, given: Facts) -> bool:
        """Whether a row would have a withdrawn entry match again."""
        return self.facts is not None and self.facts.status == WITHDRAWN and given.status != WITHDRAWN

    def after(self, given: Facts, now_us: int) -> Facts:
        """Return what would hold after a row stated this."""
        return fold(_NOTHING if self.facts is None else self.facts, given, now_us)

    def state(self, after: Facts) -> None:
        """Take in a row by what holds after it."""
        self.accepted = True
        self.facts = after

    def add(self, algorithm: str, value: bytes, quality: int | None, view: str) -> None:
        """Take in a value; one that is there already takes the new quality and view if they are stated."""
        key = (algorithm, value)
        kept = self.values.get(key, Stated(None, ""))
        self.values[key] = Stated(kept.quality if quality is None else quality, view or kept.view)


_NOTHING = Facts(ACTIVE, "", "", "", "", "", "", "", "", None)


def fold(kept: Facts, given: Facts, now_us: int) -> Facts:
    """Return what holds after ``given`` was stated on top of ``kept``."""
    status, reason = kept.status, kept.status_reason
    if _CAUTION[given.status] > _CAUTION[status]:
        status, reason = given.status, given.status_reason
    elif given.status == status:
        reason = reason or given.status_reason
    return Facts(
        status,
        reason,
        fold_labels(kept.labels, given.labels),
        given.source or kept.source,
        given.list_version or kept.list_version,
        given.external_id or kept.external_id,
        given.terms or kept.terms,
        given.jurisdiction or kept.jurisdiction,
        fold_opinions(kept.opinions, given.opinions, now_us) if given.opinions else kept.opinions,
        kept.received_at_us if given.received_at_us is None else given.received_at_us,
    )


@functools.lru_cache(maxsize=1_024)
def fold_labels(kept: str, given: str) -> str:
    """Return the labels that hold: of each scheme those stated last, however the schemes are ordered."""
    if not kept or not given:
        return given or kept
    held, stated = _by_scheme(kept), _by_scheme(given)
    if all(held.get(scheme) == labels for scheme, labels in stated.items()):
        return kept
    return labels_to_text(tuple(itertools.chain.from_iterable((held | stated).values())))


def _by_scheme(text: str) -> dict[str, list[Label]]:
    schemes: dict[str, list[Label]] = {}
    for label in labels_from_text(text):
        schemes.setdefault(label.scheme, []).append(label)
    return schemes


@functools.lru_cache(maxsize=64)
def fold_opinions(kept: str, given: str, now_us: int) -> str:
    """Return the opinions that hold, all of them dated, in the order of who and algorithm."""
    held = {(item.who, item.algorithm): item for item in opinions_from_text(kept)}
    for item in opinions_from_text(given):
        key = (item.who, item.algorithm)
        held[key] = latest(held.get(key), item, from_us(now_us))
    return opinions_to_text(tuple(held[key] for key in sorted(held)))


def latest(kept: Opinion | None, given: Opinion, now: dt.datetime) -> Opinion:
    """Return which of two opinions of one party on one thing holds, dated."""
    if kept is None:
        return given if given.at else dataclasses.replace(given, at=now)
    same = given.stance is kept.stance and given.reason in {"", kept.reason}
    if given.at is None:
        return kept if same else dataclasses.replace(given, at=now)
    if kept.at is not None and given.at < kept.at:
        return kept
    return dataclasses.replace(given, reason=kept.reason) if same else given
