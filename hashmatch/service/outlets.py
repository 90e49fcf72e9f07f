"""The outlets of a configuration, each made by its kind.

Theory of operation
-------------------
An outlet is made when the service starts, so that an address of the wrong environment, a secret that is missing or a
library that is not installed is found out about then. The table has one row per kind; each module is imported when an
outlet of its kind is configured.

What this module deliberately does not do: it sends nothing.
"""

from __future__ import annotations

import os
import re
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from hashmatch import addresses
from hashmatch.config import OutboxConfig, OutletConfig
from hashmatch.errors import BadConfig
from hashmatch.model.cases import Environment, OutletKind
from hashmatch.outbox import secrets
from hashmatch.outbox.parcels import Outlet
from hashmatch.outbox.worker import Line

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def lines(config: OutboxConfig, environ: Mapping[str, str] = os.environ) -> Mapping[str, Line]:
    """Make every outlet of a configuration.

    Raises
    ------
    BadConfig
        One has no such kind or environment, an address of the other environment, or no credentials.

    """
    return {name: Line(name, outlet, _made(name, outlet, config, environ)) for name, outlet in config.outlets.items()}


def _made(name: str, outlet: OutletConfig, config: OutboxConfig, environ: Mapping[str, str]) -> Outlet:
    where = f"outbox.outlets.{name}"
    if not _NAME.fullmatch(name):
        raise BadConfig(
            f"{where}: an outlet's name has at most 64 letters, digits, and . _ -; figures are counted under it",
            field=where,
        )
    kinds = [kind.value for kind in OutletKind]
    if outlet.kind not in kinds:
        raise BadConfig(f"{where}.kind: expected one of {', '.join(kinds)}, got {outlet.kind!r}", field=f"{where}.kind")
    environments = [environment.value for environment in Environment]
    if outlet.environment not in environments:
        raise BadConfig(
            f"{where}.environment: expected {' or '.join(environments)}, got {outlet.environment!r}",
            field=f"{where}.environment",
        )
    return MAKERS[OutletKind(outlet.kind)](name, outlet, config, environ)


def _cybertipline(name: str, outlet: OutletConfig, config: OutboxConfig, environ: Mapping[str, str]) -> Outlet:
    from hashmatch.outbox.cybertipline import CyberTipline

    return CyberTipline(
        name, outlet, config, secrets.opened(name, OutletKind.CYBERTIPLINE, outlet.credentials, environ)
    )


def _dsa_database(name: str, outlet: OutletConfig, config: OutboxConfig, environ: Mapping[str, str]) -> Outlet:
    from hashmatch.outbox.dsa_database import DsaDatabase

    base = addresses.parsed(f"outbox.outlets.{name}.url", outlet.url)
    found = secrets.opened(name, OutletKind.DSA_DATABASE, outlet.credentials, environ)
    return DsaDatabase(name, base, Environment(outlet.environment), found, config)


def _mail(name: str, outlet: OutletConfig, config: OutboxConfig, environ: Mapping[str, str]) -> Outlet:
    from hashmatch.outbox.mail import MailOutlet

    return MailOutlet(name, outlet, config, secrets.opened(name, OutletKind.MAIL, outlet.credentials, environ))


def _webhook(name: str, outlet: OutletConfig, config: OutboxConfig, environ: Mapping[str, str]) -> Outlet:
    from hashmatch.outbox.webhook import WebhookOutlet

    base = addresses.parsed(f"outbox.outlets.{name}.url", outlet.url)
    addresses.check_environment(f"outbox.outlets.{name}.url", base, outlet.environment, {})
    return WebhookOutlet(name, base, secrets.opened(name, OutletKind.WEBHOOK, outlet.credentials, environ), config)


def _folder(name: str, outlet: OutletConfig, config: OutboxConfig, environ: Mapping[str, str]) -> Outlet:
    from hashmatch.outbox.folder import FolderOutlet

    del config
    secrets.opened(name, OutletKind.FOLDER, outlet.credentials, environ)
    field = f"outbox.outlets.{name}.url"
    parts = urlsplit(outlet.url)
    if parts.scheme != "file" or parts.netloc or not parts.path.startswith("/"):
        raise BadConfig(f"{field}: expected file:///path, got {outlet.url!r}", field=field)
    return FolderOutlet(Path(unquote(parts.path)))


MAKERS: Final[Mapping[OutletKind, Callable[[str, OutletConfig, OutboxConfig, Mapping[str, str]], Outlet]]] = (
    types.MappingProxyType(
        {
            OutletKind.CYBERTIPLINE: _cybertipline,
            OutletKind.DSA_DATABASE: _dsa_database,
            OutletKind.MAIL: _mail,
            OutletKind.WEBHOOK: _webhook,
            OutletKind.FOLDER: _folder,
        }
    )
)
