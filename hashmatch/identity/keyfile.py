"""The keys file: JSON that ``hashmatch keys`` writes and a running service reads again whenever it changes.

Theory of operation
-------------------
The file holds digests, never keys, so a copy of it opens nothing; whoever can *write* it can let anybody in, and so one
that others may write is refused. It may be mounted from elsewhere, as Kubernetes does with a secret. It is replaced as
a whole (temporary file, fsync, rename, fsync of the directory), under a lock beside it, so that two commands at once
lose nothing and a reader sees one version or the other.

What this module deliberately does not do: it decides nothing about a caller.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import os
import stat
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from hashmatch.durable import replacing
from hashmatch.errors import BadConfig, BadInput
from hashmatch.identity.accounts import Account, Directory, Key, checked
from hashmatch.identity.roles import Role
from hashmatch.identity.tokens import DIGEST_BYTES
from hashmatch.sections import QuotaConfig

KEYS_FILE: Final = "keys.json"
"""In the data directory, where the configuration names no other."""

FORMAT: Final = 1
MAX_BYTES: Final = 16 << 20
"""About thirty thousand callers."""

_QUOTAS: Final = frozenset(QuotaConfig.__dataclass_fields__)


def place(keys_file: str, data_dir: Path) -> Path:
    """Return where the keys are, or would be."""
    return Path(keys_file) if keys_file else data_dir / KEYS_FILE


def parsed(untrusted_text: str | bytes, where: str) -> Directory:
    """Return what a keys file says; ``where`` is for messages.

    Raises
    ------
    BadConfig
        It is no keys file, was written by a newer hashmatch, or says something impossible; the message says where.

    """
    try:
        tree = json.loads(untrusted_text)
    except (ValueError, RecursionError) as error:
        raise BadConfig(f"{where} is not valid JSON", field="keys") from error
    if not isinstance(tree, dict) or tree.get("format") != FORMAT or not isinstance(tree.get("callers"), list):
        raise BadConfig(f"{where} is no keys file of format {FORMAT}; `hashmatch keys create` makes one", field="keys")
    accounts = []
    for number, row in enumerate(tree["callers"]):
        try:
            accounts.append(checked(_account(row)))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadConfig(f"{where}: callers[{number}] is not valid: {error}", field="keys") from error
        except BadInput as error:
            raise BadConfig(f"{where}: callers[{number}].{error.message}", field="keys") from error
    return Directory(accounts)


def rendered(accounts: Iterable[Account]) -> str:
    """Return the text of a keys file."""
    rows = [_row(account) for account in sorted(accounts, key=lambda account: account.name)]
    return json.dumps({"format": FORMAT, "callers": rows}, indent=1) + "\n"


def read(path: Path) -> Directory:
    """Read a keys file.

    Raises
    ------
    BadConfig
        It cannot be read, others may write it, or it is not valid.

    """
    try:
        with path.open("rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            text = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadConfig(f"cannot read the keys file {path}: {error.strerror}", field="keys") from error
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise BadConfig(
            f"others may write the keys file {path} (mode {mode:04o}), and let anybody in; chmod 600 it", field="keys"
        )
    if len(text) > MAX_BYTES:
        raise BadConfig(f"the keys file {path} has more than {MAX_BYTES} bytes", field="keys")
    return parsed(text, str(path))


def change(path: Path, edit: Callable[[Directory], Iterable[Account]]) -> Directory:
    """Replace a keys file by what ``edit`` makes of it; one that is not there has nobody in it.

    Raises
    ------
    BadConfig
        The file cannot be read or written. Nothing was changed.

    """
    try:
        with _locked(path):
            accounts = tuple(edit(read(path) if path.exists() else Directory(())))
            text = rendered(accounts)
            made = parsed(text, str(path))  # nothing is written that could not be read
            with replacing(path) as stream:
                stream.write(text.encode())
    except OSError as error:
        raise BadConfig(f"cannot write the keys file {path}: {error.strerror}", field="keys") from error
    return made


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock beside the file."""
    descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def described(account: Account) -> dict[str, object]:
    """Return what is known of a caller but its keys, as plain values."""
    return {
        "name": account.name,
        "description": account.description,
        "roles": sorted(account.roles),
        "sets": None if account.sets is None else sorted(account.sets),
        "certificates": list(account.certificates),
        "quota": dict(account.quota),
        "created_at": text_of(account.created_at),
        "changed_at": text_of(account.changed_at),
        "revoked_at": text_of(account.revoked_at),
    }


def _row(account: Account) -> dict[str, object]:
    return {
        **described(account),
        "keys": [
            {
                "id": key.key_id,
                "digest": key.digest.hex(),
                "created_at": text_of(key.created_at),
                "expires_at": text_of(key.expires_at),
                "revoked_at": text_of(key.revoked_at),
            }
            for key in account.keys
        ],
    }


def _account(row: Mapping[str, Any]) -> Account:
    """Return the account of a row; raises KeyError, TypeError, ValueError, AttributeError: ``parsed`` explains."""
    unknown = sorted(set(row) - set(Account.__dataclass_fields__))
    if unknown:
        raise ValueError(f"there is no field {unknown[0]!r}")
    sets = row["sets"]
    return Account(
        name=_str(row["name"]),
        roles=frozenset(Role(role) for role in _strings(row["roles"])),
        sets=None if sets is None else frozenset(_strings(sets)),
        keys=tuple(_key(key) for key in row["keys"]),
        certificates=tuple(_strings(row["certificates"])),
        quota=_quota(row["quota"]),
        description=_str(row["description"]),
        created_at=_moment(row["created_at"]),
        changed_at=_moment(row["changed_at"]),
        revoked_at=_maybe(row["revoked_at"]),
    )


def _key(row: Mapping[str, Any]) -> Key:
    digest = bytes.fromhex(row["digest"])
    if len(digest) != DIGEST_BYTES:
        raise ValueError(f"a digest has {DIGEST_BYTES} bytes, not {len(digest)}")
    return Key(
        _str(row["id"]), digest, _moment(row["created_at"]), _maybe(row["expires_at"]), _maybe(row["revoked_at"])
    )


def _quota(given: Mapping[str, object]) -> Mapping[str, int]:
    quota: dict[str, int] = {}
    for name, amount in given.items():
        if name not in _QUOTAS:
            raise ValueError(f"there is no quota {name!r}; there are {', '.join(sorted(_QUOTAS))}")
        if not isinstance(amount, int) or isinstance(amount, bool):
            raise TypeError(f"quota.{name}: expected a whole number")
        least = 1 if name.endswith("burst") else 0
        if not least <= amount <= 1 << 50:
            raise ValueError(f"quota.{name}: {amount} is out of range; at least {least}")
        quota[name] = amount
    return types.MappingProxyType(quota)


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, got {type(value).__name__}")
    return value


def _strings(value: object) -> list[str]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list, got {type(value).__name__}")
    return [_str(item) for item in value]


def text_of(moment: dt.datetime | None) -> str | None:
    """Return a moment as the file has it."""
    return None if moment is None else moment.astimezone(dt.UTC).isoformat(timespec="seconds")


def _moment(text: object) -> dt.datetime:
    moment = dt.datetime.fromisoformat(_str(text))
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment


def _maybe(text: object) -> dt.datetime | None:
    return None if text is None else _moment(text)
