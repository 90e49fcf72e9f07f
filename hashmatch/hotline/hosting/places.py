"""Where an address is hosted, and whom to tell: looked up in files that the operator supplies, and nowhere else.

Theory of operation
-------------------
A :class:`Places` opens its files once, which takes seconds for a million ranges: in a thread, where others wait. A
MaxMind DB (``.mmdb``) is mapped into memory and read where a look-up goes; a table is read whole into arrays
(``place_tables``). Each look-up asks the sources in order: who announces the address, in which country it is, whom that
network tells to write to, and whether it belongs to a network that hides where things are. Each fact comes with the
name and date of the file that said so, and how that file knows: a country can be where an address is *registered*,
*announced* or thought to be *located*, and the three may differ.

Nothing is asked over the network: an address that was looked up somewhere would tell what is being investigated.

What this module deliberately does not do: it guesses nothing. What no file says is None or empty.

Source
------
Reference formats §4.4; MaxMind DB file format 2.0 and the layouts of GeoLite2 and DB-IP (``autonomous_system_number``,
``autonomous_system_organization``, ``country.iso_code``, ``registered_country.iso_code``).
"""

from __future__ import annotations

import datetime as dt
import gzip
import importlib.resources
import io
import ipaddress
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Protocol, TypeVar

from hashmatch.config import HotlineConfig
from hashmatch.errors import BadConfig, BadFile
from hashmatch.hotline.hosting import place_files, place_tables
from hashmatch.hotline.hosting.place_files import MAX_ASN, Announced, Words
from hashmatch.hotline.hosting.place_tables import Found, Table
from hashmatch.model.hotline import Place

_SHIPPED_CDN = "cdn.csv"
_SHIPPED_CDN_DATE = "2026-11-28"
_GZIP = ".gz"
_MMDB = ".mmdb"

_Read = TypeVar("_Read")


class _Ranges(Protocol):
    """A file of ranges, whatever its format."""

    @property
    def source(self) -> str:
        """Name and date, and how it knows of countries."""

    def find(self, address: bytes) -> Found[Announced] | None:
        """Look an address up."""


class Places:
    """Files that say where addresses are."""

    def __init__(self, config: HotlineConfig) -> None:
        """Open the files that the configuration names.

        Raises
        ------
        BadConfig
            A file is not there or damaged; the message names it, the line and the rule.

        """
        self._asn = _ranges(config.asn_database, "hotline.asn_database")
        self._country = _ranges(config.country_database, "hotline.country_database")
        self._abuse = _words(config.abuse_database, "hotline.abuse_database", place_files.is_email)
        self._cdns = [
            source
            for source in (_words(config.cdn_database, "hotline.cdn_database", place_files.is_name), _shipped_cdn())
            if source is not None
        ]

    def __repr__(self) -> str:
        named = (("asn", self._asn), ("country", self._country), ("abuse", self._abuse))
        shown = [f"{name}: {source.source if source is not None else 'unknown'}" for name, source in named]
        return f"<Places {', '.join(shown)}>"

    def locate(self, ip: str) -> Place:
        """Return what is known of an address.

        Parameters
        ----------
        ip : str
            IPv4 or IPv6, mapped IPv4 too; of anything else, such as the empty text of a fetch through a proxy, nothing
            is known.

        """
        address = place_tables.packed(ip)
        if address is None:
            return Place(ip)
        sources: dict[str, str] = {}
        system = self._asn.find(address) if self._asn is not None else None
        said = system.said if system is not None else Announced()
        if self._asn is not None and said.asn is not None:
            sources["asn"] = self._asn.source
        country = said.country
        if self._asn is not None and country:
            sources["country"] = self._asn.source
        other = self._country.find(address) if self._country is not None else None
        if self._country is not None and other is not None and other.said.country:
            country = other.said.country
            sources["country"] = self._country.source
        network = next((found.network for found in (system, other) if found is not None), "")
        abuse = _first(((self._abuse,) if self._abuse is not None else ()), address, said.asn, "abuse", sources)
        cdn = _first(tuple(self._cdns), address, said.asn, "cdn", sources)
        return Place(ip, said.asn, said.name, network, country, abuse, cdn, sources)


def row(place: Place) -> Mapping[str, str]:
    """Return a place as the columns of a report: everything as text, and empty for what is not known.

    ``country_method`` says how the country is known (``registered``, ``announced``, ``located``), ``cdn`` is ``yes``,
    or ``no`` where the autonomous system is known and on no list, and empty where it is not.

    Source
    ------
    Reference formats §4.2.
    """
    method = place.sources.get("country", "").rpartition(", ")[2]
    return {
        "ip": place.ip,
        "asn": str(place.asn) if place.asn is not None else "",
        "as_org": place.as_name,
        "network": place.network,
        "country": place.country,
        "country_method": method if place.country else "",
        "cdn": "yes" if place.cdn else "no" if place.asn is not None else "",
        "cdn_name": place.cdn,
        "abuse": place.abuse,
        "place_sources": "; ".join(f"{fact}: {source}" for fact, source in sorted(place.sources.items())),
    }


class _WordFile:
    """A file that says one word by network, or else by autonomous system."""

    def __init__(self, words: Words, source: str) -> None:
        self._words = words
        self.source = source

    def find(self, address: bytes, asn: int | None) -> str:
        by_network = self._words.networks.find(address)
        if by_network is not None:
            return by_network.said
        return self._words.systems.get(asn, "") if asn is not None else ""


class _TableFile:
    """A table of ranges."""

    def __init__(self, table: Table[Announced], source: str) -> None:
        self._table = table
        self.source = source

    def find(self, address: bytes) -> Found[Announced] | None:
        return self._table.find(address)


class _Mmdb:
    """A MaxMind DB."""

    def __init__(self, path: Path, field: str) -> None:
        try:
            import maxminddb
        except ImportError as error:
            raise BadConfig(
                f"{path.name}: reading .mmdb needs maxminddb, not installed here: pip install 'hashmatch[hotline]'",
                field=field,
            ) from error
        self._name, self._field = path.name, field
        self._invalid = maxminddb.InvalidDatabaseError
        try:
            self._reader = maxminddb.open_database(path, maxminddb.MODE_MMAP)
        except OSError as error:
            raise BadConfig(f"{path} cannot be read: {error.strerror}", field=field) from error
        except (maxminddb.InvalidDatabaseError, ValueError) as error:
            raise BadConfig(f"{path} is damaged, or no MaxMind DB", field=field) from error
        metadata = self._reader.metadata()
        self._only_ipv4 = metadata.ip_version == 4  # noqa: PLR2004 - IPv4
        built = dt.datetime.fromtimestamp(metadata.build_epoch, dt.UTC).date()
        self.source = f"{place_files.cleaned(metadata.database_type)} {built.isoformat()}, located"

    def find(self, address: bytes) -> Found[Announced] | None:
        mapped = address.startswith(place_tables.MAPPED_PREFIX)
        if self._only_ipv4 and not mapped:
            return None
        asked = ipaddress.ip_address(address[len(place_tables.MAPPED_PREFIX) :] if mapped else address)
        try:
            untrusted_record, length = self._reader.get_with_prefix_len(asked)
        except (self._invalid, ValueError) as error:
            raise BadConfig(f"{self._name} is damaged: get it again", field=self._field) from error
        if not isinstance(untrusted_record, dict):
            return None
        return Found(_announced(untrusted_record), str(ipaddress.ip_network((asked, length), strict=False)))


def _announced(untrusted_record: Mapping[str, object]) -> Announced:
    """Take from a record what is of the right kind."""
    asn = untrusted_record.get("autonomous_system_number")
    name = untrusted_record.get("autonomous_system_organization")
    codes = []
    for key in ("country", "registered_country"):
        untrusted_country = untrusted_record.get(key)
        code = untrusted_country.get("iso_code") if isinstance(untrusted_country, dict) else None
        codes.append(place_files.country_of(code) if isinstance(code, str) else "")
    return Announced(
        asn if isinstance(asn, int) and 0 < asn <= MAX_ASN else None,
        place_files.cleaned(name) if isinstance(name, str) else "",
        next(filter(None, codes), ""),
    )


def _first(files: tuple[_WordFile, ...], address: bytes, asn: int | None, fact: str, sources: dict[str, str]) -> str:
    """Ask one file after the other, and note which one answered."""
    for file in files:
        word = file.find(address, asn)
        if word:
            sources[fact] = file.source
            return word
    return ""


def _ranges(setting: str, field: str) -> _Ranges | None:
    if not setting:
        return None
    path = Path(setting)
    if path.suffix == _MMDB:
        return _Mmdb(path, field)
    read, changed = _opened(path, field, place_files.read_ranges)
    return _TableFile(read.table, f"{path.name} {(read.date or changed).isoformat()}, {read.method}")


def _words(setting: str, field: str, check: Callable[[str], str]) -> _WordFile | None:
    if not setting:
        return None
    path = Path(setting)
    words, changed = _opened(path, field, lambda file: place_files.read_words(file, check))
    return _WordFile(words, f"{path.name} {changed.isoformat()}")


def _shipped_cdn() -> _WordFile:
    text = importlib.resources.files(__package__).joinpath(_SHIPPED_CDN).read_text(encoding="utf-8")
    words = place_files.read_words(io.StringIO(text), place_files.is_name)
    return _WordFile(words, f"hashmatch's own table {_SHIPPED_CDN_DATE}")


def _opened(path: Path, field: str, read: Callable[[IO[str]], _Read]) -> tuple[_Read, dt.date]:
    """Read a file of text, compressed or not; also return the day on which it was changed last."""
    try:
        changed = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).date()
        with (
            gzip.open(path, "rt", encoding="utf-8", errors="replace")
            if path.suffix == _GZIP
            else path.open(encoding="utf-8", errors="replace")
        ) as file:
            return read(file), changed
    except BadFile as error:
        raise BadConfig(f"{path}: {error.message}", field=field) from error
    except (OSError, EOFError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is cut short or damaged"
        raise BadConfig(f"{path} cannot be read: {reason}", field=field) from error
