"""Write hashmatch/hashing/conformance.json: ``python -m tests.vectors.pdq.generate``.

None of the expected values comes from the kernels. Those of ``pdq`` are what pdqhash 0.2.8 computes: the first hash and
the quality by ``compute``, the others by ``compute_dihedral``. Those of ``pdq-nearest512`` are what the slow twin
computes, which agrees with the C++ command line on all of the reference's own pictures.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pdqhash

import hashmatch.hashing
from hashmatch.hashing.conformance import VALUES
from hashmatch.hashing.patterns import Pixels, picture
from hashmatch.kernels.pdq import DIHEDRAL_NAMES
from tests.oracle import pdq as twin

TARGET = Path(hashmatch.hashing.__file__).with_name(VALUES)

RECIPES: tuple[tuple[str, int, int, int, int], ...] = (
    ("noise", 4, 40, 3, 1),
    ("noise", 5, 5, 3, 2),
    ("noise", 5, 5, 1, 2),
    ("cells", 64, 64, 3, 5),
    ("mirrored", 64, 64, 3, 1),
    ("mirrored", 64, 64, 1, 1),
    ("mirrored", 90, 120, 3, 2),
    ("cells", 63, 65, 3, 9),
    ("rings", 128, 128, 3, 30),
    ("rings", 129, 127, 1, 30),
    ("cells", 200, 301, 3, 23),
    ("ramp", 240, 320, 3, 0),
    ("flat", 256, 256, 3, 100),
    ("checker", 256, 256, 3, 16),
    ("checker", 500, 333, 3, 7),
    ("stripes", 511, 512, 3, 12),
    ("cells", 512, 512, 3, 41),
    ("cells", 512, 512, 1, 41),
    ("rings", 513, 512, 3, 300),
    ("cells", 100, 600, 3, 30),
    ("cells", 600, 9, 3, 3),
    ("rings", 768, 1024, 3, 900),
    ("noise", 641, 1023, 1, 3),
    ("cells", 1024, 2048, 3, 111),
)


def hex_of(vector: np.ndarray[Any, Any]) -> str:
    """Text of pdqhash's array of 256 zeros and ones."""
    return np.packbits(vector.astype(np.uint8)).tobytes().hex()


def by_pdqhash(pixels: Pixels) -> tuple[list[str], int]:
    """Eight hashes and quality by pdqhash, which takes colour only."""
    rgb = pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=2)
    single, quality = pdqhash.compute(np.ascontiguousarray(rgb))
    dihedral, _ = pdqhash.compute_dihedral(np.ascontiguousarray(rgb))
    return [hex_of(vector) for vector in (single, *dihedral[1:])], int(quality)


def vector(kind: str, height: int, width: int, channels: int, size: int) -> dict[str, Any]:
    """One recipe with the digest of its pixels and what both dialects make of it."""
    pixels = picture(kind, height, width, channels, size)
    entry: dict[str, Any] = {
        "recipe": {"kind": kind, "height": height, "width": width, "channels": channels, "size": size},
        "pixels_sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
    }
    for dialect, (hashes, quality) in {
        "pdq": by_pdqhash(pixels),
        "pdq-nearest512": twin.pdq_nearest512(pixels),
    }.items():
        named = dict(zip(DIHEDRAL_NAMES, hashes, strict=True))
        entry[dialect] = {"hash": hashes[0], "quality": quality, "dihedral": named}
    return entry


if __name__ == "__main__":
    document = {"pdqhash": "0.2.8", "vectors": [vector(*recipe) for recipe in RECIPES]}
    TARGET.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
