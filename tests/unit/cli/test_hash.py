"""What one file becomes: rows for its values, a row for what stood in the way."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from hashmatch.cli.hash import FIELDS, SKIPPED_FIELDS, Job, Looked, Wanted, choose, records
from hashmatch.cli.options import GlobalOptions
from hashmatch.cli.output import Output
from hashmatch.cli.paths import Skipped, SkipReason
from hashmatch.errors import BadInput, UnknownAlgorithm
from hashmatch.hashing import algorithms
from hashmatch.hashing.digests import digest
from hashmatch.model import ComputedHash, HashOptions, MediaInfo, Picture, Refusal
from hashmatch.progress import SILENT
from tests.support.ports import FakeHasher, picture

VIEWS = ("orig", "rot90", "rot180", "rot270", "flipx", "flipy", "flipplus", "flipminus")
DIGESTS = digest(b"image")


def animation() -> Picture:
    """Return two frames, each with all views of pdq and one phash."""
    hashes = [
        ComputedHash(algorithm, bytes([frame, number]) * size, quality, view, frame)
        for frame in (0, 3)
        for algorithm, size, quality, views in (("pdq", 16, 80 + frame, VIEWS), ("phash", 4, None, VIEWS[:1]))
        for number, view in enumerate(views)
    ]
    return Picture(MediaInfo("GIF", 320, 200, frames=5, frames_hashed=2), tuple(hashes))


def wanted(names: str | None = None, *, dihedral: bool = False) -> Wanted:
    return choose(names, HashOptions(dihedral=dihedral))


def test_by_default_everything_that_can_be_is_computed() -> None:
    chosen = wanted()
    assert chosen.names == algorithms.computed_names()
    assert chosen.options.algorithms == frozenset(algorithms.perceptual_names())
    assert chosen.bits["pdq"] == 256
    assert chosen.perceptual


def test_algorithms_keep_the_order_in_which_they_were_asked_for() -> None:
    chosen = wanted("sha256, pdq,sha256")
    assert chosen.names == ("sha256", "pdq")
    assert chosen.options.algorithms == {"pdq"}


def test_digests_alone_need_no_picture() -> None:
    assert not wanted("md5,sha1").perceptual


def test_an_unknown_algorithm_is_named() -> None:
    with pytest.raises(UnknownAlgorithm, match=r"^no algorithm 'neuralhash' is installed; there are pdq, "):
        wanted("pdq,neuralhash")


def test_what_is_opaque_cannot_be_computed_and_is_not_among_all() -> None:
    expected = (
        "photodna cannot be computed here: it takes a tool under licence. hashmatch keeps such values in lists "
        "and compares them for equality; computed here are "
        "pdq, pdq-nearest512, phash, dhash, ahash, whash, md5, sha1, sha256"
    )
    with pytest.raises(BadInput) as caught:
        wanted("pdq,photodna")
    assert (caught.value.message, caught.value.field) == (expected, "algorithm")
    assert "photodna" not in wanted(None).names


def test_a_picture_is_a_row_for_each_algorithm() -> None:
    rows = list(records("a.jpg", Looked(DIGESTS, picture(b"\x01" * 32, quality=77)), wanted("sha256,pdq")))
    assert rows == [
        {
            "path": "a.jpg", "algorithm": "sha256", "value": hashlib.sha256(b"image").hexdigest(), "bits": 256,
            "quality": None, "width": 640, "height": 640, "format": "JPEG", "frames": 1, "frame": None,
            "degraded": False,
        },
        {
            "path": "a.jpg", "algorithm": "pdq", "value": "01" * 32, "bits": 256,
            "quality": 77, "width": 640, "height": 640, "format": "JPEG", "frames": 1, "frame": 0,
            "degraded": False,
        },
    ]  # fmt: skip
    assert set(rows[0]) == set(FIELDS) - {"dihedral"}


def test_an_animation_is_a_row_for_each_algorithm_and_frame() -> None:
    rows = list(records("a.gif", Looked(DIGESTS, animation()), wanted("pdq,phash")))
    assert [(row["algorithm"], row["frame"], row["quality"], row["frames"]) for row in rows] == [
        ("pdq", 0, 80, 5),
        ("pdq", 3, 83, 5),
        ("phash", 0, None, 5),
        ("phash", 3, None, 5),
    ]
    assert all("dihedral" not in row for row in rows)


def test_with_dihedral_the_other_views_stand_beside_the_first() -> None:
    rows = list(records("a.gif", Looked(DIGESTS, animation()), wanted("pdq,phash,md5", dihedral=True)))
    views = rows[1]["dihedral"]
    assert isinstance(views, dict)
    assert tuple(views) == VIEWS
    assert views["orig"] == rows[1]["value"] == "0300" * 16
    assert views["flipminus"] == "0307" * 16
    assert set(rows[1]) == set(FIELDS)
    assert ["dihedral" in row for row in rows] == [True, True, False, False, False]


def test_what_cannot_be_decoded_is_a_row_with_the_reason_and_its_digests_follow() -> None:
    refused = Picture(refusal=Refusal.CORRUPT, detail="no scan line could be recovered")
    error, row = records("a.jpg", Looked(DIGESTS, refused), wanted("pdq,md5"))
    assert error == {"path": "a.jpg", "error": "corrupt", "detail": "no scan line could be recovered"}
    assert set(error) == set(SKIPPED_FIELDS)
    assert (row["algorithm"], row["value"]) == ("md5", hashlib.md5(b"image", usedforsecurity=False).hexdigest())
    assert (row["width"], row["height"], row["format"], row["frames"], row["degraded"]) == (None,) * 5


def test_what_was_not_read_has_no_digests_either() -> None:
    skipped = Skipped("b", SkipReason.SYMLINK, "not followed")
    assert list(records("b", skipped, wanted())) == [{"path": "b", "error": "symlink", "detail": "not followed"}]


async def test_files_are_hashed_and_printed_in_their_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "cab":
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "large").write_bytes(bytes(100))
    hasher = FakeHasher(picture())
    job = Job((str(tmp_path), "missing"), wanted("pdq,sha1", dihedral=True), max_bytes=99, at_once=2)
    with Output(GlobalOptions(json=True)).results() as results:
        skipped = await job.run(hasher, results, SILENT)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(row["path"]).name for row in rows] == ["a", "a", "b", "b", "c", "c", "large", "missing"]
    assert rows[1]["value"] == hashlib.sha1(b"a", usedforsecurity=False).hexdigest()
    assert [row.get("error") for row in rows[-2:]] == ["too_large", "not_found"]
    assert skipped == 2
    assert hasher.options == [HashOptions(frozenset({"pdq"}), dihedral=True)] * 3


async def test_standard_input_is_one_of_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").write_bytes(b"a")
    job = Job((str(tmp_path / "a"), "-"), wanted("md5"), max_bytes=99, at_once=2, stdin=b"stdin")
    with Output(GlobalOptions(json=True)).results() as results:
        assert await job.run(None, results, SILENT) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["path"] for row in rows] == [str(tmp_path / "a"), "-"]
    assert rows[1]["value"] == hashlib.md5(b"stdin", usedforsecurity=False).hexdigest()


async def test_people_see_sizes_frames_and_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").write_bytes(b"a")
    media = MediaInfo("GIF", 320, 200, frames=2, degraded=True)
    hashes = tuple(ComputedHash("dhash", bytes([frame]) * 8, frame=frame) for frame in (0, 1))
    job = Job((str(tmp_path / "a"), "missing"), wanted("dhash"), max_bytes=99, at_once=2)
    with Output(GlobalOptions()).results("path", "algorithm", "value", "quality", "size", "format") as results:
        await job.run(FakeHasher(Picture(media, hashes)), results, SILENT)
    assert capsys.readouterr().err == (
        "path\talgorithm\tvalue\tquality\tsize\tformat\n"
        f"{tmp_path}/a\tdhash\t0000000000000000\t\t320x200\tGIF damaged\n"
        f"{tmp_path}/a [frame 1]\tdhash\t0101010101010101\t\t320x200\tGIF damaged\n"
        "missing\tnot_found\tNo such file or directory\t\t\t\n"
    )
