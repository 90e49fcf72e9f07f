"""Accounts and keys files for tests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hashmatch.identity import keyfile, tokens
from hashmatch.identity.accounts import Account
from hashmatch.identity.roles import Role
from hashmatch.identity.tokens import Token

NOW = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def account(name: str = "uploads", roles: Iterable[Role] = (Role.DETECT,), **given: Any) -> Account:
    """Return an account of this moment."""
    return Account(name=name, roles=frozenset(roles), **{"created_at": NOW, "changed_at": NOW, **given})


def keyed(one: Account, *, expires_at: dt.datetime | None = None) -> tuple[Account, Token]:
    """Give the account a key, and return both."""
    token = tokens.made()
    return one.with_key(token, NOW, expires_at), token


def write(path: Path, *accounts: Account) -> Path:
    """Replace a keys file."""
    keyfile.change(path, lambda _: accounts)
    return path
