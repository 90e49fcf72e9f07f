"""A writer of MaxMind DB files, as small as the format allows, by its specification (version 2.0).

The tree has records of 24 bits; the data section has maps, texts and numbers. Addresses are IPv6, IPv4 ones below
``::/96``, as in the databases that are sold.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

Value = str | int | Mapping[str, "Value"]

_MAP, _TEXT, _UINT16, _UINT32, _UINT64 = 7, 2, 5, 6, 9
_MARKER = b"\xab\xcd\xefMaxMind.com"


@dataclass(slots=True)
class _Node:
    """A bit of an address: where 0 and where 1 leads."""

    ways: list[_Node | int | None] = field(default_factory=lambda: [None, None])


def encode(value: Value, number: int = _UINT32) -> bytes:
    """Write one field: a control byte with type and size, an extended type behind it where it does not fit."""
    match value:
        case str():
            data = value.encode()
            kind = _TEXT
        case int():
            data = value.to_bytes((value.bit_length() + 7) // 8, "big")
            kind = number
        case _:
            data = b"".join(encode(key) + encode(item) for key, item in value.items())
            kind = _MAP
    size = len(value) if kind == _MAP and isinstance(value, Mapping) else len(data)
    assert size < 285
    short, behind = (size, b"") if size < 29 else (29, bytes([size - 29]))
    if kind > 7:
        return bytes([short, kind - 7]) + behind + data
    return bytes([kind << 5 | short]) + behind + data


def database(kind: str, built: int, networks: Mapping[str, Value], *, ip_version: int = 6) -> bytes:
    """Return a file.

    Parameters
    ----------
    kind : str
        Type of the database, such as ``GeoLite2-ASN``.
    built : int
        Seconds since 1970.
    networks : mapping
        Networks that do not lie in each other, to their records.
    ip_version : int
        4: there is no IPv6 in it.

    """
    root, data = _Node(), b""
    for text, record in networks.items():
        network = ipaddress.ip_network(text)
        offset = 96 if network.version == 4 and ip_version == 6 else 0
        _insert(
            root, int(network.network_address), offset + network.max_prefixlen, offset + network.prefixlen, len(data)
        )
        data += encode(record)
    nodes = [root]
    for node in nodes:
        nodes.extend(way for way in node.ways if isinstance(way, _Node))
    numbers = {id(node): position for position, node in enumerate(nodes)}
    tree = b"".join(_record(way, numbers).to_bytes(3, "big") for node in nodes for way in node.ways)
    metadata = (
        ("binary_format_major_version", encode(2, _UINT16)),
        ("binary_format_minor_version", encode(0, _UINT16)),
        ("build_epoch", encode(built, _UINT64)),
        ("database_type", encode(kind)),
        ("description", encode({"en": "made up"})),
        ("ip_version", encode(ip_version, _UINT16)),
        ("languages", bytes([0, 4])),
        ("node_count", encode(len(nodes))),
        ("record_size", encode(24, _UINT16)),
    )
    head = bytes([_MAP << 5 | len(metadata)]) + b"".join(encode(key) + value for key, value in metadata)
    return tree + bytes(16) + data + _MARKER + head


def _insert(node: _Node, address: int, bits: int, length: int, offset: int) -> None:
    for depth in range(length):
        bit = address >> (bits - 1 - depth) & 1
        if depth == length - 1:
            node.ways[bit] = offset
            return
        following = node.ways[bit]
        if not isinstance(following, _Node):
            following = _Node()
            node.ways[bit] = following
        node = following


def _record(way: _Node | int | None, numbers: Mapping[int, int]) -> int:
    match way:
        case _Node():
            return numbers[id(way)]
        case int():
            return len(numbers) + 16 + way
        case None:
            return len(numbers)
