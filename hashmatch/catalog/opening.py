"""The one place that knows which catalogs there are.

Theory of operation
-------------------
``catalog.url`` decides: empty means the SQLite file in the data directory, anything else a PostgreSQL database. Each
backend is imported when it is opened, so that whoever uses one does not load, or need, the other's library.

What this module deliberately does not do: it reads no configuration, and keeps nothing open.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from hashmatch.catalog.relational import RelationalCatalog
from hashmatch.config import CatalogConfig
from hashmatch.errors import BadConfig, BadInput

CATALOG: Final = "catalog.sqlite3"
"""File name of the embedded catalog inside the data directory."""


def open_catalog(config: CatalogConfig, data_dir: Path, *, make: bool = True) -> RelationalCatalog:
    """Open the catalog that the configuration names.

    Parameters
    ----------
    config : CatalogConfig
        Where it is.
    data_dir : Path
        Where the embedded one lies; must exist, unless the other one is meant. Imports put their rows there meanwhile,
        or into the temporary directory where this one cannot be written.
    make : bool
        Whether to make one where there is none. A mistyped directory or database is then an error rather than an empty
        answer.

    Raises
    ------
    BadConfig
        The other one is meant, and its library is not installed.
    BadInput
        There is none, and ``make`` is False.
    CatalogCorrupt, CatalogUnavailable
        It cannot be used.

    """
    if config.url:
        try:
            from hashmatch.catalog.postgres import PostgresCatalog
        except ImportError as error:
            raise BadConfig(
                f"catalog.url names a PostgreSQL, which needs: pip install 'hashmatch[postgres]' ({error})",
                field="catalog.url",
            ) from error
        return PostgresCatalog.open(config, data_dir if os.access(data_dir, os.W_OK) else None, make=make)
    from hashmatch.catalog.sqlite import SqliteCatalog

    path = data_dir / CATALOG
    if not make and not path.is_file():
        raise BadInput(
            f"{data_dir} holds no catalog; `hashmatch hashset create NAME --domain DOMAIN` makes one, "
            "--data or HASHMATCH_DATA names another directory",
            field="data",
        )
    return SqliteCatalog.open(path)
