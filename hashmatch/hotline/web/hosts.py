"""The host of a URL, from any spelling to the one that is looked up.

Theory of operation
-------------------
In the order of the WHATWG URL standard: percent-decode, map (UTS 46, not transitional), refuse what a host cannot
hold, read what ends in a number as IPv4 in any of its spellings (octal, hexadecimal, fewer than four parts), check what
is left as a name. Labels are IDNA 2008; a label of code points that only UTS 46 knows (emoji) is taken as browsers take
it. A dot at the end is dropped.

What this module deliberately does not do: it does not say whether the host may be fetched from.

Source
------
WHATWG URL standard §3.5 (host parsing); UTS 46 §4; RFC 5891; RFC 1035 §2.3.4 for lengths.
"""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from dataclasses import dataclass
from typing import Final

import idna

MAX_NAME: Final = 253
MAX_LABEL: Final = 63
_MAX_TEXT: Final = 4 * MAX_NAME * 3
"""Of what is read at all: every character percent-encoded in its four bytes."""

_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?")
_NUMBER = re.compile(r"0[xX][0-9A-Fa-f]*|[0-9]+")
_ACE = "xn--"


@dataclass(frozen=True, slots=True)
class Bad:
    """It is no host; ``reason`` is a sentence without anything of the text."""

    reason: str


def canonical(text: str) -> str | Bad:
    """Return a host in the one form that is looked up or connected to, IPv6 without its brackets."""
    if not text:
        return Bad("it has no host")
    if len(text) > _MAX_TEXT:
        return Bad("its host is too long")
    if text.startswith("[") or text.endswith("]"):
        return _ipv6(text)
    try:
        decoded = urllib.parse.unquote_to_bytes(text.encode()).decode()
        mapped = decoded.lower() if decoded.isascii() else idna.uts46_remap(decoded, std3_rules=False)
    except (UnicodeError, idna.IDNAError):
        return Bad("its host holds characters that no name can hold")
    name = mapped.removesuffix(".")
    if _is_number(name.rpartition(".")[2]):
        return _ipv4(name)
    return _name(name)


def _ipv6(text: str) -> str | Bad:
    try:
        if not (text.startswith("[") and text.endswith("]")) or "%" in text:
            raise ValueError(text)  # noqa: TRY301 - one answer for every way of being none
        return str(ipaddress.IPv6Address(text[1:-1]))
    except ValueError:
        return Bad("its host is in brackets and no IPv6 address")


def _is_number(label: str) -> bool:
    return label.isascii() and (label.isdecimal() or _NUMBER.fullmatch(label) is not None)


def _ipv4(name: str) -> str | Bad:
    labels = name.split(".")
    bad = Bad("its host ends in a number and is no IPv4 address")
    if len(labels) > 4 or not all(map(_is_number, labels)):  # noqa: PLR2004 - bytes of an address
        return bad
    try:
        *firsts, last = (_number(label) for label in labels)
    except ValueError:
        return bad
    if any(part > 0xFF for part in firsts) or last >= 1 << 8 * (5 - len(labels)):  # noqa: PLR2004 - a byte
        return bad
    value = last + sum(part << 8 * (3 - position) for position, part in enumerate(firsts))
    return str(ipaddress.IPv4Address(value))


def _number(label: str) -> int:
    if label[:2] in {"0x", "0X"}:
        return int(label[2:] or "0", 16)
    return int(label, 8) if len(label) > 1 and label.startswith("0") else int(label)


def _name(name: str) -> str | Bad:
    labels = []
    for label in name.split("."):
        encoded = _label(label)
        if isinstance(encoded, Bad):
            return encoded
        labels.append(encoded)
    joined = ".".join(labels)
    return joined if len(joined) <= MAX_NAME else Bad(f"its host is longer than {MAX_NAME} characters")


def _label(label: str) -> str | Bad:
    if not label:
        return Bad("its host has an empty label")
    try:
        encoded = label if label.isascii() else _ace(label)
        if encoded.startswith(_ACE) and encoded.removeprefix(_ACE).encode().decode("punycode").isascii():
            return Bad("its host holds a label that is no punycode")
    except (UnicodeError, idna.IDNAError, ValueError):
        return Bad("its host holds characters that no name can hold")
    if len(encoded) > MAX_LABEL:
        return Bad(f"its host has a label of more than {MAX_LABEL} characters")
    return encoded if _NAME.fullmatch(encoded) else Bad("its host holds characters that no name can hold")


def _ace(label: str) -> str:
    try:
        return idna.alabel(label).decode("ascii")
    except idna.InvalidCodepoint:  # of a mapped label: UTS 46 knows it, IDNA 2008 does not
        return _ACE + label.encode("punycode").decode("ascii")
