"""Where a file is, as notices write it: exactly for machines, and for people so that no program follows it.

Theory of operation
-------------------
Machines get an address as it was received. What people read, or what a mail gateway scans for links, gets it
"de-fanged": ``hxxps://host[.]example/path``, which is still exact (``hxxp`` is ``http``, ``[.]`` is a dot) and which no
program opens by itself. A host is taken in ASCII only: names in other scripts have two readings (IDNA 2003 and 2008),
and a notice must not go to the wrong one.

What this module deliberately does not do: it looks nothing up.

Source: RFC 3986, RFC 5891; reference formats §4.2 and §4.3.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, urlsplit

from hashmatch.model import Verdict
from hashmatch.model.cases import Case, CaseMatch, Problem

_RESERVED: Final = "!#$%&'()*+,/:;=?@[]~"
"""What a URI may hold besides letters, digits and ``-._``; all of it is left as it is."""

_UNFIT: Final = frozenset(' "<>\\^`{|}')
"""What no address holds as it is; characters that cannot be seen are not among it, and are as unfit."""

_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)

_VERDICTS: Final = (Verdict.MATCH, Verdict.POSSIBLE_MATCH)


def host_of(url: str) -> str:
    """Return the host of an address in lower case, without port, brackets and final dot; empty where it has none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    return host.removesuffix(".") if parts.scheme in {"http", "https"} and port != 0 else ""


def is_ip(text: str) -> bool:
    """Whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def uri(url: str) -> str:
    """Return an address as a URI: what is not ASCII in its path and query as percent-encoded UTF-8."""
    return quote(url, safe=_RESERVED, errors="replace")


def defanged(url: str) -> str:
    """Return an address so that no program follows it.

    Examples
    --------
    >>> defanged("https://img.example.org/a.jpg?b=c.d")
    'hxxps://img[.]example[.]org/a.jpg?b=c.d'

    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    harmless = f"{scheme}://{authority.replace('.', '[.]')}{rest[len(authority) :]}"
    return unlinked(harmless)


def unlinked(text: str) -> str:
    """Return a text whose addresses no program follows: ``hxxp`` for ``http`` wherever an address begins."""
    return re.sub("http(?=s?://)", "hxxp", text, flags=re.IGNORECASE)


def problems(case: Case) -> Iterator[Problem]:
    """Yield what is wrong with the addresses of a case, and with the one of the host that serves it."""
    for index, url in enumerate(case.locator.urls):
        name, host = f"locator.urls[{index}]", host_of(url)
        if not host or "@" in urlsplit(url).netloc:
            yield Problem(name, "address", "expected http:// or https://, a host, and no user name")
        elif not host.isascii() or not (is_ip(host) or all(map(_LABEL.fullmatch, host.split(".")))):
            yield Problem(
                name, "host", "the host is not valid in ASCII; names in other scripts are written in punycode"
            )
        if not url.isprintable() or _UNFIT.intersection(url):
            yield Problem(
                name,
                "characters",
                'holds what no address holds: a space, a control character or one of "<>\\^`{|}; percent-encode it',
            )
    if case.locator.ip and not is_ip(case.locator.ip):
        yield Problem("locator.ip", "address", "expected an IPv4 or IPv6 address")


def strongest(case: Case) -> CaseMatch | None:
    """Return the match of the case's own domain that says most: surest, then nearest, then first by name."""
    own = [match for match in case.matches if match.domain is case.domain and match.verdict in _VERDICTS]
    return min(own, key=_weakness, default=None)


def _weakness(match: CaseMatch) -> tuple[int, int, str, str]:
    return _VERDICTS.index(match.verdict), match.distance, match.list_name, match.entry_id
