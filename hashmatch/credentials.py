"""Where secrets are: in the environment or in a file, never in the configuration.

Theory of operation
-------------------
A setting ``credentials`` says where its secrets are: ``env:PREFIX`` means the variables ``PREFIX_USERNAME`` and so on,
``file:/path`` a TOML file with the keys ``username`` and so on, which nobody but its owner may read.

What this module deliberately does not do: it knows no receiver and no header, and no message of it holds a secret.
"""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from hashmatch.errors import BadConfig


def read(
    where: str, credentials: str, environ: Mapping[str, str], *, wanted: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, str]:
    """Return the secrets that a setting points to; of the optional ones those that are there.

    Parameters
    ----------
    where : str
        Dotted name of the setting, for messages.
    credentials : str
        ``env:PREFIX`` or ``file:/path``.
    environ : mapping
        The variables of the process.
    wanted, optional : sequence of str
        Names of secrets, in lower case.

    Raises
    ------
    BadConfig
        They are not where the setting says, or others may read them.

    """
    every = (*wanted, *optional)
    scheme, _, place = credentials.partition(":")
    if scheme == "env" and place:
        names = {secret: f"{place}_{secret.upper()}" for secret in every}
        found = {secret: environ.get(variable, "") for secret, variable in names.items()}
    elif scheme == "file" and place:
        names = {secret: f"{secret} in {place}" for secret in every}
        found = _from_file(Path(place), where)
    else:
        raise BadConfig(
            f"{where}: expected env:PREFIX, for variables such as PREFIX_{every[0].upper()}, or file:/path", field=where
        )
    missing = [names[secret] for secret in wanted if not found.get(secret)]
    if missing:
        raise BadConfig(f"{where}: not set: {', '.join(missing)}", field=where)
    given = {secret: found[secret] for secret in every if found.get(secret)}
    for secret, text in given.items():
        if not text.isprintable():
            raise BadConfig(f"{where}: {names[secret]} holds a line break or control character", field=where)
    return given


def _from_file(path: Path, where: str) -> dict[str, str]:
    try:
        with path.open("rb") as stream:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                raise BadConfig(f"{where}: others may read {path} (mode {mode:04o}); chmod 600 it", field=where)
            tree = tomllib.load(stream)
    except OSError as error:
        raise BadConfig(f"{where}: cannot read {path}: {error.strerror}", field=where) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfig(f"{where}: {path} is not valid TOML", field=where) from error
    return {key: value for key, value in tree.items() if isinstance(value, str)}
