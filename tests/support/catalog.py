"""Backends of the catalog, and what the contract suite fills them with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hashmatch.catalog.postgres import PostgresCatalog
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.catalog.store import Catalog
from hashmatch.model import (
    Entry,
    EntryHash,
    HarmDomain,
)


def in_file(_: pytest.FixtureRequest, folder: Path) -> Catalog:
    return SqliteCatalog.open(folder / "catalog")


def in_postgres(request: pytest.FixtureRequest, _: Path) -> Catalog:
    return PostgresCatalog.open(request.getfixturevalue("database"))


BACKENDS: dict[str, Callable[[pytest.FixtureRequest, Path], Catalog]] = {"sqlite": in_file, "postgres": in_postgres}
WHY = {"reason": "a mistake", "actor": "ann"}


def pdq(number: int, quality: int | None = None) -> EntryHash:
    return EntryHash("pdq", number.to_bytes(32, "big"), quality)


def md5(number: int) -> EntryHash:
    return EntryHash("md5", number.to_bytes(16, "big"))


def filled(catalog: Catalog, count: int = 3) -> Catalog:
    catalog.create_set("known", HarmDomain.OTHER)
    catalog.import_entries("known", [Entry(f"e{number}", (pdq(number + 1),)) for number in range(count)])
    return catalog


def only(catalog: Catalog, name: str = "known") -> Entry:
    (entry,) = catalog.entries(name)
    return entry


class Watcher:
    """A progress that writes down what it is told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, object]] = []

    def start(self, description: str, total: int | None, unit: str = "items") -> None:
        """Note the beginning."""
        self.said.append((f"{description} ({unit})", total))

    def advance(self, done: int) -> None:
        """Note a step."""
        self.said.append(("advance", done))

    def finish(self) -> None:
        """Note the end."""
        self.said.append(("finish", None))
