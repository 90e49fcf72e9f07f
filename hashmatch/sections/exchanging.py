"""The sections about lists that others keep."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field

from hashmatch.limits import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """One list that is kept elsewhere: ``[sync.sources.NAME]`` (docs/guide/sync.md)."""

    kind: str = setting("", "what is there: ncmec, threatexchange, stopncii, tat or hashmatch")
    url: str = setting("", "where it is: https://host/path; of a hashmatch host:port")
    environment: str = setting("", "test or production; a known host of the other kind is refused")
    set: str = setting("", "the set that is kept equal to the list; no other source may feed it")
    domain: str = setting("", "what the set is about, when it is made by the first run")
    credentials: str = setting("", "where the secrets are: env:PREFIX or file:/path, never the secrets themselves")
    own_name: str = setting("", "what the list calls us: opinions of that name are our own, and are sent, not taken")
    group: str = setting("", "threatexchange: id of the privacy group")
    remote_set: str = setting("", "hashmatch: name of the set there; as here when empty")
    max_vanished_percent: int = setting(
        10, "of a set that may have gone from the list at once, seen by a full run; more is an accident until "
        "somebody raises this", unit="percent", at_least=0, at_most=100,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncConfig:
    """Keeping sets equal to lists that others keep."""

    timeout_s: int = setting(
        120, "one request, its body included; a page of 1,000 entries takes the exchanges seconds", unit="s", at_least=1
    )
    connect_timeout_s: int = setting(10, "a host that answers does so within this", unit="s", at_least=1)
    max_page_bytes: int = setting(
        64 << 20, "a page of 1,000 entries with feedback of all members is about 8 MB", unit="bytes",
        at_least=1 << 10, at_most=1 << 30,
    )  # fmt: skip
    max_pages: int = setting(
        1_000_000, "pages of one run; a billion entries, beyond which a source leads in circles", unit="pages",
        at_least=1,
    )  # fmt: skip
    tries: int = setting(5, "of one request; with doubling waits that is about half a minute", unit="tries", at_least=1)
    page_tries: int = setting(
        3, "of a page that arrives and cannot be read; most of them are cut off and come whole the next time",
        unit="tries", at_least=1,
    )  # fmt: skip
    first_wait_s: float = setting(
        1.0, "bound of the first wait before trying again; doubled each time", unit="s", at_least=0
    )
    longest_wait_s: float = setting(60.0, "bound of any wait that was not asked for", unit="s", at_least=0)
    longest_retry_after_s: float = setting(
        300.0, "a source that asks to be left alone for longer is left alone until the next run", unit="s", at_least=0
    )
    sources: Mapping[str, SourceConfig] = field(default_factory=lambda: types.MappingProxyType({}))
    """Name to source."""
