"""The slow, obvious twin of ``hashmatch.hotline.followup.near``: sets of whole numbers."""

from __future__ import annotations

from collections.abc import Sequence


def distance(a: bytes, b: bytes) -> int:
    """Bits in which two values differ."""
    return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()


def components(codes: Sequence[bytes], max_distance: int) -> list[set[int]]:
    """Find the connected components of the relation of being near, each by walking from its lowest row."""
    left, found = set(range(len(codes))), []
    while left:
        reached, edge = {min(left)}, [min(left)]
        while edge:
            row = edge.pop()
            near = {other for other in left - reached if distance(codes[row], codes[other]) <= max_distance}
            reached |= near
            edge += near
        found.append(reached)
        left -= reached
    return found


def stars(codes: Sequence[bytes], members: set[int], max_distance: int) -> dict[int, tuple[int, int]]:
    """Row of a component to its representative and the distance from it."""
    representatives: list[int] = []
    for row in sorted(members):
        if all(distance(codes[row], codes[other]) > max_distance for other in representatives):
            representatives.append(row)
    chosen = {}
    for row in members:
        bits, star = min((distance(codes[row], codes[other]), other) for other in representatives)
        chosen[row] = star, bits
    return chosen
