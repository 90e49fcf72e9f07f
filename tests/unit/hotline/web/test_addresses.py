"""No address that is not the internet may be connected to, in whatever form it is written."""

# ruff: noqa: RUF001, S104 - spellings are what this is about, and nothing is bound

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hashmatch.errors import BadConfig
from hashmatch.hotline.web import addresses, hosts
from hashmatch.hotline.web.addresses import Address, refusal, refusal_of_name

HOSTILE = (
    # this network, private use, carriers, loopback, link-local
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255",
    "127.0.0.1", "127.255.255.254", "169.254.1.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.168.0.1",
    # protocol assignments, documentation, 6to4 relays, benchmarks, a cloud's own services on a public address
    "192.0.0.8", "192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1",
    "203.0.113.1", "168.63.129.16",
    # multicast, reserved, broadcast
    "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    # IPv6: unspecified, loopback, and IPv4 inside (compatible, mapped, SIIT)
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1",
    # translated, 6to4, Teredo and ORCHID
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001::1",
    "2001:20::1",
    # documentation, discard-only, segment routing, unique local (a cloud's metadata), site-local, link-local, multicast
    "2001:db8::1", "3fff::1", "100::1", "5f00::1", "fd00:ec2::254", "fec0::1", "fe80::1",
)  # fmt: skip
MULTICAST_IPV6 = ("ff02::1", "ff0e::1")

PUBLIC = (
    "8.8.8.8",
    "1.1.1.1",
    "93.184.215.14",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "2001:4860:4860::8888",
)


def address(text: str) -> Address:
    return ipaddress.ip_address(text)


def test_there_are_forty_eight() -> None:
    assert len(HOSTILE) == len(set(HOSTILE)) == 48


@pytest.mark.parametrize("text", [*HOSTILE, *MULTICAST_IPV6])
def test_hostile(text: str) -> None:
    assert refusal(address(text)) != ""


@pytest.mark.parametrize("text", PUBLIC)
def test_public(text: str) -> None:
    assert refusal(address(text)) == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("169.254.169.254", "in 169.254.0.0/16 (link-local, where clouds keep machines' secrets)"),
        ("168.63.129.16", "in 168.63.129.16/32 (Azure's own services)"),
        ("64:ff9b::808:808", "not in 2000::/3, the only part of IPv6 that is the internet"),
        ("2002:808:808::1", "in 2002::/16 (6to4)"),
        ("fe80::1%eth0", "an address with a scope id names an interface of this machine"),
        ("2606:4700::1%1", "an address with a scope id names an interface of this machine"),
    ],
)
def test_the_reason_is_said(text: str, reason: str) -> None:
    assert refusal(address(text)) == reason


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ("10.255.255.255", "11.0.0.0"), ("100.127.255.255", "100.128.0.0"), ("100.64.0.0", "100.63.255.255"),
        ("169.254.0.0", "169.253.255.255"), ("172.31.255.255", "172.32.0.0"), ("192.0.0.255", "192.0.1.0"),
        ("168.63.129.16", "168.63.129.17"), ("198.19.255.255", "198.20.0.0"), ("224.0.0.0", "223.255.255.255"),
        ("2001:1ff:ffff::", "2001:200::"), ("1fff:ffff::", "2003::"), ("3fff:fff::", "3fff:1000::"),
        ("4000::", "3ffe:ffff::"),
    ],
)  # fmt: skip
def test_edges(inside: str, outside: str) -> None:
    assert refusal(address(inside)) != ""
    assert refusal(address(outside)) == ""


ANY = st.ip_addresses()


@given(ANY)
@example(address("192.0.0.9"))
@example(address("2001:1::1"))
def test_what_the_library_calls_special_never_passes(any_address: Address) -> None:
    special = (
        any_address.is_loopback
        or any_address.is_private
        or any_address.is_link_local
        or any_address.is_multicast
        or any_address.is_reserved
        or any_address.is_unspecified
        or not any_address.is_global
    )
    assert not special or refusal(any_address) != ""


@given(st.ip_addresses(v=6))
def test_what_carries_an_ipv4_address_never_passes(any_address: ipaddress.IPv6Address) -> None:
    carried = any_address.ipv4_mapped or any_address.sixtofour or any_address.teredo
    assert not carried or refusal(any_address) != ""


@given(st.ip_addresses(v=4))
def test_no_form_of_ipv6_lets_an_ipv4_address_in(carried: ipaddress.IPv4Address) -> None:
    number = int(carried)
    for prefix in ("::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::", "64:ff9b:1::"):
        assert refusal(ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | number)) != ""
    assert refusal(ipaddress.IPv6Address(0x2002 << 112 | number << 80 | 1)) != ""


def test_exempt_networks() -> None:
    exempt = addresses.exempted(("127.0.0.0/8", "fd00::/8"))
    assert refusal(address("127.0.0.1"), exempt) == ""
    assert refusal(address("fd00::1"), exempt) == ""
    assert refusal(address("::ffff:127.0.0.1"), exempt) != "", "another spelling of it is another address"
    assert refusal(address("10.0.0.1"), exempt) != ""


def test_an_exempt_network_must_be_one() -> None:
    with pytest.raises(BadConfig, match=r"^hotline.allow_networks: 127.0.0.1/8 has host bits set$"):
        addresses.exempted(("127.0.0.1/8",))


@pytest.mark.parametrize(
    "text", ["0177.0.0.1", "127.1", "2130706433", "0x7f000001", "::1%lo", "", "a", "1.2.3.4 ", "①.1.1.1"]
)
def test_only_the_usual_form_is_an_address(text: str) -> None:
    assert addresses.read(text) is None


SPELLINGS = (
    "0177.0.0.1", "2130706433", "127.1", "0x7f.1", "0x7f000001", "017700000001", "①②⑦.⓪.⓪.①", "127。0。0。1",
    "[::ffff:127.0.0.1]", "127.0.0.1.", "%31%32%37.0.0.1", "127．0．0．1", "0x7F.0x0.0x0.0x1", "[::127.0.0.1]",
    "[0:0:0:0:0:ffff:7f00:0001]", "１２７.0.0.1",
)  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_loopback_is_judged_as_loopback(spelling: str) -> None:
    assert len(SPELLINGS) == 16
    host = hosts.canonical(spelling)
    assert isinstance(host, str)
    read = addresses.read(host)
    assert read is not None, "nobody is asked for what is an address"
    assert refusal(read) != ""


@pytest.mark.parametrize("name", ["localhost", "a.localhost", "a.b.local", "x.internal", "nas.home.arpa", "intranet"])
def test_names_of_inner_networks(name: str) -> None:
    assert refusal_of_name(name) != ""


@pytest.mark.parametrize("name", ["example.org", "localhost.example.org", "mylocal.example", "a.test", "x.onion"])
def test_names_of_the_internet(name: str) -> None:
    assert refusal_of_name(name) == ""
