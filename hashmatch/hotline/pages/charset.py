"""Which encoding a document is in, and its text (pure).

Theory of operation
-------------------
The first of these that names an encoding decides: a byte order mark, the host's ``charset``, a ``meta`` within the
first 1,024 bytes, an XML declaration. Otherwise it is windows-1252, as in browsers. Every byte becomes some character:
what does not decode becomes U+FFFD, and whatever a page claims to be, its ASCII survives in nearly all encodings, so an
address is found even where the label is a lie.

What this module deliberately does not do: it guesses nothing from the frequency of letters, and it obeys two labels
less than browsers do: ``replacement``, which shows an empty page, and ``x-user-defined``; both are read as
windows-1252, because what a page hides from browsers may still be fetched by other means.

Source
------
HTML, 13.2.3.2 (order), "prescan a byte stream to determine its encoding"; WHATWG Encoding, 4.2 (labels).
"""

from __future__ import annotations

import re

import webencodings
from webencodings.labels import LABELS

from hashmatch.hotline.pages.tags import tags

PRESCAN_BYTES = 1_024
FALLBACK = "windows-1252"

_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xfe\xff", "utf-16be"), (b"\xff\xfe", "utf-16le"))
_UTF16_UNMARKED = ((b"\x3c\x00\x3f\x00\x78\x00", "utf-16le"), (b"\x00\x3c\x00\x3f\x00\x78", "utf-16be"))
_CHARSET = re.compile(
    r"""charset[\t\n\f\r ]*+=[\t\n\f\r ]*+(?:"([^"]*)"|'([^']*)'|([^\t\n\f\r ;"']++))""", re.IGNORECASE
)
_XML = re.compile(r"""<\?xml[^>]*?encoding[\t\n\r ]*=[\t\n\r ]*["']([^"'>]*)["']""")
_AS_FALLBACK = frozenset({"replacement", "x-user-defined"})
_UTF16 = frozenset({"utf-16le", "utf-16be"})


def decide(body: bytes, content_type: str = "") -> str:
    """Return the name of a document's encoding, as the Encoding standard spells it.

    Parameters
    ----------
    body : bytes
        Of the document.
    content_type : str, optional
        As the host declared it.

    """
    for mark, name in _BOMS:
        if body.startswith(mark):
            return name
    declared = _label(_charset_of(content_type))
    if declared:
        return declared
    for beginning, name in _UTF16_UNMARKED:
        if body.startswith(beginning):
            return name
    head = body[:PRESCAN_BYTES].decode("latin-1")
    return _prescan(head) or _of_xml(head) or FALLBACK


def decode(body: bytes, encoding: str) -> str:
    """Return the text of a document, its byte order mark removed; ``encoding`` is of :func:`decide`."""
    found = webencodings.lookup(encoding)
    codec = found.codec_info if found is not None and found.name not in _AS_FALLBACK else None
    for mark, name in _BOMS:
        if name == encoding:
            body = body.removeprefix(mark)
    text, _ = codec.decode(body, "replace") if codec is not None else (body.decode("cp1252", "replace"), 0)
    return str(text)


def encode(text: str, encoding: str) -> bytes:
    """Return a text's bytes in an encoding of :func:`decide`; what it has no character for becomes a reference."""
    found = webencodings.lookup(encoding)
    codec = found.codec_info if found is not None and found.name not in _AS_FALLBACK else None
    if codec is None:
        return text.encode("cp1252", "xmlcharrefreplace")
    return bytes(codec.encode(text, "xmlcharrefreplace")[0])


def load() -> None:
    """Load every codec that a page may ask for: a confined process cannot, once it is locked up."""
    for name in sorted(set(LABELS.values())):
        decode(b"", name)
        encode("", name)


def _label(text: str) -> str:
    """Return the encoding that a label names, empty for none."""
    found = webencodings.lookup(text) if text else None
    if found is None:
        return ""
    return FALLBACK if found.name in _AS_FALLBACK else str(found.name)


def _charset_of(text: str) -> str:
    found = _CHARSET.search(text)
    return next((group for group in found.groups() if group is not None), "") if found else ""


def _prescan(head: str) -> str:
    """Return what a ``meta`` says. One that was read as ASCII is not in UTF-16, whatever it says."""
    for tag in tags(head):
        if tag.name != "meta" or tag.closing:
            continue
        text = tag.attributes.get("charset", "")
        if not text and tag.attributes.get("http-equiv", "").lower() == "content-type":
            text = _charset_of(tag.attributes.get("content", ""))
        name = _label(text)
        if name:
            return "utf-8" if name in _UTF16 else name
    return ""


def _of_xml(head: str) -> str:
    found = _XML.match(head)
    name = _label(found[1]) if found else ""
    return "utf-8" if name in _UTF16 else name
