"""What an outlet needs in order to be let in, and where that is read from.

Theory of operation
-------------------
An outlet's ``credentials`` say where its secrets are (``hashmatch.credentials``). :data:`SECRETS` and :data:`OPTIONAL`
list what each kind of outlet has. What comes back is a mapping whose ``repr`` names the secrets that are there and
shows none.

What this module deliberately does not do: it makes no headers, each outlet does.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from hashmatch import credentials
from hashmatch.errors import BadConfig
from hashmatch.model.cases import OutletKind

SECRETS: Final[Mapping[OutletKind, tuple[str, ...]]] = MappingProxyType(
    {
        OutletKind.CYBERTIPLINE: ("username", "password"),
        OutletKind.DSA_DATABASE: ("token",),
        OutletKind.MAIL: (),
        OutletKind.WEBHOOK: ("secret",),
        OutletKind.FOLDER: (),
    }
)
"""Kind of outlet to the secrets that it needs."""

OPTIONAL: Final[Mapping[OutletKind, tuple[str, ...]]] = MappingProxyType({OutletKind.MAIL: ("username", "password")})
"""Kind of outlet to secrets that it can do without."""


class Secrets(Mapping[str, str]):
    """The secrets of one outlet, by name."""

    def __init__(self, kind: OutletKind, found: Mapping[str, str]) -> None:
        self._kind = kind
        self._found = dict(found)

    def __repr__(self) -> str:
        return f"<Secrets of {self._kind.value}: {', '.join(self._found) or 'none'}>"

    def __getitem__(self, name: str) -> str:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def opened(name: str, kind: OutletKind, where: str, environ: Mapping[str, str]) -> Secrets:
    """Read an outlet's secrets; ``where`` is its ``credentials``.

    Raises
    ------
    BadConfig
        They are not where the configuration says, or others may read them; or the outlet has no use for any.

    """
    setting = f"outbox.outlets.{name}.credentials"
    wanted, optional = SECRETS[kind], OPTIONAL.get(kind, ())
    if not where and not wanted:
        return Secrets(kind, {})
    if not wanted and not optional:
        raise BadConfig(f"{setting}: an outlet of kind {kind.value} takes no credentials", field=setting)
    return Secrets(kind, credentials.read(setting, where, environ, wanted=wanted, optional=optional))


def basic(secrets: Mapping[str, str]) -> str:
    """Return the value of ``Authorization`` for a username and a password.

    Source: RFC 7617 §2.
    """
    pair = f"{secrets['username']}:{secrets['password']}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"
