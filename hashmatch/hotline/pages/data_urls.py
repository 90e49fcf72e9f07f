"""What a ``data:`` URL holds (pure).

Source
------
WHATWG Fetch, 6 ("data: URL processor"); WHATWG Infra, "forgiving-base64 decode".
"""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse
from dataclasses import dataclass

from hashmatch.hotline.pages import sniff
from hashmatch.model.hotline import Kind, Outcome

_SCHEME = "data:"
_BASE64 = re.compile(r";[ ]*base64[ ]*$", re.IGNORECASE)
_SPACE = b"\t\n\f\r "
_KINDS = {
    Kind.ARCHIVE: "an archive, which is not opened",
    Kind.VIDEO: "a video, which is not opened",
    Kind.DOCUMENT: "a document, which is not opened",
}


@dataclass(frozen=True, slots=True)
class Inline:
    """Bytes of an image, or why there are none."""

    data: bytes = b""
    refused: str = ""
    outcome: Outcome | None = None


def is_data(text: str) -> bool:
    """Tell whether a text is a ``data:`` URL."""
    return text[: len(_SCHEME)].lower() == _SCHEME


def decode(text: str, max_bytes: int) -> Inline:
    """Return the image that a ``data:`` URL holds.

    Whatever type it declares, as browsers do: what counts is what the bytes are.

    Parameters
    ----------
    text : str
        Beginning with ``data:``.
    max_bytes : int
        Longest image that is taken, in bytes.

    """
    head, comma, payload = text[len(_SCHEME) :].partition(",")
    if not comma:
        return Inline(refused="a data: URL without a comma", outcome=Outcome.REFUSED_URL)
    is_base64 = _BASE64.search(head) is not None
    # Three characters at most stand for a byte, four for three of them in base64.
    if len(payload) > 4 * max_bytes + 1_024:
        return Inline(refused=f"inline data of more than {max_bytes} bytes", outcome=Outcome.TOO_LARGE)
    data = urllib.parse.unquote_to_bytes(payload.encode("utf-8", "replace"))
    if is_base64:
        unpadded = data.translate(None, _SPACE).rstrip(b"=")
        try:
            data = base64.b64decode(unpadded + b"=" * (-len(unpadded) % 4), validate=True)
        except binascii.Error:
            return Inline(refused="inline data that is not base64", outcome=Outcome.REFUSED_URL)
    if len(data) > max_bytes:
        return Inline(refused=f"inline data of more than {max_bytes} bytes", outcome=Outcome.TOO_LARGE)
    declared = sniff.essence(head.partition(";")[0] or "text/plain")
    found = sniff.sniff(data, declared)
    if found.kind is Kind.IMAGE or (found.kind is Kind.OTHER and declared.startswith("image/") and data):
        return Inline(data)
    what = _KINDS.get(found.kind, "no image")
    return Inline(refused=f"inline data that is {what}", outcome=Outcome.UNSUPPORTED)
