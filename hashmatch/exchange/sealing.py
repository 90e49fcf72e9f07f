"""Lists encrypted to those who may read them, with age.

Theory of operation
-------------------
age encrypts a stream in chunks of 64 KiB, each authenticated, so neither side holds more than one. Its library pumps
from a reader to a writer; here a pipe and a thread turn that into a stream one can write to (:func:`sealed`) or read
from (:func:`unsealed`). What was damaged or cut off shows as :class:`~hashmatch.errors.BadFile` where a reader would
otherwise see the end of the file, so nothing that reads to the end can take a part for the whole.

Recipients are ``age1...`` (X25519) or ``ssh-ed25519`` public keys, given as such or in files of one a line; identities
are the files that `age-keygen` and `hashmatch hashset keygen --encryption` write.

What this module deliberately does not do: no passphrases, which get chosen badly, and no signing: who wrote a list is
``manifest``'s business.

Source
------
The age file format, C2SP age.md; the library is pyrage (rage).
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyrage

from hashmatch.errors import BadFile, BadInput

MAGIC = b"age-encryption.org/v1"
"""How an encrypted list begins."""

MAX_KEYS_BYTES = 65_536
"""A file of recipients or identities; a thousand of them fit."""

Key = Any
"""A recipient or an identity of pyrage, whose classes have no types."""


def parse_recipients(given: Sequence[str]) -> list[Key]:
    """Return recipients from keys or from names of files that hold one key a line.

    Raises
    ------
    BadInput
        A text is neither; the message quotes it.

    """
    texts = [
        line for item in given for line in ([item] if item.startswith(("age1", "ssh-")) else _lines(item, "recipients"))
    ]
    return [_parsed(text, _recipient, "a recipient; it begins with age1 or ssh-ed25519") for text in texts]


def load_identities(path: Path) -> list[Key]:
    """Return the identities in a file.

    Raises
    ------
    BadInput
        The file cannot be read or holds something else.

    """
    return [
        _parsed(text, pyrage.x25519.Identity.from_str, "an identity; it begins with AGE-SECRET-KEY-1", secret=True)
        for text in _lines(str(path), "identities")
    ]


def generate_identity() -> tuple[str, str]:
    """Make a new key pair: the identity to keep, and the recipient to give away."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


@contextlib.contextmanager
def sealed(out: BinaryIO, recipients: Sequence[Key]) -> Iterator[BinaryIO]:
    """Yield a stream; what is written to it arrives encrypted in ``out``, complete when the block ends.

    Raises
    ------
    OSError
        ``out`` cannot be written.

    """
    reading, writing = _pipe()
    failures: list[BaseException] = []

    def pump() -> None:
        with reading:
            pyrage.encrypt_io(reading, out, recipients)

    thread = _started(pump, failures)
    try:
        with writing:
            yield writing
    except BrokenPipeError:
        thread.join()
        if not failures:
            raise
    thread.join()
    for failure in failures:
        raise OSError(f"encrypting failed: {failure}") from failure


@contextlib.contextmanager
def unsealed(source: BinaryIO, identities: Sequence[Key]) -> Iterator[io.BufferedReader[Any]]:
    """Yield a stream of what ``source`` holds encrypted; its end is reached only if all of it was sound.

    Raises
    ------
    BadFile
        While reading: no identity fits, or the file is damaged or cut off.

    """
    reading, writing = _pipe()
    failures: list[BaseException] = []

    def pump() -> None:
        with contextlib.suppress(BrokenPipeError), writing:
            pyrage.decrypt_io(source, writing, identities)

    thread = _started(pump, failures)
    try:
        with io.BufferedReader(_Checked(reading, thread, failures)) as stream:
            yield stream
    finally:
        reading.close()
        thread.join()


class _Checked(io.RawIOBase):
    """The decrypted half of a pipe, whose end is no end when decrypting failed."""

    def __init__(self, stream: BinaryIO, thread: threading.Thread, failures: Sequence[BaseException]) -> None:
        self._stream = stream
        self._thread = thread
        self._failures = failures

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        if not data:
            self._thread.join()
            for failure in self._failures:
                raise BadFile(
                    f"the list cannot be decrypted ({failure}): it is for another recipient, damaged or cut off",
                    field="identity",
                ) from failure
        buffer[: len(data)] = data
        return len(data)


_FAILURES = (pyrage.EncryptError, pyrage.DecryptError, OSError, ValueError)
"""What the library raises; handed to the other side of the pipe, which raises it there."""


def _pipe() -> tuple[BinaryIO, BinaryIO]:
    read_end, write_end = os.pipe()
    return os.fdopen(read_end, "rb", buffering=0), os.fdopen(write_end, "wb")


def _started(pump: Callable[[], None], failures: list[BaseException]) -> threading.Thread:
    """Run ``pump`` in a thread; whatever ends it is kept for whoever waits."""

    def run() -> None:
        try:
            pump()
        except _FAILURES as failure:
            failures.append(failure)

    thread = threading.Thread(target=run, name="hashmatch-age", daemon=True)
    thread.start()
    return thread


def _recipient(text: str) -> Key:
    kind = pyrage.ssh.Recipient if text.startswith("ssh-") else pyrage.x25519.Recipient
    return kind.from_str(text)


def _parsed(text: str, parse: Callable[[str], Key], expected: str, *, secret: bool = False) -> Key:
    try:
        return parse(text)
    except (pyrage.RecipientError, pyrage.IdentityError, ValueError) as error:
        shown = "a line" if secret else repr(text[:80])
        raise BadInput(f"{shown} is not {expected}", field="identity" if secret else "recipient") from error


def _lines(name: str, what: str) -> list[str]:
    """Return the lines of a file that are neither blank nor comments."""
    try:
        with Path(name).open("rb") as stream:
            data = stream.read(MAX_KEYS_BYTES + 1)
    except OSError as error:
        raise BadInput(f"cannot read {what} from {name}: {error.strerror}", field=what) from error
    if len(data) > MAX_KEYS_BYTES:
        raise BadInput(f"{name} has more than {MAX_KEYS_BYTES} bytes; expected {what}, one a line", field=what)
    lines = [line.strip() for line in data.decode("utf-8", "replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise BadInput(f"{name} holds no {what}", field=what)
    return lines
