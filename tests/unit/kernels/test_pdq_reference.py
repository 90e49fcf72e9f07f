"""The kernels against what others compute: pdqhash 0.2.8, the committed vectors, the reference's own pictures."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pdqhash
import pytest
from PIL import Image

from hashmatch.hashing.patterns import KINDS, Pixels, picture
from hashmatch.kernels.pdq import DIHEDRAL_NAMES, PdqHashes, pdq, pdq_nearest512
from tests.vectors.pdq.generate import TARGET, by_pdqhash, hex_of

SIZES = [
    (5, 5), (5, 64), (4, 17), (17, 4), (6, 700), (63, 64), (64, 63), (64, 64), (65, 64), (127, 129), (128, 128),
    (129, 256), (192, 320), (255, 257), (256, 256), (384, 640), (511, 513), (512, 512), (513, 511), (600, 100),
    (768, 1024), (1024, 1024), (1031, 769),
]  # fmt: skip


def named(result: PdqHashes) -> dict[str, str]:
    return {name: row.tobytes().hex() for name, row in zip(DIHEDRAL_NAMES, result.hashes, strict=True)}


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_pdq_is_pdqhash(height: int, width: int) -> None:
    large = height * width > 300_000
    for seed, kind in enumerate(("noise", "checker") if large else sorted(KINDS), start=3):
        pixels = picture(kind, height, width, 3, size=seed)
        hashes, quality = by_pdqhash(pixels)
        result = pdq(pixels)
        assert list(named(result).values()) == hashes, kind
        assert result.quality == quality, kind


def test_sixty_four_pixels_square_is_special() -> None:
    """The reference skips the filter there when asked for one hash, and does not when asked for eight.

    Where rounding decides, as in a mirrored picture, the two answers for the same hash differ. Row 0 follows the first.
    """
    pixels = picture("mirrored", 64, 64, 3, size=1)
    single, _ = pdqhash.compute(pixels)
    dihedral, _ = pdqhash.compute_dihedral(pixels)
    assert hex_of(single) != hex_of(dihedral[0])
    row = named(pdq(pixels))
    assert row["orig"] == hex_of(single)
    assert row["flipminus"] == hex_of(dihedral[7])

    bigger = picture("mirrored", 66, 66, 3, size=1)
    assert hex_of(pdqhash.compute(bigger)[0]) == hex_of(pdqhash.compute_dihedral(bigger)[0][0])


def vectors() -> list[dict[str, Any]]:
    document: dict[str, list[dict[str, Any]]] = json.loads(TARGET.read_text(encoding="utf-8"))
    return document["vectors"]


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: "-".join(map(str, vector["recipe"].values())))
def test_committed_vector(vector: dict[str, Any]) -> None:
    pixels = picture(**vector["recipe"])
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == vector["pixels_sha256"]
    for dialect, function in {"pdq": pdq, "pdq-nearest512": pdq_nearest512}.items():
        result = function(pixels)
        assert named(result) == vector[dialect]["dihedral"], dialect
        assert result.hashes[0].tobytes().hex() == vector[dialect]["hash"], dialect
        assert result.quality == vector[dialect]["quality"], dialect


def official() -> list[Any]:
    """One case per official picture; a single skipped case where the material is not there."""
    extra = os.environ.get("HASHMATCH_EXTRA_DATA")
    if not extra:
        return [pytest.param(Path(), {}, marks=pytest.mark.skip(reason="HASHMATCH_EXTRA_DATA is not set"))]
    root = Path(extra) / "vectors" / "pdq"
    index = json.loads((root / "index.json").read_text(encoding="utf-8"))
    return [pytest.param(root, entry, id=entry["path"]) for entry in index["images"]]


def pixels_of(path: Path) -> Pixels:
    """Decode as the reference does: no EXIF rotation, alpha dropped, grey stays grey."""
    with Image.open(path) as image:
        return np.asarray(image.convert("L" if image.mode in {"1", "L", "LA"} else "RGB"))


@pytest.mark.parametrize(("root", "entry"), official())
def test_official_picture(root: Path, entry: dict[str, Any]) -> None:
    pixels = pixels_of(root / entry["path"])
    full, nearest, twin = pdq(pixels), pdq_nearest512(pixels), pdq_nearest512(pixels_of(root / entry["png512"]))
    reference, by_binding = entry["cpp_reference"], entry["pdqhash_0_2_8_fullres_pillow_rgb"]
    for result, expected in ((full, by_binding), (nearest, reference), (twin, reference)):
        assert named(result) == expected["dihedral"]
        assert result.hashes[0].tobytes().hex() == expected["hash"]
        assert result.quality == expected["quality"]
