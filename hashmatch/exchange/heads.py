"""What the first bytes of a file say about it: the facts that formats are recognised by.

Theory of operation
-------------------
A :class:`Head` is made once per file and shown to every format of the table. It holds the text and the two things that
tell formats of one notation apart: the names of a JSON document's first members, and the root of an XML document. Both
are found without parsing what follows, so a head may end anywhere.

What this module deliberately does not do: it recognises no format; each module of a format does.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass

from hashmatch.exchange.lines import BOM, foreign_kind
from hashmatch.exchange.rows import shown

HEAD_BYTES = 1 << 16
"""How much of a file is looked at; the longest known preamble is a kilobyte."""

_XML_ROOT = re.compile(
    r"(?>\s+|<\?.*?\?>|<!--.*?-->)*+<(?:(?P<prefix>[\w.-]+):)?(?P<name>[\w.-]+)(?P<rest>[^>]*)", re.DOTALL
)
_SPACE = re.compile(r"[ \t\r\n]*")
_SHOWN_KEYS = 6
_STRING = json.JSONDecoder()


@dataclass(frozen=True)
class Head:
    """The beginning of a file. ``text`` is without its byte order mark; what is not UTF-8 in it is replaced."""

    raw: bytes
    text: str

    @classmethod
    def of(cls, data: bytes) -> Head:
        """Return the head of a file that begins with ``data``."""
        raw = data[:HEAD_BYTES]
        return cls(raw, raw.removeprefix(BOM).decode("utf-8", "replace").lstrip())

    @functools.cached_property
    def first_line(self) -> str:
        """The first line with anything on it."""
        return self.text.partition("\n")[0].rstrip("\r")

    @functools.cached_property
    def members(self) -> dict[str, str]:
        """Names of a JSON object's members, as many as the head shows, with the text where the value is one."""
        return _members(self.text)

    @functools.cached_property
    def xml_root(self) -> tuple[str, str]:
        """Namespace and local name of an XML document's root; empty where it is none, or has no namespace."""
        found = _XML_ROOT.match(self.text) if self.text.startswith("<") else None
        if found is None:
            return "", ""
        attribute = f"xmlns:{found['prefix']}" if found["prefix"] else "xmlns"
        space = re.search(rf"""\s{re.escape(attribute)}\s*=\s*["']([^"']*)["']""", found["rest"])
        return space[1] if space else "", found["name"]

    def described(self) -> str:
        """Say what a file is, for a message: as much as is needed to see that it is the wrong one."""
        if not self.raw:
            return "empty"
        if kind := foreign_kind(self.raw):
            return kind
        if self.members:
            names = ", ".join(shown(name) for name in list(self.members)[:_SHOWN_KEYS])
            return f"a JSON object with {names}"
        if self.text.startswith("["):
            return "a JSON array"
        if self.xml_root[1]:
            space, name = self.xml_root
            return f"XML whose root is {shown(name)}" + (f" of {shown(space)}" if space else "")
        return f"text that begins {shown(self.first_line)}"


def _members(text: str) -> dict[str, str]:
    """Step over the members of an object, whole values only, until the text ends or makes no sense."""
    found: dict[str, str] = {}
    if not text.startswith("{"):
        return found
    at = 1
    try:
        while True:
            at = _past(text, at)
            name, at = _STRING.raw_decode(text, at)
            if not isinstance(name, str):
                return found
            found[name] = ""
            at = _past(text, at)
            if text[at] != ":":
                return found
            value, at = _STRING.raw_decode(text, _past(text, at + 1))
            found[name] = value if isinstance(value, str) else ""
            at = _past(text, at)
            if text[at] != ",":
                return found
            at += 1
    except (ValueError, IndexError, RecursionError):  # the head ends here, or is no JSON
        return found


def _past(text: str, at: int) -> int:
    """Return where the next thing that is no white space stands."""
    found = _SPACE.match(text, at)
    return found.end() if found else at
