"""The callers that a running service knows: the keys file, read again whenever it changes.

Theory of operation
-------------------
The file is read once before the service listens, and must then be valid. While it runs a task looks at its stamp every
``server.access.poll_ms`` and reads it in a thread when that has changed. A version that is not valid changes nothing,
and the log says why, once. A file that vanishes changes nothing either: whoever could remove a file must not thereby
open the service. One that appears closes it to all who are not in it.

What this module deliberately does not do: it authenticates nobody (``identity.accounts`` does).
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from hashmatch.config import ServerConfig
from hashmatch.errors import BadConfig
from hashmatch.identity import keyfile
from hashmatch.identity.accounts import Directory
from hashmatch.service.changes import Stamp, stamp

_log = logging.getLogger("hashmatch.service")


class Keyring:
    """Who is known now."""

    def __init__(self, config: ServerConfig, data_dir: Path | None = None) -> None:
        self._config = config
        self._paths = [] if data_dir is None else [keyfile.place(config.access.keys_file, data_dir)]
        self._seen: Stamp = ()
        self.directory: Directory | None = None
        """All callers; None where nobody is asked who they are."""

    def __repr__(self) -> str:
        return f"<Keyring: {'open to all' if self.directory is None else self.directory!r}>"

    def load(self) -> None:
        """Read the file.

        Raises
        ------
        BadConfig
            It is not valid; or it is named in the configuration and not there.

        """
        if self._config.tls.client_ca:
            self.directory = Directory(())  # a certificate says who somebody is, and the file who may come in
        self._seen = stamp(self._paths)
        for path in self._paths:
            if self._config.access.keys_file or self._seen != (None,):
                self.directory = keyfile.read(path)

    def look(self) -> None:
        """Read the file if it has changed; one that is not valid, or gone, leaves everything as it is."""
        now = stamp(self._paths)
        if now == self._seen:
            return
        self._seen = now
        if now == (None,):
            _log.error("the keys file is gone, and who was known before still is")
            return
        try:
            self.directory = keyfile.read(self._paths[0])
        except BadConfig as error:
            _log.error("the keys file cannot be used, and who was known before still is: %s", error.message)
        else:
            _log.info("the keys file was read again: %d callers", len(self.directory.accounts))

    async def follow(self) -> None:
        """Look at the file for ever."""
        while True:
            await asyncio.sleep(self._config.access.poll_ms / 1e3)
            if self._paths:
                await asyncio.to_thread(self.look)
