"""Every picture in the repository has a licence that someone wrote down next to it.

The nearest ``LICENSES*`` or ``MANIFEST*`` file upwards is asked. It has to name the file, by its name or its path from
there, on a line that also names a licence (SPDX identifier, or "public domain").
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tests.repo import tree

SUFFIXES = {".png", ".apng", ".jpg", ".jpeg", ".jfif", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic"}
SUFFIXES |= {".ico", ".svg", ".jxl", ".jp2"}
MAGIC = re.compile(
    rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP|BM....\0\0\0\0|II\*\0|MM\0\*|....ftyp(?:avif|avis|heic|mif1)",
    re.DOTALL,
)
SMALLEST_BYTES = 35
"""A GIF of one pixel."""
LICENCE = re.compile(
    r"\b(?:CC0-1\.0|CC-BY(?:-SA)?-\d\.\d|Apache-2\.0|MIT|BSD-\d-Clause|Unlicense|public domain)\b", re.IGNORECASE
)


def is_picture(path: Path) -> bool:
    """Judge by name and by content: a picture without a suffix is a picture, the signature of one alone is not."""
    with path.open("rb") as file:
        head = file.read(SMALLEST_BYTES)
    return path.suffix.lower() in SUFFIXES or (len(head) == SMALLEST_BYTES and MAGIC.match(head) is not None)


def unlicensed(root: Path, paths: Iterable[Path]) -> list[str]:
    """Pictures among ``paths`` (relative to ``root``) for which nobody states a licence."""
    pictures = [path for path in paths if is_picture(root / path)]
    return [path.as_posix() for path in pictures if not _has_entry(root, path)]


def _has_entry(root: Path, picture: Path) -> bool:
    for folder in picture.parents:
        papers = [*(root / folder).glob("LICENSES*"), *(root / folder).glob("MANIFEST*")]
        if papers:
            names = {picture.name, picture.relative_to(folder).as_posix()}
            lines = [line for paper in papers for line in paper.read_text(encoding="utf-8").splitlines()]
            return any(LICENCE.search(line) and names & set(re.split(r"[\s|,;\"'`\[\]()]+", line)) for line in lines)
    return False


def test_every_picture_in_the_repository_has_a_licence() -> None:
    assert unlicensed(tree.ROOT, tree.files()) == []


def test_pictures_without_papers_are_seen(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "top.svg").touch()
    (tmp_path / "a" / "LICENSES.md").write_text(
        "| b/named.png | CC0-1.0 | drawn by tests/support |\n| unclear.png | found on the web |\n| x.bin | MIT |\n"
    )
    for name in ("named.png", "unclear.png", "forgotten.JPG"):
        (tmp_path / "a" / "b" / name).touch()
    (tmp_path / "a" / "b" / "disguised.bin").write_bytes(b"\x89PNG\r\n\x1a\n".ljust(35))
    (tmp_path / "a" / "b" / "signature.bin").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "a" / "b" / "text.bin").write_bytes(b"BM is how this sentence starts.")
    paths = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert unlicensed(tmp_path, paths) == ["a/b/disguised.bin", "a/b/forgotten.JPG", "a/b/unclear.png", "top.svg"]
