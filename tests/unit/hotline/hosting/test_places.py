"""Where an address is: each format, the narrowest range, what damaged files are told, and what is not known."""
# ruff: noqa: E501 - tables of lines read best with a line on a line

from __future__ import annotations

import datetime as dt
import gzip
import ipaddress
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.config import HotlineConfig
from hashmatch.errors import BadConfig, BadFile
from hashmatch.hotline.hosting import place_tables, places
from hashmatch.hotline.hosting.place_tables import Builder
from hashmatch.hotline.hosting.places import Places
from hashmatch.model.hotline import Place
from tests.support.hotline import mmdb

DAY = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)
ASN = (
    "192.0.2.0\t192.0.2.127\t64500\tNL\tEXAMPLE-NET Example B.V.\n"
    "192.0.2.128\t192.0.2.255\t0\tNone\tNot routed\n"
    "198.51.100.0\t198.51.100.9\t64501\tDE\tOTHER\n"
    "2001:db8::\t2001:db8:0:ffff:ffff:ffff:ffff:ffff\t64502\tZZ\tSIX\u202e\n"
)
REGISTRY = (
    "2|ripencc|20260105|5|19830705|20260104|+0100\nripencc|*|ipv4|*|2|summary\n# a comment\n\n"
    "ripencc|NL|ipv4|192.0.2.0|256|20200101|allocated|a\nripencc|BE|ipv4|198.51.100.0|3|20200101|assigned\n"
    "ripencc|DE|ipv6|2001:db8::|32|20200101|allocated|b\nripencc|EU|ipv4|203.0.113.0|256|20200101|allocated\n"
    "ripencc|FR|asn|64500|1|20200101|allocated|c\nripencc||ipv4|100.64.0.0|256||available|\n"
    "2|arin|20251231|1|x|y|z\narin|US|ipv4|203.0.113.0|128|20200101|assigned|d\n"
)


def file(directory: Path, name: str, content: str | bytes) -> str:
    path = directory / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(path, (DAY.timestamp(), DAY.timestamp()))
    return str(path)


def test_a_table_of_systems_says_network_name_and_country(tmp_path: Path) -> None:
    known = Places(HotlineConfig(asn_database=file(tmp_path, "ip2asn.tsv", ASN)))
    source = "ip2asn.tsv 2026-03-04, announced"
    expected = Place(
        "192.0.2.7", 64500, "EXAMPLE-NET Example B.V.", "192.0.2.0/25", "NL", sources={"asn": source, "country": source}
    )
    assert known.locate("192.0.2.7") == expected
    assert known.locate("198.51.100.9").network == "198.51.100.0-198.51.100.9"
    six = known.locate("2001:db8::1")
    assert (six.asn, six.as_name, six.network, six.country, dict(six.sources)) == (
        64502,
        "SIX",
        "2001:db8::/48",
        "",
        {"asn": source},
    )
    mapped = known.locate("::ffff:192.0.2.7")
    assert (mapped.ip, mapped.asn, mapped.network) == ("::ffff:192.0.2.7", 64500, "192.0.2.0/25")
    assert repr(known) == f"<Places asn: {source}, country: unknown, abuse: unknown>"


@pytest.mark.parametrize(
    "ip",
    [
        "192.0.2.200",
        "198.51.100.10",
        "203.0.113.1",
        "2001:db9::",
        "::",
        "",
        "example.org",
        "192.0.2.7%eth0",
        "0300.0.2.7",
    ],
)
def test_what_no_file_says_is_not_known(ip: str, tmp_path: Path) -> None:
    known = Places(HotlineConfig(asn_database=file(tmp_path, "ip2asn.tsv", ASN)))
    assert known.locate(ip) == Place(ip)
    assert Places(HotlineConfig()).locate(ip) == Place(ip)


def test_a_registry_says_where_an_address_is_registered_and_dates_itself(tmp_path: Path) -> None:
    config = HotlineConfig(
        asn_database=file(tmp_path, "a.tsv", ASN), country_database=file(tmp_path, "delegated", REGISTRY)
    )
    known = Places(config)
    found = known.locate("192.0.2.7")
    assert (found.country, found.sources["country"]) == ("NL", "delegated 2026-01-05, registered")
    assert known.locate("198.51.100.2").country == "BE"
    assert known.locate("198.51.100.2").network == "198.51.100.0-198.51.100.9"
    assert known.locate("198.51.100.3").country == "DE", "the table of systems says so, and the registry says nothing"
    assert known.locate("2001:db8:ffff::").country == "DE"
    assert known.locate("203.0.113.5").country == "US"
    assert known.locate("203.0.113.200").country == ""
    assert known.locate("192.0.2.200").network == "192.0.2.0/24"


def test_prefixes_are_looked_up_by_the_longest(tmp_path: Path) -> None:
    text = "10.0.0.0\t8\t64500\n10.1.0.0\t16\t64501_64502\n10.1.2.0\t24\t{64503,64504}\n10.1.2.3\t32\t64505,64506\n10.1.255.0\t24\t64507\n0.0.0.0\t0\t64510\n::\t0\t64511\n"
    known = Places(HotlineConfig(asn_database=file(tmp_path, "pfx2as.gz", gzip.compress(text.encode()))))
    asked = {"10.0.0.0": 64500, "10.1.0.0": 64501, "10.1.2.2": 64503, "10.1.2.3": 64505, "10.1.2.4": 64503, "10.1.3.0": 64501,
        "10.1.255.255": 64507, "10.2.0.0": 64500, "11.0.0.0": 64510, "2001:db8::": 64511, "9.255.255.255": 64510}  # fmt: skip
    assert {ip: known.locate(ip).asn for ip in asked} == asked
    assert known.locate("10.1.2.3").network == "10.1.2.3/32"


def test_a_country_table_of_three_columns(tmp_path: Path) -> None:
    text = "192.0.2.0\t192.0.2.255\tNL\n198.51.100.0\t198.51.100.255\tNone\n"
    known = Places(HotlineConfig(country_database=file(tmp_path, "country.tsv", text)))
    assert (known.locate("192.0.2.1").country, known.locate("198.51.100.1").country) == ("NL", "")


def test_a_maxmind_db_is_read_as_its_makers_lay_it_out(tmp_path: Path) -> None:
    systems: dict[str, mmdb.Value] = {
        "192.0.2.0/24": {
            "autonomous_system_number": 64500,
            "autonomous_system_organization": "Example \x07B.V. " + "x" * 230,
        },
        "198.51.100.0/24": {"autonomous_system_number": 0, "autonomous_system_organization": 7},
        "2001:db8::/32": {"autonomous_system_number": 64502},
    }
    countries: dict[str, mmdb.Value] = {
        "192.0.2.0/25": {"country": {"iso_code": "NL"}, "registered_country": {"iso_code": "US"}},
        "192.0.2.128/25": {"registered_country": {"iso_code": "DE"}},
        "198.51.100.0/24": {"country": {"iso_code": "not a code"}},
        "203.0.113.0/24": {"country": "NL"},
    }
    built = int(DAY.timestamp())
    config = HotlineConfig(
        asn_database=file(tmp_path, "a.mmdb", mmdb.database("GeoLite2-ASN", built, systems)),
        country_database=file(tmp_path, "c.mmdb", mmdb.database("DBIP-Country-Lite", built, countries, ip_version=4)),
    )
    known = Places(config)
    found = known.locate("192.0.2.7")
    assert (found.asn, found.network, found.country) == (64500, "192.0.2.0/24", "NL")
    assert found.as_name == "Example  B.V. " + "x" * 186
    assert found.sources == {
        "asn": "GeoLite2-ASN 2026-03-04, located",
        "country": "DBIP-Country-Lite 2026-03-04, located",
    }
    assert known.locate("192.0.2.200").country == "DE"
    assert known.locate("::ffff:192.0.2.200").network == "192.0.2.0/24"
    assert [(known.locate(ip).asn, known.locate(ip).country) for ip in ("198.51.100.1", "203.0.113.1", "2001:db8::1", "::1")] == [
        (None, ""), (None, ""), (64502, ""), (None, ""),
    ]  # fmt: skip


def test_whom_to_tell_is_looked_up_by_network_and_then_by_system(tmp_path: Path) -> None:
    table = "where,email\n# theirs\n192.0.2.64/26,customer@example.org\nAS64500, abuse@example.net\nas64501,other@example.net\n"
    config = HotlineConfig(asn_database=file(tmp_path, "a.tsv", ASN), abuse_database=file(tmp_path, "abuse.csv", table))
    known = Places(config)
    asked = {
        "192.0.2.1": "abuse@example.net",
        "192.0.2.64": "customer@example.org",
        "198.51.100.1": "other@example.net",
        "2001:db8::1": "",
    }
    assert {ip: known.locate(ip).abuse for ip in asked} == asked
    assert known.locate("192.0.2.64").sources["abuse"] == "abuse.csv 2026-03-04"
    assert "abuse" not in known.locate("2001:db8::1").sources


def test_what_hides_an_origin_is_flagged_and_the_operator_has_the_first_word(tmp_path: Path) -> None:
    systems = "192.0.2.0\t192.0.2.255\t13335\tUS\tX\n198.51.100.0\t198.51.100.255\t16509\tUS\tY\n"
    asn = file(tmp_path, "a.tsv", systems)
    known = Places(HotlineConfig(asn_database=asn))
    assert (known.locate("192.0.2.1").cdn, known.locate("192.0.2.1").sources["cdn"]) == (
        "Cloudflare",
        "hashmatch's own table 2026-11-28",
    )
    assert known.locate("198.51.100.1").cdn == "", "Amazon's system is that of ordinary servers too"
    assert Places(HotlineConfig()).locate("13.32.0.1").cdn == "Amazon CloudFront"
    assert Places(HotlineConfig()).locate("2600:9000:2000::1").cdn == "Amazon CloudFront"
    own = Places(
        HotlineConfig(
            asn_database=asn,
            cdn_database=file(tmp_path, "cdn.csv", '198.51.100.0/24,Ours\nAS13335,"Cloudflare, Inc."\n'),
        )
    )
    assert [own.locate(ip).cdn for ip in ("198.51.100.1", "192.0.2.1", "13.32.0.1")] == [
        "Ours",
        "Cloudflare, Inc.",
        "Amazon CloudFront",
    ]


def test_a_place_as_columns(tmp_path: Path) -> None:
    known = Places(HotlineConfig(asn_database=file(tmp_path, "a.tsv", ASN)))
    assert places.row(known.locate("192.0.2.7")) == {
        "ip": "192.0.2.7", "asn": "64500", "as_org": "EXAMPLE-NET Example B.V.", "network": "192.0.2.0/25", "country": "NL",
        "country_method": "announced", "cdn": "no", "cdn_name": "", "abuse": "",
        "place_sources": "asn: a.tsv 2026-03-04, announced; country: a.tsv 2026-03-04, announced",
    }  # fmt: skip
    unknown = places.row(Place("203.0.113.1"))
    assert (unknown["ip"], {value for key, value in unknown.items() if key != "ip"}) == ("203.0.113.1", {""})
    assert places.row(Place("13.32.0.1", cdn="Amazon CloudFront"))["cdn"] == "yes"


LINE = "192.0.2.0\t192.0.2.9\t64500\tNL\tx\n"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "there is no line with data in it"),
        ("# nothing\n\n", "there is no line with data in it"),
        (
            "a b c\n",
            "line 1: neither a registry's statistics, nor iptoasn's columns (start, end, AS, country, name), nor CAIDA's (prefix, length, AS), between tabs",
        ),
        (LINE + "192.0.2.10\t192.0.2.20\t64500\n", "line 2: 3 columns, expected 5"),
        (LINE + "192.0.2.300\t192.0.2.20\t1\tNL\tx\n", "line 2: '192.0.2.300' is no address"),
        (LINE + "192.0.2.30\t192.0.2.20\t1\tNL\tx\n", "line 2: the range ends before it begins"),
        (
            LINE + "192.0.2.10\t192.0.2.20\t4294967296\tNL\tx\n",
            "line 2: '4294967296' is no number of an autonomous system",
        ),
        (LINE + "192.0.2.10\t192.0.2.20\t1\tNLD\tx\n", "line 2: 'NLD' is no country of ISO 3166"),
        (LINE + "\n192.0.2.5\t192.0.2.20\t1\tNL\tx\n", "line 3: the range overlaps that of line 1"),
        (LINE + "192.0.2.0\t192.0.2.9\t1\tNL\tx\n", "line 2: says something else of the range of line 1"),
        (LINE + "x" * 4_097, "line 2: longer than 4096 characters"),
        ("192.0.2.1\t24\t1\n", "line 1: 192.0.2.1/24 is no network, or has bits behind its prefix"),
        ("192.0.2.0\t33\t1\n", "line 1: 192.0.2.0/33 is no network, or has bits behind its prefix"),
        ("192.0.2.0\t-1\t1\n", "line 1: 192.0.2.0/-1 is no network, or has bits behind its prefix"),
        ("2|ripencc|2026|x\n", "line 1: the header has no date as YYYYMMDD in its third column"),
        (
            "ripencc|NL|ipv4|192.0.2.0\n",
            "line 1: no record of a registry: registry|country|type|start|value|date|status",
        ),
        ("ripencc|NL|ipv4|192.0.2.0|0|x|assigned\n", "line 1: '0' is no number of addresses, or no length of a prefix"),
        (
            "ripencc|NL|ipv4|255.255.255.0|257|x|assigned\n",
            "line 1: '257' is no number of addresses, or no length of a prefix",
        ),
        (
            "ripencc|NL|ipv6|2001:db8::|129|x|assigned\n",
            "line 1: '129' is no number of addresses, or no length of a prefix",
        ),
    ],
)
def test_a_damaged_table_is_refused_by_its_line_and_the_rule(text: str, rule: str, tmp_path: Path) -> None:
    path = file(tmp_path, "table", text)
    with pytest.raises(BadConfig) as caught:
        Places(HotlineConfig(country_database=path))
    assert (caught.value.message, caught.value.field) == (f"{path}: {rule}", "hotline.country_database")


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("abuse_database", "192.0.2.0/24\n", "line 1: 1 columns, expected a network or AS number and a word"),
        (
            "abuse_database",
            "where,email\n192.0.2.1/24,a@example.org\n",
            "line 2: '192.0.2.1/24' is no network, or has bits behind its prefix",
        ),
        ("abuse_database", "AS1,nobody\n", "line 1: the second column is no address of mail"),
        (
            "abuse_database",
            "AS1,a@example.org\nAS1,b@example.org\n",
            "line 2: says something else of AS1 than a line before",
        ),
        ("abuse_database", "ASX,a@example.org\n", "line 1: 'ASX' is no number of an autonomous system"),
        ("cdn_database", "AS1,\n", "line 1: the second column is no name of at most 200 characters"),
        ("cdn_database", "AS1,a\u202eb\n", "line 1: the second column is no name of at most 200 characters"),
    ],
)
def test_a_damaged_table_of_words_is_refused_likewise(name: str, text: str, rule: str, tmp_path: Path) -> None:
    path = file(tmp_path, "words.csv", text)
    with pytest.raises(BadConfig) as caught:
        Places(HotlineConfig(**{name: path}))  # type: ignore[arg-type]
    assert (caught.value.message, caught.value.field) == (f"{path}: {rule}", f"hotline.{name}")


def test_files_that_cannot_be_opened_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = mmdb.database("X", 0, {"192.0.2.0/24": {"autonomous_system_number": 64500}})
    cases = {
        str(tmp_path / "none.tsv"): "cannot be read: No such file or directory",
        str(tmp_path / "none.mmdb"): "cannot be read: No such file or directory",
        file(tmp_path, "cut.gz", gzip.compress(LINE.encode() * 50)[:-20]): "cannot be read: it is cut short or damaged",
        file(tmp_path, "text.mmdb", "no database"): "is damaged, or no MaxMind DB",
        file(tmp_path, "head.mmdb", whole[: -len(whole) // 3]): "is damaged, or no MaxMind DB",
    }
    for path, rule in cases.items():
        with pytest.raises(BadConfig) as caught:
            Places(HotlineConfig(asn_database=path))
        assert (caught.value.message, caught.value.field) == (f"{path} {rule}", "hotline.asn_database")
    monkeypatch.setitem(sys.modules, "maxminddb", None)
    with pytest.raises(BadConfig) as caught:
        Places(HotlineConfig(asn_database=file(tmp_path, "a.mmdb", whole)))
    assert (
        caught.value.message
        == "a.mmdb: reading .mmdb needs maxminddb, not installed here: pip install 'hashmatch[hotline]'"
    )


def test_a_database_that_is_damaged_inside_says_so_when_it_is_asked(tmp_path: Path) -> None:
    whole = mmdb.database("X", 0, {"192.0.2.0/24": {"autonomous_system_number": 64500}})
    at = whole.index(b"autonomous_system_number") - 2
    known = Places(
        HotlineConfig(asn_database=file(tmp_path, "a.mmdb", whole[:at] + b"\x3f\xff\xff\xff" + whole[at + 4 :]))
    )
    with pytest.raises(BadConfig) as caught:
        known.locate("192.0.2.1")
    assert (caught.value.message, caught.value.field) == ("a.mmdb is damaged: get it again", "hotline.asn_database")


NETWORKS = st.tuples(st.integers(0, 255), st.integers(0, 8)).map(lambda pair: (pair[0] >> pair[1] << pair[1], pair[1]))


@given(known=st.dictionaries(NETWORKS, st.integers(0, 3), max_size=40), six=st.booleans())
def test_the_narrowest_range_answers_as_a_slow_search_says(known: dict[tuple[int, int], int], *, six: bool) -> None:
    start = int(ipaddress.IPv6Address("2001:db8:ffff:ffff:ffff:ffff:ffff:ff80" if six else "::ffff:192.0.2.0"))
    ranges = [(start + first, start + first + (1 << bits) - 1, said) for (first, bits), said in known.items()]
    builder: Builder[int] = Builder()
    for line, (first, last, said) in enumerate(ranges, 1):
        builder.add(first.to_bytes(16, "big"), last.to_bytes(16, "big"), said, line)
    table = builder.table()
    for address in range(start - 2, start + 258):
        around = [(last - first, first, last, said) for first, last, said in ranges if first <= address <= last]
        expected = [(said, place_tables.network(first, last)) for _, first, last, said in sorted(around)[:1]]
        found = table.find(address.to_bytes(16, "big"))
        assert [(found.said, found.network)] == expected if found is not None else not expected


def test_ranges_that_cross_are_no_table() -> None:
    builder: Builder[int] = Builder()
    for line, (first, last) in enumerate([(0, 10), (5, 15)], 1):
        builder.add(first.to_bytes(16, "big"), last.to_bytes(16, "big"), 0, line)
    with pytest.raises(BadFile) as caught:
        builder.table()
    assert caught.value.message == "line 2: the range overlaps that of line 1"
    assert repr(Builder[int]().table()) == "<Table 0 ranges, 0 different things said>"
    assert Builder[int]().table().find(bytes(16)) is None
