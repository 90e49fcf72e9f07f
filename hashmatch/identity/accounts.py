"""Who is known: accounts with their keys and certificates, and who a key or a certificate belongs to.

Theory of operation
-------------------
An :class:`Account` is a program or an organisation that calls, with roles, sets and a quota. It has keys, of which one
after another may be made, expire and be revoked, and it may be known by names in its certificate (URIs such as SPIFFE
ids, or DNS names) instead. Nothing is deleted: a revoked key stays, so that whoever shows it is told so and the
record of who had it remains.

A :class:`Directory` is all accounts at one moment, found by key id and by certificate name. A key that is not known and
one whose secret is wrong give the same answer; that a key is expired or revoked is told only to who has it.

Keys expire by the wall clock, which is what people mean by a date; everything else about time is monotonic.

What this module deliberately does not do: it reads no file and no clock.
"""

from __future__ import annotations

import datetime as dt
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Self

from hashmatch.errors import BadConfig, BadInput, Lack, Unauthenticated
from hashmatch.identity.callers import Caller, Proof
from hashmatch.identity.roles import Role
from hashmatch.identity.tokens import Token

MAX_DESCRIPTION: Final = 500
RESERVED: Final = frozenset({"local", "anonymous", "sync", "flood-guard"})
"""Names that stand for something else wherever it is written who did something."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_CERTIFICATE: Final = re.compile(r"[a-z][a-z0-9+.-]*://[!-~]{1,240}|[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Key:
    """What is stored of a key."""

    key_id: str
    digest: bytes = field(repr=False)
    created_at: dt.datetime
    expires_at: dt.datetime | None = None
    revoked_at: dt.datetime | None = None

    def state(self, now: dt.datetime) -> str:
        """Return ``valid``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and now >= self.expires_at else "valid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody who may call. ``sets`` None means all; ``quota`` holds what differs from ``[server.quota]``."""

    name: str
    roles: frozenset[Role]
    sets: frozenset[str] | None = None
    keys: tuple[Key, ...] = ()
    certificates: tuple[str, ...] = ()
    quota: Mapping[str, int] = field(default_factory=lambda: types.MappingProxyType({}))
    description: str = ""
    created_at: dt.datetime
    changed_at: dt.datetime
    revoked_at: dt.datetime | None = None

    def with_key(self, token: Token, now: dt.datetime, expires_at: dt.datetime | None) -> Self:
        """Add a key."""
        key = Key(token.key_id, token.digest, now, expires_at)
        return replace(self, keys=(*self.keys, key), changed_at=now)

    def ended_at(self, end: dt.datetime, now: dt.datetime) -> Self:
        """Let every key that is valid end at a moment, unless it ends before."""
        keys = tuple(
            key
            if key.state(now) != "valid" or (key.expires_at is not None and key.expires_at <= end)
            else replace(key, revoked_at=now)
            if end <= now
            else replace(key, expires_at=end)
            for key in self.keys
        )
        return replace(self, keys=keys, changed_at=now)

    def revoked(self, now: dt.datetime) -> Self:
        """End all keys and certificates for good."""
        return replace(self.ended_at(now, now), revoked_at=self.revoked_at or now)

    def without_key(self, key_id: str, now: dt.datetime) -> Self:
        """Revoke one key.

        Raises
        ------
        BadInput
            The account has no key of that id.

        """
        if key_id not in {key.key_id for key in self.keys}:
            known = ", ".join(key.key_id for key in self.keys) or "none"
            raise BadInput(f"key: {self.name} has no key {key_id!r}; it has {known}", field="key")
        keys = tuple(
            replace(key, revoked_at=key.revoked_at or now) if key.key_id == key_id else key for key in self.keys
        )
        return replace(self, keys=keys, changed_at=now)


def checked(account: Account) -> Account:
    """Return the account.

    Raises
    ------
    BadInput
        Its name, a name in its certificates or its description is not valid, or it has no role.

    """
    if not _NAME.fullmatch(account.name) or account.name in RESERVED:
        raise BadInput(
            f"name: {account.name[:80]!r} is no name for a caller; 1 to 64 lower-case letters, digits, dots, dashes "
            f"and underscores, and none of {', '.join(sorted(RESERVED))}",
            field="name",
        )
    if not account.roles:
        raise BadInput(f"role: {account.name} has none; there are {', '.join(Role)}", field="role")
    for name in account.certificates:
        if not _CERTIFICATE.fullmatch(name):
            raise BadInput(
                f"certificate: {name[:80]!r} is neither a URI such as spiffe://example.org/upload nor a DNS name in "
                "lower case",
                field="certificate",
            )
    if len(account.description) > MAX_DESCRIPTION or not account.description.isprintable():
        raise BadInput(f"description: at most {MAX_DESCRIPTION} printable characters", field="description")
    return account


class Directory:
    """All accounts at one moment."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self.accounts: tuple[Account, ...] = tuple(sorted(accounts, key=lambda account: account.name))
        self._keys: dict[str, tuple[Account, Key]] = {}
        self._certificates: dict[str, Account] = {}
        self._names: dict[str, Account] = {}
        for account in self.accounts:
            if account.name in self._names:
                raise BadConfig(f"the keys file has two callers named {account.name}", field="keys")
            self._names[account.name] = account
            for key in account.keys:
                if key.key_id in self._keys:
                    raise BadConfig(f"the keys file has two keys of the id {key.key_id}", field="keys")
                self._keys[key.key_id] = (account, key)
            for certificate in account.certificates:
                if certificate in self._certificates:
                    raise BadConfig(f"two callers of the keys file have the certificate {certificate}", field="keys")
                self._certificates[certificate] = account

    def __repr__(self) -> str:
        return f"<Directory: {len(self.accounts)} callers, {len(self._keys)} keys>"

    def find(self, name: str) -> Account | None:
        """Return the account of that name."""
        return self._names.get(name)

    def quota(self, name: str) -> Mapping[str, int]:
        """Return what differs from the common quota."""
        account = self.find(name)
        return types.MappingProxyType({}) if account is None else account.quota

    def by_key(self, token: Token, now: dt.datetime) -> Caller:
        """Return whose key this is.

        Raises
        ------
        Unauthenticated
            Nobody's; or it is expired or revoked, which only its holder gets to know.

        """
        account, key = self._keys.get(token.key_id, (None, None))
        if not token.is_that_of(None if key is None else key.digest) or account is None or key is None:
            raise Unauthenticated("authorization: this key is not known here", lack=Lack.UNKNOWN_KEY)
        state = key.state(now)
        if state != "valid":
            when = key.revoked_at or key.expires_at or now
            raise Unauthenticated(
                f"authorization: the key {key.key_id} is {state} since {when.isoformat(timespec='seconds')}",
                lack=Lack.EXPIRED_KEY if state == "expired" else Lack.REVOKED_KEY,
                owner=account.name,
            )
        return _caller(account, Proof.KEY, key.key_id)

    def by_certificate(self, names: Iterable[str]) -> Caller:
        """Return whose certificate has one of these names.

        Raises
        ------
        Unauthenticated
            Nobody's, or that of several callers.

        """
        found = {name: self._certificates[name] for name in names if name in self._certificates}
        callers = {account.name for account in found.values()}
        if len(callers) != 1:
            raise Unauthenticated(
                "the certificate has no name (URI or DNS) that is known here, and no key was sent"
                if not callers
                else f"the certificate has the names of several callers: {', '.join(sorted(callers))}",
                lack=Lack.AMBIGUOUS_CERTIFICATE if callers else Lack.UNKNOWN_CERTIFICATE,
            )
        name, account = next(iter(found.items()))
        return _caller(account, Proof.CERTIFICATE, name)


def _caller(account: Account, proof: Proof, credential: str) -> Caller:
    if account.revoked_at is not None:
        raise Unauthenticated(
            f"{account.name} is revoked since {account.revoked_at.isoformat(timespec='seconds')}",
            lack=Lack.REVOKED_CALLER,
            owner=account.name,
        )
    return Caller(account.name, account.roles, account.sets, proof, credential)
