"""The same picture elsewhere: pictures that repeat on several hosts, within and across jobs.

Theory of operation
-------------------
A :class:`Sighting` is one picture at one place. Sightings of equal bytes, or whose PDQ values are within
``Rules.max_distance``, belong together; what nobody knows is linked as what is known is, and a picture that repeats on
several hosts is what connects adverts, shops and accounts. Hashes suffice for that; no picture is kept.

Belonging together is transitive, and near is not: a chain of small steps leads from one picture to another. So there
are two answers for each sighting, both from ``near``. Its *group* holds everything that any chain reaches, so that no
near pair is missed; its *cluster* within the group holds what is near one representative, at a distance that is said.
A group of one cluster has no such chain in it.

A host is where the page is that shows the picture, not where the picture lies, which is often a delivery network that
many share. ``www.`` counts for nothing. Repeats on one host are no link: themes and logos repeat on every page.

What is left out, each with a reason (:class:`Why`): pictures that could not be identified, the operator's placeholders,
small ones (icons, tracking pixels, buttons) and flat ones, whose hashes are near to those of strangers.

What this module deliberately does not do: it does not say that a link means anything; a shared stock photo is one, too.
It finds no mirrored and no cropped copies: a check keeps the hashes of a picture as it is.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hashmatch.hotline.followup.near import grouped
from hashmatch.model import MATCHED, EntryHash
from hashmatch.model.hotline import Item
from hashmatch.projections.places import host_of

PDQ: Final = "pdq"
_PDQ_BYTES: Final = 32
_NEVER: Final = dt.datetime.max.replace(tzinfo=dt.UTC)


class Why(enum.StrEnum):
    """Why a sighting takes no part."""

    NOT_IDENTIFIED = "not_identified"
    """Neither a digest nor a hash: it was not fetched, or not looked at."""
    NO_HOST = "no_host"
    PLACEHOLDER = "placeholder"
    """On the operator's list of pictures that stand for removed ones."""
    SMALL = "small"
    FLAT = "flat"
    """Quality below ``Rules.min_quality``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What counts as a link.

    ``max_distance`` is in bits, inclusive: that at which PDQ's authors call two pictures copies. ``min_side_px`` is the
    shorter side: icons and buttons are smaller, photographs hardly ever. ``placeholders`` are SHA-256 digests.
    """

    max_distance: int = 31
    min_quality: int = 50
    min_side_px: int = 64
    min_hosts: int = 2
    placeholders: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One picture at one place. ``page_url`` is that of the image where it was reported itself.

    ``known`` are ``set/entry`` of the entries that it met, nearest first; empty: unknown. ``quality`` and the sides are
    None and 0 where they are not known.
    """

    job: str
    number: int
    page_url: str
    image_url: str
    first_seen: dt.datetime | None
    sha256: bytes
    pdq: bytes = b""
    quality: int | None = None
    width_px: int = 0
    height_px: int = 0
    known: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """Host of the page, without ``www.``."""
        return host_of(self.page_url).removeprefix("www.")


@dataclass(frozen=True, slots=True)
class Linked:
    """A sighting that is part of a link.

    ``group`` and ``cluster`` count from 1; ``distance`` is in bits from the representative of the cluster, 0 of equal
    pictures.
    """

    group: int
    cluster: int
    distance: int
    sighting: Sighting


@dataclass(frozen=True, slots=True)
class Links:
    """Result: sightings of links, by group, cluster, distance, host and page; and what took no part."""

    linked: tuple[Linked, ...]
    left_out: tuple[tuple[Sighting, Why], ...]
    pictures: int
    """Different ones that were compared."""

    @property
    def groups(self) -> int:
        """Number of groups."""
        return max((item.group for item in self.linked), default=0)


def sightings(job: str, items: Iterable[Item]) -> Iterator[Sighting]:
    """Yield what items of a job say of their pictures; an item without a picture says nothing and is not yielded."""
    for item in items:
        report = item.report
        if report is None or report.digests is None:
            continue
        pdq = next((value for value in report.hashes if _is_pdq(value)), None)
        address = item.url or item.page_url
        yield Sighting(
            job=job,
            number=item.number,
            page_url=item.page_url or address,
            image_url=item.url,
            first_seen=item.fetched.ended_at if item.fetched else report.created_at,
            sha256=report.digests.sha256,
            pdq=pdq.value if pdq else b"",
            quality=None if pdq is None else report.quality if pdq.quality is None else pdq.quality,
            width_px=report.media.width if report.media else 0,
            height_px=report.media.height if report.media else 0,
            known=tuple(
                dict.fromkeys(
                    f"{hit.entry.set_name}/{hit.entry.entry_id}" for hit in report.hits if hit.verdict in MATCHED
                )
            ),
        )


def left_out(sighting: Sighting, rules: Rules) -> Why | None:
    """Return why a sighting takes no part, or None."""
    if not sighting.sha256 and not sighting.pdq:
        return Why.NOT_IDENTIFIED
    if not sighting.host:
        return Why.NO_HOST
    if sighting.sha256 in rules.placeholders:
        return Why.PLACEHOLDER
    if sighting.width_px and min(sighting.width_px, sighting.height_px) < rules.min_side_px:
        return Why.SMALL
    if sighting.quality is not None and sighting.quality < rules.min_quality:
        return Why.FLAT
    return None


def linked(seen: Iterable[Sighting], rules: Rules) -> Links:
    """Link pictures that repeat on several hosts.

    The result does not depend on the order of ``seen``, and does not change when a sighting comes twice.
    """
    taking, refused = [], []
    for sighting in sorted(set(seen), key=_order):
        why = left_out(sighting, rules)
        if why is None:
            taking.append(sighting)
        else:
            refused.append((sighting, why))
    pictures = _pictures(taking)
    placed = _placed(pictures, rules.max_distance)
    return Links(tuple(_numbered(placed, rules.min_hosts)), tuple(refused), len(pictures))


@dataclass(frozen=True, slots=True)
class _Picture:
    """Sightings that are one node: of one PDQ value, or of equal bytes where none of them has one."""

    pdq: bytes
    seen: tuple[Sighting, ...]

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset(sighting.host for sighting in self.seen)


@dataclass(frozen=True, slots=True)
class _Placed:
    group: int
    cluster: int
    distance: int
    picture: _Picture


def _pictures(seen: Sequence[Sighting]) -> list[_Picture]:
    """Put sightings of one picture together; known ones first, then those on the most hosts, then the earliest.

    Bytes that were hashed once have that hash wherever they are, also where a check could not look at them.
    """
    value_of: dict[bytes, bytes] = {}
    for sighting in seen:
        if sighting.pdq and sighting.sha256:
            value_of.setdefault(sighting.sha256, sighting.pdq)
    nodes: defaultdict[tuple[bytes, bytes], list[Sighting]] = defaultdict(list)
    for sighting in seen:
        value = sighting.pdq or value_of.get(sighting.sha256, b"")
        nodes[value, b"" if value else sighting.sha256].append(sighting)
    found = [_Picture(value, tuple(members)) for (value, _), members in nodes.items()]
    return sorted(
        found,
        key=lambda picture: (
            not any(sighting.known for sighting in picture.seen),
            -len(picture.hosts),
            _first(picture.seen),
            picture.pdq,
            picture.seen[0].sha256,
        ),
    )


def _placed(pictures: Sequence[_Picture], max_distance: int) -> list[_Placed]:
    """Find group and cluster of each picture; one without a hash is alone in both."""
    hashed = [place for place, picture in enumerate(pictures) if picture.pdq]
    codes = np.frombuffer(b"".join(pictures[place].pdq for place in hashed), dtype=np.uint8).reshape(-1, _PDQ_BYTES)
    found = grouped(codes.copy(), max_distance)
    placed = [_Placed(place, place, 0, picture) for place, picture in enumerate(pictures)]
    for row, place in enumerate(hashed):
        placed[place] = _Placed(
            hashed[found.group[row]], hashed[found.star[row]], int(found.distance[row]), pictures[place]
        )
    return placed


def _numbered(placed: Sequence[_Placed], min_hosts: int) -> Iterator[Linked]:
    """Keep groups on enough hosts, and number them: those on most hosts first, then the earliest."""
    groups: defaultdict[int, list[_Placed]] = defaultdict(list)
    for item in placed:
        groups[item.group].append(item)
    hosts = {group: frozenset().union(*(item.picture.hosts for item in members)) for group, members in groups.items()}
    kept = [group for group in groups if len(hosts[group]) >= min_hosts]
    kept.sort(key=lambda group: (-len(hosts[group]), _first(s for i in groups[group] for s in i.picture.seen), group))
    for number, group in enumerate(kept, 1):
        clusters: Mapping[int, int] = {star: n for n, star in enumerate(sorted({i.cluster for i in groups[group]}), 1)}
        rows = [
            Linked(number, clusters[item.cluster], item.distance, sighting)
            for item in groups[group]
            for sighting in item.picture.seen
        ]
        yield from sorted(rows, key=lambda row: (row.cluster, row.distance, _order(row.sighting)))


def _first(seen: Iterable[Sighting]) -> dt.datetime:
    return min(sighting.first_seen or _NEVER for sighting in seen)


def _order(sighting: Sighting) -> tuple[object, ...]:
    when = sighting.first_seen or _NEVER
    return (sighting.host, sighting.page_url, sighting.image_url, sighting.job, sighting.number, when, sighting.sha256,
            sighting.pdq, sighting.known, sighting.width_px, sighting.height_px, sighting.quality or 0)  # fmt: skip


def _is_pdq(value: EntryHash) -> bool:
    return value.algorithm == PDQ and len(value.value) == _PDQ_BYTES and not value.view


def counted(result: Links) -> Mapping[Why, int]:
    """Return how many sightings were left out, by reason."""
    return Counter(why for _, why in result.left_out)
