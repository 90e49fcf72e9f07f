"""Which addresses may be connected to: the one decision that keeps a reported URL from reaching what is inside.

Theory of operation
-------------------
IPv4 is a table of what is denied: everything that IANA's registry of special-purpose addresses lists, multicast and
what is reserved, the address that Azure's machines ask for their secrets (which is a public one), and AS112's sinks.
IPv6 is the other way round: only 2000::/3 is allocated to the internet, so nothing else is allowed, and of it the
special blocks are denied. That closes every form of IPv6 that carries an IPv4 address outside it (mapped, compatible,
SIIT, NAT64) without a rule for any of them; 6to4 and Teredo lie inside and are denied by theirs. 2001::/23 is denied
whole, although IANA calls a few blocks of it global: nobody hosts pictures there.

Addresses are judged as numbers, after names were resolved and spellings were read; never as text. A scope id makes an
address refused: it names an interface of this machine.

What this module deliberately does not do: it resolves nothing. It cannot know a network's own translation prefix
(NAT64 with a prefix of its own, RFC 6052 §2.2): where there is one, the network's firewall must hold it.

Source
------
IANA IPv4 and IPv6 Special-Purpose Address Registries, RFC 6890; RFC 5771 (multicast); RFC 7526 (6to4 relays);
reference security §1.2.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

from hashmatch.errors import BadConfig

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DENIED_IPV4: Final = tuple(
    (ipaddress.IPv4Network(block), name)
    for block, name in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private use"),
        ("100.64.0.0/10", "shared address space of carriers"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "Azure's own services"),
        ("169.254.0.0/16", "link-local, where clouds keep machines' secrets"),
        ("172.16.0.0/12", "private use"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "AS112"),
        ("192.52.193.0/24", "automatic multicast tunnels"),
        ("192.88.99.0/24", "6to4 relays"),
        ("192.168.0.0/16", "private use"),
        ("192.175.48.0/24", "AS112"),
        ("198.18.0.0/15", "benchmarks"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
ALLOWED_IPV6: Final = ipaddress.IPv6Network("2000::/3")
DENIED_IPV6: Final = tuple(
    (ipaddress.IPv6Network(block), name)
    for block, name in (
        ("2001::/23", "protocol assignments, Teredo and ORCHID among them"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("2620:4f:8000::/48", "AS112"),
        ("3fff::/20", "documentation"),
    )
)

SPECIAL_NAMES: Final = (
    *("localhost", "local", "localdomain", "internal", "intranet", "private", "corp", "home", "lan"),
    *("home.arpa", "in-addr.arpa", "ip6.arpa", "invalid"),
)
"""Names that mean something inside of a network and nothing on the internet, with everything below them (RFC 6761,
RFC 6762, RFC 8375, ICANN's list of collisions). They are refused before anybody is asked, which matters where a proxy
resolves names; ``.onion`` is ``urls``' business."""


def exempted(networks: Iterable[str]) -> tuple[Network, ...]:
    """Read ``hotline.allow_networks``.

    Raises
    ------
    BadConfig
        One of them is no network.

    """
    try:
        return tuple(ipaddress.ip_network(network) for network in networks)
    except ValueError as error:
        raise BadConfig(f"hotline.allow_networks: {error}", field="hotline.allow_networks") from error


def read(text: str) -> Address | None:
    """Return the address that is written in the one usual form; None for everything else, scope ids included."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        return None
    return address


def refusal(address: Address, exempt: Iterable[Network] = ()) -> str:
    """Say why an address must not be connected to.

    Parameters
    ----------
    address : IPv4Address or IPv6Address
        As it would be connected to.
    exempt : iterable of networks, optional
        Allowed whatever they are; see :func:`exempted`.

    Returns
    -------
    str
        Empty when it may be.

    """
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        return "an address with a scope id names an interface of this machine"
    if any(address in network for network in exempt if network.version == address.version):
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        return next((_told(block, name) for block, name in DENIED_IPV4 if address in block), "")
    if address not in ALLOWED_IPV6:
        return f"not in {ALLOWED_IPV6}, the only part of IPv6 that is the internet"
    return next((_told(block, name) for block, name in DENIED_IPV6 if address in block), "")


def refusal_of_name(host: str) -> str:
    """Say why a name, in lower case and without a dot at its end, is not looked up; empty when it may be."""
    special = next((name for name in SPECIAL_NAMES if host == name or host.endswith(f".{name}")), "")
    if special:
        return f"names under {special} are of inner networks"
    return "" if "." in host else "a name without a dot is of inner networks"


def _told(block: Network, name: str) -> str:
    return f"in {block} ({name})"
