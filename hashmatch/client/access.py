"""How a client shows who it is, and how it knows whom it talks to.

Theory of operation
-------------------
:class:`Access` holds what a channel needs: a key, which goes along with every call as ``authorization: Bearer …``, a
certificate of the client's own, and the roots by which the service's certificate is verified. Nothing of it is ever
shown by ``repr``. A key that would cross a network in clear is refused before a connection is made.

What this module deliberately does not do: it reads no environment; the command line does.
"""

from __future__ import annotations

import functools
import ipaddress
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import grpc

from hashmatch.errors import BadInput

MAX_FILE_BYTES: Final = 4 << 20

Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a client shows and checks. Without anything of it, calls are made in clear and by nobody in particular.

    Parameters
    ----------
    api_key : str
        As `hashmatch keys create` printed it.
    tls : bool
        Encrypt, and verify the service's certificate. Implied by any of the following.
    ca : bytes
        Roots in PEM; without, those that gRPC comes with.
    name : str
        The name that the service's certificate has to have, where it is not that of the target.
    certificate, key : bytes
        The client's own, in PEM, for services that ask for one.
    cleartext : bool
        Send a key without TLS to another machine all the same: inside a network that encrypts by itself.

    """

    api_key: str = field(default="", repr=False)
    tls: bool = False
    ca: bytes = field(default=b"", repr=False)
    name: str = ""
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)
    cleartext: bool = False

    @classmethod
    def from_files(
        cls,
        *,
        api_key: str = "",
        api_key_file: str | Path = "",
        tls: bool = False,
        ca: str | Path = "",
        name: str = "",
        certificate: str | Path = "",
        key: str | Path = "",
    ) -> Self:
        """Read what is in files.

        Raises
        ------
        BadInput
            One cannot be read, or holds a secret that everybody may read.

        """
        if api_key_file and not api_key:
            api_key = _read(api_key_file, "api_key_file", secret=True).decode("ascii", "replace").strip()
        return cls(
            api_key=api_key,
            tls=tls,
            ca=_read(ca, "tls_ca"),
            name=name,
            certificate=_read(certificate, "tls_certificate"),
            key=_read(key, "tls_key", secret=True),
        )

    @property
    def encrypted(self) -> bool:
        """Whether the channel uses TLS."""
        return self.tls or bool(self.ca or self.certificate or self.key)

    def check(self, target: str) -> None:
        """Refuse what would give the key away, or could not work.

        Raises
        ------
        BadInput
            The key would go to another machine in clear, or a certificate has no key or the other way round.

        """
        if bool(self.certificate) != bool(self.key):
            raise BadInput("tls_certificate and tls_key belong together; one of them is missing", field="tls_key")
        if not self.api_key.isascii() or not self.api_key.isprintable():
            raise BadInput("api_key: is no key of hashmatch", field="api_key")
        if self.api_key and not (self.encrypted or self.cleartext or _stays_here(target)):
            raise BadInput(
                f"api_key: would go to {target} in clear, for everybody on the way to read; give the root that its "
                "certificate is verified by (--tls-ca, Access.ca), or tls=True for public roots",
                field="api_key",
            )

    def metadata(self) -> Metadata:
        """Return what goes along with every call."""
        return (("authorization", f"Bearer {self.api_key}"),) if self.api_key else ()

    def options(self) -> tuple[tuple[str, str], ...]:
        """Return the channel's options."""
        return (("grpc.ssl_target_name_override", self.name),) if self.name else ()

    def credentials(self) -> grpc.ChannelCredentials:
        """Return what a channel is made with."""
        return grpc.ssl_channel_credentials(self.ca or None, self.key or None, self.certificate or None)


NOBODY: Final = Access()


class Keyed:
    """A channel whose every call carries the same metadata; made for stubs, asynchronous or not."""

    def __init__(self, channel: Any, metadata: Metadata) -> None:
        self._channel = channel
        self._metadata = metadata

    def __repr__(self) -> str:
        return f"<Keyed {self._channel!r}>"

    def __getattr__(self, name: str) -> Any:
        """Return the maker of calls of that kind (``unary_unary`` and so on)."""
        make = getattr(self._channel, name)

        def made(*arguments: Any, **options: Any) -> Any:
            return functools.partial(make(*arguments, **options), metadata=self._metadata)

        return made


def _stays_here(target: str) -> bool:
    if target.startswith("unix:"):
        return True
    host = target.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read(name: str | Path, setting: str, *, secret: bool = False) -> bytes:
    """Return what is in a file; nothing where none is named."""
    if not name:
        return b""
    path = Path(name)
    try:
        with path.open("rb") as stream:
            mode = stat.S_IMODE(path.stat().st_mode)
            found = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{setting}: cannot read {path}: {error.strerror}", field=setting) from error
    if secret and mode & stat.S_IRWXO:
        raise BadInput(f"{setting}: everybody may read {path} (mode {mode:04o}); chmod 600 it", field=setting)
    if not found or len(found) > MAX_FILE_BYTES:
        raise BadInput(f"{setting}: {path} has {len(found)} bytes; expected 1 to {MAX_FILE_BYTES}", field=setting)
    return found
