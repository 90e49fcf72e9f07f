"""Text to a URL that may be fetched: repaired, canonical, ASCII; or the reason why not.

Theory of operation
-------------------
One parser decides what the host is, and what it decides is what is connected to: the canonical text is composed from
the parts that were checked, so reading it again, by any parser, can give no other host. The parser follows the WHATWG
URL standard for http and https, because the question is what a browser would have shown: backslashes are slashes,
``0x7f.1`` and ``①②⑦.⓪.⓪.①`` are 127.0.0.1, percent-encoded hosts are decoded, names are mapped and checked as UTS 46
and IDNA 2008 say. Whether an *address* may be fetched from is judged later, on the number (``addresses``).

:func:`parse` reads what a person sent in: it undoes the usual ways of making a URL harmless (``hxxp``, ``[.]``,
``(dot)``), strips brackets and quotation marks around it, and takes a bare host as ``http``. :func:`join` reads what
stands in a document or a redirect, relative to where that came from, and repairs nothing but what browsers repair.

The ``key`` of a :class:`Target` is for finding duplicates: query parameters sorted, those of trackers left out. It is
never fetched.

What this module deliberately does not do: it asks no name server, and no text of a URL is in a reason.

Source
------
WHATWG URL standard (2025); RFC 5891 to 5895 and UTS 46, through ``idna``; reference formats §4.2 and §4.3.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hashmatch.config import HotlineConfig
from hashmatch.hotline.web import hosts

MAX_LENGTH: Final = 8_192
"""Characters of a URL, canonical: servers read request lines of eight kilobytes."""
_LONGEST_SCHEME: Final = 20
DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_HOST_AND_PORT = re.compile(r"[^/\\?#:@]*\.[^/\\?#:@]+:\d")
"""``example.org:8080``, which is no scheme although it looks like one."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_AROUND = "".join(map(chr, range(0x21))) + "\x7f"
_PAIRS = tuple(map(tuple, ("<>", '""', "''", "\u201c\u201d", "\u2018\u2019", "\u00ab\u00bb")))
_SLASHES = frozenset("/\\")
_END_OF_AUTHORITY = re.compile(r"[/\\?#]")

_DEFANGED = (
    (re.compile(r"^h(?:xx|\*\*)p(s?)", re.IGNORECASE), r"http\1"),
    (re.compile(r"^(https?)(?:\[:\]//|\[://\]|\[:\]|__//|://\])", re.IGNORECASE), r"\1://"),
)
_DEFANGED_DOT = re.compile(
    r"\[\.\]|\(\.\)|\{\.\}|\s*[\[({]\s*(?:dot|punkt|punt|point)\s*[\])}]\s*|\[\.|\.\]", re.IGNORECASE
)
_DEFANGED_DOT_ANYWHERE = re.compile(r"\[\.\]")
_DEFANGED_COLON = re.compile(r"\[:\]")

# The percent-encode sets of the standard, as what is left alone.
_SAFE_IN_PATH = "!$%&'()*+,-./:;=@[]_|~\\"
_SAFE_IN_QUERY = "!$%&()*+,-./:;=?@[\\]^_`{|}~"
_DOT = re.compile(r"%2e", re.IGNORECASE)

TRACKING: Final = re.compile(
    r"(?:utm_.*|gclid|gclsrc|dclid|gbraid|wbraid|fbclid|msclkid|yclid|twclid|ttclid|igshid|igsh|mc_cid|mc_eid|_ga|_gl|"
    r"_hsenc|_hsmi|li_fat_id|mkt_tok|oly_anon_id|oly_enc_id|vero_id|wickedid|s_cid|srsltid)",
    re.IGNORECASE,
)
"""Parameters that say where a visitor came from, and change nothing of what is shown."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be fetched at all. ``onion``: there is a proxy that can."""

    ports: tuple[int, ...] = (80, 443)
    onion: bool = False

    @classmethod
    def of(cls, config: HotlineConfig) -> Rules:
        """Take the rules from the configuration."""
        return cls(config.ports, onion=bool(config.proxy))


STANDARD: Final = Rules()


@dataclass(frozen=True, slots=True)
class Refused:
    """It is not fetched; ``reason`` is a sentence for people without anything of the text."""

    reason: str


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be fetched, if the address of its host may be.

    Attributes
    ----------
    url : str
        Canonical, ASCII, without fragment.
    host : str
        Lower case, ASCII, without a dot at the end; an IPv6 address without brackets.
    fragment : str
        For the record; never sent.
    key : str
        Equal for URLs that differ only in trackers' parameters and the order of the others.
    repaired : bool
        The text was a harmless spelling, or no URL but a bare host.

    """

    url: str
    scheme: str
    host: str
    port: int
    path: str
    """With its query."""
    fragment: str = ""
    repaired: bool = False

    @property
    def key(self) -> str:
        """What duplicates have in common."""
        path, mark, query = self.path.partition("?")
        kept = sorted(piece for piece in query.split("&") if piece and not TRACKING.fullmatch(piece.partition("=")[0]))
        return self.url.removesuffix(self.path) + path + (mark + "&".join(kept) if kept else "")

    @property
    def is_onion(self) -> bool:
        """Whether only Tor can reach it."""
        return self.host.endswith(".onion")


Parsed = Target | Refused


def parse(text: str, rules: Rules = STANDARD) -> Parsed:
    """Read a URL as somebody sent it in.

    Parameters
    ----------
    text : str
        As received.
    rules : Rules, optional
        Ports, and whether ``.onion`` can be reached.

    """
    stripped = _unwrapped(text)
    if not stripped:
        return Refused("there is no URL")
    if _CONTROLS.search(stripped):
        return Refused("it holds control characters")
    if len(stripped) > MAX_LENGTH:
        return Refused(f"it is {len(stripped)} characters long, at most {MAX_LENGTH}")
    fanged = _fanged(stripped)
    scheme = _SCHEME.match(fanged)
    if scheme is None or _HOST_AND_PORT.match(fanged):
        fanged = "http://" + fanged.lstrip("/\\")
    return read(fanged, rules, repaired=fanged != stripped)


def join(base: Target, reference: str, rules: Rules = STANDARD) -> Parsed:
    """Read a URL that stands in a document, or in a redirect, that came from ``base``."""
    text = reference.strip(_AROUND).translate({9: None, 10: None, 13: None})
    if len(text) > MAX_LENGTH:
        return Refused(f"it is {len(text)} characters long, at most {MAX_LENGTH}")
    scheme = _SCHEME.match(text)
    if scheme is not None:
        rest = text[scheme.end() :]
        if scheme[1].lower() != base.scheme:
            return read(text, rules)
        text = rest
    if text[:1] in _SLASHES and text[1:2] in _SLASHES:
        return read(f"{base.scheme}:{text}", rules)
    path = base.path.partition("?")[0]
    before = {"": base.path, "#": base.path, "?": path, "/": "", "\\": ""}
    directory = before.get(text[:1], path[: path.rfind("/") + 1])
    return _finish(base, base.url.removesuffix(base.path), directory, text)


def mixture(targets: Iterable[Target]) -> str:
    """Say why these must not be one job: some of them are onions and others are not. Empty: they may.

    Who sees both, at one time, from one client, can tell that they belong together.
    """
    onions = {target.is_onion for target in targets}
    return "onion services and others are never fetched in one job: split the list" if len(onions) == 2 else ""  # noqa: PLR2004 - both


def _unwrapped(text: str) -> str:
    stripped = text.strip(_AROUND + "\ufeff\u00a0\u200b\u200e\u200f")
    for first, last in _PAIRS:
        if len(stripped) > 1 and stripped[0] == first and stripped[-1] == last:
            return stripped[1:-1].strip(_AROUND)
    return stripped


def _fanged(text: str) -> str:
    """Undo what made it harmless; dots are repaired in what is before the path, and behind that only as ``[.]``."""
    repaired = text
    for pattern, instead in _DEFANGED:
        repaired = pattern.sub(instead, repaired)
    scheme = _SCHEME.match(repaired)
    start = scheme.end() if scheme is not None and not _HOST_AND_PORT.match(repaired) else 0
    while repaired[start : start + 1] in _SLASHES:
        start += 1
    end = _END_OF_AUTHORITY.search(repaired, start)
    stop = end.start() if end is not None else len(repaired)
    authority = repaired[start:stop]
    if authority.startswith("[") and ":" in authority and _DEFANGED_COLON.search(authority) is None:
        return repaired  # an IPv6 address
    dotted = _DEFANGED_COLON.sub(":", _DEFANGED_DOT.sub(".", authority))
    if dotted == authority and repaired == text:
        return text
    return repaired[:start] + dotted + _DEFANGED_DOT_ANYWHERE.sub(".", repaired[stop:])


def read(text: str, rules: Rules = STANDARD, *, repaired: bool = False) -> Parsed:
    """Read an absolute URL, repairing nothing but what browsers repair.

    Parameters
    ----------
    text : str
        With its scheme.
    rules : Rules, optional
        As for :func:`parse`.
    repaired : bool, optional
        What the target says of itself.

    """
    match = _SCHEME.match(text)
    scheme = match[1].lower() if match is not None else ""
    if scheme not in DEFAULT_PORTS:
        return Refused(f"{scheme[:_LONGEST_SCHEME]} is not fetched: only http and https are")
    rest = text[len(scheme) + 1 :].lstrip("/\\")
    end = _END_OF_AUTHORITY.search(rest)
    stop = end.start() if end is not None else len(rest)
    authority, rest = rest[:stop], rest[stop:]
    if "@" in authority:
        return Refused("it holds a user name or password")
    host_text, port_text = _divided(authority)
    host = hosts.canonical(host_text)
    if isinstance(host, hosts.Bad):
        return Refused(host.reason)
    port = _port(port_text, scheme)
    if refused := _forbidden(host, port, rules):
        return Refused(refused)
    shown = f"[{host}]" if ":" in host else host
    origin = f"{scheme}://{shown}" + ("" if port == DEFAULT_PORTS[scheme] else f":{port}")
    blank = Target("", scheme, host, port, "", repaired=repaired)
    return _finish(blank, origin, "" if rest[:1] in _SLASHES else "/", rest)


def _forbidden(host: str, port: int, rules: Rules) -> str:
    if not port:
        return "it has no such port"
    if port not in rules.ports:
        return f"port {port} is not fetched from: hotline.ports has {', '.join(map(str, rules.ports))}"
    if host.endswith(".onion") and not rules.onion:
        return "onion services are reached through hotline.proxy only"
    return ""


def _divided(authority: str) -> tuple[str, str]:
    """Host and port; the colons of an IPv6 address are inside of its brackets."""
    at = authority.rfind(":")
    return (authority, "") if at < authority.rfind("]") or at < 0 else (authority[:at], authority[at + 1 :])


def _port(text: str, scheme: str) -> int:
    if not text:
        return DEFAULT_PORTS[scheme]
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else 0  # noqa: PLR2004 - no port has more digits, zeros in front included


def _finish(where: Target, origin: str, directory: str, rest: str) -> Parsed:
    """Compose the URL from an origin that was checked, the path before, and path, query and fragment behind."""
    body, _, fragment = rest.partition("#")
    path, mark, query = body.partition("?")
    if "?" in directory:  # an empty reference keeps the query
        directory, mark, query = directory.partition("?")
    encoded = _without_dots(_encoded((directory + path).replace("\\", "/"), _SAFE_IN_PATH))
    if mark:
        encoded += "?" + _encoded(query, _SAFE_IN_QUERY)
    url = origin + encoded
    if len(url) > MAX_LENGTH:
        return Refused(f"it is {len(url)} characters long, at most {MAX_LENGTH}")
    return Target(url, where.scheme, where.host, where.port, encoded, fragment, where.repaired)


def _encoded(text: str, safe: str) -> str:
    return urllib.parse.quote(text.encode("utf-8", "replace"), safe=safe)


def _without_dots(path: str) -> str:
    """Resolve ``.`` and ``..``, written in whatever way."""
    kept: list[str] = []
    segments = path.split("/")[1:] if path.startswith("/") else path.split("/")
    for position, segment in enumerate(segments):
        plain = _DOT.sub(".", segment)
        is_last = position == len(segments) - 1
        if plain == "..":
            del kept[-1:]
        if plain in {".", ".."}:
            if is_last:
                kept.append("")
            continue
        kept.append(segment)
    return "/" + "/".join(kept)
