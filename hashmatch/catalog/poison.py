"""Values that reach lists by accident and would match what everybody has.

Theory of operation
-------------------
A list is filled by tools, and tools hash what they are given: the empty file of a failed upload, the pixel that a web
page loads to count its readers, the file that a virus scanner is tried with. Each row of :data:`FILES` is such a file,
as its bytes, so that its digests are computed and cannot be mistyped; :data:`PICTURES` are perceptual values that
belong to no picture in particular, for algorithms whose flat picture is not all zeros. All zeros and all ones are
refused of every perceptual algorithm (``validate``).

What this module deliberately does not do: it knows no list of what is harmless. That is what an allow set is for, and
its owner's judgement; these rows need none.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import types
from collections.abc import Mapping
from typing import NamedTuple

DIGESTS = ("md5", "sha1", "sha256")


class PoisonFile(NamedTuple):
    """A file that is everywhere: what it is, as people would say it, its bytes, and where it comes from."""

    what: str
    content: bytes
    source: str


def _pixel(text: str) -> bytes:
    return base64.b64decode(text)


_PIXEL = "a picture of one pixel that web pages load by the million"
_SCANNED = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
"""In two parts: a scanner shall not stop at this file."""

_DATA_URI = "data URI in public web pages and test suites"

FILES = (
    PoisonFile("the empty file: it would match every failed upload", b"", "reference formats §3.10"),
    PoisonFile("a single line end", b"\n", "what `echo` writes when it is given nothing"),
    PoisonFile("a single line end of Windows", b"\r\n", "what `echo.` writes"),
    PoisonFile("a single zero byte", b"\0", "a placeholder of one byte"),
    PoisonFile("the test file of virus scanners", _SCANNED, "eicar.org"),
    PoisonFile(_PIXEL, _pixel("R0lGODlhAQABAIABAAAAAP///yH5BAEAAAEALAAAAAABAAEAAAICTAEAOw=="), "nginx, empty_gif"),
    PoisonFile(_PIXEL, _pixel("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"), _DATA_URI),
    PoisonFile(_PIXEL, _pixel("R0lGODlhAQABAIAAAP///wAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw=="), _DATA_URI),
    PoisonFile(_PIXEL, _pixel("R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs="), _DATA_URI),
    PoisonFile(_PIXEL, _pixel("R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="), _DATA_URI),
    PoisonFile(
        _PIXEL,
        _pixel("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="),
        _DATA_URI,
    ),
    PoisonFile(
        _PIXEL,
        _pixel("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="),
        _DATA_URI,
    ),
    PoisonFile(
        _PIXEL,
        _pixel("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="),
        _DATA_URI,
    ),
)  # fmt: skip

PICTURES: Mapping[str, Mapping[bytes, str]] = types.MappingProxyType(
    {"phash": {bytes.fromhex("8000000000000000"): "what every flat picture that is not black gives"}}
)
"""By algorithm: the value, and what it is."""


@functools.cache
def refused_digests(algorithm: str) -> Mapping[bytes, str]:
    """Return the digests of :data:`FILES` by one of :data:`DIGESTS`, with what each is of."""
    return types.MappingProxyType(
        {
            hashlib.new(algorithm, file.content, usedforsecurity=False).digest(): f"the digest of {file.what}"
            for file in FILES
        }
    )
