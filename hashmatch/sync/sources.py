"""The sources of the configuration, judged: a table of kinds, and what is made of each.

What this module deliberately does not do: it reads no secret (``access``), and asks nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from hashmatch import addresses
from hashmatch.errors import BadConfig
from hashmatch.model import HarmDomain
from hashmatch.sections import SourceConfig, SyncConfig
from hashmatch.sync import endpoints
from hashmatch.sync.ncmec import NcmecWalk
from hashmatch.sync.stopncii import StopNciiWalk
from hashmatch.sync.tat import TatWalk
from hashmatch.sync.threatexchange import ThreatExchangeWalk
from hashmatch.sync.walks import Walk

ACTOR_PREFIX: Final = "sync:"

_TARGET = re.compile(r"unix:/\S+|[\w.-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}")
_NAME = re.compile(r"[a-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of source: how its walk begins, and what its rows are like."""

    begin: Callable[[SourceConfig, str, bool], Walk] | None
    """None for a source without pages."""
    disputes: bool = False
    needs: tuple[str, ...] = ()
    """Settings that this kind cannot do without."""


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "ncmec": Kind(lambda _, checkpoint, full: NcmecWalk.begin(checkpoint, full=full)),
        "threatexchange": Kind(
            lambda source, checkpoint, full: ThreatExchangeWalk.begin(checkpoint, full=full, group=source.group),
            disputes=True,
            needs=("group",),
        ),
        "stopncii": Kind(lambda _, checkpoint, full: StopNciiWalk.begin(checkpoint, full=full)),
        "tat": Kind(lambda _, checkpoint, full: TatWalk.begin(checkpoint, full=full)),
        "hashmatch": Kind(None),
    }
)


@dataclass(frozen=True, slots=True)
class Source:
    """One source by name, checked."""

    name: str
    config: SourceConfig

    @property
    def kind(self) -> Kind:
        """What it is."""
        return KINDS[self.config.kind]

    @property
    def actor(self) -> str:
        """In whose name its rows come."""
        return ACTOR_PREFIX + self.name

    @property
    def domain(self) -> HarmDomain:
        """What its set is about."""
        return HarmDomain(self.config.domain)


def chosen(config: SyncConfig, names: Iterable[str]) -> tuple[Source, ...]:
    """Return the sources of these names, or all of them.

    Raises
    ------
    BadConfig
        There is no such source, or one is not as it must be; the message names the setting.

    """
    every = {name: _checked(name, source) for name, source in config.sources.items()}
    feeds: dict[str, str] = {}
    for name, source in config.sources.items():
        if (other := feeds.setdefault(source.set, name)) != name:
            raise BadConfig(
                f"sync.sources.{name}.set: {source.set!r} is fed by {other} already; what one of them does not have "
                "would be withdrawn",
                field=f"sync.sources.{name}.set",
            )
    wanted = list(dict.fromkeys(names)) or list(every)
    for name in wanted:
        if name not in every:
            known = ", ".join(every) or "none; docs/guide/sync.md says how to declare one"
            raise BadConfig(f"no source {name!r} in the configuration; there are: {known}", field="sync.sources")
    return tuple(every[name] for name in wanted)


def _checked(name: str, source: SourceConfig) -> Source:
    where = f"sync.sources.{name}"
    if not _NAME.fullmatch(name):
        raise BadConfig(f"{where}: 1 to 64 lower-case letters, digits, dots, dashes and underscores", field=where)
    _one_of(f"{where}.kind", source.kind, KINDS)
    _one_of(f"{where}.environment", source.environment, (addresses.TEST, addresses.PRODUCTION))
    _one_of(f"{where}.domain", source.domain, tuple(HarmDomain))
    for needed in ("set", "url", *KINDS[source.kind].needs):
        if not getattr(source, needed):
            raise BadConfig(f"{where}.{needed}: required for a source of kind {source.kind}", field=f"{where}.{needed}")
    if source.group and not (source.group.isascii() and source.group.isdecimal()):
        raise BadConfig(f"{where}.group: {source.group!r} is no id of a privacy group: digits only", field=where)
    if KINDS[source.kind].begin is None:
        if not _TARGET.fullmatch(source.url):
            raise BadConfig(f"{where}.url: {source.url!r}: expected host:port or unix:/path", field=f"{where}.url")
    else:
        endpoints.check(name, source.kind, source.url, source.environment)
    return Source(name, source)


def _one_of(where: str, value: str, choices: Iterable[str]) -> None:
    if value not in set(choices):
        raise BadConfig(f"{where}: expected one of {', '.join(choices)}, got {value!r}", field=where)
