"""What a worker answers: which hashes, in which order, equal to what the reference libraries compute."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from types import MappingProxyType, SimpleNamespace

import imagehash
import numpy as np
import pdqhash
import pytest
from PIL import Image

from hashmatch.config import DecodeConfig
from hashmatch.errors import SandboxUnavailable, UnknownAlgorithm
from hashmatch.hashing import algorithms, compute
from hashmatch.kernels.pdq import DIHEDRAL_NAMES
from hashmatch.model import Algorithm, AlgorithmKind, HashOptions, Picture, Refusal
from tests.support import images

CONFIG = DecodeConfig()
PHOTO = images.photo()
FILE = images.encoded(PHOTO, "PNG")


def hashed(data: bytes = FILE, **options: object) -> Picture:
    return compute.hash_picture(data, CONFIG, HashOptions(**options))  # type: ignore[arg-type]


def test_everything_installed_is_computed_in_the_tables_order() -> None:
    answer = hashed()
    pdq = [(name, turn) for name in ("pdq", "pdq-nearest512") for turn in DIHEDRAL_NAMES]
    rest = [(name, "orig") for name in ("phash", "dhash", "ahash", "whash")]
    assert [(found.algorithm, found.transformation) for found in answer.hashes] == pdq + rest
    assert {found.frame for found in answer.hashes} == {0}
    assert answer.refusal is None
    assert answer.detail == ""


def test_hashes_are_ordered_by_algorithm_then_frame_then_transformation() -> None:
    data = images.animation("GIF", [images.photo(seed, (64, 64)) for seed in range(3)])
    answer = hashed(data, algorithms=frozenset({"dhash", "pdq"}))
    pdq = [("pdq", frame, turn) for frame in range(3) for turn in DIHEDRAL_NAMES]
    assert [(h.algorithm, h.frame, h.transformation) for h in answer.hashes] == [
        *pdq,
        *(("dhash", frame, "orig") for frame in range(3)),
    ]


def test_without_dihedral_each_algorithm_gives_one_hash() -> None:
    answer = hashed(dihedral=False)
    assert [found.algorithm for found in answer.hashes] == list(algorithms.perceptual_names())
    assert {found.transformation for found in answer.hashes} == {"orig"}


def test_quality_comes_with_the_algorithms_that_have_one() -> None:
    answer = hashed()
    assert all(
        (found.quality is not None) == algorithms.algorithm(found.algorithm).has_quality for found in answer.hashes
    )
    assert all(len(found.value) == algorithms.algorithm(found.algorithm).size_bytes for found in answer.hashes)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_pdq_is_what_pdqhash_computes(seed: int) -> None:
    picture = images.photo(seed, (401, 263))
    answer = hashed(images.encoded(picture, "BMP"), algorithms=frozenset({"pdq"}), dihedral=False)
    vector, quality = pdqhash.compute(np.asarray(picture))
    assert answer.hashes[0].value == np.packbits(vector).tobytes()
    assert answer.hashes[0].quality == quality


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("phash", imagehash.phash),
        ("dhash", imagehash.dhash),
        ("ahash", imagehash.average_hash),
        ("whash", imagehash.whash),
    ],
)
@pytest.mark.parametrize("size", [(320, 240), (65, 131), (5, 5)])
def test_the_imagehash_family_is_what_imagehash_prints(
    name: str, reference: Callable[[Image.Image], object], size: tuple[int, int]
) -> None:
    picture = images.photo(4, size)
    answer = hashed(images.encoded(picture, "PNG"), algorithms=frozenset({name}))
    assert [found.hex for found in answer.hashes] == [str(reference(picture))]


def test_an_upright_copy_and_a_turned_file_have_the_same_imagehash_values() -> None:
    turned = images.encoded(images.stored_turned(PHOTO, 6), "PNG", exif=images.orientation_exif(6))
    names = frozenset({"phash", "dhash", "ahash", "whash"})
    assert hashed(turned, algorithms=names).hashes == hashed(algorithms=names).hashes


def test_the_dihedral_hash_of_a_quarter_turn_is_near_the_turned_pictures() -> None:
    answer = hashed(algorithms=frozenset({"pdq"}))
    turned = hashed(images.encoded(PHOTO.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "PNG"))
    original = int.from_bytes(turned.hashes[0].value, "big")
    nearest = min(answer.hashes, key=lambda found: (int.from_bytes(found.value, "big") ^ original).bit_count())
    assert nearest.transformation != "orig"
    assert (int.from_bytes(nearest.value, "big") ^ original).bit_count() <= 16


def test_a_flat_picture_is_hashed_and_its_quality_says_so() -> None:
    answer = hashed(images.flat_png(64, 64), algorithms=frozenset({"pdq"}))
    assert answer.refusal is None
    assert answer.hashes[0].quality == 0


def test_times_are_told_apart() -> None:
    answer = hashed()
    assert answer.decode_us > 0
    assert answer.hash_us > 0
    assert answer.queue_us == 0


def test_asking_for_what_is_not_installed_is_the_callers_mistake() -> None:
    with pytest.raises(UnknownAlgorithm, match="no algorithm 'neuralhash' is installed; there are pdq, "):
        hashed(algorithms=frozenset({"pdq", "neuralhash"}))
    expected = "none of md5, sha256 is computed from pixels; ask for one of pdq, pdq-nearest512, "
    with pytest.raises(UnknownAlgorithm, match=expected):
        hashed(algorithms=frozenset({"md5", "sha256"}))


def test_digests_beside_perceptual_algorithms_are_left_to_the_parent() -> None:
    answer = hashed(algorithms=frozenset({"sha256", "phash"}))
    assert [found.algorithm for found in answer.hashes] == ["phash"]


def test_running_out_of_memory_while_hashing_is_a_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(compute, "_PDQ", {"pdq": exhausted})
    answer = hashed(algorithms=frozenset({"pdq"}))
    assert (answer.refusal, answer.detail) == (
        Refusal.BOMB,
        "hashing the PNG picture needs more memory than there is",
    )


# --- plug-ins ----------------------------------------------------------------------------------------------------


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Install a plug-in for one test; set its ``compute``."""
    row = Algorithm("mean", AlgorithmKind.PERCEPTUAL, 24, "mean", "mean colour", "this test")
    installed = SimpleNamespace(algorithm=row, compute=lambda picture: bytes(picture.resize((1, 1)).getpixel((0, 0))))
    monkeypatch.setattr(compute, "plugins", lambda: MappingProxyType({"mean": installed}))
    monkeypatch.setattr(compute, "algorithm", lambda _: row)
    monkeypatch.setattr(compute, "perceptual_names", lambda: ("pdq", "mean"))
    return installed


def test_a_plugin_sees_the_upright_rgb_picture(plugin: SimpleNamespace) -> None:
    seen: list[tuple[str, tuple[int, int]]] = []

    def look(picture: Image.Image) -> bytes:
        seen.append((picture.mode, picture.size))
        return b"abc"

    plugin.compute = look
    data = images.encoded(images.stored_turned(PHOTO.convert("L"), 6), "JPEG", exif=images.orientation_exif(6))
    answer = hashed(data, dihedral=False)
    assert seen == [("RGB", (320, 240))]
    assert [(found.algorithm, found.value) for found in answer.hashes][1:] == [("mean", b"abc")]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [(lambda _: 1 / 0, "ZeroDivisionError"), (lambda _: b"four", "not 3 bytes"), (lambda _: "abc", "not 3 bytes")],
)
def test_a_failing_plugin_costs_its_own_hash_and_is_named(
    plugin: SimpleNamespace, broken: Callable[[object], object], reason: str
) -> None:
    plugin.compute = broken
    answer = hashed(dihedral=False)
    assert [found.algorithm for found in answer.hashes] == ["pdq"]
    assert answer.refusal is None
    assert answer.detail == f"algorithms that failed on this picture: mean ({reason})"
    alone = hashed(algorithms=frozenset({"mean"}))
    assert (alone.refusal, alone.detail) == (
        Refusal.NO_USABLE_HASH,
        f"the only algorithms asked for failed on this picture: mean ({reason})",
    )


def test_a_plugin_cannot_change_the_picture_for_the_others(plugin: SimpleNamespace) -> None:
    def draw(picture: Image.Image) -> bytes:
        picture.paste((0, 0, 0), (0, 0, *picture.size))
        return b"abc"

    data = images.animation("PNG", [images.photo(seed, (64, 64)) for seed in (1, 2)])
    before = hashed(data, algorithms=frozenset({"pdq"})).hashes
    plugin.compute = draw
    assert [found for found in hashed(data).hashes if found.algorithm == "pdq"] == list(before)


def test_warming_fails_when_a_plugin_does(plugin: SimpleNamespace) -> None:
    plugin.compute = lambda _: 1 / 0
    expected = r"^a JPEG picture made on the spot could not be hashed: .* mean \(ZeroDivisionError\)$"
    with pytest.raises(SandboxUnavailable, match=expected):
        compute.warm()


# --- ready for confinement ---------------------------------------------------------------------------------------

AFTER_WARMING = """
import os, sys
os.environ["OPENBLAS_NUM_THREADS"] = "1"
from hashmatch.config import DecodeConfig
from hashmatch.hashing import compute
from hashmatch.model import HashOptions
from PIL import Image
compute.warm()
openers = set(Image.OPEN)
before = set(sys.modules)
size = int.from_bytes(sys.stdin.buffer.read(4), "big")
while size:
    compute.hash_picture(sys.stdin.buffer.read(size), DecodeConfig(), HashOptions())
    size = int.from_bytes(sys.stdin.buffer.read(4), "big")
print(sorted(set(sys.modules) - before))
print(sorted(openers))
print(len(os.listdir("/proc/self/task")))
"""


def test_after_warming_nothing_is_imported_no_opener_is_added_and_no_thread_was_started() -> None:
    files = [variant.data for variant in images.variants(images.photo(size=(64, 64)))]
    files += [data[: len(data) // 2] for data in files]
    files += [images.encoded(PHOTO, name, exif=images.orientation_exif(6)) for name in ("JPEG", "WEBP", "AVIF")]
    stdin = b"".join(len(data).to_bytes(4, "big") + data for data in files) + bytes(4)
    done = subprocess.run([sys.executable, "-c", AFTER_WARMING], input=stdin, capture_output=True, check=True)
    imported, openers, threads = done.stdout.decode().splitlines()
    assert imported == "[]"
    allowed = ["AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "PNG", "PPM", "TIFF", "WEBP"]  # DIB and PPM come along
    assert openers == str(allowed)
    assert threads == "1"
