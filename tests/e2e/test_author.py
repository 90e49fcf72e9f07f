"""From originals to a report: authored with views, imported, met by cropped copies, exported and imported again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from hashmatch.catalog.opening import CATALOG
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.cli.main import main
from hashmatch.transformations import CROPS
from tests.support import images

SIZE = (400, 300)


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    """Rows on stdout of a command."""
    assert main([*arguments, "--json"]) == code
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture(autouse=True)
def _originals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a directory with two originals, a flat picture and a damaged file below ``originals``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HASHMATCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HASHMATCH_SANDBOX_DEADLINE_MS", "120000")
    monkeypatch.setenv("HASHMATCH_SANDBOX_QUEUE_MS", "600000")
    folder = tmp_path / "originals"
    folder.mkdir()
    for seed in (1, 2):
        (folder / f"{seed}.png").write_bytes(images.encoded(images.photo(seed, SIZE), "PNG"))
    (folder / "flat.png").write_bytes(images.flat_png(64, 64))
    whole = images.encoded(images.photo(3, SIZE), "JPEG")
    (folder / "half.jpg").write_bytes(whole[: len(whole) // 2])


def cropped(seed: int, left: float, top: float, right: float, bottom: float) -> Image.Image:
    width, height = SIZE
    box = (round(width * left), round(height * top), round(width * (1 - right)), round(height * (1 - bottom)))
    return images.photo(seed, SIZE).crop(box)


def test_a_cropped_copy_is_found_and_the_report_names_the_view(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    into = ("--into", "own", "--domain", "other", "--create")
    *files, imported = run(capsys, "hashset", "author", "originals", "--views", "crops", *into, code=3)
    assert [row.get("error", row.get("views")) for row in files] == [40, 40, "low_quality", "degraded"]
    assert (imported["added"], imported["rejected"]) == (2, 0)
    copies = {
        "left.jpg": cropped(1, 0.118, 0, 0, 0),
        "centre.jpg": cropped(2, 0.07, 0.07, 0.07, 0.07).transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "whole.jpg": cropped(1, 0, 0, 0, 0),
    }
    for name, picture in copies.items():
        (tmp_path / name).write_bytes(images.encoded(picture, "JPEG", quality=90))
    (tmp_path / "stranger.jpg").write_bytes(images.encoded(images.photo(9, SIZE), "JPEG"))
    rows = run(capsys, "detect", *copies, "stranger.jpg", code=1)
    assert [row["verdict"] for row in rows] == ["match", "match", "match", "no_match"]
    hits = [row["hits"][0] for row in rows[:3]]
    assert [hit["view"] for hit in hits] == ["crop-left-12", "crop-centre-15", ""]
    assert [hit["transformation"] for hit in hits] == ["orig", "flipy", "orig"]
    assert [hit["entry_id"] for hit in hits] == [files[0]["entry_id"], files[1]["entry_id"], files[0]["entry_id"]]
    assert all(len(row["hits"]) == 1 for row in rows[:3]), "views of one picture are one entry"


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_lists_with_views_travel_without_loss(suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ("--views", "crops", "--id-prefix", "case", "--label", "s/1=x", "--source", "us")
    files = run(capsys, "hashset", "author", "originals/1.png", *wanted, "--output", f"list.{suffix}")
    make = ("--domain", "other", "--create")
    assert run(capsys, "hashset", "import", "first", f"list.{suffix}", *make)[0]["added"] == 1
    assert main(["hashset", "export", "first", "--format", suffix, "--output", f"again.{suffix}"]) == 0
    assert run(capsys, "hashset", "import", "second", f"again.{suffix}", *make)[0]["added"] == 1
    assert run(capsys, "hashset", "import", "second", f"list.{suffix}")[0]["unchanged"] == 1
    with SqliteCatalog.open(Path("data") / CATALOG) as catalog:
        (first,), (second,) = catalog.entries("first"), catalog.entries("second")
    assert first == second
    assert first.entry_id == files[0]["entry_id"]
    assert {item.view for item in first.hashes} == {"", *CROPS}
    assert len(first.hashes) == files[0]["values"]
