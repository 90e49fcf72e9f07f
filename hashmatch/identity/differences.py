"""What differs between two keys files, caller by caller, for whoever keeps account of it.

Theory of operation
-------------------
A caller is ``added``, ``removed`` (which only an edit by hand does) or ``changed``; what changed is told with what it
was and what it is. Of keys the public ids are named, with their ends; a key whose secret was exchanged under the same
id is told as such, because no command does that. Descriptions and dates of changes are left out.

What this module deliberately does not do: it tells no digest of a key, and it judges nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Final

from hashmatch.identity import keyfile
from hashmatch.identity.accounts import Account, Directory, Key

Difference = Mapping[str, object]

TOLD: Final = ("roles", "sets", "quota", "certificates", "revoked_at")
"""Fields of a caller whose changes are told."""


def fingerprint(directory: Directory) -> str:
    """Return the SHA-256 of a keys file as hashmatch writes it, 64 hex digits."""
    return hashlib.sha256(keyfile.rendered(directory.accounts).encode()).hexdigest()


def differences(before: Directory, after: Directory) -> Iterator[Difference]:
    """Yield what differs, in the order of names; ``sets`` None stands for all."""
    for name in sorted({account.name for account in (*before.accounts, *after.accounts)}):
        was, now = before.find(name), after.find(name)
        if was is None and now is not None:
            given = keyfile.described(now)
            yield {
                "name": name,
                "change": "added",
                **{field: given[field] for field in TOLD},
                "keys": [_key(key) for key in now.keys],
            }
        elif now is None:
            yield {"name": name, "change": "removed"}
        elif was is not None and (told := dict(_changed(was, now))):
            yield {"name": name, "change": "changed", **told}


def _changed(was: Account, now: Account) -> Iterator[tuple[str, object]]:
    before, after = keyfile.described(was), keyfile.described(now)
    for field in TOLD:
        if before[field] != after[field]:
            yield field, {"before": before[field], "after": after[field]}
    known = {key.key_id: key for key in was.keys}
    keys = [_key(key, known.get(key.key_id)) for key in now.keys if known.get(key.key_id) != key]
    gone = sorted(known.keys() - {key.key_id for key in now.keys})
    if keys or gone:
        yield "keys", [*keys, *({"id": key_id, "removed": True} for key_id in gone)]


def _key(key: Key, was: Key | None = None) -> dict[str, object]:
    told: dict[str, object] = {
        "id": key.key_id,
        "expires_at": keyfile.text_of(key.expires_at),
        "revoked_at": keyfile.text_of(key.revoked_at),
    }
    return {**told, "exchanged": True} if was is not None and was.digest != key.digest else told
