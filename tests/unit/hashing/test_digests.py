"""Digests are of the bytes as received, whatever they are."""

from __future__ import annotations

import pytest

from hashmatch.hashing.algorithms import algorithm, digest_names
from hashmatch.hashing.digests import digest

ABC = {
    "md5": "900150983cd24fb0d6963f7d28e17f72",
    "sha1": "a9993e364706816aba3e25717850c26c9cd0d89d",
    "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
}
"""The test vectors of RFC 1321 A.5, RFC 3174 §7.3 and FIPS 180-2 B.1."""


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_published_vectors_come_out_of_any_buffer(kind: type) -> None:
    digests = digest(kind(b"abc"))
    assert {name: value.hex() for name, value in digests.items()} == ABC
    assert digests.size_bytes == 3


def test_an_empty_upload_has_digests_too() -> None:
    assert digest(b"").size_bytes == 0
    assert digest(b"").md5.hex() == "d41d8cd98f00b204e9800998ecf8427e"


def test_items_are_the_tables_digests_in_its_order_and_sizes() -> None:
    items = digest(b"x").items()
    assert tuple(name for name, _ in items) == digest_names()
    assert all(len(value) == algorithm(name).size_bytes for name, value in items)
