"""The table of poison holds what it says: every file is what its row calls it, every value is computed."""

from __future__ import annotations

import hashlib
import io

import imagehash
import pytest
from PIL import Image

from hashmatch.catalog import poison
from hashmatch.catalog.validate import EntryRules
from hashmatch.model import Entry, EntryHash

PIXELS = [file for file in poison.FILES if "one pixel" in file.what]


@pytest.mark.parametrize("number", range(len(PIXELS)))
def test_a_pixel_is_a_sound_picture_of_one_pixel(number: int) -> None:
    with Image.open(io.BytesIO(PIXELS[number].content)) as picture:
        picture.load()
        assert picture.size == (1, 1)


def test_the_test_file_of_virus_scanners_is_the_published_one() -> None:
    (content,) = [file.content for file in poison.FILES if "virus" in file.what]
    assert len(content) == 68
    assert hashlib.sha256(content).hexdigest() == "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"


def test_no_file_is_there_twice_and_each_says_where_it_comes_from() -> None:
    assert len({file.content for file in poison.FILES}) == len(poison.FILES)
    assert all(file.what and file.source for file in poison.FILES)


@pytest.mark.parametrize("grey", [1, 64, 128, 200, 254, 255])
def test_a_flat_picture_gives_the_refused_value(grey: int) -> None:
    value = bytes.fromhex(str(imagehash.phash(Image.new("L", (64, 64), grey))))
    assert value in poison.PICTURES["phash"]


@pytest.mark.parametrize("algorithm", poison.DIGESTS)
@pytest.mark.parametrize("file", poison.FILES, ids=range(len(poison.FILES)))
def test_an_entry_with_such_a_digest_is_refused_and_told_why(algorithm: str, file: poison.PoisonFile) -> None:
    digest = hashlib.new(algorithm, file.content).digest()
    problem = EntryRules().problem(Entry("a", (EntryHash(algorithm, digest),)))
    assert problem is not None
    assert problem.field == "value"
    assert problem.reason.startswith(f"{algorithm} the digest of {file.what}; leave this value out")


def test_a_flat_phash_is_refused() -> None:
    problem = EntryRules().problem(Entry("a", (EntryHash("phash", bytes.fromhex("8000000000000000")),)))
    assert problem is not None
    assert "what every flat picture that is not black gives" in problem.reason
