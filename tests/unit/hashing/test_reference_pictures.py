"""The official PDQ pictures, from their files: every hash and quality as the reference implementations computed it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hashmatch.config import DecodeConfig
from hashmatch.hashing import compute
from hashmatch.model import HashOptions

REFERENCE = {"pdq": "pdqhash_0_2_8_fullres_pillow_rgb", "pdq-nearest512": "cpp_reference"}


def _pictures() -> list[Any]:
    extra = os.environ.get("HASHMATCH_EXTRA_DATA")
    if not extra:
        return [pytest.param(Path(), {}, marks=pytest.mark.skip(reason="HASHMATCH_EXTRA_DATA is not set"))]
    root = Path(extra) / "vectors" / "pdq"
    rows = json.loads((root / "index.json").read_text())["images"]
    return [pytest.param(root / row["path"], row, id=row["path"]) for row in rows]


@pytest.mark.parametrize(("path", "row"), _pictures())
@pytest.mark.parametrize("ignore_orientation", [True, False], ids=["as the reference", "as seen"])
def test_both_dialects_are_bit_identical(path: Path, row: dict[str, Any], ignore_orientation: bool) -> None:  # noqa: FBT001 - a parameter set
    """None of these pictures is rotated by its EXIF block or truly transparent, so both ways must agree."""
    options = HashOptions(algorithms=frozenset(REFERENCE), ignore_orientation=ignore_orientation)
    answer = compute.hash_picture(path.read_bytes(), DecodeConfig(), options)
    assert answer.refusal is None, answer.detail
    for name, key in REFERENCE.items():
        found = [row_ for row_ in answer.hashes if row_.algorithm == name]
        assert {row_.transformation: row_.hex for row_ in found} == row[key]["dihedral"]
        assert {row_.quality for row_ in found} == {row[key]["quality"]}
