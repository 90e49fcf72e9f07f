"""Write ``known.csv`` from the committed photos: ``python -m hashsets.demo.make_known``.

The values are what ``hashmatch hash`` computes; tests/unit/test_demo_set.py compares the file with a fresh one.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from hashmatch.config import DecodeConfig
from hashmatch.hashing.compute import hash_picture
from hashmatch.hashing.digests import digest
from hashmatch.model import Enrolment, HashOptions
from hashsets.demo.cases import KNOWN, PHOTOS

KNOWN_CSV = Path(__file__).parent / "known.csv"
COLUMNS = ("algorithm", "value", "quality", "entry_id", "source", "view")
SOURCE = "hashmatch demo, CC0 photos"


def known_csv() -> str:
    """Return the text of the set: PDQ, also of parts, pHash and SHA-256 of every known photo."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    names = frozenset({"pdq", "phash"})
    options = HashOptions(algorithms=names, dihedral=False, exact=True, enrolment=Enrolment.CROPS)
    for name in KNOWN:
        image = (PHOTOS / f"{name}.jpg").read_bytes()
        picture = hash_picture(image, DecodeConfig(), options)
        values = [(item.algorithm, item.hex, item.quality, item.transformation) for item in picture.hashes]
        values.append(("sha256", digest(image).sha256.hex(), None, "orig"))
        for algorithm, value, quality, view in values:
            row = (algorithm, value, "" if quality is None else quality, name, SOURCE, view.removeprefix("orig"))
            writer.writerow(dict(zip(COLUMNS, row, strict=True)))
    return out.getvalue()


if __name__ == "__main__":
    KNOWN_CSV.write_text(known_csv(), encoding="utf-8")
