"""Which catalog a configuration means, and what is said where there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hashmatch.catalog.opening import CATALOG, open_catalog
from hashmatch.catalog.postgres import PostgresCatalog
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.config import CatalogConfig
from hashmatch.errors import BadConfig, BadInput, CatalogUnavailable
from hashmatch.model import HarmDomain


def test_without_an_address_it_is_the_file_in_the_data_directory(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        open_catalog(CatalogConfig(), tmp_path, make=False)
    assert caught.value.message == (
        f"{tmp_path} holds no catalog; `hashmatch hashset create NAME --domain DOMAIN` makes one, "
        "--data or HASHMATCH_DATA names another directory"
    )
    with open_catalog(CatalogConfig(), tmp_path) as catalog:
        assert isinstance(catalog, SqliteCatalog)
    assert (tmp_path / CATALOG).is_file()
    open_catalog(CatalogConfig(), tmp_path, make=False).close()


def test_with_an_address_it_is_postgresql(database: CatalogConfig, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no catalog; .* catalog\.url names another database") as caught:
        open_catalog(database, tmp_path, make=False)
    assert caught.value.field == "catalog.url"
    with open_catalog(database, tmp_path) as catalog:
        assert isinstance(catalog, PostgresCatalog)
        catalog.create_set("known", HarmDomain.OTHER)
    with open_catalog(database, tmp_path, make=False) as catalog:
        assert [item.name for item in catalog.sets()] == ["known"]
    assert list(tmp_path.iterdir()) == []


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hashmatch.catalog.postgres", None)
    with pytest.raises(BadConfig, match=r"pip install 'hashmatch\[postgres\]'"):
        open_catalog(CatalogConfig(url="postgresql://h@127.0.0.1:1/x"), tmp_path)


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogUnavailable, match=r"PostgreSQL 127\.0\.0\.1:1/x: .*check that PostgreSQL runs"):
        open_catalog(CatalogConfig(url="postgresql://h@127.0.0.1:1/x"), tmp_path)
