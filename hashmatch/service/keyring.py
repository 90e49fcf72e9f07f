"""The callers that a running service knows: the keys file, read again whenever it changes.

Theory of operation
-------------------
The file is read once before the service listens, and must then be valid. While it runs a task looks at its stamp every
``server.access.poll_ms`` and reads it in a thread when that has changed. A version that is not valid changes nothing,
and the log says why, once. A file that vanishes changes nothing either: whoever could remove a file must not thereby
open the service. One that appears closes it to all who are not in it. The audit is told whom the service began with,
and of every change that it took: who was added, and in what a caller is another now, whichever way the file changed.

What this module deliberately does not do: it authenticates nobody (``identity.accounts`` does).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from pathlib import Path

from hashmatch.audit import wording
from hashmatch.config import ServerConfig
from hashmatch.errors import BadConfig, LedgerUnavailable
from hashmatch.identity import keyfile
from hashmatch.identity.accounts import Directory
from hashmatch.identity.differences import Difference, differences, fingerprint
from hashmatch.service.auditor import SILENT, Auditor, Body
from hashmatch.service.changes import Stamp, stamp

_log = logging.getLogger("hashmatch.service")


class Keyring:
    """Who is known now."""

    def __init__(self, config: ServerConfig, data_dir: Path | None = None) -> None:
        self._config = config
        self._paths = [] if data_dir is None else [keyfile.place(config.access.keys_file, data_dir)]
        self._seen: Stamp = ()
        self._auditor = SILENT
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

    def keep_account(self, auditor: Auditor) -> None:
        """Tell ``auditor`` who is known, and from now on what changes."""
        self._auditor = auditor
        if self.directory is not None:
            self._tell(wording.ACCESS_LOADED, _about(self.directory, ()))

    def look(self) -> None:
        """Read the file if it has changed; one that is not valid, or gone, leaves everything as it is."""
        now = stamp(self._paths)
        if now == self._seen:
            return
        self._seen = now
        if now == (None,):
            _log.error("the keys file is gone, and who was known before still is")
            return
        before = self.directory or Directory(())
        try:
            after = keyfile.read(self._paths[0])
        except BadConfig as error:
            _log.error("the keys file cannot be used, and who was known before still is: %s", error.message)
        else:
            self.directory = after
            _log.info("the keys file was read again: %d callers", len(after.accounts))
            if changes := tuple(differences(before, after)):
                self._tell(wording.ACCESS_CHANGED, _about(after, changes))

    async def follow(self) -> None:
        """Look at the file for ever."""
        while True:
            await asyncio.sleep(self._config.access.poll_ms / 1e3)
            if self._paths:
                await asyncio.to_thread(self.look)

    def _tell(self, kind: str, body: Body) -> None:
        with contextlib.suppress(LedgerUnavailable):  # the ledger counts what it has no room for
            self._auditor.event(kind, body)


def _about(directory: Directory, changes: Iterable[Difference]) -> Body:
    return wording.of_access(len(directory.accounts), fingerprint(directory), changes)
