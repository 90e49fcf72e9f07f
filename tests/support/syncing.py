"""A catalog that follows a simulated exchange, as ``hashmatch hashset sync`` would, without waiting."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.model import Entry, HarmDomain, Rejected
from hashmatch.sections import SourceConfig, SyncConfig
from hashmatch.sync import endpoints
from hashmatch.sync.access import opened
from hashmatch.sync.outcome import Outcome, Terms
from hashmatch.sync.run import over_pages
from hashmatch.sync.sources import Source
from hashmatch.sync.web import Web
from tests.support.exchanges import ncmec, stopncii, tat, threatexchange
from tests.support.exchanges.base import Exchange, Truth

SECRETS: Mapping[type[Exchange], Mapping[str, str]] = {
    ncmec.Ncmec: {"X_USERNAME": ncmec.USERNAME, "X_PASSWORD": ncmec.PASSWORD},
    threatexchange.ThreatExchange: {"X_ACCESS_TOKEN": threatexchange.TOKEN},
    stopncii.StopNcii: {
        "X_FUNCTIONS_KEY": stopncii.FUNCTIONS_KEY,
        "X_SUBSCRIPTION_KEY": stopncii.SUBSCRIPTION_KEY,
        "X_FEEDBACK_FUNCTIONS_KEY": stopncii.FEEDBACK_KEY,
    },
    tat.Tat: {"X_USERNAME": tat.USERNAME, "X_PASSWORD": tat.PASSWORD},
}
"""What each exchange lets in, as it stands in the environment."""

OWN_NAMES: Mapping[type[Exchange], str] = {
    ncmec.Ncmec: ncmec.US[1],
    threatexchange.ThreatExchange: "ThreatExchange app 1234",
    stopncii.StopNcii: stopncii.US,
}


class Follower:
    """One catalog and one source of it."""

    def __init__(self, exchange: Exchange, folder: Path, **settings: Any) -> None:
        self.exchange = exchange
        stated = {
            "kind": type(exchange).__name__.lower(),
            "url": exchange.url,
            "environment": "test",
            "set": "theirs",
            "domain": "other",
            "credentials": "env:X",
            "own_name": OWN_NAMES.get(type(exchange), ""),
            "group": threatexchange.GROUP,
            "max_vanished_percent": 100,
        }
        self.source = Source("far", SourceConfig(**{**stated, **settings}))
        self.config = SyncConfig(tries=3, page_tries=2, timeout_s=300)
        self.catalog = SqliteCatalog.open(folder / "catalog")
        self.catalog.create_set("theirs", HarmDomain.OTHER)
        self.rejected: list[Rejected] = []
        self.waits: list[float] = []
        self.secrets = dict(SECRETS[type(exchange)])

    def __repr__(self) -> str:
        return f"<Follower of {self.exchange!r}>"

    async def wait(self, seconds: float) -> None:
        """Write down how long a wait would have been."""
        self.waits.append(seconds)

    def web(self) -> Web:
        """Return the wall to the exchange."""
        config = self.source.config
        base = endpoints.check("far", config.kind, config.url, config.environment)
        access = opened("far", config.kind, config.credentials, self.secrets)
        return Web(base, access, self.config, sleep=self.wait)

    async def sync(self, *, full: bool = False, dry_run: bool = False) -> Outcome:
        """Run once."""
        store = None if dry_run else self.catalog
        terms = Terms(self.config, self.catalog, store, full=full, on_rejected=self.rejected.append)
        async with self.web() as web:
            return await over_pages(self.source, web, terms)

    def with_settings(self, **settings: Any) -> None:
        """Change settings of the source."""
        self.source = Source("far", dataclasses.replace(self.source.config, **settings))

    def held(self) -> Truth:
        """Return what the set holds."""
        return {
            entry.entry_id: (entry.status, frozenset((item.algorithm, item.hex) for item in entry.hashes))
            for entry in self.catalog.entries("theirs")
        }

    def entry(self, entry_id: str) -> Entry:
        """Return one entry."""
        return self.catalog.get_entry("theirs", entry_id)
