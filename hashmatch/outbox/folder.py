"""Documents as files in a directory, for a hand-over that no network is part of.

Theory of operation
-------------------
Each delivery is a directory of its own, named after its key, with the body, the parts, and ``manifest.json``, which
says what it is and has the SHA-256 of each file. It is written under a name that begins with ``.tmp-``, every file is
synced, then the directory; then it gets its name in one step, and the outlet's directory is synced. So a directory with
a key for a name is whole, whatever killed whoever wrote it, and what was left half-written is removed at the next try,
or by any delivery a day later.

A key that is there already is compared byte by byte: the same content counts as delivered, other content is refused.
A directory that somebody took away in the meantime is written again if the delivery is tried again; the key in the
manifest says that it is the same.

The outlet's directory itself must be there. It may be a mount point, and reports must not end up underneath it.

What this module deliberately does not do: it encrypts nothing; the medium has to.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from hashmatch.durable import sync_directory, write_new
from hashmatch.outbox.parcels import Again, Delivered, Outcome, Parcel, Refused, Save

MANIFEST: Final = "manifest.json"
TEMPORARY: Final = ".tmp-"

STALE_S: Final = 86_400
"""When a half-written directory of another delivery is nobody's any more; no lease is as long."""

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}", re.ASCII)
"""What a file may be called on any medium: no separator, no leading dot, nothing that a shell reads."""

_LASTING: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL}
)
"""What waiting does not change; everything else may: a full disk, a medium that is not there."""


class FolderOutlet:
    """One directory.

    Parameters
    ----------
    root : Path
        Where deliveries go; absolute.

    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def __repr__(self) -> str:
        return f"<FolderOutlet {self._root}>"

    async def deliver(self, parcel: Parcel, save: Save) -> Outcome:  # noqa: ARG002 - one step, nothing to save
        """Write the document and its parts."""
        return await asyncio.to_thread(write, self._root, parcel)

    async def close(self) -> None:
        """Nothing is kept open."""


def write(root: Path, parcel: Parcel) -> Outcome:
    """Write a delivery and return when it is on the medium; see the module."""
    try:
        files = dict(_files(parcel))
    except ValueError as error:
        return Refused(str(error))
    target = root / parcel.key
    try:
        if not root.is_dir():
            return Again(f"{root} is not there or no directory; is the medium mounted?")
        _sweep(root, parcel.key)
        if not os.path.lexists(target):
            _place(root, target, files)
        elif (found := _difference(target, files)) is not None:
            return Refused(f"{target} holds something else ({found}); nothing was changed, look at it")
        sync_directory(root)  # also of what is there already: whoever named it may have been killed before this
    except OSError as error:
        told = f"{root}: {error.strerror or type(error).__name__}"
        return Refused(f"{told}; put it right, then retry") if error.errno in _LASTING else Again(told)
    return Delivered(parcel.key, f"{len(files)} files in {target}")


def _files(parcel: Parcel) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents, the manifest last; raises ValueError where a name is none."""
    document = parcel.document
    contents = ((document.file_name, document.body), *document.parts)
    if not _NAME.fullmatch(parcel.key):
        raise ValueError(f"the key {parcel.key!a} cannot name a directory")
    taken = {MANIFEST}
    for name, _ in contents:
        if not _NAME.fullmatch(name) or name.casefold() in taken:
            raise ValueError(f"{name!a} cannot name a file of the delivery, or names two")
        taken.add(name.casefold())
    yield from contents
    facts = {
        "delivery": parcel.key,
        "delivery_id": parcel.delivery_id,
        "case_id": parcel.case_id,
        **({"further_case_ids": list(parcel.further_case_ids)} if parcel.further_case_ids else {}),
        "environment": parcel.environment.value,
        "format": document.format,
        "media_type": document.media_type,
        "files": [
            {"name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in contents
        ],
    }
    yield MANIFEST, json.dumps(facts, ensure_ascii=False, indent=1).encode() + b"\n"


def _place(root: Path, target: Path, files: Mapping[str, bytes]) -> None:
    """Write the files aside and give them their name in one step."""
    aside = root / f"{TEMPORARY}{target.name}-{secrets.token_hex(8)}"
    try:
        aside.mkdir(mode=0o700)
        for name, content in files.items():
            write_new(aside / name, content)
        sync_directory(aside)
        aside.rename(target)
    except OSError:
        with contextlib.suppress(OSError):
            shutil.rmtree(aside)
        raise


def _difference(target: Path, files: Mapping[str, bytes]) -> str | None:
    """Say in what a directory differs from these files; None where it does not."""
    if target.is_symlink() or not target.is_dir():
        return "no directory"
    there = {path.name for path in target.iterdir()}
    if there != set(files):
        return f"other files: {', '.join(sorted(there ^ set(files)))}"
    for name, content in files.items():
        path = target / name
        if path.is_symlink() or not path.is_file() or path.read_bytes() != content:
            return f"another {name}"
    return None


def _sweep(root: Path, key: str) -> None:
    """Remove what was left half-written: of this delivery, which nobody else has now, and old ones of others."""
    ours, before = f"{TEMPORARY}{key}-", time.time() - STALE_S
    for path in root.glob(f"{TEMPORARY}*"):
        with contextlib.suppress(FileNotFoundError):  # another delivery sweeps too
            if (
                path.is_dir()
                and not path.is_symlink()
                and (path.name.startswith(ours) or path.stat().st_mtime < before)
            ):
                shutil.rmtree(path)
