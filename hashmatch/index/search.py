"""Which strategy searches which column.

Theory of operation
-------------------
The choice is made once per column, when a segment is opened or a delta is published, from what is known then: how the
values compare, how many there are, whether they are sorted. All strategies for a kind give the same answers (one
contract suite), so the choice is about time and never about recall.

What this module deliberately does not do: it holds no data and searches nothing itself.
"""

from __future__ import annotations

from hashmatch.index.columns import Bytes, Keys, KeysOf
from hashmatch.index.equal import ScannedDigests, SortedDigests
from hashmatch.index.flat import FlatSearch
from hashmatch.index.multi import MultiIndexSearch
from hashmatch.index.strategy import DigestSearch, HammingSearch
from hashmatch.index.tables import Tables


def hamming_search(codes: Bytes, tables: Tables | None = None) -> HammingSearch:
    """Choose the strategy for a column of perceptual codes, ``codes`` : uint8, shape (n, bytes), C order.

    ``tables`` are those of the column, where it has any; the delta has none, since its rows change too often.
    """
    return FlatSearch(codes) if tables is None else MultiIndexSearch(codes, tables)


def digest_search(codes: Bytes, keys: Keys, keys_of: KeysOf, *, is_sorted: bool) -> DigestSearch:
    """Choose the strategy for a column of values compared by equality, whose ``keys`` are ``keys_of(codes)``."""
    return SortedDigests(codes, keys, keys_of) if is_sorted else ScannedDigests(codes, keys, keys_of)
