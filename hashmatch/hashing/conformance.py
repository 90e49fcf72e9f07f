"""Whether the PDQ that this machine computes is PDQ: committed values, computed again and compared.

Theory of operation
-------------------
Compilers and processors differ, and a hash that is a bit off still looks like a hash. So pictures whose pixels follow
from whole numbers (``patterns``) are drawn, their digest is compared first, and both dialects are computed from them:
the hash, the quality and the eight orientations. What they must be lies in ``conformance.json`` and was never computed
by the kernels under test: for ``pdq`` by pdqhash 0.2.8, for ``pdq-nearest512`` by a slow twin that agrees with the
reference's command line on all of its own pictures. The pictures are chosen to be difficult: ties at the median, no
structure at all, sides of 4 to 2,048 pixels, windows that do not divide them, grey and colour.

What this module deliberately does not do: no file is decoded (decoders have tests of their own), and no other
algorithm is covered.

Source: ``tests/vectors/pdq/generate.py`` writes the values.
"""

from __future__ import annotations

import hashlib
import json
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from hashmatch.hashing.patterns import Pixels, picture
from hashmatch.kernels.pdq import DIHEDRAL_NAMES, PdqHashes, pdq, pdq_nearest512

Dialect = Callable[[Pixels], PdqHashes]

DIALECTS: Mapping[str, Dialect] = types.MappingProxyType({"pdq": pdq, "pdq-nearest512": pdq_nearest512})
VALUES = "conformance.json"


@dataclass(frozen=True, slots=True)
class Compared:
    """One picture in one dialect.

    Attributes
    ----------
    picture
        What was drawn, e.g. ``rings 768x1024 RGB``.
    pixels_match
        Whether the picture is the one that the values are of; if not, the rest means nothing.
    hash_bits
        Bits by which the hash differs.
    quality_off
        Computed less expected.
    wrong_orientations
        Of the other seven, those that differ.

    """

    picture: str
    algorithm: str
    pixels_match: bool
    hash_bits: int
    quality_off: int
    wrong_orientations: tuple[str, ...]

    @property
    def conforms(self) -> bool:
        """Whether nothing differs."""
        return self.pixels_match and not self.hash_bits and not self.quality_off and not self.wrong_orientations


def compare(dialects: Mapping[str, Dialect] = DIALECTS) -> Iterator[Compared]:
    """Draw, compute and compare every picture in every dialect.

    Parameters
    ----------
    dialects
        Name to the function under test; the names are keys of the committed values.

    """
    values = json.loads(resources.files("hashmatch.hashing").joinpath(VALUES).read_text(encoding="utf-8"))
    for vector in values["vectors"]:
        pixels = picture(**vector["recipe"])
        same = hashlib.sha256(pixels.tobytes()).hexdigest() == vector["pixels_sha256"]
        for name, dialect in dialects.items():
            yield _compared(_named(vector["recipe"]), name, dialect(pixels), vector[name], pixels_match=same)


def _compared(
    described: str, algorithm: str, computed: PdqHashes, expected: Mapping[str, Any], *, pixels_match: bool
) -> Compared:
    bits = {
        name: (int(row.tobytes().hex(), 16) ^ int(expected["dihedral"][name], 16)).bit_count()
        for name, row in zip(DIHEDRAL_NAMES, computed.hashes, strict=True)
    }
    return Compared(
        picture=described,
        algorithm=algorithm,
        pixels_match=pixels_match,
        hash_bits=bits.pop(DIHEDRAL_NAMES[0]),
        quality_off=computed.quality - int(expected["quality"]),
        wrong_orientations=tuple(name for name, off in bits.items() if off),
    )


def _named(recipe: Mapping[str, Any]) -> str:
    colour = "grey" if recipe["channels"] == 1 else "RGB"
    return f"{recipe['kind']} {recipe['size']}, {recipe['width']}x{recipe['height']} {colour}"
