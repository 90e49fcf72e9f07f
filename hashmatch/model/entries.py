"""What lists are made of: sets, entries, their hashes, and what an import did."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, field


class HarmDomain(enum.StrEnum):
    """What a list is about. The domain decides where a report may go (reference formats §6)."""

    CSAM = "csam"
    CSE_EXPLOITATIVE = "cse_exploitative"
    NCII = "ncii"
    TVEC = "tvec"
    THB = "thb"
    WILDLIFE = "wildlife"
    IPR = "ipr"
    WEAPONS = "weapons"
    DRUGS = "drugs"
    OTHER = "other"


class EntryStatus(enum.StrEnum):
    """Where an entry stands, the least careful first.

    Disputed entries match for review only, quarantined ones are reported and change no verdict; withdrawn entries stay
    in the catalog and stop matching.
    """

    ACTIVE = "active"
    DISPUTED = "disputed"
    QUARANTINED = "quarantined"
    WITHDRAWN = "withdrawn"


class SetMode(enum.StrEnum):
    """What hits in a set do to a verdict."""

    ENFORCED = "enforced"
    """They give it."""
    SHADOW = "shadow"
    """Nothing: they are reported."""
    ALLOW = "allow"
    """Reviewed and not harmful: they suppress other hits."""


@dataclass(frozen=True, slots=True)
class Label:
    """One classification in one scheme, e.g. ``ncmec / 2022 / A1``; schemes are never converted into each other."""

    scheme: str
    version: str
    value: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an entry came from. ``received_at`` is when this catalog took it in, UTC.

    ``terms`` and ``jurisdiction`` are what the source says of this entry; empty where those of the set hold.
    """

    source: str = ""
    list_version: str = ""
    external_id: str = ""
    received_at: dt.datetime | None = None
    terms: str = ""
    jurisdiction: str = ""


class Stance(enum.StrEnum):
    """Which way an opinion goes."""

    AGREE = "agree"
    DISAGREE = "disagree"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one party says of an entry, its vote: ``who`` is an organisation or a person, UTC.

    ``algorithm`` names the one hash that is meant, where the opinion is not of the whole entry. A party has one opinion
    of each of these; a later one takes the place of the earlier one.
    """

    who: str
    stance: Stance
    reason: str = ""
    at: dt.datetime | None = None
    algorithm: str = ""


@dataclass(frozen=True, slots=True)
class EntryHash:
    """One value of an entry; ``quality`` as given by the list, None where the list does not say.

    ``view`` names what was done to the original before this value was computed, e.g. a crop; empty for the picture as
    it is, and where the list does not say.
    """

    algorithm: str
    value: bytes
    quality: int | None = None
    view: str = ""

    @property
    def hex(self) -> str:
        """The value as lower-case hex."""
        return self.value.hex()


@dataclass(frozen=True, slots=True)
class Entry:
    """One known picture in one set.

    ``entry_id`` is unique within its set; on its way in it may be empty, and the catalog makes one from the first hash.
    ``position`` is where a reader found the entry (see :class:`Rejected`), None when it came from no file; it is no
    part of the entry's identity. An entry that arrives withdrawn may have no hashes: it is a tombstone, which withdraws
    the entry of that id.
    """

    entry_id: str
    hashes: tuple[EntryHash, ...]
    labels: tuple[Label, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)
    status: EntryStatus = EntryStatus.ACTIVE
    status_reason: str = ""
    opinions: tuple[Opinion, ...] = ()
    position: int | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class HashSet:
    """A list of known pictures with one owner and one harm domain.

    ``set_id`` is assigned by the catalog and never reused; ``name`` is what people type; ``version`` grows by one with
    every committed change to the set; ``entries`` counts those not withdrawn.
    """

    set_id: str
    name: str
    domain: HarmDomain
    owner: str = ""
    source: str = ""
    jurisdiction: str = ""
    terms: str = ""
    description: str = ""
    mode: SetMode = SetMode.ENFORCED
    version: int = 0
    entries: int = 0
    withdrawn: int = 0
    created_at: dt.datetime | None = None
    list_version: str = ""
    received_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """What was not taken in: an entry, or the part of one that ``reason`` speaks of.

    ``position`` is a line or record (from 1) of a file or an index (from 0) of a stream.
    """

    position: int
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What one import did. ``rejections`` holds the first ``REJECTIONS_KEPT`` of ``rejected``."""

    hash_set: HashSet
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    rejections: tuple[Rejected, ...] = ()


REJECTIONS_KEPT = 1_000
"""Rejected rows returned with an import result; the command line streams all of them."""


@dataclass(frozen=True, slots=True)
class SetChanges:
    """Some of the changes to one set, oldest first, as a hashmatch hands them out to those who keep a copy.

    ``rows`` are entries at their latest state; one that its receiver cannot read is a rejected row in its place.

    ``sequence`` is the change up to which everything is known once these are taken in, a number of that catalog;
    ``complete`` says that nothing is left for now, ``from_beginning`` that these changes began with the first one,
    whatever was asked for.
    """

    hash_set: HashSet
    rows: tuple[Entry | Rejected, ...]
    sequence: int
    complete: bool
    from_beginning: bool


@dataclass(frozen=True, slots=True)
class Change:
    """One step of the catalog's change feed: the state of a set, and of one of its entries where that is what changed.

    ``sequence`` grows over the whole catalog. The feed is by state: an entry that changed twice appears once, at its
    latest sequence.
    """

    sequence: int
    hash_set: HashSet
    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One decision or opinion: who moved what from which state to which, when and why.

    ``before`` and ``after`` are entry statuses, or set modes where the event concerns the whole set, or stances where
    it is an opinion; ``before`` is empty for the first state of anything. ``set_version`` is the version of the set
    that it made. Of an opinion, and of nothing else, ``who`` says whose it is (``actor`` recorded it), ``algorithm``
    which hash is meant where it is not the whole entry, and ``said_at`` when it was given (``at`` is when it came).
    """

    at: dt.datetime
    actor: str
    reason: str
    before: str
    after: str
    set_version: int
    who: str = ""
    algorithm: str = ""
    said_at: dt.datetime | None = None
