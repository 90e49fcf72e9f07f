"""Files that say where addresses are: formats, each a function from lines to ranges (pure but for reading lines).

Theory of operation
-------------------
The first line with data shows the format: columns between bars are a registry's statistics, columns between tabs one of
iptoasn's tables or CAIDA's prefixes. Every line is checked; the first that breaks a rule ends the file with
:class:`~hashmatch.errors.BadFile`, by its number and the rule, because half a table answers wrongly and says nothing.

What this module deliberately does not do: it repairs nothing.

Source
------
https://iptoasn.com (``range_start range_end AS_number country_code AS_description``); CAIDA Routeviews Prefix to AS,
README (``prefix length AS``, ``_`` between origins, ``,`` in sets); RIR Statistics Exchange Format, 3 (delegated and
delegated-extended).
"""

from __future__ import annotations

import csv
import datetime as dt
import functools
import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from hashmatch.errors import BadFile
from hashmatch.hotline.hosting.place_tables import MAPPED_PREFIX, Builder, Table, packed

MAX_LINE_CHARS = 4_096
MAX_ASN = (1 << 32) - 1
_MAX_NAME_CHARS = 200
_COUNTRY = re.compile(r"[A-Z]{2}")
_NO_COUNTRY = frozenset({"", "ZZ", "None", "none", "Unknown", "*", "-", "AP", "EU"})
"""Nowhere; ``AP`` and ``EU`` are regions that old registrations have."""
_ASN = re.compile(r"(?:AS)?(\d{1,10})", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_EMAIL = re.compile(r"[^\s@<>()\[\],;:\"\\]{1,64}@[A-Za-z0-9.-]{1,253}")


@dataclass(frozen=True, slots=True)
class Announced:
    """What a table says of a range; None and empty: nothing."""

    asn: int | None = None
    name: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """A file's table, what kind of statement it makes about countries, and the date that it gives itself."""

    table: Table[Announced]
    method: str
    """``announced`` or ``registered``."""
    date: dt.date | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """A file that says one word by network or autonomous system."""

    networks: Table[str]
    systems: dict[int, str]


def lines(file: IO[str]) -> Iterator[tuple[int, str]]:
    """Yield the lines with something in them, with their numbers; those that begin with ``#`` are comments.

    Raises
    ------
    BadFile
        One is longer than :data:`MAX_LINE_CHARS`.

    """
    count = 0
    while line := file.readline(MAX_LINE_CHARS + 1):
        count += 1
        if len(line) > MAX_LINE_CHARS:
            raise BadFile(f"line {count}: longer than {MAX_LINE_CHARS} characters")
        line = line.rstrip("\r\n")
        if line and not line.startswith("#"):
            yield count, line


def read_ranges(file: IO[str]) -> Read:
    """Read a table of ranges in whichever format it is.

    Raises
    ------
    BadFile
        It is in none, or a line breaks its format's rules.

    """
    rows = lines(file)
    first = next(rows, None)
    if first is None:
        raise BadFile("there is no line with data in it")
    if "|" in first[1]:
        return _registry(_again(first, rows))
    take = _tabbed(first)
    builder: Builder[Announced] = Builder()
    for count, line in _again(first, rows):
        take(builder, line.split("\t"), count)
    return Read(builder.table(), "announced")


def read_words(file: IO[str], check: Callable[[str], str]) -> Words:
    """Read a CSV file of two columns: a network or ``AS`` with its number, and a word.

    Parameters
    ----------
    file : text file
        A first row whose first field is ``where`` names the columns.
    check : callable
        Gives the rule that a word breaks, or nothing.

    Raises
    ------
    BadFile
        A line breaks a rule.

    """
    builder: Builder[str] = Builder()
    systems: dict[int, str] = {}
    for position, (count, line) in enumerate(lines(file)):
        cells = [cell.strip() for cell in next(csv.reader([line]))]
        if position == 0 and cells[0].lower() == "where":
            continue
        if len(cells) != 2:  # noqa: PLR2004 - columns
            raise BadFile(f"line {count}: {len(cells)} columns, expected a network or AS number and a word")
        where, word = cells
        rule = check(word)
        if rule:
            raise BadFile(f"line {count}: {rule}")
        if where[:2].upper() == "AS":
            asn = _asn(where, count)
            if systems.setdefault(asn, word) != word:
                raise BadFile(f"line {count}: says something else of AS{asn} than a line before")
        else:
            builder.add(*_prefix(where, count), word, count)
    return Words(builder.table(), systems)


def is_email(text: str) -> str:
    """Give the rule that an address of mail breaks."""
    return "" if _EMAIL.fullmatch(text) else "the second column is no address of mail"


def is_name(text: str) -> str:
    """Give the rule that a name breaks."""
    right = 0 < len(text) <= _MAX_NAME_CHARS and not _CONTROL.search(text)
    return "" if right else f"the second column is no name of at most {_MAX_NAME_CHARS} characters"


def cleaned(text: str) -> str:
    """Return a name as it may be shown: bounded, without control characters."""
    return _CONTROL.sub(" ", text).strip()[:_MAX_NAME_CHARS]


def country_of(text: str) -> str:
    """Return a country's code; empty for what is none."""
    code = text.upper()
    return code if _COUNTRY.fullmatch(code) and code not in _NO_COUNTRY else ""


Take = Callable[[Builder[Announced], list[str], int], None]
_AS_COLUMNS, _COUNTRY_COLUMNS = 5, 3
_MAPPED_BITS = 96
_ASN_DIGITS = 10


def _tabbed(first: tuple[int, str]) -> Take:
    cells = first[1].split("\t")
    addresses = [packed(cell) is not None for cell in cells[:2]]
    if addresses == [True, True] and len(cells) == _AS_COLUMNS:
        return _iptoasn
    if addresses == [True, True] and len(cells) == _COUNTRY_COLUMNS:
        return _iptocountry
    if addresses == [True, False] and len(cells) == _COUNTRY_COLUMNS:
        return _pfx2as
    raise BadFile(
        f"line {first[0]}: neither a registry's statistics, nor iptoasn's columns (start, end, AS, country, name), nor "
        "CAIDA's (prefix, length, AS), between tabs"
    )


def _iptoasn(builder: Builder[Announced], cells: list[str], line: int) -> None:
    _must_have(cells, _AS_COLUMNS, line)
    first, last = _address(cells[0], line), _address(cells[1], line)
    asn = _asn(cells[2], line)
    country = _country(cells[3], line)
    if asn:  # 0 is space that nobody announces
        builder.add(first, last, _announced(asn, cells[4], country), line)


def _iptocountry(builder: Builder[Announced], cells: list[str], line: int) -> None:
    _must_have(cells, _COUNTRY_COLUMNS, line)
    country = _country(cells[2], line)
    first, last = _address(cells[0], line), _address(cells[1], line)
    if country:
        builder.add(first, last, _announced(None, "", country), line)


def _pfx2as(builder: Builder[Announced], cells: list[str], line: int) -> None:
    """Take a prefix; of several origins the first, which is the one most seen."""
    _must_have(cells, _COUNTRY_COLUMNS, line)
    first = _address(cells[0], line)
    bits = int(cells[1]) if cells[1].isascii() and cells[1].isdecimal() and len(cells[1]) <= 3 else -1  # noqa: PLR2004 - digits of 128
    width = _MAPPED_BITS if first.startswith(MAPPED_PREFIX) and ":" not in cells[0] else 0
    behind = (1 << max(128 - width - bits, 0)) - 1
    start = int.from_bytes(first, "big")
    if not 0 <= bits <= 128 - width or start & behind:
        raise BadFile(f"line {line}: {cells[0]}/{cells[1][:20]} is no network, or has bits behind its prefix")
    origin = cells[2].lstrip("{").partition("_")[0].partition(",")[0].rstrip("}")
    builder.add(first, (start | behind).to_bytes(16, "big"), _announced(_asn(origin, line), "", ""), line)


@functools.lru_cache(maxsize=1 << 17)
def _announced(asn: int | None, name: str, country: str) -> Announced:
    """Say it; the same is said on many lines, of which there are more than of systems."""
    return Announced(asn, cleaned(name), country)


_TYPES = frozenset({"ipv4", "ipv6", "asn"})
_GIVEN_OUT = frozenset({"allocated", "assigned"})
_REGISTRY_COLUMNS = 7
_SUMMARY_COLUMNS = 6


def _registry(rows: Iterator[tuple[int, str]]) -> Read:
    """Read delegated statistics, of one registry or of several behind each other."""
    builder: Builder[Announced] = Builder()
    date: dt.date | None = None
    for line, text in rows:
        cells = text.split("|")
        if cells[0][:1].isdigit():
            date = max(filter(None, (date, _date(cells, line))))
            continue
        if len(cells) == _SUMMARY_COLUMNS and cells[-1] == "summary":
            continue
        if len(cells) < _REGISTRY_COLUMNS or cells[2] not in _TYPES:
            raise BadFile(f"line {line}: no record of a registry: registry|country|type|start|value|date|status")
        country = _country(cells[1], line)
        if cells[2] == "asn" or cells[6] not in _GIVEN_OUT or not country:
            continue
        first = _address(cells[3], line)
        last = _end_of_record(first, cells, line)
        builder.add(first, last, _announced(None, "", country), line)
    return Read(builder.table(), "registered", date)


def _end_of_record(first: bytes, cells: list[str], line: int) -> bytes:
    """Return the last address of a record: IPv4 has a number of addresses, IPv6 the length of a prefix."""
    is_number = cells[4].isascii() and cells[4].isdecimal() and len(cells[4]) <= 10  # noqa: PLR2004 - digits of 2**32
    value = int(cells[4]) if is_number else 0
    mapped = first.startswith(MAPPED_PREFIX)
    if cells[2] == "ipv4":
        size = value if mapped else 0
    else:
        size = 1 << (128 - value) if 0 < value <= 128 and not mapped else 0  # noqa: PLR2004 - bits
    last = int.from_bytes(first, "big") + size - 1
    beyond = last >> 128 or (mapped and last >> 32 != int.from_bytes(MAPPED_PREFIX, "big"))
    if not size or beyond:
        raise BadFile(f"line {line}: {cells[4][:20]!r} is no number of addresses, or no length of a prefix")
    return last.to_bytes(16, "big")


def _date(cells: list[str], line: int) -> dt.date:
    try:
        return dt.datetime.strptime(cells[2], "%Y%m%d").replace(tzinfo=dt.UTC).date()
    except (ValueError, IndexError):
        raise BadFile(f"line {line}: the header has no date as YYYYMMDD in its third column") from None


def _again(first: tuple[int, str], rows: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    yield first
    yield from rows


def _must_have(cells: list[str], count: int, line: int) -> None:
    if len(cells) != count:
        raise BadFile(f"line {line}: {len(cells)} columns, expected {count}")


def _address(text: str, line: int) -> bytes:
    value = packed(text)
    if value is None:
        raise BadFile(f"line {line}: {text[:50]!r} is no address")
    return value


def _asn(text: str, line: int) -> int:
    if text.isascii() and text.isdecimal() and len(text) < _ASN_DIGITS:
        return int(text)
    match = _ASN.fullmatch(text)
    if match is None or int(match[1]) > MAX_ASN:
        raise BadFile(f"line {line}: {text[:50]!r} is no number of an autonomous system")
    return int(match[1])


@functools.lru_cache(maxsize=1_024)
def _country_code(text: str) -> str | None:
    return country_of(text) if text in _NO_COUNTRY or _COUNTRY.fullmatch(text.upper()) else None


def _country(text: str, line: int) -> str:
    code = _country_code(text[:20])
    if code is None:
        raise BadFile(f"line {line}: {text[:50]!r} is no country of ISO 3166")
    return code


def _prefix(text: str, line: int) -> tuple[bytes, bytes]:
    try:
        parsed = ipaddress.ip_network(text)
    except ValueError:
        raise BadFile(f"line {line}: {text[:50]!r} is no network, or has bits behind its prefix") from None
    before = MAPPED_PREFIX if parsed.version == 4 else b""  # noqa: PLR2004 - IPv4
    return before + parsed.network_address.packed, before + parsed.broadcast_address.packed
