"""Hashes that a caller computed: one picture's, and whether they are what they say."""

from __future__ import annotations

from dataclasses import dataclass

from hashmatch.errors import BadHash, BadInput, UnknownAlgorithm
from hashmatch.hashing import algorithms
from hashmatch.model import MAX_QUALITY, EntryHash


@dataclass(frozen=True, slots=True)
class HashedItem:
    """The hashes of one image, computed by the caller."""

    hashes: tuple[EntryHash, ...]
    request_id: str = ""


def check_hashes(item: HashedItem, where: str) -> None:
    """Check the hashes of one item, which errors call ``where``.

    Raises
    ------
    UnknownAlgorithm, BadHash, BadInput
        An algorithm is not installed, a value has the wrong length, a quality is out of range; ``field`` names it.

    """
    for number, given in enumerate(item.hashes):
        field = f"{where}.hashes[{number}]"
        try:
            row = algorithms.algorithm(given.algorithm)
        except UnknownAlgorithm as error:
            raise UnknownAlgorithm(f"{field}.algorithm: {error.message}", field=f"{field}.algorithm") from error
        if len(given.value) != row.size_bytes:
            raise BadHash(
                f"{field}.value: a {row.name} value has {row.size_bytes} bytes, got {len(given.value)}",
                field=f"{field}.value",
            )
        if given.quality is not None and given.quality > MAX_QUALITY:
            raise BadInput(
                f"{field}.quality: {given.quality} is out of range; 0 to {MAX_QUALITY}", field=f"{field}.quality"
            )


def quality_of(item: HashedItem) -> int | None:
    """Return the best quality that is given, None where none is."""
    return max((given.quality for given in item.hashes if given.quality is not None), default=None)
