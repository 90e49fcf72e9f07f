"""Options of commands that ask a service: where it is, how it is known, and who asks.

Theory of operation
-------------------
:func:`connects` gives a command ``--server`` and what goes with it, and hands the outcome over as one value. A key
comes from a file or from ``HASHMATCH_API_KEY``, never from the command line, which ends up in the shell's history
and in ``ps``. The other options may come from the environment as well.

What this module deliberately does not do: it makes no connection.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashmatch import config

if TYPE_CHECKING:
    from hashmatch.client.access import Access

_FILE = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class Server:
    """A service to ask."""

    address: str
    access: Access


def connects(text: str, *, required: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of a connection; it gets a ``server``, or None where none was named.

    Parameters
    ----------
    text : str
        Help of ``--server``.
    required : bool
        Whether it has to be named.

    """
    options = (
        click.option("--server", metavar="ADDR", required=required, help=text),
        click.option("--tls", is_flag=True, envvar="HASHMATCH_TLS", help="Encrypt, and verify by public roots."),
        click.option(
            "--tls-ca", type=_FILE, metavar="FILE", envvar="HASHMATCH_TLS_CA",
            help="Encrypt, and verify by these roots (HASHMATCH_TLS_CA).",
        ),
        click.option(
            "--tls-name", metavar="NAME", envvar="HASHMATCH_TLS_NAME",
            help="Name in the server's certificate, where it is not that of ADDR (HASHMATCH_TLS_NAME).",
        ),
        click.option(
            "--tls-certificate", type=_FILE, metavar="FILE", envvar="HASHMATCH_TLS_CERTIFICATE",
            help="Own certificate, for a server that asks for one (HASHMATCH_TLS_CERTIFICATE).",
        ),
        click.option(
            "--tls-key", type=_FILE, metavar="FILE", envvar="HASHMATCH_TLS_KEY", help="Its key (HASHMATCH_TLS_KEY)."
        ),
        click.option(
            "--api-key-file", type=_FILE, metavar="FILE", envvar="HASHMATCH_API_KEY_FILE",
            help="File with the API key (HASHMATCH_API_KEY_FILE); or HASHMATCH_API_KEY holds it.",
        ),
    )  # fmt: skip

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_server(*arguments: Any, server: str | None, **given: Any) -> Any:
            said = {name: given.pop(name) for name in _NAMES}
            return command(*arguments, server=None if server is None else _server(server, **said), **given)

        for option in reversed(options):
            with_server = option(with_server)
        return with_server

    return decorate


_NAMES = ("tls", "tls_ca", "tls_name", "tls_certificate", "tls_key", "api_key_file")


def _server(
    address: str,
    *,
    tls: bool,
    tls_ca: Path | None,
    tls_name: str | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    api_key_file: Path | None,
) -> Server:
    from hashmatch.client.access import Access

    access = Access.from_files(
        api_key="" if api_key_file else config.api_key(),
        api_key_file=api_key_file or "",
        tls=tls,
        ca=tls_ca or "",
        name=tls_name or "",
        certificate=tls_certificate or "",
        key=tls_key or "",
    )
    return Server(address, access)
